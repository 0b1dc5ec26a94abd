//! The policies and keys that a configuration names.

use crate::audit::SubjectKey;
use crate::audit::checkpoint::PublicKey;
use crate::config::{ActorsAs, Config, Mode};
use crate::document::{Fault, Place};
use crate::fleet::Bundle;
use crate::policy::PolicySet;
use crate::requests::told::Told;

/// The policies that a configuration names, as they are on disk now.
///
/// # Errors
/// Every fault.
pub(crate) fn policies(config: &Config) -> Result<PolicySet, Vec<Fault>> {
    loaded(config).map(|(policies, _)| policies)
}

/// The same, with the bundle that they came in.
///
/// # Errors
/// Every fault; of a bundle, that it is none, or that no key of the configuration signed it.
pub(super) fn loaded(config: &Config) -> Result<(PolicySet, Option<Bundle>), Vec<Fault>> {
    let (policies, bundle) = match &config.policy.bundle {
        None => {
            let files = config.policy.matching().map_err(|error| vec![Fault::error(&Place::default(), error)])?;
            (PolicySet::load(&files)?, None)
        }
        Some(named) => {
            let fault = |error: String| vec![Fault::error(&Place::file(&named.file.display().to_string()), error)];
            let keys =
                named.keys.iter().map(|key| PublicKey::read(key)).collect::<Result<Vec<_>, _>>().map_err(fault)?;
            let bundle = Bundle::read(&named.file, &keys).map_err(|error| fault(error.to_string()))?;
            let sources: Vec<(String, String)> = bundle
                .files
                .iter()
                .map(|file| (format!("{}: {}", named.file.display(), file.name), file.text.clone()))
                .collect();
            (PolicySet::from_sources(&sources)?, Some(bundle))
        }
    };
    let policies = policies.in_zone(config.audit.time_zone.clone()).observed(config.policy.mode == Mode::Observe);
    Ok((policies, bundle))
}

/// That the configuration has what the policies need.
///
/// # Errors
/// It has not.
pub(crate) fn fits(config: &Config, policies: &PolicySet) -> Result<(), Fault> {
    if policies.needs_token_key() && config.policy.token_key.is_none() {
        return Err(Fault::error(
            &Place::default(),
            "a mask needs a key (`token`, `name`, `noise`, `shift` and the like), and `[policy] token_key` names none: write `env:NAME` \
             or `file:PATH`; `openssl rand -hex 32` makes one",
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
pub(crate) fn subject_key(config: &Config) -> Result<Option<SubjectKey>, String> {
    let source = config.audit.subject_key.as_ref().or(config.policy.token_key.as_ref());
    source.map(|source| source.read_key().map(|key| SubjectKey::derive(key.expose()))).transpose()
}

/// Where steps of requests are told: the log of this configuration, which another process may be writing.
///
/// # Errors
/// A key cannot be read.
pub(crate) fn told(config: &Config, login: &str, database: &str, by: &str) -> Result<Told, String> {
    Ok(Told {
        options: super::log_options(&config.audit)?,
        key: subject_key(config)?,
        login: login.to_owned(),
        database: database.to_owned(),
        by: by.to_owned(),
    })
}

/// The key by which it names actors, where it does so by pseudonym.
///
/// # Errors
/// There is none, or it cannot be read.
pub(crate) fn actor_key(config: &Config) -> Result<Option<SubjectKey>, String> {
    match config.audit.actors {
        ActorsAs::Plain => Ok(None),
        ActorsAs::Pseudonym => subject_key(config)?.map(Some).ok_or_else(|| {
            "`[audit] actors = \"pseudonym\"` needs a key, and neither `[audit] subject_key` nor `[policy] token_key` names one"
                .to_owned()
        }),
    }
}
