//! From a StartupMessage to a session.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::BufMut;

use super::accept::Options;
use super::parameters::{self, FIXED, Wanted};
use super::relay_auth::{Greeting, exchange, gone, search_path};
use super::startup::{NoSession, takes_long_key};
use crate::audit::{Event, SessionFacts};
use crate::error::{Refusal, SqlState, Stage};
use crate::policy::{PolicySet, Role};
use crate::session::{Login, Shared, refusal_of};
use crate::telemetry::Metrics;
use crate::upstream::Upstream;
use crate::wire::backend::{self, Status};
use crate::wire::startup::Startup;
use crate::wire::{Link, Pool, frame};

/// The purpose of an unrestricted role that has none.
const UNRESTRICTED: &str = "unrestricted";

/// Logs in, writes the event, and gives everything that a session needs.
pub(super) async fn login(
    mut client: Link,
    startup: &Startup,
    from: &str,
    options: &Options,
    shared: &Arc<Shared>,
    pool: &Pool,
) -> Result<Login, (Link, NoSession)> {
    let mut facts = SessionFacts { session: session_id(), client: from.to_owned(), ..SessionFacts::default() };
    match try_login(&mut client, startup, options, shared, pool, &mut facts).await {
        Ok(parts) => {
            let Ready { upstream, role, policies, purpose, search_path, key } = parts;
            Ok(Login { client, upstream, facts, role, policies, purpose, search_path, key })
        }
        Err(why) => {
            let (sqlstate, reason) = match &why {
                NoSession::Silent => return Err((client, why)),
                NoSession::Refused(refusal) => (refusal.sqlstate.as_str(), refusal.message.as_str()),
                NoSession::Told(fields) => (fields.sqlstate().unwrap_or("XX000"), "the database refused the login"),
            };
            shared.metrics.logins_refused.bump();
            let event = Event::LoginRefused { session: Cow::Borrowed(&facts), sqlstate, reason };
            if let Ok(record) = event.record() {
                shared.audit.note(record);
            }
            Err((client, why))
        }
    }
}

struct Ready {
    upstream: Upstream,
    role: Arc<Role>,
    policies: Arc<PolicySet>,
    purpose: String,
    search_path: String,
    key: crate::session::CancelKey,
}

async fn try_login(
    client: &mut Link,
    startup: &Startup,
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

    let policies = shared.policies.load_full();
    let role = policies.role_of(&wanted.login).cloned().ok_or_else(|| no_role(&wanted.login)).map_err(NoSession::Refused)?;
    facts.role = Some(role.name.clone());
    facts.recipient = Some(role.recipient.clone());
    let purpose = purpose_of(&wanted, &role, &policies).map_err(NoSession::Refused)?;
    facts.purpose = Some(purpose.clone());

    let (mut upstream, greeting) = reach(client, &wanted, &purpose, &role, &policies, options, &shared.metrics, pool).await?;
    let search_path = search_path(&mut upstream).await.map_err(|_| gone())?;
    let (pid, secret) = greeting.key.clone().unwrap_or_default();
    let key = shared.cancels.register(upstream.cancel_target(pid, &secret), takes_long_key(startup));

    let event = Event::Connect(Cow::Borrowed(&*facts));
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
    Ok(Ready { upstream, role: Arc::new(role), policies, purpose, search_path, key })
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
) -> Result<(Upstream, Greeting), NoSession> {
    let mut tries = options.upstream.count();
    loop {
        tries = tries.saturating_sub(1);
        let (index, mut upstream) = options.upstream.connect(pool.clone()).await.map_err(|error| {
            metrics.upstream_errors.bump();
            tracing::error!(%error, "no database can be reached");
            NoSession::Refused(Refusal::new(Stage::Session, SqlState::CANNOT_CONNECT, "the database cannot be reached"))
        })?;
        let own = [("user", wanted.login.as_str()), ("database", wanted.database.as_str())];
        let told =
            [("pgpurpose.purpose", purpose), ("pgpurpose.role", role.name.as_str()), ("pgpurpose.policy", policies.hash())];
        let settings = wanted.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let extra = options.extra_settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        upstream.start(own.into_iter().chain(settings).chain(FIXED.iter().copied()).chain(told).chain(extra));
        let greeting = exchange(client, &mut upstream).await?;
        if options.upstream.count() < 2 || greeting.status("in_hot_standby") != Some("on") {
            options.upstream.writable(index);
            return Ok((upstream, greeting));
        }
        options.upstream.read_only(index);
        let _ = upstream.close().await;
        if tries == 0 || greeting.asked {
            let message = "the database that was reached accepts no writes";
            return Err(NoSession::Refused(
                Refusal::new(Stage::Session, SqlState::CANNOT_CONNECT, message).hint("connect again: another server is tried"),
            ));
        }
    }
}

/// The purpose that the session begins with (contract, section 4), checked.
fn purpose_of(wanted: &Wanted, role: &Role, policies: &PolicySet) -> Result<String, Refusal> {
    let Some(purpose) = wanted.purpose.as_ref().or_else(|| role.purposes.first()) else {
        if role.unrestricted.is_some() {
            return Ok(UNRESTRICTED.to_owned());
        }
        let message = format!("role `{}` has no purpose", role.name);
        return Err(Refusal::new(Stage::Session, SqlState::INVALID_AUTHORIZATION, message)
            .hint("name its purposes in the policy"));
    };
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    policies
        .check_purpose(role, purpose, today)
        .map_err(|reason| refusal_of(reason, SqlState::INVALID_AUTHORIZATION))?;
    Ok(purpose.clone())
}

fn no_role(login: &str) -> Refusal {
    Refusal::new(Stage::Session, SqlState::INVALID_AUTHORIZATION, format!("login `{login}` has no role in the policy"))
        .hint("name the login in `logins` of a role")
}

/// 128 random bits in hexadecimal.
fn session_id() -> String {
    format!("{:032x}", rand::random::<u128>())
}
