//! A headless Chromium, and the scripts that lead it by keyboard alone.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// What a journey needs besides its pages.
pub struct Browser {
    /// Chromium.
    program: PathBuf,
    /// Where `npm install --prefix target/browser playwright-core axe-core` puts them.
    modules: PathBuf,
}

impl Browser {
    /// What is here; where something is missing, that is said, and in CI it is a failure.
    pub fn find() -> Option<Self> {
        let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/browser/node_modules");
        let modules = Some(modules).filter(|modules| modules.join("axe-core/axe.min.js").is_file());
        if let (Some(program), Some(modules)) = (chromium(), modules) {
            return Some(Self { program, modules });
        }
        let says = "no Chromium, or no playwright-core and axe-core: npm install --prefix target/browser playwright-core axe-core";
        assert!(std::env::var_os("CI").is_none(), "{says}");
        eprintln!("left out: {says}");
        None
    }

    /// Runs a script with what it needs, and then these arguments; gives what it says that it did.
    pub fn run<T: Into<OsString>>(&self, script: &str, arguments: impl IntoIterator<Item = T>) -> Value {
        let mut journeys = Command::new("node");
        journeys.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(script)).arg(&self.modules).arg(&self.program);
        journeys.args(arguments.into_iter().map(Into::into));
        journeys.args(std::env::var_os("PGPURPOSE_TEST_PICTURES"));
        let output = journeys.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

fn chromium() -> Option<PathBuf> {
    let named = std::env::var_os("PGPURPOSE_TEST_CHROMIUM").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .flat_map(|folder| ["chromium", "chromium-browser", "google-chrome"].map(|name| folder.join(name)))
        .find(|file| file.is_file());
    named.or(found)
}
