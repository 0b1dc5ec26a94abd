//! `pgpurpose audit confirm-clock`: somebody looked at the machine's clock, and it is right.

use std::path::Path;

use clap::Args;

use crate::audit::checkpoint::Signer;
use crate::audit::{clock_doubt, confirm_clock};
use crate::cli::Ending;
use crate::cli::days;
use crate::cli::output::{Output, printable};
use crate::config::{Config, Zone};

#[derive(Debug, Args)]
pub(super) struct Word {
    /// Why it is right: with what it was compared, and by whom
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

pub(super) fn run(directory: &Path, word: &Word, config: Option<&Config>, zone: &Zone, output: &mut Output) -> Ending {
    let reason = word.reason.trim();
    if reason.is_empty() {
        return output.wrong("--reason says with what the clock was compared; it is empty");
    }
    let signer = match config.and_then(|config| config.audit.signing_key.as_ref()) {
        None => None,
        Some(source) => match source.read_key().map(|key| Signer::new(key.expose())) {
            Ok(Some(signer)) => Some(signer),
            Ok(None) => return output.wrong(format_args!("the key at {source} cannot sign")),
            Err(error) => return output.wrong(error),
        },
    };
    days::tell(zone, output);
    let doubt = match clock_doubt(directory) {
        Ok(Some(doubt)) => doubt,
        Ok(None) => {
            output.line("no jump of the clock waits to be confirmed");
            return Ending::Failed;
        }
        Err(error) => return output.wrong(format_args!("`{}` cannot be read: {error}", directory.display())),
    };
    if let Err(error) = confirm_clock(directory, doubt.seq, reason, signer.as_ref()) {
        return output.wrong(format_args!("`{}` cannot be written: {error}", directory.display()));
    }
    output.line(format_args!("record {}: {}", doubt.seq, printable(&zone.show_within(&doubt.what))));
    let now = zone.show_text(&format!("{:.6}", jiff::Timestamp::now()));
    output.line(format_args!("confirmed: it is {now}; the proxy takes it within a second, or with its next start"));
    Ending::Fine
}
