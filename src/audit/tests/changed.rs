//! Changes of single lines and files, without a key.

use super::*;

#[tokio::test]
async fn verify_finds_every_change_of_a_single_line() {
    let directory = sample().await;
    let file = only_file(directory.path());
    let whole = fs::read_to_string(&file).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    let found = verify(directory.path()).unwrap();
    assert!(found.holds());
    assert_eq!(found.records, 22);
    let broken = |lines: &[String], what: &str| {
        fs::write(&file, lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
        let found = verify(directory.path()).unwrap();
        assert!(!found.holds(), "not found: {what}");
        found.breaks[0].clone()
    };
    let owned = || lines.iter().map(|line| (*line).to_owned()).collect::<Vec<String>>();
    for at in 0..lines.len() {
        let mut changed = owned();
        changed[at] = changed[at].replacen("\"event\":\"", "\"event\":\"x", 1);
        let found = broken(&changed, "changed");
        assert_eq!((found.line, &found.what), (at as u64 + 1, &Wrong::Line(chain::BadLine::Changed)));

        // Changed, and its own hash made to fit again.
        let (covered, _) = changed[at].rsplit_once(",\"hash\":").unwrap();
        let resealed = format!("{covered},\"hash\":\"{}\"}}", chain::Hash::of(covered.as_bytes()));
        changed[at] = resealed;
        if at + 1 < lines.len() {
            let found = broken(&changed, "changed and sealed again");
            assert_eq!((found.line, &found.what), (at as u64 + 2, &Wrong::Replaced { seq: at as u64 + 2 }));
        }

        if at + 1 < lines.len() {
            let mut removed = owned();
            removed.remove(at);
            let found = broken(&removed, "removed");
            let seq = at as u64 + 1;
            // The file's name tells the first number too.
            if at > 0 {
                assert_eq!((found.line, &found.what), (seq, &Wrong::Missing { from: seq, to: seq }));
            }

            let mut swapped = owned();
            swapped.swap(at, at + 1);
            broken(&swapped, "swapped");
        }

        let mut doubled = owned();
        doubled.insert(at, lines[at].to_owned());
        let found = broken(&doubled, "doubled");
        assert_eq!(
            (found.line, &found.what),
            (at as u64 + 2, &Wrong::Moved { seq: at as u64 + 1, after: at as u64 + 1 })
        );

        let mut inserted = owned();
        inserted.insert(at, "{\"seq\":5,\"event\":\"access\"}".to_owned());
        broken(&inserted, "inserted");

        let mut blank = owned();
        blank.insert(at, String::new());
        broken(&blank, "a blank line");
    }
    fs::write(&file, &whole[..whole.len() - 40]).unwrap();
    assert_eq!(verify(directory.path()).unwrap().breaks[0].what, Wrong::Cut);
    fs::write(&file, &whole).unwrap();
    fs::write(directory.path().join("access-more.jsonl"), "").unwrap();
    assert_eq!(verify(directory.path()).unwrap().breaks[0].what, Wrong::Stray);
}

#[tokio::test]
async fn verify_finds_a_file_that_is_gone_or_renamed() {
    let directory = TempDir::new().unwrap();
    let options = LogOptions { rotate_bytes: 1, ..LogOptions::new(directory.path(), Sync::Written) };
    let log = AuditLog::open_with(options).unwrap();
    for _ in 0..4 {
        log.append_access(access("SELECT 1"), ()).await.unwrap();
    }
    log.close("test").await.unwrap();
    let files = log_files(directory.path());
    assert_eq!(files.len(), 6);
    let aside = directory.path().join("aside");
    for (at, file) in files.iter().enumerate().take(5) {
        fs::rename(file, &aside).unwrap();
        let seq = at as u64 + 1;
        assert_eq!(verify(directory.path()).unwrap().breaks[0].what, Wrong::Missing { from: seq, to: seq });
        fs::rename(&aside, file).unwrap();
    }
    let wrong = directory.path().join("access-000000000099-20261122.jsonl");
    fs::rename(&files[1], &wrong).unwrap();
    assert!(!verify(directory.path()).unwrap().holds());
}
