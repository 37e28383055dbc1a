//! What a node's prices rule out: counts and places of slices that would cost more than is allowed (reduced-cost fixing).

use super::block::Block;
use super::master::{Bounds, Master};
use crate::model::Model;

/// What rounding may make of what is allowed.
const TINY: f64 = 1e-8;
/// What is this close below a whole count is one.
const WHOLE: f64 = 1e-9;

impl Master {
    /// Narrows the bounds of counts to what may come to no more than `most`, by the prices of the last [`Master::solve`]; and those of
    /// slices, where there are any. False where nothing may.
    pub(crate) fn narrow(
        &self,
        model: &Model,
        blocks: &[Block],
        (low, high): (&mut [u32], &mut [u32]),
        bounds: &mut [Option<Bounds>],
        most: f64,
    ) -> bool {
        let mut cost = 0.0;
        let mut placed = Vec::with_capacity(blocks.len());
        for (at, block) in blocks.iter().enumerate() {
            let prices = self.own_prices(at, block);
            let mut counts = Vec::new();
            let own = match bounds.get(at).and_then(Option::as_ref) {
                None => Some(block.place(&prices, &mut vec![0.0; prices.len()], None)),
                Some(own) => {
                    counts.resize(own.parts.len(), 0);
                    own.domain.place(&own.parts, &prices, &mut counts)
                }
            };
            let Some(own) = own else { return false };
            cost += own;
            placed.push((prices, counts));
        }
        let allowed = most - self.bound(model, blocks, (low, high), cost) + TINY * most.abs().max(1.0);
        if allowed < 0.0 {
            return false;
        }
        for (own, (prices, counts)) in bounds.iter_mut().zip(&placed) {
            if let Some(own) = own {
                own.domain.narrow(&own.parts, prices, allowed, counts);
            }
        }
        let paid = self.paid(model, blocks);
        for (at, one) in model.types.iter().enumerate() {
            if one.current.is_some() && model.change_cost > 0.0 {
                continue;
            }
            let slope = one.cost - paid[at];
            if slope > 0.0 {
                high[at] = high[at].min(low[at].saturating_add(within(allowed, slope)));
            } else if slope < 0.0 {
                low[at] = low[at].max(high[at].saturating_sub(within(allowed, -slope)));
            }
        }
        true
    }
}

/// How many replicas may cost so much each.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast saturates")]
fn within(allowed: f64, each: f64) -> u32 {
    (allowed / each + WHOLE).floor() as u32
}
