//! Children and partitions that are listed more strictly than what they are part of.

use std::collections::BTreeSet;

use crate::catalog::{Catalog, Relation, RelationName};
use crate::document::Fault;
use crate::policy::decide::Seen;
use crate::policy::model::{PolicySet, Table};

impl PolicySet {
    /// A warning for each listed table that is part of another listed one and shows less of it to some role for some purpose: the whole is
    /// refused there rather than shown by the milder listing. Sorted by text.
    pub fn stricter_parts(&self, catalog: &Catalog) -> Vec<Fault> {
        let mut found = Vec::new();
        for (name, whole) in &self.tables {
            let Some(relation) = catalog.relation(name) else { continue };
            let below = catalog.descendants(relation.oid);
            for part in below.iter().filter_map(|oid| catalog.relation_by_oid(*oid)) {
                let Some(own) = self.tables.get(&part.name).filter(|own| !own.open) else { continue };
                let less = self.less(relation, whole, part, own);
                if !less.is_empty() {
                    let message = format!(
                        "`{}` is listed more strictly than `{name}`, whose part it is ({}): reading `{name}` is refused where its part \
                         shows less; read `ONLY {name}`, or give both the same listing",
                        part.name,
                        less.into_iter().collect::<Vec<_>>().join(", ")
                    );
                    found.push(Fault::warning(&own.place, message));
                }
            }
        }
        found.sort_by(|a, b| a.message.cmp(&b.message));
        found
    }

    /// What is stricter about a part, in words.
    fn less(&self, relation: &Relation, whole: &Table, part: &Relation, own: &Table) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        if whole.open {
            found.insert("that is open".to_owned());
            return found;
        }
        if whole.subject != own.subject {
            found.insert("whose rows they are".to_owned());
        }
        for column in &relation.columns {
            let (of_whole, of_part) = ((&relation.name, column.name.as_str()), (&part.name, column.name.as_str()));
            if self.shows_more(of_whole, of_part) {
                found.insert(format!("column `{}`", column.name));
            }
        }
        found
    }

    /// Whether some role sees one column, for some purpose, more openly than another.
    pub fn shows_more(&self, one: (&RelationName, &str), than: (&RelationName, &str)) -> bool {
        let rank = |login: &str, purpose: &str, (relation, column): (&RelationName, &str)| match self.seen(
            login,
            purpose,
            [relation],
            column,
        ) {
            Seen::Plain => 2,
            Seen::Masked => 1,
            Seen::Hidden => 0,
        };
        self.roles.values().any(|role| {
            let logins = role.logins.first();
            let mut pairs =
                logins.into_iter().flat_map(|login| role.purposes.iter().map(move |purpose| (login, purpose)));
            pairs.any(|(login, purpose)| rank(login, purpose, one) > rank(login, purpose, than))
        })
    }
}
