//! `pgpurpose demo`, as a person runs it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::zombie_processes)]

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// A demo whose screen has been printed.
struct Demo {
    child: Child,
    port: u16,
    folder: PathBuf,
    output: tempfile::TempDir,
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
                return Self { child, port, folder: PathBuf::from(folder), output };
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
    // The last act, as the screen says it: what an officer enters is in force at once.
    let mail = "SELECT email FROM customers WHERE id = 2";
    assert!(demo.ask("marketing", mail).contains('@'));
    let screen = fs::read_to_string(demo.output.path().join("screen")).unwrap();
    let lines: Vec<&str> = screen.lines().filter(|line| line.contains(" subject o")).collect();
    assert_eq!(lines.len(), 2, "{screen}");
    for line in lines {
        let said = Command::new("sh").args(["-c", line.trim()]).env("USER", "thabo").output().unwrap();
        assert!(said.status.success(), "{line}: {}", String::from_utf8_lossy(&said.stderr));
    }
    assert_eq!(demo.ask("marketing", mail), "");
    assert_eq!(demo.ask("support_agent", "SELECT id FROM customers WHERE id = 2"), "2");
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

/// What a learner types; `{}` and what stands there comes from what was said before.
struct Learner {
    child: Child,
    said: mpsc::Receiver<u8>,
    heard: String,
    folder: Option<PathBuf>,
}

impl Learner {
    fn begin(lesson: &str, more: &[&str]) -> Self {
        let (port, admin) = (free_port(), free_port());
        let mut child = Command::new(env!("CARGO_BIN_EXE_pgpurpose"))
            .args(["demo", "--listen", &format!("127.0.0.1:{port}"), "--admin", &format!("127.0.0.1:{admin}")])
            .args(["--lesson", lesson, "--learner", "nomsa"])
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let (send, said) = mpsc::channel();
        let mut out = child.stdout.take().unwrap();
        thread::spawn(move || {
            let mut byte = [0; 1];
            while out.read(&mut byte).is_ok_and(|read| read == 1) && send.send(byte[0]).is_ok() {}
        });
        Self { child, said, heard: String::new(), folder: None }
    }

    /// Waits until the lesson asks for a line; gives what was said since the last one.
    fn hears(&mut self) -> String {
        let begun = Instant::now();
        let mut bytes = Vec::new();
        while let Ok(byte) = self.said.recv_timeout(Duration::from_secs(60)) {
            bytes.push(byte);
            let prompt = bytes.rsplit(|byte| *byte == b'\n').next().unwrap();
            if prompt.ends_with(b"=> ") || prompt == b"$ pgpurpose " || prompt == b"answer: " {
                break;
            }
            assert!(begun.elapsed() < Duration::from_secs(120), "{}", String::from_utf8_lossy(&bytes));
        }
        let text = String::from_utf8(bytes).unwrap();
        if let Some(folder) = text.lines().find_map(|line| line.strip_prefix("  in ")?.split(", which").next()) {
            self.folder = Some(PathBuf::from(folder));
        }
        self.heard.push_str(&text);
        text
    }

    fn types(&mut self, line: &str) {
        let stdin = self.child.stdin.as_mut().unwrap();
        writeln!(stdin, "{line}").unwrap();
        stdin.flush().unwrap();
    }

    fn log(&self) -> Vec<serde_json::Value> {
        let text = glob(&self.folder.as_ref().unwrap().join("audit"));
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    fn ends(&mut self) -> i32 {
        drop(self.child.stdin.take());
        while let Ok(byte) = self.said.recv_timeout(Duration::from_secs(60)) {
            self.heard.push(char::from(byte));
        }
        self.child.wait().unwrap().code().unwrap()
    }
}

impl Drop for Learner {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lesson(name: &str) -> toml::Table {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/cli/demo/lesson/words/{name}.toml"));
    fs::read_to_string(file).unwrap().parse().unwrap()
}

/// What the log says, counted here once more: the answers of the reviewer's and the administrator's lesson.
fn truth(which: &str, log: &[serde_json::Value]) -> String {
    let accesses = || log.iter().filter(|record| record["event"] == "access");
    let lookups = |record: &&serde_json::Value| record["lookups"].as_array().is_some_and(|lookups| !lookups.is_empty());
    let mut counts: std::collections::BTreeMap<String, usize> = std::collections::BTreeMap::new();
    for record in
        accesses().filter(lookups).filter(|record| record["application"].as_str().unwrap().starts_with("crm "))
    {
        *counts.entry(record["application"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    let snooper = counts.iter().max_by_key(|(_, count)| **count);
    match which {
        "snooper" => snooper.unwrap().0.strip_prefix("crm ").unwrap().to_owned(),
        "snoopers_lookups" => snooper.unwrap().1.to_string(),
        "snoopers_wish" => {
            let denied = accesses()
                .find(|record| record["verdict"] == "deny" && record["application"] == snooper.unwrap().0.as_str());
            let columns = denied.unwrap()["relations"][0]["columns"].as_array().unwrap().clone();
            columns.iter().find(|column| column["action"] == "deny").unwrap()["name"].as_str().unwrap().to_owned()
        }
        "last_record" => accesses().rfind(|record| record["login"] == "migrator").unwrap()["seq"].to_string(),
        other => panic!("{other}"),
    }
}

/// Walks a lesson as its hints say. `first` is typed at the first step before the hint, and must not be taken for it.
fn walk(name: &str, first: &str) -> Learner {
    let text = lesson(name);
    let mut learner = Learner::begin(name, &[]);
    let mut requests = 0;
    for (at, step) in text["steps"].as_array().unwrap().iter().enumerate() {
        let heard = learner.hears();
        assert!(heard.contains(&format!("Step {} of ", at + 1)), "{name}, step {}:\n{heard}", at + 1);
        if at == 0 {
            learner.types(first);
            let heard = learner.hears();
            assert!(heard.contains("Not yet"), "{name}: {heard}");
        }
        let hint = step["hint"].as_str().unwrap();
        let lines: Vec<String> = match (step["by"].as_str().unwrap(), step["seen"].get("truth")) {
            ("answer", Some(which)) => {
                learner.types("nobody");
                assert!(learner.hears().contains("the log says something else"));
                vec![truth(which.as_str().unwrap(), &learner.log())]
            }
            ("statement", _) => hint.split(" -- and then: ").map(str::to_owned).collect(),
            (_, _) => vec![hint.to_owned()],
        };
        for (at, line) in lines.iter().enumerate() {
            requests += usize::from(line.starts_with("subject open"));
            learner.types(line);
            if at + 1 < lines.len() {
                learner.hears();
            }
        }
    }
    assert!(requests <= 3);
    for (at, question) in text["questions"].as_array().unwrap().iter().enumerate() {
        let heard = learner.hears();
        assert!(heard.contains(&format!("Question {} of 10", at + 1)), "{name}: {heard}");
        // One wrong answer is one too few, and not too many.
        let right = question["right"].as_integer().unwrap();
        let typed = if at == 4 { right % 3 + 1 } else { right };
        learner.types(&char::from(b'a' + u8::try_from(typed - 1).unwrap()).to_string());
    }
    let code = learner.ends();
    assert_eq!(code, 0, "{}", learner.heard);
    assert!(learner.heard.contains("9 of 10 are right."), "{}", learner.heard);
    assert!(learner.heard.contains(&format!("nomsa passed `{name}` on ")), "{}", learner.heard);
    assert!(learner.heard.contains(", signed."), "{}", learner.heard);
    learner
}

#[test]
fn the_lesson_of_support_is_walked_and_each_step_is_seen_in_the_log() {
    walk("support", "SELECT 1;");
}

#[test]
fn the_lesson_of_marketing_is_walked_and_a_withdrawn_consent_is_seen_in_the_open_session() {
    let learner = walk("marketing", "SELECT id FROM customers LIMIT 5;");
    assert!(learner.heard.contains("No row. Nobody had to send you a new list."));
}

#[test]
fn the_lesson_of_developers_is_walked() {
    walk("developer", "SELECT 1;");
}

#[test]
fn the_lesson_of_administrators_is_walked_and_the_number_of_a_record_is_held_against_the_log() {
    walk("dba", "SELECT nothing FROM nowhere;");
}

#[test]
fn the_lesson_of_reviewers_is_walked_and_the_snooper_is_found_in_the_log() {
    let learner = walk("reviewer", "audit verify");
    assert!(learner.heard.contains("Notification of a security compromise (POPIA section 22)"));
}

#[test]
fn the_lesson_of_officers_is_walked_from_a_request_to_its_certificate() {
    let learner = walk("officer", "subject find --email nobody@example.co.za");
    assert!(learner.heard.contains("the certificate is in `10.json`"), "{}", learner.heard);
}

#[test]
fn a_lesson_that_is_left_or_whose_questions_are_missed_is_not_passed() {
    let mut learner = Learner::begin("support", &[]);
    learner.hears();
    learner.types("SELECT * FROM customers LIMIT 3;");
    learner.hears();
    learner.types("quit");
    assert_eq!(learner.ends(), 1);
    assert!(!learner.heard.contains("In the register"), "{}", learner.heard);
}

/// Asks the privacy centre; gives status, location, cookie and body.
fn visit(port: u16, method: &str, path: &str, cookie: &str, body: &str) -> (String, String, String, String) {
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: centre\r\nConnection: close\r\nCookie: {cookie}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let header = |name: &str| {
        head.lines().find_map(|line| line.strip_prefix(&format!("{name}: "))).unwrap_or_default().to_owned()
    };
    let cookie = header("set-cookie").split(';').next().unwrap().to_owned();
    (head.split(' ').nth(1).unwrap().to_owned(), header("location"), cookie, body.to_owned())
}

#[test]
fn a_customer_of_the_demo_ends_offers_in_the_privacy_centre_and_marketing_finds_them_no_more() {
    let port = free_port();
    let demo = Demo::start(&["--centre", &format!("127.0.0.1:{port}")]);
    let screen = fs::read_to_string(demo.output.path().join("screen")).unwrap();
    let person = screen.split("sign in as ").nth(1).unwrap().split(';').next().unwrap().to_owned();
    let asks = format!("SELECT email FROM customers WHERE email = '{person}'");
    assert_eq!(demo.ask("marketing", &asks), person);
    let begun = Instant::now();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(begun.elapsed() < Duration::from_secs(30), "the centre does not listen");
        thread::sleep(Duration::from_millis(50));
    }
    let form = |body: &str| body.split("name=\"form\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let (_, _, cookie, page) = visit(port, "GET", "/en/enter", "", "");
    let sent = format!("form={}&contact={}", form(&page), person.replace('@', "%40"));
    assert_eq!(visit(port, "POST", "/en/enter", &cookie, &sent).1, "/en/code");
    let code = loop {
        let mails = fs::read_to_string(demo.folder.join("mail.txt")).unwrap_or_default();
        match mails.split("Your code is ").nth(1) {
            Some(rest) => break rest.chars().take(6).collect::<String>(),
            None => thread::sleep(Duration::from_millis(50)),
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "no code was sent");
    };
    let (_, to, cookie, _) = visit(port, "POST", "/en/code", &cookie, &format!("form={}&code={code}", form(&page)));
    assert_eq!(to, "/en/you");
    let (_, _, _, page) = visit(port, "GET", "/en/choices", &cookie, "");
    let (status, _, _, page) =
        visit(port, "POST", "/en/choices", &cookie, &format!("form={}&purpose=marketing&to=off", form(&page)));
    assert_eq!(status, "200", "{page}");
    assert_eq!(demo.ask("marketing", &asks), "");
    let seen = visit(port, "GET", "/en/seen", &cookie, "").3;
    assert!(seen.contains("Our own staff: marketing") && seen.contains("contact details"), "{seen}");
}
