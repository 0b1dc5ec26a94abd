//! Validates `[[rules]]` against the tables, categories, roles and purposes.

use std::collections::{BTreeMap, BTreeSet};

use super::condition;
use super::source::WrittenRule;
use super::told::{spoken, twice, unknown};
use crate::catalog::RelationName;
use crate::document::{Fault, Located, Place};
use crate::policy::model::index::RuleIndex;
use crate::policy::model::pattern::{is_pattern, is_relation_pattern, matches_relation};
use crate::policy::model::{Mask, Opens, OwnRows, PolicySet, Rule, Table, Target};

/// Adds the rules to the set, in their order. Faults are noted.
pub(in crate::policy) fn rules(written: Vec<WrittenRule>, set: &mut PolicySet, faults: &mut Vec<Fault>) {
    let mut names: BTreeMap<String, Place> = BTreeMap::new();
    for rule in written {
        let name = match &rule.name {
            Some(name) if !name.value.trim().is_empty() => {
                if let Some(before) = names.insert(name.value.clone(), name.place.clone()) {
                    twice("rule", &name.value, &name.place, &before, faults);
                }
                name.value.clone()
            }
            Some(_) | None => {
                faults.push(Fault::error(&rule.place, "a rule needs a `name`: refusals and the log speak of it"));
                String::new()
            }
        };
        let roles = known("role", &rule.roles, &rule.place, "roles", set.roles.keys(), faults);
        for role in &rule.roles {
            if set.roles.get(&role.value).is_some_and(|role| role.unrestricted.is_some()) {
                faults.push(Fault::error(
                    &role.place,
                    format!("role `{}` is unrestricted: no rule applies to it", role.value),
                ));
            }
        }
        let purposes = known("purpose", &rule.purposes, &rule.place, "purposes", set.purposes.keys(), faults);
        if let Some(ground) = &rule.ground
            && !(26..=33).any(|section| ground.value.contains(&format!("s{section}")))
        {
            let message = "`ground` names no section of POPIA s27-33, such as `s32(1)(a)`: an auditor will look for it";
            faults.push(Fault::warning(&ground.place, message));
        }
        let ground = spoken(rule.ground, "`ground`", faults);
        let child_ground = super::purposes::child_ground(rule.child_ground, faults);
        let mut opened: Vec<(Target, Place)> = Vec::new();
        let mut places: BTreeMap<Target, Place> = BTreeMap::new();
        let mut targets = |written: Vec<Located<String>>, opens: bool, faults: &mut Vec<Fault>| {
            let mut found = BTreeSet::new();
            for text in written {
                if let Some(target) = target(&text, set, faults) {
                    places.entry(target.clone()).or_insert_with(|| text.place.clone());
                    if opens {
                        opened.push((target.clone(), text.place));
                    }
                    found.insert(target);
                }
            }
            found
        };
        let mut read = targets(rule.read, true, faults);
        let lookup = targets(rule.lookup, true, faults);
        let write = targets(rule.write, true, faults);
        let deny = targets(rule.deny, false, faults);
        let mut mask = Vec::new();
        for (text, chosen) in rule.mask {
            let Some(target) = target(&text, set, faults) else { continue };
            opened.push((target.clone(), text.place.clone()));
            places.insert(target.clone(), text.place.clone());
            let category = category_of(&target, set);
            let chosen = match chosen {
                Some(chosen) => chosen.value.parse::<Mask>().map_err(|message| (chosen.place, message)),
                None => category.and_then(|name| set.categories.get(name)?.mask.clone()).ok_or_else(|| {
                    let message = format!(
                        "category `{}` has no mask of its own: write `mask = {{ {} = \"...\" }}`, or give it one under `[categories]`",
                        category.unwrap_or_default(),
                        text.value
                    );
                    (text.place.clone(), message)
                }),
            };
            match chosen {
                Ok(chosen) => {
                    if chosen.needs_subject() {
                        subjects(&target, &chosen, &text.place, set, faults);
                    }
                    mask.push((target, chosen));
                }
                Err((place, message)) => faults.push(Fault::error(&place, message)),
            }
        }
        let special = |target: &Target| {
            category_of(target, set).and_then(|name| set.categories.get(name)).is_some_and(|category| category.special)
        };
        if ground.is_none() {
            for (target, place) in opened.iter().filter(|(target, _)| special(target)) {
                faults.push(Fault::error(
                    place,
                    format!(
                        "`{target}` is special personal information (POPIA s26): the rule must name its `ground` (s27-33)"
                    ),
                ));
            }
        }
        if !opened.is_empty() {
            by_default(&mut read, &mut mask, [&lookup, &deny], set, &mut places);
        }
        let rows = own_rows(rule.rows, set, faults);
        let delete = deletable(rule.delete, set, faults);
        let says_nothing = opened.is_empty() && deny.is_empty() && delete.is_empty();
        if says_nothing {
            faults.push(Fault::warning(&rule.place, format!("rule `{name}` opens and denies nothing")));
        }
        // A rule for a parent also bounds its children, so the purpose itself need not be the role's.
        let usable = roles
            .iter()
            .filter_map(|role| set.roles.get(role))
            .flat_map(|role| &role.purposes)
            .any(|own| set.lineage(own).iter().any(|ancestor| purposes.contains(&ancestor.name)));
        if !usable {
            faults.push(Fault::warning(
                &rule.place,
                format!("rule `{name}` never matches: none of its roles may use any of its purposes"),
            ));
        }
        let own = super::actors::condition(rule.own, faults);
        set.rules.push(Rule {
            name,
            roles,
            purposes,
            read,
            mask,
            lookup,
            write,
            deny,
            delete,
            ground,
            child_ground,
            keep_masked: rule.keep_masked,
            lookup_limit: rule.lookup_limit,
            rows,
            own,
            places,
            place: rule.place,
        });
    }
    // What is checked after this asks for rules by what they are about.
    set.index = RuleIndex::of(&set.rules);
}

/// What categories say is opened by each rule that opens anything, unless it names them.
fn by_default(
    read: &mut BTreeSet<Target>,
    mask: &mut Vec<(Target, Mask)>,
    others: [&BTreeSet<Target>; 2],
    set: &PolicySet,
    places: &mut BTreeMap<Target, Place>,
) {
    for (name, category) in &set.categories {
        let target = Target::Category(name.clone());
        let named = read.contains(&target)
            || mask.iter().any(|(own, _)| *own == target)
            || others.iter().any(|named| named.contains(&target));
        let Some(default) = category.default.filter(|_| !named) else { continue };
        if let Some(place) = &category.place {
            places.insert(target.clone(), place.clone());
        }
        match (default, &category.mask) {
            (Opens::Read, _) => {
                read.insert(target);
            }
            (Opens::Mask, Some(own)) => mask.push((target, own.clone())),
            // Told where the category is described.
            (Opens::Mask, None) => {}
        }
    }
}

/// `rows`: one condition for all that the rule opens, or one for each table.
fn own_rows(
    written: Vec<(Option<Located<String>>, Located<String>)>,
    set: &PolicySet,
    faults: &mut Vec<Fault>,
) -> Vec<OwnRows> {
    let mut rows = Vec::new();
    for (table, text) in written {
        if let Err(why) = condition::check(&text.value) {
            faults.push(Fault::error(&text.place, format!("`rows` is not a plain SQL condition: {why}")));
        }
        let table = match table {
            None => None,
            Some(name) => match name.value.parse::<RelationName>() {
                Ok(relation) if set.tables.get(&relation).is_some_and(|table| table.open) => {
                    let message = format!("table `{relation}` is open: a rule cannot change that");
                    faults.push(Fault::error(&name.place, message));
                    continue;
                }
                // It would be about no table, and leave nothing out.
                Ok(pattern) if is_relation_pattern(&pattern) => {
                    let message = format!("`{pattern}` is a pattern: `rows` names each table that it is about");
                    faults.push(Fault::error(&name.place, message));
                    continue;
                }
                Ok(relation) if names_table(set, &relation) => Some(relation),
                Ok(_) | Err(_) => {
                    let names: Vec<String> = set.tables.keys().map(ToString::to_string).collect();
                    faults.push(Fault::error(&name.place, unknown("table", &name.value, names.iter())));
                    continue;
                }
            },
        };
        let names = condition::names(&text.value);
        rows.push(OwnRows { table, condition: text.value, names, place: text.place });
    }
    rows
}

/// Whether a table is listed, or a pattern would list it.
fn names_table(set: &PolicySet, name: &RelationName) -> bool {
    let mut patterns = set.tables.keys().filter(|name| is_relation_pattern(name));
    set.tables.contains_key(name) || patterns.any(|pattern| matches_relation(pattern, name))
}

/// A mask that is another for each data subject needs tables that say whose a row is.
fn subjects(target: &Target, mask: &Mask, place: &Place, set: &PolicySet, faults: &mut Vec<Fault>) {
    for (name, table) in set.tables.iter().filter(|(_, table)| table.subject.is_none()) {
        if table.columns.iter().any(|(column, category)| target.is(name, column, category)) {
            faults.push(Fault::error(
                place,
                format!("mask `{mask}` is another for each data subject, and table `{name}` names no `subject`"),
            ));
        }
    }
}

fn known<'a>(
    what: &str,
    written: &[Located<String>],
    place: &Place,
    key: &str,
    there: impl Iterator<Item = &'a String> + Clone,
    faults: &mut Vec<Fault>,
) -> BTreeSet<String> {
    if written.is_empty() {
        faults.push(Fault::error(place, format!("the rule has no `{key}`: it would never match")));
    }
    for name in written {
        if !there.clone().any(|known| *known == name.value) {
            faults.push(Fault::error(&name.place, unknown(what, &name.value, there.clone())));
        }
    }
    written.iter().map(|name| name.value.clone()).collect()
}

fn target(text: &Located<String>, set: &PolicySet, faults: &mut Vec<Fault>) -> Option<Target> {
    let message = match text.value.parse::<Target>() {
        Err(message) => message,
        Ok(Target::Category(name)) => {
            if set.categories.contains_key(&name) {
                return Some(Target::Category(name));
            }
            unknown("category", &name, set.categories.keys())
        }
        Ok(Target::Column(relation, column)) if is_relation_pattern(&relation) || is_pattern(&column) => format!(
            "`{}` is a pattern: a rule names categories and columns, and patterns say which columns a category has",
            text.value
        ),
        Ok(Target::Column(relation, column)) => match set.tables.get(&relation) {
            // A pattern lists it, if it is there.
            None | Some(Table { open: false, .. })
                if names_table(set, &relation) && set.category_by_pattern(&relation, &column).is_some() =>
            {
                return Some(Target::Column(relation, column));
            }
            None => {
                let names: Vec<String> = set.tables.keys().map(ToString::to_string).collect();
                unknown("table", &relation.to_string(), names.iter())
            }
            Some(table) if table.open => format!("table `{relation}` is open: a rule cannot change that"),
            Some(table) if table.columns.contains_key(&column) => return Some(Target::Column(relation, column)),
            Some(table) => unknown(&format!("column of `{relation}`"), &column, table.columns.keys()),
        },
    };
    faults.push(Fault::error(&text.place, message));
    None
}

/// The category of what a rule is about.
fn category_of<'a>(target: &'a Target, set: &'a PolicySet) -> Option<&'a str> {
    match target {
        Target::Category(name) => Some(name),
        Target::Column(relation, column) => {
            let listed = set.tables.get(relation).and_then(|table| table.columns.get(column)).map(String::as_str);
            listed.or_else(|| set.category_by_pattern(relation, column).map(|(category, _)| category))
        }
    }
}

fn deletable(written: Vec<Located<String>>, set: &PolicySet, faults: &mut Vec<Fault>) -> BTreeSet<RelationName> {
    let mut tables = BTreeSet::new();
    for text in written {
        if text.value == "*" {
            // Who deletes a consent or an objection is named for it.
            let governed = set.tables.iter().filter(|(name, table)| !table.open && !set.keeps_wishes(name));
            tables.extend(governed.map(|(name, _)| name.clone()));
            tables.insert(RelationName::new("*", "*"));
            continue;
        }
        match text.value.parse::<RelationName>() {
            Ok(pattern) if is_relation_pattern(&pattern) => {
                let meant = set
                    .tables
                    .iter()
                    .filter(|(name, table)| !table.open && !set.keeps_wishes(name) && matches_relation(&pattern, name));
                let before = tables.len();
                tables.extend(meant.map(|(name, _)| name.clone()));
                if tables.len() == before {
                    let message = format!("pattern `{pattern}` means no table that is listed with columns");
                    faults.push(Fault::warning(&text.place, message));
                }
                // What a pattern lists when the database is known.
                tables.insert(pattern);
            }
            Ok(relation) if names_table(set, &relation) => {
                tables.insert(relation);
            }
            Ok(_) | Err(_) => {
                let names: Vec<String> = set.tables.keys().map(ToString::to_string).collect();
                faults.push(Fault::error(&text.place, unknown("table", &text.value, names.iter())));
            }
        }
    }
    tables
}
