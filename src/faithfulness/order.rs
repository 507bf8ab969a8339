//! In which order a map gives up its pixels.

/// The rank of each pixel, 0 for the highest value of `map`. Equal values, as in the large zero
/// parts that the ReLU leaves, go by `ties`: the random baseline's map, which favours no side of
/// the picture and removes patches, as the map itself does, rather than scattered pixels. So a map
/// that is flat everywhere is worth exactly what the random baseline is.
///
/// # Panics
/// The maps differ in size: a mistake of the caller.
pub(super) fn ranks(map: &[f32], ties: &[f32]) -> Vec<i64> {
    assert_eq!(map.len(), ties.len(), "both maps are of one picture");
    let mut order: Vec<usize> = (0..map.len()).collect();
    order.sort_unstable_by(|&a, &b| {
        map[b].total_cmp(&map[a]).then(ties[b].total_cmp(&ties[a])).then(a.cmp(&b))
    });
    let mut ranks = vec![0; map.len()];
    for (rank, pixel) in order.into_iter().enumerate() {
        ranks[pixel] = rank as i64;
    }
    ranks
}

/// `share` of `pixels`, as numerator and denominator, rounded to the nearest whole number, halves
/// up.
pub(super) fn part(pixels: usize, (numerator, denominator): (usize, usize)) -> i64 {
    ((2 * pixels * numerator + denominator) / (2 * denominator)) as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn equal_values_go_by_the_other_map_and_then_by_place() {
        assert_eq!(ranks(&[0.0, 1.0, 0.0, 0.0], &[0.1, 0.2, 0.3, 0.1]), [2, 0, 1, 3]);
        assert_eq!(ranks(&[0.5; 3], &[0.0, 2.0, 1.0]), ranks(&[0.0, 2.0, 1.0], &[0.5; 3]));
    }

    proptest! {
        #[test]
        fn ranks_are_a_permutation_that_falls_with_the_map(
            maps in prop::collection::vec((prop::num::f32::NORMAL, 0.0_f32..1.0), 1..60),
        ) {
            let (map, ties): (Vec<f32>, Vec<f32>) = maps.into_iter().unzip();
            let found = ranks(&map, &ties);
            let mut sorted = found.clone();
            sorted.sort_unstable();
            prop_assert!(sorted.iter().enumerate().all(|(at, &rank)| rank == at as i64));
            for a in 0..map.len() {
                for b in 0..map.len() {
                    prop_assert!(map[a] <= map[b] || found[a] < found[b]);
                }
            }
        }
    }
}
