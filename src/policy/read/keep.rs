//! Columns that one role sees masked and may set for one purpose: an application that reads a row and saves it whole sends the masks
//! back, and would overwrite the values with them.
//!
//! A keyed pseudonym may not be written at all by those who see it: a guess that is written and read back would be a dictionary.
//! Any other such pair of rules is a fault of the policy unless one of them says `keep_masked = true`; then what comes back as its own mask
//! leaves the value as it is. The obligation is made wherever a column is masked and set, whatever the rules say.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::RelationName;
use crate::document::Fault;
use crate::document::quoted;
use crate::policy::decide::column::{Sight, standing};
use crate::policy::model::{PolicySet, Rule, Target, column_name};

/// One fault: the two rules that disagree, and for whom.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Clash {
    written_by: String,
    masked_by: String,
    role: String,
    purpose: String,
}

/// Notes each role and purpose that sees a column masked and may set it, where no rule says that masks are kept out; and warns of
/// rules that say so for nothing.
pub(in crate::policy) fn check(set: &PolicySet, faults: &mut Vec<Fault>) {
    let mut clashes: BTreeMap<Clash, Vec<String>> = BTreeMap::new();
    let mut dictionaries: BTreeMap<(Clash, String), Vec<String>> = BTreeMap::new();
    let mut used: BTreeSet<&str> = BTreeSet::new();
    for role in set.roles.values().filter(|role| role.unrestricted.is_none()) {
        for purpose in &role.purposes {
            let lineage = set.lineage(purpose);
            let rules: Vec<&Rule> = lineage.iter().flat_map(|level| set.rules_for(&role.name, &level.name)).collect();
            let writes: Vec<&Target> = rules.iter().flat_map(|rule| &rule.write).collect();
            // Nothing can be masked and set where no rule masks, or none sets: so it is for most.
            if writes.is_empty() || rules.iter().all(|rule| rule.mask.is_empty()) {
                continue;
            }
            for (name, table) in set.tables.iter().filter(|(_, table)| !table.open) {
                for (column, category) in &table.columns {
                    if !writes.iter().any(|target| target.is(name, column, category)) {
                        continue;
                    }
                    let standing = standing(set, &role.name, &lineage, name, table, column, None);
                    let (Sight::Masked { mask, rule, .. }, Some(write)) = (standing.sight, standing.write) else {
                        continue;
                    };
                    if mask.is_dictionary() {
                        let clash = Clash {
                            written_by: write.clone(),
                            masked_by: rule.clone(),
                            role: role.name.clone(),
                            purpose: purpose.clone(),
                        };
                        dictionaries.entry((clash, mask.to_string())).or_default().push(column_name(name, column));
                        continue;
                    }
                    let keeping: Vec<&str> = rules
                        .iter()
                        .filter(|rule| rule.keep_masked && rule.masks_or_sets(name, column, category))
                        .map(|rule| rule.name.as_str())
                        .collect();
                    if keeping.is_empty() {
                        let clash = Clash {
                            written_by: write,
                            masked_by: rule,
                            role: role.name.clone(),
                            purpose: purpose.clone(),
                        };
                        clashes.entry(clash).or_default().push(column_name(name, column));
                    }
                    used.extend(keeping);
                }
            }
        }
    }
    for ((clash, mask), columns) in dictionaries {
        faults.extend(dictionary(set, &clash, &mask, &columns));
    }
    for (clash, columns) in clashes {
        faults.extend(fault(set, &clash, &columns));
    }
    for rule in set.rules.iter().filter(|rule| rule.keep_masked && !used.contains(rule.name.as_str())) {
        let message = format!(
            "rule `{}` says `keep_masked`, and none of its roles both sees a column masked and may set it",
            rule.name
        );
        faults.push(Fault::warning(&rule.place, message));
    }
}

fn dictionary(set: &PolicySet, clash: &Clash, mask: &str, columns: &[String]) -> Option<Fault> {
    let Clash { written_by, masked_by, role, purpose } = clash;
    let rule = set.rule_called(written_by)?;
    let (verb, it) = if columns.len() == 1 { ("is", "it") } else { ("are", "them") };
    let by = if written_by == masked_by { "the same rule".to_owned() } else { format!("rule `{masked_by}`") };
    Some(Fault::error(
        &rule.place,
        format!(
            "{} {verb} open for writing by rule `{written_by}` and seen through `{mask}` by {by} for role `{role}` and purpose \
             `{purpose}`: equal values have equal pseudonyms, so that whoever writes a guess and reads it back knows the value of all who \
             have that pseudonym; take {it} out of `write`, or choose another mask",
            quoted(columns)
        ),
    ))
}

fn fault(set: &PolicySet, clash: &Clash, columns: &[String]) -> Option<Fault> {
    let Clash { written_by, masked_by, role, purpose } = clash;
    let rule = set.rule_called(written_by)?;
    let (verb, it) = if columns.len() == 1 { ("is", "it") } else { ("are", "them") };
    let by = if written_by == masked_by { "the same rule".to_owned() } else { format!("rule `{masked_by}`") };
    Some(Fault::error(
        &rule.place,
        format!(
            "{} {verb} open for writing by rule `{written_by}` and masked by {by} for role `{role}` and purpose `{purpose}`: an \
             application that saves a whole row would overwrite {it} with the mask; say `keep_masked = true` in the rule, so that \
             what comes back as its own mask changes nothing, or take {it} out of `write` or `mask`",
            quoted(columns)
        ),
    ))
}

impl Rule {
    /// Whether it masks the column or lets it be set.
    fn masks_or_sets(&self, table: &RelationName, column: &str, category: &str) -> bool {
        let masked = self.mask.iter().map(|(target, _)| target);
        masked.chain(&self.write).any(|target| target.is(table, column, category))
    }
}

impl PolicySet {
    /// The columns of a relation that some role may set and some rule masks: where they are set, what is there may have to stay.
    /// `names` are the relation's own and its ancestors', nearest first.
    pub fn kept_columns<'a>(&self, names: impl IntoIterator<Item = &'a RelationName>) -> BTreeSet<String> {
        let listed = names.into_iter().find_map(|name| Some((name, self.tables.get(name)?)));
        let Some((name, table)) = listed.filter(|(_, table)| !table.open) else { return BTreeSet::new() };
        let kept = |(column, category): (&String, &String)| {
            let mut rules = self.rules_naming(name, column, category);
            let is = |target: &Target| target.is(name, column, category);
            rules.any(|rule| rule.write.iter().any(is))
                && self.rules_naming(name, column, category).any(|rule| rule.mask.iter().any(|(target, _)| is(target)))
        };
        table.columns.iter().filter(|column| kept(*column)).map(|(column, _)| column.clone()).collect()
    }
}
