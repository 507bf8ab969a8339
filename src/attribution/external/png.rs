//! A map in a PNG: greyscale of 8 or 16 bits without transparency, its levels taken as numbers as
//! they are, whatever gamma or colour profile the file names.

use super::number::{ByteOrder, NumberFormat};
use super::shape;
use crate::image::Size;
use crate::{Error, Result};
use ::png::{BitDepth, ColorType, Decoder, Limits, Transformations};
use std::fs::File;
use std::io::{BufRead, BufReader, Seek};
use std::path::Path;

/// Memory for the decoder's own tables and chunks.
const DECODER_BYTES: usize = 16 << 20;

/// Reads the picture: its size and its levels row by row.
///
/// # Errors
/// The file cannot be read, is no PNG or a damaged one, or has colours, transparency, a palette or
/// other depths.
pub(super) fn read(file: &Path) -> Result<(Size, Vec<f32>)> {
    let reader = BufReader::new(File::open(file).map_err(Error::io("read", file))?);
    levels(reader).map_err(|cause| Error::file(file, cause))
}

/// [`read`] from anything.
pub(super) fn levels(reader: impl BufRead + Seek) -> Result<(Size, Vec<f32>), String> {
    let damaged = |error: ::png::DecodingError| format!("expected a whole PNG, found: {error}");
    let mut decoder = Decoder::new_with_limits(reader, Limits { bytes: DECODER_BYTES });
    decoder.set_transformations(Transformations::IDENTITY);
    let mut decoder = decoder.read_info().map_err(damaged)?;
    let info = decoder.info();
    let format = match (info.color_type, info.bit_depth) {
        (ColorType::Grayscale, BitDepth::Eight) => NumberFormat::U8,
        (ColorType::Grayscale, BitDepth::Sixteen) => NumberFormat::U16,
        (colours, depth) => {
            return Err(format!(
                "expected greyscale of 8 or 16 bits, found {colours:?} of {} bits",
                depth as u8
            ));
        }
    };
    let size = shape::size(&[info.height as usize, info.width as usize])?;
    let mut bytes = vec![0; size.area() * format.bytes()];
    decoder.next_frame(&mut bytes).map_err(damaged)?;
    Ok((size, format.to_f32(&bytes, ByteOrder::Big)))
}
