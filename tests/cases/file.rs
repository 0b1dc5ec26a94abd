//! A file of cases: which policy, which tables, and what is asked. `tests/cases.rs` and the judges' own test
//! (`src/cli/verdict/tests.rs`) read it alike; each brings the crate's names.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::{Catalog, CatalogBuilder, PolicySet, Verdict};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// A policy file, from the root of the project; or its text.
    policy: Option<String>,
    policy_text: Option<String>,
    #[serde(default)]
    search_path: Vec<String>,
    /// The server's `server_version_num`; 15 where it is not given.
    server_version: Option<u32>,
    tables: BTreeMap<String, Table>,
    pub case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    columns: Vec<[String; 2]>,
    #[serde(default)]
    key: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    pub name: String,
    pub login: String,
    pub purpose: String,
    /// The application's end user, where one is stated.
    pub actor: Option<String>,
    pub sql: String,
    /// Oids of types that the client declares for its parameters.
    #[serde(default)]
    pub parameters: Vec<u32>,
    pub expect: Verdict,
    /// Must stand in the refusal's message, detail or hint.
    pub reason: Option<String>,
    /// SQLSTATE of the refusal; 42501 where it is not given.
    pub sqlstate: Option<String>,
}

impl File {
    pub fn read(path: &Path) -> Self {
        toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap_or_else(|error| panic!("{path:?}: {error}"))
    }

    pub fn catalog(&self) -> Catalog {
        let mut builder = CatalogBuilder::new();
        if let Some(version) = self.server_version {
            builder = builder.server_version(version);
        }
        for (name, table) in &self.tables {
            let columns: Vec<(&str, &str)> =
                table.columns.iter().map(|[name, ty]| (name.as_str(), ty.as_str())).collect();
            let key: Vec<&str> = table.key.iter().map(String::as_str).collect();
            builder.table(name.parse().unwrap(), &columns, &key);
        }
        builder.build()
    }

    pub fn policies(&self) -> PolicySet {
        let source = match (&self.policy, &self.policy_text) {
            (Some(path), None) => (path.clone(), std::fs::read_to_string(path).unwrap()),
            (None, Some(text)) => ("case.toml".to_owned(), text.clone()),
            _ => panic!("a case file has either `policy` or `policy_text`"),
        };
        PolicySet::from_sources(&[source]).unwrap_or_else(|faults| panic!("{faults:#?}")).fitted(&self.catalog())
    }

    /// The path of the file's sessions; `None` where it sets none.
    pub fn own_path(&self) -> Option<&[String]> {
        (!self.search_path.is_empty()).then_some(&self.search_path)
    }

    /// The path of the file's sessions.
    pub fn search_path(&self) -> Vec<String> {
        self.own_path().map_or_else(|| vec!["public".to_owned()], <[String]>::to_vec)
    }
}
