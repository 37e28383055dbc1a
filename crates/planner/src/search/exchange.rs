//! Cheaper counts near those that are known: some replicas less of one type, and some more of another. What prices have once refuted is
//! refuted again without a program (Benders' cuts).

use super::block::{Block, ENOUGH, Prices};
use crate::limits::Limits;
use crate::model::Model;

/// Cuts that are kept.
const MOST_CUTS: usize = 64;
/// Most replicas that one exchange takes away, and that it adds.
const MOST: u32 = 3;
/// Programs of one call.
const PROGRAMS: usize = 40;

/// Prices at which counts were worth less than what they had to carry, by block.
#[derive(Default)]
pub(super) struct Cuts {
    cuts: Vec<(usize, Prices)>,
    /// The cut that is forgotten next.
    oldest: usize,
}

impl Cuts {
    /// Whether counts carry everything where it may be divided at will.
    pub(super) fn carries(&mut self, blocks: &mut [Block], counts: &[u32]) -> bool {
        !self.refute(blocks, counts) && self.asked(blocks, counts).is_some()
    }

    fn refute(&self, blocks: &[Block], counts: &[u32]) -> bool {
        self.cuts.iter().any(|(block, prices)| {
            let types = blocks[*block].types.iter().zip(prices);
            types.map(|(at, price)| price * f64::from(counts[*at])).sum::<f64>() < ENOUGH
        })
    }

    /// How many times counts carry everything, by a program for each block; none where that is less than once.
    fn asked(&mut self, blocks: &mut [Block], counts: &[u32]) -> Option<f64> {
        let counts: Vec<f64> = counts.iter().map(|count| f64::from(*count)).collect();
        let mut least = f64::INFINITY;
        for (at, block) in blocks.iter_mut().enumerate() {
            let carried = block.carried(&block.own(&counts));
            if carried.multiple < ENOUGH {
                if self.cuts.len() < MOST_CUTS {
                    self.cuts.push((at, carried.prices));
                } else {
                    self.cuts[self.oldest] = (at, carried.prices);
                    self.oldest = (self.oldest + 1) % MOST_CUTS;
                }
                return None;
            }
            least = least.min(carried.multiple);
        }
        Some(least)
    }

    /// Cheaper counts one exchange away that carry everything where it may be divided at will, those with most room to spare first.
    pub(super) fn roomiest(
        &mut self,
        model: &Model,
        blocks: &mut [Block],
        counts: &[u32],
        least: f64,
        limits: &Limits,
    ) -> Vec<Vec<u32>> {
        let mut found = Vec::new();
        // Of the dearest, which have most room.
        for (_, counts) in exchanges(model, counts, least).into_iter().rev().take(PROGRAMS) {
            if limits.reached(0) {
                break;
            }
            if !self.refute(blocks, &counts)
                && let Some(room) = self.asked(blocks, &counts)
            {
                found.push((room, counts));
            }
        }
        found.sort_by(|a, b| b.0.total_cmp(&a.0));
        found.into_iter().map(|(_, counts)| counts).collect()
    }

    /// Counts that cost less and carry everything, too, as far as exchanges lead to; none where none does. Nothing is looked for below
    /// `least`, which is known to be a bound.
    pub(super) fn descend(
        &mut self,
        model: &Model,
        blocks: &mut [Block],
        counts: &[u32],
        least: f64,
        limits: &Limits,
    ) -> Option<Vec<u32>> {
        let mut best: Option<Vec<u32>> = None;
        let mut programs = 0;
        loop {
            let now = best.as_deref().unwrap_or(counts);
            let next = exchanges(model, now, least).into_iter().find(|(_, counts)| {
                if programs >= PROGRAMS || self.refute(blocks, counts) || limits.reached(0) {
                    return false;
                }
                programs += 1;
                self.asked(blocks, counts).is_some()
            });
            let Some((_, next)) = next else { return best };
            best = Some(next);
        }
    }
}

/// What exchanges lead to that costs less, but not less than a bound; cheapest first.
fn exchanges(model: &Model, counts: &[u32], least: f64) -> Vec<(f64, Vec<u32>)> {
    let value = model.objective(counts);
    let mut found = Vec::new();
    for (less, one) in model.types.iter().enumerate() {
        for taken in (1..=MOST).take_while(|taken| counts[less] >= one.min + taken) {
            for (more, other) in model.types.iter().enumerate().filter(|(more, _)| *more != less) {
                for added in (0..=MOST).take_while(|added| counts[more] + added <= other.max) {
                    let mut counts = counts.to_vec();
                    counts[less] -= taken;
                    counts[more] += added;
                    let after = model.objective(&counts);
                    if after < value - 1e-9 && after > least - 1e-9 && model.within(&counts) {
                        found.push((after, counts));
                    }
                }
            }
        }
    }
    found.sort_by(|a, b| a.0.total_cmp(&b.0));
    found
}
