//! `emocam paste`: the fast path against the slow one, Pillow and PyTorch (scripts/reference/object_paste.py),
//! statistics against statsmodels (scripts/reference/paste_statistics.py), and the command line with miniature
//! networks.

use crate::common;
use crate::common::corpus::{Corpus, assert_same_tables, emocam, ends, refused};
use crate::common::{json, reference, tensors};
use emocam::corpus::{DecodeOptions, decode};
use emocam::files::sha256;
use emocam::image::{Filter, KeptResize, Rgb8, Rgba8, Size, resize};
use emocam::networks::{AlexNet, Classifier, predict};
use emocam::paste::{Fill, PasteRecord, PastedObject, Positions, Sprites, spot_footprint};
use emocam::random::Random;
use emocam::stats::{cochran_q, holm, mcnemar, wilson};
use resvg::{tiny_skia, usvg};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tch::Device;

const OBJECTS: [&str; 3] = ["lotus-flower", "rugby-ball", "soccer-ball"];

fn object_file(name: &str) -> PathBuf {
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
        let off = picture.as_raw().iter().zip(drawing.as_raw()).filter(|&pair| unlike(pair)).count();
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
            if to_x < 0 || to_y < 0 || to_x >= i64::from(size.width) || to_y >= i64::from(size.height) {
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
        let (photo_size, own) =
            (Size::new(side(1.0, 420.0), side(1.0, 330.0)), Size::new(side(1.0, 90.0), side(2.0, 80.0)));
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
        let object = PastedObject { name: "noise".into(), sha256: String::new(), pixels: Rgba8::new(own, &rgba) };
        let scale = if case % 3 == 0 { random.uniform(0.01, 1.6) } else { 0.2 };
        let (x, y) = (random.uniform(0.0, 1.0), random.uniform(0.0, 1.0));
        let (x, y) = if case % 7 == 0 { (x.round(), y.round()) } else { (x, y) };
        let fills = [Fill::Object, Fill::Mean, Fill::Blur, Fill::Shuffle];
        let sprites = Sprites::new(&object, &photo, scale, &fills, Random::new(1, case));
        let sprite = object.pixels.resize(sprites.size(), Filter::Bilinear);
        larger += usize::from(sprites.size().width > photo_size.width || sprites.size().height > photo_size.height);
        let kept = KeptResize::new(photo.clone(), network, Filter::Bicubic);
        let at = spot_footprint(sprites.size(), photo_size, x, y);
        let slow = composed(&photo, &sprite, x, y);
        let border = |share: f64, side: u32, own: u32| {
            (share * f64::from(side)).min((1.0 - share) * f64::from(side)) < f64::from(own) / 2.0
        };
        hanging += usize::from(
            border(x, photo_size.width, sprite.size().width) || border(y, photo_size.height, sprite.size().height),
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
            let untouched = slow.data().chunks(3).zip(photo.data().chunks(3)).zip(whole.data().chunks(3));
            let mask = composed(
                &Rgb8::filled(photo_size, [0; 3]),
                &sprite.with_colour(Rgb8::filled(sprite.size(), [255; 3])),
                x,
                y,
            );
            for (at, ((_, before), after)) in untouched.enumerate().filter(|(at, _)| mask.data()[3 * at] == 0) {
                assert_eq!(before, after, "case {case}, {fill:?}, pixel {at}");
            }
        }
    }
    assert!(hanging > 100 && larger > 50, "{hanging} hang over the border, {larger} are larger than the photo");
}

#[test]
fn shuffling_keeps_the_visible_colours_and_follows_its_seed() {
    let object = PastedObject::load(&object_file("rugby-ball.png")).unwrap();
    let photo = Rgb8::filled(Size::new(300, 220), [90, 60, 30]);
    let at = spot_footprint(object.size_in(220, 0.2), photo.size(), 0.5, 0.5).unwrap();
    let make = |seed| {
        Sprites::new(&object, &photo, 0.2, &[Fill::Object, Fill::Shuffle], Random::new(seed, 0)).patch(
            &photo,
            Fill::Shuffle,
            &at,
        )
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
    let objects = OBJECTS.map(|name| PastedObject::load(&object_file(&format!("{name}.png"))).unwrap());
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
                        let at = spot_footprint(sprites.size(), kept.image().size(), position.x, position.y);
                        sprites.paste(&kept, fill, at.as_ref())
                    })
                    .collect();
                let joined: Vec<u8> = inputs.iter().flat_map(|input| input.data()).copied().collect();
                let of = digests
                    .iter()
                    .find(|of| of["picture"] == name && of["object"] == object.name && of["fill"] == fill.name())
                    .unwrap();
                assert_eq!(of["sha256"], sha256(&joined), "{name}, {}, {fill:?}", object.name);
                if fill != Fill::Object {
                    continue;
                }
                let pictures: Vec<&Rgb8> = inputs.iter().collect();
                let found = predict(&model, &pictures).unwrap();
                for (position, found) in found.iter().enumerate() {
                    let row = (number * 3 + at) * 17 + position;
                    assert_eq!(found.label as i64, labels[row], "{name}, {}, position {position}", object.name);
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
        assert!((found - wanted).abs() <= 1e-7 * wanted.abs() + 1e-15, "{found}, statsmodels {wanted}");
    };
    for case in expected["wilson"].as_array().unwrap() {
        let found = wilson(case["changed"].as_u64().unwrap(), case["all"].as_u64().unwrap()).unwrap();
        close(found.0, &case["interval"][0]);
        close(found.1, &case["interval"][1]);
    }
    for case in expected["cochran"].as_array().unwrap() {
        let table: Vec<Vec<u64>> = case["table"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row.as_str().unwrap().bytes().map(|letter| u64::from(letter - b'0')).collect())
            .collect();
        let columns: Vec<u64> = (0..table[0].len()).map(|at| table.iter().map(|row| row[at]).sum()).collect();
        let squares = table.iter().map(|row| row.iter().sum::<u64>().pow(2)).sum();
        let found = cochran_q(&columns, squares).unwrap();
        close(found.q, &case["q"]);
        close(found.p_value, &case["p_value"]);
        assert_eq!(found.degrees as u64, case["degrees"]);
    }
    for case in expected["mcnemar"].as_array().unwrap() {
        close(mcnemar(case["pair"][0].as_u64().unwrap(), case["pair"][1].as_u64().unwrap()), &case["p_value"]);
    }
    for case in expected["holm"].as_array().unwrap() {
        let p: Vec<f64> = serde_json::from_value(case["p"].clone()).unwrap();
        for (found, wanted) in holm(&p).into_iter().zip(case["adjusted"].as_array().unwrap()) {
            close(found, wanted);
        }
    }
}

/// `emocam paste photos` with the miniature networks.
fn paste(corpus: &Corpus, run: &str) -> Command {
    let mut command = emocam();
    command.current_dir(corpus.path("")).args(["paste", "photos", "--device", "cpu", "--out", run]);
    command.arg("--emotion-weights").arg(reference("emonet/narrow_ecco.pt"));
    command
}

fn with_objects(mut command: Command, names: &[&str]) -> Command {
    for name in names {
        command.arg("--object").arg(object_file(&format!("{name}.png")));
    }
    command
}

#[test]
fn tables_say_what_the_records_say() {
    let corpus = Corpus::small();
    let said = ends(with_objects(paste(&corpus, "run"), &OBJECTS[..2]).args(["--controls", "all"]), 0);
    assert!(said.out.contains("lotus-flower") && said.out.contains("shuffle"), "{}", said.out);
    let rate = said.err.lines().find(|line| line.contains(" images in ")).unwrap_or_default();
    assert!(rate.ends_with(" images/s"), "{}", said.err);
    let run = corpus.run("run");
    let names = ["cochran.csv", "failures.csv", "mcnemar.csv", "paste.csv", "paste.png", "paste.svg", "positions.png"];
    assert!(names.iter().all(|name| run.files().contains(&(*name).to_string())), "{:?}", run.files());
    let labels: Vec<String> = serde_json::from_value(run.manifest()["labels"].clone()).unwrap();
    let (records, table) = (run.records::<PasteRecord>(), run.table("paste.csv"));
    assert_eq!((records.len(), table.rows.len()), (15, 2 * 4 * 17));
    for (at, row) in table.rows.iter().enumerate() {
        let (group, position) = (at / 17, at % 17);
        assert_eq!(row[0], OBJECTS[group / 4]);
        assert_eq!(row[1], ["object", "mean", "blur", "shuffle"][group % 4]);
        assert_eq!(row[2], (position + 1).to_string());
        let pasted = records.iter().map(|record| (record, &record.pasted[group * 17 + position]));
        let changed: Vec<_> = pasted.clone().filter(|(record, pasted)| record.label != pasted.label).collect();
        assert_eq!(row[table.at("changed")], changed.len().to_string());
        let share: f64 = row[table.at("share")].parse().unwrap();
        approx::assert_abs_diff_eq!(share, changed.len() as f64 / 15.0, epsilon = 1e-12);
        let mean = pasted.map(|(record, pasted)| {
            f64::from(pasted.probabilities[record.label]) - f64::from(record.probabilities[record.label])
        });
        let written: f64 = row[table.at("original_change")].parse().unwrap();
        approx::assert_abs_diff_eq!(written, mean.sum::<f64>() / 15.0, epsilon = 1e-12);
        let to = &row[table.at("switched_to")];
        assert_eq!(to.is_empty(), changed.is_empty());
        if let Some(to) = labels.iter().position(|label| label == to) {
            let count = |label: usize| changed.iter().filter(|(_, pasted)| pasted.label == label).count();
            assert!((0..labels.len()).all(|label| count(label) <= count(to)));
        }
    }
    let switches = run.table("switches.csv");
    let total: u64 = switches.rows.iter().flat_map(|row| &row[3..]).map(|cell| cell.parse::<u64>().unwrap()).sum();
    assert_eq!(total, 15 * 2 * 4 * 17);
    assert_eq!(run.table("mcnemar.csv").rows.len(), 2 * 3 * 17);
    assert_eq!(run.table("cochran.csv").column("images"), ["15"; 8]);
    for (name, bytes) in run.tables() {
        let text = String::from_utf8(bytes).unwrap();
        assert!(!text.contains("NaN") && !text.contains("inf"), "{name}");
    }
}

#[test]
fn a_run_that_was_cut_off_ends_in_the_same_tables() {
    let corpus = Corpus::small();
    let start = |run: &str| {
        let mut command = with_objects(paste(&corpus, run), &OBJECTS[..1]);
        command.args(["--positions", "3x1", "--controls", "shuffle"]);
        command
    };
    ends(&mut start("whole"), 0);
    ends(start("cut").args(["--threads", "1"]), 0);
    let (whole, cut) = (corpus.run("whole"), corpus.run("cut"));
    assert_same_tables(&whole, &cut);
    let bytes = fs::read(cut.path("records.jsonl")).unwrap();
    fs::write(cut.path("records.jsonl"), &bytes[..bytes.len() * 2 / 5]).unwrap();
    refused(&mut start("cut"), &["holds a run already", "--resume"]);
    ends(start("cut").arg("--resume"), 0);
    assert_same_tables(&whole, &cut);
    assert_eq!(fs::read(cut.path("records.jsonl")).unwrap(), fs::read(whole.path("records.jsonl")).unwrap());
    refused(start("cut").args(["--resume", "--scale", "0.3"]), &["made differently", "scale: 0.2 then, 0.3 now"]);
    refused(emocam().arg("associate").arg(&cut.folder), &["is a run of `emocam paste`"]);
}

#[test]
fn on_boxes_of_a_class_by_the_detector_and_from_a_run() {
    let corpus = Corpus::small();
    let earlier = corpus.analyzed("earlier");
    let networks = |command: &mut Command| {
        command.arg("--detector").arg(reference("darknet/yolov3.cfg"));
        command.arg("--detector-weights").arg(reference("darknet/yolov3.weights"));
        command.arg("--class-names").arg(corpus.path("four.names"));
    };
    let at = |run: &str, classes: &[&str]| {
        let mut command = with_objects(paste(&corpus, run), &OBJECTS[1..2]);
        command.args(["--controls", "mean", "--focus"]);
        classes.iter().for_each(|class| {
            command.args(["--at", class]);
        });
        command
    };
    // The class with the most boxes; of these about the twenty most confident.
    let of = earlier.table("objects.csv");
    let confidences = |class: &str| -> Vec<f32> {
        let rows = of.rows.iter().filter(|row| row[of.at("class")] == class);
        rows.map(|row| row[of.at("confidence")].parse().unwrap()).collect()
    };
    let class = ["Cat", "Owl", "Tin"].into_iter().max_by_key(|class| confidences(class).len()).unwrap();
    let mut confident = confidences(class);
    confident.sort_by(f32::total_cmp);
    let least = confident[confident.len().saturating_sub(20)] - 1e-4;
    let boxes = confident.iter().filter(|&&confidence| confidence > least).count();
    let at = |run: &str, classes: &[&str]| {
        let mut command = at(run, classes);
        command.args(["--min-confidence", &least.to_string()]);
        command
    };
    ends(at("recorded", &[class]).args(["--regions", "earlier"]), 0);
    let mut detected = at("detected", &[&class.to_lowercase()]);
    networks(&mut detected);
    ends(&mut detected, 0);
    let (recorded, detected) = (corpus.run("recorded"), corpus.run("detected"));
    for run in [&recorded, &detected] {
        let table = run.table("paste.csv");
        assert_eq!(table.column("pastes"), [boxes.to_string(), boxes.to_string()]);
        assert_eq!(table.column("position"), [class, class]);
        let focus = run.table("focus.csv");
        for column in ["mass_before", "mass_after", "box_before", "box_after", "correlation"] {
            let values = focus.column(column);
            assert!(values.iter().all(|value| (-1.0..=1.01).contains(&value.parse::<f64>().unwrap())), "{values:?}");
        }
    }
    for record in recorded.records::<PasteRecord>() {
        for spot in &record.spots {
            let of = spot.bounding_box.unwrap();
            let middle = f64::from(of.x_min + of.x_max) / 2.0 / f64::from(record.width);
            approx::assert_abs_diff_eq!(spot.x, middle, epsilon = 1e-6);
        }
    }
    let recorded = |class: &str| {
        let mut command = at("x", &[class]);
        command.args(["--regions", "earlier"]);
        command
    };
    refused(&mut recorded("Catt"), &["no class `Catt`", "did you mean Cat?"]);
    refused(recorded(class).args(["--positions", "2x2"]), &["cannot be used with"]);
    let mut both = recorded(class);
    networks(&mut both);
    refused(&mut both, &["--detector", "cannot be used with", "--regions"]);
}

#[test]
fn a_class_that_never_occurs_is_a_defined_result() {
    let corpus = Corpus::small();
    corpus.analyzed("earlier");
    let mut command = with_objects(paste(&corpus, "run"), &OBJECTS[..1]);
    let said = ends(command.args(["--at", "Tin", "--regions", "earlier", "--min-confidence", "1.0"]), 0);
    assert!(said.err.contains("no box of the class Tin in any of 15 images"), "{}", said.err);
    let run = corpus.run("run");
    let table = run.table("paste.csv");
    assert_eq!(table.column("pastes"), ["0"]);
    for column in ["share", "lower", "upper", "switched_to", "original_change"] {
        assert_eq!(table.column(column), [""], "{column}");
    }
    assert_eq!(run.table("cochran.csv").column("p_value"), [""]);
    assert!(!run.path("paste.png").exists());
}

#[test]
fn objects_and_corpora_that_cannot_be_used_are_named() {
    let corpus = Corpus::small();
    let save = |name: &str, picture: image::DynamicImage| picture.save(corpus.path(name)).unwrap();
    save("opaque.png", image::RgbImage::new(9, 7).into());
    save("clear.png", image::RgbaImage::new(9, 7).into());
    save("long.png", image::RgbaImage::from_pixel(300, 2, image::Rgba([9, 9, 9, 255])).into());
    corpus.write("broken.png", &fs::read(object_file("rugby-ball.png")).unwrap()[..3000]);
    corpus.write("text.png", "no picture");
    for (file, words) in [
        ("opaque.png", "has no transparency"),
        ("clear.png", "transparent everywhere"),
        ("long.png", "at most 50 times"),
        ("broken.png", "cannot be decoded"),
        ("text.png", "cannot be decoded"),
        ("nowhere.png", "cannot read"),
    ] {
        refused(paste(&corpus, "x").args(["--object", file]), &[file, words]);
    }
    refused(
        &mut with_objects(paste(&corpus, "x"), &["rugby-ball", "rugby-ball"]),
        &["two objects are named `rugby-ball`"],
    );
    refused(with_objects(paste(&corpus, "x"), &OBJECTS[..1]).args(["--scale", "0"]), &["scale", "found 0"]);
    refused(with_objects(paste(&corpus, "x"), &OBJECTS[..1]).args(["--controls", "x"]), &["`x` is no control"]);
    refused(&mut paste(&corpus, "x"), &["--object"]);
    let empty = Corpus::empty();
    refused(&mut with_objects(paste(&empty, "x"), &OBJECTS[..1]), &["no images in photos"]);
    assert!(!corpus.path("x").exists());
    // Larger than the image on all sides: it hides the image, and the answer is the object's.
    ends(with_objects(paste(&corpus, "large"), &OBJECTS[..1]).args(["--scale", "3", "--positions", "1x1"]), 0);
    let covered = corpus.run("large").table("paste.csv").column("covered")[0].parse::<f64>().unwrap();
    assert!(covered > 0.6, "{covered}");
    corpus.write("photos/bad.jpg", "no picture");
    let said = ends(with_objects(paste(&corpus, "some"), &OBJECTS[..1]).args(["--positions", "2x1"]), 1);
    assert!(said.err.contains("bad.jpg (decode)"), "{}", said.err);
    assert_eq!(corpus.run("some").table("failures.csv").column("path"), ["bad.jpg"]);
}

#[test]
fn a_search_finds_the_strongest_switch_of_its_grid() {
    let corpus = Corpus::small();
    let mut command = emocam();
    command.current_dir(corpus.path("")).args(["paste", "--find", "photos/a/picture_3.png", "--device", "cpu"]);
    command.arg("--emotion-weights").arg(reference("emonet/narrow_ecco.pt"));
    let said =
        ends(with_objects(command, &OBJECTS[2..]).args(["--grid", "5x4", "--scales", "0.2,0.4", "--out", "found"]), 0);
    assert!(said.out.starts_with("soccer-ball: "), "{}", said.out);
    let table = common::corpus::Table::read(&corpus.path("found/find.csv"));
    assert_eq!(table.rows.len(), 2 * 20);
    let leads: Vec<f64> = table.column("lead").iter().map(|lead| lead.parse().unwrap()).collect();
    let best = (0..40).fold(0, |best, at| if leads[at] > leads[best] { at } else { best });
    let row = &table.rows[best];
    let [scale, x, y] = ["scale", "x", "y"].map(|name| row[table.at(name)].parse::<f64>().unwrap());
    assert!(said.out.contains(&format!("{scale} high at {x:.3}, {y:.3}")), "{} {row:?}", said.out);
    // The rendered switch gives the answer of its row when it is asked from its file.
    let model = AlexNet::load(&reference("emonet/narrow_ecco.pt"), None, Device::Cpu).unwrap();
    let picture = decode(&corpus.path("found/soccer-ball-strongest.png"), &DecodeOptions::default()).unwrap();
    let input = resize(&picture, model.card().input(), Filter::Bicubic);
    let answer = predict(&model, &[&input]).unwrap().remove(0);
    assert_eq!(row[table.at("label")], model.card().labels[answer.label]);
    let probability: f32 = row[table.at("probability")].parse().unwrap();
    assert!((answer.probabilities[answer.label] - probability).abs() < 1e-4);
    assert!(corpus.path("found/soccer-ball-0.2.png").exists() && corpus.path("found/soccer-ball-0.4.svg").exists());
    refused(emocam().args(["paste", "--find", "x.png", "photos", "--object", "y.png"]), &["cannot be used with"]);
}
