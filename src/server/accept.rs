//! Listening sockets, workers, and the end of both.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener, ToSocketAddrs};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::gate::{Gate, Seat, SessionLimits};
use super::login::login;
use super::peer::{Attempt, Peer, too_many};
use super::prove::Method;
use super::startup::{NoSession, negotiate, say};
use super::tls::ListenTls;
use crate::config::{ClientCertificate, Limits};
use crate::session::{Session, Shared, stopped};
use crate::sql::TokenKey;
use crate::upstream::Servers;
use crate::wire::{Link, Pool};

/// How long sessions get to end when the proxy is stopped.
const GRACE: Duration = Duration::from_secs(5);
/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;

/// How the proxy listens and where it connects.
#[derive(Debug, Clone)]
pub struct Options {
    /// Addresses to listen on; port 0 is any free one.
    pub listen: Vec<String>,
    /// Threads; one for each core where it is 0.
    pub workers: usize,
    /// TLS for clients, where it is offered.
    pub tls: Option<ListenTls>,
    /// Sessions at the same time; one more is refused with 53300.
    pub max_connections: usize,
    /// The same of one login.
    pub max_connections_per_login: Option<usize>,
    /// The same from one address.
    pub max_connections_per_address: Option<usize>,
    /// How logins are checked.
    pub method: Method,
    /// What a client's certificate must say, where one is asked for.
    pub client_certificate: ClientCertificate,
    /// Limits on connections that have not logged in, and on failed logins.
    pub limits: Limits,
    /// From the first byte to the first ReadyForQuery.
    pub login_timeout: Duration,
    /// The database.
    pub upstream: Servers,
    /// The root of the pseudonyms' keys: each session upstream begins with the keys of its role's purposes.
    pub token_key: Option<TokenKey>,
}

impl Options {
    /// One address, one database, and PostgreSQL's own limits for the rest.
    pub fn new(listen: impl Into<String>, upstream: Servers) -> Self {
        Self {
            listen: vec![listen.into()],
            workers: 0,
            tls: None,
            max_connections: 1000,
            max_connections_per_login: None,
            max_connections_per_address: None,
            method: Method::Relay { allow_weak: false },
            client_certificate: ClientCertificate::VerifyCa,
            limits: Limits::default(),
            login_timeout: Duration::from_secs(60),
            upstream,
            token_key: None,
        }
    }
}

/// Why the proxy does not listen.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// An address.
    #[error("cannot listen on `{address}`: {error}")]
    Listen {
        /// Which.
        address: String,
        /// Why.
        error: io::Error,
    },
    /// A thread or runtime.
    #[error("cannot start a worker: {0}")]
    Worker(io::Error),
}

/// A running proxy. Dropping it stops it without grace; [`Server::stop`] tells sessions first.
#[derive(Debug)]
pub struct Server {
    addresses: Vec<SocketAddr>,
    shutdown: watch::Sender<bool>,
    workers: Vec<JoinHandle<()>>,
}

struct Worker {
    options: Arc<Options>,
    shared: Arc<Shared>,
    shutdown: watch::Receiver<bool>,
    gate: Arc<Gate>,
    pool: Pool,
}

/// Statements that are short are decided on the thread of their session.
const WORKER_STACK: usize = 16 * 1024 * 1024;

impl Server {
    /// Listens on every address and starts the workers.
    ///
    /// # Errors
    /// An address that cannot be listened on.
    pub fn start(options: Options, shared: Arc<Shared>) -> Result<Self, ServerError> {
        let count = match options.workers {
            0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            count => count,
        };
        let mut addresses = Vec::new();
        let mut sockets: Vec<Vec<StdListener>> = (0..count).map(|_| Vec::new()).collect();
        for text in &options.listen {
            let failed = |error| ServerError::Listen { address: text.clone(), error };
            for address in text.to_socket_addrs().map_err(failed)? {
                // The first gives the port to the others.
                let mut bound = address;
                for worker in &mut sockets {
                    let listener = listen(bound).map_err(failed)?;
                    bound = listener.local_addr().map_err(failed)?;
                    worker.push(listener);
                }
                addresses.push(bound);
            }
        }
        let (shutdown, stopped) = watch::channel(false);
        let sessions = SessionLimits {
            all: options.max_connections,
            per_login: options.max_connections_per_login,
            per_address: options.max_connections_per_address,
        };
        let gate = Arc::new(Gate::new(options.limits, sessions));
        let options = Arc::new(options);
        let mut workers = Vec::new();
        for (number, listeners) in sockets.into_iter().enumerate() {
            let worker = Worker {
                options: Arc::clone(&options),
                shared: Arc::clone(&shared),
                shutdown: stopped.clone(),
                gate: Arc::clone(&gate),
                pool: Pool::default(),
            };
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(ServerError::Worker)?;
            let thread = std::thread::Builder::new()
                .name(format!("worker-{number}"))
                .stack_size(WORKER_STACK)
                .spawn(move || runtime.block_on(Arc::new(worker).serve(listeners)))
                .map_err(ServerError::Worker)?;
            workers.push(thread);
        }
        Ok(Self { addresses, shutdown, workers })
    }

    /// Where it listens.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Tells every session that the proxy shuts down (57P01), and waits until they have ended. Blocks for at most some
    /// seconds.
    pub fn stop(self) {
        self.shutdown.send_replace(true);
        for worker in self.workers {
            if worker.join().is_err() {
                tracing::error!("a worker panicked");
            }
        }
    }
}

fn listen(address: SocketAddr) -> io::Result<StdListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

impl Worker {
    async fn serve(self: Arc<Self>, listeners: Vec<StdListener>) {
        let mut accepting = JoinSet::new();
        for listener in listeners {
            match TcpListener::from_std(listener) {
                Ok(listener) => drop(accepting.spawn(Arc::clone(&self).accept(listener))),
                Err(error) => tracing::error!(%error, "a listening socket cannot be used"),
            }
        }
        while accepting.join_next().await.is_some() {}
    }

    async fn accept(self: Arc<Self>, listener: TcpListener) {
        let mut sessions = JoinSet::new();
        let mut shutdown = self.shutdown.clone();
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, from)) => {
                        let _ = stream.set_nodelay(true);
                        let worker = Arc::clone(&self);
                        sessions.spawn(async move {
                            worker.connection(Box::new(stream), from).await;
                        });
                    }
                    Err(error) => {
                        // Out of file descriptors, mostly: those that are open go on.
                        tracing::error!(%error, "a connection cannot be accepted");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                },
                Some(_) = sessions.join_next() => {}
                () = stopped(&mut shutdown) => break,
            }
        }
        drop(listener);
        let ended = async { while sessions.join_next().await.is_some() {} };
        if tokio::time::timeout(GRACE, ended).await.is_err() {
            tracing::warn!("sessions that did not end in time were cut off");
        }
    }

    async fn connection(self: Arc<Self>, io: Box<dyn crate::wire::Io>, from: SocketAddr) {
        let pending = self.gate.enter(from.ip());
        let mut shutdown = self.shutdown.clone();
        let mut attempt = Attempt::new(from);
        // On the heap, so that a session does not keep the room of its login.
        let starting = Box::pin(tokio::time::timeout(self.options.login_timeout, self.begin(io, from, &mut attempt)));
        // Neither is answered: an answer would cost as much as the login.
        let (session, cut) = tokio::select! {
            session = starting => match session {
                Ok(session) => (session, None),
                Err(_) => (None, Some(("57014", "the login was not finished in time"))),
            },
            () = pending.ended() => (None, Some(("53300", "the connection had not logged in, and made room for others"))),
            () = stopped(&mut shutdown) => (None, None),
        };
        drop(pending);
        if let Some((sqlstate, reason)) = cut {
            attempt.refused(&self.shared, sqlstate, reason);
        }
        if let Some((session, _seat)) = session {
            session.run(shutdown).await;
        }
    }

    /// Start-up and login; the client was told where there is no session.
    async fn begin(
        &self,
        io: Box<dyn crate::wire::Io>,
        from: SocketAddr,
        attempt: &mut Attempt,
    ) -> Option<(Box<Session>, Seat)> {
        let mut link = Some(Link::new(io, self.pool.clone()).secret());
        let (startup, tls) = match negotiate(&mut link, self.options.tls.as_ref(), &self.shared).await {
            Ok(startup) => startup,
            Err(why) => {
                match &why {
                    NoSession::Refused(refusal) => {
                        attempt.refused(&self.shared, refusal.sqlstate.as_str(), &refusal.message);
                    }
                    NoSession::Handshake(error) => attempt.refused(&self.shared, "08P01", error),
                    NoSession::Silent | NoSession::Failed(..) | NoSession::Told(_) => {}
                }
                tell(link.as_mut()?, &why).await;
                return None;
            }
        };
        let mut client = link?;
        if self.gate.is_full() {
            let refusal = too_many();
            attempt.names(&startup);
            attempt.refused(&self.shared, refusal.sqlstate.as_str(), &refusal.message);
            say(&mut client, &refusal).await;
            return None;
        }
        let peer = Peer { from, tls, gate: &self.gate };
        match login(client, &startup, &peer, &self.options, &self.shared, &self.pool, attempt).await {
            Ok((login, seat)) => Some((Box::new(Session::new(Arc::clone(&self.shared), login)), seat)),
            Err((mut client, why)) => {
                tell(&mut client, &why).await;
                None
            }
        }
    }
}

async fn tell(client: &mut Link, why: &NoSession) {
    match why {
        NoSession::Silent | NoSession::Handshake(_) => {}
        NoSession::Refused(refusal) | NoSession::Failed(refusal, _) => say(client, refusal).await,
        NoSession::Told(fields) => {
            fields.encode(b'E', &mut client.out);
            let _ = client.close().await;
        }
    }
}
