//! Hidden places filled from what is around them, by pulling colours up a pyramid of halved
//! pictures and pushing them down again into the holes (Gortler et al. 1996, "The Lumigraph",
//! section 3.4).

use tch::{Kind, TchError, Tensor};

/// `whole` (N, channels, rows, columns) where `shown` (N, 1, rows, columns) says so; elsewhere the
/// mean colour of what is shown nearby, the nearer the finer. Where nothing is shown at all, the
/// mean of the whole picture.
pub(super) fn fill(whole: &Tensor, shown: &Tensor) -> Result<Tensor, TchError> {
    let weight = shown.f_to_kind(Kind::Float)?;
    let mean = whole.f_mean_dim([2_i64, 3].as_slice(), true, Kind::Float)?;
    // Colours are taken less the mean, so that nothing is the mean. A place is shown or not: those
    // that are not take all of their colour from the level above.
    let colour = whole.f_sub(&mean)?.f_mul(&weight)?;
    let (.., rows, columns) = weight.size4()?;
    let above = pulled(&halved(&colour)?, &halved(&weight)?)?;
    let around = above.f_upsample_bilinear2d([rows, columns], false, None, None)?.f_add(&mean)?;
    whole.f_where_self(shown, &around)
}

/// Means of two by two places.
fn halved(x: &Tensor) -> Result<Tensor, TchError> {
    x.f_avg_pool2d([2, 2], [2, 2], [0, 0], true, false, None::<i64>)
}

/// `colour`, already times `weight`, where the weight is 1; elsewhere from the level above.
fn pulled(colour: &Tensor, weight: &Tensor) -> Result<Tensor, TchError> {
    let (.., rows, columns) = weight.size4()?;
    // Half of a pixel of weight counts as half shown.
    let own = colour.f_div(&weight.f_clamp_min(f64::from(f32::MIN_POSITIVE))?)?;
    if rows.max(columns) == 1 {
        return own.f_mul(&weight.f_gt(0.0)?);
    }
    let above = pulled(&halved(colour)?, &halved(weight)?)?;
    let above = above.f_upsample_bilinear2d([rows, columns], false, None, None)?;
    // A pixel that is shown for the most part has its own colour, the others are filled up from
    // above.
    let share = weight.f_clamp_max(1.0)?;
    own.f_mul(&share)?.f_add(&above.f_mul(&share.f_neg()?.f_add_scalar(1.0)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    #[test]
    fn what_is_shown_stays_and_a_plain_colour_fills_every_hole() {
        let options = (Kind::Float, Device::Cpu);
        let whole = Tensor::ones([1, 3, 37, 52], options) * 0.25;
        let noisy = whole.copy();
        let _ = noisy.narrow(2, 5, 9).narrow(3, 20, 14).fill_(9.0);
        let shown = Tensor::ones([1, 1, 37, 52], (Kind::Bool, Device::Cpu));
        let _ = shown.narrow(2, 5, 9).narrow(3, 20, 14).fill_(0.0);
        let found = fill(&noisy, &shown).unwrap();
        let worst = f64::try_from((&found - &whole).abs().max()).unwrap();
        assert!(worst < 1e-5, "{worst:e}");
    }

    #[test]
    fn a_picture_of_which_nothing_is_shown_is_its_mean() {
        tch::manual_seed(3);
        let whole = Tensor::rand([2, 3, 20, 30], (Kind::Float, Device::Cpu));
        let nothing = Tensor::zeros([2, 1, 20, 30], (Kind::Bool, Device::Cpu));
        let found = fill(&whole, &nothing).unwrap();
        let mean = whole.mean_dim([2_i64, 3].as_slice(), true, Kind::Float);
        assert!(f64::try_from((found - mean).abs().max()).unwrap() < 1e-6);
        let all = nothing.logical_not();
        assert_eq!(fill(&whole, &all).unwrap(), whole);
    }
}
