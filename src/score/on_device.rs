//! Scores of maps that lie on a GPU, where they lie: the two matrices as products, running sums in f64, and one reading of
//! numbers for all maps of an image.

use super::{Bands, BoxScore, Rectangle, Scorer};
use crate::image::BoundingBox;
use tch::{Device, Kind, TchError, Tensor};

/// What [`super::PlacedMap::score`] says of every map in `maps`, (M, rows, columns), f32, on any device: for each of the M one
/// score a box, which are in pixels of the canvas. Differs from it by rounding in f32.
///
/// # Errors
/// Maps of another size than the scorer's, or no memory.
pub fn scores_on_device(scorer: &Scorer, maps: &Tensor, boxes: &[BoundingBox]) -> Result<Vec<Vec<BoxScore>>, TchError> {
    let count = maps.size()[0] as usize;
    if boxes.is_empty() {
        return Ok(vec![Vec::new(); count]);
    }
    let _no_grad = tch::no_grad_guard();
    let rows = dense(&scorer.rows, scorer.map.height, maps.device())?;
    let columns = dense(&scorer.columns, scorer.map.width, maps.device())?;
    let placed = rows.f_matmul(maps)?.f_matmul(&columns.f_transpose(0, 1)?)?;
    // Sums over rectangles from the upper left corner, with a first row and column of zeros.
    let sums = placed.f_to_kind(Kind::Double)?.f_cumsum(1, Kind::Double)?.f_cumsum(2, Kind::Double)?;
    let sums = sums.f_constant_pad_nd([1, 0, 1, 0])?.f_flatten(1, 2)?;

    let of: Vec<Rectangle> = boxes.iter().map(|on_canvas| Rectangle::of(scorer.letterbox, on_canvas)).collect();
    let stride = scorer.columns.len() + 1;
    let last = (scorer.rows.len() + 1) * stride - 1;
    let places = of.iter().flat_map(|rectangle| rectangle.corners(stride)).chain([last]);
    let places: Vec<i64> = places.map(|at| at as i64).collect();
    let at_corners = sums.f_index_select(1, &Tensor::f_from_slice(&places)?.f_to_device(maps.device())?)?;
    let maxima = of.iter().map(|rectangle| maximum(&placed, rectangle)).collect::<Result<Vec<_>, _>>()?;
    let maxima = Tensor::f_stack(&maxima, 1)?.f_to_kind(Kind::Double)?;
    let numbers = Tensor::f_cat(&[at_corners, maxima], 1)?.f_to_device(Device::Cpu)?;
    let numbers = Vec::<f64>::try_from(&numbers.f_flatten(0, -1)?)?;
    let of_map = |numbers: &[f64]| {
        let (corners, maxima) = numbers.split_at(places.len());
        let (corners, total) = (&corners[..4 * of.len()], corners[4 * of.len()]);
        let corners = corners.as_chunks::<4>().0;
        let each = of.iter().zip(corners).zip(maxima);
        each.map(|((rectangle, &corners), &max)| rectangle.score(corners, total, max as f32)).collect()
    };
    Ok(numbers.chunks_exact(places.len() + of.len()).map(of_map).collect())
}

/// Per map the maximum in the rectangle, (M).
fn maximum(placed: &Tensor, of: &Rectangle) -> Result<Tensor, TchError> {
    if of.is_empty() {
        return Tensor::f_full([placed.size()[0]], f64::NEG_INFINITY, (Kind::Float, placed.device()));
    }
    let inside = placed.f_narrow(1, of.rows.start as i64, of.rows.len() as i64)?;
    let inside = inside.f_narrow(2, of.columns.start as i64, of.columns.len() as i64)?;
    inside.f_amax([1_i64, 2].as_slice(), false)
}

/// The bands as a matrix, (outputs, inputs), f32.
fn dense(bands: &Bands, inputs: u32, device: Device) -> Result<Tensor, TchError> {
    let inputs = inputs as usize;
    let mut values = vec![0.0_f32; bands.len() * inputs];
    for ((start, weights), row) in bands.iter().zip(values.chunks_exact_mut(inputs)) {
        row[*start..*start + weights.len()].iter_mut().zip(weights).for_each(|(to, weight)| *to = *weight as f32);
    }
    Tensor::f_from_slice(&values)?.f_reshape([bands.len() as i64, inputs as i64])?.f_to_device(device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Letterbox, Size};
    use crate::random::Random;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn tensors_say_what_the_processor_says(
            width in 1..300_u32, height in 1..300_u32,
            boxes in prop::collection::vec((-20f32..120.0, -20f32..100.0, 0f32..150.0, 0f32..150.0), 0..9), seed in 0..99_u64,
        ) {
            let (canvas, size) = (Size::new(96, 64), Size::new(23, 19));
            let scorer = Scorer::new(Letterbox::fit(Size::new(width, height), canvas), size);
            let mut random = Random::new(seed, 0);
            let maps: Vec<f32> = (0..3 * size.area()).map(|_| random.uniform(0.0, 1.0) as f32).collect();
            // One of them shows nothing.
            let maps: Vec<f32> = maps.into_iter().enumerate().map(|(at, v)| if at < size.area() { 0.0 } else { v }).collect();
            let boxes: Vec<BoundingBox> =
                boxes.into_iter().map(|(x, y, w, h)| BoundingBox::new(x, y, x + w, y + h)).collect();
            let tensor = Tensor::from_slice(&maps).reshape([3, 19, 23]);
            let found = scores_on_device(&scorer, &tensor, &boxes).unwrap();
            prop_assert_eq!(found.len(), 3);
            for (map, found) in maps.chunks_exact(size.area()).zip(found) {
                let placed = scorer.place(map);
                prop_assert_eq!(found.len(), boxes.len());
                for (on_canvas, found) in boxes.iter().zip(found) {
                    let expected = placed.score(on_canvas);
                    for (a, b) in <[f32; 3]>::from(found).into_iter().zip(<[f32; 3]>::from(expected)) {
                        prop_assert!((a - b).abs() < 3e-6, "{found:?} {expected:?}");
                    }
                }
            }
        }
    }
}
