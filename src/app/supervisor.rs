//! Tells the service manager that started the proxy when it is ready, loads again and stops: the protocol of sd_notify(3), which
//! systemd speaks with units of `Type=notify`.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// How much longer than what runs the rest of an orderly end may take: the log is closed, and places beside it get the last of it.
const AFTERWARDS: Duration = Duration::from_secs(20);

/// Whoever wants to know; nobody where the proxy was started by hand.
#[derive(Debug)]
pub(super) struct Supervisor(Option<UnixDatagram>);

impl Supervisor {
    /// The one that `NOTIFY_SOCKET` names: a path, or `@` and an abstract name.
    pub(super) fn of_environment() -> Self {
        let Some(address) = std::env::var_os("NOTIFY_SOCKET") else { return Self(None) };
        let socket = connected(&address).inspect_err(
            |error| tracing::warn!(%error, "`NOTIFY_SOCKET` cannot be used: nobody is told when the proxy is ready"),
        );
        Self(socket.ok())
    }

    /// Clients can connect; also after a reload.
    pub(super) fn ready(&self, status: &str) {
        self.tell(&format!("READY=1\nSTATUS={}", one_line(status)));
    }

    /// Configuration and policies are being loaded again; [`ready`](Self::ready) ends that.
    pub(super) fn reloading(&self) {
        self.tell("RELOADING=1\nSTATUS=loading the policies again");
    }

    /// The proxy is being stopped, and what runs may take so long.
    pub(super) fn stopping(&self, drain: Duration) {
        let limit = drain.saturating_add(AFTERWARDS).as_micros();
        self.tell(&format!("STOPPING=1\nEXTEND_TIMEOUT_USEC={limit}\nSTATUS=letting finish what runs"));
    }

    fn tell(&self, state: &str) {
        if let Some(socket) = &self.0
            && let Err(error) = socket.send(state.as_bytes())
        {
            tracing::warn!(%error, "the service manager was not told");
        }
    }
}

/// A line break would begin another assignment.
fn one_line(text: &str) -> String {
    text.replace(|c: char| c.is_control(), " ")
}

fn connected(address: &OsStr) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    // Who does not listen must not hold the proxy up.
    socket.set_nonblocking(true)?;
    match address.as_bytes().strip_prefix(b"@") {
        Some(name) => socket.connect_addr(&SocketAddr::from_abstract_name(name)?)?,
        None => socket.connect(address)?,
    }
    Ok(socket)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn heard(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 512];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(buffer.get(..length).unwrap()).into_owned()
    }

    #[test]
    fn a_path_and_an_abstract_name_are_both_told_and_a_status_stays_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let by_path = UnixDatagram::bind(&path).unwrap();
        Supervisor(connected(path.as_os_str()).ok()).ready("shop\nSTOPPING=1");
        assert_eq!(heard(&by_path), "READY=1\nSTATUS=shop STOPPING=1");
        let name = format!("pgpurpose-test-{}", std::process::id());
        let abstracted = SocketAddr::from_abstract_name(name.as_bytes()).unwrap();
        let by_name = UnixDatagram::bind_addr(&abstracted).unwrap();
        let supervisor = Supervisor(connected(OsStr::new(&format!("@{name}"))).ok());
        supervisor.reloading();
        supervisor.stopping(Duration::from_secs(30));
        assert!(heard(&by_name).starts_with("RELOADING=1\n"));
        assert!(heard(&by_name).starts_with("STOPPING=1\nEXTEND_TIMEOUT_USEC=50000000\n"));
    }

    #[test]
    fn who_does_not_listen_holds_nobody_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        assert!(connected(path.as_os_str()).is_err());
        let deaf = UnixDatagram::bind(&path).unwrap();
        let supervisor = Supervisor(connected(path.as_os_str()).ok());
        // More than the kernel keeps for a socket.
        for _ in 0..10_000 {
            supervisor.ready("shop");
        }
        drop(deaf);
    }
}
