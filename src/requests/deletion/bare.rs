//! What a row that must stay says once it says nothing about a person any more (POPIA s14(4): in a way that prevents its reconstruction).

use std::collections::BTreeSet;

use crate::catalog::quote_ident;
use crate::requests::shape::{Column, Reference, Table};

/// What stands where a text must.
const REMOVED: &str = "removed";

/// `column = value` for each column that can be emptied, and those that keep their value: keys by which rows hold together are neither.
pub(super) fn assignments(table: &Table, at: usize, references: &[Reference]) -> (Vec<String>, BTreeSet<String>) {
    let holds = |name: &String| {
        let from = references.iter().any(|key| key.from == at && key.columns.contains(name));
        let to = references.iter().any(|key| key.to == at && key.to_columns.contains(name));
        from || to || table.key.contains(name)
    };
    let (mut set, mut stays) = (Vec::new(), BTreeSet::new());
    for column in table.columns.iter().filter(|column| !column.computed && !holds(&column.name)) {
        match emptied(column) {
            Some(value) => set.push(format!("{} = {value}", quote_ident(&column.name))),
            None => {
                stays.insert(column.name.clone());
            }
        }
    }
    (set, stays)
}

/// `None`: whatever stood there would be a guess.
fn emptied(column: &Column) -> Option<String> {
    if !column.required {
        return Some("NULL".to_owned());
    }
    let name = quote_ident(&column.name);
    let typed = |value: &str| Some(format!("({value})::{}", column.type_sql));
    match column.category {
        'S' if column.unique => {
            let random = "pg_catalog.replace(pg_catalog.gen_random_uuid()::pg_catalog.text, '-', '')";
            match column.most {
                Some(most @ ..16) => typed(&format!("pg_catalog.left({random}, {most})")),
                Some(most) => typed(&format!("pg_catalog.left('{REMOVED}-' || {random}, {most})")),
                None => typed(&format!("'{REMOVED}-' || {random}")),
            }
        }
        'S' => match column.most {
            Some(most) => typed(&format!("pg_catalog.left('{REMOVED}', {most})")),
            None => typed(&format!("'{REMOVED}'")),
        },
        _ if column.unique => None,
        // Of a moment its year, of an amount nothing.
        'D' if column.type_sql.starts_with("time ") || column.type_sql == "time" => typed("'00:00'"),
        'D' => typed(&format!("pg_catalog.date_trunc('year', {name}::pg_catalog.timestamp)")),
        'N' => typed("0"),
        'B' => typed("false"),
        'A' => typed("'{}'"),
        'U' if matches!(column.type_sql.as_str(), "json" | "jsonb") => typed("'{}'"),
        'U' if column.type_sql == "uuid" => typed("pg_catalog.gen_random_uuid()"),
        'U' if column.type_sql == "bytea" => typed("''"),
        'I' => typed("'0.0.0.0'"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, type_sql: &str, category: char, required: bool, unique: bool) -> Column {
        Column {
            name: name.to_owned(),
            type_sql: type_sql.to_owned(),
            category,
            required,
            unique,
            computed: false,
            most: None,
        }
    }

    #[test]
    fn what_may_be_null_is_and_the_rest_says_nothing() {
        assert_eq!(emptied(&column("a", "text", 'S', false, true)).as_deref(), Some("NULL"));
        assert_eq!(emptied(&column("a", "text", 'S', true, false)).as_deref(), Some("('removed')::text"));
        assert_eq!(emptied(&column("a", "numeric", 'N', true, false)).as_deref(), Some("(0)::numeric"));
        // A number that must be unique: any other could be somebody's.
        assert_eq!(emptied(&column("a", "bigint", 'N', true, true)), None);
        assert_eq!(emptied(&column("a", "mood", 'E', true, false)), None);
    }

    #[test]
    fn keys_by_which_rows_hold_together_stay() {
        let table = Table {
            name: crate::catalog::RelationName::new("public", "customers"),
            columns: vec![
                column("id", "bigint", 'N', true, true),
                column("code", "text", 'S', true, true),
                column("email", "text", 'S', false, false),
            ],
            key: vec!["id".to_owned()],
        };
        let by_code = Reference {
            name: "orders_code".to_owned(),
            from: 1,
            columns: vec!["code".to_owned()],
            to: 0,
            to_columns: vec!["code".to_owned()],
            indexed: true,
        };
        assert_eq!(assignments(&table, 0, &[by_code]).0, ["\"email\" = NULL"]);
    }
}
