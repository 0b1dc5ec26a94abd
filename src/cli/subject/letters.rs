//! Letters beside a correction or deletion.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::Desk;
use crate::cli::output::{Output, printable};
use crate::requests::deletion::Trouble;
use crate::requests::letters::{Change, Recipient, letters};

/// A folder that can take letters.
pub(super) struct Letters(PathBuf);

fn wrong(path: &Path) -> impl Fn(std::io::Error) -> Trouble + '_ {
    move |error| Trouble::Refused(format!("`{}`: {error}", path.display()))
}

impl Letters {
    /// Made before anything is changed, so that nothing is without a place for its letters.
    pub(super) fn into_folder(folder: &Path) -> Result<Self, Trouble> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(wrong(folder))?;
        Ok(Self(folder.to_owned()))
    }
}

/// Writes the letters where that is wanted, and says else who is to be told.
pub(super) fn tell(
    folder: Option<Letters>,
    recipients: &[Recipient],
    change: &Change<'_>,
    desk: &Desk,
    output: &mut Output,
) -> Result<(), Trouble> {
    let Some(Letters(folder)) = folder else {
        if !recipients.is_empty() {
            output.remark(format_args!(
                "tell these, who were given it, that it was {} (POPIA s24(3); --letters writes to them):",
                change.done
            ));
            for recipient in recipients {
                let seen = recipient
                    .last_seen
                    .as_deref()
                    .map(|seen| format!(", who last saw it on {}", desk.policies.zone().minute(seen)));
                let name = format!("{} ({}){}", recipient.name, recipient.country, seen.unwrap_or_default());
                output.remark(format_args!("  {}", printable(&name)));
            }
        }
        output.remark("tell the person what was done (s24(4)), within 30 days");
        return Ok(());
    };
    for letter in letters(recipients, change, &desk.config.organisation, desk.policies.zone()) {
        let path = folder.join(&letter.file);
        // For its owner alone: it names a person by their key.
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path).map_err(wrong(&path))?;
        file.write_all(letter.text.as_bytes()).map_err(wrong(&path))?;
        output.remark(format_args!("a letter is in `{}`", path.display()));
    }
    Ok(())
}
