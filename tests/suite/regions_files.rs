//! Regions from elsewhere, through every command: COCO results and data sets, JSON lines, an
//! earlier run; boxes and masks.

use crate::common::corpus::{
    Corpus, Run, assert_same_tables, assert_scored_on_kept_maps, emocam, ends, refused,
};
use crate::common::reference;
use emocam::image::{Mask, Size};
use serde_json::json;
use std::path::Path;
use std::process::Command;

/// A command over pictures with the narrow EmoNet and these regions.
fn with(corpus: &Corpus, subcommand: &str, regions: &[&str]) -> Command {
    let mut command = emocam();
    command.current_dir(corpus.path("")).args([subcommand, "--device", "cpu", "--emotion-weights"]);
    command.arg(reference("emonet/narrow_ecco.pt")).arg("--regions").args(regions);
    command
}

fn ball() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models/objects/rugby-ball.png")
}

fn size(corpus: &Corpus, name: &str) -> Size {
    let (width, height) = image::image_dimensions(corpus.path("photos").join(name)).unwrap();
    Size::new(width, height)
}

/// File, label, score, box, and its own pixels.
type Found = (String, &'static str, f64, [f64; 4], Option<Mask>);

/// Ellipse-like masks and boxes of two classes, in six of the eight pictures of `photos/a`; some
/// reach beyond the picture.
fn regions(corpus: &Corpus) -> Vec<Found> {
    let mut all = Vec::new();
    for at in 0..6 {
        let name = format!("a/picture_{at}.png");
        let size = size(corpus, &name);
        let (width, height) = (f64::from(size.width), f64::from(size.height));
        all.push((
            name.clone(),
            "Tree",
            0.9,
            [-7.25, 0.1 * height, 0.6 * width, height + 11.5],
            None,
        ));
        let corner =
            |angle: f64| [width * (0.5 + 0.3 * angle.cos()), height * (0.5 + 0.4 * angle.sin())];
        let polygon: Vec<f64> = (0..9).flat_map(|step| corner(f64::from(step) * 0.7)).collect();
        let mask = Mask::from_polygons(size, &[polygon]).unwrap();
        let extent = mask.bounding_box().unwrap();
        let extent = <[f32; 4]>::from(extent).map(f64::from);
        all.push((name, "Dog", 0.5 + 0.05 * f64::from(at), extent, Some(mask)));
    }
    all
}

fn write_lines(corpus: &Corpus) {
    let lines = regions(corpus).into_iter().map(|(file, label, score, extent, mask)| {
        let mut line = json!({"file": file, "label": label, "score": score, "box": extent});
        if let Some(mask) = mask {
            line["rle"] = serde_json::to_value(mask).unwrap();
        }
        line.to_string()
    });
    corpus.write("regions.jsonl", lines.collect::<Vec<_>>().join("\n") + "\n");
}

/// The same as COCO results with their data set.
fn write_coco(corpus: &Corpus) {
    let all = regions(corpus);
    let image = |at: usize| {
        let name = format!("a/picture_{at}.png");
        let size = size(corpus, &name);
        json!({"id": at, "file_name": name, "width": size.width, "height": size.height})
    };
    let images: Vec<serde_json::Value> = (0..8).map(image).collect();
    let categories = json!([{"id": 7, "name": "Tree"}, {"id": 3, "name": "Dog"}]);
    corpus.write(
        "dataset.json",
        json!({"images": images, "annotations": [], "categories": categories}).to_string(),
    );
    let results = all.into_iter().map(|(file, label, score, [left, top, right, bottom], mask)| {
        let number: usize =
            file.trim_start_matches("a/picture_").trim_end_matches(".png").parse().unwrap();
        let category = if label == "Dog" { 3 } else { 7 };
        let edges = [left, top, right - left, bottom - top];
        let mut result =
            json!({"image_id": number, "category_id": category, "score": score, "bbox": edges});
        if let Some(mask) = mask {
            result["segmentation"] = serde_json::to_value(mask).unwrap();
        }
        result
    });
    corpus.write("results.json", serde_json::Value::from_iter(results).to_string());
}

fn analyzed(corpus: &Corpus, run: &str, flags: &[&str]) -> Run {
    let mut command = with(corpus, "analyze", &["regions.jsonl"]);
    ends(command.args(["photos", "--cam", "grad-cam,ablation-cam", "--out", run]).args(flags), 0);
    corpus.run(run)
}

/// Every importance of a run again, from objects.csv, the saved maps and, of masks, the records.
fn assert_recomputed(run: &Run) -> usize {
    let objects = run.table("objects.csv");
    let number = |row: &[String], name: &str| -> f64 { row[objects.at(name)].parse().unwrap() };
    let sizes = run.table("images.csv");
    let records = std::fs::read_to_string(run.path("records.jsonl")).unwrap();
    let mut masks = std::collections::BTreeMap::new();
    for record in records.lines() {
        let record: serde_json::Value = serde_json::from_str(record).unwrap();
        for found in record["boxes"].as_array().unwrap() {
            if let Some(rle) = found["rle"].as_str() {
                masks.insert(record["path"].as_str().unwrap().to_string(), rle.to_string());
            }
        }
    }
    let (mut compared, mut worst) = (0, 0.0_f64);
    for row in &objects.rows {
        let path = &row[0];
        let image = sizes.rows.iter().find(|image| image[0] == *path).unwrap();
        let [width, height]: [u32; 2] = [1, 2].map(|at: usize| image[at].parse().unwrap());
        let bytes = std::fs::read(run.path(&format!("maps/{path}.safetensors"))).unwrap();
        let maps = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        for method in objects.methods() {
            let view = maps.tensor(method).unwrap();
            let map: Vec<f64> = view
                .data()
                .chunks_exact(4)
                .map(|b| f64::from(f32::from_le_bytes(b.try_into().unwrap())))
                .collect();
            let (rows, columns) = (view.shape()[0], view.shape()[1]);
            // The map over the picture: bilinear, half-pixel centres.
            let value = |x: f64, y: f64| {
                let along = |place: f64, cells: usize, side: u32| {
                    let at = (place * cells as f64 / f64::from(side) - 0.5)
                        .clamp(0.0, cells as f64 - 1.0);
                    let low = (at.floor() as usize).min(cells - 1);
                    (low, (low + 1).min(cells - 1), at - low as f64)
                };
                let (left, right, across) = along(x, columns, width);
                let (top, bottom, down) = along(y, rows, height);
                let line = |row: usize| {
                    map[row * columns + left] * (1.0 - across) + map[row * columns + right] * across
                };
                line(top) * (1.0 - down) + line(bottom) * down
            };
            if !row[objects.at("mask_pixels")].is_empty() {
                let mask = Mask::from_compressed(Size::new(width, height), &masks[path]).unwrap();
                let inside = (0..height)
                    .flat_map(|y| (0..width).map(move |x| (x, y)))
                    .filter(|&(x, y)| mask.contains(x, y));
                let values: Vec<f64> =
                    inside.map(|(x, y)| value(f64::from(x) + 0.5, f64::from(y) + 0.5)).collect();
                assert_eq!(values.len() as f64, number(row, "mask_pixels"));
                let mean = values.iter().sum::<f64>() / values.len() as f64;
                worst = worst.max((number(row, method) - mean).abs());
                compared += 1;
            }
        }
    }
    eprintln!("{compared} importances of masks within {worst:.1e}");
    assert!(worst < 1.4e-7, "{worst:.1e}");
    compared
}

#[test]
fn masks_are_scored_on_their_pixels_and_boxes_stay_beside_them() {
    let corpus = Corpus::small();
    write_lines(&corpus);
    let run = analyzed(&corpus, "run", &["--save-maps"]);
    let objects = run.table("objects.csv");
    assert_eq!(objects.rows.len(), 12);
    assert_eq!(objects.header[8..10], ["grad-cam", "ablation-cam"]);
    assert_eq!(assert_recomputed(&run), 2 * 6);
    assert_eq!(assert_scored_on_kept_maps(&run), 2 * 12);
    // The box's score stands beside the mask's and differs from it; a region without a mask has its
    // box's in the method's column.
    for row in &objects.rows {
        let beside = &row[objects.at("grad-cam_box")];
        assert_eq!(row[2] == "Dog", !beside.is_empty(), "{row:?}");
        if !beside.is_empty() {
            assert_ne!(beside, &row[objects.at("grad-cam")]);
        }
        // As the file gives it, beyond the picture.
        if row[2] == "Tree" {
            assert_eq!(row[objects.at("extent_x_min")], "-7.25");
            assert_eq!(row[objects.at("x_min")], "0");
        }
    }
    assert_eq!(run.table("grad-cam/association.csv").column("class"), ["Dog", "Tree"]);
    assert_eq!(
        run.table("images.csv").rows.len(),
        15,
        "pictures without an entry are pictures without objects"
    );

    // All formats say the same; a run's regions are those of its file.
    write_coco(&corpus);
    for (other, flags) in
        [("coco", &["results.json", "--regions-dataset", "dataset.json"][..]), ("again", &["run"])]
    {
        let mut command = with(&corpus, "analyze", flags);
        ends(command.args(["photos", "--cam", "grad-cam,ablation-cam", "--out", other]), 0);
        assert_same_tables(&run, &corpus.run(other));
    }
}

#[test]
fn every_command_takes_regions_from_a_file() {
    let corpus = Corpus::small();
    write_lines(&corpus);
    let run = analyzed(&corpus, "run", &["--save-maps"]);
    ends(
        emocam().current_dir(corpus.path("")).args([
            "associate",
            "run",
            "--importance",
            "0.2",
            "--out",
            "associated",
        ]),
        0,
    );
    ends(
        emocam().current_dir(corpus.path("")).args([
            "rsa",
            "run",
            "--resamples",
            "0",
            "--permutations",
            "0",
            "--out",
            "rsa",
        ]),
        0,
    );
    assert!(
        corpus.path("rsa/spearman.csv").exists()
            && corpus.path("associated/grad-cam/counts.csv").exists()
    );

    let mut explain = with(&corpus, "explain", &["regions.jsonl"]);
    ends(explain.args(["photos/a/picture_2.png", "--corpus", "photos", "--cam", "grad-cam"]), 0);
    let explained = corpus.explained("picture_2.json");
    assert!(explained.contains("Dog") && explained.contains("Tree"));
    assert!(corpus.explained("picture_2.svg").len() > 10_000);

    let mut evaluate = with(&corpus, "evaluate", &["regions.jsonl"]);
    evaluate
        .args(["photos", "--out", "judged", "--cam", "grad-cam", "--steps", "4", "--limit", "8"]);
    let said = ends(evaluate.args(["--pointing", "Dog", "--metrics", "deletion"]), 0);
    assert!(said.err.contains("6 of 8 images have a box of Dog"), "{}{}", said.out, said.err);

    let mut paste = with(&corpus, "paste", &["regions.jsonl"]);
    ends(
        paste
            .args(["photos", "--out", "pasted", "--at", "Dog", "--focus"])
            .arg("--object")
            .arg(ball()),
        0,
    );
    assert_eq!(corpus.run("pasted").table("paste.csv").column("pastes"), ["6"]);

    // Shards merge into the whole, and a run that was cut goes on to the same bytes.
    let [first, second] = ["1/2", "2/2"].map(|shard| {
        let name = format!("shard{}", &shard[..1]);
        analyzed(&corpus, &name, &["--shard", shard, "--save-maps"]);
        name
    });
    ends(
        emocam().current_dir(corpus.path("")).args(["merge", &first, &second, "--out", "merged"]),
        0,
    );
    assert_same_tables(&run, &corpus.run("merged"));
    let torn = analyzed(&corpus, "torn", &["--save-maps"]);
    let records = std::fs::read(torn.path("records.jsonl")).unwrap();
    let third = records.iter().enumerate().filter(|(_, byte)| **byte == b'\n').nth(2).unwrap().0;
    std::fs::write(torn.path("records.jsonl"), &records[..third + 7]).unwrap();
    analyzed(&corpus, "torn", &["--save-maps", "--resume"]);
    assert!(std::fs::read(torn.path("records.jsonl")).unwrap() == records);
    // With other regions it would be another run.
    let text = std::fs::read_to_string(corpus.path("regions.jsonl")).unwrap();
    corpus.write("regions.jsonl", text.replace("0.9", "0.8"));
    let mut other = with(&corpus, "analyze", &["regions.jsonl"]);
    other.args([
        "photos",
        "--cam",
        "grad-cam,ablation-cam",
        "--out",
        "torn",
        "--save-maps",
        "--resume",
    ]);
    refused(&mut other, &["regions"]);
}

/// Also those of a detector whose canvas is not the published one's: boxes, bars and scores are
/// the same numbers.
#[test]
fn the_regions_of_a_run_have_its_importances() {
    let corpus = Corpus::small();
    ends(&mut corpus.analyze("found"), 0);
    let mut again = with(&corpus, "analyze", &["found"]);
    ends(again.args(["photos", "--out", "again"]), 0);
    let [found, again] = ["found", "again"].map(|run| corpus.run(run).table("objects.csv"));
    assert!(found.column("canvas_width").iter().all(|width| *width == "96"));
    assert!(found.rows.len() > 10 && found.rows.len() == again.rows.len());
    // What is known of masks stands behind.
    let columns = found.header.len();
    assert_eq!(again.header[..columns], found.header);
    for (found, again) in found.rows.iter().zip(&again.rows) {
        assert_eq!(again[..columns], *found);
    }
}

#[test]
fn a_box_s_area_is_the_canvas_or_the_picture() {
    let corpus = Corpus::small();
    write_lines(&corpus);
    let [canvas, picture] = ["canvas", "picture"]
        .map(|area| analyzed(&corpus, area, &["--box-area", area]).table("objects.csv"));
    assert!(canvas.column("box_area").iter().all(|area| *area == "canvas"));
    assert!(picture.column("box_area").iter().all(|area| *area == "picture"));
    // A box that reaches beyond the picture has padding in it on the canvas, where the map is 0.
    let [canvas, picture] = [canvas, picture].map(|objects| -> Vec<f64> {
        let trees = objects.rows.iter().filter(|row| row[2] == "Tree");
        trees.map(|row| row[objects.at("grad-cam")].parse().unwrap()).collect()
    });
    assert!(
        canvas.iter().zip(&picture).all(|(canvas, picture)| canvas <= picture),
        "{canvas:?} {picture:?}"
    );
    assert!(
        canvas.iter().zip(&picture).any(|(canvas, picture)| canvas < picture),
        "{canvas:?} {picture:?}"
    );
}

#[test]
fn regions_that_cannot_be_used_are_named_with_their_place() {
    let corpus = Corpus::small();
    write_lines(&corpus);
    let refuse = |name: &str, text: &str, phrases: &[&str]| {
        corpus.write(name, text);
        refused(with(&corpus, "analyze", &[name]).args(["photos", "--out", "x"]), phrases);
        assert!(!corpus.path("x").exists());
    };
    refuse(
        "a.jsonl",
        "{\"file\": \"a.png\"}\n{\"file\": \"b.png\", \"label\": 3}\n",
        &["a.jsonl, line 2"],
    );
    refuse(
        "b.jsonl",
        "{\"file\": \"a.png\", \"label\": \"x\", \"box\": [1, 2, NaN, 3]}\n",
        &["b.jsonl, line 1"],
    );
    refuse("c.json", "{\"what\": 1}", &["c.json"]);
    let rle = "{\"file\": \"a/picture_0.png\", \"label\": \"x\", \"score\": 0.5, \"rle\": \
               {\"size\": [9, 9], \"counts\": [80, 9]}}\n";
    refuse("d.jsonl", rle, &["d.jsonl, line 1", "81"]);
    let size = "{\"file\": \"a/picture_0.png\", \"label\": \"x\", \"score\": 0.5, \"box\": [0, 0, \
                9, 9], \"width\": 9, \"height\": 9}\n";
    corpus.write("e.jsonl", size);
    // Of another picture size: that picture fails and says why, the others go on.
    let said = ends(with(&corpus, "analyze", &["e.jsonl"]).args(["photos", "--out", "sizes"]), 1);
    assert!(
        said.err.contains("a/picture_0.png (regions)") && said.err.contains("9x9"),
        "{}",
        said.err
    );
}
