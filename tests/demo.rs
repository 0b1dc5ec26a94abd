//! `pgpurpose demo`, as a person runs it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::zombie_processes)]

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A demo whose screen has been printed.
struct Demo {
    child: Child,
    port: u16,
    folder: PathBuf,
    _output: tempfile::TempDir,
}

impl Demo {
    fn start(more: &[&str]) -> Self {
        let (port, admin) = (free_port(), free_port());
        let output = tempfile::tempdir().unwrap();
        let screen = output.path().join("screen");
        let file = fs::File::create(&screen).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_pgpurpose"))
            .args(["demo", "--listen", &format!("127.0.0.1:{port}"), "--admin", &format!("127.0.0.1:{admin}")])
            .args(more)
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        let begun = Instant::now();
        loop {
            let text = fs::read_to_string(&screen).unwrap();
            if text.contains("Ctrl-C ends everything") {
                let folder = text.lines().find_map(|line| line.strip_prefix("  in ")?.split(", which").next()).unwrap();
                return Self { child, port, folder: PathBuf::from(folder), _output: output };
            }
            assert!(child.try_wait().unwrap().is_none(), "the demo ended:\n{text}");
            assert!(begun.elapsed() < Duration::from_secs(120), "the demo is not ready:\n{text}");
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn ask(&self, login: &str, sql: &str) -> String {
        let said = Command::new("psql")
            .args([
                "-X",
                "-A",
                "-t",
                "-h",
                "127.0.0.1",
                "-p",
                &self.port.to_string(),
                "-U",
                login,
                "-d",
                "shop",
                "-c",
                sql,
            ])
            .output()
            .unwrap();
        format!("{}{}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr)).trim().to_owned()
    }

    /// The process of its server.
    fn server(&self) -> u32 {
        let text = fs::read_to_string(self.folder.join("data/postmaster.pid")).unwrap();
        text.lines().next().unwrap().trim().parse().unwrap()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

#[track_caller]
fn soon(what: &str, done: impl Fn() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(10), "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}

fn runs(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}/cwd")).exists()
        && fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty())
}

#[test]
fn one_command_shows_three_truths_and_a_kill_leaves_nothing_behind() {
    let mut demo = Demo::start(&[]);
    let number = "SELECT id_number FROM customers WHERE id = 1";
    assert_eq!(demo.ask("support_agent", number), "*********1781");
    assert_eq!(demo.ask("migrator", number), "7110185001781");
    assert!(demo.ask("marketing", number).contains("ERROR"));
    assert!(demo.ask("analyst", "SELECT * FROM customers LIMIT 3").contains("ERROR"));
    let log = glob(&demo.folder.join("audit"));
    assert!(log.contains("\"login\":\"analyst\"") && !log.contains("7110185001781"));
    let (server, folder) = (demo.server(), demo.folder.clone());
    assert!(runs(server));
    demo.child.kill().unwrap();
    demo.child.wait().unwrap();
    soon("the server outlives a killed demo", || !runs(server));
    soon("the folder outlives a killed demo", || !folder.exists());
}

#[test]
fn a_demo_that_is_told_to_end_ends_well_and_a_kept_folder_is_gone_on_with() {
    let parent =
        tempfile::Builder::new().permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755)).tempdir().unwrap();
    let kept = parent.path().join("shop");
    let options = ["--dir", kept.to_str().unwrap()];
    let end = |mut demo: Demo| {
        let server = demo.server();
        assert!(Command::new("kill").args(["-INT", &demo.child.id().to_string()]).status().unwrap().success());
        let begun = Instant::now();
        while demo.child.try_wait().unwrap().is_none() {
            assert!(begun.elapsed() < Duration::from_secs(15), "Ctrl-C does not end it");
            thread::sleep(Duration::from_millis(20));
        }
        assert!(demo.child.wait().unwrap().success());
        assert!(!runs(server), "the server outlives the demo");
    };
    let demo = Demo::start(&options);
    assert_eq!(demo.ask("migrator", "UPDATE products SET name = 'Kept' WHERE product_id = 1"), "UPDATE 1");
    end(demo);
    let demo = Demo::start(&options);
    assert_eq!(demo.ask("support_agent", "SELECT name FROM products WHERE product_id = 1"), "Kept");
    end(demo);
    assert!(kept.join("audit").is_dir());
}

/// Everything in the files of a folder.
fn glob(folder: &Path) -> String {
    fs::read_dir(folder).unwrap().map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap_or_default()).collect()
}
