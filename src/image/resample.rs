//! Pillow's antialiased resampling, bit for bit.
//!
//! The published preprocessing is Pillow's `Image.resize`, whose filters are wider than one source
//! pixel when an image shrinks, and whose 8-bit arithmetic is part of the result: coefficients in
//! fixed point, rows first, rounded and clipped to `u8` before the columns. In: an [`Rgb8`] of any
//! size with an area. Out: one of the size asked for, equal to that of Pillow 10 to 12 (checked by
//! digest, `scripts/reference/pillow_resize.py`). Pillow 13 takes the columns first where the
//! height is reduced much more than the width; the paper is older, so its order is kept.
//! Letterboxes reduce both sides alike and are the same in every version.
//!
//! [`KeptResize`] keeps what [`resize`] computes on the way, so that a part of the image can be
//! changed for the price of that part. [`taps`] gives the same filter as real numbers: what Pillow
//! does to an image of mode "F".

#[cfg(target_arch = "x86_64")]
mod avx2;
mod kept;
mod opencv;

pub use kept::KeptResize;
pub use opencv::resize_linear;

use super::{Rgb8, Size};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Fraction bits of the coefficients (Pillow's `PRECISION_BITS`): 32 less 8 for the pixel and 2 for
/// the overshoot of the bicubic filter and the sign.
const FRACTION_BITS: u32 = 32 - 8 - 2;

/// One half, so that the shift down to 8 bits rounds.
const HALF: i32 = 1 << (FRACTION_BITS - 1);

/// Weights are stored in groups of this many, so that the vector kernel never sees a part of a
/// group.
const GROUP: usize = 4;

/// Pillow's filters of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Filter {
    /// Triangle, one source pixel to each side (more when the image shrinks).
    Bilinear,
    /// Keys' cubic convolution with a = -0.5, two source pixels to each side (more when the image
    /// shrinks).
    Bicubic,
}

impl Filter {
    /// Half the filter's width, in source pixels when the image grows, in output pixels when it
    /// shrinks.
    fn support(self) -> f64 {
        match self {
            Self::Bilinear => 1.0,
            Self::Bicubic => 2.0,
        }
    }

    /// The filter's value at distance `x`. The order of the operations is Pillow's: the last bit
    /// counts.
    fn value(self, x: f64) -> f64 {
        const A: f64 = -0.5;
        let x = x.abs();
        match self {
            Self::Bilinear if x < 1.0 => 1.0 - x,
            Self::Bicubic if x < 1.0 => ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0,
            Self::Bicubic if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * A,
            _ => 0.0,
        }
    }
}

/// One axis of a resize as a sparse linear operator: output `i` is the sum over `j` of
/// `weights[j] * input[first + j]`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Taps {
    /// First input index and number of weights, per output.
    spans: Vec<(usize, usize)>,
    /// All weights, output after output.
    weights: Vec<f64>,
}

impl Taps {
    /// Per output, in order: the first input index, and the weights of it and its successors. Those
    /// of a resize sum to 1.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (usize, &[f64])> {
        let mut at = 0;
        self.spans.iter().map(move |&(first, count)| {
            let weights = &self.weights[at..at + count];
            at += count;
            (first, weights)
        })
    }

    /// How many outputs there are.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Adds an output: its first input and the weights from there on.
    pub fn push(&mut self, first: usize, weights: &[f64]) {
        self.spans.push((first, weights.len()));
        self.weights.extend_from_slice(weights);
    }

    /// Applies the operator to one line of real numbers.
    ///
    /// # Panics
    /// If `line` is not as long as the `from` the taps were made for.
    pub fn apply(&self, line: &[f64]) -> Vec<f64> {
        let dot = |(first, weights): (usize, &[f64])| {
            line[first..first + weights.len()]
                .iter()
                .zip(weights)
                .map(|(value, weight)| value * weight)
                .sum()
        };
        self.iter().map(dot).collect()
    }
}

/// The weights with which Pillow resizes an axis of `from` pixels to `to` pixels.
///
/// # Panics
/// If `from` or `to` is 0.
pub fn taps(from: u32, to: u32, filter: Filter) -> Taps {
    taps_of(from, to, 0..to, filter)
}

/// [`taps`] of these outputs alone: an axis that becomes very long and of which little is looked at
/// costs that little.
pub(crate) fn taps_of(from: u32, to: u32, outputs: Range<u32>, filter: Filter) -> Taps {
    assert!(from > 0 && to > 0, "an axis of {from} pixels cannot become one of {to}");
    let scale = f64::from(from) / f64::from(to);
    let stretch = scale.max(1.0);
    let support = filter.support() * stretch;
    let inverse = 1.0 / stretch;
    let mut taps = Taps { spans: Vec::with_capacity(outputs.len()), weights: Vec::new() };
    for output in outputs {
        let center = (f64::from(output) + 0.5) * scale;
        // Truncation after adding a half, as C casts do.
        let first = (center - support + 0.5).max(0.0) as usize;
        let end = ((center + support + 0.5) as usize).min(from as usize);
        let start = taps.weights.len();
        taps.weights.extend(
            (first..end).map(|input| filter.value((input as f64 - center + 0.5) * inverse)),
        );
        let weights = &mut taps.weights[start..];
        let sum: f64 = weights.iter().sum();
        if sum != 0.0 {
            weights.iter_mut().for_each(|weight| *weight /= sum);
        }
        taps.spans.push((first, end - first));
    }
    taps
}

/// [`Taps`] in fixed point. Each output has `stride` weights, zeros after the last that counts.
#[derive(Debug)]
struct FixedTaps {
    spans: Vec<(usize, usize)>,
    stride: usize,
    weights: Vec<i32>,
}

impl FixedTaps {
    fn new(taps: &Taps) -> Self {
        let longest = taps.spans.iter().map(|&(_, count)| count).max().unwrap_or(0);
        let stride = longest.next_multiple_of(GROUP);
        let mut weights = vec![0; stride * taps.spans.len()];
        for (fixed, (_, real)) in weights.chunks_exact_mut(stride).zip(taps.iter()) {
            for (fixed, &real) in fixed.iter_mut().zip(real) {
                // Away from zero at halves, by truncation: Pillow's rounding.
                *fixed = (real * f64::from(1 << FRACTION_BITS) + 0.5_f64.copysign(real)) as i32;
            }
        }
        Self { spans: taps.spans.clone(), stride, weights }
    }

    /// The outputs that a change of these inputs may change. First inputs and last inputs ascend
    /// with the outputs.
    fn touching(&self, inputs: &Range<usize>) -> Range<usize> {
        let start = self.spans.partition_point(|&(first, count)| first + count <= inputs.start);
        start..self.spans.partition_point(|&(first, _)| first < inputs.end).max(start)
    }

    /// The inputs that these outputs, at least one, are made of.
    fn sources(&self, outputs: &Range<usize>) -> Range<usize> {
        let (last, count) = self.spans[outputs.end - 1];
        self.spans[outputs.start].0..last + count
    }

    /// The taps of these outputs alone, inputs counted from `origin`.
    fn part(&self, outputs: &Range<usize>, origin: usize) -> Self {
        let spans = self.spans[outputs.clone()]
            .iter()
            .map(|&(first, count)| (first - origin, count))
            .collect();
        let weights = self.weights[self.stride * outputs.start..self.stride * outputs.end].to_vec();
        Self { spans, stride: self.stride, weights }
    }

    /// Per output: first input index and the weights that count.
    fn iter(&self) -> impl Iterator<Item = (usize, &[i32])> {
        self.spans
            .iter()
            .zip(self.weights.chunks_exact(self.stride))
            .map(|(&(first, n), w)| (first, &w[..n]))
    }
}

/// Which code does the arithmetic; the bytes are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kernel {
    /// Plain Rust for any processor.
    Portable,
    /// 256-bit integer vectors of x86-64, where the processor has them.
    #[cfg(target_arch = "x86_64")]
    Avx2(avx2::Token),
}

impl Kernel {
    fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        if let Some(token) = avx2::Token::detect() {
            return Self::Avx2(token);
        }
        Self::Portable
    }

    fn rows(self, source: &[u8], width: usize, taps: &FixedTaps, out: &mut [u8]) {
        match self {
            Self::Portable => rows(source, width, taps, out),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(token) => token.rows(source, width, taps, out),
        }
    }

    fn columns(self, source: &[u8], row_bytes: usize, taps: &FixedTaps, out: &mut [u8]) {
        match self {
            Self::Portable => columns(source, row_bytes, taps, out),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(token) => token.columns(source, row_bytes, taps, out),
        }
    }
}

/// Resizes as Pillow's `image.resize((to.width, to.height), filter)` does, to the last bit. A side
/// that does not change is not touched.
///
/// # Panics
/// If `image` or `to` has no pixels.
pub fn resize(image: &Rgb8, to: Size, filter: Filter) -> Rgb8 {
    resize_with(Kernel::detect(), image, to, filter)
}

fn resize_with(kernel: Kernel, image: &Rgb8, to: Size, filter: Filter) -> Rgb8 {
    let original = image.size();
    assert!(
        original.area() > 0 && to.area() > 0,
        "an image of {original} cannot become one of {to}"
    );
    let widened = (to.width != original.width).then(|| {
        let size = Size::new(to.width, original.height);
        let mut data = vec![0; 3 * size.area()];
        let taps = FixedTaps::new(&taps(original.width, to.width, filter));
        kernel.rows(image.data(), original.width as usize, &taps, &mut data);
        Rgb8::new(size, data)
    });
    if to.height == original.height {
        return widened.unwrap_or_else(|| image.clone());
    }
    let mut data = vec![0; 3 * to.area()];
    let taps = FixedTaps::new(&taps(original.height, to.height, filter));
    kernel.columns(
        widened.as_ref().unwrap_or(image).data(),
        3 * to.width as usize,
        &taps,
        &mut data,
    );
    Rgb8::new(to, data)
}

/// A sum of products back to 8 bits.
#[inline(always)]
fn to_u8(sum: i32) -> u8 {
    (sum >> FRACTION_BITS).clamp(0, 255) as u8
}

/// Resizes every row; `width` is the source's, `out` has as many rows.
fn rows(source: &[u8], width: usize, taps: &FixedTaps, out: &mut [u8]) {
    for (row, out) in source.chunks_exact(3 * width).zip(out.chunks_exact_mut(3 * taps.spans.len()))
    {
        for ((first, weights), pixel) in taps.iter().zip(out.chunks_exact_mut(3)) {
            let (mut red, mut green, mut blue) = (HALF, HALF, HALF);
            let inputs = row[3 * first..3 * (first + weights.len())].chunks_exact(3);
            for (input, &weight) in inputs.zip(weights) {
                red += i32::from(input[0]) * weight;
                green += i32::from(input[1]) * weight;
                blue += i32::from(input[2]) * weight;
            }
            pixel.copy_from_slice(&[to_u8(red), to_u8(green), to_u8(blue)]);
        }
    }
}

/// Resizes every column: each row of `out` is a weighted sum of rows of `source`. Always inlined,
/// so that the compiler vectorises it once for any processor and once for AVX2.
#[inline(always)]
fn columns(source: &[u8], row_bytes: usize, taps: &FixedTaps, out: &mut [u8]) {
    let mut sums = vec![0; row_bytes];
    for ((first, weights), out) in taps.iter().zip(out.chunks_exact_mut(row_bytes)) {
        sums.fill(HALF);
        for (row, &weight) in source[first * row_bytes..].chunks_exact(row_bytes).zip(weights) {
            for (sum, &value) in sums.iter_mut().zip(row) {
                *sum += i32::from(value) * weight;
            }
        }
        for (out, &sum) in out.iter_mut().zip(&sums) {
            *out = to_u8(sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn noise(size: Size, seed: u32) -> Rgb8 {
        let mut state = seed | 1;
        let byte = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        Rgb8::new(size, std::iter::repeat_with(byte).take(3 * size.area()).collect())
    }

    fn any_filter() -> impl Strategy<Value = Filter> {
        prop_oneof![Just(Filter::Bilinear), Just(Filter::Bicubic)]
    }

    #[test]
    fn halving_a_line_with_the_triangle_filter() {
        // Worked by hand: the first output lies at 1.0 and reaches 2 to each side; inputs lie at
        // 0.5, 1.5 and 2.5.
        let taps = taps(4, 2, Filter::Bilinear);
        let rows: Vec<_> = taps.iter().collect();
        assert_eq!(rows[0].0, 0);
        approx::assert_abs_diff_eq!(
            rows[0].1,
            [0.75 / 1.75, 0.75 / 1.75, 0.25 / 1.75].as_slice(),
            epsilon = 1e-15
        );
        assert_eq!(taps.apply(&[8.0; 4]), [8.0, 8.0]);
    }

    #[test]
    fn an_unchanged_size_is_an_unchanged_image() {
        let image = noise(Size::new(7, 4), 5);
        assert_eq!(resize(&image, image.size(), Filter::Bicubic), image);
    }

    proptest! {
        #[test]
        fn every_kernel_gives_the_same_bytes(
            from in (1u32..90, 1u32..60), to in (1u32..90, 1u32..60), filter in any_filter(), seed: u32,
        ) {
            let image = noise(Size::new(from.0, from.1), seed);
            let wanted = Size::new(to.0, to.1);
            let portable = resize_with(Kernel::Portable, &image, wanted, filter);
            prop_assert_eq!(portable, resize_with(Kernel::detect(), &image, wanted, filter));
        }

        #[test]
        fn weights_sum_to_one_and_lie_inside(from in 1u32..3000, to in 1u32..700, filter in any_filter()) {
            let taps = taps(from, to, filter);
            prop_assert_eq!(taps.iter().len(), to as usize);
            for (first, weights) in taps.iter() {
                prop_assert!(!weights.is_empty() && first + weights.len() <= from as usize);
                prop_assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            }
        }

        #[test]
        fn fixed_point_is_within_two_levels_of_real_numbers(
            from in (1u32..70, 1u32..50), to in (1u32..70, 1u32..50), seed: u32,
        ) {
            // Bilinear, where no intermediate value is clipped: half a level of rounding a pass.
            let image = noise(Size::new(from.0, from.1), seed);
            let out = resize(&image, Size::new(to.0, to.1), Filter::Bilinear);
            let horizontal = taps(from.0, to.0, Filter::Bilinear);
            let vertical = taps(from.1, to.1, Filter::Bilinear);
            let green = |x, y| f64::from(image.pixel(x, y)[1]);
            let lines: Vec<_> = (0..from.1)
                .map(|y| horizontal.apply(&(0..from.0).map(|x| green(x, y)).collect::<Vec<_>>()))
                .collect();
            for x in 0..to.0 {
                let column: Vec<_> = lines.iter().map(|line| line[x as usize]).collect();
                for (y, &expected) in vertical.apply(&column).iter().enumerate() {
                    let got = f64::from(out.pixel(x, y as u32)[1]);
                    prop_assert!((got - expected).abs() <= 1.01, "({x}, {y}): {got} for {expected}");
                }
            }
        }
    }

    #[test]
    fn a_very_long_line_shrinks_the_same_on_every_kernel() {
        // More taps than the vector kernel's low halves can add up without wrapping round.
        let image = noise(Size::new(40_000, 2), 9);
        let wanted = Size::new(53, 3);
        let portable = resize_with(Kernel::Portable, &image, wanted, Filter::Bicubic);
        assert_eq!(portable, resize_with(Kernel::detect(), &image, wanted, Filter::Bicubic));
    }

    /// `cargo test --release --lib resample -- --ignored --nocapture`
    #[test]
    #[ignore = "a measurement"]
    fn time_of_a_resize() {
        for (from, to) in
            [((1024, 768), (227, 227)), ((1024, 768), (608, 456)), ((4000, 3000), (608, 456))]
        {
            let image = noise(Size::new(from.0, from.1), 1);
            for (name, kernel) in [("portable", Kernel::Portable), ("detected", Kernel::detect())] {
                let mut times: Vec<_> = (0..21)
                    .map(|_| {
                        let start = std::time::Instant::now();
                        std::hint::black_box(resize_with(
                            kernel,
                            &image,
                            Size::new(to.0, to.1),
                            Filter::Bicubic,
                        ));
                        start.elapsed()
                    })
                    .collect();
                times.sort();
                println!(
                    "{from:?} to {to:?}, {name}: median {:?}, least {:?}",
                    times[10], times[0]
                );
            }
        }
    }
}
