//! `pgpurpose init`: from a server that is there to a proxy before it, step by step.
//!
//! In: where the database is, and a login that may make logins. Out: the proxy's own login with the least rights, keys,
//! configuration and a first policy, checked against the database. Nothing is changed without asking, nothing that is there is
//! overwritten, and a failure tells what was done before it.

mod ask;
mod files;
mod server;
mod steps;

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::Ending;
use super::output::{Output, Style};
use crate::app::runtime;
use crate::config::{AuthMethod, HostPort, SecretSource, UpstreamAddress, UpstreamTls};

#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// Where configuration, keys and policies are written
    #[arg(long, value_name = "DIR", default_value = "pgpurpose")]
    dir: PathBuf,
    /// The database, as `host:port` or the folder of a Unix socket
    #[arg(long, value_name = "HOST:PORT")]
    upstream: Option<UpstreamAddress>,
    /// The PostgreSQL login that makes the proxy's own, best a superuser
    #[arg(long, value_name = "LOGIN")]
    login: Option<String>,
    /// Its password, as `env:NAME` or `file:PATH`; it is kept nowhere [default: `env:PGPASSWORD` where that is set, else asked]
    #[arg(long, value_name = "SOURCE", value_parser = secret)]
    password: Option<SecretSource>,
    /// The databases that applications use; the policies are about the first [default: all]
    #[arg(long, value_name = "NAME", num_args = 1..)]
    database: Vec<String>,
    /// TLS towards the database [default: `disable` on this machine, else `prefer`, with --tls-ca `verify-full`]
    #[arg(long, value_name = "MODE")]
    tls: Option<TlsArg>,
    /// Whose certificates are believed
    #[arg(long, value_name = "FILE")]
    tls_ca: Option<PathBuf>,
    /// How applications log in [default: what the rights allow: passthrough, relay on this machine, scram]
    #[arg(long, value_name = "METHOD")]
    method: Option<MethodArg>,
    /// With `scram`: a login of an application and its password's source, `crm=env:CRM_PASSWORD`
    #[arg(long, value_name = "NAME=SOURCE", value_parser = application)]
    app: Vec<(String, SecretSource)>,
    /// The proxy's own login
    #[arg(long, value_name = "LOGIN", default_value = "pgpurpose")]
    catalog_login: String,
    /// Where applications will connect
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:6432")]
    listen: HostPort,
    /// The folder of the access log [default: `audit` beside the configuration, and /var/lib/pgpurpose/audit for /etc/pgpurpose]
    #[arg(long, value_name = "DIR")]
    audit: Option<PathBuf>,
    /// Begin with `mode = "observe"`: nothing is enforced, the log says what would be
    #[arg(long)]
    observe: bool,
    /// Write no first policy from a scan: one that names nothing, so that every table is closed
    #[arg(long)]
    no_scan: bool,
    /// The scan looks at names and types alone, at no value
    #[arg(long)]
    no_values: bool,
    /// Take every step without asking; what is there already is kept
    #[arg(long)]
    yes: bool,
    /// Look, and say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum TlsArg {
    Disable,
    Prefer,
    Require,
    VerifyFull,
}

impl From<TlsArg> for UpstreamTls {
    fn from(tls: TlsArg) -> Self {
        match tls {
            TlsArg::Disable => Self::Disable,
            TlsArg::Prefer => Self::Prefer,
            TlsArg::Require => Self::Require,
            TlsArg::VerifyFull => Self::VerifyFull,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum MethodArg {
    Passthrough,
    Scram,
    Relay,
}

impl From<MethodArg> for AuthMethod {
    fn from(method: MethodArg) -> Self {
        match method {
            MethodArg::Passthrough => Self::Passthrough,
            MethodArg::Scram => Self::Scram,
            MethodArg::Relay => Self::Relay,
        }
    }
}

fn secret(text: &str) -> Result<SecretSource, String> {
    SecretSource::parse(text, Path::new(""))
}

fn application(text: &str) -> Result<(String, SecretSource), String> {
    let (name, source) = text
        .split_once('=')
        .filter(|(name, _)| !name.is_empty())
        .ok_or("write `NAME=env:VARIABLE` or `NAME=file:PATH`")?;
    Ok((name.to_owned(), secret(source)?))
}

pub(super) fn run(arguments: &InitArgs, output: &mut Output) -> Ending {
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => return output.wrong(error),
    };
    let mut steps = steps::Steps::new(arguments);
    let set_up = runtime.block_on(steps.take(output));
    let set_up = match set_up {
        Ok(set_up) => set_up,
        Err(error) => {
            tell_done(&steps.done, &steps.left, output);
            let again =
                if steps.done.is_empty() { "" } else { "; run it again once that is mended: what is there is kept" };
            return output.wrong(format_args!("{error}{again}"));
        }
    };
    if arguments.dry_run {
        output.line("nothing was changed");
        return Ending::Fine;
    }
    tell_done(&steps.done, &steps.left, output);
    if !set_up.config.exists() {
        return Ending::Failed;
    }
    heading("Checking against the database", output);
    let checked = super::check::run(&super::check::CheckArgs::live(set_up.config.clone()), output);
    next(&set_up, output);
    if steps.left.is_empty() { checked } else { Ending::Failed }
}

/// What was done and what was left, so that nobody has to guess after a failure.
fn tell_done(done: &[String], left: &[String], output: &mut Output) {
    for (title, what) in [("Done", done), ("Left out", left)] {
        if what.is_empty() {
            continue;
        }
        heading(title, output);
        for one in what {
            output.line(format_args!("  - {one}"));
        }
    }
}

fn heading(title: &str, output: &mut Output) {
    let title = output.styled(Style::Heading, title);
    output.line(format_args!("\n{title}"));
}

/// What whoever set it up does now.
fn next(set_up: &steps::SetUp, output: &mut Output) {
    heading("What to do next", output);
    let config = set_up.config.display();
    output.line(format_args!(
        "  1. Read {} and give each role its logins and purposes: docs/policies.md",
        set_up.policy.display()
    ));
    output.line(format_args!("  2. pgpurpose check --config {config} --live"));
    output.line(format_args!("  3. pgpurpose serve --config {config}"));
    output.line(format_args!(
        "  4. Let applications connect to {} instead, and let the database's pg_hba.conf take them from this machine alone",
        set_up.listen
    ));
    if set_up.observe {
        output.line(format_args!(
            "  5. Nothing is enforced yet: `pgpurpose suggest --config {config}` reads what was done, `mode = \"enforce\"` begins"
        ));
    }
}
