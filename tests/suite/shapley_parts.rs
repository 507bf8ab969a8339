//! dnc-shap and object-shap from the command line: values add up, in figures' numbers, tables and
//! saved maps.

use crate::common::corpus::{Corpus, Run, Table, emocam, ends, refused, sealed};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

const SETTINGS: [&str; 6] =
    ["--cam", "grad-cam,dnc-shap,object-shap", "--evaluations", "40", "--player-confidence", "0"];

fn number(of: &Value) -> f64 {
    of.as_f64().unwrap()
}

/// Sum of a map that was saved.
fn sum_of_map(file: &Path, name: &str) -> f64 {
    let bytes = std::fs::read(file).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let map = tensors.tensor(name).unwrap();
    map.data()
        .chunks_exact(4)
        .map(|value| f64::from(f32::from_le_bytes(value.try_into().unwrap())))
        .sum()
}

#[test]
fn what_explain_says_adds_up() {
    let corpus = Corpus::small();
    ends(corpus.explain().args(["photos/a", "--save-maps"]).args(SETTINGS), 0);
    let (mut played, mut worst) = (0, [0.0_f64; 2]);
    for at in 0..8 {
        let path = corpus.path(&format!("explained/picture_{at}.json"));
        let of: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let [grad, dnc, objects] = of["methods"].as_array().unwrap().as_slice() else {
            panic!("three methods")
        };
        assert!(grad.get("value_all").is_none() && dnc.get("background").is_none());
        let gain = |method: &Value| number(&method["value_all"]) - number(&method["value_nothing"]);
        let signed = sum_of_map(&path.with_extension("safetensors"), "dnc-shap-signed");
        worst[0] = worst[0].max((gain(dnc) - signed).abs());
        // A player has its value once, however many names it has.
        let players: BTreeMap<u64, f64> = objects["boxes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|of| (of["player"].as_u64().unwrap(), number(&of["shapley"])))
            .filter(|(player, _)| *player > 0)
            .collect();
        played += players.len();
        let sum = number(&objects["background"]) + players.values().sum::<f64>();
        worst[1] = worst[1].max((gain(objects) - sum).abs());
        assert!((number(&dnc["value_all"]) - number(&objects["value_all"])).abs() < 1e-6);
    }
    assert!(played > 8, "{played} players");
    eprintln!("dnc-shap misses {:.1e}, object-shap {:.1e}", worst[0], worst[1]);
    assert!(worst[0] < 1e-5 && worst[1] < 1e-6, "{worst:?}");
}

#[test]
fn a_run_has_values_and_the_matrix_of_effects() {
    let corpus = Corpus::small();
    ends(corpus.analyze("run").args(["--limit", "6"]).args(SETTINGS), 0);
    let run = corpus.run("run");
    let (objects, images) = (run.table("objects.csv"), run.table("images.csv"));
    let at = |table: &Table, name: &str| -> Vec<f64> {
        table.rows.iter().map(|row| row[table.at(name)].parse().unwrap()).collect()
    };
    let (values, players) = (at(&objects, "object-shap_value"), at(&objects, "object-shap_player"));
    let shares = at(&objects, "object-shap");
    assert!(
        shares
            .iter()
            .zip(&values)
            .all(|(share, value)| share.signum() == value.signum() || *value == 0.0)
    );
    assert!(players.iter().zip(&values).all(|(player, value)| *player > 0.0 || *value == 0.0));
    assert!(at(&images, "object-shap_value_all").iter().all(|value| (0.0..=1.0).contains(value)));
    let effects = std::fs::read(run.path("object-shap/effects.csv")).unwrap();
    assert!(effects.starts_with(b"class,label,images,effect,low,high,most_important\n"));
    assert!(
        !run.path("dnc-shap/effects.csv").exists()
            && !run.path("dnc-shap/effects_matrix.csv").exists()
    );
    matrices_have_the_table(&run);
    // From the records alone it is the same.
    ends(
        emocam().arg("associate").arg(corpus.path("run")).arg("--out").arg(corpus.path("again")),
        0,
    );
    let names = ["effects.csv", "effects_matrix.csv", "most_important_matrix.csv"];
    for name in names.into_iter().chain([
        "effects.png",
        "effects.svg",
        "most_important.png",
        "most_important.svg",
    ]) {
        let read =
            |run: &str| std::fs::read(corpus.path(run).join("object-shap").join(name)).unwrap();
        assert!(read("again") == read("run"), "{name}");
    }
}

/// The matrices of a run have what effects.csv has, and otherwise empty cells, or 0 for a class
/// that is never the most important in the pictures of a label.
fn matrices_have_the_table(run: &Run) {
    let table = run.table("object-shap/effects.csv");
    let cell = |row: &[String], name: &str| row[table.at(name)].clone();
    let [effects, shares] = ["effects", "most_important"]
        .map(|name| run.table(&format!("object-shap/{name}_matrix.csv")));
    let mut filled = 0;
    for (row, share_row) in effects.rows.iter().zip(&shares.rows) {
        for (column, label) in effects.header.iter().enumerate().skip(1) {
            let known = table
                .rows
                .iter()
                .find(|of| cell(of, "class") == row[0] && cell(of, "label") == *label);
            assert_eq!(row[column], known.map(|of| cell(of, "effect")).unwrap_or_default());
            match known {
                Some(of) => assert_eq!(share_row[column], cell(of, "most_important")),
                None => assert!(
                    ["", "0"].contains(&share_row[column].as_str()),
                    "{}",
                    share_row[column]
                ),
            }
            filled += usize::from(known.is_some());
        }
    }
    assert_eq!(filled, table.rows.len());
    assert!(filled > 3, "{filled} cells");
}

#[test]
fn the_fill_and_the_layer_change_what_is_found() {
    let corpus = Corpus::small();
    let run = |name: &str, flags: &[&str]| {
        let mut command = corpus.analyze(name);
        command.args(["--limit", "2", "--cam", "dnc-shap", "--evaluations", "24"]).args(flags);
        ends(&mut command, 0);
        std::fs::read_to_string(corpus.run(name).path("records.jsonl")).unwrap()
    };
    let mut found = vec![run("surroundings", &[])];
    for fill in ["black", "mean", "blur"] {
        found.push(run(fill, &["--fill", fill]));
    }
    for layer in ["activation", "conv1", "conv2", "conv3", "conv4"] {
        found.push(run(layer, &["--at-layer", layer]));
        assert!(found[found.len() - 1].contains(&format!("\"layer\":\"{layer}\"")), "{layer}");
    }
    assert!(!found[0].contains("\"layer\""));
    found.push(run("published", &["--compat", "published"]));
    for (at, one) in found.iter().enumerate() {
        assert!(found[..at].iter().all(|other| other != one), "number {at} is another's");
    }
}

/// All files of two runs but the layer's name are the same.
#[test]
fn the_last_convolution_by_its_name_is_the_activation() {
    let corpus = Corpus::small();
    let run = |layer: &str| {
        let mut command = corpus.analyze(layer);
        command.args(["--limit", "3", "--cam", "dnc-shap", "--evaluations", "24", "--save-maps"]);
        ends(command.args(["--at-layer", layer]), 0);
        corpus.run(layer)
    };
    let (by_name, explained) = (run("conv5"), run("activation"));
    let read = |run: &Run, name: &str| std::fs::read(run.path(name)).unwrap();
    for name in ["images.csv", "objects.csv", "dnc-shap/association.csv", "dnc-shap/counts.csv"] {
        assert_eq!(read(&by_name, name), read(&explained, name), "{name}");
    }
    let text = |run: &Run, name: &str| String::from_utf8(read(run, name)).unwrap();
    let records = text(&explained, "records.jsonl")
        .replace("\"layer\":\"activation\"", "\"layer\":\"conv5\"");
    assert_eq!(read(&by_name, "records.jsonl"), sealed(records.as_bytes()));
    assert!(text(&by_name, "run.json").contains("\"at_layer\": \"conv5\""));
    let maps = |run: &Run| -> Vec<Vec<u8>> {
        let files = walkdir::WalkDir::new(run.path("maps"))
            .sort_by_file_name()
            .into_iter()
            .map(Result::unwrap);
        files.filter(|of| of.path().is_file()).map(|of| std::fs::read(of.path()).unwrap()).collect()
    };
    assert_eq!(maps(&by_name).len(), 3);
    assert!(maps(&by_name) == maps(&explained));
}

#[test]
fn what_cannot_be_is_refused() {
    let corpus = Corpus::small();
    refused(
        corpus.analyze("run").args(["--cam", "dnc-shap", "--evaluations", "1"]),
        &["--evaluations", "should be a whole number from 2 to 1000000"],
    );
    refused(
        corpus.analyze("run").args(["--player-confidence", "1.5"]),
        &["player_confidence should be from 0 to 1"],
    );
    refused(corpus.analyze("run").args(["--fill", "white"]), &["surroundings"]);
    refused(
        corpus.analyze("run").args(["--cam", "dnc-shap", "--at-layer", "fc6"]),
        &[
            "at-layer `fc6`",
            "has no layer of this name",
            "input, activation, conv1, conv2, conv3, conv4, conv5",
        ],
    );
    assert!(!corpus.path("run").exists(), "refused before the pass");
}
