//! What a model's planning is told once: the SLO, the targets and what is known of their engines.

use engine_model::EngineSpec;
use forecast::Event;
use planner::Profile;

/// A model's settings.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// What a request must keep.
    pub objective: Objective,
    /// The share of requests that must keep it, 0.5 to 0.9999.
    pub attainment: f64,
    /// Seconds from asking for a replica until it serves, before one was measured.
    pub startup: f64,
    /// Seconds to look ahead; none takes the measured start-up.
    pub horizon: Option<f64>,
    /// Seconds for which a plan keeps what one asked for; a start-up where that is longer.
    pub hold: f64,
    /// Seconds of a season that load is known to have.
    pub season: Option<f64>,
    /// Known changes of load.
    pub events: Vec<Event>,
    /// A typical request before any was seen, prompt and answer tokens.
    pub typical: Option<(f64, f64)>,
    /// What one change of a replica costs, in hours of it.
    pub change_cost: f64,
    /// Whether requests are routed to targets by their size. A router that only looks at who is least busy gives every target the
    /// same mixture, and a plan that counts on more is not kept.
    pub routes_by_size: bool,
    /// How much of what the SLO leaves free is planned to be used; above 1 it is run fuller and cheaper than the SLO allows.
    pub boldness: f64,
    /// Parts that can be left out, to see what each is worth.
    pub parts: Parts,
    /// What the model runs on.
    pub targets: Vec<Target>,
}

/// What a request must keep; none is not asked.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Objective {
    /// Seconds to the first token.
    pub ttft: Option<f64>,
    /// Mean seconds per token after the first.
    pub tpot: Option<f64>,
    /// Seconds to the end.
    pub e2e: Option<f64>,
}

impl Objective {
    /// Whether a request kept it; an answer of one token has no time per token.
    #[must_use]
    pub fn kept(&self, ttft: f64, tpot: Option<f64>, e2e: f64) -> bool {
        let within = |limit: Option<f64>, value: f64| limit.is_none_or(|limit| value <= limit);
        within(self.ttft, ttft) && tpot.is_none_or(|tpot| within(self.tpot, tpot)) && within(self.e2e, e2e)
    }
}

/// Parts of the rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts {
    /// Levels of several lengths and forecasts; without it the level of the last two minutes stands.
    pub forecast: bool,
    /// The distribution around the level; without it the level is taken for what will be.
    pub quantile: bool,
    /// Whether fewer replicas would carry the load of now, asked before any is taken away.
    pub consolidation: bool,
    /// The correction by how requests really fared.
    pub calibration: bool,
    /// What waits, and will have to be served besides.
    pub backlog: bool,
    /// Replicas on their way count towards what waits; without it what waits is asked for again until it is served.
    pub credit: bool,
    /// What would have become, under several rules, of the requests that came; it needs the distribution.
    pub replay: bool,
}

impl Parts {
    /// All of them.
    pub const WHOLE: Self = Self {
        forecast: true,
        quantile: true,
        consolidation: true,
        calibration: true,
        backlog: true,
        credit: true,
        replay: true,
    };
}

impl Default for Parts {
    fn default() -> Self {
        Self::WHOLE
    }
}

/// One target: replicas of one kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// The autoscaler's name.
    pub name: String,
    /// Cost of one replica an hour, above 0.
    pub cost: f64,
    /// Fewest replicas.
    pub min: u32,
    /// Most replicas.
    pub max: u32,
    /// What is known of its engine.
    pub knowledge: Knowledge,
}

/// What is known of an engine.
#[derive(Debug, Clone, PartialEq)]
pub enum Knowledge {
    /// A model of it, which can be run on any sizes.
    Engine(Box<EngineSpec>),
    /// What one replica sustains by sizes, measured.
    Profile(Box<Profile>),
}

/// What cannot be planned with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct SettingsError {
    /// The field.
    pub field: String,
    /// What is wrong and what is allowed.
    pub problem: String,
}

impl Settings {
    /// Settings with the field's usual values for an objective and targets.
    #[must_use]
    pub fn new(objective: Objective, targets: Vec<Target>) -> Self {
        Self {
            objective,
            attainment: ATTAINMENT,
            startup: STARTUP,
            horizon: None,
            hold: HOLD,
            season: None,
            events: Vec::new(),
            typical: None,
            change_cost: 0.0,
            routes_by_size: false,
            boldness: 1.0,
            parts: Parts::default(),
            targets,
        }
    }

    /// Checks every number; names the first that cannot be.
    pub fn validate(&self) -> Result<(), SettingsError> {
        let wrong = |field: &str, problem: String| Err(SettingsError { field: field.to_owned(), problem });
        if !(0.5..=0.9999).contains(&self.attainment) {
            return wrong("attainment", format!("is {}; allowed: 0.5 to 0.9999", self.attainment));
        }
        if !(1.0..=86_400.0).contains(&self.startup) {
            return wrong("startup", format!("is {}; allowed: 1 to 86400 seconds", self.startup));
        }
        if self.horizon.is_some_and(|horizon| !(1.0..=HORIZON).contains(&horizon)) {
            return wrong(
                "horizon",
                format!("is {}; allowed: 1 to {HORIZON} seconds", self.horizon.unwrap_or_default()),
            );
        }
        if !(0.0..=HORIZON).contains(&self.hold) {
            return wrong("hold", format!("is {}; allowed: 0 to {HORIZON} seconds", self.hold));
        }
        let positive = |value: f64| value.is_finite() && value > 0.0;
        if self.typical.is_some_and(|(input, output)| !(positive(input) && positive(output))) {
            return wrong("typical", "allowed: prompt and answer tokens above 0".to_owned());
        }
        if !(self.change_cost.is_finite() && self.change_cost >= 0.0) {
            return wrong("changeCost", format!("is {}; allowed: 0 or more", self.change_cost));
        }
        if !positive(self.boldness) {
            return wrong("boldness", format!("is {}; allowed: above 0", self.boldness));
        }
        if self.targets.is_empty() || self.targets.len() > MAX_TARGETS {
            return wrong("targets", format!("{} targets; allowed: 1 to {MAX_TARGETS}", self.targets.len()));
        }
        for (at, target) in self.targets.iter().enumerate() {
            if self.targets[..at].iter().any(|before| before.name == target.name) {
                return wrong(&format!("targets.{}", target.name), "is there twice".to_owned());
            }
            if !(target.cost.is_finite() && target.cost > 0.0) {
                return wrong(
                    &format!("targets.{}.cost", target.name),
                    format!("is {}; allowed: above 0", target.cost),
                );
            }
            if target.max < target.min {
                return wrong(&format!("targets.{}.max", target.name), format!("is below min, {}", target.min));
            }
            if let Knowledge::Engine(engine) = &target.knowledge
                && let Err(error) = engine.validate()
            {
                return wrong(&format!("targets.{}.engine", target.name), error.to_string());
            }
        }
        Ok(())
    }
}

/// The usual share of requests that must keep an SLO.
const ATTAINMENT: f64 = 0.99;
/// A typical start-up of an 8B model on a warm node, seconds: what stands before one was measured.
const STARTUP: f64 = 120.0;
/// What a plan asked for is kept so long where nobody says otherwise, seconds: a change of direction within ten minutes is flapping.
pub const HOLD: f64 = 600.0;
/// Farthest that a horizon may look, seconds: what the forecaster does at its step.
const HORIZON: f64 = 10_800.0;
/// Kinds of replicas of one model.
const MAX_TARGETS: usize = 16;
