//! The steps, each asked before it is taken.

use std::path::{Path, PathBuf};

use tokio_postgres::Client;
use zeroize::Zeroizing;

use super::super::output::Output;
use super::ask::Asker;
use super::files::{EMPTY_POLICY, Folder, Written, file_name};
use super::server::{self, Access, Server};
use super::{InitArgs, heading};
use crate::audit::checkpoint::Signer;
use crate::cli::scan::first_policy;
use crate::config::{AuthMethod, Config, Secret, SecretSource, UpstreamAddress, UpstreamTls};
use crate::server::hash_password;

/// Where Debian's PostgreSQL has its socket.
const SOCKET: &str = "/run/postgresql";
/// What the service of the package may write.
const STATE: &str = "/var/lib/pgpurpose";
const USUAL: &str = "127.0.0.1:5432";

/// What is there in the end.
pub(super) struct SetUp {
    pub(super) config: PathBuf,
    pub(super) policy: PathBuf,
    pub(super) listen: String,
    pub(super) observe: bool,
}

/// The steps so far.
pub(super) struct Steps<'a> {
    arguments: &'a InitArgs,
    asker: Asker,
    pub(super) done: Vec<String>,
    pub(super) left: Vec<String>,
}

/// The proxy's own login, as it will be used.
struct Own {
    /// It proves itself with the password in `keys/catalog.password`.
    password: bool,
}

impl<'a> Steps<'a> {
    pub(super) fn new(arguments: &'a InitArgs) -> Self {
        // What would be done is looked at without asking, too.
        let asker = Asker { yes: arguments.yes || arguments.dry_run };
        Self { arguments, asker, done: Vec::new(), left: Vec::new() }
    }

    /// All of them.
    ///
    /// # Errors
    /// In words for the operator; what was done before is in `done`.
    pub(super) async fn take(&mut self, output: &mut Output) -> Result<SetUp, String> {
        heading("The database", output);
        let access = self.access(output)?;
        let first = self.arguments.database.first().map_or("postgres", String::as_str);
        let database = access.to(first).await?;
        let client = database.client().await?;
        let server = Server::look(&client).await?;
        let databases = self.databases(&server, output)?;
        let main = databases.first().ok_or("the server has no database that can be connected to")?.clone();
        let method = self.method(&server, &access, output)?;

        let folder = if self.arguments.dry_run {
            None
        } else {
            let new = !self.arguments.dir.exists();
            let folder = Folder::open(&self.arguments.dir)?;
            if new {
                self.done.push(format!("the folder {} was made, for its owner alone", folder.path.display()));
            }
            Some(folder)
        };
        heading("The proxy's own login", output);
        let own = self.own_login(&access, &client, &databases, method, folder.as_ref(), output).await?;
        heading("Keys, configuration and a first policy", output);
        let logins = self.logins(method, folder.as_ref(), output)?;
        self.keys(folder.as_ref(), output)?;
        let policy = self.policy(&access, &main, folder.as_ref(), output).await?;
        let observe = self.arguments.observe
            || self
                .asker
                .allowed("Begin by observing only? Nothing is enforced then, and the log says what would be", output)?;
        let audit = self.audit();
        // The service writes nothing beside its keys.
        let anchor = (audit == Path::new(STATE).join("audit")).then(|| Path::new(STATE).join("anchor.json"));
        let listen = self.arguments.listen.to_string();
        let upstream = access.config.upstream.addresses.first().map(ToString::to_string).unwrap_or_default();
        let text = Written {
            listen: &listen,
            upstream: &upstream,
            tls: access.config.upstream.tls,
            tls_ca: access.config.upstream.tls_ca.as_deref(),
            database: &main,
            catalog_login: &self.arguments.catalog_login,
            catalog_password: own.password,
            method,
            logins: &logins,
            observe,
            audit: &audit,
            anchor: anchor.as_deref(),
        }
        .text();
        let config = self.configuration(&text, folder.as_ref(), output)?;
        Ok(SetUp { config, policy, listen, observe })
    }

    /// Where the database is, and as whom it is asked.
    fn access(&self, output: &mut Output) -> Result<Access, String> {
        let near = Path::new(SOCKET).join(".s.PGSQL.5432").exists();
        let upstream = match &self.arguments.upstream {
            Some(upstream) => upstream.clone(),
            None if self.asker.yes => {
                return Err("--upstream is needed: `host:port`, or the folder of a Unix socket".to_owned());
            }
            None => loop {
                let usual = if near { SOCKET } else { USUAL };
                let question = "Where is it (`host:port`, or the folder of a Unix socket)";
                match self.asker.text(question, Some(usual), output)?.parse::<UpstreamAddress>() {
                    Ok(upstream) => break upstream,
                    Err(error) => output.remark(error),
                }
            },
        };
        let mut config = Config::for_upstream(upstream, Vec::new());
        if let Some(ca) = &self.arguments.tls_ca {
            let ca =
                std::fs::canonicalize(ca).map_err(|error| format!("`{}` cannot be read: {error}", ca.display()))?;
            (config.upstream.tls, config.upstream.tls_ca) = (UpstreamTls::VerifyFull, Some(ca));
        }
        if let Some(tls) = self.arguments.tls {
            config.upstream.tls = tls.into();
        }
        let login = match &self.arguments.login {
            Some(login) => login.clone(),
            None => {
                self.asker.text("Which login may make the proxy's own, best a superuser", Some("postgres"), output)?
            }
        };
        let usual = std::env::var_os("PGPASSWORD").map(|_| SecretSource::Env("PGPASSWORD".to_owned()));
        let password = match self.arguments.password.clone().or(usual) {
            Some(source) => Some(source.read()?),
            None => self.asker.password(&format!("Password of {login} (nothing where none is asked for)"), output)?,
        };
        Ok(Access { config, login, password })
    }

    fn databases(&self, server: &Server, output: &mut Output) -> Result<Vec<String>, String> {
        output.line(format_args!(
            "PostgreSQL {} answers; the login {}",
            server.version,
            if server.superuser { "is a superuser" } else { "is no superuser" }
        ));
        if server.standby {
            return Err("this server follows another and takes no changes: name the one that it follows".to_owned());
        }
        let wanted = if self.arguments.database.is_empty() {
            let all = server.databases.join(", ");
            let typed =
                self.asker.text("Databases that applications use, that of the policies first", Some(&all), output)?;
            typed.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
        } else {
            self.arguments.database.clone()
        };
        let unknown: Vec<&String> =
            wanted.iter().filter(|name| *name != "postgres" && !server.databases.contains(name)).collect();
        if let Some(unknown) = unknown.first() {
            return Err(format!(
                "there is no database `{unknown}` that this login can connect to; there are: {}",
                server.databases.join(", ")
            ));
        }
        if let (true, Some(first)) = (wanted.len() > 1, wanted.first()) {
            output.line(format_args!(
                "{} databases; the policies are about `{first}` (--database names them, that one first)",
                wanted.len()
            ));
        }
        Ok(wanted)
    }

    fn method(&self, server: &Server, access: &Access, output: &mut Output) -> Result<AuthMethod, String> {
        let usual = server.method(&access.config);
        let method = match self.arguments.method {
            Some(method) => method.into(),
            None if self.asker.yes => usual,
            None => loop {
                let typed = self.asker.text(
                    "How do applications log in (passthrough, scram, relay: docs/authentication.md)",
                    Some(usual.name()),
                    output,
                )?;
                match [AuthMethod::Passthrough, AuthMethod::Scram, AuthMethod::Relay]
                    .into_iter()
                    .find(|method| method.name() == typed)
                {
                    Some(method) => break method,
                    None => output.remark("passthrough, scram or relay"),
                }
            },
        };
        if let Some(why) = server.against(method, &access.config, &access.login) {
            return Err(why);
        }
        output.line(format_args!("applications log in by `{}`", method.name()));
        if method == AuthMethod::Passthrough && !server.old_passwords.is_empty() {
            output.line(format_args!(
                "note: passwords kept as MD5 cannot be used; set these again with `password_encryption = 'scram-sha-256'`: {}",
                server.old_passwords.join(", ")
            ));
        }
        Ok(method)
    }

    /// The proxy's own login in every database: made where it is not there, with the rights that it lacks and no more.
    async fn own_login(
        &mut self,
        access: &Access,
        client: &Client,
        databases: &[String],
        method: AuthMethod,
        folder: Option<&Folder>,
        output: &mut Output,
    ) -> Result<Own, String> {
        let login = self.arguments.catalog_login.as_str();
        let there = server::is_there(client, login).await?;
        let own = self.password(access, client, there, databases, folder, output).await?;
        let mut lacking = Vec::new();
        for name in databases {
            let other = access.to(name).await?.client().await?;
            let wanted = server::grants(&other, login, there, method).await?;
            if !wanted.is_empty() {
                output.line(format_args!("in database `{name}`:\n  {};", wanted.join(";\n  ")));
                lacking.push((name, other, wanted));
            }
        }
        if lacking.is_empty() || self.arguments.dry_run {
            return Ok(own);
        }
        if !self.asker.step(&format!("Give `{login}` these rights?"), output)? {
            self.left.push(format!("`{login}` has not been given the rights above"));
            return Ok(own);
        }
        for (name, other, wanted) in lacking {
            server::run(&other, &wanted).await.map_err(|error| format!("in database `{name}`: {error}"))?;
            self.done.push(format!("`{login}` was given what it needs in database `{name}`"));
        }
        for name in databases {
            let password = match (own.password, folder) {
                (true, Some(folder)) => Some(SecretSource::File(folder.at("keys/catalog.password")).read()?),
                (true, None) | (false, _) => None,
            };
            access.as_proxy(login, password.as_ref(), name).await.map_err(|error| {
                format!("{error}: `{login}` must be let in from here, by a line of pg_hba.conf such as `host all {login} samehost scram-sha-256`")
            })?;
        }
        output.line(format_args!("`{login}` can log in"));
        Ok(own)
    }

    /// Makes the login, or finds out how the one that is there logs in.
    async fn password(
        &mut self,
        access: &Access,
        client: &Client,
        there: bool,
        databases: &[String],
        folder: Option<&Folder>,
        output: &mut Output,
    ) -> Result<Own, String> {
        let login = self.arguments.catalog_login.as_str();
        let file = folder.map(|folder| folder.at("keys/catalog.password")).filter(|file| file.exists());
        if there && let Some(name) = databases.first() {
            let kept = file.clone().map(|file| SecretSource::File(file).read()).transpose()?;
            if kept.is_some() && access.as_proxy(login, kept.as_ref(), name).await.is_ok() {
                output.line(format_args!("`{login}` is there, and logs in with the password in keys/catalog.password"));
                return Ok(Own { password: true });
            }
            if access.as_proxy(login, None, name).await.is_ok() {
                output
                    .line(format_args!("`{login}` is there, and the database lets it in from here without a password"));
                return Ok(Own { password: false });
            }
            output.line(format_args!("`{login}` is there, and its password is not known here"));
            if self.arguments.dry_run {
                return Ok(Own { password: true });
            }
            if !self
                .asker
                .allowed(&format!("Give `{login}` a new password? Whoever uses the old one is kept out then"), output)?
            {
                return Err(format!(
                    "`{login}` is there, and its password is not known: put it into {}, or name another login with --catalog-login",
                    self.arguments.dir.join("keys/catalog.password").display()
                ));
            }
        }
        output.line(format_args!("{};", server::login_statement(login, "SCRAM-SHA-256$...", there)));
        let Some(folder) = folder else { return Ok(Own { password: true }) };
        if !self.asker.step(
            &format!("{} this login, with a password that is made now?", if there { "Change" } else { "Make" }),
            output,
        )? {
            return Err(format!("without `{login}` the proxy cannot read the database's catalog"));
        }
        self.make_login(client, folder, there, file).await?;
        Ok(Own { password: true })
    }

    /// Writes the password first: a login that nobody can use is worse than a file too many.
    async fn make_login(
        &mut self,
        client: &Client,
        folder: &Folder,
        there: bool,
        file: Option<PathBuf>,
    ) -> Result<(), String> {
        let login = self.arguments.catalog_login.as_str();
        let password: Zeroizing<String> = match file {
            Some(file) => Zeroizing::new(SecretSource::File(file).read()?.expose().to_owned()),
            None => {
                let password = Signer::generate().ok_or("the system gives no random bytes")?;
                folder.make(&folder.at("keys"))?;
                folder.write(&folder.at("keys/catalog.password"), &password, 0o600)?;
                self.done.push("keys/catalog.password was written, for its owner alone".to_owned());
                password
            }
        };
        let verifier = hash_password(&password).ok_or("the password could not be hashed")?;
        server::run(client, &[server::login_statement(login, &verifier, there)]).await?;
        self.done.push(format!("the login `{login}` {}", if there { "has another password" } else { "was made" }));
        Ok(())
    }

    /// `[[logins]]` with `scram`: the application's password is checked by the proxy, which logs in with the same.
    fn logins(
        &mut self,
        method: AuthMethod,
        folder: Option<&Folder>,
        output: &mut Output,
    ) -> Result<Vec<(String, String, PathBuf)>, String> {
        if method != AuthMethod::Scram {
            return Ok(Vec::new());
        }
        let mut given: Vec<(String, Option<Secret>)> = Vec::new();
        for (name, source) in &self.arguments.app {
            given.push((name.clone(), Some(source.read()?)));
        }
        if given.is_empty() {
            let typed = self.asker.text("Logins of applications, with commas between them", None, output);
            let typed = typed.map_err(|error| format!("{error} (`--app NAME=env:VARIABLE`, once for each)"))?;
            for name in typed.split(',').map(str::trim).filter(|name| !name.is_empty()) {
                given.push((name.to_owned(), self.asker.password(&format!("Password of {name}"), output)?));
            }
        }
        let mut logins = Vec::new();
        for (name, password) in given {
            let password = password.ok_or_else(|| format!("`{name}` needs its password"))?;
            let verifier = hash_password(password.expose()).ok_or("the password could not be hashed")?;
            let file = PathBuf::from("keys").join(file_name(&name));
            if let Some(folder) = folder.filter(|folder| folder.at(&file).exists()) {
                if SecretSource::File(folder.at(&file)).read()?.expose() != password.expose() {
                    return Err(format!("{} holds another password of `{name}`: remove it first", file.display()));
                }
            } else if let Some(folder) = folder {
                folder.make(&folder.at("keys"))?;
                folder.write(&folder.at(&file), password.expose(), 0o600)?;
                self.done.push(format!("{} was written, for its owner alone", file.display()));
            }
            logins.push((name, verifier, file));
        }
        Ok(logins)
    }

    fn keys(&mut self, folder: Option<&Folder>, output: &mut Output) -> Result<(), String> {
        for (name, what) in
            [("keys/token.key", "pseudonyms are made with"), ("keys/signing.key", "the access log is signed with")]
        {
            let Some(folder) = folder else {
                output.line(format_args!("would be written unless it is there: {name}, the key that {what}"));
                continue;
            };
            if folder.at(name).exists() {
                output.line(format_args!("{name} is there, and stays"));
                continue;
            }
            if !self.asker.step(&format!("Make {name}, the key that {what}?"), output)? {
                self.left.push(format!("{name} was not made, and the configuration names it"));
                continue;
            }
            let key = Signer::generate().ok_or("the system gives no random bytes")?;
            folder.make(&folder.at("keys"))?;
            folder.write(&folder.at(name), &key, 0o600)?;
            self.done.push(format!("{name} was made, for its owner alone"));
        }
        Ok(())
    }

    /// A first policy by a scan, or one that names nothing.
    async fn policy(
        &mut self,
        access: &Access,
        main: &str,
        folder: Option<&Folder>,
        output: &mut Output,
    ) -> Result<PathBuf, String> {
        let file = self.arguments.dir.join("policies/first.toml");
        let Some(folder) = folder else {
            output.line(format_args!("would be written unless there are policies: {}", file.display()));
            return Ok(file);
        };
        let written = std::fs::read_dir(folder.at("policies")).into_iter().flatten().filter_map(Result::ok);
        if let Some(policy) =
            written.map(|entry| entry.path()).find(|path| path.extension().is_some_and(|end| end == "toml"))
        {
            output.line(format_args!("{} is there, and stays", policy.display()));
            return Ok(policy);
        }
        let what = if self.arguments.no_values {
            "by names and types alone"
        } else {
            "which samples values in memory, and shows none"
        };
        let scans = !self.arguments.no_scan
            && self
                .asker
                .step(&format!("Scan `{main}` for personal information and write a first policy ({what})?"), output)?;
        let text = if scans {
            let database = access.to(main).await?;
            first_policy(&database, &self.arguments.catalog_login, !self.arguments.no_values, output).await?
        } else {
            EMPTY_POLICY.to_owned()
        };
        folder.make(&folder.at("policies"))?;
        let file = folder.at("policies/first.toml");
        folder.write(&file, &text, 0o640)?;
        let how = if scans {
            "by a scan; read it before you rely on it"
        } else {
            "and names nothing, so that every table is closed"
        };
        self.done.push(format!("{} was written {how}", file.display()));
        Ok(file)
    }

    fn audit(&self) -> PathBuf {
        match &self.arguments.audit {
            Some(audit) => std::path::absolute(audit).unwrap_or_else(|_| audit.clone()),
            None if self.arguments.dir == Path::new("/etc/pgpurpose") => Path::new(STATE).join("audit"),
            None => PathBuf::from("audit"),
        }
    }

    fn configuration(&mut self, text: &str, folder: Option<&Folder>, output: &mut Output) -> Result<PathBuf, String> {
        let Some(folder) = folder else {
            output.line(format_args!(
                "would be written unless it is there: {}\n\n{text}",
                self.arguments.dir.join("pgpurpose.toml").display()
            ));
            return Ok(self.arguments.dir.join("pgpurpose.toml"));
        };
        folder.make(&folder.at(self.audit()))?;
        let file = folder.at("pgpurpose.toml");
        match std::fs::read_to_string(&file) {
            Ok(before) if before == text => output.line(format_args!("{} is there, and says the same", file.display())),
            Ok(_) => {
                output.line(format_args!(
                    "{} is there, and says something else. The new one would be:\n\n{text}",
                    file.display()
                ));
                if self.asker.allowed("Replace it (the one that is there is kept as pgpurpose.toml.bak)?", output)? {
                    let kept = folder.replace(&file, text, 0o640)?;
                    self.done.push(format!("{} was replaced; the former is {}", file.display(), kept.display()));
                } else {
                    self.left.push(format!("{} stays as it was", file.display()));
                }
            }
            Err(_) => {
                output.line(text.trim_end());
                if self.asker.step(&format!("Write this to {}?", file.display()), output)? {
                    folder.write(&file, text, 0o640)?;
                    self.done.push(format!("{} was written", file.display()));
                } else {
                    self.left.push(format!("{} was not written", file.display()));
                }
            }
        }
        Ok(file)
    }
}
