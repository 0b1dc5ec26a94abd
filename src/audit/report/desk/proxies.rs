//! What each proxy runs, by the newest records that say so.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::text;
use crate::audit::record::Entry;
use crate::audit::report::{At, of_log};

/// So many logs are told apart.
const MOST: usize = 1_000;

/// What a proxy runs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Running {
    /// What it calls itself; empty where it does not.
    pub proxy: String,
    /// Its program.
    pub version: String,
    /// `sha256:…`
    pub policy: String,
    /// `enforce` or `observe`.
    pub mode: String,
    /// Since when it runs these policies.
    pub since: Option<At>,
    /// Its newest start.
    pub started: Option<At>,
    /// It said that it ends, and did not start since.
    pub stopped: bool,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Proxies {
    all: BTreeMap<u64, Running>,
}

impl Proxies {
    pub(super) fn step(&mut self, entry: &Entry, at: At) {
        let (log, _) = of_log(at.seq);
        if self.all.len() >= MOST && !self.all.contains_key(&log) {
            return;
        }
        let known = self.all.entry(log).or_default();
        match entry.event() {
            "start" => {
                (known.version, known.proxy) = (text(entry, "version"), text(entry, "proxy"));
                (known.started, known.stopped) = (Some(at), false);
            }
            "policy" => {
                let (policy, mode) = (text(entry, "policy"), text(entry, "mode"));
                if known.since.is_none() || known.policy != policy || known.mode != mode {
                    known.since = Some(at);
                }
                (known.policy, known.mode) = (policy, mode);
            }
            _ => known.stopped = true,
        }
    }

    pub(super) fn all(&self) -> &BTreeMap<u64, Running> {
        &self.all
    }
}
