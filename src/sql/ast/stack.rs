//! The stack that both parsers want: they recurse, and the limits are counted for this size.

use crate::error::{Refusal, Stage};

/// Bytes of stack for a thread that parses.
const PARSER_STACK: usize = 64 * 1024 * 1024;

/// Runs `work` on a thread with a stack of [`PARSER_STACK`] bytes and waits for it.
///
/// # Errors
/// XX000 where no thread could be started, or where `work` panicked.
pub fn on_parser_stack<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, Refusal> {
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .name("parser".to_owned())
            .stack_size(PARSER_STACK)
            .spawn_scoped(scope, work)
            .map_err(|_| Refusal::internal(Stage::Parse))?
            .join()
            .map_err(|_| Refusal::internal(Stage::Parse))
    })
}
