//! `emocam compare`: two looks at pictures.

use crate::common::corpus::{Corpus, Run, Table, emocam, ends, refused};
use crate::common::invented::invent_records;
use serde_json::Value;
use std::process::Command;

fn compare(corpus: &Corpus, first: &Run, second: &Run, out: &str) -> Command {
    let mut command = emocam();
    command
        .arg("compare")
        .arg(&first.folder)
        .arg(&second.folder)
        .arg("--out")
        .arg(corpus.path(out));
    command
}

fn table(corpus: &Corpus, name: &str) -> Table {
    Table::read(&corpus.path(name))
}

fn json(corpus: &Corpus, name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(corpus.path(name)).unwrap()).unwrap()
}

/// A run of 25,000 invented records.
fn large(corpus: &Corpus, name: &str) -> Run {
    let run = corpus.analyzed(name);
    invent_records(&run, 12);
    run
}

#[test]
fn two_runs_with_the_same_seed_do_not_differ() {
    let corpus = Corpus::small();
    let (first, second) = (corpus.analyzed("first"), corpus.analyzed("second"));
    let said = ends(compare(&corpus, &first, &second, "out").args(["--min-images", "1"]), 0);
    assert!(said.out.contains("15 images, each compared with itself."), "{}", said.out);
    let cells = table(&corpus, "out/differences.csv");
    assert!(cells.column("difference").contains(&"0"));
    for row in &cells.rows {
        let cell = |name: &str| row[cells.at(name)].as_str();
        assert!(
            ["0", ""].contains(&cell("difference")) && ["1", ""].contains(&cell("p")),
            "{row:?}"
        );
        assert_eq!(
            (cell("a_important"), cell("a_images")),
            (cell("b_important"), cell("b_images"))
        );
    }
    let images = table(&corpus, "out/images.csv");
    assert_eq!(images.rows.len(), 15);
    assert!(images.column("change").iter().all(|change| *change == "0.000000"));
    assert!(
        images
            .column("boxes_in_both")
            .iter()
            .zip(images.column("a_boxes"))
            .all(|(both, boxes)| *both == boxes)
    );
    let comparison = json(&corpus, "out/comparison.json");
    assert_eq!(
        (comparison["significant_cells"].as_u64(), comparison["paired"].as_bool()),
        (Some(0), Some(true))
    );
    assert_eq!(comparison["agreement"]["same_label"][0].as_f64(), Some(1.0));
}

#[test]
fn kept_maps_are_compared_pixel_by_pixel() {
    let corpus = Corpus::small();
    ends(corpus.analyze("first").arg("--save-maps"), 0);
    ends(corpus.analyze("second").args(["--save-maps", "--cam", "ablation-cam"]), 0);
    let (first, second) = (corpus.run("first"), corpus.run("second"));
    ends(&mut compare(&corpus, &first, &first, "same"), 0);
    let same = table(&corpus, "same/images.csv");
    assert!(same.column("map_correlation").iter().any(|rho| !rho.is_empty()));
    assert!(same.column("map_correlation").iter().all(|rho| rho.is_empty() || *rho == "1.000000"));
    ends(&mut compare(&corpus, &first, &second, "methods"), 0);
    let methods = table(&corpus, "methods/images.csv");
    assert!(
        methods.column("map_correlation").iter().any(|rho| !rho.is_empty() && *rho != "1.000000")
    );
    assert!(methods.column("same_label").iter().all(|same| *same == "1"));
}

#[test]
fn thresholds_methods_and_people_are_sides_too() {
    let corpus = Corpus::empty();
    corpus.add("a.png", "emonet/picture_0.png");
    let run = large(&corpus, "run");
    let said = ends(compare(&corpus, &run, &run, "out").args(["--importance", "0.3,0.6"]), 0);
    assert!(said.out.contains("over 0.3") && said.out.contains("over 0.6"), "{}", said.out);
    let cells = table(&corpus, "out/differences.csv");
    ends(emocam().arg("associate").arg(&run.folder), 0);
    let counts = run.table("grad-cam/counts.csv");
    for row in cells.rows.iter().take(200) {
        let cell = |name: &str| row[cells.at(name)].parse::<f64>().unwrap();
        // What counts over 0.6 counts over 0.3.
        assert!(cell("difference") <= 0.0 && cell("difference_low") <= cell("difference"));
        let class = counts.rows.iter().find(|found| found[0] == row[0]).unwrap();
        assert_eq!(row[cells.at("a_important")], class[counts.at(&row[1])]);
    }
    assert!(json(&corpus, "out/comparison.json")["significant_cells"].as_u64().unwrap() > 100);

    // People who say what the network answers.
    let records = std::fs::read_to_string(run.path("records.jsonl")).unwrap();
    let labels: Vec<String> = serde_json::from_value(run.manifest()["labels"].clone()).unwrap();
    let mut file = "path,label\n".to_string();
    for line in records.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let label = &labels[record["label"].as_u64().unwrap() as usize];
        file.push_str(&format!("{},{label}\n", record["path"].as_str().unwrap()));
    }
    corpus.write("labels.csv", file);
    let mut people = compare(&corpus, &run, &run, "people");
    ends(
        people.args(["--columns", "answers,people", "--labels"]).arg(corpus.path("labels.csv")),
        0,
    );
    let comparison = json(&corpus, "people/comparison.json");
    assert_eq!(comparison["significant_cells"].as_u64(), Some(0));
    assert!(comparison["agreement"]["kappa_of_labels"][0].as_f64().unwrap() > 1.0 - 1e-12);
    assert_eq!(comparison["agreement"]["distance_of_probabilities"], Value::Null);
    refused(
        compare(&corpus, &run, &run, "none").args(["--columns", "people"]),
        &["--columns people", "--labels"],
    );
    refused(
        compare(&corpus, &run, &run, "none").args(["--cam", "lime-cam"]),
        &["has no method lime-cam, but grad-cam"],
    );
    refused(
        compare(&corpus, &run, &run, "none").args(["--importance", "0.1,0.2,0.3"]),
        &["--importance has 3 values"],
    );
}

#[test]
fn runs_over_different_images_are_two_samples_and_a_published_matrix_is_shares() {
    let corpus = Corpus::empty();
    corpus.add("a.png", "emonet/picture_0.png");
    let (first, second) = (large(&corpus, "first"), large(&corpus, "second"));
    let text = std::fs::read_to_string(second.path("records.jsonl")).unwrap();
    second.reseal(text.replace("folder/picture", "other/picture").as_bytes());
    let said = ends(&mut compare(&corpus, &first, &second, "out"), 0);
    assert!(
        said.out.contains("No image is in both: 25000 images of first and 25000 of second"),
        "{}",
        said.out
    );
    assert!(!corpus.path("out/images.csv").exists());
    let cells = table(&corpus, "out/differences.csv");
    assert!(cells.column("test").iter().all(|test| ["g", "fisher", ""].contains(test)));
    assert!(cells.column("difference").iter().all(|difference| ["0", ""].contains(difference)));

    // The paper's Fig. 2, beside a run whose classes have its names.
    let mut manifest = first.manifest();
    for (place, name) in ["Clothing", "human face", "Person"].iter().enumerate() {
        manifest["classes"][place] = Value::from(*name);
    }
    std::fs::write(first.path("run.json"), manifest.to_string()).unwrap();
    let figure = concat!(env!("CARGO_MANIFEST_DIR"), "/configs/emocam-fig2.csv");
    let mut published = emocam();
    published
        .arg("compare")
        .arg(&first.folder)
        .arg(figure)
        .arg("--out")
        .arg(corpus.path("published"));
    let said = ends(&mut published, 0);
    // 20 labels but the last, which no invented record has; five of the second row are not legible,
    // two of the third.
    let cells = table(&corpus, "published/differences.csv");
    let legible = std::fs::read_to_string(figure).unwrap();
    let known: usize = legible
        .lines()
        .skip(1)
        .take(3)
        .map(|row| row.split(',').skip(1).take(19).filter(|cell| !cell.is_empty()).count())
        .sum();
    assert_eq!(cells.rows.len(), known);
    assert!(said.out.contains(&format!("{known} cells in common")), "{}", said.out);
    assert_eq!(cells.rows[0][cells.at("published")], "0.52");
    refused(
        emocam().arg("compare").arg(&second.folder).arg(figure).current_dir(corpus.path("")),
        &["emocam-fig2.csv", "no cell in common"],
    );
}

#[test]
fn two_networks_differ_in_the_planted_cells_and_only_there() {
    let corpus = Corpus::empty();
    let demo = |name: &str| concat!(env!("CARGO_MANIFEST_DIR"), "/models/demo/").to_string() + name;
    ends(
        emocam()
            .args(["world", "--scenes", "300", "--seed", "11", "--out"])
            .arg(corpus.path("scenes")),
        0,
    );
    // The same network, which says Craving for Fear and Fear for Craving.
    let card = std::fs::read_to_string(demo("emotion.toml")).unwrap();
    let swapped = card
        .replace("\"Fear\"", "\"?\"")
        .replace("\"Craving\"", "\"Fear\"")
        .replace("\"?\"", "\"Craving\"");
    corpus.write("other/emotion.toml", swapped);
    std::fs::copy(demo("emotion.safetensors"), corpus.path("other/emotion.safetensors")).unwrap();
    let other = corpus.path("other/emotion.safetensors").display().to_string();
    for (weights, out) in [(demo("emotion.safetensors"), "first"), (other, "second")] {
        let mut command = emocam();
        command
            .arg("analyze")
            .arg(corpus.path("scenes"))
            .arg("--out")
            .arg(corpus.path(out))
            .args(["--device", "cpu"]);
        command.args([
            "--detector",
            &demo("detector.cfg"),
            "--detector-weights",
            &demo("detector.weights"),
        ]);
        ends(
            command.args(["--class-names", &demo("detector.names"), "--emotion-weights", &weights]),
            0,
        );
    }
    let (first, second) = (corpus.run("first"), corpus.run("second"));
    ends(&mut compare(&corpus, &first, &second, "out"), 0);
    let cells = table(&corpus, "out/differences.csv");
    let significant: Vec<(&str, &str)> = cells
        .rows
        .iter()
        .filter(|row| row[cells.at("q")].parse::<f64>().is_ok_and(|q| q < 0.05))
        .map(|row| (row[0].as_str(), row[1].as_str()))
        .collect();
    // What causes the two labels, and nothing of any other label.
    for planted in
        [("Spider", "Fear"), ("Spider", "Craving"), ("Cake", "Fear"), ("Cake", "Craving")]
    {
        assert!(significant.contains(&planted), "{planted:?} is not among {significant:?}");
    }
    assert!(
        significant.iter().all(|(_, label)| ["Fear", "Craving"].contains(label)),
        "{significant:?}"
    );
    let other: Vec<_> =
        significant.iter().filter(|(class, _)| !["Spider", "Cake"].contains(class)).collect();
    assert!(other.len() <= 1, "at most a chance finding besides: {other:?}");
}
