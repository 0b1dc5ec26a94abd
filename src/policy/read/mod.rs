//! TOML to a validated policy set: every key with its place first, then what the files say compared with itself.

mod actors;
mod births;
mod categories;
mod collected;
mod condition;
mod keep;
mod kept;
pub(super) mod keys;
mod load;
mod masks;
mod patterns;
mod purposes;
mod retain;
mod rules;
mod source;
mod tables;
mod told;
mod validate;
mod wishes;
