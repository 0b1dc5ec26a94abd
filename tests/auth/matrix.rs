//! Method, client's TLS, channel binding, the way to the database, libpq: works, or fails as the documentation says.

use crate::setup::{
    Guarded, HBA, Libpq, OWN_PASSWORD, PASSWORD, conninfo, guarded, libpq18, listen, pgpurpose, proxy, psql, rsa,
};

const TLS: &[(&str, &str)] =
    &[("off", "sslmode=disable"), ("on", "sslmode=require"), ("direct", "sslmode=require sslnegotiation=direct")];
const BINDINGS: &[&str] = &["disable", "prefer", "require"];

/// What the documentation says: `None` where it works.
fn why_not(method: &str, tls: &str, binding: &str) -> Option<&'static str> {
    match (method, tls, binding) {
        // The client itself refuses: there is nothing to bind to.
        (_, "off", "require") => Some("channel binding required"),
        // A relayed login cannot be bound: PLUS is never offered.
        ("relay", _, "require") => Some("channel binding is required"),
        _ => None,
    }
}

#[test]
fn every_method_works_over_every_connection_or_fails_as_documented() {
    let guarded = guarded();
    let (rsa_cert, rsa_key) = rsa(&guarded.files, "listen-rsa");
    let plain = |address: &str| guarded.upstream(address, "tls = \"disable\"");
    let rsa_database = Guarded::start_as(HBA, None, true, &[]);
    // The certificates are EC where nothing is said.
    let ways = [
        ("socket", plain(&guarded.socket()), guarded.listen()),
        ("plain, RSA before it", plain(&guarded.tcp()), listen(&rsa_cert, &rsa_key)),
        ("TLS", guarded.upstream_tls(), guarded.listen()),
        ("TLS, RSA before it", guarded.upstream_tls(), listen(&rsa_cert, &rsa_key)),
        ("TLS of RSA", rsa_database.upstream_tls(), guarded.listen()),
    ];
    let mut table = Vec::new();
    let mut wrong = Vec::new();
    for method in ["passthrough", "scram", "relay"] {
        for (way, upstream, listen) in &ways {
            if method == "relay" && way.starts_with("TLS") {
                refused_by_check(&format!("{upstream}{}", guarded.auth(method)));
                table.push(format!("{method:<12} {way:<28} refused by check"));
                continue;
            }
            let proxy = proxy(listen, &format!("{upstream}{}", guarded.auth(method)));
            let (login, password) =
                if method == "scram" { ("agent", OWN_PASSWORD) } else { ("support_agent", PASSWORD) };
            for (tls, options) in TLS {
                for binding in BINDINGS {
                    for libpq in [Libpq::Own, Libpq::Eighteen] {
                        if libpq == Libpq::Eighteen && libpq18().is_none() || libpq == Libpq::Own && *tls == "direct" {
                            continue;
                        }
                        let conninfo = conninfo(&proxy, login, &format!("{options} channel_binding={binding}"));
                        let said = psql(guarded, libpq, &conninfo, password);
                        let right = match (&said, why_not(method, tls, binding)) {
                            (Ok(_), None) => true,
                            (Err(error), Some(part)) => error.contains(part) || error.contains("channel binding"),
                            (Ok(_), Some(_)) | (Err(_), None) => false,
                        };
                        let line = format!(
                            "{method:<12} {way:<28} client {tls:<7} binding {binding:<8} {libpq:?}: {}",
                            if said.is_ok() { "works" } else { "fails" }
                        );
                        if !right {
                            wrong.push(format!("{line}: {said:?}"));
                        }
                        table.push(line);
                    }
                }
            }
            let connects = proxy.access_log().into_iter().filter(|record| record["event"] == "connect");
            let connects: Vec<_> = connects.collect();
            assert!(connects.iter().all(|record| record["authentication"] == method), "{connects:?}");
            assert!(
                connects.iter().any(|record| record["tls"] == "TLSv1.3")
                    && connects.iter().any(|record| record["tls"].is_null())
            );
        }
    }
    eprintln!("{}", table.join("\n"));
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn refused_by_check(sections: &str) {
    let (code, error) = pgpurpose(&["check"], sections);
    assert!(code == Some(2) && error.contains("channel binding"), "{error}");
}
