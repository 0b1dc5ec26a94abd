use super::*;

fn start() -> Cluster {
    Cluster::start(&ClusterOptions::default()).expect("a cluster starts")
}

fn gone(pid: u32) -> bool {
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(10) {
        // A process that has ended and is not yet collected by its parent is gone too.
        let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        if state.is_empty() || state.contains(") Z ") {
            return true;
        }
        thread::sleep(Duration::from_millis(20));
    }
    false
}

#[test]
fn a_cluster_answers_and_leaves_nothing_behind() {
    let cluster = start();
    assert!(cluster.is_fresh());
    assert_eq!(cluster.run_sql("postgres", "SELECT 40 + 2, current_user").unwrap(), "42|postgres\n");
    assert_eq!(cluster.run_sql("postgres", "SHOW listen_addresses").unwrap(), "\n");
    let mode = std::os::unix::fs::MetadataExt::mode(&fs::metadata(cluster.socket_dir()).unwrap());
    assert_eq!(mode & 0o777, 0o700);
    let (pid, root) = (cluster.postmaster_pid().unwrap(), cluster.root().to_owned());
    drop(cluster);
    assert!(gone(pid));
    assert!(!root.exists());
}

#[test]
fn a_killed_supervisor_is_made_good_at_the_next_start() {
    let mut cluster = start();
    let (pid, root) = (cluster.postmaster_pid().unwrap(), cluster.root().to_owned());
    cluster.supervisor.kill().unwrap();
    cluster.supervisor.wait().unwrap();
    // As if the owner had been killed at the same moment: nothing of its own cleaning up is run, its lock is let go.
    let Cluster { place, .. } = &cluster;
    place.unlock();
    std::mem::forget(cluster);
    let next = start();
    assert!(gone(pid), "the server without an owner is still there");
    assert!(!root.exists(), "its folder is still there");
    drop(next);
}

#[test]
fn a_kept_folder_keeps_its_data_and_cannot_be_used_twice() {
    let parent =
        tempfile::Builder::new().permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755)).tempdir().unwrap();
    let options = ClusterOptions { dir: Some(parent.path().join("kept")), ..ClusterOptions::default() };
    let first = Cluster::start(&options).unwrap();
    first.run_sql("postgres", "CREATE TABLE kept AS SELECT 7 AS n").unwrap();
    assert!(matches!(Cluster::start(&options), Err(ClusterError::InUse { .. })));
    drop(first);
    let second = Cluster::start(&options).unwrap();
    assert!(!second.is_fresh());
    assert_eq!(second.run_sql("postgres", "SELECT n FROM kept").unwrap(), "7\n");
}

#[test]
fn a_folder_of_somebody_else_is_not_taken() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("letter"), "mine").unwrap();
    let options = ClusterOptions { dir: Some(folder.path().to_owned()), ..ClusterOptions::default() };
    assert!(matches!(Cluster::start(&options), Err(ClusterError::NotOurs { .. })));
}

#[test]
fn a_server_that_cannot_start_says_why() {
    let options =
        ClusterOptions { settings: vec![("max_connections".into(), "many".into())], ..ClusterOptions::default() };
    let error = Cluster::start(&options).unwrap_err().to_string();
    assert!(error.contains("max_connections"), "{error}");
}

/// Not a test by itself: the process that the next test kills.
#[test]
#[ignore = "started by another test"]
fn an_owner() {
    let cluster = start();
    let line = format!("{} {}", cluster.postmaster_pid().unwrap(), cluster.root().display());
    fs::write(std::env::var_os("PGPURPOSE_TEST_OWNER").unwrap(), line).unwrap();
    thread::sleep(PATIENCE);
}

#[test]
fn a_killed_owner_takes_its_server_and_its_folder_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("line");
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", "cluster::tests::an_owner"])
        .env("PGPURPOSE_TEST_OWNER", &file)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let started = Instant::now();
    let (pid, root) = loop {
        assert!(started.elapsed() < PATIENCE, "the owner says nothing");
        let text = fs::read_to_string(&file).unwrap_or_default();
        if let Some((pid, root)) = text.split_once(' ') {
            break (pid.parse().unwrap(), PathBuf::from(root));
        }
        thread::sleep(Duration::from_millis(20));
    };
    owner.kill().unwrap();
    owner.wait().unwrap();
    assert!(gone(pid), "the server outlives its owner");
    let killed = Instant::now();
    while root.exists() {
        assert!(killed.elapsed() < Duration::from_secs(10), "its folder is still there");
        thread::sleep(Duration::from_millis(20));
    }
}
