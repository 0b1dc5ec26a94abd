//! What maps whole tables to objects names every column of a table: where a policy closes one of them, each page over that table fails.

use super::live::{Finding, note};
use crate::catalog::{Catalog, RelationName};
use crate::policy::PolicySet;

/// The tables in which libraries that map tables to objects keep their own accounts.
const MAPPERS: [(&str, &str); 12] = [
    ("django_migrations", "Django"),
    ("alembic_version", "SQLAlchemy"),
    ("ar_internal_metadata", "Rails"),
    ("schema_migrations", "Rails or Ecto"),
    ("flyway_schema_history", "Flyway"),
    ("databasechangelog", "Liquibase"),
    ("_prisma_migrations", "Prisma"),
    ("SequelizeMeta", "Sequelize"),
    ("knex_migrations", "Knex"),
    ("__EFMigrationsHistory", "Entity Framework"),
    ("doctrine_migration_versions", "Doctrine"),
    ("migrations", "TypeORM or Laravel"),
];

/// Tables that are told of one role and purpose.
const TOLD: usize = 10;

/// The columns that such a library would name and is refused, where there are traces of one.
pub(super) fn tables(policies: &PolicySet, catalog: &Catalog) -> Vec<Finding> {
    let trace = catalog.relations().find_map(|relation| {
        let RelationName { schema, name } = &relation.name;
        let system = schema == "pg_catalog" || schema == "information_schema";
        MAPPERS
            .iter()
            .find(|(table, _)| table == name && !system)
            .map(|(_, library)| (relation.name.to_string(), *library))
    });
    let Some((table, library)) = trace else { return Vec::new() };
    let mut findings = Vec::new();
    for ((role, purpose), partly) in policies.partly_open(catalog) {
        let told: Vec<String> = partly
            .iter()
            .take(TOLD)
            .map(|partly| format!("`{}` ({})", partly.table, partly.closed.join(", ")))
            .collect();
        let more = match partly.len().saturating_sub(TOLD) {
            0 => String::new(),
            more => format!(" and {more} more tables"),
        };
        findings.push(note(format!(
            "{library} (`{table}` is there) names every column of a table, and role `{role}` for purpose `{purpose}` sees only some of {}{more}: \
             such statements are refused; mask those columns as `null`, or as `fixed(text)` where the application cannot do without a value",
            told.join(", ")
        )));
    }
    findings
}
