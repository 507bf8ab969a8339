//! t-SNE (van der Maaten and Hinton 2008) with the forces of Barnes and Hut (van der Maaten 2014),
//! as the crate bhtsne computes it, made the same at every run and for any number of threads.
//!
//! In: rows of numbers, the columns in the order of their importance. Out: a point of the plane for
//! each row. The crate by itself draws a start and the vantage points of its neighbour search from
//! the operating system's random numbers, and its last digits follow the number of threads; so it
//! is given the exact neighbours and the start, and one thread.

use super::distances::{by_row, nearest};
use crate::random::Random;
use bhtsne::{Neighbor, tSNE};
use ndarray::{Array2, Axis};

/// Forces of cells that look smaller than this are those of their centre (van der Maaten 2014;
/// scikit-learn's default).
const ANGLE: f64 = 0.5;

/// Standard deviation of the start's first column (Kobak and Berens 2019; scikit-learn's, too).
const START: f64 = 1e-4;

/// What is drawn by the seed beside it: a hundredth, so that equal rows do not begin at one point,
/// from where they would never part.
const NOISE: f64 = 1e-6;

/// The learning rate is the number of rows by this, the factor of exaggeration (Belkina et al.
/// 2019), and at least [`LEAST_RATE`]. It is what scikit-learn chooses, whose gradient has the
/// factor 4 that the crate leaves out; with the crate's own choice, a quarter of it, 1000
/// iterations are too few for 10,000 rows.
const ROWS_BY_RATE: f64 = 12.0;

/// The least learning rate.
const LEAST_RATE: f64 = 200.0;

/// The fewest iterations: the first 250 draw the rows together with exaggerated forces, and what
/// follows lets them go.
pub const FEWEST_ITERATIONS: usize = 500;

/// How it is done.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TsneSettings {
    /// About how many neighbours of each row matter.
    pub perplexity: f64,
    /// Steps of the descent, at least [`FEWEST_ITERATIONS`].
    pub iterations: usize,
    /// What the start is drawn by.
    pub seed: u64,
}

/// Points of the plane.
#[derive(Debug, Clone, PartialEq)]
pub struct TsneEmbedding {
    /// One a row (rows, 2).
    pub points: Array2<f64>,
    /// What is minimised: the divergence (Kullback and Leibler 1951) of the neighbourhoods in the
    /// plane from those of the data.
    pub divergence: Option<f64>,
}

/// The largest perplexity for so many rows: three times as many neighbours are looked at, as van
/// der Maaten's implementation does. Below 2 there is no embedding.
pub fn largest_perplexity(rows: usize) -> f64 {
    (rows.saturating_sub(1) / 3) as f64
}

/// Rows embedded in the plane; the first two columns, made small, are where they begin. `None` when
/// the perplexity is below 2 or above [`largest_perplexity`], when there are too few iterations or
/// no columns, or a number is not finite.
pub fn t_sne(rows: &Array2<f64>, settings: TsneSettings) -> Option<TsneEmbedding> {
    let TsneSettings { perplexity, iterations, seed } = settings;
    let possible = perplexity >= 2.0 && perplexity <= largest_perplexity(rows.nrows());
    if !possible
        || iterations < FEWEST_ITERATIONS
        || rows.ncols() == 0
        || rows.iter().any(|value| !value.is_finite())
    {
        return None;
    }
    let looked_at = (3.0 * perplexity) as usize;
    let neighbours = by_row(rows, |row, squares| {
        let near = nearest(row, squares, looked_at).into_iter();
        near.map(|one| Neighbor { index: one.row, distance: one.distance }).collect::<Vec<_>>()
    });
    let start = start(rows, seed);
    // The crate asks nothing of the rows themselves when it is given their neighbours.
    let places = vec![(); rows.nrows()];
    let one_thread = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .expect("a thread more can be started");
    let (points, divergence) = one_thread.install(|| {
        let mut t_sne = tSNE::<f64, ()>::new(&places);
        let rate = (rows.nrows() as f64 / ROWS_BY_RATE).max(LEAST_RATE);
        t_sne
            .perplexity(perplexity)
            .epochs(iterations)
            .learning_rate(rate)
            .initial_embedding(start);
        t_sne.barnes_hut_with_neighbors(ANGLE, &neighbours);
        (t_sne.embedding(), t_sne.kl_divergence())
    });
    let points = Array2::from_shape_vec((rows.nrows(), 2), points).ok()?;
    let finite = points.iter().all(|value| value.is_finite());
    finite.then_some(TsneEmbedding {
        points,
        divergence: divergence.filter(|divergence| divergence.is_finite()),
    })
}

/// Where the rows begin, row by row.
fn start(rows: &Array2<f64>, seed: u64) -> Vec<f64> {
    let first = rows.index_axis(Axis(1), 0);
    let mean = first.mean().unwrap_or(0.0);
    let deviation =
        first.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / first.len() as f64;
    let scale = if deviation > 0.0 { START / deviation.sqrt() } else { 0.0 };
    let noise = Random::of_text(seed, "t-SNE").spread(2 * rows.nrows(), NOISE);
    let value = |place: usize| {
        rows.get((place / 2, place % 2)).map_or(0.0, |value| scale * value) + noise[place]
    };
    (0..2 * rows.nrows()).map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{separation, trustworthiness};

    /// Three clouds of `count` rows each, the last row twice.
    fn clouds(count: usize) -> (Array2<f64>, Vec<usize>) {
        let mut random = Random::new(8, 0);
        let groups: Vec<usize> = (0..3 * count).map(|row| row % 3).collect();
        let rows = Array2::from_shape_fn((3 * count, 5), |(row, column)| {
            random.uniform(-1.0, 1.0) + if column == groups[row] { 6.0 } else { 0.0 }
        });
        (rows, groups)
    }

    #[test]
    fn clouds_stay_clouds_the_same_for_any_number_of_threads() {
        let (mut rows, groups) = clouds(25);
        let twin = rows.row(0).to_owned();
        rows.row_mut(3).assign(&twin);
        let settings = TsneSettings { perplexity: 10.0, iterations: 500, seed: 1 };
        let computed = |threads, settings| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| t_sne(&rows, settings)).unwrap()
        };
        let found = computed(1, settings);
        assert_eq!(found, computed(3, settings));
        assert_ne!(found, computed(1, TsneSettings { seed: 2, ..settings }));
        assert!(found.divergence.unwrap() > 0.0);
        assert!(separation(&found.points, &groups, 3).unwrap().silhouette > 0.5);
        assert!(trustworthiness(&rows, &[&found.points], 5).unwrap()[0] > 0.85);
    }

    #[test]
    fn rows_begin_at_their_first_two_columns_made_small() {
        let (rows, _) = clouds(10);
        let begun = Array2::from_shape_vec((30, 2), start(&rows, 1)).unwrap();
        let scale = START / rows.column(0).std(0.0);
        for ((row, column), found) in begun.indexed_iter() {
            let noise = found - scale * rows[[row, column]];
            assert!(noise != 0.0 && noise.abs() < 10.0 * NOISE, "{row}, {column}: {noise}");
        }
        let shorter = Array2::from_shape_fn((4, 1), |_| 7.0);
        assert!(start(&shorter, 1).iter().all(|place| place.abs() < 10.0 * NOISE));
    }

    #[test]
    fn what_cannot_be_embedded_is_none() {
        let (rows, _) = clouds(10);
        let settings = TsneSettings { perplexity: 5.0, iterations: 500, seed: 1 };
        assert_eq!(largest_perplexity(30), 9.0);
        assert!(t_sne(&rows, TsneSettings { perplexity: 9.5, ..settings }).is_none());
        assert!(t_sne(&rows, TsneSettings { perplexity: 1.0, ..settings }).is_none());
        assert!(t_sne(&rows, TsneSettings { perplexity: f64::NAN, ..settings }).is_none());
        assert!(t_sne(&rows, TsneSettings { iterations: 100, ..settings }).is_none());
        assert!(t_sne(&Array2::zeros((30, 0)), settings).is_none());
        // Rows that are all alike end up somewhere.
        assert!(t_sne(&Array2::zeros((30, 3)), settings).is_some());
    }
}
