//! How a log is kept.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::audit::record::checkpoint::{Rhythm, Signer};

/// When a record counts as logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sync {
    /// It is on disk (`fdatasync`); all records that wait share one.
    #[default]
    Always,
    /// The kernel has it: survives the end of the process, not of the machine.
    Written,
}

impl fmt::Display for Sync {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Always => "always",
            Self::Written => "written",
        })
    }
}

/// How a log is kept.
#[derive(Debug, Clone)]
pub struct LogOptions {
    /// The folder; made where it is not there, for its owner only.
    pub directory: PathBuf,
    /// What the proxy calls itself among several.
    pub proxy: Option<String>,
    /// When a record counts as logged.
    pub sync: Sync,
    /// Bytes after which another file is begun; another day begins one too.
    pub rotate_bytes: u64,
    /// Hours after which another file is begun.
    pub rotate_hours: u32,
    /// Signs checkpoints; without it there are none.
    pub signer: Option<Arc<Signer>>,
    /// How often a checkpoint is due.
    pub rhythm: Rhythm,
    /// A file outside of the folder that holds the newest checkpoint too: who can write the folder alone can then not make the
    /// log shorter, nor another one of it, without the next start telling so.
    pub anchor: Option<PathBuf>,
    /// Whether closed files are looked after: indexed, compressed and destroyed.
    pub keep: bool,
    /// Whether closed files are compressed.
    pub compress: bool,
    /// Days after which whole files are destroyed; `None`: never.
    pub retain_days: Option<u32>,
    /// Places beside the files: none is destroyed before each of these has its records.
    pub places: Vec<&'static str>,
    /// Bytes that one login may write in a minute; the room that is left bounds that further.
    pub login_bytes: Option<u64>,
}

impl LogOptions {
    /// The folder, with files of 64 MiB that stay as they are, and no checkpoints.
    pub fn new(directory: impl Into<PathBuf>, sync: Sync) -> Self {
        Self {
            directory: directory.into(),
            proxy: None,
            sync,
            rotate_bytes: 64 << 20,
            rotate_hours: 24,
            signer: None,
            rhythm: Rhythm::default(),
            anchor: None,
            keep: false,
            compress: false,
            retain_days: None,
            places: Vec::new(),
            login_bytes: None,
        }
    }
}
