//! Statements that change the database's structure (`ddl = true`): what they may not do, so that no name that a policy
//! lists comes to mean other values than it meant.

use super::Reason;
use super::govern::{Governed, Whom, is_kept};
use crate::catalog::RelationName;
use crate::policy::model::{Change, Make, PolicySet, RelationAccess, Role, Structure, SubjectPath, Table, column_name};

impl Structure {
    /// What was done to one occurrence.
    pub(in crate::policy) fn changes_of(&self, occurrence: usize) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(move |(at, _)| *at == occurrence).map(|(_, change)| change)
    }

    /// What does not depend on a relation that is there.
    pub(in crate::policy) fn check(&self, policies: &PolicySet, role: &Role) -> Vec<Reason> {
        if !(role.ddl || self.temporary || self.reads) {
            let message =
                format!("statements that change the database's structure are not open to role `{}`", role.name);
            return vec![
                Reason::plain(message)
                    .detail("the policy does not state `ddl = true` for it")
                    .hint("run it with a role that may, or state `ddl = true` for this one"),
            ];
        }
        let mut reasons = Vec::new();
        for Make { name, from_query } in &self.makes {
            if self.keeps_consents(policies, name) {
                reasons.push(consents(name));
            } else if *from_query && policies.lists(name) {
                reasons.push(
                    Reason::about(name, format!("relation `{name}` may not be made from a query"))
                        .detail("a policy lists it, and would open whatever the query puts there")
                        .hint("make an empty table, and add rows under the rules' `write`"),
                );
            }
        }
        reasons
    }

    /// Whether consents are kept there.
    fn keeps_consents(&self, policies: &PolicySet, name: &RelationName) -> bool {
        policies.keeps_wishes(name) || self.consents.contains(name)
    }

    /// What speaks against one change of a relation that is there.
    pub(in crate::policy) fn against(
        &self,
        change: &Change,
        access: &RelationAccess,
        governed: &Governed<'_>,
        policies: &PolicySet,
        whom: &Whom<'_>,
    ) -> Option<Reason> {
        if self.keeps_consents(policies, &access.relation) {
            return Some(consents(&access.relation));
        }
        check(change, access, governed, policies, whom)
    }
}

fn consents(name: &RelationName) -> Reason {
    Reason::about(name, format!("the structure of `{name}` may not be changed by a governed role"))
        .detail("consents are kept there: whoever changes it decides who consented")
        .hint("use an unrestricted role")
}

fn check(
    change: &Change,
    access: &RelationAccess,
    governed: &Governed<'_>,
    policies: &PolicySet,
    whom: &Whom<'_>,
) -> Option<Reason> {
    let relation = &access.relation;
    let listed = |name: &RelationName| policies.lists(name) || policies.keeps_wishes(name);
    let refuse = |what: &str, detail: &str, hint: &str| {
        let message = format!("{what} is not open to role `{}` for purpose `{}`", whom.role, whom.purpose);
        Some(Reason::about(relation, message).detail(detail).hint(hint))
    };
    let lists = |column: &str| match governed {
        Governed::By(listing, table) => {
            table.columns.contains_key(column) || policies.category_by_pattern(listing, column).is_some()
        }
        Governed::Open | Governed::Refused(_) => false,
    };
    let leads =
        |column: &str| policies.tables.iter().any(|(name, table)| leads_to_subject(name, table, access, column));
    let lead_refused = |column: &str| {
        refuse(
            &format!("changing column `{}`", column_name(relation, column)),
            "it says whose row is whose",
            "use an unrestricted role",
        )
    };
    let kept = matches!(governed, Governed::Open) && is_kept(policies, access);
    match change {
        // What its rows hold, and which they are, would be another thing.
        Change::AddColumn { .. }
        | Change::RenameColumn { .. }
        | Change::AlterColumn(_)
        | Change::Rewrite(_)
        | Change::Move(_)
        | Change::Family
            if kept =>
        {
            refuse(
                &format!("changing the columns, the name or the family of table `{relation}`"),
                "the policy opens it with `open = \"read\"`: nobody writes to it through the proxy",
                "use an unrestricted role, or `open = true`",
            )
        }
        Change::AddColumn { name, .. } | Change::AlterColumn(name) if leads(name) => lead_refused(name),
        Change::RenameColumn { from, to } if leads(from) || leads(to) => lead_refused(from),
        Change::AddColumn { name, computed: true } | Change::RenameColumn { from: _, to: name } if lists(name) => {
            refuse(
                &format!("giving other values the name `{}`", column_name(relation, name)),
                "the policy lists that name with a category, and would open what comes to stand there",
                "take another name, and list it in the policy",
            )
        }
        Change::AddColumn { .. } | Change::RenameColumn { .. } | Change::AlterColumn(_) => None,
        Change::Rewrite(name) => match governed {
            Governed::Open => None,
            Governed::By(..) | Governed::Refused(_) => refuse(
                &format!("computing column `{}` anew", column_name(relation, name)),
                "it changes every row, whatever the rules' `write` say",
                "use an unrestricted role",
            ),
        },
        Change::Move(to) if listed(to) => refuse(
            &format!("giving another relation the name `{to}`"),
            "the policy lists that name, and would open what comes to stand there",
            "take another name, and list it in the policy",
        ),
        Change::Move(_) => match governed {
            Governed::By(name, _) if name == relation => refuse(
                &format!("giving table `{relation}` another name"),
                "the policy governs it by its name",
                "use an unrestricted role, and list the new name in the policy first",
            ),
            Governed::By(..) | Governed::Open | Governed::Refused(_) => None,
        },
        Change::Family => match governed {
            Governed::Open => None,
            Governed::By(..) | Governed::Refused(_) => refuse(
                &format!("attaching, detaching or inheriting `{relation}`"),
                "rows would come under another table's listing",
                "make partitions with `CREATE TABLE .. PARTITION OF`, or use an unrestricted role",
            ),
        },
        // Its caller asks for the right to delete.
        Change::Drop { .. } | Change::Alter | Change::Empty => None,
    }
}

/// Whether the column of a relation is on the way from a table's rows to their subjects.
fn leads_to_subject(name: &RelationName, table: &Table, access: &RelationAccess, column: &str) -> bool {
    // What is done to a parent is done to its children.
    let here = |at: &RelationName| *at == access.relation || access.reaches.contains(at);
    let (mut at, mut path) = (name, table.subject.as_ref());
    while let Some(step) = path {
        match step {
            SubjectPath::Column(last) => return here(at) && last == column,
            SubjectPath::Through { column: from, relation: next, references, next: rest } => {
                if (here(at) && from == column) || (here(next) && references == column) {
                    return true;
                }
                (at, path) = (next, Some(&**rest));
            }
        }
    }
    false
}
