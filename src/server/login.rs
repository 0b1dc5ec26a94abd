//! From a StartupMessage to a session.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::BufMut;

use super::accept::Options;
use super::gate::{Gate, Seat};
use super::parameters::{self, FIXED, Wanted};
use super::prove::{Credential, failed, prove};
use super::relay_auth::{Greeting, exchange, gone, search_path};
use super::startup::{NoSession, PeerTls, takes_long_key};
use crate::audit::{Event, SessionFacts};
use crate::catalog::CatalogStore;
use crate::config::ClientCertificate;
use crate::error::{Refusal, SqlState, Stage};
use crate::policy::{PolicySet, Role};
use crate::session::{Login, Shared, refusal_of};
use crate::sql::TokenKey;
use crate::telemetry::Metrics;
use crate::upstream::Upstream;
use crate::wire::backend::{self, Status};
use crate::wire::startup::Startup;
use crate::wire::{Link, Pool, frame};

/// Bytes of a start-up packet that keys may take.
const KEY_BYTES: usize = 7_000;
/// The purpose of an unrestricted role that has none.
const UNRESTRICTED: &str = "unrestricted";

/// Whose connection it is.
pub(super) struct Peer<'a> {
    pub(super) from: std::net::SocketAddr,
    pub(super) tls: Option<PeerTls>,
    pub(super) gate: &'a Arc<Gate>,
}

/// Logs in, writes the event, and gives everything that a session needs.
pub(super) async fn login(
    mut client: Link,
    startup: &Startup,
    peer: &Peer<'_>,
    options: &Options,
    shared: &Arc<Shared>,
    pool: &Pool,
) -> Result<(Login, Seat), (Link, NoSession)> {
    let mut facts = SessionFacts { session: session_id(), client: peer.from.to_string(), ..SessionFacts::default() };
    match try_login(&mut client, startup, peer, options, shared, pool, &mut facts).await {
        Ok(parts) => {
            let Ready { upstream, role, policies, catalog, purpose, search_path, key, seat } = parts;
            peer.gate.succeeded(peer.from.ip(), &facts.login);
            Ok((Login { client, upstream, facts, role, policies, catalog, purpose, search_path, key }, seat))
        }
        Err(why) => {
            if guessed(&why) {
                // Whoever guesses waits, and what waits counts against its address.
                tokio::time::sleep(peer.gate.failed(peer.from.ip(), &facts.login)).await;
            }
            let (sqlstate, reason) = match &why {
                NoSession::Silent => return Err((client, why)),
                NoSession::Failed(refusal, reason) => {
                    tracing::warn!(login = facts.login, client = facts.client, reason, "a login failed");
                    (refusal.sqlstate.as_str(), *reason)
                }
                NoSession::Refused(refusal) => (refusal.sqlstate.as_str(), refusal.message.as_str()),
                NoSession::Told(fields) => (fields.sqlstate().unwrap_or("XX000"), "the database refused the login"),
            };
            refused(shared, &facts, sqlstate, reason);
            Err((client, why))
        }
    }
}

/// Whether a login failed as one does that is guessed.
fn guessed(why: &NoSession) -> bool {
    let state = match why {
        NoSession::Failed(refusal, _) => Some(refusal.sqlstate.as_str()),
        NoSession::Told(fields) => fields.sqlstate(),
        NoSession::Silent | NoSession::Refused(_) => None,
    };
    // `invalid_password`, `invalid_authorization_specification`
    state.is_some_and(|state| state == "28P01" || state == "28000")
}

/// Notes a connection that came to no session.
pub(super) fn refused(shared: &Shared, facts: &SessionFacts, sqlstate: &str, reason: &str) {
    shared.metrics.logins_refused.bump();
    let event = Event::LoginRefused { session: Cow::Borrowed(facts), sqlstate, reason };
    if let Ok(record) = event.record() {
        shared.audit.note(record);
    }
}

struct Ready {
    seat: Seat,
    upstream: Upstream,
    role: Arc<Role>,
    policies: Arc<PolicySet>,
    catalog: Arc<CatalogStore>,
    purpose: String,
    search_path: String,
    key: crate::session::CancelKey,
}

async fn try_login(
    client: &mut Link,
    startup: &Startup,
    peer: &Peer<'_>,
    options: &Options,
    shared: &Arc<Shared>,
    pool: &Pool,
    facts: &mut SessionFacts,
) -> Result<Ready, NoSession> {
    if let Some(login) = startup.parameter("user") {
        login.clone_into(&mut facts.login);
    }
    let wanted = parameters::read(startup).map_err(NoSession::Refused)?;
    facts.database.clone_from(&wanted.database);
    facts.application.clone_from(&wanted.application);

    if !peer.gate.may_try(peer.from.ip(), &wanted.login) {
        let message = "too many failed logins";
        let refusal = Refusal::new(Stage::Session, SqlState::INVALID_AUTHORIZATION, message);
        return Err(NoSession::Refused(refusal.hint("try again in a minute")));
    }
    let tls = peer.tls.as_ref();
    let credential = prove(client, &wanted.login, tls, &options.method, &peer.gate.secret).await?;
    certificate_fits(&wanted.login, tls, &options.client_certificate)?;
    let seat = peer.gate.seat(peer.from.ip(), &wanted.login).ok_or_else(|| {
        NoSession::Refused(Refusal::new(
            Stage::Session,
            SqlState::TOO_MANY_CONNECTIONS,
            "sorry, too many clients already",
        ))
    })?;
    let policies = shared.policies.load_full();
    let role =
        policies.role_of(&wanted.login).cloned().ok_or_else(|| no_role(&wanted.login)).map_err(NoSession::Refused)?;
    facts.role = Some(role.name.clone());
    facts.recipient = Some(role.recipient.clone());
    let purpose = purpose_of(&wanted, &role, &policies, shared.observe).map_err(NoSession::Refused)?;
    facts.purpose = Some(purpose.clone());

    let (mut upstream, greeting) =
        reach(client, &wanted, &purpose, &role, &policies, options, &shared.metrics, pool, &credential).await?;
    drop(credential);
    let search_path = search_path(&mut upstream).await.map_err(|_| gone())?;
    let catalog = catalog_of(&wanted, &role, shared).await.map_err(NoSession::Refused)?;
    let (pid, secret) = greeting.key.clone().unwrap_or_default();
    let key = shared.cancels.register(upstream.cancel_target(pid, &secret), takes_long_key(startup));

    let event = Event::Connect {
        session: Cow::Borrowed(&*facts),
        authentication: options.method.name(),
        tls: peer.tls.as_ref().map(|tls| tls.version),
        certificate: peer.tls.as_ref().and_then(|tls| tls.name.as_deref()),
    };
    let logged = match event.record() {
        Ok(record) => shared.audit.append(record).await,
        Err(error) => Err(error),
    };
    if let Err(error) = logged {
        tracing::error!(%error, "a login was refused because it could not be logged");
        return Err(NoSession::Refused(error.refusal()));
    }

    frame(&mut client.out, b'R', |body| body.put_u32(0));
    for (name, value) in &greeting.statuses {
        frame(&mut client.out, b'S', |body| {
            crate::wire::put_cstr(body, name);
            crate::wire::put_cstr(body, value);
        });
    }
    client.out.extend_from_slice(&greeting.notices);
    backend::put_key_data(&mut client.out, key.pid, &key.secret);
    backend::ready(&mut client.out, Status::Idle);
    Ok(Ready { seat, upstream, role: Arc::new(role), policies, catalog, purpose, search_path, key })
}

/// Whether the client's certificate may go with this login.
fn certificate_fits(login: &str, tls: Option<&PeerTls>, wanted: &ClientCertificate) -> Result<(), NoSession> {
    let names = match wanted {
        ClientCertificate::VerifyCa => return Ok(()),
        ClientCertificate::VerifyFull(names) => names,
    };
    let name = tls.and_then(|tls| tls.name.as_deref());
    let listed = |name: &str| {
        names.iter().find(|(listed, _)| listed == name).map(|(_, logins)| logins.iter().any(|one| one == login))
    };
    // A name that is listed is for the logins that stand there; any other is the login's own.
    match name {
        Some(name) if listed(name).unwrap_or(name == login) => Ok(()),
        Some(_) | None => Err(failed(login, "the client's certificate is not of this login")),
    }
}

/// The catalog of the database that was asked for: in another the same names mean other tables.
async fn catalog_of(wanted: &Wanted, role: &Role, shared: &Shared) -> Result<Arc<CatalogStore>, Refusal> {
    match shared.catalogs.of(&wanted.database).await {
        Ok(catalog) => Ok(catalog),
        // Nothing is decided for such a role.
        Err(_) if role.unrestricted.is_some() => Ok(Arc::clone(shared.catalogs.main())),
        Err(error) => {
            tracing::error!(database = wanted.database, error, "the catalog of a database cannot be read");
            let message = format!("the catalog of database `{}` cannot be read", wanted.database);
            Err(Refusal::new(Stage::Session, SqlState::INVALID_AUTHORIZATION, message)
                .hint("the proxy's own login must be able to connect to it"))
        }
    }
}

/// Connects and logs in at the first server that accepts writes.
#[allow(clippy::too_many_arguments)]
async fn reach(
    client: &mut Link,
    wanted: &Wanted,
    purpose: &str,
    role: &Role,
    policies: &PolicySet,
    options: &Options,
    metrics: &Metrics,
    pool: &Pool,
    credential: &Credential,
) -> Result<(Upstream, Greeting), NoSession> {
    let mut tries = options.upstream.count();
    let keys = token_settings(role, options.token_key.as_ref());
    loop {
        tries = tries.saturating_sub(1);
        let (index, mut upstream) = options.upstream.connect(pool.clone()).await.map_err(|error| {
            metrics.upstream_errors.bump();
            tracing::error!(%error, "no database can be reached");
            NoSession::Refused(Refusal::new(Stage::Session, SqlState::CANNOT_CONNECT, "the database cannot be reached"))
        })?;
        let user = credential.upstream_login().unwrap_or(&wanted.login);
        let own = [("user", user), ("database", wanted.database.as_str())];
        let told = [
            ("pgpurpose.purpose", purpose),
            ("pgpurpose.role", role.name.as_str()),
            ("pgpurpose.policy", policies.hash()),
        ];
        let settings = wanted.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let keys = keys.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        upstream.start(own.into_iter().chain(settings).chain(FIXED.iter().copied()).chain(told).chain(keys));
        let greeting = exchange(client, &mut upstream, credential).await?;
        if options.upstream.count() < 2 || greeting.status("in_hot_standby") != Some("on") {
            options.upstream.writable(index);
            return Ok((upstream, greeting));
        }
        options.upstream.read_only(index);
        let _ = upstream.close().await;
        if tries == 0 || greeting.asked {
            let message = "the database that was reached accepts no writes";
            return Err(NoSession::Refused(
                Refusal::new(Stage::Session, SqlState::CANNOT_CONNECT, message)
                    .hint("connect again: another server is tried"),
            ));
        }
    }
}

/// The keys of the pseudonyms of every purpose that the role may take up, as settings: PostgreSQL logs none of a start-up
/// packet. It takes 10,000 bytes of it; a purpose whose key finds no room has none, and its masks fail.
fn token_settings(role: &Role, key: Option<&TokenKey>) -> Vec<(String, String)> {
    let (Some(key), None) = (key, &role.unrestricted) else { return Vec::new() };
    let mut room = KEY_BYTES;
    let mut settings = Vec::new();
    for purpose in &role.purposes {
        let pair = key.settings(purpose);
        let length: usize = pair.iter().map(|(name, value)| name.len() + value.len() + 2).sum();
        match room.checked_sub(length) {
            Some(rest) => room = rest,
            None => {
                tracing::warn!(
                    role = role.name,
                    purpose,
                    "the start-up packet has no room for the purpose's token key"
                );
                continue;
            }
        }
        settings.extend(pair);
    }
    settings
}

/// The purpose that the session begins with (contract, section 4), checked.
///
/// In observe mode one that the role may not use is told to the operator only.
fn purpose_of(wanted: &Wanted, role: &Role, policies: &PolicySet, observe: bool) -> Result<String, Refusal> {
    let Some(purpose) = wanted.purpose.as_ref().or_else(|| role.purposes.first()) else {
        if role.unrestricted.is_some() {
            return Ok(UNRESTRICTED.to_owned());
        }
        let message = format!("role `{}` has no purpose", role.name);
        return Err(Refusal::new(Stage::Session, SqlState::INVALID_AUTHORIZATION, message)
            .hint("name its purposes in the policy"));
    };
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    match policies.check_purpose(role, purpose, today) {
        Ok(()) => Ok(purpose.clone()),
        Err(reason) if observe => {
            tracing::warn!(
                role = role.name,
                reason = reason.message,
                "observe mode: this login would have been refused"
            );
            Ok(purpose.clone())
        }
        Err(reason) => Err(refusal_of(reason, SqlState::INVALID_AUTHORIZATION)),
    }
}

fn no_role(login: &str) -> Refusal {
    Refusal::new(Stage::Session, SqlState::INVALID_AUTHORIZATION, format!("login `{login}` has no role in the policy"))
        .hint("name the login in `logins` of a role")
}

/// 128 random bits in hexadecimal.
pub(super) fn session_id() -> String {
    format!("{:032x}", rand::random::<u128>())
}
