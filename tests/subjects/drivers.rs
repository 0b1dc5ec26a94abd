//! Drivers see nothing of the keys.

use super::*;

/// Runs a script of another language with `PG*` leading to the proxy; `None`, loudly, where its driver is not installed.
fn script(program: &str, probe: &[&str], arguments: &[&str], application: &str) -> Option<String> {
    let command = || {
        let mut command = std::process::Command::new(program);
        command
            .env("PGHOST", "127.0.0.1")
            .env("PGPORT", proxy().port.to_string())
            .env("PGUSER", "support")
            .env("PGDATABASE", "seen")
            .env("PGSSLMODE", "disable")
            .env("PGAPPNAME", application)
            .env("NODE_PATH", concat!(env!("CARGO_MANIFEST_DIR"), "/target/pg18/node_modules"))
            .env("PYTHONDONTWRITEBYTECODE", "1");
        command
    };
    if !command().args(probe).output().is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: `{program} {}` fails, so nothing of it is tested", probe.join(" "));
        return None;
    }
    let output = command().args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap().trim().to_owned())
}

#[test]
fn drivers_see_nothing_of_the_keys() {
    let python = std::env::var("PGPURPOSE_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let psycopg = r#"
import psycopg
from psycopg.rows import dict_row
with psycopg.connect("", autocommit=True, prepare_threshold=0) as c:
    for binary in (False, True):
        cur = c.cursor(binary=binary, row_factory=dict_row)
        print(cur.execute("SELECT id, city FROM persons WHERE id = %s", [1]).fetchall())
        print(cur.execute("SELECT id, city FROM persons WHERE id = %s", [2]).fetchone(), len(cur.description))
    with c.pipeline():
        a = c.execute("SELECT id FROM persons WHERE id = 3")
        b = c.execute("SELECT * FROM persons WHERE id = 4")
    print(a.fetchall(), b.fetchall())
    with c.transaction(), c.cursor("named") as cur:
        cur.itersize = 2
        cur.execute("SELECT id FROM persons ORDER BY id")
        print([row[0] for row in cur])
    for how in ("", "(FORMAT binary)"):
        with c.cursor().copy(f"COPY (SELECT id, city FROM persons WHERE id = 5) TO STDOUT {how}") as copy:
            copy.set_types(["int4", "text"])
            print(list(copy.rows()))
"#;
    if let Some(said) = script(&python, &["-c", "import psycopg"], &["-c", psycopg], "psycopg") {
        let one = "[{'id': 1, 'city': 'Pretoria'}]\n{'id': 2, 'city': 'Durban'} 2\n";
        let expected = format!(
            "{one}{one}[(3,)] [(4, 'p*******', 'Durban')]\n[1, 2, 3, 4, 5]\n[(5, 'Pretoria')]\n[(5, 'Pretoria')]"
        );
        assert_eq!(said, expected);
        assert_eq!(told(&disclosures("psycopg")), "persons 1 2 3 4 5");
    }
    let asyncpg = r#"
import asyncio, asyncpg, io, os
async def main():
    c = await asyncpg.connect(ssl=False, server_settings={"application_name": os.environ["PGAPPNAME"]})
    print([tuple(r) for r in await c.fetch("SELECT id, city FROM persons WHERE id = $1", 1)])
    s = await c.prepare("SELECT * FROM persons WHERE id = ANY($1::int[]) ORDER BY id")
    print([a.name for a in s.get_attributes()], [r["id"] for r in await s.fetch([1, 2])])
    async with c.transaction():
        print([r["id"] async for r in c.cursor("SELECT id FROM persons ORDER BY id", prefetch=2)])
    out = io.BytesIO()
    print(await c.copy_from_query("SELECT id, city FROM persons WHERE id = 2", output=out, format="csv"), out.getvalue())
    await c.close()
asyncio.run(main())
"#;
    if let Some(said) = script(&python, &["-c", "import asyncpg"], &["-c", asyncpg], "asyncpg") {
        let expected = "[(1, 'Pretoria')]\n['id', 'email', 'city'] [1, 2]\n[1, 2, 3, 4, 5]\nCOPY 1 b'2,Durban\\n'";
        assert_eq!(said, expected);
        assert_eq!(told(&disclosures("asyncpg")), "persons 1 2 3 4 5");
    }
    let node = r#"
const { Client } = require("pg");
(async () => {
  const c = new Client({ application_name: process.env.PGAPPNAME });
  await c.connect();
  for (const name of [undefined, "q"]) {
    const r = await c.query({ name, text: "SELECT id, city FROM persons WHERE id = $1", values: [1], rowMode: "array" });
    console.log(JSON.stringify(r.rows), r.fields.map((f) => f.name).join(","));
  }
  const r = await c.query("SELECT * FROM persons WHERE id = 2");
  console.log(Object.keys(r.rows[0]).join(","));
  await c.end();
})().catch((e) => { console.error(e); process.exit(1); });
"#;
    if let Some(said) = script("node", &["-e", "require('pg')"], &["-e", node], "node") {
        assert_eq!(said, "[[1,\"Pretoria\"]] id,city\n[[1,\"Pretoria\"]] id,city\nid,email,city");
        assert_eq!(told(&disclosures("node")), "persons 1 2");
    }
}
