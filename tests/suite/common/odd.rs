//! Files as they occur in collected corpora: damaged, odd and hostile ones, each with what must
//! become of it.

use image::{DynamicImage, ExtendedColorType, ImageEncoder, ImageFormat};
use std::io::Cursor;

/// Every case.
pub(crate) fn cases() -> Vec<Case> {
    [jpeg_cases(), png_cases(), other_cases()].into_iter().flatten().collect()
}

/// What decoding must give.
pub(crate) enum Expect {
    /// An image of this size, one of whose pixels is this.
    Image { width: u32, height: u32, at: (u32, u32), colour: [u8; 3] },
    /// An error with this in its text.
    Error(&'static str),
}
use Expect::Error;

/// A file.
pub(crate) struct Case {
    pub name: &'static str,
    pub bytes: Vec<u8>,
    pub expect: Expect,
}

fn case(name: &'static str, bytes: Vec<u8>, expect: Expect) -> Case {
    Case { name, bytes, expect }
}

fn size_of(width: u32, height: u32, at: (u32, u32), colour: [u8; 3]) -> Expect {
    Expect::Image { width, height, at, colour }
}

/// 7 x 5, every pixel different.
pub(crate) fn photo() -> DynamicImage {
    let pixel = |x: u32, y: u32| image::Rgb([30 * x as u8, 50 * y as u8, 200 - 10 * (x + y) as u8]);
    DynamicImage::ImageRgb8(image::RgbImage::from_fn(7, 5, pixel))
}

const LAST: (u32, u32) = (6, 4);
const LAST_COLOUR: [u8; 3] = [180, 200, 100];

pub(crate) fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn reference(name: &str) -> Vec<u8> {
    std::fs::read(super::reference("pillow_resize").join(name)).unwrap()
}

fn cut(mut bytes: Vec<u8>, keep: usize) -> Vec<u8> {
    bytes.truncate(keep);
    bytes
}

fn without_last(bytes: Vec<u8>, count: usize) -> Vec<u8> {
    let keep = bytes.len() - count;
    cut(bytes, keep)
}

/// A PNG whose header says this size, with a right checksum and next to no data.
fn png_of_claimed_size(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = encoded(&photo(), ImageFormat::Png);
    bytes[16..20].copy_from_slice(&width.to_be_bytes());
    bytes[20..24].copy_from_slice(&height.to_be_bytes());
    let checksum = crc32(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&checksum.to_be_bytes());
    bytes
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg())
        })
    })
}

/// One chunk of a PNG.
fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let body = [kind.as_slice(), data].concat();
    [&(data.len() as u32).to_be_bytes(), body.as_slice(), &crc32(&body).to_be_bytes()].concat()
}

/// A 2 x 1 PNG with a palette of two colours, the first of them transparent.
fn palette_png() -> Vec<u8> {
    let header = [0, 0, 0, 2, 0, 0, 0, 1, 8, 3, 0, 0, 0];
    // One stored deflate block: filter 0, indices 0 and 1; then its Adler-32.
    let data = [0x78, 0x01, 1, 3, 0, 0xFC, 0xFF, 0, 0, 1, 0, 5, 0, 2];
    [
        b"\x89PNG\r\n\x1a\n".to_vec(),
        chunk(b"IHDR", &header),
        chunk(b"PLTE", &[11, 22, 33, 44, 55, 66]),
        chunk(b"tRNS", &[0]),
        chunk(b"IDAT", &data),
        chunk(b"IEND", &[]),
    ]
    .concat()
}

/// A JPEG whose header says this size.
pub(crate) fn jpeg_of_claimed_sides(width: u16, height: u16) -> Vec<u8> {
    let mut bytes = reference("420.jpg");
    let frame = bytes.windows(2).position(|pair| pair == [0xFF, 0xC0]).unwrap();
    bytes[frame + 5..][..2].copy_from_slice(&height.to_be_bytes());
    bytes[frame + 7..][..2].copy_from_slice(&width.to_be_bytes());
    bytes
}

fn jpeg_cases() -> Vec<Case> {
    let jpeg = || reference("420.jpg");
    let hole = {
        let bytes = jpeg();
        let keep = bytes.len() * 2 / 3;
        [cut(bytes, keep), vec![0xFF, 0xD9]].concat()
    };
    // The first scan, the coarsest, may be repeated without a contradiction.
    let endless = {
        let bytes = reference("progressive.jpg");
        let after = |start: usize, marker| {
            start + bytes[start..].windows(2).position(|pair| pair == marker).unwrap()
        };
        let first = after(0, [0xFF, 0xDA]);
        let next = after(first, [0xFF, 0xC4]);
        [&bytes[..next], &bytes[first..next].repeat(1100), &bytes[next..]].concat()
    };
    vec![
        case("half.jpg", cut(jpeg(), 800), Error("truncated")),
        case("header only.jpg", cut(jpeg(), 200), Error("JPEG that cannot be decoded")),
        case("three bytes.jpg", vec![0xFF, 0xD8, 0xFF], Error("JPEG that cannot be decoded")),
        case("no end marker.jpg", without_last(jpeg(), 2), Error("truncated")),
        case("hole.jpg", hole, Error("premature end")),
        case("endless scans.jpg", endless, Error("more than 1000 scans")),
        case(
            "bomb.jpg",
            jpeg_of_claimed_sides(65_000, 65_000),
            Error("65000x65000 are 4225000000 pixels"),
        ),
        case(
            "more claimed than there.jpg",
            jpeg_of_claimed_sides(900, 700),
            Error("premature end"),
        ),
        case("no width.jpg", jpeg_of_claimed_sides(0, 43), Error("JPEG that cannot be decoded")),
        case(
            "half of a progressive.jpg",
            cut(reference("progressive.jpg"), 900),
            Error("truncated"),
        ),
        case(
            "trailing data.jpg",
            [jpeg(), vec![7; 50]].concat(),
            size_of(61, 43, (60, 42), LAST_OF_420),
        ),
        case("a jpeg.png", jpeg(), size_of(61, 43, (60, 42), LAST_OF_420)),
    ]
}

/// Pillow's last pixel of 420.jpg.
const LAST_OF_420: [u8; 3] = [238, 239, 243];

fn png_cases() -> Vec<Case> {
    let photo = photo();
    let png = encoded(&photo, ImageFormat::Png);
    let mut flipped = png.clone();
    let middle = png.len() / 2;
    flipped[middle] ^= 0x55;
    let grey16 = image::ImageBuffer::from_fn(3, 2, |x, y| {
        image::Luma([256 * (40 + x as u16) + 255 * y as u16])
    });
    let rgba = image::RgbaImage::from_fn(3, 2, |x, _| image::Rgba([9, 80, 7, 40 * x as u8]));
    let rgb16 = image::ImageBuffer::from_pixel(3, 2, image::Rgb([0x12FF_u16, 0x3480, 0xFFFF]));
    let mut bits = Vec::new();
    image::codecs::png::PngEncoder::new(&mut bits)
        .write_image(&[0, 255, 0, 255], 4, 1, ExtendedColorType::L8)
        .unwrap();
    vec![
        case("half.png", cut(png.clone(), middle), Error("truncated")),
        case("flipped byte.png", flipped, Error("PNG that cannot be decoded")),
        case("signature.png", cut(png.clone(), 8), Error("PNG that cannot be decoded")),
        case(
            "bomb.png",
            png_of_claimed_size(50_000, 50_000),
            Error("50000x50000 are 2500000000 pixels"),
        ),
        case("zero.png", png_of_claimed_size(0, 9), Error("PNG that cannot be decoded")),
        case(
            "more claimed than there.png",
            png_of_claimed_size(900, 900),
            Error("PNG that cannot be decoded"),
        ),
        case("a png.jpg", png, size_of(7, 5, LAST, LAST_COLOUR)),
        case("grey.png", bits, size_of(4, 1, (3, 0), [255; 3])),
        case("palette.png", palette_png(), size_of(2, 1, (0, 0), [11, 22, 33])),
        case(
            "16 bits grey.png",
            encoded(&DynamicImage::ImageLuma16(grey16), ImageFormat::Png),
            size_of(3, 2, (2, 1), [42; 3]),
        ),
        case(
            "16 bits.png",
            encoded(&DynamicImage::ImageRgb16(rgb16), ImageFormat::Png),
            size_of(3, 2, (0, 0), [0x12, 0x34, 0xFF]),
        ),
        case(
            "transparent.png",
            encoded(&DynamicImage::ImageRgba8(rgba), ImageFormat::Png),
            size_of(3, 2, (0, 0), [9, 80, 7]),
        ),
    ]
}

fn other_cases() -> Vec<Case> {
    let photo = photo();
    let [webp, bmp, tiff] =
        [ImageFormat::WebP, ImageFormat::Bmp, ImageFormat::Tiff].map(|f| encoded(&photo, f));
    let float = DynamicImage::ImageRgb32F(photo.to_rgb32f());
    let mut flat_bmp = bmp.clone();
    flat_bmp[18..22].copy_from_slice(&0_u32.to_le_bytes());
    vec![
        case("empty.jpg", vec![], Error("empty")),
        case(
            "text.jpg",
            b"<!DOCTYPE html>".to_vec(),
            Error("not an image: starts with \"<!DOCTYP\""),
        ),
        case("zeros.png", vec![0; 4096], Error("not an image: starts with \"\\x00\\x00")),
        case("one byte.bmp", vec![b'B'], Error("not an image: starts with \"B\"")),
        case("a gif.jpg", b"GIF89a\x01\0\x01\0".to_vec(), Error("a GIF: only")),
        case("a heic.jpg", b"\0\0\0\x18ftypheic\0\0\0\0".to_vec(), Error("HEIC")),
        case("half.webp", cut(webp.clone(), webp.len() / 2), Error("WebP that cannot be decoded")),
        case("good.webp", webp, size_of(7, 5, LAST, LAST_COLOUR)),
        case("half.bmp", cut(bmp.clone(), bmp.len() / 2), Error("BMP that cannot be decoded")),
        case("no width.bmp", flat_bmp, Error("(0x5 ")),
        case("good.bmp", bmp, size_of(7, 5, LAST, LAST_COLOUR)),
        case("half.tif", cut(tiff.clone(), tiff.len() / 2), Error("TIFF that cannot be decoded")),
        case("good.tif", tiff, size_of(7, 5, LAST, LAST_COLOUR)),
        case("floating point.tif", encoded(&float, ImageFormat::Tiff), Error("no defined white")),
    ]
}
