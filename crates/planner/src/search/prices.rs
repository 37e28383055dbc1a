//! What a replica's time is worth where replicas can be divided: duals of the root's program.

use super::block::Block;
use super::counts::highest;
use super::master::Master;
use crate::model::Model;

/// By type, cost of one replica's time: for serving, and for being kept in reserve. The two add up to what one replica more costs,
/// limits and changes included, unless there may be none more.
pub(crate) struct Prices {
    pub(crate) own: Vec<f64>,
    pub(crate) reserve: Vec<f64>,
}

/// None where not everything can be served.
pub(crate) fn prices(model: &Model) -> Option<Prices> {
    let blocks = Block::all(model);
    let mut master = Master::new(model, &blocks);
    let (low, high): (Vec<u32>, Vec<u32>) = (model.types.iter().map(|one| one.min).collect(), highest(model));
    let relaxed = master.solve(model, &blocks, (&low, &high), &|_| false)?;
    let mut prices = Prices { own: vec![0.0; low.len()], reserve: vec![0.0; low.len()] };
    for (at, block) in blocks.iter().enumerate() {
        let into = if block.whole { &mut prices.own } else { &mut prices.reserve };
        for (own, kind) in block.types.iter().enumerate() {
            into[*kind] = master.price(at, own);
        }
    }
    for (at, one) in model.types.iter().enumerate() {
        let count = relaxed.counts[at];
        // A type that is not used has any price up to that of its first replica; that of the replica is what can be reckoned with.
        // One whose minimum is not used up is free.
        let idle = count <= f64::from(one.min) + 1e-9 && one.min > 0;
        if count < f64::from(one.max) - 1e-9 && !idle {
            let change = one.current.map_or(0.0, |now| if count >= f64::from(now) - 1e-9 { 1.0 } else { -1.0 });
            let more = one.cost + master.limited(model, at) + change * model.change_cost;
            prices.own[at] = prices.own[at].max(more - prices.reserve[at]);
        }
    }
    Some(prices)
}
