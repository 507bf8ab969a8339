//! How well a matrix agrees with itself: counted from one random half of the pictures and from the other.
//!
//! No other matrix can be expected to agree better with it than that, unless both are counted from the same pictures and
//! so share the chance in them, as the methods of one run do.

use super::inputs::{Data, Inputs};
use super::rank::Ranks;
use super::sample::{Corpus, Counter, Sample};
use rayon::prelude::*;

/// Means over random halvings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reliability {
    /// Spearman correlation of the two halves.
    pub split_half: f64,
    /// What it would be for all pictures instead of half of them: 2r / (1 + r) (Spearman 1910, Brown 1910); `None` when
    /// the halves disagree, r < 0, for which the formula was not made.
    pub spearman_brown: Option<f64>,
    /// [`noise_ceiling`] with the halves as subjects, lower bound. With two subjects it is the correlation of the halves.
    pub ceiling_lower: f64,
    /// Upper bound.
    pub ceiling_upper: f64,
    /// Halvings with a correlation: none where a half is constant or too small.
    pub splits: usize,
}

/// Lower and upper bound of the rank correlation that any matrix can reach, on average, with the matrices of several
/// `subjects`, all of the same cells (Nili et al. 2014, PLoS Comput Biol 10:e1003553). The best is near the mean of the
/// subjects' ranks: from above, each subject is correlated with the mean of all, itself included, from below with the mean
/// of the others. `None` for fewer than two subjects or when a correlation is undefined.
pub fn noise_ceiling(subjects: &[Ranks]) -> Option<(f64, f64)> {
    let cells = subjects.first()?.centred().len();
    let mut sum = vec![0.0; cells];
    for subject in subjects {
        sum.iter_mut().zip(subject.centred()).for_each(|(sum, rank)| *sum += rank);
    }
    // Ranks of sums are those of means. Sums of centred ranks are multiples of a half, exact: ties stay ties.
    let all = Ranks::of(&sum);
    let (mut lower, mut upper) = (0.0, 0.0);
    for subject in subjects {
        let others: Vec<f64> = sum.iter().zip(subject.centred()).map(|(sum, rank)| sum - rank).collect();
        lower += Ranks::of(&others).spearman(subject)?;
        upper += all.spearman(subject)?;
    }
    Some((lower / subjects.len() as f64, upper / subjects.len() as f64))
}

/// The reliability of every item; `None` for those without pictures and where no halving has a correlation. Cells are those
/// of the columns `compared` whose label is in both halves.
pub fn reliability(
    inputs: &Inputs,
    corpora: &[Corpus],
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
                (0..inputs.items.len()).map(|item| bounds(inputs, counter, item, &halves, &images, compared)).collect()
            },
        )
        .collect();
    let mean = |item: usize, of: fn(&(f64, f64)) -> f64| {
        let values: Vec<f64> = bounds.iter().filter_map(|split| split[item].as_ref().map(of)).collect();
        (!values.is_empty()).then(|| (values.iter().sum::<f64>() / values.len() as f64, values.len()))
    };
    (0..inputs.items.len())
        .map(|item| {
            let (lower, splits) = mean(item, |bounds| bounds.0)?;
            let (upper, _) = mean(item, |bounds| bounds.1)?;
            Some(Reliability {
                split_half: lower,
                spearman_brown: (lower >= 0.0).then(|| 2.0 * lower / (1.0 + lower)),
                ceiling_lower: lower,
                ceiling_upper: upper,
                splits,
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
    let in_both = |label: &usize| images.iter().all(|images| images[run][*label] > 0);
    let labels: Vec<usize> = compared.iter().copied().filter(in_both).collect();
    let mut ranks = [Ranks::default(), Ranks::default()];
    for ((half, images), ranks) in halves.iter().zip(images).zip(&mut ranks) {
        counter.rank_list(run, method, half, images, &labels, ranks);
    }
    noise_ceiling(&ranks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ceiling_by_hand() {
        let [a, b] = [Ranks::of(&[1.0, 2.0, 3.0, 4.0]), Ranks::of(&[1.0, 3.0, 2.0, 4.0])];
        // The mean has a tie in the middle: ranks 1, 2.5, 2.5, 4.
        let (lower, upper) = noise_ceiling(&[a.clone(), b]).unwrap();
        approx::assert_abs_diff_eq!(lower, 0.8, epsilon = 1e-12);
        approx::assert_abs_diff_eq!(upper, 4.5 / (5.0_f64 * 4.5).sqrt(), epsilon = 1e-12);
        assert_eq!(noise_ceiling(&[a.clone(), a.clone()]), Some((1.0, 1.0)));
        assert_eq!(noise_ceiling(std::slice::from_ref(&a)), None, "one subject has no others");
        assert_eq!(noise_ceiling(&[a.clone(), Ranks::of(&[1.0; 4])]), None);
        assert_eq!(noise_ceiling(&[]), None);
    }
}
