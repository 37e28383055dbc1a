//! Where slices may go: the fewest and the most of each size on each type, narrowed by what prices of replicas' time say that they
//! would waste (reduced-cost fixing). Must not know what is searched.

/// What is this close below a whole number of slices is one.
const WHOLE: f64 = 1e-9;

/// Bounds of slices, size by size and type by type.
#[derive(Debug, Clone)]
pub(crate) struct Domain {
    kinds: usize,
    slices: u32,
    low: Vec<u32>,
    high: Vec<u32>,
}

impl Domain {
    /// Any number of slices where a part is finite, none elsewhere.
    pub(crate) fn of(parts: &[f64], kinds: usize, slices: u32) -> Self {
        let high = parts.iter().map(|part| if part.is_finite() { slices } else { 0 }).collect();
        Self { kinds, slices, low: vec![0; parts.len()], high }
    }

    pub(crate) fn allows(&self, counts: &[u32]) -> bool {
        let bounds = self.low.iter().zip(&self.high);
        bounds.zip(counts).all(|((low, high), count)| low <= count && count <= high)
    }

    /// At least, or at most, so many slices at one place (`size * kinds + kind`).
    pub(crate) fn at_least(&mut self, place: usize, count: u32) {
        self.low[place] = self.low[place].max(count);
    }

    pub(crate) fn at_most(&mut self, place: usize, count: u32) {
        self.high[place] = self.high[place].min(count);
    }

    /// Places all slices where they cost least at prices: what that costs; none where bounds leave no place.
    pub(crate) fn place(&self, parts: &[f64], prices: &[f64], counts: &mut [u32]) -> Option<f64> {
        let mut total = 0.0;
        counts.copy_from_slice(&self.low);
        for first in (0..parts.len()).step_by(self.kinds) {
            let own = first..first + self.kinds;
            let mut left = self.slices.checked_sub(self.low[own.clone()].iter().sum())?;
            if own.clone().any(|place| self.low[place] > self.high[place]) {
                return None;
            }
            while left > 0 {
                let mut best = (f64::INFINITY, 0);
                for (place, price) in own.clone().zip(prices) {
                    let cost = parts[place] * price;
                    if counts[place] < self.high[place] && cost < best.0 {
                        best = (cost, place);
                    }
                }
                let many = left.min(self.high[best.1].checked_sub(counts[best.1])?);
                if many == 0 || !best.0.is_finite() {
                    return None;
                }
                counts[best.1] += many;
                left -= many;
            }
            for (place, price) in own.zip(prices).filter(|(place, _)| counts[*place] > 0) {
                total += f64::from(counts[place]) * parts[place] * price;
            }
        }
        Some(total)
    }

    /// Rules out what would waste more than is allowed at prices at which all was placed in `counts`; whether that was anything.
    pub(crate) fn narrow(&mut self, parts: &[f64], prices: &[f64], allowed: f64, counts: &[u32]) -> bool {
        let mut changed = false;
        for first in (0..parts.len()).step_by(self.kinds) {
            let own = first..first + self.kinds;
            let cost = |place: usize| parts[place] * prices[place - first];
            // What a slice that leaves saves at most, and what one that comes costs at least.
            let leaves = own.clone().filter(|place| counts[*place] > self.low[*place]).map(cost).fold(0.0, f64::max);
            for place in own.clone() {
                let count = counts[place];
                if count >= self.high[place] && count <= self.low[place] {
                    continue;
                }
                let others = own.clone().filter(|other| *other != place && counts[*other] < self.high[*other]);
                let (comes, cost) = (others.map(cost).fold(f64::INFINITY, f64::min), cost(place));
                if count < self.high[place] {
                    let most = count.saturating_add(within(allowed, cost - leaves));
                    changed |= most < self.high[place];
                    self.at_most(place, most);
                }
                if count > self.low[place] {
                    let least = count.saturating_sub(within(allowed, comes - cost));
                    changed |= least > self.low[place];
                    self.at_least(place, least);
                }
            }
        }
        changed
    }
}

/// How many slices may waste so much each.
fn within(allowed: f64, each: f64) -> u32 {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast saturates")]
    if each > 0.0 { (allowed.max(0.0) / each + WHOLE).floor() as u32 } else { u32::MAX }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_go_where_they_are_cheapest_within_their_bounds_and_waste_rules_places_out() {
        let parts = [1.0, 2.0, 4.0];
        let mut domain = Domain::of(&parts, 3, 4);
        domain.at_most(0, 3);
        let mut counts = [0; 3];
        assert_eq!(domain.place(&parts, &[1.0; 3], &mut counts), Some(5.0));
        assert_eq!(counts, [3, 1, 0]);
        // One slice of the first may go to the second at a waste of 1, none to the third at 2 or more.
        assert!(domain.narrow(&parts, &[1.0; 3], 1.5, &counts));
        assert!(domain.allows(&[3, 1, 0]) && domain.allows(&[2, 2, 0]));
        assert!(!domain.allows(&[1, 3, 0]) && !domain.allows(&[3, 0, 1]));
        domain.at_most(1, 0);
        assert_eq!(domain.place(&parts, &[1.0; 3], &mut counts), None);
    }
}
