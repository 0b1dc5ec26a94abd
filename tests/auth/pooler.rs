//! A pooler between the proxy and the database takes few settings at start-up: the proxy sets the others afterwards.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use pgpurpose::cluster::{Cluster, ClusterOptions};

use super::support::proxy::Proxy;

/// What PgBouncer takes at start-up, by its documentation (`ignore_startup_parameters`).
const TAKEN: [&str; 7] =
    ["user", "database", "client_encoding", "standard_conforming_strings", "application_name", "datestyle", "timezone"];

const POLICY: &str = r#"
version = 1
[tables."public.people"]
subject = "id"
columns = { id = "reference", email = "contact" }
[purposes.work]
basis = "contract"
[roles.clerk]
logins = ["clerk"]
purposes = ["work"]
[[rules]]
name = "work"
roles = ["clerk"]
purposes = ["work"]
read = ["reference"]
mask = { contact = "token" }
"#;

/// Listens, refuses a start-up packet that has more than PgBouncer takes, and passes everything else on. Gives its port.
fn strict_relay(database: String) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let database = database.clone();
            thread::spawn(move || {
                let _ = serve(client, &database);
            });
        }
    });
    port
}

fn serve(mut client: TcpStream, database: &str) -> std::io::Result<()> {
    let mut length = [0; 4];
    client.read_exact(&mut length)?;
    let mut body = vec![0; u32::from_be_bytes(length) as usize - 4];
    client.read_exact(&mut body)?;
    let texts: Vec<String> =
        body[4..].split(|byte| *byte == 0).map(|text| String::from_utf8_lossy(text).into_owned()).collect();
    // A request to cancel has no names.
    let names = if body[..2] == [0, 3] { texts.as_slice() } else { &[] };
    let mut names = names.chunks(2).map(|pair| pair[0].to_lowercase()).filter(|name| !name.is_empty());
    if let Some(other) = names.find(|name| !TAKEN.contains(&name.as_str())) {
        let told = format!("SFATAL\0C08P01\0Munsupported startup parameter: {other}\0\0");
        client.write_all(b"E")?;
        client.write_all(&(told.len() as u32 + 4).to_be_bytes())?;
        return client.write_all(told.as_bytes());
    }
    let mut server = TcpStream::connect(database)?;
    server.write_all(&length)?;
    server.write_all(&body)?;
    let (mut from, mut to) = (server.try_clone()?, client.try_clone()?);
    thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(std::net::Shutdown::Both);
    });
    std::io::copy(&mut client, &mut server)?;
    server.shutdown(std::net::Shutdown::Both)
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// PgBouncer in session mode, where it is installed.
fn pgbouncer(cluster: &Cluster) -> Option<(Running, u16)> {
    let program = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"].into_iter().find(|path| fs::exists(path).unwrap())?;
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let folder = cluster.root().join("pgbouncer");
    fs::create_dir(&folder).unwrap();
    let ini = format!(
        "[databases]\n* = host={} port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nauth_type = trust\n\
         auth_file = {}\npool_mode = session\nunix_socket_dir =\nlogfile = {}\n",
        cluster.socket_dir().display(),
        cluster.port(),
        folder.join("users").display(),
        folder.join("log").display()
    );
    for (name, text) in [("ini", ini.as_str()), ("users", "\"clerk\" \"\"\n\"pgpurpose\" \"\"\n")] {
        fs::write(folder.join(name), text).unwrap();
        cluster.user().give(&folder.join(name)).unwrap();
    }
    cluster.user().give(&folder).unwrap();
    let child = cluster.user().command(program).arg("-q").arg(folder.join("ini")).stdin(Stdio::null()).spawn().unwrap();
    let running = Running(child);
    for _ in 0..100 {
        thread::sleep(Duration::from_millis(50));
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            break;
        }
    }
    Some((running, port))
}

fn psql(cluster: &Cluster, port: u16, options: &str, sql: &[&str]) -> (bool, String) {
    let mut command: Command = cluster.client("psql");
    command.args(["-X", "-q", "-A", "-t", "-h", "127.0.0.1", "-p", &port.to_string(), "-U", "clerk", "-d", "postgres"]);
    command.env("PGOPTIONS", options).env("PGTZ", "Africa/Johannesburg");
    for one in sql {
        command.args(["-c", one]);
    }
    let output = command.output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[test]
fn settings_that_a_pooler_does_not_take_are_set_once_the_session_is_there() {
    let cluster = Cluster::start(&ClusterOptions { tcp: true, ..ClusterOptions::default() }).unwrap();
    let sql = "CREATE ROLE clerk LOGIN; CREATE ROLE pgpurpose LOGIN; CREATE SCHEMA other; \
               CREATE TABLE people (id int PRIMARY KEY, email text); INSERT INTO people VALUES (1, 'ann@x.org'); \
               GRANT SELECT ON people TO clerk; GRANT USAGE ON SCHEMA other TO clerk";
    cluster.run_statements("postgres", sql).unwrap();
    let start = |port: u16, more: &str| {
        let sections = format!(
            "[upstream]\naddress = \"127.0.0.1:{port}\"\ntls = \"disable\"\n{more}[auth]\nmethod = \"relay\"\n"
        );
        Proxy::start_sections(POLICY, "", &sections)
    };
    let direct = start(cluster.port(), "");
    let asked = [
        "SELECT email FROM people",
        "SHOW work_mem",
        "SHOW search_path",
        "SHOW timezone",
        "SHOW backslash_quote",
        "SHOW pgpurpose.purpose",
    ];
    let options = "-c search_path=other,public -c work_mem=7MB";
    let expected = psql(&cluster, direct.port, options, &asked);
    assert!(expected.0 && expected.1.starts_with("tok_"), "{}", expected.1);
    let strict = strict_relay(cluster.tcp_address().unwrap());
    let bouncer = pgbouncer(&cluster);
    for pooler in [Some(strict), bouncer.as_ref().map(|(_, port)| *port)].into_iter().flatten() {
        let plain = start(pooler, "");
        let (done, told) = psql(&cluster, plain.port, options, &asked);
        assert!(!done && !told.contains("tok_"), "it takes them all the same: {told}");
        let through = start(pooler, "pooler = true\n");
        // Key and path are the same whichever way the session came.
        assert_eq!(psql(&cluster, through.port, options, &asked), expected);
        // RESET ALL and DISCARD ALL take them away, and the proxy sets them again: before the next statement of a message, in a
        // transaction, and after one that failed.
        let reset = [
            "SET work_mem = '9MB'; RESET ALL; SELECT email FROM people; SHOW work_mem; SHOW backslash_quote",
            "DISCARD ALL",
            "SELECT email FROM people",
            "BEGIN; SET LOCAL work_mem = '9MB'; RESET ALL; SELECT email FROM people; ROLLBACK; SHOW work_mem",
            "SET work_mem = '8MB'; SAVEPOINT outside; RESET ALL",
            "SHOW work_mem",
            "BEGIN",
            "SELECT 1 / 0",
            "RESET ALL",
            "ROLLBACK",
            "SHOW work_mem",
            "SELECT email FROM people",
            "SHOW search_path",
        ];
        assert_eq!(psql(&cluster, through.port, options, &reset), psql(&cluster, direct.port, options, &reset));
        let (done, told) = psql(&cluster, through.port, "-c work_mem=wrong", &["SELECT 1"]);
        assert!(!done && told.contains("invalid"), "{told}");
    }
}
