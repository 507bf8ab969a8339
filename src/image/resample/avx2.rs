//! The two passes of [`super::resize`] with 256-bit integer vectors.
//!
//! AVX2 multiplies 16-bit numbers in pairs much faster than 32-bit ones, so each weight is split
//! into `high * 2^15 + low`, both of 16 bits; the two sums are joined at the end. All arithmetic is
//! exact modulo 2^32 and the whole sum fits, so the bytes are those of the portable code.

use super::{FRACTION_BITS, FixedTaps, GROUP, HALF, columns};
use std::arch::x86_64::{
    __m256i, _mm_set_epi64x, _mm256_add_epi32, _mm256_broadcastsi128_si256, _mm256_extract_epi32,
    _mm256_hadd_epi32, _mm256_madd_epi16, _mm256_packus_epi16, _mm256_packus_epi32,
    _mm256_set1_epi32, _mm256_set1_epi64x, _mm256_setr_epi8, _mm256_setzero_si256,
    _mm256_shuffle_epi8, _mm256_slli_epi32, _mm256_srai_epi32,
};

/// Bits of the low part of a weight: one less than 16, so that it is never negative.
const LOW_BITS: u32 = 15;

/// Bytes read for one group of pixels: 12 count.
const WINDOW: usize = 16;

/// Proof that this processor has AVX2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token(());

impl Token {
    pub(super) fn detect() -> Option<Self> {
        is_x86_feature_detected!("avx2").then_some(Self(()))
    }

    pub(super) fn rows(self, source: &[u8], width: usize, taps: &FixedTaps, out: &mut [u8]) {
        // SAFETY: a token exists only where the processor has AVX2.
        unsafe { rows_avx2(source, width, taps, out) }
    }

    pub(super) fn columns(self, source: &[u8], row_bytes: usize, taps: &FixedTaps, out: &mut [u8]) {
        // SAFETY: a token exists only where the processor has AVX2.
        unsafe { columns_avx2(source, row_bytes, taps, out) }
    }
}

/// Four weights as four 16-bit low parts and four 16-bit high parts.
#[derive(Clone, Copy)]
struct PackedGroup {
    low: i64,
    high: i64,
}

impl PackedGroup {
    fn new(weights: &[i32]) -> Self {
        let pack = |part: fn(i32) -> i32| {
            let fields = weights.iter().enumerate();
            fields.fold(0, |all, (i, &weight)| all | u64::from(part(weight) as u16) << (16 * i))
                as i64
        };
        Self {
            low: pack(|weight| weight & ((1 << LOW_BITS) - 1)),
            high: pack(|weight| weight >> LOW_BITS),
        }
    }
}

#[target_feature(enable = "avx2")]
fn rows_avx2(source: &[u8], width: usize, taps: &FixedTaps, out: &mut [u8]) {
    let packed: Vec<_> = taps.weights.chunks_exact(GROUP).map(PackedGroup::new).collect();
    // A copy of each row with room behind it: the last window of the last output may reach past the
    // row.
    let mut line = vec![0; 3 * (width + taps.stride) + WINDOW];
    for (row, out) in source.chunks_exact(3 * width).zip(out.chunks_exact_mut(3 * taps.spans.len()))
    {
        line[..3 * width].copy_from_slice(row);
        let outputs = taps.spans.iter().zip(packed.chunks_exact(taps.stride / GROUP));
        for ((&(first, count), groups), pixel) in outputs.zip(out.chunks_exact_mut(3)) {
            pixel.copy_from_slice(&weighted_sum(
                &line[3 * first..],
                &groups[..count.div_ceil(GROUP)],
            ));
        }
    }
}

/// The output pixel of `groups` of weights, the first of which belongs to the first pixel of
/// `line`.
#[target_feature(enable = "avx2")]
#[inline]
fn weighted_sum(line: &[u8], groups: &[PackedGroup]) -> [u8; 3] {
    // R0 R1 R2 R3 G0 G1 G2 G3 | B0 B1 B2 B3 and zeros, each widened to 16 bits; -1 makes a zero.
    let order = _mm256_setr_epi8(
        0, -1, 3, -1, 6, -1, 9, -1, 1, -1, 4, -1, 7, -1, 10, -1, 2, -1, 5, -1, 8, -1, 11, -1, -1,
        -1, -1, -1, -1, -1, -1, -1,
    );
    let mut low = _mm256_setzero_si256();
    let mut high = _mm256_setzero_si256();
    for (i, group) in groups.iter().enumerate() {
        let pixels = _mm256_shuffle_epi8(load(&line[3 * GROUP * i..]), order);
        low = _mm256_add_epi32(low, _mm256_madd_epi16(pixels, _mm256_set1_epi64x(group.low)));
        high = _mm256_add_epi32(high, _mm256_madd_epi16(pixels, _mm256_set1_epi64x(group.high)));
    }
    let sum = _mm256_add_epi32(low, _mm256_slli_epi32::<{ LOW_BITS as i32 }>(high));
    // Two partial sums a channel: red and green in the lower half, blue in the upper.
    let sum = _mm256_add_epi32(_mm256_hadd_epi32(sum, sum), _mm256_set1_epi32(HALF));
    let level = _mm256_srai_epi32::<{ FRACTION_BITS as i32 }>(sum);
    let level = _mm256_packus_epi32(level, level);
    let level = _mm256_packus_epi16(level, level);
    let [red, green, ..] = _mm256_extract_epi32::<0>(level).to_le_bytes();
    let [blue, ..] = _mm256_extract_epi32::<4>(level).to_le_bytes();
    [red, green, blue]
}

/// The first 16 bytes of `line`, in both halves.
#[target_feature(enable = "avx2")]
#[inline]
fn load(line: &[u8]) -> __m256i {
    let (bytes, _) =
        line.split_first_chunk::<WINDOW>().expect("the padded line has room for every window");
    let bits = u128::from_le_bytes(*bytes);
    _mm256_broadcastsi128_si256(_mm_set_epi64x((bits >> 64) as i64, bits as i64))
}

#[target_feature(enable = "avx2")]
fn columns_avx2(source: &[u8], row_bytes: usize, taps: &FixedTaps, out: &mut [u8]) {
    columns(source, row_bytes, taps, out);
}
