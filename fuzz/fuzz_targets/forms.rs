//! See `../targets/sql.rs` and `../targets/forms.rs`.
#![no_main]

#[path = "../targets/forms.rs"]
mod forms;
#[path = "../targets/sql.rs"]
mod target;

libfuzzer_sys::fuzz_target!(|data: &[u8]| target::exchange(data));
