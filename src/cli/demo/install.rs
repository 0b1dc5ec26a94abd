//! PostgreSQL is not on this machine: Debian's package is installed, elsewhere the line to type is named.

use std::env;
use std::fs;
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::DemoError;

/// Systems that are recognised by `ID` or `ID_LIKE` in `/etc/os-release`, and what installs PostgreSQL there.
const OTHER_SYSTEMS: &[(&str, &str)] = &[
    ("alpine", "apk add postgresql"),
    ("arch", "pacman -S postgresql"),
    ("fedora", "dnf install postgresql-server"),
    ("rhel", "dnf install postgresql-server"),
    ("suse", "zypper install postgresql-server"),
    ("debian", "apt-get install -y postgresql"),
];

/// Installs Debian's package `postgresql`, after asking where somebody sits at a terminal and `yes` was not given.
///
/// # Errors
/// [`DemoError::Missing`] with the line to type, where there is no `apt-get`, no right to use it, or the answer was no;
/// [`DemoError::Install`] where it failed.
pub(super) fn install_postgres(yes: bool, out: &mut impl Write) -> Result<(), DemoError> {
    let Some(apt) = find_program("apt-get") else { return Err(missing()) };
    let root = rustix::process::geteuid().is_root();
    let terminal = io::stdin().is_terminal();
    let mut prefix: Vec<PathBuf> = Vec::new();
    if !root {
        let Some(sudo) = find_program("sudo") else { return Err(missing()) };
        prefix.push(sudo);
        if !terminal {
            // Nobody is there to type a password: better an error than a question that waits for ever.
            prefix.push("-n".into());
        }
    }
    let line = format!("{}apt-get install -y postgresql", if root { "" } else { "sudo " });
    writeln!(out, "PostgreSQL is not installed here. Debian's package does it:\n\n    {line}\n")?;
    if !yes && terminal && !ask(out)? {
        return Err(missing());
    }
    // A fresh machine has no package lists; a failure here shows in the next step with a better message.
    let _ = apt_get(&prefix, &apt, &["update", "-q"]);
    let done = apt_get(&prefix, &apt, &["install", "-y", "-q", "--no-install-recommends", "postgresql"])?;
    if done { Ok(()) } else { Err(DemoError::Install { line }) }
}

fn ask(out: &mut impl Write) -> Result<bool, DemoError> {
    write!(out, "Run it now? [Y/n] ")?;
    out.flush()?;
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer)?;
    let answer = answer.trim().to_ascii_lowercase();
    Ok(read > 0 && matches!(answer.as_str(), "" | "y" | "yes"))
}

fn apt_get(prefix: &[PathBuf], apt: &Path, arguments: &[&str]) -> Result<bool, DemoError> {
    // `env` behind `sudo`, because sudo drops the variables that it is not told to keep.
    let mut words =
        prefix.iter().map(PathBuf::as_path).chain([Path::new("env"), Path::new("DEBIAN_FRONTEND=noninteractive"), apt]);
    let Some(program) = words.next() else { return Ok(false) };
    let status = Command::new(program).args(words).args(arguments).stdin(Stdio::null()).status()?;
    Ok(status.success())
}

fn find_program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(name)).find(|program| program.is_file())
}

fn missing() -> DemoError {
    DemoError::Missing { line: line_for(env::consts::OS, &fs::read_to_string("/etc/os-release").unwrap_or_default()) }
}

fn line_for(system: &str, os_release: &str) -> String {
    if system == "macos" {
        return "brew install postgresql@17".to_owned();
    }
    let names: Vec<&str> = os_release
        .lines()
        .filter_map(|line| line.strip_prefix("ID=").or_else(|| line.strip_prefix("ID_LIKE=")))
        .flat_map(|value| value.trim_matches('"').split_whitespace())
        .collect();
    OTHER_SYSTEMS
        .iter()
        .find(|(system, _)| names.iter().any(|name| name.starts_with(system)))
        .map_or_else(|| "see https://www.postgresql.org/download/".to_owned(), |(_, line)| format!("sudo {line}"))
}

#[cfg(test)]
mod tests {
    use super::line_for;

    #[test]
    fn each_system_is_told_its_own_line() {
        assert_eq!(line_for("macos", ""), "brew install postgresql@17");
        assert_eq!(line_for("linux", "ID=alpine\n"), "sudo apk add postgresql");
        assert_eq!(
            line_for("linux", "ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n"),
            "sudo dnf install postgresql-server"
        );
        assert_eq!(line_for("linux", "ID=ubuntu\nID_LIKE=debian\n"), "sudo apt-get install -y postgresql");
        assert!(line_for("linux", "").contains("postgresql.org"));
    }
}
