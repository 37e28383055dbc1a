//! The optimizer's own metrics, in Prometheus' text format. Labels that name models and deployments go with them.

use super::aibrix::label;
use crate::service::{Optimizer, locked};
use crate::took::Took;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use std::fmt::Write;
use std::sync::Arc;

pub(super) async fn page(State(optimizer): State<Arc<Optimizer>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], render(&optimizer))
}

/// Families with their lines, which have to stand together.
#[derive(Default)]
struct Families(Vec<(&'static str, &'static str, &'static str, String)>);

impl Families {
    fn add(&mut self, name: &'static str, kind: &'static str, help: &'static str, labels: &str, value: f64) {
        let at = self.0.iter().position(|family| family.0 == name).unwrap_or_else(|| {
            self.0.push((name, kind, help, String::new()));
            self.0.len() - 1
        });
        // Prometheus' spelling of what is no number, or beyond all.
        let _ = match value {
            value if value.is_nan() => writeln!(self.0[at].3, "{name}{labels} NaN"),
            f64::INFINITY => writeln!(self.0[at].3, "{name}{labels} +Inf"),
            f64::NEG_INFINITY => writeln!(self.0[at].3, "{name}{labels} -Inf"),
            value => writeln!(self.0[at].3, "{name}{labels} {value}"),
        };
    }

    /// How long a model's turns took.
    fn turns(&mut self, model: &str, took: &Took) {
        const NAME: &str = "gpu_optimizer_turn_seconds";
        if !self.0.iter().any(|family| family.0 == NAME) {
            self.0.push((NAME, "histogram", "Time that a turn took, from its sources to its plan", String::new()));
        }
        let Some((.., lines)) = self.0.iter_mut().find(|family| family.0 == NAME) else { return };
        for (bound, count) in took.cumulative() {
            let _ = writeln!(lines, "{NAME}_bucket{{model_name=\"{model}\",le=\"{bound}\"}} {count}");
        }
        let _ = writeln!(lines, "{NAME}_bucket{{model_name=\"{model}\",le=\"+Inf\"}} {}", took.count);
        let _ = writeln!(lines, "{NAME}_sum{{model_name=\"{model}\"}} {}", took.sum);
        let _ = writeln!(lines, "{NAME}_count{{model_name=\"{model}\"}} {}", took.count);
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for (name, kind, help, lines) in &self.0 {
            let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{lines}");
        }
        text
    }
}

#[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn render(optimizer: &Optimizer) -> String {
    let (mut families, now) = (Families::default(), optimizer.now());
    let models = optimizer.models();
    families.add("gpu_optimizer_models", "gauge", "Models that are planned for", "", models.len() as f64);
    let failed = locked(&optimizer.state_trouble).is_some();
    let help = "1 where the state could not be saved last";
    families.add("gpu_optimizer_state_failed", "gauge", help, "", f64::from(u8::from(failed)));
    if let Some(cluster) = &*locked(&optimizer.cluster) {
        let failed = f64::from(u8::from(cluster.trouble.is_some()));
        families.add("gpu_optimizer_cluster_failed", "gauge", "1 where the cluster cannot be watched", "", failed);
    }
    for model in models {
        let (shown, name) = (model.shown(), label(&model.name));
        let labels = format!("{{model_name=\"{name}\"}}");
        let mut add = |family, kind, help, value| families.add(family, kind, help, &labels, value);
        add("gpu_optimizer_turns_total", "counter", "Turns that ended", shown.turns as f64);
        add("gpu_optimizer_panics_total", "counter", "Turns that ended in a panic", shown.panics as f64);
        add("gpu_optimizer_turn_longest_seconds", "gauge", "The longest turn since the start", shown.took.longest);
        let held = f64::from(u8::from(shown.held.is_some()));
        add("gpu_optimizer_held", "gauge", "1 where the last plan is held for want of something", held);
        if let Some(load) = &shown.load {
            add("gpu_optimizer_requests_per_second", "gauge", "Requests that arrive a second", load.rate);
            add("gpu_optimizer_load_age_seconds", "gauge", "Age of the newest data of the load", load.age);
            let confidence = load.confidence;
            add("gpu_optimizer_load_confidence", "gauge", "How well sizes are known, 0 to 1", confidence);
        }
        if let Some(plan) = &shown.plan {
            let age = (now - plan.at).max(0.0);
            add("gpu_optimizer_plan_age_seconds", "gauge", "Since the plan was made or confirmed", age);
            add("gpu_optimizer_solve_seconds", "gauge", "Time that the solver took", plan.seconds);
            add("gpu_optimizer_cost", "gauge", "Cost of the plan's replicas per unit of time", plan.cost);
            add("gpu_optimizer_cost_bound", "gauge", "No plan for the load costs less", plan.bound);
            let unserved = plan.sizes.iter().map(|size| size.unserved * size.rate).sum();
            add("gpu_optimizer_unserved_requests_per_second", "gauge", "Requests that no type serves", unserved);
        }
        families.turns(&name, &shown.took);
        for (source, count) in &shown.failures {
            let labels = format!("{{model_name=\"{name}\",source=\"{}\"}}", label(source));
            let help = "Failures of sources";
            families.add("gpu_optimizer_source_failures_total", "counter", help, &labels, *count as f64);
        }
        for one in model.advice() {
            let Some((replicas, _)) = one.given else { continue };
            let (key, gpu) = (label(&one.deployment.key()), label(one.deployment.shown()));
            let labels = format!("{{model_name=\"{name}\",deployment=\"{key}\",gpu=\"{gpu}\"}}");
            let help = "Replicas that are recommended";
            families.add("gpu_optimizer_replicas", "gauge", help, &labels, f64::from(replicas));
        }
    }
    families.text()
}
