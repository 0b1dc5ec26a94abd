//! The client proves to the proxy who it is, and the proxy proves it to the database.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::BufMut;

use super::peer::Peer;
use super::relay_auth::{SMALL, gone, password_message, unreadable};
use super::scram::{self, Challenge, Keys, Wrong};
use super::startup::NoSession;
use crate::catalog::{Kept, Verifiers};
use crate::config::{Secret, Shapes, Verifier};
use crate::error::{Refusal, SqlState, Stage};
use crate::upstream::{Control, Upstream};
use crate::wire::backend::Authentication;
use crate::wire::{ErrorFields, HEADER, Link, Reader, own, put_cstr};

/// The longest message of a SCRAM exchange that is read.
const LONGEST: usize = 2048;

/// How logins are checked.
#[derive(Debug, Clone)]
pub enum Method {
    /// The database checks.
    Relay {
        /// Also where it asks for the password in clear or as MD5.
        allow_weak: bool,
    },
    /// The proxy checks with what the database keeps.
    Passthrough(Arc<Verifiers>),
    /// The proxy checks with its own logins.
    Scram(Arc<OwnLogins>),
}

impl Method {
    /// As it stands in a configuration.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Relay { .. } => "relay",
            Self::Passthrough(_) => "passthrough",
            Self::Scram(_) => "scram",
        }
    }
}

/// The proxy's own logins.
#[derive(Debug)]
pub struct OwnLogins {
    by_name: HashMap<String, OwnLogin>,
    shapes: Shapes,
}

impl OwnLogins {
    /// By their names.
    pub fn new(by_name: HashMap<String, OwnLogin>) -> Self {
        let shapes = Shapes::of(by_name.values().map(|login| &login.verifier));
        Self { by_name, shapes }
    }

    fn get(&self, name: &str) -> Option<&OwnLogin> {
        self.by_name.get(name)
    }
}

/// A login of the proxy's own.
#[derive(Debug)]
pub struct OwnLogin {
    /// What its password is checked with.
    pub verifier: Verifier,
    /// The database's login.
    pub upstream_login: String,
    /// Its password, where the database asks for one.
    pub upstream_password: Option<Secret>,
}

/// What logs in at the database.
#[derive(Debug)]
pub(super) enum Credential {
    /// The client itself, through the proxy.
    Relay { allow_weak: bool },
    /// The keys that the client's proof has shown.
    Keys(Keys),
    /// A password of a login of the proxy's own.
    Own(Arc<OwnLogins>, String),
}

impl Credential {
    /// The login at the database, where it is another than the client's.
    pub(super) fn upstream_login(&self) -> Option<&str> {
        match self {
            Self::Relay { .. } | Self::Keys(_) => None,
            Self::Own(logins, name) => logins.get(name).map(|login| login.upstream_login.as_str()),
        }
    }
}

/// Asks the client for its proof. Whoever is not known is asked as everybody is, and always fails.
pub(super) async fn prove(
    client: &mut Link,
    login: &str,
    peer: &Peer<'_>,
    method: &Method,
) -> Result<Credential, NoSession> {
    let (known, shapes, why) = match method {
        Method::Relay { allow_weak } => return Ok(Credential::Relay { allow_weak: *allow_weak }),
        Method::Scram(logins) => {
            let known = logins.get(login).map(|own| own.verifier.clone());
            (known, logins.shapes.clone(), "no such login in `[[logins]]`")
        }
        Method::Passthrough(verifiers) => kept(verifiers, login).await?,
    };
    let is_known = known.is_some();
    let verifier = known.unwrap_or_else(|| scram::mock(&peer.gate.secret, login, &shapes));
    let end_point = peer.tls.as_ref().and_then(|tls| tls.end_point.as_deref());
    let mechanisms: &[&str] = if end_point.is_some() { &[scram::PLUS, scram::PLAIN] } else { &[scram::PLAIN] };
    own::sasl(&mut client.out, mechanisms);
    client.drain().await?;

    let first = password_message(client, LONGEST).await?;
    let (mechanism, message) = initial(&first).ok_or_else(malformed)?;
    let plus = mechanism == scram::PLUS;
    if !mechanisms.contains(&mechanism) {
        return Err(malformed());
    }
    let challenge =
        Challenge::new(message, plus, end_point, verifier, &scram::nonce()).map_err(|scram::Malformed| malformed())?;
    own::sasl_continue(&mut client.out, challenge.first.as_bytes());
    client.drain().await?;

    let last = password_message(client, LONGEST).await?;
    // Again: others from there may have failed meanwhile, and as many guesses at once are no more than one after the other.
    peer.may_try(login)?;
    match challenge.answer(&last) {
        Ok((answer, keys)) if is_known => {
            own::sasl_final(&mut client.out, answer.as_bytes());
            Ok(match method {
                Method::Scram(logins) => Credential::Own(Arc::clone(logins), login.to_owned()),
                Method::Passthrough(_) | Method::Relay { .. } => Credential::Keys(keys),
            })
        }
        Ok(_) => Err(failed(login, why)),
        Err(Wrong::Proof) if is_known => Err(failed(login, "wrong password")),
        Err(Wrong::Proof) => Err(failed(login, why)),
        Err(Wrong::Malformed) => Err(malformed()),
    }
}

/// What the database keeps of a login; why it cannot log in, where it cannot.
async fn kept(verifiers: &Verifiers, login: &str) -> Result<(Option<Verifier>, Shapes, &'static str), NoSession> {
    let (kept, shapes) = verifiers.read(login).await.map_err(|error| {
        tracing::error!(%error, "no login can be checked: `pg_authid` could not be read");
        let message = "the database cannot be reached";
        NoSession::Refused(Refusal::new(Stage::Session, SqlState::CANNOT_CONNECT, message))
    })?;
    let why = match kept {
        Kept::Scram(verifier) => return Ok((Some(verifier), shapes, "")),
        Kept::Unknown => "no such login in the database",
        Kept::NoLogin => "the role may not log in (NOLOGIN)",
        Kept::Expired => "the password has expired (VALID UNTIL)",
        Kept::NoPassword => "the login has no password: give it one, `ALTER ROLE ... PASSWORD ...`",
        Kept::NotScram => {
            "the login's password is kept as MD5: set `password_encryption = 'scram-sha-256'` and set the password again"
        }
    };
    Ok((None, shapes, why))
}

/// The body of a SASLInitialResponse: mechanism and message.
fn initial(body: &[u8]) -> Option<(&str, &[u8])> {
    let mut reader = Reader::new(body);
    let mechanism = reader.cstr().ok()?;
    let length = usize::try_from(reader.i32().ok()?).ok()?;
    let message = reader.rest();
    (message.len() == length).then_some((mechanism, message))
}

fn malformed() -> NoSession {
    NoSession::Refused(Refusal::new(Stage::Wire, SqlState::PROTOCOL_VIOLATION, "malformed SCRAM message"))
}

/// The one answer to every login that fails; the reason is for the operator.
pub(super) fn failed(login: &str, why: &'static str) -> NoSession {
    let message = format!("password authentication failed for user \"{login}\"");
    NoSession::Failed(Refusal::new(Stage::Session, SqlState::INVALID_PASSWORD, message), why)
}

/// Why the proxy could not log in at the database, for the operator; the client learns only that it could not.
fn not_accepted(why: &'static str) -> NoSession {
    tracing::error!(why, "a login that was right was not accepted by the database");
    let message = "the proxy could not log in to the database";
    NoSession::Failed(Refusal::new(Stage::Session, SqlState::CANNOT_CONNECT, message), why)
}

/// The database's error for a login that the proxy has found right. That the database does not let it in is between the
/// operator and the database, and no guess of the client's; anything else (too many connections, no such database) is told.
pub(super) fn refused_by_database(fields: ErrorFields) -> NoSession {
    // Class 28: invalid authorization specification.
    if fields.sqlstate().is_some_and(|state| state.starts_with("28")) {
        tracing::error!(sqlstate = fields.sqlstate(), said = ?fields.get(b'M').map(String::from_utf8_lossy), "the database refused a login that was right");
        return not_accepted(
            "the database refused the login: see its `pg_hba.conf`, and the role's LOGIN, VALID UNTIL and password",
        );
    }
    NoSession::Told(fields)
}

/// Answers what the database asks for, up to the end of its exchange; AuthenticationOk comes after it, with `proved`. Gives whether
/// the search path was asked for behind the proof.
pub(super) async fn answer(
    upstream: &mut Upstream,
    asked: &Authentication,
    credential: &Credential,
    proved: bool,
) -> Result<bool, NoSession> {
    let mechanisms = match asked {
        Authentication::Ok if proved || upstream.is_known() => return Ok(false),
        Authentication::Ok => {
            return Err(not_accepted(
                "what answered asks for no proof and gives none, and neither does its address or certificate show that it is \
                 the database: write `scram-sha-256` in its `pg_hba.conf`, or use `tls = \"verify-full\"`",
            ));
        }
        Authentication::Sasl(_) if proved => return Err(unreadable()),
        Authentication::Sasl(mechanisms) => mechanisms,
        Authentication::Cleartext | Authentication::Md5 => {
            return Err(not_accepted(
                "the database asks for a password in clear or as MD5: write `scram-sha-256` in its `pg_hba.conf`, and set the \
                 password again where it is kept as MD5",
            ));
        }
        Authentication::SaslContinue | Authentication::SaslFinal => return Err(unreadable()),
        Authentication::Other(_) => {
            return Err(not_accepted("the database asks for something else than SCRAM: see its `pg_hba.conf`"));
        }
    };
    let offers = |name: &str| mechanisms.iter().any(|mechanism| mechanism == name);
    let end_point = upstream.end_point().map(<[u8]>::to_vec);
    let plus = end_point.is_some() && offers(scram::PLUS);
    if !plus && !offers(scram::PLAIN) {
        return Err(not_accepted(
            "the database offers neither SCRAM-SHA-256 nor a channel binding that this connection has",
        ));
    }
    let header = scram::header(plus, end_point.is_some());
    let own = scram::nonce();
    let bare = format!("n=,r={own}");
    let mut initial = bytes::BytesMut::new();
    put_cstr(&mut initial, if plus { scram::PLUS } else { scram::PLAIN });
    initial.put_u32(u32::try_from(header.len().saturating_add(bare.len())).unwrap_or_default());
    initial.put_slice(header.as_bytes());
    initial.put_slice(bare.as_bytes());
    upstream.control(Control::Authentication(&initial));

    let first = sasl(upstream, Authentication::SaslContinue).await?;
    let first = std::str::from_utf8(&first).map_err(|_| unreadable())?;
    let salted = scram::salted(first, &own).ok_or_else(unreadable)?;
    let derived;
    let keys = match credential {
        Credential::Keys(keys) => keys,
        Credential::Own(logins, name) => {
            derived = derive(logins, name, salted.salt.clone(), salted.rounds).await?;
            &derived
        }
        Credential::Relay { .. } => return Err(unreadable()),
    };
    if !keys.fit(&salted) {
        return Err(not_accepted(
            "the password was changed during the login, or the database that was reached is another",
        ));
    }
    let bound = if plus { end_point.as_deref().unwrap_or_default() } else { &[] };
    let (last, expected) = keys.prove(header, bound, &bare, first, &salted);
    upstream.control(Control::Authentication(last.as_bytes()));
    upstream.control(Control::ReadSearchPath);
    let answer = sasl(upstream, Authentication::SaslFinal).await?;
    if scram::is_expected(&answer, &expected) {
        Ok(true)
    } else {
        Err(not_accepted("what answered does not have the login's verifier: it is not the database"))
    }
}

/// Derives the keys of an own login's password, away from the sessions: it takes milliseconds.
async fn derive(logins: &Arc<OwnLogins>, name: &str, salt: Vec<u8>, rounds: u32) -> Result<Keys, NoSession> {
    let (logins, name) = (Arc::clone(logins), name.to_owned());
    let work = tokio::task::spawn_blocking(move || {
        let password = logins.get(&name)?.upstream_password.as_ref()?;
        Keys::of_password(password.expose(), &salt, rounds)
    });
    let keys = work.await.ok().flatten();
    keys.ok_or_else(|| not_accepted("the database asks for a password, and the login has no `upstream_password`"))
}

/// Sends what waits, and gives the data of the SASL message that must come now.
async fn sasl(upstream: &mut Upstream, wanted: Authentication) -> Result<Vec<u8>, NoSession> {
    upstream.drain().await.map_err(|_| gone())?;
    let header = upstream.message(SMALL).await.map_err(|_| gone())?;
    let body = upstream.input().get(HEADER..header.total()).unwrap_or_default().to_vec();
    upstream.consume(header.total());
    match header.tag {
        b'R' if Authentication::decode(&body).is_ok_and(|kind| kind == wanted) => {
            Ok(body.get(4..).unwrap_or_default().to_vec())
        }
        b'E' => {
            let fields = ErrorFields::decode(&body).map_err(|_| unreadable())?;
            Err(refused_by_database(fields))
        }
        _ => Err(unreadable()),
    }
}
