//! What has to be fetched and asked: the pages of serving replicas, and endpoints. Fetches nothing.

use crate::routing;
use crate::setup::{AutoscalerSetup, GroupSetup, Origin, Setup};
use autoscaler_metrics::{Engine, MetricQuery};
use autoscaler_runtime::pages::{self, Job, Key, PageAt, Questions};
use autoscaler_scrape::{Access, Target};
use local_world::{MAIN_PORT, ReplicaStatus};

/// What is shown of every replica, whatever it is scaled by.
pub(super) const RUNNING: &str = "num_requests_running";
/// The same.
pub(super) const WAITING: &str = "num_requests_waiting";

pub(super) fn key_of(autoscaler: &AutoscalerSetup, source: &str) -> Key {
    (autoscaler.spec.name.clone(), source.to_owned())
}

pub(super) fn shown_key(name: &str) -> Key {
    (String::new(), name.to_owned())
}

/// An autoscaler may be called as a replica is.
pub(super) fn endpoint_owner(autoscaler: &str) -> String {
    format!("endpoint/{autoscaler}")
}

/// What has to be fetched: each page of each serving replica once, and each endpoint.
pub(super) fn jobs(setup: &Setup, statuses: &[ReplicaStatus]) -> Vec<Job> {
    let mut jobs = Vec::new();
    for group in &setup.groups {
        let pages = group_pages(setup, group);
        for status in statuses.iter().filter(|status| status.group == group.spec.name && routing::serves(status)) {
            let url = |page: &PageAt| page_url(page, status);
            jobs.extend(pages::jobs(status.id.as_str(), group.engine, &pages, url));
        }
    }
    for autoscaler in &setup.autoscalers {
        for (source, origin) in autoscaler.spec.sources.iter().zip(&autoscaler.origins) {
            if let Origin::Endpoint { url, access, query } = origin {
                let owner = endpoint_owner(&autoscaler.spec.name);
                let id = format!("{owner} {} {url}", source.key);
                let target = Target { id, url: url.clone(), access: access.clone() };
                let (queries, keys) = (vec![query.clone()], vec![key_of(autoscaler, &source.key)]);
                jobs.push(Job { target, owner, engine: None, queries, keys });
            }
        }
    }
    jobs
}

/// The pages of a group's replicas with all questions to each; the first one also tells what is shown.
fn group_pages(setup: &Setup, group: &GroupSetup) -> Vec<(PageAt, Questions)> {
    let mut pages: Vec<(PageAt, Questions)> = Vec::new();
    for autoscaler in setup.autoscalers.iter().filter(|autoscaler| autoscaler.group == group.spec.name) {
        for (source, origin) in autoscaler.spec.sources.iter().zip(&autoscaler.origins) {
            let Origin::Replica { page, query } = origin else { continue };
            let question = (query.clone(), key_of(autoscaler, &source.key));
            pages::ask(&mut pages, page, question);
        }
    }
    if pages.is_empty() {
        let path = group.engine.unwrap_or(Engine::Generic).path().to_owned();
        let page = PageAt { port: MAIN_PORT.to_owned(), path, https: false, access: Access::default() };
        pages.push((page, Vec::new()));
    }
    for name in [RUNNING, WAITING] {
        pages[0].1.push((MetricQuery::new(name), shown_key(name)));
    }
    pages
}

fn page_url(page: &PageAt, status: &ReplicaStatus) -> Option<String> {
    let port = status.ports.get(&page.port).copied().or_else(|| page.port.parse().ok())?;
    Some(page.url("127.0.0.1", port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest;

    fn pages(sources: &str) -> Vec<(PageAt, Questions)> {
        let text = format!(
            "apiVersion: local.autoscaling.aibrix.ai/v1alpha1
kind: LocalDeployment
metadata: {{ name: chat }}
spec: {{ models: [m], command: [engine, '{{port}}'] }}
---
apiVersion: autoscaling.aibrix.ai/v1alpha1
kind: PodAutoscaler
metadata: {{ name: chat }}
spec:
  scalingStrategy: APA
  maxReplicas: 4
  scaleTargetRef: {{ apiVersion: local.autoscaling.aibrix.ai/v1alpha1, kind: LocalDeployment, name: chat }}
  metricsSources:
{sources}"
        );
        let setup = manifest::setup("test.yaml", &text, 1.0).unwrap();
        group_pages(&setup, &setup.groups[0])
    }

    const SOURCE: &str = "metricSourceType: pod, protocolType: http, port: http, path: /metrics, targetValue: '5'";

    #[test]
    fn a_page_is_fetched_once_for_all_questions_to_it() {
        let found = pages(&format!(
            "    - {{ {SOURCE}, targetMetric: num_requests_running }}
    - {{ {SOURCE}, targetMetric: kv_cache_usage_perc }}
"
        ));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].1.len(), 4, "two sources, and what is shown");
    }

    #[test]
    fn a_page_is_fetched_apart_where_the_credentials_differ() {
        let found = pages(&format!(
            "    - {{ {SOURCE}, targetMetric: num_requests_running }}
    - {{ {SOURCE}, targetMetric: kv_cache_usage_perc, secretRef: {{ name: /run/secrets/engine }} }}
"
        ));
        assert_eq!(found.len(), 2);
        assert!(found[0].0.same_address(&found[1].0));
    }
}
