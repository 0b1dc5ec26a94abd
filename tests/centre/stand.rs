//! A shop, its proxy, and the privacy centre beside it, as they run; and a visitor without a browser.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pgpurpose::cluster::Cluster;
use tempfile::TempDir;

use crate::support::proxy::{Port, Proxy, Upstream};
use crate::support::{direct, own_cluster};

const SHOP: &str = include_str!("../requests/shop.sql");
const POLICY: &str = include_str!("../requests/shop.toml");
const PRIVACY: &str = include_str!("../../deploy/privacy.sql");
/// What the shop of requests has not: a channel, and who was seen one by one.
const MORE: &str = "\n[purposes.\"marketing.sms\"]\ndescription = \"Offers by text message\"\n";

/// Everything that runs.
pub(crate) struct Stand {
    pub(crate) cluster: Cluster,
    pub(crate) proxy: Proxy,
    pub(crate) config: PathBuf,
    pub(crate) base: String,
    pub(crate) mail: PathBuf,
    centre: Child,
    port: Port,
    _folder: TempDir,
}

impl Drop for Stand {
    fn drop(&mut self) {
        let _ = self.centre.kill();
        let _ = self.centre.wait();
    }
}

impl Stand {
    /// With these keys more under `[centre]`; `slow` is a command that the way of mail takes first.
    pub(crate) fn open(keys: &str, slow: &str) -> Self {
        let cluster = own_cluster();
        cluster.run_statements("postgres", "CREATE DATABASE shop").unwrap();
        let roles =
            "CREATE ROLE pgpurpose LOGIN SUPERUSER; CREATE ROLE agent LOGIN; CREATE ROLE pgpurpose_centre LOGIN";
        cluster.run_statements("shop", roles).unwrap();
        cluster.run_statements("shop", PRIVACY).unwrap();
        cluster.run_statements("shop", SHOP).unwrap();
        let grants = "GRANT SELECT ON ALL TABLES IN SCHEMA public TO agent; GRANT privacy_reader TO agent; \
                      GRANT privacy_centre TO pgpurpose_centre";
        cluster.run_statements("shop", grants).unwrap();
        let policy = POLICY
            .replace("[tables.\"public.customers\"]\n", "[tables.\"public.customers\"]\nrecord_subjects = true\n")
            .replace(
                "[purposes.marketing]\nbasis = \"consent\"\n",
                "[purposes.marketing]\nbasis = \"consent\"\ndescription = \"Tell you about offers\"\n",
            )
            .replace("purposes = [\"marketing\"]\nread", "purposes = [\"marketing\", \"marketing.sms\"]\nread")
            .replace(
                "logins = [\"marketing\"]\npurposes = [\"marketing\"]",
                "logins = [\"marketing\"]\npurposes = [\"marketing\", \"marketing.sms\"]",
            );
        let folder = tempfile::Builder::new().prefix("pgpurpose-centre-").tempdir().unwrap();
        for (name, byte) in [("subjects", "11"), ("signing", "22"), ("centre", "33")] {
            fs::write(folder.path().join(name), byte.repeat(32)).unwrap();
        }
        let audit =
            format!("subject_key = \"file:{0}/subjects\"\nsigning_key = \"file:{0}/signing\"", folder.path().display());
        let proxy = Proxy::start_logging(&cluster, Upstream::Socket, &format!("{policy}{MORE}"), "", &audit);
        let config = proxy.audit_dir().parent().unwrap().join("pgpurpose.toml");
        let (port, mail) = (Port::free(), folder.path().join("mail"));
        let kept = mail.display();
        let base = format!("http://127.0.0.1:{}", port.number());
        // One write a message, so that two that leave at once do not mix.
        let send = format!("{slow}m=$(cat; echo x); printf '%s' \\\"${{m%x}}\\\" >>{kept}");
        let text = format!(
            "{}\n[organisation]\nname = \"Kaap Winkel\"\ninformation_officer = \"N. Dlamini\"\nemail = \"privacy@shop.example\"\n\
             [mail]\nfrom = \"Kaap Winkel <privacy@shop.example>\"\ncommand = [\"/bin/sh\", \"-c\", \"{send}\"]\n\
             [centre]\naddress = \"127.0.0.1:{}\"\nkey = \"file:{}/centre\"\n{keys}\n",
            fs::read_to_string(&config).unwrap(),
            port.number(),
            folder.path().display()
        );
        fs::write(&config, text).unwrap();
        let made = run(&config, &["centre", "--sql"]);
        cluster.run_statements("shop", &made).unwrap();
        let centre = start(&config);
        let mut stand = Self { cluster, proxy, config, base, mail, centre, port, _folder: folder };
        stand.wait();
        stand
    }

    fn wait(&mut self) {
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port.number())).is_err() {
            if self.centre.try_wait().unwrap().is_some() {
                panic!("{}", fs::read_to_string(self.config.with_file_name("centre.log")).unwrap());
            }
            let said = || fs::read_to_string(self.config.with_file_name("centre.log")).unwrap_or_default();
            assert!(begun.elapsed() < Duration::from_secs(60), "the centre does not listen: {}", said());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Where it listens.
    pub(crate) fn port(&self) -> u16 {
        self.port.number()
    }

    /// A command of the program with this configuration; what it prints.
    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        run(&self.config, arguments)
    }

    /// The database's own answer.
    pub(crate) fn direct(&self, sql: &str) -> String {
        direct(&self.cluster, "shop", sql).trim().to_owned()
    }

    pub(crate) fn visitor(&self) -> Visitor<'_> {
        Visitor { stand: self, cookie: None, from: None, form: String::new() }
    }

    /// Mails so far that hold all of these.
    pub(crate) fn mails(&self, holding: &[&str]) -> Vec<String> {
        let all = fs::read_to_string(&self.mail).unwrap_or_default();
        let mails = all.split("From: ").skip(1).map(str::to_owned);
        mails.filter(|mail| holding.iter().all(|part| mail.contains(part))).collect()
    }

    /// The newest code for an address, once there are so many.
    pub(crate) fn code(&self, address: &str, count: usize) -> String {
        let begun = Instant::now();
        loop {
            let mails = self.mails(&[&format!("To: {address}"), "Your code is"]);
            if mails.len() >= count {
                let mail = mails.last().unwrap();
                return mail.split("Your code is ").nth(1).unwrap()[..6].to_owned();
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "no code came for {address}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

fn program(config: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgpurpose"));
    command.args(arguments).arg("--config").arg(config).env("USER", "thabo");
    if arguments[0] != "audit" {
        command.args(["--database", "shop"]);
    }
    command
}

fn run(config: &Path, arguments: &[&str]) -> String {
    let output = program(config, arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn start(config: &Path) -> Child {
    let log = fs::File::create(config.with_file_name("centre.log")).unwrap();
    program(config, &["centre"]).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Reads what came on a connection that ends after it.
    pub(crate) fn read(mut stream: impl Read) -> Self {
        let mut bytes = Vec::new();
        // Who ends TLS without a word of goodbye has said all.
        let _ = stream.read_to_end(&mut bytes);
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(key, value)| (key.to_ascii_lowercase(), value.to_owned()));
        Self { status, headers: headers.collect(), body: body.to_owned() }
    }
}

/// Somebody who asks, with a cookie and what forms bring along.
pub(crate) struct Visitor<'a> {
    stand: &'a Stand,
    pub(crate) cookie: Option<String>,
    /// What a proxy before the centre says that they come from.
    pub(crate) from: Option<String>,
    pub(crate) form: String,
}

impl Visitor<'_> {
    pub(crate) fn send(&self, method: &str, path: &str, more: &str, body: &str) -> Answer {
        let mut stream = TcpStream::connect(("127.0.0.1", self.stand.port.number())).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let cookie = self.cookie.as_ref().map(|cookie| format!("Cookie: {cookie}\r\n")).unwrap_or_default();
        let from = self.from.as_ref().map(|from| format!("X-Forwarded-For: {from}\r\n")).unwrap_or_default();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: centre\r\nConnection: close\r\n{cookie}{from}{more}Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).unwrap();
        Answer::read(stream)
    }

    /// Opens a page, and keeps what it gives.
    pub(crate) fn get(&mut self, path: &str) -> Answer {
        let answer = self.send("GET", path, "", "");
        self.keep(&answer);
        answer
    }

    /// Sends a form of a page that was opened.
    pub(crate) fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let body: String = fields.iter().map(|(name, value)| format!("&{name}={}", encoded(value))).collect();
        let answer = self.send("POST", path, "", &format!("form={}{body}", self.form));
        self.keep(&answer);
        answer
    }

    fn keep(&mut self, answer: &Answer) {
        if let Some(cookie) = answer.header("set-cookie") {
            self.cookie = Some(cookie.split(';').next().unwrap().to_owned());
        }
        if let Some(form) = answer.body.split("name=\"form\" value=\"").nth(1) {
            self.form = form[..32].to_owned();
        }
    }

    /// Asks for a code.
    pub(crate) fn knock(&mut self, contact: &str) -> Answer {
        self.get("/en/enter");
        self.post("/en/enter", &[("contact", contact)])
    }

    /// Signs in; `before` codes went to the address already.
    pub(crate) fn enter(&mut self, contact: &str, before: usize) {
        assert_eq!(self.knock(contact).header("location"), Some("/en/code"));
        let code = self.stand.code(contact, before + 1);
        self.get("/en/code");
        let answer = self.post("/en/code", &[("code", &code)]);
        assert_eq!((answer.status, answer.header("location")), (303, Some("/en/you")), "{}", answer.body);
        // What forms bring along belongs to the new cookie.
        self.get("/en/you");
    }
}

fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
