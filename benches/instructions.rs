//! How many instructions a statement takes that was decided before (`tests/support/counted.rs` says how they are counted).
//!
//! `cargo bench --bench instructions` fails where a count is over its bound. Without valgrind it says so and ends well, but not where `CI` is
//! set. A test holds the same of the build that tests have (`tests/operate/counted.rs`).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    missing_docs
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::process::ExitCode;

use support::counted;

/// pgbench's protocol, and instructions that one of its SELECTs may take. Lower a bound when the proxy gets better.
const BOUNDS: [(&str, u64); 3] = [("prepared", 68_000), ("extended", 87_000), ("simple", 80_000)];

fn main() -> ExitCode {
    if !counted::can_count() {
        eprintln!("LEFT OUT: valgrind is not installed");
        return if std::env::var_os("CI").is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
    }
    let cluster = counted::cluster();
    println!("| pgbench's SELECT, masked column | instructions | at most |\n| --- | ---: | ---: |");
    let mut fine = true;
    for (protocol, bound) in BOUNDS {
        let each = counted::of_a_select(&cluster, &[protocol]);
        println!("| {protocol} | {each} | {bound} |");
        fine &= each <= bound;
    }
    if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
