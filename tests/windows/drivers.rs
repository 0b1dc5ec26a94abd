//! What drivers and mappers do to read a large result in parts, for a purpose that rests on consent: a consent that is withdrawn between two
//! parts takes its rows out of the rest, and the driver notices nothing else.
#![allow(clippy::print_stderr)]

use std::path::Path;
use std::process::Command;

use super::raw::cluster;
use super::stand;

/// Begins each script: `withdraw` and `grant` go straight to the database.
const PYTHON: &str = r#"
import os, psycopg
direct = psycopg.connect(os.environ["DIRECT"], autocommit=True)
def consent(on, people): direct.execute("UPDATE privacy.consents SET granted = %s WHERE subject_id = ANY(%s)", (on, list(people)))
def show(what, rows): print(what, ",".join(str(row if isinstance(row, int) else row[0]) for row in rows), flush=True)
QUERY = "SELECT person, name FROM readers WHERE person BETWEEN 2101 AND 2124 ORDER BY person"
"#;

/// Server-side cursors by name: forwards, scrolled, and held beyond their transaction.
const PSYCOPG: &str = r#"
with psycopg.connect() as c:
    with c.cursor(name="of a report") as cur:
        cur.itersize = 10
        cur.execute(QUERY)
        show("first", cur.fetchmany(5))
        consent(False, [2107, 2112, 2118])
        some = cur.fetchmany(5)
        show("made up for", some)
        consent(True, [2118])
        show("iterated", list(cur))
        consent(True, [2107, 2112])
    with c.cursor(name="back", scrollable=True) as cur:
        cur.execute(QUERY)
        cur.fetchmany(12)
        consent(False, [2101, 2103])
        cur.scroll(0, "absolute")
        show("from the start again", cur.fetchmany(4))
        cur.scroll(-2)
        show("two back", cur.fetchone()[:1])
        consent(True, [2101, 2103])
    with c.cursor(name="held", withhold=True) as cur:
        cur.execute(QUERY)
        show("before COMMIT", cur.fetchmany(2))
        c.commit()
        consent(False, [2103, 2124])
        show("held", cur.fetchall())
        consent(True, [2103, 2124])
"#;

/// `.iterator()`: a cursor WITH HOLD where each statement commits by itself, and one of the transaction in `atomic`.
const DJANGO: &str = r#"
import django
from django.conf import settings
settings.configure(DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "HOST": os.environ["PGHOST"], "PORT": os.environ["PGPORT"],
                                          "USER": os.environ["PGUSER"], "NAME": os.environ["PGDATABASE"]}}, INSTALLED_APPS=[])
django.setup()
from django.db import models, transaction
class Reader(models.Model):
    person = models.IntegerField(primary_key=True)
    name = models.TextField()
    class Meta: db_table, managed, app_label = "readers", False, "test"
def some(iterator, count): return [next(iterator).person for _ in range(count)]
def read(what):
    iterator = Reader.objects.filter(person__range=(2101, 2124)).order_by("person").iterator(chunk_size=10)
    show(what + ", first", some(iterator, 3))
    consent(False, [2102, 2112, 2113])
    # The first ten had been read.
    show(what + ", rest", [reader.person for reader in iterator])
    consent(True, [2102, 2112, 2113])
read("by itself")
with transaction.atomic(): read("atomic")
"#;

/// Portals that are executed some rows at a time.
const ASYNCPG: &str = r#"
import asyncio, asyncpg
async def main():
    c = await asyncpg.connect(host=os.environ["PGHOST"], port=int(os.environ["PGPORT"]), user=os.environ["PGUSER"], database=os.environ["PGDATABASE"], ssl=False)
    async with c.transaction():
        cur = await c.cursor(QUERY)
        show("first", [r["person"] for r in await cur.fetch(4)])
        consent(False, [2105, 2110])
        show("fetch", [r["person"] for r in await cur.fetch(4)])
        await cur.forward(2)
        show("rest", [r["person"] for r in await cur.fetch(100)])
        consent(True, [2105, 2110])
    async with c.transaction():
        found = []
        async for row in c.cursor(QUERY, prefetch=10):
            found.append(row["person"])
            if len(found) == 3: consent(False, [2102, 2112, 2113])
        show("iterated", found)
        consent(True, [2102, 2112, 2113])
asyncio.run(main())
"#;

/// Through a proxy of this process, to the cluster's database `postgres`.
fn through(program: &str) -> Command {
    let address = cluster().tcp_address().unwrap();
    let (host, port) = address.rsplit_once(':').unwrap();
    let mut command = Command::new(program);
    command
        .env("DIRECT", format!("host={host} port={port} user=postgres dbname=postgres"))
        .env("DIRECT_PORT", port)
        .env("PGHOST", "127.0.0.1")
        .env("PGPORT", stand().port.to_string())
        .env("PGUSER", "support")
        .env("PGDATABASE", "postgres")
        .env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// Whether a program has what it needs; where it has not, the test says so, and fails in CI.
fn has(probe: &mut Command) -> bool {
    if probe.output().is_ok_and(|output| output.status.success()) {
        return true;
    }
    assert!(std::env::var_os("CI").is_none(), "{probe:?} fails");
    eprintln!("SKIPPED: {probe:?} fails; `.ci/run` installs what it needs");
    false
}

#[track_caller]
fn says(command: &mut Command, expected: &[&str]) {
    let output = command.output().unwrap();
    let (said, wrong) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}{wrong}");
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines, expected, "{wrong}");
}

fn python(modules: &str, script: &str, expected: &[&str]) {
    let python = std::env::var("PGPURPOSE_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    if has(Command::new(&python).args(["-c", &format!("import {modules}")])) {
        says(through(&python).args(["-c", &format!("{PYTHON}{script}")]), expected);
    }
}

#[test]
fn named_cursors_of_psycopg_leave_out_who_withdrew_between_two_fetches() {
    python(
        "psycopg",
        PSYCOPG,
        &[
            "first 2101,2102,2103,2104,2105",
            "made up for 2106,2108,2109,2110,2111",
            "iterated 2113,2114,2115,2116,2117,2118,2119,2120,2121,2122,2123,2124",
            "from the start again 2102,2104,2105,2106",
            "two back 2105",
            "before COMMIT 2101,2102",
            "held 2104,2105,2106,2107,2108,2109,2110,2111,2112,2113,2114,2115,2116,2117,2118,2119,2120,2121,2122,2123",
        ],
    );
}

#[test]
fn django_s_iterator_leaves_out_who_withdrew_between_two_chunks() {
    let rest = "2104,2105,2106,2107,2108,2109,2110,2111,2114,2115,2116,2117,2118,2119,2120,2121,2122,2123,2124";
    let lines: Vec<String> = ["by itself", "atomic"]
        .iter()
        .flat_map(|what| [format!("{what}, first 2101,2102,2103"), format!("{what}, rest {rest}")])
        .collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    python("django, psycopg", DJANGO, &lines);
}

#[test]
fn asyncpg_s_cursors_leave_out_who_withdrew_between_two_parts() {
    python(
        "asyncpg, psycopg",
        ASYNCPG,
        &[
            "first 2101,2102,2103,2104",
            "fetch 2106,2107,2108,2109",
            "rest 2112,2113,2114,2115,2116,2117,2118,2119,2120,2121,2122,2123,2124",
            "iterated 2101,2102,2103,2104,2105,2106,2107,2108,2109,2110,2111,2114,2115,2116,2117,2118,2119,2120,2121,2122,2123,2124",
        ],
    );
}

/// Debian's `libpostgresql-jdbc-java`.
const PGJDBC: &str = "/usr/share/java/postgresql.jar";

#[test]
fn a_fetch_size_of_jdbc_leaves_out_who_withdrew_between_two_parts() {
    let driver = std::env::var("PGPURPOSE_TEST_PGJDBC").unwrap_or_else(|_| PGJDBC.to_owned());
    if !has(Command::new("java").args(["--module-path", &driver, "--list-modules"])) || !Path::new(&driver).exists() {
        return;
    }
    let mut java = through("java");
    java.args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", &driver]);
    java.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/windows/Parts.java"));
    let all = |gone: &[i32]| {
        let people: Vec<String> = (2101..=2124).filter(|id| !gone.contains(id)).map(|id| id.to_string()).collect();
        people.join(",")
    };
    let lines = [
        format!("statement {}", all(&[2112, 2118])),
        format!("prepared {}", all(&[2112, 2118])),
        format!("prepared {}", all(&[2112, 2118])),
        format!("server-prepared {}", all(&[2112, 2118])),
        format!("holdable {}", all(&[])),
        "left 0".to_owned(),
    ];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    says(&mut java, &lines);
}
