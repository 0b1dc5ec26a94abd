//! What a statement costs that was decided before, in instructions: a time would depend on what else the machine does.

use crate::support::counted;

/// Instructions that one of pgbench's SELECTs may take by two of its protocols together: a tenth more than it takes in a build that is not
/// optimised (`cargo bench --bench instructions` has those of one that is). Lower it when the proxy gets better.
const MOST: u64 = 480_000;

#[test]
fn a_statement_that_was_decided_before_takes_no_more_instructions_than_it_may() {
    if !counted::can_count() {
        eprintln!("LEFT OUT: valgrind is not installed");
        assert!(std::env::var_os("CI").is_none(), "CI needs valgrind");
        return;
    }
    let count = counted::of_a_select(&counted::cluster(), &["prepared", "simple"]);
    assert!(count <= MOST, "it takes {count} instructions, and may take {MOST}");
}
