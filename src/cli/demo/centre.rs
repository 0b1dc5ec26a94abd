//! The shop's privacy centre: its functions in the database, its configuration, and a thread in which it runs.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::thread;

use super::{DemoError, SHOP_DATABASE, register};
use crate::app;
use crate::cluster::Cluster;
use crate::config::Config;

/// What the shop's own table of consents lacks: a person who agrees, withdraws and agrees again has a row for each.
const HISTORY: &str = "\
ALTER TABLE privacy.consents DROP CONSTRAINT consents_pkey;
ALTER TABLE privacy.consents ADD COLUMN withdrawn_evidence text;
CREATE UNIQUE INDEX consents_live ON privacy.consents (subject_id, purpose) WHERE granted AND withdrawn_at IS NULL;
CREATE INDEX consents_subject ON privacy.consents (subject_id);
CREATE ROLE pgpurpose_centre LOGIN;
GRANT privacy_centre TO pgpurpose_centre;
";
const THERE: &str = "SELECT to_regproc('privacy.centre_open') IS NOT NULL";

/// Somebody who gets offers.
const PERSON: &str = "SELECT c.email FROM customers AS c JOIN privacy.consents AS p ON p.subject_id = c.id \
    WHERE p.purpose = 'marketing' AND p.granted AND p.withdrawn_at IS NULL ORDER BY c.id LIMIT 1";

/// Where it is, for the screen.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    pub(super) url: String,
    /// Somebody on record.
    pub(super) person: String,
    /// Where the mails are that it sends.
    pub(super) mail: PathBuf,
}

/// Sets it up; `None` where somebody else listens there: the rest of the demo does without.
///
/// # Errors
/// The database's, or a file's.
pub(super) fn set_up(address: SocketAddr, cluster: &Cluster, proxy: &Path) -> Result<Option<Shown>, DemoError> {
    if TcpListener::bind(address).is_err() {
        return Ok(None);
    }
    if cluster.run_sql(SHOP_DATABASE, THERE)?.trim() != "t" {
        let section = register::sections().into_iter().find(|(name, _)| name.starts_with("the privacy centre"));
        let functions = section.map(|(_, sql)| sql).unwrap_or_default();
        cluster.run_statements(SHOP_DATABASE, &format!("BEGIN;\n{functions}\n{HISTORY}\nCOMMIT;\n"))?;
    }
    let root = cluster.root();
    let mail = root.join("mail.txt");
    let keeps = toml::Value::String(format!("cat >>'{}'", mail.display())).to_string();
    let sections = format!(
        "{}\n[mail]\nfrom = \"Kaap Winkel <privacy@shop.example.co.za>\"\ncommand = [\"/bin/sh\", \"-c\", {keeps}]\n\
         sms = [\"/bin/sh\", \"-c\", {keeps}]\n\n[centre]\naddress = \"{address}\"\nkey = {}\n",
        fs::read_to_string(proxy)?,
        toml::Value::String(format!("file:{}", root.join("centre.key").display())),
    );
    let config = config_file(root);
    fs::write(&config, &sections)?;
    let wrong = |faults: Vec<crate::document::Fault>| {
        DemoError::Proxy(faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    };
    let loaded = Config::load(&config).map_err(wrong)?;
    let policies = app::policies(&loaded).map_err(wrong)?;
    let setup = app::centre::setup(&loaded, &policies, Some(SHOP_DATABASE));
    let (functions, _) = app::runtime().and_then(|runtime| runtime.block_on(setup)).map_err(DemoError::Proxy)?;
    cluster.run_statements(SHOP_DATABASE, &functions)?;
    let person = cluster.run_sql(SHOP_DATABASE, PERSON)?.trim().to_owned();
    Ok(Some(Shown { url: format!("http://{address}"), person, mail }))
}

fn config_file(root: &Path) -> PathBuf {
    root.join("centre.toml")
}

/// Runs it until this process ends, in the folder of the demo.
pub(super) fn start(root: &Path) {
    let config = config_file(root);
    let run = move || {
        let ran = Config::load(&config).and_then(|config| {
            let policies = app::policies(&config)?;
            app::centre::serve(&config, policies, Some(SHOP_DATABASE), |_| {})
                .map_err(|error| vec![crate::document::Fault::error(&crate::document::Place::default(), error)])
        });
        for fault in ran.err().into_iter().flatten() {
            tracing::error!("the privacy centre: {fault}");
        }
    };
    if let Err(error) = thread::Builder::new().name("centre".to_owned()).spawn(run) {
        tracing::error!(%error, "the privacy centre has no thread to run in");
    }
}
