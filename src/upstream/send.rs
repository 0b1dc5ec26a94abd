//! What may be sent to the database.
//!
//! INVARIANT I1: What runs is what was decided: a statement's text comes from `Audited<Decided>` alone, never from the client's bytes.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::BufMut;

use super::later::Later;
use super::{Address, CancelTarget, UpstreamTls};
use crate::audit::Audited;
use crate::catalog::{Question, plain_query, quote_ident, seen_query, within_query};
use crate::sql::{Enforced, in_ascii};
use crate::wire::frontend::{Parse, Target};
use crate::wire::{HEADER, Header, Link, frame, put_cstr, startup};

/// A statement that was decided.
pub type Decided = Arc<Enforced>;

/// A run that was begun: its record is spent. What it has left may be read on; no other run can be begun with it.
#[derive(Debug)]
pub struct Begun {
    _run: Audited<Decided>,
}

/// Proof that a statement of no text was prepared: only [`Upstream::parse_empty`] makes one. Running it reads nothing, so that it has
/// no record.
#[derive(Debug)]
pub struct NoText(());

/// A prepared statement that never exists: describing it fails, and fails the transaction, without any SQL. Names that
/// begin so are not accepted from clients.
pub const REFUSED_STATEMENT: &str = "pgpurpose.refused";

/// What statements begin with that the proxy prepares in place of a client's, so that it can read their rows in parts; the name of
/// the portal follows.
pub const OWN_STATEMENT: &str = "pgpurpose.later.";

/// The statement and the portal of what the proxy itself asks about rows.
const ASKED: &str = "pgpurpose.asked";

/// What stands between two statements of one message: on a line of its own, for a line comment at the end of a statement must not
/// hide the next one.
pub const SEPARATOR: &str = "\n;";

/// The one query of the proxy's own on a client's connection.
const READ_SEARCH_PATH: &str = "SELECT pg_catalog.current_setting('search_path')";

/// With nothing but `pg_catalog` before it in the path, no type, function or operator that the proxy's query names is a user's.
/// The planner thinks the query dear: to compile it takes the server a hundred times as long as to run it, and to plan it anew
/// each time some five times. A client that gives its own statements little time gives this one no less: without an answer the session ends.
const SET_PATH_ASIDE: &str = "SELECT pg_catalog.set_config('pgpurpose.path', pg_catalog.current_setting('search_path'), true), \
     pg_catalog.set_config('pgpurpose.jit', pg_catalog.current_setting('jit'), true), \
     pg_catalog.set_config('pgpurpose.plan', pg_catalog.current_setting('plan_cache_mode'), true), \
     pg_catalog.set_config('pgpurpose.timeout', pg_catalog.current_setting('statement_timeout'), true), \
     pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true), pg_catalog.set_config('jit', 'off', true), \
     pg_catalog.set_config('statement_timeout', '0', true), \
     pg_catalog.set_config('plan_cache_mode', 'force_generic_plan', true)";

/// Until the transaction ends, as the settings were before.
const PUT_PATH_BACK: &str = "SELECT pg_catalog.set_config('search_path', pg_catalog.current_setting('pgpurpose.path'), true), \
     pg_catalog.set_config('jit', pg_catalog.current_setting('pgpurpose.jit'), true), \
     pg_catalog.set_config('statement_timeout', pg_catalog.current_setting('pgpurpose.timeout'), true), \
     pg_catalog.set_config('plan_cache_mode', pg_catalog.current_setting('pgpurpose.plan'), true)";

/// Every message that is no statement: none of them holds SQL, and what they run was decided and logged before.
#[derive(Debug, Clone, Copy)]
pub enum Control<'a> {
    /// Sync.
    Sync,
    /// Flush.
    Flush,
    /// Terminate.
    Terminate,
    /// Describe.
    Describe(Target, &'a str),
    /// Close.
    Close(Target, &'a str),
    /// The start of a Bind: its names, and how many bytes follow through [`Upstream::body`].
    Bind {
        /// The portal.
        portal: &'a str,
        /// The statement, which was sent as [`Upstream::parse`].
        statement: &'a str,
        /// Bytes that follow.
        rest: usize,
    },
    /// The start of a CopyData, and how many bytes follow through [`Upstream::body`].
    CopyData {
        /// Bytes that follow.
        rest: usize,
    },
    /// CopyDone.
    CopyDone,
    /// CopyFail with the proxy's own words.
    CopyFail,
    /// A simple query of no text: answered by EmptyQueryResponse.
    EmptyQuery,
    /// A message that always fails, so that the database's transaction fails as the client is told it did.
    Refuse,
    /// Sets the settings of [`Upstream::keep`], with no Sync. Its answer ends with [`super::SETTINGS_CLOSED`] CloseComplete.
    Settings,
    /// Asks for the effective search path.
    ReadSearchPath,
    /// Asks what has changed in the catalogs since a transaction, as the session sees it. Three statements: the search path is
    /// set aside, so that no name means what a user made; what has changed is read; the path is put back.
    ReadStructure {
        /// What is asked.
        about: Structural<'a>,
        /// The database has the statements about the path.
        path: bool,
        /// It has that which asks.
        prepared: bool,
    },
    /// The answer of the client to a request for authentication.
    Authentication(&'a [u8]),
}

/// What is asked about the structure.
#[derive(Debug, Clone, Copy)]
pub enum Structural<'a> {
    /// All that has changed since a transaction, by its number.
    Changed(u32),
    /// A part.
    Part(&'a Question),
}

/// What TLS gives to a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Secured {
    /// `tls-server-end-point` of the server's certificate, where it has one.
    pub(super) end_point: Option<Vec<u8>>,
}

/// A connection to the database.
pub struct Upstream {
    link: Link,
    address: Address,
    tls: UpstreamTls,
    secured: Option<Secured>,
    /// Bytes of the body of the last Bind or CopyData that are still to come.
    open: usize,
    /// What a pooler did not take at start-up.
    later: Option<Box<Later>>,
    /// Texts are written in ASCII alone: the database may read them in another encoding than UTF-8.
    ascii: bool,
}

impl Upstream {
    pub(super) fn new(link: Link, address: Address, tls: UpstreamTls, secured: Option<Secured>) -> Self {
        Self { link, address, tls, secured, open: 0, later: None, ascii: false }
    }

    /// Over a stream that is already there.
    pub fn over(link: Link, address: Address) -> Self {
        Self::new(link, address, UpstreamTls::disabled(), None)
    }

    /// Whether TLS protects the connection.
    pub fn is_encrypted(&self) -> bool {
        self.secured.is_some()
    }

    /// Whether its address or its certificate shows that it is the configured database: a Unix socket, this machine, or TLS
    /// with a certificate that was checked.
    pub fn is_known(&self) -> bool {
        self.address.is_here() || self.secured.is_some() && self.tls.is_verified()
    }

    /// What a login on this connection is bound to: `tls-server-end-point`. `None` without TLS, and where the certificate
    /// has none.
    pub fn end_point(&self) -> Option<&[u8]> {
        self.secured.as_ref()?.end_point.as_deref()
    }

    /// Where the server is.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Where to cancel what runs on this connection.
    pub fn cancel_target(&self, pid: u32, secret: &[u8]) -> CancelTarget {
        CancelTarget::new(self.address.clone(), self.tls.clone(), pid, secret)
    }

    /// Keeps settings that a pooler does not take at start-up, for [`Control::Settings`].
    pub fn keep<'a>(&mut self, settings: impl IntoIterator<Item = (&'a str, &'a str)>) {
        self.later = Some(Box::new(Later::new(settings)));
    }

    /// Whether it has such settings.
    pub fn keeps_settings(&self) -> bool {
        self.later.is_some()
    }

    /// The login is over: what comes and goes now is not wiped.
    pub fn logged_in(&mut self) {
        self.link.no_longer_secret();
    }

    /// Begins a session of the proxy's own making.
    pub fn start<'a>(&mut self, parameters: impl IntoIterator<Item = (&'a str, &'a str)>) {
        self.link.out.put_slice(&startup::startup_message(parameters));
    }

    /// A simple query of one or more statements, in one message, so that they share PostgreSQL's implicit transaction. Their records
    /// are spent.
    pub fn query(&mut self, batch: impl IntoIterator<Item = Audited<Decided>>) {
        let ascii = &mut self.ascii;
        frame(&mut self.link.out, b'Q', |body| {
            for (position, statement) in batch.into_iter().enumerate() {
                if position > 0 {
                    body.put_slice(SEPARATOR.as_bytes());
                }
                body.put_slice(written(ascii, statement.get().text()).as_bytes());
            }
            body.put_u8(0);
        });
    }

    /// From here on texts are written in ASCII alone, so that they mean the same in whatever encoding the database reads them.
    pub fn write_in_ascii(&mut self) {
        self.ascii = true;
    }

    /// Prepares a statement. `types` are the count and oids of the parameters' types.
    pub fn parse(&mut self, name: &str, statement: &Audited<Decided>, types: &[u8]) {
        let sql = written(&mut self.ascii, statement.get().text());
        Parse { name, sql: &sql, types }.encode(&mut self.link.out);
    }

    /// Prepares a statement of no text.
    pub fn parse_empty(&mut self, name: &str) -> NoText {
        Parse { name, sql: "", types: &[0, 0] }.encode(&mut self.link.out);
        NoText(())
    }

    /// Runs a portal of a statement that stands in the log. The record is spent: it stands for this run alone.
    ///
    /// INVARIANT I3: A run takes its record by value, so that no second one goes under it.
    pub fn execute(&mut self, run: Audited<Decided>, portal: &str, rows: i32) -> Begun {
        self.put_execute(portal, rows);
        Begun { _run: run }
    }

    /// Reads more rows of a portal that a run began to read.
    pub fn read_on(&mut self, _run: &Begun, portal: &str, rows: i32) {
        self.put_execute(portal, rows);
    }

    /// Asks about rows of a run that were opened earlier: keys go to one of its statement's own queries, as the text of an array.
    /// Answered by CloseComplete, ParseComplete, BindComplete, rows, CommandComplete and two CloseComplete.
    pub fn recheck(&mut self, _run: &Begun, of: &Enforced, query: usize, keys: &[u8]) {
        let Some(sql) = of.recheck().queries.get(query) else { return };
        // One type, `text[]`; one value, its length before it; all formats as text.
        let length = u32::try_from(keys.len()).unwrap_or(u32::MAX).to_be_bytes();
        let values = [&[0, 0, 0, 1], &length[..], keys, &[0, 0]].concat();
        self.ask(sql, &[0, 1, 0, 0, 0x03, 0xf1], &values);
    }

    /// Reads so many more rows of a cursor for a run that read from it, forward or backward. Answered as [`Self::recheck`].
    pub fn fetch_more(&mut self, _run: &Begun, cursor: &str, (forward, rows): (bool, u64), formats: &[u8]) {
        let way = if forward { "FORWARD" } else { "BACKWARD" };
        let sql = format!("FETCH {way} {rows} FROM {}", quote_ident(cursor));
        let formats = if formats.is_empty() { &[0, 0] } else { formats };
        self.ask(&sql, &[0, 0], &[&[0, 0, 0, 0], formats].concat());
    }

    fn ask(&mut self, sql: &str, types: &[u8], values: &[u8]) {
        // What an error left behind is closed first.
        self.control(Control::Close(Target::Statement, ASKED));
        let out = &mut self.link.out;
        Parse { name: ASKED, sql, types }.encode(out);
        frame(out, b'B', |body| {
            put_cstr(body, ASKED);
            put_cstr(body, ASKED);
            body.put_slice(values);
        });
        self.put_execute(ASKED, 0);
        self.control(Control::Close(Target::Portal, ASKED));
        self.control(Control::Close(Target::Statement, ASKED));
    }

    /// Runs a portal of a statement of no text.
    pub fn execute_empty(&mut self, _statement: &NoText, portal: &str) {
        self.put_execute(portal, 0);
    }

    fn put_execute(&mut self, portal: &str, rows: i32) {
        frame(&mut self.link.out, b'E', |body| {
            put_cstr(body, portal);
            body.put_i32(rows);
        });
    }

    /// Sends a control message.
    pub fn control(&mut self, control: Control<'_>) {
        let out = &mut self.link.out;
        match control {
            Control::Sync => frame(out, b'S', |_| ()),
            Control::Flush => frame(out, b'H', |_| ()),
            Control::Terminate => frame(out, b'X', |_| ()),
            Control::Describe(target, name) => frame(out, b'D', |body| {
                body.put_u8(target.byte());
                put_cstr(body, name);
            }),
            Control::Close(target, name) => frame(out, b'C', |body| {
                body.put_u8(target.byte());
                put_cstr(body, name);
            }),
            Control::Bind { portal, statement, rest } => {
                let names = portal.len().saturating_add(statement.len()).saturating_add(2);
                out.put_slice(&Header { tag: b'B', body: names.saturating_add(rest) }.encode());
                put_cstr(out, portal);
                put_cstr(out, statement);
                self.open = rest;
            }
            Control::CopyData { rest } => {
                out.put_slice(&Header { tag: b'd', body: rest }.encode());
                self.open = rest;
            }
            Control::CopyDone => frame(out, b'c', |_| ()),
            Control::CopyFail => frame(out, b'f', |body| put_cstr(body, "the client ended the copy")),
            Control::EmptyQuery => frame(out, b'Q', |body| body.put_u8(0)),
            Control::Refuse => frame(out, b'D', |body| {
                body.put_u8(Target::Statement.byte());
                put_cstr(body, REFUSED_STATEMENT);
            }),
            Control::Settings => {
                if let Some(later) = &self.later {
                    later.put(out);
                    self.link.secret_until_written();
                }
            }
            Control::ReadSearchPath => frame(out, b'Q', |body| put_cstr(body, READ_SEARCH_PATH)),
            Control::ReadStructure { about, path, prepared } => self.put_structure(about, path, prepared),
            Control::Authentication(answer) => frame(out, b'p', |body| body.put_slice(answer)),
        }
    }

    fn put_structure(&mut self, about: Structural<'_>, path: bool, prepared: bool) {
        let out = &mut self.link.out;
        let (name, sql, value) = match about {
            Structural::Changed(since) => ("pgpurpose.changed", seen_query(), since.to_string()),
            Structural::Part(question) if question.within => {
                ("pgpurpose.within", within_query(), question.about.clone())
            }
            Structural::Part(question) => ("pgpurpose.plain", plain_query(), question.about.clone()),
        };
        let statements = [
            ("pgpurpose.path", SET_PATH_ASIDE, None, path),
            (name, sql, Some(value.as_str()), prepared),
            ("pgpurpose.restore", PUT_PATH_BACK, None, path),
        ];
        // A statement of that name may be there all the same: DISCARD ALL and DEALLOCATE ALL may fail.
        for (name, ..) in statements.iter().filter(|(.., prepared)| !prepared) {
            frame(out, b'C', |body| {
                body.put_u8(Target::Statement.byte());
                put_cstr(body, name);
            });
        }
        for (name, sql, value, prepared) in statements {
            if !prepared {
                Parse { name, sql, types: &[0, 0] }.encode(out);
            }
            frame(out, b'B', |body| {
                put_cstr(body, name);
                put_cstr(body, name);
                // Formats of values; values; formats of results: all as text.
                body.put_u16(0);
                body.put_u16(value.is_some().into());
                if let Some(value) = value {
                    body.put_u32(u32::try_from(value.len()).unwrap_or_default());
                    body.put_slice(value.as_bytes());
                }
                body.put_u16(0);
            });
            frame(out, b'E', |body| {
                put_cstr(body, name);
                body.put_u32(0);
            });
            frame(out, b'C', |body| {
                body.put_u8(Target::Portal.byte());
                put_cstr(body, name);
            });
        }
    }

    /// Bytes of the Bind or CopyData that was begun last: never more than it announced. Gives how many were taken.
    pub fn body(&mut self, bytes: &[u8]) -> usize {
        let count = bytes.len().min(self.open);
        self.link.out.put_slice(bytes.get(..count).unwrap_or_default());
        self.open -= count;
        count
    }

    /// Bytes of the Bind or CopyData that was begun last that are still to come.
    pub fn owed(&self) -> usize {
        self.open
    }

    /// How many bytes wait to be written.
    pub fn waiting(&self) -> usize {
        self.link.out.len()
    }

    /// Forgets what waits: the database takes no more.
    pub fn abandon_output(&mut self) {
        self.link.out.clear();
    }

    /// What the database sent and nobody handled yet.
    pub fn input(&self) -> &[u8] {
        self.link.input()
    }

    /// Marks bytes of the input as handled.
    pub fn consume(&mut self, count: usize) {
        self.link.consume(count);
    }

    /// Whether the database has ended the connection.
    pub fn is_closed(&self) -> bool {
        self.link.is_closed()
    }

    /// As [`Link::poll_fill`].
    ///
    /// # Errors
    /// Those of the stream.
    pub fn poll_fill(&mut self, cx: &mut Context<'_>, need: usize) -> Poll<io::Result<usize>> {
        self.link.poll_fill(cx, need)
    }

    /// As [`Link::poll_drain`].
    ///
    /// # Errors
    /// Those of the stream.
    pub fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.link.poll_drain(cx)
    }

    /// Waits for a whole message of at most `limit` bytes of body.
    ///
    /// # Errors
    /// Those of the stream, its end, or a longer message.
    pub async fn message(&mut self, limit: usize) -> io::Result<Header> {
        loop {
            let header = Header::read(self.link.input()).map_err(io::Error::other)?;
            match header {
                Some(header) if header.body > limit => return Err(io::ErrorKind::InvalidData.into()),
                Some(header) if self.link.input().len() >= header.total() => return Ok(header),
                Some(header) => self.link.fill(header.total()).await?,
                None => self.link.fill(HEADER).await?,
            }
        }
    }

    /// Waits until everything is written.
    ///
    /// # Errors
    /// Those of the stream.
    pub async fn drain(&mut self) -> io::Result<()> {
        self.link.drain().await
    }

    /// Says goodbye and closes.
    ///
    /// # Errors
    /// Those of the stream.
    pub async fn close(&mut self) -> io::Result<()> {
        if self.open == 0 {
            self.control(Control::Terminate);
        }
        self.link.close().await
    }
}

/// A text as it is written. One that may set another encoding is the last that may be more than ASCII: what is sent behind it may be read
/// in that encoding.
fn written<'a>(ascii: &mut bool, text: &'a str) -> Cow<'a, str> {
    let sent = if *ascii { in_ascii(text).unwrap_or(Cow::Borrowed(NOT_ASCII)) } else { Cow::Borrowed(text) };
    let sets = |word: &str| memchr::memmem::find(text.as_bytes(), word.as_bytes()).is_some();
    *ascii |= sets("client_encoding") || sets("set_config") || text.starts_with("SET ") && sets("names");
    sent
}

/// What is sent instead of a text that has no form in ASCII: a syntax error.
const NOT_ASCII: &str = "this text has no form in ASCII";
