//! Consents and objections, as SQL over the tables that the policies name. In each text `$1` is the person's key and, where they are
//! spoken of, `$2` the purpose and `$3` where the proof is; all are texts.

use super::deletion::Trouble;
use super::shape::{Shape, Table};
use crate::catalog::{RelationName, quote_ident};
use crate::policy::{ExclusionList, ListedConsent, ListedExclusion, PolicySet};

/// The table of consents, and what is done with it.
#[derive(Debug, Clone)]
pub struct Consents<'a> {
    kept: ListedConsent<'a>,
    table: &'a Table,
}

impl<'a> Consents<'a> {
    /// Of these policies, in this database.
    ///
    /// # Errors
    /// The policies name none, or it is not there.
    pub fn of(policies: &'a PolicySet, shape: &'a Shape) -> Result<Self, Trouble> {
        let Some(kept) = policies.listed_consent() else {
            return Err(Trouble::Refused("the policies say nowhere that consents are kept: `[consent]`".to_owned()));
        };
        let table = there(shape, kept.table)?;
        Ok(Self { kept, table })
    }

    fn has(&self, column: &str) -> Result<(), Trouble> {
        self.table.column(column).map(drop).ok_or_else(|| {
            Trouble::Refused(format!(
                "`{}` has no column `{column}`: this is done for tables of `deploy/privacy.sql`'s shape, yours is the application's to write",
                self.kept.table
            ))
        })
    }

    /// Enters a consent, unless there is a live one.
    ///
    /// # Errors
    /// The table has no place for the proof.
    pub fn give(&self) -> Result<String, Trouble> {
        self.has("evidence")?;
        let (mut columns, mut values) = (String::new(), String::new());
        for (name, value) in [("granted", "true"), ("granted_at", "pg_catalog.now()")] {
            if self.table.column(name).is_some() {
                columns.push_str(&format!(", {name}"));
                values.push_str(&format!(", {value}"));
            }
        }
        let [subject, purpose] = [self.kept.subject, self.kept.purpose].map(quote_ident);
        Ok(format!(
            "INSERT INTO {} ({subject}, {purpose}, evidence{columns}) VALUES ({}, $2, $3{values}) ON CONFLICT DO NOTHING",
            self.kept.table.to_sql(),
            key(self.table, self.kept.subject)
        ))
    }

    /// Ends the live consents to a purpose, and to what is below it (`marketing.sms` under `marketing`).
    ///
    /// # Errors
    /// The table has no place for the end.
    pub fn withdraw(&self) -> Result<String, Trouble> {
        self.has("withdrawn_at")?;
        let (evidence, held) = noted(self.table, "withdrawn_evidence");
        let [subject, purpose] = [self.kept.subject, self.kept.purpose].map(quote_ident);
        Ok(format!(
            "UPDATE {} SET withdrawn_at = pg_catalog.now(){evidence} WHERE {subject} = {} \
             AND ({purpose} = $2::pg_catalog.text OR pg_catalog.starts_with({purpose}, $2::pg_catalog.text || '.')) AND withdrawn_at IS NULL{held}",
            self.kept.table.to_sql(),
            key(self.table, self.kept.subject)
        ))
    }

    /// The purposes to which there is a live consent.
    pub fn live(&self) -> String {
        live(self.table, self.kept.subject, self.kept.purpose, self.kept.active)
    }
}

/// The table of objections or restrictions, and what is done with it.
#[derive(Debug, Clone)]
pub struct Exclusions<'a> {
    kept: ListedExclusion<'a>,
    table: &'a Table,
}

impl<'a> Exclusions<'a> {
    /// Of these policies, in this database.
    ///
    /// # Errors
    /// The policies name none, or it is not there.
    pub fn of(policies: &'a PolicySet, shape: &'a Shape, list: ExclusionList) -> Result<Self, Trouble> {
        let kept = policies.listed_exclusion(list).ok_or_else(|| {
            Trouble::Refused(format!("the policies say nowhere that {0} are kept: `[{0}]`", list.name()))
        })?;
        let table = there(shape, kept.table)?;
        Ok(Self { kept, table })
    }

    /// Enters one; `$2` is the purpose, or the ground of a restriction.
    pub fn enter(&self) -> String {
        let mut columns = vec![quote_ident(self.kept.subject)];
        let mut values = vec![key(self.table, self.kept.subject)];
        // A table that keeps less is still handed as much.
        let mut unused = Vec::new();
        for (column, place) in [(self.kept.purpose.unwrap_or("ground"), "$2"), ("evidence", "$3")] {
            if self.table.column(column).is_some() {
                columns.push(quote_ident(column));
                values.push(format!("{place}::pg_catalog.text"));
            } else {
                unused.push(format!("{place}::pg_catalog.text IS NOT NULL"));
            }
        }
        let unused = if unused.is_empty() { String::new() } else { format!(" WHERE {}", unused.join(" AND ")) };
        format!(
            "INSERT INTO {} ({}) SELECT {}{unused} ON CONFLICT DO NOTHING",
            self.kept.table.to_sql(),
            columns.join(", "),
            values.join(", ")
        )
    }

    /// Takes an objection back; `$2` is the purpose, `$3` why. `None` where the table has no place for it.
    pub fn lift(&self) -> Option<String> {
        let purpose = self.kept.purpose?;
        self.table.column("lifted_at")?;
        let (why, held) = noted(self.table, "lifted_why");
        Some(format!(
            "UPDATE {} SET lifted_at = pg_catalog.now(){why} WHERE {} = {} AND {} = $2::pg_catalog.text AND lifted_at IS NULL{held}",
            self.kept.table.to_sql(),
            quote_ident(self.kept.subject),
            key(self.table, self.kept.subject),
            quote_ident(purpose),
        ))
    }

    /// The purposes that are objected to; `None` where an objection names none.
    pub fn live(&self) -> Option<String> {
        Some(live(self.table, self.kept.subject, self.kept.purpose?, self.kept.active))
    }
}

fn there<'a>(shape: &'a Shape, name: &RelationName) -> Result<&'a Table, Trouble> {
    let table = shape.position(name).and_then(|at| shape.tables.get(at));
    table.ok_or_else(|| Trouble::Refused(format!("table `{name}` does not exist")))
}

/// The purposes of which a table keeps a wish of the person's that is in force.
fn live(table: &Table, subject: &str, purpose: &str, active: &str) -> String {
    format!(
        "SELECT {}::pg_catalog.text FROM {} WHERE {} = {} AND ({active})",
        quote_ident(purpose),
        table.name.to_sql(),
        quote_ident(subject),
        key(table, subject)
    )
}

/// A column in which a table keeps why, as what is set of it beside others; without one `$3` is tested, so that it has its type.
fn noted(table: &Table, column: &str) -> (String, &'static str) {
    match table.column(column) {
        Some(_) => (format!(", {column} = $3::pg_catalog.text"), ""),
        None => (String::new(), " AND $3::pg_catalog.text IS NOT NULL"),
    }
}

/// The person's key as the column's type.
fn key(table: &Table, column: &str) -> String {
    let type_sql = table.column(column).map_or("pg_catalog.text", |column| column.type_sql.as_str());
    format!("($1::pg_catalog.text)::{type_sql}")
}
