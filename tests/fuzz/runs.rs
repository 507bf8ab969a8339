//! Good files out of run directories, which are made once.

use crate::common::corpus::{Corpus, emocam, ends};
use crate::common::reference;
use crate::seeds::{Seeds, read, root, texts};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The variable that names the folder of [`make_runs`] to the processes of a campaign.
pub(crate) const RUNS: &str = "EMOCAM_FUZZ_RUNS";

static FOLDER: OnceLock<PathBuf> = OnceLock::new();

/// Makes run directories of several commands over two pictures, which are there as long as what is
/// returned.
pub(crate) fn make_runs() -> Corpus {
    let corpus = Corpus::empty();
    corpus.add("a.png", "emonet/picture_0.png");
    corpus.add("b.png", "pillow_resize/2x3.png");
    corpus.write("photos/broken.png", "none");
    let methods = ["--cam", "grad-cam,lift-cam,object-shap", "--save-maps", "--filters"];
    ends(corpus.analyze("analyzed").args(methods), 1);
    let weights = reference("emonet/narrow_ecco.pt");
    for (command, arguments) in [
        ("classify", vec![]),
        ("evaluate", vec!["--steps", "2", "--metrics", "deletion,road,confidence,sanity"]),
        ("paste", vec!["--positions", "1x2", "--object"]),
        ("remove", vec![]),
    ] {
        let mut run = emocam();
        run.current_dir(corpus.path(""))
            .args([command, "photos", "--device", "cpu", "--out", command]);
        run.arg("--emotion-weights").arg(&weights).args(&arguments);
        match command {
            "paste" => drop(run.arg(root("models/objects/rugby-ball.png"))),
            "remove" => {
                corpus.write(
                    "regions.jsonl",
                    r#"{"file": "a.png", "label": "Within", "score": 0.9, "box": [3, 4, 20, 19]}"#,
                );
                run.args(["--regions", "regions.jsonl"]);
            }
            _ => {}
        }
        ends(&mut run, 1);
    }
    let mut validate = emocam();
    validate.current_dir(corpus.path("")).args([
        "validate",
        "--graph",
        "background",
        "--scenes",
        "3",
        "--device",
        "cpu",
    ]);
    ends(validate.args(["--cam", "grad-cam,object-shap", "--out", "validation"]), 0);
    std::fs::rename(corpus.path("validation/scenes-surroundings"), corpus.path("validate"))
        .unwrap();
    FOLDER.set(corpus.path("")).unwrap();
    corpus
}

/// A file of one of the runs.
fn of_run(run: &str, file: &str) -> PathBuf {
    let named =
        || std::env::var_os(RUNS).expect("the runs are made before any reader's seeds").into();
    FOLDER.get_or_init(named).join(run).join(file)
}

pub(crate) fn records(run: &str) -> Seeds {
    read([of_run(run, "records.jsonl")])
}

/// `run.json` of a run that goes on.
pub(crate) fn beside_records(run: &str, folder: &Path) {
    let text = std::fs::read(of_run(run, "run.json")).unwrap();
    let mut manifest: serde_json::Value = serde_json::from_slice(&text).unwrap();
    manifest["complete"] = false.into();
    manifest.as_object_mut().unwrap().remove("outcome");
    std::fs::write(folder.join("run.json"), manifest.to_string()).unwrap();
}

pub(crate) fn manifests() -> Seeds {
    read(
        ["analyzed", "classify", "evaluate", "paste", "remove", "validate"]
            .map(|run| of_run(run, "run.json")),
    )
}

pub(crate) fn kept_maps() -> Seeds {
    // The real ones are long: as many of their rows as make a small map.
    let values: Vec<u8> = (0..35).flat_map(|number| (number as f32 / 35.0).to_le_bytes()).collect();
    let view = |rows: usize, columns: usize| {
        safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![rows, columns], &values)
            .unwrap()
    };
    let maps =
        [("grad-cam", view(5, 7)), ("lift-cam", view(7, 5)), ("lift-cam-signed", view(7, 5))];
    vec![safetensors::serialize(maps, None).unwrap()]
}

pub(crate) fn filter_sums() -> Seeds {
    read([of_run("analyzed", "filters.safetensors")])
}

pub(crate) fn beside_filter_sums(folder: &Path) {
    std::fs::copy(of_run("analyzed", "run.json"), folder.join("run.json")).unwrap();
}

pub(crate) fn failures() -> Seeds {
    read([of_run("analyzed", "failures.csv")])
}

pub(crate) fn matrices() -> Seeds {
    let mut all =
        read([root("configs/emocam-fig2.csv"), of_run("analyzed", "grad-cam/counts.csv")]);
    all.extend(texts(&[
        "class,Joy,Awe,Fear\nCat,1,0,3\n\"Dog, big\",2,0,0\nimages,4,0,3\n",
        "class,Joy,Awe\nCat,0.25,\nDog,1,\n",
    ]));
    all
}
