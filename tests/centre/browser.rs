//! The journeys of `journeys.mjs` in a headless Chromium, by keyboard alone.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::stand::Stand;

fn chromium() -> Option<PathBuf> {
    let named = std::env::var_os("PGPURPOSE_TEST_CHROMIUM").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .flat_map(|folder| ["chromium", "chromium-browser", "google-chrome"].map(|name| folder.join(name)))
        .find(|file| file.is_file());
    named.or(found)
}

/// Where `npm install --prefix target/browser playwright-core axe-core` puts them.
fn modules() -> Option<PathBuf> {
    let usual = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/browser/node_modules");
    usual.join("axe-core/axe.min.js").is_file().then_some(usual)
}

#[test]
fn five_journeys_by_keyboard_at_two_widths_light_and_dark_with_nothing_for_axe_to_find() {
    let (Some(chromium), Some(modules)) = (chromium(), modules()) else {
        let says = "no Chromium, or no playwright-core and axe-core: npm install --prefix target/browser playwright-core axe-core";
        assert!(std::env::var_os("CI").is_none(), "{says}");
        eprintln!("left out: {says}");
        return;
    };
    let stand = Stand::open("", "");
    let people: Vec<String> = (12..16).map(|id| format!("canary-{id}@example.co.za")).collect();
    // Somebody looks at each of them first.
    for id in 12..16 {
        let looked = Command::new("psql")
            .args(["-h", "127.0.0.1", "-p", &stand.proxy.port.to_string(), "-U", "agent", "-d", "shop", "-Atc"])
            .arg(format!("SELECT full_name, email FROM customers WHERE id = {id}"))
            .output()
            .unwrap();
        assert!(looked.status.success(), "{}", String::from_utf8_lossy(&looked.stderr));
    }
    let mut journeys = Command::new("node");
    journeys.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/centre/journeys.mjs"));
    journeys.arg(&stand.base).arg(&stand.mail).arg(modules).arg(chromium).arg(people.join(","));
    if let Some(pictures) = std::env::var_os("PGPURPOSE_TEST_PICTURES") {
        journeys.arg(pictures);
    }
    let output = journeys.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let done: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(done["journeys"], 20);
    assert!(done["pages"].as_u64().unwrap() >= 100 && done["largest"].as_u64().unwrap() < 30 * 1024, "{done}");
}
