//! Whether the policies' files have changed and are still: what an editor is in the middle of writing is not looked at.

use crate::config::Policy;

/// SHA-256 over the names and the contents of the files.
type Fingerprint = [u8; 32];

/// What the files were when they were last loaded, and when they were last looked at.
#[derive(Debug)]
pub(super) struct Watch {
    loaded: Fingerprint,
    seen: Fingerprint,
}

impl Watch {
    /// The files as they are; look before they are loaded, so that no change falls between.
    pub(super) fn new(files: &Policy) -> Self {
        let now = fingerprint(files);
        Self { loaded: now, seen: now }
    }

    /// Looks again: true once for each change, when two looks after it have found the same. What cannot be read has a
    /// fingerprint too, so that a file that went away is a change, and it coming back another.
    pub(super) fn changed(&mut self, files: &Policy) -> bool {
        let now = fingerprint(files);
        let still = now == self.seen;
        self.seen = now;
        let changed = still && now != self.loaded;
        if changed {
            self.loaded = now;
        }
        changed
    }
}

fn fingerprint(files: &Policy) -> Fingerprint {
    use ring::digest::{Context, SHA256};
    let mut context = Context::new(&SHA256);
    let mut add = |bytes: &[u8]| {
        context.update(&bytes.len().to_be_bytes());
        context.update(bytes);
    };
    match files.matching() {
        Ok(files) => {
            for file in files {
                add(file.as_os_str().as_encoded_bytes());
                match std::fs::read(&file) {
                    Ok(content) => add(&content),
                    Err(error) => add(error.to_string().as_bytes()),
                }
            }
        }
        Err(error) => add(error.as_bytes()),
    }
    let mut fingerprint = [0; 32];
    for (byte, digest) in fingerprint.iter_mut().zip(context.finish().as_ref()) {
        *byte = *digest;
    }
    fingerprint
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::fs;

    use super::*;
    use crate::config::Config;

    #[test]
    fn a_change_is_told_once_when_the_files_are_still() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("a.toml"), "version = 1").unwrap();
        let pattern = at("*.toml").display().to_string();
        let files = Config::for_upstream("127.0.0.1:5432".parse().unwrap(), vec![pattern]).policy;
        let mut watch = Watch::new(&files);
        assert!(!watch.changed(&files));
        // Half of a file, the whole of it, and then nothing more.
        for content in ["ver", "version = 1 # changed"] {
            fs::write(at("a.toml"), content).unwrap();
            assert!(!watch.changed(&files), "it may be half written");
        }
        assert!(watch.changed(&files));
        assert!(!watch.changed(&files), "once");
        // As editors do: written beside, and put in its place.
        fs::write(at("a.toml~"), "version = 1 # again").unwrap();
        fs::rename(at("a.toml~"), at("a.toml")).unwrap();
        assert!(!watch.changed(&files) && watch.changed(&files));
        fs::write(at("b.toml"), "version = 1").unwrap();
        assert!(!watch.changed(&files) && watch.changed(&files), "a file more");
        fs::remove_file(at("a.toml")).unwrap();
        fs::remove_file(at("b.toml")).unwrap();
        assert!(!watch.changed(&files) && watch.changed(&files), "all are gone");
        fs::write(at("a.toml"), "version = 1").unwrap();
        assert!(!watch.changed(&files) && watch.changed(&files), "and one is back");
    }
}
