//! From raw maps to what is scored and shown: ReLU, min-max to `[0, 1]`, upsampling, min-max again.

use super::{Estimated, Game};
use crate::image::Size;
use crate::{Error, Result};
use tch::{Kind, TchError, Tensor};

/// Keeps a division by the range of a constant map finite; the value of pytorch-grad-cam.
pub(super) const EPSILON: f64 = 1e-7;

/// Finished maps of a batch, where they were computed: on a GPU they stay there, and what is
/// usually asked of them are a few numbers.
#[derive(Debug)]
pub struct Maps {
    /// (N, rows, columns), f32 in `[0, 1]`, N at least 1.
    tensor: Tensor,
    /// For each picture whether its map shows nothing: its raw map had no positive part, or the
    /// same one everywhere, or one so small that it vanishes beside the normalisation's epsilon, as
    /// the gradient of a saturated probability may. Its maximum is below 1/2 then, as a rule 0, and
    /// 1 otherwise.
    pub flat: Vec<bool>,
    /// For each picture the mean of its map, in `[0, 1]`.
    pub means: Vec<f32>,
    /// How sure the maps are, from a method that estimates channel weights by sampling.
    pub(super) estimated: Option<Estimated>,
    /// The maps before the negative part was cut off, (N, rows, columns) of the same size, in units
    /// of the score a place that was hidden; of methods whose negative values mean something.
    pub signed: Option<Tensor>,
    /// The game of each picture, from a method that plays one.
    pub games: Option<Vec<Game>>,
    /// (N, K): the weights of A's channels of which the raw maps are the sums, from a method that
    /// weighs channels.
    pub weights: Option<Tensor>,
}

impl Maps {
    /// The size of each map.
    pub fn size(&self) -> Size {
        let size = self.tensor.size();
        Size::new(size[2] as u32, size[1] as u32)
    }

    /// All maps, (N, rows, columns), f32 in `[0, 1]`.
    pub fn tensor(&self) -> &Tensor {
        &self.tensor
    }

    /// The maps in the program's own memory: one a picture, row by row.
    ///
    /// # Errors
    /// [`Error::Torch`]: a GPU cannot be read.
    pub fn values(&self) -> Result<Vec<Vec<f32>>> {
        values_of(&self.tensor)
    }

    /// The signed maps likewise, of methods that have them.
    ///
    /// # Errors
    /// As [`Self::values`].
    pub fn signed_values(&self) -> Result<Option<Vec<Vec<f32>>>> {
        self.signed.as_ref().map(values_of).transpose()
    }

    /// The standard error of a picture's channel weights as a share of their norm, from a method
    /// that estimates them by sampling.
    pub fn error(&self, picture: usize) -> Option<f32> {
        self.estimated.as_ref().map(|estimated| estimated.errors[picture])
    }

    /// Of a method that estimates by sampling its finished maps again, (N, rows, columns) each,
    /// from all draws but those of a group, for each group: what is computed of all of them has a
    /// standard error by [`jackknife_error`](crate::stats::jackknife_error).
    ///
    /// # Errors
    /// [`Error::Torch`]: no memory.
    pub fn left_out(&self) -> Result<Vec<Tensor>> {
        let Some(Estimated { left_out, .. }) = &self.estimated else { return Ok(Vec::new()) };
        // All at once: a GPU is read once.
        let finished = Tensor::f_cat(left_out, 0)
            .and_then(|raw| finish(&raw, self.size()))
            .and_then(|maps| maps.tensor.f_split(self.tensor.size()[0], 0));
        finished.map_err(Error::torch("computing activation maps"))
    }

    /// How many of [`Self::left_out`] are the picture's own; 0 where it has no error.
    pub fn groups(&self, picture: usize) -> usize {
        self.estimated.as_ref().map_or(0, |estimated| estimated.groups[picture])
    }
}

/// Maps (N, rows, columns) in the program's own memory: one a picture, row by row.
///
/// # Errors
/// [`Error::Torch`]: a GPU cannot be read.
pub fn values_of(maps: &Tensor) -> Result<Vec<Vec<f32>>> {
    let values = maps.f_flatten(0, -1).and_then(|all| Vec::<f32>::try_from(&all));
    let values = values.map_err(Error::torch("reading activation maps"))?;
    let area = maps.size()[1..].iter().product::<i64>() as usize;
    Ok(values.chunks_exact(area).map(<[f32]>::to_vec).collect())
}

/// ReLU, min-max per picture, bilinear upsampling (half-pixel centres) to `size`, min-max again;
/// `raw` is (N, rows, columns), N at least 1.
///
/// # Errors
/// No memory.
pub fn finish(raw: &Tensor, size: Size) -> Result<Maps, TchError> {
    let _no_grad = tch::no_grad_guard();
    measure(&upsampled(&min_max(&raw.f_relu()?)?, size)?)
}

/// (N, rows, columns) brought to `size`, bilinear with half-pixel centres.
pub(super) fn upsampled(maps: &Tensor, size: Size) -> Result<Tensor, TchError> {
    let shape = [i64::from(size.height), i64::from(size.width)];
    maps.f_unsqueeze(1)?.f_upsample_bilinear2d(shape, false, None, None)?.f_squeeze_dim(1)
}

/// The last step of [`finish`], of maps that have the size they are to have: min-max per picture.
///
/// # Errors
/// No memory.
pub(super) fn measure(large: &Tensor) -> Result<Maps, TchError> {
    let tensor = min_max(large)?;
    let all = tensor.f_flatten(1, -1)?;
    let maxima = all.f_amax([1_i64].as_slice(), false)?.f_to_kind(Kind::Double)?;
    let means = all.f_mean_dim([1_i64].as_slice(), false, Kind::Double)?;
    // Both in one reading.
    let numbers = Vec::<f64>::try_from(&Tensor::f_cat(&[maxima, means], 0)?)?;
    let (maxima, means) = numbers.split_at(numbers.len() / 2);
    let flat = maxima.iter().map(|&maximum| maximum < 0.5).collect();
    Ok(Maps {
        tensor,
        flat,
        means: means.iter().map(|&mean| mean as f32).collect(),
        estimated: None,
        weights: None,
        signed: None,
        games: None,
    })
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
        let values = maps.values().unwrap();
        assert_eq!(values[1], [0.0; 12]);
        // Half-pixel centres: 0, 1/12, 3/12, ... of [0, 1/3, 1] at -1/4, 1/4, 3/4, 5/4, 7/4, 9/4.
        let expected = [0.0, 1.0 / 12.0, 3.0 / 12.0, 0.5, 5.0 / 6.0, 1.0];
        for (at, value) in values[0].iter().enumerate() {
            approx::assert_abs_diff_eq!(*value, expected[at % 6], epsilon = 1e-5);
        }
        approx::assert_abs_diff_eq!(
            maps.means[0],
            expected.iter().sum::<f32>() / 6.0,
            epsilon = 1e-5
        );
        assert_eq!(maps.means[1], 0.0);
    }
}
