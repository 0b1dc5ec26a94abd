//! What the operator sees of the proxy itself: its own log on stderr, and counters.
//!
//! Neither holds a literal of a statement, a value of the database or a secret; the counters have no labels that a
//! client could choose.

mod flood;
mod metrics;
pub mod otlp;
mod own_log;
mod page;

pub use flood::OwnLines;
pub use metrics::{Counter, Gauge, Histogram, Metrics, Stages};
pub use otlp::{Attribute, Resource, Span};
pub use own_log::{Format, output, start, start_at};
pub use page::{Page, ToSample};
