//! From an image file to upright RGB pixels. What is in the file decides how it is read, not its
//! name.
//!
//! Formats: JPEG (see [`super::jpeg`]), PNG, WebP, BMP, TIFF. To eight bits of RGB:
//! * grey is replicated, palettes are looked up, transparency is dropped without blending (the
//!   colour below it stays), as Pillow's `convert("RGB")` does;
//! * of 16 bits the upper eight are kept. Pillow does this for colour; 16-bit grey it clips at 255,
//!   which leaves a white picture, and is not followed;
//! * of an animation or a file with several pages, the first picture;
//! * floating-point TIFFs are refused: nothing says which value is white; palette TIFFs are not
//!   supported by the decoder. JPEG inside TIFF is within 1 level of Pillow; all else that was
//!   tried is equal to it;
//! * with [`DecodeOptions::enough`] a JPEG may come out at a half, a quarter or an eighth of its
//!   size (libjpeg's scaled inverse transform), as Pillow's `draft` does; the other formats know
//!   nothing like it.

use super::find::describe;
use super::jpeg::{self, Stop};
use super::options::{DecodeOptions, Decoded, check_size, upright};
use super::source::{Section, Source, with_tar};
use crate::image::{Picture, Rgb8};
use crate::{Error, Result};
use image::metadata::Orientation;
use image::{
    ColorType, DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, RgbImage,
};
use std::any::Any;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// Bytes read at a time: most photos in a few reads.
const BUFFER: usize = 1 << 18;

/// Decodes an image file to RGB, upright unless [`DecodeOptions::ignore_exif`]: the pixels of
/// [`Source::decode`].
///
/// # Errors
/// [`Error::Io`] if the file cannot be read, [`Error::File`] if it is no regular file, empty, not
/// an image of a known format, damaged, truncated, or larger than [`DecodeOptions::max_pixels`].
/// Never panics because of a file's contents.
pub fn decode(file: &Path, options: &DecodeOptions) -> Result<Rgb8> {
    decode_file(file, options).map(|picture| picture.pixels)
}

fn decode_file(file: &Path, options: &DecodeOptions) -> Result<Picture> {
    let kind = fs::metadata(file).map_err(Error::io("read", file))?.file_type();
    if !kind.is_file() {
        return Err(Error::file(file, format!("{}, not a file", describe(kind))));
    }
    let opened = File::open(file).map_err(Error::io("read", file))?;
    decode_from(BufReader::with_capacity(BUFFER, opened), options)
        .map_err(|message| Error::file(file, message))
}

impl Source {
    /// Decodes the image, as [`decode`] does.
    ///
    /// # Errors
    /// As [`decode`].
    pub fn decode(&self, options: &DecodeOptions) -> Result<Picture> {
        let Some(member) = self.member else { return decode_file(&self.file, options) };
        with_tar(&self.file, |tar| {
            decode_from(
                BufReader::with_capacity(BUFFER, Section::new(tar, member.offset, self.size)),
                options,
            )
        })
        .map_err(Error::io("read", &*self.file))?
        .map_err(|message| Error::file(&self.place(), message))
    }
}

/// [`decode`] for contents at hand; the error is a text without the file's name.
fn decode_from(reader: impl BufRead + Seek, options: &DecodeOptions) -> Result<Picture, String> {
    // Unwind safety: nothing that was in use during a panic is used after it.
    match catch_unwind(AssertUnwindSafe(|| decode_unguarded(reader, options))) {
        Ok(result) => result,
        Err(payload) => Err(fault(payload)),
    }
}

/// The text of a libjpeg fault, or of a panic in a decoder.
fn fault(payload: Box<dyn Any + Send>) -> String {
    match payload.downcast::<Stop>() {
        Ok(stop) => format!("a JPEG that cannot be decoded: {}", stop.0),
        Err(_) => "the decoder failed on it".to_string(),
    }
}

fn decode_unguarded(
    mut reader: impl BufRead + Seek,
    options: &DecodeOptions,
) -> Result<Picture, String> {
    let bytes = reader.seek(SeekFrom::End(0)).and_then(|bytes| reader.rewind().map(|()| bytes));
    let bytes = bytes.map_err(|error| error.to_string())?;
    let format = sniff(&mut reader)?;
    let decoded = match format {
        ImageFormat::Jpeg => jpeg::decode(reader, bytes, options),
        other => decode_other(reader, bytes, other, options.max_pixels),
    }
    .map_err(|message| format!("a {} that cannot be decoded: {message}", name(format)))?;
    // Part of the TIFF format, not EXIF.
    let as_stored = options.ignore_exif && format != ImageFormat::Tiff;
    Ok(turn(decoded, as_stored))
}

/// The format by the first bytes; the reader is back at the start afterwards.
fn sniff(reader: &mut (impl Read + Seek)) -> Result<ImageFormat, String> {
    let mut start = Vec::new();
    reader
        .by_ref()
        .take(16)
        .read_to_end(&mut start)
        .and_then(|_| reader.rewind())
        .map_err(|e| e.to_string())?;
    if start.is_empty() {
        return Err("the file is empty".to_string());
    }
    match start.as_slice() {
        [0xFF, 0xD8, 0xFF, ..] => Ok(ImageFormat::Jpeg),
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1A, b'\n', ..] => Ok(ImageFormat::Png),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Ok(ImageFormat::WebP),
        [b'B', b'M', ..] => Ok(ImageFormat::Bmp),
        [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => Ok(ImageFormat::Tiff),
        [b'G', b'I', b'F', b'8', ..] => Err(unread("a GIF")),
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => Err(unread("HEIC, AVIF or a video")),
        _ => Err(format!(
            "not an image: starts with \"{}\"",
            start[..start.len().min(8)].escape_ascii()
        )),
    }
}

fn unread(found: &str) -> String {
    format!("{found}: only JPEG, PNG, WebP, BMP and TIFF are read")
}

/// The format as its users write it.
fn name(format: ImageFormat) -> &'static str {
    match format {
        ImageFormat::Jpeg => "JPEG",
        ImageFormat::Png => "PNG",
        ImageFormat::WebP => "WebP",
        ImageFormat::Bmp => "BMP",
        _ => "TIFF",
    }
}

/// What a decoder may take beside the picture: headers, profiles, tables.
const HEADER_BYTES: u64 = 64 << 20;

/// A picture of more bytes is large: it waits for others that are.
const LARGE_BYTES: usize = 256 << 20;

/// Held while a large picture is decoded. What was decoded before a panic is not looked at: there
/// is nothing to poison.
static LARGE: Mutex<()> = Mutex::new(());

/// PNG, WebP, BMP, TIFF, in a file of so many `bytes`.
fn decode_other(
    reader: impl BufRead + Seek,
    bytes: u64,
    format: ImageFormat,
    max_pixels: u64,
) -> Result<Decoded, String> {
    let mut reader = ImageReader::with_format(reader, format);
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(HEADER_BYTES);
    reader.limits(limits.clone());
    let mut decoder = reader.into_decoder().map_err(text)?;
    let (width, height) = decoder.dimensions();
    let size = check_size(width, height, bytes, max_pixels)?;
    let color = decoder.color_type();
    check_color(color)?;
    // A working copy as large as the picture's samples, whatever the file says it needs.
    limits.max_alloc = Some(decoder.total_bytes().saturating_mul(2).saturating_add(HEADER_BYTES));
    decoder.set_limits(limits).map_err(text)?;
    let orientation = decoder.orientation().map_err(text)?;
    let bytes = usize::try_from(decoder.total_bytes()).map_err(|e| e.to_string())?;
    // Large pictures one after the other, however many threads decode.
    let _turn = (bytes > LARGE_BYTES).then(|| LARGE.lock().unwrap_or_else(PoisonError::into_inner));
    let mut samples = Vec::new();
    samples.try_reserve_exact(bytes).map_err(|e| e.to_string())?;
    samples.resize(bytes, 0);
    decoder.read_image(&mut samples).map_err(text)?;
    Ok(Decoded { original: size, size, pixels: to_rgb(samples, color)?, orientation })
}

/// The decoder's reason, without the format's name in front, which is said already.
fn text(error: ImageError) -> String {
    match error {
        ImageError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            "the file ends before the picture does (truncated)".to_string()
        }
        ImageError::IoError(error) => error.to_string(),
        ImageError::Limits(error) => error.to_string(),
        other => match std::error::Error::source(&other) {
            Some(source) => source.to_string(),
            None => other.to_string(),
        },
    }
}

/// Refuses samples that are not whole numbers of 8 or 16 bits, before memory is taken for them.
fn check_color(color: ColorType) -> Result<(), String> {
    match color {
        ColorType::L16 | ColorType::La16 | ColorType::Rgb16 | ColorType::Rgba16 => Ok(()),
        ColorType::L8 | ColorType::La8 | ColorType::Rgb8 | ColorType::Rgba8 => Ok(()),
        other => Err(format!("its samples ({other:?}) have no defined white")),
    }
}

/// Samples as a decoder gives them (16-bit ones in the machine's byte order) to RGB, in the memory
/// that they have; grey alone needs more.
fn to_rgb(mut samples: Vec<u8>, color: ColorType) -> Result<Vec<u8>, String> {
    let channels = usize::from(color.channel_count());
    if usize::from(color.bytes_per_pixel()) == 2 * channels {
        let count = samples.len() / 2;
        for place in 0..count {
            samples[place] =
                (u16::from_ne_bytes([samples[2 * place], samples[2 * place + 1]]) >> 8) as u8;
        }
        samples.truncate(count);
    }
    let pixels = samples.len() / channels;
    if channels < 3 {
        let mut rgb = Vec::new();
        rgb.try_reserve_exact(3 * pixels).map_err(|e| e.to_string())?;
        rgb.extend(samples.chunks_exact(channels).flat_map(|pixel| [pixel[0]; 3]));
        return Ok(rgb);
    }
    if channels == 4 {
        for pixel in 0..pixels {
            samples.copy_within(4 * pixel..4 * pixel + 3, 3 * pixel);
        }
        samples.truncate(3 * pixels);
    }
    // What transparency or the lower bytes took is given back.
    samples.shrink_to_fit();
    Ok(samples)
}

fn turn(decoded: Decoded, as_stored: bool) -> Picture {
    let Decoded { original, size, pixels, orientation } = decoded;
    if as_stored || orientation == Orientation::NoTransforms {
        return Picture { original, pixels: Rgb8::new(size, pixels) };
    }
    let stored = RgbImage::from_raw(size.width, size.height, pixels)
        .expect("three bytes a pixel were made above");
    let mut image = DynamicImage::ImageRgb8(stored);
    image.apply_orientation(orientation);
    Picture {
        original: upright(original, orientation),
        pixels: Rgb8::new(upright(size, orientation), image.into_rgb8().into_raw()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::options::Enough;
    use super::*;
    use crate::image::{Fit, Size};
    use proptest::prelude::*;
    use std::io::Cursor;

    fn small_files() -> Vec<Vec<u8>> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/pillow_resize");
        let jpegs = [
            "420.jpg",
            "progressive.jpg",
            "restart.jpg",
            "cmyk.jpg",
            "grey.jpg",
            "orientation_6.jpg",
        ];
        let mut files: Vec<_> =
            jpegs.iter().map(|name| fs::read(folder.join(name)).unwrap()).collect();
        let picture = RgbImage::from_fn(9, 6, |x, y| {
            image::Rgb([(x * 25) as u8, (y * 40) as u8, (x * y) as u8])
        });
        for format in [ImageFormat::Png, ImageFormat::WebP, ImageFormat::Bmp, ImageFormat::Tiff] {
            let mut bytes = Cursor::new(Vec::new());
            picture.write_to(&mut bytes, format).unwrap();
            files.push(bytes.into_inner());
        }
        files
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn damaged_files_never_panic(
            which in any::<prop::sample::Index>(),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
            end in prop::option::of(any::<prop::sample::Index>()),
            reduced in any::<bool>(),
        ) {
            let files = small_files();
            let mut bytes = which.get(&files).clone();
            for (at, value) in changes {
                let offset = at.index(bytes.len());
                bytes[offset] = value;
            }
            if let Some(end) = end {
                bytes.truncate(end.index(bytes.len()));
            }
            // Few pixels allowed: a damaged size must not make the test slow.
            let (letterboxed, fit) = (Some(Size::new(16, 12).into()), Fit::squash(Size::new(4, 4)));
            let enough = reduced.then_some(Enough { letterboxed, fit });
            let options = DecodeOptions { max_pixels: 1 << 20, enough, ..DecodeOptions::default() };
            // Unguarded, so that only libjpeg's own stops may unwind: a panic would be seen here.
            let outcome = catch_unwind(AssertUnwindSafe(|| decode_unguarded(Cursor::new(bytes), &options)));
            if let Err(payload) = outcome {
                prop_assert!(payload.is::<Stop>(), "a decoder panicked");
            }
        }
    }

    #[test]
    fn a_panicking_decoder_is_an_error() {
        assert_eq!(fault(Box::new("index out of bounds")), "the decoder failed on it");
        assert_eq!(fault(Box::new(Stop("no".into()))), "a JPEG that cannot be decoded: no");
    }
}
