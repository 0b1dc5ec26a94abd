//! Expressions and constants.

use rand::RngExt;
use rand::seq::IndexedRandom;

use super::{Generator, Ty, Value, level_of};

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

    pub(super) fn condition(&mut self, d: usize) -> String {
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

    pub(super) fn leaf_condition(&mut self) -> String {
        let ty = [Ty::Int, Ty::Text, Ty::Num, Ty::Date, Ty::Time][self.number(5)];
        let operator = self.pick(&["=", "<>", "<", ">", "<=", ">=", "!=", "="]);
        let right = if self.chance(0.5) { self.literal(ty) } else { self.leaf(ty) };
        format!("({} {operator} {right})", self.leaf(ty))
    }

    pub(super) fn exists(&mut self, depth: usize) -> String {
        let (from, sources) = self.from(depth.min(1));
        self.levels.push(level_of(&sources));
        let condition = self.expr(Ty::Bool, depth.min(2));
        let list = self.pick(&["1", "*", "NULL", ""]);
        self.levels.pop();
        format!("SELECT {list}{from} WHERE {condition}")
    }

    /// A subquery of one row at most.
    pub(super) fn scalar(&mut self, ty: Ty, depth: usize) -> String {
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
    pub(super) fn column(&mut self, ty: Ty) -> String {
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

    pub(super) fn leaf(&mut self, ty: Ty) -> String {
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

    pub(super) fn parameter(&mut self, value: Value) -> String {
        let ty = match value {
            Value::Int(_) => "int4",
            Value::Text(_) => "text",
        };
        self.values.push(value);
        format!("${}::{ty}", self.values.len())
    }
}

pub(super) fn type_name(ty: Ty) -> &'static str {
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
