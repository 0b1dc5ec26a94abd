//! Places beside the files that take records of the access log: standard output, syslog, HTTP and PostgreSQL.

mod http;
mod postgres;
mod stdout;
mod stream;
mod syslog;

pub use http::Http;
pub use postgres::Postgres;
pub use stdout::Stdout;
pub use syslog::Syslog;
