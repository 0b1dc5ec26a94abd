//! What answers in the database's place, and what is slipped in before encryption begins.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use pgpurpose::wire::startup::{ssl_request, startup_message};

use crate::raw::{connect, message, over_tls};
use crate::setup::{CATALOG_PASSWORD, Libpq, PASSWORD, conninfo, guarded, logged, pgpurpose, proxy, psql};

/// An address of this machine that is not its loopback: what is there counts as elsewhere. No packet is sent.
fn elsewhere() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|address| !address.is_loopback() && !address.is_unspecified())
}

/// Answers connections by a script (an SSLRequest by its first part, the start-up by the second), and gives what comes then.
fn scripted(address: IpAddr, to_tls: &'static [u8], to_startup: Vec<u8>) -> (SocketAddr, Receiver<Vec<u8>>) {
    let listener = TcpListener::bind((address, 0)).unwrap();
    let at = listener.local_addr().unwrap();
    let (said, heard) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            let heard = serve(&mut stream, to_tls, &to_startup).unwrap_or_default();
            if said.send(heard).is_err() {
                return;
            }
        }
    });
    (at, heard)
}

fn serve(stream: &mut TcpStream, to_tls: &[u8], to_startup: &[u8]) -> std::io::Result<Vec<u8>> {
    let packet = |stream: &mut TcpStream| {
        let mut length = [0; 4];
        stream.read_exact(&mut length)?;
        let mut rest = vec![0; u32::from_be_bytes(length) as usize - 4];
        stream.read_exact(&mut rest)?;
        Ok::<_, std::io::Error>(rest)
    };
    let mut first = packet(stream)?;
    if first == ssl_request()[4..] {
        stream.write_all(to_tls)?;
        if to_tls.first() == Some(&b'S') {
            let mut rest = vec![0; 4096];
            let count = stream.read(&mut rest)?;
            rest.truncate(count);
            // A second read shows whether the handshake goes on.
            let more = stream.read(&mut [0; 4096]).unwrap_or(0);
            rest.push(u8::from(more > 7));
            return Ok(rest);
        }
        first = packet(stream)?;
    }
    assert!(first.starts_with(&[0, 3, 0, 0]));
    stream.write_all(to_startup)?;
    let mut heard = Vec::new();
    let mut chunk = [0; 4096];
    while let Ok(count @ 1..) = stream.read(&mut chunk) {
        heard.extend_from_slice(&chunk[..count]);
    }
    Ok(heard)
}

pub(crate) fn authentication(body: &[u8]) -> Vec<u8> {
    [&[b'R'][..], &(body.len() as u32 + 4).to_be_bytes(), body].concat()
}

pub(crate) const READY: &[u8] = b"Z\0\0\0\x05I";

#[test]
fn the_proxy_s_own_password_is_given_to_nobody_who_asks_for_it() {
    let guarded = guarded();
    let clear = authentication(&[0, 0, 0, 3]);
    let md5 = authentication(b"\0\0\0\x05salt");
    let here: IpAddr = [127, 0, 0, 1].into();
    for (asked, tls, answer) in
        [(&clear, "disable", &b""[..]), (&md5, "disable", b""), (&clear, "prefer", b"N"), (&md5, "prefer", b"N")]
    {
        let (at, heard) = scripted(here, answer, asked.clone());
        let sections = guarded.upstream(&at.to_string(), &format!("tls = \"{tls}\""));
        let (code, said) = pgpurpose(&["check", "--live"], &sections);
        assert!(code == Some(1) || code == Some(2), "{code:?} {said}");
        assert!(said.contains("in clear or as MD5"), "{said}");
        let heard = heard.recv_timeout(Duration::from_secs(10)).unwrap();
        assert!(heard.is_empty(), "{:?}", String::from_utf8_lossy(&heard));
        assert!(!said.contains(CATALOG_PASSWORD));
    }
    // Elsewhere, and without a certificate to know it by, it has to prove itself.
    let Some(elsewhere) = elsewhere() else { return eprintln!("SKIPPED: this machine has only its loopback") };
    let (at, _heard) = scripted(elsewhere, b"", [&authentication(&[0; 4])[..], READY].concat());
    let (code, said) = pgpurpose(&["check", "--live"], &guarded.upstream(&at.to_string(), "tls = \"disable\""));
    assert!(code != Some(0) && said.contains("gives none"), "{said}");
}

#[test]
fn bytes_before_encryption_never_count_as_what_was_encrypted() {
    let guarded = guarded();
    let proxy = proxy(&guarded.listen(), &format!("{}{}", guarded.upstream_tls(), guarded.auth("passthrough")));
    // Towards clients: a start-up in clear behind the request, in one write and, the request answered, in another.
    let startup = startup_message([("user", "mallory"), ("database", "shop")]);
    let mut stream = connect(&proxy, 1).unwrap();
    stream.write_all(&[&ssl_request()[..], &startup].concat()).unwrap();
    let (tag, body) = message(&mut stream).unwrap();
    assert!(tag == b'E' && String::from_utf8_lossy(&body).contains("unencrypted data"));
    let mut stream = connect(&proxy, 1).unwrap();
    stream.write_all(&ssl_request()).unwrap();
    let mut answer = [0];
    stream.read_exact(&mut answer).unwrap();
    stream.write_all(&startup).unwrap();
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    assert!(rest.first() != Some(&b'R') && rest.len() < 16, "no login begins in clear: {rest:?}");
    // GSSAPI is declined once; behind it nothing may stand either.
    let gss = [0, 0, 0, 8, 4, 210, 22, 48];
    let mut stream = connect(&proxy, 1).unwrap();
    stream.write_all(&[&gss[..], &startup].concat()).unwrap();
    assert_eq!(message(&mut stream).unwrap().0, b'E');
    // A second negotiation inside TLS.
    let mut stream = over_tls(connect(&proxy, 1).unwrap());
    stream.write_all(&ssl_request()).unwrap();
    assert_eq!(message(&mut stream).unwrap().0, b'E');

    // Towards the database: what stands in clear behind its `S` goes into the handshake, and that fails.
    let injected = b"SR\0\0\0\x08\0\0\0\0Z\0\0\0\x05I";
    let (at, heard) = scripted([127, 0, 0, 1].into(), injected, Vec::new());
    let (code, said) = pgpurpose(&["check", "--live"], &guarded.upstream(&at.to_string(), "tls = \"require\""));
    assert!(code != Some(0) && !said.contains("ready"), "{said}");
    let heard = heard.recv_timeout(Duration::from_secs(10)).unwrap();
    assert_eq!((heard.first(), heard.last()), (Some(&0x16), Some(&0)), "a handshake began and was broken off");
}

/// Answers a session's connections by a script, and everything else by the real database.
pub(crate) fn before_the_database(script: Vec<u8>, database: &str, listen: IpAddr) -> SocketAddr {
    instead_of_the_database(database, listen, move |client| {
        let _ = client.write_all(&script);
        let _ = client.read(&mut [0; 4096]);
        let _ = client.read(&mut [0; 4096]);
    })
}

/// The same with what is said over and over, until nobody reads it.
pub(crate) fn endlessly(first: Vec<u8>, chunk: Vec<u8>, database: &str) -> SocketAddr {
    instead_of_the_database(database, [127, 0, 0, 1].into(), move |client| {
        let mut next = client.write_all(&first);
        while next.is_ok() {
            next = client.write_all(&chunk);
        }
    })
}

fn instead_of_the_database(
    database: &str,
    listen: IpAddr,
    answer: impl Fn(&mut TcpStream) + Send + Sync + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind((listen, 0)).unwrap();
    let at = listener.local_addr().unwrap();
    let (database, answer) = (database.to_owned(), std::sync::Arc::new(answer));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (Ok(mut client), answer, database) = (stream, answer.clone(), database.clone()) else { return };
            std::thread::spawn(move || {
                let mut first = vec![0; 10_000];
                let count = client.read(&mut first).unwrap_or(0);
                first.truncate(count);
                // The proxy's own login goes to the database.
                if first.windows(9).any(|part| part == b"pgpurpose")
                    && !first.windows(13).any(|part| part == b"support_agent")
                {
                    let mut server = TcpStream::connect(database).unwrap();
                    server.write_all(&first).unwrap();
                    let (mut from, mut to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                    std::thread::spawn(move || std::io::copy(&mut from, &mut to));
                    let _ = std::io::copy(&mut client, &mut server);
                } else {
                    answer(&mut client);
                }
            });
        }
    });
    at
}

#[test]
fn what_is_not_the_database_gets_no_session() {
    let guarded = guarded();
    let Some(elsewhere) = elsewhere() else { return eprintln!("SKIPPED: this machine has only its loopback") };
    let key = b"K\0\0\0\x0c\0\0\0\x01\0\0\0\x02";
    let letting_in = [&authentication(&[0; 4])[..], key, READY].concat();
    let twice = authentication(b"\0\0\0\x0aSCRAM-SHA-256\0\0").repeat(2);
    let weak = authentication(&[0, 0, 0, 3]);
    for (script, why) in [(letting_in, "gives none"), (weak, "in clear or as MD5"), (twice, "")] {
        let at = before_the_database(script, &guarded.tcp(), elsewhere);
        let sections = guarded.upstream(&at.to_string(), "tls = \"disable\"");
        let proxy = proxy("", &format!("{sections}{}", guarded.auth("passthrough")));
        let to = conninfo(&proxy, "support_agent", "sslmode=disable");
        let said = psql(guarded, Libpq::Own, &to, PASSWORD);
        assert!(said.as_ref().is_err_and(|error| error.contains("FATAL")), "{said:?}");
        logged(&proxy, why, |record| record["reason"].as_str().unwrap().contains(why));
        let log = proxy.access_log();
        assert!(!log.iter().any(|record| record["event"] == "connect"));
    }
}

fn said(tag: u8, fields: &[(u8, &str)]) -> Vec<u8> {
    let mut body: Vec<u8> =
        fields.iter().flat_map(|(code, text)| [&[*code][..], text.as_bytes(), b"\0"].concat()).collect();
    body.push(0);
    [&[tag][..], &(body.len() as u32 + 4).to_be_bytes(), &body].concat()
}

#[test]
fn what_is_said_before_the_session_is_ready_is_cleaned() {
    let guarded = guarded();
    let raised = |tag, severity| {
        said(
            tag,
            &[
                (b'S', severity),
                (b'V', severity),
                (b'C', "P0001"),
                (b'M', "seen thandi@mail.example"),
                (b'D', "thandi@mail.example"),
                (b'F', "pl_exec.c"),
            ],
        )
    };
    let key = b"K\0\0\0\x0c\0\0\0\x01\0\0\0\x02";
    let path = b"T\0\0\0\x06\0\0D\0\0\0\x10\0\x01\0\0\0\x06publicC\0\0\0\x0dSELECT 1\0Z\0\0\0\x05I";
    let let_in = [&authentication(&[0; 4])[..], &raised(b'N', "NOTICE"), key, READY, path].concat();
    let refused = [&authentication(&[0; 4])[..], &raised(b'E', "FATAL")].concat();
    for (script, tag) in [(let_in, b'N'), (refused, b'E')] {
        let at = before_the_database(script, &guarded.tcp(), [127, 0, 0, 1].into());
        let sections = guarded.upstream(&at.to_string(), "tls = \"disable\"");
        let proxy = proxy("", &format!("{sections}{}", guarded.auth("relay")));
        let mut stream = connect(&proxy, 10).unwrap();
        stream.write_all(&startup_message([("user", "support_agent"), ("database", "shop")])).unwrap();
        let mut told = Vec::new();
        while let Ok((found, body)) = message(&mut stream) {
            told.push((found, String::from_utf8_lossy(&body).into_owned()));
            if matches!(found, b'Z' | b'E') {
                break;
            }
        }
        assert!(told.iter().any(|(found, body)| *found == tag && body.contains("raise exception")), "{told:?}");
        assert!(!told.iter().any(|(_, body)| body.contains("thandi")), "{told:?}");
    }
}
