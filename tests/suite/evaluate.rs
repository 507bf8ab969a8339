//! `emocam evaluate`: what it leaves behind, that its tables agree with each other, and what
//! becomes of odd corpora.

use crate::common;
use crate::common::corpus::{Corpus, Run, emocam, ends, refused};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

const ALL_METRICS: &str =
    "deletion,insertion,road,average-drop,average-gain,increase,sanity-1,sanity-2,sanity-3";

/// `emocam evaluate photos` with the miniature emotion model and no detector, into `judged`.
pub(crate) fn evaluate(corpus: &Corpus) -> Command {
    evaluate_into(corpus, "judged", &common::reference("emonet/narrow_ecco.pt"))
}

/// The same with another folder or model.
pub(crate) fn evaluate_into(corpus: &Corpus, out: &str, model: &Path) -> Command {
    let mut command = emocam();
    command
        .current_dir(corpus.path(""))
        .args(["evaluate", "photos", "--out", out, "--device", "cpu"]);
    command.arg("--emotion-weights").arg(model);
    command
}

/// The same with the miniature detector.
fn with_detector(corpus: &Corpus, class: &str) -> Command {
    let mut command = evaluate(corpus);
    command.arg("--detector").arg(common::reference("darknet/yolov3.cfg"));
    command.arg("--detector-weights").arg(common::reference("darknet/yolov3.weights"));
    command.arg("--class-names").arg(corpus.path("four.names")).args(["--pointing", class]);
    command
}

/// (method, metric) -> row of `evaluation.csv`.
pub(crate) fn rows(judged: &Run) -> BTreeMap<(String, String), BTreeMap<String, String>> {
    let table = judged.table("evaluation.csv");
    let row = |row: &Vec<String>| {
        let cells: BTreeMap<_, _> = table.header.iter().cloned().zip(row.iter().cloned()).collect();
        ((cells["method"].clone(), cells["metric"].clone()), cells)
    };
    table.rows.iter().map(row).collect()
}

pub(crate) fn number(cell: &str) -> Option<f64> {
    (!cell.is_empty()).then(|| cell.parse().unwrap())
}

/// No file has a number that is none.
fn assert_sound(judged: &Run) {
    for (name, bytes) in judged.tables() {
        let text = String::from_utf8(bytes).unwrap().to_lowercase();
        let mut cells = text.split(|c: char| c == ',' || c.is_whitespace());
        assert!(
            !cells.any(|cell| ["nan", "inf", "-inf", "-nan"].contains(&cell)),
            "{name}: {text}"
        );
    }
}

pub(crate) fn small(count: usize) -> Corpus {
    let corpus = Corpus::empty();
    for at in 0..count {
        corpus.add(&format!("picture_{at}.png"), &format!("emonet/picture_{at}.png"));
    }
    corpus
}

#[test]
fn an_evaluation_has_the_files_and_the_tables_agree() {
    let corpus = small(3);
    corpus.write("photos/broken.png", "no picture");
    let said = ends(evaluate(&corpus).args(["--cam", "grad-cam,lime-cam", "--steps", "5"]), 1);
    let judged = corpus.run("judged");
    let files = [
        "curves.csv",
        "evaluation.csv",
        "evaluation.png",
        "evaluation.svg",
        "failures.csv",
        "images.csv",
    ];
    assert_eq!(judged.files(), [files.as_slice(), &["records.jsonl", "run.json"]].concat());
    assert_sound(&judged);
    assert_eq!(judged.table("failures.csv").column("path"), ["broken.png"]);

    let images = judged.table("images.csv");
    let head = "path,label,probability,box_area,method,kind,flat,";
    assert_eq!(images.header.join(","), format!("{head}{ALL_METRICS}"));
    assert_eq!(images.rows.len(), 3 * 4);
    let rows = rows(&judged);
    assert_eq!(rows.len(), 2 * 9 + 2 * 6, "the baselines take no part in the sanity check");
    for ((method, metric), row) in &rows {
        let of_metric = images.at(metric);
        let own = images.rows.iter().filter(|row| &row[images.at("method")] == method);
        let values: Vec<f64> = own.filter_map(|row| number(&row[of_metric])).collect();
        assert_eq!(row["n"], values.len().to_string(), "{method} {metric}");
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        approx::assert_abs_diff_eq!(number(&row["mean"]).unwrap(), mean, epsilon = 1e-12);
        for end in ["lower", "upper", "over_random_lower", "over_random_upper"] {
            assert_eq!(row[end], "", "{method} {metric}: three images are too few for intervals");
        }
        let over = number(&row["over_random"]);
        if method == "random" || metric.starts_with("sanity") {
            assert_eq!(over, None);
        } else {
            let random = number(&rows[&("random".to_string(), metric.clone())]["mean"]).unwrap();
            approx::assert_abs_diff_eq!(over.unwrap(), mean - random, epsilon = 1e-12);
        }
    }

    let curves = judged.table("curves.csv");
    assert_eq!(curves.rows.len(), 4 * (6 + 6 + 5 + 5));
    let deletion = |row: &&Vec<String>| row[0] == "grad-cam" && row[2] == "deletion";
    let points: Vec<f64> =
        curves.rows.iter().filter(deletion).map(|row| number(&row[4]).unwrap()).collect();
    let area = (points.iter().sum::<f64>() - (points[0] + points[5]) / 2.0) / 5.0;
    let mean = number(&rows[&("grad-cam".to_string(), "deletion".to_string())]["mean"]).unwrap();
    approx::assert_abs_diff_eq!(area, mean, epsilon = 1e-12);

    let document = judged.manifest();
    assert_eq!(document["outcome"]["done"], 3);
    assert_eq!(document["outcome"]["failed"], 1);
    assert_eq!(document["complete"], true);
    assert_eq!(document["models"].as_array().unwrap().len(), 1, "no detector is loaded");
    assert!(said.out.starts_with("mean over images"), "{}", said.out);
    assert!(
        said.out.contains("random (baseline)") && said.out.lines().count() == 6,
        "{}",
        said.out
    );
    assert!(
        said.err.contains("failed: broken.png (decode)") && said.err.contains("evaluation.png"),
        "{}",
        said.err
    );
    assert!(said.err.contains("3 images: no intervals and no verdicts"), "{}", said.err);
    let svg = std::fs::read_to_string(judged.path("evaluation.svg")).unwrap();
    assert!(svg.contains("\"n = 3\"") && svg.contains("Of fewer than 10"), "{svg}");
    assert!(!svg.contains("aria-label=\"+\"") && !svg.contains("aria-label=\"−\""), "{svg}");
    let png = image::open(judged.path("evaluation.png")).unwrap();
    assert!(png.width() > 1500 && png.height() > 1500);
}

#[test]
fn ten_images_have_intervals_and_verdicts() {
    let corpus = Corpus::of(10);
    let said = ends(evaluate(&corpus).args(["--metrics", "deletion,insertion", "--steps", "3"]), 0);
    assert!(!said.err.contains("no intervals"), "{}", said.err);
    for ((method, metric), row) in rows(&corpus.run("judged")) {
        let ends = ["lower", "mean", "upper"].map(|name| number(&row[name]).unwrap());
        assert!(ends[0] <= ends[1] && ends[1] <= ends[2], "{method} {metric}: {ends:?}");
        assert_eq!(row["over_random_lower"].is_empty(), method == "random", "{method} {metric}");
    }
}

#[test]
fn one_image_has_means_and_no_intervals() {
    let corpus = small(1);
    let said = ends(evaluate(&corpus).args(["--steps", "2"]), 0);
    assert!(said.err.starts_with("1 image; cpu; results in judged"), "{}", said.err);
    // A rate may be 1.01 images a second.
    assert!(said.err.lines().all(|line| !line.starts_with("1 images")), "{}", said.err);
    let judged = corpus.run("judged");
    assert_sound(&judged);
    for (key, row) in rows(&judged) {
        assert_eq!(
            (row["n"].as_str(), row["lower"].as_str(), row["upper"].as_str()),
            ("1", "", ""),
            "{key:?}"
        );
        assert!(number(&row["mean"]).is_some(), "{key:?}");
    }
}

#[test]
fn flat_maps_are_flagged_and_count_as_random_ones() {
    let corpus = small(2);
    flat_model(&corpus);
    let said = ends(
        evaluate_into(&corpus, "judged", Path::new("flat.safetensors")).args(["--steps", "3"]),
        0,
    );
    assert!(said.err.contains("2 of 2 maps show nothing"), "{}", said.err);
    let judged = corpus.run("judged");
    assert_sound(&judged);
    let (images, rows) = (judged.table("images.csv"), rows(&judged));
    let flat = |method: &str| -> Vec<&str> {
        let own = images.rows.iter().filter(|row| row[images.at("method")] == method);
        own.map(|row| row[images.at("flat")].as_str()).collect()
    };
    assert_eq!((flat("grad-cam"), flat("random")), (vec!["true"; 2], vec!["false"; 2]));
    let row = |method: &str, metric: &str| &rows[&(method.to_string(), metric.to_string())];
    for metric in ["deletion", "insertion", "road"] {
        assert_eq!(row("grad-cam", metric)["mean"], row("random", metric)["mean"], "{metric}");
        assert_eq!(number(&row("grad-cam", metric)["over_random"]), Some(0.0));
    }
    for metric in ["sanity-1", "sanity-2", "sanity-3"] {
        let row = row("grad-cam", metric);
        assert_eq!(
            (row["n"].as_str(), row["mean"].as_str()),
            ("0", ""),
            "{metric}: a flat map correlates with nothing"
        );
    }
    assert_eq!(judged.manifest()["outcome"]["flat_maps"]["grad-cam"], 2);
}

#[test]
fn saturated_probabilities_are_counted_and_stay_finite() {
    let corpus = small(2);
    scaled_model(&corpus, "saturated.safetensors", |name, value| {
        if name.starts_with("fc8") { 1e3 * value } else { value }
    });
    let said = ends(
        evaluate_into(&corpus, "judged", Path::new("saturated.safetensors")).args(["--steps", "3"]),
        0,
    );
    assert!(said.err.contains("2 of 2 images have a probability over 0.999"), "{}", said.err);
    let judged = corpus.run("judged");
    assert_sound(&judged);
    assert_eq!(judged.manifest()["outcome"]["saturated"], 2);
    let gain = &rows(&judged)[&("random".to_string(), "average-gain".to_string())];
    assert_eq!(number(&gain["mean"]).unwrap_or(0.0), 0.0);
}

#[test]
fn the_pointing_game_counts_images_with_the_class() {
    let corpus = small(4);
    let said = ends(
        with_detector(&corpus, "owl").args([
            "--metrics",
            "confidence",
            "--pointing-confidence",
            "0.05",
        ]),
        0,
    );
    let judged = corpus.run("judged");
    assert_sound(&judged);
    assert_eq!(judged.manifest()["experiment"]["settings"]["pointing"]["class"], "Owl");
    let with = (1..=4_u64)
        .find(|with| said.err.contains(&format!("{with} of 4 images have a box of Owl over 0.05")));
    let with = with.unwrap_or_else(|| panic!("{}", said.err));
    let svg = std::fs::read_to_string(judged.path("evaluation.svg")).unwrap();
    assert!(svg.contains("Pointing: Owl") && svg.contains(&format!("\"n = {with}\"")), "{svg}");
    let rows = rows(&judged);
    let pointing = |method: &str| &rows[&(method.to_string(), "pointing".to_string())];
    assert_eq!(pointing("grad-cam")["n"], with.to_string());
    let images = judged.table("images.csv");
    let areas: Vec<f64> = (0..images.rows.len())
        .filter(|&at| images.column("method")[at] == "uniform")
        .filter_map(|at| number(images.column("box_area")[at]))
        .collect();
    assert_eq!(areas.len() as u64, with);
    let mean = areas.iter().sum::<f64>() / areas.len() as f64;
    approx::assert_abs_diff_eq!(
        number(&pointing("uniform")["mean"]).unwrap(),
        mean,
        epsilon = 1e-9
    );
    assert_eq!(judged.manifest()["models"].as_array().unwrap().len(), 4);
}

#[test]
fn without_a_box_of_the_class_there_is_no_value() {
    let corpus = small(2);
    let said = ends(
        with_detector(&corpus, "Tin").args(["--metrics", "deletion", "--pointing-confidence", "1"]),
        0,
    );
    assert!(said.err.contains("0 of 2 images have a box of Tin"), "{}", said.err);
    let judged = corpus.run("judged");
    assert_sound(&judged);
    for method in ["grad-cam", "random", "centre", "uniform"] {
        let row = &rows(&judged)[&(method.to_string(), "pointing".to_string())];
        assert_eq!(
            (row["n"].as_str(), row["mean"].as_str(), row["over_random"].as_str()),
            ("0", "", ""),
            "{method}"
        );
    }
}

#[test]
fn only_damaged_images_leave_tables_without_rows() {
    let corpus = Corpus::empty();
    corpus.write("photos/a.png", "no picture");
    ends(&mut evaluate(&corpus), 1);
    let judged = corpus.run("judged");
    assert_eq!(judged.table("images.csv").rows.len(), 0);
    assert!(rows(&judged).values().all(|row| row["n"] == "0" && row["mean"].is_empty()));
    assert!(!judged.files().contains(&"evaluation.png".to_string()));
}

#[test]
fn what_cannot_be_evaluated_is_refused() {
    let corpus = small(1);
    refused(&mut with_detector(&corpus, "Owls"), &["no class `Owls`", "did you mean Owl?"]);
    refused(evaluate(&corpus).args(["--metrics", "pointing"]), &["--pointing CLASS"]);
    refused(evaluate(&corpus).args(["--metrics", "beauty"]), &["beauty", "deletion"]);
    refused(evaluate(&corpus).args(["--metrics", "road,road"]), &["named twice"]);
    refused(
        evaluate(&corpus).args(["--steps", "1"]),
        &["--steps", "should be a whole number from 2 to 1000"],
    );
    refused(
        with_detector(&corpus, "Owl").args(["--pointing-confidence", "2"]),
        &["pointing-confidence", "from 0 to 1"],
    );
    refused(emocam().args(["evaluate", "/no/such/photos"]), &["/no/such/photos"]);
    corpus.write("judged/notes.txt", "mine");
    refused(&mut evaluate(&corpus), &["judged", "is not empty", "--out"]);
    assert!(!corpus.path("judged/run.json").exists());
}

/// A copy of the miniature emotion model with changed numbers.
fn scaled_model(corpus: &Corpus, name: &str, change: impl Fn(&str, f32) -> f32) {
    use safetensors::tensor::{Dtype, TensorView};
    let imported = corpus.path("imported.safetensors");
    let mut import = emocam();
    import
        .args(["models", "import"])
        .arg(common::reference("emonet/narrow_ecco.pt"))
        .arg("--out")
        .arg(&imported);
    ends(&mut import, 0);
    let bytes = std::fs::read(imported).unwrap();
    let all = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let changed: BTreeMap<String, (Vec<usize>, Vec<u8>)> = all
        .tensors()
        .into_iter()
        .map(|(name, view)| {
            let values =
                view.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()));
            let bytes = values.flat_map(|value| change(&name, value).to_le_bytes()).collect();
            (name, (view.shape().to_vec(), bytes))
        })
        .collect();
    let views = changed.iter().map(|(name, (shape, bytes))| {
        (name.as_str(), TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap())
    });
    corpus.write(name, safetensors::serialize(views, None).unwrap());
}

/// A model whose last convolution answers the same everywhere: its maps are flat, its probabilities
/// are not.
fn flat_model(corpus: &Corpus) {
    scaled_model(
        corpus,
        "flat.safetensors",
        |name, value| if name == "conv5.weight" { 0.0 } else { value },
    );
}

#[test]
fn right_and_wrong_answers_are_judged_apart() {
    let corpus = Corpus::small();
    let mut command = evaluate(&corpus);
    ends(command.args(["--cam", "grad-cam", "--metrics", "confidence"]), 0);
    let images = corpus.run("judged").table("images.csv");
    // People who say the same of every second picture, nothing of every fifth, and else something
    // that it is not.
    let mut paths: Vec<(&str, &str)> =
        images.column("path").into_iter().zip(images.column("label")).collect();
    paths.dedup();
    let mut file = "path,label\n".to_string();
    let mut expected = BTreeMap::from([("right", Vec::new()), ("wrong", Vec::new())]);
    let drop_of = |path: &str| {
        let row = images
            .rows
            .iter()
            .find(|row| row[0] == path && row[images.at("method")] == "grad-cam")
            .unwrap();
        row[images.at("average-drop")].parse::<f64>().unwrap()
    };
    for (number, (path, label)) in paths.iter().enumerate() {
        let (said, group) = match (number % 5, number % 2) {
            (0, _) => continue,
            (_, 0) => (*label, "right"),
            _ => ("Somehow", "wrong"),
        };
        file.push_str(&format!("{path},{said}\n"));
        expected.get_mut(group).unwrap().push(drop_of(path));
    }
    corpus.write("labels.csv", file);
    let mut command = evaluate_into(&corpus, "again", &common::reference("emonet/narrow_ecco.pt"));
    command.args(["--cam", "grad-cam", "--metrics", "confidence", "--labels", "labels.csv"]);
    let said = ends(&mut command, 0);
    assert!(said.err.contains("images have no label that counts"), "{}", said.err);
    let again = corpus.run("again");
    assert_eq!(
        corpus.run("judged").table("evaluation.csv").rows,
        again.table("evaluation.csv").rows
    );
    let answers = again.table("answers.csv");
    for (group, values) in expected {
        let wanted = |row: &&Vec<String>| {
            row[0] == group
                && row[answers.at("method")] == "grad-cam"
                && row[answers.at("metric")] == "average-drop"
        };
        let row = answers.rows.iter().find(wanted).unwrap();
        assert_eq!(row[answers.at("n")], values.len().to_string());
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        assert!((row[answers.at("mean")].parse::<f64>().unwrap() - mean).abs() < 1e-9);
    }
}
