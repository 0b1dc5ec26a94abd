//! A database that leaves the keys out.

use std::io::Read;
use std::net::TcpListener;
use std::sync::Arc;

use pgpurpose::catalog::{CatalogBuilder, CatalogStore};

use super::*;

/// A database that answers each simple query with these bytes.
fn liar(answers: Vec<Vec<u8>>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for answer in answers {
            let read = |stream: &mut std::net::TcpStream| {
                let mut header = [0; 5];
                stream.read_exact(&mut header).ok()?;
                let length = u32::from_be_bytes(header[1..].try_into().unwrap()) as usize;
                let mut body = vec![0; length - 4];
                stream.read_exact(&mut body).ok()?;
                Some(header[0])
            };
            // What ran is cancelled on a connection of its own, of 16 bytes.
            let (mut stream, mut startup) = loop {
                let (mut stream, _) = listener.accept().unwrap();
                let mut length = [0; 4];
                stream.read_exact(&mut length).unwrap();
                let mut startup = vec![0; u32::from_be_bytes(length) as usize - 4];
                stream.read_exact(&mut startup).unwrap();
                if startup.len() != 12 {
                    break (stream, startup);
                }
            };
            let status = |name: &str, value: &str| message(b'S', format!("{name}\0{value}\0").as_bytes());
            let greeting = batch(&[
                message(b'R', &[0; 4]),
                status("client_encoding", "UTF8"),
                status("server_version", "17.0"),
                status("standard_conforming_strings", "on"),
                message(b'K', &[0, 0, 0, 1, 0, 0, 0, 1]),
                message(b'Z', b"I"),
            ]);
            stream.write_all(&greeting).unwrap();
            let mut answer = Some(answer);
            while let Some(tag) = read(&mut stream) {
                if tag != b'Q' {
                    continue;
                }
                let own = batch(&[
                    message(b'T', b"\0\x01p\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0"),
                    message(b'D', b"\0\x01\0\0\0\x06public"),
                    message(b'C', b"SELECT 1\0"),
                    message(b'Z', b"I"),
                ]);
                // The first is the proxy's own.
                stream
                    .write_all(&if startup.is_empty() {
                        answer.take().unwrap_or_default()
                    } else {
                        startup.clear();
                        own
                    })
                    .unwrap();
            }
        }
    });
    port
}

#[test]
fn a_database_that_leaves_the_key_out_ends_the_session() {
    let field = |name: &str, ty: u8| {
        let mut field = format!("{name}\0").into_bytes();
        field.extend([0, 0, 0, 0, 0, 0, 0, 0, 0, ty, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0]);
        field
    };
    let description = |fields: &[Vec<u8>]| {
        let mut body = u16::try_from(fields.len()).unwrap().to_be_bytes().to_vec();
        body.extend(fields.concat());
        message(b'T', &body)
    };
    let end = [message(b'C', b"SELECT 1\0"), message(b'Z', b"I")].concat();
    let honest = description(&[field("city", 25), field("pgpurpose_subject_q0_0", 25)]);
    let two = message(b'D', b"\0\x02\0\0\0\x01x\0\0\0\x015");
    let cases: Vec<(&str, Vec<Vec<u8>>)> = vec![
        ("a description without the column", vec![description(&[field("city", 25)]), two.clone(), end.clone()]),
        ("one of no columns", vec![description(&[]), two.clone(), end.clone()]),
        ("one of another name", vec![description(&[field("city", 25), field("x", 25)]), two.clone(), end.clone()]),
        (
            "one of another type",
            vec![description(&[field("city", 25), field("pgpurpose_subject_q0_0", 23)]), two.clone(), end.clone()],
        ),
        ("a row of no columns", vec![honest.clone(), message(b'D', b"\0\0"), end.clone()]),
        ("a row that is cut", vec![honest.clone(), message(b'D', b"\0\x02\0\0\0\x01x\0\0\0\x095"), end.clone()]),
        ("a row with more", vec![honest.clone(), message(b'D', b"\0\x02\0\0\0\x01x\0\0\0\x015zzz"), end.clone()]),
        (
            "a row of negative length",
            vec![honest.clone(), message(b'D', b"\0\x02\0\0\0\x01x\xff\xff\xff\xfe"), end.clone()],
        ),
        ("a key that is no text", vec![honest.clone(), message(b'D', b"\0\x02\0\0\0\x01x\0\0\0\x01\xff"), end.clone()]),
        ("a row before its description", vec![two.clone(), end.clone()]),
    ];
    let port = liar(cases.iter().map(|(_, messages)| messages.concat()).chain([[honest, two, end].concat()]).collect());
    let mut builder = CatalogBuilder::new();
    builder.table(
        "public.persons".parse().unwrap(),
        &[("id", "integer"), ("email", "text"), ("city", "text")],
        &["id"],
    );
    let store = Arc::new(CatalogStore::fixed(builder.build()));
    let lied = raw::start(Options::new("127.0.0.1:0", servers(&format!("127.0.0.1:{port}"))), POLICY, store);
    for (what, _) in &cases {
        let mut client = lied.login("support", &[]);
        client.send(&query("SELECT city FROM persons"));
        let messages = client.until_closed();
        assert!(
            rows(&messages).is_empty() && messages.last().is_some_and(|(tag, _)| *tag == b'E'),
            "{what}: {}",
            shown(&messages)
        );
    }
    let mut client = lied.login("support", &[]);
    assert_eq!(client.rows("SELECT city FROM persons"), ["x"]);
}
