//! What people would rather look at: accesses over time by purpose, and the hours in which they are made.

use super::{Frame, blocks};
use crate::page::{Block, Chart, Heat, count};

/// Purposes that have a colour of their own.
const DRAWN: usize = 6;
const DAYS: usize = 60;
const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// The blocks, which an auditor is given as well.
pub(in crate::console) fn parts(frame: &Frame<'_>) -> Vec<Block> {
    let desk = frame.console.following.desk();
    let (steps, mut series) = desk.by_purpose(DAYS);
    let hours = desk.by_hour(DAYS);
    drop(desk);
    if steps.is_empty() {
        return vec![Block::Text("The log holds no statement yet.".into())];
    }
    let total: u64 = series.iter().flat_map(|(_, values)| values).sum();
    if series.len() > DRAWN + 1 {
        let rest = series.split_off(DRAWN);
        let sum = rest.into_iter().map(|(_, values)| values).reduce(|mut sum, values| {
            sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
            sum
        });
        series.extend(sum.map(|sum| ("others".to_owned(), sum)));
    }
    let most = series.first().map_or(String::new(), |(name, _)| format!("; the most frequent purpose is {name}"));
    let busiest = hours
        .iter()
        .zip(WEEKDAYS)
        .flat_map(|(row, day)| row.iter().enumerate().map(move |(hour, count)| (count, day, hour)));
    let busiest = busiest.max_by_key(|(count, _, _)| **count);
    let busiest = busiest.map_or(String::new(), |(most, day, hour)| {
        format!("The most, {}, were made on {day}s from {hour:02}:00 to {:02}:00.", count(*most, "statement"), hour + 1)
    });
    vec![
        Block::Chart(Chart {
            title: format!("Statements by purpose and day, {DAYS} days"),
            description: format!("{}{most}", count(total, "statement")),
            step: "day",
            steps,
            series,
            sums: true,
        }),
        Block::Heat(Heat {
            title: format!("Hours in which statements were made, {DAYS} days"),
            description: busiest.clone(),
            columns: (0..24).map(|hour| format!("{hour:02}")).collect(),
            rows: WEEKDAYS.iter().zip(hours).map(|(day, hours)| ((*day).to_owned(), hours.to_vec())).collect(),
        }),
        Block::Text(busiest.into()),
    ]
}

pub(in crate::console) fn render(frame: &Frame<'_>) -> String {
    frame.page("Pictures", &blocks(&parts(frame)))
}
