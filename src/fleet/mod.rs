//! Several proxies before one database: their logs in one audit database, read back and proved; what they spend together; which of
//! them runs which policies.

mod address;
mod bundle;
mod counts;
mod logs;
mod page;
mod prove;
mod proxies;
mod search;

pub use address::{AuditPlace, BadPlace};
pub use bundle::{BadBundle, Bundle, PolicyText, sign};
pub use counts::SharedCounts;
pub use logs::{AuditDb, DbError, Lines, LogName};
pub use prove::Held;
pub use proxies::{Proxy, proxies};
