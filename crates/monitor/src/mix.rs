//! The size mix: a decaying histogram over log-spaced cells of input and output tokens. Knows no rate of arrivals.

use crate::batch::{MAX_TOKENS, Size, is_count};
use crate::cells::Cell;
use serde::{Deserialize, Serialize};

/// The mix of at least this many requests is kept however long ago they came: one of a quiet model is better known from
/// its last fifty requests than from its last two.
const KEPT_REQUESTS: f64 = 50.0;
/// Half-life of the mix of now, in seconds, that the other is compared with. A few hundred requests at 10 a second.
const RECENT_HALF_LIFE: f64 = 30.0;
/// Effective requests on either side for a comparison.
const COMPARED_REQUESTS: f64 = 50.0;
/// What 30 half-lives have left of a request is no request.
const LEAST_WEIGHT: f64 = 1e-9;
/// Expected requests in a cell for the χ² approximation (Cochran 1954, Biometrics 10); rarer cells are compared together.
const RARE: f64 = 5.0;

/// A cell by its place: octaves of input and output, times the cells in each.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Placed {
    place: (u16, u16),
    #[serde(flatten)]
    cell: Cell,
}

impl Placed {
    /// What joining two of them loses, as [`Cell::loss`] has it, by their places: exact enough, and without logarithms.
    fn loss(&self, other: &Self) -> f64 {
        let apart = |a: u16, b: u16| f64::from(a.abs_diff(b)).powi(2);
        self.cell.loss_at(&other.cell, apart(self.place.0, other.place.0) + apart(self.place.1, other.place.1))
    }
}

/// A histogram whose weights halve each half-life.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Histogram {
    /// By place, each once.
    cells: Vec<Placed>,
    /// Sum of squared weights of the requests.
    squares: f64,
}

/// What is known of sizes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Mix {
    slow: Histogram,
    recent: Histogram,
    /// The time that weights are as of.
    at: Option<f64>,
}

/// How a mix forgets and tells apart.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) half_life: f64,
    pub(crate) cells_per_octave: u32,
    pub(crate) max_cells: usize,
}

impl Mix {
    /// Adds requests whose size became known at a time, `share` of each count.
    pub(crate) fn add(&mut self, at: f64, sizes: &[(Size, f64)], share: f64, rules: Rules) {
        let newest = self.at.unwrap_or(at).max(at);
        let passed = newest - self.at.unwrap_or(newest);
        self.slow.decay(passed, rules.half_life, KEPT_REQUESTS);
        self.recent.decay(passed, RECENT_HALF_LIFE, 0.0);
        self.at = Some(newest);
        let late = newest - at;
        self.slow.add(sizes, share, halved(late, rules.half_life), rules);
        self.recent.add(sizes, share, halved(late, RECENT_HALF_LIFE), rules);
        if self.recent.differs_from(&self.slow) {
            self.slow = self.recent.clone();
        }
    }

    /// Moves all times, where the caller's clock was set.
    pub(crate) fn move_to(&mut self, at: f64) {
        self.at = self.at.map(|_| at);
    }

    /// Effective number of requests.
    pub(crate) fn samples(&self) -> f64 {
        self.slow.samples()
    }

    /// The cells with their shares of all requests, by place.
    pub(crate) fn shares(&self) -> Vec<(f64, Size)> {
        let total = self.slow.weight();
        let known = self.slow.cells.iter().map(|placed| placed.cell).filter(|cell| cell.weight > 0.0);
        let share = |cell: Cell| {
            (cell.weight / total, Size { input: cell.input / cell.weight, output: cell.output / cell.weight })
        };
        known.map(share).collect()
    }

    pub(crate) fn is_sound(&self, max_cells: usize) -> bool {
        self.at.is_none_or(f64::is_finite) && self.slow.is_sound(max_cells) && self.recent.is_sound(max_cells)
    }
}

impl Histogram {
    fn weight(&self) -> f64 {
        self.cells.iter().map(|placed| placed.cell.weight).sum()
    }

    /// Kish's effective sample size, (Σw)² ÷ Σw².
    fn samples(&self) -> f64 {
        if self.squares > 0.0 { self.weight().powi(2) / self.squares } else { 0.0 }
    }

    /// Lets time pass, but for what is kept of few requests.
    fn decay(&mut self, seconds: f64, half_life: f64, kept: f64) {
        let weight = self.weight();
        let least = if weight > 0.0 { (kept / weight).min(1.0) } else { 1.0 };
        let factor = halved(seconds, half_life).max(least);
        if factor >= 1.0 {
            return;
        }
        self.squares *= factor * factor;
        for placed in &mut self.cells {
            placed.cell.scale(factor);
        }
        self.cells.retain(|placed| placed.cell.weight > LEAST_WEIGHT);
        if self.cells.is_empty() {
            self.squares = 0.0;
        }
    }

    fn add(&mut self, sizes: &[(Size, f64)], share: f64, weight: f64, rules: Rules) {
        for &(size, count) in sizes {
            let count = count * share;
            let is_size = is_count(size.input) && is_count(size.output);
            if !is_size || !is_count(count) || weight * count <= LEAST_WEIGHT {
                continue;
            }
            let (input, output) = (size.input.min(MAX_TOKENS), size.output.min(MAX_TOKENS));
            let added = weight * count;
            let place = (place(input, rules.cells_per_octave), place(output, rules.cells_per_octave));
            let cell = Cell { weight: added, input: added * input, output: added * output };
            match self.cells.binary_search_by(|placed| placed.place.cmp(&place)) {
                Ok(at) => self.cells[at].cell.add(cell),
                Err(at) => self.cells.insert(at, Placed { place, cell }),
            }
            self.squares += weight * weight * count;
            // Twice as many for a while, so that rare sizes of one batch are joined together and not one by one.
            if self.cells.len() > 2 * rules.max_cells {
                self.join_lightest(rules.max_cells);
            }
        }
        self.join_lightest(rules.max_cells);
    }

    /// The lightest cells join those that lose least by it, and take their places, until there are at most `most`.
    fn join_lightest(&mut self, most: usize) {
        while self.cells.len() > most.max(1) {
            let lightest =
                self.cells.iter().enumerate().min_by(|(_, a), (_, b)| a.cell.weight.total_cmp(&b.cell.weight));
            let Some((lightest, _)) = lightest else { return };
            let lightest = self.cells.remove(lightest);
            let loss = |placed: &Placed| placed.loss(&lightest);
            if let Some(nearest) = self.cells.iter_mut().min_by(|a, b| loss(a).total_cmp(&loss(b))) {
                nearest.cell.add(lightest.cell);
            }
        }
    }

    /// Whether two mixes are not one: the G-test of homogeneity on effective counts (Sokal and Rohlf, Biometry).
    fn differs_from(&self, other: &Self) -> bool {
        let (mine, theirs) = (self.samples(), other.samples());
        if mine < COMPARED_REQUESTS || theirs < COMPARED_REQUESTS {
            return false;
        }
        let (mut rare, mut statistic, mut cells) = ((0.0, 0.0), 0.0, 0.0);
        let mut compare = |a: f64, b: f64| {
            let share = (a + b) / (mine + theirs);
            let term = |count: f64, of: f64| if count > 0.0 { count * (count / (of * share)).ln() } else { 0.0 };
            statistic += 2.0 * (term(a, mine) + term(b, theirs));
            cells += 1.0;
        };
        for (a, b) in self.beside(other) {
            let (a, b) = (a * mine, b * theirs);
            if (a + b) * mine.min(theirs) / (mine + theirs) < RARE {
                rare = (rare.0 + a, rare.1 + b);
            } else {
                compare(a, b);
            }
        }
        if rare.0 + rare.1 > 0.0 {
            compare(rare.0, rare.1);
        }
        // χ² has mean f and variance 2f; six deviations and a little are about one in a million for any f.
        let freedom: f64 = cells - 1.0;
        freedom > 0.0 && statistic > freedom + 6.0 * (2.0 * freedom).sqrt() + 15.0
    }

    /// Shares of each place in both.
    fn beside(&self, other: &Self) -> Vec<(f64, f64)> {
        let (of_mine, of_theirs) = (self.weight(), other.weight());
        let (mut a, mut b) = (self.cells.iter().peekable(), other.cells.iter().peekable());
        let mut pairs = Vec::with_capacity(other.cells.len());
        loop {
            let place = match (a.peek(), b.peek()) {
                (Some(a), Some(b)) => a.place.min(b.place),
                (Some(one), None) | (None, Some(one)) => one.place,
                (None, None) => return pairs,
            };
            let mine = a.next_if(|placed| placed.place == place).map_or(0.0, |placed| placed.cell.weight / of_mine);
            let theirs = b.next_if(|placed| placed.place == place).map_or(0.0, |placed| placed.cell.weight / of_theirs);
            pairs.push((mine, theirs));
        }
    }

    fn is_sound(&self, max_cells: usize) -> bool {
        let sound = |cell: &Cell| {
            let within = |sum: f64| is_count(sum) && sum <= cell.weight * MAX_TOKENS * 1.001;
            is_count(cell.weight) && cell.weight > LEAST_WEIGHT && within(cell.input) && within(cell.output)
        };
        self.cells.len() <= max_cells
            && is_count(self.squares)
            && self.cells.is_empty() == (self.squares == 0.0)
            && self.cells.iter().all(|placed| sound(&placed.cell))
            && self.cells.windows(2).all(|pair| pair[0].place < pair[1].place)
    }
}

fn halved(seconds: f64, half_life: f64) -> f64 {
    (-seconds.max(0.0) / half_life).exp2()
}

/// The place of a number of tokens: 0 for none and for one.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 24 octaves of at most 8 cells")]
fn place(tokens: f64, cells_per_octave: u32) -> u16 {
    // A hair upwards, so that powers of two do not fall on either side by their rounding.
    (tokens.max(1.0).log2() * f64::from(cells_per_octave) + 1e-9).floor() as u16
}
