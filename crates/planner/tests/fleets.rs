//! Plans for spot types, quotas and several models, against trying everything; reasons; and answers that are the same everywhere.

#![allow(clippy::unwrap_used, clippy::panic, reason = "all of it is test code")]

use planner::{Answer, Problem, Status, Why, explain, solve};
use proptest::prelude::*;
use serde_json::{Value, json};

fn read(problem: &Value) -> Problem {
    Problem::from_json(&problem.to_string()).unwrap()
}

fn plan(problem: &Value) -> Answer {
    solve(&read(problem)).unwrap()
}

#[test]
fn what_is_kept_in_reserve_stands_on_types_that_stay() {
    let problem = |reserve: f64| {
        json!({
            "gpus": {"lasting": {"cost": 3.0}, "spot": {"cost": 1.0, "spot": true}},
            "load": [{"rate": 10.0, "capacity": {"lasting": 1.0, "spot": 1.0}}],
            "spotReserve": reserve,
        })
    };
    for (reserve, lasting, spot) in [(0.0, 0, 10), (0.35, 4, 6), (1.0, 10, 0)] {
        let answer = plan(&problem(reserve));
        assert_eq!(
            (answer.status, answer.replicas["lasting"], answer.replicas["spot"]),
            (Status::Optimal, lasting, spot)
        );
    }
}

#[test]
fn a_reserve_is_of_every_size_and_need_not_stand_where_the_size_is_served_today() {
    // The small size is cheapest on spot, and the large one on the lasting type, whose two replicas carry half of either.
    let answer = plan(&json!({
        "gpus": {"lasting": {"cost": 5.0}, "spot": {"cost": 1.0, "spot": true}},
        "load": [
            {"rate": 4.0, "capacity": {"lasting": 4.0, "spot": 1.0}},
            {"rate": 2.0, "capacity": {"lasting": 2.0, "spot": 0.1}},
            {"rate": 1.0, "capacity": {"spot": 1.0}},
        ],
        "spotReserve": 0.5,
    }));
    assert_eq!((answer.replicas["lasting"], answer.replicas["spot"], answer.cost), (1, 4, 9.0), "{answer:?}");
    assert_eq!((answer.unserved[0].load, answer.unserved[0].reason), (2, "no type that is not spot can serve it"));
}

#[test]
fn models_share_a_quota_and_the_higher_priority_gets_it() {
    let problem = |quota: u32| {
        json!({
            "gpus": {
                "big-4": {"cost": 4.0, "model": "big", "accelerator": "A100", "gpusPerReplica": 4},
                "big-2": {"cost": 2.2, "model": "big", "accelerator": "A100", "gpusPerReplica": 2},
                "small": {"cost": 1.0, "model": "small", "accelerator": "A100"},
            },
            "load": [
                {"model": "big", "rate": 8.0, "priority": 1, "capacity": {"big-4": 4.0, "big-2": 1.9}},
                {"model": "small", "rate": 6.0, "capacity": {"small": 1.0}},
            ],
            "quota": {"A100": quota},
        })
    };
    let roomy = plan(&problem(14));
    assert_eq!((roomy.status, roomy.replicas["big-4"], roomy.replicas["small"]), (Status::Optimal, 2, 6), "{roomy:?}");
    let tight = plan(&problem(10));
    assert_eq!(
        (tight.status, tight.replicas["big-4"], tight.replicas["small"]),
        (Status::Infeasible, 2, 2),
        "{tight:?}"
    );
    let unserved = &tight.unserved[0];
    assert_eq!(
        (unserved.load, unserved.model.as_deref(), unserved.reason),
        (1, Some("small"), "caps, quota or budget")
    );
    assert!((unserved.share - 4.0 / 6.0).abs() < 1e-6);
}

#[test]
fn fields_of_fleets_are_checked() {
    let refused = |problem: Value, part: &str| {
        let error = read(&problem).validate().unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    };
    let with = |field: &str, value: Value| {
        let mut problem = json!({"gpus": {"a": {"cost": 1, "model": "m", "accelerator": "A"}}, "load": []});
        problem[field] = value;
        problem
    };
    refused(with("quota", json!({"B": 4})), "quota.B: no type has this accelerator");
    refused(with("spotReserve", json!(1.5)), "spotReserve: is 1.5");
    refused(with("load", json!([{"rate": 1, "capacity": {"a": 1}}])), "load[0].capacity.a: the load is of no model");
    refused(with("gpus", json!({"a": {"cost": 1, "gpusPerReplica": 0}})), "gpus.a.gpusPerReplica: is 0");
}

#[test]
fn reasons_say_what_a_request_costs_and_what_would_change_the_plan() {
    let problem = json!({
        "gpus": {"a": {"cost": 1.0}, "b": {"cost": 3.0}},
        "load": [
            {"rate": 7.0, "capacity": {"a": 2.0, "b": 4.0}},
            {"rate": 1.0, "capacity": {"b": 4.0}},
            {"rate": 40.0, "capacity": {"a": 1.0, "b": 6.0}},
        ],
    });
    let answer = plan(&problem);
    let reasons = explain(&read(&problem), &answer).unwrap();
    // A request of the first size costs 0.5 on a and 0.75 on b, which would have to cost 2 or to carry 6.
    let first = &reasons[0];
    assert_eq!(first.cheapest.as_deref(), Some("a"));
    assert!((first.marginal_cost.unwrap() - 0.5).abs() < 1e-9);
    let next = first.next.as_ref().unwrap();
    assert_eq!(next.gpu, "b");
    let near = |value: Option<f64>, expected: f64| (value.unwrap() - expected).abs() < 1e-9;
    assert!(near(Some(next.marginal_cost), 0.75) && near(next.tips_at_cost, 2.0) && near(next.tips_at_capacity, 6.0));
    assert_eq!((reasons[1].why, reasons[1].next.is_none()), (Why::OnlyType, true));
    // Told the cost at which it tips and a little less, the relaxed problem prefers b.
    let mut cheaper = problem;
    cheaper["gpus"]["b"]["cost"] = json!(1.99);
    let tipped = explain(&read(&cheaper), &plan(&cheaper)).unwrap();
    assert_eq!(tipped[0].cheapest.as_deref(), Some("b"));
}

#[test]
fn room_is_what_replicas_carry_more() {
    let problem = json!({"gpus": {"a": {"cost": 1.0}}, "load": [{"rate": 7.0, "capacity": {"a": 2.0}}]});
    let reasons = explain(&read(&problem), &plan(&problem)).unwrap();
    assert!((reasons[0].room - 1.0).abs() < 1e-6, "four replicas carry eight");
}

#[test]
fn a_limit_of_nodes_alone_ends_a_search_with_the_same_answer_however_late_it_is() {
    let sizes: Vec<Value> = (1..=40)
        .map(|at| {
            let size = f64::from(at);
            json!({"rate": 9.0 / size, "capacity": {"a": 4.0 / size, "b": 9.1 / size.powi(2).cbrt(), "c": 31.0 / size.sqrt()}})
        })
        .collect();
    for split in [json!("fractional"), json!({"slices": 3})] {
        let problem = |deadline: f64| {
            json!({"gpus": {"a": {"cost": 1.003}, "b": {"cost": 2.117}, "c": {"cost": 6.331}}, "load": sizes, "split": split,
                "deadlineSeconds": deadline, "nodeLimit": 3})
        };
        let without_time = |deadline: f64| Answer { seconds: 0.0, ..plan(&problem(deadline)) };
        assert_eq!(without_time(0.0), without_time(100.0));
    }
}

/// Whether two types carry shares of sizes divided at will: the first is filled with what the second would need most for.
fn two_carry(needs: &[(f64, f64)], room: (f64, f64)) -> bool {
    let mut order: Vec<&(f64, f64)> = needs.iter().collect();
    order.sort_by(|x, y| (x.0 / x.1).total_cmp(&(y.0 / y.1)));
    let (mut left, mut other) = (room.0, 0.0);
    for (first, second) in order {
        let share = if first.is_infinite() { 0.0 } else { (left / first).clamp(0.0, 1.0) };
        left -= if share > 0.0 { share * first } else { 0.0 };
        other += if share < 1.0 - 1e-12 { (1.0 - share) * second } else { 0.0 };
    }
    other <= room.1 + 1e-9
}

/// Whether slices of sizes fit on types with so much room.
fn fit(parts: &[Vec<f64>], at: usize, kind: usize, left: u32, slices: u32, room: &mut Vec<f64>) -> bool {
    if at == parts.len() {
        return true;
    }
    if kind == room.len() {
        return left == 0 && fit(parts, at + 1, 0, slices, slices, room);
    }
    for count in 0..=left {
        let load = if count > 0 { parts[at][kind] * f64::from(count) } else { 0.0 };
        if load > room[kind] + 1e-9 {
            break;
        }
        room[kind] -= load;
        let found = fit(parts, at, kind + 1, left - count, slices, room);
        room[kind] += load;
        if found {
            return true;
        }
    }
    false
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn small_fleets_with_spot_and_quota_come_to_what_trying_all_counts_finds(
        costs in proptest::collection::vec(0.2_f64..4.0, 3),
        sizes in proptest::collection::vec((0.1_f64..3.0, proptest::collection::vec(0.5_f64..4.0, 3)), 1..4),
        slices in 0_u32..4,
        reserve in 0.0_f64..1.0,
        quota in 1_u32..9,
    ) {
        let names = ["a", "b", "s"];
        let gpu = |at: usize| json!({"cost": costs[at], "max": 6, "accelerator": if at == 1 { "B" } else { "A" },
            "gpusPerReplica": if at == 0 { 2 } else { 1 }, "spot": at == 2});
        let gpus: serde_json::Map<String, Value> = (0..3).map(|at| (names[at].to_owned(), gpu(at))).collect();
        // Some pairs cannot be.
        let capacity = |own: &[f64], at: usize| if own[at] < 0.9 { 0.0 } else { own[at] };
        let load: Vec<Value> = sizes.iter().map(|(rate, own)| {
            json!({"rate": rate, "capacity": {"a": own[0], "b": capacity(own, 1), "s": if slices == 0 { 0.0 } else { capacity(own, 2) }}})
        }).collect();
        let split = if slices == 0 { json!("fractional") } else { json!({"slices": slices}) };
        let problem = json!({"gpus": gpus, "load": load, "split": split, "quota": {"A": quota}, "spotReserve": reserve});
        let answer = plan(&problem);
        let need = |(rate, own): &(f64, Vec<f64>), at: usize| {
            let capacity = if at == 0 { own[0] } else { capacity(own, at) };
            if capacity > 0.0 { rate / capacity } else { f64::INFINITY }
        };
        let kept: Vec<(f64, f64)> = sizes.iter().map(|size| (need(size, 0) * reserve, need(size, 1) * reserve)).collect();
        let whole: Vec<(f64, f64)> = sizes.iter().map(|size| (need(size, 0), need(size, 1))).collect();
        let parts: Vec<Vec<f64>> =
            sizes.iter().map(|size| (0..3).map(|at| need(size, at) / f64::from(slices.max(1))).collect()).collect();
        let carries = |counts: [u32; 3]| {
            let mut room: Vec<f64> = counts.iter().map(|count| f64::from(*count)).collect();
            let all = if slices == 0 {
                two_carry(&whole, (room[0], room[1]))
            } else {
                fit(&parts, 0, 0, slices, slices, &mut room)
            };
            all && two_carry(&kept, (room[0], room[1]))
        };
        let mut best: Option<f64> = None;
        for counts in (0..343_u32).map(|at| [at % 7, at / 7 % 7, at / 49]) {
            let cost: f64 = costs.iter().zip(counts).map(|(cost, count)| cost * f64::from(count)).sum();
            if 2 * counts[0] + counts[2] <= quota && best.is_none_or(|best| cost < best) && carries(counts) {
                best = Some(cost);
            }
        }
        let status = if best.is_some() { Status::Optimal } else { Status::Infeasible };
        prop_assert_eq!(answer.status, status);
        let cost = best.unwrap_or(answer.cost);
        prop_assert!((answer.cost - cost).abs() < 1e-5, "{} and {cost}: {answer:?}", answer.cost);
        prop_assert!(2 * answer.replicas["a"] + answer.replicas["s"] <= quota, "{answer:?}");
    }
}
