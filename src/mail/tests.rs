#![allow(clippy::unwrap_used, clippy::indexing_slicing, unreachable_pub, dead_code)]

use std::path::Path;

use super::*;
use crate::config::Config;

#[path = "../../tests/support/certs.rs"]
mod certs;
#[path = "../../tests/peers/smtp.rs"]
mod peer;

use certs::{Authority, Files};
use peer::{Manner, Server};

const PASSWORD: &str = "Posbus-7715";

/// `[mail]` of a configuration.
fn mail(section: &str, base: &Path) -> Mail {
    std::fs::write(base.join("p.toml"), "version = 1\n").unwrap();
    let text = format!(
        "[upstream]\naddress = \"127.0.0.1:5432\"\n[policy]\nfiles = [\"p.toml\"]\n[mail]\nfrom = \"Ubuntu Market <privacy@shop.example>\"\n{section}"
    );
    Config::from_text("c.toml", &text, base).unwrap().mail.unwrap()
}

fn block<T>(of: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(of)
}

fn tls(files: &Files, authority: &Authority) -> std::sync::Arc<rustls::ServerConfig> {
    use rustls_pki_types::pem::PemObject;
    let (cert, key) = authority.sign("mail");
    let (cert, key) = (files.write("mail.crt", &cert), files.write("mail.key", &key));
    let chain = rustls_pki_types::CertificateDer::pem_file_iter(cert).unwrap().map(Result::unwrap).collect();
    let key = rustls_pki_types::PrivateKeyDer::from_pem_file(key).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    std::sync::Arc::new(builder.with_no_client_auth().with_single_cert(chain, key).unwrap())
}

#[test]
fn a_message_arrives_whole_over_each_kind_of_tls_with_the_login() {
    let files = Files::new();
    let authority = Authority::new("Posts");
    files.write("ca.crt", &authority.pem);
    files.write("password", PASSWORD);
    for (kind, offers, implicit) in [("starttls", true, false), ("implicit", true, true), ("disable", false, false)] {
        let manner = Manner { tls: offers.then(|| tls(&files, &authority)), implicit, refuses: false };
        let server = Server::start(manner);
        let section = format!(
            "smtp = \"localhost:{}\"\ntls = \"{kind}\"\ntls_ca = \"ca.crt\"\nlogin = \"courier\"\npassword = \"file:password\"",
            server.address.port()
        );
        let mailer = Mailer::new(&mail(&section, files.path())).unwrap();
        let mut message =
            Message::new("Thandi <thandi@example.co.za>", "Your code\r\nBcc: x@y.z", "Sawubona, ë\n.\nend\n");
        message.unsubscribe = Some("https://shop.example/u/abc".to_owned());
        block(mailer.send(&message)).unwrap();
        let taken = server.wait_for(1).remove(0);
        assert_eq!((taken.to.as_str(), taken.tls), ("thandi@example.co.za", offers), "{kind}");
        assert_eq!(taken.login.as_deref(), Some("courier Posbus-7715"), "{kind}");
        let headers = taken.data.split("\r\n\r\n").next().unwrap();
        assert!(headers.contains("List-Unsubscribe: <https://shop.example/u/abc>\r\n"), "{headers}");
        assert!(headers.contains("List-Unsubscribe-Post: List-Unsubscribe=One-Click"), "{headers}");
        assert!(!headers.contains("\nBcc"), "a line end in the subject makes no header: {headers}");
    }
}

#[test]
fn a_server_without_tls_or_with_another_authority_gets_neither_password_nor_message() {
    let files = Files::new();
    files.write("ca.crt", &Authority::new("Posts").pem);
    files.write("password", PASSWORD);
    let other = Authority::new("Somebody else");
    for manner in [
        Manner::default(),
        Manner { tls: Some(tls(&files, &other)), ..Manner::default() },
        Manner { tls: Some(tls(&files, &other)), implicit: true, refuses: false },
    ] {
        let server = Server::start(manner.clone());
        let kind = if manner.implicit { "implicit" } else { "starttls" };
        let section = format!(
            "smtp = \"localhost:{}\"\ntls = \"{kind}\"\ntls_ca = \"ca.crt\"\nlogin = \"courier\"\npassword = \"file:password\"",
            server.address.port()
        );
        let mailer = Mailer::new(&mail(&section, files.path())).unwrap();
        let error = block(mailer.send(&Message::new("thandi@example.co.za", "a", "b"))).unwrap_err();
        assert!(matches!(error, MailError::Unreachable(_)), "{error:?}");
        assert!(server.taken.lock().unwrap().is_empty());
    }
}

#[test]
fn an_error_repeats_neither_the_address_nor_the_text() {
    let files = Files::new();
    let server = Server::start(Manner { refuses: true, ..Manner::default() });
    let smtp = format!("smtp = \"127.0.0.1:{}\"\ntls = \"disable\"", server.address.port());
    let sections = [smtp.as_str(), "command = [\"/bin/sh\", \"-c\", \"cat >&2; exit 3\"]", "command = [\"/nowhere\"]"];
    for section in sections {
        let mailer = Mailer::new(&mail(section, files.path())).unwrap();
        let message = Message::new("thandi@example.co.za", "Onderwerp", "geheim 482913");
        let error = block(mailer.send(&message)).unwrap_err();
        for told in [format!("{error} {error:?}"), format!("{message:?} {mailer:?}")] {
            assert!(
                !["thandi", "Onderwerp", "482913", "no such user"].iter().any(|word| told.contains(word)),
                "{told}"
            );
        }
    }
    let mailer = Mailer::new(&mail(&smtp, files.path())).unwrap();
    assert_eq!(block(mailer.send(&Message::new("thandi@example.co.za", "a", "b"))), Err(MailError::Refused(550)));
    assert_eq!(block(mailer.sms("+27821234567", "a")), Err(MailError::NoWay("telephones")));
}

#[test]
fn a_command_is_handed_the_message_and_a_number_and_nothing_of_our_environment() {
    let files = Files::new();
    let to = files.at("sent").display().to_string();
    let write = format!("(echo to=$PGPURPOSE_TO; env | grep -c CARGO; cat) > {to}");
    let section = format!("command = [\"/bin/sh\", \"-c\", \"{write}\"]\nsms = [\"/bin/sh\", \"-c\", \"{write}\"]");
    let mailer = Mailer::new(&mail(&section, files.path())).unwrap();
    block(mailer.sms("+27821234567", "482913")).unwrap();
    assert_eq!(std::fs::read_to_string(&to).unwrap(), "to=+27821234567\n0\n482913");
    block(mailer.send(&Message::new("thandi@example.co.za", "Kode", "482913"))).unwrap();
    let sent = std::fs::read_to_string(&to).unwrap();
    assert!(sent.starts_with("to=\n0\n") && sent.contains("To: thandi@example.co.za\r\n"), "{sent}");
    for number in ["", "+27 82", "0; rm", "+2782123456789012"] {
        assert_eq!(block(mailer.sms(number, "x")), Err(MailError::NoAddress("telephone number")), "{number}");
    }
}

#[test]
fn a_section_that_would_send_a_password_in_clear_or_nowhere_is_a_fault() {
    for (section, says) in [
        ("smtp = \"mail.example:25\"\ntls = \"disable\"\nlogin = \"a\"\npassword = \"env:P\"", "in clear"),
        ("smtp = \"mail.example:25\"\nlogin = \"a\"", "go together"),
        ("smtp = \"mail.example:25\"\ncommand = [\"a\"]", "two ways"),
        ("command = []", "program and its arguments"),
        ("smpt = \"mail.example:25\"", "smpt"),
    ] {
        let text = format!(
            "[upstream]\naddress = \"127.0.0.1:5432\"\n[policy]\nfiles = [\"Cargo.toml\"]\n[mail]\nfrom = \"a@b.example\"\n{section}"
        );
        let faults = Config::from_text("c.toml", &text, Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap_err();
        assert!(faults.iter().any(|fault| fault.to_string().contains(says)), "{section}: {faults:?}");
    }
}
