//! Knative's decider: a stable and a panic window over the total load of a target
//! (knative serving `pkg/autoscaler/scaling/autoscaler.go`), with AIBrix's tolerance band beside it.

use crate::hpa::ceil;
use crate::observe::TargetObservation;
use crate::signal::{self, Signal};
use crate::spec::{Gaps, Kpa, Source, Tolerance};
use crate::time::{Span, Timestamp};
use crate::trail::{KpaFigures, Rule, Stage, Trail};
use crate::window::buckets::Buckets;
use crate::window::maximum::SlidingMaximum;
use serde::{Deserialize, Serialize};

/// The memory of one source's decider.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KpaState {
    stable: Buckets,
    panic: Buckets,
    panic_since: Option<Timestamp>,
    max_panic: u32,
    delay: Option<SlidingMaximum>,
    // Whether the latest tick had a value.
    #[serde(default)]
    sampled: bool,
}

/// What the decider answers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct KpaAnswer {
    pub(crate) wanted: u32,
    pub(crate) panic: bool,
    pub(crate) figures: KpaFigures,
    /// Whether the answer rests on older samples alone, so that it may not scale down.
    pub(crate) stale: bool,
}

/// What one decision needs to know.
pub(crate) struct Context<'a> {
    pub(crate) now: Timestamp,
    pub(crate) settings: &'a Kpa,
    pub(crate) tolerance: Tolerance,
    pub(crate) source: &'a Source,
    pub(crate) seen: &'a TargetObservation,
}

/// Knative's smallest target (`pkg/autoscaler/config`, `TargetMin`): a division by it stays finite.
const MIN_TARGET: f64 = 1e-6;

impl KpaState {
    /// A decider that starts with `ready` replicas. More than one starts in panic: the history is lost, and nothing
    /// shrinks until a whole stable window has been seen.
    #[must_use]
    pub fn new(settings: &Kpa, now: Timestamp, ready: u32) -> Self {
        Self {
            stable: Buckets::new(seconds(settings.stable_window)),
            panic: Buckets::new(seconds(settings.panic_window)),
            panic_since: (ready > 1).then_some(now),
            max_panic: ready,
            delay: (settings.scale_down_delay > Span::ZERO).then(|| SlidingMaximum::new(settings.scale_down_delay)),
            sampled: false,
        }
    }

    /// Whether a restored state fits the settings; one that does not is begun anew.
    #[must_use]
    pub fn fits(&self, settings: &Kpa) -> bool {
        self.stable.fits(seconds(settings.stable_window)) && self.panic.fits(seconds(settings.panic_window))
    }

    /// A state for changed window lengths, which keeps everything but the samples.
    #[must_use]
    pub fn resized(&self, settings: &Kpa, now: Timestamp, ready: u32) -> Self {
        Self { delay: self.delay.clone(), ..Self::new(settings, now, ready.max(self.max_panic)) }
    }

    /// Takes a changed scale-down delay, and keeps what was wanted within it.
    pub fn set_delay(&mut self, delay: Span) {
        self.delay = (delay > Span::ZERO).then(|| self.delay.take().unwrap_or_else(|| SlidingMaximum::new(delay)));
        if let Some(maximum) = &mut self.delay {
            maximum.set_delay(delay);
        }
    }

    /// Takes the sample of one tick, where there is one.
    pub(crate) fn record(&mut self, context: &Context<'_>, trail: &mut Trail) {
        let signal = signal::read(context.source, context.seen);
        self.sampled = signal.is_ok();
        match signal {
            Ok(signal) => {
                let total = fleet_total(&signal, target(context), trail);
                for window in [&mut self.stable, &mut self.panic] {
                    if context.settings.gaps == Gaps::Hold {
                        window.hold_until(context.now);
                        // Two turns within a second see the same load twice.
                        window.replace(context.now, total);
                    } else {
                        window.record(context.now, total);
                    }
                }
            }
            Err(why) => {
                let detail = format!("{}: {why}", context.source.key);
                trail.push(Stage::Observe, Rule::MetricAbsent, None, None, detail);
            }
        }
    }

    /// Decides. The error says why there is no answer.
    pub(crate) fn decide(&mut self, context: &Context<'_>, trail: &mut Trail) -> Result<KpaAnswer, String> {
        let settings = context.settings;
        if self.stable.is_silent(context.now, !settings.knative_silence) {
            return Err("no sample within the stable window".to_owned());
        }
        let figures = self.figures(context);
        let want = Self::wants(context, &figures);
        self.update_panic(context, want.over_threshold, trail);
        let mut wanted = want.stable;
        if self.panic_since.is_some() {
            self.max_panic = self.max_panic.max(want.stable).max(want.panic);
            if self.max_panic != wanted {
                let detail = format!("no scale-down in panic; highest wanted so far {}", self.max_panic);
                trail.push(Stage::Recommendation, Rule::PanicHeld, wanted, self.max_panic, detail);
            }
            wanted = self.max_panic;
        }
        if let Some(delay) = &mut self.delay {
            let delayed = delay.record(context.now, wanted);
            wanted = trail.change(Stage::Recommendation, Rule::ScaleDownDelay, wanted, delayed, || {
                format!("wanted within the last {} s", settings.scale_down_delay.as_secs())
            });
        }
        Ok(KpaAnswer {
            wanted,
            panic: self.panic_since.is_some(),
            figures,
            stale: !self.sampled && !settings.knative_silence,
        })
    }

    fn figures(&self, context: &Context<'_>) -> KpaFigures {
        let settings = context.settings;
        let stable = self.stable.average(context.now, settings.averaging);
        let panic_average = self.panic.average(context.now, settings.averaging);
        let capacity = f64::from(context.seen.ready()) * settings.total.unwrap_or_else(|| target(context));
        let excess_burst_capacity = match settings.target_burst_capacity {
            Some(reserve) if reserve < 0.0 => -1.0,
            Some(0.0) => 0.0,
            reserve => (capacity - reserve.unwrap_or(0.0) - panic_average).floor(),
        };
        KpaFigures { stable, panic_average, excess_burst_capacity }
    }

    fn wants(context: &Context<'_>, figures: &KpaFigures) -> Wants {
        let settings = context.settings;
        let ready = f64::from(context.seen.ready().max(1));
        let up = (settings.max_scale_up_rate * ready).ceil();
        let down = (ready / settings.max_scale_down_rate).floor();
        let target = target(context);
        let replicas = context.seen.replicas;
        let bounded = |average: f64| -> u32 {
            let ratio = average / (target * f64::from(replicas));
            let banded = context.tolerance.up > 0.0 || context.tolerance.down > 0.0;
            let wanted = if banded && replicas > 0 && context.tolerance.holds(ratio) {
                f64::from(replicas)
            } else {
                (average / target).ceil()
            };
            let count = ceil(wanted.max(down).min(up)).unwrap_or(replicas);
            // Knative raises only what has load; its answer of zero stays zero.
            if settings.activation_scale > 1 && average > 0.0 { count.max(settings.activation_scale) } else { count }
        };
        Wants {
            stable: bounded(figures.stable),
            panic: bounded(figures.panic_average),
            over_threshold: (figures.panic_average / target).ceil() / ready >= settings.panic_threshold,
        }
    }

    /// A crossing starts or extends panic; it ends once a whole stable window has passed without one.
    fn update_panic(&mut self, context: &Context<'_>, over: bool, trail: &mut Trail) {
        let now = context.now;
        match (self.panic_since, over) {
            (None, true) => {
                self.panic_since = Some(now);
                let detail =
                    format!("the panic window needs {} × the ready replicas or more", context.settings.panic_threshold);
                trail.push(Stage::Recommendation, Rule::PanicStarted, None, None, detail);
            }
            (Some(_), true) => self.panic_since = Some(now),
            (Some(since), false) if since + context.settings.stable_window < now => {
                self.panic_since = None;
                self.max_panic = 0;
                trail.push(Stage::Recommendation, Rule::PanicEnded, None, None, "one stable window without a crossing");
            }
            _ => {}
        }
    }
}

struct Wants {
    stable: u32,
    panic: u32,
    over_threshold: bool,
}

fn target(context: &Context<'_>) -> f64 {
    context.settings.target.unwrap_or(context.source.target).max(MIN_TARGET)
}

/// The load of the whole target. Ready replicas without a value are taken as the others are where those are above
/// target, and as exactly at target otherwise: a guess never shrinks the fleet.
fn fleet_total(signal: &Signal, target: f64, trail: &mut Trail) -> f64 {
    match signal {
        Signal::Total(total) => *total,
        Signal::PerPod { present, missing } => {
            let sum: f64 = present.iter().sum();
            if *missing == 0 {
                return sum;
            }
            let mean = sum / present.len() as f64;
            let filled = sum + mean.max(target) * f64::from(*missing);
            let detail = format!("{missing} ready replicas without a value; total {sum} taken as {filled}");
            trail.push(Stage::Observe, Rule::FilledIn, None, None, detail);
            filled
        }
    }
}

/// Whole seconds of a window, at least one.
fn seconds(window: Span) -> usize {
    usize::try_from((window.0.saturating_add(500_000)) / 1_000_000).unwrap_or(1).max(1)
}
