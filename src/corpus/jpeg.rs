//! JPEG as Pillow decodes it: libjpeg-turbo's accurate integer transform and smooth chroma
//! upsampling, bit for bit (checked by digest, `scripts/reference/pillow_resize.py`). In: a file
//! positioned at its start. Out: RGB as stored, not yet turned upright, and the EXIF orientation.
//! Errors are texts about the contents.
//!
//! libjpeg reports faults through callbacks that must not return; here they unwind with a [`Stop`],
//! without the panic hook, to the `catch_unwind` of [`mod@super::decode`].

use super::options::{DecodeOptions, Decoded, check_size};
use crate::image::Size;
use image::metadata::Orientation;
use mozjpeg::{ColorSpace, Decompress, Marker};
use mozjpeg_sys as ffi;
use std::ffi::{c_int, c_long};
use std::io::BufRead;

/// Scans in one file after which it is taken for an attack: honest progressive files have about
/// ten, and each scan of a few bytes costs a pass over the whole picture.
const MOST_SCANS: c_long = 1000;

/// Pixels times scans likewise, a second or two: a picture of 100 million pixels may have 20 scans.
const MOST_SCANNED: u64 = 2_000_000_000;

/// So many scans every picture may have.
const SCANS_OF_ANY: c_long = 16;

/// Every EXIF segment starts with this.
const EXIF: &[u8] = b"Exif\0\0";

/// What a libjpeg callback unwinds with: a fault of the file, as text.
pub(super) struct Stop(pub(super) String);

/// Decodes a JPEG of so many `bytes` and at most `max_pixels`, at a fraction of its size where the
/// options allow it: that saves most of the inverse transform and all work on pixels after it; what
/// remains is reading the compressed data.
///
/// Grey is replicated; CMYK and YCCK are inverted and converted as Pillow's `convert("RGB")` does.
/// Missing or undecodable picture data is an error: Pillow refuses a file that ends early too, but
/// fills grey into a gap that is followed by a marker. Harmless oddities (extraneous bytes between
/// segments, trailing data) are not errors.
pub(super) fn decode(
    reader: impl BufRead,
    bytes: u64,
    options: &DecodeOptions,
) -> Result<Decoded, String> {
    let text = |error: std::io::Error| error.to_string();
    let markers = [Marker::APP(1)];
    let mut header =
        Decompress::with_err(faults()).with_markers(&markers).from_reader(reader).map_err(text)?;
    let orientation = orientation(&header);
    let (width, height) = (header.width() as u32, header.height() as u32);
    let original = check_size(width, height, bytes, options.max_pixels)?;
    // The numerator of eighths.
    header.scale((8 / options.reduction(original, orientation)) as u8);
    let stored = header.color_space();
    let channels = header.components().len();
    let mut picture = match stored {
        ColorSpace::JCS_GRAYSCALE => header.grayscale(),
        ColorSpace::JCS_YCbCr | ColorSpace::JCS_RGB => header.rgb(),
        ColorSpace::JCS_CMYK | ColorSpace::JCS_YCCK => header.to_colorspace(ColorSpace::JCS_CMYK),
        _ => return Err(format!("a picture of {channels} channels is neither grey, RGB nor CMYK")),
    }
    .map_err(text)?;
    let size = Size::new(picture.width() as u32, picture.height() as u32);
    let samples: Vec<u8> = picture.read_scanlines().map_err(text)?;
    // Up to the end marker: a file that lacks it lost its last bytes, and Pillow refuses it too.
    picture.finish().map_err(text)?;
    let pixels = match stored {
        ColorSpace::JCS_GRAYSCALE => samples.iter().flat_map(|&level| [level; 3]).collect(),
        ColorSpace::JCS_CMYK | ColorSpace::JCS_YCCK => {
            samples.chunks_exact(4).flat_map(inverted_cmyk_to_rgb).collect()
        }
        _ => samples,
    };
    Ok(Decoded { original, size, pixels, orientation })
}

fn orientation<R>(header: &Decompress<R>) -> Orientation {
    let mut segments = header.markers().filter_map(|segment| segment.data.strip_prefix(EXIF));
    segments.find_map(Orientation::from_exif_chunk).unwrap_or(Orientation::NoTransforms)
}

/// CMYK as Adobe stores it in JPEG, 255 for no ink, which Pillow assumes of every CMYK JPEG. The
/// product is divided by 255 with rounding.
fn inverted_cmyk_to_rgb(cmyk: &[u8]) -> [u8; 3] {
    let white = u32::from(cmyk[3]);
    [cmyk[0], cmyk[1], cmyk[2]].map(|stored| {
        let product = u32::from(255 - stored) * white + 128;
        (white - (((product >> 8) + product) >> 8)) as u8
    })
}

/// libjpeg's error manager with our two callbacks.
fn faults() -> ffi::jpeg_error_mgr {
    // SAFETY: an all-zero manager is what `jpeg_std_error` expects to fill: null pointers, `None`s
    // and integers.
    unsafe {
        let mut manager = std::mem::zeroed();
        ffi::jpeg_std_error(&mut manager);
        manager.error_exit = Some(on_error);
        manager.emit_message = Some(on_message);
        manager
    }
}

fn stop(message: String) -> ! {
    std::panic::resume_unwind(Box::new(Stop(message)))
}

extern "C-unwind" fn on_error(state: &mut ffi::jpeg_common_struct) {
    stop(message(state));
}

/// Warnings (`level` -1) and progress (0 and above). Those that mean a lost part of the picture
/// stop the decoder.
extern "C-unwind" fn on_message(state: &mut ffi::jpeg_common_struct, level: c_int) {
    // SAFETY: libjpeg calls back with the manager it was given, which outlives the decoder.
    let manager = unsafe { &mut *state.err };
    let code = manager.msg_code;
    let is = |known: ffi::J_MESSAGE_CODE| code == known as c_int;
    if level >= 0 {
        if is(ffi::JTRC_SOS) {
            manager.num_warnings += 1;
            let scans = manager.num_warnings;
            let pixels = pixels(state).max(1);
            let most = ((MOST_SCANNED / pixels) as c_long).clamp(SCANS_OF_ANY, MOST_SCANS);
            if scans > most {
                stop(format!("more than {most} scans of {pixels} pixels"));
            }
        }
    } else if is(ffi::JWRN_JPEG_EOF) {
        stop("the file ends before the picture does (truncated)".to_string());
    } else if is(ffi::JWRN_HIT_MARKER) {
        stop("a part of the picture is missing (premature end of a data segment)".to_string());
    } else if is(ffi::JWRN_HUFF_BAD_CODE) || is(ffi::JWRN_MUST_RESYNC) {
        stop(format!("the picture is damaged ({})", message(state)));
    }
}

/// How many pixels the picture has that is decoded; 0 before its size is known.
fn pixels(state: &ffi::jpeg_common_struct) -> u64 {
    if state.is_decompressor == 0 {
        return 0;
    }
    // SAFETY: the two structures begin with the same fields, and libjpeg says by `is_decompressor`
    // that this one is the larger; callbacks get what the decoder was made with.
    let decoder = unsafe { &*std::ptr::from_ref(state).cast::<ffi::jpeg_decompress_struct>() };
    u64::from(decoder.image_width) * u64::from(decoder.image_height)
}

/// libjpeg's text for what it is reporting.
fn message(state: &mut ffi::jpeg_common_struct) -> String {
    /// libjpeg's JMSG_LENGTH_MAX is 200; the binding's type says 80.
    const LONGEST: usize = 200;
    type Format = unsafe extern "C-unwind" fn(&mut ffi::jpeg_common_struct, &mut [u8; LONGEST]);
    let mut buffer = [0; LONGEST];
    // SAFETY: the manager is the one set up in `faults`; its `format_message` is
    // `jpeg_std_error`'s, which writes at most JMSG_LENGTH_MAX bytes with their zero; the two
    // function types differ only in what the pointer points to.
    unsafe {
        if let Some(format) = (*state.err).format_message {
            let format: Format = std::mem::transmute(format);
            format(state, &mut buffer);
        }
    }
    let end = buffer.iter().position(|&byte| byte == 0).unwrap_or(LONGEST);
    String::from_utf8_lossy(&buffer[..end]).into_owned()
}
