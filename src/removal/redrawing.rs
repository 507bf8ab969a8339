//! Effects of hiding the box of an object against those of drawing the scene again without it.
//!
//! In: the records of drawn scenes. Out, for every fill, how far the changes of the own label's
//! probability are apart, and how well they agree in rank, with 95 % intervals over scenes; the
//! same of the controls, which know nothing of the object.

use super::record::RemovalRecord;
use super::settings::RemovalKind;
use crate::random::Random;
use crate::stats::{FEWEST_RESAMPLED_CASES, Ranks, bias_spanning_interval, quantile};

/// An object's effect by hiding, and by drawing again.
type Pair = (f64, f64);

/// The objects of drawn scenes.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Redrawing {
    /// By fill, for removed regions and their controls, the objects of every scene that has one.
    hidden: Vec<[Vec<Vec<Pair>>; 2]>,
    /// As if nothing was hidden: the scale of the differences.
    nothing: Vec<Vec<Pair>>,
}

/// How two measurements of effects agree.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RedrawingAgreement {
    /// Scenes.
    pub scenes: usize,
    /// Objects in them.
    pub objects: usize,
    /// Mean over objects of the absolute difference of the two effects, 0 to 2, with its interval:
    /// percentiles of the means of scenes drawn with replacement; none of fewer than
    /// [`FEWEST_RESAMPLED_CASES`] scenes.
    pub difference: (f64, Option<(f64, f64)>),
    /// Spearman's correlation over all objects, with its interval ([`bias_spanning_interval`] over
    /// scenes drawn with replacement); none where one of the two is constant.
    pub correlation: Option<(f64, Option<(f64, f64)>)>,
}

/// The kinds that are compared: what is left of a region that is kept alone is no scene without it.
pub(super) const COMPARED: [RemovalKind; 2] = [RemovalKind::Removed, RemovalKind::RemovedControl];

impl Redrawing {
    /// Counts a scene; pictures that cannot be drawn again have no part.
    pub fn add(&mut self, record: &RemovalRecord) {
        let fills = record.regions.first().map_or(0, |region| region.answers.len());
        self.hidden.resize(fills.max(self.hidden.len()), Default::default());
        let redrawn = || {
            record
                .regions
                .iter()
                .filter_map(|region| Some((region, record.change(region.redrawn?))))
        };
        for (fill, by_kind) in self.hidden.iter_mut().enumerate().take(fills) {
            for (scenes, kind) in by_kind.iter_mut().zip(COMPARED) {
                let pair = |(region, effect): (&super::RegionRecord, f64)| {
                    Some((record.change(region.answers[fill].of_kind(kind)?), effect))
                };
                scenes.extend(some(redrawn().filter_map(pair).collect()));
            }
        }
        self.nothing.extend(some(redrawn().map(|(_, effect)| (0.0, effect)).collect()));
    }

    /// How the effects of `kind` with the fill at this place of the settings agree with redrawing;
    /// none without an object.
    pub fn agreement(
        &self,
        fill: usize,
        kind: RemovalKind,
        resamples: usize,
        seed: u64,
    ) -> Option<RedrawingAgreement> {
        let kind = COMPARED.iter().position(|&compared| compared == kind)?;
        RedrawingAgreement::new(self.hidden.get(fill)?.get(kind)?, resamples, seed)
    }

    /// The same where every effect is taken to be 0.
    pub fn of_nothing(&self, resamples: usize, seed: u64) -> Option<RedrawingAgreement> {
        RedrawingAgreement::new(&self.nothing, resamples, seed)
    }
}

fn some(pairs: Vec<Pair>) -> Option<Vec<Pair>> {
    (!pairs.is_empty()).then_some(pairs)
}

impl RedrawingAgreement {
    fn new(scenes: &[Vec<Pair>], resamples: usize, seed: u64) -> Option<Self> {
        let all: Vec<&[Pair]> = scenes.iter().map(Vec::as_slice).collect();
        let (difference, correlation) = (mean_difference(&all)?, correlation(&all));
        let mut random = Random::of_text(seed, "bootstrap of scenes");
        let (mut differences, mut correlations) = (Vec::new(), Vec::new());
        for _ in 0..if scenes.len() < FEWEST_RESAMPLED_CASES { 0 } else { resamples } {
            let drawn: Vec<&[Pair]> = all.iter().map(|_| all[random.below(all.len())]).collect();
            differences.extend(mean_difference(&drawn));
            correlations.push(self::correlation(&drawn));
        }
        differences.sort_unstable_by(f64::total_cmp);
        let ends = (!differences.is_empty())
            .then(|| (quantile(&differences, 0.025), quantile(&differences, 0.975)));
        let around = |estimate: f64| {
            let interval = (!correlations.is_empty())
                .then(|| bias_spanning_interval(estimate, &correlations))
                .flatten();
            (estimate, interval.map(|interval| (interval.lower, interval.upper)))
        };
        Some(Self {
            scenes: scenes.len(),
            objects: scenes.iter().map(Vec::len).sum(),
            difference: (difference, ends),
            correlation: correlation.map(around),
        })
    }
}

/// Over all objects; none without any.
fn mean_difference(scenes: &[&[Pair]]) -> Option<f64> {
    let apart: Vec<f64> = scenes
        .iter()
        .copied()
        .flatten()
        .map(|(hidden, redrawn)| (hidden - redrawn).abs())
        .collect();
    crate::stats::mean(&apart)
}

fn correlation(scenes: &[&[Pair]]) -> Option<f64> {
    let (hidden, redrawn): (Vec<f64>, Vec<f64>) = scenes.iter().copied().flatten().copied().unzip();
    Ranks::of(&hidden).spearman(&Ranks::of(&redrawn))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agreement_by_hand_and_of_chance() {
        let scenes = vec![vec![(-0.5, -0.4), (0.0, 0.1)], vec![(-0.1, -0.1)]];
        let found = RedrawingAgreement::new(&scenes, 200, 1).unwrap();
        assert_eq!((found.scenes, found.objects), (2, 3));
        approx::assert_abs_diff_eq!(found.difference.0, 0.2 / 3.0, epsilon = 1e-12);
        assert_eq!(found.correlation.unwrap().0, 1.0);
        assert_eq!(
            (found.difference.1, found.correlation.unwrap().1),
            (None, None),
            "two scenes have no interval"
        );
        let ten: Vec<Vec<Pair>> = scenes.iter().cycle().take(10).cloned().collect();
        let (lower, upper) = RedrawingAgreement::new(&ten, 200, 1).unwrap().difference.1.unwrap();
        assert!(
            0.0 < lower && lower < 0.2 / 3.0 && 0.2 / 3.0 < upper && upper < 0.1,
            "{lower} to {upper}"
        );
        // Effects that have nothing to do with each other.
        let mut random = Random::new(3, 0);
        let scenes: Vec<Vec<Pair>> =
            (0..300).map(|_| vec![(random.uniform(0.0, 1.0), random.uniform(0.0, 1.0))]).collect();
        let (rho, interval) =
            RedrawingAgreement::new(&scenes, 200, 1).unwrap().correlation.unwrap();
        let (lower, upper) = interval.unwrap();
        assert!(
            rho.abs() < 0.15 && lower < rho && rho < upper && upper - lower < 0.4,
            "{lower} {rho} {upper}"
        );
        assert_eq!(RedrawingAgreement::new(&[], 200, 1), None);
        let one = RedrawingAgreement::new(&[vec![(0.0, 0.3)]], 200, 1).unwrap();
        assert_eq!((one.difference, one.correlation), ((0.3, None), None));
    }
}
