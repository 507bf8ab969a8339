//! `emocam analyze`: what a run directory holds, that its tables agree with each other, and what is
//! refused.

use crate::common;
use crate::common::corpus::{
    Corpus, Run, assert_counts, assert_same_tables, emocam, ends, recount, refused,
};
use emocam::attribution::Method;
use std::process::{Command, Stdio};

const CLASSES: [&str; 4] = ["Cat", "Owl", "\"Big\", bad dog", "Tin"];

/// The labels, from the reference values.
fn labels() -> Vec<String> {
    serde_json::from_value(common::json("emonet/ecco.json")["labels"].take()).unwrap()
}

fn records(run: &Run) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(run.path("records.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_run_directory_has_the_files_and_columns_of_the_design() {
    let corpus = Corpus::small();
    let said = ends(&mut corpus.analyze("run"), 0);
    let run = corpus.run("run");
    let mut files = vec!["failures.csv"];
    let names =
        ["association.csv", "counts.csv", "forest.png", "forest.svg", "heatmap.png", "heatmap.svg"];
    let method = names
        .iter()
        .chain(&["mean_scores.csv", "statistics.csv"])
        .map(|name| format!("grad-cam/{name}"))
        .collect::<Vec<_>>();
    files.extend(method.iter().map(String::as_str));
    files.extend(["images.csv", "objects.csv", "records.jsonl", "run.json"]);
    assert_eq!(run.files(), files);

    let labels = labels();
    assert_eq!(labels.len(), 20);
    let with = |start: &[&str], end: &[&str]| -> Vec<String> {
        let own = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        [own(start), labels.clone(), own(end)].concat()
    };
    let images = run.table("images.csv");
    assert_eq!(
        images.header,
        with(&["path", "width", "height", "label", "probability"], &["valence", "arousal"])
    );
    assert_eq!(images.rows.len(), 15);
    let objects = "path,label,class,confidence,x_min,y_min,x_max,y_max,grad-cam,extent_x_min,extent_y_min,extent_x_max,extent_y_max,box_area,canvas_width,canvas_height,grad-cam_contrast,grad-cam_z,grad-cam_lift";
    assert_eq!(run.table("objects.csv").header.join(","), objects);
    assert_eq!(std::fs::read_to_string(run.path("failures.csv")).unwrap(), "path,stage,cause\n");
    for table in ["grad-cam/association.csv", "grad-cam/counts.csv"] {
        let table = run.table(table);
        assert_eq!(table.header, with(&["class"], &[]));
        assert_eq!(table.column("class")[..4], CLASSES);
    }
    assert_eq!(run.table("grad-cam/association.csv").rows.len(), 4);
    assert_eq!(run.table("grad-cam/counts.csv").column("class")[4..], ["images"]);
    let png = image::open(run.path("grad-cam/heatmap.png")).unwrap();
    assert!(png.width() > 600 && png.height() > 300);

    // stdout is data, stderr messages.
    assert!(said.out.starts_with("grad-cam: 15 images"), "{}", said.out);
    assert_eq!(said.out.lines().count(), 2 + CLASSES.len(), "{}", said.out);
    for phrase in ["15 images", "results in run", "15/15 images", "run/grad-cam/heatmap.png"] {
        assert!(said.err.contains(phrase), "no {phrase} in {}", said.err);
    }
}

#[test]
fn the_tables_agree_with_the_records_and_with_each_other() {
    let corpus = Corpus::small();
    let run = corpus.analyzed("run");
    let (labels, records) = (labels(), records(&run));
    let images = run.table("images.csv");
    let mut paths: Vec<_> = images.column("path").iter().map(ToString::to_string).collect();
    assert_eq!(paths[0], "a/picture_0.png");
    assert_eq!(paths[8], "b/113x1.png");
    let float = |text: &str| text.parse::<f32>().unwrap();
    let numbers =
        |value: &serde_json::Value| -> Vec<f32> { serde_json::from_value(value.clone()).unwrap() };
    let mut objects = run.table("objects.csv").rows.into_iter();
    let mut boxes = 0;
    for (row, record) in images.rows.iter().zip(&records) {
        assert_eq!(row[0], record["path"].as_str().unwrap());
        assert_eq!(
            [&row[1], &row[2]],
            [&record["width"].to_string(), &record["height"].to_string()]
        );
        let probabilities: Vec<f32> = row[5..25].iter().map(|cell| float(cell)).collect();
        assert_eq!(probabilities, numbers(&record["probabilities"]));
        approx::assert_abs_diff_eq!(probabilities.iter().sum::<f32>(), 1.0, epsilon = 1e-5);
        let label = (0..20).max_by(|&a, &b| probabilities[a].total_cmp(&probabilities[b])).unwrap();
        assert_eq!((&row[3], float(&row[4])), (&labels[label], probabilities[label]));
        assert!(
            (1.0..9.0).contains(&float(&row[25])) && (1.0..9.0).contains(&float(&row[26])),
            "{row:?}"
        );

        let (width, height) = (float(&row[1]), float(&row[2]));
        let mut last = 1.0;
        for (at, of) in record["boxes"].as_array().unwrap().iter().enumerate() {
            let object = objects.next().unwrap();
            assert_eq!([&object[0], &object[1]], [&row[0], &row[3]]);
            assert_eq!(object[2], CLASSES[of["class"].as_u64().unwrap() as usize]);
            let confidence = float(&object[3]);
            assert!(confidence > 0.005 && confidence <= last, "{object:?}");
            last = confidence;
            let edges: Vec<f32> = object[4..8].iter().map(|cell| float(cell)).collect();
            assert_eq!(edges, numbers(&of["box"]));
            assert!(0.0 <= edges[0] && edges[0] < edges[2] && edges[2] <= width, "{object:?}");
            assert!(0.0 <= edges[1] && edges[1] < edges[3] && edges[3] <= height, "{object:?}");
            assert_eq!(vec![float(&object[8])], numbers(&record["maps"][0]["scores"][at])[..1]);
            boxes += 1;
        }
    }
    assert!(boxes > 100 && objects.next().is_none());
    assert_eq!(images.rows.len(), records.len());
    paths.sort();
    paths.dedup();
    assert_eq!(paths.len(), 15);

    let counted = recount(&run, "grad-cam", |score, _| score > 0.3);
    assert_counts(&run.path("grad-cam"), &counted);
    assert!(counted.0.len() > 3 && counted.0.len() < 20, "some labels occur, some do not");
    let outcome = &run.manifest()["outcome"];
    assert_eq!((outcome["done"].as_u64(), outcome["failed"].as_u64()), (Some(15), Some(0)));
    assert_eq!(outcome["boxes"].as_u64(), Some(boxes));
    assert_eq!(run.manifest()["complete"], true);
    assert_eq!(run.manifest().get("warning"), None);
}

#[test]
fn the_answers_are_pytorchs() {
    let corpus = Corpus::small();
    let images = corpus.analyzed("run").table("images.csv");
    let reference = common::json("emonet/ecco.json");
    for (row, expected) in images.rows.iter().zip(reference["pictures"].as_array().unwrap()) {
        assert_eq!(row[0], format!("a/{}", expected["picture"].as_str().unwrap()));
        assert_eq!(row[3], expected["label"].as_str().unwrap());
        for (cell, value) in row[5..25].iter().zip(expected["probabilities"].as_array().unwrap()) {
            approx::assert_abs_diff_eq!(
                cell.parse::<f64>().unwrap(),
                value.as_f64().unwrap(),
                epsilon = 1e-5
            );
        }
        for (column, name) in [(25, "valence"), (26, "arousal")] {
            let found: f64 = row[column].parse().unwrap();
            approx::assert_abs_diff_eq!(found, expected[name].as_f64().unwrap(), epsilon = 1e-4);
        }
    }
}

/// All methods, the last first, as `--cam` takes them.
fn all_methods() -> Vec<&'static str> {
    Method::all().into_iter().rev().map(|method| method.name()).collect()
}

#[test]
fn every_method_has_its_column_its_folder_and_its_map() {
    let corpus = Corpus::small();
    let methods = all_methods();
    ends(
        corpus.analyze("run").args([
            "--limit",
            "6",
            "--evaluations",
            "40",
            "--save-maps",
            "--cam",
            &methods.join(","),
        ]),
        0,
    );
    let run = corpus.run("run");
    let objects = run.table("objects.csv");
    assert_eq!(objects.methods(), methods);
    let map = std::fs::read(run.path("maps/a/picture_5.png.safetensors")).unwrap();
    let map = safetensors::SafeTensors::deserialize(&map).unwrap();
    let mut columns = std::collections::BTreeSet::new();
    for method in &methods {
        assert_counts(&run.path(method), &recount(&run, method, |score, _| score > 0.3));
        assert!(run.path(method).join("heatmap.svg").exists());
        assert_eq!(map.tensor(method).unwrap().shape(), [227, 227]);
        columns.insert(objects.column(method));
    }
    assert_eq!(columns.len(), methods.len(), "the methods differ");
    let signed = ["dnc-shap-signed", "object-shap-signed"];
    assert!(signed.iter().all(|name| map.tensor(name).unwrap().shape() == [227, 227]));
    assert_eq!(map.names().len(), methods.len() + signed.len());
}

#[test]
fn threads_do_not_change_a_byte() {
    let corpus = Corpus::small();
    let cam = ["--evaluations", "16", "--cam", &all_methods().join(",")];
    ends(corpus.analyze("one").args(["--threads", "1"]).args(cam), 0);
    ends(corpus.analyze("three").args(["--threads", "3"]).args(cam), 0);
    assert_same_tables(&corpus.run("one"), &corpus.run("three"));
}

#[test]
fn a_measured_precision_is_recorded_and_kept_by_a_resumed_run() {
    let corpus = Corpus::small();
    let said = ends(corpus.analyze("run").args(["--precision", "auto"]), 0);
    let run = corpus.run("run");
    let manifest = run.manifest();
    let seconds = |format: &str| manifest["measured_precision"][format].as_f64().unwrap();
    let (f32, bf16) = (seconds("f32"), seconds("bf16"));
    assert!(f32 > 0.0 && bf16 > 0.0);
    let expected = if bf16 < 0.75 * f32 { "bf16" } else { "f32" };
    assert_eq!(manifest["configuration"]["compute"]["precision"], expected);
    assert!(said.err.contains(&format!("going on in {expected}")), "{}", said.err);
    // Whatever a measurement would say now.
    let records = std::fs::read(run.path("records.jsonl")).unwrap();
    let first = records.iter().position(|&byte| byte == b'\n').unwrap() + 1;
    std::fs::write(run.path("records.jsonl"), &records[..first]).unwrap();
    let said = ends(corpus.analyze("run").args(["--precision", "auto", "--resume"]), 0);
    assert!(
        !said.err.contains("going on in") && said.err.contains("1 already done"),
        "{}",
        said.err
    );
    assert_eq!(std::fs::read(run.path("records.jsonl")).unwrap(), records);
    assert_eq!(run.manifest()["measured_precision"], manifest["measured_precision"]);
    refused(corpus.analyze("other").args(["--precision", "f64"]), &["f64", "bf16", "`auto`"]);
    refused(
        corpus.explain().args(["photos", "--precision", "auto"]),
        &["--precision auto", "belongs to analyze", "f32, bf16 or f16"],
    );
}

#[test]
fn a_limit_takes_the_first_paths() {
    let corpus = Corpus::small();
    ends(corpus.analyze("run").args(["--limit", "3"]), 0);
    let paths = corpus.run("run").table("images.csv");
    assert_eq!(paths.column("path"), ["a/picture_0.png", "a/picture_1.png", "a/picture_2.png"]);
    refused(corpus.analyze("none").args(["--limit", "0"]), &["--limit"]);
}

#[test]
fn kept_maps_are_readable_and_equal_names_do_not_collide() {
    let corpus = Corpus::small();
    let long = format!("b/{}.jpg", "\u{e9}".repeat(120));
    corpus.add(&long, "pillow_resize/420.jpg");
    ends(corpus.analyze("run").arg("--save-maps"), 0);
    let run = corpus.run("run");
    let maps: Vec<String> =
        run.files().into_iter().filter(|name| name.starts_with("maps/")).collect();
    assert_eq!(maps.len(), 16);
    assert_eq!(maps[0], "maps/a/picture_0.png.safetensors");
    let records = records(&run);
    let mut contents = std::collections::BTreeSet::new();
    for name in &maps {
        let bytes = std::fs::read(run.path(name)).unwrap();
        let (_, head) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
        let path = &head.metadata().as_ref().unwrap()["path"];
        let record = records.iter().find(|record| record["path"] == path.as_str()).unwrap();
        let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        assert_eq!(tensors.names(), ["grad-cam"]);
        let map = tensors.tensor("grad-cam").unwrap();
        assert_eq!((map.dtype(), map.shape()), (safetensors::Dtype::F32, [227, 227].as_slice()));
        let values: Vec<f32> =
            map.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
        assert!(values.iter().all(|value| (0.0..=1.0).contains(value)), "{name}");
        let flat = record["maps"][0]["flat"].as_bool().unwrap();
        assert_eq!(values.iter().any(|&value| value > 0.99), !flat, "{name}");
        let mean = values.iter().map(|&value| f64::from(value)).sum::<f64>() / values.len() as f64;
        approx::assert_abs_diff_eq!(
            mean,
            record["maps"][0]["mean"].as_f64().unwrap(),
            epsilon = 1e-6
        );
        contents.insert(map.data().to_vec());
    }
    // b/picture_0.png shows what a/picture_1.png does, and the long name what b/420.jpg does.
    assert_eq!(contents.len(), 14);
}

#[test]
fn several_roots_and_single_files() {
    let corpus = Corpus::small();
    let run = |name: &str, roots: &[&str]| {
        ends(corpus.networks().args(["--out", name]).args(roots), 0);
        corpus.run(name).table("images.csv")
    };
    let two = run("two", &["photos/b", "photos/a"]);
    assert_eq!(two.rows.len(), 15);
    assert_eq!(
        [two.column("path")[0], two.column("path")[14]],
        ["photos/a/picture_0.png", "photos/b/picture_0.png"]
    );
    let one = run("one", &["photos/a"]);
    assert_eq!(one.column("path")[0], "picture_0.png");
    // The same pictures by other names: the same answers.
    for (a, b) in one.rows.iter().zip(&two.rows) {
        assert_eq!(a[1..], b[1..]);
    }
    let file = run("file", &["photos/b/420.jpg"]);
    assert_eq!(file.column("path"), ["photos/b/420.jpg"]);
    let at = two.column("path").iter().position(|path| *path == "photos/b/420.jpg").unwrap();
    assert_eq!(file.rows[0][1..], two.rows[at][1..]);
}

#[test]
fn photos_are_turned_upright_unless_asked_otherwise() {
    let corpus = Corpus::empty();
    corpus.add("turned.jpg", "pillow_resize/orientation_6.jpg");
    let upright = corpus.analyzed("upright").table("images.csv");
    ends(corpus.analyze("stored").arg("--ignore-exif"), 0);
    let stored = corpus.run("stored").table("images.csv");
    assert_eq!(
        [upright.column("width"), upright.column("height")],
        [stored.column("height"), stored.column("width")]
    );
    assert_ne!(upright.column("width"), upright.column("height"));
}

#[test]
fn without_out_the_run_is_named_after_the_corpus_and_is_no_part_of_it() {
    let corpus = Corpus::empty();
    corpus.add("a.png", "emonet/picture_0.png");
    // As in `cd photos; emocam analyze .`: the heatmap lies below the corpus then.
    let here = || {
        let mut command = corpus.networks();
        command.current_dir(corpus.path("photos")).arg(".");
        command
    };
    ends(&mut here(), 0);
    assert!(corpus.path("photos/photos-emocam/grad-cam/heatmap.png").exists());
    ends(here().arg("--resume"), 0);
    assert_eq!(corpus.analyzed("again").table("images.csv").column("path"), ["a.png"]);

    ends(corpus.networks().arg(corpus.path("photos")), 0);
    assert_eq!(corpus.run("photos-emocam").table("images.csv").rows.len(), 1);
}

#[test]
fn what_cannot_run_says_why_and_what_to_do() {
    let corpus = Corpus::empty();
    corpus.add("a.png", "emonet/picture_0.png");
    let names = corpus.path("four.names");
    let analyze = || corpus.analyze("run");
    refused(
        analyze().args(["--cam", "grad-cam,lime"]),
        &["`lime` is no CAM method", "known: grad-cam"],
    );
    refused(analyze().args(["--cam", ""]), &["`` is no CAM method", "known: grad-cam"]);
    refused(analyze().args(["--cam", "grad-cam,grad-cam"]), &["grad-cam is named twice"]);
    refused(
        analyze().args(["--confidence", "1.5"]),
        &["confidence should be from 0 to 1, found 1.5"],
    );
    refused(
        analyze().args(["--confidence", "-1"]),
        &["confidence should be from 0 to 1, found -1"],
    );
    refused(analyze().args(["--importance", "nan"]), &["importance should be from 0 to 1"]);
    refused(
        analyze().args(["--batch", "0"]),
        &["--batch", "should be a whole number from 1 to 4096, found 0"],
    );
    refused(
        corpus.networks_but(&[("--device", "gpu")]).arg("photos"),
        &["`gpu` is no device", "cuda:N"],
    );
    refused(analyze().args(["--score", "median"]), &["median", "mean", "max", "mass"]);
    refused(analyze().args(["--precision", "f64"]), &["f64", "bf16"]);
    refused(analyze().args(["--threads", "0"]), &["--threads"]);
    refused(corpus.networks().arg("no/photos"), &["cannot read no/photos", "No such file"]);
    std::fs::create_dir(corpus.path("hollow")).unwrap();
    refused(corpus.networks().arg("hollow"), &["no images in hollow", "jpg", "tiff"]);
    refused(emocam().arg("analyze"), &["CORPUS"]);

    let mut bare = emocam();
    bare.current_dir(corpus.path("")).args(["analyze", "photos"]);
    refused(
        &mut bare,
        &[
            "yolov3-openimages.weights: there is no such file",
            "/no/such/models/yolov3-openimages.weights",
            "emocam models fetch",
            "emocam models synthesize",
        ],
    );
    let mut other = emocam();
    other.current_dir(corpus.path("")).args(["analyze", "photos", "--detector", "mine/my.cfg"]);
    refused(&mut other, &["mine/my.cfg: there is no such file", "emocam models fetch"]);
    assert!(!corpus.path("run").exists(), "a refused command leaves nothing behind");
    assert!(!corpus.path("photos-emocam").exists());

    corpus.write("three.names", "Cat\nOwl\nTin\n");
    std::fs::rename(corpus.path("three.names"), &names).unwrap();
    refused(&mut analyze(), &["four.names: names 3 classes", "yolov3.cfg has 4"]);
}

#[test]
fn a_run_is_not_overwritten() {
    let corpus = Corpus::empty();
    corpus.add("a.png", "emonet/picture_0.png");
    let before = corpus.analyzed("run").tables();
    refused(&mut corpus.analyze("run"), &["run: holds a run already", "--resume", "--out"]);
    assert_eq!(corpus.run("run").tables(), before);
    corpus.write("mine/diary.txt", "dear");
    refused(&mut corpus.analyze("mine"), &["mine: is not empty", "--out"]);
    refused(corpus.analyze("mine").arg("--resume"), &["mine: is not empty", "--out"]);
    corpus.write("file", "");
    refused(&mut corpus.analyze("file"), &["cannot create file"]);
}

#[test]
fn a_configuration_file_changes_what_it_names_and_mistakes_are_shown_with_their_line() {
    let corpus = Corpus::empty();
    corpus.add("a.png", "emonet/picture_0.png");
    let wrong = |text: &str, phrases: &[&str]| {
        corpus.write("conf/mine.toml", text);
        refused(corpus.analyze("run").args(["--config", "conf/mine.toml"]), phrases);
    };
    wrong(
        "[detector]\n\nconfidance = 1\n",
        &["conf/mine.toml", "line 3", "`confidance`", "`confidence`"],
    );
    wrong("[detecter]\n", &["conf/mine.toml", "line 1", "`detecter`", "`detector`"]);
    wrong("[cam]\nmethods = ['grad-cam', 'x']\n", &["conf/mine.toml", "line 2", "`x`", "grad-cam"]);
    wrong("[detector]\nconfidence = 'high'\n", &["conf/mine.toml", "line 2", "high"]);
    wrong("[association\n", &["conf/mine.toml", "line 1"]);
    wrong("[association]\ntop = 0\n", &["top should be at least 1"]);
    refused(corpus.analyze("run").args(["--config", "no.toml"]), &["cannot read no.toml"]);

    corpus.write(
        "conf/mine.toml",
        "[detector]\nconfidence = 0.5\nnms_iou = 0.4\n[association]\nimportance = 0.1\n",
    );
    ends(corpus.analyze("run").args(["--config", "conf/mine.toml", "--nms-iou", "0.3"]), 0);
    let configuration = &corpus.run("run").manifest()["configuration"];
    let near = |value: &serde_json::Value, expected: f64| {
        (value.as_f64().unwrap() - expected).abs() < 1e-6
    };
    assert!(near(&configuration["detector"]["confidence"], 0.5));
    assert!(near(&configuration["detector"]["nms_iou"], 0.3), "a flag is stronger than the file");
    assert!(near(&configuration["association"]["importance"], 0.1));
    assert!(
        near(&configuration["detector"]["letterbox_fill"], 0.0),
        "what is not named stays the paper's"
    );
    let objects = corpus.run("run").table("objects.csv");
    assert!(objects.column("confidence").iter().all(|text| text.parse::<f32>().unwrap() > 0.5));
}

#[test]
fn a_reader_that_has_seen_enough_changes_nothing() {
    let corpus = Corpus::empty();
    corpus.add("a.png", "emonet/picture_0.png");
    corpus.write("photos/broken.png", "x");
    // stdout closed, and stdout and stderr closed: no panic, and the status is that of the run.
    for (run, stderr_too) in [("out", false), ("both", true)] {
        let mut command = corpus.analyze(run);
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        if stderr_too {
            command.stderr(writer.try_clone().unwrap());
        } else {
            command.stderr(Stdio::piped());
        }
        let output = command.stdout(writer).spawn().unwrap().wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(corpus.run(run).manifest()["complete"], true);
    }
    let shell = format!("{} analyze --help | head -1", env!("CARGO_BIN_EXE_emocam"));
    let said = ends(Command::new("bash").args(["-o", "pipefail", "-c", &shell]), 0);
    assert!(
        said.out.starts_with("Run both networks") && said.err.is_empty(),
        "{}{}",
        said.out,
        said.err
    );
}
