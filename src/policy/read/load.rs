//! Policy files to a [`PolicySet`].

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::{source, validate};
use crate::document::{Fault, Place};
use crate::policy::model::PolicySet;

impl PolicySet {
    /// Reads and validates the files, merged.
    ///
    /// # Errors
    /// Every fault that was found, not only the first.
    pub fn load(files: &[PathBuf]) -> Result<Self, Vec<Fault>> {
        let mut sources = Vec::new();
        let mut faults = Vec::new();
        for file in files {
            let name = file.display().to_string();
            match std::fs::read_to_string(file) {
                Ok(text) => sources.push((name, text)),
                Err(error) => faults.push(Fault::error(&Place::file(&name), format!("cannot be read: {error}"))),
            }
        }
        if faults.is_empty() { Self::from_sources(&sources) } else { Err(faults) }
    }

    /// Every key that a section of each kind may have, as the reader itself asks for it when it reads these texts: `rules`,
    /// `tables."public.t"`, and the empty name for the top.
    pub fn keys_asked_for(sources: &[(String, String)]) -> BTreeMap<String, BTreeSet<&'static str>> {
        let mut written = source::Written::default();
        for (file, text) in sources {
            source::read(file, text, &mut written);
        }
        written.asked
    }

    /// The same from `(file name, text)` pairs.
    ///
    /// # Errors
    /// Every fault that was found.
    pub fn from_sources(sources: &[(String, String)]) -> Result<Self, Vec<Fault>> {
        let mut written = source::Written::default();
        let mut faults = Vec::new();
        if sources.is_empty() {
            faults.push(Fault::error(&Place::default(), "there is no policy file"));
        }
        for (file, text) in sources {
            faults.extend(source::read(file, text, &mut written));
        }
        let variables = std::mem::take(&mut written.variables);
        let (mut set, found) = validate::validate(written);
        faults.extend(found);
        let (errors, warnings): (Vec<_>, Vec<_>) = faults.into_iter().partition(Fault::is_error);
        if !errors.is_empty() {
            return Err(errors);
        }
        set.warnings = warnings;
        set.hash = hash(sources, &variables);
        set.sources = sources.into();
        Ok(set)
    }
}

/// Over the texts, and over what the environment put into them.
fn hash(sources: &[(String, String)], variables: &BTreeMap<String, String>) -> String {
    use ring::digest::{SHA256, digest};
    let mut parts: Vec<Vec<u8>> =
        sources.iter().map(|(_, text)| digest(&SHA256, text.as_bytes()).as_ref().to_vec()).collect();
    parts.extend(
        variables
            .iter()
            .map(|(name, value)| digest(&SHA256, format!("${{{name}}}={value}").as_bytes()).as_ref().to_vec()),
    );
    parts.sort();
    let whole = digest(&SHA256, &parts.concat());
    let hex: String = whole.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}
