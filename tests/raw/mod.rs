//! A proxy in this process before a real cluster, and a client of raw messages.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::cast_possible_truncation
)]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use pgpurpose::audit::{AuditLog, Sync};
use pgpurpose::catalog::{CatalogBuilder, CatalogStore, connect_plain};
use pgpurpose::cluster::{Cluster, ClusterOptions};
use pgpurpose::policy::PolicySet;
use pgpurpose::server::{Options, Server};
use pgpurpose::session::{Catalogs, Parts, Shared};
use pgpurpose::telemetry::Metrics;
use pgpurpose::upstream::{Servers, UpstreamTls};
use tempfile::TempDir;

/// A proxy on a port of its own.
pub struct Proxy {
    pub server: Option<Server>,
    pub port: u16,
    pub log: TempDir,
    pub shared: Arc<Shared>,
}

/// One cluster for the test binary.
pub fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        let hba = "local all scram scram-sha-256\nhost all scram 127.0.0.1/32 scram-sha-256\n\
                   local all all trust\nhost all all 127.0.0.1/32 trust\n";
        let settings = vec![("max_prepared_transactions".to_owned(), "8".to_owned())];
        let options = ClusterOptions { tcp: true, hba: Some(hba.into()), settings, ..ClusterOptions::default() };
        let cluster = Cluster::start(&options).expect("a cluster starts");
        cluster.run_sql("postgres", "CREATE ROLE support LOGIN").unwrap();
        cluster.run_sql("postgres", "CREATE ROLE scram LOGIN SUPERUSER PASSWORD 'geheim'").unwrap();
        cluster
    })
}

/// A server at this address.
pub fn servers(address: &str) -> Servers {
    Servers::new(vec![address.parse().unwrap()], UpstreamTls::disabled())
}

/// The cluster's Unix socket.
pub fn socket() -> String {
    format!("{}:{}", cluster().socket_dir().display(), cluster().port())
}

/// The catalog of a database of the cluster. Its connection lives on a thread of its own.
pub fn catalog(database: &str) -> Arc<CatalogStore> {
    let mut config = tokio_postgres::Config::new();
    config.host_path(cluster().socket_dir()).port(cluster().port()).user("postgres").dbname(database);
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            send.send(CatalogStore::open(connect_plain(config)).await.unwrap()).unwrap();
            std::future::pending::<()>().await;
        });
    });
    Arc::new(receive.recv().unwrap())
}

/// An empty catalog.
pub fn no_catalog() -> Arc<CatalogStore> {
    Arc::new(CatalogStore::fixed(CatalogBuilder::new().build()))
}

/// Starts a proxy with this policy.
pub fn start(options: Options, policy: &str, catalog: Arc<CatalogStore>) -> Proxy {
    start_in(false, options, policy, catalog)
}

/// The same, in observe mode or not.
pub fn start_in(observe: bool, options: Options, policy: &str, catalog: Arc<CatalogStore>) -> Proxy {
    let log = tempfile::tempdir().unwrap();
    let shared = Shared::new(Parts {
        policies: Arc::new(PolicySet::from_sources(&[("test.toml".into(), policy.into())]).unwrap()),
        catalogs: Catalogs::one(catalog),
        audit: AuditLog::open(log.path(), Sync::Written).unwrap(),
        metrics: Arc::new(Metrics::default()),
        enforce: Box::new(pgpurpose::sql::enforce_form),
        observe,
        subject_key: Some(pgpurpose::audit::SubjectKey::derive(&[7; 32])),
    })
    .unwrap();
    let shared = Arc::new(shared);
    let server = Server::start(options, Arc::clone(&shared)).unwrap();
    let port = server.addresses()[0].port();
    Proxy { server: Some(server), port, log, shared }
}

impl Proxy {
    pub fn connect(&self) -> Client {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        Client { stream }
    }

    /// Logs in to the database `postgres` unless another is named.
    pub fn login(&self, user: &str, more: &[(&str, &str)]) -> Client {
        let mut client = self.connect();
        let mut parameters = vec![("user", user), ("database", "postgres")];
        parameters.extend_from_slice(more);
        client.startup(3, 0, &parameters);
        client.until_ready();
        client
    }
}

pub struct Client {
    pub stream: TcpStream,
}

/// Tag and body.
pub type Message = (u8, Vec<u8>);

impl Client {
    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    pub fn startup(&mut self, major: u16, minor: u16, parameters: &[(&str, &str)]) {
        let mut body = major.to_be_bytes().to_vec();
        body.extend(minor.to_be_bytes());
        for (name, value) in parameters {
            body.extend(format!("{name}\0{value}\0").bytes());
        }
        body.push(0);
        self.send(&(body.len() as u32 + 4).to_be_bytes());
        self.send(&body);
    }

    pub fn receive(&mut self) -> Option<Message> {
        let mut header = [0; 5];
        self.stream.read_exact(&mut header).ok()?;
        let mut body = vec![0; u32::from_be_bytes(header[1..].try_into().unwrap()) as usize - 4];
        self.stream.read_exact(&mut body).ok()?;
        Some((header[0], body))
    }

    pub fn until_ready(&mut self) -> Vec<Message> {
        let mut messages = Vec::new();
        loop {
            let Some(message) = self.receive() else { panic!("the connection ended after {}", shown(&messages)) };
            let ready = message.0 == b'Z';
            messages.push(message);
            if ready {
                return messages;
            }
        }
    }

    pub fn until_closed(&mut self) -> Vec<Message> {
        std::iter::from_fn(|| self.receive()).collect()
    }

    pub fn query(&mut self, sql: &str) -> String {
        self.send(&query(sql));
        shown(&self.until_ready())
    }
}

pub fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    out.extend((body.len() as u32 + 4).to_be_bytes());
    out.extend(body);
    out
}

pub fn query(sql: &str) -> Vec<u8> {
    message(b'Q', format!("{sql}\0").as_bytes())
}

pub fn parse(name: &str, sql: &str) -> Vec<u8> {
    message(b'P', format!("{name}\0{sql}\0\0\0").as_bytes())
}

pub fn bind(portal: &str, statement: &str) -> Vec<u8> {
    message(b'B', format!("{portal}\0{statement}\0\0\0\0\0\0\0").as_bytes())
}

/// With the types of parameters.
pub fn parse_with(name: &str, sql: &str, types: &[u32]) -> Vec<u8> {
    let mut body = format!("{name}\0{sql}\0").into_bytes();
    body.extend((types.len() as u16).to_be_bytes());
    body.extend(types.iter().flat_map(|oid| oid.to_be_bytes()));
    message(b'P', &body)
}

/// With values, all in text.
pub fn bind_with(portal: &str, statement: &str, values: &[&[u8]]) -> Vec<u8> {
    let mut body = format!("{portal}\0{statement}\0\0\0").into_bytes();
    body.extend((values.len() as u16).to_be_bytes());
    for value in values {
        body.extend((value.len() as u32).to_be_bytes());
        body.extend(*value);
    }
    body.extend([0, 0]);
    message(b'B', &body)
}

pub fn describe(kind: char, name: &str) -> Vec<u8> {
    message(b'D', format!("{kind}{name}\0").as_bytes())
}

pub fn execute(portal: &str, rows: u32) -> Vec<u8> {
    let mut body = format!("{portal}\0").into_bytes();
    body.extend(rows.to_be_bytes());
    message(b'E', &body)
}

pub fn sync() -> Vec<u8> {
    message(b'S', b"")
}

/// A run of messages as text: tags, with the status of Z, the SQLSTATE of E and the tag of C.
pub fn shown(messages: &[Message]) -> String {
    let mut out = Vec::new();
    for (tag, body) in messages {
        out.push(match tag {
            b'Z' => format!("Z{}", char::from(body[0])),
            b'E' => format!("E{}", field(body, b'C')),
            b'C' => format!("C({})", String::from_utf8_lossy(&body[..body.len() - 1])),
            tag => char::from(*tag).to_string(),
        });
    }
    out.join(" ")
}

pub fn field(body: &[u8], code: u8) -> String {
    body.split(|byte| *byte == 0)
        .find(|field| field.first() == Some(&code))
        .map(|field| String::from_utf8_lossy(&field[1..]).into_owned())
        .unwrap_or_default()
}

pub fn batch(parts: &[Vec<u8>]) -> Vec<u8> {
    parts.concat()
}

/// What came back: the rows' values, and the rest as [`shown`].
pub fn rows(messages: &[Message]) -> Vec<String> {
    let value = |body: &[u8]| {
        let mut values = Vec::new();
        let mut rest = &body[2..];
        while !rest.is_empty() {
            let length = i32::from_be_bytes(rest[..4].try_into().unwrap());
            rest = &rest[4..];
            match usize::try_from(length) {
                Ok(length) => {
                    values.push(String::from_utf8_lossy(&rest[..length]).into_owned());
                    rest = &rest[length..];
                }
                Err(_) => values.push("NULL".to_owned()),
            }
        }
        values.join("|")
    };
    messages.iter().filter(|(tag, _)| *tag == b'D').map(|(_, body)| value(body)).collect()
}

impl Client {
    /// The rows of a simple query, or what came instead.
    pub fn rows(&mut self, sql: &str) -> Vec<String> {
        self.send(&query(sql));
        let messages = self.until_ready();
        let found = rows(&messages);
        if messages.iter().any(|(tag, _)| *tag == b'E') { vec![shown(&messages)] } else { found }
    }
}

impl Proxy {
    /// Every record of the access log.
    pub fn records(&self) -> Vec<serde_json::Value> {
        // Outcomes are written without anyone waiting for them.
        std::thread::sleep(Duration::from_millis(100));
        let mut files: Vec<_> =
            std::fs::read_dir(self.log.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
        files.sort();
        let lines = files
            .iter()
            .flat_map(|path| std::fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect::<Vec<_>>());
        lines.map(|line| serde_json::from_str(&line).unwrap()).collect()
    }
}
