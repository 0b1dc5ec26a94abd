//! The sets of rows, as temporary tables: filled, moved between, counted, and at last carried out.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::Transaction;
use tokio_postgres::types::ToSql;

use super::{Line, Plan, Trouble, bare};
use crate::catalog::{Catalog, RelationName, quote_ident, quote_literal};
use crate::policy::PolicySet;
use crate::requests::map::{Held, PersonMap, list};
use crate::requests::shape::{Reference, Table};
use crate::sql::still_kept;

/// What a row of a table that is looked at is called.
const ROW: &str = "held";

pub(super) struct Sets<'a, 't> {
    transaction: &'a Transaction<'t>,
    map: &'a PersonMap<'a>,
    subject: &'a str,
    apply: bool,
    /// Positions of the tables that have sets.
    owned: Vec<usize>,
    because: BTreeMap<usize, Vec<(String, u64)>>,
    unlinked: BTreeMap<usize, u64>,
}

#[derive(Clone, Copy)]
enum Set {
    Gone,
    Bare,
    Kept,
}

impl Set {
    fn of(self, table: usize) -> String {
        let name = match self {
            Self::Gone => "gone",
            Self::Bare => "bare",
            Self::Kept => "kept",
        };
        format!("pg_temp.pgpurpose_{name}_{table}")
    }
}

/// That a row stands in a set.
fn is_in(set: &str, row: &str) -> String {
    let row = quote_ident(row);
    format!("EXISTS (SELECT 1 FROM {set} AS entry WHERE entry.tab = {row}.tableoid AND entry.place = {row}.ctid)")
}

impl<'a, 't> Sets<'a, 't> {
    pub(super) fn new(transaction: &'a Transaction<'t>, map: &'a PersonMap<'a>, subject: &'a str, apply: bool) -> Self {
        let owned = map.held.iter().filter(|held| held.owned.is_some()).map(|held| held.table).collect();
        Self { transaction, map, subject, apply, owned, because: BTreeMap::new(), unlinked: BTreeMap::new() }
    }

    fn table(&self, at: usize) -> Result<&'a Table, Trouble> {
        self.map.shape.tables.get(at).ok_or_else(|| Trouble::Refused("a table is gone".to_owned()))
    }

    async fn run(&self, sql: &str, with: &[&(dyn ToSql + Sync)]) -> Result<u64, Trouble> {
        Ok(self.transaction.execute(sql, with).await?)
    }

    async fn count(&self, sql: &str) -> Result<u64, Trouble> {
        let row = self.transaction.query_one(sql, &[]).await?;
        Ok(u64::try_from(row.try_get::<_, i64>(0)?).unwrap_or(0))
    }

    /// Rows that a row policy hides from this login would be forgotten.
    pub(super) async fn refuse_row_security(&self) -> Result<(), Trouble> {
        for at in &self.owned {
            let table = self.table(*at)?;
            let sql = format!(
                "SELECT pg_catalog.row_security_active({}::pg_catalog.regclass)::int4::int8",
                quote_literal(&table.name.to_sql())
            );
            if self.count(&sql).await? > 0 {
                return Err(Trouble::Refused(format!(
                    "row policies of `{}` hide rows from this login: use one with BYPASSRLS",
                    table.name
                )));
            }
        }
        Ok(())
    }

    /// Everything that is the person's.
    pub(super) async fn gather(&self) -> Result<(), Trouble> {
        for at in &self.owned {
            for set in [Set::Gone, Set::Bare, Set::Kept] {
                let sql = format!(
                    "CREATE TEMPORARY TABLE {} (tab oid, place tid) ON COMMIT DROP",
                    set.of(*at).replace("pg_temp.", "")
                );
                self.run(&sql, &[]).await?;
            }
            let Some(owned) = self.map.held_at(*at).and_then(|held| self.map.is_owned(held, ROW)) else { continue };
            let lock = if self.apply { format!(" FOR UPDATE OF {ROW}") } else { String::new() };
            let sql = format!(
                "INSERT INTO {} SELECT {ROW}.tableoid, {ROW}.ctid FROM {} AS {ROW} WHERE {owned}{lock}",
                Set::Gone.of(*at),
                self.table(*at)?.name.to_sql()
            );
            self.run(&sql, &[&self.subject]).await?;
            self.run(&format!("ANALYZE {}", Set::Gone.of(*at)), &[]).await?;
        }
        Ok(())
    }

    /// Moves rows of a table from gone to another set where a condition over them is met; more items of FROM may stand in it.
    async fn move_rows(&self, at: usize, to: Set, more: &str, condition: &str) -> Result<u64, Trouble> {
        let sql = format!(
            "WITH moved AS (DELETE FROM {gone} AS entry USING {table} AS {ROW}{more} \
             WHERE {ROW}.tableoid = entry.tab AND {ROW}.ctid = entry.place AND {condition} RETURNING entry.tab, entry.place) \
             INSERT INTO {to} SELECT DISTINCT tab, place FROM moved",
            gone = Set::Gone.of(at),
            to = to.of(at),
            table = self.table(at)?.name.to_sql(),
        );
        self.run(&sql, &[]).await
    }

    /// What the policies keep.
    pub(super) async fn keep(
        &mut self,
        policies: &PolicySet,
        catalog: &Catalog,
        proof: &[&str],
    ) -> Result<(), Trouble> {
        for at in self.owned.clone() {
            let name = self.table(at)?.name.clone();
            if proof.contains(&name.to_string().as_str()) {
                let why = "the proof that the request was answered (s14(6)(b))".to_owned();
                let moved = self.move_rows(at, Set::Kept, "", "true").await?;
                self.note(at, why, moved);
                continue;
            }
            for keeps in policies.kept_by(&name) {
                let (condition, why) = match keeps.limit {
                    Some(limit) => {
                        let path = policies.listed_subject(&name);
                        let within = still_kept(&name, std::slice::from_ref(limit), path, catalog, ROW)
                            .map_err(|refusal| Trouble::Refused(refusal.message))?;
                        (within, format!("`{}` keeps it for {limit} ({})", keeps.purpose, keeps.section))
                    }
                    None => (
                        "true".to_owned(),
                        format!("`{}` keeps it, and the policy names no end ({})", keeps.purpose, keeps.section),
                    ),
                };
                let moved = self.move_rows(at, Set::Kept, "", &condition).await?;
                self.note(at, why, moved);
            }
        }
        Ok(())
    }

    fn note(&mut self, at: usize, why: String, rows: u64) {
        if rows > 0 {
            self.because.entry(at).or_default().push((why, rows));
        }
    }

    /// Foreign keys to a table that has sets.
    fn references(&self) -> Vec<&'a Reference> {
        self.map.shape.references.iter().filter(|reference| self.owned.contains(&reference.to)).collect()
    }

    /// Columns of a foreign key that can let go: NULL may stand in them, and they are no part of the row's own key.
    fn free(&self, reference: &Reference) -> Vec<String> {
        let Some(table) = self.map.shape.tables.get(reference.from) else { return Vec::new() };
        let free = |name: &&String| {
            !table.key.contains(name) && table.column(name).is_some_and(|column| !column.required && !column.computed)
        };
        reference.columns.iter().filter(free).cloned().collect()
    }

    /// A row that goes while one that stays refers to it, and cannot let go, becomes bare; until there is none.
    pub(super) async fn settle(&mut self) -> Result<(), Trouble> {
        loop {
            let mut moved = 0;
            for reference in self.references() {
                let from = self.table(reference.from)?;
                let has_sets = self.owned.contains(&reference.from);
                let stays = if has_sets {
                    format!("NOT {}", is_in(&Set::Gone.of(reference.from), "other"))
                } else {
                    "true".to_owned()
                };
                let holds = match (self.free(reference).is_empty(), has_sets) {
                    (true, _) => stays,
                    // A kept row stays as it is, reference and all.
                    (false, true) => is_in(&Set::Kept.of(reference.from), "other"),
                    (false, false) => continue,
                };
                let more = format!(", {} AS other", from.name.to_sql());
                let condition = format!(
                    "({}) = ({}) AND {holds}",
                    list("other", &reference.columns),
                    list(ROW, &reference.to_columns)
                );
                let rows = self.move_rows(reference.to, Set::Bare, &more, &condition).await?;
                moved += rows;
                let why = format!("rows of `{}` that stay refer to it (s14(4): made anonymous)", from.name);
                self.note(reference.to, why, rows);
            }
            if moved == 0 {
                return self.count_links().await;
            }
        }
    }

    /// How many rows of others, or bare ones, let go.
    async fn count_links(&mut self) -> Result<(), Trouble> {
        for reference in self.references() {
            if self.free(reference).is_empty() {
                continue;
            }
            let (target, condition) = self.links(reference)?;
            let rows = self.count(&format!("SELECT pg_catalog.count(*) FROM {target} WHERE {condition}")).await?;
            *self.unlinked.entry(reference.from).or_default() += rows;
        }
        Ok(())
    }

    /// `table AS other`, and that such a row stays and refers to one that goes.
    fn links(&self, reference: &Reference) -> Result<(String, String), Trouble> {
        let (from, to) = (self.table(reference.from)?, self.table(reference.to)?);
        let stays = if self.owned.contains(&reference.from) {
            format!(" AND NOT {}", is_in(&Set::Gone.of(reference.from), "other"))
        } else {
            String::new()
        };
        let condition = format!(
            "({}) IN (SELECT {} FROM {} AS {ROW} JOIN {} AS entry \
             ON {ROW}.tableoid = entry.tab AND {ROW}.ctid = entry.place){stays}",
            list("other", &reference.columns),
            list(ROW, &reference.to_columns),
            to.name.to_sql(),
            Set::Gone.of(reference.to),
        );
        Ok((format!("{} AS other", from.name.to_sql()), condition))
    }

    /// Lets go, makes bare, deletes; and holds the database to what was planned.
    pub(super) async fn carry_out(&mut self) -> Result<(), Trouble> {
        let mut lines = BTreeMap::new();
        for at in &self.owned {
            lines.insert(
                *at,
                (self.size(Set::Gone, *at).await?, self.size(Set::Bare, *at).await?, self.size(Set::Kept, *at).await?),
            );
        }
        let expected: u64 = lines.values().map(|(gone, ..)| gone).sum();
        for at in &self.owned {
            let table = self.table(*at)?;
            let (set, _) = bare::assignments(table, *at, &self.map.shape.references);
            if let (false, Some((_, 1.., _))) = (set.is_empty(), lines.get(at)) {
                let sql = format!(
                    "UPDATE {} AS {ROW} SET {} FROM {} AS entry WHERE {ROW}.tableoid = entry.tab AND {ROW}.ctid = entry.place",
                    table.name.to_sql(),
                    set.join(", "),
                    Set::Bare.of(*at)
                );
                self.run(&sql, &[]).await?;
            }
        }
        for reference in self.references() {
            let free = self.free(reference);
            if free.is_empty() {
                continue;
            }
            let set: Vec<String> = free.iter().map(|column| format!("{} = NULL", quote_ident(column))).collect();
            let (target, condition) = self.links(reference)?;
            self.run(&format!("UPDATE {target} SET {} WHERE {condition}", set.join(", ")), &[]).await?;
        }
        let before = self.count(DELETED).await?;
        self.delete_gone().await?;
        self.run("SET CONSTRAINTS ALL IMMEDIATE", &[]).await?;
        let deleted = self.count(DELETED).await?.saturating_sub(before);
        if deleted != expected {
            return Err(Trouble::Refused(format!(
                "{expected} rows were to go, and the database deleted {deleted}: a trigger or cascade does more, or \
                 `track_counts` is off. Nothing was changed"
            )));
        }
        for (at, (_, bare, kept)) in lines {
            let Some(owned) = self.map.held_at(at).and_then(|held| self.map.is_owned(held, ROW)) else { continue };
            let sql =
                format!("SELECT pg_catalog.count(*) FROM {} AS {ROW} WHERE {owned}", self.table(at)?.name.to_sql());
            let row = self.transaction.query_one(&sql, &[&self.subject]).await?;
            let left = u64::try_from(row.try_get::<_, i64>(0)?).unwrap_or(u64::MAX);
            if left > bare.saturating_add(kept) {
                return Err(Trouble::Refused(format!(
                    "rows of `{}` are still the person's: a trigger keeps or adds them. Nothing was changed",
                    self.table(at)?.name
                )));
            }
        }
        Ok(())
    }

    /// In one statement, at whose end foreign keys are looked at.
    async fn delete_gone(&self) -> Result<(), Trouble> {
        let mut parts = Vec::new();
        for at in &self.owned {
            parts.push(format!(
                "deleted_{at} AS (DELETE FROM {} AS {ROW} USING {} AS entry \
                 WHERE {ROW}.tableoid = entry.tab AND {ROW}.ctid = entry.place RETURNING 1)",
                self.table(*at)?.name.to_sql(),
                Set::Gone.of(*at)
            ));
        }
        self.run(&format!("WITH {} SELECT 1", parts.join(", ")), &[]).await.map(|_| ())
    }

    async fn size(&self, set: Set, at: usize) -> Result<u64, Trouble> {
        self.count(&format!("SELECT pg_catalog.count(*) FROM {}", set.of(at))).await
    }

    /// What became of it all.
    pub(super) async fn plan(&self) -> Result<Plan, Trouble> {
        let mut plan = Plan::default();
        for at in self.order() {
            let table = self.table(at)?;
            let listed = self.map.held_at(at).is_some_and(|held: &Held| held.listed);
            let unlinked = self.unlinked.get(&at).copied().unwrap_or(0);
            let (gone, bare, kept) = if self.owned.contains(&at) {
                (self.size(Set::Gone, at).await?, self.size(Set::Bare, at).await?, self.size(Set::Kept, at).await?)
            } else {
                (0, 0, 0)
            };
            if gone + bare + kept + unlinked == 0 {
                continue;
            }
            let stays =
                if bare > 0 { bare::assignments(table, at, &self.map.shape.references).1 } else { BTreeSet::new() };
            if !listed && self.owned.contains(&at) {
                plan.warnings.push(format!("`{}` is in no policy: its rows were found by a foreign key", table.name));
            }
            let because = self.because.get(&at).cloned().unwrap_or_default();
            plan.lines.push(Line { table: table.name.clone(), listed, gone, bare, kept, unlinked, because, stays });
        }
        let went: BTreeSet<&RelationName> =
            plan.lines.iter().filter(|line| line.gone > 0).map(|line| &line.table).collect();
        for reference in self.references().into_iter().filter(|reference| !reference.indexed) {
            let (from, to) = (self.table(reference.from)?, self.table(reference.to)?);
            if went.contains(&to.name) {
                plan.warnings.push(format!(
                    "`{}` has no index that begins with {}: each row of `{}` that goes reads it whole (foreign key `{}`)",
                    from.name,
                    reference.columns.join(", "),
                    to.name,
                    reference.name
                ));
            }
        }
        Ok(plan)
    }

    /// Tables that refer before those that are referred to; what lies in a circle by name.
    fn order(&self) -> Vec<usize> {
        let mut left: Vec<usize> = self.map.held.iter().map(|held| held.table).collect();
        left.extend(self.references().iter().map(|reference| reference.from));
        left.sort_unstable();
        left.dedup();
        let mut order = Vec::new();
        while !left.is_empty() {
            let referred = |at: usize| {
                self.map.shape.references.iter().any(|key| key.to == at && key.from != at && left.contains(&key.from))
            };
            let next = left.iter().position(|at| !referred(*at)).unwrap_or(0);
            order.push(left.remove(next));
        }
        order
    }
}

/// Rows that this transaction has deleted of all tables but temporary ones (PostgreSQL's documentation, "Monitoring database activity").
const DELETED: &str = "SELECT COALESCE(pg_catalog.sum(n_tup_del), 0)::int8 FROM pg_catalog.pg_stat_xact_user_tables \
                       WHERE schemaname !~ '^pg_temp'";
