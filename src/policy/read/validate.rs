//! Compares all that the files say with itself and makes the [`PolicySet`]. Every fault is noted, none ends the search.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::source::{Written, WrittenRole, WrittenTest};
use super::told::{spoken, twice, unknown};
use super::{categories, collected, keep, patterns, purposes, rules, tables, wishes};
use crate::catalog::split_dotted;
use crate::document::{Fault, Located, Place};
use crate::document::{alike, quoted};
use crate::policy::model::pattern::{is_relation_pattern, matches_relation};
use crate::policy::model::{
    Basis, ExclusionList, Expected, OURSELVES, Period, PolicySet, PolicyTest, Role, Verdict, column_name,
};

/// The set, and every fault; where one of them is an error, the set is of no use.
pub(in crate::policy) fn validate(written: Written) -> (PolicySet, Vec<Fault>) {
    let mut set = PolicySet::default();
    let mut faults = Vec::new();
    set.unlisted_allowed = unlisted(&written.unlisted_tables, &mut faults);
    set.categories = categories::categories(written.categories, &mut faults);
    let (purposes, direct) = purposes::purposes(written.purposes, &mut faults);
    set.purposes = purposes;
    set.consent = wishes::consent(written.consent, &mut faults);
    set.exclusions.extend(wishes::exclusion(ExclusionList::Objections, written.objections, &mut faults));
    set.exclusions.extend(wishes::exclusion(ExclusionList::Restrictions, written.restrictions, &mut faults));
    set.column_patterns = patterns::columns(written.columns, &mut faults);
    set.tables = tables::tables(written.tables, !set.column_patterns.is_empty(), &set.purposes, &mut faults);
    // While it is validated, a table that is a pattern stands among the others, under that name.
    set.column_patterns.extend(patterns::of_tables(&set));
    patterns::ties(&set, &mut faults);
    set.marketing = wishes::marketing(written.marketing, &set.tables, &mut faults);
    set.compatible = collected::compatible(written.compatible, &set.purposes, &mut faults);
    purposes::direct_marketing(direct, &mut set, &mut faults);
    for (what, table, place) in set.wishes() {
        let named = set.tables.get(table);
        let by_pattern = || {
            let mut all = set.tables.iter().filter(|(name, listing)| listing.open && is_relation_pattern(name));
            all.any(|(name, _)| matches_relation(name, table))
        };
        if named.map_or_else(by_pattern, |table| table.open) {
            faults.push(Fault::error(
                place,
                format!("`{table}` holds the {what} and cannot be `open`: anybody could write one"),
            ));
        }
    }
    if set.consent.is_none() {
        for purpose in set.purposes.values().filter(|purpose| purpose.basis == Basis::Consent) {
            faults.push(Fault::error(
                &purpose.place,
                format!("purpose `{}` rests on consent, and no `[consent]` says where consents are kept", purpose.name),
            ));
        }
    }
    roles(written.roles, &mut set, &mut faults);
    set.functions = functions(written.functions, &mut faults);
    set.settings = settings(written.settings, &mut faults);
    set.channels = channels(written.channels, &mut faults);
    let described: BTreeSet<String> = set.categories.keys().cloned().collect();
    // A category exists where it is described or where a column has it.
    for (name, table) in &set.tables {
        for (column, category) in &table.columns {
            if !described.contains(category)
                && let Some(near) = described.iter().find(|near| alike(near, category))
            {
                let message = format!(
                    "column `{}` has the category `{category}`, which nothing describes: is it `{near}`?",
                    column_name(name, column)
                );
                faults.push(Fault::warning(table.place_of(column), message));
            }
            set.categories.entry(category.clone()).or_default();
        }
    }
    for pattern in &set.column_patterns {
        set.categories.entry(pattern.category.clone()).or_default();
    }
    rules::rules(written.rules, &mut set, &mut faults);
    keep::check(&set, &mut faults);
    tests(written.tests, &mut set, &mut faults);
    patterns::split(&mut set);
    (set, faults)
}

fn unlisted(written: &[Located<String>], faults: &mut Vec<Fault>) -> bool {
    let mut first: Option<&Located<String>> = None;
    for value in written {
        if !["allow", "deny"].contains(&value.value.as_str()) {
            faults.push(Fault::error(
                &value.place,
                format!("`unlisted_tables` is `deny` or `allow`, and not `{}`", value.value),
            ));
        }
        match first {
            Some(first) if first.value != value.value => faults
                .push(Fault::error(&value.place, format!("`unlisted_tables` is `{}` at {}", first.value, first.place))),
            Some(_) => {}
            None => first = Some(value),
        }
    }
    first.is_some_and(|value| value.value == "allow")
}

fn roles(written: Vec<WrittenRole>, set: &mut PolicySet, faults: &mut Vec<Fault>) {
    let mut logins: BTreeMap<String, (String, Place)> = BTreeMap::new();
    for role in written {
        let name = role.name;
        if let Some(before) = set.roles.get(&name.value) {
            twice("role", &name.value, &name.place, &before.place.clone(), faults);
        }
        if role.logins.is_empty() {
            faults.push(Fault::error(&name.place, format!("role `{}` has no `logins`", name.value)));
        }
        for login in &role.logins {
            if login.value.is_empty() {
                faults.push(Fault::error(&login.place, "a login is empty"));
            }
            match logins.get(&login.value) {
                Some((other, place)) if *other != name.value => faults.push(Fault::error(
                    &login.place,
                    format!(
                        "login `{}` is in role `{}` and already in role `{other}` at {place}",
                        login.value, name.value
                    ),
                )),
                Some((_, place)) => twice("login", &login.value, &login.place, &place.clone(), faults),
                None => {
                    logins.insert(login.value.clone(), (name.value.clone(), login.place.clone()));
                }
            }
        }
        let mut seen = BTreeSet::new();
        for purpose in &role.purposes {
            if !set.purposes.contains_key(&purpose.value) {
                faults.push(Fault::error(&purpose.place, unknown("purpose", &purpose.value, set.purposes.keys())));
            }
            if !seen.insert(purpose.value.as_str()) {
                faults.push(Fault::error(&purpose.place, format!("purpose `{}` is named twice", purpose.value)));
            }
        }
        if role.purposes.is_empty() && role.unrestricted.is_none() {
            faults.push(Fault::error(
                &name.place,
                format!("role `{}` has no `purposes`: it could do nothing", name.value),
            ));
        }
        let unrestricted_place = role.unrestricted.as_ref().map(|reason| reason.place.clone());
        let unrestricted = spoken(role.unrestricted, "the reason for `unrestricted`", faults);
        if let (Some(place), true) = (unrestricted_place, role.ddl) {
            faults.push(Fault::warning(&place, "an unrestricted role needs no `ddl`"));
        }
        let recipient = spoken(role.recipient, "`recipient`", faults).unwrap_or_else(|| OURSELVES.to_owned());
        let operator_contract = spoken(role.operator_contract, "`operator_contract`", faults);
        if recipient != OURSELVES && operator_contract.is_none() {
            faults.push(Fault::error(
                &name.place,
                format!(
                    "role `{}` gives to the third party `{recipient}` and names no `operator_contract` (POPIA s21)",
                    name.value
                ),
            ));
        }
        let country_ground = country_ground(role.country_ground, faults);
        let country = match role.country {
            None => "ZA".to_owned(),
            Some(country) => {
                let code = country.value.len() == 2 && country.value.chars().all(|c| c.is_ascii_uppercase());
                if !code {
                    faults.push(Fault::error(
                        &country.place,
                        format!("country `{}` must be an ISO 3166 code of two letters, such as `ZA`", country.value),
                    ));
                } else if country.value != "ZA" && country_ground.is_none() {
                    faults.push(Fault::error(
                        &country.place,
                        format!("country `{}` needs a `country_ground` (POPIA s72(1))", country.value),
                    ));
                }
                country.value
            }
        };
        let actor = super::actors::of_role(role.actor, role.actor_from, &unrestricted, faults);
        set.roles.insert(
            name.value.clone(),
            Arc::new(Role {
                name: name.value,
                logins: role.logins.into_iter().map(|login| login.value).collect(),
                purposes: role.purposes.into_iter().map(|purpose| purpose.value).collect(),
                recipient,
                unrestricted,
                operator_contract,
                operator_expires: role.operator_expires.map(|date| date.value),
                country,
                country_ground,
                lookup_limit: role.lookup_limit,
                actor,
                ddl: role.ddl,
                training: training(role.training, faults),
                place: name.place,
            }),
        );
    }
    set.logins = logins.into_iter().map(|(login, (role, _))| (login, role)).collect();
}

/// How long a lesson counts.
fn training(written: Option<Located<String>>, faults: &mut Vec<Fault>) -> Option<Period> {
    let written = written?;
    let period = written.value.parse().ok();
    if period.is_none() {
        let message =
            format!("`training` is how long a lesson counts, such as `12 months`, and not `{}`", written.value);
        faults.push(Fault::error(&written.place, message));
    }
    period
}

/// Why information may leave the country; one of five.
fn country_ground(written: Option<Located<String>>, faults: &mut Vec<Fault>) -> Option<String> {
    let place = written.as_ref().map(|ground| ground.place.clone()).unwrap_or_default();
    let ground = spoken(written, "`country_ground`", faults)?;
    if !["(a)", "(b)", "(c)", "(d)", "(e)"].iter().any(|letter| ground.contains(&format!("s72(1){letter}"))) {
        faults.push(Fault::error(
            &place,
            "`country_ground` must name one of the grounds of POPIA s72(1)(a)-(e), such as `s72(1)(a): binding agreement 2024/7`",
        ));
    }
    Some(ground)
}

/// `app.tenant`, or `app.*`: names with a dot, which only applications and extensions have.
fn settings(written: Vec<Located<String>>, faults: &mut Vec<Fault>) -> BTreeSet<String> {
    let mut settings = BTreeSet::new();
    for setting in written {
        let name = setting.value.to_ascii_lowercase();
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
        let own = name.starts_with("pgpurpose.");
        if own || !name.contains('.') || name.starts_with('.') || !name.trim_end_matches('*').chars().all(plain) {
            let message =
                format!("`{}` must be written as `prefix.name` or `prefix.*`, of an application's own", setting.value);
            faults.push(Fault::error(&setting.place, message));
        } else {
            settings.insert(name);
        }
    }
    settings
}

/// `jobs`, or `cache_*`.
fn channels(written: Vec<Located<String>>, faults: &mut Vec<Fault>) -> BTreeSet<String> {
    let mut channels = BTreeSet::new();
    for channel in written {
        if channel.value.trim_end_matches('*').is_empty() {
            let message = format!("`{}` must be a channel's name, or the beginning of some: `cache_*`", channel.value);
            faults.push(Fault::error(&channel.place, message));
        } else {
            channels.insert(channel.value);
        }
    }
    channels
}

fn functions(written: Vec<Located<String>>, faults: &mut Vec<Fault>) -> BTreeSet<(String, String)> {
    let mut functions = BTreeSet::new();
    for function in written {
        let mut parts = split_dotted(&function.value).unwrap_or_default();
        match (parts.pop(), parts.pop(), parts.pop()) {
            (Some(name), Some(schema), None) => {
                functions.insert((schema, name));
            }
            (_, _, _) => faults.push(Fault::error(
                &function.place,
                format!("function `{}` must be written as schema.name, without arguments", function.value),
            )),
        }
    }
    functions
}

fn tests(written: Vec<WrittenTest>, set: &mut PolicySet, faults: &mut Vec<Fault>) {
    let mut names: BTreeMap<String, Place> = BTreeMap::new();
    for test in written {
        if let Some(name) = &test.name
            && let Some(before) = names.insert(name.value.clone(), name.place.clone())
        {
            twice("test", &name.value, &name.place, &before, faults);
        }
        let missing: Vec<&str> = [("login", &test.login), ("sql", &test.sql), ("expect", &test.expect)]
            .into_iter()
            .filter_map(|(key, value)| value.is_none().then_some(key))
            .collect();
        let (Some(login), Some(sql), Some(expect)) = (test.login, test.sql, test.expect) else {
            faults.push(Fault::error(&test.place, format!("the test lacks {}", quoted(missing))));
            continue;
        };
        let expected = match expect.value.as_str() {
            "allow" => Expected::Verdict(Verdict::Allow),
            "mask" => Expected::Verdict(Verdict::Mask),
            "deny" => Expected::Verdict(Verdict::Deny),
            "aggregate" => Expected::Aggregate,
            other => {
                let message = format!("`expect` is `allow`, `mask`, `deny` or `aggregate`, and not `{other}`");
                faults.push(Fault::error(&expect.place, message));
                Expected::Verdict(Verdict::Deny)
            }
        };
        // A test that expects a refusal may be about a login or purpose that is not there.
        if expected != Expected::Verdict(Verdict::Deny) {
            if !set.logins.contains_key(&login.value) {
                faults.push(Fault::error(&login.place, unknown("login", &login.value, set.logins.keys())));
            }
            if let Some(purpose) = test.purpose.as_ref().filter(|name| !set.purposes.contains_key(&name.value)) {
                faults.push(Fault::error(&purpose.place, unknown("purpose", &purpose.value, set.purposes.keys())));
            }
        }
        if sql.value.trim().is_empty() {
            faults.push(Fault::error(&sql.place, "`sql` is empty"));
        }
        set.tests.push(PolicyTest {
            file: test.place.file.to_string(),
            line: test.place.line,
            name: test.name.map(|name| name.value),
            login: login.value,
            purpose: test.purpose.map(|purpose| purpose.value),
            actor: test.actor,
            sql: sql.value,
            expect: expected,
            reason: test.reason,
        });
    }
}
