//! Shapley values of the objects of a picture: what each is worth to the answer, the background
//! being one more player.
//!
//! v(S) is the score of the picture of which the regions outside S are hidden. The values add up to
//! v(all) - v(nothing). Up to [`EXACT`] players all coalitions are evaluated, of more orders in
//! which they join.

use super::masking::{Masking, Scores};
use super::players::{Joined, MOST, Players};
use crate::attribution::estimate::Estimate;
use crate::attribution::options::HiddenPlace;
use crate::attribution::shapley;
use crate::attribution::{CamMethod, Explains, Game, HeadPass, MethodRow, Needs, RawMaps, Score};
use crate::random::Random;
use tch::{TchError, Tensor};

/// Players up to which all coalitions are evaluated: 2^8 = 256.
const EXACT: usize = 8;

/// Pairs of orders at least: one has no error.
const PAIRS: usize = 2;

pub(in crate::attribution) static ROW: MethodRow = MethodRow {
    name: "object-shap",
    summary: "Shapley values of the picture's objects and of its background, by hiding them",
    source: "Shapley 1953; Castro et al. 2009",
    needs: Needs::Regions,
    preset: Score::Probability,
    explains: Explains::SupportAlone,
    paper: false,
    draws: true,
    implementation: &ObjectShap,
};

struct ObjectShap;

impl CamMethod for ObjectShap {
    /// The map of a picture has in every place the value of the place's player.
    fn raw_maps(&self, pass: &HeadPass<'_>, score: Score) -> Result<RawMaps, TchError> {
        let Some(regions) = pass.regions else {
            return Err(TchError::Torch("object-shap needs the regions of the pictures".into()));
        };
        let masking = Masking::new(pass, score, &HiddenPlace::Input)?;
        let (rows, columns) = masking.size();
        let evaluations = pass.options.evaluations;
        let most = (evaluations / (2 * PAIRS)).clamp(EXACT, MOST);
        let mut games = Vec::with_capacity(regions.len());
        let mut maps: Vec<Vec<f32>> = Vec::with_capacity(regions.len());
        for (picture, regions) in regions.iter().enumerate().take(pass.distinct) {
            let players = Players::new(regions, rows * columns, most);
            let seed = pass.seeds[picture];
            let played = play(&players, evaluations, &mut Random::new(seed, 2), &mut |sets| {
                let asked: Vec<Joined> =
                    sets.iter().map(|&set| Joined { picture, players: &players, set }).collect();
                masking.values(&asked)
            })?;
            let value = |&player: &_| played.estimate.values[usize::from(player)] as f32;
            maps.push(players.of_places().iter().map(value).collect());
            games.push(played.game(&players));
        }
        pass.repeat_last(&mut games, Clone::clone);
        pass.repeat_last(&mut maps, Clone::clone);
        let shape = [regions.len() as i64, rows as i64, columns as i64];
        let maps = Tensor::f_from_slice(&maps.concat())?
            .f_reshape(shape)?
            .f_to_device(pass.a().device())?;
        Ok(RawMaps { signed: true, games: Some(games), ..maps.into() })
    }
}

/// Values of all players.
struct Played {
    all: f64,
    nothing: f64,
    evaluations: usize,
    estimate: Estimate,
    exact: bool,
}

impl Played {
    fn game(self, players: &Players) -> Game {
        let Self { all, nothing, evaluations, estimate: Estimate { values, errors, .. }, exact } =
            self;
        let number =
            |numbers: &[f64], player: &Option<usize>| player.map_or(0.0, |player| numbers[player]);
        let credit = values.iter().map(|value| value.max(0.0)).sum::<f64>();
        let share = |value: f64| if credit > 0.0 { value / credit } else { 0.0 };
        Game {
            all,
            nothing,
            evaluations,
            layer: None,
            background: Some(values[0]),
            players: players.of_region.iter().map(|player| player.unwrap_or(0)).collect(),
            values: players.of_region.iter().map(|player| number(&values, player)).collect(),
            shares: players
                .of_region
                .iter()
                .map(|player| share(number(&values, player)) as f32)
                .collect(),
            background_share: share(values[0]) as f32,
            errors: (!exact)
                .then(|| players.of_region.iter().map(|player| number(&errors, player)).collect()),
        }
    }
}

/// Plays the game; `value` gives the scores of coalitions, the bits of their players.
fn play(
    players: &Players,
    evaluations: usize,
    random: &mut Random,
    value: &mut dyn FnMut(&[u64]) -> Scores,
) -> Result<Played, TchError> {
    let count = players.count;
    if count <= EXACT {
        let sets: Vec<u64> = (0..1 << count).collect();
        let scores = value(&sets)?;
        let estimate = Estimate {
            values: shapley::exact(count, &scores),
            errors: vec![0.0; count],
            left_out: Vec::new(),
        };
        let (all, nothing) = (scores[scores.len() - 1], scores[0]);
        return Ok(Played { all, nothing, evaluations: sets.len(), estimate, exact: true });
    }
    let pairs = (evaluations.saturating_sub(2) / (2 * (count - 1))).max(PAIRS);
    let orders = shapley::orders(count, pairs, random);
    // Along an order the sets between nothing and all.
    let mut sets: Vec<u64> = vec![0, u64::MAX >> (64 - count)];
    for order in orders.chunks_exact(count) {
        let joined = order.iter().scan(0, |set, player| {
            *set |= 1 << player;
            Some(*set)
        });
        sets.extend(joined.take(count - 1));
    }
    let scores = value(&sets)?;
    let (nothing, all) = (scores[0], scores[1]);
    let mut gains = Vec::with_capacity(orders.len());
    for between in scores[2..].chunks_exact(count - 1) {
        let mut before = nothing;
        for &score in between.iter().chain([&all]) {
            gains.push(score - before);
            before = score;
        }
    }
    let estimate = shapley::estimate(count, &orders, &gains);
    Ok(Played { all, nothing, evaluations: sets.len(), estimate, exact: false })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribution::InputRegion;
    use proptest::prelude::*;

    /// Players side by side.
    fn side_by_side(count: usize) -> Players {
        let region = |player| InputRegion {
            places: (0..count).map(|place| place == player).collect(),
            plays: true,
        };
        let regions: Vec<InputRegion> = (1..count).map(region).collect();
        Players::new(&regions, count, MOST)
    }

    /// A score with an own part of each player and one of each pair.
    fn score(own: &[f64], set: u64) -> f64 {
        let value = |player: usize| if set >> player & 1 == 1 { own[player] } else { 0.0 };
        let pairs = (1..own.len()).map(|player| value(player - 1) * value(player)).sum::<f64>();
        let linear = (0..own.len()).map(value).sum::<f64>();
        (linear + 0.7 * pairs).tanh()
    }

    /// By the definition: the mean over all orders of what a player gains as it joins.
    fn by_definition(own: &[f64]) -> Vec<f64> {
        fn walk(own: &[f64], set: u64, values: &mut [f64], weight: f64) {
            let left: Vec<usize> = (0..own.len()).filter(|player| set >> player & 1 == 0).collect();
            for &player in &left {
                let weight = weight / left.len() as f64;
                values[player] += weight * (score(own, set | 1 << player) - score(own, set));
                walk(own, set | 1 << player, values, weight);
            }
        }
        let mut values = vec![0.0; own.len()];
        walk(own, 0, &mut values, 1.0);
        values
    }

    fn played(own: &[f64], evaluations: usize, seed: u64) -> Played {
        let players = side_by_side(own.len());
        let mut value = |sets: &[u64]| Ok(sets.iter().map(|&set| score(own, set)).collect());
        play(&players, evaluations, &mut Random::new(seed, 2), &mut value).unwrap()
    }

    proptest! {
        #[test]
        fn up_to_eight_players_are_exact_and_add_up(own in prop::collection::vec(-1.0..1.0_f64, 1..8)) {
            let played = played(&own, 256, 1);
            for (found, expected) in played.estimate.values.iter().zip(by_definition(&own)) {
                prop_assert!((found - expected).abs() < 1e-12);
            }
            let sum: f64 = played.estimate.values.iter().sum();
            prop_assert!((sum - (played.all - played.nothing)).abs() < 1e-12);
        }

        #[test]
        fn sampled_values_add_up(own in prop::collection::vec(-1.0..1.0_f64, 9..30), seed in 0..99_u64) {
            let played = played(&own, 256, seed);
            let sum: f64 = played.estimate.values.iter().sum();
            prop_assert!((sum - (played.all - played.nothing)).abs() < 1e-12);
            prop_assert!(played.evaluations >= 2 + 4 * (own.len() - 1));
        }
    }

    #[test]
    fn equal_players_have_equal_values_and_one_who_adds_nothing_has_none() {
        let mut own = vec![0.4; 5];
        own[4] = 0.0;
        let values = played(&own, 256, 1).estimate.values;
        assert!((values[0] - values[3]).abs() < 1e-12 && (values[1] - values[2]).abs() < 1e-12);
        assert!(values[4].abs() < 1e-12);
    }

    /// Of a hundred samplings so many have the exact value within 1.96 of their standard errors, at
    /// the median player.
    #[test]
    fn the_standard_error_covers_the_exact_value() {
        let own = [0.5, -0.3, 0.8, 0.1, -0.6, 0.4, 0.9, -0.2, 0.3];
        let expected = by_definition(&own);
        let mut covered = vec![0; own.len()];
        let mut worst = 0.0_f64;
        for seed in 0..100 {
            let estimate = played(&own, 800, seed).estimate;
            for player in 0..own.len() {
                let off = (estimate.values[player] - expected[player]).abs();
                covered[player] += usize::from(off <= 1.96 * estimate.errors[player]);
                worst = worst.max(off);
            }
        }
        eprintln!("covered {covered:?} of 100, at most {worst:.4} off");
        covered.sort_unstable();
        assert!((90..=99).contains(&covered[own.len() / 2]), "{covered:?}");
        assert!(worst < 0.06, "{worst}");
    }
}
