//! The gateway's own metrics in Prometheus text format 0.0.4. Knows names and escaping; computes nothing.

use std::fmt::Write as _;
use std::time::Duration;

use crate::handle::Shared;
use crate::latency::Latency;
use crate::record::Outcome;
use crate::snapshot::Snapshot;
use crate::stats::GroupStats;

/// Bounds of the latency histograms in seconds: those of vLLM's `time_to_first_token_seconds`, thinned out, and up to
/// the default deadline.
const BOUNDS: [f64; 17] =
    [0.005, 0.01, 0.02, 0.04, 0.08, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 640.0];

/// The page.
pub(crate) fn render(shared: &Shared) -> String {
    let mut page = String::with_capacity(4096);
    let snapshot = Snapshot::take(shared);
    gauges(&mut page, &snapshot);
    let mut groups = Vec::new();
    shared.stats.each(|name, stats| groups.push((escape(name.unwrap_or_default()), stats.clone())));
    counters(&mut page, &groups);
    histogram(&mut page, "ttft_seconds", "Arrival to the first chunk of a stream.", &groups, |stats| &stats.ttft);
    let help = "Arrival to end of requests that succeeded.";
    histogram(&mut page, "request_duration_seconds", help, &groups, |stats| &stats.duration);
    page
}

fn head(page: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(page, "# HELP gateway_{name} {help}\n# TYPE gateway_{name} {kind}");
}

fn gauges(page: &mut String, snapshot: &Snapshot) {
    head(page, "active_requests", "gauge", "Requests that began and have not ended.");
    let _ = writeln!(page, "gateway_active_requests {}", snapshot.active);
    head(page, "buffered_bytes", "gauge", "Request bodies in memory.");
    let _ = writeln!(page, "gateway_buffered_bytes {}", snapshot.buffered_bytes);
    head(page, "dropped_events_total", "counter", "Events a subscriber had no room for.");
    let _ = writeln!(page, "gateway_dropped_events_total {}", snapshot.dropped_events);
    head(page, "held_requests", "gauge", "Requests waiting for a replica.");
    for group in &snapshot.groups {
        let _ = writeln!(page, "gateway_held_requests{{group=\"{}\"}} {}", escape(&group.name), group.held);
    }
    head(page, "in_flight_requests", "gauge", "Requests on a replica.");
    for group in &snapshot.groups {
        for replica in &group.replicas {
            let (name, id) = (escape(&group.name), escape(&replica.id));
            let labels = format!("group=\"{name}\",replica=\"{id}\",draining=\"{}\"", replica.draining);
            let _ = writeln!(page, "gateway_in_flight_requests{{{labels}}} {}", replica.in_flight);
        }
    }
}

fn counters(page: &mut String, groups: &[(String, GroupStats)]) {
    head(page, "requests_total", "counter", "Finished requests by outcome.");
    for (name, stats) in groups {
        for outcome in Outcome::ALL {
            let (label, count) = (outcome.as_str(), stats.outcomes[outcome as usize]);
            let _ = writeln!(page, "gateway_requests_total{{group=\"{name}\",outcome=\"{label}\"}} {count}");
        }
    }
    let help = "Requests that reached the group, counted at arrival.";
    counter(page, "arrivals_total", help, groups, |stats| stats.arrived);
    counter(page, "retries_total", "Attempts after the first.", groups, |stats| stats.retries);
    let help = "Prompt tokens, reported or estimated.";
    counter(page, "prompt_tokens_total", help, groups, |stats| stats.prompt_tokens);
    let help = "Output tokens, reported or estimated.";
    counter(page, "output_tokens_total", help, groups, |stats| stats.output_tokens);
}

fn counter(
    page: &mut String,
    name: &str,
    help: &str,
    groups: &[(String, GroupStats)],
    read: impl Fn(&GroupStats) -> u64,
) {
    head(page, name, "counter", help);
    for (group, stats) in groups {
        let _ = writeln!(page, "gateway_{name}{{group=\"{group}\"}} {}", read(stats));
    }
}

fn histogram(
    page: &mut String,
    name: &str,
    help: &str,
    groups: &[(String, GroupStats)],
    read: impl Fn(&GroupStats) -> &Latency,
) {
    head(page, name, "histogram", help);
    for (group, stats) in groups {
        let latency = read(stats);
        for bound in BOUNDS {
            let count = latency.count_up_to(Duration::from_secs_f64(bound));
            let _ = writeln!(page, "gateway_{name}_bucket{{group=\"{group}\",le=\"{bound}\"}} {count}");
        }
        let (count, sum) = (latency.count(), latency.sum().as_secs_f64());
        let _ = writeln!(page, "gateway_{name}_bucket{{group=\"{group}\",le=\"+Inf\"}} {count}");
        let _ = writeln!(page, "gateway_{name}_sum{{group=\"{group}\"}} {sum}");
        let _ = writeln!(page, "gateway_{name}_count{{group=\"{group}\"}} {count}");
    }
}

/// Label values may hold anything but these three unescaped.
fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_values_are_escaped() {
        assert_eq!(escape("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
    }
}
