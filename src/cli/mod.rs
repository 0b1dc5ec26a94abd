//! The commands, as a person types them.

mod assumed;
mod audit;
mod bar;
mod centre;
mod changes;
mod check;
mod days;
pub mod demo;
mod document;
mod explain;
mod fleet;
mod grant;
mod hash_password;
mod init;
mod layout;
mod optouts;
mod output;
mod policy;
mod report;
mod retention;
mod scan;
mod seen;
mod serve;
mod setup;
mod subject;
mod suggest;
mod training;
mod verdict;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use output::Output;

/// How a command ended, as the shell sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// 0
    Fine,
    /// 1: a check or test failed, or a log does not verify.
    Failed,
    /// 2: wrong usage or configuration.
    Wrong,
}

impl From<Ending> for ExitCode {
    fn from(ending: Ending) -> Self {
        Self::from(match ending {
            Ending::Fine => 0,
            Ending::Failed => 1,
            Ending::Wrong => 2,
        })
    }
}

/// A PostgreSQL proxy that decides by purpose which columns of which rows a role may read or write
#[derive(Debug, Parser)]
#[command(name = "pgpurpose", version, arg_required_else_help = true, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Try it: a throwaway PostgreSQL with a sample shop, and the proxy before it
    #[command(
        after_help = "Example:\n  pgpurpose demo\n  pgpurpose demo --listen 127.0.0.1:7000 --dir /tmp/shop\n  pgpurpose demo --lesson support --learner nomsa"
    )]
    Demo(demo::DemoArgs),
    /// The proxy
    #[command(
        after_help = "SIGHUP loads the policies again, all of them or none, and certificate and key, which are also read when their files\nchange; SIGTERM and SIGINT take nobody new, let what runs\nfinish for `[listen] drain_seconds`, and end the proxy; a second one ends it at once.\n\nWithout a file, logins are relayed to a database on this machine (a Unix socket, or a loopback address without TLS);\nto any other, the proxy checks them itself with the database's own verifiers (`method = \"passthrough\"`), and TLS is used\nwhere the database offers it.\n\nExamples:\n  pgpurpose serve --config pgpurpose.toml\n  pgpurpose serve --upstream 127.0.0.1:5432 --policy 'policies/*.toml' --audit /var/log/pgpurpose"
    )]
    Serve(serve::ServeArgs),
    /// Set the proxy up before a server that is there: its own login, keys, configuration, a first policy
    #[command(
        after_help = "Asks before each step, and keeps what is there. Passwords and keys are written for their owner alone and never shown; the\npassword of the login that sets up is kept nowhere. Run again after a failure, it goes on where it stopped.\n\nExamples:\n  pgpurpose init\n  sudo -u postgres pgpurpose init --upstream /run/postgresql --login postgres\n  pgpurpose init --yes --upstream db.example:5432 --tls-ca ca.crt --login dba --password file:dba.password --dir /etc/pgpurpose\n  pgpurpose init --dry-run --upstream 127.0.0.1:5432 --login postgres"
    )]
    Init(init::InitArgs),
    /// Check configuration and policies, and run the policies' own tests
    #[command(
        after_help = "Ends with 1 where a test fails or the policies do not fit the database, with 2 where a file is wrong. Where the\ndatabase cannot be reached, the tests run against a catalog made of the policies' own tables: every column is text,\nor another type that its masks fit.\n\nExamples:\n  pgpurpose check --config pgpurpose.toml --live\n  pgpurpose check --policy 'policies/*.toml' --offline"
    )]
    Check(check::CheckArgs),
    /// Say what a statement would get, and why, without running it
    #[command(
        after_help = "Examples:\n  pgpurpose explain --config pgpurpose.toml --login support_agent 'SELECT * FROM customers'\n  pgpurpose explain --policy policies/shop.toml --login analyst --purpose analytics --json 'SELECT city FROM customers'\n  pgpurpose explain --config pgpurpose.toml --login support_agent --file statements.jsonl"
    )]
    Explain(explain::ExplainArgs),
    /// Policies: what a change opens and closes, and what may stand in one
    Policy(policy::PolicyArgs),
    /// Find personal information in a database, and write a first policy for it
    #[command(
        after_help = "Reads names, types, comments and keys and, unless --no-values, a bounded sample of each table, read only and in memory\nonly: no value is printed, logged or written. Writes the policy to standard output unless -o or --json is given. Ends with 1\nwith --strict where something is unsure, and with --drift where the policies in force no longer fit.\n\nExamples:\n  pgpurpose scan --upstream 127.0.0.1:5432 --login dba --database shop -o policies/scanned.toml\n  pgpurpose scan --config pgpurpose.toml --no-values --json columns.jsonl\n  pgpurpose scan --config pgpurpose.toml --review\n  pgpurpose scan --config pgpurpose.toml --drift"
    )]
    Scan(scan::ScanArgs),
    /// From the access log: the smallest rules that what was done would need
    #[command(
        after_help = "Meant for a log of `mode = \"observe\"`. Special personal information stands commented out.\n\nExample:\n  pgpurpose suggest --config pgpurpose.toml --since 7d -o policies/suggested.toml"
    )]
    Suggest(suggest::SuggestArgs),
    /// List what is past its retention and due for destruction: counts only
    #[command(
        after_help = "Counts with the login of `[upstream] catalog_login`, which needs SELECT on the tables. Ends with 1 where one could not be\ncounted.\n\nExamples:\n  pgpurpose retention --config pgpurpose.toml\n  pgpurpose retention --config pgpurpose.toml --json"
    )]
    Retention(retention::RetentionArgs),
    /// Lists of those who opted out of direct marketing
    #[command(
        name = "optouts",
        after_help = "Example:\n  pgpurpose optouts import --config pgpurpose.toml --list registry --as-of 2026-11-01 november.csv"
    )]
    OptOuts(optouts::OptOutsArgs),
    /// Papers from the policies: PAIA manual, notice, register of processing, operators, impact assessment
    #[command(
        after_help = "What policies cannot know stands in `[organisation]` of the configuration; what stands nowhere is a marked gap.\n\nExamples:\n  pgpurpose document paia --config pgpurpose.toml -o paia.html\n  pgpurpose document notice --config pgpurpose.toml --lang af\n  pgpurpose document register --config pgpurpose.toml -o register.md --check"
    )]
    Document(document::DocumentArgs),
    /// What data subjects ask for: find, open, show, export, correct, delete, object, restrict, consent, due
    #[command(
        after_help = "The register stands in the database (`deploy/privacy.sql`); the login of `[upstream] catalog_login` needs its group `privacy_keeper`,\nand SELECT, UPDATE and DELETE on the tables that hold people. Each step is a record of the access log.\n\nExample:\n  pgpurpose subject find --config pgpurpose.toml --email thandi@example.co.za"
    )]
    Subject(subject::SubjectArgs),
    /// Who was taught what, by the register of lessons, and who has access without it
    #[command(
        after_help = "Ends with 1 where a login of a role with `training` has no lesson that still counts, or a line's signature does not hold.\nLessons are taken with `pgpurpose demo --lesson support --learner NAME --register pgpurpose.toml`.\n\nExample:\n  pgpurpose training --config pgpurpose.toml"
    )]
    Training(training::TrainingArgs),
    /// The privacy centre: a site where people see what is held, choose, ask, and see who looked
    #[command(
        after_help = "Needs `[centre]` and `[mail]`, and a login of its own in the database that is in the group `privacy_centre` of\n`deploy/privacy.sql` and may do nothing else (docs/centre.md).\n\nExamples:\n  pgpurpose centre --config pgpurpose.toml --sql | psql -d shop\n  pgpurpose centre --config pgpurpose.toml\n  pgpurpose centre --config pgpurpose.toml --links marketing.email < keys.txt\n  pgpurpose centre --config pgpurpose.toml --verify receipt.json"
    )]
    Centre(centre::CentreArgs),
    /// Make the entry of a login for `method = "scram"` from a password
    #[command(
        after_help = "The password is read twice from the terminal, without echo, or once from a pipe; only its verifier is printed.\n\nExample:\n  pgpurpose hash-password support_agent >> pgpurpose.toml"
    )]
    HashPassword(hash_password::HashPasswordArgs),
    /// Exceptions that expire: let a login use a purpose for a time, with a reason; list them for review; end one
    #[command(
        after_help = "A signed line in `grants.jsonl` beside the policies, in force from the next statement on and gone by itself; each is in the\naccess log. Where the purpose says `grant = \"two persons\"`, --approved-by names the other one.\n\nExamples:\n  pgpurpose grant --login support_agent --purpose incident --for 2h --reason 'OPS-12: orders are lost'\n  pgpurpose grant list\n  pgpurpose grant end g-5f3a91c2"
    )]
    Grant(grant::GrantArgs),
    /// Which proxy runs which policies since when, from the audit database that all send their logs to
    #[command(
        after_help = "Ends with 1 where the proxies that run differ in their policies or their mode.\n\nExamples:\n  pgpurpose fleet --audit-db postgresql://auditor@audit-db/audit\n  pgpurpose fleet --audit-db env:AUDIT_DB --json"
    )]
    Fleet(fleet::FleetArgs),
    /// Read the access log, and prove that nothing in it was changed
    Audit(audit::AuditArgs),
}

/// Runs the command that the process was called with.
pub fn main() -> ExitCode {
    // clap itself ends with 2 on wrong usage and with 0 after --help.
    let arguments = Arguments::parse();
    let mut output = Output::of_process();
    run(arguments.verb, &mut output).into()
}

fn run(verb: Verb, output: &mut Output) -> Ending {
    match verb {
        Verb::Demo(arguments) => match serve::demo(&arguments) {
            Ok(()) => Ending::Fine,
            Err(error @ demo::DemoError::Lesson(_)) => output.failed(error),
            Err(error) => output.wrong(&error),
        },
        Verb::Serve(arguments) => serve::run(&arguments, output),
        Verb::Init(arguments) => init::run(&arguments, output),
        Verb::Check(arguments) => check::run(&arguments, output),
        Verb::Explain(arguments) => explain::run(&arguments, output),
        Verb::Policy(arguments) => policy::run(&arguments, output),
        Verb::Scan(arguments) => scan::run(&arguments, output),
        Verb::Suggest(arguments) => suggest::run(&arguments, output),
        Verb::Retention(arguments) => retention::run(&arguments, output),
        Verb::Document(arguments) => document::run(&arguments, output),
        Verb::OptOuts(arguments) => optouts::run(&arguments, output),
        Verb::Subject(arguments) => subject::run(&arguments, output),
        Verb::Training(arguments) => training::run(&arguments, output),
        Verb::Centre(arguments) => centre::run(&arguments, output),
        Verb::HashPassword(arguments) => hash_password::run(&arguments, output),
        Verb::Grant(arguments) => grant::run(&arguments, output),
        Verb::Fleet(arguments) => fleet::run(&arguments, output),
        Verb::Audit(arguments) => audit::run(&arguments, output),
    }
}
