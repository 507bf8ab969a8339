//! The decoder on damaged, odd and hostile files.

use crate::common::odd::{Case, Expect, cases, encoded, jpeg_of_claimed_sides, photo};
use emocam::corpus::{DecodeOptions, decode};
use emocam::image::{Rgb8, Size};
use image::ImageFormat;
use std::path::{Path, PathBuf};

fn check(folder: &Path, case: &Case) {
    let file: PathBuf = folder.join(case.name);
    std::fs::write(&file, &case.bytes).unwrap();
    let result = decode(&file, &DecodeOptions::default());
    match (&case.expect, result) {
        (Expect::Image { width, height, at, colour }, Ok(image)) => {
            assert_eq!(image.size(), Size::new(*width, *height), "{}", case.name);
            assert_eq!(image.pixel(at.0, at.1), *colour, "{}", case.name);
        }
        (Expect::Error(fragment), Err(error)) => {
            let text = error.to_string();
            assert!(text.contains(fragment), "{}: \"{text}\" lacks \"{fragment}\"", case.name);
            assert!(text.starts_with(&file.display().to_string()), "{text}");
        }
        (_, Ok(image)) => panic!("{} was read as an image of {}", case.name, Rgb8::size(&image)),
        (_, Err(error)) => panic!("{error}"),
    }
}

#[test]
fn every_odd_file_has_its_outcome() {
    let folder = tempfile::tempdir().unwrap();
    let cases = cases();
    assert!(cases.len() >= 30);
    cases.iter().for_each(|case| check(folder.path(), case));
}

#[test]
fn a_limit_of_pixels_holds_for_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let options = DecodeOptions { max_pixels: 34, ..DecodeOptions::default() };
    let mut photos = [ImageFormat::Png, ImageFormat::WebP, ImageFormat::Bmp, ImageFormat::Tiff]
        .map(|format| encoded(&photo(), format))
        .to_vec();
    photos.push(jpeg_of_claimed_sides(7, 5));
    for bytes in photos {
        let file = folder.path().join("photo");
        std::fs::write(&file, bytes).unwrap();
        let error = decode(&file, &options).unwrap_err().to_string();
        assert!(error.ends_with("7x5 are 35 pixels; the limit is 34"), "{error}");
    }
}

#[cfg(unix)]
#[test]
fn a_pipe_and_a_folder_are_refused_without_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe.jpg");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for (file, expected) in
        [(pipe.as_path(), "a named pipe, not a file"), (folder.path(), "a folder, not a file")]
    {
        let error = decode(file, &DecodeOptions::default()).unwrap_err().to_string();
        assert!(error.ends_with(expected), "{error}");
    }
    let missing =
        decode(Path::new("/no/such/photo.jpg"), &DecodeOptions::default()).unwrap_err().to_string();
    assert_eq!(missing, "cannot read /no/such/photo.jpg");
}
