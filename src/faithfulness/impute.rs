//! Removed pixels filled in from those that are left: the linear imputation of ROAD (Rong, Leemann,
//! Borisov, Kasneci, Kasneci 2022, section 4.2).
//!
//! Each removed pixel is the weighted mean of its up to eight neighbours, removed or not: weight
//! 1/6 beside, above and below, 1/12 at the corners, divided by their sum at the border. That is
//! one linear equation a removed pixel. Multiplied by that sum, the system is symmetric; it is part
//! of the Laplacian of a connected graph, hence positive definite as soon as one pixel is left. It
//! is solved by conjugate gradients, for the three channels side by side, preconditioned by an
//! incomplete factorisation that keeps row sums (Gustafsson 1978), without which large holes take
//! ten times as many steps.
//!
//! With A = L + D + L' and the factorisation (E + L) E^-1 (E + L'), the conjugate gradients run on
//! (E + L)^-1 A (E + L')^-1, preconditioned by E^-1: the same iterates, but the product with A
//! falls away, since A = (E + L) + (D - 2 E) + (E + L'), and half of the work with it (Eisenstat
//! 1981; Saad 2003, Iterative Methods for Sparse Linear Systems, 2nd edition, section 9.2.2).

use crate::image::Size;
use crate::stats::{PositiveDefinite, conjugate_gradients};
use crate::{Error, Result};
use std::cell::RefCell;

/// The red, green and blue level of a pixel.
pub(super) type RgbLevels = [f64; 3];

/// The four neighbours before a pixel in reading order: (columns, rows, weight). The other four
/// mirror them. Weights are twelve times the paper's.
const BEFORE: [(i64, i64, f64); 4] = [(-1, -1, 1.0), (0, -1, 2.0), (1, -1, 1.0), (-1, 0, 2.0)];

/// The residual, forwards by E + L, must fall below this share of the right side, likewise
/// (2-norm), by channel. Filled levels are then right to 5e-6, less than the network's f32 resolves
/// of a level of 100.
const TOLERANCE: f64 = 1e-8;

/// How much of the row sums the factorisation keeps: all of them can make a pivot vanish.
const KEPT: f64 = 0.97;

/// `picture`, row by row, with every pixel that is `removed` filled in.
///
/// # Errors
/// No pixel is left.
pub(super) fn impute(
    picture: &[RgbLevels],
    size: Size,
    removed: &[bool],
) -> Result<Vec<RgbLevels>> {
    assert_eq!(
        (picture.len(), removed.len()),
        (size.area(), size.area()),
        "one colour and one flag a pixel"
    );
    if removed.iter().all(|&removed| removed) {
        return Err(Error::Numerics("no pixel is left to fill the removed ones in from".into()));
    }
    let system = System::new(picture, size, removed);
    // In exact arithmetic as many steps as unknowns are always enough; some tens are usual.
    let most_steps = system.pixels.len().max(100);
    let mut right = vec![[0.0; 3]; system.right.len()];
    system.forwards(&mut right, |unknown| system.right[unknown]);
    let solution =
        conjugate_gradients(&system, &right, TOLERANCE, most_steps).ok_or_else(|| {
            Error::Numerics(
                "filling in removed pixels did not converge; please report it with the picture"
                    .into(),
            )
        })?;
    let mut colours = right;
    system.backwards(&solution, &mut colours);
    let mut filled = picture.to_vec();
    for (&pixel, colour) in system.pixels.iter().zip(colours) {
        filled[pixel] = colour;
    }
    Ok(filled)
}

/// The equations. Vectors over the unknowns have one entry more, the neighbour that is not there:
/// it is zero in all of them, so that it changes no sum.
struct System {
    /// The removed pixels, in reading order: the unknowns.
    pixels: Vec<usize>,
    /// Per unknown the unknowns among [`BEFORE`].
    before: Vec<[u32; 4]>,
    /// Per unknown those among the mirrored four, in the same order.
    behind: Vec<[u32; 4]>,
    /// Sum of the weights of all neighbours inside the picture.
    diagonal: Vec<f64>,
    /// Per unknown the weighted sum of its neighbours that are left: the right-hand side.
    right: Vec<RgbLevels>,
    /// E, the pivots of the incomplete factorisation; zero for the neighbour that is not there.
    pivots: Vec<f64>,
    /// E^-1.
    inverse_pivots: Vec<f64>,
    /// D - 2 E.
    middle: Vec<f64>,
    /// What [`PositiveDefinite::multiply`] has to remember on its way.
    behind_backwards: RefCell<Vec<RgbLevels>>,
}

impl System {
    fn new(picture: &[RgbLevels], size: Size, removed: &[bool]) -> Self {
        let (width, height) = (i64::from(size.width), i64::from(size.height));
        let pixels: Vec<usize> = (0..removed.len()).filter(|&pixel| removed[pixel]).collect();
        let nobody = pixels.len() as u32;
        let mut number = vec![nobody; removed.len()];
        for (unknown, &pixel) in pixels.iter().enumerate() {
            number[pixel] = unknown as u32;
        }
        let count = pixels.len();
        let mut system = Self {
            before: vec![[nobody; 4]; count],
            behind: vec![[nobody; 4]; count],
            diagonal: vec![0.0; count],
            right: vec![[0.0; 3]; count + 1],
            pivots: Vec::new(),
            inverse_pivots: Vec::new(),
            middle: Vec::new(),
            behind_backwards: RefCell::new(vec![[0.0; 3]; count + 1]),
            pixels,
        };
        for unknown in 0..count {
            let (x, y) =
                (system.pixels[unknown] as i64 % width, system.pixels[unknown] as i64 / width);
            for (at, (right, down, weight)) in BEFORE.into_iter().enumerate() {
                for (sign, neighbours) in
                    [(1, &mut system.before[unknown]), (-1, &mut system.behind[unknown])]
                {
                    let (x, y) = (x + sign * right, y + sign * down);
                    if !(0..width).contains(&x) || !(0..height).contains(&y) {
                        continue;
                    }
                    let pixel = (y * width + x) as usize;
                    system.diagonal[unknown] += weight;
                    if removed[pixel] {
                        neighbours[at] = number[pixel];
                    } else {
                        add(&mut system.right[unknown], [weight; 3], picture[pixel]);
                    }
                }
            }
        }
        system.pivots = system.factorise();
        system.inverse_pivots = system.pivots.iter().map(|pivot| 1.0 / pivot).collect();
        system.middle = system
            .diagonal
            .iter()
            .zip(&system.pivots)
            .map(|(all, pivot)| all - 2.0 * pivot)
            .collect();
        system.pivots.push(0.0);
        system
    }

    /// M = (L + E) E^-1 (E + L') with the matrix's own lower triangle L and pivots E such that
    /// [`KEPT`] of what M adds beside the diagonal is taken off it. Returns E, one entry an
    /// unknown.
    fn factorise(&self) -> Vec<f64> {
        let nobody = self.pixels.len();
        let mut pivots: Vec<f64> = Vec::with_capacity(nobody);
        let behind: Vec<f64> = self
            .behind
            .iter()
            .map(|neighbours| {
                neighbours
                    .iter()
                    .zip(BEFORE)
                    .filter(|&(&at, _)| at as usize != nobody)
                    .map(|(_, (.., w))| w)
                    .sum()
            })
            .collect();
        for unknown in 0..nobody {
            let mut pivot = self.diagonal[unknown];
            for (&at, (.., weight)) in self.before[unknown].iter().zip(BEFORE) {
                let neighbour = at as usize;
                if neighbour != nobody {
                    pivot -= weight * ((1.0 - KEPT) * weight + KEPT * behind[neighbour])
                        / pivots[neighbour];
                }
            }
            pivots.push(pivot);
        }
        pivots
    }

    /// Solves (E + L) x = `right`, forwards. The signs of L are turned: what it multiplies is
    /// added.
    fn forwards(&self, x: &mut [RgbLevels], right: impl Fn(usize) -> RgbLevels) {
        x[self.pixels.len()] = [0.0; 3];
        let mut last = [0.0; 3];
        for unknown in 0..self.pixels.len() {
            last = self.next(unknown, right(unknown), &self.before[unknown], x, last);
            x[unknown] = last;
        }
    }

    /// Solves (E + L') x = `right`, backwards.
    fn backwards(&self, right: &[RgbLevels], x: &mut [RgbLevels]) {
        x[self.pixels.len()] = [0.0; 3];
        let mut last = [0.0; 3];
        for unknown in (0..self.pixels.len()).rev() {
            last = self.next(unknown, right[unknown], &self.behind[unknown], x, last);
            x[unknown] = last;
        }
    }

    /// The value of an unknown from those in the row before, and from `last`, that of the unknown
    /// before, if this is its neighbour. It is handed on directly, and enters last: each value
    /// waits for the one before, which is what takes the time.
    #[inline(always)]
    fn next(
        &self,
        unknown: usize,
        right: RgbLevels,
        neighbours: &[u32; 4],
        x: &[RgbLevels],
        last: RgbLevels,
    ) -> RgbLevels {
        let mut sum = right;
        for (&at, (.., weight)) in neighbours.iter().zip(BEFORE).take(3) {
            add(&mut sum, [weight; 3], x[at as usize]);
        }
        let inverse = self.inverse_pivots[unknown];
        let is_alone = neighbours[3] as usize == self.pixels.len();
        let beside = if is_alone { 0.0 } else { BEFORE[3].2 * inverse };
        std::array::from_fn(|c| sum[c] * inverse + beside * last[c])
    }
}

impl PositiveDefinite<3> for System {
    /// (E + L)^-1 A (E + L')^-1 x = t + (E + L)^-1 (x + (D - 2 E) t) with t = (E + L')^-1 x.
    fn multiply(&self, x: &[RgbLevels], product: &mut [RgbLevels]) -> RgbLevels {
        let mut behind_backwards = self.behind_backwards.borrow_mut();
        self.backwards(x, &mut behind_backwards);
        let t: &[RgbLevels] = &behind_backwards;
        self.forwards(product, |unknown| {
            let mut sum = x[unknown];
            add(&mut sum, [self.middle[unknown]; 3], t[unknown]);
            sum
        });
        let mut along = [0.0; 3];
        for ((product, t), x) in product.iter_mut().zip(t).zip(x) {
            add(product, [1.0; 3], *t);
            add(&mut along, *x, *product);
        }
        along
    }

    /// E times the numbers.
    fn precondition(&self, unknown: usize, numbers: RgbLevels) -> RgbLevels {
        numbers.map(|number| number * self.pivots[unknown])
    }
}

/// Adds `factor` times `value` to `sum`, channel by channel.
fn add(sum: &mut RgbLevels, factor: RgbLevels, value: RgbLevels) {
    for c in 0..3 {
        sum[c] += factor[c] * value[c];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    use proptest::prelude::*;

    /// Random holes of about `share` of the pixels, in patches of `patch` pixels' side.
    fn holes(size: Size, patch: u32, share: f64, random: &mut Random) -> Vec<bool> {
        let across = size.width.div_ceil(patch);
        let patches: Vec<bool> = (0..across * size.height.div_ceil(patch))
            .map(|_| random.uniform(0.0, 1.0) < share)
            .collect();
        let patch_of =
            |pixel: u32| (pixel / size.width / patch) * across + (pixel % size.width) / patch;
        (0..size.area() as u32).map(|pixel| patches[patch_of(pixel) as usize]).collect()
    }

    #[test]
    fn one_pixel_is_the_weighted_mean_of_its_neighbours() {
        let picture: Vec<RgbLevels> =
            (0..9).map(|index| [f64::from(index * index), 1.0, 0.0]).collect();
        let only = |pixel: usize| (0..9).map(|index| index == pixel).collect::<Vec<_>>();
        let filled = impute(&picture, Size::new(3, 3), &only(4)).unwrap();
        let middle = (1.0 + 9.0 + 25.0 + 49.0) / 6.0 + (0.0 + 4.0 + 36.0 + 64.0) / 12.0;
        approx::assert_abs_diff_eq!(filled[4][0], middle, epsilon = 1e-9);
        // A corner has three neighbours: weights 1/6, 1/6, 1/12 of 5/12.
        let corner = impute(&picture, Size::new(3, 3), &only(8)).unwrap()[8];
        approx::assert_abs_diff_eq!(
            corner[0],
            (2.0 * 25.0 + 2.0 * 49.0 + 16.0) / 5.0,
            epsilon = 1e-9
        );
        assert_eq!(corner[2], 0.0);
        assert!(impute(&picture, Size::new(3, 3), &[true; 9]).is_err());
        assert_eq!(impute(&picture, Size::new(3, 3), &[false; 9]).unwrap(), picture);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        /// The equations hold, and no value leaves the range of what is left (maximum principle).
        #[test]
        fn filled_pixels_are_means_of_their_neighbours(
            seed in any::<u64>(), width in 2_u32..40, height in 2_u32..40, patch in 1_u32..9, share in 0.05_f64..0.95,
        ) {
            let (size, mut random) = (Size::new(width, height), Random::new(seed, 0));
            let mut removed = holes(size, patch, share, &mut random);
            removed[(seed % size.area() as u64) as usize] = false;
            let picture: Vec<RgbLevels> =
                (0..size.area()).map(|_| [(); 3].map(|()| random.uniform(-120.0, 130.0))).collect();
            let filled = impute(&picture, size, &removed).unwrap();
            for c in 0..3 {
                let left = || (0..size.area()).filter(|&at| !removed[at]).map(|index| picture[index][c]);
                let (low, high) = (left().fold(f64::MAX, f64::min), left().fold(f64::MIN, f64::max));
                for at in 0..size.area() {
                    let (x, y) = (at as i64 % i64::from(width), at as i64 / i64::from(width));
                    let (mut sum, mut weights) = (0.0, 0.0);
                    for (dx, dy, weight) in BEFORE.into_iter().flat_map(|(x, y, w)| [(x, y, w), (-x, -y, w)]) {
                        if (0..i64::from(width)).contains(&(x + dx)) && (0..i64::from(height)).contains(&(y + dy)) {
                            sum += weight * filled[((y + dy) * i64::from(width) + x + dx) as usize][c];
                            weights += weight;
                        }
                    }
                    let wanted = if removed[at] { sum / weights } else { picture[at][c] };
                    prop_assert!((filled[at][c] - wanted).abs() < 1e-4, "{} {wanted}", filled[at][c]);
                    prop_assert!(filled[at][c] > low - 1e-4 && filled[at][c] < high + 1e-4);
                }
            }
        }
    }
}
