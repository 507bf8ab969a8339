//! Anchors from the shapes of objects: k-means with the distance 1 - IoU (Redmon & Farhadi 2017,
//! section 2).

use super::assign::shape_iou;
use crate::random::Random;

/// Rounds of k-means; it settles within some tens.
const ROUNDS: usize = 100;

/// `count` shapes (width, height) for `shapes`, by rising area; each is the mean of the shapes that
/// it overlaps most.
///
/// # Panics
/// With fewer shapes than anchors: a mistake of the caller.
pub fn cluster(shapes: &[(f32, f32)], count: usize, seed: u64) -> Vec<(f32, f32)> {
    assert!(
        shapes.len() >= count,
        "{count} anchors need as many shapes, there are {}",
        shapes.len()
    );
    let mut random = Random::of_text(seed, "anchors");
    let mut order: Vec<usize> = (0..shapes.len()).collect();
    random.shuffle(&mut order);
    let mut centres: Vec<(f32, f32)> = order[..count].iter().map(|&at| shapes[at]).collect();
    for _ in 0..ROUNDS {
        let mut sums = vec![(0.0_f64, 0.0_f64, 0.0_f64); count];
        for &shape in shapes {
            let nearest = (0..count).fold(0, |best, at| {
                if shape_iou(shape, centres[at]) > shape_iou(shape, centres[best]) {
                    at
                } else {
                    best
                }
            });
            let sum = &mut sums[nearest];
            *sum = (sum.0 + f64::from(shape.0), sum.1 + f64::from(shape.1), sum.2 + 1.0);
        }
        for (centre, (width, height, members)) in
            centres.iter_mut().zip(sums).filter(|(_, sum)| sum.2 > 0.0)
        {
            *centre = ((width / members) as f32, (height / members) as f32);
        }
    }
    centres.sort_by(|a, b| (a.0 * a.1).total_cmp(&(b.0 * b.1)));
    centres
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_kinds_of_shapes_give_their_means() {
        let shapes = [(10.0, 20.0), (12.0, 22.0), (100.0, 50.0), (11.0, 21.0), (110.0, 60.0)];
        let found = cluster(&shapes, 2, 3);
        assert_eq!(found, [(11.0, 21.0), (105.0, 55.0)]);
    }
}
