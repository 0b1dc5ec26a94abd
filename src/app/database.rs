//! The proxy's own connection: for the catalog, and to see whether the database is there.

use std::sync::Arc;

use tokio_postgres::{Client, Config as Connection};

use crate::catalog::{CatalogStore, Connect, LoadError, RelationName, Verifiers};
use crate::config::Config;
use crate::policy::PolicySet;
use crate::upstream::{Address, DriveError, Servers, TlsMode, UpstreamTls, described, drive};

/// One database of a server that was reached.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    /// Its name.
    pub(crate) name: String,
    addresses: Arc<[Address]>,
    connection: Connection,
    tls: UpstreamTls,
}

impl Database {
    /// The first server that answers, and there the database that the policies are about: the one that is named, else
    /// the only one, else the one that has most of their tables.
    ///
    /// # Errors
    /// In words for the operator.
    pub(crate) async fn find(config: &Config, policies: &PolicySet, name: Option<&str>) -> Result<Self, String> {
        let any = Self {
            name: String::new(),
            addresses: addresses(config)?.into(),
            connection: connection(config)?,
            tls: upstream_tls(config)?,
        };
        any.of_policies(policies, name.or(config.upstream.database.as_deref())).await
    }

    /// The same with another login than the proxy's own, and the name by which the server shows who asks.
    ///
    /// # Errors
    /// In words for the operator.
    pub(crate) async fn find_as(
        config: &Config,
        policies: &PolicySet,
        name: Option<&str>,
        (login, application): (&str, &str),
        password: Option<&crate::config::Secret>,
    ) -> Result<Self, String> {
        let mut connection = Connection::new();
        connection.user(login).application_name(application);
        if let Some(password) = password {
            connection.password(password.expose());
        }
        let any =
            Self { name: String::new(), addresses: addresses(config)?.into(), connection, tls: upstream_tls(config)? };
        any.of_policies(policies, name).await
    }

    async fn of_policies(&self, policies: &PolicySet, name: Option<&str>) -> Result<Self, String> {
        let named = |name: &str| self.called(name);
        if let Some(name) = name {
            let database = named(name);
            database.client().await?;
            return Ok(database);
        }
        let first = match named("postgres").client().await {
            Ok(client) => client,
            Err(first) => named("template1").client().await.map_err(|_| first)?,
        };
        let rows = first.query(DATABASES, &[]).await.map_err(|error| described(&error))?;
        let mut names: Vec<String> = rows.iter().filter_map(|row| row.try_get(0).ok()).collect();
        if names.len() > 1 {
            names.retain(|name| name != "postgres");
        }
        if let [only] = names.as_slice() {
            return Ok(named(only));
        }
        let any = names.first().cloned();
        let mut counted = Vec::new();
        for name in names {
            let database = named(&name);
            if let Ok(count) = database.count(&policies.listed_tables()).await {
                counted.push((count, database));
            }
        }
        let most = counted.iter().map(|(count, _)| *count).max().unwrap_or(0);
        let mut best = counted.into_iter().filter(|(count, _)| *count == most && most > 0);
        match (best.next(), best.next()) {
            (Some((_, database)), None) => Ok(database),
            // Sessions of another are decided by that one's own catalog.
            (Some((_, one)), Some(_)) => Ok(one),
            // Policies that name no table are about any database; each session's own is read when it comes.
            (None, _) if policies.listed_tables().is_empty() => match any {
                Some(any) => Ok(named(&any)),
                None => Err("the server has no database that can be read: name one with --database, or as `database` under `[upstream]`".to_owned()),
            },
            (None, _) => Err("no database has any of the policies' tables: name one with --database, or as `database` under `[upstream]`".to_owned()),
        }
    }

    /// How many of these tables it has.
    async fn count(&self, tables: &[RelationName]) -> Result<i64, String> {
        let client = self.client().await?;
        let (schemas, names): (Vec<&str>, Vec<&str>) =
            tables.iter().map(|table| (table.schema.as_str(), table.name.as_str())).unzip();
        let row = client.query_one(COUNT, &[&schemas, &names]).await.map_err(|error| described(&error))?;
        row.try_get(0).map_err(|error| described(&error))
    }

    /// A connection of its own: to the first server that answers and accepts writes, else to the first that answers.
    ///
    /// # Errors
    /// In words for the operator.
    pub(crate) async fn client(&self) -> Result<Client, String> {
        let (mut standby, mut last) = (None, "no address of a database is configured".to_owned());
        for address in self.addresses.iter() {
            match drive(address, &self.tls, &self.connection).await {
                Ok(driven) if !driven.standby => return Ok(driven.client),
                Ok(driven) => standby = standby.or(Some(driven.client)),
                Err(DriveError::Io(error)) => {
                    last = format!("the database at {address}: error connecting to server: {error}");
                }
                Err(DriveError::Driver(error)) => last = format!("the database at {address}: {}", described(&error)),
            }
        }
        standby.ok_or(last)
    }

    /// Whether a server answers that accepts writes, or any where none need be.
    ///
    /// # Errors
    /// In words for the operator.
    pub(crate) async fn answers(&self, read_only: bool) -> Result<(), String> {
        let (mut standby, mut last) = (false, "no address of a database is configured".to_owned());
        for address in self.addresses.iter() {
            match drive(address, &self.tls, &self.connection).await {
                Ok(driven) => {
                    let row = driven.client.query_one("SELECT pg_catalog.pg_is_in_recovery()", &[]).await;
                    let follows = row.and_then(|row| row.try_get::<_, bool>(0)).map_err(|error| described(&error));
                    match follows {
                        Ok(follows) if read_only || !follows => return Ok(()),
                        Ok(_) => standby = true,
                        Err(error) => last = format!("the database at {address}: {error}"),
                    }
                }
                Err(DriveError::Io(error)) => {
                    last = format!("the database at {address}: error connecting to server: {error}");
                }
                Err(DriveError::Driver(error)) => last = format!("the database at {address}: {}", described(&error)),
            }
        }
        if standby {
            return Err(
                "only a standby answers, which accepts no writes (`[upstream] read_only = true` takes it)".to_owned()
            );
        }
        Err(last)
    }

    /// Makes connections for those that keep one.
    pub(crate) fn connect(&self) -> Connect {
        let database = self.clone();
        Box::new(move || {
            let database = database.clone();
            Box::pin(async move { database.client().await.map_err(LoadError::Connect) })
        })
    }

    /// The verifiers of the database's own logins.
    pub(crate) fn verifiers(&self) -> Verifiers {
        Verifiers::new(self.connect())
    }

    /// Reads the catalog.
    ///
    /// # Errors
    /// In words for the operator.
    pub(crate) async fn catalog(&self) -> Result<CatalogStore, String> {
        self.catalog_from(1).await
    }

    /// The same with another first epoch.
    ///
    /// # Errors
    /// In words for the operator.
    pub(crate) async fn catalog_from(&self, first_epoch: u64) -> Result<CatalogStore, String> {
        CatalogStore::open_from(self.connect(), first_epoch).await.map_err(|error| error.to_string())
    }

    /// Another database of the same server.
    pub(crate) fn called(&self, name: &str) -> Self {
        let mut connection = self.connection.clone();
        connection.dbname(name);
        Self { name: name.to_owned(), addresses: Arc::clone(&self.addresses), connection, tls: self.tls.clone() }
    }
}

const DATABASES: &str = "SELECT datname FROM pg_catalog.pg_database \
    WHERE datallowconn AND NOT datistemplate AND pg_catalog.has_database_privilege(datname, 'CONNECT') ORDER BY datname";
const COUNT: &str = "SELECT pg_catalog.count(*) FROM pg_catalog.pg_class AS c \
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
    WHERE (n.nspname::text, c.relname::text) IN (SELECT * FROM ROWS FROM (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::text[])))";

/// TLS towards the database, its files read.
///
/// # Errors
/// A file that cannot be used.
pub(super) fn upstream_tls(config: &Config) -> Result<UpstreamTls, String> {
    let mode = match config.upstream.tls {
        crate::config::UpstreamTls::Disable => TlsMode::Disable,
        crate::config::UpstreamTls::Prefer => TlsMode::Prefer,
        crate::config::UpstreamTls::Require => TlsMode::Require,
        crate::config::UpstreamTls::VerifyFull => TlsMode::VerifyFull,
    };
    let own = config.upstream.tls_identity.as_ref().map(|(cert, key)| (cert.as_path(), key.as_path()));
    UpstreamTls::new(mode, config.upstream.tls_ca.as_deref(), own).map_err(|error| error.to_string())
}

/// Where the database is, for sessions.
///
/// # Errors
/// As [`upstream_tls`].
pub(super) fn servers(config: &Config) -> Result<Servers, String> {
    Ok(Servers::new(addresses(config)?, upstream_tls(config)?).behind_pooler(config.upstream.pooler))
}

fn addresses(config: &Config) -> Result<Vec<Address>, String> {
    let addresses: Result<Vec<Address>, _> =
        config.upstream.addresses.iter().map(|address| address.to_string().parse()).collect();
    addresses.map_err(|error| format!("{error}"))
}

fn connection(config: &Config) -> Result<Connection, String> {
    let mut connection = Connection::new();
    connection.user(&config.upstream.catalog_login).application_name("pgpurpose");
    if let Some(source) = &config.upstream.catalog_password {
        connection.password(source.read()?.expose());
    }
    Ok(connection)
}
