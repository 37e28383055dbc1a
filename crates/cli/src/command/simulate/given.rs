//! What the arguments say of loads, engines and prices, of everybody or of each by name.

use super::SimulateArgs;
use crate::command::scenario;
use crate::output::Usage;
use anyhow::{Context, bail};
use autoscaler_api::PodAutoscaler;
use engine_model::EngineSpec;
use simulator::demand::Demand;
use simulator::world::{Group, Router, Setup};
use std::collections::BTreeMap;
use std::path::Path;
use workload::Arrival;

/// What the arguments say of loads, engines and prices.
pub(super) struct Given {
    /// The traces' names.
    pub(super) name: String,
    pub(super) arrivals: Vec<Arrival>,
    /// Whose each arrival is; empty where there is one model.
    pub(super) models: Vec<u16>,
    /// Which model each autoscaler serves.
    pub(super) serves: Vec<usize>,
    pub(super) length: f64,
    pub(super) engines: Vec<EngineSpec>,
    pub(super) prices: Vec<f64>,
}

/// What is said of everybody, and of each by name.
fn named<'a>(
    flag: &str,
    given: &'a [String],
    names: &[String],
) -> anyhow::Result<(Option<&'a str>, BTreeMap<String, &'a str>)> {
    let (mut all, mut each) = (None, BTreeMap::new());
    for text in given {
        // A path may have the sign, too.
        match text.split_once('=').filter(|(name, _)| names.iter().any(|known| known == name)) {
            Some((name, value)) => drop(each.insert(name.to_owned(), value)),
            None if text.split_once('=').is_some_and(|(name, _)| !name.contains(['/', '.'])) => {
                let name = text.split_once('=').map_or("", |(name, _)| name);
                return Err(
                    Usage(format!("--{flag} {text}: no PodAutoscaler {name} (allowed: {})", names.join(", "))).into()
                );
            }
            None => all = Some(text.as_str()),
        }
    }
    Ok((all, each))
}

impl Given {
    pub(super) fn read(args: &SimulateArgs, names: &[String]) -> anyhow::Result<Self> {
        let (engine, engines) = named("engine", &args.engine, names)?;
        let (price, prices) = named("price", &args.price, names)?;
        let (trace, traces) = named("trace", &args.trace, names)?;
        let engine = engine.unwrap_or("l4-8b");
        let engines = names.iter().map(|name| scenario::engine(engines.get(name).copied().unwrap_or(engine)));
        let number = |text: &str| {
            let price = text.parse::<f64>().ok().filter(|price| price.is_finite() && *price >= 0.0);
            price.ok_or_else(|| Usage(format!("--price {text}: allowed: a number from 0")))
        };
        let prices = names.iter().map(|name| number(prices.get(name).copied().or(price).unwrap_or("1")));
        let (mut loads, mut serves) = (Vec::new(), Vec::new());
        // One trace for all that have none of their own.
        let mut shared = None;
        for name in names {
            if let Some(path) = traces.get(name) {
                serves.push(loads.len());
                loads.push(args.scenario.trace(Path::new(path))?);
                continue;
            }
            if shared.is_none() {
                shared = Some(loads.len());
                loads.push(match trace {
                    Some(path) => args.scenario.trace(Path::new(path))?,
                    None => args.scenario.synthetic(args.seed)?,
                });
            }
            serves.extend(shared);
        }
        let mut all: Vec<(Arrival, u16)> = Vec::new();
        for (model, load) in (0..).zip(&loads) {
            all.extend(load.arrivals.iter().map(|arrival| (*arrival, model)));
        }
        all.sort_by(|a, b| a.0.at.total_cmp(&b.0.at));
        let (arrivals, models): (Vec<Arrival>, Vec<u16>) = all.into_iter().unzip();
        Ok(Self {
            name: loads.iter().map(|load| load.name.as_str()).collect::<Vec<_>>().join("+"),
            arrivals,
            models: if loads.len() > 1 { models } else { Vec::new() },
            serves,
            length: loads.iter().map(|load| load.length).fold(0.0, f64::max),
            engines: engines.collect::<anyhow::Result<_>>()?,
            prices: prices.collect::<Result<_, _>>()?,
        })
    }

    /// Takes the prices that the manifest has, of a replica, for its GPUs.
    pub(super) fn prices_of(&mut self, objects: &[PodAutoscaler]) {
        for ((object, price), engine) in objects.iter().zip(&mut self.prices).zip(&self.engines) {
            let profiles = object.spec.profiles.iter().flatten();
            let told = profiles.filter_map(|one| one.cost_per_hour).find(|cost| cost.is_finite() && *cost > 0.0);
            if let Some(cost) = told {
                *price = cost / f64::from(engine.gpus.max(1));
            }
        }
    }

    /// The requests of a model.
    fn of(&self, model: usize) -> Vec<Arrival> {
        let own = |at: usize| self.models.get(at).is_none_or(|of| usize::from(*of) == model);
        self.arrivals.iter().enumerate().filter(|(at, _)| own(*at)).map(|(_, arrival)| *arrival).collect()
    }

    /// The world, and the demand on its first group.
    pub(super) fn setup(
        &self,
        args: &SimulateArgs,
        objects: &[PodAutoscaler],
        names: &[String],
    ) -> anyhow::Result<(Setup, Demand)> {
        let Some(first) = self.engines.first().cloned() else { bail!("no PodAutoscaler") };
        let mut setup = args.scenario.setup(first, args.cold_start, args.seed, self.length);
        setup.pool = args.gpus;
        let hits = setup.router == Router::PrefixAware;
        let (mut groups, mut demands) = (Vec::new(), Vec::new());
        for (at, name) in names.iter().enumerate() {
            let model = self.serves[at];
            let engine = self.engines[at].clone();
            let demand = Demand::of(&engine, setup.slo, &self.of(model), self.length, 10.0, hits)
                .with_context(|| format!("{} can serve nothing of {}", engine.name, self.name))?;
            let mut group = Group { name: name.clone(), engine, model, price: self.prices[at], ..setup.group.clone() };
            group.weight = demand.capacity.at.batch.max(1.0);
            group.max = args.scenario.max_replicas.unwrap_or(3 * replicas(demand.peak()) + 2).max(group.min);
            if let Some(object) = objects.get(at) {
                let resolved = autoscaler_api::resolve(object).map_err(|_| anyhow::anyhow!("{name}: not valid"))?;
                // The core keeps to the bounds of the hour; the world allows those of any.
                let schedules = || resolved.schedules.iter();
                group.min = schedules().filter_map(|one| one.min).fold(resolved.bounds.min, u32::min);
                group.max = schedules().filter_map(|one| one.max).fold(resolved.bounds.max, u32::max);
            }
            // Groups of one model begin with a share each.
            let beside = self.serves.iter().filter(|other| **other == model).count() as f64;
            let needed = args.initial_replicas.unwrap_or_else(|| replicas(demand.begins_with(60.0) / beside));
            group.initial = needed.clamp(group.min, group.max);
            groups.push(group);
            demands.push(demand);
        }
        let mut groups = groups.into_iter();
        let (Some(group), Some(demand)) = (groups.next(), demands.into_iter().next()) else {
            bail!("no PodAutoscaler")
        };
        (setup.group, setup.others) = (group, groups.collect());
        Ok((setup, demand))
    }
}

/// Replicas for some work, at the utilization that a static fleet is planned for.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast saturates")]
fn replicas(work: f64) -> u32 {
    ((work / 0.8).ceil() as u32).max(1)
}
