//! Drivers other than libpq, on the main line: TLS on both sides, and plain.

use std::path::Path;
use std::process::Command;

use crate::setup::{Authority, PASSWORD, guarded, missing, proxy};

/// Runs a script of another language; skipped loudly where its driver is not there, but not in CI.
fn run(mut command: Command, probe: &[&str], script: &[&str], what: &str) {
    let guarded = guarded();
    let mut probing = Command::new(command.get_program());
    for (name, value) in command.get_envs() {
        probing.env(name, value.unwrap());
    }
    if !probing.args(probe).output().is_ok_and(|output| output.status.success()) {
        missing(&format!("{what} is not installed, so nothing of it is tested"));
        return;
    }
    let proxy = proxy(&guarded.listen(), &format!("{}{}", guarded.upstream_tls(), guarded.auth("passthrough")));
    let output =
        command.args(script).env("TEST_PORT", proxy.port.to_string()).env("TEST_PASSWORD", PASSWORD).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{what}: {said}{}\n{}", String::from_utf8_lossy(&output.stderr), proxy.output());
    assert_eq!(said.trim(), "ok ok refused", "{what}");
}

#[test]
fn asyncpg_logs_in() {
    let python = std::env::var("PGPURPOSE_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let script = r#"
import asyncio, asyncpg, os, ssl
async def main():
    to = dict(host="127.0.0.1", port=int(os.environ["TEST_PORT"]), user="support_agent", database="shop")
    tls = ssl.create_default_context(); tls.check_hostname = False; tls.verify_mode = ssl.CERT_NONE
    said = []
    for way in (False, tls):
        c = await asyncpg.connect(**to, password=os.environ["TEST_PASSWORD"], ssl=way)
        assert await c.fetchval("SELECT count(*) FROM customers") > 0
        await c.close(); said.append("ok")
    try:
        await asyncpg.connect(**to, password="wrong", ssl=tls)
    except asyncpg.InvalidPasswordError:
        said.append("refused")
    print(*said)
asyncio.run(main())
"#;
    run(Command::new(python), &["-c", "import asyncpg"], &["-c", script], "asyncpg");
}

#[test]
fn node_postgres_logs_in() {
    let mut node = Command::new("node");
    node.env("NODE_PATH", Path::new(env!("CARGO_MANIFEST_DIR")).join("target/pg18/node_modules"));
    let script = r#"
const { Client } = require("pg");
const to = { host: "127.0.0.1", port: +process.env.TEST_PORT, user: "support_agent", database: "shop" };
(async () => {
  const said = [];
  for (const more of [{}, { ssl: { rejectUnauthorized: false }, enableChannelBinding: true }]) {
    const c = new Client({ ...to, ...more, password: process.env.TEST_PASSWORD });
    await c.connect();
    const r = await c.query("SELECT count(*) AS n FROM customers");
    if (!(+r.rows[0].n > 0)) throw new Error("no rows");
    await c.end(); said.push("ok");
  }
  try {
    const c = new Client({ ...to, password: "wrong" });
    c.on("error", () => {});
    await c.connect();
  } catch (e) { if (e.code !== "28P01") throw e; said.push("refused"); }
  console.log(said.join(" "));
})().catch((e) => { console.error(e); process.exit(1); });
"#;
    run(node, &["-e", "require('pg')"], &["-e", script], "node-postgres");
}

/// Debian's `libpostgresql-jdbc-java`.
const PGJDBC: &str = "/usr/share/java/postgresql.jar";

#[test]
fn pgjdbc_prepares_batches_fetches_and_verifies() {
    let java = std::env::var("PGPURPOSE_TEST_PGJDBC").unwrap_or_else(|_| PGJDBC.to_owned());
    let compiler = Command::new("java").args(["--list-modules"]).output();
    let compiles = compiler.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("jdk.compiler"));
    if !compiles || !Path::new(&java).exists() {
        return missing("pgjdbc or a JDK is not installed, so nothing of it is tested");
    }
    let guarded = guarded();
    let other = guarded.files.write("jdbc-other-ca.crt", &Authority::new("another").pem);
    let proxy = proxy(&guarded.listen(), &format!("{}{}", guarded.upstream_tls(), guarded.auth("passthrough")));
    let output = Command::new("java")
        .args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", &java])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/auth/Jdbc.java"))
        .env("TEST_PORT", proxy.port.to_string())
        .env("TEST_PASSWORD", PASSWORD)
        .env("TEST_CA", guarded.files.at("db-ca.crt"))
        .env("TEST_OTHER_CA", other)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let wanted = "plain verify-full row1 row2 row3 row4 row5 row6 row7 row8 server-prepared masked refused-in-words portals \
                  batch written rolled-back metadata purpose binary refused unknown-authority";
    assert_eq!(said.trim(), wanted);
    let log = proxy.access_log();
    let connects: Vec<_> = log.iter().filter(|record| record["event"] == "connect").collect();
    assert!(connects.iter().any(|record| record["tls"] == "TLSv1.3"), "{connects:?}");
    assert!(log.iter().any(|record| record["event"] == "access" && record["application"] == "jdbc"));
}
