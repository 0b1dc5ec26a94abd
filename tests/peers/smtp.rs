//! A server that takes e-mail and keeps it: enough of RFC 5321, STARTTLS (RFC 3207) and AUTH PLAIN (RFC 4954) for one client.

#![allow(unreachable_pub, dead_code)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// One message as it came.
#[derive(Debug, Clone)]
pub struct Taken {
    /// Whom the envelope names.
    pub to: String,
    /// Headers and body.
    pub data: String,
    /// Whether it came in TLS.
    pub tls: bool,
    /// `login password` that were given.
    pub login: Option<String>,
}

/// How the server behaves.
#[derive(Clone, Default)]
pub struct Manner {
    /// Offers STARTTLS, or speaks TLS from the first byte.
    pub tls: Option<Arc<ServerConfig>>,
    pub implicit: bool,
    /// Says no to every recipient, and repeats the address as servers do.
    pub refuses: bool,
}

/// Where it listens, and what it has taken.
#[derive(Clone)]
pub struct Server {
    pub address: SocketAddr,
    pub taken: Arc<Mutex<Vec<Taken>>>,
}

impl Server {
    pub fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, taken) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
        let keeps = Arc::clone(&taken);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (manner, keeps) = (manner.clone(), Arc::clone(&keeps));
                thread::spawn(move || connection(stream, &manner, &keeps));
            }
        });
        Self { address, taken }
    }

    /// Waits until there are so many messages, and gives them all.
    #[track_caller]
    pub fn wait_for(&self, count: usize) -> Vec<Taken> {
        let begun = Instant::now();
        loop {
            let taken = self.taken.lock().unwrap().clone();
            if taken.len() >= count {
                return taken;
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "{} of {count} messages came", taken.len());
            thread::sleep(Duration::from_millis(20));
        }
    }
}

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

fn connection(stream: TcpStream, manner: &Manner, taken: &Mutex<Vec<Taken>>) {
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    match (&manner.tls, manner.implicit) {
        (Some(tls), true) => drop(talk(within(tls, stream), manner, taken, true)),
        (Some(tls), false) => {
            let clear = stream.try_clone().unwrap();
            if talk(Box::new(clear), manner, taken, false).is_some() {
                talk(within(tls, stream), manner, taken, true);
            }
        }
        (None, _) => drop(talk(Box::new(stream), manner, taken, false)),
    }
}

fn within(tls: &Arc<ServerConfig>, stream: TcpStream) -> Box<dyn Stream> {
    Box::new(StreamOwned::new(ServerConnection::new(Arc::clone(tls)).unwrap(), stream))
}

/// Until it ends; `Some` where the client went on to TLS.
fn talk(stream: Box<dyn Stream>, manner: &Manner, taken: &Mutex<Vec<Taken>>, tls: bool) -> Option<()> {
    let mut stream = BufReader::new(stream);
    let say = |stream: &mut BufReader<Box<dyn Stream>>, text: &str| {
        stream.get_mut().write_all(format!("{text}\r\n").as_bytes()).and_then(|()| stream.get_mut().flush()).ok()
    };
    let offers = manner.tls.is_some();
    if !tls || manner.implicit {
        say(&mut stream, "220 mail.example ESMTP")?;
    }
    let (mut to, mut login) = (String::new(), None);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_owned();
        match line.to_ascii_uppercase() {
            verb if verb.starts_with("EHLO") => {
                let more = if offers && !tls { "250-STARTTLS\r\n" } else { "" };
                say(&mut stream, &format!("250-mail.example\r\n{more}250-8BITMIME\r\n250 AUTH PLAIN"))?;
            }
            verb if verb == "STARTTLS" && offers && !tls => {
                say(&mut stream, "220 go ahead")?;
                return Some(());
            }
            verb if verb.starts_with("AUTH PLAIN") => {
                login = decoded(line.split(' ').nth(2)?);
                say(&mut stream, "235 welcome")?;
            }
            verb if verb.starts_with("MAIL FROM") => say(&mut stream, "250 ok")?,
            verb if verb.starts_with("RCPT TO") => {
                to = line.split(['<', '>']).nth(1)?.to_owned();
                let answer = if manner.refuses { format!("550 5.1.1 <{to}>: no such user") } else { "250 ok".into() };
                say(&mut stream, &answer)?;
            }
            verb if verb == "DATA" => {
                say(&mut stream, "354 go on")?;
                let mut data = String::new();
                loop {
                    let mut part = String::new();
                    stream.read_line(&mut part).ok()?;
                    if part == ".\r\n" {
                        break;
                    }
                    data.push_str(part.strip_prefix('.').unwrap_or(&part));
                }
                taken.lock().unwrap().push(Taken { to: to.clone(), data, tls, login: login.clone() });
                say(&mut stream, "250 taken")?;
            }
            verb if verb == "QUIT" => return say(&mut stream, "221 bye").and(None),
            _ => say(&mut stream, "502 what?")?,
        }
    }
}

/// `login password` from base64 of `NUL login NUL password`.
fn decoded(text: &str) -> Option<String> {
    use base64::Engine;
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    Some(text.trim_start_matches('\0').replace('\0', " "))
}
