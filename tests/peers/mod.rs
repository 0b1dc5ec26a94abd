//! Peers that speak PostgreSQL's protocol by pgwire's messages: a client, and a server that says what it is told to. What the proxy
//! writes is read by them, and what they write by the proxy, so that both ends are not our own code.

#![allow(unreachable_pub)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use bytes::BytesMut;
pub use pgwire::messages::PgWireBackendMessage as Answer;
pub use pgwire::messages::PgWireFrontendMessage as Asked;
use pgwire::messages::data::{DataRow, FieldDescription, RowDescription};
use pgwire::messages::response::{CommandComplete, ReadyForQuery, TransactionStatus};
use pgwire::messages::startup::{Authentication, BackendKeyData, ParameterStatus, SecretKey, Startup};
use pgwire::messages::{DecodeContext, ProtocolVersion};

/// Text of type `text` has this oid.
const TEXT: u32 = 25;

fn past_login() -> DecodeContext {
    let mut context = DecodeContext::new(ProtocolVersion::PROTOCOL3_0);
    (context.awaiting_frontend_ssl, context.awaiting_frontend_startup) = (false, false);
    context
}

/// A client.
pub struct Client {
    stream: TcpStream,
    bytes: BytesMut,
    context: DecodeContext,
}

impl Client {
    /// Logs in without a password; gives what came until ReadyForQuery, or the end.
    pub fn connect(address: SocketAddr, user: &str) -> (Self, Vec<Answer>) {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut client = Self { stream, bytes: BytesMut::new(), context: past_login() };
        let mut startup = Startup::new();
        for (name, value) in [("user", user), ("database", "postgres"), ("client_encoding", "UTF8")] {
            startup.parameters.insert(name.to_owned(), value.to_owned());
        }
        client.send(&[Asked::Startup(startup)]);
        let came = client.until_ready();
        (client, came)
    }

    pub fn send(&mut self, messages: &[Asked]) {
        let mut out = BytesMut::new();
        messages.iter().for_each(|message| message.encode(&mut out).unwrap());
        self.stream.write_all(&out).unwrap();
    }

    /// What comes until ReadyForQuery, or the end of the connection.
    pub fn until_ready(&mut self) -> Vec<Answer> {
        let mut came = Vec::new();
        loop {
            while let Some(answer) = Answer::decode(&mut self.bytes, &self.context).unwrap() {
                let ready = matches!(answer, Answer::ReadyForQuery(_));
                came.push(answer);
                if ready {
                    return came;
                }
            }
            let mut part = [0; 4096];
            match self.stream.read(&mut part) {
                Ok(0) | Err(_) => return came,
                Ok(count) => self.bytes.extend_from_slice(&part[..count]),
            }
        }
    }
}

/// What a server was asked, in order; the login is none of it.
pub type Heard = Arc<Mutex<Vec<String>>>;

/// A server that takes everybody in, and answers each message as it is told to.
pub fn serve(answers: impl Fn(&Asked) -> Vec<Answer> + Send + Sync + 'static) -> (SocketAddr, Heard) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (heard, answers) = (Heard::default(), Arc::new(answers));
    let hears = Arc::clone(&heard);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (answers, heard) = (Arc::clone(&answers), Arc::clone(&hears));
            thread::spawn(move || session(stream.unwrap(), &*answers, &heard));
        }
    });
    (address, heard)
}

fn session(mut stream: TcpStream, answers: &dyn Fn(&Asked) -> Vec<Answer>, heard: &Heard) {
    let (mut bytes, mut context) = (BytesMut::new(), DecodeContext::new(ProtocolVersion::PROTOCOL3_0));
    loop {
        while let Ok(Some(asked)) = Asked::decode(&mut bytes, &context) {
            let said = match &asked {
                Asked::SslNegotiation(_) => {
                    context.awaiting_frontend_ssl = false;
                    Vec::new()
                }
                Asked::Startup(_) => {
                    context.awaiting_frontend_startup = false;
                    greeting()
                }
                Asked::Terminate(_) => return,
                Asked::Query(query) if query.query.contains("search_path") => rows(&["search_path"], &[&["public"]]),
                asked => {
                    heard.lock().unwrap().push(format!("{asked:?}"));
                    answers(asked)
                }
            };
            let mut out = BytesMut::new();
            said.iter().for_each(|answer| answer.encode(&mut out).unwrap());
            if stream.write_all(&out).is_err() {
                return;
            }
        }
        let mut part = [0; 4096];
        match stream.read(&mut part) {
            Ok(0) | Err(_) => return,
            Ok(count) => bytes.extend_from_slice(&part[..count]),
        }
    }
}

fn greeting() -> Vec<Answer> {
    let mut said = vec![Answer::Authentication(Authentication::Ok)];
    for (name, value) in [
        ("server_version", "16.4"),
        ("server_encoding", "UTF8"),
        ("client_encoding", "UTF8"),
        ("standard_conforming_strings", "on"),
        ("DateStyle", "ISO, MDY"),
        ("TimeZone", "Etc/UTC"),
        ("integer_datetimes", "on"),
        ("IntervalStyle", "postgres"),
    ] {
        said.push(Answer::ParameterStatus(ParameterStatus::new(name.to_owned(), value.to_owned())));
    }
    said.push(Answer::BackendKeyData(BackendKeyData::new(7, SecretKey::I32(11))));
    said.push(ready());
    said
}

pub fn ready() -> Answer {
    Answer::ReadyForQuery(ReadyForQuery::new(TransactionStatus::Idle))
}

/// A RowDescription of columns that are of no table, or of this one: its oid, and the number of the first.
pub fn described(names: &[&str], (table, first): (i32, i16)) -> Answer {
    let number = |at: usize| if table == 0 { 0 } else { first + i16::try_from(at).unwrap() };
    let field =
        |(at, name): (usize, &&str)| FieldDescription::new((*name).to_owned(), table, number(at), TEXT, -1, -1, 0);
    Answer::RowDescription(RowDescription::new(names.iter().enumerate().map(field).collect()))
}

pub fn row(values: &[&str]) -> Answer {
    let mut data = BytesMut::new();
    for value in values {
        data.extend_from_slice(&i32::try_from(value.len()).unwrap().to_be_bytes());
        data.extend_from_slice(value.as_bytes());
    }
    Answer::DataRow(DataRow::new(data, i16::try_from(values.len()).unwrap()))
}

pub fn complete(tag: &str) -> Answer {
    Answer::CommandComplete(CommandComplete::new(tag.to_owned()))
}

/// The whole answer to a simple query.
pub fn rows(names: &[&str], values: &[&[&str]]) -> Vec<Answer> {
    let mut said = vec![described(names, (0, 0))];
    said.extend(values.iter().map(|values| row(values)));
    said.extend([complete(&format!("SELECT {}", values.len())), ready()]);
    said
}
