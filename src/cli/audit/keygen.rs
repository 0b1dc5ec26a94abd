//! `pgpurpose audit keygen`: the key that signs checkpoints.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::audit::checkpoint::{PublicKey, Signer};
use crate::cli::Ending;
use crate::cli::output::Output;
use crate::config::SecretSource;

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct KeygenArgs {
    /// Where the new private key is written; the file must not exist
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print the public half of a key that is there already
    #[arg(long, value_name = "FILE")]
    of: Option<PathBuf>,
}

pub(super) fn run(arguments: &KeygenArgs, output: &mut Output) -> Ending {
    let made = match (&arguments.out, &arguments.of) {
        (Some(out), _) => make(out),
        (None, Some(of)) => public(of),
        (None, None) => Err("name a file: `--out FILE` or `--of FILE`".to_owned()),
    };
    match made {
        Ok(public) => {
            output.line(public);
            if let Some(out) = &arguments.out {
                output.remark(format_args!(
                    "the private key is in `{0}`: write `signing_key = \"file:{0}\"` under `[audit]`; above is its public half",
                    out.display()
                ));
            }
            Ending::Fine
        }
        Err(error) => output.wrong(error),
    }
}

fn make(file: &Path) -> Result<PublicKey, String> {
    let private = Signer::generate().ok_or("the system gives no random bytes")?;
    let failed = |error: std::io::Error| format!("`{}` cannot be written: {error}", file.display());
    let mut opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file).map_err(failed)?;
    opened.write_all(private.as_bytes()).and_then(|()| opened.write_all(b"\n")).map_err(failed)?;
    opened.sync_all().map_err(failed)?;
    public(file)
}

fn public(file: &Path) -> Result<PublicKey, String> {
    let key = SecretSource::File(file.to_owned()).read_key()?;
    let signer = Signer::new(key.expose()).ok_or_else(|| format!("`{}` holds no private key", file.display()))?;
    Ok(signer.public())
}
