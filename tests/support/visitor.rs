//! A reviewer without a browser.
#![allow(clippy::indexing_slicing)] // the bytes of an answer whose end was just found

use std::io::{Read, Write};
use std::net::TcpStream;

use pgpurpose::server::hash_password;

use super::proxy::Proxy;

pub const REVIEWER: (&str, &str) = ("thandi", "a-reviewer");
pub const OFFICER: (&str, &str) = ("nomsa", "an-officer");

/// The sections of a configuration that let both in.
pub fn people() -> String {
    let one = |kind: &str, (name, password): (&str, &str)| {
        format!("[[admin.{kind}]]\nname = \"{name}\"\nverifier = \"{}\"\n", hash_password(password).unwrap())
    };
    format!(
        "[organisation]\nname = \"Kaap Winkel\"\ninformation_officer = \"N. Dlamini\"\n{}{}",
        one("reviewers", REVIEWER),
        one("officers", OFFICER)
    )
}

/// Whoever is in.
pub struct Visitor {
    port: u16,
    cookie: String,
}

impl Visitor {
    pub fn log_in(proxy: &Proxy, (name, password): (&str, &str)) -> Self {
        let mut visitor = Self { port: proxy.admin_port, cookie: String::new() };
        let (status, _) = visitor.post("/enter", "/enter", &format!("name={name}&password={password}"));
        assert_eq!(status, 303, "{name} is let in");
        visitor
    }

    fn ask(&mut self, head: &str, body: &str) -> (u16, Vec<u8>) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let request = format!(
            "{head} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nCookie: {}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            self.port,
            self.cookie,
            body.len()
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let at = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let head = String::from_utf8_lossy(&answer[..at]).into_owned();
        if let Some(line) = head.lines().find(|line| line.to_ascii_lowercase().starts_with("set-cookie:")) {
            self.cookie = line.split_once(':').unwrap().1.split(';').next().unwrap().trim().to_owned();
        }
        (head.split(' ').nth(1).unwrap().parse().unwrap(), answer[at + 4..].to_vec())
    }

    pub fn get(&mut self, path: &str) -> String {
        let (status, body) = self.ask(&format!("GET {path}"), "");
        assert_eq!(status, 200, "{path}");
        String::from_utf8(body).unwrap()
    }

    /// A form as the page at `from` has it.
    pub fn post(&mut self, from: &str, to: &str, fields: &str) -> (u16, Vec<u8>) {
        let (_, page) = self.ask(&format!("GET {from}"), "");
        let page = String::from_utf8_lossy(&page).into_owned();
        let token = page.split("name=\"form\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        self.ask(&format!("POST {to}"), &format!("form={token}&{fields}"))
    }
}
