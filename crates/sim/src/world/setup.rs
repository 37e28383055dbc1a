//! What a run happens in: the engine, its start-up, faults, and how requests find replicas.

use engine_model::EngineSpec;
use workload::score::Slo;

/// How long a replica takes from its creation until it serves: lognormal, as published start-up times are spread.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ColdStart {
    /// Median, seconds.
    pub median: f64,
    /// Standard deviation of the logarithm; 0 makes every start-up the median.
    pub sigma: f64,
}

/// The spread of published start-up times, as a lognormal's sigma.
pub const SIGMA: f64 = 0.25;

/// How a request finds its replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Router {
    /// Fewest requests in flight. Of a shared prefix, a cache that is not asked for finds one in as many as there are replicas.
    #[default]
    LeastLoaded,
    /// Any. Prefixes as above.
    Random,
    /// Fewest requests in flight, and the trace's ideal prefix hits: its requests go where their prefix is.
    PrefixAware,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Faults {
    /// Crashes of a replica in an hour of its service.
    pub crashes_per_hour: f64,
    /// Share of the replicas that are slow.
    pub stragglers: f64,
    /// How many times longer their iterations take.
    pub slowdown: f64,
    /// Share of the looks at a replica that find no metrics.
    pub scrape_loss: f64,
}

impl Faults {
    /// Whether replicas crash or are slow: what a fleet then comes to depends on the seed and on start-ups, whatever its size.
    #[must_use]
    pub fn of_replicas(&self) -> bool {
        self.crashes_per_hour > 0.0 || self.stragglers > 0.0
    }
}

/// Replicas that are alike, and are scaled by one count.
#[derive(Debug, Clone)]
pub struct Group {
    /// What to call it.
    pub name: String,
    /// The engine of every replica.
    pub engine: EngineSpec,
    /// How long replicas take to start.
    pub cold_start: ColdStart,
    /// Fewest replicas.
    pub min: u32,
    /// Most replicas.
    pub max: u32,
    /// Replicas that serve when the trace begins.
    pub initial: u32,
    /// Whose requests it serves; several groups may serve one model's.
    pub model: usize,
    /// What a replica is taken to carry beside those of other groups of its model: the least loaded by this measure is next.
    pub weight: f64,
    /// Longest prompt, in tokens, that the router sends here while another group of its model is ready to take it; a router that does
    /// not look at sizes knows no such limit.
    pub longest: u32,
    /// What an hour of a GPU costs.
    pub price: f64,
}

/// Everything but the arrivals and the policy.
#[derive(Debug, Clone)]
pub struct Setup {
    /// What is scaled; where there is more, the first of it.
    pub group: Group,
    /// What else is scaled beside it.
    pub others: Vec<Group>,
    /// GPUs that all groups share; none are as many as are asked for.
    pub pool: Option<u32>,
    /// What a request has to keep.
    pub slo: Slo,
    /// What all randomness begins with.
    pub seed: u64,
    /// Seconds at the beginning that are neither scored nor paid.
    pub warmup: f64,
    /// Seconds of the trace; what is paid ends here.
    pub length: f64,
    /// Seconds after the trace that requests may still take.
    pub tail: f64,
    /// A draining replica's requests are cut after this many seconds.
    pub drain: f64,
    /// How requests find replicas.
    pub router: Router,
    /// What goes wrong.
    pub faults: Faults,
}

impl Group {
    /// One to 64 replicas that begin with one, at a price of 1.
    #[must_use]
    pub fn new(engine: EngineSpec, cold_start: f64) -> Self {
        Self {
            name: engine.name.clone(),
            engine,
            cold_start: ColdStart { median: cold_start, sigma: SIGMA },
            min: 1,
            max: 64,
            initial: 1,
            model: 0,
            weight: 1.0,
            longest: u32::MAX,
            price: 1.0,
        }
    }
}

impl Setup {
    /// All groups, in order.
    pub fn groups(&self) -> impl Iterator<Item = &Group> {
        std::iter::once(&self.group).chain(&self.others)
    }

    /// A run of `length` seconds without faults, with the benchmark protocol's other values.
    #[must_use]
    pub fn new(engine: EngineSpec, slo: Slo, cold_start: f64, seed: u64, length: f64) -> Self {
        Self {
            group: Group::new(engine, cold_start),
            others: Vec::new(),
            pool: None,
            slo,
            seed,
            // A trace that is hardly longer than the protocol's 300 s would have nothing left to score.
            warmup: 300.0_f64.min(length / 4.0),
            length,
            tail: 600.0,
            drain: 600.0,
            router: Router::default(),
            faults: Faults::default(),
        }
    }
}
