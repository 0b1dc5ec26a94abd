//! A throwaway PostgreSQL cluster: found, set up, run without root, and gone with the process that started it.
//!
//! In: nothing but a PostgreSQL that is installed. Out: a running server on a Unix socket in a folder that only its
//! user may enter, and on a TCP port where that is asked for. It is stopped when the [`Cluster`] is dropped, and also
//! when its process is killed: a supervisor holds the reading end of a pipe and sees it close.

mod find;
mod place;
mod user;

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

pub use find::{PG_BIN_VARIABLE, PgBin, find_postgres};
pub use user::ServerUser;

use place::Place;

/// Kept out of the Rust text so that a shell's own tools can read it.
const SUPERVISOR: &str = include_str!("supervisor.sh");
/// How long a server may take to start or to stop.
const PATIENCE: Duration = Duration::from_secs(60);
/// The superuser's name.
pub const SUPERUSER: &str = "postgres";
/// The number in the name of the Unix socket, where there is no TCP port.
const SOCKET_PORT: u16 = 5432;

/// What went wrong with a cluster.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// No PostgreSQL anywhere.
    #[error("no PostgreSQL was found: neither on the PATH, nor by `pg_config --bindir`, nor where packages put it")]
    NotFound,
    /// A folder was named, and there is none in it.
    #[error("`{}` holds no PostgreSQL server: `initdb`, `postgres` and `pg_ctl` are looked for", folder.display())]
    NotThere {
        /// The folder.
        folder: PathBuf,
    },
    /// Root, and nobody to run as.
    #[error(
        "PostgreSQL does not run as root, and there is neither a user `postgres` nor `nobody`; run this as another user"
    )]
    NoUser,
    /// No temporary folder.
    #[error(
        "no temporary folder can be written with a path short enough for a Unix socket; set TMPDIR, or name a folder with --dir"
    )]
    NoTemporaryFolder,
    /// A folder could not be made or read.
    #[error("`{}`: {source}", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A path that a socket address cannot hold.
    #[error("the path `{}` is too long for a Unix socket; choose one of at most {longest} bytes", folder.display())]
    PathTooLong {
        /// The folder.
        folder: PathBuf,
        /// In bytes.
        longest: usize,
    },
    /// A folder with other things in it.
    #[error("`{}` is not empty and was not made by pgpurpose; name an empty or a new folder", folder.display())]
    NotOurs {
        /// The folder.
        folder: PathBuf,
    },
    /// Another process uses it.
    #[error("`{}` is in use by another process", folder.display())]
    InUse {
        /// The folder.
        folder: PathBuf,
    },
    /// The user that the server runs as cannot go there.
    #[error("the user `{user}`, as whom PostgreSQL runs here, cannot write `{}`; choose another folder, such as one under /var/tmp", folder.display())]
    OutOfReach {
        /// The folder.
        folder: PathBuf,
        /// The user.
        user: String,
    },
    /// A program failed.
    #[error("{program} failed: {message}")]
    Program {
        /// Its name.
        program: String,
        /// What it said.
        message: String,
    },
    /// The server did not come up.
    #[error("PostgreSQL did not start; its log says:\n{log}")]
    NotStarted {
        /// The last lines of the log.
        log: String,
    },
}

/// What a cluster is to be like.
#[derive(Debug, Clone, Default)]
pub struct ClusterOptions {
    /// Where PostgreSQL's programs are; looked for where it is not given.
    pub pg_bin: Option<PathBuf>,
    /// A folder that is kept; a temporary one where it is not given.
    pub dir: Option<PathBuf>,
    /// Also listen on a free TCP port of 127.0.0.1.
    pub tcp: bool,
    /// Settings, as in postgresql.conf.
    pub settings: Vec<(String, String)>,
    /// Contents of pg_hba.conf; `trust` for every connection where it is not given.
    pub hba: Option<String>,
    /// Data that [`Cluster::save`] wrote, to start from instead of nothing.
    pub template: Option<PathBuf>,
}

/// A running cluster. Dropped, it stops; a temporary one is removed.
#[derive(Debug)]
pub struct Cluster {
    bin: PgBin,
    user: ServerUser,
    place: Place,
    port: u16,
    tcp: bool,
    fresh: bool,
    /// Its standard input is the pipe that keeps the server alive.
    supervisor: Child,
}

impl Cluster {
    /// Finds PostgreSQL, removes what crashes left behind, sets up the cluster and starts it.
    ///
    /// # Errors
    /// [`ClusterError`].
    pub fn start(options: &ClusterOptions) -> Result<Self, ClusterError> {
        // Somebody else may take the free port between its choice and the server's start.
        let mut retries = if options.tcp { 4 } else { 0 };
        loop {
            match Self::start_once(options) {
                Err(ClusterError::NotStarted { log }) if retries > 0 && log.contains("could not bind") => retries -= 1,
                other => return other,
            }
        }
    }

    fn start_once(options: &ClusterOptions) -> Result<Self, ClusterError> {
        let bin = find_postgres(options.pg_bin.as_deref())?;
        let user = ServerUser::choose()?;
        place::remove_stale(&bin, &user);
        let place = match &options.dir {
            Some(dir) => Place::kept(dir, &user)?,
            None => Place::temporary(&user)?,
        };
        let data = place.data();
        place::stop_left_over(&data, &bin, &user);
        let fresh = !data.join("PG_VERSION").exists();
        if fresh {
            match &options.template {
                Some(template) => copy(template, &data)?,
                None => init(&bin, &user, &data)?,
            }
        }
        if let Some(hba) = &options.hba {
            let path = data.join("pg_hba.conf");
            fs::write(&path, hba).map_err(|source| ClusterError::Folder { folder: path, source })?;
        }
        let port = if options.tcp { free_port()? } else { SOCKET_PORT };
        let supervisor = supervise(&bin, &user, &place, port, options)?;
        let cluster = Self { bin, user, place, port, tcp: options.tcp, fresh, supervisor };
        cluster.wait_until_ready()?;
        Ok(cluster)
    }

    /// PostgreSQL's programs.
    pub fn bin(&self) -> &PgBin {
        &self.bin
    }

    /// The user that the server runs as.
    pub fn user(&self) -> &ServerUser {
        &self.user
    }

    /// The folder of everything that belongs to this cluster.
    pub fn root(&self) -> &Path {
        self.place.root()
    }

    /// Whether it was set up just now, and holds nothing yet.
    pub fn is_fresh(&self) -> bool {
        self.fresh
    }

    /// The folder of the Unix socket.
    pub fn socket_dir(&self) -> PathBuf {
        self.place.socket()
    }

    /// The number in the Unix socket's name; also the TCP port where there is one.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `127.0.0.1:PORT`, where it listens on TCP.
    pub fn tcp_address(&self) -> Option<String> {
        self.tcp.then(|| format!("127.0.0.1:{}", self.port))
    }

    /// The process number of the postmaster, while it runs.
    pub fn postmaster_pid(&self) -> Option<u32> {
        place::postmaster_pid(&self.place.data())
    }

    /// One of PostgreSQL's client programs (`psql`, `pgbench`, ...), told by its environment to connect straight to this
    /// server as superuser.
    pub fn client(&self, program: &str) -> Command {
        let own = self.bin.program(program);
        let mut command = if own.is_file() { Command::new(own) } else { Command::new(program) };
        command
            .env("PGHOST", self.socket_dir())
            .env("PGPORT", self.port.to_string())
            .env("PGUSER", SUPERUSER)
            .env("PGAPPNAME", "pgpurpose set-up");
        command
    }

    /// Runs SQL text as superuser, all of it in one transaction, and gives what it prints without headings, columns
    /// separated by `|`.
    ///
    /// # Errors
    /// What `psql` says.
    pub fn run_sql(&self, database: &str, sql: &str) -> Result<String, ClusterError> {
        self.psql(database, sql, &["-1"])
    }

    /// The same, each statement by itself: for those that may not stand in a transaction.
    ///
    /// # Errors
    /// What `psql` says.
    pub fn run_statements(&self, database: &str, sql: &str) -> Result<String, ClusterError> {
        self.psql(database, sql, &[])
    }

    fn psql(&self, database: &str, sql: &str, more: &[&str]) -> Result<String, ClusterError> {
        let mut command = self.client("psql");
        command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-f", "-", "-d", database]).args(more);
        run(command, Some(sql.as_bytes()))
    }

    /// Shuts the server down in order and copies its data to a folder that does not exist yet. What is copied keeps its
    /// owner: only the same user, or root, can start from it.
    ///
    /// # Errors
    /// What the programs say.
    pub fn save(self, to: &Path) -> Result<(), ClusterError> {
        let mut stop = self.user.command(self.bin.program("pg_ctl"));
        stop.args(["stop", "-s", "-w", "-m", "fast", "-D"]).arg(self.place.data());
        run(stop, None)?;
        copy(&self.place.data(), to)
    }

    fn wait_until_ready(&self) -> Result<(), ClusterError> {
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            if self.place.exited().exists() {
                break;
            }
            if place::postmaster_is_ready(&self.place.data()) {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Err(ClusterError::NotStarted { log: self.last_log_lines() })
    }

    fn last_log_lines(&self) -> String {
        let text = fs::read_to_string(self.place.log()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines.get(lines.len().saturating_sub(20)..).unwrap_or_default().join("\n")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Closing the pipe is what stops the server; the supervisor also removes a temporary folder.
        drop(self.supervisor.stdin.take());
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            match self.supervisor.try_wait() {
                Ok(None) => thread::sleep(Duration::from_millis(10)),
                Ok(Some(_)) | Err(_) => break,
            }
        }
        let _ = self.supervisor.kill();
        let _ = self.supervisor.wait();
        if self.place.is_temporary() {
            let _ = fs::remove_dir_all(self.place.root());
        }
    }
}

fn init(bin: &PgBin, user: &ServerUser, data: &Path) -> Result<(), ClusterError> {
    let mut command = user.command(bin.program("initdb"));
    command.args(["--no-sync", "--auth=trust", "--encoding=UTF8", "--no-locale", "-U", SUPERUSER, "-D"]).arg(data);
    run(command, None).map(drop)
}

fn copy(from: &Path, to: &Path) -> Result<(), ClusterError> {
    let mut command = Command::new("cp");
    command.arg("-Rp").arg(from).arg(to);
    run(command, None).map(drop)
}

fn supervise(
    bin: &PgBin,
    user: &ServerUser,
    place: &Place,
    port: u16,
    options: &ClusterOptions,
) -> Result<Child, ClusterError> {
    let _ = fs::remove_file(place.exited());
    let nowhere = OsStr::new("");
    let mut command = user.command("sh");
    command.arg("-c").arg(SUPERVISOR).arg("pgpurpose-supervisor");
    // What is kept is shut down in order; what is thrown away only has to be quick.
    command.arg(if place.is_temporary() { "QUIT" } else { "INT" });
    command.arg(place.exited());
    command.arg(if place.is_temporary() { place.root().as_os_str() } else { nowhere });
    command.arg(place.log());
    command.arg(bin.program("postgres")).arg("-D").arg(place.data());
    let mut set = |name: &str, value: &str| {
        command.arg("-c").arg(format!("{name}={value}"));
    };
    set("listen_addresses", if options.tcp { "127.0.0.1" } else { "" });
    set("port", &port.to_string());
    set("unix_socket_directories", &place.socket().display().to_string());
    set("unix_socket_permissions", "0700");
    set("shared_buffers", "64MB");
    if place.is_temporary() {
        for name in ["fsync", "synchronous_commit", "full_page_writes"] {
            set(name, "off");
        }
    }
    for (name, value) in &options.settings {
        set(name, value);
    }
    // A process group of its own: Ctrl-C at the terminal is for this program, which then stops the server in order.
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| ClusterError::Program { program: "sh".to_owned(), message: error.to_string() })
}

fn free_port() -> Result<u16, ClusterError> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|error| ClusterError::Program {
            program: "binding a free port".to_owned(),
            message: error.to_string(),
        })
}

/// Runs a program to its end; gives what it printed.
fn run(mut command: Command, input: Option<&[u8]>) -> Result<String, ClusterError> {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let failed = |message: String| ClusterError::Program { program: program.clone(), message };
    command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| failed(error.to_string()))?;
    let pipe = child.stdin.take();
    let output = thread::scope(|scope| {
        scope.spawn(move || {
            // A program that ends early closes its end: its own message says more than the broken pipe.
            if let (Some(mut pipe), Some(input)) = (pipe, input) {
                let _ = pipe.write_all(input);
            }
        });
        child.wait_with_output()
    })
    .map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests;
