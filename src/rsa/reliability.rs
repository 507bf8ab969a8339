//! How well a matrix agrees with itself: counted from one random half of the pictures and from the
//! other.
//!
//! No other matrix can be expected to agree better with it than that, unless both are counted from
//! the same pictures and so share the chance in them, as the methods of one run do.

use super::inputs::{Data, Inputs, MatrixKind};
use super::sample::{Counter, Sample, SampledCorpus};
use crate::stats::{Ranks, mean, noise_ceiling, spearman_brown};
use rayon::prelude::*;

/// Means over random halvings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reliability {
    /// Spearman correlation of the two halves.
    pub split_half: f64,
    /// What it would be for all pictures instead of half of them ([`spearman_brown`]); `None` when
    /// the halves disagree.
    pub spearman_brown: Option<f64>,
    /// The [`noise_ceiling`] with the halves as subjects, lower bound. With two subjects it is the
    /// correlation of the halves.
    pub ceiling_lower: f64,
    /// Likewise, upper bound.
    pub ceiling_upper: f64,
    /// Halvings with a correlation: none where a half is constant or too small.
    pub splits: usize,
}

/// The reliability of every item; `None` for those without pictures and where no halving has a
/// correlation. Cells are those of the columns `compared`, of shares those whose label is in both
/// halves.
pub(super) fn reliability(
    inputs: &Inputs,
    corpora: &[SampledCorpus],
    compared: &[usize],
    splits: usize,
    seed: u64,
) -> Vec<Option<Reliability>> {
    // [split][item] -> (lower = split-half correlation, upper)
    let bounds: Vec<Vec<Option<(f64, f64)>>> = (0..splits)
        .into_par_iter()
        .map_init(
            || Counter::new(inputs, corpora),
            |counter, number| {
                let halves = Sample::halves(corpora, seed, number);
                let images = halves.each_ref().map(|half| counter.images(half));
                (0..inputs.items.len())
                    .map(|item| bounds(inputs, counter, item, &halves, &images, compared))
                    .collect()
            },
        )
        .collect();
    let values = |item: usize, bound: fn(&(f64, f64)) -> f64| -> Vec<f64> {
        bounds.iter().filter_map(|split| split[item].as_ref().map(bound)).collect()
    };
    (0..inputs.items.len())
        .map(|item| {
            let correlations = values(item, |bounds| bounds.0);
            let (lower, upper) = (mean(&correlations)?, mean(&values(item, |bounds| bounds.1))?);
            Some(Reliability {
                split_half: lower,
                spearman_brown: spearman_brown(lower),
                ceiling_lower: lower,
                ceiling_upper: upper,
                splits: correlations.len(),
            })
        })
        .collect()
}

/// The noise ceiling of one item with two halves of its pictures as subjects.
fn bounds(
    inputs: &Inputs,
    counter: &mut Counter<'_>,
    item: usize,
    halves: &[Sample; 2],
    images: &[Vec<Vec<u32>>; 2],
    compared: &[usize],
) -> Option<(f64, f64)> {
    let Data::Run { run, method } = inputs.items[item].data else { return None };
    let labels: Vec<usize> = match inputs.matrix {
        MatrixKind::Counts => compared.to_vec(),
        MatrixKind::Shares => {
            let in_both = |label: &usize| images.iter().all(|images| images[run][*label] > 0);
            compared.iter().copied().filter(in_both).collect()
        }
    };
    let mut ranks = [Ranks::default(), Ranks::default()];
    for ((half, images), ranks) in halves.iter().zip(images).zip(&mut ranks) {
        counter.rank_list(run, method, half, images, &labels, ranks);
    }
    noise_ceiling(&ranks)
}
