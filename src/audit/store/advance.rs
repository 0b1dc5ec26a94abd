//! How far long work over the files has come.

/// How far long reading has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Advance {
    /// Bytes of the log's files that are behind, read or left out.
    pub done: u64,
    /// All of them.
    pub of: u64,
}
