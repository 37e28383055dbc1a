//! What it has cost so far to decide a type's count either way (pseudo-costs; Bénichou et al., 1971): the type whose count matters most is
//! decided first, which leaves fewer nodes.

/// A decision that led to a node.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Decided {
    pub(crate) at: usize,
    pub(crate) up: bool,
    /// How far the count had to move.
    pub(crate) way: f64,
    /// The bound before.
    pub(crate) bound: f64,
}

/// By type, what moving its count down and up by one raised bounds by.
#[derive(Debug)]
pub(crate) struct Effects {
    sums: Vec<[f64; 2]>,
    seen: Vec<[f64; 2]>,
}

impl Effects {
    /// Until more is known, what a replica costs.
    pub(crate) fn new(costs: impl Iterator<Item = f64>) -> Self {
        let sums: Vec<[f64; 2]> = costs.map(|cost| [cost + 1e-9; 2]).collect();
        Self { seen: vec![[1.0; 2]; sums.len()], sums }
    }

    pub(crate) fn learn(&mut self, decided: Decided, bound: f64) {
        let side = usize::from(decided.up);
        if decided.way > 0.0 && bound.is_finite() {
            self.sums[decided.at][side] += (bound - decided.bound).max(0.0) / decided.way;
            self.seen[decided.at][side] += 1.0;
        }
    }

    /// How much it matters to decide a count with so much beyond a whole one.
    pub(crate) fn weight(&self, at: usize, part: f64) -> f64 {
        let expected = |side: usize, way: f64| (self.sums[at][side] / self.seen[at][side] * way).max(1e-9);
        expected(0, part) * expected(1, 1.0 - part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_that_has_mattered_more_is_decided_first() {
        let mut effects = Effects::new([1.0, 1.0].into_iter());
        assert!(effects.weight(0, 0.5) > effects.weight(1, 0.1), "the further from whole the better");
        for up in [false, true] {
            effects.learn(Decided { at: 1, up, way: 0.5, bound: 10.0 }, 15.0);
        }
        assert!(effects.weight(1, 0.5) > effects.weight(0, 0.5));
    }
}
