//! What the policies open, column by column: to be held against what was used of it (POPIA s10: no more than is needed).

use crate::policy::decide::column::{Sight, standing};
use crate::policy::model::{Governance, PolicySet};

/// A column that is open to a role for a purpose, in one way.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    /// The role.
    pub role: String,
    /// The purpose, one of the role's.
    pub purpose: String,
    /// The relation as the log writes it: `public.customers`.
    pub relation: String,
    /// The column.
    pub column: String,
    /// Its category.
    pub category: String,
    /// How it may be used.
    pub way: Way,
    /// The rule that opens it.
    pub rule: String,
}

/// How a column may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// Seen as it is.
    Read,
    /// Seen through a mask.
    Mask,
    /// Tested for one value below its mask.
    Lookup,
    /// Set.
    Write,
}

impl Way {
    /// As a policy writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Mask => "mask",
            Self::Lookup => "lookup",
            Self::Write => "write",
        }
    }
}

impl PolicySet {
    /// Everything that is open of tables with personal information, in order. Roles that are relayed as they are, and tables that
    /// are open to all, are not among it; nor is whose rows may be deleted.
    pub fn grants(&self) -> Vec<Grant> {
        let mut grants = Vec::new();
        for role in self.roles.values().filter(|role| role.unrestricted.is_none()) {
            for purpose in &role.purposes {
                let lineage = self.lineage(purpose);
                for (relation, table) in &self.tables {
                    if self.governance(relation) != Governance::Governed {
                        continue;
                    }
                    for (column, category) in &table.columns {
                        let open = standing(self, &role.name, &lineage, relation, table, column, None);
                        let mut grant = |way: Way, rule: String| {
                            grants.push(Grant {
                                role: role.name.clone(),
                                purpose: purpose.clone(),
                                relation: relation.to_string(),
                                column: column.clone(),
                                category: category.clone(),
                                way,
                                rule,
                            });
                        };
                        match open.sight {
                            Sight::Hidden(_) => {}
                            Sight::Plain { rule } => grant(Way::Read, rule),
                            Sight::Masked { rule, lookup, .. } => {
                                if lookup {
                                    grant(Way::Lookup, rule.clone());
                                }
                                grant(Way::Mask, rule);
                            }
                        }
                        if let Some(rule) = open.write {
                            grant(Way::Write, rule);
                        }
                    }
                }
            }
        }
        grants.sort();
        grants
    }

    /// Each listed column of tables with personal information: relation as the log writes it, column, category.
    pub fn categories(&self) -> impl Iterator<Item = (String, &str, &str)> {
        self.tables.iter().filter(|(_, table)| !table.open).flat_map(|(relation, table)| {
            let columns = table.columns.iter();
            columns.map(move |(column, category)| (relation.to_string(), column.as_str(), category.as_str()))
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const POLICY: &str = r#"
version = 1
[tables."public.people"]
subject = "id"
columns = { id = "reference", name = "identity", number = "national_id", note = "health" }
[tables."public.things"]
open = true
[categories.health]
special = true
[purposes.support]
basis = "contract"
[purposes.billing]
basis = "contract"
[roles.agent]
logins = ["agent"]
purposes = ["support", "billing"]
[roles.owner]
logins = ["owner"]
unrestricted = "the test"
[[rules]]
name = "agents"
roles = ["agent"]
purposes = ["support"]
read = ["reference"]
mask = { national_id = "last(4)", identity = "first(1)" }
lookup = ["national_id"]
write = ["public.people.name"]
keep_masked = true
[[rules]]
name = "no names for bills"
roles = ["agent"]
purposes = ["billing"]
read = ["reference", "identity"]
deny = ["identity"]
"#;

    #[test]
    fn what_is_open_is_listed_in_each_way_and_what_a_stricter_rule_closes_is_not() {
        let set = PolicySet::from_sources(&[("p.toml".into(), POLICY.into())]).unwrap();
        let told: Vec<String> = set
            .grants()
            .into_iter()
            .map(|g| {
                format!(
                    "{} {} {}.{} {} {}: {}",
                    g.role,
                    g.purpose,
                    g.relation,
                    g.column,
                    g.category,
                    g.way.name(),
                    g.rule
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                "agent billing public.people.id reference read: no names for bills",
                "agent support public.people.id reference read: agents",
                "agent support public.people.name identity mask: agents",
                "agent support public.people.name identity write: agents",
                "agent support public.people.number national_id mask: agents",
                "agent support public.people.number national_id lookup: agents",
            ]
        );
        let categories: Vec<_> = set.categories().map(|(_, column, category)| format!("{column}={category}")).collect();
        assert_eq!(categories, ["id=reference", "name=identity", "note=health", "number=national_id"]);
    }
}
