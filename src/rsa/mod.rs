//! Do the matrices agree? Representational similarity analysis (paper, section A.2 and Fig. 6) over
//! the methods of a run, or over runs and matrices from files: models, corpora, settings.
//!
//! In: [`Inputs`], matrices of classes x labels. Out: [`Agreement`], one number a pair and measure,
//! `None` where it is not defined, and the files [`Agreement::write`] makes of it. Compared are
//! counts, every column, or shares, those of the labels that some image of every run has
//! ([`MatrixKind`]); of files the columns that are filled. Knows nothing of networks.
//!
//! The naive p-value takes cells for independent. They are not: the cells of a class share its
//! frequency, methods share boxes and labels, and most cells are zero. So there are beside it a
//! permutation test ([`permutation_p`]), intervals over images ([`bias_spanning_interval`]), the
//! partial correlation given what was detected at all ([`partial_correlation`]), and what a matrix
//! owes to chance alone ([`Reliability`]).

mod bootstrap;
mod inputs;
mod pictures;
mod reliability;
mod report;
mod sample;
mod table;
#[cfg(test)]
mod tests;

pub use inputs::{Input, Inputs, Item, MatrixKind};
pub use reliability::Reliability;
pub use table::MatrixFile;

use crate::names::counted;
use crate::random::Random;
use crate::stats::{
    BootstrapInterval, FEWEST_RESAMPLED_CASES, Given, Ranks, bias_spanning_interval, kendall,
    partial_correlation, partial_correlation_given_two, permutation_p, spearman_p, strata,
};
use crate::{Error, Result};
use inputs::Data;
use rayon::prelude::*;
use sample::{Counter, Sample, SampledCorpus, corpora};
use serde::{Deserialize, Serialize};

/// Fewer resamples have no 2.5 % quantile worth the name.
const FEWEST_RESAMPLES: usize = 100;
/// Below this number of cells nothing is tested.
const FEWEST_CELLS: usize = 3;

/// How much is drawn at random.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResamplingPlan {
    /// Bootstrap resamples of the images; 0: no intervals.
    pub resamples: usize,
    /// Permutations of the rows; 0: no test.
    pub permutations: usize,
    /// Random halvings of the images; 0: no reliability.
    pub splits: usize,
    /// The seed of everything that is drawn.
    pub seed: u64,
}

impl Default for ResamplingPlan {
    fn default() -> Self {
        Self { resamples: 2000, permutations: 10_000, splits: 100, seed: 1 }
    }
}

/// What is said of two matrices, or of one and itself; `None` is undefined.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Pair {
    /// Spearman's rho.
    pub spearman: Option<f64>,
    /// rho-a.
    pub rho_a: Option<f64>,
    /// Kendall's tau-b.
    pub kendall: Option<f64>,
    /// Two-sided, of rho, as if cells were independent. No matrix is tested against itself.
    pub p_value: Option<f64>,
    /// Likewise, of tau-b.
    pub p_kendall: Option<f64>,
    /// One-sided, of rho, by permutation of classes of similar frequency.
    pub p_permutation: Option<f64>,
    /// rho given the detections.
    pub partial: Option<f64>,
    /// Of rho, over images; none of fewer than [`FEWEST_RESAMPLED_CASES`] images in one of the two,
    /// and where there is nothing but matrices from files.
    pub interval: Option<BootstrapInterval>,
    /// Resamples in which rho is defined.
    pub resamples: usize,
}

/// One matrix as compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Compared {
    /// Its name.
    pub name: String,
    /// Images behind it; `None` for a file.
    pub images: Option<usize>,
    /// All compared cells are equal: nothing but rho-a is defined.
    pub constant: bool,
    /// Over halves of its images.
    pub reliability: Option<Reliability>,
}

/// The result.
#[derive(Debug)]
pub struct Agreement {
    /// The matrices.
    pub items: Vec<Compared>,
    /// The labels whose columns are compared.
    pub labels: Vec<String>,
    /// Number of cells of each matrix that are compared.
    pub cells: usize,
    /// What was drawn.
    pub plan: ResamplingPlan,
    /// What the reader should know.
    pub warnings: Vec<String>,
    /// All pairs, row by row.
    pairs: Vec<Pair>,
}

impl Agreement {
    /// Why pairs have no interval, in a sentence; `None` where all have one that have a
    /// correlation.
    pub fn missing_intervals(&self) -> Option<String> {
        let count = self.items.len();
        let pairs = (0..count).flat_map(|a| (a + 1..count).map(move |b| [a, b]));
        let has_none = |&[a, b]: &[usize; 2]| {
            let pair = self.pair(a, b);
            pair.spearman.is_some() && pair.interval.is_none()
        };
        let missing: Vec<[usize; 2]> = pairs.filter(has_none).collect();
        let images = |item: &usize| self.items[*item].images;
        let few = missing
            .iter()
            .flatten()
            .filter_map(images)
            .filter(|&images| images < FEWEST_RESAMPLED_CASES)
            .min();
        let why = match (missing.first()?, few) {
            _ if self.plan.resamples == 0 => "there are no resamples (--resamples 0)".to_string(),
            (_, Some(few)) => format!(
                "a run has {}, and intervals of fewer than {FEWEST_RESAMPLED_CASES} are too narrow",
                counted(few as u64, "image")
            ),
            (pair, None) if pair.iter().all(|item| images(item).is_none()) => {
                "matrices from files have no images to resample: give the runs themselves".into()
            }
            _ => "in more than one resample in twenty the correlation is not defined".into(),
        };
        let all = count * (count - 1) / 2;
        Some(format!(
            "{} of {} without an interval: {why}",
            missing.len(),
            counted(all as u64, "pair")
        ))
    }

    /// Two of the items; the order does not matter.
    pub fn pair(&self, a: usize, b: usize) -> &Pair {
        &self.pairs[a * self.items.len() + b]
    }
}

/// Whether pictures can be resampled behind two matrices: at least one of them is of a run, and
/// none of few pictures.
fn has_enough_images(images: [Option<usize>; 2]) -> bool {
    let mut known = images.iter().flatten().peekable();
    known.peek().is_some() && known.all(|&images| images >= FEWEST_RESAMPLED_CASES)
}

/// Compares every pair. `progress` is told how many of the resamples are done.
///
/// # Errors
/// Too few resamples; fewer than three cells are filled everywhere.
pub fn compare(
    inputs: &Inputs,
    plan: ResamplingPlan,
    progress: impl FnMut(usize),
) -> Result<Agreement> {
    if (1..FEWEST_RESAMPLES).contains(&plan.resamples) {
        return Err(Error::Setting(format!(
            "resamples should be at least {FEWEST_RESAMPLES}, or 0 for no intervals, found {}",
            plan.resamples
        )));
    }
    let corpora = corpora(inputs);
    let full = Full::count(inputs, &corpora)?;
    let resamples = if corpora.iter().any(|corpus| corpus.images >= FEWEST_RESAMPLED_CASES) {
        plan.resamples
    } else {
        0
    };
    let drawn = bootstrap::resample(inputs, &corpora, resamples, plan.seed, progress);
    let reliabilities =
        reliability::reliability(inputs, &corpora, &full.labels, plan.splits, plan.seed);

    let count = inputs.items.len();
    let upper: Vec<(usize, usize)> =
        (0..count).flat_map(|a| (a + 1..count).map(move |b| (a, b))).collect();
    let compared: Vec<Pair> =
        upper.par_iter().map(|&(a, b)| full.pair(inputs, a, b, &plan)).collect();
    let mut pairs: Vec<Pair> =
        (0..count * count).map(|index| full.itself(index / count, index % count)).collect();
    for (at, (&(a, b), mut pair)) in upper.iter().zip(compared).enumerate() {
        if has_enough_images([a, b].map(|item| inputs.images(item))) {
            let values: Vec<Option<f64>> = drawn.iter().map(|resample| resample[at]).collect();
            pair.resamples = values.iter().flatten().count();
            pair.interval =
                pair.spearman.and_then(|estimate| bias_spanning_interval(estimate, &values));
        }
        (pairs[a * count + b], pairs[b * count + a]) = (pair, pair);
    }
    let items: Vec<Compared> = (0..count)
        .map(|index| Compared {
            name: inputs.items[index].name.clone(),
            images: inputs.images(index),
            constant: full.items[index].constant(),
            reliability: reliabilities[index],
        })
        .collect();
    let mut warnings = inputs.warnings.clone();
    warnings.extend(full.warnings(inputs, &items));
    let labels = full.labels.iter().map(|&label| inputs.labels[label].clone()).collect();
    Ok(Agreement { items, labels, cells: full.cells(), plan, warnings, pairs })
}

/// The matrices of all pictures.
struct Full {
    /// Columns that are compared.
    labels: Vec<usize>,
    /// Ranks of each item's cells.
    items: Vec<Ranks>,
    /// Ranks of the detection-only matrix of each run: the images of a label in which the class
    /// occurs at all, counted, or as a share.
    detections: Vec<Ranks>,
    /// Row means of the detection-only matrices.
    detected: Vec<Vec<f64>>,
}

impl Full {
    fn count(inputs: &Inputs, corpora: &[SampledCorpus]) -> Result<Self> {
        let whole = Sample::whole(corpora);
        let mut counter = Counter::new(inputs, corpora);
        let images = counter.images(&whole);
        let labels = counter.filled(&images);
        let cells = labels.len() * inputs.classes.len();
        if cells < FEWEST_CELLS {
            return Err(Error::Setting(format!(
                "{cells} cells ({} classes, {} labels) are filled in every matrix, at least \
                 {FEWEST_CELLS} are needed: a label is filled where an image has it",
                inputs.classes.len(),
                labels.len()
            )));
        }
        let mut items = vec![Ranks::default(); inputs.items.len()];
        for (at, ranks) in items.iter_mut().enumerate() {
            counter.rank(at, &whole, &images, &labels, ranks);
        }
        let (mut detections, mut detected) = (Vec::new(), Vec::new());
        for (at, run) in inputs.runs.iter().enumerate() {
            let list = run.pictures.detections();
            let cells: Vec<f64> = counter.cells(at, list, &whole, &images, &labels).collect();
            detections.push(Ranks::of(&cells));
            detected.push(row_means(&cells, labels.len()));
        }
        Ok(Self { labels, items, detections, detected })
    }

    fn cells(&self) -> usize {
        self.items[0].centred().len()
    }

    /// A matrix and itself; nothing for two different ones.
    fn itself(&self, a: usize, b: usize) -> Pair {
        let ranks = &self.items[a];
        if a != b {
            return Pair::default();
        }
        let one = ranks.spearman(ranks);
        Pair { spearman: one, rho_a: ranks.rho_a(ranks), kendall: one, ..Pair::default() }
    }

    /// Everything but what comes from resamples.
    fn pair(&self, inputs: &Inputs, a: usize, b: usize, plan: &ResamplingPlan) -> Pair {
        let (x, y) = (&self.items[a], &self.items[b]);
        let spearman = x.spearman(y);
        let kendall = kendall(x.centred(), y.centred());
        let strata = strata(&self.frequencies(inputs, a, b));
        let mut random = Random::of_text(plan.seed, &format!("permutation of {a} and {b}"));
        Pair {
            spearman,
            rho_a: x.rho_a(y),
            kendall: kendall.map(|result| result.tau_b),
            p_value: spearman.and_then(|rho| spearman_p(rho, self.cells())),
            p_kendall: kendall.map(|result| result.p_value),
            p_permutation: permutation_p(
                x,
                y,
                self.labels.len(),
                &strata,
                plan.permutations,
                &mut random,
            ),
            partial: spearman.and_then(|rho| self.given_detections(inputs, rho, a, b)),
            ..Pair::default()
        }
    }

    /// The runs behind two items, each once.
    fn runs(inputs: &Inputs, a: usize, b: usize) -> Vec<usize> {
        let run = |item: usize| match inputs.items[item].data {
            Data::Run { run, .. } => Some(run),
            Data::Table { .. } => None,
        };
        let mut runs: Vec<usize> = [a, b].into_iter().filter_map(run).collect();
        runs.dedup();
        runs
    }

    /// How frequent each class is for the test of two items: the mean count, or share, of images in
    /// which it was detected, over the labels and the runs behind the items; where there is none,
    /// the mean of the two matrices' row means.
    fn frequencies(&self, inputs: &Inputs, a: usize, b: usize) -> Vec<f64> {
        let runs = Self::runs(inputs, a, b);
        let means: Vec<Vec<f64>> = match runs.is_empty() {
            false => runs.iter().map(|&run| self.detected[run].clone()).collect(),
            true => [a, b].iter().map(|&item| self.table_means(inputs, item)).collect(),
        };
        (0..inputs.classes.len())
            .map(|class| means.iter().map(|shares| shares[class]).sum::<f64>())
            .collect()
    }

    fn table_means(&self, inputs: &Inputs, item: usize) -> Vec<f64> {
        let Data::Table { cells, .. } = &inputs.items[item].data else { return Vec::new() };
        let rows = cells.chunks_exact(inputs.labels.len());
        let compared: Vec<f64> =
            rows.flat_map(|row| self.labels.iter().map(|&label| row[label])).collect();
        row_means(&compared, self.labels.len())
    }

    /// The partial correlation given the detection-only matrices of the runs behind two items. A
    /// constant one explains nothing.
    fn given_detections(&self, inputs: &Inputs, rho: f64, a: usize, b: usize) -> Option<f64> {
        let (x, y) = (&self.items[a], &self.items[b]);
        let runs = Self::runs(inputs, a, b);
        let given: Vec<(&Ranks, Given)> = runs
            .iter()
            .map(|&run| &self.detections[run])
            .filter_map(|detections| {
                Some((detections, Given { x: x.spearman(detections)?, y: y.spearman(detections)? }))
            })
            .collect();
        match given[..] {
            [] => (!runs.is_empty()).then_some(rho),
            [(_, z)] => partial_correlation(rho, z.x, z.y),
            [(first, z), (second, w), ..] => {
                partial_correlation_given_two(rho, z, w, first.spearman(second)?)
            }
        }
    }

    fn warnings(&self, inputs: &Inputs, items: &[Compared]) -> Vec<String> {
        let constant = items.iter().filter(|item| item.constant);
        let mut warnings: Vec<String> = constant
            .map(|item| {
                format!(
                    "{}: all compared cells are equal, so correlations with it are undefined",
                    item.name
                )
            })
            .collect();
        let absent = inputs.labels.len() - self.labels.len();
        if absent > 0 {
            warnings.push(format!(
                "labels left out because an input has no image of them: {absent} of {}",
                inputs.labels.len()
            ));
        }
        warnings
    }
}

fn row_means(cells: &[f64], columns: usize) -> Vec<f64> {
    cells.chunks_exact(columns).map(|row| row.iter().sum::<f64>() / columns as f64).collect()
}
