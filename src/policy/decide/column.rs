//! What a role sees of one column for a purpose: the most restrictive of all that the rules say, along the purpose and
//! its ancestors.

use super::Reason;
use super::govern::Whom;
use crate::catalog::{RelationName, TypeClass};
use crate::document::quoted;
use crate::policy::model::{Mask, PolicySet, Purpose, Rule, Table, column_name};

/// What is seen of a column, and whether it may be set.
#[derive(Debug, Clone)]
pub(in crate::policy) struct Standing {
    pub(in crate::policy) sight: Sight,
    /// The rule that lets it be set.
    pub(in crate::policy) write: Option<String>,
}

/// What is seen of a column.
#[derive(Debug, Clone)]
pub(in crate::policy) enum Sight {
    Hidden(Hidden),
    Masked { mask: Mask, rule: String, lookup: bool },
    Plain { rule: String },
}

/// Why a column is hidden.
#[derive(Debug, Clone)]
pub(in crate::policy) struct Hidden {
    /// The rule that hides it.
    pub(in crate::policy) rule: Option<String>,
    /// The ancestor purpose that does.
    ancestor: Option<String>,
    cause: Cause,
}

#[derive(Debug, Clone)]
enum Cause {
    /// A rule denies it.
    Denied,
    /// No rule opens it.
    NotOpened,
    /// The table's listing does not name it.
    Unlisted,
    /// It was collected for other purposes, and no line says that this one is compatible with them.
    Collected(Vec<String>),
    /// The mask cannot keep the column's type.
    Misfit(Mask),
}

impl Hidden {
    /// Whether it is hidden by more than that no rule opens it.
    pub(in crate::policy) fn is_stated(&self) -> bool {
        self.rule.is_some() || matches!(self.cause, Cause::Collected(_))
    }

    /// The reason for the client.
    pub(in crate::policy) fn reason(
        &self,
        whom: &Whom<'_>,
        relation: &RelationName,
        listing: &RelationName,
        column: &str,
    ) -> Reason {
        let name = column_name(relation, column);
        let mut reason = Reason::about(relation, whom.not_open(&format!("column `{name}`"))).column(column);
        reason.rule.clone_from(&self.rule);
        let rule = self.rule.as_deref().unwrap_or_default();
        let at = match &self.ancestor {
            Some(ancestor) => format!(" for the parent purpose `{ancestor}`"),
            None => String::new(),
        };
        let (detail, hint) = match &self.cause {
            Cause::Denied => (format!("rule `{rule}` denies it{at}"), "leave the column out".to_owned()),
            Cause::NotOpened => (
                format!("no rule opens it{at}"),
                "leave the column out, or open it in a rule for this role and purpose".to_owned(),
            ),
            Cause::Unlisted => (
                "no rule opens it: the policy gives the column no category".to_owned(),
                format!("leave the column out, or list it under `[tables.\"{listing}\".columns]`"),
            ),
            Cause::Collected(purposes) => (
                format!("it was collected for {}, which is another purpose (POPIA s15){at}", quoted(purposes)),
                "where the use is compatible, say so in a `[[compatible]]` line, with the reason and the section"
                    .to_owned(),
            ),
            Cause::Misfit(mask) => (
                format!("mask `{mask}` of rule `{rule}` does not fit the column{at}"),
                "choose a mask that fits, such as `null`".to_owned(),
            ),
        };
        reason.detail(detail).hint(hint)
    }
}

/// What is seen for the purpose in force: at most what each of its ancestors may. `class` is the column's type where it
/// is known.
pub(in crate::policy) fn standing(
    policies: &PolicySet,
    role: &str,
    lineage: &[&Purpose],
    listing: &RelationName,
    table: &Table,
    column: &str,
    class: Option<TypeClass>,
) -> Standing {
    let mut result: Option<Standing> = None;
    for (depth, purpose) in lineage.iter().enumerate() {
        let category = table.columns.get(column).map_or("", String::as_str);
        let rules = policies.rules_on(role, &purpose.name, listing, column, category);
        let foreign = table.collected_for.get(column).filter(|list| !policies.compatible(list, &purpose.name));
        let mut level = match (level(rules, listing, table, column, class), foreign) {
            // A rule that denies it says more.
            (standing @ Standing { sight: Sight::Hidden(Hidden { cause: Cause::Denied, .. }), .. }, _) => standing,
            (standing, None) => standing,
            (_, Some(list)) => {
                let cause = Cause::Collected(list.iter().cloned().collect());
                Standing { sight: Sight::Hidden(Hidden { rule: None, ancestor: None, cause }), write: None }
            }
        };
        if depth > 0
            && let Sight::Hidden(hidden) = &mut level.sight
        {
            hidden.ancestor = Some(purpose.name.clone());
        }
        result = Some(match result {
            None => level,
            Some(below) => both(below, level),
        });
    }
    result.unwrap_or(Standing {
        sight: Sight::Hidden(Hidden { rule: None, ancestor: None, cause: Cause::NotOpened }),
        write: None,
    })
}

/// What the rules for one purpose say.
fn level<'a>(
    rules: impl Iterator<Item = &'a Rule>,
    listing: &RelationName,
    table: &Table,
    column: &str,
    class: Option<TypeClass>,
) -> Standing {
    let hidden = |cause, rule| Standing { sight: Sight::Hidden(Hidden { rule, ancestor: None, cause }), write: None };
    let Some(category) = table.columns.get(column) else { return hidden(Cause::Unlisted, None) };
    let (mut masks, mut read, mut lookup, mut write) = (Vec::new(), None, false, None);
    for rule in rules {
        if rule.deny.iter().any(|target| target.is(listing, column, category)) {
            return hidden(Cause::Denied, Some(rule.name.clone()));
        }
        // Within one rule, a mask for the column itself is meant instead of its category's.
        let own = rule.mask.iter().any(|(target, _)| target.is_column() && target.is(listing, column, category));
        masks.extend(
            rule.mask
                .iter()
                .filter(|(target, _)| target.is(listing, column, category) && target.is_column() == own)
                .map(|(_, mask)| (mask.clone(), rule.name.clone())),
        );
        if rule.read.iter().any(|target| target.is(listing, column, category)) {
            read.get_or_insert_with(|| rule.name.clone());
        }
        if rule.write.iter().any(|target| target.is(listing, column, category)) {
            write.get_or_insert_with(|| rule.name.clone());
        }
        lookup |= rule.lookup.iter().any(|target| target.is(listing, column, category));
    }
    let misfit = masks.iter().find(|(mask, _)| {
        class.is_some_and(|class| !mask.fits(class)) || (mask.needs_subject() && table.subject.is_none())
    });
    let sight = if let Some((mask, rule)) = misfit {
        Sight::Hidden(Hidden { rule: Some(rule.clone()), ancestor: None, cause: Cause::Misfit(mask.clone()) })
    } else if let Some((mask, rule)) = masks.into_iter().reduce(|(a, rule), (b, other)| meet((a, rule), (b, other))) {
        Sight::Masked { mask, rule, lookup }
    } else if let Some(rule) = read {
        Sight::Plain { rule }
    } else {
        Sight::Hidden(Hidden { rule: None, ancestor: None, cause: Cause::NotOpened })
    };
    Standing { sight, write }
}

/// What both masks let through, and the rule to name: the one whose mask it is, else the later.
fn meet((a, rule): (Mask, String), (b, other): (Mask, String)) -> (Mask, String) {
    let met = a.clone().meet(b);
    let rule = if met == a { rule } else { other };
    (met, rule)
}

/// The most restrictive of both.
fn both(below: Standing, above: Standing) -> Standing {
    let sight = match (below.sight, above.sight) {
        (Sight::Hidden(hidden), _) | (_, Sight::Hidden(hidden)) => Sight::Hidden(hidden),
        (Sight::Masked { mask: a, rule, lookup: x }, Sight::Masked { mask: b, rule: other, lookup: y }) => {
            let (mask, rule) = meet((a, rule), (b, other));
            Sight::Masked { mask, rule, lookup: x && y }
        }
        // Where one level sees the value itself, testing it there is no more than that level may.
        (Sight::Masked { mask, rule, lookup }, Sight::Plain { .. })
        | (Sight::Plain { .. }, Sight::Masked { mask, rule, lookup }) => Sight::Masked { mask, rule, lookup },
        (Sight::Plain { rule }, Sight::Plain { .. }) => Sight::Plain { rule },
    };
    // Set at every level, or not at all.
    let write = above.write.and(below.write);
    Standing { sight, write }
}
