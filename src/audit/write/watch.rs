//! Whether the path of the file that is written still leads to it, without asking at each write.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;

/// Told by the kernel when the file, or the folder that it is in, is removed or goes elsewhere.
#[derive(Debug)]
pub(in crate::audit) struct Watch(Option<OwnedFd>);

impl Watch {
    /// Over this file and its folder. Where the kernel gives no watch, it is never quiet.
    pub(in crate::audit) fn over(file: &Path) -> Self {
        let flags = WatchFlags::MOVE_SELF | WatchFlags::DELETE_SELF;
        let watch = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).and_then(|watch| {
            // A file that is open is not deleted when its last name is; its attributes change.
            inotify::add_watch(&watch, file, flags | WatchFlags::ATTRIB)?;
            if let Some(folder) = file.parent() {
                inotify::add_watch(&watch, folder, flags)?;
            }
            Ok(watch)
        });
        Self(watch.ok())
    }

    /// Whether nothing happened to either since the last call. Otherwise whoever asks has to look.
    pub(in crate::audit) fn is_quiet(&self) -> bool {
        let Some(watch) = &self.0 else { return false };
        let mut events = [0; 512];
        matches!(rustix::io::read(watch, &mut events), Err(Errno::AGAIN))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_happens_to_the_file_or_its_folder_is_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for (what, change) in [
            ("removed", &(|| fs::remove_file(at("log/file")).unwrap()) as &dyn Fn()),
            ("renamed", &|| fs::rename(at("log/file"), at("log/other")).unwrap()),
            ("folder renamed", &|| fs::rename(at("log"), at("away")).unwrap()),
            ("replaced", &|| {
                fs::write(at("log/new"), "").unwrap();
                fs::rename(at("log/new"), at("log/file")).unwrap();
            }),
        ] {
            let _ = fs::remove_dir_all(at("away"));
            fs::create_dir_all(at("log")).unwrap();
            fs::write(at("log/file"), "").unwrap();
            // Open, as the log is.
            let mut open = fs::File::options().append(true).open(at("log/file")).unwrap();
            let watch = Watch::over(&at("log/file"));
            std::io::Write::write_all(&mut open, b"record").unwrap();
            open.sync_all().unwrap();
            fs::write(at("log/beside"), "").unwrap();
            assert!(watch.is_quiet(), "{what}: writing is no event");
            change();
            assert!(!watch.is_quiet(), "{what}");
        }
    }
}
