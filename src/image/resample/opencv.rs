//! OpenCV's `cv2.resize(..., interpolation=cv2.INTER_LINEAR)` of 8-bit images, bit for bit.
//!
//! In: an [`Rgb8`] of any size with an area. Out: one of the size asked for, equal to that of
//! OpenCV 4.10 and 5.0 on x86-64 (checked by digest, `scripts/reference/yolo_torchscript_small.py`;
//! OpenCV's builds for ARM may use other kernels). Output pixel `i` lies at `(i + 0.5) * from /
//! to - 0.5` among the input's pixels and is mixed of the two on either side of it: there is no
//! antialiasing, an image that shrinks is sampled. The arithmetic is part of the result: positions
//! in `f32`, weights with 11 fraction bits, 4 bits dropped between the rows and the columns. An
//! image that shrinks to exactly half of both sides is averaged over 2 x 2 pixels, as OpenCV does.

use crate::image::{Rgb8, Size};

/// Weights are multiples of `1 / WEIGHT_ONE` (OpenCV's `INTER_RESIZE_COEF_SCALE`).
const WEIGHT_ONE: f32 = 2048.0;

/// One output of one axis: the two inputs it is mixed of, and their weights, which sum to
/// [`WEIGHT_ONE`].
#[derive(Debug, Clone, Copy)]
struct Mixed {
    inputs: [usize; 2],
    weights: [i32; 2],
}

/// `image` in the size `output`.
///
/// # Panics
/// If `image` or `output` has no area.
pub fn resize_linear(image: &Rgb8, output: Size) -> Rgb8 {
    let input = image.size();
    assert!(
        input.area() > 0 && output.area() > 0,
        "an image of {input} cannot be resized to {output}"
    );
    if input == output {
        return image.clone();
    }
    if (u64::from(input.width), u64::from(input.height))
        == (2 * u64::from(output.width), 2 * u64::from(output.height))
    {
        return halved(image, output);
    }
    let columns = axis(input.width, output.width, true);
    let mut rows =
        MixedRows { image, columns: &columns, kept: [const { (usize::MAX, Vec::new()) }; 2] };
    let mut data = Vec::with_capacity(3 * output.area());
    for Mixed { inputs: [upper, lower], weights: [over, under] } in
        axis(input.height, output.height, false)
    {
        let [upper, lower] = rows.pair(upper, lower);
        data.extend(upper.iter().zip(lower).map(|(&upper, &lower)| {
            let sum = (((upper >> 4) * over) >> 16) + (((lower >> 4) * under) >> 16);
            ((sum + 2) >> 2) as u8
        }));
    }
    Rgb8::new(output, data)
}

/// How the outputs of an axis of `output` pixels are mixed of `input` pixels. Beyond the first and
/// last input OpenCV sets the weight of a column's only input to one (`clamped`), but adds both
/// weights of a row's, which rounds otherwise.
fn axis(input: u32, output: u32, clamped: bool) -> Vec<Mixed> {
    let scale = 1.0 / (f64::from(output) / f64::from(input));
    let last = i64::from(input) - 1;
    let mixed = |index: u32| {
        let position = ((f64::from(index) + 0.5) * scale - 0.5) as f32;
        let mut before = position.floor() as i64;
        let mut share = position - before as f32;
        if clamped && (before < 0 || before >= last) {
            (before, share) = (before.clamp(0, last), 0.0);
        }
        let inputs = [before, before + 1].map(|place| place.clamp(0, last) as usize);
        let weights =
            [1.0 - share, share].map(|weight| (weight * WEIGHT_ONE).round_ties_even() as i32);
        Mixed { inputs, weights }
    };
    (0..output).map(mixed).collect()
}

/// The input's rows after their columns are mixed, in units of `1 / WEIGHT_ONE`, of which the last
/// two are kept: neighbouring outputs need the same ones.
struct MixedRows<'a> {
    image: &'a Rgb8,
    columns: &'a [Mixed],
    kept: [(usize, Vec<i32>); 2],
}

impl MixedRows<'_> {
    /// The mixed rows of the two input rows.
    fn pair(&mut self, upper: usize, lower: usize) -> [&[i32]; 2] {
        if self.kept[1].0 == upper {
            self.kept.swap(0, 1);
        }
        self.fill(0, upper);
        if upper == lower {
            return [&self.kept[0].1; 2];
        }
        self.fill(1, lower);
        [&self.kept[0].1, &self.kept[1].1]
    }

    /// Mixes the input's row `number` into a place, unless it is there.
    fn fill(&mut self, place: usize, number: usize) {
        let (known, mixed) = &mut self.kept[place];
        if *known == number {
            return;
        }
        let stride = 3 * self.image.size().width as usize;
        let row = &self.image.data()[number * stride..][..stride];
        mixed.clear();
        for &Mixed { inputs: [left, right], weights } in self.columns {
            let [left, right] = [left, right].map(|column| &row[3 * column..][..3]);
            mixed.extend((0..3).map(|channel| {
                i32::from(left[channel]) * weights[0] + i32::from(right[channel]) * weights[1]
            }));
        }
        *known = number;
    }
}

/// The mean of 2 x 2 pixels, rounded half up.
fn halved(image: &Rgb8, output: Size) -> Rgb8 {
    let stride = 3 * image.size().width as usize;
    let mut data = Vec::with_capacity(3 * output.area());
    for rows in image.data().chunks_exact(2 * stride) {
        let (upper, lower) = rows.split_at(stride);
        for (upper, lower) in upper.chunks_exact(6).zip(lower.chunks_exact(6)) {
            data.extend((0..3).map(|channel| {
                let sum: u16 =
                    [upper[channel], upper[channel + 3], lower[channel], lower[channel + 3]]
                        .into_iter()
                        .map(u16::from)
                        .sum();
                ((sum + 2) >> 2) as u8
            }));
        }
    }
    Rgb8::new(output, data)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::sha256;

    /// The image of `picture` in `scripts/reference/yolo_torchscript_small.py`: every byte from its
    /// place alone.
    fn picture(size: Size) -> Rgb8 {
        let Size { width, height } = size;
        let byte = |x: u32, y: u32, channel: u32| {
            let place = x
                .wrapping_mul(2_654_435_761)
                .wrapping_add(y.wrapping_mul(40_503))
                .wrapping_add(channel * 977);
            (place.wrapping_mul(place | 1) >> 24) as u8
        };
        let data = (0..height)
            .flat_map(|y| (0..width).flat_map(move |x| (0..3).map(move |c| byte(x, y, c))))
            .collect();
        Rgb8::new(size, data)
    }

    #[test]
    fn the_bytes_are_opencvs() {
        let reference =
            include_str!("../../../tests/reference/yolo_torchscript/opencv_resize.json");
        let cases: Vec<serde_json::Value> = serde_json::from_str(reference).unwrap();
        assert!(cases.len() >= 12);
        for case in cases {
            let size = |key: &str| {
                Size::new(
                    case[key][0].as_u64().unwrap() as u32,
                    case[key][1].as_u64().unwrap() as u32,
                )
            };
            let resized = resize_linear(&picture(size("input")), size("output"));
            assert_eq!(resized.size(), size("output"));
            assert_eq!(sha256(resized.data()), case["sha256"].as_str().unwrap(), "{case}");
        }
    }

    #[test]
    fn a_plain_image_stays_plain() {
        for (input, output) in
            [((7, 5), (20, 3)), ((1, 1), (9, 4)), ((50, 80), (25, 40)), ((300, 2), (1, 1))]
        {
            let image = Rgb8::filled(Size::new(input.0, input.1), [255, 0, 114]);
            let resized = resize_linear(&image, Size::new(output.0, output.1));
            assert!(
                resized.data().chunks_exact(3).all(|pixel| pixel == [255, 0, 114]),
                "{input:?} -> {output:?}"
            );
        }
    }
}
