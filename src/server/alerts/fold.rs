//! Keeps storms from becoming storms of messages: one of a kind about the same, and so many of a kind and a login an hour. Who makes a storm
//! of one kind hides no other behind it, and nobody else's.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

use super::send::Sender;
use super::{Alert, Kind};

/// So many of a kind by one login are sent in an hour; the others are told as a number.
const AN_HOUR: usize = 30;

/// One of a kind about the same.
#[derive(Debug)]
struct Told {
    at: Timestamp,
    more: u64,
    last: Alert,
}

#[derive(Debug, Default)]
struct State {
    told: HashMap<(Kind, String), Told>,
    /// By kind and login.
    storms: HashMap<(Kind, String), Storm>,
}

#[derive(Debug, Default)]
struct Storm {
    /// When each of the last hour was sent.
    sent: Vec<Timestamp>,
    left_out: u64,
}

impl Storm {
    fn has_room(&mut self, now: Timestamp) -> bool {
        let hour = SignedDuration::from_hours(1);
        self.sent.retain(|sent| now.duration_since(*sent) < hour);
        self.sent.len() < AN_HOUR
    }
}

/// What is sent, and what is counted.
pub(super) struct Fold {
    sender: Sender,
    within: SignedDuration,
    state: Mutex<State>,
}

impl Fold {
    pub(super) fn new(sender: Sender, minutes: u32) -> Self {
        Self { sender, within: SignedDuration::from_mins(minutes.into()), state: Mutex::default() }
    }

    pub(super) fn sender(&self) -> &Sender {
        &self.sender
    }

    /// Sends an alert, or counts it.
    pub(super) fn take(&self, alert: Alert, now: Timestamp) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (alert.kind, alert.about.clone());
        if let Some(told) = state.told.get_mut(&key)
            && now.duration_since(told.at) < self.within
        {
            told.more += 1;
            told.last = alert;
            return;
        }
        state.told.insert(key, Told { at: now, more: 0, last: alert.clone() });
        self.send(&mut state, alert, now);
    }

    fn send(&self, state: &mut State, alert: Alert, now: Timestamp) {
        if !alert.kind.is_always_sent() {
            let storm = state.storms.entry((alert.kind, alert.login.clone())).or_default();
            if !storm.has_room(now) {
                storm.left_out += 1;
                return;
            }
            storm.sent.push(now);
        }
        self.sender.send(alert);
    }

    /// What was counted meanwhile is told once its time is over.
    pub(super) fn tick(&self, now: Timestamp) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let over: Vec<(Kind, String)> = state
            .told
            .iter()
            .filter(|(_, told)| now.duration_since(told.at) >= self.within)
            .map(|(key, _)| key.clone())
            .collect();
        for key in over {
            let Some(told) = state.told.remove(&key) else { continue };
            if told.more > 0 {
                // What no record shows is looked at again and again while it lasts.
                let title = match told.last.record {
                    Some(_) => format!("{} ({} more since)", told.last.title, told.more),
                    None => format!("still: {}", told.last.title.trim_start_matches("still: ")),
                };
                let alert = Alert { title, ..told.last };
                state.told.insert(key, Told { at: now, more: 0, last: alert.clone() });
                self.send(&mut state, alert, now);
            }
        }
        state.storms.retain(|(kind, login), storm| {
            let room = storm.has_room(now);
            if storm.left_out > 0 && room {
                let (number, kind) = (std::mem::take(&mut storm.left_out), kind.name());
                let (about, of) = match login.as_str() {
                    "" => (kind.to_owned(), kind.to_owned()),
                    login => (format!("{login}: {kind}"), format!("{kind} of {login}")),
                };
                let title = format!("{number} alerts ({of}) were not sent one by one: see the report");
                self.sender.send(Alert::new(Kind::Folded, about, title).by(login));
            }
            storm.left_out > 0 || !storm.sent.is_empty()
        });
    }
}
