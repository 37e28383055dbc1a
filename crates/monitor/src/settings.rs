//! The monitor's constants, each with its reason. Knows no data.

use serde::{Deserialize, Serialize};

/// How fast the past is forgotten, and how finely sizes are told apart.
///
/// Values outside the ranges are brought into them; one that is not a number becomes the default.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Settings {
    /// Half-life of the arrival rate in seconds, 5 to 3600, default 120.
    ///
    /// With half-life h and rate r, a steady Poisson stream is read with a relative standard error of
    /// √(ln 2 ÷ 2hr): 1.7 % at 10 requests/s. A drift is followed h ÷ ln 2 = 173 s late, which is 3 % for a load that
    /// doubles in an hour. Steps do not wait for it: see `change`.
    pub half_life: f64,
    /// Half-life of the size mix in seconds, 5 to 86,400, default 300.
    ///
    /// Sizes vary more than arrivals do (a coefficient of variation near 1), and change with who uses a model and not
    /// with how much; 8,700 requests stand behind the mix at 10 requests/s.
    pub mix_half_life: f64,
    /// Evidence for a step of the rate that drops what came before it: twice the logarithm of the likelihood ratio of
    /// two rates to one, over the observed dispersion. 8 to 1000, default 24.
    ///
    /// χ² with one degree of freedom exceeds 24 once in a million; with a test each second and tens of splits that are
    /// not independent, a steady load is taken for a step a few times a week at most. Five times 10 requests/s reach it within
    /// two seconds, five times 0.1 requests/s in about half a minute.
    pub change: f64,
    /// Cells per octave of tokens on either side, 1 to 8, default 2.
    ///
    /// Sizes of a cell then differ by less than √2, so that a cost that grows with the square of the size is off by at
    /// most 1.5 % when the mean stands for all.
    pub cells_per_octave: u32,
    /// Most cells, 4 to 4096, default 256; beyond it the lightest joins its nearest neighbour.
    ///
    /// Real mixes fill 50 to 150 cells of half an octave.
    pub max_cells: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { half_life: 120.0, mix_half_life: 300.0, change: 24.0, cells_per_octave: 2, max_cells: 256 }
    }
}

impl Settings {
    /// The same, with every value in its range.
    #[must_use]
    pub fn sound(self) -> Self {
        let of = |value: f64, default: f64, low: f64, high: f64| {
            if value.is_nan() { default } else { value.clamp(low, high) }
        };
        let default = Self::default();
        Self {
            half_life: of(self.half_life, default.half_life, 5.0, 3600.0),
            mix_half_life: of(self.mix_half_life, default.mix_half_life, 5.0, 86_400.0),
            change: of(self.change, default.change, 8.0, 1000.0),
            cells_per_octave: self.cells_per_octave.clamp(1, 8),
            max_cells: self.max_cells.clamp(4, 4096),
        }
    }

    /// How long spans are remembered, in seconds: five half-lives, where 3 % of the weight is left.
    pub(crate) fn horizon(self) -> f64 {
        5.0 * self.half_life
    }
}
