//! Maps that know nothing of the model: what a method has to beat.

use super::explained::Grid;
use crate::attribution::finish;
use crate::image::Size;
use crate::random::Random;
use crate::{Error, Result};
use tch::Tensor;

/// The Gaussian's standard deviation as a share of each side.
const CENTRE_DEVIATION: f64 = 0.25;

/// Independent uniform numbers at the places of A, finished as every other map: as smooth as a
/// class activation map, so that smoothness alone wins nothing.
///
/// # Errors
/// No memory.
pub(super) fn random(grid: Grid, size: Size, seed: u64) -> Result<Vec<f32>> {
    let mut random = Random::of_text(seed, "random baseline");
    let values: Vec<f32> =
        (0..grid.rows * grid.columns).map(|_| random.uniform(0.0, 1.0) as f32).collect();
    finished(&values, grid, size)
}

/// A Gaussian about the picture's centre: photographers put their subject there.
pub(super) fn centre(size: Size) -> Vec<f32> {
    let bell = |sides: u32| -> Vec<f64> {
        let off = |at: u32| ((f64::from(at) + 0.5) / f64::from(sides) - 0.5) / CENTRE_DEVIATION;
        (0..sides).map(|index| (-0.5 * off(index).powi(2)).exp()).collect()
    };
    let (down, across) = (bell(size.height), bell(size.width));
    down.iter().flat_map(|y| across.iter().map(move |x| (x * y) as f32)).collect()
}

fn finished(values: &[f32], grid: Grid, size: Size) -> Result<Vec<f32>> {
    let raw = Tensor::f_from_slice(values)
        .and_then(|raw| raw.f_reshape([1, grid.rows as i64, grid.columns as i64]))
        .and_then(|raw| finish(&raw, size));
    Ok(raw.map_err(Error::torch("drawing the random baseline"))?.values()?.remove(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_baselines_are_maps_and_depend_on_their_seed_alone() {
        let (grid, size) = (Grid { rows: 4, columns: 3 }, Size::new(31, 22));
        let map = random(grid, size, 7).unwrap();
        assert_eq!(map.len(), 31 * 22);
        assert_eq!(map, random(grid, size, 7).unwrap());
        assert_ne!(map, random(grid, size, 8).unwrap());
        let top = map.iter().copied().fold(0.0, f32::max);
        assert!(map.iter().all(|value| (0.0..=1.0).contains(value)) && top > 0.99);

        let map = centre(size);
        let value = |x: usize, y: usize| map[y * 31 + x];
        assert!(
            value(15, 11) > 0.99 && value(15, 11) > value(10, 11) && value(10, 11) > value(0, 0)
        );
        assert_eq!(value(3, 4), value(27, 17), "it is symmetric");
    }
}
