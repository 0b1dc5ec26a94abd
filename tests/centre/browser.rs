//! The journeys of `journeys.mjs` in a headless Chromium, by keyboard alone.

use std::process::Command;

use crate::stand::Stand;
use crate::support::browser::Browser;

#[test]
fn five_journeys_by_keyboard_at_two_widths_light_and_dark_with_nothing_for_axe_to_find() {
    let Some(browser) = Browser::find() else { return };
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
    let arguments = [stand.base.clone(), stand.mail.display().to_string(), people.join(",")];
    let done = browser.run("tests/centre/journeys.mjs", arguments);
    assert_eq!(done["journeys"], 20);
    assert!(done["pages"].as_u64().unwrap() >= 100 && done["largest"].as_u64().unwrap() < 30 * 1024, "{done}");
}
