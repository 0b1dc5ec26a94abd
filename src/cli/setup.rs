//! From the command line to a configuration and policies; every fault is told with file and line.

use std::path::PathBuf;

use clap::Args;

use super::output::{Output, Style, printable};
use crate::app;
use crate::config::{Config, UpstreamAddress};
use crate::document::{Fault, Place};
use crate::policy::PolicySet;

/// Where the configuration comes from.
#[derive(Debug, Clone, Args)]
pub(super) struct Source {
    /// The configuration file
    #[arg(long, value_name = "FILE", required_unless_present = "policy", conflicts_with_all = ["policy", "upstream"])]
    pub(super) config: Option<PathBuf>,
    /// Without a file: the database, as `host:port` or the folder of a Unix socket
    #[arg(long, value_name = "HOST:PORT", requires = "policy")]
    pub(super) upstream: Option<UpstreamAddress>,
    /// Without a file: the policies, as file names or patterns
    #[arg(long, value_name = "GLOB", num_args = 1..)]
    pub(super) policy: Vec<String>,
}

/// PostgreSQL's usual place on this machine, for commands that can do without it.
const USUAL: &str = "127.0.0.1:5432";

impl Source {
    /// The configuration. Relative paths of a file begin at its folder.
    ///
    /// # Errors
    /// Every fault.
    pub(super) fn load(&self) -> Result<Config, Vec<Fault>> {
        match (&self.config, &self.upstream) {
            (Some(file), _) => Config::load(file),
            (None, Some(upstream)) => Ok(Config::for_upstream(upstream.clone(), self.policy.clone())),
            (None, None) => {
                let usual = USUAL.parse().map_err(|error| vec![Fault::error(&Place::default(), error)])?;
                Ok(Config::for_upstream(usual, self.policy.clone()))
            }
        }
    }
}

/// A configuration that was read, and its policies; `None` where there are faults, which are told.
pub(super) fn loaded(config: Result<Config, Vec<Fault>>, output: &mut Output) -> Option<(Config, PolicySet)> {
    config
        .and_then(|config| app::policies(&config).map(|policies| (config, policies)))
        .map_err(|faults| tell(&faults, output))
        .ok()
}

/// Tells the faults.
pub(super) fn tell(faults: &[Fault], output: &mut Output) {
    for fault in faults {
        let style = if fault.is_error() { Style::Bad } else { Style::Middling };
        let line = output.styled(style, printable(&fault.to_string()));
        output.remark(line);
    }
}
