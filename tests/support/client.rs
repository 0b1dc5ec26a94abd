//! psql, pgbench and Python through the proxy.

use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use pgpurpose::cluster::Cluster;

use super::proxy::Proxy;

/// What a client program said.
#[derive(Debug, Clone)]
pub struct Said {
    pub out: String,
    pub err: String,
    pub ok: bool,
}

impl Said {
    fn of(output: Output) -> Self {
        Self {
            out: String::from_utf8_lossy(&output.stdout).trim_end().to_owned(),
            err: String::from_utf8_lossy(&output.stderr).trim_end().to_owned(),
            ok: output.status.success(),
        }
    }

    /// The output, the client having ended well.
    #[track_caller]
    pub fn fine(self) -> String {
        // That a condition compares with a mask is told beside the answer.
        let told =
            |line: &str| line.starts_with("NOTICE:  00000: column `") || line.starts_with("HINT:  a rule's `lookup`");
        assert!(self.ok && self.err.lines().all(told), "{self:?}");
        self.out
    }

    /// The output's lines, the client having ended well.
    #[track_caller]
    pub fn lines(self) -> Vec<String> {
        self.fine().lines().map(str::to_owned).collect()
    }
}

/// Who connects, and how.
#[derive(Debug, Clone)]
pub struct As<'a> {
    pub login: &'a str,
    pub database: &'a str,
    /// `PGOPTIONS`.
    pub options: &'a str,
    /// `application_name`: finds a test's own records in the access log.
    pub application: &'a str,
}

/// A login, with everything else as it is by default.
pub fn login(login: &str) -> As<'_> {
    As { login, database: "shop", options: "", application: "test" }
}

impl<'a> As<'a> {
    pub fn database(self, database: &'a str) -> Self {
        Self { database, ..self }
    }

    pub fn options(self, options: &'a str) -> Self {
        Self { options, ..self }
    }

    pub fn application(self, application: &'a str) -> Self {
        Self { application, ..self }
    }
}

impl Proxy {
    /// A command whose `PG*` environment leads to this proxy.
    pub fn client(&self, cluster: &Cluster, who: &As<'_>, program: &str) -> Command {
        let mut command = cluster.client(program);
        command
            .env("PGHOST", "127.0.0.1")
            .env("PGPORT", self.port.to_string())
            .env("PGUSER", who.login)
            .env("PGDATABASE", who.database)
            .env("PGAPPNAME", who.application)
            .env("PGCONNECT_TIMEOUT", "10")
            .env("PGCLIENTENCODING", "UTF8")
            .env("PGTZ", "UTC")
            .stdin(Stdio::null());
        if !who.options.is_empty() {
            command.env("PGOPTIONS", who.options);
        }
        command
    }

    /// One `psql`, all its commands in one session; rows without headings, columns separated by `|`, NULL as `∅`.
    /// Errors are printed with all their fields and the SQLSTATE, and do not end the session.
    pub fn psql(&self, cluster: &Cluster, who: &As<'_>, commands: &[&str]) -> Said {
        let mut psql = self.client(cluster, who, "psql");
        psql.args(["-X", "-q", "-A", "-t", "-P", "null=∅", "-v", "VERBOSITY=verbose"]);
        for command in commands {
            psql.args(["-c", command]);
        }
        Said::of(psql.output().expect("psql runs"))
    }

    /// The command itself, in the folder of this proxy's configuration.
    pub fn command(&self, arguments: &[&str]) -> Said {
        let mut command = Command::new(super::proxy::program());
        command.args(arguments).current_dir(self.folder()).stdin(Stdio::null());
        Said::of(command.output().expect("the command runs"))
    }

    /// The same, still running.
    pub fn spawn_psql(&self, cluster: &Cluster, who: &As<'_>, command: &str) -> Child {
        let mut psql = self.client(cluster, who, "psql");
        psql.args(["-X", "-q", "-A", "-t", "-c", command]).stdout(Stdio::piped()).stderr(Stdio::piped());
        psql.spawn().expect("psql starts")
    }

    /// pgbench's own output.
    pub fn pgbench(&self, cluster: &Cluster, who: &As<'_>, arguments: &[&str]) -> Said {
        Said::of(self.client(cluster, who, "pgbench").args(arguments).output().expect("pgbench runs"))
    }

    /// Runs a Python script that finds `psycopg` and, in its environment, the way to this proxy. `None`, with a loud message,
    /// where psycopg is not installed.
    pub fn python(&self, cluster: &Cluster, who: &As<'_>, script: &str) -> Option<Said> {
        let python = python_with_psycopg()?;
        let mut command = self.client(cluster, who, python);
        command.arg("-c").arg(script).env("PYTHONDONTWRITEBYTECODE", "1");
        Some(Said::of(command.output().expect("python runs")))
    }
}

/// The interpreter named by `PGPURPOSE_TEST_PYTHON`, else `python3`, if it has psycopg 3.
fn python_with_psycopg() -> Option<&'static str> {
    static PYTHON: OnceLock<Option<String>> = OnceLock::new();
    PYTHON
        .get_or_init(|| {
            let python = std::env::var("PGPURPOSE_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
            let found = Command::new(&python)
                .args(["-c", "import psycopg; assert psycopg.__version__ >= '3'"])
                .stderr(Stdio::null())
                .status()
                .is_ok_and(|status| status.success());
            if !found {
                eprintln!("SKIPPED: `{python}` has no psycopg 3, so nothing of it is tested; `.ci/run` installs it");
            }
            found.then_some(python)
        })
        .as_deref()
}

/// Waits for a client to end; `None` where it has not after that time (it is killed then).
pub fn wait(mut child: Child, longest: Duration) -> Option<Said> {
    let started = std::time::Instant::now();
    while started.elapsed() < longest {
        if child.try_wait().unwrap().is_some() {
            return Some(Said::of(child.wait_with_output().unwrap()));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    None
}
