//! What recording costs, as ratios: pgbench reading one row and a hundred, straight to the database and through the proxy
//! with `sync = "always"` and `"written"`, each with `record_subjects` and without.
//!
//! `cargo bench --bench recording` prints tables in Markdown, for one client and eight, all ways alternating within one run. See
//! `benches/side` for the variables.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    missing_docs
)]

mod side;
#[path = "../tests/support/mod.rs"]
mod support;

use std::fs;

use side::{SCALE, Way};
use support::proxy::{Proxy, Upstream};

/// `RECORDED` is where `record_subjects` comes in.
const POLICY: &str = r#"
version = 1
unlisted_tables = "deny"
[tables."public.pgbench_accounts"]
subject = "aid"
RECORDED
columns = { aid = "reference", bid = "reference", abalance = "balance", filler = "text" }
[purposes.read]
basis = "contract"
[roles.bench]
logins = ["postgres"]
purposes = ["read"]
[[rules]]
name = "balances"
roles = ["bench"]
purposes = ["read"]
read = ["reference", "balance"]
"#;

/// Rows that one statement reads.
const ROWS: [u64; 2] = [1, 100];

fn main() {
    let cluster = side::cluster("CREATE ROLE pgpurpose LOGIN; VACUUM ANALYZE;");
    let mut ways = vec![Way::direct(&cluster)];
    let mut proxies = Vec::new();
    for (sync, reaches) in [("written", "handed to the kernel"), ("always", "on disk first")] {
        for (recorded, names) in [("", "without subjects"), ("record_subjects = true", "with subjects")] {
            let keys = format!("sync = \"{sync}\"");
            let policy = POLICY.replace("RECORDED", recorded);
            let proxy = Proxy::start_logging(&cluster, Upstream::Socket, &policy, "", &keys);
            ways.push(Way::tcp(format!("pgpurpose, `{sync}` ({reaches}), {names}"), proxy.port, "bench@read"));
            proxies.push((proxy, !recorded.is_empty()));
        }
    }
    let folder = tempfile::tempdir().unwrap();
    for rows in ROWS {
        let script = folder.path().join(format!("{rows}.sql"));
        let last = SCALE * 100_000 - rows + 1;
        let text = format!(
            "\\set aid random(1, {last})\n\
             SELECT aid, abalance FROM pgbench_accounts WHERE aid BETWEEN :aid AND :aid + {};\n",
            rows - 1
        );
        fs::write(&script, text).unwrap();
        for clients in ["1", "8"] {
            let what = format!("`pgbench -M prepared -c {clients} -j 2`, {rows} rows by primary key");
            side::compare(&cluster, &mut ways, 0, &what, &["-c", clients, "-f", script.to_str().unwrap()]);
        }
    }
    // That what was measured is what the names say.
    for (proxy, recorded) in &proxies {
        let mut disclosed = false;
        pgpurpose::audit::read::scan(&proxy.audit_dir(), |entry| {
            disclosed |= entry.event() == "disclosure";
            !disclosed
        })
        .unwrap();
        assert_eq!(disclosed, *recorded);
    }
}
