//! Text to AST and back, and what the AST refers to. sqlparser's tree for what reads and writes rows, our own for the rest;
//! the witness holds each to PostgreSQL's.

pub(super) mod database;
pub(super) mod ddl;
mod dialect;
pub(super) mod fragment;
pub(super) mod locks;
pub mod marker;
mod named;
pub(super) mod parse;
pub(super) mod render;
mod seen;
mod slots;
mod stack;
mod tokens;
pub(super) mod types;
mod unread;
pub mod utility;
mod versions;
pub(super) mod walk;

pub use ddl::Ddl;
pub use parse::{Kind, Parsed, parse};
pub use render::{render, render_expr};
pub(in crate::sql) use seen::is_json_constructor;
pub use seen::{column_parts, is_grammar_function, is_substring_call};
pub use stack::on_parser_stack;
