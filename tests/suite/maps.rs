//! `--maps`: maps from elsewhere are methods like any other, end to end; and what becomes of bad
//! ones.

use crate::common;
use crate::common::corpus::{Corpus, Run, Table, assert_same_tables, emocam, ends, refused};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How far scores by maps of another range, which are scaled to 0 to 1 from there, may be from
/// those by the maps themselves: measured 1.4e-7. Maps of this program's own keep their range, and
/// their scores are the same.
const TOLERANCE: f64 = 4e-7;

/// Shape and values of a method's map in a file of `--save-maps`.
fn saved(file: &Path, method: &str) -> (Vec<usize>, Vec<f32>) {
    let bytes = fs::read(file).unwrap();
    let all = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let map = all.tensor(method).unwrap();
    let values =
        map.data().chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()));
    (map.shape().to_vec(), values.collect())
}

/// An NPY file of f32, row by row.
fn npy(shape: &[usize], values: &[f32]) -> Vec<u8> {
    let shape: String = shape.iter().map(|side| format!("{side}, ")).collect();
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({shape}), }}\n");
    let data = values.iter().flat_map(|value| value.to_le_bytes());
    let length = (header.len() as u16).to_le_bytes();
    b"\x93NUMPY\x01\x00".iter().copied().chain(length).chain(header.bytes()).chain(data).collect()
}

/// A run with Grad-CAM whose maps lie in `run/maps`.
fn with_saved_maps(corpus: &Corpus) -> Run {
    ends(corpus.analyze("run").arg("--save-maps"), 0);
    corpus.run("run")
}

/// The largest difference of two columns of numbers, which are empty in the same places.
fn off(table: &Table, a: &str, b: &str) -> f64 {
    let pairs = table.column(a).into_iter().zip(table.column(b));
    pairs.fold(0.0, |worst, (a, b)| match (a.is_empty(), b.is_empty()) {
        (true, true) => worst,
        _ => f64::max(worst, (a.parse::<f64>().unwrap() - b.parse::<f64>().unwrap()).abs()),
    })
}

#[test]
fn saved_maps_of_grad_cam_given_back_are_grad_cam() {
    let corpus = Corpus::small();
    let alone = with_saved_maps(&corpus);
    let maps = ["--maps", "saved=run/maps"];
    let said = ends(corpus.analyze("both").args(maps).arg("--save-maps"), 0);
    assert!(!said.err.contains("belong to no image"), "{}", said.err);
    let both = corpus.run("both");
    let objects = both.table("objects.csv");
    assert_eq!(objects.methods(), ["grad-cam", "saved"]);
    assert_eq!(objects.column("grad-cam"), alone.table("objects.csv").column("grad-cam"));
    let worst = off(&objects, "grad-cam", "saved");
    eprintln!("scores within {worst:.1e}");
    assert!(worst == 0.0 && objects.rows.len() > 100, "{worst:.1e}");
    for name in ["counts.csv", "association.csv"] {
        assert_eq!(
            both.tables()[&format!("saved/{name}")],
            both.tables()[&format!("grad-cam/{name}")]
        );
    }
    assert!(both.path("saved/heatmap.svg").exists());
    let manifest = both.manifest();
    assert_eq!(manifest["configuration"]["cam"]["maps"], serde_json::json!(["saved=run/maps"]));
    let files = manifest["models"].as_array().unwrap();
    assert_eq!(files.last().unwrap()["role"], "maps.saved");
    assert_eq!(files.last().unwrap()["sha256"].as_str().unwrap().len(), 64);
    assert!(!alone.manifest()["configuration"]["cam"].as_object().unwrap().contains_key("maps"));

    // A second look, and the comparison of the two.
    let mut look = emocam();
    ends(
        look.current_dir(corpus.path("")).args([
            "associate",
            "both",
            "--importance",
            "0.1",
            "--out",
            "look",
        ]),
        0,
    );
    assert!(corpus.path("look/saved/association.csv").exists());
    let mut rsa = emocam();
    ends(
        rsa.current_dir(corpus.path("")).args([
            "rsa",
            "both",
            "--resamples",
            "100",
            "--out",
            "rsa",
        ]),
        0,
    );
    let spearman = Table::read(&corpus.path("rsa/spearman.csv"));
    assert_eq!(spearman.header, ["", "grad-cam", "saved"]);
    approx::assert_abs_diff_eq!(
        spearman.column("saved")[0].parse::<f64>().unwrap(),
        1.0,
        epsilon = 1e-12
    );
}

#[test]
fn explain_shows_them_beside_the_methods() {
    let corpus = Corpus::small();
    with_saved_maps(&corpus);
    ends(corpus.analyze("both").args(["--maps", "run/maps/../maps/", "--maps", "b=run/maps"]), 2);
    ends(corpus.analyze("both").args(["--maps", "saved=run/maps"]), 0);
    let said = ends(
        corpus.explain().args(["photos/a", "--cam", "grad-cam", "--maps", "saved=run/maps/a"]),
        0,
    );
    assert!(said.out.contains("\n  saved          "), "{}", said.out);
    let json: serde_json::Value =
        serde_json::from_str(&corpus.explained("picture_3.json")).unwrap();
    let [grad_cam, saved] = ["grad-cam", "saved"].map(|name| {
        let methods = json["methods"].as_array().unwrap();
        methods.iter().find(|method| method["method"] == name).unwrap()
    });
    assert_eq!(grad_cam["score"], "probability");
    assert_eq!(saved.get("score"), None);
    assert_eq!(
        grad_cam["boxes"].as_array().unwrap().len(),
        saved["boxes"].as_array().unwrap().len()
    );
    assert_eq!(grad_cam["mean"], saved["mean"]);
    let svg = corpus.explained("picture_3.svg");
    assert!(
        image::open(corpus.path("explained/picture_3.png")).unwrap().width() > 500
            && svg.len() > 10_000
    );
    // Named as in the corpus, and without any method of our own.
    let one = [
        "photos/a/picture_3.png",
        "--corpus",
        "photos",
        "--cam",
        "none",
        "--maps",
        "saved=run/maps",
        "--out",
        "one",
    ];
    ends(corpus.explain().args(one), 0);
    let one = fs::read_to_string(corpus.path("one/picture_3.json")).unwrap();
    let one: serde_json::Value = serde_json::from_str(&one).unwrap();
    assert_eq!(one["methods"].as_array().unwrap().len(), 1);
    assert_eq!(one["methods"][0]["mean"], saved["mean"]);
}

#[test]
fn evaluate_judges_them_like_any_other() {
    let corpus = Corpus::empty();
    for at in 0..3 {
        corpus.add(&format!("picture_{at}.png"), &format!("emonet/picture_{at}.png"));
    }
    // In batches of another size libtorch's last digits are others.
    ends(corpus.analyze("run").args(["--save-maps", "--batch", "4"]), 0);
    fs::remove_file(corpus.path("run/maps/picture_2.png.safetensors")).unwrap();
    let mut evaluate = emocam();
    evaluate
        .current_dir(corpus.path(""))
        .args(["evaluate", "photos", "--out", "judged", "--device", "cpu"]);
    evaluate.arg("--emotion-weights").arg(common::reference("emonet/narrow_ecco.pt"));
    let said =
        ends(evaluate.args(["--steps", "5", "--resamples", "20", "--maps", "saved=run/maps"]), 1);
    assert!(said.out.contains("\nsaved "), "{}", said.out);
    let judged = corpus.run("judged");
    let failures = judged.table("failures.csv");
    assert_eq!(
        (failures.column("path"), failures.column("stage")),
        (vec!["picture_2.png"], vec!["maps"])
    );
    let table = judged.table("evaluation.csv");
    let means = |name: &str| -> Vec<(String, Option<f64>)> {
        let [method, metric, mean] = ["method", "metric", "mean"].map(|column| table.at(column));
        let rows = table.rows.iter().filter(|row| row[method] == name);
        rows.map(|row| (row[metric].clone(), row[mean].parse().ok())).collect()
    };
    let (grad_cam, saved) = (means("grad-cam"), means("saved"));
    // The sanity check has nothing to redraw of a map from elsewhere.
    assert_eq!((grad_cam.len(), saved.len()), (9, 6));
    for ((metric, a), (other, b)) in
        grad_cam.iter().filter(|(metric, _)| !metric.starts_with("sanity")).zip(&saved)
    {
        assert_eq!(metric, other);
        approx::assert_abs_diff_eq!(a.unwrap(), b.unwrap(), epsilon = 1e-12);
    }
}

#[test]
fn every_format_and_name_gives_the_same_records() {
    let corpus = Corpus::of(6);
    let run = with_saved_maps(&corpus);
    let files: Vec<PathBuf> =
        (0..6).map(|at| run.path(&format!("maps/{at:04}.png.safetensors"))).collect();
    for (at, file) in files.iter().enumerate() {
        let (shape, values) = saved(file, "grad-cam");
        corpus.write(&format!("npy/{at:04}.npy"), npy(&shape, &values));
        // By columns, big-endian, twice as large: what it is divided by does not matter.
        let (rows, columns) = (shape[0], shape[1]);
        let turned = (0..values.len()).map(|at| values[(at % rows) * columns + at / rows] * 2.0);
        let header =
            format!("{{'descr': '>f4', 'fortran_order': True, 'shape': ({rows}, {columns}), }}");
        let bytes: Vec<u8> = turned.flat_map(f32::to_be_bytes).collect();
        let length = (header.len() as u16).to_le_bytes();
        let turned = [b"\x93NUMPY\x01\x00".as_slice(), &length, header.as_bytes(), &bytes].concat();
        corpus.write(&format!("turned/{at:04}.png.npy"), turned);
        let levels = values.iter().map(|value| (value * 65_535.0).round() as u16).collect();
        let grey = image::ImageBuffer::<image::Luma<u16>, Vec<u16>>::from_raw(
            columns as u32,
            rows as u32,
            levels,
        );
        fs::create_dir_all(corpus.path("grey")).unwrap();
        grey.unwrap().save(corpus.path(&format!("grey/{at:04}.png"))).unwrap();
    }
    let flags = ["tensors=run/maps", "npy", "turned", "grey"].map(|maps| ["--maps", maps]).concat();
    ends(corpus.analyze("all").args(["--cam", "none"]).args(flags), 0);
    let objects = corpus.run("all").table("objects.csv");
    assert_eq!(objects.methods(), ["tensors", "npy", "turned", "grey"]);
    assert_eq!(objects.column("npy"), objects.column("tensors"));
    let worst = [off(&objects, "turned", "tensors"), off(&objects, "grey", "tensors")];
    eprintln!("twice as large within {:.1e}, 16 bits within {:.1e}", worst[0], worst[1]);
    // Half a level of 65,536 is 8e-6.
    assert!(worst[0] < TOLERANCE && worst[1] < 8e-6, "{worst:?}");
}

#[test]
fn a_network_that_crops_sees_the_part_of_a_map_that_it_sees_of_the_picture() {
    let corpus = Corpus::of(8);
    // Brightest at the left edge, which a network that crops does not see; the rest grows
    // downwards.
    let row = |row: usize| (0..60).map(move |column| if column < 3 { 99.0 } else { row as f32 });
    let values: Vec<f32> = (0..40).flat_map(row).collect();
    for at in 0..8 {
        corpus.write(&format!("left/{at:04}.npy"), npy(&[40, 60], &values));
    }
    let map = |name: &str, network: &str, resize: &str| -> (usize, Vec<f32>) {
        let network = common::reference(network);
        let mut command = corpus.networks_but(&[("--emotion-weights", network.to_str().unwrap())]);
        ends(
            command.args([
                "photos",
                "--out",
                name,
                "--cam",
                "none",
                "--maps",
                "left",
                "--save-maps",
            ]),
            0,
        );
        let (run, input) = (corpus.run(name), corpus.run(name).manifest()["input"].clone());
        assert_eq!(input["resize"], resize);
        let (shape, values) = saved(&run.path("maps/0000.png.safetensors"), "left");
        assert_eq!(shape, ["height", "width"].map(|side| input[side].as_u64().unwrap() as usize));
        (shape[1], values)
    };
    let (columns, cropped) = map("cropped", "plugins/cnn8.pt", "center-crop");
    assert!(cropped[..columns].iter().all(|&value| value < 0.01));
    assert!(cropped[cropped.len() - columns..].iter().all(|&value| value > 0.99));
    let (columns, whole) = map("whole", "emonet/narrow_ecco.pt", "squash");
    for row in whole.chunks_exact(columns) {
        assert!(
            row[..columns / 30].iter().all(|&value| value > 0.9)
                && row[columns / 15..].iter().all(|&value| value < 0.4)
        );
    }
}

/// What `analyze` says of a corpus in which some maps are bad.
#[test]
fn missing_and_damaged_maps_are_rows_of_failures() {
    let corpus = Corpus::of(10);
    let good = npy(&[2, 3], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    for at in 0..10 {
        corpus.write(&format!("human/{at:04}.npy"), &good);
    }
    fs::remove_file(corpus.path("human/0001.npy")).unwrap();
    corpus.write("human/0002.npy", &good[..good.len() - 1]);
    corpus.write("human/0003.npy", npy(&[2, 3], &[0.0, 1.0, f32::NAN, 3.0, 4.0, 5.0]));
    corpus.write("human/0004.npy", npy(&[6], &[0.0; 6]));
    corpus.write("human/0005.npy", npy(&[0, 3], &[]));
    corpus.write("human/0006.png", "no picture");
    fs::remove_file(corpus.path("human/0006.npy")).unwrap();
    corpus.write("human/0007.safetensors", "both");
    corpus.write("human/stranger.npy", &good);
    let flags = ["--maps", "human"];
    let said = ends(corpus.analyze("run").args(flags), 1);
    assert!(
        said.err.contains("human: 1 files belong to no image of the corpus (stranger.npy)"),
        "{}",
        said.err
    );
    let run = corpus.run("run");
    let failures = run.table("failures.csv");
    let expected = [
        ("0001.png", "human/0001.npy: is not there: expected a map of 0001.png"),
        (
            "0002.png",
            "human/0002.npy: expected 24 bytes for 2 rows and 3 columns behind the header, found \
             23",
        ),
        ("0003.png", "human/0003.npy: expected finite numbers, found NaN in row 0, column 2"),
        ("0004.png", "human/0004.npy: expected 2 dimensions (rows, columns), found 1: [6]"),
        ("0005.png", "human/0005.npy: expected 1 to 65536 rows and columns"),
        ("0006.png", "human/0006.png: expected a whole PNG"),
        ("0007.png", "human: expected one map of 0007.png, found 0007.npy and 0007.safetensors"),
    ];
    assert_eq!(failures.rows.len(), expected.len(), "{:?}", failures.rows);
    for (row, (path, cause)) in failures.rows.iter().zip(expected) {
        assert_eq!((row[0].as_str(), row[1].as_str()), (path, "maps"));
        assert!(row[2].contains(cause), "no \"{cause}\" in {}", row[2]);
    }
    assert_eq!(run.table("images.csv").column("path"), ["0000.png", "0008.png", "0009.png"]);

    // The same again, and once the folder has changed.
    let said = ends(corpus.analyze("run").args(flags).arg("--resume"), 1);
    assert!(said.err.contains("3 already done"), "{}", said.err);
    assert_eq!(run.table("failures.csv").rows, failures.rows);
    corpus.write("human/0008.npy", npy(&[2, 3], &[0.0, 1.0, 2.0, 3.0, 5.0, 4.0]));
    refused(
        corpus.analyze("run").args(flags).arg("--resume"),
        &["made differently", "maps.human", "SHA-256"],
    );
    corpus.write("human/0008.npy", &good);
    ends(corpus.analyze("run").args(flags).arg("--resume"), 1);
    refused(corpus.analyze("run").arg("--resume"), &["maps from elsewhere: human then, none now"]);
    refused(
        corpus.analyze("run").args(["--maps", "gaze=human", "--resume"]),
        &["human then, gaze now"],
    );
    ends(corpus.explain().args(["photos", "--cam", "grad-cam", "--maps", "human"]), 1);
}

fn shard(corpus: &Corpus, index: u64, flags: &[&str]) -> Command {
    let mut command = corpus.analyze(&format!("shards/{index}"));
    command.args(["--shard", &format!("{index}/2")]).args(flags);
    command
}

#[test]
fn shards_merged_and_runs_resumed_are_one_run_byte_for_byte() {
    let corpus = Corpus::of(12);
    for at in 0..11_usize {
        let values: Vec<f32> = (0..35).map(|cell| ((cell * (at + 3)) % 17) as f32 - 2.0).collect();
        corpus.write(&format!("human/{at:04}.npy"), npy(&[5, 7], &values));
    }
    let flags = ["--maps", "human", "--save-maps"];
    ends(corpus.analyze("whole").args(flags), 1);
    for index in [2, 1] {
        assert!(matches!(shard(&corpus, index, &flags).status().unwrap().code(), Some(0 | 1)));
    }
    let mut merge = emocam();
    ends(merge.current_dir(corpus.path("")).args(["merge", "shards", "--out", "merged"]), 1);
    let (whole, merged) = (corpus.run("whole"), corpus.run("merged"));
    assert_same_tables(&whole, &merged);
    for name in whole.files().into_iter().filter(|name| name != "run.json") {
        assert!(
            fs::read(whole.path(&name)).unwrap() == fs::read(merged.path(&name)).unwrap(),
            "{name} differs"
        );
    }
    assert_eq!(whole.manifest()["models"], merged.manifest()["models"]);
    assert_eq!(whole.manifest()["outcome"]["flat_maps"]["human"], 0);

    // As a kill leaves it.
    let records = fs::read(whole.path("records.jsonl")).unwrap();
    fs::write(whole.path("records.jsonl"), &records[..records.len() / 2]).unwrap();
    ends(corpus.analyze("whole").args(flags).arg("--resume"), 1);
    assert_same_tables(&whole, &merged);

    // Another folder in one of the shards is not the same experiment.
    corpus.write("human/0000.npy", npy(&[1, 1], &[1.0]));
    fs::remove_dir_all(corpus.path("shards/1")).unwrap();
    assert!(matches!(shard(&corpus, 1, &flags).status().unwrap().code(), Some(0 | 1)));
    let mut merge = emocam();
    refused(
        merge.current_dir(corpus.path("")).args(["merge", "shards", "--out", "other"]),
        &["maps.human", "SHA-256"],
    );
}

#[test]
fn a_configuration_names_folders_relative_to_itself() {
    let corpus = Corpus::of(3);
    for at in 0..3 {
        corpus.write(&format!("study/human/{at:04}.npy"), npy(&[1, 2], &[0.0, 1.0]));
    }
    corpus.write("study/mine.toml", "[cam]\nmaps = ['gaze=human']\n");
    ends(corpus.analyze("run").args(["--config", "study/mine.toml"]), 0);
    let run = corpus.run("run");
    assert_eq!(run.table("objects.csv").methods(), ["grad-cam", "gaze"]);
    assert_eq!(run.manifest()["configuration"]["cam"]["maps"][0], "gaze=study/human");
    corpus.write("study/bad.toml", "[cam]\nmaps = ['grad-cam=human']\n");
    refused(
        corpus.analyze("none").args(["--config", "study/bad.toml"]),
        &["a method of that name", "NAME=DIR"],
    );
}

#[test]
fn what_cannot_be_is_refused_before_anything_is_computed() {
    let corpus = Corpus::of(2);
    corpus.write("human/elsewhere/0000.npy", npy(&[1, 2], &[0.0, 1.0]));
    let analyze = |maps: &[&str]| {
        let mut command = corpus.analyze("none");
        for maps in maps {
            command.args(["--maps", maps]);
        }
        command
    };
    refused(
        &mut analyze(&["lift-cam=human"]),
        &["`lift-cam` cannot name maps: this program has a method of that name"],
    );
    refused(&mut analyze(&["maps=human"]), &["means something else in a run's folder"]);
    refused(&mut analyze(&["a/b c"]), &["`b c` cannot name maps", "name them with NAME=DIR"]);
    refused(&mut analyze(&["x=human", "X=human"]), &["x=human and X=human have the same name"]);
    refused(
        &mut analyze(&["no/such/folder"]),
        &["no/such/folder: is no folder of maps that can be read"],
    );
    let words = "human: has no map of any of the 2 images: expected files named by their paths in \
                 the corpus, as 0000.npy";
    refused(&mut analyze(&["human"]), &[words, "found elsewhere/0000.npy"]);
    refused(corpus.analyze("none").args(["--cam", "none"]), &["no CAM method is named"]);
    assert!(!corpus.path("none").exists());
    let words = "scenes are drawn as they are needed: no folder has maps of them; leave out --maps";
    refused(emocam().current_dir(corpus.path("")).args(["validate", "--maps", "human"]), &[words]);
    assert!(!corpus.path("emocam-validation").exists());
    let object = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/objects/rugby-ball.png");
    let mut paste = emocam();
    paste
        .current_dir(corpus.path(""))
        .args(["paste", "photos", "--maps", "human", "--object"])
        .arg(object);
    refused(&mut paste, &["pasting changes the images", "leave out --maps"]);
}
