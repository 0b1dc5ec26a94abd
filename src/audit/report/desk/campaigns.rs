//! Campaigns in which what everybody has is certified.

use serde::{Deserialize, Serialize};

use super::text;
use crate::audit::record::Entry;
use crate::audit::report::{At, Past};

/// So many campaigns are kept.
const MOST_CAMPAIGNS: usize = 200;
/// So many lines of one.
const MOST_LINES: usize = 20_000;

/// A campaign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Campaign {
    /// The record that begins it.
    #[serde(flatten)]
    pub at: At,
    /// Names it.
    pub campaign: String,
    /// The policies that it is about.
    pub policy: String,
    /// How many lines it has, in words.
    pub has: String,
    /// Who began it.
    pub by: String,
    /// What was said of it.
    pub comment: String,
    /// Lines that were judged, each as it was judged last.
    pub lines: Vec<CampaignLine>,
    /// When, by whom it was closed, and what was said.
    pub closed: Option<(At, String, String)>,
}

/// A line that was judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CampaignLine {
    /// The record.
    #[serde(flatten)]
    pub at: At,
    /// The role.
    pub role: String,
    /// The purpose.
    pub purpose: String,
    /// What was open, in words.
    pub has: String,
    /// It may stay; else it is to go.
    pub certified: bool,
    /// Who judged.
    pub by: String,
    /// What was said.
    pub comment: String,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(in crate::audit::report) struct Campaigns {
    all: Vec<Campaign>,
}

impl Campaigns {
    pub(in crate::audit::report) fn step(&mut self, entry: &Entry, at: At) {
        let campaign = text(entry, "campaign");
        let (by, comment, has) = (text(entry, "by"), text(entry, "comment"), text(entry, "has"));
        if entry.text("what") == Some("begun") {
            if self.all.len() >= MOST_CAMPAIGNS {
                self.all.remove(0);
            }
            let policy = text(entry, "policy");
            self.all.push(Campaign { at, campaign, policy, has, by, comment, lines: Vec::new(), closed: None });
            return;
        }
        let known = self.all.iter_mut().rev().find(|known| known.campaign == campaign && known.closed.is_none());
        let Some(known) = known else { return };
        match entry.text("what") {
            Some("closed") => known.closed = Some((at, by, comment)),
            Some(what @ ("certified" | "revoked")) => {
                let (role, purpose, certified) = (text(entry, "role"), text(entry, "purpose"), what == "certified");
                known.lines.retain(|line| line.role != role || line.purpose != purpose);
                if known.lines.len() < MOST_LINES {
                    known.lines.push(CampaignLine { at, role, purpose, has, certified, by, comment });
                }
            }
            Some(_) | None => {}
        }
    }

    /// Campaigns that were closed in records that are gone.
    pub(in crate::audit::report) fn forget(&mut self, past: &Past) {
        self.all.retain(|known| !known.closed.as_ref().is_some_and(|(at, _, _)| past.has(*at)));
    }

    pub(in crate::audit::report) fn all(&self) -> &[Campaign] {
        &self.all
    }
}
