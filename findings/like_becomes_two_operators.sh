#!/bin/sh
# `a ~~ b` is PostgreSQL's LIKE. To a dialect of one's own, which has the two methods that it must have, sqlparser 0.63 reads it as one
# operator, and 0.64, without an error, as `a ~ (~ b)`: a regular expression, and the complement of a number. What 0.63 did for every
# dialect became a method whose default is no.
set -eu
command -v cargo >/dev/null || { echo "this needs cargo" >&2; exit 2; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
read_by() {
  mkdir -p "$folder/$1/src"
  cat >"$folder/$1/Cargo.toml" <<TOML
[package]
name = "reads"
version = "0.0.0"
edition = "2021"
[dependencies]
sqlparser = "=$1"
TOML
  cat >"$folder/$1/src/main.rs" <<'RUST'
use sqlparser::ast::{Expr, SelectItem, SetExpr, Statement};
use sqlparser::dialect::Dialect;
use sqlparser::parser::Parser;

#[derive(Debug)]
struct Own;

impl Dialect for Own {
    fn is_identifier_start(&self, c: char) -> bool {
        c.is_ascii_alphabetic()
    }
    fn is_identifier_part(&self, c: char) -> bool {
        c.is_ascii_alphanumeric()
    }
}

fn main() {
    let read = Parser::parse_sql(&Own, "SELECT a ~~ b FROM t").unwrap();
    let Statement::Query(query) = &read[0] else { panic!("no query") };
    let SetExpr::Select(select) = query.body.as_ref() else { panic!("no SELECT") };
    let SelectItem::UnnamedExpr(Expr::BinaryOp { left, op, right }) = &select.projection[0] else { panic!("no operator") };
    println!("{left} | {op} | {right}");
}
RUST
  (cd "$folder/$1" && CARGO_TARGET_DIR="$folder/target" cargo run -q)
}
before=$(read_by 0.63.0)
after=$(read_by 0.64.0)
echo "sqlparser 0.63.0: $before"
echo "sqlparser 0.64.0: $after"
[ "$before" = "a | ~~ | b" ] || { echo "0.63.0 changed" >&2; exit 1; }
[ "$after" = "a | ~ | ~ b" ] || [ "$after" = "a | ~ | ~b" ] || { echo "0.64.0 changed" >&2; exit 1; }
