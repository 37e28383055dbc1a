//! What the load was: a day's worth of steps, and five-minute means of fifteen days. A gap is a gap and never a zero.

use crate::number::{index_of, narrow, sound_index, sound_load};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// At most so many steps are kept: a day of 10 s.
pub(crate) const FINE: usize = 8640;
/// Width of an aggregate in seconds.
pub(crate) const COARSE_WIDTH: f64 = 300.0;
/// At most so many aggregates are kept: two weeks, so that a week can be seen twice, and a day for the horizon and the edges.
pub(crate) const COARSE: usize = 15 * 288;

/// Values at equal distances, the latest at `last`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Series {
    last: i64,
    values: VecDeque<Option<f32>>,
}

impl Series {
    fn new() -> Self {
        Self { last: 0, values: VecDeque::new() }
    }

    fn push(&mut self, index: i64, value: f64, capacity: usize) {
        let missing = if self.values.is_empty() { 0 } else { usize::try_from(index - self.last - 1).unwrap_or(0) };
        if missing >= capacity {
            self.values.clear();
        } else {
            self.values.extend(std::iter::repeat_n(None, missing));
        }
        self.values.push_back(Some(narrow(value)));
        self.values.drain(..self.values.len().saturating_sub(capacity));
        self.last = index;
    }

    /// The index of the oldest value kept.
    pub(crate) fn first(&self) -> Option<i64> {
        (!self.values.is_empty()).then(|| self.last - i64::try_from(self.values.len()).unwrap_or(0) + 1)
    }

    pub(crate) fn get(&self, index: i64) -> Option<f64> {
        let offset = usize::try_from(index - self.first()?).ok()?;
        self.values.get(offset).copied().flatten().map(f64::from)
    }

    /// The values that are there, with their indices, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (i64, f64)> {
        let first = self.first().unwrap_or(0);
        (first..).zip(&self.values).filter_map(|(index, value)| value.map(|value| (index, f64::from(value))))
    }

    fn sound(&self, capacity: usize) -> bool {
        self.values.len() <= capacity
            && sound_index(self.last)
            && self.values.iter().flatten().all(|value| value.is_finite() && *value >= 0.0)
    }
}

/// The history of one load, events taken out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct History {
    pub(crate) step: f64,
    pub(crate) fine: Series,
    coarse: Series,
    /// Index, sum and count of the aggregate that is not over yet.
    open: Option<(i64, f64, u32)>,
}

impl History {
    pub(crate) fn new(step: f64) -> Self {
        Self { step, fine: Series::new(), coarse: Series::new(), open: None }
    }

    /// Takes the mean of a step that is over. Indices must grow.
    pub(crate) fn push(&mut self, index: i64, value: f64) {
        self.fine.push(index, value, FINE);
        let bucket = index_of((index as f64 + 0.5) * self.step, COARSE_WIDTH);
        self.open = Some(match self.open {
            Some((at, sum, count)) if at == bucket => (at, sum + value, count + 1),
            Some((at, sum, count)) => {
                self.coarse.push(at, sum / f64::from(count.max(1)), COARSE);
                (bucket, value, 1)
            }
            None => (bucket, value, 1),
        });
    }

    /// When the history begins, in seconds.
    pub(crate) fn begin(&self) -> Option<f64> {
        let fine = self.fine.first().map(|index| index as f64 * self.step);
        let coarse = self.coarse.first().map(|index| index as f64 * COARSE_WIDTH);
        match (fine, coarse) {
            (Some(fine), Some(coarse)) => Some(fine.min(coarse)),
            (one, other) => one.or(other),
        }
    }

    /// The load around `at`, smoothed over `width` seconds: from the steps where the width is below an aggregate's and they reach back
    /// so far, else between the two aggregates beside it.
    pub(crate) fn around(&self, at: f64, width: f64) -> Option<f64> {
        if width < COARSE_WIDTH {
            let (from, to) = (index_of(at - width / 2.0, self.step), index_of(at + width / 2.0, self.step));
            if self.fine.first().is_some_and(|first| first <= from) {
                return mean((from..=to).filter_map(|index| self.fine.get(index)));
            }
        }
        let place = at / COARSE_WIDTH - 0.5;
        let (left, share) = (index_of(place, 1.0), place - place.floor());
        match (self.coarse.get(left), self.coarse.get(left + 1)) {
            (Some(left), Some(right)) => Some(left + (right - left) * share),
            (one, other) => one.or(other),
        }
    }

    /// The highest of the steps `from..=to`, where at least half of them are known.
    pub(crate) fn highest(&self, from: i64, to: i64) -> Option<f64> {
        let mut known = 0;
        let highest = (from..=to).filter_map(|index| self.fine.get(index)).fold(0.0, |highest: f64, value| {
            known += 1;
            highest.max(value)
        });
        (known > 0 && known * 2 > to - from).then_some(highest)
    }

    /// The same history in steps of another length. Steps that become shorter repeat the value of the longer one.
    pub(crate) fn restep(&self, step: f64) -> Self {
        let mut fine = Series::new();
        if step >= self.step {
            let mut open: Option<(i64, f64, f64)> = None;
            for (index, value) in self.fine.iter() {
                let at = index_of((index as f64 + 0.5) * self.step, step);
                open = Some(match open {
                    Some((same, sum, count)) if same == at => (at, sum + value, count + 1.0),
                    Some((over, sum, count)) => {
                        fine.push(over, sum / count, FINE);
                        (at, value, 1.0)
                    }
                    None => (at, value, 1.0),
                });
            }
            if let Some((at, sum, count)) = open {
                fine.push(at, sum / count, FINE);
            }
        } else if let Some(first) = self.fine.first() {
            let last = index_of((self.fine.last + 1) as f64 * self.step - step / 2.0, step);
            let first = index_of(first as f64 * self.step + step / 2.0, step);
            for index in first.max(last - i64::try_from(FINE).unwrap_or(0))..=last {
                if let Some(value) = self.fine.get(index_of((index as f64 + 0.5) * step, self.step)) {
                    fine.push(index, value, FINE);
                }
            }
        }
        Self { step, fine, coarse: self.coarse.clone(), open: self.open }
    }

    /// Whether a saved history is one that [`Self::push`] could have made.
    pub(crate) fn sound(&self) -> bool {
        self.fine.sound(FINE)
            && self.coarse.sound(COARSE)
            && crate::settings::STEP.contains(&self.step)
            && self
                .open
                .is_none_or(|(at, sum, count)| sound_index(at) && sound_load(sum / 1e3) && (1..=1000).contains(&count))
    }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    (count > 0.0).then(|| sum / count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_gaps_and_old_steps_go() {
        let mut history = History::new(10.0);
        history.push(0, 1.0);
        history.push(3, 4.0);
        assert_eq!((history.fine.get(0), history.fine.get(1), history.fine.get(3)), (Some(1.0), None, Some(4.0)));
        assert_eq!(history.highest(0, 3), Some(4.0));
        assert_eq!(history.highest(0, 6), None, "two of seven steps say too little");
        history.push(100_000, 2.0);
        assert_eq!((history.fine.get(3), history.fine.get(100_000)), (None, Some(2.0)));
        assert_eq!(history.around(15.0, 300.0), Some(2.5), "the aggregate of the first five minutes");
    }

    #[test]
    fn a_history_in_other_steps_has_the_same_level() {
        let mut history = History::new(10.0);
        for index in 0..600_u16 {
            history.push(index.into(), if index < 300 { 2.0 } else { 6.0 });
        }
        for step in [2.5, 10.0, 30.0, 60.0] {
            let other = history.restep(step);
            assert_eq!(other.around(1000.0, 60.0), Some(2.0), "{step}");
            assert_eq!(other.around(4000.0, 60.0), Some(6.0), "{step}");
        }
    }
}
