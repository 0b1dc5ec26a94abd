//! `--time-zone`: whose days a verb over the access log reckons in, and says so.

use clap::Args;
use jiff::Timestamp;

use super::output::Output;
use crate::config::{Config, When, Zone};

#[derive(Debug, Args)]
pub(in crate::cli) struct Days {
    /// Whose days and times count [default: `[audit] time_zone` of the configuration, else Africa/Johannesburg]
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<Zone>,
}

impl Days {
    /// The zone that was asked for, else the configuration's.
    pub(in crate::cli) fn zone(&self, config: Option<&Config>) -> Zone {
        let configured = || config.map(|config| config.audit.time_zone.clone());
        self.time_zone.clone().or_else(configured).unwrap_or_default()
    }
}

/// Tells whose days count, beside what is found.
pub(in crate::cli) fn tell(zone: &Zone, output: &mut Output) {
    output.remark(format_args!("days and times are those of {zone}"));
}

/// The bounds of a time: both days whole, the last one too.
///
/// # Errors
/// A day is beyond the times that can be told.
pub(in crate::cli) fn bounds(
    from: Option<&When>,
    to: Option<&When>,
    zone: &Zone,
) -> Result<(Option<Timestamp>, Option<Timestamp>), String> {
    Ok((from.map(|from| from.first(zone)).transpose()?, to.map(|to| to.over(zone)).transpose()?))
}
