//! Manifests of local worlds with one group of stand-in engines and one autoscaler of the same name.

use super::BINARY;

/// One group and its autoscaler. Windows are of seconds, so that both directions are seen soon.
#[derive(Clone)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) strategy: &'static str,
    pub(crate) min: u32,
    pub(crate) max: u32,
    /// Requests per replica.
    pub(crate) target: u32,
    /// Replicas at the start; the minimum where absent.
    pub(crate) replicas: Option<u32>,
    /// Further arguments of the stand-in engine.
    pub(crate) arguments: &'static str,
    /// Shell text that is run before the engine takes the shell's place.
    pub(crate) before: Option<String>,
}

impl Group {
    /// A group under this strategy, from `min` to `max` replicas, two requests for each.
    pub(crate) fn new(strategy: &'static str, min: u32, max: u32) -> Self {
        let name = super::world::unique_name();
        Self { name, strategy, min, max, target: 2, replicas: None, arguments: "", before: None }
    }

    /// The world of this group alone.
    pub(crate) fn manifest(&self) -> String {
        let Self { name, strategy, min, max, target, arguments, .. } = self;
        let replicas = self.replicas.map(|count| format!("  replicas: {count}\n")).unwrap_or_default();
        let engine = format!("engine --port {{port}} --model {name} {arguments}");
        let command = match &self.before {
            // The world passes its speed on to engines that it sees, and not into a shell.
            Some(before) => format!("[sh, -c, '{before} exec {BINARY} {engine} --speed 10']"),
            None => format!("[aibrix-autoscaler, {}]", quoted(&engine)),
        };
        format!(
            r#"apiVersion: local.autoscaling.aibrix.ai/v1alpha1
kind: LocalWorld
metadata: {{ name: test }}
spec: {{ gpus: 0, scrapeIntervalSeconds: 1, tickIntervalSeconds: 1 }}
---
apiVersion: local.autoscaling.aibrix.ai/v1alpha1
kind: LocalDeployment
metadata: {{ name: {name} }}
spec:
  command: {command}
  holdTimeoutSeconds: 600
{replicas}---
apiVersion: autoscaling.aibrix.ai/v1alpha1
kind: PodAutoscaler
metadata:
  name: {name}
  annotations: {{ autoscaling.aibrix.ai/scale-down-cooldown-window: 5s }}
spec:
  scalingStrategy: {strategy}
  minReplicas: {min}
  maxReplicas: {max}
  observeWindowSeconds: 6
  panicWindowSeconds: 2
  scaleTargetRef: {{ apiVersion: local.autoscaling.aibrix.ai/v1alpha1, kind: LocalDeployment, name: {name} }}
  metricsSources:
    - {{ metricSourceType: pod, protocolType: http, port: http, path: /metrics, targetMetric: request_count, targetValue: "{target}" }}
"#
        )
    }
}

/// Each word as a YAML string.
fn quoted(words: &str) -> String {
    words.split_whitespace().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ")
}
