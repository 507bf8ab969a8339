//! The float types of weights files, as `f32`.

use half::{bf16, f16};

/// A float type that is stored little-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Float {
    F16,
    Bf16,
    F32,
    F64,
}

/// Little-endian `bytes` as `f32`: exact for f16, bf16 and f32, rounded to nearest for f64 (a
/// magnitude beyond `f32` becomes infinite). `bytes` holds whole elements.
pub(super) fn to_f32(float: Float, bytes: &[u8]) -> Vec<f32> {
    fn convert<const N: usize>(bytes: &[u8], one: impl Fn([u8; N]) -> f32) -> Vec<f32> {
        bytes.as_chunks::<N>().0.iter().map(|element| one(*element)).collect()
    }
    match float {
        Float::F16 => convert(bytes, |element| f16::from_le_bytes(element).to_f32()),
        Float::Bf16 => convert(bytes, |element| bf16::from_le_bytes(element).to_f32()),
        Float::F32 => convert(bytes, f32::from_le_bytes),
        Float::F64 => convert(bytes, |element| f64::from_le_bytes(element) as f32),
    }
}

/// The first element that is NaN or infinite, with its index.
pub(super) fn first_not_finite(values: &[f32]) -> Option<(usize, f32)> {
    const CHUNK: usize = 4096;
    // Without a way out of the loop the processor looks at many values at a time.
    let has = |chunk: &[f32]| chunk.iter().fold(false, |any, value| any | !value.is_finite());
    let (number, chunk) = values.chunks(CHUNK).enumerate().find(|(_, chunk)| has(chunk))?;
    let place = chunk.iter().position(|value| !value.is_finite())?;
    Some((number * CHUNK + place, chunk[place]))
}

/// Writes `values` as little-endian `f32`.
pub(super) fn write_f32(writer: &mut impl std::io::Write, values: &[f32]) -> std::io::Result<()> {
    write(writer, values, f32::to_le_bytes)
}

/// Writes `values` as little-endian `f16`, each rounded to the nearest.
pub(super) fn write_f16(writer: &mut impl std::io::Write, values: &[f32]) -> std::io::Result<()> {
    write(writer, values, |value| f16::from_f32(value).to_le_bytes())
}

/// In pieces, so that no second copy of a large tensor is made.
fn write<const N: usize>(
    writer: &mut impl std::io::Write,
    values: &[f32],
    bytes: impl Fn(f32) -> [u8; N],
) -> std::io::Result<()> {
    let mut piece = Vec::with_capacity(64 << 10);
    for values in values.chunks(16 << 10) {
        piece.clear();
        piece.extend(values.iter().flat_map(|&value| bytes(value)));
        writer.write_all(&piece)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_value_that_is_not_finite_is_found_wherever_it_lies() {
        let finite = vec![f32::MAX; 10_000];
        assert_eq!(first_not_finite(&finite), None);
        for place in [0, 4095, 4096, 9_999] {
            for value in [f32::INFINITY, f32::NEG_INFINITY, f32::NAN] {
                let mut values = finite.clone();
                (values[place], values[9_999]) = (value, value);
                let (found, what) = first_not_finite(&values).unwrap();
                assert_eq!((found, what.to_bits()), (place, value.to_bits()));
            }
        }
    }
}
