//! Syslog over streams: a server that breaks off, stalls or comes back gets every record.

use std::io::{ErrorKind, Read};
use std::net::TcpListener;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use pgpurpose::audit::read::Entry;
use pgpurpose::server::sinks::Syslog;

use super::places::{Place, until};

/// What a server does with a connection.
#[derive(Clone, Copy)]
pub(crate) enum Act {
    /// Reads to the end, and closes.
    Read,
    /// Reads so many bytes, and closes: in the middle of a message, with more to come or unread.
    BreakOff(usize),
    /// Reads nothing before it is told to close.
    Stall,
}

pub(crate) struct Server {
    /// The messages that came whole.
    taken: Arc<Mutex<Vec<String>>>,
    acts: Arc<Mutex<Vec<Act>>>,
    go_on: Arc<AtomicBool>,
}

impl Server {
    /// Does these with its first connections, and reads all others to the end.
    fn start<S: Read>(acts: &[Act], split: fn(&[u8]) -> Vec<String>, accept: impl Fn() -> S + Send + 'static) -> Self {
        let (taken, go_on) = (Arc::<Mutex<Vec<String>>>::default(), Arc::<AtomicBool>::default());
        let acts = Arc::new(Mutex::new(acts.iter().rev().copied().collect::<Vec<_>>()));
        let server = Self { taken: Arc::clone(&taken), acts: Arc::clone(&acts), go_on: Arc::clone(&go_on) };
        thread::spawn(move || {
            loop {
                let mut stream = accept();
                let act = acts.lock().unwrap().pop().unwrap_or(Act::Read);
                let mut got = Vec::new();
                match act {
                    Act::Read => drop(stream.read_to_end(&mut got)),
                    Act::BreakOff(bytes) => {
                        drop((&mut stream).take(bytes as u64).read_to_end(&mut got));
                        if got.len() < bytes {
                            // Ended before there was so much, as a slow machine does: then with the next one.
                            acts.lock().unwrap().push(act);
                        }
                    }
                    Act::Stall => until("it goes on", || go_on.load(Ordering::Acquire)),
                }
                taken.lock().unwrap().extend(split(&got));
            }
        });
        server
    }

    pub(crate) fn tcp(acts: &[Act]) -> (String, Self) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("tcp:{}", listener.local_addr().unwrap());
        (address, Self::start(acts, counted, move || listener.accept().unwrap().0))
    }

    fn used(&self) -> bool {
        self.acts.lock().unwrap().is_empty()
    }

    pub(crate) fn records(&self) -> Vec<String> {
        self.taken.lock().unwrap().iter().map(|message| record_of(message)).collect()
    }
}

/// The record that a message holds, whose header is as RFC 5424 says.
fn record_of(message: &str) -> String {
    let parts: Vec<&str> = message.splitn(8, ' ').collect();
    let entry = Entry::parse(parts[7].as_bytes()).unwrap();
    let priority: u8 = parts[0].strip_prefix('<').and_then(|rest| rest.strip_suffix(">1")).unwrap().parse().unwrap();
    assert_eq!((priority / 8, parts[3], parts[5], parts[6]), (13, "pgpurpose", entry.event(), "-"), "{message}");
    assert!(parts[1] == "-" || parts[1].ends_with('Z'), "{message}");
    parts[7].to_owned()
}

/// The whole messages of a stream as RFC 6587, 3.4.1, counts them. What is there must be of that form.
fn counted(mut bytes: &[u8]) -> Vec<String> {
    let mut messages = Vec::new();
    while let Some(space) = bytes.iter().position(|byte| *byte == b' ') {
        let length: usize = std::str::from_utf8(&bytes[..space]).unwrap().parse().unwrap();
        let Some(message) = bytes.get(space + 1..space + 1 + length) else { break };
        messages.push(String::from_utf8(message.to_vec()).unwrap());
        bytes = &bytes[space + 1 + length..];
    }
    messages
}

/// The same where each ends with a NUL.
fn ended(bytes: &[u8]) -> Vec<String> {
    let whole = &bytes[..bytes.iter().rposition(|byte| *byte == 0).map_or(0, |at| at + 1)];
    let messages = whole.split(|byte| *byte == 0).filter(|message| !message.is_empty());
    messages.map(|message| String::from_utf8(message.to_vec()).unwrap()).collect()
}

fn place(address: &str) -> Place {
    Place::new("syslog", Box::new(Syslog::new(address.parse().unwrap())))
}

#[test]
fn a_server_on_tcp_that_breaks_off_anywhere_gets_every_record() {
    let acts = [
        Act::BreakOff(1000),
        Act::BreakOff(0),
        Act::Read,
        Act::BreakOff(100_000),
        Act::Read,
        Act::BreakOff(2_300),
        Act::BreakOff(400_000),
        Act::Read,
    ];
    let (address, server) = Server::tcp(&acts);
    let mut place = place(&address);
    // More than the kernel keeps on its way.
    place.write(1500);
    until("every fault was there", || {
        place.write(20);
        server.used()
    });
    place.delivered();
    until("everything was read", || server.records().last() == place.lines().last());
    place.were_taken(&server.records());
    assert!(place.status().failures >= 5, "{:?}", place.status());
}

#[test]
fn a_server_on_tcp_that_was_away_gets_what_was_written_meanwhile() {
    let (address, server) = Server::tcp(&[]);
    // Somebody else's port, where nobody listens.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut away = place(&format!("tcp:{closed}"));
    away.write(10);
    assert!(away.in_trouble().contains("refused"), "{:?}", away.troubles);
    assert_eq!(away.status().delivered, 0);
    drop(away);

    let mut place = place(&address);
    place.write(10);
    place.delivered();
    place.were_taken(&server.records());
}

#[test]
fn a_server_that_stalls_holds_up_nothing_and_nothing_counts_as_taken() {
    let (address, server) = Server::tcp(&[Act::Stall]);
    let mut place = place(&address);
    place.write(20);
    assert!(place.in_trouble().contains("does not read to the end in time"), "{:?}", place.troubles);
    assert_eq!(place.status().delivered, 0);
    // Nobody waits for it.
    place.write(2000);
    server.go_on.store(true, Ordering::Release);
    place.delivered();
    until("everything was read", || server.records().last() == place.lines().last());
    place.were_taken(&server.records());
}

#[test]
fn a_unix_socket_may_be_one_of_streams_or_of_datagrams() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let mut place = place(&format!("unix:{}", path.display()));
    place.write(3);
    assert!(place.in_trouble().contains("No such file"), "{:?}", place.troubles);
    let listener = UnixListener::bind(&path).unwrap();
    let acts = [Act::BreakOff(1000), Act::Read, Act::BreakOff(0)];
    let server = Server::start(&acts, ended, move || listener.accept().unwrap().0);
    until("every fault was there", || {
        place.write(3);
        server.used()
    });
    place.delivered();
    until("everything was read", || server.records().last() == place.lines().last());
    place.were_taken(&server.records());

    // The server comes back with the other kind.
    std::fs::remove_file(&path).unwrap();
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    place.write(5);
    let mut records = server.records();
    let mut datagram = vec![0; 64 * 1024];
    while records.last() != place.lines().last() {
        match socket.recv(&mut datagram) {
            Ok(length) => records.push(record_of(std::str::from_utf8(&datagram[..length]).unwrap())),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => panic!("{error}"),
        }
    }
    place.were_taken(&records);
}

/// Ends with the test.
struct Rsyslog(Child);

impl Drop for Rsyslog {
    fn drop(&mut self) {
        // It writes what it has read.
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}

#[test]
fn rsyslog_has_every_record_after_it_was_restarted_again_and_again() {
    if Command::new("rsyslogd").arg("-v").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err() {
        eprintln!("SKIPPED: there is no rsyslogd, so syslog is tested with the tests' own server only");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (config, out) = (folder.path().join("conf"), folder.path().join("out"));
    let text = format!(
        "global(workDirectory=\"{0}\" maxMessageSize=\"64k\")\nmodule(load=\"imtcp\")\n\
         input(type=\"imtcp\" port=\"{port}\" address=\"127.0.0.1\")\n\
         template(name=\"raw\" type=\"string\" string=\"%msg%\\n\")\n\
         action(type=\"omfile\" file=\"{0}/out\" template=\"raw\")\n",
        folder.path().display()
    );
    std::fs::write(&config, text).unwrap();
    let start = || {
        let mut rsyslog = Command::new("rsyslogd");
        rsyslog.args(["-n", "-i"]).arg(folder.path().join("pid")).arg("-f").arg(&config);
        Rsyslog(rsyslog.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    };
    let mut place = place(&format!("tcp:127.0.0.1:{port}"));
    let read = || lines_of(&out);
    for _ in 0..3 {
        let rsyslog = start();
        let before = read().len();
        until("it takes records", || {
            place.write(5);
            read().len() > before
        });
        drop(rsyslog);
        place.write(5);
    }
    let _rsyslog = start();
    place.delivered();
    until("it has the end", || read().last() == place.lines().last());
    place.were_taken(&read());
}

fn lines_of(file: &std::path::Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().map(|line| line.trim_start().to_owned()).collect()
}
