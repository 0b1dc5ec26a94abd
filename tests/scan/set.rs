//! How much of the South African set a scan finds.

use std::collections::BTreeMap;

use pgpurpose::scan::{Facts, Lexicon, Sample, judge_table};
use toml::Table;

use crate::generate::{Random, value};

/// One column of the set.
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) type_sql: String,
    pub(crate) make: String,
    /// Empty: nothing personal.
    pub(crate) category: String,
}

/// The tables by name.
pub(crate) fn tables() -> BTreeMap<String, Vec<Column>> {
    let set: Table = toml::from_str(include_str!("south_african.toml")).unwrap();
    let column = |entry: &toml::Value| {
        let [name, type_sql, make, category] = [0, 1, 2, 3].map(|at| entry[at].as_str().unwrap().to_owned());
        Column { name, type_sql, make, category }
    };
    set.into_iter()
        .map(|(name, table)| (name, table["columns"].as_array().unwrap().iter().map(column).collect()))
        .collect()
}

/// The values of a column.
pub(crate) fn values(table: &str, column: &Column, rows: u64) -> Vec<String> {
    let seed = table
        .bytes()
        .chain(column.name.bytes())
        .fold(7, |seed: u64, byte| seed.wrapping_mul(31).wrapping_add(byte.into()));
    let mut random = Random::new(seed);
    (0..rows).map(|row| value(&column.make, row, &mut random)).collect()
}

/// Counts of right, wrong and missed, and what was wrong in words.
#[derive(Default)]
pub(crate) struct Score {
    pub(crate) right: usize,
    pub(crate) wrong: usize,
    pub(crate) missed: usize,
    pub(crate) words: Vec<String>,
}

impl Score {
    pub(crate) fn add(&mut self, name: &str, truth: &str, found: Option<&str>) {
        match (truth, found) {
            ("", None) => return,
            (truth, Some(found)) if truth == found => {
                self.right += 1;
                return;
            }
            ("", Some(_)) => self.wrong += 1,
            (_, None) => self.missed += 1,
            // Another category is both.
            (_, Some(_)) => (self.wrong, self.missed) = (self.wrong + 1, self.missed + 1),
        }
        self.words.push(format!("{name}: is {truth:?}, found {found:?}"));
    }

    #[allow(clippy::cast_precision_loss)]
    pub(crate) fn precision_and_recall(&self) -> (f64, f64) {
        let share = |other: usize| self.right as f64 / (self.right + other) as f64;
        (share(self.wrong), share(self.missed))
    }
}

#[test]
fn nearly_everything_of_the_south_african_set_is_found_and_nearly_nothing_else() {
    let (lexicon, mut score) = (Lexicon::built_in().unwrap(), Score::default());
    for (name, columns) in tables() {
        let facts: Vec<Facts> = columns
            .iter()
            .map(|column| {
                let values = values(&name, column, 100);
                Facts {
                    name: column.name.clone(),
                    type_sql: column.type_sql.clone(),
                    comment: None,
                    sample: Some(Sample { rows: values.len(), values, ..Sample::default() }),
                }
            })
            .collect();
        for (column, verdict) in columns.iter().zip(judge_table(&name, &facts, &lexicon)) {
            score.add(&format!("{name}.{}", column.name), &column.category, verdict.category());
        }
    }
    let (precision, recall) = score.precision_and_recall();
    assert!(
        precision >= 0.97 && recall >= 0.97,
        "precision {precision:.3}, recall {recall:.3}\n{}",
        score.words.join("\n")
    );
}

/// Nothing that a scan says of a column shows a value of it.
#[test]
fn no_value_stands_in_the_evidence() {
    let lexicon = Lexicon::built_in().unwrap();
    for (name, columns) in tables() {
        for column in &columns {
            let values = values(&name, column, 20);
            let facts = Facts {
                name: column.name.clone(),
                type_sql: column.type_sql.clone(),
                comment: None,
                sample: Some(Sample { rows: values.len(), values: values.clone(), ..Sample::default() }),
            };
            let said = format!("{:?} {facts:?}", judge_table(&name, std::slice::from_ref(&facts), &lexicon));
            for value in values.iter().filter(|value| value.chars().count() > 6) {
                assert!(!said.contains(value.as_str()), "{name}.{}: {said}", column.name);
            }
        }
    }
}
