//! Validates `[[rules]]` against the tables, categories, roles and purposes.

use std::collections::{BTreeMap, BTreeSet};

use super::source::WrittenRule;
use super::told::{spoken, twice, unknown};
use crate::catalog::RelationName;
use crate::document::{Fault, Located, Place};
use crate::policy::model::index::RuleIndex;
use crate::policy::model::{Mask, PolicySet, Rule, Target};

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
        let mut targets = |written: Vec<Located<String>>, opens: bool, faults: &mut Vec<Fault>| {
            let mut found = BTreeSet::new();
            for text in written {
                if let Some(target) = target(&text, set, faults) {
                    if opens {
                        opened.push((target.clone(), text.place));
                    }
                    found.insert(target);
                }
            }
            found
        };
        let read = targets(rule.read, true, faults);
        let lookup = targets(rule.lookup, true, faults);
        let write = targets(rule.write, true, faults);
        let deny = targets(rule.deny, false, faults);
        let mut mask = Vec::new();
        for (text, chosen) in rule.mask {
            let Some(target) = target(&text, set, faults) else { continue };
            opened.push((target.clone(), text.place.clone()));
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
            place: rule.place,
        });
    }
    // What is checked after this asks for rules by what they are about.
    set.index = RuleIndex::of(&set.rules);
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
        Ok(Target::Column(relation, column)) => match set.tables.get(&relation) {
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
        Target::Column(relation, column) => set.tables.get(relation)?.columns.get(column).map(String::as_str),
    }
}

fn deletable(written: Vec<Located<String>>, set: &PolicySet, faults: &mut Vec<Fault>) -> BTreeSet<RelationName> {
    let mut tables = BTreeSet::new();
    for text in written {
        if text.value == "*" {
            // Who deletes a consent or an objection is named for it.
            let governed = set.tables.iter().filter(|(name, table)| !table.open && !set.keeps_wishes(name));
            tables.extend(governed.map(|(name, _)| name.clone()));
            continue;
        }
        match text.value.parse::<RelationName>() {
            Ok(relation) if set.tables.contains_key(&relation) => {
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
