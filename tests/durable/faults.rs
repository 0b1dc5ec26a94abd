//! The log cannot be written: nothing runs, readiness says so, and service returns by itself.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use pgpurpose::audit::checkpoint::PublicKey;
use pgpurpose::audit::{Trust, verify_with};

use super::load::Load;
use super::support::proxy::Proxy;
use super::{PUBLIC_KEY, logging_shop, nothing_ran_unlogged, signed};

/// Built with the compiler that building the proxy needs; `None`, with a loud message, where it is not one for this system.
pub(super) fn shim() -> Option<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/durable/shim.c");
    let built = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fault-shim-{}.so", std::process::id()));
    let made = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&built).arg(source).arg("-ldl").status();
    if made.is_ok_and(|status| status.success()) {
        return Some(built);
    }
    eprintln!("SKIPPED: no C compiler, so errors of write and sync are not tested");
    None
}

pub(super) fn ready(proxy: &Proxy) -> u16 {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.admin_port)).unwrap();
    write!(stream, "GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

#[track_caller]
pub(super) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn whatever_fails_no_statement_runs_unlogged_and_service_returns_by_itself() {
    let Some(shim) = shim() else { return };
    let cluster = logging_shop();
    let folder = tempfile::tempdir().unwrap();
    let fault = folder.path().join("fault");
    let preload = [("LD_PRELOAD", shim.to_str().unwrap()), ("PGPURPOSE_TEST_FAULT", fault.to_str().unwrap())];
    let proxy = signed(&cluster, "", &preload);
    let away = proxy.audit_dir().with_file_name("away");
    let load = Load::start(proxy.port, 0);
    let count = |which: &std::sync::atomic::AtomicU64| which.load(Ordering::Relaxed);
    for what in ["write", "full", "sync", "permission", "folder"] {
        until(&format!("statements are answered before `{what}`"), {
            let before = count(&load.told.answered);
            let load = &load;
            move || count(&load.told.answered) > before + 20
        });
        let refused = count(&load.told.refused);
        if what == "folder" {
            fs::rename(proxy.audit_dir(), &away).unwrap()
        } else {
            fs::write(&fault, what).unwrap()
        }
        until(&format!("`{what}`: statements are refused with 58030"), || count(&load.told.refused) > refused + 5);
        until(&format!("`{what}`: readiness turns red"), || ready(&proxy) == 503);
        if what == "folder" {
            fs::rename(&away, proxy.audit_dir()).unwrap()
        } else {
            fs::remove_file(&fault).unwrap()
        }
        until(&format!("`{what}`: readiness returns"), || ready(&proxy) == 200);
    }
    let before = count(&load.told.answered);
    until("statements are answered again", || count(&load.told.answered) > before + 20);
    let told = load.stop();
    let ran = nothing_ran_unlogged(&cluster, &proxy);
    let trust = Trust { keys: vec![PublicKey::from_hex(PUBLIC_KEY).unwrap()], ..Trust::default() };
    let found = verify_with(&proxy.audit_dir(), &trust, |_| {}).unwrap();
    assert!(found.holds(), "{:?}", found.breaks);
    assert_eq!(
        found.notices.iter().filter(|notice| notice.contains("could not be written")).count(),
        5,
        "{:?}",
        found.notices
    );
    eprintln!(
        "five faults under load: {} answered, {} refused with 58030, {} other errors; {ran} marked statements in the database's log, 0 unlogged",
        count(&told.answered),
        count(&told.refused),
        count(&told.other)
    );
    fs::remove_file(shim).unwrap();
}
