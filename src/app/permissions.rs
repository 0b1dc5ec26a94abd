//! Files and folders that others on the machine may read or change, where nobody else should.

use std::collections::BTreeSet;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::config::{Config, Mail, MailWay, SecretSource};

/// Bits of a mode: others and the group may read, or write.
const READ: u32 = 0o044;
const WRITE: u32 = 0o022;
/// Files in such a folder can be renamed by their owner alone.
const STICKY: u32 = 0o1000;

/// What is worth a warning when the proxy starts, in words for the operator.
pub(super) fn warnings(config: &Config) -> Vec<String> {
    let mut warnings = BTreeSet::new();
    for (what, path) in secrets(config) {
        let Some(mode) = mode(&path) else { continue };
        if mode & READ != 0 {
            warnings.insert(format!(
                "{what} `{}` can be read by others (mode {:03o}): `chmod 600` it",
                path.display(),
                mode & 0o777
            ));
        }
        if mode & WRITE != 0 {
            warnings.insert(written(what, &path, mode));
        }
        warnings.extend(folder(&path));
    }
    for path in config.policy.matching().unwrap_or_default() {
        if let Some(mode) = mode(&path).filter(|mode| mode & WRITE != 0) {
            warnings.insert(written("the policy", &path, mode));
        }
        warnings.extend(folder(&path));
    }
    let log = &config.audit.directory;
    if let Some(mode) = mode(log).filter(|mode| mode & (READ | WRITE) != 0) {
        let does = if mode & WRITE != 0 { "read and changed" } else { "read" };
        warnings.insert(format!(
            "the access log's folder `{}` can be {does} by others (mode {:03o}): `chmod 700` it",
            log.display(),
            mode & 0o777
        ));
    }
    warnings.into_iter().collect()
}

fn written(what: &str, path: &Path, mode: u32) -> String {
    format!("{what} `{}` can be changed by others (mode {:03o})", path.display(), mode & 0o777)
}

/// The folder of a file, where others may put another in the place of it.
fn folder(path: &Path) -> Option<String> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty())?;
    let mode = mode(folder).filter(|mode| mode & WRITE != 0 && mode & STICKY == 0)?;
    Some(format!(
        "the folder `{}` can be changed by others (mode {:03o}), who can put other files in the place of those in it",
        folder.display(),
        mode & 0o777
    ))
}

/// `None` where it is not there, or is the group's who is the owner alone.
fn mode(path: &Path) -> Option<u32> {
    let found = std::fs::metadata(path).ok()?;
    let mode = found.permissions().mode();
    let (user, group) = (found.uid(), found.gid());
    // A group of one's own, as many systems make it, is nobody else.
    if group == user && user != 0 {
        return Some(mode & !0o070);
    }
    // Root gives a file to the proxy to read and not to change by its group, as PostgreSQL has it of its own key.
    let own = !rustix::process::geteuid().is_root() && group == rustix::process::getegid().as_raw();
    Some(if user == 0 && own { mode & !0o040 } else { mode })
}

/// Every file that holds a secret.
fn secrets(config: &Config) -> Vec<(&'static str, PathBuf)> {
    let file = |source: &SecretSource| match source {
        SecretSource::File(path) => Some(path.clone()),
        SecretSource::Env(_) => None,
    };
    let audit = &config.audit;
    let sources = [
        ("the catalog login's password", config.upstream.catalog_password.as_ref()),
        ("the key of pseudonyms", config.policy.token_key.as_ref()),
        ("the key of subjects", audit.subject_key.as_ref()),
        ("the key that signs the log", audit.signing_key.as_ref()),
        ("the token of `[audit.http]`", audit.sinks.http.as_ref().and_then(|sink| sink.token.as_ref())),
        ("the password of `[audit.postgres]`", audit.sinks.postgres.as_ref().and_then(|sink| sink.password.as_ref())),
    ];
    let others = [
        ("the key of the privacy centre", config.centre.as_ref().map(|centre| &centre.key)),
        ("the password of `[centre]`", config.centre.as_ref().and_then(|centre| centre.password.as_ref())),
        (
            "the key of `[alerts.webhook]`",
            config.alerts.as_ref().and_then(|alerts| Some(&alerts.webhook.as_ref()?.key)),
        ),
        ("the token of `[telemetry]`", config.telemetry.as_ref().and_then(|telemetry| telemetry.token.as_ref())),
        ("the password of `[mail]`", config.mail.as_ref().and_then(mail_password)),
    ];
    let logins = config.logins.iter().map(|login| ("the password of a login", login.upstream_password.as_ref()));
    let keys = [
        ("the key of the certificate", config.listen.tls.as_ref().map(|tls| tls.key.clone())),
        (
            "the key of the centre's certificate",
            config.centre.as_ref().and_then(|centre| Some(centre.tls.as_ref()?.1.clone())),
        ),
        ("the key towards the database", config.upstream.tls_identity.as_ref().map(|(_, key)| key.clone())),
    ];
    let sources =
        sources.into_iter().chain(others).chain(logins).filter_map(|(what, source)| Some((what, file(source?)?)));
    sources.chain(keys.into_iter().filter_map(|(what, path)| Some((what, path?)))).collect()
}

fn mail_password(mail: &Mail) -> Option<&SecretSource> {
    match mail.way.as_ref()? {
        MailWay::Smtp(smtp) => smtp.login.as_ref().map(|(_, password)| password),
        MailWay::Command(_) => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs::{self, Permissions};

    use super::*;

    /// One more secret that the configuration can name must be looked at, too.
    #[test]
    fn every_secret_of_a_configuration_is_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("policy.toml"), "version = 1").unwrap();
        let verifier = crate::server::hash_password("secret").unwrap();
        let text = format!(
            "[listen]\ntls_cert = \"a\"\ntls_key = \"1.key\"\n[upstream]\naddress = \"db.example:5432\"\ntls = \"require\"\ntls_cert = \"b\"\n\
             tls_key = \"2.key\"\ncatalog_password = \"file:3.key\"\n[auth]\nmethod = \"scram\"\n[[logins]]\nname = \"crm\"\n\
             verifier = \"{verifier}\"\nupstream_password = \"file:4.key\"\n[policy]\nfiles = \"policy.toml\"\ntoken_key = \"file:5.key\"\n\
             [audit]\nsubject_key = \"file:6.key\"\nsigning_key = \"file:7.key\"\n[audit.http]\nurl = \"https://kept.example\"\n\
             token = \"file:8.key\"\n[audit.postgres]\naddress = \"db.example:5432\"\ndatabase = \"a\"\nlogin = \"b\"\npassword = \"file:9.key\"\n\
             [mail]\nfrom = \"a@shop.example\"\nsmtp = \"mail.example:587\"\nlogin = \"a\"\npassword = \"file:10.key\"\n\
             [centre]\nurl = \"https://privacy.shop.example\"\ntls_cert = \"c\"\ntls_key = \"11.key\"\nkey = \"file:12.key\"\n\
             password = \"file:13.key\"\n[alerts]\n[alerts.webhook]\nurl = \"https://hook.example\"\nkey = \"file:14.key\"\n\
             [telemetry]\notlp = \"https://collector.example\"\ntoken = \"file:15.key\"\n"
        );
        let config = Config::from_text("c.toml", &text, folder.path()).unwrap();
        let mut files: Vec<String> = secrets(&config).into_iter().map(|(_, path)| path.display().to_string()).collect();
        files.sort();
        let named = text.matches(".key\"").count();
        assert_eq!((files.len(), named), (15, 15), "{files:?}");
    }

    #[test]
    fn what_others_may_read_or_change_is_told_by_path_and_mode() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let set = |name: &str, mode: u32| fs::set_permissions(at(name), Permissions::from_mode(mode)).unwrap();
        for name in ["token.key", "signing.key", "policy.toml"] {
            fs::write(at(name), "x").unwrap();
            set(name, 0o600);
        }
        fs::create_dir(at("audit")).unwrap();
        set("audit", 0o700);
        let pattern = at("*.toml").display().to_string();
        let mut config = Config::for_upstream("127.0.0.1:5432".parse().unwrap(), vec![pattern]);
        config.audit.directory = at("audit");
        config.policy.token_key = Some(SecretSource::File(at("token.key")));
        config.audit.signing_key = Some(SecretSource::File(at("signing.key")));
        assert_eq!(warnings(&config), Vec::<String>::new());
        set("token.key", 0o644);
        set("signing.key", 0o602);
        set("policy.toml", 0o666);
        set("audit", 0o755);
        fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
        let told = warnings(&config).join("\n");
        for part in [
            "the key of pseudonyms `",
            "token.key` can be read by others (mode 644): `chmod 600` it",
            "signing.key` can be changed by others (mode 602)",
            "policy.toml` can be changed by others (mode 666)",
            "audit` can be read by others (mode 755)",
            "can be changed by others (mode 777), who can put other files",
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
        // As /tmp is: nobody but the owner of a file can replace it.
        fs::set_permissions(folder.path(), Permissions::from_mode(0o1777)).unwrap();
        assert!(!warnings(&config).join("\n").contains("put other files"));
    }
}
