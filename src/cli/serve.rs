//! `pgpurpose serve`: the proxy.

use std::path::PathBuf;

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

pub(super) fn run(arguments: &ServeArgs, output: &mut Output) -> Ending {
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
