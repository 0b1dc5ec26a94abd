//! The commands, as a person types them.

mod audit;
pub mod cluster;
pub mod demo;
mod output;

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
    #[command(after_help = "Example:\n  pgpurpose demo\n  pgpurpose demo --listen 127.0.0.1:7000 --dir /tmp/shop")]
    Demo(demo::DemoArgs),
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
        Verb::Demo(arguments) => {
            let ended = demo::run(&arguments, |_| Err("the proxy is not part of this build yet".to_owned()));
            match ended {
                Ok(()) => Ending::Fine,
                Err(error) => output.wrong(&error),
            }
        }
        Verb::Audit(arguments) => audit::run(&arguments, output),
    }
}
