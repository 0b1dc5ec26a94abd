//! What data subjects ask for: found, answered, corrected, deleted, on a real PostgreSQL whose schema makes that hard.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stdout
)]

mod generated;
mod journey;
mod large;
mod running;
#[path = "../support/mod.rs"]
mod support;
mod traps;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use pgpurpose::cluster::Cluster;
use serde_json::Value;
use tempfile::TempDir;

const SHOP: &str = include_str!("shop.sql");
const POLICY: &str = include_str!("shop.toml");
const PRIVACY: &str = include_str!("../../deploy/privacy.sql");

/// A cluster with the shop, and a folder with a configuration for it.
struct Stand {
    cluster: Cluster,
    folder: TempDir,
}

impl Stand {
    fn open() -> Self {
        let cluster = support::own_cluster();
        cluster.run_statements("postgres", "CREATE DATABASE shop").unwrap();
        cluster.run_statements("shop", "CREATE ROLE pgpurpose LOGIN SUPERUSER; CREATE ROLE agent LOGIN").unwrap();
        cluster.run_statements("shop", PRIVACY).unwrap();
        cluster.run_statements("shop", SHOP).unwrap();
        cluster
            .run_statements(
                "shop",
                "GRANT SELECT ON ALL TABLES IN SCHEMA public TO agent; GRANT privacy_reader TO agent",
            )
            .unwrap();
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("shop.toml"), POLICY).unwrap();
        fs::write(folder.path().join("key"), "11".repeat(32)).unwrap();
        fs::write(folder.path().join("signing"), "22".repeat(32)).unwrap();
        let config = format!(
            "[listen]\naddress = \"127.0.0.1:0\"\n[upstream]\naddress = \"{}:{}\"\ncatalog_login = \"pgpurpose\"\n\
             [auth]\nmethod = \"relay\"\n[policy]\nfiles = [\"shop.toml\"]\n\
             [audit]\ndirectory = \"audit\"\nsync = \"written\"\nsubject_key = \"file:key\"\nsigning_key = \"file:signing\"\n",
            cluster.socket_dir().display(),
            cluster.port()
        );
        fs::write(folder.path().join("pgpurpose.toml"), config).unwrap();
        Self { cluster, folder }
    }

    fn sql(&self, sql: &str) -> String {
        support::direct(&self.cluster, "shop", sql)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `pgpurpose subject …`; exit status, standard output and standard error.
    fn subject(&self, arguments: &[&str]) -> (i32, String, String) {
        self.run("subject", arguments)
    }

    fn run(&self, verb: &str, arguments: &[&str]) -> (i32, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pgpurpose"));
        command.current_dir(self.folder.path()).env("USER", "thabo").arg(verb);
        command.args(&arguments[..1]).args(["--config", "pgpurpose.toml"]);
        if verb == "subject" {
            command.args(["--database", "shop", "--of", "public.customers"]);
        }
        let output = command.args(&arguments[1..]).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }

    /// The same, which must end well.
    fn done(&self, arguments: &[&str]) -> String {
        let (code, out, remarks) = self.subject(arguments);
        assert_eq!(code, 0, "{arguments:?}: {out}{remarks}");
        out
    }

    /// Opens a request and gives its number.
    fn open_request(&self, asked: &str, subject: &str) -> String {
        let out = self.done(&[
            "open",
            "--asked",
            asked,
            "--subject",
            subject,
            "--form",
            "email",
            "--identified",
            "code to the number on record",
            "--json",
        ]);
        serde_json::from_str::<Value>(&out).unwrap()["request"].to_string()
    }

    /// Every record of the log.
    fn log(&self) -> Vec<Value> {
        let mut records = Vec::new();
        let mut take = |entry: &pgpurpose::audit::read::Entry| records.push(serde_json::from_str(&entry.line).unwrap());
        pgpurpose::audit::read_all(&self.path("audit"), &mut take, &mut |_| {}).unwrap();
        records
    }
}
