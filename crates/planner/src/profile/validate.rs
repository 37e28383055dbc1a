//! What a profile may say: a grid that ascends, tables of its shape, numbers within their ranges.

use super::{Profile, Slos};
use crate::problem::ProblemError;

/// Points of a grid, each way: far more than anybody measures.
const MAX_POINTS: usize = 200;

impl Profile {
    /// Checks every number; names the first that cannot be.
    pub fn validate(&self) -> Result<(), ProblemError> {
        if !(self.cost.is_finite() && self.cost >= 0.0) {
            return wrong("cost", format!("is {}; allowed: a number from 0", self.cost));
        }
        for (at, axis) in self.indexes.iter().enumerate() {
            let ascending = axis.windows(2).all(|pair| pair[0] < pair[1]);
            let sound = axis.iter().all(|tokens| tokens.is_finite() && *tokens >= 1.0);
            if axis.is_empty() || axis.len() > MAX_POINTS || !ascending || !sound {
                let allowed = format!("allowed: 1 to {MAX_POINTS} token counts from 1, ascending");
                return wrong(&format!("indexes[{at}]"), format!("{} entries; {allowed}", axis.len()));
            }
        }
        self.table("tputs", &self.tputs, "requests a second")?;
        for (name, table) in [("e2e", &self.e2e), ("ttft", &self.ttft), ("tpot", &self.tpot)] {
            table.as_ref().map_or(Ok(()), |table| self.table(name, table, "seconds"))?;
        }
        self.slos.as_ref().map_or(Ok(()), Slos::validate)
    }

    /// A table must have the grid's shape and numbers from 0.
    fn table(&self, name: &str, table: &[Vec<f64>], unit: &str) -> Result<(), ProblemError> {
        let (rows, columns) = (self.indexes[0].len(), self.indexes[1].len());
        if table.len() != rows {
            return wrong(name, format!("{} rows; indexes[0] has {rows} answer sizes", table.len()));
        }
        for (at, row) in table.iter().enumerate() {
            if row.len() != columns {
                let message = format!("{} columns; indexes[1] has {columns} prompt sizes", row.len());
                return wrong(&format!("{name}[{at}]"), message);
            }
            if let Some(bad) = row.iter().position(|value| !(value.is_finite() && *value >= 0.0)) {
                return wrong(&format!("{name}[{at}][{bad}]"), format!("is {}; allowed: {unit} from 0", row[bad]));
            }
        }
        Ok(())
    }
}

impl Slos {
    fn validate(&self) -> Result<(), ProblemError> {
        if self.percentile > 100 {
            return wrong("slos.percentile", format!("is {}; allowed: 0 (the mean) to 100", self.percentile));
        }
        let all = [
            ("tput", self.tput),
            ("tt", self.tt),
            ("e2e", self.e2e),
            ("ttft", self.ttft),
            ("tpat", self.tpat),
            ("tpot", self.tpot),
        ];
        for (name, limit) in all {
            if let Some(limit) = limit.filter(|limit| !(limit.is_finite() && *limit >= 0.0)) {
                return wrong(&format!("slos.{name}"), format!("is {limit}; allowed: a number from 0"));
            }
        }
        Ok(())
    }
}

fn wrong(path: &str, message: String) -> Result<(), ProblemError> {
    Err(ProblemError { path: path.to_owned(), message })
}
