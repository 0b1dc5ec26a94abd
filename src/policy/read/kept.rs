//! Policies as they were: what came into force is kept as it was written, under its hash, so that a change can be told when it is long over.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::policy::model::PolicySet;

/// The file in which policies of this hash are kept.
fn file(folder: &Path, hash: &str) -> Option<PathBuf> {
    let digits = hash.strip_prefix("sha256:")?;
    let plain = digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    plain.then(|| folder.join(format!("policy-{digits}.json")))
}

impl PolicySet {
    /// Keeps the texts from which these policies were read, under their hash. What is kept already stays.
    ///
    /// # Errors
    /// The folder or the file cannot be written.
    pub fn keep(&self, folder: &Path) -> io::Result<()> {
        let Some(path) = file(folder, self.hash()).filter(|path| !path.exists()) else { return Ok(()) };
        let sources: Vec<Value> =
            self.sources.iter().map(|(file, text)| json!({ "file": file, "text": text })).collect();
        fs::create_dir_all(folder)?;
        // Written whole, or not there.
        let unfinished = path.with_extension("tmp");
        fs::write(&unfinished, json!({ "policy": self.hash(), "sources": sources }).to_string())?;
        fs::rename(&unfinished, &path)
    }

    /// The policies of this hash.
    ///
    /// # Errors
    /// They were not kept, or what was kept is not what the hash is of: in words.
    pub fn kept(folder: &Path, hash: &str) -> Result<Self, String> {
        let path = file(folder, hash).ok_or_else(|| format!("`{hash}` names no policies"))?;
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err("the policies were not kept: the proxy that loaded them did not keep them yet".to_owned());
            }
            Err(error) => return Err(format!("`{}` cannot be read: {error}", path.display())),
        };
        let changed = || format!("`{}` does not hold what its name says", path.display());
        let value: Value = serde_json::from_str(&text).map_err(|_| changed())?;
        let sources = value.get("sources").and_then(Value::as_array).ok_or_else(changed)?;
        let part = |source: &Value, name: &str| source.get(name).and_then(Value::as_str).map(str::to_owned);
        let sources: Option<Vec<(String, String)>> =
            sources.iter().map(|source| Some((part(source, "file")?, part(source, "text")?))).collect();
        let set = Self::from_sources(&sources.ok_or_else(changed)?).map_err(|_| changed())?;
        if set.hash() == hash {
            return Ok(set);
        }
        Err(format!("{}, or depends on variables of the environment that are others now", changed()))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn policies_come_back_as_they_were_and_what_was_changed_does_not() {
        let own = tempfile::tempdir().unwrap();
        let (policy, folder) = (own.path().join("p.toml"), own.path().join("policies"));
        fs::write(&policy, "version = 1\n[purposes.a]\nbasis = \"contract\"\n").unwrap();
        let set = PolicySet::load(std::slice::from_ref(&policy)).unwrap();
        assert!(PolicySet::kept(&folder, set.hash()).unwrap_err().contains("were not kept"));
        // Written again between the reading and the keeping: kept is what was read.
        fs::write(&policy, "version = 1\n[purposes.b]\nbasis = \"contract\"\n").unwrap();
        set.keep(&folder).unwrap();
        assert!(PolicySet::kept(&folder, set.hash()).unwrap().purpose("a").is_some());
        let kept = file(&folder, set.hash()).unwrap();
        let text = fs::read_to_string(&kept).unwrap();
        for wrong in [text.replace("purposes.a", "purposes.c"), "{}".to_owned(), String::new()] {
            fs::write(&kept, wrong).unwrap();
            assert!(PolicySet::kept(&folder, set.hash()).unwrap_err().contains("does not hold"));
        }
        assert!(PolicySet::kept(&folder, "sha256:../../etc/passwd").is_err());
        // Those that came in a bundle lie in no file.
        let bundled = [("shop.toml".to_owned(), "version = 1\n[purposes.d]\nbasis = \"contract\"\n".to_owned())];
        let set = PolicySet::from_sources(&bundled).unwrap();
        set.keep(&folder).unwrap();
        assert!(PolicySet::kept(&folder, set.hash()).unwrap().purpose("d").is_some());
    }
}
