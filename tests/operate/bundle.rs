//! Policies that come as a signed bundle: all of them or none, and the running ones stay where one does not hold.

use std::fs;
use std::path::Path;

use super::support::client::login;
use super::support::proxy::Proxy;
use super::support::shop;
use super::{SHOP_POLICY, folder, get, pgpurpose, until};

/// A key for bundles; gives its public half.
fn key(at: &Path) -> String {
    let (status, public, told) = pgpurpose(&["audit", "keygen", "--out", &at.display().to_string()]);
    assert_eq!(status, 0, "{told}");
    public.trim().to_owned()
}

fn bundle(policies: &[&Path], key: &Path, to: &Path) -> (i32, String, String) {
    let source = format!("file:{}", key.display());
    let to = to.display().to_string();
    let files: Vec<String> = policies.iter().map(|file| file.display().to_string()).collect();
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    pgpurpose(&[&["policy", "bundle"], files.as_slice(), &["-o", &to, "--key", &source]].concat())
}

/// As `sha256sum` has it.
fn digest(file: &Path) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, &fs::read(file).unwrap());
    let digits: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{digits}")
}

#[test]
fn a_bundle_of_policies_is_taken_whole_or_not_at_all() {
    let mut proxy = Proxy::start(shop());
    let home = folder(&proxy);
    let at = |name: &str| home.join(name);
    let (policy, more, file) = (at("policy.toml"), at("more.toml"), at("policies.bundle"));
    let (own, foreign) = (at("bundle.key"), at("foreign.key"));
    let (public, _) = (key(&own), key(&foreign));
    fs::write(&more, "version = 1\n[purposes.more]\nbasis = \"contract\"\n").unwrap();
    let (status, said, told) = bundle(&[&policy, &more], &own, &file);
    assert_eq!(status, 0, "{said}{told}");
    let config = at("pgpurpose.toml");
    let written = fs::read_to_string(&config).unwrap();
    let files = format!("files = [\"{}\"]", policy.display());
    assert!(written.contains(&files));
    let named = format!("bundle = \"policies.bundle\"\nverify_key = \"{public}\"");
    fs::write(&config, written.replace(&files, &named)).unwrap();
    let (status, said, told) = pgpurpose(&["check", "--config", &config.display().to_string()]);
    assert_eq!(status, 0, "{said}{told}");
    proxy.kill();
    proxy.restart();

    let events = || proxy.access_log().into_iter().filter(|record| record["event"] == "policy").collect::<Vec<_>>();
    let agent = login("support_agent").application("bundled");
    let number = || proxy.psql(shop(), &agent, &["SELECT id_number FROM customers WHERE id = 1"]).fine();
    let begun = events();
    let first = begun.last().unwrap();
    assert_eq!(first["bundle"], digest(&file));
    assert!(said.contains(first["policy"].as_str().unwrap()) || told.is_empty(), "{said}");
    assert!(number().starts_with('*'), "{}", number());

    // A newer one is in force at the next statement.
    fs::write(&policy, SHOP_POLICY.replace("national_id = \"last(4)\"", "national_id = \"fixed(hidden)\"")).unwrap();
    let old = fs::read(&file).unwrap();
    assert_eq!(bundle(&[&policy, &more], &own, &file).0, 0);
    until("the newer bundle is in force", || events().len() == begun.len() + 1);
    let newer = events().pop().unwrap();
    assert_eq!((&newer["bundle"], number().as_str()), (&digest(&file).into(), "hidden"));
    assert!(newer["policy"] != first["policy"] && newer["faults"].as_array().unwrap().is_empty());
    let good = fs::read(&file).unwrap();

    // None of these is taken, in no part.
    let text = String::from_utf8(good.clone()).unwrap();
    let opened = text.replacen("fixed(hidden)", "null", 1);
    assert_ne!(opened, text);
    let unsigned = text.replacen("\"signature\":\"", "\"signature\":\"00", 1);
    let cut = text[..text.len() / 2].to_owned();
    let forged = {
        let other = at("other.bundle");
        assert_eq!(bundle(&[&policy], &foreign, &other).0, 0);
        fs::read_to_string(other).unwrap()
    };
    let faulty = {
        // Signed, and no policy: whoever holds the key made it without the command.
        let made = jiff::Timestamp::now();
        let files = vec![pgpurpose::fleet::PolicyText {
            name: "x.toml".to_owned(),
            text: "version = 1\n[nonsense]\n".to_owned(),
        }];
        let digits = fs::read_to_string(&own).unwrap();
        let bytes: Vec<u8> = (0..32).map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).unwrap()).collect();
        let signer = pgpurpose::audit::checkpoint::Signer::new(&bytes.try_into().unwrap()).unwrap();
        pgpurpose::fleet::sign(files, made, &signer).unwrap()
    };
    for (what, content, says) in [
        ("changed", opened, "signature"),
        ("with another signature", unsigned, "signature"),
        ("cut", cut, "no bundle"),
        ("of another key", forged, "signature"),
        ("with a fault", faulty, "nonsense"),
        ("older", String::from_utf8(old).unwrap(), "before the one in force"),
    ] {
        let before = events().len();
        fs::write(&file, content).unwrap();
        until(what, || events().len() > before);
        let refused = events().pop().unwrap();
        assert_eq!((&refused["policy"], &refused["bundle"]), (&newer["policy"], &newer["bundle"]), "{what}");
        let fault = refused["faults"][0].as_str().unwrap();
        assert!(fault.contains(says), "{what}: {fault}");
        assert_eq!(number(), "hidden", "{what}");
    }
    assert!(!get(&proxy, "/metrics").1.contains("\npgpurpose_policy_reload_failures_total 0\n"));
    let before = events().len();
    fs::write(&file, &good).unwrap();
    until("the good one is back", || events().len() > before);
    assert!(events().pop().unwrap()["faults"].as_array().unwrap().is_empty());

    // What does not hold does not start a proxy, and faults are found before anything is signed.
    fs::write(&file, &good[..good.len() / 2]).unwrap();
    let (status, _, told) = pgpurpose(&["check", "--config", &config.display().to_string()]);
    assert!(status == 2 && told.contains("no bundle"), "{status} {told}");
    fs::write(&more, "version = 1\n[nonsense]\n").unwrap();
    let untouched = at("untouched.bundle");
    let (status, _, told) = bundle(&[&policy, &more], &own, &untouched);
    assert!(status == 2 && told.contains("nonsense") && !untouched.exists(), "{status} {told}");
}
