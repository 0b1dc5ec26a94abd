//! What a transaction does to permanent tables, one of them in each story: columns that come, go and change their names, indexes, checks,
//! views over them, all of it taken back at the end. What is answered in between is what the copy says, under the same changes; a failure
//! for a value that the copy does not hold is one as well.

use rand::RngExt;

use super::Purpose;
use super::generate::{Generator, Ty};
use super::shop::TABLES;
use super::temporary::Story;

/// Tables that the builder owns in both databases.
const OWNED: [&str; 5] = ["customers", "orders", "notes", "products", "order_items"];

/// The table as it is at one moment.
#[derive(Debug, Clone)]
struct Changed {
    name: String,
    columns: Vec<(String, Ty)>,
    /// Columns that the purpose does not see: the copy has none of them.
    closed: Vec<String>,
    views: usize,
}

/// One change, and how the table is then.
fn change(make: &mut Generator, table: &Changed, number: usize) -> (String, Changed) {
    let mut then = table.clone();
    let name = table.name.as_str();
    let at = make.rng.random_range(0..table.columns.len());
    let (column, ty) = table.columns[at].clone();
    let other = table.columns[make.rng.random_range(0..table.columns.len())].0.clone();
    let closed = table.closed.first().cloned().unwrap_or_else(|| other.clone());
    let plain: Vec<(&str, Ty)> = table.columns.iter().map(|(name, ty)| (name.as_str(), *ty)).collect();
    make.alone("x", &plain);
    let sql = match make.rng.random_range(0..20) {
        0 => {
            then.columns.push((format!("more{number}"), Ty::Int));
            format!("ALTER TABLE {name} ADD COLUMN more{number} int DEFAULT {number}")
        }
        1 => {
            then.columns[at].0 = format!("called{number}");
            format!("ALTER TABLE {name} RENAME COLUMN {column} TO called{number}")
        }
        // The name may be free by now, and listed.
        2 => {
            let names: Vec<&str> = TABLES.iter().flat_map(|table| table.columns).map(|column| column.name).collect();
            let new = make.one_of(&names).to_owned();
            then.columns[at].0.clone_from(&new);
            format!("ALTER TABLE {name} RENAME COLUMN {column} TO {new}")
        }
        3 => format!(
            "CREATE VIEW under{number} AS SELECT x.{column}, count(*) AS c, max({closed}) AS m FROM {name} AS x GROUP BY 1"
        ),
        4 if table.columns.len() > 2 => {
            then.columns.remove(at);
            format!("ALTER TABLE {name} DROP COLUMN {column}")
        }
        5 => {
            let from = if make.chance(0.3) { &closed } else { &column };
            then.columns.push((format!("made{number}"), Ty::Text));
            format!("ALTER TABLE {name} ADD COLUMN made{number} text GENERATED ALWAYS AS (({from})::text) STORED")
        }
        6 => format!(
            "ALTER TABLE {name} ADD COLUMN {} text GENERATED ALWAYS AS ({column}::text) STORED",
            make.one_of(&["city", "status", "label"])
        ),
        7 if ty == Ty::Text => {
            let from = if make.chance(0.3) { &closed } else { &other };
            format!("ALTER TABLE {name} ALTER {column} TYPE text USING ({from})::text")
        }
        8 => format!("CREATE INDEX ON {name} ({column})"),
        9 => format!("CREATE UNIQUE INDEX ON {name} ({column}, {other})"),
        10 => format!("CREATE INDEX ON {name} (({column}::text)) WHERE {other} IS NOT NULL"),
        11 => format!("ALTER TABLE {name} ADD CHECK ({column} IS NOT NULL OR {closed} IS NULL)"),
        12 => format!("ALTER TABLE {name} ALTER {column} SET NOT NULL"),
        13 => format!("ALTER TABLE {name} ADD UNIQUE ({column})"),
        14 => {
            then.views += 1;
            format!("CREATE VIEW over{number} AS SELECT {column} AS a, {other} AS b FROM {name}")
        }
        15 => format!("CREATE VIEW under{number} AS SELECT {closed} AS a FROM {name}"),
        16 => {
            then.name = format!("moved{number}");
            format!("ALTER TABLE {name} RENAME TO moved{number}")
        }
        17 => format!("CREATE TABLE like{number} (LIKE {name})"),
        18 => format!("CREATE STATISTICS stat{number} ON {column}, {other} FROM {name}"),
        _ => format!("ALTER TABLE {name} ALTER {column} SET DEFAULT NULL"),
    };
    (sql, then)
}

/// What is read in between. Without a star, which shows a column that no policy lists on the copy alone.
fn read(make: &mut Generator, table: &Changed) -> String {
    let plain: Vec<(&str, Ty)> = table.columns.iter().map(|(name, ty)| (name.as_str(), *ty)).collect();
    make.alone("x", &plain);
    let condition = make.expr(Ty::Bool, 1);
    let list: Vec<String> = (0..3).map(|_| format!("x.{}", plain[make.rng.random_range(0..plain.len())].0)).collect();
    match make.rng.random_range(0..3) {
        0 => format!("SELECT count(*) FROM {} AS x WHERE {condition}", table.name),
        1 => format!(
            "SELECT {0} FROM {1} AS x JOIN products AS p ON true WHERE p.product_id = 1",
            list.join(", "),
            table.name
        ),
        _ => format!("SELECT {} FROM {} AS x WHERE {condition}", list.join(", "), table.name),
    }
}

/// One transaction over one table; behind it everything is as it was.
pub(super) async fn story(story: &mut Story<'_>, make: &mut Generator, purpose: &Purpose) {
    let owned: Vec<_> = TABLES.iter().filter(|table| OWNED.contains(&table.name)).collect();
    let of = owned[make.rng.random_range(0..owned.len())];
    let (closed, seen): (Vec<_>, Vec<_>) = of.columns.iter().partition(|column| column.denied.contains(purpose.letter));
    let mut table = Changed {
        name: of.name.to_owned(),
        columns: seen.iter().map(|column| (column.name.to_owned(), column.ty)).collect(),
        closed: closed.iter().map(|column| column.name.to_owned()).collect(),
        views: 0,
    };
    story.ask("BEGIN").await;
    let mut marks: Vec<Changed> = Vec::new();
    for number in 0..make.rng.random_range(2..7) {
        match make.rng.random_range(0..8) {
            0 => {
                story.ask("SAVEPOINT mark").await;
                marks.push(table.clone());
                continue;
            }
            1 if !marks.is_empty() => {
                story.ask("ROLLBACK TO mark").await;
                table = marks[marks.len() - 1].clone();
                continue;
            }
            _ => {}
        }
        let (sql, then) = change(make, &table, number);
        story.ask("SAVEPOINT tried").await;
        let mut done = story.ask(&sql).await;
        if done {
            let mut queries = vec![read(make, &then)];
            if then.views > table.views {
                queries.push(format!("SELECT a, b FROM over{number}"));
            }
            for query in queries {
                done = done && story.ask(&query).await;
            }
        }
        // What was not answered takes the change back with it.
        if done {
            table = then;
        } else {
            story.ask("ROLLBACK TO tried").await;
        }
        story.ask("RELEASE tried").await;
        let query = read(make, &table);
        if !story.ask(&query).await {
            break;
        }
    }
    end(story, purpose).await;
}

/// Nothing of it is left, nor of what was known of it.
async fn end(story: &mut Story<'_>, purpose: &Purpose) {
    story.ask("ROLLBACK").await;
    let statement = Generator::new(story.seed * 10 + 7, purpose.letter, false).statement();
    story.ask(&statement.sql).await;
}
