//! The server's configuration: what is read, and what is refused with its line.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::path::{Path, PathBuf};

use pgpurpose::config::{AuditSync, AuthMethod, Config, Mode, SecretSource, UpstreamAddress, UpstreamTls};

const FULL: &str = r#"
[listen]
address = ["127.0.0.1:6432", "[::1]:6432"]
tls_cert = "server.crt"
tls_key = "/keys/server.key"
require_tls = true
tls_client_ca = "clients.crt"
max_connections = 50

[upstream]
address = "127.0.0.1:5432"
tls = "disable"
tls_ca = "ca.crt"
catalog_login = "pgpurpose"
catalog_password = "env:PGPURPOSE_CATALOG_PASSWORD"

[auth]
method = "relay"

[policy]
files = ["policies/*.toml"]
mode = "observe"
token_key = "file:token.key"

[audit]
directory = "log"
sync = "written"
signing_key = "file:signing.key"
checkpoint_records = 500
checkpoint_seconds = 30
rotate_mb = 16
rotate_hours = 6
compress = false
retain_days = 1095

[admin]
address = "127.0.0.1:9432"
"#;

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("policies")).unwrap();
    for name in ["b.toml", "a.toml", "c.txt"] {
        std::fs::write(folder.path().join("policies").join(name), "version = 1\n").unwrap();
    }
    folder
}

/// The faults, as `line: message`.
fn faults(text: &str) -> Vec<String> {
    let folder = folder();
    match Config::from_text("c.toml", text, folder.path()) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.iter().map(|fault| format!("{}: {}", fault.line, fault.message)).collect(),
    }
}

#[track_caller]
fn told(text: &str, wanted: &[(usize, &str)]) {
    let faults = faults(text);
    assert_eq!(faults.len(), wanted.len(), "{faults:#?}");
    for (line, part) in wanted {
        let found = faults.iter().any(|fault| fault.starts_with(&format!("{line}: ")) && fault.contains(part));
        assert!(found, "no `{line}: ... {part}` in {faults:#?}");
    }
}

#[test]
fn everything_the_contract_names_is_read() {
    let folder = folder();
    let config = Config::from_text("c.toml", FULL, folder.path()).unwrap();
    assert_eq!(config.listen.addresses.len(), 2);
    let tls = config.listen.tls.unwrap();
    assert_eq!(tls.certificate, folder.path().join("server.crt"));
    assert_eq!(tls.key, PathBuf::from("/keys/server.key"));
    assert_eq!(tls.client_ca, Some(folder.path().join("clients.crt")));
    assert!(config.listen.require_tls);
    assert_eq!(config.listen.max_connections, 50);
    assert_eq!(config.upstream.tls, UpstreamTls::Disable);
    assert_eq!(config.upstream.catalog_password, Some(SecretSource::Env("PGPURPOSE_CATALOG_PASSWORD".into())));
    assert_eq!(config.auth.method, AuthMethod::Relay);
    assert_eq!(config.policy.mode, Mode::Observe);
    assert_eq!(config.policy.token_key, Some(SecretSource::File(folder.path().join("token.key"))));
    assert_eq!(config.audit.directory, folder.path().join("log"));
    assert_eq!(config.audit.sync, AuditSync::Written);
    assert_eq!(config.audit.signing_key, Some(SecretSource::File(folder.path().join("signing.key"))));
    assert_eq!((config.audit.checkpoint_records, config.audit.checkpoint_seconds), (500, 30));
    assert_eq!((config.audit.rotate_mb, config.audit.rotate_hours), (16, 6));
    assert_eq!((config.audit.compress, config.audit.retain_days), (false, Some(1095)));
    assert_eq!(config.admin.address.unwrap().to_string(), "127.0.0.1:9432");
    let names = config.policy.matching().unwrap();
    let policies = folder.path().join("policies");
    assert_eq!(names, [policies.join("a.toml"), policies.join("b.toml")]);
}

#[test]
fn what_is_not_said_is_as_by_default() {
    let folder = folder();
    let text = "[upstream]\naddress = \"/run/postgresql:5433\"\n[auth]\nmethod = \"relay\"\n[policy]\nfiles = \"policies/a.toml\"\n";
    let config = Config::from_text("c.toml", text, folder.path()).unwrap();
    assert_eq!(config.listen.addresses[0].to_string(), "127.0.0.1:6432");
    assert_eq!(config.listen.max_connections, 1000);
    assert!(config.listen.tls.is_none() && !config.listen.require_tls);
    assert_eq!(
        config.upstream.addresses,
        [UpstreamAddress::Unix { directory: PathBuf::from("/run/postgresql"), port: 5433 }]
    );
    assert_eq!(config.upstream.catalog_login, "pgpurpose");
    assert_eq!(config.policy.mode, Mode::Enforce);
    assert_eq!(config.audit.directory, folder.path().join("audit"));
    assert_eq!(config.audit.sync, AuditSync::Always);
    assert_eq!(config.admin.address.unwrap().to_string(), "127.0.0.1:9432");
}

#[test]
fn the_console_is_beside_the_listen_port_unless_its_place_is_said() {
    let folder = folder();
    let console = |listen: &str, admin: &str| {
        let text = format!(
            "[listen]\naddress = {listen}\n[upstream]\naddress = \"/run/postgresql\"\n[auth]\nmethod = \"relay\"\n\
             [policy]\nfiles = \"policies/a.toml\"\n{admin}"
        );
        Config::from_text("c.toml", &text, folder.path())
            .map(|config| config.admin.address.map(|address| address.to_string()))
    };
    for (listen, address) in [
        ("\"127.0.0.1:6433\"", Some("127.0.0.1:9433")),
        // The whole network may reach the proxy, and this machine alone its console.
        ("[\"0.0.0.0:5432\", \"[::1]:7000\"]", Some("127.0.0.1:8432")),
        ("\"127.0.0.1:62535\"", Some("127.0.0.1:65535")),
        ("\"127.0.0.1:62536\"", None),
        ("\"127.0.0.1:0\"", None),
    ] {
        assert_eq!(console(listen, "").unwrap().as_deref(), address, "{listen}");
        assert_eq!(console(listen, "[admin]").unwrap().as_deref(), address, "{listen}");
    }
    let said = |admin: &str| console("\"127.0.0.1:6433\"", &format!("[admin]\naddress = \"{admin}\""));
    assert_eq!(said("127.0.0.1:9999").unwrap().as_deref(), Some("127.0.0.1:9999"));
    assert_eq!(said("off").unwrap(), None);
    assert!(said("on").is_err());
}

#[test]
fn every_fault_is_told_with_its_line_and_none_holds_the_secret() {
    let text = "\
[listen]
address = \"nowhere\"
tls_cert = \"x\"
max_connections = 0
[upstream]
address = []
tls = \"verify\"
catalog_password = \"hunter2\"
pasword = \"x\"
[auth]
method = \"relay\"
[policy]
files = [\"none/*.toml\"]
mode = \"watch\"
token_key = \"00112233\"
[audit]
sync = \"allways\"
[colour]
";
    told(
        text,
        &[
            (2, "is not `host:port`"),
            (1, "`tls_cert` and `tls_key` go together"),
            (4, "from 1 to"),
            (6, "`address` names nothing"),
            (7, "`tls` is one of"),
            (8, "write `env:NAME` or `file:PATH`"),
            (9, "unknown key `pasword`"),
            (13, "no policy file matches"),
            (14, "`mode` is one of"),
            (15, "write `env:NAME` or `file:PATH`"),
            (17, "did you mean `always`?"),
            (18, "unknown key `colour`"),
        ],
    );
    let faults = faults(text).join("\n");
    assert!(!faults.contains("hunter2") && !faults.contains("00112233"), "{faults}");
}

#[test]
fn what_is_missing_altogether_is_told() {
    told("", &[(1, "`[upstream]` is missing"), (1, "`[policy]` is missing")]);
}

const REST: &str = "\n[policy]\nfiles = [\"policies/*.toml\"]\n";

#[test]
fn passthrough_is_the_method_where_nothing_is_said() {
    let folder = folder();
    let text = format!("[upstream]\naddress = \"db:5432\"{REST}");
    let config = Config::from_text("c.toml", &text, folder.path()).unwrap();
    assert_eq!(config.auth, pgpurpose::config::Auth::with(AuthMethod::Passthrough));
    assert!(config.logins.is_empty());
}

const VERIFIER: &str = "SCRAM-SHA-256$4096:AAAAAAAAAAAAAAAAAAAAAA==$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

#[test]
fn scram_has_logins_of_its_own_and_no_other_method_has() {
    let login = |name: &str, upstream: &str| {
        format!(
            "[[logins]]\nname = \"{name}\"\nverifier = \"{VERIFIER}\"\nupstream_login = \"{upstream}\"\nupstream_password = \"env:X\"\n"
        )
    };
    let with = |method: &str, logins: &str| {
        format!("[upstream]\naddress = \"/run/pg\"\n[auth]\nmethod = \"{method}\"{REST}{logins}")
    };
    let folder = folder();
    let good = with("scram", &format!("{}{}", login("crm", "crm_db"), login("web", "web_db")));
    let config = Config::from_text("c.toml", &good, folder.path()).unwrap();
    assert_eq!((config.logins.len(), config.logins[0].upstream_login.as_str()), (2, "crm_db"));
    assert!(!format!("{config:?}").contains("AAAA"), "a verifier is not printed");
    told(&with("scram", ""), &[(1, "needs `[[logins]]`")]);
    told(&with("relay", &login("crm", "crm_db")), &[(7, "for `method = \"scram\"` only")]);
    told(
        &with("scram", &format!("{}{}", login("crm", "postgres"), login("web", "postgres"))),
        &[(12, "each needs its own")],
    );
    told(&with("scram", &login("crm", "pgpurpose")), &[(7, "the proxy's own login")]);
    told(&with("scram", &login("crm", "x").replace("SCRAM-SHA-256$", "md5")), &[(9, "not a SCRAM-SHA-256 verifier")]);
    told(&with("scram", &login("crm", "x").replace("env:X", "geheim")), &[(11, "write `env:NAME` or `file:PATH`")]);
    told(&with("scram", "[[logins]]\nname = \"a\"\n"), &[(7, "needs `name` and `verifier`")]);
}

#[test]
fn a_login_is_relayed_in_plain_to_this_machine_only() {
    let with = |more: &str| format!("[upstream]\naddress = \"db:5432\"\n[auth]\nmethod = \"relay\"\n{more}{REST}");
    told(&with(""), &[(4, "`db:5432` is another")]);
    assert_eq!(faults(&with("allow_weak = true")), Vec::<String>::new());
    told(&with("client_certificate = \"verify-full\"\nallow_weak = true"), &[(5, "needs `tls_client_ca`")]);
}

#[test]
fn a_method_that_there_is_not_is_refused() {
    told(
        &format!("[upstream]\naddress = \"db:5432\"\n[auth]\nmethod = \"relai\"{REST}"),
        &[(4, "did you mean `relay`?")],
    );
}

#[test]
fn relay_over_tls_is_refused_with_the_reason() {
    for tls in ["prefer", "require", "verify-full"] {
        let text = format!("[upstream]\naddress = \"db:5432\"\ntls = \"{tls}\"\n[auth]\nmethod = \"relay\"{REST}");
        told(&text, &[(5, "channel binding")]);
        // One of a list is enough.
        let list = "[\"/run/postgresql\", \"127.0.0.1:5432\"]";
        told(&text.replace("\"db:5432\"", list), &[(5, "channel binding")]);
    }
    let list = "[upstream]\naddress = [\"/run/postgresql\", \"localhost:5432\", \"[::1]:5432\", \"db:1\"]\n";
    told(&format!("{list}[auth]\nmethod = \"relay\"{REST}"), &[(4, "`db:1` is another")]);
    let text = format!("[upstream]\naddress = \"/run/postgresql\"\ntls = \"prefer\"\n[auth]\nmethod = \"relay\"{REST}");
    assert_eq!(faults(&text), Vec::<String>::new());
}

#[test]
fn a_folder_with_pattern_characters_in_its_name_is_taken_literally() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("a[b]*c");
    std::fs::create_dir(&base).unwrap();
    std::fs::write(base.join("p.toml"), "version = 1\n").unwrap();
    let text = "[upstream]\naddress = \"/run/postgresql\"\n[auth]\nmethod = \"relay\"\n[policy]\nfiles = \"*.toml\"\n";
    let config = Config::from_text("c.toml", text, &base).unwrap();
    assert_eq!(config.policy.matching().unwrap(), [base.join("p.toml")]);
}

#[test]
fn a_file_that_cannot_be_read_is_a_fault() {
    let faults = Config::load(Path::new("/nowhere/at/all.toml")).unwrap_err();
    assert_eq!(faults.len(), 1);
    assert!(faults[0].message.contains("cannot be read"));
}

#[test]
fn without_a_file_the_configuration_is_the_default() {
    let config = Config::for_upstream("127.0.0.1:5432".parse().unwrap(), vec!["policies/*.toml".into()]);
    assert_eq!(config.auth.method, AuthMethod::Relay);
    assert_eq!(config.upstream.tls, UpstreamTls::Disable);
    let far = Config::for_upstream("db.example:5432".parse().unwrap(), Vec::new());
    assert_eq!((far.auth.method, far.upstream.tls), (AuthMethod::Passthrough, UpstreamTls::Prefer));
    assert_eq!(config.policy.mode, Mode::Enforce);
}

#[test]
fn places_beside_the_log_are_named_with_their_faults() {
    let with = |section: &str| format!("{FULL}\n[audit.{section}\n");
    let line = FULL.lines().count() + 3;
    told(&with("syslog]\naddress = \"tcp:logs.example\""), &[(line, "no address of a syslog server")]);
    told(&with("http]\nurl = \"kept.example\""), &[(line, "begins with neither")]);
    told(&with("http]\nurl = \"http://kept.example/\"\ntoken = \"env:T\""), &[(line, "in clear")]);
    told(&with("http]\nurl = \"https://me:hunter2@kept.example/\""), &[(line, "holds a login")]);
    assert!(!faults(&with("http]\nurl = \"https://me:hunter2@kept.example/\"")).concat().contains("hunter2"));
    for fine in ["http://127.0.0.1:8080/", "http://localhost/", "https://kept.example/"] {
        told(&with(&format!("http]\nurl = \"{fine}\"\ntoken = \"env:T\"")), &[]);
    }
    told(&with("http]\nurl = \"http://kept.example/\""), &[]);
}
