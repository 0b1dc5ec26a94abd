//! `pgpurpose serve`: the proxy.

use std::env;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use clap::Args;

use super::Ending;
use super::output::Output;
use super::setup::{self, Source};
use crate::app::{How, serve};
use crate::config::{Config, HostPort};
use crate::document::Fault;
use crate::telemetry;

#[derive(Debug, Clone, Args)]
pub(super) struct ServeArgs {
    #[command(flatten)]
    source: Source,
    /// Where to listen, instead of what the configuration says
    #[arg(long, value_name = "ADDR")]
    listen: Option<HostPort>,
    /// The folder of the access log, instead of what the configuration says
    #[arg(long, value_name = "DIR")]
    audit: Option<PathBuf>,
    /// The database that the policies are about [default: found by their tables]
    #[arg(long, value_name = "NAME")]
    database: Option<String>,
    /// Listen beside another process on the same port, which is to be stopped then (`SIGTERM`): no connection is refused meanwhile. It
    /// needs a folder of its own for the access log, and an address of its own for the console
    #[arg(long)]
    hand_over: bool,
    /// The proxy's own log as JSON
    #[arg(long)]
    log_json: bool,
}

impl ServeArgs {
    /// The configuration as its file is now, with what the command line says instead.
    fn config(&self) -> Result<Config, Vec<Fault>> {
        let mut config = self.source.load()?;
        if let Some(listen) = &self.listen {
            config.listen_at(listen.clone());
        }
        if let Some(directory) = &self.audit {
            config.audit.directory.clone_from(directory);
        }
        Ok(config)
    }
}

/// Where glibc reads how its allocator works: before the program begins, so that nothing within it can say so.
const TUNABLES: &str = "GLIBC_TUNABLES";
/// No caches of freed memory for each thread, which keep all that lies below from going back to the system after a statement that
/// needed much (the GNU C Library's manual, "Memory Allocation Tunables"; figures in docs/costs.md).
const GIVE_BACK: &str = "glibc.malloc.tcache_count=0:glibc.malloc.mxfast=0:glibc.malloc.trim_threshold=131072:\
    glibc.malloc.mmap_threshold=131072";

/// Begins the program once more in its own place, with an allocator that gives memory back; goes on where that is done, where the
/// operator has said how the allocator works, or where it cannot be.
fn give_memory_back() {
    let held = env::var(TUNABLES).unwrap_or_default();
    if cfg!(not(target_env = "gnu")) || held.contains("glibc.malloc.") {
        return;
    }
    let all = if held.is_empty() { GIVE_BACK.to_owned() } else { format!("{held}:{GIVE_BACK}") };
    if let Ok(program) = env::current_exe() {
        // It returns only where it failed: the proxy then keeps more memory, and serves.
        let _ = Command::new(program).args(env::args_os().skip(1)).env(TUNABLES, all).exec();
    }
}

pub(super) fn run(arguments: &ServeArgs, output: &mut Output) -> Ending {
    give_memory_back();
    let config = match arguments.config() {
        Ok(config) => config,
        Err(faults) => {
            setup::tell(&faults, output);
            return Ending::Wrong;
        }
    };
    let format = if arguments.log_json { telemetry::Format::Json } else { telemetry::Format::Text };
    let own = match telemetry::start(format) {
        Ok(own) => own,
        Err(error) => return output.wrong(error),
    };
    let listening = config.listen.addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let ready = move |database: &str| tracing::info!(listening, database, "ready");
    let again = arguments.clone();
    let how = How { database: arguments.database.as_deref(), hand_over: arguments.hand_over, own };
    match serve(config, Box::new(move || again.config()), how, ready) {
        Ok(()) => Ending::Fine,
        Err(faults) => {
            setup::tell(&faults, output);
            Ending::Wrong
        }
    }
}

/// `pgpurpose demo`: its own screen in the place of a log line.
pub(super) fn demo(arguments: &super::demo::DemoArgs) -> Result<(), super::demo::DemoError> {
    super::demo::run(arguments, |start| {
        let written = |faults: Vec<Fault>| faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        let config = Config::load(&start.config).map_err(written)?;
        // The screen is for a person: only what is wrong is told beside it.
        let own = telemetry::start_at("warn", telemetry::Format::Text)?;
        let again = start.config.clone();
        let again = Box::new(move || Config::load(&again));
        let how = How { database: Some(super::demo::SHOP_DATABASE), hand_over: false, own };
        serve(config, again, how, |_| (start.when_ready)()).map_err(written)
    })
}
