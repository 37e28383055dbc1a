//! A linear program with few rows and many columns, `max gains·w` with `columns·w <= rhs` and `w >= 0`, by the revised simplex
//! method with a dense inverse. Columns may be added at any time and gains change from call to call: the last basis stays feasible.

/// What rounding makes of nothing.
const TINY: f64 = 1e-11;
/// What rounding makes of a level of nothing.
const NEGATIVE: f64 = 1e-9;
/// A column enters only where it gains this share of the largest gain.
const WORTH: f64 = 1e-10;
/// The inverse is computed anew after so many pivots, so that rounding does not add up.
const FRESH: usize = 40;
/// Pivots without progress after which the first column that gains enters (Bland's rule, which cannot cycle).
const STALLED: usize = 60;
/// Pivots of one call: far beyond what small programs take; what has been reached by then still bounds the optimum.
const MOST_PIVOTS: usize = 5_000;

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Best,
    Unbounded,
    GaveUp,
}

pub(crate) struct Columns {
    rows: usize,
    rhs: Vec<f64>,
    /// Of the columns, one after the other.
    entries: Vec<f64>,
    /// The same by row, each with its entries of all columns: sums over them are taken for several columns at a time.
    lines: Vec<Vec<f64>>,
    /// By row: a number below `rows` is that row's slack, any other a column.
    basis: Vec<usize>,
    inverse: Vec<f64>,
    values: Vec<f64>,
    prices: Vec<f64>,
    /// What columns gain at the prices, and what they take of a row of the inverse: room to reckon in.
    reduced: Vec<f64>,
    ways: Vec<f64>,
    pivots: usize,
}

impl Columns {
    /// A program without columns; each right-hand side must be above 0.
    pub(crate) fn new(rhs: Vec<f64>) -> Self {
        let rows = rhs.len();
        let mut program = Self {
            rows,
            rhs,
            entries: Vec::new(),
            lines: vec![Vec::new(); rows],
            reduced: Vec::new(),
            ways: Vec::new(),
            basis: Vec::new(),
            inverse: Vec::new(),
            values: Vec::new(),
            prices: vec![0.0; rows],
            pivots: 0,
        };
        program.restart();
        program
    }

    pub(crate) fn push(&mut self, column: &[f64]) {
        self.entries.extend_from_slice(column);
        for (line, own) in self.lines.iter_mut().zip(column) {
            line.push(*own);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len().checked_div(self.rows).unwrap_or(0)
    }

    pub(crate) fn column(&self, at: usize) -> &[f64] {
        &self.entries[at * self.rows..(at + 1) * self.rows]
    }

    /// Takes another right-hand side; the basis stays where it still is feasible.
    pub(crate) fn set_rhs(&mut self, rhs: &[f64]) {
        self.rhs.copy_from_slice(rhs);
        self.refresh();
    }

    /// Drops columns of a range that are not in the basis, which stays; says of every column whether it stayed.
    pub(crate) fn forget(&mut self, columns: std::ops::Range<usize>) -> Vec<bool> {
        let mut stays: Vec<bool> = (0..self.len()).map(|at| !columns.contains(&at)).collect();
        for at in self.basis.iter().filter(|at| **at >= self.rows) {
            stays[at - self.rows] = true;
        }
        let mut after = 0;
        let place = |stays: &bool| {
            after += usize::from(*stays);
            after - usize::from(*stays)
        };
        let places: Vec<usize> = stays.iter().map(place).collect();
        for at in self.basis.iter_mut().filter(|at| **at >= self.rows) {
            *at = places[*at - self.rows] + self.rows;
        }
        let rows = self.rows.max(1);
        let kept = self.entries.chunks_exact(rows).zip(&stays).filter(|(_, stays)| **stays);
        self.entries = kept.flat_map(|(column, _)| column.iter().copied()).collect();
        for line in &mut self.lines {
            keep(line, &stays);
        }
        stays
    }

    /// Takes the last column back, which must not have been used.
    pub(crate) fn pop(&mut self) {
        self.entries.truncate(self.entries.len() - self.rows);
        for line in &mut self.lines {
            line.pop();
        }
    }

    /// What a row's right-hand side is worth at the margin, after [`Columns::maximize`].
    pub(crate) fn prices(&self) -> &[f64] {
        &self.prices
    }

    /// Columns with what they are at, those at 0 left out.
    pub(crate) fn levels(&self) -> impl Iterator<Item = (usize, f64)> + '_ {
        let columns = self.basis.iter().zip(&self.values).filter(|(at, value)| **at >= self.rows && **value > 0.0);
        columns.map(|(at, value)| (at - self.rows, *value))
    }

    pub(crate) fn maximize(&mut self, gains: &[f64]) -> End {
        let worth = WORTH * gains.iter().fold(1.0_f64, |most, gain| most.max(gain.abs()));
        if self.repair(gains) && self.climb(gains, worth) == End::Best {
            return End::Best;
        }
        // What rounding made of the inverse is forgotten.
        self.restart();
        self.climb(gains, worth)
    }

    fn climb(&mut self, gains: &[f64], worth: f64) -> End {
        let mut still = 0;
        for _ in 0..MOST_PIVOTS {
            self.price(gains);
            let Some(entering) = self.entering(gains, worth, still > STALLED) else { return End::Best };
            let direction = self.direction(entering);
            let Some((leaving, step)) = self.leaving(&direction) else { return End::Unbounded };
            still = if step > TINY { 0 } else { still + 1 };
            self.pivot(entering, leaving, &direction, step);
        }
        End::GaveUp
    }

    /// Makes a basis feasible that another right-hand side left best but infeasible (the dual simplex method); false where that
    /// does not succeed soon.
    fn repair(&mut self, gains: &[f64]) -> bool {
        for _ in 0..4 * self.rows {
            let Some(leaving) = (0..self.rows).min_by(|a, b| self.values[*a].total_cmp(&self.values[*b])) else {
                return true;
            };
            if self.values[leaving] >= -NEGATIVE {
                return true;
            }
            self.price(gains);
            let Some(entering) = self.returning(leaving, gains) else { return false };
            let direction = self.direction(entering);
            let step = self.values[leaving] / direction[leaving];
            self.pivot(entering, leaving, &direction, step);
        }
        false
    }

    /// The column that may take the place of one below 0 at the least loss; one that gains counts as one that loses nothing.
    fn returning(&mut self, leaving: usize, gains: &[f64]) -> Option<usize> {
        self.reduce(gains);
        self.ways.clear();
        self.ways.resize(gains.len(), 0.0);
        take(&mut self.ways, &self.lines, &self.inverse[leaving * self.rows..(leaving + 1) * self.rows], 1.0);
        let row = &self.inverse[leaving * self.rows..(leaving + 1) * self.rows];
        let mut best: Option<(f64, f64, usize)> = None;
        let mut weigh = |at: usize, way: f64, loss: f64| {
            if way < -1e-9 {
                let ratio = loss.max(0.0) / -way;
                let better = best.is_none_or(|(least, steepest, _)| {
                    ratio < least - TINY || (ratio <= least + TINY && way < steepest)
                });
                if better {
                    best = Some((ratio, way, at));
                }
            }
        };
        for (at, (way, price)) in row.iter().zip(&self.prices).enumerate() {
            weigh(at, *way, *price);
        }
        for (at, (way, gain)) in self.ways.iter().zip(&self.reduced).enumerate() {
            weigh(at + self.rows, *way, -gain);
        }
        best.map(|(.., at)| at)
    }

    fn price(&mut self, gains: &[f64]) {
        self.prices.fill(0.0);
        for (row, at) in self.basis.iter().enumerate().filter(|(_, at)| **at >= self.rows) {
            let gain = gains[at - self.rows];
            for (price, own) in self.prices.iter_mut().zip(&self.inverse[row * self.rows..(row + 1) * self.rows]) {
                *price += gain * own;
            }
        }
    }

    /// What each column gains beyond what it takes at the prices.
    fn reduce(&mut self, gains: &[f64]) {
        self.reduced.clear();
        self.reduced.extend_from_slice(gains);
        take(&mut self.reduced, &self.lines, &self.prices, -1.0);
    }

    fn entering(&mut self, gains: &[f64], worth: f64, first: bool) -> Option<usize> {
        self.reduce(gains);
        let mut best: (f64, Option<usize>) = (worth, None);
        for (row, price) in self.prices.iter().enumerate() {
            if -price > best.0 {
                best = (-price, Some(row));
                if first {
                    return best.1;
                }
            }
        }
        for (at, reduced) in self.reduced.iter().enumerate() {
            if *reduced > best.0 {
                best = (*reduced, Some(at + self.rows));
                if first {
                    return best.1;
                }
            }
        }
        best.1
    }

    fn direction(&self, entering: usize) -> Vec<f64> {
        let rows = self.inverse.chunks_exact(self.rows.max(1));
        if entering < self.rows {
            return rows.map(|row| row[entering]).collect();
        }
        let column = self.column(entering - self.rows);
        rows.map(|row| row.iter().zip(column).map(|(a, b)| a * b).sum()).collect()
    }

    fn leaving(&self, direction: &[f64]) -> Option<(usize, f64)> {
        let mut best: Option<(usize, f64)> = None;
        for (row, way) in direction.iter().enumerate().filter(|(_, way)| **way > 1e-10) {
            let step = self.values[row].max(0.0) / way;
            let better = best
                .is_none_or(|(other, least)| step < least - TINY || (step <= least + TINY && *way > direction[other]));
            if better {
                best = Some((row, step));
            }
        }
        best
    }

    fn pivot(&mut self, entering: usize, leaving: usize, direction: &[f64], step: f64) {
        let rows = self.rows;
        for (value, way) in self.values.iter_mut().zip(direction) {
            *value -= step * way;
        }
        self.values[leaving] = step;
        self.basis[leaving] = entering;
        let own: Vec<f64> =
            self.inverse[leaving * rows..(leaving + 1) * rows].iter().map(|a| a / direction[leaving]).collect();
        for (row, way) in direction.iter().enumerate() {
            let line = &mut self.inverse[row * rows..(row + 1) * rows];
            if row == leaving {
                line.copy_from_slice(&own);
            } else if *way != 0.0 {
                for (a, b) in line.iter_mut().zip(&own) {
                    *a -= way * b;
                }
            }
        }
        self.pivots += 1;
        if self.pivots.is_multiple_of(FRESH) {
            self.refresh();
        }
    }

    /// Computes inverse and values from the basis; begins again where it is none.
    fn refresh(&mut self) {
        let rows = self.rows;
        let mut wide = vec![0.0; rows * 2 * rows];
        for (at, own) in self.basis.iter().enumerate() {
            for row in 0..rows {
                let entry = if *own < rows { f64::from(*own == row) } else { self.column(own - rows)[row] };
                wide[row * 2 * rows + at] = entry;
            }
            wide[at * 2 * rows + rows + at] = 1.0;
        }
        if !eliminate(&mut wide, rows) {
            return self.restart();
        }
        for row in 0..rows {
            let own = &wide[row * 2 * rows + rows..(row + 1) * 2 * rows];
            self.inverse[row * rows..(row + 1) * rows].copy_from_slice(own);
            self.values[row] = own.iter().zip(&self.rhs).map(|(a, b)| a * b).sum();
        }
    }

    fn restart(&mut self) {
        let rows = self.rows;
        self.basis = (0..rows).collect();
        self.inverse = (0..rows * rows).map(|at| f64::from(at / rows == at % rows)).collect();
        self.values = self.rhs.clone();
    }
}

/// Keeps what of a list is said to stay.
pub(crate) fn keep<T>(list: &mut Vec<T>, stays: &[bool]) {
    let mut stays = stays.iter();
    list.retain(|_| stays.next().copied().unwrap_or(true));
}

/// Adds `sign` times what columns, given by rows, come to at weights of the rows.
fn take(sums: &mut [f64], lines: &[Vec<f64>], weights: &[f64], sign: f64) {
    for (line, weight) in lines.iter().zip(weights).filter(|(_, weight)| **weight != 0.0) {
        let weight = sign * weight;
        for (sum, own) in sums.iter_mut().zip(line) {
            *sum += weight * own;
        }
    }
}

/// Gauss and Jordan's elimination of the left half, with partial pivoting; false where it is singular.
fn eliminate(wide: &mut [f64], rows: usize) -> bool {
    let width = 2 * rows;
    for at in 0..rows {
        let largest = (at..rows).max_by(|a, b| wide[a * width + at].abs().total_cmp(&wide[b * width + at].abs()));
        let Some(largest) = largest.filter(|row| wide[row * width + at].abs() > 1e-12) else { return false };
        if largest != at {
            for column in 0..width {
                wide.swap(at * width + column, largest * width + column);
            }
        }
        let own: Vec<f64> = wide[at * width..(at + 1) * width].iter().map(|a| a / wide[at * width + at]).collect();
        wide[at * width..(at + 1) * width].copy_from_slice(&own);
        for row in (0..rows).filter(|row| *row != at) {
            let factor = wide[row * width + at];
            if factor != 0.0 {
                for (a, b) in wide[row * width..(row + 1) * width].iter_mut().zip(&own) {
                    *a -= factor * b;
                }
            }
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn prices_prove_the_optimum(
            rhs in proptest::collection::vec(0.1_f64..9.0, 1..6),
            entries in proptest::collection::vec(0.0_f64..4.0, 60),
            gains in proptest::collection::vec(-1.0_f64..5.0, 10),
        ) {
            let mut program = Columns::new(rhs.clone());
            for column in entries.chunks(rhs.len()).take(gains.len()) {
                // Every column takes something of every row, so that there is an optimum.
                program.push(&column.iter().map(|own| own + 0.1).collect::<Vec<_>>());
            }
            let gains = &gains[..program.len()];
            prop_assert_eq!(program.maximize(gains), End::Best);
            let value: f64 = program.levels().map(|(at, level)| gains[at] * level).sum();
            let worth: f64 = program.prices().iter().zip(&rhs).map(|(price, own)| price * own).sum();
            prop_assert!((value - worth).abs() < 1e-6, "{value} and {worth}");
            for (at, gain) in gains.iter().enumerate() {
                let paid: f64 = program.column(at).iter().zip(program.prices()).map(|(a, b)| a * b).sum();
                prop_assert!(paid >= gain - 1e-6);
            }
        }
    }

    #[test]
    fn a_gain_that_takes_nothing_has_no_end() {
        let mut program = Columns::new(vec![1.0, 2.0]);
        program.push(&[-1.0, 0.0]);
        assert_eq!(program.maximize(&[1.0]), End::Unbounded);
    }
}
