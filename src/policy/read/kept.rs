//! Policies as they were: what came into force is kept as it was written, under its hash, so that a change can be told when it is long over.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::{Value, json};

use crate::policy::model::PolicySet;

/// The file in which policies of this hash are kept.
fn file(folder: &Path, hash: &str) -> Option<PathBuf> {
    let digits = hash.strip_prefix("sha256:")?;
    let plain = digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    plain.then(|| folder.join(format!("policy-{digits}.json")))
}

impl PolicySet {
    /// Keeps the texts from which these policies were read, under their hash. What is kept already stays; the file's time says when they
    /// were in force last.
    ///
    /// # Errors
    /// The folder or the file cannot be written.
    pub fn keep(&self, folder: &Path) -> io::Result<()> {
        let Some(path) = file(folder, self.hash()) else { return Ok(()) };
        if path.exists() {
            return fs::File::options().append(true).open(&path)?.set_modified(SystemTime::now());
        }
        let sources: Vec<Value> =
            self.sources.iter().map(|(file, text)| json!({ "file": file, "text": text })).collect();
        fs::create_dir_all(folder)?;
        // Written whole, or not there.
        let unfinished = path.with_extension("tmp");
        fs::write(&unfinished, json!({ "policy": self.hash(), "sources": sources }).to_string())?;
        fs::rename(&unfinished, &path)
    }

    /// Destroys the policies of this folder that were in force last before this time, but for these themselves; gives how many.
    ///
    /// # Errors
    /// The folder cannot be read, or a file not removed.
    pub fn destroy_older(&self, folder: &Path, than: SystemTime) -> io::Result<usize> {
        let mut destroyed = 0;
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let hash = name.to_str().and_then(|name| name.strip_prefix("policy-")?.strip_suffix(".json"));
            let Some(path) = hash.and_then(|digits| file(folder, &format!("sha256:{digits}"))) else { continue };
            let is_own = hash.is_some_and(|digits| self.hash().strip_prefix("sha256:") == Some(digits));
            if !is_own && entry.metadata()?.modified()? < than {
                fs::remove_file(path)?;
                destroyed += 1;
            }
        }
        Ok(destroyed)
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
    fn policies_that_were_in_force_last_before_the_oldest_record_are_destroyed_and_nothing_else_is() {
        let own = tempfile::tempdir().unwrap();
        let folder = own.path();
        let days = |days: u64| SystemTime::now() - std::time::Duration::from_secs(days * 86_400);
        let kept = |purpose: &str, ago: u64| {
            let text = format!("version = 1\n[purposes.{purpose}]\nbasis = \"contract\"\n");
            let set = PolicySet::from_sources(&[("p.toml".to_owned(), text)]).unwrap();
            set.keep(folder).unwrap();
            let path = file(folder, set.hash()).unwrap();
            fs::File::options().append(true).open(path).unwrap().set_modified(days(ago)).unwrap();
            set
        };
        let (oldest, old, now) = (kept("a", 400), kept("b", 370), kept("c", 400));
        for name in ["access-000000000001-20200101.jsonl", "policy-x.json", "policy-.json", "checkpoint.json"] {
            fs::write(folder.join(name), "").unwrap();
            fs::File::options().append(true).open(folder.join(name)).unwrap().set_modified(days(900)).unwrap();
        }
        assert_eq!(now.destroy_older(folder, days(380)).unwrap(), 1);
        assert!(PolicySet::kept(folder, oldest.hash()).unwrap_err().contains("not kept"));
        assert!(PolicySet::kept(folder, old.hash()).is_ok() && PolicySet::kept(folder, now.hash()).is_ok());
        assert_eq!(fs::read_dir(folder).unwrap().count(), 6);
        // Those in force are so until now.
        old.keep(folder).unwrap();
        assert_eq!(now.destroy_older(folder, days(360)).unwrap(), 0);
    }

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
