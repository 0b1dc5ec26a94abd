//! A log that cannot be written for a while.

use super::*;

#[tokio::test]
async fn a_vanished_folder_refuses_at_once_and_heals_when_it_is_back() {
    let parent = TempDir::new().unwrap();
    let (directory, away) = (parent.path().join("log"), parent.path().join("away"));
    let log = open(&directory);
    log.append_access(access("SELECT 1"), ()).await.unwrap();
    fs::rename(&directory, &away).unwrap();
    let from = Instant::now();
    let error = log.append_access(access("SELECT 2"), ()).await.unwrap_err();
    assert!(from.elapsed() < Duration::from_secs(1));
    assert_eq!(error.refusal().sqlstate, SqlState::IO_ERROR);
    assert!(!error.refusal().message.contains("log/"), "no path reaches a client");
    assert!(log.status().trouble.is_some());
    assert!(log.append_access(access("SELECT 3"), ()).await.is_err());
    fs::rename(&away, &directory).unwrap();
    log.append_access(access("SELECT 4"), ()).await.unwrap();
    assert!(log.status().trouble.is_none());
    assert_eq!(log.status().refused, 2);
    let found = verify(&directory).unwrap();
    assert!(found.holds(), "{:?}", found.breaks);
    assert_eq!(found.notices.len(), 1);
    let statements: Vec<String> =
        entries(&directory).iter().filter_map(|entry| entry.text("statement").map(str::to_owned)).collect();
    assert_eq!(statements, ["SELECT 1", "SELECT 4"], "what was refused does not stand in the log");
}

#[tokio::test]
async fn an_emptied_folder_is_noticed_without_a_write_and_the_gap_shows() {
    let directory = TempDir::new().unwrap();
    let log = open(directory.path());
    log.append_access(access("SELECT 1"), ()).await.unwrap();
    fs::remove_file(only_file(directory.path())).unwrap();
    let until = Instant::now() + Duration::from_secs(10);
    while log.status().last_seq < 3 {
        assert!(Instant::now() < until, "the writer looks after the file by itself");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    healed(&log).await;
    log.append_access(access("SELECT 2"), ()).await.unwrap();
    let found = verify(directory.path()).unwrap();
    assert_eq!(found.breaks.len(), 1, "{:?}", found.breaks);
    assert_eq!(found.breaks[0].what, Wrong::Missing { from: 1, to: 2 });
}

#[tokio::test]
async fn a_full_disk_refuses_and_heals_when_there_is_room() {
    let mount = TempDir::new().unwrap();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=128k", "tmpfs"]).arg(mount.path()).output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        assert!(std::env::var_os("CI").is_none(), "a small tmpfs cannot be mounted here: run as root");
        eprintln!("SKIPPED: a small tmpfs cannot be mounted here");
        return;
    }
    let log = open(&mount.path().join("log"));
    let (mut logged, mut refused) = (Vec::new(), None);
    for n in 0..1000 {
        match log.append_access(access(&format!("SELECT {n}")), ()).await {
            Ok(audited) => logged.push(audited.seq()),
            Err(error) => {
                refused = Some(error);
                break;
            }
        }
    }
    let many = (0..20).map(|_| log.append_access(access("SELECT 'many'"), ()));
    let many = futures_util::future::join_all(many).await;
    let trouble = log.status().trouble;
    // Room again: what filled the disk goes away.
    let full = verify(&mount.path().join("log")).unwrap();
    Command::new("mount").args(["-o", "remount,size=1m"]).arg(mount.path()).output().unwrap();
    let after = log.append_access(access("SELECT 'after'"), ()).await;
    log.close("test").await.unwrap();
    let found = verify(&mount.path().join("log")).unwrap();
    let read: Vec<u64> = entries(&mount.path().join("log")).iter().filter_map(Entry::seq).collect();
    Command::new("umount").arg(mount.path()).output().unwrap();
    assert!(matches!(refused, Some(AuditError::Unwritable { .. })), "{refused:?} after {}", logged.len());
    assert!(many.iter().all(Result::is_err), "every waiter is refused");
    assert!(trouble.is_some());
    assert!(full.holds(), "no torn line stays behind: {:?}", full.breaks);
    assert!(after.is_ok());
    assert!(found.holds(), "{:?}", found.breaks);
    assert!(!found.notices.is_empty(), "the outage stands in the log");
    assert!(logged.iter().all(|seq| read.contains(seq)));
}
