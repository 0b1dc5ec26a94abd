//! What the demo prints once the proxy answers.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;

use super::{DemoArgs, SHOP_DATABASE};
use crate::cli::cluster::{Cluster, SUPERUSER};

/// Who can be tried, and what each is to see.
const PEOPLE: &[(&str, &str, &str)] = &[
    ("support_agent", "support", "contact details masked, enough to answer a customer"),
    ("marketing", "marketing", "only customers whose consent is live"),
    ("analyst", "analytics", "no person at all"),
    ("migrator", "unrestricted", "everything, with a reason, and every statement logged"),
];

/// Everything the screen names.
pub(super) struct Screen {
    listen: SocketAddr,
    admin: SocketAddr,
    psql: String,
    socket: PathBuf,
    log: PathBuf,
    bold: (&'static str, &'static str),
}

impl Screen {
    pub(super) fn new(args: &DemoArgs, cluster: &Cluster, terminal: bool) -> Self {
        let own = cluster.bin().program("psql");
        let on_path = std::env::var_os("PATH")
            .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join("psql").is_file()));
        Self {
            listen: args.listen,
            admin: args.admin,
            psql: if on_path { "psql".to_owned() } else { own.display().to_string() },
            socket: cluster.socket_dir(),
            log: cluster.root().join("audit"),
            bold: if terminal { ("\x1b[1m", "\x1b[0m") } else { ("", "") },
        }
    }

    pub(super) fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let (on, off) = self.bold;
        // An address that stands for all of them is not one to connect to.
        let host = if self.listen.ip().is_unspecified() { "127.0.0.1".to_owned() } else { self.listen.ip().to_string() };
        let psql = format!("{} -h {host} -p {}", self.psql, self.listen.port());
        writeln!(out, "\nThe same question, another answer for each purpose. In another terminal:\n")?;
        for (login, purpose, sees) in PEOPLE {
            writeln!(out, "  {on}{psql} -U {login} {SHOP_DATABASE}{off}")?;
            writeln!(out, "      {purpose}: {sees}")?;
        }
        writeln!(out, "\nWhat to try, as each of them:\n")?;
        for (sql, says) in [
            ("SELECT * FROM customers LIMIT 3;", "three purposes, three truths"),
            ("SELECT id, health_note FROM customers;", "refused: the message says why, the session goes on"),
            ("SELECT count(*) FROM customers;", "marketing counts those who agreed, support counts all"),
            ("SHOW pgpurpose.purpose;", "the purpose that is in force"),
            ("\\d customers", "what clients need to work is answered"),
        ] {
            writeln!(out, "  {on}{sql}{off}\n      {says}")?;
        }
        writeln!(out, "\nWithdraw every consent, behind the proxy's back, and ask again as marketing:\n")?;
        writeln!(
            out,
            "  {on}{} -h {} -U {SUPERUSER} {SHOP_DATABASE} -c 'UPDATE privacy.consents SET withdrawn_at = now()'{off}",
            self.psql,
            self.socket.display()
        )?;
        writeln!(out, "\nEvery statement is in the access log before it reaches the database:\n")?;
        writeln!(out, "  {on}tail -f {}/access-*.jsonl{off}", self.log.display())?;
        writeln!(out, "\nConsole: http://{}   Ctrl-C ends everything.\n", self.admin)?;
        out.flush()
    }
}
