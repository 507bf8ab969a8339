//! `emocam paste`: the fast path against the slow one, Pillow and PyTorch
//! (scripts/reference/object_paste.py), statistics against statsmodels
//! (scripts/reference/paste_statistics.py), and the command line with miniature networks.

use crate::common::{json, reference, tensors};
use emocam::corpus::{DecodeOptions, decode};
use emocam::files::sha256;
use emocam::image::{Filter, KeptResize, Rgb8, Rgba8, Size, resize};
use emocam::networks::{AlexNet, Classifier, predict};
use emocam::paste::{Fill, PastedObject, Positions, Sprites, spot_footprint};
use emocam::random::Random;
use emocam::stats::{cochran_q, holm, mcnemar, wilson};
use resvg::{tiny_skia, usvg};
use std::fs;
use std::path::{Path, PathBuf};
use tch::Device;

pub(crate) const OBJECTS: [&str; 3] = ["lotus-flower", "rugby-ball", "soccer-ball"];

pub(crate) fn object_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models/objects").join(name)
}

/// The drawing as straight RGBA.
fn drawn(name: &str) -> image::RgbaImage {
    let text = fs::read_to_string(object_file(&format!("{name}.svg"))).unwrap();
    let tree = usvg::Tree::from_str(&text, &usvg::Options::default()).unwrap();
    let size = tree.size().to_int_size();
    let mut pixels = tiny_skia::Pixmap::new(size.width(), size.height()).unwrap();
    resvg::render(&tree, tiny_skia::Transform::identity(), &mut pixels.as_mut());
    let straight = pixels.pixels().iter().map(|pixel| pixel.demultiply());
    let bytes = straight.flat_map(|p| [p.red(), p.green(), p.blue(), p.alpha()]).collect();
    image::RgbaImage::from_raw(size.width(), size.height(), bytes).unwrap()
}

#[test]
fn the_drawings_are_the_pictures() {
    for name in OBJECTS {
        let (drawing, file) = (drawn(name), object_file(&format!("{name}.png")));
        if std::env::var_os("EMOCAM_DRAW").is_some() {
            drawing.save(&file).unwrap();
        }
        let picture = image::open(&file).unwrap().into_rgba8();
        assert_eq!(picture.dimensions(), drawing.dimensions(), "{name}");
        // Another processor may round a colour the other way.
        let unlike = |(a, b): (&u8, &u8)| a.abs_diff(*b) > 2;
        let off =
            picture.as_raw().iter().zip(drawing.as_raw()).filter(|&pair| unlike(pair)).count();
        assert!(off < picture.as_raw().len() / 1000, "{name}: {off} bytes differ");
        let object = PastedObject::load(&file).unwrap();
        let opaque = object.pixels.alpha().iter().filter(|&&alpha| alpha == 255).count();
        assert!(opaque * 3 > object.pixels.size().area(), "{name} is a visible thing");
        assert!(object.pixels.alpha().contains(&0), "{name} has transparent corners");
    }
}

fn noise(size: Size, channels: usize, random: &mut Random) -> Vec<u8> {
    (0..channels * size.area()).map(|_| random.next_u64() as u8).collect()
}

/// Composed pixel by pixel at full size, in real numbers.
fn composed(photo: &Rgb8, sprite: &Rgba8, x: f64, y: f64) -> Rgb8 {
    let (size, own) = (photo.size(), sprite.size());
    let left = (x * f64::from(size.width) - f64::from(own.width) / 2.0 + 0.5).floor() as i64;
    let top = (y * f64::from(size.height) - f64::from(own.height) / 2.0 + 0.5).floor() as i64;
    let mut out = photo.clone();
    for row in 0..i64::from(own.height) {
        for column in 0..i64::from(own.width) {
            let (to_x, to_y) = (left + column, top + row);
            if to_x < 0
                || to_y < 0
                || to_x >= i64::from(size.width)
                || to_y >= i64::from(size.height)
            {
                continue;
            }
            let at = (row * i64::from(own.width) + column) as usize;
            let alpha = f64::from(sprite.alpha()[at]) / 255.0;
            for channel in 0..3 {
                let to = (3 * (to_y * i64::from(size.width) + to_x)) as usize + channel;
                let above = f64::from(sprite.colour().data()[3 * at + channel]);
                let below = f64::from(photo.data()[to]);
                out.data_mut()[to] = (above * alpha + below * (1.0 - alpha) + 1e-9).round() as u8;
            }
        }
    }
    out
}

#[test]
fn the_fast_path_gives_the_bytes_of_composing_and_resizing_everything() {
    let network = Size::new(227, 227);
    let (mut hanging, mut larger) = (0, 0);
    for case in 0..500 {
        let random = &mut Random::new(11, case);
        let mut side = |low: f64, high: f64| random.uniform(low, high) as u32;
        let (photo_size, own) = (
            Size::new(side(1.0, 420.0), side(1.0, 330.0)),
            Size::new(side(1.0, 90.0), side(2.0, 80.0)),
        );
        let photo = Rgb8::new(photo_size, noise(photo_size, 3, random));
        let mut rgba = noise(own, 4, random);
        // Opaque and invisible pixels are as frequent as in drawings.
        rgba.iter_mut().skip(3).step_by(4).for_each(|alpha| {
            *alpha = match *alpha % 3 {
                0 => 0,
                1 => 255,
                _ => *alpha,
            }
        });
        let object = PastedObject {
            name: "noise".into(),
            sha256: String::new(),
            pixels: Rgba8::new(own, &rgba),
        };
        let scale = if case % 3 == 0 { random.uniform(0.01, 1.6) } else { 0.2 };
        let (x, y) = (random.uniform(0.0, 1.0), random.uniform(0.0, 1.0));
        let (x, y) = if case % 7 == 0 { (x.round(), y.round()) } else { (x, y) };
        let fills = [Fill::Object, Fill::Mean, Fill::Blur, Fill::Shuffle];
        let sprites = Sprites::new(&object, &photo, scale, &fills, Random::new(1, case));
        let sprite = object.pixels.resize(sprites.size(), Filter::Bilinear);
        larger += usize::from(
            sprites.size().width > photo_size.width || sprites.size().height > photo_size.height,
        );
        let kept = KeptResize::new(photo.clone(), network, Filter::Bicubic);
        let at = spot_footprint(sprites.size(), photo_size, x, y);
        let slow = composed(&photo, &sprite, x, y);
        let border = |share: f64, side: u32, own: u32| {
            (share * f64::from(side)).min((1.0 - share) * f64::from(side)) < f64::from(own) / 2.0
        };
        hanging += usize::from(
            border(x, photo_size.width, sprite.size().width)
                || border(y, photo_size.height, sprite.size().height),
        );
        let fast = sprites.paste(&kept, Fill::Object, at.as_ref());
        assert!(
            fast == resize(&slow, network, Filter::Bicubic),
            "case {case}: {photo_size}, object {}",
            sprites.size()
        );
        let Some(at) = at else { continue };
        for fill in &fills[1..] {
            let patch = sprites.patch(&photo, *fill, &at);
            let mut whole = photo.clone();
            whole.put(at.left, at.top, &patch);
            let fast = sprites.paste(&kept, *fill, Some(&at));
            assert!(fast == resize(&whole, network, Filter::Bicubic), "case {case}, {fill:?}");
            // A control changes no pixel that the object leaves alone.
            let untouched =
                slow.data().chunks(3).zip(photo.data().chunks(3)).zip(whole.data().chunks(3));
            let mask = composed(
                &Rgb8::filled(photo_size, [0; 3]),
                &sprite.with_colour(Rgb8::filled(sprite.size(), [255; 3])),
                x,
                y,
            );
            for (at, ((_, before), after)) in
                untouched.enumerate().filter(|(at, _)| mask.data()[3 * at] == 0)
            {
                assert_eq!(before, after, "case {case}, {fill:?}, pixel {at}");
            }
        }
    }
    assert!(
        hanging > 100 && larger > 50,
        "{hanging} hang over the border, {larger} are larger than the photo"
    );
}

#[test]
fn shuffling_keeps_the_visible_colours_and_follows_its_seed() {
    let object = PastedObject::load(&object_file("rugby-ball.png")).unwrap();
    let photo = Rgb8::filled(Size::new(300, 220), [90, 60, 30]);
    let at = spot_footprint(object.size_in(220, 0.2), photo.size(), 0.5, 0.5).unwrap();
    let make = |seed| {
        Sprites::new(&object, &photo, 0.2, &[Fill::Object, Fill::Shuffle], Random::new(seed, 0))
            .patch(&photo, Fill::Shuffle, &at)
    };
    assert_eq!(make(1), make(1));
    assert_ne!(make(1), make(2));
    let sprites = Sprites::new(&object, &photo, 0.2, &[Fill::Object], Random::new(0, 0));
    let sums = |patch: &Rgb8| -> u64 { patch.data().iter().map(|&value| u64::from(value)).sum() };
    let (whole, shuffled) = (sums(&sprites.patch(&photo, Fill::Object, &at)), sums(&make(1)));
    // But for the half-transparent rim the same pixels.
    assert!(whole.abs_diff(shuffled) * 100 < whole, "{whole}, {shuffled}");
}

#[test]
fn inputs_and_answers_are_those_of_pillow_and_pytorch() {
    let model = AlexNet::load(&reference("emonet/narrow_ecco.pt"), None, Device::Cpu).unwrap();
    let expected = tensors("paste/answers.safetensors");
    let (shape, probabilities) = expected.floats("probabilities");
    assert_eq!(shape, [8, 3, 17, 20]);
    let labels = |name: &str| -> Vec<i64> {
        let (_, bytes) = expected.bytes(name);
        bytes.chunks_exact(8).map(|b| i64::from_le_bytes(b.try_into().unwrap())).collect()
    };
    let (labels, original) = (labels("labels"), labels("original"));
    let digests = json("paste/digests.json");
    let digests = digests.as_array().unwrap();
    let positions = Positions::default().positions;
    let objects =
        OBJECTS.map(|name| PastedObject::load(&object_file(&format!("{name}.png"))).unwrap());
    let (mut compared, mut worst, mut changed) = (0, 0.0_f32, 0);
    for (number, &unpasted) in original.iter().enumerate() {
        let name = format!("picture_{number}.png");
        let photo = decode(&reference("emonet").join(&name), &DecodeOptions::default()).unwrap();
        let kept = KeptResize::new(photo, model.card().input(), Filter::Bicubic);
        for (at, object) in objects.iter().enumerate() {
            let fills = [Fill::Object, Fill::Mean, Fill::Blur];
            let sprites = Sprites::new(object, kept.image(), 0.2, &fills, Random::new(1, 1));
            for fill in fills {
                let inputs: Vec<Rgb8> = positions
                    .iter()
                    .map(|position| {
                        let at = spot_footprint(
                            sprites.size(),
                            kept.image().size(),
                            position.x,
                            position.y,
                        );
                        sprites.paste(&kept, fill, at.as_ref())
                    })
                    .collect();
                let joined: Vec<u8> =
                    inputs.iter().flat_map(|input| input.data()).copied().collect();
                let of = digests
                    .iter()
                    .find(|of| {
                        of["picture"] == name
                            && of["object"] == object.name
                            && of["fill"] == fill.name()
                    })
                    .unwrap();
                assert_eq!(of["sha256"], sha256(&joined), "{name}, {}, {fill:?}", object.name);
                if fill != Fill::Object {
                    continue;
                }
                let pictures: Vec<&Rgb8> = inputs.iter().collect();
                let found = predict(&model, &pictures).unwrap();
                for (position, found) in found.iter().enumerate() {
                    let row = (number * 3 + at) * 17 + position;
                    assert_eq!(
                        found.label as i64, labels[row],
                        "{name}, {}, position {position}",
                        object.name
                    );
                    let wanted = &probabilities[20 * row..20 * row + 20];
                    let off = found.probabilities.iter().zip(wanted).map(|(a, b)| (a - b).abs());
                    worst = off.fold(worst, f32::max);
                    changed += usize::from(labels[row] != unpasted);
                    compared += 1;
                }
            }
        }
    }
    assert_eq!(compared, 8 * 17 * 3);
    assert!(changed > 20, "{changed} labels change: too few for the comparison to mean much");
    assert!(worst < 1e-4, "probabilities are off by {worst}");
}

#[test]
fn statistics_are_those_of_statsmodels() {
    let expected = json("paste/statistics.json");
    let close = |found: f64, wanted: &serde_json::Value| {
        let wanted = wanted.as_f64().unwrap();
        assert!((found - wanted).abs() < 1e-9, "{found}, statsmodels {wanted}");
        // Small p-values also in proportion.
        assert!(
            (found - wanted).abs() <= 1e-7 * wanted.abs() + 1e-15,
            "{found}, statsmodels {wanted}"
        );
    };
    for case in expected["wilson"].as_array().unwrap() {
        let found =
            wilson(case["changed"].as_u64().unwrap(), case["all"].as_u64().unwrap()).unwrap();
        close(found.0, &case["interval"][0]);
        close(found.1, &case["interval"][1]);
    }
    for case in expected["cochran"].as_array().unwrap() {
        let table: Vec<Vec<u64>> = case["table"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| {
                row.as_str().unwrap().bytes().map(|letter| u64::from(letter - b'0')).collect()
            })
            .collect();
        let columns: Vec<u64> =
            (0..table[0].len()).map(|at| table.iter().map(|row| row[at]).sum()).collect();
        let squares = table.iter().map(|row| row.iter().sum::<u64>().pow(2)).sum();
        let found = cochran_q(&columns, squares).unwrap();
        close(found.q, &case["q"]);
        close(found.p_value, &case["p_value"]);
        assert_eq!(found.degrees as u64, case["degrees"]);
    }
    for case in expected["mcnemar"].as_array().unwrap() {
        close(
            mcnemar(case["pair"][0].as_u64().unwrap(), case["pair"][1].as_u64().unwrap()),
            &case["p_value"],
        );
    }
    for case in expected["holm"].as_array().unwrap() {
        let p: Vec<f64> = serde_json::from_value(case["p"].clone()).unwrap();
        for (found, wanted) in holm(&p).into_iter().zip(case["adjusted"].as_array().unwrap()) {
            close(found, wanted);
        }
    }
}
