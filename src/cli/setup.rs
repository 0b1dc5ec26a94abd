//! From the command line to a configuration and policies; every fault is told with file and line.

use std::path::PathBuf;

use clap::Args;

use super::output::{Output, Style, printable};
use crate::audit::SubjectKey;
use crate::config::{Config, Fault, Mode, Place, UpstreamAddress};
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
        .and_then(|config| policies(&config).map(|policies| (config, policies)))
        .map_err(|faults| tell(&faults, output))
        .ok()
}

/// The policies that a configuration names, as they are on disk now.
///
/// # Errors
/// Every fault.
pub(super) fn policies(config: &Config) -> Result<PolicySet, Vec<Fault>> {
    let files = config.policy.matching().map_err(|error| vec![Fault::error(&Place::default(), error)])?;
    PolicySet::load(&files)
        .map(|policies| policies.in_zone(config.audit.time_zone.clone()).observed(config.policy.mode == Mode::Observe))
}

/// That the configuration has what the policies need.
///
/// # Errors
/// It has not.
pub(super) fn fits(config: &Config, policies: &PolicySet) -> Result<(), Fault> {
    if policies.needs_token_key() && config.policy.token_key.is_none() {
        return Err(Fault::error(
            &Place::default(),
            "a mask is `token`, and `[policy] token_key` names no key: write `env:NAME` or `file:PATH`",
        ));
    }
    if policies.needs_subject_key() && config.audit.subject_key.is_none() && config.policy.token_key.is_none() {
        return Err(Fault::error(
            &Place::default(),
            "a table records its subjects by pseudonym, and neither `[audit] subject_key` nor `[policy] token_key` names a \
             key: write `env:NAME` or `file:PATH`",
        ));
    }
    Ok(())
}

/// The key of the pseudonyms by which the access log names subjects, where the configuration names one.
///
/// # Errors
/// It cannot be read.
pub(super) fn subject_key(config: &Config) -> Result<Option<SubjectKey>, String> {
    let source = config.audit.subject_key.as_ref().or(config.policy.token_key.as_ref());
    source.map(|source| source.read_key().map(|key| SubjectKey::derive(key.expose()))).transpose()
}

/// Tells the faults.
pub(super) fn tell(faults: &[Fault], output: &mut Output) {
    for fault in faults {
        let style = if fault.is_error() { Style::Bad } else { Style::Middling };
        let line = output.styled(style, printable(&fault.to_string()));
        output.remark(line);
    }
}
