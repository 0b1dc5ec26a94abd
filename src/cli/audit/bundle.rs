//! `pgpurpose audit bundle`: whether what an auditor was given is as it was signed.

use std::path::PathBuf;

use clap::Args;

use crate::audit::checkpoint::PublicKey;
use crate::cli::Ending;
use crate::cli::output::{Output, printable};
use crate::console::bundle::check;

#[derive(Debug, Args)]
pub(super) struct BundleArgs {
    /// The file
    file: PathBuf,
    /// The public key that `audit keygen` printed, or a file that holds it; again for each key that was ever in use
    #[arg(long, value_name = "FILE|HEX", required = true)]
    public_key: Vec<String>,
}

pub(super) fn run(arguments: &BundleArgs, output: &mut Output) -> Ending {
    let read = || -> Result<_, String> {
        let keys: Vec<PublicKey> =
            arguments.public_key.iter().map(|key| PublicKey::read(key)).collect::<Result<_, _>>()?;
        let failed = |error: std::io::Error| format!("`{}` cannot be read: {error}", arguments.file.display());
        Ok((keys, std::fs::read(&arguments.file).map_err(failed)?))
    };
    let (keys, bytes) = match read() {
        Ok(read) => read,
        Err(error) => return output.wrong(error),
    };
    match check(&bytes, &keys) {
        Ok(checked) if checked.signed => {
            let made = printable(&checked.made).to_string();
            output.line(format_args!("as it was signed: {} files, made {made}", checked.files));
            for (name, bytes) in checked.each() {
                output.line(format_args!("  {} ({bytes} bytes)", printable(name)));
            }
            Ending::Fine
        }
        Ok(_) => {
            output.line("not signed with this key: anybody may have made it");
            Ending::Failed
        }
        Err(error) => {
            output.line(format_args!("does not hold: {}", printable(&error)));
            Ending::Failed
        }
    }
}
