//! Where PostgreSQL's programs are.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::ClusterError;

/// The environment variable that names the folder of PostgreSQL's programs.
pub const PG_BIN_VARIABLE: &str = "PGPURPOSE_PG_BIN";

/// Folders of PostgreSQL's programs on systems whose packages do not put them on the PATH. `*` stands for a version.
const KNOWN_PLACES: &[&str] = &[
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
    "/usr/libexec/postgresql*",
    "/usr/local/pgsql/bin",
];

/// A folder that holds `initdb`, `postgres` and `pg_ctl`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PgBin {
    folder: PathBuf,
}

impl PgBin {
    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The path of one of its programs.
    pub fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// What `postgres --version` says, such as `postgres (PostgreSQL) 15.8`.
    pub fn version(&self) -> Option<String> {
        let output = Command::new(self.program("postgres")).arg("--version").output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    }

    fn at(folder: &Path) -> Option<Self> {
        let whole =
            |folder: &Path| ["initdb", "postgres", "pg_ctl"].iter().all(|program| folder.join(program).is_file());
        if !whole(folder) {
            return None;
        }
        // Links are followed to where the programs really lie: the others (psql, pgbench) of the same version are there.
        let real = fs::canonicalize(folder.join("postgres")).ok();
        let real = real.as_deref().and_then(Path::parent).filter(|folder| whole(folder));
        Some(Self { folder: real.unwrap_or(folder).to_owned() })
    }
}

/// Finds PostgreSQL: the folder that is named, else the one in `PGPURPOSE_PG_BIN`, else the PATH, else what `pg_config`
/// says, else the places where packages put it, the newest version first.
///
/// # Errors
/// [`ClusterError::NotThere`] where a folder is named and holds no PostgreSQL, [`ClusterError::NotFound`] where none is
/// named and there is none.
pub fn find_postgres(named: Option<&Path>) -> Result<PgBin, ClusterError> {
    let from_variable = env::var_os(PG_BIN_VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(folder) = named.map(Path::to_owned).or(from_variable) {
        return PgBin::at(&folder).ok_or(ClusterError::NotThere { folder });
    }
    on_path().or_else(from_pg_config).or_else(newest_known).ok_or(ClusterError::NotFound)
}

fn on_path() -> Option<PgBin> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).filter(|folder| folder.is_absolute()).find_map(|folder| PgBin::at(&folder))
}

fn from_pg_config() -> Option<PgBin> {
    let output = Command::new("pg_config").arg("--bindir").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    PgBin::at(Path::new(text.trim()))
}

fn newest_known() -> Option<PgBin> {
    let mut found: Vec<(Vec<u32>, PgBin)> = KNOWN_PLACES
        .iter()
        .filter_map(|pattern| glob::glob(pattern).ok())
        .flat_map(|paths| paths.filter_map(Result::ok))
        .filter_map(|folder| PgBin::at(&folder).map(|bin| (numbers(&folder), bin)))
        .collect();
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    found.pop().map(|(_, bin)| bin)
}

/// The numbers in a path, so that `…/16/bin` comes after `…/9.6/bin`.
fn numbers(path: &Path) -> Vec<u32> {
    path.to_string_lossy().split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(numbers(Path::new("/usr/lib/postgresql/16/bin")) > numbers(Path::new("/usr/lib/postgresql/9.6/bin")));
    }

    #[test]
    fn a_named_folder_without_postgresql_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let error = find_postgres(Some(folder.path())).unwrap_err();
        assert!(error.to_string().contains(&folder.path().display().to_string()), "{error}");
    }
}
