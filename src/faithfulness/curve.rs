//! Deletion and insertion (Petsiuk, Das, Saenko 2018, RISE, section 4.2): how fast the probability
//! falls when the map's highest pixels go first, and rises when they come first.
//!
//! As in the authors' code, deleted pixels become the network's zero, which is the mean image
//! (black where the model subtracts nothing), and insertion starts from a blurred picture, whose
//! soft edges give less away than a grey canvas's hard ones. Their blur: 11 x 11 Gaussian weights
//! of deviation 5; here the border is mirrored rather than filled with zeros, so that the blurred
//! picture has no frame.

use super::order::part;
use tch::{Kind, TchError, Tensor};

/// Pixels on each side of the blur's centre.
const BLUR_RADIUS: i64 = 5;

/// Standard deviation of the blur, in pixels.
const BLUR_DEVIATION: f64 = 5.0;

/// Red, green, blue.
const CHANNELS: usize = 3;

/// How many of `pixels` are replaced after 0, 1, ... `steps` equal steps.
pub(super) fn counts(pixels: usize, steps: usize) -> Vec<i64> {
    (0..=steps).map(|step| part(pixels, (step, steps))).collect()
}

/// Writes a picture into `changed`: `new` where a pixel's rank is below `count`, else `old`. Of all
/// three the channels of a pixel lie beside each other, row by row; `ranks` has one number a pixel.
pub(super) fn replace(old: &[f32], new: &[f32], ranks: &[i64], count: i64, changed: &mut [f32]) {
    let pixels = changed.chunks_exact_mut(CHANNELS).zip(ranks);
    for ((changed, &rank), (old, new)) in
        pixels.zip(old.chunks_exact(CHANNELS).zip(new.chunks_exact(CHANNELS)))
    {
        changed.copy_from_slice(if rank < count { new } else { old });
    }
}

/// Area under a curve over equally spaced points of `[0, 1]`, by the trapezoid rule.
pub(super) fn area(curve: &[f64]) -> f64 {
    let (first, last) = (curve[0], curve[curve.len() - 1]);
    (curve.iter().sum::<f64>() - (first + last) / 2.0) / (curve.len() - 1) as f64
}

/// (1, 3, rows, columns) blurred, mirrored at its borders (the border pixel itself not repeated).
///
/// # Errors
/// No memory; fewer than six rows or columns.
pub(super) fn blurred(x: &Tensor) -> Result<Tensor, TchError> {
    let weights: Vec<f64> = (-BLUR_RADIUS..=BLUR_RADIUS)
        .map(|index| (-0.5 * (index as f64 / BLUR_DEVIATION).powi(2)).exp())
        .collect();
    let sum: f64 = weights.iter().sum();
    let weights: Vec<f32> = weights.into_iter().map(|weight| (weight / sum) as f32).collect();
    let side = weights.len() as i64;
    let channels = x.size4()?.1;
    let kernel = Tensor::f_from_slice(&weights)?.f_to_device(x.device())?;
    let along = |x: &Tensor, shape: [i64; 4]| {
        let kernel = kernel.f_reshape(shape)?.f_expand([channels, 1, shape[2], shape[3]], false)?;
        x.f_conv2d(&kernel, None::<Tensor>, 1, 0, 1, channels)
    };
    let padded = x.f_reflection_pad2d([BLUR_RADIUS; 4])?;
    along(&along(&padded, [1, 1, side, 1])?, [1, 1, 1, side])?.f_to_kind(Kind::Float)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_by_hand() {
        assert_eq!(area(&[1.0, 0.5, 0.0]), 0.5);
        assert_eq!(area(&[0.25; 7]), 0.25);
        assert_eq!(area(&[0.0, 1.0, 1.0]), 0.75);
    }

    #[test]
    fn steps_are_equal_and_end_with_every_pixel() {
        assert_eq!(counts(10, 4), [0, 3, 5, 8, 10]);
        assert_eq!(counts(51_529, 20)[20], 51_529);
        assert!(
            counts(51_529, 20).windows(2).all(|pair| (2576..=2577).contains(&(pair[1] - pair[0])))
        );
    }

    #[test]
    fn pixels_below_the_count_are_replaced_in_all_channels() {
        let old: Vec<f32> = (0_u8..12).map(f32::from).collect();
        let found = |count| {
            let mut changed = vec![f32::NAN; 12];
            replace(&old, &[-1.0; 12], &[3, 0, 2, 1], count, &mut changed);
            changed
        };
        assert_eq!(found(0), old);
        assert_eq!(found(1), [0.0, 1.0, 2.0, -1.0, -1.0, -1.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0]);
        assert_eq!(found(4), [-1.0; 12]);
    }

    #[test]
    fn a_blur_keeps_what_is_the_same_everywhere() {
        let x = Tensor::full([1, 3, 9, 12], 7.5, (Kind::Float, tch::Device::Cpu));
        let off = (blurred(&x).unwrap() - &x).abs().max().double_value(&[]);
        assert!(off < 1e-5, "{off}");
    }
}
