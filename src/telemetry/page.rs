//! Metrics as they are handed out: families of samples, and their text form for Prometheus
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>, version 0.0.4). `otlp` has the other form.

use std::fmt::Write;
use std::time::Duration;

use super::metrics::Histogram;

/// What is measured at one moment. Names get the prefix `pgpurpose_`.
#[derive(Debug, Clone, Default)]
pub struct Page(Vec<Family>);

/// Samples of one name.
#[derive(Debug, Clone, PartialEq)]
pub struct Family {
    /// With the prefix.
    pub name: String,
    /// One sentence.
    pub help: String,
    /// How it changes.
    pub kind: Kind,
    /// At least one; a label's name and value, where there is one.
    pub samples: Vec<(Option<(String, String)>, Value)>,
}

/// How a metric changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It grows and shrinks.
    Gauge,
    /// Durations by size.
    Histogram,
}

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Of a counter or a gauge.
    Number(i64),
    /// Of a histogram.
    Durations(Durations),
}

/// Durations, counted by size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Durations {
    /// The upper end of a bucket, and how many fall into it and into no smaller one.
    pub buckets: Vec<(Duration, u64)>,
    /// How many there are, those longer than every bucket among them.
    pub count: u64,
    /// All together.
    pub sum: Duration,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

impl Page {
    /// A value that grows and shrinks.
    pub fn gauge(&mut self, name: &str, help: &str, value: impl ToSample) {
        self.family(name, help, Kind::Gauge, vec![(None, Value::Number(value.sample()))]);
    }

    /// A value that only grows.
    pub fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.family(name, help, Kind::Counter, vec![(None, Value::Number(value.sample()))]);
    }

    /// One sample for each of a few values of a label, which no client can choose; nothing where there are none. `kind` is `counter` or
    /// `gauge`.
    pub fn by_label(&mut self, name: &str, kind: &str, help: &str, label: &str, samples: &[(&str, u64)]) {
        if samples.is_empty() {
            return;
        }
        let kind = if kind == "counter" { Kind::Counter } else { Kind::Gauge };
        let of = |(value, sample): &(&str, u64)| {
            (Some((label.to_owned(), (*value).to_owned())), Value::Number(sample.sample()))
        };
        self.family(name, help, kind, samples.iter().map(of).collect());
    }

    /// Durations.
    pub(super) fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) {
        self.family(name, help, Kind::Histogram, vec![(None, Value::Durations(histogram.durations()))]);
    }

    /// One family of histograms, by the values of a label, which no client can choose.
    pub(super) fn histograms(&mut self, name: &str, help: &str, label: &str, histograms: &[(&str, &Histogram)]) {
        let of = |(value, histogram): &(&str, &Histogram)| {
            (Some((label.to_owned(), (*value).to_owned())), Value::Durations(histogram.durations()))
        };
        self.family(name, help, Kind::Histogram, histograms.iter().map(of).collect());
    }

    fn family(&mut self, name: &str, help: &str, kind: Kind, samples: Vec<(Option<(String, String)>, Value)>) {
        self.0.push(Family { name: format!("pgpurpose_{name}"), help: help.to_owned(), kind, samples });
    }

    /// All of it.
    pub fn families(&self) -> &[Family] {
        &self.0
    }

    /// Prometheus' text.
    pub fn finish(self) -> String {
        let mut text = String::with_capacity(8192);
        for family in &self.0 {
            // Writing to a String does not fail.
            let _ = family.write(&mut text);
        }
        text
    }
}

impl Family {
    fn write(&self, text: &mut String) -> std::fmt::Result {
        let name = &self.name;
        writeln!(text, "# HELP {name} {}\n# TYPE {name} {}", self.help, self.kind.name())?;
        for (label, value) in &self.samples {
            let label = label.as_ref().map(|(label, value)| format!("{label}=\"{}\"", escaped(value)));
            let braced = label.as_ref().map(|label| format!("{{{label}}}")).unwrap_or_default();
            match value {
                Value::Number(number) => writeln!(text, "{name}{braced} {number}")?,
                Value::Durations(durations) => {
                    let before = label.map(|label| format!("{label},")).unwrap_or_default();
                    let mut below = 0;
                    for (end, count) in &durations.buckets {
                        below += count;
                        writeln!(text, "{name}_bucket{{{before}le=\"{}\"}} {below}", end.as_secs_f64())?;
                    }
                    let (count, sum) = (durations.count, durations.sum.as_secs_f64());
                    writeln!(text, "{name}_bucket{{{before}le=\"+Inf\"}} {count}")?;
                    writeln!(text, "{name}_sum{braced} {sum}\n{name}_count{braced} {count}")?;
                }
            }
        }
        Ok(())
    }
}

/// A label's value may hold what a policy names.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// What a gauge may show.
pub trait ToSample {
    /// As a whole number.
    fn sample(self) -> i64;
}

impl ToSample for i64 {
    fn sample(self) -> i64 {
        self
    }
}

impl ToSample for u64 {
    fn sample(self) -> i64 {
        i64::try_from(self).unwrap_or(i64::MAX)
    }
}

impl ToSample for bool {
    fn sample(self) -> i64 {
        self.into()
    }
}
