//! What becomes of the probability when the network sees only what the map shows: the picture
//! multiplied by the map.
//!
//! The product is taken at the network's input (levels less the mean image), as in
//! pytorch-grad-cam's `CamMultImageConfidenceChange`: where the map is 0, the network sees the mean
//! image (black where the model subtracts nothing).

/// Writes a picture into `shown`: `input`, the channels of a pixel beside each other, row by row,
/// times `map`, which has one number a pixel.
pub(super) fn multiply(input: &[f32], map: &[f32], shown: &mut [f32]) {
    for ((shown, input), &map) in shown.chunks_exact_mut(3).zip(input.chunks_exact(3)).zip(map) {
        for (shown, input) in shown.iter_mut().zip(input) {
            *shown = input * map;
        }
    }
}

/// The share of the probability `whole` that is lost where `shown` is what is left: average drop
/// (Chattopadhyay, Sarkar, Howlader, Balasubramanian 2018, section 4.1). Undefined where there is
/// nothing to lose.
pub(super) fn drop(whole: f64, shown: f64) -> Option<f64> {
    (whole > 0.0).then(|| (whole - shown).max(0.0) / whole)
}

/// The share won of what `whole` lacks to 1: average gain (Zhang, Torres, Sicre, Avrithis, Ayache
/// 2024, Opti-CAM). Undefined where nothing is lacking.
pub(super) fn gain(whole: f64, shown: f64) -> Option<f64> {
    (whole < 1.0).then(|| (shown - whole).max(0.0) / (1.0 - whole))
}

/// 1 where the probability rises, else 0: the mean is the increase in confidence (Chattopadhyay et
/// al. 2018).
pub(super) fn increase(whole: f64, shown: f64) -> f64 {
    f64::from(u8::from(shown > whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drop_gain_and_increase_by_hand_and_at_the_ends() {
        assert_eq!(
            (drop(0.5, 0.125), gain(0.5, 0.125), increase(0.5, 0.125)),
            (Some(0.75), Some(0.0), 0.0)
        );
        assert_eq!(
            (drop(0.5, 0.75), gain(0.5, 0.75), increase(0.5, 0.75)),
            (Some(0.0), Some(0.5), 1.0)
        );
        assert_eq!((drop(0.0, 0.5), gain(1.0, 1.0), increase(1.0, 1.0)), (None, None, 0.0));
    }
}
