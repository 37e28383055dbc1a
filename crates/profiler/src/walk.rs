//! A whole measurement: the walk over the grid at an endpoint, with every finished run in a file.

use crate::measure::{Endpoint, MeasureError, Position};
use crate::record::{Record, RecordError};
use crate::run::{Ask, Run};
use crate::sweep::Sweep;
use tokio_util::sync::CancellationToken;

/// What is told while a measurement goes on.
#[derive(Debug)]
pub enum Told<'a> {
    /// A run goes on.
    Position(&'a Ask, Position),
    /// A run is over.
    Run {
        /// What came of it.
        run: &'a Run,
        /// Whether it was found in the file and not made now.
        reused: bool,
    },
}

/// Why a measurement ended before its time. What was measured is in the file.
#[derive(Debug, thiserror::Error)]
pub enum WalkError {
    /// A run.
    #[error(transparent)]
    Measure(#[from] MeasureError),
    /// The file of runs.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// Walks the grid to its end. Runs that `record` has are not made again; each other one is in it before the next begins.
pub async fn walk(
    sweep: &mut Sweep,
    endpoint: &Endpoint,
    record: &mut Record,
    stop: &CancellationToken,
    mut tell: impl FnMut(&Sweep, &Told<'_>),
) -> Result<(), WalkError> {
    while let Some(ask) = sweep.next_ask() {
        let known = record.find(&ask).cloned();
        let reused = known.is_some();
        let run = if let Some(run) = known {
            run
        } else {
            let run = endpoint.run(&ask, stop, |at| tell(sweep, &Told::Position(&ask, at))).await?;
            record.add(&run)?;
            run
        };
        sweep.take(run.clone());
        tell(sweep, &Told::Run { run: &run, reused });
    }
    Ok(())
}
