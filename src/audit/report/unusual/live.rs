//! The same findings while they happen: each is told once a day, with the record that shows it, and what was counted so far.

use super::{Collector, Measure, What, Whose};
use crate::audit::report::{At, Past};

impl Collector {
    /// What the newest record has shown of whoever it is about: volumes beyond their limit, and unusual hours. The rest is among the
    /// findings at once.
    pub(in crate::audit::report) fn news(&mut self) -> Vec<(Whose, At, What)> {
        let mut news = Vec::new();
        for whose in std::mem::take(&mut self.touched) {
            let Some(history) = self.known.get_mut(&whose) else { continue };
            for measure in Measure::ALL {
                let index = measure as usize;
                let today = &mut history.today;
                let at = today.beyond.get(index).copied().flatten();
                let told = today.told.get_mut(index);
                if let (Some(at), Some(told @ false), Some(count)) = (at, told, today.amounts.get(index).copied()) {
                    *told = true;
                    let (limit, median) = history.limit(measure);
                    let what = What::Volume { measure, count, limit, median, days: history.days.len() };
                    news.push((whose.clone(), at, what));
                }
            }
            if let (Some(at), false) = (history.today.odd, history.today.odd_told) {
                history.today.odd_told = true;
                news.extend(history.odd_hours().map(|what| (whose.clone(), at, what)));
            }
        }
        news
    }

    /// Records up to this one of its log were destroyed: logins and actors that were not seen since are forgotten.
    pub(in crate::audit::report) fn forget(&mut self, past: &Past) {
        self.known.retain(|_, history| !past.has(history.today.newest));
        self.actors = self.known.keys().filter(|whose| whose.actor.is_some()).count();
        self.waiting.retain(|seq, _| !past.has_number(*seq));
        self.first_day = self.first_day.map(|first| first.max(past.day));
    }

    /// What was unusual so far in the day at hand of one login or actor.
    pub(in crate::audit::report) fn so_far(&self, login: &str, actor: Option<&str>) -> Vec<(Whose, At, What)> {
        let whose = Whose { login: login.into(), actor: actor.map(Into::into) };
        let history = self.known.get(&whose);
        let found = history.into_iter().flat_map(super::History::close);
        found.map(|(at, what)| (whose.clone(), at, what)).collect()
    }
}
