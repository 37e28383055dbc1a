//! A model in a small world of its own: looks every five seconds, replicas that serve at once or after a start-up.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test binary uses some of it")]

use autoscaler_planning::{Knowledge, Objective, Plan, Planning, Seen, Settings, Sized, Target, TargetSeen};
use engine_model::EngineSpec;
use planner::Profile;

/// Seconds between two looks.
pub const TICK: f64 = 5.0;

/// A profile of a replica that carries `rate` chats a second (1000 and 200 tokens) and fewer longer requests.
pub fn profile(rate: f64) -> Knowledge {
    let text = format!(
        r#"{{"gpu": "any", "cost": 1, "indexes": [[20, 200, 2000], [100, 1000, 10000]],
            "tputs": [[{0}, {0}, {1}], [{0}, {2}, {1}], [{1}, {1}, {3}]], "slos": {{"percentile": 99, "ttft": 2}}}}"#,
        rate * 2.0,
        rate / 5.0,
        rate,
        rate / 10.0
    );
    Knowledge::Profile(Box::new(Profile::from_json(&text).unwrap()))
}

/// A profile of a replica that serves prompts up to `longest` tokens only.
pub fn short_profile(rate: f64, longest: f64) -> Knowledge {
    let text = format!(
        r#"{{"gpu": "any", "cost": 1, "indexes": [[20, 2000], [{}, {longest}, {}]],
            "tputs": [[{rate}, {rate}, 0], [{rate}, {rate}, 0]], "slos": {{"percentile": 99, "ttft": 2}}}}"#,
        longest / 10.0,
        longest * 2.0
    );
    Knowledge::Profile(Box::new(Profile::from_json(&text).unwrap()))
}

/// A small engine.
pub fn engine() -> Knowledge {
    Knowledge::Engine(Box::new(EngineSpec::builtin("l4-8b").unwrap()))
}

/// An interactive SLO.
pub fn objective() -> Objective {
    Objective { ttft: Some(2.0), tpot: Some(0.1), e2e: None }
}

/// A target of 1 to 100 replicas.
pub fn target(name: &str, cost: f64, knowledge: Knowledge) -> Target {
    Target { name: name.to_owned(), cost, min: 1, max: 100, knowledge }
}

/// One target that carries 2 chats a second at full use.
pub fn settings() -> Settings {
    let mut settings = Settings::new(objective(), vec![target("one", 1.0, profile(2.0))]);
    settings.horizon = Some(60.0);
    settings
}

/// A model's world.
pub struct World {
    pub planning: Planning,
    pub now: f64,
    pub counts: Vec<u32>,
    sizes: Vec<Sized>,
}

impl World {
    pub fn new(settings: Settings) -> Self {
        let counts = settings.targets.iter().map(|target| target.min).collect();
        Self { planning: Planning::new(settings).unwrap(), now: 0.0, counts, sizes: Vec::new() }
    }

    /// What every look shows of sizes from now on.
    pub fn of_sizes(mut self, sizes: &[(f64, f64)]) -> Self {
        self.sizes = sizes
            .iter()
            .map(|(input, output)| Sized { arrived: 0.0, input: *input, output: *output, count: 10.0 })
            .collect();
        self
    }

    /// A look, and the plan after it; replicas are there at once.
    pub fn look(&mut self, arrivals: Option<f64>) -> Option<Plan> {
        self.now += TICK;
        for size in &mut self.sizes {
            size.arrived = self.now - 60.0;
        }
        let targets: Vec<TargetSeen<'_>> =
            self.counts.iter().map(|count| TargetSeen { wanted: *count, ready: *count, started: &[] }).collect();
        let sizes = if arrivals.is_some() { self.sizes.as_slice() } else { &[] };
        self.planning.observe(&Seen { now: self.now, arrivals, sizes, targets: &targets, ..Seen::default() });
        let plan = self.planning.plan(self.now)?;
        let names = self.planning.settings().targets.iter().map(|target| plan.replicas[&target.name]);
        self.counts = names.collect();
        Some(plan)
    }

    /// A constant rate for so long; the last plan.
    pub fn steady(&mut self, rate: Option<f64>, seconds: f64) -> Option<Plan> {
        let end = self.now + seconds;
        let mut last = None;
        while self.now < end {
            last = self.look(rate.map(|rate| rate * TICK));
        }
        last
    }
}

/// All of a plan's replicas.
pub fn total(plan: &Plan) -> u32 {
    plan.replicas.values().sum()
}
