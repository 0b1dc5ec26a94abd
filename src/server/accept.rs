//! Listening sockets, workers, and the end of both.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener, ToSocketAddrs};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::gate::{Gate, Seat, SessionLimits};
use super::login::login;
use super::peer::{Attempt, Peer, too_many};
use super::prove::Method;
use super::startup::{NoSession, negotiate, say};
use super::tls::ListenTls;
use crate::config::{ClientCertificate, Limits};
use crate::session::{Session, Shared, Stop, leaving, stopped};
use crate::sql::TokenKey;
use crate::upstream::Servers;
use crate::wire::{Link, Pool};

/// How long sessions get to say goodbye once they are ended.
const GRACE: Duration = Duration::from_secs(5);
/// How often is looked whether the last has ended.
const LOOK: Duration = Duration::from_millis(20);
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
    /// Another process may listen on the same port, which it hands over.
    pub hand_over: bool,
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
            hand_over: false,
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
    /// Somebody listens there.
    #[error(
        "another process listens on `{0}`, and half of the connections would be its: stop it first, or start with `--hand-over` where \
         this one takes over from it"
    )]
    InUse(SocketAddr),
    /// A thread or runtime.
    #[error("cannot start a worker: {0}")]
    Worker(io::Error),
}

/// A running proxy. Dropping it stops it without grace; [`Server::stop`] tells sessions first.
#[derive(Debug)]
pub struct Server {
    addresses: Vec<SocketAddr>,
    shutdown: Arc<watch::Sender<Stop>>,
    workers: Vec<JoinHandle<()>>,
}

struct Worker {
    options: Arc<Options>,
    shared: Arc<Shared>,
    shutdown: watch::Receiver<Stop>,
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
                if !options.hand_over && is_taken(address) {
                    return Err(ServerError::InUse(address));
                }
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
        let (shutdown, stopped) = watch::channel(Stop::No);
        let shutdown = Arc::new(shutdown);
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

    /// What ends every session at once, also while [`Server::stop`] waits.
    pub fn hurry(&self) -> impl Fn() + Send + use<> {
        let shutdown = Arc::clone(&self.shutdown);
        move || {
            shutdown.send_replace(Stop::Now);
        }
    }

    /// Takes nobody new, ends the sessions that are at rest (57P01), lets the others finish what runs and the transaction that they are
    /// in for at most so long, and cancels the rest in the database. Blocks.
    pub fn stop(self, drain: Duration) {
        self.shutdown.send_if_modified(|stop| {
            let first = *stop == Stop::No;
            if first {
                *stop = Stop::Draining;
            }
            first
        });
        let begun = std::time::Instant::now();
        let serving = |workers: &[JoinHandle<()>]| workers.iter().any(|worker| !worker.is_finished());
        while serving(&self.workers) && begun.elapsed() < drain && *self.shutdown.borrow() != Stop::Now {
            std::thread::sleep(LOOK);
        }
        if serving(&self.workers) && *self.shutdown.borrow() != Stop::Now {
            tracing::warn!(seconds = drain.as_secs(), "what still runs is cancelled");
        }
        self.shutdown.send_replace(Stop::Now);
        for worker in self.workers {
            if worker.join().is_err() {
                tracing::error!("a worker panicked");
            }
        }
    }
}

/// Whether somebody listens there. A port that several share by SO_REUSEPORT is not given to one who does not ask for that.
fn is_taken(address: SocketAddr) -> bool {
    let bound = socket(address).and_then(|socket| socket.bind(&address.into()));
    address.port() != 0 && bound.is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse)
}

fn socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

fn listen(address: SocketAddr) -> io::Result<StdListener> {
    let socket = socket(address)?;
    socket.set_reuse_port(true)?;
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
        let mut stop = std::pin::pin!(stopped(self.shutdown.clone(), Stop::Draining));
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, from)) => self.take(stream, from, &mut sessions),
                    Err(error) => {
                        // Out of file descriptors, mostly: those that are open go on.
                        tracing::error!(%error, "a connection cannot be accepted");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                },
                Some(_) = sessions.join_next() => {}
                () = &mut stop => break,
            }
        }
        // Whoever stands in the queue has connected already, and would be reset with it.
        if let Ok(listener) = listener.into_std() {
            for _ in 0..BACKLOG {
                let Ok((stream, from)) = listener.accept() else { break };
                if stream.set_nonblocking(true).is_ok()
                    && let Ok(stream) = TcpStream::from_std(stream)
                {
                    self.take(stream, from, &mut sessions);
                }
            }
        }
        let mut ended = std::pin::pin!(async { while sessions.join_next().await.is_some() {} });
        tokio::select! {
            () = &mut ended => return,
            () = stopped(self.shutdown.clone(), Stop::Now) => {}
        }
        if tokio::time::timeout(GRACE, ended).await.is_err() {
            tracing::warn!("sessions that did not end in time were cut off");
        }
    }

    fn take(self: &Arc<Self>, stream: TcpStream, from: SocketAddr, sessions: &mut JoinSet<()>) {
        let _ = stream.set_nodelay(true);
        let worker = Arc::clone(self);
        sessions.spawn(async move {
            worker.connection(Box::new(stream), from).await;
        });
    }

    async fn connection(self: Arc<Self>, io: Box<dyn crate::wire::Io>, from: SocketAddr) {
        let pending = self.gate.enter(from.ip());
        let (shutdown, arrived) = (self.shutdown.clone(), std::time::Instant::now());
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
            () = leaving(shutdown.clone(), Stop::Draining, arrived) => (None, None),
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
