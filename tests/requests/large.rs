//! A person of many rows is answered in the memory of one of few.

use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::Stand;

/// The most memory, in kB, that an export took, as the kernel says it while it runs.
fn peak(stand: &Stand, request: &str, to: &str) -> u64 {
    let mut child = Command::new(env!("CARGO_BIN_EXE_pgpurpose"))
        .current_dir(stand.folder.path())
        .env("USER", "thabo")
        .args([
            "subject",
            "export",
            "--config",
            "pgpurpose.toml",
            "--database",
            "shop",
            "--of",
            "public.customers",
            request,
            "-o",
            to,
        ])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut most = 0;
    while child.try_wait().unwrap().is_none() {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        most = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(most).max(most);
        thread::sleep(Duration::from_millis(5));
    }
    assert!(child.wait().unwrap().success());
    most
}

/// `PGPURPOSE_PERSON_ROWS=1000000` asks for the million.
#[test]
fn a_person_of_many_rows_takes_the_memory_of_one_of_three() {
    let rows = std::env::var("PGPURPOSE_PERSON_ROWS").ok().and_then(|rows| rows.parse().ok()).unwrap_or(12_000_u64);
    let stand = Stand::open();
    // Texts that do not shrink: some 12 MB of them, or 100 bytes a row where there are more.
    let words = if rows > 12_000 { 3 } else { 30 };
    stand.sql(&format!(
        "INSERT INTO orders SELECT 1000 + i, 11, 'canary-11 ' || string_agg(md5(i::text || n::text), '') \
         FROM generate_series(1, {rows}) i, generate_series(1, {words}) n GROUP BY i"
    ));
    let few = stand.open_request("access", "12");
    let many = stand.open_request("access", "11");
    let (small, large) = (peak(&stand, &few, "few.zip"), peak(&stand, &many, "many.zip"));
    let bytes = std::fs::metadata(stand.path("many.zip")).unwrap().len();
    assert!(bytes > rows * words * 16, "{bytes}");
    println!("3 rows: {small} kB; {rows} more, {bytes} bytes of ZIP: {large} kB");
    assert!(small > 1_000 && large < small + 5_000, "{small} kB, then {large} kB");
}
