//! Who gets in, and what can be found out from outside.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Instant;

use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};

use crate::stand::{Answer, Stand};
use crate::support::certs::{Authority, Files};

const KNOWN: &str = "canary-12@example.co.za";
const UNKNOWN: &str = "nobody-12@example.co.za";

/// An answer without what is another each time: the moment, the cookie, what the form brings along.
fn plain(answer: &Answer, form: &str) -> Answer {
    let mut answer = answer.clone();
    answer.headers.retain(|(name, _)| !matches!(name.as_str(), "date" | "set-cookie"));
    answer.body = answer.body.replace(form, "").replace(KNOWN, "").replace(UNKNOWN, "");
    answer
}

#[test]
fn who_is_known_and_who_is_not_are_answered_alike_and_only_one_gets_a_code() {
    let stand = Stand::open("", "");
    let answers = |contact: &str| -> Vec<Answer> {
        let mut visitor = stand.visitor();
        let mut answers = vec![visitor.knock(contact)];
        answers.push(visitor.get("/en/code"));
        for code in ["000000", "", "12345678", "x", "999999", "111111"] {
            answers.push(visitor.post("/en/code", &[("code", code)]));
        }
        answers.push(visitor.get("/en/code"));
        let form = visitor.form.clone();
        answers.iter().map(|answer| plain(answer, &form)).collect()
    };
    let (known, unknown) = (answers(KNOWN), answers(UNKNOWN));
    for (known, unknown) in known.iter().zip(&unknown) {
        assert_eq!(known, unknown);
    }
    assert_eq!(known[0].status, 303);
    assert_eq!(known[2].status, 422);
    stand.code(KNOWN, 1);
    assert!(stand.mails(&[UNKNOWN]).is_empty());
    // Both were looked up, and both lookups stand in the log, by digest.
    let log = stand.proxy.access_log();
    let finds: Vec<_> = log.iter().filter(|record| record["event"] == "request" && record["step"] == "find").collect();
    assert_eq!(finds.len(), 2);
    assert!(
        finds.iter().all(|find| find["lookups"][0]["digest"].as_str().is_some_and(|digest| digest.starts_with("lk_")))
    );
    assert!(!log.iter().any(|record| record.to_string().contains("canary-12")));
}

/// Whether an answer to who is known takes longer: how often a time of one kind is longer than one of the other, a half where they are
/// alike. Sending takes a second here, so that it would be seen if a request waited for it.
#[test]
fn an_answer_takes_no_longer_for_who_is_known() {
    let stand = Stand::open("forwarded = true", "sleep 1; ");
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..40 {
        for known in [round % 2, 1 - round % 2] {
            let mut visitor = stand.visitor();
            visitor.from = Some(format!("10.{known}.{round}.1"));
            // Each is asked for at most so often that it is sent.
            let contact = if known == 1 {
                format!("canary-{}@example.co.za", 1 + round % 20)
            } else {
                format!("nobody-{round}@example.co.za")
            };
            visitor.get("/en/enter");
            let begun = Instant::now();
            assert_eq!(visitor.post("/en/enter", &[("contact", &contact)]).status, 303);
            times[known].push(begun.elapsed());
        }
    }
    let [unknown, known] = &times;
    let longer =
        known.iter().flat_map(|one| unknown.iter().map(move |other| one > other)).filter(|longer| *longer).count();
    let share = longer as f64 / (known.len() * unknown.len()) as f64;
    assert!((0.15..0.85).contains(&share), "who is known waits longer in {share:.2} of all pairs");
}

#[test]
fn wrong_codes_over_http_get_nobody_in_and_are_soon_not_compared_any_more() {
    let stand = Stand::open("forwarded = true", "");
    let mut compared = 0;
    for step in 0..100_u32 {
        let mut visitor = stand.visitor();
        visitor.from = Some(format!("10.1.{}.1", step));
        visitor.knock(KNOWN);
        for code in 0..8 {
            let answer = visitor.post("/en/code", &[("code", &format!("{:06}", step * 10 + code))]);
            assert_ne!(answer.header("location"), Some("/en/you"));
            compared += u32::from(answer.body.contains("tries left"));
        }
    }
    assert!(compared <= 25, "{compared} codes were compared");
    assert!(stand.mails(&["Your code is"]).len() <= 5);
}

#[test]
fn the_login_of_the_centre_may_call_its_functions_and_do_nothing_else() {
    let stand = Stand::open("", "");
    let may = "SELECT string_agg(c.oid::regclass::text, ', ') FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
               WHERE n.nspname IN ('public', 'privacy') AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') \
               AND (has_table_privilege('pgpurpose_centre', c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER') \
                    OR c.relkind <> 'S' AND has_any_column_privilege('pgpurpose_centre', c.oid, 'SELECT, INSERT, UPDATE, REFERENCES'))";
    assert_eq!(stand.direct(may), "", "it may use a table");
    let schemas = "SELECT count(*) FROM pg_namespace WHERE nspname = 'privacy' AND has_schema_privilege('pgpurpose_centre', oid, 'CREATE')";
    assert_eq!(stand.direct(schemas), "0");
    let calls = "SELECT string_agg(p.proname, ' ' ORDER BY p.proname) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace \
                 WHERE n.nspname IN ('public', 'privacy') AND p.prosecdef AND has_function_privilege('pgpurpose_centre', p.oid, 'EXECUTE')";
    let functions = "centre_consents centre_find_email centre_find_phone centre_give centre_lift centre_object centre_objections \
                     centre_open centre_person centre_requests centre_status centre_withdraw";
    assert_eq!(stand.direct(calls), functions);
    let loose = "SELECT count(*) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = 'privacy' AND p.prosecdef \
                 AND (p.proconfig IS DISTINCT FROM ARRAY['search_path=pg_catalog, pg_temp'] OR has_function_privilege('agent', p.oid, 'EXECUTE'))";
    assert_eq!(stand.direct(loose), "0", "a function without its own search path, or for everybody");
    for sql in [
        "SELECT * FROM customers",
        "SELECT * FROM privacy.requests",
        "INSERT INTO privacy.consents (subject_id, purpose, evidence) VALUES (1, 'a', 'b')",
    ] {
        let tried = stand.cluster.run_sql("shop", &format!("SET ROLE pgpurpose_centre; {sql}"));
        assert!(tried.unwrap_err().to_string().contains("permission denied"), "{sql}");
    }
}

#[test]
fn a_form_that_comes_from_elsewhere_changes_nothing() {
    let stand = Stand::open("", "");
    let mut visitor = stand.visitor();
    visitor.enter(KNOWN, 0);
    visitor.get("/en/choices");
    let mut stranger = stand.visitor();
    stranger.get("/en/enter");
    let (own, other) = (visitor.form.clone(), stranger.form.clone());
    let change = |form: &str, more: &str| {
        visitor.send("POST", "/en/choices", more, &format!("form={form}&purpose=marketing&to=on"))
    };
    for (form, more) in [
        ("", ""),
        (other.as_str(), ""),
        ("0", ""),
        (own.as_str(), "Sec-Fetch-Site: cross-site\r\n"),
        (own.as_str(), "Sec-Fetch-Site: same-site\r\n"),
    ] {
        let answer = change(form, more);
        assert_eq!(answer.status, 403, "{form} {more}");
        assert_eq!(answer.header("set-cookie"), None);
    }
    assert_eq!(stand.direct("SELECT count(*) FROM privacy.consents"), "0");
    assert_eq!(change(&own, "Sec-Fetch-Site: same-origin\r\n").status, 200);
    assert_eq!(stand.direct("SELECT count(*) FROM privacy.consents"), "1");
    // A page never opens without the cookie, and a cookie that somebody made up is none.
    for cookie in [None, Some(format!("centre={}", "0".repeat(64)))] {
        let mut thief = stand.visitor();
        thief.cookie = cookie;
        for path in ["you", "choices", "requests", "seen", "ask/see", "receipt/x"] {
            assert_eq!(thief.get(&format!("/en/{path}")).header("location"), Some("/en/enter"), "{path}");
        }
    }
    // After signing out the cookie is of no use.
    let kept = visitor.cookie.clone();
    visitor.get("/en/you");
    visitor.post("/en/leave", &[]);
    visitor.cookie = kept;
    assert_eq!(visitor.get("/en/you").header("location"), Some("/en/enter"));
}

#[test]
fn nothing_is_loaded_kept_or_framed_and_the_cookie_is_the_sessions_alone() {
    let stand = Stand::open("", "");
    let mut visitor = stand.visitor();
    for path in ["/en/", "/en/enter", "/af/status", "/zu/", "/en/nowhere", "/u/x/y/z", "/privacy.json"] {
        let answer = visitor.send("GET", path, "", "");
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; style-src 'self'; "), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'") && policy.contains("form-action 'self'"), "{policy}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert!(
            !answer.body.contains("<script") && !answer.body.contains(" style=") && !answer.body.contains("<img"),
            "{path}"
        );
        let sets = answer.header("set-cookie").map(str::to_owned);
        assert_eq!(sets.is_some(), matches!(path, "/en/enter" | "/af/status"), "{path}: {sets:?}");
        if let Some(cookie) = sets {
            assert!(cookie.contains("; Path=/; HttpOnly; SameSite=Strict") && !cookie.contains("Max-Age"), "{cookie}");
        }
    }
    let before = visitor.get("/en/enter").header("set-cookie").map(str::to_owned);
    visitor.enter(KNOWN, 0);
    assert_ne!(
        before.as_deref().and_then(|cookie| cookie.split(';').next()),
        visitor.cookie.as_deref(),
        "signing in gives another cookie"
    );
    let big = visitor.send("POST", "/en/status", "", &"x".repeat(20_000));
    assert_eq!(big.status, 413);
}

#[test]
fn over_tls_the_cookie_is_bound_to_the_host_and_browsers_are_told_to_stay_with_it() {
    let (files, authority) = (Files::new(), Authority::new("Shop"));
    let (cert, key) = authority.sign("centre");
    let (cert, key) = (files.write("centre.crt", &cert), files.write("centre.key", &key));
    let stand = Stand::open(&format!("tls_cert = \"{}\"\ntls_key = \"{}\"", cert.display(), key.display()), "");
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    // As browsers offer it.
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let config = Arc::new(config);
    let ask = |request: &str| {
        let name = ServerName::try_from("localhost").unwrap();
        let session = ClientConnection::new(Arc::clone(&config), name).unwrap();
        let stream = TcpStream::connect(("127.0.0.1", stand.port())).unwrap();
        let mut stream = StreamOwned::new(session, stream);
        stream.write_all(request.as_bytes()).unwrap();
        Answer::read(stream)
    };
    let answer = ask("GET /en/enter HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert_eq!(answer.status, 200);
    let cookie = answer.header("set-cookie").unwrap();
    assert!(
        cookie.starts_with("__Host-centre=") && cookie.ends_with("; Path=/; HttpOnly; SameSite=Strict; Secure"),
        "{cookie}"
    );
    assert!(answer.header("strict-transport-security").unwrap().starts_with("max-age="));
    // Browsers take a cookie of that name, an empty one too, only with what binds it.
    let form = &answer.body.split("name=\"form\" value=\"").nth(1).unwrap()[..32];
    let left = ask(&format!(
        "POST /en/leave HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nCookie: {}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 37\r\n\r\nform={form}",
        cookie.split(';').next().unwrap()
    ));
    assert_eq!(left.status, 303);
    let gone = left.header("set-cookie").unwrap();
    assert!(
        gone.starts_with("__Host-centre=;")
            && gone.contains("; Max-Age=0")
            && gone.ends_with("; Path=/; HttpOnly; SameSite=Strict; Secure"),
        "{gone}"
    );
}
