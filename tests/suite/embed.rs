//! `emocam embed`: the demo's network over scenes of the drawn world in two styles, and over odd
//! corpora.

use crate::common::corpus::{Corpus, Run, Table, emocam, ends, refused};
use emocam::world::{Scene, Style, graph};
use std::path::Path;
use std::process::Command;

/// Draws scenes into `folder`; rows of a table of labels, whose paths begin with `shown`.
fn draw(corpus: &Corpus, folder: &str, shown: &str, style: Style, count: u64) -> String {
    let mut rows = String::new();
    for number in 0..count {
        let scene = Scene::draw(graph(), 31, number, style);
        let pixels = scene.render();
        let (width, height) = (pixels.size().width, pixels.size().height);
        let picture = image::RgbImage::from_raw(width, height, pixels.data().to_vec()).unwrap();
        let name = format!("{number:03}.png");
        corpus.write(&format!("{folder}/.keep"), "");
        picture.save(corpus.path(&format!("{folder}/{name}"))).unwrap();
        rows.push_str(&format!(
            "{shown}{name},{}\n",
            graph().labels[graph().label(&scene).unwrap()]
        ));
    }
    rows
}

/// `emocam embed` with the demo's network, in the temporary folder.
fn embed(corpus: &Corpus, arguments: &[&str]) -> Command {
    let mut command = emocam();
    let network = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo/emotion.safetensors");
    command
        .current_dir(corpus.path(""))
        .arg("embed")
        .arg(network)
        .args(["--device", "cpu"])
        .args(arguments);
    command
}

fn value<'a>(table: &'a Table, measure: &str, space: &str, by: &str) -> &'a str {
    let [m, s, b, v] = ["measure", "space", "by", "value"].map(|name| table.at(name));
    &table.rows.iter().find(|row| row[m] == measure && row[s] == space && row[b] == by).unwrap()[v]
}

fn no_nan(run: &Run) {
    for (name, bytes) in run.tables() {
        let text = String::from_utf8(bytes).unwrap().to_lowercase();
        assert!(!text.contains("nan") && !text.contains("inf,"), "{name}: {text}");
    }
}

#[test]
fn two_domains_in_two_layers_the_same_bytes_for_any_number_of_threads() {
    let corpus = Corpus::empty();
    let mut labels = String::from("path,label\n");
    labels += &draw(&corpus, "plain", "plain/", Style::Standard, 30);
    labels += &draw(&corpus, "odd", "odd/", Style::HeldOut, 26);
    corpus.write("labels.csv", labels);
    let arguments = [
        "plain",
        "odd",
        "--labels",
        "labels.csv",
        "--layer",
        "activation,fc7",
        "--iterations",
        "500",
    ];
    let said = ends(embed(&corpus, &arguments).args(["--out", "one", "--threads", "1"]), 0);
    assert!(said.out.contains("plain | odd: domain classifier"), "{}", said.out);
    ends(
        embed(&corpus, &arguments)
            .args(["--out", "two", "--threads", "3"])
            .env("RAYON_NUM_THREADS", "3"),
        0,
    );
    let (one, two) = (corpus.run("one"), corpus.run("two"));
    assert_eq!(one.files(), two.files());
    for name in one.files().iter().filter(|name| *name != "run.json") {
        let [left, right] = [&one, &two].map(|run| std::fs::read(run.path(name)).unwrap());
        assert!(left == right, "{name} differs");
    }
    no_nan(&one);
    let folders: Vec<String> =
        one.files().iter().filter_map(|name| Some(name.split_once('/')?.0.into())).collect();
    assert!(folders.iter().any(|name| name == "fc7"), "{folders:?}");
    let table = one.table("fc7/embedding.csv");
    let columns = ["path", "domain", "label", "answer", "pca_1", "pca_2", "tsne_1", "tsne_2"];
    assert_eq!(table.header, columns);
    assert_eq!(table.rows.len(), 56);
    assert_eq!(table.column("domain").iter().filter(|name| **name == "odd").count(), 26);
    assert!(table.rows.iter().flatten().all(|cell| !cell.is_empty()));
    let numbers = one.table("fc7/numbers.csv");
    for by in ["label", "domain"] {
        for space in ["features", "pca", "tsne"] {
            let silhouette: f64 = value(&numbers, "silhouette", space, by).parse().unwrap();
            assert!((-1.0..=1.0).contains(&silhouette));
        }
    }
    assert!(value(&numbers, "trustworthiness", "tsne", "").parse::<f64>().unwrap() > 0.7);
    let domains = one.table("fc7/domains.csv");
    assert_eq!((domains.column("domain_a"), domains.column("cases")), (vec!["plain"], vec!["52"]));
    let settings = &one.manifest()["experiment"]["settings"];
    // A third of the 55 others.
    assert_eq!((&settings["perplexity"], &settings["mark"]), (&18.0.into(), &"domain".into()));
    assert!(
        one.manifest()["models"].as_array().unwrap().iter().any(|file| file["sha256"]
            .as_str()
            .unwrap()
            .len()
            == 64)
    );
    let svg = std::fs::read_to_string(one.path("fc7/embedding.svg")).unwrap();
    assert!(svg.contains("56 images: plain 30, odd 26") && svg.contains("tells them apart"));
    let features = std::fs::read(one.path("fc7/features.npy")).unwrap();
    assert!(String::from_utf8_lossy(&features[..128]).contains("'shape': (56, "));
}

#[test]
fn one_corpus_is_marked_by_right_and_wrong_and_without_labels_coloured_by_answer() {
    let corpus = Corpus::empty();
    let mut labels = draw(&corpus, "photos", "", Style::Standard, 14);
    labels.insert_str(0, "path,label\n");
    corpus.write(
        "labels.csv",
        labels.lines().take(13).map(|line| format!("{line}\n")).collect::<String>(),
    );
    corpus.write("photos/broken.png", "no picture");
    let said = ends(
        &mut embed(
            &corpus,
            &["photos", "--labels", "labels.csv", "--out", "run", "--iterations", "500"],
        ),
        1,
    );
    assert!(said.err.contains("failed: broken.png (decode)"), "{}", said.err);
    assert!(said.err.contains("2 images have no label"), "{}", said.err);
    let run = corpus.run("run");
    no_nan(&run);
    assert_eq!(run.table("failures.csv").column("path"), ["broken.png"]);
    assert_eq!(run.manifest()["experiment"]["settings"]["mark"], "right");
    let folder = run
        .files()
        .iter()
        .find_map(|name| Some(name.strip_suffix("/embedding.csv")?.to_string()))
        .unwrap();
    let table = run.table(&format!("{folder}/embedding.csv"));
    assert_eq!(table.column("label").iter().filter(|label| label.is_empty()).count(), 2);
    let svg = std::fs::read_to_string(run.path(&format!("{folder}/embedding.svg"))).unwrap();
    assert!(svg.contains("answered") && svg.contains("no label"));
    assert!(!run.path(&format!("{folder}/domains.csv")).exists());

    let answers = [
        "photos/000.png",
        "photos/001.png",
        "photos/002.png",
        "photos/003.png",
        "--layer",
        "outputs",
    ];
    let said = ends(embed(&corpus, &answers).args(["--out", "few"]), 0);
    assert!(said.err.contains("no t-SNE"), "{}", said.err);
    let few = corpus.run("few");
    no_nan(&few);
    let table = few.table("outputs/embedding.csv");
    assert!(table.column("tsne_1").iter().all(|cell| cell.is_empty()));
    assert!(table.column("label").iter().all(|cell| cell.is_empty()));
    assert!(table.column("pca_1").iter().all(|cell| !cell.is_empty()));
}

#[test]
fn pictures_that_are_all_the_same_leave_cells_empty() {
    let corpus = Corpus::empty();
    for number in 0..8 {
        corpus.add(&format!("{number}.png"), "emonet/picture_0.png");
    }
    let said = ends(&mut embed(&corpus, &["photos", "--out", "run"]), 0);
    assert!(said.err.contains("no t-SNE"), "{}", said.err);
    let run = corpus.run("run");
    no_nan(&run);
    let numbers = run.files().iter().find(|name| name.ends_with("numbers.csv")).unwrap().clone();
    let numbers = run.table(&numbers);
    assert!(numbers.column("value").iter().all(|cell| cell.is_empty()), "{:?}", numbers.rows);
}

#[test]
fn what_cannot_be_is_refused_before_anything_is_written() {
    let corpus = Corpus::empty();
    draw(&corpus, "photos", "", Style::Standard, 5);
    let said = ends(&mut embed(&corpus, &["--list-layers"]), 0);
    for layer in ["conv1", "fc7", "outputs"] {
        assert!(said.out.lines().any(|line| line.starts_with(layer)), "{}", said.out);
    }
    let out = |arguments: &[&str]| {
        let mut command = embed(&corpus, arguments);
        command.args(["--out", "run"]);
        command
    };
    refused(&mut out(&["photos", "--layer", "fc9"]), &["no layer `fc9`; it has conv1"]);
    refused(
        &mut out(&["photos", "--perplexity", "30"]),
        &["30 is too large for 5 images", "a third of the others, 1"],
    );
    refused(&mut out(&["photos", "--perplexity", "1"]), &["at least 2"]);
    refused(&mut out(&["photos", "--iterations", "20"]), &["from 500 to 100000, found 20"]);
    refused(&mut out(&["photos/000.png"]), &["at least 4 images; there are 1"]);
    refused(&mut out(&["photos", "--mark", "right"]), &["without --labels"]);
    refused(&mut out(&["photos", "@-"]), &["write the list to a file"]);
    refused(&mut embed(&corpus, &["photos"]), &["--out"]);
    assert!(!corpus.path("run").exists());
    corpus.write("run/old", "");
    refused(&mut out(&["photos"]), &["not empty"]);
}
