//! A grid: the same cells on any number of threads, references beside policies, and nothing scored that cannot be reached.

#![allow(clippy::unwrap_used, reason = "all of it is test code")]

use engine_model::EngineSpec;
use simulator::compare::{Cell, Grid, Load, run, summaries};
use simulator::policy::Named;
use simulator::world::Setup;
use workload::score::Slo;
use workload::synth;

fn grid(text: &str) -> Grid {
    let load = synth::parse(text, Some(900.0), 1).unwrap();
    let arrivals: Vec<_> = load.arrivals().collect();
    let engine = EngineSpec::builtin("l4-8b").unwrap();
    Grid {
        loads: vec![Load { name: "load".into(), arrivals: arrivals.into(), length: 900.0 }],
        engines: vec![engine.clone()],
        cold_starts: vec![30.0, 120.0],
        seeds: vec![1, 2],
        policies: ["kpa", "wva"].map(|name| Named::find(name).unwrap()).to_vec(),
        knobs: vec![1.0],
        setup: Setup::new(engine, Slo::default(), 0.0, 0, 900.0),
        max: None,
        plots: false,
    }
}

fn timeless(cells: Vec<Cell>) -> Vec<Cell> {
    cells.into_iter().map(|cell| Cell { wall_seconds: 0.0, ..cell }).collect()
}

#[test]
fn cells_do_not_depend_on_threads_and_references_bound_them() {
    let grid = grid("burst:base=2,peak=7,every=300s,for=90s,input=700,output=110");
    let quiet = |_| {};
    let cells = timeless(run(&grid, 1, &quiet).unwrap().cells);
    assert_eq!(cells, timeless(run(&grid, 3, &quiet).unwrap().cells));
    // Two start-up times, two seeds, four references and two policies.
    assert_eq!(cells.len(), 2 * 2 * 6);
    for cell in &cells {
        assert!(cell.score.is_some() && cell.oracle_attainment >= cell.target, "{cell:?}");
        if cell.policy == "oracle" {
            assert!((cell.score.unwrap() - 1.0).abs() < 1e-9, "{cell:?}");
        }
    }
    let found = summaries(&cells);
    assert!(found.iter().take(2).all(|line| !line.reference) && found.iter().skip(2).all(|line| line.reference));
    assert!(found.iter().all(|line| line.cells == 4), "{found:?}");
}

#[test]
fn what_no_capacity_can_reach_is_reported_and_not_scored() {
    // Prompts that take longer than the SLO, alone on the engine.
    let grid = grid("poisson:rate=0.3,input=20000,output=20,cv=0.05");
    let cells = run(&grid, 2, &|_| {}).unwrap().cells;
    assert!(cells.iter().all(|cell| cell.score.is_none() && cell.attainable_max < 0.9));
    assert!(summaries(&cells).iter().all(|line| line.score.is_none() && line.cells == 0));
}

#[test]
fn with_faults_references_live_in_the_same_world_as_policies() {
    let mut grid = grid("poisson:rate=4,input=500,output=80");
    grid.setup.faults.crashes_per_hour = 10.0;
    grid.policies.truncate(1);
    let cells = run(&grid, 2, &|_| {}).unwrap().cells;
    let of = |cold: f64| cells.iter().find(|cell| cell.policy == "best-static" && cell.cold_start == cold).unwrap();
    assert_ne!(of(30.0).attainment, of(120.0).attainment, "a replacement takes its time");
}
