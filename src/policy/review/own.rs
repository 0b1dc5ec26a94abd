//! Who may make other people's rows their own: a rule shows each actor what a column says is theirs, and the same role may set that column
//! for another purpose.

use std::collections::BTreeSet;

use crate::catalog::RelationName;
use crate::document::Fault;
use crate::policy::model::{PolicySet, Rule, column_name};

impl PolicySet {
    /// A warning for each such rule, at its place.
    pub(super) fn made_their_own(&self, faults: &mut Vec<Fault>) {
        for shown in self.rules.iter().filter(|rule| rule.own.is_some()) {
            for (name, column) in self.says_whose(shown) {
                let writes = self.rules.iter().filter(|rule| rule.own.is_none() && self.sets(rule, name, column));
                for writing in writes {
                    let roles: BTreeSet<&str> = self
                        .roles
                        .values()
                        .filter(|role| shown.roles.contains(&role.name) && writing.roles.contains(&role.name))
                        .map(|role| role.name.as_str())
                        .collect();
                    // For the same purpose it is refused with the statement.
                    let elsewhere = writing.purposes.difference(&shown.purposes).next();
                    if let (false, Some(purpose)) = (roles.is_empty(), elsewhere) {
                        let message = format!(
                            "rule `{}` shows role `{}` the rows that `{}` says are theirs, and rule `{}` lets the same role write it for \
                             `{purpose}`: whoever does can make any row their own",
                            shown.name,
                            roles.into_iter().collect::<Vec<_>>().join("`, `"),
                            column_name(name, column),
                            writing.name
                        );
                        faults.push(Fault::warning(&writing.place, message));
                    }
                }
            }
        }
    }

    /// The columns whose values say whose rows are opened by the rule: those that its condition names, in whichever listed table they are.
    fn says_whose<'a>(&'a self, rule: &'a Rule) -> impl Iterator<Item = (&'a RelationName, &'a str)> {
        let names = rule.own.as_ref().map(|own| &own.names);
        self.tables.iter().flat_map(move |(name, table)| {
            let own = table.columns.keys().filter(move |column| names.is_some_and(|names| names.contains(*column)));
            own.map(move |column| (name, column.as_str()))
        })
    }

    fn sets(&self, rule: &Rule, name: &RelationName, column: &str) -> bool {
        let category = self.tables.get(name).and_then(|table| table.columns.get(column));
        category.is_some_and(|category| rule.write.iter().any(|target| target.is(name, column, category)))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const POLICY: &str = r#"
version = 1
[tables."public.customers"]
subject = "id"
columns = { id = "reference", city = "operational" }
[tables."public.assignments"]
subject = "customer_id"
columns = { customer_id = "reference", agent = "assignment" }
[purposes.support]
basis = "contract"
[purposes.assigning]
basis = "contract"
[roles.crm]
logins = ["crm"]
purposes = ["support", "assigning"]
actor = "required"
[roles.lead]
logins = ["lead"]
purposes = ["assigning"]
[[rules]]
name = "their own"
roles = ["crm"]
purposes = ["support"]
read = ["reference", "operational"]
own = "agent = actor"
[[rules]]
name = "who assigns"
roles = ["ROLE"]
purposes = ["assigning"]
read = ["reference", "assignment"]
write = ["WRITTEN"]
"#;

    #[test]
    fn a_role_that_may_say_whose_rows_are_its_own_for_another_purpose_is_told() {
        let told = |role: &str, written: &str| -> Vec<String> {
            let text = POLICY.replace("ROLE", role).replace("WRITTEN", written);
            let set = PolicySet::from_sources(&[("p.toml".into(), text)]).unwrap();
            let mut faults = Vec::new();
            set.made_their_own(&mut faults);
            faults.iter().map(ToString::to_string).collect()
        };
        for written in ["assignment", "public.assignments.agent"] {
            let found = told("crm", written);
            assert!(
                found.len() == 1 && found.iter().all(|fault| fault.contains("make any row their own")),
                "{found:?}"
            );
        }
        assert_eq!(told("lead", "assignment"), [""; 0], "somebody else assigns");
        assert_eq!(told("crm", "operational"), [""; 0], "it says of nobody whose it is");
    }
}
