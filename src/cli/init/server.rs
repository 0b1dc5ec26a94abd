//! The server as it is, and what makes the proxy's own login there.

use tokio_postgres::Client;

use crate::app::Database;
use crate::config::{AuthMethod, Config, Secret, UpstreamAddress, UpstreamTls};
use crate::policy::PolicySet;

/// What of `pg_authid` the proxy reads: docs/authentication.md.
const VERIFIERS: &str = "rolname, rolpassword, rolcanlogin, rolvaliduntil";

/// How the server is reached for the set-up.
pub(super) struct Access {
    pub(super) config: Config,
    pub(super) login: String,
    pub(super) password: Option<Secret>,
}

impl Access {
    /// One of its databases, as whoever sets up.
    ///
    /// # Errors
    /// It cannot be reached, or lets nobody in.
    pub(super) async fn to(&self, database: &str) -> Result<Database, String> {
        let none = PolicySet::default();
        Database::find_as(&self.config, &none, Some(database), (&self.login, "pgpurpose init"), self.password.as_ref())
            .await
    }

    /// The same as the proxy's own login.
    ///
    /// # Errors
    /// As [`to`](Self::to).
    pub(super) async fn as_proxy(
        &self,
        login: &str,
        password: Option<&Secret>,
        database: &str,
    ) -> Result<Database, String> {
        Database::find_as(&self.config, &PolicySet::default(), Some(database), (login, "pgpurpose init"), password)
            .await
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Server {
    pub(super) version: String,
    pub(super) superuser: bool,
    /// It may make logins.
    pub(super) makes_logins: bool,
    /// It may let another login read the database's verifiers.
    pub(super) grants_verifiers: bool,
    /// Databases that can be connected to and their sizes in bytes, the largest first; templates and `postgres` are not among them
    /// unless there is nothing else.
    pub(super) databases: Vec<String>,
    /// Logins whose passwords are kept in a way that `passthrough` cannot use; empty where that cannot be seen.
    pub(super) old_passwords: Vec<String>,
    pub(super) standby: bool,
}

const RIGHTS: &str = "SELECT r.rolsuper, r.rolsuper OR r.rolcreaterole, \
    pg_catalog.has_table_privilege('pg_catalog.pg_authid', 'SELECT WITH GRANT OPTION'), \
    pg_catalog.current_setting('server_version'), pg_catalog.pg_is_in_recovery() \
    FROM pg_catalog.pg_roles AS r WHERE r.rolname = current_user";
const DATABASES: &str = "SELECT datname::text FROM pg_catalog.pg_database \
    WHERE datallowconn AND NOT datistemplate AND pg_catalog.has_database_privilege(datname, 'CONNECT') \
    ORDER BY datname = 'postgres', pg_catalog.pg_database_size(oid) DESC, datname";
const OLD_PASSWORDS: &str =
    "SELECT rolname::text FROM pg_catalog.pg_authid WHERE rolcanlogin AND rolpassword LIKE 'md5%' ORDER BY 1";

impl Server {
    /// Looks.
    ///
    /// # Errors
    /// In words for the operator.
    pub(super) async fn look(client: &Client) -> Result<Self, String> {
        let row = client.query_one(RIGHTS, &[]).await.map_err(|error| told(&error))?;
        let yes = |at: usize| row.try_get::<_, bool>(at).map_err(|error| told(&error));
        let superuser = yes(0)?;
        let names = |rows: Vec<tokio_postgres::Row>| {
            rows.iter().filter_map(|row| row.try_get::<_, String>(0).ok()).collect::<Vec<_>>()
        };
        let mut databases = names(client.query(DATABASES, &[]).await.map_err(|error| told(&error))?);
        if databases.len() > 1 {
            databases.retain(|name| name != "postgres");
        }
        let old_passwords = match superuser {
            true => names(client.query(OLD_PASSWORDS, &[]).await.map_err(|error| told(&error))?),
            false => Vec::new(),
        };
        Ok(Self {
            version: row.try_get(3).map_err(|error| told(&error))?,
            superuser,
            makes_logins: yes(1)?,
            grants_verifiers: yes(2)?,
            databases,
            old_passwords,
            standby: yes(4)?,
        })
    }

    /// The way in which applications are let in that works here: the database's own verifiers where they may be read, else the
    /// database itself where it is near, else logins of the proxy's own.
    pub(super) fn method(&self, config: &Config) -> AuthMethod {
        if self.grants_verifiers {
            AuthMethod::Passthrough
        } else if is_near(config) {
            AuthMethod::Relay
        } else {
            AuthMethod::Scram
        }
    }

    /// Why a method does not work here; `None` where it does.
    pub(super) fn against(&self, method: AuthMethod, config: &Config, login: &str) -> Option<String> {
        match method {
            AuthMethod::Passthrough if !self.grants_verifiers => Some(format!(
                "`passthrough` needs SELECT on `pg_authid` for the proxy's own login, which `{login}` may not give: let a superuser set up, or \
                 use `scram`, or `relay` over a Unix socket or to this machine"
            )),
            AuthMethod::Relay if !is_near(config) => Some(
                "`relay` works over a Unix socket or plain TCP to this machine only: use `passthrough` or `scram`"
                    .to_owned(),
            ),
            AuthMethod::Passthrough | AuthMethod::Relay | AuthMethod::Scram => None,
        }
    }
}

/// A Unix socket, or this machine without TLS.
fn is_near(config: &Config) -> bool {
    config.upstream.addresses.iter().all(|address| match address {
        UpstreamAddress::Unix { .. } => true,
        UpstreamAddress::Tcp(address) => address.is_loopback() && config.upstream.tls == UpstreamTls::Disable,
    })
}

/// Whether a login of this name is there.
///
/// # Errors
/// In words for the operator.
pub(super) async fn is_there(client: &Client, login: &str) -> Result<bool, String> {
    let rows = client.query("SELECT FROM pg_catalog.pg_roles WHERE rolname = $1", &[&login]).await;
    rows.map(|rows| !rows.is_empty()).map_err(|error| told(&error))
}

/// The statement that makes the login, or gives the one that is there another password. The password leaves this machine as its
/// verifier only, so that no log of the database's holds it.
pub(super) fn login_statement(login: &str, verifier: &str, there: bool) -> String {
    let verb = if there { "ALTER" } else { "CREATE" };
    format!("{verb} ROLE {} LOGIN PASSWORD '{}'", quoted(login), verifier.replace('\'', "''"))
}

/// The rights that it lacks in the database that the client is connected to: to connect, and with `passthrough` to read verifiers.
///
/// # Errors
/// In words for the operator.
pub(super) async fn grants(
    client: &Client,
    login: &str,
    there: bool,
    method: AuthMethod,
) -> Result<Vec<String>, String> {
    const HAS: &str = "SELECT pg_catalog.current_database()::text, \
        pg_catalog.has_database_privilege($1::text, pg_catalog.current_database(), 'CONNECT'), \
        (SELECT pg_catalog.bool_and(pg_catalog.has_column_privilege($1::text, 'pg_catalog.pg_authid', c, 'SELECT')) \
            FROM pg_catalog.unnest(ARRAY['rolname', 'rolpassword', 'rolcanlogin', 'rolvaliduntil']) AS c)";
    // Who is not there yet will have what everybody has.
    let asked = if there { login } else { "public" };
    let row = client.query_one(HAS, &[&asked]).await.map_err(|error| told(&error))?;
    let database: String = row.try_get(0).map_err(|error| told(&error))?;
    let yes = |at: usize| row.try_get::<_, bool>(at).map_err(|error| told(&error));
    let mut wanted = Vec::new();
    if !yes(1)? {
        wanted.push(format!("GRANT CONNECT ON DATABASE {} TO {}", quoted(&database), quoted(login)));
    }
    if method == AuthMethod::Passthrough && !yes(2)? {
        wanted.push(format!("GRANT SELECT ({VERIFIERS}) ON pg_catalog.pg_authid TO {}", quoted(login)));
    }
    Ok(wanted)
}

/// Runs statements, all of them or none.
///
/// # Errors
/// In words for the operator.
pub(super) async fn run(client: &Client, statements: &[String]) -> Result<(), String> {
    client.batch_execute(&statements.join(";\n")).await.map_err(|error| told(&error))
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The driver's own words for an error of the database are `db error`.
fn told(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(db) => format!("{} ({})", db.message(), db.code().code()),
        None => error.to_string(),
    }
}
