//! What a world saw of a model since the look before. Plain data; times are seconds on the world's own clock.

/// One look.
#[derive(Debug, Clone, Copy, Default)]
pub struct Seen<'a> {
    /// When.
    pub now: f64,
    /// Requests that arrived since the look before; none where that is not known, which is not zero.
    pub arrivals: Option<f64>,
    /// Their prompt tokens; none where prompts are only known at their end.
    pub input_tokens: Option<f64>,
    /// Prompt tokens of requests that are in and have no first token yet; 0 where nobody knows.
    pub backlog_tokens: f64,
    /// Sizes of requests that became known since.
    pub sizes: &'a [Sized],
    /// How requests fared that ended since.
    pub outcomes: &'a [Outcome],
    /// The model's targets, in the order of the settings.
    pub targets: &'a [TargetSeen<'a>],
}

/// Requests of one size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sized {
    /// When they arrived, or the best guess.
    pub arrived: f64,
    /// Prompt tokens.
    pub input: f64,
    /// Answer tokens.
    pub output: f64,
    /// How many.
    pub count: f64,
}

/// How requests fared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    /// When they arrived, or the best guess.
    pub arrived: f64,
    /// How many ended, or were lost.
    pub ended: f64,
    /// How many of them kept every objective.
    pub kept: f64,
}

/// One target.
#[derive(Debug, Clone, Copy, Default)]
pub struct TargetSeen<'a> {
    /// Replicas that are wanted.
    pub wanted: u32,
    /// Replicas that serve.
    pub ready: u32,
    /// Seconds that each replica took that became ready since the look before.
    pub started: &'a [f64],
}
