//! Weighted groups of requests and how the lightest join their nearest. Knows no time.

/// Requests of about one size: how many, and the sums of their tokens.
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct Cell {
    pub(crate) weight: f64,
    pub(crate) input: f64,
    pub(crate) output: f64,
}

impl Cell {
    pub(crate) fn add(&mut self, other: Self) {
        self.weight += other.weight;
        self.input += other.input;
        self.output += other.output;
    }

    pub(crate) fn scale(&mut self, factor: f64) {
        self.weight *= factor;
        self.input *= factor;
        self.output *= factor;
    }

    /// Where it lies in octaves. One token more on either side, so that none is a place too.
    fn place(&self) -> (f64, f64) {
        let of = |sum: f64| (1.0 + sum / self.weight.max(f64::MIN_POSITIVE)).log2();
        (of(self.input), of(self.output))
    }

    /// What joining two of them loses: Ward's criterion in octaves, so that many close ones are kept apart less than
    /// few that are far (Ward 1963, Journal of the American Statistical Association 58).
    fn loss(&self, other: &Self) -> f64 {
        let ((a, b), (c, d)) = (self.place(), other.place());
        self.loss_at(other, (a - c).powi(2) + (b - d).powi(2))
    }

    /// The same for a squared distance.
    pub(crate) fn loss_at(&self, other: &Self, squared: f64) -> f64 {
        let together = (self.weight + other.weight).max(f64::MIN_POSITIVE);
        self.weight / together * other.weight * squared
    }
}

/// Joins the lightest cell with that which loses least until there are at most `most`. Sums stay as they are.
pub(crate) fn join(cells: &mut Vec<Cell>, most: usize) {
    while cells.len() > most.max(1) {
        let lightest = cells.iter().enumerate().min_by(|(_, a), (_, b)| a.weight.total_cmp(&b.weight));
        let Some((lightest, &cell)) = lightest else { return };
        cells.swap_remove(lightest);
        let nearest = cells.iter_mut().min_by(|a, b| a.loss(&cell).total_cmp(&b.loss(&cell)));
        if let Some(nearest) = nearest {
            nearest.add(cell);
        }
    }
}
