//! Who runs the server: PostgreSQL refuses to run as root.

use std::ffi::OsStr;
use std::io;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use super::ClusterError;

/// Users that are taken when the caller is root, in this order.
const UNPRIVILEGED: &[&str] = &["postgres", "nobody"];

/// The user that the server runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerUser {
    /// Whoever runs this program.
    Myself,
    /// Root gave its rights up for this one.
    Other {
        /// Name.
        name: String,
        /// User id.
        uid: u32,
        /// Group id.
        gid: u32,
    },
}

impl ServerUser {
    /// Myself, unless that is root.
    ///
    /// # Errors
    /// Root, and neither `postgres` nor `nobody` exists.
    pub fn choose() -> Result<Self, ClusterError> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Self::Myself);
        }
        UNPRIVILEGED.iter().find_map(|name| Self::named(name)).ok_or(ClusterError::NoUser)
    }

    fn named(name: &str) -> Option<Self> {
        let uid = id("-u", name)?;
        let gid = id("-g", name)?;
        (uid != 0).then(|| Self::Other { name: name.to_owned(), uid, gid })
    }

    /// The user's id.
    pub fn uid(&self) -> u32 {
        match self {
            Self::Myself => rustix::process::geteuid().as_raw(),
            Self::Other { uid, .. } => *uid,
        }
    }

    /// A command that runs as this user, in `/`, without the caller's `PG*` variables.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        match self {
            Self::Myself => {}
            // The standard library drops the supplementary groups together with root's user id.
            Self::Other { uid, gid, .. } => {
                command.uid(*uid).gid(*gid);
            }
        }
        command.current_dir("/");
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PG") {
                command.env_remove(name);
            }
        }
        command.env("LC_ALL", "C");
        command
    }

    /// Gives a path to this user.
    ///
    /// # Errors
    /// What the system says.
    pub fn give(&self, path: &Path) -> io::Result<()> {
        match self {
            Self::Myself => Ok(()),
            Self::Other { uid, gid, .. } => chown(path, Some(*uid), Some(*gid)),
        }
    }

    /// Whether this user can reach and write the folder.
    pub fn can_write(&self, folder: &Path) -> bool {
        self.command("test").arg("-w").arg(folder).status().is_ok_and(|status| status.success())
    }
}

/// What `id` says: unlike `/etc/passwd` it knows every source of users.
fn id(option: &str, name: &str) -> Option<u32> {
    let output = Command::new("id").arg(option).arg(name).output().ok()?;
    if !output.status.success() {
        return None;
    }
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}
