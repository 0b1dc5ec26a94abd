//! What the proxy costs, as ratios: the same pgbench, alternating, straight to the database, through pgbouncer, and through
//! the proxy with the access log on.
//!
//! `cargo bench --bench compare` prints a table in Markdown; see `benches/side` for the variables. What recording costs by
//! itself, with subjects and without, is in `benches/recording.rs`.
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
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

use pgpurpose::cli::cluster::Cluster;
use side::Way;
use support::proxy::{Proxy, Upstream};

/// The same table for four purposes.
const POLICY: &str = r#"
version = 1
unlisted_tables = "deny"
[tables."public.pgbench_accounts"]
subject = "aid"
[tables."public.pgbench_accounts".columns]
aid = "reference"
bid = "reference"
abalance = "balance"
filler = "text"
[tables."privacy.consents"]
subject = "subject_id"
columns = { subject_id = "reference", purpose = "text", granted = "text", withdrawn_at = "text" }
[tables."public.pgbench_branches"]
open = true
[tables."public.pgbench_tellers"]
open = true
[consent]
table = "privacy.consents"
subject = "subject_id"
purpose = "purpose"
active = "granted AND withdrawn_at IS NULL"
[purposes.read]
basis = "contract"
[purposes.masked]
basis = "contract"
[purposes.marketing]
basis = "consent"
[roles.bench]
logins = ["postgres"]
purposes = ["read", "masked", "marketing"]
[[rules]]
name = "balances"
roles = ["bench"]
purposes = ["read", "marketing"]
read = ["reference", "balance"]
[[rules]]
name = "bands of balances"
roles = ["bench"]
purposes = ["masked"]
read = ["reference"]
mask = { balance = "band(100)" }
"#;

const CONSENTS: &str = "
    CREATE SCHEMA privacy;
    CREATE TABLE privacy.consents (subject_id bigint, purpose text, granted boolean, withdrawn_at timestamptz,
        PRIMARY KEY (subject_id, purpose));
    INSERT INTO privacy.consents SELECT aid, 'marketing', true, CASE WHEN aid % 3 = 0 THEN now() END FROM pgbench_accounts;
    CREATE ROLE pgpurpose LOGIN;
    VACUUM ANALYZE;";

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// Ends with the bench.
struct Bouncer(Child);

impl Drop for Bouncer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// pgbouncer in session mode over the same Unix socket, where it is installed.
fn bouncer(cluster: &Cluster) -> Option<(Bouncer, u16)> {
    let program =
        ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"].into_iter().find(|path| fs::exists(path).unwrap_or(false))?;
    let port = free_port();
    let folder = tempfile::Builder::new().prefix("pgpurpose-bouncer-").tempdir().unwrap().keep();
    let at = |name: &str| folder.join(name);
    fs::write(at("users.txt"), "\"postgres\" \"\"\n").unwrap();
    fs::write(
        at("pgbouncer.ini"),
        format!(
            "[databases]\nbench = host={} port={} dbname=bench\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             auth_type = trust\nauth_file = {}\npool_mode = session\nmax_client_conn = 100\ndefault_pool_size = 50\n\
             unix_socket_dir =\nlogfile = {}\n",
            cluster.socket_dir().display(),
            cluster.port(),
            at("users.txt").display(),
            at("log").display()
        ),
    )
    .unwrap();
    cluster.user().give(&folder).unwrap();
    for name in ["users.txt", "pgbouncer.ini"] {
        cluster.user().give(&at(name)).unwrap();
    }
    let child =
        cluster.user().command(program).arg("-q").arg(at("pgbouncer.ini")).stdin(Stdio::null()).spawn().unwrap();
    let bouncer = Bouncer(child);
    for _ in 0..100 {
        if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Some((bouncer, port));
        }
        thread::sleep(Duration::from_millis(50));
    }
    None
}

fn main() {
    let cluster = side::cluster(CONSENTS);
    let always = Proxy::start_with(&cluster, Upstream::Socket, POLICY, "");
    let written = Proxy::start_logging(&cluster, Upstream::Socket, POLICY, "", "sync = \"written\"");
    let mut ways = vec![Way::socket(&cluster), Way::direct(&cluster)];
    let bouncer = bouncer(&cluster);
    if let Some((_, port)) = &bouncer {
        ways.push(Way::tcp("pgbouncer, session mode", *port, "bench"));
    }
    ways.push(Way::tcp("pgpurpose, plain columns, log handed to the kernel", written.port, "bench@read"));
    ways.push(Way::tcp("pgpurpose, masked column, log handed to the kernel", written.port, "bench@masked"));
    ways.push(Way::tcp("pgpurpose, consent filter, log handed to the kernel", written.port, "bench@marketing"));
    ways.push(Way::tcp("pgpurpose, plain columns, log on disk first", always.port, "bench@read"));
    for clients in ["1", "8"] {
        let what = format!("`pgbench -S -M prepared -c {clients} -j 2`");
        side::compare(&cluster, &mut ways, 1, &what, &["-S", "-c", clients]);
    }
}
