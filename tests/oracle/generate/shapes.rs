//! The less common shapes: frames, nested grouping sets, comparisons of rows, aggregates into JSON and arrays, VALUES.

use super::{Core, Generator, Out, Source, TABLES, Ty, out, source};

impl Generator {
    /// VALUES or TABLE, as a statement of its own.
    pub(super) fn bare_statement(&mut self) -> Core {
        if self.chance(0.3) {
            let (item, source) = self.whole_table();
            return (item, source.columns);
        }
        let types: Vec<Ty> = (0..=self.number(3)).map(|_| self.plain()).collect();
        let rows: Vec<String> = (0..=self.number(3)).map(|_| self.values_row(&types)).collect();
        (format!("VALUES {}", rows.join(", ")), types.into_iter().map(|ty| Out { name: None, ty }).collect())
    }

    fn values_row(&mut self, types: &[Ty]) -> String {
        let values: Vec<String> =
            types.iter().map(|ty| if self.chance(0.6) { self.scalar(*ty, 1) } else { self.literal(*ty) }).collect();
        format!("({})", values.join(", "))
    }

    fn whole_table(&mut self) -> (String, Source) {
        let table = &TABLES[self.number(TABLES.len())];
        let purpose = self.purpose;
        let seen = table.columns.iter().filter(|column| !column.denied.contains(purpose));
        let columns = seen.map(|column| out(column.name, column.ty)).collect();
        (format!("TABLE {}", table.name), source(String::new(), columns))
    }

    /// A FROM item that is not a table by its name.
    pub(super) fn odd_source(&mut self) -> (String, Source) {
        let alias = self.name("o");
        match self.number(4) {
            0 => {
                let (sql, table) = self.whole_table();
                // Without names of its own: a list over TABLE counts the columns that the purpose does not see.
                (format!("({sql}) AS {alias}"), source(alias, table.columns))
            }
            1 => (
                format!(
                    "ROWS FROM (generate_series(1, 3), unnest(ARRAY['a', 'Durban'])) WITH ORDINALITY AS {alias}(n, t, nth)"
                ),
                source(alias, vec![out("n", Ty::Int), out("t", Ty::Text), out("nth", Ty::Int)]),
            ),
            2 => (
                format!("unnest(ARRAY['Durban', 'paid', NULL]) WITH ORDINALITY AS {alias}(word, nth)"),
                source(alias, vec![out("word", Ty::Text), out("nth", Ty::Int)]),
            ),
            _ => {
                let levels = std::mem::take(&mut self.levels);
                let rows: Vec<String> = (0..3).map(|_| self.values_row(&[Ty::Int, Ty::Text])).collect();
                self.levels = levels;
                (
                    format!("(VALUES {}) AS {alias} (v, w)", rows.join(", ")),
                    source(alias, vec![out("v", Ty::Int), out("w", Ty::Text)]),
                )
            }
        }
    }

    /// VALUES of what stands before it in FROM.
    pub(super) fn lateral_values(&mut self) -> (String, Source) {
        let ty = self.plain();
        let (one, two) = (self.expr(ty, 1), self.expr(ty, 1));
        let alias = self.name("l");
        (
            format!("LATERAL (VALUES ({one}, 'one'), ({two}, 'two')) AS {alias} (v, which)"),
            source(alias, vec![out("v", ty), out("which", Ty::Text)]),
        )
    }

    pub(super) fn grouping_clause(&mut self, list: &[String]) -> String {
        let (all, first) = (list.join(", "), list[0].clone());
        match self.number(6) {
            0 => format!("GROUPING SETS (ROLLUP ({all}), ({first}))"),
            1 => format!("ROLLUP ({all}), ROLLUP ({first})"),
            2 => format!("GROUPING SETS (({all}), GROUPING SETS (({first}), ()))"),
            3 => format!("{first}, ROLLUP ({all})"),
            4 => format!("GROUPING SETS (({all}), CUBE ({first}))"),
            _ => format!("ROLLUP (({all}), {first})"),
        }
    }

    /// A window over the groups.
    pub(super) fn over_groups(&mut self, key: &str) -> String {
        match self.number(3) {
            0 => "(sum(count(*)) OVER ())::int".to_owned(),
            1 => "rank() OVER (ORDER BY count(*) DESC)".to_owned(),
            _ => format!("(max(count(*)) OVER (PARTITION BY {key}))::int"),
        }
    }

    /// What may follow a total order in a window.
    pub(super) fn frame(&mut self) -> &'static str {
        match self.number(9) {
            0 => " ROWS BETWEEN 1 PRECEDING AND CURRENT ROW",
            1 => " ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING EXCLUDE CURRENT ROW",
            2 => " GROUPS BETWEEN 1 PRECEDING AND 2 FOLLOWING",
            3 => " RANGE BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING EXCLUDE TIES",
            4 => " ROWS 2 PRECEDING EXCLUDE GROUP",
            _ => "",
        }
    }

    /// An aggregate that is written with more than a name and an argument; `local` is set.
    pub(super) fn odd_aggregate(&mut self, ty: Ty) -> Option<String> {
        let condition = self.chance(0.4).then(|| self.expr(Ty::Bool, 1));
        let filter = condition.map(|condition| format!(" FILTER (WHERE {condition})")).unwrap_or_default();
        let of = if ty == Ty::Text { self.plain() } else { ty };
        let value = format!("({})", self.expr(of, 1));
        Some(match ty {
            Ty::Text => match self.number(7) {
                0 => format!("(jsonb_agg({value} ORDER BY {value}){filter})::text"),
                1 => format!("(json_agg(DISTINCT {value} ORDER BY {value}){filter})::text"),
                2 => format!("(array_agg(DISTINCT {value}){filter})::text"),
                3 => {
                    let key = format!("coalesce({}::text, '-')", self.expr(Ty::Text, 1));
                    format!("(jsonb_object_agg({key}, {value} ORDER BY {key}, {value}){filter})::text")
                }
                4 => format!("(mode() WITHIN GROUP (ORDER BY {value}){filter})::text"),
                5 => format!("(string_agg(DISTINCT {value}::text, ';' ORDER BY {value}::text DESC){filter})::text"),
                _ => format!("(json_build_object('all', count({value}), 'last', max({value}::text){filter}))::text"),
            },
            Ty::Int => match self.number(3) {
                0 => format!("(count({value}){filter})::int"),
                1 => format!("(percentile_disc(0.5) WITHIN GROUP (ORDER BY {value}){filter})::int8"),
                _ => format!("(bit_or({value}::int8){filter})::int8"),
            },
            Ty::Num => match self.number(2) {
                0 => format!("(percentile_disc(0.25) WITHIN GROUP (ORDER BY {value} DESC){filter})::numeric"),
                _ => format!("(sum({value}){filter} - min({value}))::numeric"),
            },
            Ty::Date | Ty::Time => format!("mode() WITHIN GROUP (ORDER BY {value}){filter}"),
            _ => format!("(NOT (bool_and({value}){filter}))"),
        })
    }

    pub(super) fn odd_text(&mut self, d: usize) -> String {
        let (number, text) = (self.expr(Ty::Int, d), self.expr(Ty::Text, d));
        match self.number(9) {
            0 => format!("jsonb_build_object('n', {number}, 't', {text})::text"),
            1 => format!("row_to_json(ROW({number}, {text}))::text"),
            2 => format!("format('%s/%s', {number}, {text})"),
            3 => format!("array_to_string(ARRAY[{text}::text, {number}::text], ',', '-')"),
            4 => format!("ROW({number}, {text})::text"),
            5 => format!("CAST({text} AS varchar)"),
            6 => format!("(ARRAY[{text}::text, {number}::text])[1 + abs(mod({number}, 2))]"),
            7 if !self.local && d > 0 => {
                let ty = self.plain();
                let (inner, _) = self.select(1, Some(&[ty]));
                format!("(ARRAY(SELECT * FROM ({inner}) AS one ORDER BY 1)::text || {text} || {number}::text)")
            }
            _ => format!("translate({text}, '*@', '+') || {number}::text"),
        }
    }

    /// `CASE value WHEN ...`.
    pub(super) fn simple_case(&mut self, ty: Ty, d: usize) -> String {
        let of = [Ty::Int, Ty::Text][self.number(2)];
        let subject = self.expr(of, d);
        let (first, second) = (self.literal(of), self.literal(of));
        let (one, two) = (self.expr(ty, d), self.leaf(ty));
        let otherwise = if self.chance(0.5) { format!(" ELSE {}", self.leaf(ty)) } else { String::new() };
        format!("CASE {subject} WHEN {first} THEN {one} WHEN {second} THEN {two}{otherwise} END")
    }

    pub(super) fn odd_condition(&mut self, ty: Ty, d: usize) -> String {
        let inner = d > 0 && !self.local;
        match self.number(12) {
            0 | 1 => {
                let operator = self.pick(&["<", "<=", ">", ">=", "<>", "IS DISTINCT FROM", "IS NOT DISTINCT FROM"]);
                let left = format!("({}, {})", self.expr(ty, d), self.leaf(Ty::Int));
                format!("({left} {operator} ({}, {}))", self.leaf(ty), self.leaf(Ty::Int))
            }
            2 => {
                let operator = self.pick(&["NOT BETWEEN", "BETWEEN SYMMETRIC", "NOT BETWEEN SYMMETRIC"]);
                format!("({} {operator} {} AND {})", self.expr(ty, d), self.leaf(ty), self.literal(ty))
            }
            3 => {
                let value = self.expr(ty, d);
                format!(
                    "{value} {}IN (VALUES ({}), ({}))",
                    self.pick(&["", "NOT "]),
                    self.literal(ty),
                    self.literal(ty)
                )
            }
            4 => {
                let rows = self.levels.last().map(|level| level.rows.clone()).unwrap_or_default();
                let Some(row) = rows.first() else { return self.leaf_condition() };
                match self.number(4) {
                    0 => format!("({row} IS NOT NULL)"),
                    1 => format!("({row}.* IS DISTINCT FROM {row})"),
                    2 => format!("(ROW({row}.*) IS NULL)"),
                    _ => format!("({row} = {row})"),
                }
            }
            5 if inner => format!("({} > {})", self.scalar(Ty::Int, d), self.literal(Ty::Int)),
            6 if inner => {
                let (from, sources) = self.from(1);
                self.levels.push(super::level_of(&sources));
                let (one, two) = (self.aggregate(Ty::Int), self.aggregate(ty));
                self.levels.pop();
                format!(
                    "(({}, {}) {} (SELECT {one}, {two}{from}))",
                    self.leaf(Ty::Int),
                    self.leaf(ty),
                    self.pick(&["=", "<", ">="])
                )
            }
            7 if inner => {
                let (set, _) = self.set_operation(1, Some(&[ty]));
                let left = self.pick(&["EXISTS", "NOT EXISTS"]);
                format!("{left} ({set})")
            }
            8 if inner => {
                let (set, _) = self.set_operation(1, Some(&[ty]));
                format!("{} {}IN ({set})", self.leaf(ty), self.pick(&["", "NOT "]))
            }
            9 if inner => {
                let (set, _) = self.select(1, Some(&[ty]));
                format!("{} {} (ARRAY({set}))", self.leaf(ty), self.pick(&["= ANY", "<> ALL", "> ANY"]))
            }
            10 => format!(
                "({} {})",
                self.leaf_condition(),
                self.pick(&["IS UNKNOWN", "IS NOT UNKNOWN", "IS FALSE", "IS NOT FALSE"])
            ),
            _ => format!("{} SIMILAR TO '%(a|o|\\*)%'", self.expr(Ty::Text, d)),
        }
    }
}
