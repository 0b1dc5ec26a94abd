//! How far long work has come: one line on a terminal.

use std::time::{Duration, Instant};

use super::output::Output;
use crate::audit::Advance;

/// Work that ends sooner draws nothing.
const PATIENCE: Duration = Duration::from_millis(400);
const BETWEEN: Duration = Duration::from_millis(150);
const WIDTH: u64 = 30;

/// A progress bar on stderr, where that is a terminal. It is gone once it is [`end`](Self::end)ed.
pub(super) struct Bar {
    what: &'static str,
    begun: Instant,
    next: Duration,
}

impl Bar {
    /// Of work that is called so: `reading the log`.
    pub(super) fn new(what: &'static str) -> Self {
        Self { what, begun: Instant::now(), next: PATIENCE }
    }

    /// So much is done. May be called as often as one likes.
    pub(super) fn at(&mut self, advance: Advance, output: &mut Output) {
        let elapsed = self.begun.elapsed();
        if elapsed >= self.next {
            self.next = elapsed + BETWEEN;
            output.progress(drawn(self.what, advance, elapsed));
        }
    }

    /// Removes it.
    pub(super) fn end(self, output: &mut Output) {
        output.progress("");
    }
}

fn drawn(what: &str, advance: Advance, elapsed: Duration) -> String {
    let Advance { done, of } = advance;
    let of = of.max(1);
    let done = done.min(of);
    let cells = usize::try_from(WIDTH * done / of).unwrap_or_default();
    let rest = usize::try_from(WIDTH).unwrap_or_default() - cells;
    let percent = 100 * done / of;
    let left = (done > 0 && done < of).then(|| elapsed.as_secs() * (of - done) / done).map(time);
    let left = left.map(|left| format!(", {left} left")).unwrap_or_default();
    format!("{what} [{}{}] {percent:>3} %{left}", "#".repeat(cells), "-".repeat(rest))
}

fn time(seconds: u64) -> String {
    match seconds {
        0..=99 => format!("{seconds} s"),
        _ => format!("{} min", seconds.div_ceil(60)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_says_how_much_is_done_and_what_is_left() {
        let after = |done, of, seconds| drawn("reading", Advance { done, of }, Duration::from_secs(seconds));
        assert_eq!(after(0, 10, 0), format!("reading [{}]   0 %", "-".repeat(30)));
        assert_eq!(after(5, 10, 7), format!("reading [{}{}]  50 %, 7 s left", "#".repeat(15), "-".repeat(15)));
        assert_eq!(after(1, 100, 3), format!("reading [{}]   1 %, 5 min left", "-".repeat(30)));
        assert_eq!(after(10, 10, 7), format!("reading [{}] 100 %", "#".repeat(30)));
        assert_eq!(after(12, 10, 7), after(10, 10, 7));
        assert_eq!(after(0, 0, 1), after(0, 10, 1));
    }
}
