//! Random queries: always well formed, never failing at run time, and with one answer only.

mod expr;
mod from;
mod groups;
mod shapes;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use super::shop::{TABLES, Table};
use from::{level_of, out, source, unname_doubles};

/// What an expression gives, as far as the generator has to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ty {
    Int,
    Num,
    Text,
    Bool,
    Date,
    Time,
    Tags,
    Json,
    Uuid,
    Mood,
    Row,
}

/// The types that a random expression is made of.
const PLAIN: &[Ty] = &[Ty::Int, Ty::Num, Ty::Text, Ty::Bool, Ty::Date, Ty::Time];

/// A parameter's value.
#[derive(Debug, Clone)]
pub enum Value {
    Int(i32),
    Text(String),
}

/// A statement and the values of its parameters.
#[derive(Debug)]
pub struct Statement {
    pub sql: String,
    pub values: Vec<Value>,
    /// Whether the order of the rows is total.
    pub ordered: bool,
}

/// A column of a FROM item; `name` is written as an identifier, `None` where it cannot be referred to.
#[derive(Debug, Clone)]
pub(crate) struct Out {
    pub name: Option<String>,
    pub ty: Ty,
}

/// A FROM item.
#[derive(Debug, Clone)]
struct Source {
    alias: String,
    columns: Vec<Out>,
    key: Option<Vec<String>>,
    table: Option<&'static Table>,
    /// Whether the whole row may be referred to.
    whole: bool,
}

/// What one SELECT can refer to.
#[derive(Debug, Clone, Default)]
struct Level {
    /// As written here, as written from below, and the type.
    columns: Vec<(String, String, Ty)>,
    rows: Vec<String>,
    key: Option<Vec<String>>,
}

pub struct Generator {
    pub rng: StdRng,
    purpose: char,
    parameters: bool,
    values: Vec<Value>,
    names: usize,
    levels: Vec<Level>,
    with: Vec<(String, Vec<Out>)>,
    /// No subquery and nothing of an outer level: within an aggregate.
    local: bool,
}

type Core = (String, Vec<Out>);

impl Generator {
    pub fn new(seed: u64, purpose: char, parameters: bool) -> Self {
        Self {
            rng: StdRng::seed_from_u64(seed),
            purpose,
            parameters,
            values: Vec::new(),
            names: 0,
            levels: Vec::new(),
            with: Vec::new(),
            local: false,
        }
    }

    /// A query as a client sends it.
    pub fn statement(mut self) -> Statement {
        let (mut sql, columns) = if self.chance(0.03) { self.bare_statement() } else { self.query(3, None) };
        let mut ordered = false;
        let sorted = sql.starts_with("(SELECT DISTINCT ON");
        if self.chance(0.5) && !sorted && columns.iter().all(|column| sortable(column.ty)) && !columns.is_empty() {
            let keys = self.positions(columns.len());
            sql = format!("{sql} ORDER BY {keys}");
            ordered = true;
            if self.chance(0.5) {
                sql += &self.limit();
            }
        } else if self.chance(0.06) {
            return self.locking();
        }
        if self.chance(0.04) {
            sql = format!("/* {sql_comment} */ {sql} -- end", sql_comment = "a ' comment /* nested */");
        }
        Statement { sql, values: self.values, ordered }
    }

    /// A query whose columns a table can have, and their types.
    pub fn filling(&mut self) -> Option<(String, Vec<Ty>)> {
        let (sql, columns) = self.query(2, None);
        let types: Vec<Ty> = columns.iter().map(|column| column.ty).collect();
        (!types.is_empty() && !types.contains(&Ty::Row) && self.values.is_empty()).then_some((sql, types))
    }

    pub fn chance(&mut self, probability: f64) -> bool {
        self.rng.random_bool(probability)
    }

    /// Makes expressions over one table from here on.
    pub fn enter(&mut self, alias: &str, columns: &[(&str, Ty)]) {
        let columns =
            columns.iter().map(|(name, ty)| (format!("{alias}.{name}"), format!("{alias}.{name}"), *ty)).collect();
        self.levels.push(Level { columns, ..Level::default() });
    }

    /// The same over nothing else.
    pub fn alone(&mut self, alias: &str, columns: &[(&str, Ty)]) {
        self.levels.clear();
        self.enter(alias, columns);
    }

    /// One of these.
    pub fn one_of<'a>(&mut self, from: &[&'a str]) -> &'a str {
        self.pick(from)
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from.choose(&mut self.rng).copied().unwrap_or_default()
    }

    fn number(&mut self, below: usize) -> usize {
        self.rng.random_range(0..below.max(1))
    }

    fn name(&mut self, prefix: &str) -> String {
        self.names += 1;
        match self.number(8) {
            0 => format!("\"{prefix} {}\"", self.names),
            1 => format!("\"{}{}\"", prefix.to_uppercase(), self.names),
            2 => format!("{}{}", prefix.to_uppercase(), self.names),
            3 => format!("\"{prefix}\"\"{}\"", self.names),
            _ => format!("{prefix}{}", self.names),
        }
    }

    fn positions(&mut self, count: usize) -> String {
        let keys: Vec<String> = (1..=count)
            .map(|position| {
                format!("{position}{}", self.pick(&["", " DESC", " NULLS FIRST", " DESC NULLS LAST", " ASC"]))
            })
            .collect();
        keys.join(", ")
    }

    fn limit(&mut self) -> String {
        let count = 1 + self.number(12);
        match self.number(5) {
            4 => format!(" FETCH FIRST {count} ROWS WITH TIES"),
            0 => format!(" FETCH FIRST {count} ROWS ONLY"),
            1 => format!(" LIMIT {count} OFFSET {}", self.number(5)),
            2 => format!(" OFFSET {} LIMIT {count}", self.number(5)),
            _ => format!(" LIMIT {count}"),
        }
    }

    /// WITH, set operations, SELECT; without ORDER BY.
    fn query(&mut self, depth: usize, want: Option<&[Ty]>) -> Core {
        let outer = self.with.len();
        let mut with = Vec::new();
        if depth > 1 && self.chance(0.15) {
            for _ in 0..=self.number(2) {
                with.push(self.cte(depth - 1));
            }
        }
        let recursive = if with.is_empty() || !self.chance(0.3) { "" } else { "RECURSIVE " };
        let mut with: Vec<String> = with;
        let mut prefix = recursive;
        if depth > 1 && self.chance(0.05) {
            with.push(self.recursive());
            prefix = "RECURSIVE ";
        }
        let (mut sql, columns) =
            if self.chance(0.12) { self.set_operation(depth, want) } else { self.select(depth, want) };
        if !with.is_empty() {
            sql = format!("WITH {prefix}{} {sql}", with.join(", "));
        }
        self.with.truncate(outer);
        (sql, columns)
    }

    fn cte(&mut self, depth: usize) -> String {
        // What stands in WITH sees the levels around, but keeping to itself is what people write.
        let levels = std::mem::take(&mut self.levels);
        let (sql, mut columns) = self.query(depth.min(2), None);
        self.levels = levels;
        let name = self.name("cte");
        let list = if self.chance(0.3) || columns.iter().any(|column| column.name.is_none()) {
            for column in &mut columns {
                column.name = Some(self.name("k"));
            }
            let names: Vec<String> = columns.iter().filter_map(|column| column.name.clone()).collect();
            format!(" ({})", names.join(", "))
        } else {
            String::new()
        };
        let hint = self.pick(&["", "", "MATERIALIZED ", "NOT MATERIALIZED "]);
        self.with.push((name.clone(), columns));
        format!("{name}{list} AS {hint}({sql})")
    }

    fn recursive(&mut self) -> String {
        let name = self.name("tree");
        let out = |name: &str, ty| Out { name: Some(name.to_owned()), ty };
        let (sql, columns) = match self.number(3) {
            0 => (
                format!("{name} (a, b) AS (SELECT 1, 'x' UNION ALL SELECT a + 1, b || 'y' FROM {name} WHERE a < 5)"),
                vec![out("a", Ty::Int), out("b", Ty::Text)],
            ),
            1 => (
                format!(
                    "{name} AS (SELECT id, full_name, 0 AS depth FROM customers WHERE referrer_id IS NULL UNION ALL \
                     SELECT c.id, c.full_name, depth + 1 FROM customers AS c JOIN {name} AS up ON c.referrer_id = up.id WHERE up.depth < 6)"
                ),
                vec![out("id", Ty::Int), out("full_name", Ty::Text), out("depth", Ty::Int)],
            ),
            _ => (
                format!(
                    "{name} (node, mail) AS (SELECT id, email FROM customers WHERE id < 6 UNION \
                     SELECT c.id, c.email FROM customers c, {name} WHERE c.referrer_id = {name}.node)"
                ),
                vec![out("node", Ty::Int), out("mail", Ty::Text)],
            ),
        };
        self.with.push((name, columns));
        sql
    }

    fn set_operation(&mut self, depth: usize, want: Option<&[Ty]>) -> Core {
        let types: Vec<Ty> = match want {
            Some(types) => types.to_vec(),
            None => (0..=self.number(3)).map(|_| self.plain()).collect(),
        };
        let (mut sql, first) = self.select(depth.min(2), Some(&types));
        let columns = first;
        for _ in 0..=self.number(2) {
            let (arm, _) = self.select(depth.min(2), Some(&types));
            let operator = self.pick(&[
                "UNION",
                "UNION ALL",
                "INTERSECT",
                "EXCEPT",
                "EXCEPT ALL",
                "UNION DISTINCT",
                "INTERSECT ALL",
            ]);
            let arm = if self.chance(0.3) { format!("({arm})") } else { arm };
            sql = format!("{sql} {operator} {arm}");
        }
        (sql, columns)
    }

    fn plain(&mut self) -> Ty {
        PLAIN.choose(&mut self.rng).copied().unwrap_or(Ty::Int)
    }

    fn select(&mut self, depth: usize, want: Option<&[Ty]>) -> Core {
        let (from, sources) = self.from(depth);
        let level = level_of(&sources);
        self.levels.push(level);
        let result = self.select_from(depth, want, &from, &sources);
        self.levels.pop();
        result
    }

    fn select_from(&mut self, depth: usize, want: Option<&[Ty]>, from: &str, sources: &[Source]) -> Core {
        let filter =
            if self.chance(0.6) { format!(" WHERE {}", self.expr(Ty::Bool, depth.min(3))) } else { String::new() };
        match self.number(10) {
            0..=1 => return self.grouped(depth, want, from, &filter),
            2 if self.chance(0.7) => return self.by_key(depth, want, from, &filter, sources),
            3 => {
                let (items, columns) = self.items(depth, want, true);
                return (format!("SELECT {items}{from}{filter}"), columns);
            }
            _ => {}
        }
        if want.is_none() && self.chance(0.2) && !sources.is_empty() {
            return self.starred(from, &filter, sources);
        }
        if self.chance(0.08)
            && let Some(core) = self.distinct_on(want, from, &filter)
        {
            return core;
        }
        let (items, columns) = self.items(depth, want, false);
        let distinct =
            if self.chance(0.12) && columns.iter().all(|column| sortable(column.ty)) { "DISTINCT " } else { "" };
        let window = if items.contains("OVER w1") {
            let spec = self.window_spec();
            format!(" WINDOW w1 AS ({spec})")
        } else {
            String::new()
        };
        (format!("SELECT {distinct}{items}{from}{filter}{window}"), columns)
    }

    /// `*`, `a.*`, columns next to them.
    fn starred(&mut self, from: &str, filter: &str, sources: &[Source]) -> Core {
        let merged = from.contains(" USING (") || from.contains(" NATURAL ");
        if merged || self.chance(0.5) {
            let mut columns: Vec<Out> = sources.iter().flat_map(|source| source.columns.clone()).collect();
            if merged {
                // How many columns USING leaves is PostgreSQL's to say; nothing above counts or names them.
                columns = vec![Out { name: None, ty: Ty::Row }];
            }
            unname_doubles(&mut columns);
            return (format!("SELECT *{from}{filter}"), columns);
        }
        let mut columns = Vec::new();
        let mut items = Vec::new();
        for source in sources {
            if self.chance(0.7) || items.is_empty() {
                items.push(format!("{}.*", source.alias));
                columns.extend(source.columns.clone());
            }
        }
        let extra = self.expr(Ty::Int, 1);
        let name = self.name("extra");
        items.push(format!("{extra} AS {name}"));
        columns.push(Out { name: Some(name), ty: Ty::Int });
        unname_doubles(&mut columns);
        (format!("SELECT {}{from}{filter}", items.join(", ")), columns)
    }

    fn distinct_on(&mut self, want: Option<&[Ty]>, from: &str, filter: &str) -> Option<Core> {
        let level = self.levels.last()?.clone();
        let keys = level.key?;
        let on = level.columns.iter().filter(|column| sortable(column.2)).collect::<Vec<_>>();
        let on = on.choose(&mut self.rng)?.0.clone();
        let values = self.values.len();
        let (items, columns) = self.items(1, want, false);
        if items.contains("OVER w1") {
            self.values.truncate(values);
            return None;
        }
        Some((format!("(SELECT DISTINCT ON ({on}) {items}{from}{filter} ORDER BY {on}, {})", keys.join(", ")), columns))
    }

    /// The select list. `aggregate`: aggregates only.
    fn items(&mut self, depth: usize, want: Option<&[Ty]>, aggregate: bool) -> Core {
        let types: Vec<Ty> = match want {
            Some(types) => types.to_vec(),
            None => (0..=self.number(4)).map(|_| self.plain()).collect(),
        };
        let rich = want.is_none();
        let mut items = Vec::new();
        let mut columns = Vec::new();
        for ty in types {
            let (expr, ty) = if aggregate {
                (self.aggregate(ty), ty)
            } else if rich && self.chance(0.1) {
                self.rich()
            } else if self.chance(0.12) {
                (self.window(ty), ty)
            } else {
                (self.expr(ty, depth.min(3)), ty)
            };
            let name = if self.chance(0.7) { Some(self.name("c")) } else { None };
            match &name {
                Some(name) if self.chance(0.85) || !bare_alias(name) => items.push(format!("{expr} AS {name}")),
                Some(name) => items.push(format!("({expr}) {name}")),
                None => items.push(expr),
            }
            columns.push(Out { name, ty });
        }
        (items.join(", "), columns)
    }

    /// Values of types that no expression is computed from.
    fn rich(&mut self) -> (String, Ty) {
        let level = self.levels.last().cloned().unwrap_or_default();
        if let Some(row) = level.rows.choose(&mut self.rng)
            && self.chance(0.5)
        {
            return match self.number(7) {
                0 => (format!("{row}::text"), Ty::Text),
                1 => (format!("to_jsonb({row})"), Ty::Json),
                2 => (format!("row_to_json({row})::text"), Ty::Text),
                3 => (format!("{row} IS NULL"), Ty::Bool),
                4 => (format!("ROW({row}.*)::text"), Ty::Text),
                5 => (format!("jsonb_build_array({row}, 1)"), Ty::Json),
                _ => (row.clone(), Ty::Row),
            };
        }
        let odd: Vec<_> = level.columns.iter().filter(|column| !PLAIN.contains(&column.2)).collect();
        match odd.choose(&mut self.rng) {
            Some(column) => (column.0.clone(), column.2),
            None => (self.expr(Ty::Text, 1), Ty::Text),
        }
    }

    /// SELECT ... FOR UPDATE over a table that may be changed.
    fn locking(&mut self) -> Statement {
        let tables: Vec<&Table> = TABLES.iter().filter(|table| table.writable).collect();
        let table = tables.choose(&mut self.rng).copied().unwrap_or(&TABLES[1]);
        let key = table.key[0];
        let lock = self.pick(&[
            "FOR UPDATE",
            "FOR NO KEY UPDATE",
            "FOR SHARE",
            "FOR KEY SHARE",
            "FOR UPDATE SKIP LOCKED",
            "FOR UPDATE OF x",
            "FOR UPDATE NOWAIT",
        ]);
        // Rows that rest on consent are not waited for.
        let at_once = self.purpose == 'm' && !lock.contains("LOCKED") && !lock.contains("NOWAIT");
        let lock = if at_once { format!("{lock} SKIP LOCKED") } else { lock.to_string() };
        let sql = format!(
            "SELECT x.* FROM {} AS x WHERE x.{key} < {} ORDER BY x.{key} DESC LIMIT 7 {lock}",
            table.name,
            5 + self.number(60)
        );
        Statement { sql, values: Vec::new(), ordered: true }
    }
}

fn bare_alias(name: &str) -> bool {
    !name.is_empty()
}

fn sortable(ty: Ty) -> bool {
    !matches!(ty, Ty::Row | Ty::Json)
}
