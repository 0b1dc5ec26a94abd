//! Policies: no text panics, and each is either whole or has faults that say where.

use pgpurpose::policy::{Mask, PolicySet};

/// Reads the text as a policy and as a mask.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(mask) = text.parse::<Mask>() {
        assert_eq!(mask.to_string().parse::<Mask>().as_ref(), Ok(&mask), "a mask is read back");
    }
    match PolicySet::from_sources(&[("fuzz.toml".to_owned(), text.to_owned())]) {
        Ok(set) => assert!(!set.hash().is_empty()),
        Err(faults) => assert!(!faults.is_empty(), "refused without a reason"),
    }
}
