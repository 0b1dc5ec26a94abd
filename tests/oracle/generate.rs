//! Random queries: always well formed, never failing at run time, and with one answer only.

mod shapes;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::shop::{TABLES, Table};

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

    pub fn chance(&mut self, probability: f64) -> bool {
        self.rng.random_bool(probability)
    }

    /// Makes expressions over one table from here on.
    pub fn enter(&mut self, alias: &str, columns: &[(&str, Ty)]) {
        let columns =
            columns.iter().map(|(name, ty)| (format!("{alias}.{name}"), format!("{alias}.{name}"), *ty)).collect();
        self.levels.push(Level { columns, ..Level::default() });
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

    fn grouped(&mut self, depth: usize, want: Option<&[Ty]>, from: &str, filter: &str) -> Core {
        let full = self.levels.last().cloned().unwrap_or_default();
        let usable: Vec<_> = full.columns.iter().filter(|column| sortable(column.2)).cloned().collect();
        let mut keys: Vec<(String, String, Ty)> = Vec::new();
        for _ in 0..=self.number(3) {
            if let Some(column) = usable.choose(&mut self.rng)
                && !keys.iter().any(|key| key.1 == column.1)
            {
                keys.push(column.clone());
            }
        }
        if keys.is_empty() {
            let (items, columns) = self.items(depth, want, true);
            return (format!("SELECT {items}{from}{filter}"), columns);
        }
        let list: Vec<String> = keys.iter().map(|key| key.0.clone()).collect();
        let clause = match self.number(9) {
            7..=8 => self.grouping_clause(&list),
            0 => format!("ROLLUP ({})", list.join(", ")),
            1 if list.len() < 3 => format!("CUBE ({})", list.join(", ")),
            2 => format!("GROUPING SETS (({}), ({}), ())", list.join(", "), list[0]),
            _ => list.join(", "),
        };
        let sets = clause.contains('(') && !list.contains(&clause);
        let types: Vec<Ty> = match want {
            Some(types) => types.to_vec(),
            None => (0..=self.number(4)).map(|_| self.plain()).collect(),
        };
        let mut items = Vec::new();
        let mut columns = Vec::new();
        for ty in types {
            let of_type: Vec<_> = keys.iter().filter(|key| key.2 == ty).collect();
            let expr = match of_type.choose(&mut self.rng) {
                Some(key) if self.chance(0.6) => key.0.clone(),
                _ if sets && ty == Ty::Int && self.chance(0.3) => format!("grouping({})", list.join(", ")),
                _ if ty == Ty::Int && self.chance(0.15) => self.over_groups(&list[0]),
                _ => self.aggregate(ty),
            };
            let name = self.name("g");
            items.push(format!("{expr} AS {name}"));
            columns.push(Out { name: Some(name), ty });
        }
        let having = if self.chance(0.3) {
            let aggregate = self.aggregate(Ty::Int);
            format!(" HAVING {aggregate} {} {}", self.pick(&[">", "<", "<>", ">="]), self.number(20))
        } else {
            String::new()
        };
        (format!("SELECT {}{from}{filter} GROUP BY {clause}{having}", items.join(", ")), columns)
    }

    /// GROUP BY a primary key: the other columns of the row may stand in the select list.
    fn by_key(&mut self, depth: usize, want: Option<&[Ty]>, from: &str, filter: &str, sources: &[Source]) -> Core {
        let tables: Vec<&Source> =
            sources.iter().filter(|source| source.table.is_some() && source.key.is_some()).collect();
        let Some(source) = tables.choose(&mut self.rng) else { return self.grouped(depth, want, from, filter) };
        let keys = source.key.clone().unwrap_or_default().join(", ");
        let full = self.levels.pop().unwrap_or_default();
        let mut narrow = level_of(std::slice::from_ref(*source));
        narrow.key = None;
        for column in &mut narrow.columns {
            column.0.clone_from(&column.1);
        }
        let types: Vec<Ty> = match want {
            Some(types) => types.to_vec(),
            None => (0..=self.number(4)).map(|_| self.plain()).collect(),
        };
        let mut items = Vec::new();
        let mut columns = Vec::new();
        for ty in types {
            let aggregate = self.chance(0.35);
            self.levels.push(if aggregate { full.clone() } else { narrow.clone() });
            let expr = if aggregate { self.aggregate(ty) } else { self.expr(ty, depth.min(2)) };
            self.levels.pop();
            let name = self.name("g");
            items.push(format!("{expr} AS {name}"));
            columns.push(Out { name: Some(name), ty });
        }
        self.levels.push(full);
        (format!("SELECT {}{from}{filter} GROUP BY {keys}", items.join(", ")), columns)
    }

    fn aggregate(&mut self, ty: Ty) -> String {
        let before = std::mem::replace(&mut self.local, true);
        let distinct = if self.chance(0.2) { "DISTINCT " } else { "" };
        if self.chance(0.3)
            && let Some(sql) = self.odd_aggregate(ty)
        {
            self.local = before;
            return sql;
        }
        let sql = match ty {
            Ty::Int => match self.number(5) {
                0 => "count(*)".to_owned(),
                1 => format!("sum({distinct}{})::int", self.expr(Ty::Int, 1)),
                2 => format!("max({})", self.expr(Ty::Int, 1)),
                3 => {
                    let ty = self.plain();
                    format!("count({distinct}{})", self.expr(ty, 1))
                }
                _ => format!("min({})", self.expr(Ty::Int, 1)),
            },
            Ty::Num => match self.number(3) {
                0 => format!("sum({distinct}{})", self.expr(Ty::Num, 1)),
                1 => format!("round(avg({}), 4)", self.expr(Ty::Num, 1)),
                _ => format!("max({})", self.expr(Ty::Num, 1)),
            },
            Ty::Text => match self.number(4) {
                0 => {
                    let value = self.expr(Ty::Text, 1);
                    format!("string_agg({value}::text, ',' ORDER BY {value}::text)")
                }
                1 => {
                    let value = self.expr(Ty::Text, 1);
                    format!("array_agg({value}::text ORDER BY {value}::text DESC)::text")
                }
                2 => format!("min({})", self.expr(Ty::Text, 1)),
                _ => format!("max({})", self.expr(Ty::Text, 1)),
            },
            Ty::Bool => format!("{}({})", self.pick(&["bool_and", "bool_or", "every"]), self.expr(Ty::Bool, 1)),
            other => format!("{}({})", self.pick(&["min", "max"]), self.expr(other, 1)),
        };
        let filter = if self.chance(0.15) && !sql.starts_with("round") && !sql.contains(")::") {
            format!(" FILTER (WHERE {})", self.expr(Ty::Bool, 1))
        } else {
            String::new()
        };
        self.local = before;
        format!("{sql}{filter}")
    }

    /// PARTITION BY and an order that is total.
    fn window_spec(&mut self) -> String {
        let level = self.levels.last().cloned().unwrap_or_default();
        let usable: Vec<_> = level.columns.iter().filter(|column| sortable(column.2)).collect();
        let partition = match usable.choose(&mut self.rng) {
            Some(column) if self.chance(0.6) => format!("PARTITION BY {}", column.0),
            _ => String::new(),
        };
        let order = match &level.key {
            Some(keys) if !keys.is_empty() => format!(" ORDER BY {}", keys.join(", ")),
            _ => String::new(),
        };
        format!("{partition}{order}")
    }

    fn window(&mut self, ty: Ty) -> String {
        let level = self.levels.last().cloned().unwrap_or_default();
        let total = level.key.as_ref().is_some_and(|keys| !keys.is_empty());
        if self.local {
            return self.expr(ty, 1);
        }
        let before = std::mem::replace(&mut self.local, true);
        let values = self.values.len();
        let argument = self.expr(ty, 1);
        self.local = before;
        let function = match (ty, total) {
            (Ty::Int, true) => self.pick(&["row_number()", "rank()", "dense_rank()", "ntile(3)"]).to_owned(),
            (Ty::Int, false) => "count(*)".to_owned(),
            (Ty::Bool, _) => format!("bool_or({argument})"),
            (_, true) if self.chance(0.6) => {
                let function = self.pick(&["lag", "lead", "first_value", "last_value", "nth_value", "lag "]);
                let more = if function == "nth_value" || function == "lag " { ", 2" } else { "" };
                format!("{function}({argument}{more})")
            }
            (_, _) if self.chance(0.25) => {
                let before = std::mem::replace(&mut self.local, true);
                let condition = self.expr(Ty::Bool, 1);
                self.local = before;
                format!("max({argument}) FILTER (WHERE {condition})")
            }
            (_, _) => format!("max({argument})"),
        };
        if ty == Ty::Int {
            // The argument is not written.
            self.values.truncate(values);
        }
        if self.chance(0.3) && self.levels.len() == 1 {
            return format!("{function} OVER w1");
        }
        let frame = if total { self.frame() } else { "" };
        format!("{function} OVER ({}{frame})", self.window_spec())
    }

    // FROM

    fn from(&mut self, depth: usize) -> (String, Vec<Source>) {
        let (mut sql, first) = self.source(depth, false);
        let mut sources = vec![first];
        let count = if self.chance(0.45) { 0 } else { 1 + self.number(2) };
        for _ in 0..count {
            if self.chance(0.12)
                && let Some(joined) = self.using(&sql, &sources)
            {
                let (text, source) = joined;
                sql = text;
                sources.push(source);
                break;
            }
            // A LATERAL item sees those before it.
            self.levels.push(level_of(&sources));
            let lateral = depth > 1 && self.chance(0.2);
            let (item, source) = if lateral {
                self.lateral(depth)
            } else {
                let level = self.levels.pop().unwrap_or_default();
                let found = self.source(depth, false);
                self.levels.push(level);
                found
            };
            let left = self.levels.pop().unwrap_or_default();
            let right = level_of(std::slice::from_ref(&source));
            let condition = self.join_condition(&left, &right);
            sql = match (condition, lateral) {
                (Some(condition), false) => {
                    let join =
                        self.pick(&["JOIN", "INNER JOIN", "LEFT JOIN", "LEFT OUTER JOIN", "RIGHT JOIN", "FULL JOIN"]);
                    format!("{sql} {join} {item} ON {condition}")
                }
                (Some(condition), true) => format!("{sql} {} {item} ON {condition}", self.pick(&["JOIN", "LEFT JOIN"])),
                (None, true) => format!("{sql} LEFT JOIN {item} ON true"),
                (None, false) => format!("{sql} CROSS JOIN {item}"),
            };
            sources.push(source);
        }
        if sources.len() == 1 && self.chance(0.1) && depth > 1 {
            // The comma, with the condition left to WHERE.
            let (item, source) = self.table();
            let condition = self.join_condition(&level_of(&sources), &level_of(std::slice::from_ref(&source)));
            sources.push(source);
            let condition = condition.unwrap_or_else(|| "true".to_owned());
            return (
                format!(" FROM {sql} JOIN (VALUES (1)) AS {}(one) ON true, {item} ", self.name("v"))
                    .trim_end()
                    .to_owned()
                    + &format!(" JOIN (VALUES (2)) AS {}(two) ON {}", self.name("v"), own_only(&condition)),
                sources,
            );
        }
        (format!(" FROM {sql}"), sources)
    }

    fn join_condition(&mut self, left: &Level, right: &Level) -> Option<String> {
        let mut pairs = Vec::new();
        for a in &left.columns {
            for b in &right.columns {
                let ids = |name: &str| name.ends_with("id") || name.ends_with("_id");
                if a.2 == b.2 && sortable(a.2) && (a.2 != Ty::Bool) && a.2 != Ty::Mood {
                    let weight = if a.2 == Ty::Int && ids(&a.1) && ids(&b.1) { 6 } else { 1 };
                    for _ in 0..weight {
                        pairs.push(format!("{} = {}", a.1, b.1));
                    }
                }
            }
        }
        let first = pairs.choose(&mut self.rng)?.clone();
        Some(first)
    }

    /// Two tables merged by USING or NATURAL.
    fn using(&mut self, sql: &str, sources: &[Source]) -> Option<(String, Source)> {
        let [first] = sources else { return None };
        first.table?;
        let (item, source) = self.table();
        let common: Vec<String> = source
            .columns
            .iter()
            .filter_map(|column| column.name.clone())
            .filter(|name| first.columns.iter().any(|column| column.name.as_ref() == Some(name)))
            .collect();
        let shared = common.iter().find(|name| name.ends_with("_id"))?;
        let join = self.pick(&["JOIN", "LEFT JOIN", "FULL JOIN", "RIGHT JOIN"]);
        let text = if self.chance(0.25) {
            format!("{sql} NATURAL {join} {item}")
        } else {
            let alias = if self.chance(0.15) { format!(" AS {}", self.name("u")) } else { String::new() };
            format!("{sql} {join} {item} USING ({shared}){alias}")
        };
        Some((text, source))
    }

    fn source(&mut self, depth: usize, _lateral: bool) -> (String, Source) {
        if !self.with.is_empty() && self.chance(0.4) {
            return self.with_item();
        }
        if depth > 1 && self.chance(0.2) {
            let levels = std::mem::take(&mut self.levels);
            let (sql, columns) = self.query(depth - 1, None);
            self.levels = levels;
            return self.derived(&sql, columns, "");
        }
        match self.number(22) {
            20..=21 => self.odd_source(),
            0 => {
                let alias = self.name("v");
                let (a, b) = (self.name("a"), self.name("b"));
                let sql = format!("(VALUES (1, 'Durban'), (2, 'sent'), (7, NULL)) AS {alias} ({a}, {b})");
                (sql, source(alias, vec![out(&a, Ty::Int), out(&b, Ty::Text)]))
            }
            1 => {
                let alias = self.name("s");
                let name = self.name("n");
                (format!("generate_series(1, 4) AS {alias}({name})"), source(alias, vec![out(&name, Ty::Int)]))
            }
            _ => self.table(),
        }
    }

    fn with_item(&mut self) -> (String, Source) {
        let (name, columns) = self.with.choose(&mut self.rng).cloned().unwrap_or_default();
        let alias = self.name("w");
        (format!("{name} AS {alias}"), source(alias, columns))
    }

    fn derived(&mut self, sql: &str, mut columns: Vec<Out>, lateral: &str) -> (String, Source) {
        let alias = self.name("d");
        let counted = !columns.iter().any(|column| column.ty == Ty::Row && column.name.is_none());
        let list = if counted && self.chance(0.3) && !columns.is_empty() {
            for column in &mut columns {
                column.name = Some(self.name("k"));
            }
            let names: Vec<String> = columns.iter().filter_map(|column| column.name.clone()).collect();
            format!(" ({})", names.join(", "))
        } else {
            String::new()
        };
        unname_doubles(&mut columns);
        let mut item = source(alias.clone(), columns);
        item.whole = true;
        (format!("{lateral}({sql}) AS {alias}{list}"), item)
    }

    /// An item that refers to those before it, which are the innermost level now.
    fn lateral(&mut self, depth: usize) -> (String, Source) {
        let level = self.levels.last().cloned().unwrap_or_default();
        let tags = level.columns.iter().find(|column| column.2 == Ty::Tags).cloned();
        let json = level.columns.iter().find(|column| column.2 == Ty::Json).cloned();
        if let Some(tags) = tags
            && self.chance(0.5)
        {
            let (alias, name) = (self.name("u"), self.name("tag"));
            return (
                format!("LATERAL unnest({}) AS {alias}({name})", tags.1),
                source(alias, vec![out(&name, Ty::Text)]),
            );
        }
        if let Some(json) = json
            && self.chance(0.3)
        {
            let alias = self.name("j");
            let columns = vec![out("key", Ty::Text), out("value", Ty::Text)];
            return (
                format!("jsonb_each_text(CASE WHEN jsonb_typeof({0}) = 'object' THEN {0} END) AS {alias}", json.1),
                source(alias, columns),
            );
        }
        if self.chance(0.2) {
            return self.lateral_values();
        }
        let (sql, columns) = self.select(depth.min(2) - 1, None);
        self.derived(&sql, columns, "LATERAL ")
    }

    fn table(&mut self) -> (String, Source) {
        let index = if self.chance(0.4) { self.number(2) } else { self.number(TABLES.len()) };
        let table = &TABLES[index];
        let probe = self.chance(0.01);
        let purpose = self.purpose;
        let mut columns: Vec<Out> = table
            .columns
            .iter()
            .filter(|column| probe || !column.denied.contains(purpose))
            .map(|column| out(column.name, column.ty))
            .collect();
        let name = match self.number(6) {
            0 if !table.name.contains('.') => format!("public.{}", table.name),
            1 if !table.name.contains('.') => format!("\"{}\"", table.name),
            2 => table.name.to_uppercase(),
            _ => table.name.to_owned(),
        };
        let only = if self.chance(0.03) { "ONLY " } else { "" };
        let alias = if self.chance(0.9) { self.name("t") } else { table.bare.to_owned() };
        let written = if alias == table.bare { String::new() } else { format!(" {}{alias}", self.pick(&["AS ", ""])) };
        let mut key: Vec<String> = table.key.iter().map(|key| (*key).to_owned()).collect();
        let mut whole = true;
        let list = if !probe && !written.is_empty() && self.chance(0.06) {
            // A column list names the first columns that are seen; a row then has two sets of names.
            whole = false;
            let first = self.name("first");
            let old = columns[0].name.replace(first.clone()).unwrap_or_default();
            for key in &mut key {
                if *key == old {
                    key.clone_from(&first);
                }
            }
            format!("({first})")
        } else {
            String::new()
        };
        let key = Some(key.into_iter().map(|key| format!("{alias}.{key}")).collect());
        (format!("{only}{name}{written}{list}"), Source { alias, columns, key, table: Some(table), whole })
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

impl Generator {
    /// An expression of a type, of at most that depth.
    pub fn expr(&mut self, ty: Ty, depth: usize) -> String {
        if depth == 0 || self.chance(0.35) && ty != Ty::Bool {
            return self.leaf(ty);
        }
        let d = depth - 1;
        if ty != Ty::Bool || self.chance(0.1) {
            match self.number(14) {
                0 => {
                    let (condition, yes) = (self.expr(Ty::Bool, d), self.expr(ty, d));
                    let no = self.expr(ty, d);
                    return format!("CASE WHEN {condition} THEN {yes} ELSE {no} END");
                }
                1 => return format!("coalesce({}, {})", self.leaf(ty), self.expr(ty, d)),
                2 if ty == Ty::Text => return format!("nullif({}, {})", self.leaf(ty), self.leaf(ty)),
                3 if !self.local && depth > 1 => return self.scalar(ty, d),
                4 => return self.simple_case(ty, d),
                5 if ty == Ty::Text => return self.odd_text(d),
                _ => {}
            }
        }
        match ty {
            Ty::Int => match self.number(9) {
                0 => format!("({} + {})", self.expr(ty, d), self.leaf(ty)),
                1 => format!("length({})", self.expr(Ty::Text, d)),
                2 => format!("mod({}, 7)", self.expr(ty, d)),
                3 => format!("date_part('month', {})::int", self.column(Ty::Date)),
                4 => format!("abs({} - 3)", self.expr(ty, d)),
                5 => format!("extract(month FROM {})::int", self.column(Ty::Time)),
                6 => format!("strpos({}, 'a')", self.expr(Ty::Text, d)),
                7 => format!("greatest({}, {})", self.leaf(ty), self.expr(ty, d)),
                _ => self.leaf(ty),
            },
            Ty::Num => match self.number(5) {
                0 => format!("({} + {})", self.expr(ty, d), self.leaf(ty)),
                1 => format!("round({}, 1)", self.expr(ty, d)),
                2 => format!("{}::numeric(12,2)", self.expr(Ty::Int, d)),
                3 => format!("({} * {})", self.leaf(ty), self.leaf(Ty::Int)),
                _ => self.leaf(ty),
            },
            Ty::Text => match self.number(12) {
                0 => format!("({} || {})", self.expr(ty, d), self.leaf(ty)),
                1 => format!("upper({})", self.expr(ty, d)),
                2 => format!("substring({} FROM 2 FOR 4)", self.expr(ty, d)),
                3 => format!("left({}, 3)", self.expr(ty, d)),
                4 => format!("{}::text", self.expr(Ty::Int, d)),
                5 => format!("split_part({}, '@', 2)", self.expr(ty, d)),
                6 => format!("concat({}, '-', {})", self.expr(ty, d), self.expr(Ty::Int, d)),
                7 => format!("to_char({}, 'YYYY-MM')", self.column(Ty::Date)),
                8 => format!("trim(both '*' from {})", self.expr(ty, d)),
                9 => format!("md5({})", self.expr(ty, d)),
                10 => format!("regexp_replace({}, '[a-z]+', '<\\&>')", self.expr(ty, d)),
                _ => self.leaf(ty),
            },
            Ty::Bool => self.condition(d),
            Ty::Date => match self.number(3) {
                0 => format!("({} + {})", self.leaf(ty), self.number(40)),
                1 => format!("{}::date", self.leaf(Ty::Time)),
                _ => self.leaf(ty),
            },
            Ty::Time => match self.number(3) {
                0 => format!("({} + interval '1 day')", self.leaf(ty)),
                1 => format!("date_trunc('day', {})", self.leaf(ty)),
                _ => self.leaf(ty),
            },
            other => self.leaf(other),
        }
    }

    fn condition(&mut self, d: usize) -> String {
        let ty = [Ty::Int, Ty::Text, Ty::Num, Ty::Date, Ty::Time][self.number(5)];
        match self.number(28) {
            22..=27 => self.odd_condition(ty, d),
            0 | 1 => format!("({} AND {})", self.expr(Ty::Bool, d), self.expr(Ty::Bool, d)),
            2 | 3 => format!("({} OR {})", self.expr(Ty::Bool, d), self.expr(Ty::Bool, d)),
            4 => format!("NOT {}", self.leaf_condition()),
            5 => format!("{} IS {}NULL", self.expr(ty, d), self.pick(&["", "NOT "])),
            6 => format!(
                "{} {}IN ({}, {})",
                self.expr(ty, d),
                self.pick(&["", "NOT "]),
                self.literal(ty),
                self.literal(ty)
            ),
            7 => format!("{} BETWEEN {} AND {}", self.expr(ty, d), self.literal(ty), self.literal(ty)),
            8 => format!("{} LIKE '%{}%'", self.expr(Ty::Text, d), self.pick(&["a", "*", "@", "o_", "O''"])),
            9 => format!("{} ILIKE '{}%'", self.expr(Ty::Text, d), self.pick(&["z", "Z", "é", "\\_"])),
            10 => format!("{} ~ '{}'", self.expr(Ty::Text, d), self.pick(&["^[A-Z]", "\\*+$", "[0-9]"])),
            11 => format!("{} IS DISTINCT FROM {}", self.expr(ty, d), self.leaf(ty)),
            12 => format!("{} = ANY (ARRAY[{}, {}])", self.expr(ty, d), self.literal(ty), self.literal(ty)),
            13 if d > 0 && !self.local => {
                let inner = self.exists(d);
                format!("{}EXISTS ({inner})", self.pick(&["", "NOT "]))
            }
            14 | 15 if d > 0 && !self.local => {
                let left = self.expr(ty, d);
                let (inner, _) = self.select(d.min(2), Some(&[ty]));
                format!("{left} {} ({inner})", self.pick(&["IN", "NOT IN", "= ANY", "<> ALL", "< ANY", ">= ALL"]))
            }
            16 if d > 0 && !self.local => {
                let left = format!("({}, {})", self.leaf(Ty::Int), self.leaf(ty));
                let (inner, _) = self.select(d.min(2), Some(&[Ty::Int, ty]));
                format!("{left} {}IN ({inner})", self.pick(&["", "NOT "]))
            }
            17 => format!("({}, {}) = ({}, {})", self.leaf(Ty::Int), self.leaf(ty), self.leaf(Ty::Int), self.leaf(ty)),
            18 => format!("{} IS {}TRUE", self.leaf_condition(), self.pick(&["", "NOT "])),
            _ => self.leaf_condition(),
        }
    }

    fn leaf_condition(&mut self) -> String {
        let ty = [Ty::Int, Ty::Text, Ty::Num, Ty::Date, Ty::Time][self.number(5)];
        let operator = self.pick(&["=", "<>", "<", ">", "<=", ">=", "!=", "="]);
        let right = if self.chance(0.5) { self.literal(ty) } else { self.leaf(ty) };
        format!("({} {operator} {right})", self.leaf(ty))
    }

    fn exists(&mut self, depth: usize) -> String {
        let (from, sources) = self.from(depth.min(1));
        self.levels.push(level_of(&sources));
        let condition = self.expr(Ty::Bool, depth.min(2));
        let list = self.pick(&["1", "*", "NULL", ""]);
        self.levels.pop();
        format!("SELECT {list}{from} WHERE {condition}")
    }

    /// A subquery of one row at most.
    fn scalar(&mut self, ty: Ty, depth: usize) -> String {
        let (from, sources) = self.from(1);
        self.levels.push(level_of(&sources));
        let keys = self.levels.last().and_then(|level| level.key.clone()).unwrap_or_default();
        let condition = self.expr(Ty::Bool, depth.min(2));
        let sql = if !keys.is_empty() && self.chance(0.4) {
            let value = self.expr(ty, 1);
            format!("(SELECT {value}{from} WHERE {condition} ORDER BY {} LIMIT 1)", keys.join(", "))
        } else {
            let value = self.aggregate(ty);
            // An aggregate over outer columns alone would be the outer query's.
            format!("(SELECT {value}{from} WHERE {condition})")
        };
        self.levels.pop();
        sql
    }

    /// A column of the type, or a typed NULL.
    fn column(&mut self, ty: Ty) -> String {
        let level = self.levels.last().cloned().unwrap_or_default();
        if self.levels.len() > 1 && !self.local && self.chance(0.25) {
            let outer = self.number(self.levels.len() - 1);
            let found: Vec<_> = self.levels[outer].columns.iter().filter(|column| column.2 == ty).collect();
            if let Some(column) = found.choose(&mut self.rng) {
                return column.1.clone();
            }
        }
        let found: Vec<_> = level.columns.iter().filter(|column| column.2 == ty).collect();
        if let Some(column) = found.choose(&mut self.rng) {
            return column.0.clone();
        }
        format!("NULL::{}", type_name(ty))
    }

    fn leaf(&mut self, ty: Ty) -> String {
        let level = self.levels.last().cloned().unwrap_or_default();
        if ty == Ty::Text && self.chance(0.06) {
            let json: Vec<_> = level
                .columns
                .iter()
                .filter(|column| matches!(column.2, Ty::Json | Ty::Tags | Ty::Mood | Ty::Uuid))
                .collect();
            if let Some(column) = json.choose(&mut self.rng) {
                return match column.2 {
                    Ty::Json => format!("({} ->> 'name')", column.0),
                    Ty::Tags => format!("({})[1]", column.0),
                    _ => format!("{}::text", column.0),
                };
            }
        }
        if self.chance(0.85) { self.column(ty) } else { self.literal(ty) }
    }

    pub fn literal(&mut self, ty: Ty) -> String {
        match ty {
            Ty::Int => {
                let value = self.rng.random_range(-20..60_i32);
                if self.parameters && self.chance(0.4) {
                    return self.parameter(Value::Int(value));
                }
                if value < 0 { format!("({value})") } else { value.to_string() }
            }
            Ty::Num => format!("{}.{:02}", self.number(900), self.number(100)),
            Ty::Text => {
                let words = [
                    "Durban",
                    "paid",
                    "open",
                    "zanele1@mail.co.za",
                    "Z",
                    "hidden",
                    "***",
                    "",
                    "O'Brien\\x 3",
                    "2026",
                    "label 2",
                    "z***@m***.za",
                    "王小明 3",
                    "Zanele Nkosi 1",
                    "weird 2",
                    "new",
                ];
                let value = words.choose(&mut self.rng).copied().unwrap_or_default().to_owned();
                if self.parameters && self.chance(0.4) {
                    return self.parameter(Value::Text(value));
                }
                match self.number(12) {
                    0 => format!("E'{}'", value.replace('\\', "\\\\").replace('\'', "\\'")),
                    1 if !value.contains('$') => format!("$q${value}$q$"),
                    _ => format!("'{}'", value.replace('\'', "''")),
                }
            }
            Ty::Bool => self.pick(&["true", "false", "NULL::boolean"]).to_owned(),
            Ty::Date => format!(
                "{}'19{}-0{}-1{}'",
                self.pick(&["date ", "DATE "]),
                50 + self.number(50),
                1 + self.number(9),
                self.number(10)
            ),
            Ty::Time => {
                format!("timestamptz '2026-0{}-1{} 0{}:00+00'", 1 + self.number(5), self.number(10), self.number(10))
            }
            other => format!("NULL::{}", type_name(other)),
        }
    }

    fn parameter(&mut self, value: Value) -> String {
        let ty = match value {
            Value::Int(_) => "int4",
            Value::Text(_) => "text",
        };
        self.values.push(value);
        format!("${}::{ty}", self.values.len())
    }
}

fn out(name: &str, ty: Ty) -> Out {
    Out { name: Some(name.to_owned()), ty }
}

fn source(alias: String, columns: Vec<Out>) -> Source {
    Source { alias, columns, key: None, table: None, whole: false }
}

fn level_of(sources: &[Source]) -> Level {
    let mut level = Level { key: Some(Vec::new()), ..Level::default() };
    let all: Vec<&String> =
        sources.iter().flat_map(|source| source.columns.iter().filter_map(|column| column.name.as_ref())).collect();
    // A column whose name is not known may have any name.
    let known = sources.iter().all(|source| source.columns.iter().all(|column| column.name.is_some()));
    for source in sources {
        for column in &source.columns {
            let Some(name) = &column.name else { continue };
            let qualified = format!("{}.{name}", source.alias);
            // Half of what is not ambiguous is written without its table.
            let bare = known
                && all
                    .iter()
                    .filter(|other| other.trim_matches('"').eq_ignore_ascii_case(name.trim_matches('"')))
                    .count()
                    == 1;
            let here = if bare && name.len() % 2 == 0 { name.clone() } else { qualified.clone() };
            level.columns.push((here, qualified, column.ty));
        }
        if source.whole {
            level.rows.push(source.alias.clone());
        }
        level.key = match (level.key.take(), &source.key) {
            (Some(mut keys), Some(more)) => {
                keys.extend(more.clone());
                Some(keys)
            }
            _ => None,
        };
    }
    level
}

fn unname_doubles(columns: &mut [Out]) {
    let names: Vec<Option<String>> = columns.iter().map(|column| column.name.clone()).collect();
    for column in columns {
        if names.iter().filter(|name| **name == column.name).count() > 1 {
            column.name = None;
        }
    }
}

/// The condition of a join after a comma may name only what stands after the comma.
fn own_only(_condition: &str) -> &'static str {
    "true"
}

fn bare_alias(name: &str) -> bool {
    !name.is_empty()
}

fn sortable(ty: Ty) -> bool {
    !matches!(ty, Ty::Row | Ty::Json)
}

fn type_name(ty: Ty) -> &'static str {
    match ty {
        Ty::Int => "int8",
        Ty::Num => "numeric",
        Ty::Text => "text",
        Ty::Bool => "boolean",
        Ty::Date => "date",
        Ty::Time => "timestamptz",
        Ty::Tags => "text[]",
        Ty::Json => "jsonb",
        Ty::Uuid => "uuid",
        Ty::Mood => "public.mood",
        Ty::Row => "record",
    }
}
