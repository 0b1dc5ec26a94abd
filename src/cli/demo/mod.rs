//! `pgpurpose demo`: a throwaway PostgreSQL with a sample South African shop, the proxy before it.
//!
//! In: nothing. Out: a proxy that answers, and a screen that says what to type. Whatever ends this process, the
//! PostgreSQL it started ends with it.

mod centre;
mod install;
mod lesson;
mod register;
mod screen;

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Instant;

use rand::RngExt;

use crate::audit::chain::hex;
use crate::cluster::{Cluster, ClusterError, ClusterOptions, find_postgres};
pub use lesson::LessonName;

/// The sample shop: tables, data, logins and their rights. For an empty database.
pub const SHOP_SQL: &str = include_str!("shop.sql");
/// The sample shop's policy.
pub const SHOP_POLICY: &str = include_str!("../../../policies/shop.toml");
/// The sample shop's database.
pub const SHOP_DATABASE: &str = "shop";

/// What `pgpurpose demo` takes.
#[derive(Debug, Clone, clap::Args)]
pub struct DemoArgs {
    /// Where the proxy listens
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:6432")]
    pub listen: SocketAddr,
    /// Where the console, the metrics and the health checks listen
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9432")]
    pub admin: SocketAddr,
    /// Where the privacy centre listens; it is left out where somebody else does
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8432")]
    pub centre: SocketAddr,
    /// Keep the data, the policy and the access log in this folder
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// The folder of PostgreSQL's programs [default: looked for]
    #[arg(long, value_name = "DIR")]
    pub pg_bin: Option<PathBuf>,
    /// Install PostgreSQL without asking where it is missing
    #[arg(long)]
    pub yes: bool,
    /// Ten minutes of training on the running shop, what you type coming from standard input
    #[arg(long, value_name = "WHICH")]
    pub lesson: Option<LessonName>,
    /// Who takes the lesson: a login, or the name by which your application knows you [default: as you are logged in here]
    #[arg(long, value_name = "NAME", requires = "lesson")]
    pub learner: Option<String>,
    /// Enter a lesson that was passed in the register of this configuration's database, besides the shop's own
    #[arg(long, value_name = "FILE", requires = "lesson")]
    pub register: Option<PathBuf>,
}

/// Why the demo did not come up.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// Somebody else listens there.
    #[error("`{address}` cannot be listened on: {source}; choose another address with {option}")]
    Address {
        /// The address.
        address: SocketAddr,
        /// The option that names it.
        option: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// No PostgreSQL, and none was installed.
    #[error(
        "PostgreSQL is needed and not installed; install it with\n\n    {line}\n\nor name the folder of its programs with --pg-bin"
    )]
    Missing {
        /// What to type.
        line: String,
    },
    /// The package could not be installed.
    #[error("PostgreSQL could not be installed; what apt-get said stands above. Try `{line}` yourself")]
    Install {
        /// What to type.
        line: String,
    },
    /// The cluster.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// A file or the screen.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The proxy.
    #[error("{0}")]
    Proxy(String),
    /// The lesson ended before it was passed.
    #[error("the lesson is not passed: {0}")]
    Lesson(String),
}

/// What the proxy is started with: its configuration file, and what is to be called once it takes connections.
pub struct ProxyStart {
    /// A file as `serve --config` takes it.
    pub config: PathBuf,
    /// Prints what to type.
    pub when_ready: Box<dyn FnOnce() + Send>,
}

/// Sets everything up, starts the proxy with `serve` and returns when that does.
///
/// `serve` runs the proxy until it is told to stop (Ctrl-C, SIGTERM).
///
/// # Errors
/// [`DemoError`].
pub fn run(args: &DemoArgs, serve: impl FnOnce(ProxyStart) -> Result<(), String>) -> Result<(), DemoError> {
    let mut out = io::stdout();
    for (option, address) in [("--listen", args.listen), ("--admin", args.admin)] {
        // Only asked, so that nobody waits for a cluster that then cannot be used.
        TcpListener::bind(address).map_err(|source| DemoError::Address { address, option, source })?;
    }
    let bin = match find_postgres(args.pg_bin.as_deref()) {
        Err(ClusterError::NotFound) => {
            install::install_postgres(args.yes, &mut out)?;
            find_postgres(None)?
        }
        other => other?,
    };
    let version = bin.version().unwrap_or_else(|| "PostgreSQL".to_owned());
    let version = version.trim_start_matches("postgres (PostgreSQL) ");
    writeln!(out, "PostgreSQL {version} from {}", bin.folder().display())?;

    let begun = Instant::now();
    step(&mut out, "starting a throwaway cluster")?;
    let options =
        ClusterOptions { pg_bin: Some(bin.folder().to_owned()), dir: args.dir.clone(), ..ClusterOptions::default() };
    let cluster = Cluster::start(&options)?;
    done(&mut out, begun)?;
    writeln!(
        out,
        "  in {}, {}",
        cluster.root().display(),
        if args.dir.is_some() { "which is kept" } else { "which goes away with this process" }
    )?;

    let begun = Instant::now();
    if has_shop(&cluster)? {
        writeln!(out, "the sample shop is there already")?;
    } else {
        step(&mut out, "loading the sample shop: 10,000 customers, 50,000 orders")?;
        load_shop(&cluster)?;
        done(&mut out, begun)?;
    }
    register::load(&cluster)?;

    let config = write_files(args, &cluster)?;
    let shown = match args.lesson {
        Some(_) => None,
        None => centre::set_up(args.centre, &cluster, &config)?,
    };
    step(&mut out, &format!("starting the proxy on {}", args.listen))?;
    if let Some(name) = args.lesson {
        let lesson = lesson::Running::new(name, args, &cluster)?;
        let ended = serve(ProxyStart { config, when_ready: lesson.when_ready() }).map_err(DemoError::Proxy);
        drop(cluster);
        return ended.and_then(|()| lesson.result());
    }
    let screen = screen::Screen::new(args, &cluster, shown.clone(), io::stdout().is_terminal());
    let root = shown.map(|_| cluster.root().to_owned());
    let when_ready = Box::new(move || {
        let mut out = io::stdout();
        if let Some(root) = root {
            centre::start(&root);
        }
        // The screen is not the proxy: a closed pipe must not end it.
        let _ = done(&mut out, Instant::now()).and_then(|()| screen.print(&mut out));
    });
    let ended = serve(ProxyStart { config, when_ready }).map_err(DemoError::Proxy);
    drop(cluster);
    ended
}

/// Whether the shop was loaded to its end: all of it is one transaction.
fn has_shop(cluster: &Cluster) -> Result<bool, ClusterError> {
    if !has_database(cluster)? {
        return Ok(false);
    }
    Ok(cluster.run_sql(SHOP_DATABASE, "SELECT to_regclass('public.customers') IS NOT NULL")?.trim() == "t")
}

fn has_database(cluster: &Cluster) -> Result<bool, ClusterError> {
    let there = cluster.run_sql("postgres", "SELECT 'there' FROM pg_database WHERE datname = 'shop'")?;
    Ok(!there.is_empty())
}

/// Makes the database, where it is not there, and fills it.
///
/// # Errors
/// What `psql` says.
pub fn load_shop(cluster: &Cluster) -> Result<(), ClusterError> {
    if !has_database(cluster)? {
        cluster.run_statements("postgres", "CREATE DATABASE shop")?;
    }
    cluster.run_statements(SHOP_DATABASE, SHOP_SQL).map(drop)
}

/// Writes the policies, the keys and the configurations. Files that a kept folder holds already stay, except for the
/// configurations, which name this run's addresses.
fn write_files(args: &DemoArgs, cluster: &Cluster) -> Result<PathBuf, DemoError> {
    let root = cluster.root();
    for (name, text) in register::policies() {
        let policy = root.join(name);
        if !policy.exists() {
            fs::write(&policy, text)?;
        }
    }
    for name in ["token.key", "signing.key", "centre.key", CONSOLE_TOKEN] {
        let key = root.join(name);
        if !key.exists() {
            let bytes: [u8; 32] = rand::rng().random();
            OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&key)?
                .write_all(hex(&bytes).as_bytes())?;
        }
    }
    let audit = root.join("audit");
    DirBuilder::new().recursive(true).mode(0o700).create(&audit)?;
    // The server's user removes the folder after a kill, so what is in it must be that user's to remove.
    cluster.user().give(&audit)?;
    let written = |login: &str| config_text(args, root, &cluster.socket_dir(), cluster.port(), login);
    fs::write(register::officer_config(root), written(register::OFFICER))?;
    let config = root.join("pgpurpose.toml");
    fs::write(&config, written("pgpurpose"))?;
    Ok(config)
}

/// What opens the console, for as long as the folder is there.
const CONSOLE_TOKEN: &str = "console.token";

fn config_text(args: &DemoArgs, root: &Path, socket: &Path, port: u16, login: &str) -> String {
    let text = |value: String| toml::Value::String(value).to_string();
    let path = |name: &str| text(root.join(name).display().to_string());
    let key = |name: &str| text(format!("file:{}", root.join(name).display()));
    let policies: Vec<String> = register::policies().iter().map(|(name, _)| path(name)).collect();
    format!(
        "[listen]\naddress = {listen}\n\n\
         [upstream]\naddress = {upstream}\ntls = \"disable\"\ncatalog_login = {login}\n\n\
         [auth]\nmethod = \"relay\"\n\n\
         [policy]\nfiles = [{policies}]\ntoken_key = {token}\n\n\
         [audit]\ndirectory = {audit}\nsigning_key = {signing}\n\n\
         [admin]\naddress = {admin}\n{console}\n\
         {organisation}",
        listen = text(args.listen.to_string()),
        upstream = text(format!("{}:{port}", socket.display())),
        login = text(login.to_owned()),
        policies = policies.join(", "),
        token = key("token.key"),
        audit = path("audit"),
        signing = key("signing.key"),
        admin = text(args.admin.to_string()),
        // Whoever has the token is let in from this machine alone.
        console = match args.admin.ip().is_loopback() {
            true => format!("token = {}\n", key(CONSOLE_TOKEN)),
            false => String::new(),
        },
        organisation = register::ORGANISATION,
    )
}

fn step(out: &mut impl Write, what: &str) -> io::Result<()> {
    write!(out, "{what} ... ")?;
    out.flush()
}

fn done(out: &mut impl Write, begun: Instant) -> io::Result<()> {
    let seconds = begun.elapsed().as_secs_f64();
    if seconds < 0.05 { writeln!(out, "ready") } else { writeln!(out, "ready after {seconds:.1} s") }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests;
