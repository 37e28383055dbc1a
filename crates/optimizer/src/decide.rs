//! From a load to a plan: what is asked of the planner, and whether its answer is taken. Pure, but for the solver's deadline.

use crate::config::{MAX_REPLICAS, Settings};
use crate::explain;
use crate::fleet::Deployment;
use crate::plan::{Plan, Quality};
use crate::profiles::{Known, Profiles};
use planner::{Answer, Gpu, Problem, Profile, Split, Status};
use request_monitor::Load;
use std::collections::BTreeMap;

/// Sizes that are planned for; the lightest of more are joined. A program of so many sizes is solved in well under a second.
const MAX_SIZES: usize = 120;
/// Less of a size is not planned for apart.
const LEAST_SHARE: f64 = 0.01;

/// All that a decision is made of.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    pub(crate) settings: Settings,
    pub(crate) load: Load,
    /// Whether nothing has arrived for so long that there is no load.
    pub(crate) idle: bool,
    pub(crate) deployments: BTreeMap<String, Deployment>,
    pub(crate) overrides: BTreeMap<String, u32>,
    pub(crate) profiles: Profiles,
    pub(crate) last: Option<Plan>,
}

/// What is decided.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Verdict {
    /// This plan is to be followed.
    Plan(Box<Plan>),
    /// What was recommended last stays, and why.
    Hold(String),
}

impl Question {
    /// Decides.
    pub(crate) fn answer(&self) -> Verdict {
        if let Some(why) = self.unclear() {
            return Verdict::Hold(why);
        }
        let problem = self.problem();
        let new = match planner::solve(&problem) {
            Ok(answer) => answer,
            Err(error) => return Verdict::Hold(format!("the planner refuses the problem: {error}")),
        };
        // Requests that nobody can serve well come all the same: none at all would serve them worse.
        let hopeless =
            |at: usize| new.unserved.iter().any(|one| one.load == at) && explain::hopeless(&problem.load[at]);
        if let Some(heaviest) = heaviest(&problem).filter(|_| (0..problem.load.len()).all(hopeless)) {
            return Verdict::Hold(format!("nothing of the load: {}", explain::lacking(self, heaviest)));
        }
        let (quality, answer, bound) = self.settle(&problem, new);
        Verdict::Plan(Box::new(explain::plan(self, &problem, &answer, quality, bound)))
    }

    /// Why nothing can be planned; none where it can.
    fn unclear(&self) -> Option<String> {
        let settings = &self.settings;
        if self.deployments.is_empty() {
            return Some("no deployment serves the model".to_owned());
        }
        let profiled = |one: &Deployment| self.profiles.of(one).is_some();
        if !self.deployments.values().any(profiled) {
            return Some("no deployment of the model has a profile".to_owned());
        }
        if self.idle {
            return None;
        }
        let load = &self.load;
        if !load.age.is_finite() {
            return Some("no data of the load yet".to_owned());
        }
        if load.age > settings.stale_seconds {
            return Some(format!("the newest data of the load is {:.0} s old", load.age));
        }
        if load.rate > 0.0 && (load.confidence < settings.min_confidence || load.sizes.is_empty()) {
            let samples = load.samples;
            return Some(format!(
                "the sizes of requests are not known well enough: {samples:.1} requests, confidence {:.2} of {:.2}",
                load.confidence, settings.min_confidence
            ));
        }
        None
    }

    /// Replicas that a deployment is taken to have: as a cluster says, else as was recommended last, else as at the start.
    pub(crate) fn current(&self, key: &str) -> Option<u32> {
        current(self.deployments.get(key)?, key, self.last.as_ref())
    }

    /// What the planner is asked: deployments with a profile as types, sizes with head-room and their part of the backlog.
    fn problem(&self) -> Problem {
        let mut gpus = BTreeMap::new();
        let mut known = BTreeMap::new();
        for (key, one) in &self.deployments {
            let Some(profile) = self.profiles.of(one) else { continue };
            let (min, max) = match self.overrides.get(key) {
                Some(count) => (*count, Some(*count)),
                // What cannot be is settled for the minimum, as Kubernetes does.
                None => (one.min, one.max.map(|max| max.max(one.min))),
            };
            let cost = one.cost.unwrap_or(profile.profile.cost).clamp(0.0, 1e9);
            gpus.insert(
                key.clone(),
                Gpu { cost, min, max: max.or(Some(MAX_REPLICAS)), current: self.current(key), ..Gpu::default() },
            );
            known.insert(key.clone(), profile);
        }
        let load = self.load.at_most(MAX_SIZES);
        let total: f64 = load.sizes.iter().map(|size| size.rate).sum();
        let queued = load.queued.filter(|queued| queued.is_finite()).unwrap_or(0.0).max(0.0);
        let backlog = if total > 0.0 { queued / self.settings.drain_seconds / total } else { 0.0 };
        let sizes = load.sizes.iter().filter(|size| size.rate > 0.0 && !self.idle);
        let sizes = sizes.flat_map(|size| {
            let rate = (size.rate * (self.settings.headroom + backlog)).min(1e9);
            loads(size.input, size.output, rate, &known)
        });
        let load: Vec<planner::Load> = sizes.collect();
        if mostly_hopeless(&load) {
            // Replicas for the few would be taken from the many, who come all the same and are served badly.
            for gpu in gpus.values_mut() {
                gpu.min = gpu.min.max(gpu.current.unwrap_or(0)).min(gpu.max.unwrap_or(u32::MAX));
            }
        }
        Problem {
            load,
            gpus,
            split: Split::Fractional,
            change_cost: self.settings.change_cost,
            deadline_seconds: self.settings.deadline_seconds,
            ..Problem::default()
        }
    }

    /// Takes the new answer, or keeps what was recommended last: it carries the load and costs little more, or what is cheaper
    /// would not carry a little more load, so that the next tick would take it back.
    fn settle(&self, problem: &Problem, new: Answer) -> (Quality, Answer, f64) {
        let bound = new.bound;
        let take = |answer: Answer| (answer.status.into(), answer, bound);
        let Some(last) = &self.last else { return take(new) };
        let Some(kept) = carried(problem, &last.replicas, &new).filter(|_| new.status != Status::Infeasible) else {
            return take(new);
        };
        if kept.replicas == new.replicas {
            return take(new);
        }
        let enough = kept.cost * (1.0 - self.settings.keep_within);
        if new.cost < enough {
            let mut more = problem.clone();
            for load in &mut more.load {
                load.rate = (load.rate * (1.0 + self.settings.shrink_margin)).min(1e9);
            }
            let wider = planner::solve(&more).ok().filter(|wider| wider.cost < enough);
            // The counts are the wider ones, who serves what is for the load as it is.
            if let Some(answer) = wider.and_then(|wider| carried(problem, &wider.replicas, &new)) {
                let quality = if answer.cost <= bound + 1e-9 { Quality::Optimal } else { Quality::Feasible };
                return (quality, answer, bound);
            }
        }
        (Quality::Kept, kept, bound)
    }
}

/// A size as the planner is asked about it. Where no type holds the SLO at all points about it, it is two: the largest share of it that
/// some type sustains, with the types that do, and the rest, with none.
fn loads(input: f64, output: f64, rate: f64, known: &BTreeMap<String, &Known>) -> Vec<planner::Load> {
    let load = |rate: f64, capacity: &dyn Fn(&Profile) -> f64| planner::Load {
        input: Some(input),
        output: Some(output),
        rate,
        capacity: known.iter().map(|(key, known)| (key.clone(), capacity(&known.profile).min(1e9))).collect(),
        ..planner::Load::default()
    };
    let whole = load(rate, &|profile| profile.capacity(input, output));
    let share = known.values().map(|known| known.profile.partly(input, output).0).fold(0.0, f64::max);
    if !explain::hopeless(&whole) || share < LEAST_SHARE {
        return vec![whole];
    }
    let able = load(rate * share, &|profile| {
        let (own, capacity) = profile.partly(input, output);
        if own >= share { capacity } else { 0.0 }
    });
    vec![able, load(rate * (1.0 - share), &|_| 0.0)]
}

/// Whether no type can serve more than half of what arrives.
fn mostly_hopeless(loads: &[planner::Load]) -> bool {
    let all: f64 = loads.iter().map(|load| load.rate).sum();
    let lost: f64 = loads.iter().filter(|load| explain::hopeless(load)).map(|load| load.rate).sum();
    lost > all / 2.0
}

/// The size with the highest rate.
fn heaviest(problem: &Problem) -> Option<&planner::Load> {
    problem.load.iter().max_by(|a, b| a.rate.total_cmp(&b.rate))
}

/// The answer with just these counts; none where they leave something unserved that `best` serves, or are not allowed (any more).
fn carried(problem: &Problem, counts: &BTreeMap<String, u32>, best: &Answer) -> Option<Answer> {
    let mut fixed = problem.clone();
    for (key, gpu) in &mut fixed.gpus {
        let count = *counts.get(key)?;
        if count < gpu.min || gpu.max.is_some_and(|max| count > max) {
            return None;
        }
        (gpu.min, gpu.max) = (count, Some(count));
    }
    // A type that was not there at the time is a new choice, and one that has gone carries nothing.
    let answer = planner::solve(&fixed).ok().filter(|answer| answer.status != Status::Infeasible)?;
    // To a type that is fixed at none a size is one that no type can serve, and not one that finds no room.
    let lost = |one: &planner::Unserved| best.unserved.iter().all(|known| known.load != one.load);
    (!answer.unserved.iter().any(lost)).then_some(answer)
}

/// Replicas that a deployment is taken to have.
pub(crate) fn current(one: &Deployment, key: &str, last: Option<&Plan>) -> Option<u32> {
    let planned = || last.and_then(|plan| plan.replicas.get(key)).copied();
    one.replicas.or_else(planned).or(one.initial)
}

#[cfg(test)]
mod tests {
    use super::*;
    use request_monitor::SizeRate;
    use serde_json::json;

    fn question(rate: f64) -> Question {
        let mut profiles = Profiles::default();
        for (gpu, cost, capacity) in [("small", 0.3, 2.0), ("large", 1.0, 10.0)] {
            let text = json!({"gpu": gpu, "cost": cost, "tputs": [[capacity, capacity], [capacity, 0.0]],
                "indexes": [[64, 512], [128, 2048]], "created": 1, "e2e": [[1.0, 2.0], [3.0, 9.0]],
                "slos": {"percentile": 99, "e2e": 5.0}});
            profiles.offer(&text.to_string(), "test").unwrap();
        }
        let one = |name: &str| Deployment { namespace: "d".into(), name: name.into(), ..Deployment::default() };
        let load = Load {
            at: 100.0,
            rate,
            sizes: vec![SizeRate { input: 128.0, output: 64.0, rate }],
            pending: None,
            queued: None,
            confidence: 0.9,
            age: 2.0,
            samples: 500.0,
            rate_error: 0.05,
            since: None,
        };
        Question {
            settings: Settings { headroom: 1.0, ..Settings::default() },
            load,
            idle: false,
            deployments: [one("small"), one("large")].map(|one| (one.key(), one)).into(),
            overrides: BTreeMap::new(),
            profiles,
            last: None,
        }
    }

    fn plan(question: &Question) -> Plan {
        match question.answer() {
            Verdict::Plan(plan) => *plan,
            Verdict::Hold(why) => panic!("{why}"),
        }
    }

    fn counts(plan: &Plan) -> (u32, u32) {
        (plan.replicas["d/small"], plan.replicas["d/large"])
    }

    #[test]
    fn replicas_are_whole_and_the_cheapest_together() {
        // 10.5 requests/s: one large and one small, not two large.
        let plan = plan(&question(10.5));
        assert_eq!((counts(&plan), plan.status), ((1, 1), Quality::Optimal));
        assert!((plan.cost - 1.3).abs() < 1e-9);
    }

    #[test]
    fn what_is_not_known_holds() {
        let holds = |change: fn(&mut Question), part: &str| {
            let mut question = question(5.0);
            change(&mut question);
            let Verdict::Hold(why) = question.answer() else { panic!("planned without {part}") };
            assert!(why.contains(part), "{why}");
        };
        holds(|question| question.load.age = f64::INFINITY, "no data");
        holds(|question| question.load.age = 90.0, "90 s old");
        holds(|question| question.load.confidence = 0.05, "confidence 0.05");
        holds(|question| question.load.sizes.clear(), "sizes of requests");
        holds(|question| question.profiles = Profiles::default(), "profile");
        holds(|question| question.deployments.clear(), "no deployment");
    }

    #[test]
    fn a_deployment_without_profile_is_left_and_named() {
        let mut question = question(5.0);
        let new = Deployment { namespace: "d".into(), name: "new".into(), replicas: Some(3), ..Deployment::default() };
        question.deployments.insert(new.key(), new);
        let plan = plan(&question);
        assert!(!plan.replicas.contains_key("d/new"));
        assert!(plan.left["d/new"].contains("no profile"), "{:?}", plan.left);
    }

    #[test]
    fn without_load_the_minimums_are_planned() {
        let mut question = question(5.0);
        question.idle = true;
        question.load.age = f64::INFINITY;
        question.deployments.get_mut("d/small").unwrap().min = 2;
        assert_eq!(counts(&plan(&question)), (2, 0));
    }

    #[test]
    fn a_load_that_wavers_about_a_limit_gives_one_answer() {
        // 10 requests/s fill one large replica.
        let mut question = question(9.9);
        let mut seen = Vec::new();
        for rate in [9.9, 10.1, 9.8, 10.2, 9.9, 10.1, 9.7, 9.9] {
            question.load.rate = rate;
            question.load.sizes[0].rate = rate;
            let plan = plan(&question);
            seen.push(counts(&plan));
            question.last = Some(plan);
        }
        seen.dedup();
        assert_eq!(seen, [(0, 1), (1, 1)], "up once, and no flipping");
        // And down where there is room.
        question.load.sizes[0].rate = 8.0;
        assert_eq!(counts(&plan(&question)), (0, 1));
    }

    #[test]
    fn from_none_it_grows_with_the_first_load() {
        let mut question = question(5.0);
        question.idle = true;
        question.last = Some(plan(&question));
        question.idle = false;
        assert_eq!(counts(&plan(&question)), (3, 0));
    }

    #[test]
    fn people_fix_counts_and_the_plan_fills_up_around_them() {
        let mut question = question(12.0);
        question.overrides.insert("d/small".to_owned(), 1);
        assert_eq!(counts(&plan(&question)), (1, 1));
        question.overrides.insert("d/small".to_owned(), 0);
        assert_eq!(counts(&plan(&question)), (0, 2));
    }

    #[test]
    fn a_maximum_that_is_too_low_is_infeasible_and_serves_what_it_can() {
        let mut question = question(30.0);
        for one in question.deployments.values_mut() {
            one.max = Some(1);
        }
        let plan = plan(&question);
        assert_eq!((counts(&plan), plan.status), ((1, 1), Quality::Infeasible));
        assert!((plan.sizes[0].unserved - 0.6).abs() < 0.01, "{plan:?}");
    }

    #[test]
    fn a_size_that_nobody_can_serve_is_named_with_what_would_be_attainable() {
        let mut question = question(5.0);
        question.load.sizes.push(SizeRate { input: 2048.0, output: 512.0, rate: 0.1 });
        let plan = plan(&question);
        let size = plan.sizes.iter().find(|size| size.unserved > 0.0).unwrap();
        assert!(size.why.contains("p99 e2e below 5 s") && size.why.contains("e2e 9.000 s"), "{}", size.why);
        assert_eq!(counts(&plan), (3, 0), "the rest is planned all the same");
    }

    #[test]
    fn a_size_near_one_that_nobody_can_serve_is_planned_in_part_and_the_rest_is_named() {
        let mut question = question(5.0);
        // Half-way between the grid's points both ways: a quarter is as the corner that fails.
        question.load.sizes = vec![SizeRate { input: 512.0, output: 181.02, rate: 20.0 }];
        let plan = plan(&question);
        let of = |lost: bool| plan.sizes.iter().find(|size| (size.unserved > 0.0) == lost).unwrap();
        assert!((of(false).rate - 15.0).abs() < 0.01 && (of(true).rate - 5.0).abs() < 0.01, "{plan:?}");
        assert_eq!((counts(&plan), of(true).unserved), ((3, 1), 1.0), "15 requests/s at 10 and 2 a replica");
        assert!(of(true).why.contains("no type can serve it"), "{}", of(true).why);
    }

    #[test]
    fn while_most_of_the_load_cannot_be_served_nothing_is_taken_away() {
        let mut question = question(30.0);
        question.last = Some(plan(&question));
        assert_eq!(counts(&plan(&question)), (0, 3));
        let many = SizeRate { input: 2048.0, output: 512.0, rate: 25.0 };
        question.load.sizes = vec![SizeRate { input: 128.0, output: 64.0, rate: 5.0 }, many];
        assert_eq!(counts(&plan(&question)), (0, 3));
        question.load.sizes[0].rate = 15.0;
        question.load.sizes[1].rate = 1.0;
        assert!(plan(&question).cost < 3.0, "most can be served");
    }

    #[test]
    fn a_size_has_the_planners_reason_with_prices() {
        let plan = plan(&question(50.0));
        let size = &plan.sizes[0];
        let reason = size.reason.as_ref().unwrap();
        let cost = reason.marginal_cost.unwrap();
        assert_eq!((reason.load, reason.cheapest.as_deref(), reason.why), (0, Some("d/large"), planner::Why::Cheapest));
        assert!((cost - 0.1).abs() < 1e-9 && reason.room.abs() < 1e-9, "{reason:?}");
        assert_eq!(size.why, "cheapest for this size, 33 % below d/small");
        assert_eq!(
            size.change.as_deref(),
            Some("small would be as cheap at a cost of 0.20, or with 3.00 requests/s a replica instead of 2.00")
        );
    }

    #[test]
    fn a_size_beyond_the_profile_says_so() {
        let mut question = question(5.0);
        assert!(!plan(&question).sizes[0].why.contains("in proportion"));
        question.load.sizes[0].input = 256.0;
        question.load.sizes[0].output = 64.0;
        question.profiles = Profiles::default();
        let text = json!({"gpu": "small", "cost": 1.0, "tputs": [[8.0]], "indexes": [[64], [128]], "created": 1});
        question.profiles.offer(&text.to_string(), "test").unwrap();
        assert!(plan(&question).sizes[0].why.contains("in proportion"));
    }

    #[test]
    fn where_no_size_can_be_served_what_there_is_is_held() {
        let mut question = question(5.0);
        question.load.sizes = vec![SizeRate { input: 2048.0, output: 512.0, rate: 5.0 }];
        let Verdict::Hold(why) = question.answer() else { panic!("planned to none") };
        assert!(
            why.contains("no type can serve it within p99 e2e below 5 s; attainable: d/large: e2e 9.000 s"),
            "{why}"
        );
    }

    #[test]
    fn a_queue_asks_for_more() {
        let mut question = question(9.0);
        question.load.queued = Some(360.0);
        // 9 and, within two minutes, 3 more a second.
        assert!((plan(&question).rate - 12.0).abs() < 1e-9);
    }
}
