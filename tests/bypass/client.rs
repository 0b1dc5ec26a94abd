//! A raw session: everything that comes back is kept.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::time::Duration;

pub struct Session {
    pub stream: TcpStream,
    /// Every byte received, the headers left out.
    pub all: Vec<u8>,
    /// Process id and secret, for a cancel request.
    pub key: Vec<u8>,
    port: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    pub states: Vec<String>,
    pub messages: Vec<String>,
    /// Schema, table, column and constraint that errors name.
    pub names: Vec<String>,
    pub rows: Vec<String>,
    pub tags: Vec<String>,
    pub closed: bool,
}

impl Session {
    pub fn connect(port: u16) -> Self {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Self { stream, all: Vec::new(), key: Vec::new(), port }
    }

    pub fn open(port: u16, login: &str, more: &[(&str, &str)]) -> (Self, Answer) {
        let mut session = Self::connect(port);
        session.start(login, more);
        let answer = session.until_ready();
        (session, answer)
    }

    /// Sends the start-up message; the database is `shop` unless another is named.
    pub fn start(&mut self, login: &str, more: &[(&str, &str)]) {
        let mut body = 196_608_u32.to_be_bytes().to_vec();
        let mut parameters = vec![("user", login)];
        if !more.iter().any(|(name, _)| *name == "database") {
            parameters.push(("database", "shop"));
        }
        parameters.extend_from_slice(more);
        for (name, value) in parameters {
            body.extend(format!("{name}\0{value}\0").bytes());
        }
        body.push(0);
        let mut bytes = (body.len() as u32 + 4).to_be_bytes().to_vec();
        bytes.extend(body);
        self.stream.write_all(&bytes).unwrap();
    }

    pub fn send(&mut self, bytes: &[u8]) -> Answer {
        if self.stream.write_all(bytes).is_err() {
            return Answer { closed: true, ..Answer::default() };
        }
        self.until_ready()
    }

    pub fn query(&mut self, sql: &str) -> Answer {
        self.send(&message(b'Q', &[sql.as_bytes(), b"\0"].concat()))
    }

    /// A cancel request with this session's key, on a connection of its own.
    pub fn cancel(&self) {
        let mut bytes = (self.key.len() as u32 + 8).to_be_bytes().to_vec();
        bytes.extend(80_877_102_u32.to_be_bytes());
        bytes.extend(&self.key);
        let mut other = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).unwrap();
        other.write_all(&bytes).unwrap();
        let _ = other.shutdown(Shutdown::Write);
        let _ = other.read_to_end(&mut Vec::new());
    }

    /// The next message, kept.
    pub fn receive(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut header = [0; 5];
        self.stream.read_exact(&mut header).ok()?;
        let mut body = vec![0; u32::from_be_bytes(header[1..].try_into().unwrap()) as usize - 4];
        self.stream.read_exact(&mut body).ok()?;
        self.all.extend_from_slice(&body);
        self.all.push(0);
        if header[0] == b'K' {
            self.key.clone_from(&body);
        }
        Some((header[0], body))
    }

    pub fn until_ready(&mut self) -> Answer {
        let mut answer = Answer::default();
        loop {
            let Some((tag, body)) = self.receive() else {
                answer.closed = true;
                return answer;
            };
            match tag {
                b'Z' => return answer,
                b'E' => {
                    answer.states.push(field(&body, b'C'));
                    answer.messages.push(field(&body, b'M'));
                    answer.names.push(b"stcn".map(|code| field(&body, code)).join("."));
                }
                b'D' => answer.rows.push(row(&body)),
                b'd' => answer.rows.push(String::from_utf8_lossy(&body).trim_end_matches('\n').to_owned()),
                b'C' => answer.tags.push(String::from_utf8_lossy(&body[..body.len() - 1]).into_owned()),
                b'G' => {
                    let done = [message(b'd', b"1\tx\n"), message(b'c', b"")].concat();
                    self.stream.write_all(&done).unwrap();
                }
                _ => {}
            }
        }
    }
}

/// A DataRow's values, NULL as `∅`, bytes that are no text in hex.
pub fn row(body: &[u8]) -> String {
    let mut values = Vec::new();
    let mut rest = &body[2..];
    while !rest.is_empty() {
        let length = i32::from_be_bytes(rest[..4].try_into().unwrap());
        rest = &rest[4..];
        match usize::try_from(length) {
            Ok(length) => {
                let value = &rest[..length];
                let binary = value.iter().any(|byte| *byte < 9) || std::str::from_utf8(value).is_err();
                values.push(if binary { hex(value) } else { String::from_utf8_lossy(value).into_owned() });
                rest = &rest[length..];
            }
            Err(_) => values.push("∅".to_owned()),
        }
    }
    values.join("|")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold("x".to_owned(), |out, byte| format!("{out}{byte:02x}"))
}

pub fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    out.extend((body.len() as u32 + 4).to_be_bytes());
    out.extend(body);
    out
}

/// A field of an ErrorResponse or NoticeResponse.
pub fn field(body: &[u8], code: u8) -> String {
    body.split(|byte| *byte == 0)
        .find(|field| field.first() == Some(&code))
        .map(|field| String::from_utf8_lossy(&field[1..]).into_owned())
        .unwrap_or_default()
}
