//! The program: everything is in the library.

use std::process::ExitCode;

/// Gives memory back after a peak, and holds many small sessions tightly: see ARCHITECTURE.md.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    pgpurpose::cli::main()
}
