//! The program: everything is in the library.

use std::process::ExitCode;

use tikv_jemallocator::Jemalloc;

/// Takes less time than the system's for the many small parts of a decision, and gives what a large statement took back at once, as
/// `.cargo/config.toml` sets it (figures in docs/costs.md).
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    pgpurpose::cli::main()
}
