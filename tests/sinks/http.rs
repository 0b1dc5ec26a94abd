//! HTTP against Python's own server: whatever it answers, and whatever certificate it shows.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use pgpurpose::audit::read::Entry;
use pgpurpose::audit::ship::Deliver;
use pgpurpose::config::Secret;
use pgpurpose::server::sinks::Http;
use tempfile::TempDir;

use super::places::{Place, until};
use super::support::certs::{Authority, Files};

pub(crate) const TOKEN: &str = "kept-elsewhere";

/// Python's server, which ends with the test.
pub(crate) struct Receiver {
    process: Child,
    folder: TempDir,
}

impl Receiver {
    /// `None`, with a loud message, where there is no Python.
    pub(crate) fn start(script: &[&str], tls: &[&Path]) -> Option<Self> {
        let python = std::env::var("PGPURPOSE_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let folder = tempfile::tempdir().unwrap();
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sinks/receiver.py");
        let mut command = Command::new(&python);
        command.arg(program).arg(folder.path()).arg(serde_json::to_string(script).unwrap()).args(tls);
        let Ok(process) = command.stdin(Stdio::piped()).spawn() else {
            eprintln!("SKIPPED: there is no `{python}`, so nothing of HTTP is tested");
            return None;
        };
        let receiver = Self { process, folder };
        until("the server listens", || !receiver.read("port").is_empty());
        Some(receiver)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()
    }

    pub(crate) fn taken(&self) -> Vec<String> {
        self.read("taken").lines().map(str::to_owned).collect()
    }

    pub(crate) fn url(&self, scheme: &str, host: &str) -> String {
        format!("{scheme}://{host}:{}/logs?a=b", self.read("port"))
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

fn http(url: &str, ca: Option<&Path>) -> Http {
    Http::new(url.parse().unwrap(), Some(Secret::new(TOKEN.to_owned())), ca).unwrap()
}

#[test]
fn whatever_the_server_answers_every_record_comes_and_the_token_stays() {
    let script = [
        "take",
        "500",
        "429",
        "take",
        "hang up",
        "redirect 302",
        "redirect 307",
        "take",
        "endless",
        "take",
        "endless take",
        "slow",
        "503",
    ];
    let Some(server) = Receiver::start(&script, &[]) else { return };
    let mut place = Place::new("http", Box::new(http(&server.url("http", "127.0.0.1"), None)));
    until("the script is done", || {
        place.write(20);
        place.status();
        server.read("left") == "0"
    });
    place.delivered();
    place.were_taken(&server.taken());
    for answer in ["500", "429", "302", "307", "400"] {
        assert!(place.troubles.iter().any(|trouble| trouble.contains(answer)), "{answer}: {:?}", place.troubles);
    }
    assert!(!place.troubles.iter().any(|trouble| trouble.contains(TOKEN)), "{:?}", place.troubles);
    assert_eq!((server.read("elsewhere"), server.read("strange")), (String::new(), String::new()));
    // Of a hundred megabytes no more is taken than what is on its way.
    let sent: Vec<u64> = server.read("sent").lines().map(|line| line.parse().unwrap()).collect();
    assert!(sent.len() == 2 && sent.iter().all(|sent| *sent < 50 << 20), "{sent:?}");
}

#[test]
fn only_a_server_with_the_right_certificate_gets_anything() {
    let (files, own, other) = (Files::new(), Authority::new("own"), Authority::new("other"));
    let (own_ca, other_ca) = (files.write("own.crt", &own.pem), files.write("other.crt", &other.pem));
    let hosts = ["localhost", "127.0.0.1"];
    let line = r#"{"seq":1,"event":"start"}"#;
    for (name, signed, host, ca, wanted) in [
        ("good", own.sign("good"), "localhost", &own_ca, None),
        ("address", own.sign("address"), "127.0.0.1", &own_ca, None),
        ("stranger", own.sign("stranger"), "localhost", &other_ca, Some("UnknownIssuer")),
        ("host", own.sign_for("host", &["kept.example"], 4096), "localhost", &own_ca, Some("not valid for name")),
        ("expired", own.sign_for("expired", &hosts, 2020), "localhost", &own_ca, Some("expired")),
    ] {
        let (cert, key) =
            (files.write(&format!("{name}.crt"), &signed.0), files.write(&format!("{name}.key"), &signed.1));
        let Some(server) = Receiver::start(&[], &[&cert, &key]) else { return };
        let entry = Entry::parse(line.as_bytes()).unwrap();
        let delivered = http(&server.url("https", host), Some(ca)).deliver(&[entry]);
        match wanted {
            None => {
                assert_eq!(delivered, Ok(()), "{name}");
                assert_eq!((server.taken(), server.read("strange")), (vec![line.to_owned()], String::new()), "{name}");
            }
            Some(reason) => {
                let error = delivered.unwrap_err();
                assert!(error.contains(reason) && !error.contains(TOKEN), "{name}: {error}");
                assert_eq!((server.taken(), server.read("strange")), (Vec::new(), String::new()), "{name}");
            }
        }
    }
    let none = files.write("none.crt", "nothing");
    let url = "https://localhost/".parse().unwrap();
    assert!(Http::new(url, None, Some(&none)).err().unwrap().contains("there are none"));
}
