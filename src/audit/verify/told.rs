//! What the log itself tells of crashes and of the ends that starts found.

use std::fs;

use super::{Check, Wrong};
use crate::audit::record::Entry;
use crate::audit::record::chain::Hash;

impl Check<'_> {
    /// Bytes that were put aside after a crash must still be there.
    pub(super) fn torn(&mut self, name: &str, number: u64, entry: &Entry) {
        let (kept, sha256) = (entry.text("kept").unwrap_or_default(), entry.text("sha256").unwrap_or_default());
        let bytes = entry.number("bytes").unwrap_or_default();
        let time = entry.text("time").unwrap_or_default();
        self.found.notices.push(format!("at {time} a torn end of {bytes} bytes was kept aside in `{kept}`"));
        // Only the folder has what was put aside.
        let Some(directory) = self.directory else { return };
        let plain_name = !kept.contains('/') && kept.starts_with("torn-");
        let intact =
            plain_name && fs::read(directory.join(kept)).is_ok_and(|bytes| Hash::of(&bytes).to_string() == sha256);
        if !intact {
            self.wrong(name, number, Wrong::Torn { kept: kept.to_owned() });
        }
    }
}

/// What a start says of the end that it found.
pub(super) fn resumed(entry: &Entry) -> Vec<String> {
    let time = entry.text("time").unwrap_or_default();
    let after = entry.number("after").unwrap_or_default();
    let mut notices = Vec::new();
    if entry.field("closed") != Some(&true.into()) {
        notices.push(format!(
            "at {time} the log was opened again behind record {after}, and had not been closed: a process was killed, or records were cut off"
        ));
    }
    if let Some(signed) = entry.number("signed").filter(|signed| *signed < after) {
        notices.push(format!(
            "records {} to {after} were covered by no checkpoint of the key when the log was opened at {time}: they may be forged",
            signed + 1
        ));
    }
    if let Some(beside) = entry.number("checkpoint") {
        notices
            .push(format!("at {time} `checkpoint.json` was record {beside}, and not the newest checkpoint in the log"));
    }
    notices
}
