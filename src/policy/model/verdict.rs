//! What a statement got.

/// What a statement got, as the access log writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As asked.
    Allow,
    /// With masks, columns left out, or rows left out.
    Mask,
    /// Not at all.
    Deny,
}
