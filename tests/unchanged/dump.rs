//! pg_dump: of an open schema what it writes without the proxy, in each of its forms; of a governed one a copy with masked values that
//! restores.

use std::process::Output;

use pgpurpose::server::Options;

use crate::raw::{self, cluster, servers, socket};
use crate::straight;

/// One of each kind that pg_dump writes.
const SCHEMA: &str = include_str!("dump.sql");

const OPEN: &str = r#"
version = 1
unlisted_tables = "allow"
[purposes.work]
basis = "contract"
[roles.app]
logins = ["dumper"]
purposes = ["work"]
"#;

const MASKED: &str = r#"
version = 1
unlisted_tables = "allow"
[tables."public.customers"]
subject = "id"
[tables."public.customers".columns]
id = "reference"
name = "identity"
mood = "operational"
rating = "operational"
since = "dates"
credit = "finance"
tags = "operational"
notes = "notes"
[tables."public.orders"]
subject = "customer"
columns = { id = "reference", customer = "reference", total = "finance" }
[purposes.testing]
basis = "contract"
[roles.testers]
logins = ["dumper"]
purposes = ["testing"]
[[rules]]
name = "a copy for tests"
roles = ["testers"]
purposes = ["testing"]
read = ["reference", "operational"]
mask = { identity = "first(1)", dates = "year", finance = "band(10)", notes = "null" }
"#;

fn database(name: &str) {
    straight("postgres", "postgres").query(&format!("CREATE DATABASE {name}"));
    straight("postgres", "postgres").query("CREATE ROLE dumper LOGIN SUPERUSER");
    cluster().run_sql(name, SCHEMA).unwrap();
}

fn dump(port: u16, arguments: &[&str], database: &str) -> Output {
    let port = port.to_string();
    let mut command = cluster().client("pg_dump");
    command.args(["-h", "127.0.0.1", "-p", &port, "-U", "dumper"]).args(arguments).arg(database).output().unwrap()
}

/// The text, without the word that pg_dump draws anew each time.
fn text(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    let kept = text.lines().filter(|line| !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict"));
    kept.fold(String::new(), |all, line| all + line + "\n")
}

#[test]
fn pg_dump_writes_of_an_open_schema_what_it_writes_without_the_proxy() {
    database("dumped");
    let proxy = raw::start(Options::new("127.0.0.1:0", servers(&socket())), OPEN, raw::catalog("dumped"));
    let forms: [&[&str]; 9] = [
        &[],
        &["--schema-only"],
        &["--data-only", "--disable-triggers"],
        &["--inserts", "--rows-per-insert=3"],
        &["--column-inserts", "--table=public.customers"],
        &["--clean", "--if-exists", "--create"],
        &["--no-owner", "--no-privileges", "--schema=extra"],
        &["--quote-all-identifiers", "--serializable-deferrable"],
        &["--section=post-data", "--exclude-table=orders"],
    ];
    for form in forms {
        let (beside, through) = (dump(cluster().port(), form, "dumped"), dump(proxy.port, form, "dumped"));
        assert_eq!(text(&through), text(&beside), "{form:?}");
    }
    // An archive, and a folder by two connections that share a snapshot, hold the same.
    let folder = tempfile::tempdir().unwrap();
    for form in [&["--format=custom"] as &[&str], &["--format=tar"], &["--format=directory", "--jobs=2"]] {
        let listed = |port: u16, name: &str| {
            let at = folder.path().join(name);
            let _ = std::fs::remove_dir_all(&at);
            let _ = std::fs::remove_file(&at);
            let file = format!("--file={}", at.display());
            let output = dump(port, &[form, &[file.as_str()]].concat(), "dumped");
            assert!(output.status.success(), "{form:?}: {}", String::from_utf8_lossy(&output.stderr));
            let restored = cluster().client("pg_restore").arg("--file=-").arg(&at).output().unwrap();
            text(&restored)
        };
        assert_eq!(listed(proxy.port, "through"), listed(cluster().port(), "beside"), "{form:?}");
    }
}

#[test]
fn pg_dump_for_a_purpose_is_a_copy_with_masked_values_that_restores() {
    database("governed_dump");
    let proxy = raw::start(Options::new("127.0.0.1:0", servers(&socket())), MASKED, raw::catalog("governed_dump"));
    for (copy, form) in [("copied", &[] as &[&str]), ("inserted", &["--column-inserts"])] {
        let output = dump(proxy.port, form, "governed_dump");
        let dumped = text(&output);
        for hidden in ["Thandiwe", "Vela", "1984-07-21", "4711.50", "allergic"] {
            assert!(!dumped.contains(hidden), "{hidden} stands in the dump");
        }
        straight("postgres", "postgres").query(&format!("CREATE DATABASE {copy}"));
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &output.stdout).unwrap();
        cluster().user().give(file.path()).unwrap();
        let psql = cluster()
            .client("psql")
            .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", copy, "-f"])
            .arg(file.path())
            .output();
        let psql = psql.unwrap();
        assert!(psql.status.success(), "{form:?}: {}", String::from_utf8_lossy(&psql.stderr));
        let rows = |sql: &str| cluster().run_sql(copy, sql).unwrap().trim().to_owned();
        assert_eq!(rows("SELECT count(*) FROM customers"), "30");
        assert_eq!(rows("SELECT count(*) FROM customers c JOIN orders o ON o.customer = c.id"), "20");
        assert_eq!(
            rows("SELECT name, mood, since::date, credit, notes FROM customers WHERE id = 1"),
            "T*******|ok|1984-01-01|4710.00|"
        );
        assert_eq!(rows("SELECT * FROM part1"), "3|x");
        assert_eq!(rows("SELECT count(*) FROM pg_constraint WHERE conrelid = 'orders'::regclass"), "3");
        assert_eq!(rows("INSERT INTO orders (customer, total) VALUES (2, 12) RETURNING customer"), "2");
    }
}
