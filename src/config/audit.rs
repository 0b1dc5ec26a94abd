//! `[audit]`: the access log.

use std::path::{Path, PathBuf};

use super::document::{Document, Section};
use super::read::{path, secret, word};
use super::secret::SecretSource;
use super::server::default;

/// The access log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    /// Its folder.
    pub directory: PathBuf,
    /// When a record counts as written.
    pub sync: AuditSync,
    /// The root of the key by which subjects are named in it; `[policy] token_key` where it is not given.
    pub subject_key: Option<SecretSource>,
    /// The private key that signs checkpoints; without it there are none.
    pub signing_key: Option<SecretSource>,
    /// Records after which a checkpoint is due.
    pub checkpoint_records: u32,
    /// Seconds after which a checkpoint is due.
    pub checkpoint_seconds: u32,
    /// Mebibytes after which another file is begun.
    pub rotate_mb: u32,
    /// Hours after which another file is begun; another day begins one too.
    pub rotate_hours: u32,
    /// Whether closed files are compressed.
    pub compress: bool,
    /// Days after which whole files are destroyed; `None`: never.
    pub retain_days: Option<u32>,
}

/// When a record counts as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditSync {
    /// When it is on disk.
    Always,
    /// When the kernel has it.
    Written,
}

impl Audit {
    /// In this folder, with everything else as it is by default.
    pub fn new(directory: PathBuf) -> Self {
        Self {
            directory,
            sync: AuditSync::Always,
            subject_key: None,
            signing_key: None,
            checkpoint_records: 1000,
            checkpoint_seconds: 60,
            rotate_mb: 64,
            rotate_hours: 24,
            compress: true,
            retain_days: None,
        }
    }
}

pub(super) fn read(document: &mut Document, section: Option<Section<'_>>, base: &Path) -> Audit {
    let mut audit = Audit::new(base.join(default::AUDIT));
    let Some(mut section) = section else { return audit };
    if let Some(directory) = path(&mut section, "directory", base, document) {
        audit.directory = directory;
    }
    let words = [("always", AuditSync::Always), ("written", AuditSync::Written)];
    audit.sync = word("sync", section.string("sync", document), &words, AuditSync::Always, document);
    audit.subject_key = secret(&mut section, "subject_key", base, document);
    audit.signing_key = secret(&mut section, "signing_key", base, document);
    for (key, most, value) in [
        ("checkpoint_records", 1_000_000, &mut audit.checkpoint_records),
        ("checkpoint_seconds", 86_400, &mut audit.checkpoint_seconds),
        ("rotate_mb", 1024, &mut audit.rotate_mb),
        ("rotate_hours", 24, &mut audit.rotate_hours),
    ] {
        if let Some(number) = section.integer(key, 1..=most, document) {
            *value = number.value;
        }
    }
    if let Some(compress) = section.boolean("compress", document) {
        audit.compress = compress.value;
    }
    audit.retain_days = section.integer("retain_days", 1..=36_500, document).map(|days| days.value);
    section.finish(document);
    audit
}
