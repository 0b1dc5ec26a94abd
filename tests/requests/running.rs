//! While the proxy runs: what an officer enters is in force at the next statement of sessions that are open, and stands in its log.

use std::process::Command;

use serde_json::Value;
use tokio_postgres::{Config, NoTls};

use crate::support::proxy::{Proxy, Upstream};
use crate::{POLICY, Stand};

#[tokio::test]
async fn an_objection_is_in_force_at_the_next_statement_and_stands_in_the_proxys_own_log() {
    let stand = Stand::open();
    let keys =
        format!("subject_key = \"file:{0}/key\"\nsigning_key = \"file:{0}/signing\"", stand.folder.path().display());
    let proxy = Proxy::start_logging(&stand.cluster, Upstream::Socket, POLICY, "", &keys);
    let config = proxy.audit_dir().parent().unwrap().join("pgpurpose.toml");
    let subject = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pgpurpose"));
        command.env("USER", "thabo").args(["subject", arguments[0], "--config"]).arg(&config);
        command.args(["--database", "shop", "--of", "public.customers"]).args(&arguments[1..]);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let (client, driver) = Config::new()
        .host("127.0.0.1")
        .port(proxy.port)
        .user("agent")
        .dbname("shop")
        .options("-c pgpurpose.purpose=offers")
        .connect(NoTls)
        .await
        .unwrap();
    tokio::spawn(driver);
    let sees = async || client.query("SELECT email FROM customers WHERE id = 12", &[]).await.unwrap().len();
    assert_eq!(sees().await, 1);
    let opened: Value = serde_json::from_str(&subject(&[
        "open",
        "--asked",
        "objection",
        "--subject",
        "12",
        "--form",
        "telephone",
        "--identified",
        "recording 12",
        "--json",
    ]))
    .unwrap();
    let request = opened["request"].to_string();
    subject(&["object", &request, "--purpose", "offers"]);
    assert_eq!(sees().await, 0);
    let steps: Vec<Value> = proxy.access_log().into_iter().filter(|record| record["event"] == "request").collect();
    let names: Vec<&str> = steps.iter().map(|step| step["step"].as_str().unwrap()).collect();
    assert_eq!(names, ["open", "object"]);
    let verified = Command::new(env!("CARGO_BIN_EXE_pgpurpose"))
        .args(["audit", "verify", "--config"])
        .arg(&config)
        .output()
        .unwrap();
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
}
