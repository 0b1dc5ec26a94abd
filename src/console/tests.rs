#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use http_body_util::BodyExt;
use hyper::body::Bytes;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, StatusCode};
use jiff::Timestamp;
use serde_json::Value;
use tempfile::TempDir;

use super::*;
use crate::audit::checkpoint::Signer;
use crate::audit::{Access, AuditLog, Event, SessionFacts, Sync};
use crate::config::{Person, Standing};
use crate::policy::AccessReport;
use crate::server::admin::Running;
use crate::server::hash_password;
use crate::server::web::WebRequest;
use crate::telemetry::Metrics;

const OLD: &str = r#"
version = 1
[tables."public.people"]
subject = "id"
columns = { id = "reference", name = "identity", note = "health" }
[categories.health]
special = true
[purposes.support]
basis = "contract"
[roles.agent]
logins = ["crm"]
purposes = ["support"]
[[rules]]
name = "agents"
roles = ["agent"]
purposes = ["support"]
read = ["reference"]
"#;

/// The same, and names are open.
fn new() -> String {
    OLD.replace("read = [\"reference\"]", "read = [\"reference\", \"identity\"]")
}

struct Stand {
    console: Arc<Console>,
    log: AuditLog,
    folder: TempDir,
}

/// A browser: its cookie, and what it says of where it is.
struct Browser<'a> {
    stand: &'a Stand,
    cookie: Option<String>,
    headers: Vec<(HeaderName, &'static str)>,
}

fn people() -> Vec<Person> {
    let person = |name: &str, standing, password: &str| Person {
        name: name.to_owned(),
        standing,
        verifier: Some(hash_password(password).unwrap().parse().unwrap()),
        certificate: Some(format!("{name}@shop.example")),
    };
    vec![person("thandi", Standing::Reviewer, "a reviewer's"), person("nomsa", Standing::Officer, "an officer's")]
}

impl Stand {
    async fn open() -> Self {
        let folder = TempDir::new().unwrap();
        let log = AuditLog::open(&folder.path().join("log"), Sync::Written).unwrap();
        let kept = folder.path().join("policies");
        let mut before = None;
        let mut sets = Vec::new();
        for (name, text) in [("old", OLD.to_owned()), ("new", new())] {
            let file = folder.path().join(format!("{name}.toml"));
            std::fs::write(&file, &text).unwrap();
            let set = PolicySet::load(std::slice::from_ref(&file)).unwrap();
            set.keep(&kept).unwrap();
            let event = Event::Policy {
                policy: set.hash(),
                before: before.as_deref(),
                mode: "enforce",
                files: &[],
                faults: &[],
                bundle: None,
            };
            log.append(event.record().unwrap()).await.unwrap();
            before = Some(set.hash().to_owned());
            sets.push(Arc::new(set));
        }
        let admin = Admin {
            metrics: Arc::new(Metrics::default()),
            own: Arc::default(),
            log: log.clone(),
            sinks: Vec::new(),
            alerts: None,
            exported: None,
            running: Box::new(|| Running { policy: "sha256:<b>".into(), ..Running::default() }),
            upstream: Box::new(|| Box::pin(async { Ok(()) })),
        };
        let mut settings = Settings::at(Some("127.0.0.1:9432".parse().unwrap()), true);
        settings.people = people();
        settings.url = Some("https://audit.shop.example".to_owned());
        let current = sets.pop().unwrap();
        let parts = Parts {
            settings,
            token: None,
            organisation: Organisation::default(),
            admin: Arc::new(admin),
            policies: Box::new(move || Arc::clone(&current)),
            subject_key: Some(SubjectKey::derive(&[7; 32])),
            signer: Signer::new(&[9; 32]).map(Arc::new),
            kept,
            others: Vec::new(),
            due: Box::new(|| {
                let day = |day| jiff::civil::date(2026, 11, day);
                let due = Due { id: 17, asked: "access".to_owned(), received: day(1), by: day(29) };
                Box::pin(async move { Ok(vec![due]) })
            }),
        };
        let stand = Self { console: Console::start(parts).unwrap(), log, folder };
        stand.caught_up().await;
        stand
    }

    async fn caught_up(&self) {
        let last = self.log.status().last_seq;
        for _ in 0..400 {
            let read = self.console.following.desk().reach().1;
            if self.console.following.is_caught_up() && read.is_some_and(|read| read.seq >= last) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("the log was not read");
    }

    /// A statement that somebody made.
    async fn access(&self, login: &str, actor: Option<&str>, statement: &str) {
        let session = SessionFacts {
            login: login.into(),
            purpose: Some("support".into()),
            actor: actor.map(str::to_owned),
            role: Some("agent".into()),
            ..SessionFacts::default()
        };
        let report = AccessReport::deny("no rule opens it");
        let access = Access {
            session: &session,
            statement,
            fingerprint: "f",
            report: &report,
            policy: "p",
            observe: false,
            unrestricted: None,
            lookups: &[],
        };
        self.log.append_refused(access.record().unwrap()).await.unwrap();
    }

    fn browser(&self) -> Browser<'_> {
        Browser { stand: self, cookie: None, headers: Vec::new() }
    }

    async fn logged_in(&self, name: &str, password: &str) -> Browser<'_> {
        let mut browser = self.browser();
        let (status, _) = browser.log_in(name, password).await;
        assert_eq!(status, StatusCode::SEE_OTHER);
        browser
    }

    /// Records of this kind.
    fn records(&self, event: &str) -> Vec<Value> {
        let mut found = Vec::new();
        crate::audit::read::scan(&self.folder.path().join("log"), |entry| {
            if entry.event() == event {
                found.push(serde_json::from_str(&entry.line).unwrap());
            }
            true
        })
        .unwrap();
        found
    }
}

impl Browser<'_> {
    async fn ask(&mut self, method: Method, target: &str, body: String) -> (StatusCode, HeaderMap, Bytes) {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_static("127.0.0.1:9432"));
        for (name, value) in &self.headers {
            headers.insert(name.clone(), HeaderValue::from_static(value));
        }
        if let Some(cookie) = &self.cookie {
            headers.insert(header::COOKIE, HeaderValue::from_str(&format!("__Host-console={cookie}")).unwrap());
        }
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let request = WebRequest {
            method,
            path: path.to_owned(),
            query: query.to_owned(),
            certificate: None,
            headers,
            body: Bytes::from(body),
            from: IpAddr::from([127, 0, 0, 1]),
        };
        let (parts, body) = web::answer(&self.stand.console, request).await.into_parts();
        if let Some(set) = parts.headers.get(header::SET_COOKIE) {
            let set = set.to_str().unwrap();
            assert!(set.contains("; HttpOnly; SameSite=Strict; Secure"), "{set}");
            let value = set.split(['=', ';']).nth(1).unwrap().to_owned();
            self.cookie = Some(value).filter(|value| !value.is_empty());
        }
        (parts.status, parts.headers, body.collect().await.unwrap().to_bytes())
    }

    async fn get(&mut self, target: &str) -> (StatusCode, String) {
        let (status, _, body) = self.ask(Method::GET, target, String::new()).await;
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    /// A form as the page at `from` has it.
    async fn post(&mut self, from: &str, target: &str, fields: &str) -> (StatusCode, String) {
        let (_, page) = self.get(from).await;
        let token = page.split("name=\"form\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or("");
        let (status, _, body) = self.ask(Method::POST, target, format!("form={token}&{fields}")).await;
        (status, String::from_utf8_lossy(&body).into_owned())
    }

    async fn log_in(&mut self, name: &str, password: &str) -> (StatusCode, String) {
        let password = password.replace('\'', "%27").replace(' ', "+");
        self.post("/enter", "/enter", &format!("name={name}&password={password}")).await
    }
}

#[tokio::test]
async fn nobody_sees_a_page_without_a_log_in_and_each_page_is_a_record_before_it_is_shown() {
    let stand = Stand::open().await;
    let mut browser = stand.browser();
    for path in [
        "/",
        "/find?subject=17",
        "/matrix",
        "/policies",
        "/campaigns",
        "/campaign/c-1",
        "/pictures",
        "/bundle",
        "/proxy",
        "/x",
    ] {
        assert_eq!(browser.get(path).await.0, StatusCode::SEE_OTHER, "{path}");
    }
    for path in ["/review", "/campaigns", "/bundle", "/leave", "/x"] {
        assert_eq!(browser.ask(Method::POST, path, String::new()).await.0, StatusCode::FORBIDDEN, "{path}");
    }
    let (status, page) = browser.log_in("thandi", "an officer's").await;
    assert!(status == StatusCode::UNPROCESSABLE_ENTITY && page.contains("role=\"alert\""), "{page}");
    assert_eq!(browser.log_in("a password by mistake", "x").await.0, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(browser.get("/").await.0, StatusCode::SEE_OTHER);
    let before = browser.cookie.clone();
    assert_eq!(browser.log_in("thandi", "a reviewer's").await.0, StatusCode::SEE_OTHER);
    assert!(browser.cookie.is_some() && browser.cookie != before, "a session has a cookie of its own");
    let (status, page) = browser.get("/find?subject=17&login=crm").await;
    assert!(status == StatusCode::OK && page.contains("thandi, reviewer") && !page.contains("<script"), "{page}");
    let told: Vec<(String, String, String)> = stand
        .records("console")
        .iter()
        .map(|record| ["by", "page", "says"].map(|field| record[field].as_str().unwrap().to_owned()).into())
        .collect();
    let pseudonym = SubjectKey::derive(&[7; 32]).pseudonym("17");
    let line = |by: &str, page: &str, says: &str| (by.to_owned(), page.to_owned(), says.to_owned());
    assert_eq!(
        told,
        [
            line("thandi", "log-in refused", "password"),
            line("", "log-in refused", "password"),
            line("thandi", "log-in", "password"),
            line("thandi", "/find", &format!("subject {pseudonym}, login crm")),
        ],
        "a person stands in the log by pseudonym, and what nobody is called does not"
    );
    // Whoever leaves is out, also with the cookie that was kept.
    let kept = browser.cookie.clone();
    assert_eq!(browser.post("/", "/leave", "").await.0, StatusCode::SEE_OTHER);
    browser.cookie = kept;
    assert_eq!(browser.get("/").await.0, StatusCode::SEE_OTHER);
    // A log that takes nothing shows nothing.
    let mut browser = stand.logged_in("thandi", "a reviewer's").await;
    stand.log.close("test").await.unwrap();
    let (status, page) = browser.get("/matrix").await;
    assert!(status == StatusCode::SERVICE_UNAVAILABLE && !page.contains("identity"), "{page}");
}

#[tokio::test]
async fn a_form_of_another_site_or_another_log_in_does_nothing_and_neither_does_a_page_by_another_name() {
    let stand = Stand::open().await;
    let mut officer = stand.logged_in("nomsa", "an officer's").await;
    let foreign = [
        (header::ORIGIN, "https://elsewhere.example"),
        (header::ORIGIN, "null"),
        (HeaderName::from_static("sec-fetch-site"), "cross-site"),
        (HeaderName::from_static("sec-fetch-site"), "same-site"),
        (header::HOST, "rebound.example:9432"),
    ];
    for header in foreign {
        officer.headers = vec![header.clone()];
        let (_, page) = officer.get("/campaigns").await;
        let token = page.split("name=\"form\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or("");
        let (status, ..) = officer.ask(Method::POST, "/campaigns", format!("form={token}&comment=x")).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{header:?}");
    }
    officer.headers.clear();
    for form in ["", "form=", &format!("form={}", "0".repeat(64))] {
        let (status, ..) = officer.ask(Method::POST, "/campaigns", form.to_owned()).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{form}");
    }
    let mut reviewer = stand.logged_in("thandi", "a reviewer's").await;
    let (_, page) = reviewer.get("/campaigns").await;
    let theirs = page.split("name=\"form\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let (status, ..) = officer.ask(Method::POST, "/campaigns", format!("form={theirs}")).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "the form of another log-in");
    assert_eq!(stand.records("campaign").len(), 0);
    // As Chromium sends it from a page that tells nobody where it was.
    officer.headers = vec![(header::ORIGIN, "null"), (HeaderName::from_static("sec-fetch-site"), "same-origin")];
    assert_eq!(officer.post("/campaigns", "/campaigns", "comment=x").await.0, StatusCode::SEE_OTHER);
    for origin in ["http://127.0.0.1:9432", "https://audit.shop.example"] {
        officer.headers = vec![(header::ORIGIN, origin)];
        assert_eq!(officer.post("/campaigns", "/campaigns", "comment=x").await.0, StatusCode::SEE_OTHER, "{origin}");
    }
    officer.headers = vec![(header::HOST, "audit.shop.example")];
    assert_eq!(officer.get("/").await.0, StatusCode::OK);
    officer.headers.clear();
    let (status, headers, _) = officer.ask(Method::PUT, "/", String::new()).await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    let policy = headers.get(header::CONTENT_SECURITY_POLICY).unwrap().to_str().unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
}

#[tokio::test]
async fn passwords_are_not_guessed_without_end_and_certificates_and_tokens_open_as_they_say() {
    let stand = Stand::open().await;
    let mut browser = stand.browser();
    let mut last = StatusCode::OK;
    for _ in 0..11 {
        last = browser.log_in("nomsa", "guess").await.0;
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(browser.log_in("nomsa", "an officer's").await.0, StatusCode::TOO_MANY_REQUESTS);
    let settings = &stand.console.parts.settings;
    let by = |certificate| door::by_certificate(settings, certificate).map(|who| who.name);
    assert_eq!(by(Some("nomsa@shop.example")).as_deref(), Some("nomsa"));
    assert_eq!((by(None), by(Some("")), by(Some("nomsa"))), (None, None, None));
    assert_eq!(browser.get("/token/").await.0, StatusCode::FORBIDDEN, "there is no token");
}

#[tokio::test]
async fn what_clients_chose_is_shown_as_it_is_and_a_search_says_who_why_what_and_when() {
    let stand = Stand::open().await;
    stand.access("<script>alert(1)</script>", None, "SELECT a < $1").await;
    for number in 0..60 {
        stand.access("crm", Some("u42"), &format!("SELECT {number}")).await;
    }
    let mut browser = stand.logged_in("thandi", "a reviewer's").await;
    let (_, page) = browser.get("/proxy").await;
    assert!(page.contains("sha256:&lt;b&gt;") && page.contains("crm"), "{page}");
    let (_, page) = browser.get("/find?login=%3Cscript%3Ealert(1)%3C%2Fscript%3E").await;
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;") && !page.contains("<script"), "{page}");
    assert!(page.contains("Nothing older matches"), "{page}");
    // The first page is full, the second has the rest; both by what stands in the address.
    let (_, first) = browser.get("/find?actor=u42").await;
    assert_eq!(first.matches("as <code>u42</code>").count(), 50, "{first}");
    assert!(first.contains("<code>support</code>") && first.contains("no rule opens it"), "{first}");
    let older = first.split("href=\"/find?").nth(1).unwrap().split('#').next().unwrap().replace("&amp;", "&");
    let (_, second) = browser.get(&format!("/find?{older}")).await;
    assert_eq!(second.matches("as <code>u42</code>").count(), 10, "{second}");
    let (_, none) = browser.get("/find?actor=u42&verdict=allow").await;
    assert!(none.contains("<h2 id=\"found\">Nothing</h2>"), "{none}");
    let (_, wrong) = browser.get("/find?since=yesterday").await;
    assert!(wrong.contains("role=\"alert\"") && wrong.contains("a time is"), "{wrong}");
}

#[tokio::test]
async fn each_change_of_the_policies_says_what_it_opened_and_what_is_not_used_is_dashed() {
    let stand = Stand::open().await;
    let mut browser = stand.logged_in("thandi", "a reviewer's").await;
    let (_, page) = browser.get("/policies").await;
    assert!(page.contains("1 change of the policies") && page.contains("<h3>Opens</h3>"), "{page}");
    assert!(page.contains("<code>public.<wbr />people.<wbr />name</code>"), "{page}");
    let (_, page) = browser.get("/matrix").await;
    assert!(page.contains("class=\"unused\">identity") && page.contains("not used in 90 days"), "{page}");
    assert!(page.contains("2026-11-29") && page.contains("<code>crm</code>"), "{page}");
    std::fs::remove_dir_all(stand.folder.path().join("policies")).unwrap();
    let (_, page) = browser.get("/policies").await;
    assert!(page.contains("cannot be told: the policies were not kept"), "{page}");
}

#[tokio::test]
async fn a_campaign_is_begun_and_closed_by_an_officer_and_judged_line_by_line_and_all_of_it_is_in_the_bundle() {
    let stand = Stand::open().await;
    let mut reviewer = stand.logged_in("thandi", "a reviewer's").await;
    let (status, page) = reviewer.post("/campaigns", "/campaigns", "comment=x").await;
    assert!(status == StatusCode::UNPROCESSABLE_ENTITY && page.contains("An officer begins"), "{page}");
    let (status, _) = reviewer.post("/bundle", "/bundle", "").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let mut officer = stand.logged_in("nomsa", "an officer's").await;
    assert_eq!(officer.post("/campaigns", "/campaigns", "comment=fourth+quarter").await.0, StatusCode::SEE_OTHER);
    stand.caught_up().await;
    let campaign = stand.console.following.desk().campaigns()[0].clone();
    assert_eq!((campaign.has.as_str(), campaign.comment.as_str()), ("1 line", "fourth quarter"));
    let at = format!("/campaign/{}", campaign.campaign);
    let (status, page) = officer.post(&at, &format!("{at}/close"), "comment=done").await;
    assert!(status == StatusCode::UNPROCESSABLE_ENTITY && page.contains("Not every line is judged"), "{page}");
    for (fields, says) in [
        ("role=agent&purpose=support&what=revoked", "Say why"),
        ("role=agent&purpose=support&what=kept", "Say whether"),
        ("role=agent&purpose=other&what=certified", "no such line"),
    ] {
        let (status, page) = reviewer.post(&at, &at, fields).await;
        assert!(status == StatusCode::UNPROCESSABLE_ENTITY && page.contains(says), "{fields}: {page}");
    }
    let fields = "role=agent&purpose=support&what=revoked&comment=names+are+not+needed";
    assert_eq!(reviewer.post(&at, &at, fields).await.0, StatusCode::SEE_OTHER);
    let (_, page) = reviewer.get(&at).await;
    assert!(page.contains("revoked") && page.contains("still open it"), "{page}");
    assert_eq!(reviewer.post(&at, &format!("{at}/close"), "").await.0, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(officer.post(&at, &format!("{at}/close"), "comment=done").await.0, StatusCode::SEE_OTHER);
    assert_eq!(reviewer.post(&at, &at, fields).await.0, StatusCode::NOT_FOUND, "it is closed");
    let steps: Vec<String> =
        stand.records("campaign").iter().map(|record| record["what"].as_str().unwrap().to_owned()).collect();
    assert_eq!(steps, ["begun", "revoked", "closed"]);

    let (_, page) = officer.get("/bundle").await;
    let token = page.split("name=\"form\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let (status, headers, zip) = officer.ask(Method::POST, "/bundle", format!("form={token}")).await;
    assert_eq!(
        (status, headers.get(header::CONTENT_TYPE).unwrap().to_str().unwrap()),
        (StatusCode::OK, "application/zip")
    );
    let checked = bundle::check(&zip, &[Signer::new(&[9; 32]).unwrap().public()]).unwrap();
    assert_eq!((checked.files, checked.signed), (4, true));
    assert!(!bundle::check(&zip, &[Signer::new(&[8; 32]).unwrap().public()]).unwrap().signed, "of another key");
    let (html, json) = (checked.text("index.html"), checked.text("bundle.json"));
    assert!(html.contains("names are not needed") && json.contains("fourth quarter"), "{html}");
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["policies"][0]["opens"].as_array().unwrap().len(), 1, "{json}");
    // A bundle in which a word was changed says so.
    let changed = bundle::tests_change(&zip, "index.html", "names are not needed", "names are needed");
    assert!(bundle::check(&changed, &[Signer::new(&[9; 32]).unwrap().public()]).unwrap_err().contains("index.html"));
    let taken = stand.records("console").into_iter().filter(|record| record["page"] == "bundle").count();
    assert_eq!(taken, 1);
}

#[tokio::test]
async fn the_token_opens_the_console_to_an_officer_of_no_name_from_this_machine_alone() {
    let opened = AtomicBool::new(false);
    let mut stand = Stand::open().await;
    let console = Arc::get_mut(&mut stand.console).unwrap();
    console.parts.token = Some(Secret::new("0123456789abcdef".to_owned()));
    for (token, from, opens) in [
        ("0123456789abcdef", [127, 0, 0, 1], true),
        ("0123456789abcdef", [10, 0, 0, 1], false),
        ("0123", [127, 0, 0, 1], false),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_static("127.0.0.1:9432"));
        let (path, from) = (format!("/token/{token}"), IpAddr::from(from));
        let (query, certificate, body) = (String::new(), None, Bytes::new());
        let request = WebRequest { method: Method::GET, path, query, certificate, headers, body, from };
        let answer = web::answer(&stand.console, request).await;
        assert_eq!(answer.headers().contains_key(header::SET_COOKIE), opens, "{token} {from}");
        opened.fetch_or(opens, Ordering::Relaxed);
    }
    assert!(opened.load(Ordering::Relaxed) && stand.records("console").len() == 1 && Timestamp::now() > Timestamp::MIN);
}

#[test]
fn every_page_comes_while_the_log_is_still_being_read() {
    const PAGES: [&str; 8] =
        ["/", "/find?login=crm", "/matrix", "/policies", "/campaigns", "/pictures", "/bundle", "/proxy"];
    let (told, heard) = std::sync::mpsc::channel();
    // On a thread of its own: a page that waits for itself would not end.
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let stand = Arc::new(Stand::open().await);
            for number in 0..30 {
                stand.access("crm", Some("u42"), &format!("SELECT {number}")).await;
            }
            stand.caught_up().await;
            let mut officer = stand.logged_in("nomsa", "an officer's").await;
            // Whoever reads the log writes into the desk between any two steps of a page.
            let (writing, over) = (Arc::clone(&stand), Arc::new(AtomicBool::new(false)));
            let until = Arc::clone(&over);
            let writer = std::thread::spawn(move || {
                while !until.load(Ordering::Relaxed) {
                    writing.console.following.tests_read_on();
                }
            });
            for path in PAGES {
                for _ in 0..20 {
                    let (status, page) = officer.get(path).await;
                    assert!(status == StatusCode::OK && page.contains("<h1"), "{path}: {page}");
                }
                told.send(path).unwrap();
            }
            over.store(true, Ordering::Relaxed);
            writer.join().unwrap();
        });
    });
    let pages: Vec<&str> = std::iter::from_fn(|| heard.recv_timeout(std::time::Duration::from_secs(60)).ok()).collect();
    assert_eq!(pages, PAGES);
}
