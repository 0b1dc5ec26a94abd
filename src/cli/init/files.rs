//! What is written on this machine: keys, configuration, a first policy.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, chown};
use std::path::{Path, PathBuf};

use crate::config::{AuthMethod, UpstreamTls};

/// The folder, and to whom what is new in it belongs: root gives it to whoever the folder belongs to, as the service's own user.
pub(super) struct Folder {
    pub(super) path: PathBuf,
    owner: Option<(u32, u32)>,
}

impl Folder {
    /// Makes it where it is not there, for its owner alone.
    ///
    /// # Errors
    /// In words for the operator.
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("the folder `{}`: {error}", path.display());
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
        let path = fs::canonicalize(path).map_err(failed)?;
        let found = fs::metadata(&path).map_err(failed)?;
        let root = rustix::process::geteuid().is_root();
        Ok(Self { path, owner: (root && found.uid() != 0).then(|| (found.uid(), found.gid())) })
    }

    /// A path within it.
    pub(super) fn at(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }

    /// Makes a folder for its owner alone, where it is not there.
    ///
    /// # Errors
    /// In words for the operator.
    pub(super) fn make(&self, path: &Path) -> Result<(), String> {
        let failed = |error: std::io::Error| format!("the folder `{}`: {error}", path.display());
        if path.is_dir() {
            return Ok(());
        }
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
        self.give(path)
    }

    /// Writes a file that is not there.
    ///
    /// # Errors
    /// In words for the operator; also that it is there.
    pub(super) fn write(&self, path: &Path, text: &str, mode: u32) -> Result<(), String> {
        let failed = |error: std::io::Error| format!("`{}` cannot be written: {error}", path.display());
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(failed)?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
        self.give(path)
    }

    /// Writes a file and keeps the one that was there as `NAME.bak`, whose path is given back.
    ///
    /// # Errors
    /// In words for the operator.
    pub(super) fn replace(&self, path: &Path, text: &str, mode: u32) -> Result<PathBuf, String> {
        let mut beside = path.as_os_str().to_owned();
        beside.push(".bak");
        let beside = PathBuf::from(beside);
        fs::rename(path, &beside).map_err(|error| format!("`{}` cannot be kept aside: {error}", path.display()))?;
        self.write(path, text, mode)?;
        Ok(beside)
    }

    fn give(&self, path: &Path) -> Result<(), String> {
        let Some((user, group)) = self.owner else { return Ok(()) };
        chown(path, Some(user), Some(group))
            .map_err(|error| format!("`{}` cannot be given to its folder's owner: {error}", path.display()))
    }
}

/// What the configuration says.
pub(super) struct Written<'a> {
    pub(super) listen: &'a str,
    pub(super) upstream: &'a str,
    pub(super) tls: UpstreamTls,
    pub(super) tls_ca: Option<&'a Path>,
    pub(super) database: &'a str,
    pub(super) catalog_login: &'a str,
    /// Whether the database asks the proxy's own login for the password in `keys/catalog.password`.
    pub(super) catalog_password: bool,
    pub(super) method: AuthMethod,
    /// `[[logins]]`: name, verifier, file of the database's password.
    pub(super) logins: &'a [(String, String, PathBuf)],
    pub(super) observe: bool,
    pub(super) audit: &'a Path,
    /// Where the log's newest checkpoint stands besides, where the folder of the keys cannot be written by the service.
    pub(super) anchor: Option<&'a Path>,
}

impl Written<'_> {
    /// As TOML; paths of keys are relative to its folder.
    pub(super) fn text(&self) -> String {
        let text = |value: &str| toml::Value::String(value.to_owned()).to_string();
        let path = |path: &Path| text(&path.display().to_string());
        let tls = match self.tls {
            UpstreamTls::Disable => "disable",
            UpstreamTls::Prefer => "prefer",
            UpstreamTls::Require => "require",
            UpstreamTls::VerifyFull => "verify-full",
        };
        let tls_ca = self.tls_ca.map(|file| format!("tls_ca = {}\n", path(file))).unwrap_or_default();
        let password = if self.catalog_password { "catalog_password = \"file:keys/catalog.password\"\n" } else { "" };
        let logins: String = self
            .logins
            .iter()
            .map(|(name, verifier, file)| {
                format!(
                    "[[logins]]\nname = {}\nverifier = {}\nupstream_password = {}\n\n",
                    text(name),
                    text(verifier),
                    text(&format!("file:{}", file.display()))
                )
            })
            .collect();
        format!(
            "# Written by `pgpurpose init`. Every key: docs/configuration.md; `pgpurpose check --config` tells every fault.\n\n\
             [listen]\naddress = {listen}\n\n\
             [upstream]\naddress = {upstream}\ntls = \"{tls}\"\n{tls_ca}database = {database}\ncatalog_login = {login}\n{password}\n\
             [auth]\nmethod = \"{method}\"\n\n\
             {logins}\
             [policy]\nfiles = [\"policies/*.toml\"]\nmode = \"{mode}\"{remark}\ntoken_key = \"file:keys/token.key\"\n\n\
             [audit]\ndirectory = {audit}\n{anchor}signing_key = \"file:keys/signing.key\"\n",
            listen = text(self.listen),
            upstream = text(self.upstream),
            database = text(self.database),
            login = text(self.catalog_login),
            method = self.method.name(),
            mode = if self.observe { "observe" } else { "enforce" },
            remark = if self.observe {
                "                 # nothing is enforced yet: `pgpurpose suggest` reads what was done"
            } else {
                ""
            },
            audit = path(self.audit),
            anchor = self.anchor.map(|anchor| format!("anchor = {}\n", path(anchor))).unwrap_or_default(),
        )
    }
}

/// A policy that names nothing: every table is closed.
pub(super) const EMPTY_POLICY: &str = "# Names no table yet, so that every table is closed. `pgpurpose scan` proposes what to write, docs/policies.md has every key.\n\
    version = 1\n";

/// A file's name for a login, whatever characters that has.
pub(super) fn file_name(login: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if !login.is_empty() && login.chars().all(plain) {
        return format!("{login}.password");
    }
    format!("{}.password", crate::audit::chain::hex(login.as_bytes()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::config::Config;

    #[test]
    fn the_configuration_is_read_back_as_it_was_meant() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("policies")).unwrap();
        fs::write(folder.path().join("policies/first.toml"), EMPTY_POLICY).unwrap();
        let logins = [(
            "crm \"x\"".to_owned(),
            crate::server::hash_password("secret").unwrap(),
            PathBuf::from("keys/a.password"),
        )];
        for (method, logins) in [(AuthMethod::Passthrough, &[][..]), (AuthMethod::Scram, &logins[..])] {
            let text = Written {
                listen: "127.0.0.1:6433",
                upstream: "db.example:5432",
                tls: UpstreamTls::VerifyFull,
                tls_ca: Some(Path::new("/etc/ca \"one\".crt")),
                database: "a \\ \"b\"",
                catalog_login: "pgpurpose",
                catalog_password: true,
                method,
                logins,
                observe: true,
                audit: Path::new("/var/lib/pgpurpose/audit"),
                anchor: Some(Path::new("/var/lib/pgpurpose/anchor.json")),
            }
            .text();
            let config = Config::from_text("pgpurpose.toml", &text, folder.path()).unwrap();
            assert_eq!(config.auth.method, method);
            assert_eq!(config.upstream.database.as_deref(), Some("a \\ \"b\""));
            assert_eq!(config.logins.first().map(|login| login.name.as_str()), logins.first().map(|_| "crm \"x\""));
            assert!(config.policy.matching().is_ok() && config.upstream.catalog_password.is_some());
        }
    }

    #[test]
    fn a_file_is_never_overwritten_and_what_is_replaced_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let at = Folder::open(&folder.path().join("new")).unwrap();
        let key = at.at("a.key");
        at.write(&key, "one", 0o600).unwrap();
        assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(&at.path).unwrap().permissions().mode() & 0o777, 0o700);
        assert!(at.write(&key, "two", 0o600).is_err());
        let kept = at.replace(&key, "two", 0o600).unwrap();
        assert_eq!(
            (fs::read_to_string(&key).unwrap(), fs::read_to_string(kept).unwrap()),
            ("two".into(), "one".into())
        );
    }

    #[test]
    fn no_login_names_a_file_outside_of_the_folder() {
        assert_eq!(file_name("crm_web-1"), "crm_web-1.password");
        assert_eq!(file_name("../x"), "2e2e2f78.password");
        assert_eq!(file_name(""), ".password");
    }
}
