//! `check --live`, `retention` and `optouts`, before a real database.

use jiff::{Timestamp, ToSpan};

use super::raw::socket;
use super::{POLICY, database, ids, run};

#[test]
fn check_live_tells_of_lists_of_opt_outs_that_are_stale_or_will_be() {
    const NAME: &str = "stale";
    let _proxy = database(NAME);
    let day = |days: i64| {
        let today = Timestamp::now().to_zoned_datetime(jiff::tz::TimeZone::fixed(jiff::tz::offset(2))).date();
        today.checked_sub(days.days()).unwrap()
    };
    let (status, out, err) = command(NAME, &["check", "--live"], &[]);
    assert_eq!(status, 1, "{err}");
    assert!(out.contains("`privacy.opt_out_lists` holds no list of opt-outs: purpose `offers` sees nobody"), "{out}");
    let list = |name: &str, days: i64| {
        run(NAME, &format!("INSERT INTO privacy.opt_out_lists VALUES ('{name}', '{}', now(), 'file', 0)", day(days)));
    };
    list("fresh", 10);
    let (status, out, _) = command(NAME, &["check", "--live"], &[]);
    assert!(status == 0 && !out.contains("opt-outs"), "{out}");
    list("ageing", 31);
    let (status, out, _) = command(NAME, &["check", "--live"], &[]);
    let soon = format!(
        "note: list `ageing` of opt-outs is of {}, 31 days ago, and may be 31 days old: purpose `offers` sees nobody in 1 days",
        day(31)
    );
    assert!(status == 0 && out.contains(&soon), "{out}");
    list("old", 40);
    list("early", -3);
    let (status, out, _) = command(NAME, &["check", "--live"], &[]);
    let stale = format!(
        "error: list `old` of opt-outs is of {}, 40 days ago, and may be 31 days old: purpose `offers` sees nobody until a newer one is imported",
        day(40)
    );
    assert!(status == 1 && out.contains(&stale) && !out.contains("list `fresh`"), "{out}");
    assert!(out.contains("list `early` of opt-outs") && out.contains("a day to come"), "{out}");
}

/// Runs the built program with a configuration for this database.
fn command(name: &str, arguments: &[&str], files: &[(&str, &str)]) -> (i32, String, String) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("policy.toml"), POLICY).unwrap();
    for (file, text) in files {
        std::fs::write(folder.path().join(file), text).unwrap();
    }
    let config = format!(
        "[upstream]\naddress = \"{}\"\ntls = \"disable\"\ncatalog_login = \"postgres\"\n[auth]\nmethod = \"relay\"\n\
         [policy]\nfiles = [\"policy.toml\"]\n[audit]\ndirectory = \"audit\"\n",
        socket()
    );
    std::fs::write(folder.path().join("c.toml"), config).unwrap();
    let ran = std::process::Command::new(env!("CARGO_BIN_EXE_pgpurpose"))
        .args(arguments)
        .args(["--config", "c.toml", "--database", name])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (ran.status.code().unwrap(), text(ran.stdout), text(ran.stderr))
}

#[test]
fn what_is_due_is_counted_and_lists_are_imported() {
    const NAME: &str = "commands";
    let proxy = database(NAME);
    run(
        NAME,
        "INSERT INTO people VALUES (1, 'a', 'Ann@x.org', '082 000 0001', '1980-01-01', null),
             (2, 'b', 'bob@x.org', '082 000 0002', '1980-01-01', null);
         INSERT INTO orders VALUES (1, 1, '2001-02-03', 1), (2, 1, '2002-02-03', 1), (3, 2, null, 1), (4, 2, now(), 1);
         INSERT INTO items VALUES (1, 1), (2, 4)",
    );
    let (status, out, err) = command(NAME, &["retention", "--json"], &[]);
    assert_eq!(status, 0, "{err}");
    let due: Vec<serde_json::Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<String> = due
        .iter()
        .map(|due| format!("{} {} {} {}", due["table"], due["rows"], due["subjects"], due["oldest"]))
        .collect();
    assert_eq!(
        told,
        ["\"public.items\" 1 1 \"2001-02-03\"", "\"public.orders\" 2 1 \"2001-02-03\"", "\"public.visits\" 0 0 null",]
    );
    let (status, out, _) = command(NAME, &["retention"], &[]);
    assert!(
        status == 0 && out.contains("due for destruction: 2 rows of 1 data subjects, the oldest of 2001-02-03"),
        "{out}"
    );

    let people = "SELECT id FROM people ORDER BY id";
    assert_eq!(ids(&proxy, NAME, "offers", people), "", "without a list nobody is seen");
    let files =
        [("list.csv", "\u{feff}E-mail;Phone\nann@X.org;\n;nothing\n;+27 11 000 0000\n"), ("own.txt", "0820000002\n")];
    let import = ["optouts", "import", "list.csv"];
    let (status, out, err) = command(NAME, &import, &files);
    assert_eq!(status, 0, "{err}");
    assert!(out.contains("2 entries") && err.contains("1 lines"), "{out}{err}");
    assert_eq!(ids(&proxy, NAME, "offers", people), "2");
    let (status, _, err) = command(NAME, &["optouts", "import", "--list", "own", "--kind", "phone", "own.txt"], &files);
    assert_eq!(status, 0, "{err}");
    assert_eq!(ids(&proxy, NAME, "offers", people), "");
    // An older list, one of a day to come, one without entries and one without a heading change nothing.
    for more in [
        &["--as-of", "2020-01-01", "list.csv"][..],
        &["--as-of", "2999-01-01", "list.csv"],
        &["policy.toml"],
        &["own.txt"],
    ] {
        let (status, _, err) = command(NAME, &[&["optouts", "import"], more].concat(), &files);
        assert_eq!(status, 2, "{more:?}: {err}");
    }
    // What is in the next list no more is reached again.
    let next = [("list.csv", "email\nsomebody@x.org\n")];
    assert_eq!(command(NAME, &import, &next).0, 0);
    assert_eq!(ids(&proxy, NAME, "offers", people), "1");
}
