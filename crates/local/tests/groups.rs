//! Groups that share a machine: sizes, ids, draining, and GPUs as a hard cap.

mod common;

use std::time::Duration;

use common::{config, eventually, get, one_ready, replica, serving, states, until, within};
use local_world::{Error, EventKind, GroupSpec, PendingReason, ReplicaState, Supervisor};

#[tokio::test]
async fn growing_starts_replicas_shrinking_is_left_to_the_caller_and_ids_are_never_reused() {
    let supervisor = Supervisor::new(config(0)).await.unwrap();
    supervisor.set_group(serving("chat", &[])).unwrap();
    let ids = |started: &[local_world::ReplicaId]| started.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(ids(&supervisor.scale("chat", 2).unwrap().started), ["chat-0", "chat-1"]);
    let shrunk = supervisor.scale("chat", 1).unwrap();
    assert_eq!((shrunk.started.len(), shrunk.excess), (0, 1));
    eventually("both ready", || states(&supervisor).iter().all(|(_, state)| *state == ReplicaState::Ready)).await;
    let victims = supervisor.victims("chat", 1, |status| if status.index == 0 { 0 } else { 9 });
    assert_eq!(ids(&victims), ["chat-0"], "the least busy");
    supervisor.stop(victims[0].as_str(), None).unwrap();
    assert_eq!(supervisor.scale("chat", 1).unwrap().excess, 0, "a leaving replica is not counted");
    within(supervisor.ended("chat-0")).await.unwrap();
    assert_eq!(ids(&supervisor.scale("chat", 2).unwrap().started), ["chat-2"]);
    supervisor.shutdown(Duration::from_secs(10)).await;
    supervisor.remove_group("chat").unwrap();
    assert!(matches!(supervisor.scale("chat", 1), Err(Error::UnknownGroup { .. })));
}

#[tokio::test]
async fn a_draining_replica_runs_on_and_can_be_taken_back() {
    let (supervisor, _) = one_ready(serving("chat", &[])).await;
    assert!(supervisor.drain("chat-0").unwrap());
    assert!(!supervisor.drain("chat-0").unwrap(), "it drains already");
    let status = replica(&supervisor, "chat-0");
    assert_eq!((status.state, status.leaving), (ReplicaState::Draining, true));
    assert_eq!(get(status.ports["http"], "/health").await, "ok");
    assert!(supervisor.victims("chat", 9, |_| 0).is_empty());
    assert!(supervisor.resume("chat-0").unwrap());
    eventually("ready again", || replica(&supervisor, "chat-0").state == ReplicaState::Ready).await;
    assert_eq!(supervisor.scale("chat", 1).unwrap().started, [], "it counts again");
    supervisor.stop("chat-0", None).unwrap();
    assert!(!supervisor.resume("chat-0").unwrap(), "too late");
    within(supervisor.ended("chat-0")).await.unwrap();
    assert!(!supervisor.resume("chat-0").unwrap());
}

#[tokio::test]
async fn a_draining_replica_that_crashes_is_not_started_again() {
    let dir = tempfile::tempdir().unwrap();
    let crash = dir.path().join("crash");
    let (supervisor, _) = one_ready(serving("chat", &["--crash-when", crash.to_str().unwrap()])).await;
    supervisor.drain("chat-0").unwrap();
    std::fs::write(&crash, "").unwrap();
    let last = within(supervisor.ended("chat-0")).await.unwrap();
    assert_eq!((last.state, last.restarts), (ReplicaState::Failed, 0));
}

#[tokio::test]
async fn gpus_are_a_hard_cap_over_all_groups_and_none_lies_idle_while_it_is_of_use() {
    let supervisor = Supervisor::new(config(3)).await.unwrap();
    for (name, gpus) in [("big", 2), ("small", 1), ("none", 0)] {
        let mut spec = serving(name, &[]);
        spec.gpus_per_replica = gpus;
        supervisor.set_group(spec).unwrap();
    }
    supervisor.scale("small", 2).unwrap();
    supervisor.scale("big", 1).unwrap();
    supervisor.scale("small", 3).unwrap();
    supervisor.scale("none", 1).unwrap();
    let pending = ReplicaState::Pending(PendingReason::NoGpu);
    assert_eq!(replica(&supervisor, "big-0").state, pending, "needs two, one is free");
    assert_ne!(replica(&supervisor, "small-2").state, pending, "one is enough for it");
    let ready = |id: &str| {
        let supervisor = supervisor.clone();
        let id = id.to_owned();
        async move { eventually("ready", || replica(&supervisor, &id).state == ReplicaState::Ready).await }
    };
    for (id, devices) in [("small-0", "0"), ("small-1", "1"), ("small-2", "2"), ("none-0", "")] {
        ready(id).await;
        let port = replica(&supervisor, id).ports["http"];
        assert_eq!(get(port, "/env/CUDA_VISIBLE_DEVICES").await, devices);
    }
    supervisor.stop("small-0", None).unwrap();
    within(supervisor.ended("small-0")).await.unwrap();
    assert_eq!(replica(&supervisor, "big-0").state, pending);
    supervisor.stop("small-2", None).unwrap();
    ready("big-0").await;
    assert_eq!(get(replica(&supervisor, "big-0").ports["http"], "/env/CUDA_VISIBLE_DEVICES").await, "0,2");
    supervisor.shutdown(Duration::from_secs(10)).await;
}

#[tokio::test]
async fn a_waiting_replica_ends_at_once_when_it_is_stopped() {
    let supervisor = Supervisor::new(config(1)).await.unwrap();
    let mut spec = serving("chat", &[]);
    spec.gpus_per_replica = 1;
    supervisor.set_group(spec).unwrap();
    supervisor.scale("chat", 2).unwrap();
    let victims = supervisor.victims("chat", 1, |_| 0);
    assert_eq!(victims[0].as_str(), "chat-1", "what waits goes first");
    supervisor.stop("chat-1", None).unwrap();
    let last = within(supervisor.ended("chat-1")).await.unwrap();
    assert_eq!((last.state, last.last_exit), (ReplicaState::Stopped, None));
    supervisor.shutdown(Duration::from_secs(10)).await;
}

#[tokio::test]
async fn without_any_group_that_asks_for_gpus_what_replicas_see_is_left_alone() {
    let (supervisor, _) = one_ready(serving("chat", &[])).await;
    let port = replica(&supervisor, "chat-0").ports["http"];
    let own = std::env::var("CUDA_VISIBLE_DEVICES").unwrap_or_else(|_| "(unset)".into());
    assert_eq!(get(port, "/env/CUDA_VISIBLE_DEVICES").await, own);
    supervisor.shutdown(Duration::from_secs(10)).await;
}

#[tokio::test]
async fn a_changed_spec_marks_replicas_as_outdated_and_rules_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let crash = dir.path().join("crash");
    let (supervisor, mut events) = one_ready(serving("chat", &["--crash-when", crash.to_str().unwrap()])).await;
    let mut spec = serving("chat", &[]);
    spec.env.insert("VERSION".into(), "2".into());
    supervisor.set_group(spec).unwrap();
    assert!(replica(&supervisor, "chat-0").outdated);
    std::fs::write(&crash, "").unwrap();
    until(&mut events, |kind| matches!(kind, EventKind::Exited { .. })).await;
    until(&mut events, |kind| matches!(kind, EventKind::Ready { .. })).await;
    let status = replica(&supervisor, "chat-0");
    assert!(!status.outdated);
    assert_eq!(get(status.ports["http"], "/env/VERSION").await, "2");
    supervisor.shutdown(Duration::from_secs(10)).await;
}

#[tokio::test]
async fn all_errors_of_a_spec_are_reported_those_of_the_machine_too() {
    let supervisor = Supervisor::new(config(2)).await.unwrap();
    let mut spec = GroupSpec::new("Chat", ["engine"]);
    spec.gpus_per_replica = 3;
    let refused = supervisor.set_group(spec).unwrap_err();
    assert!(refused.to_string().contains("\nLocalDeployment Chat: command: asks for no port"), "{refused}");
    let Error::Invalid { errors, .. } = refused else { panic!("{refused}") };
    let paths: Vec<_> = errors.iter().map(|error| error.path.as_str()).collect();
    assert_eq!(paths, ["name", "command", "gpusPerReplica"]);
    assert!(errors[2].message.ends_with("allowed are 0 to 2"));
    assert!(supervisor.groups().is_empty());
}

#[tokio::test]
async fn sizes_speeds_and_names_out_of_range_are_refused() {
    let mut settings = config(0);
    settings.speed = 0.0;
    assert!(matches!(Supervisor::new(settings).await, Err(Error::Speed(_))));
    let supervisor = Supervisor::new(config(0)).await.unwrap();
    supervisor.set_group(serving("chat", &[])).unwrap();
    assert!(matches!(supervisor.scale("chat", 100_000), Err(Error::TooManyReplicas { .. })));
    assert!(matches!(supervisor.scale("caht", 1), Err(Error::UnknownGroup { .. })));
    assert!(matches!(supervisor.stop("chat-0", None), Err(Error::UnknownReplica(_))));
}
