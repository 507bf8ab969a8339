//! What `--cam`, `--target`, `--contrast`, `--sign`, `--class`, `--layer-point`, `--compat`,
//! `--lrp-rule`, `--permutations` and `--lime-error` change, and maps at the extremes, end to end.

use crate::common;
use crate::common::corpus::{Corpus, Run, ends, refused};
use emocam::attribution::Method;
use emocam::nn::weights::{Array, StateDict, pytorch};
use emocam::run::record::ImageRecord;
use std::collections::BTreeSet;

/// The methods whose importances differ between two runs over the same pictures.
fn changed(a: &Run, b: &Run) -> BTreeSet<String> {
    let (a, b) = (a.table("objects.csv"), b.table("objects.csv"));
    assert_eq!(a.column("path"), b.column("path"));
    let methods = a.methods().iter();
    methods.filter(|method| a.column(method) != b.column(method)).cloned().collect()
}

#[test]
fn every_option_is_recorded_and_changes_the_methods_it_is_for() {
    let corpus = Corpus::small();
    let run = |name: &str, flags: &[&str]| {
        ends(corpus.analyze(name).args(["--limit", "8", "--cam", "all"]).args(flags), 0);
        corpus.run(name)
    };
    let all: BTreeSet<String> = Method::cams().iter().map(ToString::to_string).collect();
    let but = |without: &[&str]| {
        all.iter().filter(|name| !without.contains(&name.as_str())).cloned().collect()
    };
    let only = |names: &[&str]| names.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
    let base = run("base", &[]);
    assert_eq!(base.table("objects.csv").methods().iter().cloned().collect::<BTreeSet<_>>(), all);
    let cases: [(&str, &str, serde_json::Value, BTreeSet<String>); 8] = [
        // The preset's others explain the logit already.
        ("target", "logit", "logit".into(), only(&["grad-cam", "ablation-cam"])),
        // The principal component knows of no class.
        ("class", "Joy", "Joy".into(), but(&["eigen-cam"])),
        // Where the ReLU lets nothing through, gradient before it and activation behind it are 0.
        ("layer-point", "post-relu", "post-relu".into(), but(&["layer-cam", "hires-cam"])),
        ("compat", "published", "published".into(), only(&["lime-cam", "lrp-cam", "lift-cam"])),
        ("lrp-rule", "gamma", "gamma".into(), only(&["lrp-cam"])),
        ("lrp-rule", "z-plus", "z-plus".into(), only(&["lrp-cam"])),
        ("permutations", "4", 4.into(), only(&["shapley-cam"])),
        ("lime-error", "0.01", 0.01.into(), only(&["lime-cam"])),
    ];
    for (option, value, recorded, expected) in cases {
        let run = run(&format!("{option}-{value}"), &[&format!("--{option}"), value]);
        assert_eq!(run.manifest()["configuration"]["cam"][option.replace('-', "_")], recorded);
        let found = changed(&base, &run);
        assert!(found.is_subset(&expected), "--{option} {value} changes {found:?}");
        let unchanged: Vec<_> = expected.difference(&found).collect();
        assert!(unchanged.is_empty(), "--{option} {value} does not change {unchanged:?}");
        assert_eq!(
            run.tables()["images.csv"],
            base.tables()["images.csv"],
            "answers are the model's own"
        );
    }
    refused(
        corpus.analyze("none").args(["--class", "Jy"]),
        &["class should be `predicted`", "Joy", "found `Jy`"],
    );
    refused(corpus.analyze("none").args(["--permutations", "3"]), &["even number", "found 3"]);
    refused(
        corpus.analyze("none").args(["--lime-error", "0"]),
        &["lime_error should be from 0.01 to 1", "found 0"],
    );
    refused(
        corpus.analyze("none").args(["--layer-point", "relu"]),
        &["relu", "pre-relu", "post-relu"],
    );
}

#[test]
fn other_scores_are_recorded_change_every_map_and_are_refused_where_they_cannot_be() {
    let corpus = Corpus::small();
    let run = |name: &str, flags: &[&str]| {
        ends(
            corpus
                .analyze(name)
                .args(["--limit", "6", "--cam", "grad-cam,ablation-cam,lime-cam"])
                .args(flags),
            0,
        );
        corpus.run(name)
    };
    let base = run("base", &[]);
    for (option, value) in
        [("target", "valence"), ("target", "arousal"), ("contrast", "Joy"), ("sign", "negative")]
    {
        let run = run(&format!("{option}-{value}"), &[&format!("--{option}"), value]);
        assert_eq!(run.manifest()["configuration"]["cam"][option], value);
        assert_eq!(changed(&base, &run).len(), 3, "--{option} {value}");
        assert_eq!(
            run.tables()["images.csv"],
            base.tables()["images.csv"],
            "answers are the model's own"
        );
    }
    let again = ["--limit", "6", "--cam", "grad-cam,ablation-cam,lime-cam", "--resume"];
    refused(
        corpus.analyze("sign-negative").args(again),
        &["setting cam.sign", "negative", "positive"],
    );
    let cases: [(&[&str], &[&str]); 7] = [
        (&["--contrast", "Jy"], &["contrast should be an index below 20", "Joy", "found `Jy`"]),
        (
            &["--contrast", "Joy", "--target", "valence"],
            &["contrast `Joy`", "target valence", "leave one"],
        ),
        (
            &["--contrast", "Joy", "--class", "joy"],
            &["class and contrast are both `Joy`", "name another"],
        ),
        (
            &["--class", "Joy", "--target", "arousal"],
            &["class `Joy` with target arousal", "leave one"],
        ),
        (
            &["--cam", "lrp-cam", "--target", "valence"],
            &["lrp-cam cannot explain --target valence", "grad-cam"],
        ),
        (
            &["--cam", "eigen-cam", "--sign", "negative"],
            &["eigen-cam cannot explain --sign negative", "lrp-cam"],
        ),
        (&["--sign", "minus"], &["minus", "positive", "negative"]),
    ];
    for (flags, phrases) in cases {
        refused(corpus.analyze("none").args(flags), phrases);
    }
    let evaluate = |flags: &[&str]| {
        let mut command = corpus.command("evaluate", &[]);
        command.args(["photos", "--limit", "1", "--out", "none"]).args(flags);
        command
    };
    refused(
        &mut evaluate(&["--sign", "negative"]),
        &["judged here by the probability", "--sign negative"],
    );
}

#[test]
fn an_index_is_the_label_it_stands_for() {
    let corpus = Corpus::small();
    let label = common::json("emonet/ecco.json")["labels"][3].as_str().unwrap().to_lowercase();
    for (run, class) in [("label", label.as_str()), ("index", "3")] {
        ends(corpus.analyze(run).args(["--limit", "3", "--class", class]), 0);
    }
    assert!(changed(&corpus.run("label"), &corpus.run("index")).is_empty());
}

/// The errors in the records of four pictures by a method that draws; Grad-CAM beside it has none.
fn errors(corpus: &Corpus, method: &str, flags: &[&str]) -> Vec<Option<f32>> {
    let name = format!("{method} {}", flags.join(" "));
    let methods = format!("grad-cam,{method}");
    ends(corpus.analyze(&name).args(["--limit", "4", "--cam", &methods]).args(flags), 0);
    let records = corpus.run(&name).records::<ImageRecord>();
    assert!(records.iter().all(|record| record.maps[0].error.is_none()), "Grad-CAM is exact");
    records.iter().map(|record| record.maps[1].error).collect()
}

#[test]
fn shapley_values_come_with_their_error_and_more_orders_make_it_smaller() {
    let corpus = Corpus::small();
    let error = |permutations: &str| {
        let errors: Vec<f32> = errors(&corpus, "shapley-cam", &["--permutations", permutations])
            .into_iter()
            .flatten()
            .collect();
        assert!(errors.len() == 4 && errors.iter().all(|error| *error > 0.0));
        errors.iter().sum::<f32>() / 4.0
    };
    let (few, many) = (error("8"), error("128"));
    assert!(many < 0.5 * few, "16 times the orders, a quarter of the error: {few} {many}");
}

#[test]
fn lime_cam_draws_until_it_is_as_sure_as_it_should_be() {
    let corpus = Corpus::small();
    let wanted = |error: f32| {
        let flag = error.to_string();
        let errors: Vec<f32> =
            errors(&corpus, "lime-cam", &["--lime-error", &flag]).into_iter().flatten().collect();
        assert!(
            errors.len() == 4 && errors.iter().all(|found| *found > 0.0 && *found <= error),
            "{errors:?}"
        );
        errors.iter().sum::<f32>() / 4.0
    };
    assert!(wanted(0.03) < wanted(0.5));
    assert_eq!(
        errors(&corpus, "lime-cam", &["--compat", "published"]),
        [None; 4],
        "a single fit knows no error"
    );
    let columns = |run: &str| corpus.run(run).table("objects.csv").header;
    assert!(columns("lime-cam --lime-error 0.5").contains(&"lime-cam_error".to_string()));
    assert!(!columns("lime-cam --compat published").concat().contains("_error"));
    // Other draws, the same picture: within a few errors.
    let importances = |seed: &str| -> Vec<f64> {
        ends(
            corpus.analyze(seed).args([
                "--cam",
                "lime-cam",
                "--seed",
                seed,
                "--lime-error",
                "0.02",
            ]),
            0,
        );
        corpus
            .run(seed)
            .table("objects.csv")
            .column("lime-cam")
            .iter()
            .map(|cell| cell.parse().unwrap())
            .collect()
    };
    let (one, other) = (importances("1"), importances("2"));
    let off = one.iter().zip(&other).map(|(a, b)| (a - b).abs()).sum::<f64>() / one.len() as f64;
    assert!(off > 0.0 && off < 0.02, "boxes move by {off}");
}

/// Over seeds importances spread as their standard errors say: the mean of the squares of these is
/// the variance between seeds.
#[test]
fn an_importances_standard_error_is_its_spread_over_seeds() {
    const SEEDS: usize = 12;
    let corpus = Corpus::small();
    ends(corpus.analyze("found").args(["--limit", "5"]), 0);
    for (method, flags) in
        [("lime-cam", ["--lime-error", "0.2"]), ("shapley-cam", ["--permutations", "16"])]
    {
        let numbers = |seed: usize| -> Vec<[f64; 2]> {
            let (run, seed) = (format!("{method} {seed}"), seed.to_string());
            let mut analyze = corpus.command(
                "analyze",
                &[("--detector", ""), ("--detector-weights", ""), ("--class-names", "")],
            );
            analyze.args(["photos", "--limit", "5", "--regions", "found", "--out", &run]);
            ends(analyze.args(["--cam", method, "--seed", &seed]).args(flags), 0);
            let objects = corpus.run(&run).table("objects.csv");
            let [importance, error] = [method.to_string(), format!("{method}_error")]
                .map(|name| objects.column(&name).into_iter().map(|cell| cell.parse().unwrap()));
            importance.zip(error).map(|(importance, error)| [importance, error]).collect()
        };
        let seeds: Vec<Vec<[f64; 2]>> = (1..=SEEDS).map(numbers).collect();
        let (mut variance, mut said) = (0.0, 0.0);
        for at in 0..seeds[0].len() {
            let mean = seeds.iter().map(|seed| seed[at][0]).sum::<f64>() / SEEDS as f64;
            let squares = seeds.iter().map(|seed| (seed[at][0] - mean).powi(2)).sum::<f64>();
            variance += squares / (SEEDS - 1) as f64;
            said += seeds.iter().map(|seed| seed[at][1].powi(2)).sum::<f64>() / SEEDS as f64;
        }
        let boxes = seeds[0].len();
        let (spread, said) = ((variance / boxes as f64).sqrt(), (said / boxes as f64).sqrt());
        eprintln!("{method}: {boxes} boxes move by {spread:.4} between seeds; said {said:.4}");
        assert!(boxes > 20 && spread > 1e-4);
        assert!((0.8..1.28).contains(&(said / spread)), "{method}: {said} for {spread}");
    }
}

/// No cell of a table and no number of a JSON file of `run` is NaN or infinite.
fn assert_finite(run: &Run) {
    let is_number_word =
        |word: &str| ["nan", "inf", "infinity"].contains(&word.to_ascii_lowercase().as_str());
    for name in run.files() {
        if name.ends_with(".csv")
            || name.ends_with(".json")
            || name.ends_with(".jsonl")
            || name.ends_with(".svg")
        {
            let text = std::fs::read_to_string(run.path(&name)).unwrap();
            let words = text.split(|c: char| !c.is_alphanumeric());
            assert_eq!(words.filter(|word| is_number_word(word)).count(), 0, "{name}");
        }
    }
}

/// The narrow EmoNet with one tensor changed.
fn changed_network(
    corpus: &Corpus,
    name: &str,
    tensor: &str,
    change: impl Fn(f32) -> f32,
) -> String {
    let mut state = StateDict::open(&common::reference("emonet/narrow_ecco.pt")).unwrap();
    for value in &mut state.arrays.get_mut(tensor).unwrap().values {
        *value = change(*value);
    }
    let tensors: Vec<(String, Array)> = std::mem::take(&mut state.arrays).into_iter().collect();
    pytorch::write(&corpus.path(name), &tensors, None).unwrap();
    name.into()
}

#[test]
fn at_the_extremes_results_are_defined_flagged_and_finite() {
    let corpus = Corpus::small();
    let saturated =
        changed_network(&corpus, "saturated.pt", "classifier.0.weight", |value| value * 1e3);
    let negative = changed_network(&corpus, "negative.pt", "conv_4.0.bias", |_| -1e6);
    let run = |name: &str, weights: &str, flags: &[&str]| {
        let mut command = corpus.networks_but(&[("--emotion-weights", weights)]);
        let said = ends(command.args(["photos", "--out", name, "--cam", "all"]).args(flags), 0);
        let run = corpus.run(name);
        assert_finite(&run);
        (said, run)
    };

    let (said, saturated) = run("saturated", &saturated, &[]);
    let outcome = &saturated.manifest()["outcome"];
    assert_eq!(outcome["saturated"].as_u64(), Some(15));
    assert!(said.err.contains("15 of 15 images have a probability over 0.999"), "{}", said.err);
    let flat = |method: &str| outcome["flat_maps"][method].as_u64().unwrap();
    // Of a probability that is 1 to the last digit nothing can be said; of its logit all.
    assert!(flat("grad-cam") > 10 && flat("hires-cam") == 0, "{outcome}");

    let (said, negative) = run("negative", &negative, &[]);
    assert!(said.err.contains("grad-cam: 15 of 15 maps show nothing"), "{}", said.err);
    let objects = negative.table("objects.csv");
    for method in
        ["grad-cam", "ablation-cam", "lime-cam", "lrp-cam", "lift-cam", "shapley-cam", "layer-cam"]
    {
        assert!(objects.column(method).iter().all(|cell| *cell == "0"), "{method}");
    }
    // All pictures are answered by the biases alone: one label, nineteen that are never predicted.
    let counts = negative.table("grad-cam/counts.csv");
    let images: Vec<_> =
        counts.rows.last().unwrap()[1..].iter().filter(|cell| *cell != "0").collect();
    assert_eq!(images, ["15"]);
    let shares = &negative.table("grad-cam/association.csv").rows[0][1..];
    assert_eq!(shares.iter().filter(|cell| cell.is_empty()).count(), 19);

    let narrow = common::reference("emonet/narrow_ecco.pt");
    let (_, one) = run("one", narrow.to_str().unwrap(), &["--limit", "1"]);
    assert_eq!(one.table("images.csv").rows.len(), 1);
    let (_, none) = run("none", narrow.to_str().unwrap(), &["--confidence", "1"]);
    assert_eq!(none.table("objects.csv").rows.len(), 0);
    assert_eq!(none.table("images.csv").rows.len(), 15);
}

/// The table of configs/README.md has a row for every method, in the order of the program's table,
/// and no other.
#[test]
fn the_readme_knows_every_method() {
    let readme = include_str!("../../configs/README.md");
    let rows = readme
        .split("| `--cam` |")
        .nth(1)
        .unwrap()
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let names: Vec<&str> = rows.map(|row| row.split('`').nth(1).unwrap()).collect();
    assert_eq!(names, Method::all().iter().map(|method| method.name()).collect::<Vec<_>>());
}
