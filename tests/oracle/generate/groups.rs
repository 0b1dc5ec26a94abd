//! GROUP BY, aggregates and windows.

use rand::seq::IndexedRandom;

use super::{Core, Generator, Out, Source, Ty, level_of, sortable};

impl Generator {
    pub(super) fn grouped(&mut self, depth: usize, want: Option<&[Ty]>, from: &str, filter: &str) -> Core {
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
    pub(super) fn by_key(
        &mut self,
        depth: usize,
        want: Option<&[Ty]>,
        from: &str,
        filter: &str,
        sources: &[Source],
    ) -> Core {
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

    pub(super) fn aggregate(&mut self, ty: Ty) -> String {
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
    pub(super) fn window_spec(&mut self) -> String {
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

    pub(super) fn window(&mut self, ty: Ty) -> String {
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
}
