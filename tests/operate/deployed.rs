//! What lies in `deploy/` fits the program: ports, paths and limits, metrics that are asked for, the service's unit, the package.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use pgpurpose::config::{Config, HostPort};
use yaml_rust2::{Yaml, YamlLoader};

use super::support::client::login;
use super::support::proxy::Proxy;
use super::support::shop;
use super::{SHOP_POLICY, get};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

fn yaml(path: &str) -> Vec<Yaml> {
    YamlLoader::load_from_str(&text(path)).unwrap()
}

fn port(address: &HostPort) -> i64 {
    address.port.into()
}

/// The configuration, its relative paths beginning at a folder that has a policy.
fn config(text: &str) -> (tempfile::TempDir, Config) {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("policies")).unwrap();
    fs::write(folder.path().join("policies/first.toml"), "version = 1").unwrap();
    let config = Config::from_text("pgpurpose.toml", text, folder.path()).unwrap();
    (folder, config)
}

/// The items of a list, under a name of theirs.
fn named<'a>(list: &'a Yaml, name: &str) -> &'a Yaml {
    let items = list.as_vec().unwrap_or_else(|| panic!("no list with `{name}`"));
    items.iter().find(|item| item["name"].as_str() == Some(name)).unwrap_or_else(|| panic!("no `{name}`"))
}

#[test]
fn the_kubernetes_manifest_fits_the_configuration_that_it_holds() {
    let all = yaml("deploy/kubernetes.yaml");
    let of = |kind: &str, name: &str| {
        let found =
            all.iter().find(|one| one["kind"].as_str() == Some(kind) && one["metadata"]["name"].as_str() == Some(name));
        found.unwrap_or_else(|| panic!("no {kind} `{name}`"))
    };
    let written = of("ConfigMap", "pgpurpose")["data"]["pgpurpose.toml"].as_str().unwrap();
    let (folder, config) = config(written);
    let set = &of("StatefulSet", "pgpurpose")["spec"];
    let pod = &set["template"]["spec"];
    let container = named(&pod["containers"], "pgpurpose");
    // Ports.
    let ports = &container["ports"];
    let (listen, console) = (&config.listen.addresses[0], config.admin.address.as_ref().unwrap());
    assert_eq!(named(ports, "postgresql")["containerPort"].as_i64(), Some(port(listen)));
    assert_eq!(named(ports, "console")["containerPort"].as_i64(), Some(port(console)));
    assert_eq!(
        (listen.host.as_str(), console.host.as_str()),
        ("0.0.0.0", "0.0.0.0"),
        "a pod is reached by its own address"
    );
    assert_eq!(
        named(&of("Service", "pgpurpose")["spec"]["ports"], "postgresql")["targetPort"].as_str(),
        Some("postgresql")
    );
    let pods = of("Service", "pgpurpose-pods");
    assert_eq!(pods["metadata"]["annotations"]["prometheus.io/port"].as_str(), Some(console.port.to_string().as_str()));
    assert_eq!(set["serviceName"].as_str(), pods["metadata"]["name"].as_str());
    // Probes: what is asked is answered, and the proxy's own question to the database (2 seconds) is waited for.
    for (probe, path) in [("startupProbe", "/healthz"), ("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")] {
        assert_eq!(container[probe]["httpGet"]["path"].as_str(), Some(path), "{probe}");
        assert_eq!(container[probe]["httpGet"]["port"].as_str(), Some("console"), "{probe}");
    }
    assert!(container["readinessProbe"]["timeoutSeconds"].as_i64().unwrap() > 2);
    // The end: as long as the proxy may take, and no longer notice than the endpoints need.
    let notice = i64::from(config.listen.drain_notice_seconds);
    let longest = notice + i64::from(config.listen.drain_seconds) + 20;
    let grace = pod["terminationGracePeriodSeconds"].as_i64().unwrap();
    assert!(grace >= longest, "{grace} s are fewer than {longest}");
    let readiness = &container["readinessProbe"];
    let noticed = readiness["periodSeconds"].as_i64().unwrap() * readiness["failureThreshold"].as_i64().unwrap();
    assert!(notice >= noticed, "a proxy that stops is taken out after {noticed} s, and takes nobody after {notice}");
    // Paths: each file of the configuration lies in a volume, and what is written in one that may be written.
    let mounts = container["volumeMounts"].as_vec().unwrap();
    let mount = |path: &str| {
        let within = |mount: &&Yaml| Path::new(path).starts_with(mount["mountPath"].as_str().unwrap());
        mounts.iter().filter(within).max_by_key(|mount| mount["mountPath"].as_str().unwrap().len())
    };
    let here = folder.path().display().to_string();
    let keys: BTreeSet<String> = written
        .split('"')
        .filter_map(|part| part.strip_prefix("file:"))
        .map(|file| format!("/etc/pgpurpose/{file}"))
        .collect();
    assert_eq!(keys.len(), 3);
    for (path, volume, written) in keys.iter().map(|key| (key.as_str(), "keys", false)).chain([
        ("/etc/pgpurpose/pgpurpose.toml", "config", false),
        ("/etc/pgpurpose/policies/first.toml", "policies", false),
        (config.audit.directory.to_str().unwrap(), "log", true),
        (config.audit.anchor.as_ref().unwrap().to_str().unwrap(), "log", true),
    ]) {
        let mount = mount(path).unwrap_or_else(|| panic!("{path} lies in no volume"));
        assert_eq!(
            (mount["name"].as_str(), mount["readOnly"].as_bool() == Some(true)),
            (Some(volume), !written),
            "{path}"
        );
    }
    assert!(config.policy.files[0].starts_with(&here));
    let volumes = &pod["volumes"];
    assert_eq!(named(volumes, "config")["configMap"]["name"].as_str(), Some("pgpurpose"));
    assert_eq!(named(volumes, "keys")["secret"]["secretName"].as_str(), Some("pgpurpose-keys"));
    assert_eq!(set["volumeClaimTemplates"][0]["metadata"]["name"].as_str(), Some("log"));
    assert_eq!(
        container["args"].as_vec().unwrap().iter().filter_map(Yaml::as_str).collect::<Vec<_>>(),
        ["serve", "--config", "/etc/pgpurpose/pgpurpose.toml"]
    );
    // Rights: none but what is needed.
    assert_eq!(pod["securityContext"]["runAsNonRoot"].as_bool(), Some(true));
    assert_eq!(pod["automountServiceAccountToken"].as_bool(), Some(false));
    let own = &container["securityContext"];
    assert_eq!(
        (own["readOnlyRootFilesystem"].as_bool(), own["allowPrivilegeEscalation"].as_bool()),
        (Some(true), Some(false))
    );
    assert_eq!(own["capabilities"]["drop"][0].as_str(), Some("ALL"));
    let user = pod["securityContext"]["runAsUser"].as_i64().unwrap();
    assert!(
        text("deploy/Dockerfile").contains(&format!("\nUSER {user}:{user}\n")),
        "the image's user is the manifest's"
    );
    // Everything selects the same pods, and one of them stays.
    let labels = &set["template"]["metadata"]["labels"];
    for selector in [
        &set["selector"]["matchLabels"],
        &of("Service", "pgpurpose")["spec"]["selector"],
        &of("PodDisruptionBudget", "pgpurpose")["spec"]["selector"]["matchLabels"],
    ] {
        assert_eq!(selector, labels);
    }
    assert!(set["replicas"].as_i64() > of("PodDisruptionBudget", "pgpurpose")["spec"]["minAvailable"].as_i64());
    // No key stands in the manifest.
    assert!(all.iter().all(|one| one["kind"].as_str() != Some("Secret")));
}

#[test]
fn the_composition_and_the_image_fit_the_configuration_beside_them() {
    let (_folder, config) =
        config(&text("deploy/pgpurpose.toml").replace("/etc/pgpurpose/policies/shop.toml", "policies/*.toml"));
    let compose = &yaml("docker-compose.yml")[0];
    let proxy = &compose["services"]["proxy"];
    let published: Vec<&str> = proxy["ports"].as_vec().unwrap().iter().filter_map(Yaml::as_str).collect();
    let expected: Vec<String> = [&config.listen.addresses[0], config.admin.address.as_ref().unwrap()]
        .iter()
        .map(|address| format!("127.0.0.1:{0}:{0}", address.port))
        .collect();
    assert_eq!(published, expected, "on this machine alone");
    let upstream = config.upstream.addresses[0].to_string();
    assert!(!compose["services"][upstream.split(':').next().unwrap()].is_badvalue(), "`{upstream}` is a service");
    for volume in proxy["volumes"].as_vec().unwrap().iter().filter_map(Yaml::as_str) {
        let (from, rest) = volume.split_once(':').unwrap();
        if from.starts_with("./") {
            assert!(root().join(from).exists() && rest.ends_with(":ro"), "{volume}");
        } else {
            assert!(!compose["volumes"][from].is_badvalue(), "{volume}");
            assert_eq!(Path::new(rest), config.audit.directory, "{volume}");
        }
    }
    let grace: u32 = proxy["stop_grace_period"].as_str().unwrap().trim_end_matches('s').parse().unwrap();
    assert!(grace >= config.listen.drain_seconds + config.listen.drain_notice_seconds + 20);
    let image = text("deploy/Dockerfile");
    for address in [&config.listen.addresses[0], config.admin.address.as_ref().unwrap()] {
        assert!(
            image.lines().any(|line| line.starts_with("EXPOSE ") && line.contains(&address.port.to_string())),
            "{address}"
        );
    }
    // The image's own check is asked of a proxy that runs, and of none.
    let check = image.lines().find(|line| line.trim_start().starts_with("CMD [\"bash\"")).unwrap().trim_start();
    let check: Vec<String> = serde_json::from_str(check.trim_start_matches("CMD ")).unwrap();
    let ask = |port: u16| {
        let console = config.admin.address.as_ref().unwrap().port.to_string();
        let command = check[2].replace(&console, &port.to_string());
        assert_ne!(command, check[2], "it asks the console");
        Command::new(&check[0]).args([&check[1], &command]).output().unwrap().status.success()
    };
    let mut proxy = Proxy::start(shop());
    assert!(ask(proxy.admin_port));
    proxy.kill();
    assert!(!ask(proxy.admin_port));
}

/// Labels, and the values that are asked for.
type Labels = Vec<(String, Option<String>)>;

/// Every metric of an expression, with the labels that it is chosen or summed by.
fn asked(expression: &str) -> Vec<(String, Labels)> {
    let mut found = Vec::new();
    for (at, _) in expression.match_indices("pgpurpose_") {
        let rest = &expression[at..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        let mut labels = Vec::new();
        if let Some(chosen) = rest[end..].strip_prefix('{') {
            for matcher in chosen.split('}').next().unwrap().split(',') {
                let (label, value) = matcher.split_once('=').unwrap();
                labels.push((
                    label.trim_end_matches('!').to_owned(),
                    value.strip_prefix('"').map(|value| value.trim_end_matches('"').to_owned()),
                ));
            }
        }
        found.push((rest[..end].to_owned(), labels));
    }
    for summed in expression.split("by (").skip(1) {
        for label in summed.split(')').next().unwrap().split(',') {
            found.iter_mut().for_each(|(_, labels)| labels.push((label.trim().to_owned(), None)));
        }
    }
    found
}

#[test]
fn dashboard_and_alert_rules_ask_for_what_a_running_proxy_shows_labels_too() {
    let budget = SHOP_POLICY.replace("[purposes.analytics]", "[purposes.analytics]\nqueries_per_day = 1");
    assert_ne!(budget, SHOP_POLICY);
    let more = "[telemetry]\notlp = \"http://127.0.0.1:9\"\nmetrics_seconds = 1\n[alerts]\ncommand = [\"/bin/true\"]\n[audit.stdout]\n";
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("signing.key");
    fs::write(&key, "07".repeat(32)).unwrap();
    let proxy = Proxy::start_in(
        shop(),
        &budget,
        more,
        &format!("signing_key = \"file:{}\"\ncheckpoint_records = 1", key.display()),
        &[],
    );
    // What has a label by purpose is there once it happened.
    let analyst = login("analyst").application("figures");
    let counted = "SELECT city, count(*) FROM customers GROUP BY city";
    assert!(proxy.psql(shop(), &analyst, &[counted]).ok);
    assert!(!proxy.psql(shop(), &analyst, &[counted]).ok, "the budget is used up");
    super::until("a checkpoint", || get(&proxy, "/metrics").1.contains("pgpurpose_log_checkpoint_age_seconds "));
    let page = get(&proxy, "/metrics").1;
    let samples: Vec<&str> = page.lines().filter(|line| line.starts_with("pgpurpose_")).collect();
    // Prometheus itself adds these.
    let added = ["instance", "job"];
    let holds = |name: &str, labels: &[(String, Option<String>)]| {
        samples.iter().any(|sample| {
            let rest = sample.strip_prefix(name).filter(|rest| rest.starts_with([' ', '{']));
            rest.is_some_and(|rest| {
                labels.iter().filter(|(label, _)| !added.contains(&label.as_str())).all(|(label, value)| match value {
                    Some(value) => rest.contains(&format!("{label}=\"{value}\"")),
                    None => rest.contains(&format!("{label}=\"")),
                })
            })
        })
    };
    let dashboard: serde_json::Value = serde_json::from_str(&text("deploy/grafana.json")).unwrap();
    let mut expressions = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            let (expression, legend) = (target["expr"].as_str().unwrap(), target["legendFormat"].as_str().unwrap());
            // A legend names labels that the samples have.
            for label in legend.split("{{").skip(1).map(|rest| rest.split("}}").next().unwrap()) {
                let all = asked(expression);
                assert!(
                    added.contains(&label) || all.iter().any(|(name, _)| holds(name, &[(label.to_owned(), None)])),
                    "{legend}: {expression}"
                );
            }
            expressions.push(expression.to_owned());
        }
    }
    let rules = &yaml("deploy/alerts.yml")[0]["groups"][0]["rules"];
    let mut names = BTreeSet::new();
    for rule in rules.as_vec().unwrap() {
        assert!(names.insert(rule["alert"].as_str().unwrap()), "each rule has a name of its own");
        assert!(["critical", "warning"].contains(&rule["labels"]["severity"].as_str().unwrap()));
        assert!(rule["annotations"]["summary"].as_str().is_some_and(|summary| summary.len() > 10));
        let wait = rule["for"].as_str().unwrap();
        assert!(wait.trim_end_matches(['m', 'h', 'd']).parse::<u32>().is_ok(), "{wait}");
        expressions.push(rule["expr"].as_str().unwrap().to_owned());
    }
    let mut looked = 0;
    for expression in &expressions {
        for (name, labels) in asked(expression) {
            looked += 1;
            assert!(holds(&name, &labels), "`{name}` with {labels:?} is not shown: {expression}\n{page}");
        }
        let balanced = |open, close| expression.matches(open).count() == expression.matches(close).count();
        assert!(balanced('(', ')') && balanced('{', '}') && balanced('[', ']'), "{expression}");
    }
    assert!(looked >= 60 && names.len() >= 20, "{looked} {names:?}");
}

fn runs(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

#[test]
fn the_services_unit_starts_what_the_package_installs_and_is_hardened() {
    let unit = text("deploy/pgpurpose.service");
    let value = |key: &str| {
        unit.lines().find_map(|line| line.strip_prefix(&format!("{key}="))).unwrap_or_else(|| panic!("no {key}"))
    };
    let manifest: toml::Value = toml::from_str(&text("Cargo.toml")).unwrap();
    let deb = &manifest["package"]["metadata"]["deb"];
    let assets: Vec<(String, String, String)> = deb["assets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|asset| {
            let part = |at: usize| asset[at].as_str().unwrap().to_owned();
            (part(0), part(1), part(2))
        })
        .collect();
    let installs = |path: &str| {
        assets.iter().any(|(from, to, _)| match to.strip_suffix('/') {
            Some(folder) => format!("/{folder}/{}", Path::new(from).file_name().unwrap().to_str().unwrap()) == path,
            None => format!("/{to}") == path,
        })
    };
    assert_eq!(value("Type"), "notify");
    let program = value("ExecStart").split(' ').next().unwrap();
    assert!(installs(program), "{program}");
    assert!(installs(value("EnvironmentFile").trim_start_matches('-')));
    assert!(value("ExecReload").ends_with("-HUP $MAINPID"));
    assert_eq!(value("ConditionPathExists"), value("ExecStart").split(' ').next_back().unwrap());
    let stop: u32 = value("TimeoutStopSec").parse().unwrap();
    let usual = Config::for_upstream("127.0.0.1:5432".parse().unwrap(), Vec::new()).listen;
    assert!(stop >= usual.drain_seconds + usual.drain_notice_seconds + 20);
    // The clock is held against /proc/uptime, which this would hide.
    assert!(!unit.contains("ProcSubset"));
    for asset in &assets {
        let (from, _, mode) = asset;
        if from == "target/release/pgpurpose" {
            assert_eq!(mode, "755");
            continue;
        }
        let matched: Vec<PathBuf> =
            glob::glob(root().join(from).to_str().unwrap()).unwrap().map(Result::unwrap).collect();
        assert!(!matched.is_empty() && mode.starts_with('6'), "{asset:?}");
    }
    for conf in deb["conf-files"].as_array().unwrap() {
        assert!(installs(conf.as_str().unwrap()), "{conf}");
    }
    for script in ["postinst", "prerm", "postrm"] {
        let path = root().join(deb["maintainer-scripts"].as_str().unwrap()).join(script);
        assert!(fs::metadata(&path).unwrap().permissions().mode() & 0o111 != 0, "{script}");
        assert!(Command::new("sh").arg("-n").arg(&path).status().unwrap().success(), "{script}");
    }
    assert!(
        !text("deploy/debian/postrm").contains("rm -"),
        "the log and its keys are nobody's to remove but the operator's"
    );
    if runs("systemd-analyze") {
        // The program is not installed here.
        let here = tempfile::tempdir().unwrap();
        let at = here.path().join("pgpurpose.service");
        fs::write(&at, unit.replace(program, "/bin/true")).unwrap();
        let verified = Command::new("systemd-analyze").arg("verify").arg(&at).output().unwrap();
        let said = String::from_utf8_lossy(&verified.stderr);
        assert!(!said.contains("pgpurpose.service:"), "{said}");
        let rated = Command::new("systemd-analyze")
            .args(["security", "--offline=true", "--threshold=20"])
            .arg(&at)
            .output()
            .unwrap();
        assert!(rated.status.success(), "{}", String::from_utf8_lossy(&rated.stdout));
    }
}
