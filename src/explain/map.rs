//! From raw maps to what is scored and shown: ReLU, min-max to `[0, 1]`, upsampling, min-max again.

use crate::image::Size;
use tch::{Kind, TchError, Tensor};

/// Keeps a division by the range of a constant map finite; the value of pytorch-grad-cam.
const EPSILON: f64 = 1e-7;

/// Finished maps of a batch.
#[derive(Debug)]
pub struct Maps {
    /// Size of each map.
    pub size: Size,
    /// One map a picture, row by row, in `[0, 1]`.
    pub values: Vec<Vec<f32>>,
    /// Whether a map shows nothing: its raw map had no positive part, or the same one everywhere, or one so small that it
    /// vanishes beside the normalisation's epsilon, as the gradient of a saturated probability may. Its maximum is below
    /// 1/2 then, as a rule 0, and 1 otherwise.
    pub flat: Vec<bool>,
    /// Standard error of the channel weights as a share of their norm, from a method that estimates them by sampling.
    pub errors: Option<Vec<f32>>,
    /// The same values once more where they were computed, (N, rows, columns), if that is a GPU: for what is faster there.
    pub on_device: Option<Tensor>,
}

impl Maps {
    /// Those of the first `count` pictures.
    pub fn first(mut self, count: usize) -> Self {
        self.values.truncate(count);
        self.flat.truncate(count);
        self.on_device = None;
        if let Some(errors) = &mut self.errors {
            errors.truncate(count);
        }
        self
    }

    /// Adds the maps of more pictures by the same method.
    pub fn append(&mut self, mut more: Self) {
        self.values.append(&mut more.values);
        self.flat.append(&mut more.flat);
        self.on_device = None;
        if let (Some(errors), Some(mut more)) = (&mut self.errors, more.errors) {
            errors.append(&mut more);
        }
    }
}

/// ReLU, min-max per picture, bilinear upsampling (half-pixel centres) to `size`, min-max again; `raw` is
/// (N, rows, columns).
///
/// # Errors
/// No memory.
pub fn finish(raw: &Tensor, size: Size) -> Result<Maps, TchError> {
    let _no_grad = tch::no_grad_guard();
    let small = min_max(&raw.f_relu()?)?;
    let shape = [i64::from(size.height), i64::from(size.width)];
    let large = small.f_unsqueeze(1)?.f_upsample_bilinear2d(shape, false, None, None)?.f_squeeze_dim(1)?;
    let large = min_max(&large)?;
    let on_device = large.device().is_cuda().then(|| large.shallow_clone());
    let values = Vec::<f32>::try_from(&large.f_to_device(tch::Device::Cpu)?.f_flatten(0, -1)?)?;
    let values: Vec<Vec<f32>> = values.chunks_exact(size.area()).map(<[f32]>::to_vec).collect();
    let flat = values.iter().map(|map| map.iter().all(|&value| value < 0.5)).collect();
    Ok(Maps { size, values, flat, errors: None, on_device })
}

/// (x - min) / (max - min + epsilon) per picture.
fn min_max(maps: &Tensor) -> Result<Tensor, TchError> {
    let shifted = maps.f_sub(&maps.f_amin([1_i64, 2].as_slice(), true)?)?;
    let range = shifted.f_amax([1_i64, 2].as_slice(), true)?.f_to_kind(Kind::Float)?;
    shifted.f_div(&range.f_add_scalar(EPSILON)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_by_hand_and_a_map_of_nothing() {
        let raw = Tensor::from_slice(&[-1.0_f32, 1.0, 3.0, -5.0, -5.0, -5.0]).reshape([2, 1, 3]);
        let maps = finish(&raw, Size::new(6, 2)).unwrap();
        assert_eq!(maps.flat, [false, true]);
        assert_eq!(maps.values[1], [0.0; 12]);
        // Half-pixel centres: 0, 1/12, 3/12, ... of [0, 1/3, 1] at -1/4, 1/4, 3/4, 5/4, 7/4, 9/4.
        let expected = [0.0, 1.0 / 12.0, 3.0 / 12.0, 0.5, 5.0 / 6.0, 1.0];
        for (at, value) in maps.values[0].iter().enumerate() {
            approx::assert_abs_diff_eq!(*value, expected[at % 6], epsilon = 1e-5);
        }
    }
}
