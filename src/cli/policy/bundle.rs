//! `pgpurpose policy bundle`: policies as one signed file.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use jiff::Timestamp;

use crate::audit::checkpoint::Signer;
use crate::cli::output::{Output, printable};
use crate::cli::{Ending, changes};
use crate::config::{Config, SecretSource};
use crate::document::{Fault, Place};
use crate::fleet::{PolicyText, sign};
use crate::policy::PolicySet;

#[derive(Debug, Args)]
pub(super) struct BundleArgs {
    /// The policies: files, folders, or patterns in quotes
    #[arg(value_name = "FILES", required_unless_present = "config", conflicts_with = "config")]
    files: Vec<String>,
    /// The configuration whose `[policy] files` are taken
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The file that is written, in one step
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,
    /// The private key that signs: `env:NAME` or `file:PATH`, from `audit keygen`
    #[arg(long, value_name = "SOURCE")]
    key: String,
}

pub(super) fn run(arguments: &BundleArgs, output: &mut Output) -> Result<Ending, Vec<Fault>> {
    let plain = |error: String| vec![Fault::error(&Place::default(), error)];
    let files = match &arguments.config {
        Some(file) => Config::load(file)?.policy.matching().map_err(plain)?,
        None => changes::files(&arguments.files)?,
    };
    let mut texts = Vec::new();
    for file in &files {
        let text =
            fs::read_to_string(file).map_err(|error| plain(format!("`{}` cannot be read: {error}", file.display())))?;
        let name = file.file_name().unwrap_or(file.as_os_str()).to_string_lossy().into_owned();
        texts.push(PolicyText { name, text });
    }
    let sources: Vec<(String, String)> =
        files.iter().zip(&texts).map(|(file, text)| (file.display().to_string(), text.text.clone())).collect();
    let policies = PolicySet::from_sources(&sources)?;
    for warning in policies.warnings() {
        output.remark(printable(&warning.to_string()));
    }
    let key = SecretSource::parse(&arguments.key, Path::new("")).and_then(|source| source.read_key()).map_err(plain)?;
    let signer = Signer::new(key.expose()).ok_or_else(|| plain("the key cannot sign".to_owned()))?;
    let text = sign(texts, Timestamp::now(), &signer).map_err(plain)?;
    written(&arguments.out, &text)
        .map_err(|error| plain(format!("`{}` cannot be written: {error}", arguments.out.display())))?;
    output.line(format_args!("{} of {} files, signed by key {}", policies.hash(), files.len(), signer.public().id()));
    Ok(Ending::Fine)
}

/// In the place of the one before, whole: who reads meanwhile has the one or the other.
fn written(file: &Path, text: &str) -> std::io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut beside = tempfile::Builder::new().prefix(".bundle-").tempfile_in(folder)?;
    beside.write_all(text.as_bytes())?;
    beside.write_all(b"\n")?;
    beside.as_file().sync_all()?;
    let readable = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    beside.as_file().set_permissions(readable)?;
    beside.persist(file).map(drop).map_err(|error| error.error)
}
