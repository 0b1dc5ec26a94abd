//! Compares the policies with the database's catalog: `check --live`, the start of `serve`, and after a reload.

use crate::catalog::{Catalog, Relation, RelationKind, RelationName, TypeClass};
use crate::document::alike;
use crate::document::{Fault, Place};
use crate::policy::model::{Governance, Lineage, PolicySet, SubjectPath, column_name};

impl PolicySet {
    /// What the policies say that the catalog contradicts, or that it leaves unsaid.
    ///
    /// Errors: a table, column or consent table that does not exist, a mask that does not fit its column's type.
    /// Warnings: a column without a category (it is denied), a table that no policy names, a view or table that is
    /// refused because it reaches governed rows. Sorted by place.
    pub fn check_against(&self, catalog: &Catalog) -> Vec<Fault> {
        let mut faults = Vec::new();
        for (name, table) in &self.tables {
            match catalog.relation(name) {
                None => faults.push(Fault::error(&table.place, missing(catalog, name))),
                Some(relation) if !table.open => {
                    for column in table.columns.keys() {
                        if relation.column(column).is_none() {
                            faults.push(Fault::error(table.place_of(column), no_column(relation, column)));
                        }
                    }
                    for column in &relation.columns {
                        if !table.columns.contains_key(&column.name) {
                            let message = format!(
                                "column `{}` has no category, and so is denied",
                                column_name(name, &column.name)
                            );
                            faults.push(Fault::warning(&table.place, message));
                        }
                    }
                    if let Some(path) = &table.subject {
                        subject(catalog, relation, path, table.place_of_key("subject"), &mut faults);
                    }
                }
                Some(_) => {}
            }
        }
        self.masks_fit(catalog, &mut faults);
        self.consents_exist(catalog, &mut faults);
        faults.extend(self.check_filters(catalog));
        self.functions_exist(catalog, &mut faults);
        self.relations_without_a_listing(catalog, &mut faults);
        faults.sort_by(|a, b| (&a.file, a.line, &a.message).cmp(&(&b.file, b.line, &b.message)));
        faults.dedup();
        faults
    }

    /// The masks that do not fit their columns' types, and, where tables that no policy names are open, the listings of tables
    /// that are not there, for the table that was meant would be open: the policies are not loaded with them.
    pub fn misfits(&self, catalog: &Catalog) -> Vec<Fault> {
        let mut faults = Vec::new();
        if self.unlisted_allowed {
            // What a pattern lists under a former name is governed by it.
            let named = self.tables.iter().filter(|(_, table)| !table.by_pattern);
            let gone = named.filter(|(name, _)| catalog.relation(name).is_none());
            faults.extend(gone.map(|(name, table)| {
                let message = format!("{}, and `unlisted_tables` opens what no policy names", missing(catalog, name));
                Fault::error(&table.place, message)
            }));
        }
        self.masks_fit(catalog, &mut faults);
        faults.sort_by(|a, b| (&a.file, a.line, &a.message).cmp(&(&b.file, b.line, &b.message)));
        faults.dedup();
        faults
    }

    fn masks_fit(&self, catalog: &Catalog, faults: &mut Vec<Fault>) {
        for (name, table) in &self.tables {
            let Some(relation) = catalog.relation(name) else { continue };
            for (column, category) in &table.columns {
                let Some(found) = relation.column(column) else { continue };
                for rule in self.rules_naming(name, column, category) {
                    let here = rule.mask.iter().filter(|(target, _)| target.is(name, column, category));
                    // A mask of the column's own, in the same rule, stands instead of its category's.
                    let own = here.clone().any(|(target, _)| target.is_column());
                    for (target, mask) in here.filter(|(target, _)| target.is_column() == own) {
                        if !mask.fits(found.class) {
                            let message = format!(
                                "mask `{mask}` of rule `{}` does not fit column `{}` of type {}",
                                rule.name,
                                column_name(name, column),
                                found.type_sql
                            );
                            let place = rule.places.get(target).unwrap_or(&rule.place);
                            faults.push(Fault::error(place, message));
                        }
                    }
                }
            }
        }
    }

    fn consents_exist(&self, catalog: &Catalog, faults: &mut Vec<Fault>) {
        let Some(consent) = &self.consent else { return };
        let Some(relation) = catalog.relation(&consent.table) else {
            faults.push(Fault::error(&consent.place, missing(catalog, &consent.table)));
            return;
        };
        let stated =
            [Some(&consent.subject), Some(&consent.purpose), consent.evidence.as_ref(), consent.given_at.as_ref()];
        for column in stated.into_iter().flatten() {
            if relation.column(column).is_none() {
                faults.push(Fault::error(&consent.place, no_column(relation, column)));
            }
        }
        let given_at = consent.given_at.as_ref().and_then(|column| relation.column(column));
        let moment = |class| matches!(class, TypeClass::Date | TypeClass::Timestamp | TypeClass::TimestampTz);
        if let Some(column) = given_at.filter(|column| !moment(column.class)) {
            let written = column_name(&relation.name, &column.name);
            let message = format!("`given_at`: column `{written}` is of type {}, and no date or time", column.type_sql);
            faults.push(Fault::error(&consent.place, message));
        }
    }

    fn functions_exist(&self, catalog: &Catalog, faults: &mut Vec<Fault>) {
        for (schema, name) in &self.functions {
            if !catalog.functions(name).iter().any(|function| function.schema == *schema) {
                let place = Place::default();
                faults.push(Fault::error(
                    &place,
                    format!("`[functions] allow`: the database has no function `{schema}.{name}`"),
                ));
            }
        }
    }

    /// What stands in the database and not in the policy.
    fn relations_without_a_listing(&self, catalog: &Catalog, faults: &mut Vec<Fault>) {
        for relation in catalog.relations() {
            let name = &relation.name;
            let system = ["pg_catalog", "information_schema", "pg_toast"].contains(&name.schema.as_str())
                || name.schema.starts_with("pg_temp");
            let kind = match relation.kind {
                RelationKind::Table | RelationKind::PartitionedTable => "table",
                RelationKind::View | RelationKind::MaterializedView => "view",
                RelationKind::ForeignTable => "foreign table",
                RelationKind::Sequence | RelationKind::Toast | RelationKind::Other => continue,
            };
            let governance = self.governance(name);
            if system || governance == Governance::Governed {
                continue;
            }
            let lineage = Lineage::of(catalog, relation.oid);
            let governed = |other: &&RelationName| self.governance(other) == Governance::Governed;
            let listed = self.tables.get(name).map(|table| table.place.clone());
            let message = if let Some(parent) = lineage.ancestors.iter().find(governed) {
                match governance {
                    Governance::Open => {
                        format!("`{name}` is `open` and part of `{parent}`, which is governed: its rows are open")
                    }
                    Governance::Governed | Governance::UnlistedDeny | Governance::UnlistedAllow => continue,
                }
            } else if let Some(reached) = lineage.reaches.iter().find(governed) {
                format!(
                    "{kind} `{name}` reaches `{reached}`, which is governed: it is refused until it is listed with columns"
                )
            } else if lineage.opaque {
                format!(
                    "{kind} `{name}` calls a function, and what that reads is not known: it is refused until it is listed with columns"
                )
            } else if governance == Governance::UnlistedDeny
                && !lineage.ancestors.iter().any(|parent| self.governance(parent) == Governance::Open)
            {
                format!("no policy names {kind} `{name}`: it is refused")
            } else {
                continue;
            };
            faults.push(Fault::warning(&listed.unwrap_or_default(), message));
        }
    }
}

fn missing(catalog: &Catalog, name: &RelationName) -> String {
    let near = catalog
        .relations()
        .map(|relation| relation.name.to_string())
        .filter(|other| alike(other, &name.to_string()))
        .min();
    match near {
        Some(near) => format!("the database has no table `{name}`: did you mean `{near}`?"),
        None => format!("the database has no table `{name}`"),
    }
}

fn no_column(relation: &Relation, column: &str) -> String {
    let written = column_name(&relation.name, column);
    match relation.columns.iter().map(|column| &column.name).find(|other| alike(other, column)) {
        Some(near) => format!("the database has no column `{written}`: did you mean `{near}`?"),
        None => format!("the database has no column `{written}`"),
    }
}

/// Every column on the way from a row to its data subject exists.
fn subject(catalog: &Catalog, relation: &Relation, path: &SubjectPath, place: &Place, faults: &mut Vec<Fault>) {
    match path {
        SubjectPath::Column(column) => {
            if relation.column(column).is_none() {
                faults.push(Fault::error(place, format!("`subject`: {}", no_column(relation, column))));
            }
        }
        SubjectPath::Through { column, relation: next, references, .. } => {
            if relation.column(column).is_none() {
                faults.push(Fault::error(place, format!("`subject`: {}", no_column(relation, column))));
            }
            // How that relation leads on is its own listing's business; a table that is missing is told there.
            if let Some(next) = catalog.relation(next)
                && next.column(references).is_none()
            {
                faults.push(Fault::error(place, format!("`subject`: {}", no_column(next, references))));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use super::*;
    use crate::catalog::{CatalogBuilder, Column, Relation};

    const POLICY: &str = r#"
version = 1
[tables."public.customers"]
subject = "id"
[tables."public.customers".columns]
id = "reference"
email = "contact"
born = "birth"
gone = "contact"
[tables."public.items"]
subject = { column = "order_no", references = "public.customers.ident" }
columns = { order_id = "reference" }
[tables."public.custmers"]
open = true
[tables."public.partly"]
open = true
[consent]
table = "privacy.consents"
subject = "subject_id"
purpose = "reason"
active = "granted"
[functions]
allow = ["public.f"]
[purposes.support]
basis = "contract"
[roles.agent]
logins = ["agent"]
purposes = ["support"]
[[rules]]
name = "support"
roles = ["agent"]
purposes = ["support"]
mask = { contact = "email", birth = "first(1)", "public.customers.id" = "year", reference = "band(10)" }
"#;

    fn catalog() -> Catalog {
        let mut builder = CatalogBuilder::new();
        let customers = builder.table(
            RelationName::new("public", "customers"),
            &[("id", "bigint"), ("email", "text"), ("born", "date"), ("extra", "text")],
            &["id"],
        );
        builder.table(RelationName::new("public", "items"), &[("order_id", "bigint")], &[]);
        builder.table(RelationName::new("public", "unlisted"), &[("id", "bigint")], &[]);
        builder.table(
            RelationName::new("privacy", "consents"),
            &[("subject_id", "bigint"), ("purpose", "text"), ("granted", "boolean")],
            &[],
        );
        let relation = |oid, name: &str, kind| Relation {
            oid,
            name: RelationName::new("public", name),
            kind,
            columns: Vec::<Column>::new(),
            primary_key: Vec::new(),
            deferrable_key: false,
            parents: Vec::new(),
            children: Vec::new(),
            reaches: Vec::new(),
            opaque: false,
            automatic: crate::catalog::automatic::Automatic::default(),
        };
        builder.add_relation(Relation {
            parents: vec![customers],
            ..relation(900, "customers_2024", RelationKind::Table)
        });
        builder.add_relation(Relation { reaches: vec![900], ..relation(901, "over_partition", RelationKind::View) });
        builder.add_relation(Relation { opaque: true, ..relation(902, "calls", RelationKind::View) });
        builder.add_relation(Relation { reaches: vec![902], ..relation(903, "over_calls", RelationKind::View) });
        builder.add_relation(Relation { parents: vec![customers], ..relation(904, "partly", RelationKind::Table) });
        builder.build()
    }

    #[test]
    fn what_the_catalog_contradicts_is_told() {
        let set = PolicySet::from_sources(&[("p.toml".into(), POLICY.into())]).unwrap();
        let told: Vec<String> = set.check_against(&catalog()).iter().map(ToString::to_string).collect();
        let expected = [
            "`[functions] allow`: the database has no function `public.f`",
            "warning: no policy names table `privacy.consents`: it is refused",
            "warning: no policy names table `public.unlisted`: it is refused",
            "warning: view `public.calls` calls a function, and what that reads is not known: it is refused until it is listed with columns",
            "warning: view `public.over_calls` calls a function, and what that reads is not known: it is refused until it is listed with columns",
            "warning: view `public.over_partition` reaches `public.customers`, which is governed: it is refused until it is listed with columns",
            "p.toml:3: warning: column `public.customers.extra` has no category, and so is denied",
            "p.toml:9: the database has no column `public.customers.gone`",
            "p.toml:11: `subject`: the database has no column `public.customers.ident`",
            "p.toml:11: `subject`: the database has no column `public.items.order_no`: did you mean `order_id`?",
            "p.toml:13: the database has no table `public.custmers`: did you mean `public.customers`?",
            "p.toml:15: warning: `public.partly` is `open` and part of `public.customers`, which is governed: its rows are open",
            "p.toml:17: the database has no column `privacy.consents.reason`",
            "p.toml:33: mask `first(1)` of rule `support` does not fit column `public.customers.born` of type date",
            "p.toml:33: mask `year` of rule `support` does not fit column `public.customers.id` of type bigint",
        ];
        let mut told_sorted = told.clone();
        told_sorted.sort();
        let mut expected: Vec<String> = expected.iter().map(ToString::to_string).collect();
        expected.sort();
        assert_eq!(told_sorted, expected);
    }

    #[test]
    fn a_view_over_one_partition_reaches_the_whole() {
        let catalog = catalog();
        let view: &Arc<Relation> = catalog.relation(&RelationName::new("public", "over_partition")).unwrap();
        let lineage = Lineage::of(&catalog, view.oid);
        assert!(lineage.reaches.contains(&RelationName::new("public", "customers")));
        assert!(!lineage.opaque);
        let view = catalog.relation(&RelationName::new("public", "over_calls")).unwrap();
        assert!(Lineage::of(&catalog, view.oid).opaque);
        assert!(Lineage::of(&catalog, 12345).opaque, "what the snapshot lacks is not known");
    }
}
