//! Our own metrics in Prometheus text, rendered from the shared picture.

use crate::view::{AutoscalerView, View};
use std::fmt::Write;

/// One family: its name, help, and how to read its value.
type Family = (&'static str, &'static str, fn(&AutoscalerView) -> Option<f64>);

const FAMILIES: [Family; 8] = [
    ("desired_replicas", "Replicas that the last decision wants.", |a| Some(f64::from(a.desired))),
    ("ready_replicas", "Replicas that serve.", |a| Some(f64::from(a.ready))),
    ("pending_replicas", "Replicas on their way.", |a| Some(f64::from(a.pending))),
    ("min_replicas", "Effective minimum.", |a| Some(f64::from(a.min))),
    ("max_replicas", "Effective maximum.", |a| Some(f64::from(a.max))),
    ("recommendation", "The strategy's own last answer.", |a| a.recommendation.map(f64::from)),
    ("panic", "1 while KPA's panic mode is on.", |a| Some(f64::from(u8::from(a.panic)))),
    ("held_requests", "Requests held at the gateway.", |a| Some(a.held as f64)),
];

/// The page.
pub(crate) fn render(view: &View) -> String {
    let mut page = String::new();
    for (name, help, value) in FAMILIES {
        // Writing to a string cannot fail.
        let _ = writeln!(page, "# HELP aibrix_autoscaler_{name} {help}\n# TYPE aibrix_autoscaler_{name} gauge");
        for autoscaler in &view.autoscalers {
            if let Some(value) = value(autoscaler) {
                let label = escape(&autoscaler.name);
                let _ = writeln!(page, "aibrix_autoscaler_{name}{{name=\"{label}\"}} {value}");
            }
        }
    }
    let name = "aibrix_autoscaler_metric_value";
    let _ = writeln!(page, "# HELP {name} What an autoscaler decides from.\n# TYPE {name} gauge");
    for autoscaler in &view.autoscalers {
        for metric in &autoscaler.metrics {
            if let Some(value) = metric.value {
                let (label, key) = (escape(&autoscaler.name), escape(&metric.name));
                let _ = writeln!(page, "{name}{{name=\"{label}\",metric=\"{key}\"}} {value}");
            }
        }
    }
    page
}

fn escape(label: &str) -> String {
    label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
