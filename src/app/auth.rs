//! How logins are checked, made from the configuration, and what stands in its way at the database.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::database::{self, Database};
use crate::catalog::{LoadError, Verifiers};
use crate::config::{AuthMethod, Config};
use crate::policy::PolicySet;
use crate::server::{Asked, Method, OwnLogin, OwnLogins, ask};

/// What was found at the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Nobody can log in.
    Wrong(String),
    /// Some cannot, or need not.
    Note(String),
}

/// Logins that the database is asked about at most.
const ASKED: usize = 20;

/// The method of the configuration, with the secrets that it needs.
///
/// # Errors
/// A secret that cannot be read.
pub(super) fn method(config: &Config, database: &Database) -> Result<Method, String> {
    Ok(match config.auth.method {
        AuthMethod::Relay => Method::Relay { allow_weak: config.auth.allow_weak },
        AuthMethod::Passthrough => Method::Passthrough(Arc::new(database.verifiers())),
        AuthMethod::Scram => {
            let mut logins = HashMap::new();
            for login in &config.logins {
                let own = OwnLogin {
                    verifier: login.verifier.clone(),
                    upstream_login: login.upstream_login.clone(),
                    upstream_password: login.upstream_password.as_ref().map(|source| source.read()).transpose()?,
                };
                logins.insert(login.name.clone(), own);
            }
            Method::Scram(Arc::new(OwnLogins::new(logins)))
        }
    })
}

/// What stands in the way of the method: verifiers that cannot be read, a database that asks for nothing.
///
/// # Errors
/// The database cannot be reached.
pub(crate) async fn trouble(
    config: &Config,
    policies: &PolicySet,
    database: &Database,
) -> Result<Vec<Trouble>, String> {
    let mut found = Vec::new();
    let logins: BTreeSet<String> = match config.auth.method {
        AuthMethod::Relay => return Ok(found),
        AuthMethod::Passthrough => {
            let catalog = &config.upstream.catalog_login;
            if let Some(trouble) = readable(&database.verifiers(), catalog, &database.name).await? {
                found.push(trouble);
            }
            policies.logins().map(str::to_owned).collect()
        }
        AuthMethod::Scram => {
            found.extend(superusers(config, policies, database).await?);
            config.logins.iter().map(|login| login.upstream_login.clone()).collect()
        }
    };
    let servers = database::servers(config)?;
    let (mut open, mut weak) = (Vec::new(), Vec::new());
    for login in logins.into_iter().take(ASKED) {
        match ask(&servers, &login, &database.name).await.map_err(|error| error.to_string())? {
            Asked::Nothing => open.push(format!("`{login}`")),
            Asked::Weak => weak.push(format!("`{login}`")),
            Asked::Scram | Asked::Other | Asked::Refused => {}
        }
    }
    if !open.is_empty() {
        found.push(Trouble::Note(format!(
            "the database lets {} in without a password (`trust`, `peer` or `cert` in its `pg_hba.conf`): whoever reaches it from \
             here is not checked; write `scram-sha-256` there",
            open.join(", ")
        )));
    }
    if !weak.is_empty() {
        found.push(Trouble::Note(format!(
            "the database asks {} for a password in clear or as MD5, so these cannot log in: write `scram-sha-256` in its \
             `pg_hba.conf`, and set passwords that are kept as MD5 again",
            weak.join(", ")
        )));
    }
    Ok(found)
}

/// Logins that policies govern and that are superusers at the database: its own rights would hold nobody back.
async fn superusers(config: &Config, policies: &PolicySet, database: &Database) -> Result<Vec<Trouble>, String> {
    let governed = |name: &str| policies.role_of(name).is_none_or(|role| role.unrestricted.is_none());
    let logins: Vec<&str> =
        config.logins.iter().filter(|login| governed(&login.name)).map(|login| login.upstream_login.as_str()).collect();
    let client = database.client().await?;
    let rows = client.query(SUPERUSERS, &[&logins]).await.map_err(|error| error.to_string())?;
    let names = rows.iter().filter_map(|row| row.try_get::<_, String>(0).ok());
    Ok(names
        .map(|name| {
            Trouble::Wrong(format!(
                "`{name}` is an `upstream_login` and a superuser of the database, so that the database's own rights hold nobody back: \
                 give each login a role with the rights that it needs"
            ))
        })
        .collect())
}

const SUPERUSERS: &str = "SELECT rolname::text FROM pg_catalog.pg_roles WHERE rolsuper AND rolname = ANY($1::text[])";

/// Whether the proxy's own login may read `pg_authid`.
async fn readable(verifiers: &Verifiers, catalog_login: &str, database: &str) -> Result<Option<Trouble>, String> {
    match verifiers.read(catalog_login).await {
        Ok(_) => Ok(None),
        Err(LoadError::Query(error)) if error.code().is_some_and(|code| code.code() == "42501") => {
            let columns = "rolname, rolpassword, rolcanlogin, rolvaliduntil";
            Ok(Some(Trouble::Wrong(format!(
                "`method = \"passthrough\"` checks passwords with the database's own verifiers, and `{catalog_login}` may not \
                 read them in database `{database}`: let a superuser run there `GRANT SELECT ({columns}) ON pg_catalog.pg_authid TO \"{}\"` (such a \
                 right is of one database alone), or, where nobody may (managed databases), use `method = \"scram\"` with `[[logins]]`, or `relay` over a Unix socket or \
                 to this machine",
                catalog_login.replace('"', "\"\"")
            ))))
        }
        Err(error) => Err(error.to_string()),
    }
}
