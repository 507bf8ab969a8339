//! Pixels against Pillow: decoding, resampling and letterboxing, by the digests of
//! `scripts/reference/pillow_resize.py`.

use emocam::corpus::{DecodeOptions, Enough, decode};
use emocam::image::{Filter, Fit, Letterbox, LetterboxFilter, Picture, Rgb8, Size, resize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/pillow_resize")
}

fn reference(part: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(folder().join("digests.json")).unwrap();
    let mut all: Value = serde_json::from_str(&text).unwrap();
    let rows = all[part].take().as_array().unwrap().clone();
    assert!(!rows.is_empty());
    rows
}

fn digest(image: &Rgb8) -> String {
    Sha256::digest(image.data()).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn read(row: &Value, options: DecodeOptions) -> Rgb8 {
    decode(&folder().join(row["file"].as_str().unwrap()), &options).unwrap()
}

#[test]
fn resampling_and_letterboxing_equal_pillows() {
    let filters = [
        ("bicubic", Filter::Bicubic, LetterboxFilter::Bicubic),
        ("bilinear", Filter::Bilinear, LetterboxFilter::Bilinear),
    ];
    let rows = reference("resized");
    assert_eq!(rows.len(), 12);
    for row in rows {
        let image = read(&row, DecodeOptions::default());
        assert_eq!(digest(&image), row["sha256"], "{}", row["file"]);
        for (name, filter, letterbox_filter) in filters {
            for (width, height) in [(227, 227), (310, 173)] {
                let resized = resize(&image, Size::new(width, height), filter);
                let key = format!("{name} {width}x{height}");
                assert_eq!(digest(&resized), row[&key], "{} {key}", row["file"]);
            }
            let fitted = Letterbox::fit(image.size(), Size::new(608, 608));
            assert_eq!(fitted.content.width, row["content"][0], "{}", row["file"]);
            assert_eq!(fitted.content.height, row["content"][1], "{}", row["file"]);
            for fill in [0, 127] {
                let key = format!("{name} letterbox 608x608 fill {fill}");
                assert_eq!(
                    digest(&fitted.apply(&image, letterbox_filter, fill)),
                    row[&key],
                    "{} {key}",
                    row["file"]
                );
            }
        }
    }
}

#[test]
fn jpegs_decode_as_with_pillow_upright_and_as_stored() {
    let rows = reference("jpeg");
    assert!(rows.len() >= 20);
    for row in rows {
        let upright = read(&row, DecodeOptions::default());
        assert_eq!(upright.size().width, row["width"], "{}", row["file"]);
        assert_eq!(upright.size().height, row["height"], "{}", row["file"]);
        assert_eq!(digest(&upright), row["upright"], "{}", row["file"]);
        let stored = read(&row, DecodeOptions { ignore_exif: true, ..DecodeOptions::default() });
        assert_eq!(digest(&stored), row["ignoring exif"], "{}", row["file"]);
    }
}

/// `--fast-decode` against Pillow's `draft` (scripts/reference/reduced_jpegs.py).
#[test]
fn reduced_jpegs_are_those_of_pillows_draft() {
    let text = std::fs::read_to_string(folder().join("../reduced_jpegs.json")).unwrap();
    let rows: Vec<Value> = serde_json::from_str(&text).unwrap();
    let size = |value: &Value| {
        Size::new(value[0].as_u64().unwrap() as u32, value[1].as_u64().unwrap() as u32)
    };
    let mut reduced = [0; 9];
    for row in &rows {
        let [letterboxed, squashed, original] =
            ["letterboxed", "squashed", "original"].map(|key| size(&row[key]));
        let enough = Enough { letterboxed: Some(letterboxed.into()), fit: Fit::squash(squashed) };
        let options = DecodeOptions { enough: Some(enough), ..DecodeOptions::default() };
        let file = folder().join(row["file"].as_str().unwrap());
        let roots = [file.clone()];
        let source = emocam::corpus::find(&roots).unwrap().images.remove(0);
        let Picture { pixels, original: found } = source.decode(&options).unwrap();
        let what = format!("{} for {letterboxed} and {squashed}", file.display());
        assert_eq!((found, pixels.size()), (original, size(&row["decoded"])), "{what}");
        assert_eq!(digest(&pixels), row["upright"], "{what}");
        let letterbox = Letterbox::fit(original, letterboxed);
        assert_eq!(
            digest(&letterbox.apply(&pixels, LetterboxFilter::Bicubic, 0)),
            row["letterbox"],
            "{what}"
        );
        assert_eq!(digest(&resize(&pixels, squashed, Filter::Bicubic)), row["squash"], "{what}");
        reduced[original.width.div_ceil(pixels.size().width) as usize] += 1;
    }
    assert!([2, 4, 8].iter().all(|&by| reduced[by] >= 5), "{reduced:?}");
}
