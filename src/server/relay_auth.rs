//! Authentication by the database: the exchange is passed on.

use tokio::io;
use zeroize::Zeroizing;

use super::prove::{self, Credential};
use super::scram;
use super::startup::NoSession;
use crate::error::{Refusal, SqlState, Stage};
use crate::upstream::{Control, Upstream};
use crate::wire::backend::{self, Authentication};
use crate::wire::{ErrorFields, HEADER, Header, Link, own};

/// The longest message before a session is ready.
pub(super) const SMALL: usize = 64 * 1024;
/// So many bytes a database may say before a session is ready: its settings, notices of a log-in's triggers, the exchange itself. What
/// says more would keep the proxy busy, and fill it.
const MOST_SAID: usize = 1024 * 1024;
/// And in so many messages.
const MOST_MESSAGES: usize = 10_000;

/// What the database said up to its first ReadyForQuery.
#[derive(Debug, Default)]
pub(super) struct Greeting {
    /// ParameterStatus messages, in their order.
    pub(super) statuses: Vec<(String, String)>,
    /// Process id and secret for cancel requests.
    pub(super) key: Option<(u32, Vec<u8>)>,
    /// The client had to answer a request for a password, so that another server cannot be tried behind its back.
    pub(super) asked: bool,
    /// The question for the search path was sent behind the last proof, so that it costs no way of its own.
    pub(super) path_asked: bool,
    /// NoticeResponse messages, as the database said them.
    pub(super) notices: Vec<ErrorFields>,
}

impl Greeting {
    /// The value of a ParameterStatus.
    pub(super) fn status(&self, name: &str) -> Option<&str> {
        self.statuses.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Passes the exchange on until the database is ready or refuses. AuthenticationOk is left to the caller. `tls`: whether
/// the client's side is encrypted.
pub(super) async fn exchange(
    client: &mut Link,
    upstream: &mut Upstream,
    credential: &Credential,
    tls: bool,
) -> Result<Greeting, NoSession> {
    let mut greeting = Greeting::default();
    let (mut proved, mut scram) = (false, false);
    upstream.drain().await.map_err(|_| gone())?;
    let mut said = 0_usize;
    for _ in 0..MOST_MESSAGES {
        let header = upstream.message(SMALL).await.map_err(|_| gone())?;
        said = said.saturating_add(header.total());
        if said > MOST_SAID {
            break;
        }
        let body = upstream.input().get(HEADER..header.total()).unwrap_or_default().to_vec();
        upstream.consume(header.total());
        match header.tag {
            b'R' => {
                let asked = Authentication::decode(&body).map_err(|_| unreadable())?;
                // The second message of SCRAM, and a password, are the client's last.
                let last = match asked {
                    Authentication::SaslContinue => scram,
                    Authentication::Cleartext | Authentication::Md5 => true,
                    Authentication::Ok
                    | Authentication::Sasl(_)
                    | Authentication::SaslFinal
                    | Authentication::Other(_) => false,
                };
                let Credential::Relay { allow_weak } = *credential else {
                    greeting.path_asked |= prove::answer(upstream, &asked, credential, proved).await?;
                    proved = true;
                    continue;
                };
                if authentication(client, upstream, header, &body, asked, Allow { weak: allow_weak, token: tls })? {
                    greeting.asked = true;
                    client.drain().await?;
                    let answer = password_message(client, SMALL).await?;
                    scram |= answer.starts_with(scram::PLAIN.as_bytes());
                    upstream.control(Control::Authentication(&answer));
                    if last && !greeting.path_asked {
                        upstream.control(Control::ReadSearchPath);
                        greeting.path_asked = true;
                    }
                    upstream.drain().await.map_err(|_| gone())?;
                }
            }
            b'S' => {
                let (name, value) = backend::parameter_status(&body).map_err(|_| unreadable())?;
                greeting.statuses.push((name.to_owned(), value.to_owned()));
            }
            b'K' => {
                let (pid, secret) = backend::key_data(&body).map_err(|_| unreadable())?;
                greeting.key = Some((pid, secret.to_vec()));
            }
            b'N' => greeting.notices.push(ErrorFields::decode(&body).map_err(|_| unreadable())?),
            b'Z' => {
                backend::Status::decode(&body).map_err(|_| unreadable())?;
                return Ok(greeting);
            }
            b'E' => {
                let fields = ErrorFields::decode(&body).map_err(|_| unreadable())?;
                return Err(match credential {
                    Credential::Relay { .. } => NoSession::Told(fields),
                    Credential::Keys(_) | Credential::Own(..) => prove::refused_by_database(fields),
                });
            }
            _ => return Err(unreadable()),
        }
    }
    let message = "the database said too much before the session was ready";
    Err(NoSession::Refused(Refusal::new(Stage::Wire, SqlState::PROTOCOL_VIOLATION, message)))
}

/// What may be passed on besides SCRAM.
#[derive(Debug, Clone, Copy)]
struct Allow {
    /// A password in clear or as MD5.
    weak: bool,
    /// A bearer token: whoever reads it has it.
    token: bool,
}

/// SASL with a token (RFC 7628), PostgreSQL 18.
const TOKEN: &str = "OAUTHBEARER";

/// Passes on what the database asks for; whether the client has to answer.
fn authentication(
    client: &mut Link,
    upstream: &Upstream,
    header: Header,
    body: &[u8],
    asked: Authentication,
    allow: Allow,
) -> Result<bool, NoSession> {
    match asked {
        Authentication::Ok => Ok(false),
        Authentication::Sasl(mechanisms) => {
            // Channel binding binds the client to the proxy's certificate, which the database does not know. A client
            // that sees a plain database offer nothing else accepts that; one before a database with TLS would have to
            // be lied to.
            let offers = |name: &str| mechanisms.iter().any(|mechanism| mechanism == name);
            let mut relayed = vec![];
            if offers(scram::PLAIN) {
                relayed.push(scram::PLAIN);
            }
            if offers(TOKEN) && allow.token {
                relayed.push(TOKEN);
            }
            if offers(TOKEN) && relayed.is_empty() {
                let message = "the database asks for a token, which is relayed over TLS only";
                let refusal = Refusal::new(Stage::Session, SqlState::INVALID_AUTHORIZATION, message);
                return Err(NoSession::Refused(refusal.hint("connect with `sslmode=require` or stricter")));
            }
            if upstream.is_encrypted() && offers(scram::PLUS) || relayed.is_empty() {
                let message = "the database asks for channel binding, which cannot be relayed";
                return Err(NoSession::Refused(Refusal::unsupported(Stage::Session, message).hint(
                    "in the proxy's configuration, use another `[auth] method`, or `[upstream] tls = \"disable\"`",
                )));
            }
            own::sasl(&mut client.out, &relayed);
            Ok(true)
        }
        Authentication::Cleartext | Authentication::Md5 if !allow.weak => {
            tracing::error!(
                "the database asks for a password in clear or as MD5: write `scram-sha-256` in its `pg_hba.conf`, or, where that \
                 cannot be, `allow_weak = true` under `[auth]`"
            );
            let message = "the database asks for a password in clear or as MD5, which is not relayed";
            Err(NoSession::Refused(Refusal::new(Stage::Session, SqlState::INVALID_AUTHORIZATION, message)))
        }
        Authentication::Cleartext | Authentication::Md5 | Authentication::SaslContinue => {
            pass(client, header, body);
            Ok(true)
        }
        Authentication::SaslFinal => {
            pass(client, header, body);
            Ok(false)
        }
        Authentication::Other(_) => {
            let message = "the database asks for a kind of authentication that cannot be relayed";
            Err(NoSession::Refused(Refusal::unsupported(Stage::Session, message)))
        }
    }
}

fn pass(client: &mut Link, header: Header, body: &[u8]) {
    client.out.extend_from_slice(&header.encode());
    client.out.extend_from_slice(body);
}

/// The body of the client's answer.
pub(super) async fn password_message(client: &mut Link, longest: usize) -> Result<Zeroizing<Vec<u8>>, NoSession> {
    client.fill_to(HEADER).await?;
    let header =
        Header::read(client.input()).ok().flatten().filter(|header| header.tag == b'p' && header.body <= longest);
    let Some(header) = header else {
        let message = "expected a password message";
        return Err(NoSession::Refused(Refusal::new(Stage::Wire, SqlState::PROTOCOL_VIOLATION, message)));
    };
    client.fill_to(header.total()).await?;
    let body = Zeroizing::new(client.input().get(HEADER..header.total()).unwrap_or_default().to_vec());
    client.consume(header.total());
    Ok(body)
}

/// The database's effective search path, by a query of the proxy's own, which may be on its way already. PostgreSQL 18 and later
/// say it unasked.
pub(super) async fn search_path(upstream: &mut Upstream, greeting: &mut Greeting) -> io::Result<String> {
    if !greeting.path_asked {
        if let Some(path) = greeting.status("search_path") {
            return Ok(path.to_owned());
        }
        upstream.control(Control::ReadSearchPath);
        upstream.drain().await?;
    }
    let mut path = None;
    for _ in 0..MOST_MESSAGES {
        let header = upstream.message(SMALL).await?;
        let body = upstream.input().get(HEADER..header.total()).unwrap_or_default().to_vec();
        upstream.consume(header.total());
        match header.tag {
            b'D' => path = backend::data_row(&body).map_err(io::Error::other)?.into_iter().next().flatten(),
            b'Z' => return path.ok_or_else(|| io::ErrorKind::InvalidData.into()),
            b'T' | b'C' | b'S' | b'N' => {}
            _ => return Err(io::ErrorKind::InvalidData.into()),
        }
    }
    Err(io::ErrorKind::InvalidData.into())
}

/// Has the server behind a pooler take what the pooler does not take at start-up.
pub(super) async fn take_up(upstream: &mut Upstream, greeting: &mut Greeting) -> Result<(), NoSession> {
    if greeting.path_asked {
        // The path may be another one afterwards.
        search_path(upstream, greeting).await.map_err(|_| gone())?;
        greeting.path_asked = false;
    }
    upstream.control(Control::Settings);
    upstream.control(Control::Sync);
    upstream.drain().await.map_err(|_| gone())?;
    let mut refused = None;
    loop {
        let header = upstream.message(SMALL).await.map_err(|_| gone())?;
        let body = upstream.input().get(HEADER..header.total()).unwrap_or_default().to_vec();
        upstream.consume(header.total());
        match header.tag {
            b'1' | b'2' | b'3' | b'D' | b'C' => {}
            b'S' => {
                let (name, value) = backend::parameter_status(&body).map_err(|_| unreadable())?;
                greeting.statuses.retain(|(held, _)| held != name);
                greeting.statuses.push((name.to_owned(), value.to_owned()));
            }
            b'N' => greeting.notices.push(ErrorFields::decode(&body).map_err(|_| unreadable())?),
            b'E' => refused = Some(ErrorFields::decode(&body).map_err(|_| unreadable())?),
            b'Z' => return refused.map_or(Ok(()), |fields| Err(NoSession::Told(fields))),
            _ => return Err(unreadable()),
        }
    }
}

pub(super) fn gone() -> NoSession {
    let message = "the database closed the connection during the login";
    NoSession::Refused(Refusal::new(Stage::Session, SqlState::CONNECTION_FAILURE, message))
}

pub(super) fn unreadable() -> NoSession {
    let message = "the database sent a message that cannot be read";
    NoSession::Refused(Refusal::new(Stage::Wire, SqlState::PROTOCOL_VIOLATION, message))
}
