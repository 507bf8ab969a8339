//! The matrices of a sample of the pictures: all of them, as drawn for the bootstrap, or one half.
//!
//! Runs over the same corpus share their samples, picture by picture, as the methods of one run do:
//! what makes their matrices alike by chance stays in. Runs are over the same corpus when run.json
//! has the same digest of it, or their records the same paths. A picture one of them could not
//! analyse counts in the other.

use super::inputs::{Data, Inputs, MatrixKind};
use crate::random::Random;
use crate::stats::Ranks;
use std::collections::BTreeSet;

/// Pictures that are drawn together.
#[derive(Debug)]
pub(super) struct SampledCorpus {
    /// Number of different paths.
    pub images: usize,
    /// For each run of this corpus its place in [`Inputs::runs`], and each record's number among
    /// the paths.
    pub runs: Vec<(usize, Vec<u32>)>,
}

/// The corpora of all runs, in the order of the first run of each.
pub(super) fn corpora(inputs: &Inputs) -> Vec<SampledCorpus> {
    let sets: Vec<BTreeSet<&String>> =
        inputs.runs.iter().map(|run| run.pictures.paths().iter().collect()).collect();
    let same =
        |a: usize, b: usize| inputs.runs[a].corpus == inputs.runs[b].corpus || sets[a] == sets[b];
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for run in 0..sets.len() {
        match groups.iter_mut().find(|group| group.iter().any(|&member| same(member, run))) {
            Some(group) => group.push(run),
            None => groups.push(vec![run]),
        }
    }
    groups
        .into_iter()
        .map(|group| {
            let union: BTreeSet<&String> =
                group.iter().flat_map(|&run| sets[run].iter().copied()).collect();
            // Sorted, so that the order of the records, which a resumed run may change, does not
            // matter.
            let paths: Vec<&String> = union.into_iter().collect();
            let number = |path: &String| {
                paths.binary_search(&path).expect("the union holds every path") as u32
            };
            let numbers =
                |run: usize| inputs.runs[run].pictures.paths().iter().map(number).collect();
            SampledCorpus {
                images: paths.len(),
                runs: group.iter().map(|&run| (run, numbers(run))).collect(),
            }
        })
        .collect()
}

/// How often each picture of each corpus counts.
#[derive(Debug, Clone)]
pub(super) struct Sample(Vec<Vec<u32>>);

impl Sample {
    /// Every picture once.
    pub(super) fn whole(corpora: &[SampledCorpus]) -> Self {
        Self(corpora.iter().map(|corpus| vec![1; corpus.images]).collect())
    }

    /// As many pictures as there are, drawn with replacement; the same for the same seed and
    /// number.
    pub(super) fn drawn(&mut self, seed: u64, number: usize) {
        for (corpus, weights) in self.0.iter_mut().enumerate() {
            let mut random =
                Random::of_text(seed, &format!("bootstrap of corpus {corpus}, {number}"));
            weights.fill(0);
            for _ in 0..weights.len() {
                let picture = random.below(weights.len());
                weights[picture] += 1;
            }
        }
    }

    /// Two random halves; the first has the odd picture.
    pub(super) fn halves(corpora: &[SampledCorpus], seed: u64, number: usize) -> [Self; 2] {
        let half = |(at, corpus): (usize, &SampledCorpus)| {
            let mut random = Random::of_text(seed, &format!("halves of corpus {at}, {number}"));
            let mut weights: Vec<u32> =
                (0..corpus.images as u32).map(|index| (index + 1) % 2).collect();
            random.shuffle(&mut weights);
            weights
        };
        let first: Vec<Vec<u32>> = corpora.iter().enumerate().map(half).collect();
        let second =
            first.iter().map(|weights| weights.iter().map(|weight| 1 - weight).collect()).collect();
        [Self(first), Self(second)]
    }
}

/// Counts matrices over samples and ranks their cells, keeping its memory.
pub(super) struct Counter<'a> {
    inputs: &'a Inputs,
    /// For each run its corpus and the numbers of its records.
    of_run: Vec<(usize, &'a [u32])>,
    counts: Vec<u32>,
    order: Vec<(f64, u32)>,
}

impl<'a> Counter<'a> {
    /// For these inputs, whose corpora are given.
    pub(super) fn new(inputs: &'a Inputs, corpora: &'a [SampledCorpus]) -> Self {
        let mut of_run: Vec<(usize, &[u32])> = vec![(0, &[]); inputs.runs.len()];
        for (at, corpus) in corpora.iter().enumerate() {
            corpus.runs.iter().for_each(|(run, numbers)| of_run[*run] = (at, numbers));
        }
        Self { inputs, of_run, counts: Vec::new(), order: Vec::new() }
    }

    /// c_j of every run.
    pub(super) fn images(&self, sample: &Sample) -> Vec<Vec<u32>> {
        let drawn = |(run, &(corpus, numbers)): (usize, &(usize, &[u32]))| {
            self.inputs.runs[run].pictures.images(|index| sample.0[corpus][numbers[index] as usize])
        };
        self.of_run.iter().enumerate().map(drawn).collect()
    }

    /// The labels whose columns are filled in every matrix when the runs' labels have so many
    /// `images`; counts are there for every label.
    pub(super) fn filled(&self, images: &[Vec<u32>]) -> Vec<usize> {
        let filled = |label: usize| {
            (self.inputs.matrix == MatrixKind::Counts
                || images.iter().all(|images| images[label] > 0))
                && self.inputs.items.iter().all(|item| match &item.data {
                    Data::Run { .. } => true,
                    Data::Table { present, .. } => present[label],
                })
        };
        (0..self.inputs.labels.len()).filter(|&label| filled(label)).collect()
    }

    /// The ranks of an item's cells, row by row, of the columns `labels`, all filled.
    pub(super) fn rank(
        &mut self,
        item: usize,
        sample: &Sample,
        images: &[Vec<u32>],
        labels: &[usize],
        ranks: &mut Ranks,
    ) {
        match &self.inputs.items[item].data {
            Data::Run { run, method } => {
                self.rank_list(*run, *method, sample, images, labels, ranks);
            }
            Data::Table { cells, .. } => {
                let rows = cells.chunks_exact(self.inputs.labels.len());
                ranks.assign(
                    rows.flat_map(|row| labels.iter().map(|&label| row[label])),
                    &mut self.order,
                );
            }
        }
    }

    /// [`Counter::rank`] for one list of a run: a method, or the detections.
    pub(super) fn rank_list(
        &mut self,
        run: usize,
        list: usize,
        sample: &Sample,
        images: &[Vec<u32>],
        labels: &[usize],
        ranks: &mut Ranks,
    ) {
        let mut order = std::mem::take(&mut self.order);
        ranks.assign(self.cells(run, list, sample, images, labels), &mut order);
        self.order = order;
    }

    /// a_ij, or a_ij / c_j where shares are compared, of one list of a run, row by row, of the
    /// columns `labels`, all filled.
    pub(super) fn cells<'b>(
        &'b mut self,
        run: usize,
        list: usize,
        sample: &Sample,
        images: &'b [Vec<u32>],
        labels: &'b [usize],
    ) -> impl Iterator<Item = f64> + 'b {
        let (corpus, numbers) = self.of_run[run];
        let weights = &sample.0[corpus];
        self.inputs.runs[run].pictures.count(
            list,
            |index| weights[numbers[index] as usize],
            &mut self.counts,
        );
        let (images, matrix) = (&images[run], self.inputs.matrix);
        let rows = self.counts.chunks_exact(self.inputs.labels.len());
        // The quotients of equal fractions are equal numbers: ties stay ties.
        let cell = move |count: u32, label: usize| match matrix {
            MatrixKind::Counts => f64::from(count),
            MatrixKind::Shares => f64::from(count) / f64::from(images[label]),
        };
        rows.flat_map(move |row| labels.iter().map(move |&label| cell(row[label], label)))
    }
}
