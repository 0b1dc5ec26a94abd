//! From a StartupMessage to a session.

use std::borrow::Cow;
use std::sync::Arc;

use super::accept::Options;
use super::gate::Seat;
use super::parameters::{self, FIXED, Wanted};
use super::peer::{Attempt, Peer, too_many};
use super::prove::{Credential, failed, prove};
use super::relay_auth::{Greeting, exchange, gone, search_path, take_up};
use super::startup::{NoSession, PeerTls, takes_long_key};
use crate::audit::{Event, SessionFacts};
use crate::catalog::CatalogStore;
use crate::config::ClientCertificate;
use crate::error::{Refusal, SqlState, Stage};
use crate::policy::{PolicySet, Role};
use crate::session::{Login, SaidAtStart, Shared, clean_login};
use crate::sql::{TokenKey, refusal_of};
use crate::telemetry::Metrics;
use crate::upstream::Upstream;
use crate::wire::backend::Status;
use crate::wire::startup::Startup;
use crate::wire::{Link, Pool, own};

/// Bytes of a start-up packet that keys may take.
const KEY_BYTES: usize = 7_000;
/// The purpose of an unrestricted role that has none.
const UNRESTRICTED: &str = "unrestricted";

/// Logs in, writes the event, and gives everything that a session needs.
pub(super) async fn login(
    mut client: Link,
    startup: &Startup,
    peer: &Peer<'_>,
    options: &Options,
    shared: &Arc<Shared>,
    pool: &Pool,
    attempt: &mut Attempt,
) -> Result<(Login, Seat), (Link, NoSession)> {
    attempt.names(startup);
    match try_login(&mut client, startup, peer, options, shared, pool, &mut attempt.facts).await {
        Ok(parts) => {
            let Ready { upstream, role, policies, catalog, purpose, said, search_path, unlike, encoding, key, seat } =
                parts;
            peer.gate.succeeded(peer.from.ip(), &attempt.facts.login);
            let facts = std::mem::take(&mut attempt.facts);
            let login = Login {
                client,
                upstream,
                facts,
                role,
                policies,
                catalog,
                purpose,
                said,
                search_path,
                unlike,
                encoding,
                key,
            };
            Ok((login, seat))
        }
        Err(mut why) => {
            let unrestricted =
                |login: &str| shared.policies.load().role_of(login).is_some_and(|role| role.unrestricted.is_some());
            if let NoSession::Told(fields) = &mut why
                && !unrestricted(&attempt.facts.login)
            {
                clean_login(fields);
            }
            let (sqlstate, reason) = match &why {
                NoSession::Silent | NoSession::Handshake(_) => return Err((client, why)),
                NoSession::Failed(refusal, reason) => {
                    let (login, client) = (&attempt.facts.login, &attempt.facts.client);
                    tracing::warn!(login, client, reason, "a login failed");
                    (refusal.sqlstate.as_str(), *reason)
                }
                NoSession::Refused(refusal) => (refusal.sqlstate.as_str(), refusal.message.as_str()),
                NoSession::Told(fields) => (fields.sqlstate().unwrap_or("XX000"), "the database refused the login"),
            };
            attempt.refused(shared, sqlstate, reason);
            if guessed(&why) {
                // Whoever guesses waits, and what waits counts against its address. It is in the log by then: who waits may be
                // cut off.
                tokio::time::sleep(peer.gate.failed(peer.from.ip(), &attempt.facts.login)).await;
            }
            Err((client, why))
        }
    }
}

/// Whether a login failed as one does that is guessed.
fn guessed(why: &NoSession) -> bool {
    let state = match why {
        NoSession::Failed(refusal, _) => Some(refusal.sqlstate.as_str()),
        NoSession::Told(fields) => fields.sqlstate(),
        NoSession::Silent | NoSession::Handshake(_) | NoSession::Refused(_) => None,
    };
    // `invalid_password`, `invalid_authorization_specification`
    state.is_some_and(|state| state == "28P01" || state == "28000")
}

struct Ready {
    seat: Seat,
    upstream: Upstream,
    role: Arc<Role>,
    policies: Arc<PolicySet>,
    catalog: Arc<CatalogStore>,
    purpose: String,
    said: SaidAtStart,
    search_path: String,
    unlike: Option<&'static str>,
    encoding: Option<String>,
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
    let wanted = parameters::read(startup).map_err(NoSession::Refused)?;
    facts.database.clone_from(&wanted.database);
    facts.application.clone_from(&wanted.application);

    let policies = Arc::clone(&shared.policies_now());
    if !policies.observes() && !policies.hides_nothing() {
        parameters::only_utf8(&wanted).map_err(NoSession::Refused)?;
    }
    peer.may_try(&wanted.login)?;
    let tls = peer.tls.as_ref();
    let credential = prove(client, &wanted.login, peer, &options.method).await?;
    let way =
        Way { wanted: &wanted, options, metrics: &shared.metrics, pool, credential: &credential, tls: tls.is_some() };
    let admitted = certificate_fits(&wanted.login, tls, &options.client_certificate)
        .and_then(|()| admit(&wanted, &policies, policies.observes(), facts).map_err(NoSession::Refused))
        .and_then(|admitted| {
            let governed = admitted.0.unrestricted.is_none() && !policies.observes();
            let refused = if governed { parameters::no_plans(&wanted, &policies) } else { Ok(()) };
            refused.map(|()| admitted).map_err(NoSession::Refused)
        });
    let (role, purpose) = match admitted {
        Ok(admitted) => admitted,
        // Whoever has not proved anything yet learns nothing: the database is asked first.
        Err(why) => {
            if matches!(credential, Credential::Relay { .. }) {
                reach(client, &way, Vec::new()).await?;
            }
            return Err(why);
        }
    };
    let said = SaidAtStart {
        actor: wanted.actor.clone(),
        ticket: wanted.ticket.clone(),
        application: (!wanted.application.is_empty()).then(|| wanted.application.clone()),
    };
    (facts.actor, facts.ticket) = shared.named_at_start(&said, &role);
    let seat = || peer.gate.seat(peer.from.ip(), &wanted.login).ok_or_else(|| NoSession::Refused(too_many()));
    // Where the database checks, a seat is for those that it has let in.
    let early = if matches!(credential, Credential::Relay { .. }) { None } else { Some(seat()?) };
    let told = [
        ("pgpurpose.purpose", purpose.as_str()),
        ("pgpurpose.role", &role.name),
        ("pgpurpose.policy", policies.hash()),
    ];
    let told = told.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let settings = told.into_iter().chain(token_settings(&role, options.token_key.as_ref())).collect();
    let (mut upstream, mut greeting) = reach(client, &way, settings).await?;
    let seat = match early {
        Some(seat) => seat,
        None => seat()?,
    };
    drop(credential);
    let search_path = search_path(&mut upstream, &mut greeting).await.map_err(|_| gone())?;
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
        Ok(record) => shared.audit.of_login(&facts.login).append(record).await,
        Err(error) => Err(error),
    };
    if let Err(error) = logged {
        error.told("a login was refused because it could not be logged");
        return Err(NoSession::Refused(error.refusal()));
    }

    client.no_longer_secret();
    upstream.logged_in();
    own::logged_in(&mut client.out);
    for (name, value) in &greeting.statuses {
        own::parameter_status(&mut client.out, name, value);
    }
    for mut notice in greeting.notices {
        if role.unrestricted.is_none() {
            clean_login(&mut notice);
        }
        notice.encode(b'N', &mut client.out);
    }
    own::key_data(&mut client.out, key.pid, &key.secret);
    own::ready(&mut client.out, Status::Idle);
    let unlike = wanted.encoding.is_some().then_some("client_encoding");
    Ok(Ready {
        seat,
        upstream,
        role,
        policies,
        catalog,
        purpose,
        said,
        search_path,
        unlike,
        encoding: wanted.encoding,
        key,
    })
}

/// Role and purpose of a session that is to be, and their facts.
fn admit(
    wanted: &Wanted,
    policies: &PolicySet,
    observe: bool,
    facts: &mut SessionFacts,
) -> Result<(Arc<Role>, String), Refusal> {
    let role = policies.shared_role_of(&wanted.login).ok_or_else(|| no_role(&wanted.login))?;
    facts.role = Some(role.name.clone());
    facts.recipient = Some(role.recipient.clone());
    let purpose = purpose_of(wanted, &role, policies, observe)?;
    facts.purpose = Some(purpose.clone());
    Ok((role, purpose))
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

/// What a login at the database needs.
struct Way<'a> {
    wanted: &'a Wanted,
    options: &'a Options,
    metrics: &'a Metrics,
    pool: &'a Pool,
    credential: &'a Credential,
    /// Whether the client came over TLS.
    tls: bool,
}

/// Connects and logs in at the first server that accepts writes. `told`: settings of the proxy's own.
async fn reach(
    client: &mut Link,
    way: &Way<'_>,
    told: Vec<(String, String)>,
) -> Result<(Upstream, Greeting), NoSession> {
    let Way { wanted, options, metrics, pool, credential, tls } = *way;
    let mut tries = options.upstream.count();
    loop {
        tries = tries.saturating_sub(1);
        let (index, mut upstream) = options.upstream.connect(pool.clone()).await.map_err(|error| {
            metrics.upstream_errors.bump();
            tracing::error!(%error, "no database can be reached");
            NoSession::Refused(Refusal::new(Stage::Session, SqlState::CANNOT_CONNECT, "the database cannot be reached"))
        })?;
        let user = credential.upstream_login().unwrap_or(&wanted.login);
        let own = [("user", user), ("database", wanted.database.as_str())];
        // Another encoding is there in observe mode, where nothing is changed, and where nothing is hidden.
        let encoding = wanted.encoding.as_deref();
        let fixed = FIXED.iter().map(|&(name, value)| match (name, encoding) {
            ("client_encoding", Some(asked)) => (name, asked),
            (_, _) => (name, value),
        });
        let asked = wanted.settings.iter().chain(&told).map(|(name, value)| (name.as_str(), value.as_str()));
        let pooler = options.upstream.is_pooler();
        let (at_start, later): (Vec<_>, Vec<_>) =
            asked.chain(fixed).partition(|(name, _)| !pooler || parameters::pooler_takes(name));
        upstream.start(own.into_iter().chain(at_start));
        let mut greeting = exchange(client, &mut upstream, credential, tls).await?;
        if let Some(other) = greeting.status("session_authorization").filter(|said| *said != user) {
            tracing::error!(
                login = user,
                other,
                "the database runs a session as another login than the one that logged in"
            );
            let message = "the database runs this session as another login";
            return Err(NoSession::Refused(Refusal::new(Stage::Session, SqlState::INVALID_AUTHORIZATION, message)));
        }
        if !later.is_empty() {
            upstream.keep(later);
            take_up(&mut upstream, &mut greeting).await?;
        }
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

/// The purpose that the session begins with, checked.
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
    match policies.check_purpose(role, purpose, policies.zone().today()) {
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
