//! Bad nights: a proxy that is stopped while statements run, two on one port, folders that others may change, several logs.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::support::client::{login, wait};
use super::support::proxy::{Port, Proxy, Upstream};
use super::support::{self, shop};
use super::{SHOP_POLICY, folder, get, pgpurpose, signal, until};

fn started(listen: &str) -> Proxy {
    let sections = format!(
        "[upstream]\naddress = \"{}:{}\"\ntls = \"disable\"\ncatalog_login = \"pgpurpose\"\n[auth]\nmethod = \"relay\"\n",
        shop().socket_dir().display(),
        shop().port()
    );
    Proxy::start_sections(SHOP_POLICY, listen, &sections)
}

/// How many statements with this text run in the database.
fn running(text: &str) -> String {
    let asked = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid() AND query LIKE '%{text}%'"
    );
    support::direct(shop(), "shop", &asked)
}

/// A psql that is connected and asks nothing.
fn idle(proxy: &Proxy) -> Child {
    let mut psql = proxy.client(shop(), &login("support_agent"), "psql");
    let mut psql =
        psql.args(["-X", "-q"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    psql.stdin.as_mut().unwrap().write_all(b"SELECT 1;\n").unwrap();
    psql
}

fn metric(proxy: &Proxy, name: &str) -> String {
    let (_, text) = get(proxy, "/metrics");
    let line = text.lines().find(|line| line.starts_with(&format!("pgpurpose_{name} ")));
    line.unwrap_or_else(|| panic!("no `{name}`: {text}")).rsplit(' ').next().unwrap().to_owned()
}

#[test]
fn a_proxy_that_is_stopped_lets_statements_and_transactions_finish_and_says_no_first() {
    let proxy = started("drain_notice_seconds = 1");
    let mut resting = idle(&proxy);
    let migrator = login("migrator").application("drained");
    // Two statements of one transaction: the second comes while the proxy is being stopped.
    let script = "BEGIN; SELECT pg_sleep(2); SELECT 'and more'; COMMIT; SELECT 'too late'";
    let mut psql = proxy.client(shop(), &migrator, "psql");
    let mut working = psql
        .args(["-X", "-q", "-A", "-t"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    working.stdin.take().unwrap().write_all(script.replace("; ", ";\n").as_bytes()).unwrap();
    until("the statement runs", || running("pg_sleep(2)") == "1");
    until("both are there", || metric(&proxy, "sessions") == "2");
    signal(&proxy, "TERM");
    until("the proxy says no", || get(&proxy, "/readyz").0 == 503);
    let (_, said) = get(&proxy, "/readyz");
    assert!(said.contains("draining: the proxy is being stopped"), "{said}");
    assert!(TcpStream::connect(("127.0.0.1", proxy.port)).is_ok(), "nobody has been told long enough yet");
    until("nobody new is taken", || TcpStream::connect(("127.0.0.1", proxy.port)).is_err());
    until("who is at rest is gone", || metric(&proxy, "sessions") == "1");
    let said = wait(working, Duration::from_secs(30)).unwrap();
    assert_eq!(said.out.lines().filter(|line| !line.is_empty()).collect::<Vec<_>>(), ["and more"], "{said:?}");
    assert!(said.err.contains("the proxy is shutting down"), "{said:?}");
    let ended = || proxy.access_log().last().is_some_and(|record| record["event"] == "stop");
    until("the log is closed", ended);
    let log = proxy.access_log();
    let slept =
        proxy.accesses_of("drained").into_iter().find(|record| record["statement"].to_string().contains("pg_sleep"));
    let outcome =
        log.iter().find(|record| record["event"] == "outcome" && record["of"] == slept.as_ref().unwrap()["seq"]);
    assert_eq!(outcome.unwrap()["status"], "ok");
    let _ = resting.kill();
    let _ = resting.wait();
}

#[test]
fn what_does_not_finish_in_time_is_cancelled_in_the_database() {
    let proxy = started("drain_seconds = 1");
    let working = proxy.spawn_psql(shop(), &login("migrator"), "SELECT pg_sleep(61)");
    until("the statement runs", || running("pg_sleep(61)") == "1");
    let begun = Instant::now();
    signal(&proxy, "TERM");
    let said = wait(working, Duration::from_secs(30)).unwrap();
    assert!(begun.elapsed() > Duration::from_millis(900), "it was not waited for");
    assert!(!said.ok && said.err.contains("the proxy is shutting down"), "{said:?}");
    until("nothing goes on", || running("pg_sleep(61)") == "0");
    until("the log is closed", || proxy.access_log().last().is_some_and(|record| record["event"] == "stop"));
}

#[test]
fn a_second_signal_ends_everything_at_once() {
    let proxy = started("drain_seconds = 600");
    let working = proxy.spawn_psql(shop(), &login("migrator"), "SELECT pg_sleep(62)");
    until("the statement runs", || running("pg_sleep(62)") == "1");
    signal(&proxy, "TERM");
    until("it is being stopped", || metric(&proxy, "draining") == "1");
    signal(&proxy, "TERM");
    let said = wait(working, Duration::from_secs(20)).unwrap();
    assert!(!said.ok, "{said:?}");
    until("nothing goes on", || running("pg_sleep(62)") == "0");
}

#[test]
fn a_second_proxy_on_a_port_is_refused_unless_the_port_is_handed_over() {
    let proxy = started("");
    let other = tempfile::tempdir().unwrap();
    let policy = other.path().join("other.toml");
    std::fs::write(&policy, SHOP_POLICY.replace("last(4)", "null")).unwrap();
    let admin = Port::free();
    let written = std::fs::read_to_string(folder(&proxy).join("pgpurpose.toml")).unwrap();
    let own = written
        .replace(&folder(&proxy).join("audit").display().to_string(), &other.path().join("audit").display().to_string())
        .replace(&folder(&proxy).join("policy.toml").display().to_string(), &policy.display().to_string())
        .replace(&proxy.admin_port.to_string(), &admin.number().to_string());
    let config = other.path().join("pgpurpose.toml");
    std::fs::write(&config, own).unwrap();
    let config = config.display().to_string();
    let (status, _, told) = pgpurpose(&["serve", "--config", &config]);
    assert_eq!(status, 2);
    assert!(told.contains(&format!("another process listens on `127.0.0.1:{}`", proxy.port)), "{told}");
    // Handed over: whoever connects meanwhile is served by one of both.
    let mut next = Command::new(env!("CARGO_BIN_EXE_pgpurpose"))
        .args(["serve", "--config", &config, "--hand-over"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let ready = || TcpStream::connect(("127.0.0.1", admin.number())).is_ok();
    until("the second serves", ready);
    let agent = login("support_agent").application("handed-over");
    let asked = |times: usize| {
        for _ in 0..times {
            assert_eq!(proxy.psql(shop(), &agent, &["SELECT id FROM customers WHERE id = 1"]).fine(), "1");
        }
    };
    asked(4);
    signal(&proxy, "TERM");
    until("the first is gone", || proxy.access_log().last().is_some_and(|record| record["event"] == "stop"));
    asked(4);
    let records = |directory: &std::path::Path| {
        let mut found = 0;
        pgpurpose::audit::read::scan(directory, |entry| {
            found += usize::from(entry.event() == "access" && entry.text("application") == Some("handed-over"));
            true
        })
        .unwrap();
        found
    };
    let logs = [proxy.audit_dir(), other.path().join("audit")];
    assert_eq!(records(&logs[0]) + records(&logs[1]), 8);
    assert!(records(&logs[1]) >= 4);
    // Both logs are verified at once, and one that is broken is enough.
    let [first, second] = logs.each_ref().map(|log| log.display().to_string());
    let (status, said, _) = pgpurpose(&["audit", "verify", "--dir", &first, "--dir", &second]);
    assert_eq!((status, said.matches("the chain holds").count()), (0, 2), "{said}");
    let _ = Command::new("kill").args(["-TERM", &next.id().to_string()]).status();
    next.wait().unwrap();
    let file = std::fs::read_dir(&second).unwrap().find_map(|entry| {
        let path = entry.unwrap().path();
        path.extension().is_some_and(|ending| ending == "jsonl").then_some(path)
    });
    let file = file.unwrap();
    let text = std::fs::read_to_string(&file).unwrap().replacen("support_agent", "supporT_agent", 1);
    std::fs::write(&file, text).unwrap();
    let (status, said, _) = pgpurpose(&["audit", "verify", "--dir", &first, "--dir", &second, "--json"]);
    assert_eq!(status, 1, "{said}");
    let holds: Vec<bool> = said
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["holds"].as_bool().unwrap())
        .collect();
    assert_eq!(holds, [true, false]);
    let (status, ..) = pgpurpose(&["audit", "tail", "--dir", &first, "--dir", &second]);
    assert_eq!(status, 2, "what reads one log says so");
}

#[test]
fn a_port_is_handed_over_under_load_and_nobody_is_refused() {
    let proxy = started("");
    let port = proxy.port;
    let other = tempfile::tempdir().unwrap();
    let admin = Port::free();
    let written = std::fs::read_to_string(folder(&proxy).join("pgpurpose.toml")).unwrap();
    let own = written
        .replace(&folder(&proxy).join("audit").display().to_string(), &other.path().join("audit").display().to_string())
        .replace(&proxy.admin_port.to_string(), &admin.number().to_string());
    let config = other.path().join("pgpurpose.toml");
    std::fs::write(&config, own).unwrap();
    let (over, connected, asked) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    let mut next = std::thread::scope(|scope| {
        // Those that only knock come as fast as they can; the others ask something.
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("nobody is refused");
                stream.write_all(&[0, 0, 0, 8, 4, 210, 22, 47]).expect("nor reset");
                let mut answer = [0];
                stream.read_exact(&mut answer).expect("nor left without an answer");
                assert_eq!(&answer, b"N");
                connected.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        for _ in 0..2 {
            scope.spawn(|| {
                let agent = login("support_agent").application("handing");
                while !over.load(Ordering::Relaxed) {
                    let mut psql = shop().client("psql");
                    psql.env("PGHOST", "127.0.0.1").env("PGPORT", port.to_string()).env("PGUSER", agent.login);
                    psql.env("PGDATABASE", "shop").env("PGAPPNAME", agent.application);
                    psql.args(["-X", "-q", "-A", "-t", "-c", "SELECT id FROM customers WHERE id = 1"]);
                    let said = psql.output().unwrap();
                    assert!(said.stdout == b"1\n", "{}", String::from_utf8_lossy(&said.stderr));
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let more = || {
            let before = (connected.load(Ordering::Relaxed), asked.load(Ordering::Relaxed));
            until("clients go on", || {
                connected.load(Ordering::Relaxed) > before.0 + 100 && asked.load(Ordering::Relaxed) > before.1 + 5
            });
        };
        more();
        let next = Command::new(env!("CARGO_BIN_EXE_pgpurpose"))
            .args(["serve", "--config", &config.display().to_string(), "--hand-over"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        until("the second serves", || TcpStream::connect(("127.0.0.1", admin.number())).is_ok());
        more();
        signal(&proxy, "TERM");
        until("the first is gone", || proxy.access_log().last().is_some_and(|record| record["event"] == "stop"));
        more();
        over.store(true, Ordering::Relaxed);
        next
    });
    let _ = Command::new("kill").args(["-TERM", &next.id().to_string()]).status();
    next.wait().unwrap();
    let records = |directory: &std::path::Path| {
        let mut found = 0;
        pgpurpose::audit::read::scan(directory, |entry| {
            found += usize::from(entry.event() == "access" && entry.text("application") == Some("handing"));
            true
        })
        .unwrap();
        found
    };
    let logs = [records(&proxy.audit_dir()), records(&other.path().join("audit"))];
    assert!(logs.iter().all(|count| *count > 5), "both served: {logs:?}");
    assert_eq!(logs.iter().sum::<usize>(), asked.into_inner(), "each statement is in one of both");
}

#[test]
fn a_key_that_others_can_read_and_a_folder_that_they_can_change_are_told_at_the_start() {
    let mut proxy = Proxy::start_with(shop(), Upstream::Socket, SHOP_POLICY, "");
    let at = folder(&proxy);
    let quiet = proxy.output();
    let set =
        |name: &str, mode| std::fs::set_permissions(at.join(name), std::fs::Permissions::from_mode(mode)).unwrap();
    set("token.key", 0o644);
    set("policy.toml", 0o666);
    set("audit", 0o777);
    proxy.kill();
    proxy.restart();
    let told = proxy.output()[quiet.len()..].to_owned();
    for part in [
        "token.key` can be read by others",
        "policy.toml` can be changed by others",
        "audit` can be read and changed by others",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    // What one place says too often is a number.
    assert!(get(&proxy, "/metrics").1.contains("pgpurpose_own_log_lines_total{level=\"warn\"} "));
}

/// A disk of its own that can be made to hang, as a storage that is away does. Undone with the test.
struct Hanging {
    folder: tempfile::TempDir,
    image: tempfile::NamedTempFile,
}

impl Hanging {
    /// `None`, with a loud message, where none can be mounted.
    #[allow(clippy::print_stderr)]
    fn mount() -> Option<Self> {
        let (folder, image) = (tempfile::tempdir().unwrap(), tempfile::NamedTempFile::new().unwrap());
        image.as_file().set_len(32 << 20).unwrap();
        let disk = Self { folder, image };
        let done = |program: &str, arguments: &[&std::path::Path]| {
            Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
        };
        let (image, folder) = (disk.image.path(), disk.folder.path());
        let made = done("mkfs.ext4", &["-q".as_ref(), image])
            && done("mount", &["-o".as_ref(), "loop".as_ref(), image, folder]);
        if made && done("fsfreeze", &["--freeze".as_ref(), folder]) {
            disk.thaw();
            return Some(disk);
        }
        eprintln!(
            "SKIPPED: no disk of its own can be mounted and made to hang here, so a sync that hangs is not tested"
        );
        None
    }

    fn freeze(&self) {
        assert!(Command::new("fsfreeze").arg("--freeze").arg(self.folder.path()).status().unwrap().success());
    }

    fn thaw(&self) {
        let _ = Command::new("fsfreeze").arg("--unfreeze").arg(self.folder.path()).output();
    }
}

impl Drop for Hanging {
    fn drop(&mut self) {
        self.thaw();
        let _ = Command::new("umount").arg("-l").arg(self.folder.path()).output();
    }
}

#[test]
fn a_disk_that_hangs_is_no_readiness_and_a_metric_until_it_answers_again() {
    let Some(disk) = Hanging::mount() else { return };
    let proxy = Proxy::start_logging_to(shop(), SHOP_POLICY, disk.folder.path(), "");
    let agent = login("support_agent");
    assert!(proxy.psql(shop(), &agent, &["SELECT id FROM customers WHERE id = 1"]).ok);
    assert_eq!((get(&proxy, "/readyz").0, metric(&proxy, "log_sync_seconds").as_str()), (200, "0"));
    disk.freeze();
    let waiting = proxy.spawn_psql(shop(), &agent, "SELECT id FROM customers WHERE id = 2");
    until("readiness is gone", || get(&proxy, "/readyz").0 == 503);
    let (_, said) = get(&proxy, "/readyz");
    assert!(said.contains("the disk hangs"), "{said}");
    assert!(metric(&proxy, "log_sync_seconds").parse::<u64>().unwrap() >= 5);
    disk.thaw();
    let said = wait(waiting, Duration::from_secs(30)).unwrap();
    assert!(said.ok, "what waited goes on: {said:?}");
    until("readiness is back", || get(&proxy, "/readyz").0 == 200);
    assert_eq!(metric(&proxy, "log_sync_seconds"), "0");
    signal(&proxy, "TERM");
    until("the log is closed", || proxy.access_log().last().is_some_and(|record| record["event"] == "stop"));
}
