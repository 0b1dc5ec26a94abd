//! The folder that a cluster lives in, and the removal of those that a crash left behind.

use std::env;
use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::user::ServerUser;
use super::{ClusterError, find::PgBin};

/// How temporary folders are called.
const PREFIX: &str = "pgpurpose-pg-";
/// Held locked by the process that the cluster belongs to: the kernel lets go of it however that process ends.
const LOCK: &str = "owner.lock";
/// A Unix socket's path is at most 107 bytes on Linux, 103 on macOS; `/s/.s.PGSQL.5432` is added.
const LONGEST_PLACE: usize = 80;
/// A folder without a lock file is younger than this only while it is being set up.
const SETTING_UP: Duration = Duration::from_secs(600);

/// A folder of ours, locked.
#[derive(Debug)]
pub(super) struct Place {
    root: PathBuf,
    temporary: bool,
    /// Kept open, and locked, as long as the cluster lives.
    _lock: File,
}

impl Place {
    /// A new folder under the system's temporary folder.
    ///
    /// # Errors
    /// None of the temporary folders can be written by the server's user.
    pub(super) fn temporary(user: &ServerUser) -> Result<Self, ClusterError> {
        let parents = [env::temp_dir(), PathBuf::from("/tmp"), PathBuf::from("/var/tmp")];
        let fits = |parent: &&PathBuf| parent.as_os_str().len() + PREFIX.len() + 8 < LONGEST_PLACE;
        let parent =
            parents.iter().filter(fits).find(|parent| user.can_write(parent)).ok_or(ClusterError::NoTemporaryFolder)?;
        let folder = tempfile::Builder::new()
            .prefix(PREFIX)
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir_in(parent)
            .map_err(|source| ClusterError::Folder { folder: parent.clone(), source })?;
        let root = folder.keep();
        Self::take(root, true, user)
    }

    /// A folder that is kept; made where it does not exist.
    ///
    /// # Errors
    /// It cannot be made or written, or a running process uses it.
    pub(super) fn kept(folder: &Path, user: &ServerUser) -> Result<Self, ClusterError> {
        let failed = |source| ClusterError::Folder { folder: folder.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
        let root = fs::canonicalize(folder).map_err(failed)?;
        if root.as_os_str().len() > LONGEST_PLACE {
            return Err(ClusterError::PathTooLong { folder: root, longest: LONGEST_PLACE });
        }
        let foreign =
            fs::read_dir(&root).map_err(failed)?.filter_map(Result::ok).any(|entry| entry.file_name() != LOCK);
        if foreign && !root.join(LOCK).exists() {
            return Err(ClusterError::NotOurs { folder: root });
        }
        Self::take(root, false, user)
    }

    fn take(root: PathBuf, temporary: bool, user: &ServerUser) -> Result<Self, ClusterError> {
        let failed = |source| ClusterError::Folder { folder: root.clone(), source };
        let path = root.join(LOCK);
        let lock = if path.exists() {
            File::open(&path).map_err(failed)?
        } else {
            // Locked before it has its name, so that nobody finds it unlocked.
            let unnamed = root.join("owner.lock.new");
            let file = File::create(&unnamed).map_err(failed)?;
            file.try_lock().map_err(|_| ClusterError::InUse { folder: root.clone() })?;
            fs::rename(&unnamed, &path).map_err(failed)?;
            file
        };
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(ClusterError::InUse { folder: root }),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        user.give(&root).map_err(failed)?;
        if !user.can_write(&root) {
            let user = match user {
                ServerUser::Myself => "you".to_owned(),
                ServerUser::Other { name, .. } => name.clone(),
            };
            return Err(ClusterError::OutOfReach { folder: root, user });
        }
        let socket = root.join("s");
        if !socket.exists() {
            DirBuilder::new().mode(0o700).create(&socket).map_err(failed)?;
        }
        user.give(&socket).map_err(failed)?;
        Ok(Self { root, temporary, _lock: lock })
    }

    /// What the kernel does when the owner ends.
    #[cfg(test)]
    pub(super) fn unlock(&self) {
        let _ = self._lock.unlock();
    }

    /// The folder.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Whether it goes away with the cluster.
    pub(super) fn is_temporary(&self) -> bool {
        self.temporary
    }

    /// The server's data.
    pub(super) fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    /// The folder of the Unix socket, mode 0700.
    pub(super) fn socket(&self) -> PathBuf {
        self.root.join("s")
    }

    /// The server's log.
    pub(super) fn log(&self) -> PathBuf {
        self.root.join("postgres.log")
    }

    /// Exists once the server has gone.
    pub(super) fn exited(&self) -> PathBuf {
        self.root.join("exited")
    }
}

/// Stops the servers and removes the temporary folders whose owner is gone. Gives the number of folders removed.
///
/// Only folders that belong to the server's user are looked at, and only that user's rights are used on them: the
/// temporary folder is everybody's.
pub(super) fn remove_stale(bin: &PgBin, user: &ServerUser) -> usize {
    let mut parents = vec![env::temp_dir(), PathBuf::from("/tmp"), PathBuf::from("/var/tmp")];
    parents.dedup();
    parents
        .iter()
        .filter_map(|parent| fs::read_dir(parent).ok())
        .flat_map(|entries| entries.filter_map(Result::ok))
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX))
        .filter(|entry| is_stale(&entry.path(), user))
        .filter(|entry| remove(&entry.path(), bin, user))
        .count()
}

fn is_stale(folder: &Path, user: &ServerUser) -> bool {
    let Ok(meta) = fs::symlink_metadata(folder) else { return false };
    let mine = meta.uid() == user.uid() || meta.uid() == rustix::process::geteuid().as_raw();
    if !meta.is_dir() || !mine {
        return false;
    }
    match File::open(folder.join(LOCK)) {
        Ok(lock) => lock.try_lock().is_ok(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            meta.modified().is_ok_and(|time| time.elapsed().is_ok_and(|age| age > SETTING_UP))
        }
        Err(_) => false,
    }
}

fn remove(folder: &Path, bin: &PgBin, user: &ServerUser) -> bool {
    stop_left_over(&folder.join("data"), bin, user);
    let quiet = |command: &mut Command| command.stderr(Stdio::null()).status().is_ok();
    let _ = quiet(user.command("rm").arg("-rf").arg(folder));
    // What root put there itself; links are not followed.
    let _ = fs::remove_dir_all(folder);
    !folder.exists()
}

/// Stops a server that is still running on this data folder although its owner is gone. Its process number may have been
/// given to another process since: only one whose command line names this folder is stopped.
pub(super) fn stop_left_over(data: &Path, bin: &PgBin, user: &ServerUser) {
    let Some(pid) = postmaster_pid(data) else { return };
    if command_line(pid).is_some_and(|line| line.contains(&data.display().to_string())) {
        let _ = user
            .command(bin.program("pg_ctl"))
            .args(["stop", "-s", "-m", "immediate", "-D"])
            .arg(data)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
    }
}

/// The first line of `postmaster.pid`.
pub(super) fn postmaster_pid(data: &Path) -> Option<u32> {
    fs::read_to_string(data.join("postmaster.pid")).ok()?.lines().next()?.trim().parse().ok()
}

/// Whether the last line of `postmaster.pid` says that the server takes connections.
pub(super) fn postmaster_is_ready(data: &Path) -> bool {
    fs::read_to_string(data.join("postmaster.pid"))
        .is_ok_and(|text| text.lines().nth(7).is_some_and(|status| status.trim() == "ready"))
}

fn command_line(pid: u32) -> Option<String> {
    if let Ok(bytes) = fs::read(format!("/proc/{pid}/cmdline")) {
        return Some(String::from_utf8_lossy(&bytes).replace('\0', " "));
    }
    let output = Command::new("ps").args(["-o", "args=", "-p", &pid.to_string()]).output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}
