//! FROM: tables, joins, derived tables, LATERAL, and what an item lets others refer to.

use rand::seq::IndexedRandom;

use super::{Generator, Level, Out, Source, TABLES, Ty, sortable};

impl Generator {
    pub(super) fn from(&mut self, depth: usize) -> (String, Vec<Source>) {
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

    pub(super) fn join_condition(&mut self, left: &Level, right: &Level) -> Option<String> {
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
    pub(super) fn using(&mut self, sql: &str, sources: &[Source]) -> Option<(String, Source)> {
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

    pub(super) fn source(&mut self, depth: usize, _lateral: bool) -> (String, Source) {
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

    pub(super) fn with_item(&mut self) -> (String, Source) {
        let (name, columns) = self.with.choose(&mut self.rng).cloned().unwrap_or_default();
        let alias = self.name("w");
        (format!("{name} AS {alias}"), source(alias, columns))
    }

    pub(super) fn derived(&mut self, sql: &str, mut columns: Vec<Out>, lateral: &str) -> (String, Source) {
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
    pub(super) fn lateral(&mut self, depth: usize) -> (String, Source) {
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

    pub(super) fn table(&mut self) -> (String, Source) {
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
}

pub(super) fn out(name: &str, ty: Ty) -> Out {
    Out { name: Some(name.to_owned()), ty }
}

pub(super) fn source(alias: String, columns: Vec<Out>) -> Source {
    Source { alias, columns, key: None, table: None, whole: false }
}

pub(super) fn level_of(sources: &[Source]) -> Level {
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

pub(super) fn unname_doubles(columns: &mut [Out]) {
    let names: Vec<Option<String>> = columns.iter().map(|column| column.name.clone()).collect();
    for column in columns {
        if names.iter().filter(|name| **name == column.name).count() > 1 {
            column.name = None;
        }
    }
}

/// The condition of a join after a comma may name only what stands after the comma.
pub(super) fn own_only(_condition: &str) -> &'static str {
    "true"
}
