//! TOML to a validated policy set: every key with its place first, then what the files say compared with itself.

mod births;
mod collected;
mod condition;
mod keep;
mod load;
mod masks;
mod purposes;
mod retain;
mod rules;
mod source;
mod tables;
mod told;
mod validate;
mod wishes;
