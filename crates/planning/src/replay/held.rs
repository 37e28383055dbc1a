//! The highest level within a window, as plans hold what they asked for.

use std::collections::VecDeque;

/// Levels of one kind, those that a later and higher one makes meaningless left out.
#[derive(Debug, Clone, Default)]
pub(super) struct Held(VecDeque<(f64, f64)>);

impl Held {
    /// Takes a level, and answers the highest of the last `window` seconds. Times are in order.
    pub(super) fn push(&mut self, at: f64, level: f64, window: f64) -> f64 {
        while self.0.back().is_some_and(|(_, known)| *known <= level) {
            self.0.pop_back();
        }
        self.0.push_back((at, level));
        while self.0.front().is_some_and(|(known, _)| *known < at - window) {
            self.0.pop_front();
        }
        self.0.front().map_or(level, |(_, level)| *level)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_held_is_the_highest_of_the_window(
            steps in prop::collection::vec((0.1_f64..20.0, 0.0_f64..9.0), 1..60),
            window in 1.0_f64..60.0,
        ) {
            let (mut held, mut seen, mut at) = (Held::default(), Vec::new(), 0.0);
            for (passed, level) in steps {
                at += passed;
                seen.push((at, level));
                let highest = seen.iter().filter(|(then, _)| *then >= at - window).map(|(_, level)| *level);
                prop_assert_eq!(held.push(at, level, window), highest.fold(0.0, f64::max));
            }
        }
    }
}
