//! Shapley values (Shapley 1953): exactly from the scores of all coalitions, or estimated from
//! orders in which the players join (Castro et al. 2009), each followed by its reverse, which
//! cancels much of the noise (Mitchell et al. 2022, section 4.1). Whatever the number of orders,
//! the values sum to the score of all players less that of none. The error is estimated from the
//! spread between the pairs.

use super::estimate::Estimate;
use crate::random::Random;

/// `pairs` orders of `players` players, each followed by the same backwards, one after the other.
pub(super) fn orders(players: usize, pairs: usize, random: &mut Random) -> Vec<i64> {
    let mut orders: Vec<i64> = Vec::with_capacity(2 * pairs * players);
    for _ in 0..pairs {
        let mut order: Vec<i64> = (0..players as i64).collect();
        random.shuffle(&mut order);
        orders.extend(&order);
        orders.extend(order.iter().rev());
    }
    orders
}

/// From [`orders`] and what the score gained with every player as it joined.
pub(super) fn estimate(players: usize, orders: &[i64], gains: &[f64]) -> Estimate {
    let of_pair = |(orders, gains): (&[i64], &[f64])| {
        let mut of_player = vec![0.0; players];
        for (&player, gain) in orders.iter().zip(gains) {
            of_player[player as usize] += gain / 2.0;
        }
        of_player
    };
    let pairs = orders.chunks_exact(2 * players).zip(gains.chunks_exact(2 * players));
    Estimate::of_draws(&pairs.map(of_pair).collect::<Vec<_>>())
}

/// From the scores of all coalitions of `players` players: that of a set is the one whose number
/// has the bits of its players.
pub(super) fn exact(players: usize, scores: &[f64]) -> Vec<f64> {
    assert_eq!(scores.len(), 1 << players, "one score a coalition");
    // A set of s others comes before the player in s! (n - s - 1)! of the n! orders.
    let mut weights = vec![1.0 / players.max(1) as f64; players];
    for size in 1..players {
        weights[size] = weights[size - 1] * size as f64 / (players - size) as f64;
    }
    let value = |player: usize| {
        let without = (0..scores.len()).filter(|set| set & (1 << player) == 0);
        without
            .map(|set| {
                weights[set.count_ones() as usize] * (scores[set | (1 << player)] - scores[set])
            })
            .sum()
    };
    (0..players).map(value).collect()
}
