//! What the demo prints once the proxy answers.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;

use super::centre::Shown;
use super::{DemoArgs, SHOP_DATABASE};
use crate::cluster::{Cluster, SUPERUSER};

/// Who can be tried: login, purpose where it is not the login's default, and what is to be seen.
const PEOPLE: &[(&str, Option<&str>, &str)] = &[
    ("support_agent", None, "support: contact details are masked, health notes do not exist"),
    ("support_agent", Some("billing"), "billing: the same person, for another purpose: names and addresses"),
    ("marketing", None, "marketing: only customers whose consent is live"),
    ("marketing", Some("marketing.sms"), "text messages: only those who agreed to that too"),
    ("analyst", None, "analytics: no person at all, only groups of ten or more"),
    ("migrator", None, "unrestricted: everything, for a stated reason; every statement is logged"),
];

/// What to type there.
const TRY: &[(&str, &str)] = &[
    ("SELECT * FROM customers LIMIT 3;", "the same question, another answer for each of them"),
    ("SELECT id, health_note FROM customers;", "refused: the message says why, and the session goes on"),
    (
        "SELECT id, full_name FROM customers WHERE id_number = '7110185001781';",
        "support finds a caller by a number it does not see",
    ),
    ("SELECT city, count(*) FROM customers GROUP BY city;", "what analysts are for"),
    ("SHOW pgpurpose.purpose;", "the purpose in force"),
    ("\\d customers", "what clients need to work is answered"),
];

/// Everything the screen names.
pub(super) struct Screen {
    listen: SocketAddr,
    admin: SocketAddr,
    /// What opens the console.
    console: Option<String>,
    psql: String,
    socket: PathBuf,
    log: PathBuf,
    pgpurpose: String,
    officer: PathBuf,
    centre: Option<Shown>,
    bold: (&'static str, &'static str),
}

impl Screen {
    pub(super) fn new(args: &DemoArgs, cluster: &Cluster, centre: Option<Shown>, terminal: bool) -> Self {
        let on_path = |name: &str| {
            std::env::var_os("PATH")
                .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(name).is_file()))
        };
        let called = |name: &str, own: Option<PathBuf>| match own {
            Some(own) if !on_path(name) => own.display().to_string(),
            Some(_) | None => name.to_owned(),
        };
        Self {
            listen: args.listen,
            admin: args.admin,
            console: std::fs::read_to_string(cluster.root().join(super::CONSOLE_TOKEN))
                .ok()
                .filter(|_| args.admin.ip().is_loopback()),
            psql: called("psql", Some(cluster.bin().program("psql"))),
            pgpurpose: called("pgpurpose", std::env::current_exe().ok()),
            officer: super::register::officer_config(cluster.root()),
            centre,
            socket: cluster.socket_dir(),
            log: cluster.root().join("audit"),
            bold: if terminal { ("\x1b[1m", "\x1b[0m") } else { ("", "") },
        }
    }

    pub(super) fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let (on, off) = self.bold;
        // An address that stands for all of them is not one to connect to.
        let host =
            if self.listen.ip().is_unspecified() { "127.0.0.1".to_owned() } else { self.listen.ip().to_string() };
        let psql = format!("{} -h {host} -p {}", self.psql, self.listen.port());
        writeln!(out, "\nIn another terminal, one of these:\n")?;
        for (login, purpose, sees) in PEOPLE {
            // The database's name may carry the purpose: no application has to be changed for that.
            let purpose = purpose.map(|purpose| format!("@{purpose}")).unwrap_or_default();
            writeln!(out, "  {on}{psql} -U {login} {SHOP_DATABASE}{purpose}{off}\n      {sees}")?;
        }
        writeln!(out, "\nand there:\n")?;
        for (sql, says) in TRY {
            writeln!(out, "  {on}{sql}{off}\n      {says}")?;
        }
        writeln!(out, "\nWithdraw every consent, behind the proxy's back, and ask again as marketing:\n")?;
        writeln!(
            out,
            "  {on}{} -h {} -U {SUPERUSER} {SHOP_DATABASE} -c 'UPDATE privacy.consents SET withdrawn_at = now()'{off}",
            self.psql,
            self.socket.display()
        )?;
        match &self.centre {
            Some(centre) => {
                writeln!(
                    out,
                    "\nThe same person in a browser: the privacy centre, where customers see, choose, ask, and see who looked:\n"
                )?;
                writeln!(
                    out,
                    "  {on}{}{off}\n      sign in as {}; the code is in {}",
                    centre.url,
                    centre.person,
                    centre.mail.display()
                )?;
            }
            None => writeln!(
                out,
                "\nThe privacy centre is left out: somebody else listens where it would; --centre ADDR says where else"
            )?,
        }
        writeln!(out, "\nEvery statement is in the access log before it reaches the database:\n")?;
        writeln!(out, "  {on}tail -f {}/access-*.jsonl{off}", self.log.display())?;
        let subject = |verb: &str| format!("{} subject {verb} --config {}", self.pgpurpose, self.officer.display());
        writeln!(
            out,
            "\nCustomer 2 objects to marketing; the next statement of every session knows, open ones too:\n"
        )?;
        writeln!(
            out,
            "  {on}{} --asked objection --subject 2 --form telephone --identified 'recording of the call'{off}\n  \
             {on}{} 1 --purpose marketing{off}",
            subject("open"),
            subject("object")
        )?;
        writeln!(
            out,
            "\nTen minutes of training on this shop: {on}{} demo --lesson support{off} (or marketing,",
            self.pgpurpose
        )?;
        writeln!(out, "developer, dba, reviewer, officer: a request from its opening to its certificate)")?;
        match &self.console {
            Some(token) => writeln!(
                out,
                "\nThe console, where access is reviewed: {on}http://{}/token/{token}{off}   Ctrl-C ends everything.\n",
                self.admin
            )?,
            None => writeln!(out, "\nMetrics: http://{}/metrics   Ctrl-C ends everything.\n", self.admin)?,
        }
        out.flush()
    }
}
