//! Plans: known optima, caps and budgets, and what holds for every answer.

#![allow(clippy::unwrap_used, clippy::panic, reason = "all of it is test code")]

use planner::{Answer, Problem, Split, Status, solve};
use proptest::prelude::*;
use serde_json::{Value, json};

fn plan(problem: &Value) -> Answer {
    let problem = Problem::from_json(&problem.to_string()).unwrap();
    let answer = solve(&problem).unwrap();
    check(&problem, &answer);
    answer
}

/// What every answer keeps.
fn check(problem: &Problem, answer: &Answer) {
    let loads = |name: &str| -> f64 {
        let own = answer.routing.iter().filter(|route| route.gpu == name);
        own.map(|route| route.share * problem.load[route.load].rate / problem.load[route.load].capacity[name]).sum()
    };
    for (name, gpu) in &problem.gpus {
        let count = answer.replicas[name];
        assert!(count >= gpu.min && gpu.max.is_none_or(|max| count <= max), "{name}: {answer:?}");
        assert!(loads(name) <= f64::from(count) + 1e-4, "{name} carries {} with {count}: {answer:?}", loads(name));
    }
    for (at, load) in problem.load.iter().enumerate().filter(|(_, load)| load.rate > 0.0) {
        let served: f64 = answer.routing.iter().filter(|route| route.load == at).map(|route| route.share).sum();
        let unserved: f64 = answer.unserved.iter().filter(|one| one.load == at).map(|one| one.share).sum();
        assert!((served + unserved - 1.0).abs() < 1e-5, "size {at} of rate {}: {answer:?}", load.rate);
    }
    let cost: f64 = problem.gpus.iter().map(|(name, gpu)| gpu.cost * f64::from(answer.replicas[name])).sum();
    assert!((cost - answer.cost).abs() < 1e-6 && answer.bound <= answer.objective + 1e-6, "{answer:?}");
    if let Split::Slices(slices) = problem.split {
        let whole = |share: f64| ((share * f64::from(slices)).round() - share * f64::from(slices)).abs() < 1e-6;
        assert!(answer.routing.iter().all(|route| whole(route.share)), "{answer:?}");
    }
}

/// Mélange's README: two types, four sizes, 30 requests a second.
fn melange(slices: u32) -> Value {
    let load =
        |share: f64, a10g: f64, a100: f64| json!({"rate": 30.0 * share, "capacity": {"A10G": a10g, "A100-80GB": a100}});
    json!({
        "gpus": {"A10G": {"cost": 1.01}, "A100-80GB": {"cost": 3.67}},
        "load": [load(0.2, 2.0, 20.0), load(0.1, 1.0, 20.0), load(0.5, 5.0, 40.0), load(0.2, 2.0, 20.0)],
        "split": {"slices": slices},
    })
}

#[test]
fn melanges_example_has_its_published_optima() {
    for (slices, cost) in [(1, 6.70), (4, 5.69)] {
        let answer = plan(&melange(slices));
        assert_eq!((answer.status, answer.gap), (Status::Optimal, 0.0));
        assert!((answer.cost - cost).abs() < 1e-9, "{slices} slices: {answer:?}");
    }
}

#[test]
fn caps_minimums_and_a_type_that_cannot_serve_are_kept() {
    let problem = |more: Value| {
        json!({
            "gpus": {"small": {"cost": 1.0, "max": 2}, "large": more},
            "load": [
                {"rate": 10.0, "capacity": {"small": 2.0, "large": 10.0}},
                {"rate": 1.0, "capacity": {"large": 4.0}},
            ],
        })
    };
    let answer = plan(&problem(json!({"cost": 4.0})));
    // Two small ones carry four; the rest and the second size need one large.
    assert_eq!(
        (answer.status, answer.replicas["small"], answer.replicas["large"]),
        (Status::Optimal, 2, 1),
        "{answer:?}"
    );
    let answer = plan(&problem(json!({"cost": 4.0, "min": 3})));
    assert_eq!((answer.cost, answer.replicas["large"]), (12.0, 3));
}

#[test]
fn a_size_that_nobody_can_serve_is_named_and_the_rest_is_planned() {
    let answer = plan(&json!({
        "gpus": {"a": {"cost": 1.0}},
        "load": [{"rate": 3.0, "capacity": {"a": 2.0}}, {"rate": 1.0, "capacity": {"a": 0.0}}, {"rate": 0.0, "capacity": {}}],
    }));
    assert_eq!((answer.status, answer.replicas["a"], answer.unserved.len()), (Status::Optimal, 2, 1));
    assert_eq!((answer.unserved[0].load, answer.unserved[0].reason), (1, "no type can serve it"));
}

#[test]
fn where_caps_are_too_tight_the_higher_priority_is_served_first() {
    let problem = json!({
        "gpus": {"a": {"cost": 1.0, "max": 2}},
        "load": [
            {"rate": 2.0, "priority": 0, "capacity": {"a": 1.0}},
            {"rate": 2.0, "priority": 5, "capacity": {"a": 1.0}},
        ],
    });
    let answer = plan(&problem);
    assert_eq!((answer.status, answer.replicas["a"]), (Status::Infeasible, 2));
    assert_eq!(answer.unserved.iter().map(|one| one.load).collect::<Vec<_>>(), [0], "{answer:?}");
    let mut dear = problem.clone();
    dear["gpus"]["a"]["max"] = Value::Null;
    dear["budget"] = json!(3.0);
    let answer = plan(&dear);
    assert_eq!((answer.status, answer.cost), (Status::Infeasible, 3.0), "{answer:?}");
}

#[test]
fn each_priority_gets_what_it_can_before_a_lower_one() {
    let sizes: Vec<Value> =
        (1..=6).map(|rank| json!({"rate": 1.0, "priority": rank, "capacity": {"a": 1.0}})).collect();
    let answer = plan(&json!({"gpus": {"a": {"cost": 1.0, "max": 1}}, "load": sizes}));
    assert_eq!(answer.unserved.iter().map(|one| one.load).collect::<Vec<_>>(), [0, 1, 2, 3, 4], "{answer:?}");
    // The second of the first rank fits only where the first one leaves it room.
    let answer = plan(&json!({
        "gpus": {"a": {"cost": 1.0, "max": 1}, "b": {"cost": 1.0, "max": 1}},
        "load": [
            {"rate": 1.0, "priority": 1, "capacity": {"a": 100.0, "b": 1.0}},
            {"rate": 1.0, "priority": 1, "capacity": {"a": 1.0}},
            {"rate": 1.0, "priority": 0, "capacity": {"b": 1.0}},
        ],
    }));
    assert_eq!(answer.status, Status::Infeasible);
    let unserved =
        |load: usize| answer.unserved.iter().filter(|one| one.load == load).map(|one| one.share).sum::<f64>();
    assert!(unserved(0) < 1e-6 && unserved(1) < 1e-6 && unserved(2) > 0.0, "{answer:?}");
}

#[test]
fn a_size_that_hardly_matters_is_put_where_there_is_room() {
    let answer = plan(&json!({
        "gpus": {"a": {"cost": 1.0}, "b": {"cost": 1.01}},
        "load": [{"rate": 95.0, "capacity": {"b": 10.0}}, {"rate": 5e-6, "capacity": {"a": 10.0, "b": 5.0}}],
    }));
    assert_eq!((answer.status, answer.replicas["a"], answer.replicas["b"]), (Status::Optimal, 0, 10), "{answer:?}");
}

#[test]
fn a_small_gain_is_not_worth_a_change() {
    let problem = |change: f64| {
        json!({
            "gpus": {"old": {"cost": 1.0, "current": 4}, "new": {"cost": 0.95, "current": 0}},
            "load": [{"rate": 4.0, "capacity": {"old": 1.0, "new": 1.0}}],
            "changeCost": change,
        })
    };
    assert_eq!(plan(&problem(0.0)).replicas["new"], 4);
    assert_eq!(plan(&problem(0.1)).replicas["old"], 4, "eight changes for a gain of 0.2");
}

#[test]
fn without_load_there_are_the_minimums() {
    let answer = plan(&json!({"gpus": {"a": {"cost": 1.0}, "b": {"cost": 2.0, "min": 1}}, "load": []}));
    assert_eq!((answer.status, answer.cost, answer.replicas["a"]), (Status::Optimal, 2.0, 0));
}

#[test]
fn a_deadline_of_nothing_still_has_an_answer_with_a_true_gap() {
    let sizes: Vec<Value> = (1..=60)
        .map(|at| {
            let size = f64::from(at);
            json!({"rate": 3.0 / size, "capacity": {"a": 4.0 / size, "b": 9.0 / size.powf(0.9), "c": 30.0 / size.powf(0.8)}})
        })
        .collect();
    let problem = |deadline: f64| {
        json!({"gpus": {"a": {"cost": 1.0}, "b": {"cost": 2.1}, "c": {"cost": 6.3}}, "load": sizes, "split": {"slices": 8},
            "deadlineSeconds": deadline})
    };
    let (hasty, patient) = (plan(&problem(0.0)), plan(&problem(10.0)));
    assert_eq!(patient.status, Status::Optimal);
    assert!(hasty.bound <= patient.cost + 1e-6 && hasty.cost >= patient.cost - 1e-6, "{hasty:?} {patient:?}");
}

#[test]
fn what_cannot_be_asked_is_said_with_its_path() {
    let refused = |problem: Value, part: &str| {
        let read = Problem::from_json(&problem.to_string());
        let error = read.and_then(|problem| problem.validate()).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    };
    refused(json!({"gpus": {}, "load": []}), "gpus: 0 types");
    refused(json!({"gpus": {"a": {"cost": -1}}, "load": []}), "gpus.a.cost: is -1");
    refused(json!({"gpus": {"a": {"cost": 1, "min": 3, "max": 2}}, "load": []}), "gpus.a.max: is below min");
    refused(
        json!({"gpus": {"a": {"cost": 1}}, "load": [{"rate": 1, "capacity": {"b": 1}}]}),
        "load[0].capacity.b: no such type",
    );
    refused(json!({"gpus": {"a": {"cost": 1}}, "load": [{"rat": 1, "capacity": {}}]}), "load[0]");
    refused(json!({"gpus": {"a": {"cost": 1}}, "load": [], "split": {"slices": 0}}), "split.slices");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn small_problems_are_solved_to_the_optimum_that_trying_everything_finds(
        costs in proptest::collection::vec(0.2_f64..5.0, 1..4),
        sizes in proptest::collection::vec((0.05_f64..4.0, proptest::collection::vec(0.0_f64..6.0, 3)), 1..4),
        slices in 1_u32..4,
    ) {
        let names = ["a", "b", "c"];
        let gpus: serde_json::Map<String, Value> =
            costs.iter().zip(names).map(|(cost, name)| (name.to_owned(), json!({"cost": cost, "max": 40}))).collect();
        let load: Vec<Value> = sizes.iter().map(|(rate, capacity)| {
            // Some pairs cannot be.
            let own = costs.iter().zip(names).zip(capacity).map(|((_, name), capacity)| {
                (name.to_owned(), json!(if *capacity < 0.7 { 0.0 } else { *capacity }))
            });
            json!({"rate": rate, "capacity": own.collect::<serde_json::Map<_, _>>()})
        }).collect();
        let problem = json!({"gpus": gpus, "load": load, "split": {"slices": slices}});
        let answer = plan(&problem);
        let read = Problem::from_json(&problem.to_string()).unwrap();
        let best = everything(&read, slices);
        if answer.unserved.is_empty() && answer.status != Status::Infeasible {
            prop_assert_eq!(answer.status, Status::Optimal);
            prop_assert!((answer.cost - best).abs() < 1e-5, "{} and {best}", answer.cost);
        }
    }
}

/// The optimum by trying every way to deal the slices out.
fn everything(problem: &Problem, slices: u32) -> f64 {
    fn deal(problem: &Problem, slices: u32, at: usize, loads: &mut Vec<f64>, best: &mut f64) {
        let Some(load) = problem.load.get(at) else {
            let counts = loads.iter().map(|load| (load - 1e-9).ceil().max(0.0));
            let cost: f64 = counts.zip(problem.gpus.values()).map(|(count, gpu)| count * gpu.cost).sum();
            *best = best.min(cost);
            return;
        };
        let names: Vec<&String> = problem.gpus.keys().collect();
        split(problem, slices, at, (load.rate / f64::from(slices), 0, slices), &names, loads, best);
    }
    fn split(
        problem: &Problem,
        slices: u32,
        at: usize,
        (rate, kind, left): (f64, usize, u32),
        names: &[&String],
        loads: &mut Vec<f64>,
        best: &mut f64,
    ) {
        if kind == names.len() {
            if left == 0 {
                deal(problem, slices, at + 1, loads, best);
            }
            return;
        }
        let capacity = problem.load[at].capacity.get(names[kind]).copied().unwrap_or(0.0);
        for count in 0..=left {
            if count > 0 && capacity <= 0.0 {
                break;
            }
            let added = if count > 0 { rate * f64::from(count) / capacity } else { 0.0 };
            loads[kind] += added;
            split(problem, slices, at, (rate, kind + 1, left - count), names, loads, best);
            loads[kind] -= added;
        }
    }
    let mut best = f64::INFINITY;
    deal(problem, slices, 0, &mut vec![0.0; problem.gpus.len()], &mut best);
    best
}
