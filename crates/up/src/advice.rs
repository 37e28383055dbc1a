//! What autoscalers that only recommend would have had run, against what ran: replica-seconds in trace time.

use serde::Serialize;
use std::collections::BTreeMap;

/// What one would have used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Advice {
    /// Replica-seconds that it wanted.
    pub replica_seconds: f64,
    /// Replica-seconds that its target was asked to run meanwhile.
    pub used_replica_seconds: f64,
}

/// The sums so far, by autoscaler.
#[derive(Debug, Default)]
pub(crate) struct Advisors(BTreeMap<String, (f64, u32, u32, Advice)>);

impl Advisors {
    /// Takes a decision that nobody acts upon; it stands until the next one.
    pub(crate) fn decided(&mut self, name: &str, at: f64, replicas: u32, desired: u32) {
        let (before, used, wanted, sums) =
            self.0.entry(name.to_owned()).or_insert((at, replicas, desired, Advice::default()));
        let passed = (at - *before).max(0.0);
        sums.replica_seconds += passed * f64::from(*wanted);
        sums.used_replica_seconds += passed * f64::from(*used);
        (*before, *used, *wanted) = (at, replicas, desired);
    }

    /// The sums, where there are any.
    pub(crate) fn sums(&self) -> BTreeMap<String, Advice> {
        self.0.iter().map(|(name, (.., sums))| (name.clone(), *sums)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_advice_stands_until_the_next() {
        let mut advisors = Advisors::default();
        for (at, replicas, desired) in [(10.0, 4, 2), (20.0, 4, 3), (30.0, 5, 5)] {
            advisors.decided("a", at, replicas, desired);
        }
        let expected = Advice { replica_seconds: 50.0, used_replica_seconds: 80.0 };
        assert_eq!(advisors.sums(), BTreeMap::from([("a".to_owned(), expected)]));
    }
}
