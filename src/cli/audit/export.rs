//! `audit export`: records in the forms that other programs read.

use std::cell::RefCell;
use std::io;

use clap::ValueEnum;

use super::{Known, damaged};
use crate::audit::export::{Exporter, Form};
use crate::audit::read::Entry;
use crate::audit::{Filter, search_with};
use crate::cli::bar::Bar;
use crate::cli::output::Output;
use crate::cli::{Ending, days};

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Format {
    /// A table with a header
    Csv,
    /// Open Cybersecurity Schema Framework 1.3: Datastore Activity, one JSON object a line
    Ocsf,
    /// Elastic Common Schema 8.17, one JSON object a line
    Ecs,
    /// Common Event Format, each line under 8,000 bytes
    Cef,
}

impl From<Format> for Form {
    fn from(format: Format) -> Self {
        match format {
            Format::Csv => Self::Csv,
            Format::Ocsf => Self::Ocsf,
            Format::Ecs => Self::Ecs,
            Format::Cef => Self::Cef,
        }
    }
}

pub(super) fn run(known: &Known, filter: Filter, format: Format, output: &mut Output) -> io::Result<Ending> {
    days::tell(&known.zone, output);
    let mut exporter = Exporter::new(format.into());
    if let Some(header) = exporter.header() {
        output.line(header);
    }
    let mut bar = Bar::new("reading the log");
    let shared = RefCell::new(&mut *output);
    let each = |entry: Entry| {
        let line = exporter.line(&entry);
        let output = &mut **shared.borrow_mut();
        output.line(line);
        !output.closed()
    };
    let effort =
        search_with(&known.directory, filter, false, each, &mut |advance| bar.at(advance, &mut shared.borrow_mut()));
    bar.end(output);
    Ok(damaged(&effort?, output))
}
