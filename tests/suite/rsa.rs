//! `emocam rsa`: against scipy and rsatoolbox, over runs, and where nothing is defined.

use crate::common::corpus::{Corpus, Run, Table, emocam, ends, files_below, refused};
use crate::common::invented::invent_records;
use crate::common::{json, reference};
use emocam::rsa::{MatrixFile, MatrixKind};
use emocam::stats::{
    Given, Ranks, noise_ceiling, partial_correlation, partial_correlation_given_two,
};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const TABLES: [&str; 9] = [
    "kendall_tau_b.csv",
    "p_permutation.csv",
    "p_value.csv",
    "p_value_kendall.csv",
    "partial.csv",
    "rho_a.csv",
    "spearman.csv",
    "spearman_lower.csv",
    "spearman_upper.csv",
];

/// `emocam rsa` of shares.
fn rsa(inputs: &[&Path]) -> Command {
    let mut command = emocam();
    command.args(["rsa", "--matrix", "shares"]).args(inputs);
    command
}

/// A reference matrix.
fn matrix(name: &str) -> PathBuf {
    reference(&format!("rsa/{name}.csv"))
}

/// A square table's names and cells; every cell is empty or a finite number, and the table is
/// symmetric.
fn square(path: &Path) -> (Vec<String>, Vec<Vec<Option<f64>>>) {
    let table = Table::read(path);
    let names = table.header[1..].to_vec();
    assert_eq!(table.column(""), names, "{}", path.display());
    let cell = |text: &String| (!text.is_empty()).then(|| text.parse::<f64>().unwrap());
    let cells: Vec<Vec<Option<f64>>> =
        table.rows.iter().map(|row| row[1..].iter().map(cell).collect()).collect();
    for (a, row) in cells.iter().enumerate() {
        for (b, cell) in row.iter().enumerate() {
            assert!(cell.is_none_or(f64::is_finite), "{}", path.display());
            assert_eq!(*cell, cells[b][a], "{}", path.display());
        }
    }
    (names, cells)
}

/// Asserts that `out` has all files and that no number in them is none.
fn assert_whole(out: &Path) {
    let mut files: Vec<&str> = TABLES.to_vec();
    files.extend(["heatmap.png", "heatmap.svg", "reliability.csv", "rsa.json"]);
    files.sort_unstable();
    assert_eq!(files_below(out), files);
    for name in files.into_iter().filter(|name| !name.ends_with("png")) {
        let text = fs::read_to_string(out.join(name)).unwrap().to_lowercase();
        for word in ["nan", "inf"] {
            // "information" and the like would be fine, but no file has it.
            assert!(!text.contains(word), "{word} in {name}");
        }
    }
    TABLES.iter().for_each(|name| drop(square(&out.join(name))));
    assert!(image::open(out.join("heatmap.png")).unwrap().width() > 300);
}

fn summary(out: &Path) -> Value {
    serde_json::from_slice(&fs::read(out.join("rsa.json")).unwrap()).unwrap()
}

#[test]
fn the_numbers_are_scipys_and_rsatoolboxs() {
    let expected = json("rsa/expected.json");
    let names: Vec<String> = serde_json::from_value(expected["names"].clone()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let paths: Vec<PathBuf> = names.iter().map(|name| matrix(name)).collect();
    let said = ends(
        rsa(&paths.iter().map(PathBuf::as_path).collect::<Vec<_>>()).arg("--out").arg(&out),
        0,
    );
    assert_whole(&out);
    for (file, key) in [
        ("spearman.csv", "spearman"),
        ("p_value.csv", "p_value"),
        ("kendall_tau_b.csv", "kendall"),
        ("p_value_kendall.csv", "p_kendall"),
        ("rho_a.csv", "rho_a"),
    ] {
        let (header, found) = square(&out.join(file));
        assert_eq!(header, names);
        let expected: Vec<Vec<Option<f64>>> =
            serde_json::from_value(expected[key].clone()).unwrap();
        for (found, expected) in found.iter().flatten().zip(expected.iter().flatten()) {
            assert_eq!(found.is_some(), expected.is_some(), "{file}");
            if let (Some(found), Some(expected)) = (found, expected) {
                approx::assert_abs_diff_eq!(found, expected, epsilon = 1e-9);
                // p-values of 1e-100 as well, to nine digits.
                approx::assert_relative_eq!(found, expected, epsilon = 0.0, max_relative = 1e-9);
            }
        }
    }
    assert!(said.out.starts_with("rank correlation over 780 cells"), "{}", said.out);
    assert_eq!(summary(&out)["labels"].as_array().unwrap().len(), 20);
    for phrase in
        ["constant: all compared cells are equal", "1 of 21", "matrices from files have no images"]
    {
        assert!(said.err.contains(phrase), "{}", said.err);
    }
    // Rows exchanged at random agree by frequency alone, and the test sees it where the naive p
    // does not.
    let (_, permuted) = square(&out.join("p_permutation.csv"));
    assert_eq!(permuted[0][1], Some(1.0 / 10_001.0));
    assert!(permuted[2][4].unwrap() > 0.01, "{permuted:?}");
    assert!(permuted[3].iter().all(Option::is_none));
    for name in ["spearman_lower.csv", "spearman_upper.csv", "partial.csv"] {
        assert!(
            square(&out.join(name)).1.iter().flatten().all(Option::is_none),
            "{name} needs images"
        );
    }
}

/// Ranks of a reference matrix without its empty column.
fn ranks(name: &str) -> Ranks {
    let table = MatrixFile::read(&matrix(name), MatrixKind::Shares).unwrap();
    let mut cells: Vec<(&String, &String, f64)> = Vec::new();
    for (class, row) in table.classes.iter().zip(table.cells.chunks_exact(table.labels.len())) {
        let filled =
            table.labels.iter().zip(&table.present).zip(row).filter(|((_, present), _)| **present);
        cells.extend(filled.map(|((label, _), value)| (class, label, *value)));
    }
    // b.csv has another order.
    cells.sort_by_key(|(class, label, _)| (*class, *label));
    Ranks::of(&cells.iter().map(|cell| cell.2).collect::<Vec<_>>())
}

#[test]
fn partial_correlations_are_those_of_residuals() {
    let expected = json("rsa/expected.json");
    let names: Vec<String> = serde_json::from_value(expected["names"].clone()).unwrap();
    let [z, w] = ["detections", "other_detections"].map(ranks);
    let zw = z.spearman(&w).unwrap();
    let mut compared = 0;
    for (a, x) in names.iter().enumerate() {
        for (b, y) in names.iter().enumerate() {
            let (x, y) = (ranks(x), ranks(y));
            let given = |of: &Ranks| Some(Given { x: x.spearman(of)?, y: y.spearman(of)? });
            for (key, found) in [
                ("partial", given(&z).and_then(|z| partial_correlation(x.spearman(&y)?, z.x, z.y))),
                (
                    "partial_of_two",
                    given(&z).and_then(|z| {
                        partial_correlation_given_two(x.spearman(&y)?, z, given(&w)?, zw)
                    }),
                ),
            ] {
                let expected = expected[key][a][b].as_f64();
                if a != b {
                    assert_eq!(found.is_some(), expected.is_some(), "{key} {a} {b}");
                }
                if let (Some(found), Some(expected)) = (found, expected) {
                    approx::assert_abs_diff_eq!(found, expected, epsilon = 1e-9);
                    compared += 1;
                }
            }
        }
    }
    assert_eq!(compared, 2 * 6 * 5);
}

#[test]
fn noise_ceilings_are_rsatoolboxs() {
    let expected = json("rsa/expected.json");
    let ceilings = expected["ceilings"].as_array().unwrap();
    assert_eq!(ceilings.len(), 3);
    for ceiling in ceilings {
        let subjects: Vec<Ranks> = ceiling["subjects"]
            .as_array()
            .unwrap()
            .iter()
            .map(|name| ranks(name.as_str().unwrap()))
            .collect();
        let (lower, upper) = noise_ceiling(&subjects).unwrap();
        approx::assert_abs_diff_eq!(lower, ceiling["lower"].as_f64().unwrap(), epsilon = 1e-9);
        approx::assert_abs_diff_eq!(upper, ceiling["upper"].as_f64().unwrap(), epsilon = 1e-9);
    }
}

/// A run with all methods of the paper.
fn analyzed(corpus: &Corpus, name: &str, flags: &[&str]) -> Run {
    ends(corpus.analyze(name).args(["--cam", "paper"]).args(flags), 0);
    corpus.run(name)
}

/// The preset: M_A, every column, as the paper's Fig. 6.
#[test]
fn counts_of_every_column_are_compared_unless_shares_are_asked_for() {
    let corpus = Corpus::small();
    let run = analyzed(&corpus, "run", &[]);
    let out = corpus.path("counted");
    let counted = ends(
        emocam().arg("rsa").arg(&run.folder).args(["--resamples", "100", "--out"]).arg(&out),
        0,
    );
    assert!(!counted.err.contains("labels left out"), "{}", counted.err);
    assert_whole(&out);
    let (names, spearman) = square(&out.join("spearman.csv"));
    let summary = summary(&out);
    assert_eq!((&summary["matrix"], &summary["cells"]), (&"counts".into(), &(4 * 20).into()));
    let ranks = |method: &String| {
        let table = run.table(&format!("{method}/counts.csv"));
        let classes = table.rows.iter().filter(|row| row[0] != "images");
        Ranks::of(
            &classes
                .flat_map(|row| &row[1..])
                .map(|cell| cell.parse().unwrap())
                .collect::<Vec<f64>>(),
        )
    };
    for (a, x) in names.iter().enumerate() {
        for (b, y) in names.iter().enumerate() {
            let found = spearman[a][b].unwrap();
            approx::assert_abs_diff_eq!(
                found,
                ranks(x).spearman(&ranks(y)).unwrap(),
                epsilon = 1e-12
            );
        }
    }
    // The files say the same; one of shares is compared as it stands, which is said.
    let [grad, lime] = ["grad-cam", "lime-cam"].map(|method| run.path(method).join("counts.csv"));
    let files = corpus.path("files");
    ends(emocam().arg("rsa").args([&grad, &lime]).arg("--out").arg(&files), 0);
    let at = |name: &str| names.iter().position(|of| of == name).unwrap();
    let of_files = square(&files.join("spearman.csv")).1[0][1].unwrap();
    approx::assert_abs_diff_eq!(
        of_files,
        spearman[at("grad-cam")][at("lime-cam")].unwrap(),
        epsilon = 1e-12
    );
    let shares = run.path("grad-cam").join("association.csv");
    let said = ends(emocam().arg("rsa").args([&shares, &lime]).arg("--out").arg(&files), 0);
    assert!(
        said.err.contains("as they stand") && said.err.contains("--matrix shares"),
        "{}",
        said.err
    );
}

#[test]
fn the_methods_of_a_run() {
    let corpus = Corpus::small();
    let run = analyzed(&corpus, "run", &[]);
    let before = run.tables();
    let said = ends(&mut rsa(&[&run.folder]), 0);
    let out = run.path("rsa");
    assert_whole(&out);
    let (names, spearman) = square(&out.join("spearman.csv"));
    assert_eq!(
        names,
        run.manifest()["configuration"]["cam"]["methods"]
            .as_array()
            .unwrap()
            .iter()
            .map(|name| name.as_str().unwrap())
            .collect::<Vec<_>>()
    );
    assert_eq!(names.len(), 5);
    // The matrices lie in the run: the same cells by another way.
    let labels = run
        .table("images.csv")
        .column("label")
        .iter()
        .collect::<std::collections::BTreeSet<_>>()
        .len();
    let cells = |method: &String| {
        let table = run.table(&format!("{method}/association.csv"));
        let filled = table.rows.iter().flat_map(|row| &row[1..]).filter(|cell| !cell.is_empty());
        filled.map(|cell| cell.parse().unwrap()).collect::<Vec<f64>>()
    };
    assert_eq!(summary(&out)["cells"].as_u64(), Some(4 * labels as u64));
    for (a, x) in names.iter().enumerate() {
        for (b, y) in names.iter().enumerate() {
            assert_eq!(spearman[a][b], Ranks::of(&cells(x)).spearman(&Ranks::of(&cells(y))));
        }
    }
    let [lower, upper] =
        ["spearman_lower.csv", "spearman_upper.csv"].map(|name| square(&out.join(name)).1);
    let mut intervals = 0;
    for (lower, upper) in lower.iter().flatten().zip(upper.iter().flatten()) {
        assert_eq!(lower.is_some(), upper.is_some());
        assert!(lower <= upper);
        intervals += lower.iter().filter(|lower| (-1.0..=1.0).contains(*lower)).count();
    }
    assert_eq!(intervals, 20);
    let reliability = Table::read(&out.join("reliability.csv"));
    assert_eq!(reliability.column("images"), ["15"; 5]);
    // stdout: a line, a header and ten pairs, a header and five matrices.
    assert_eq!(said.out.lines().count(), 2 + 10 + 1 + 5, "{}", said.out);
    assert!(said.err.contains("run/rsa/heatmap.png"), "{}", said.err);
    // The run itself is untouched, can be asked again, and can be continued.
    let after: std::collections::BTreeMap<_, _> =
        run.tables().into_iter().filter(|(name, _)| !name.starts_with("rsa/")).collect();
    assert!(after == before);
    ends(corpus.analyze("run").args(["--cam", "paper", "--resume"]), 0);
    ends(&mut rsa(&[&run.folder]), 0);
}

#[test]
fn seeds_repeat_and_threads_change_nothing() {
    let corpus = Corpus::small();
    let run = analyzed(&corpus, "run", &[]);
    let tables = |out: &str, seed: &str, threads: &str| {
        let out = corpus.path(out);
        let flags = ["--resamples", "150", "--permutations", "200", "--seed", seed, "--out"];
        ends(rsa(&[&run.folder]).env("RAYON_NUM_THREADS", threads).args(flags).arg(&out), 0);
        TABLES.map(|name| fs::read(out.join(name)).unwrap())
    };
    let one = tables("one", "1", "1");
    assert!(one == tables("three", "1", "3"));
    let other = tables("other", "2", "2");
    let differ: Vec<&str> =
        (0..TABLES.len()).filter(|&at| one[at] != other[at]).map(|at| TABLES[at]).collect();
    assert_eq!(differ, ["p_permutation.csv", "spearman_lower.csv", "spearman_upper.csv"]);
}

#[test]
fn runs_and_matrices_together() {
    let corpus = Corpus::small();
    let five = analyzed(&corpus, "five", &[]);
    let one = corpus.analyzed("one");
    let out = corpus.path("rsa");
    let mut command = rsa(&[&five.folder, &one.folder, &one.path("grad-cam/counts.csv")]);
    let said = ends(command.current_dir(corpus.path("")).args(["--importance", "0.5"]), 0);
    assert_whole(&out);
    let (names, spearman) = square(&out.join("spearman.csv"));
    let methods = ["grad-cam", "ablation-cam", "lime-cam", "lrp-cam", "lift-cam"]
        .map(|name| format!("five/{name}"));
    let mut expected: Vec<String> = square(&out.join("p_value.csv")).0;
    expected.sort();
    let mut all = [&methods[..], &["one".to_string(), "grad-cam".to_string()]].concat();
    all.sort();
    assert_eq!(expected, all);
    assert_eq!(
        names[5..],
        ["one", "grad-cam"],
        "a run of one method has its folder's name, a matrix its method's"
    );
    let at = |name: &str| names.iter().position(|other| other == name).unwrap();
    // The same pictures and settings in both runs: the same matrix, in every resample.
    let (a, b) = (at("five/grad-cam"), at("one"));
    assert_eq!(spearman[a][b], Some(1.0));
    for name in ["spearman_lower.csv", "spearman_upper.csv"] {
        assert_eq!(
            square(&out.join(name)).1[a][b],
            Some(1.0),
            "{name}: resamples are shared by path"
        );
    }
    assert!(square(&out.join("partial.csv")).1[a][b].is_some());
    // The matrix in the run was made with another threshold than the one given here.
    assert_ne!(spearman[at("grad-cam")][b], Some(1.0));
    let given = &summary(&out)["items"][0]["boxes"];
    assert_eq!(given["importance"].as_f64().map(|value| value as f32), Some(0.5));
    assert!(said.out.contains("five/lift-cam"), "{}", said.out);

    // Names that would be those of other items.
    corpus.write("grad-cam.csv", fs::read(one.path("grad-cam/association.csv")).unwrap());
    let mut command = emocam();
    command
        .args([
            "rsa",
            "--matrix",
            "shares",
            "--resamples",
            "0",
            "--permutations",
            "0",
            "--out",
            "names",
        ])
        .current_dir(corpus.path(""));
    ends(
        command.args([
            "five",
            "five/grad-cam/counts.csv",
            "one/grad-cam/counts.csv",
            "grad-cam.csv",
            "one",
        ]),
        0,
    );
    let names = square(&corpus.path("names/spearman.csv")).0;
    let folder = corpus.path("").canonicalize().unwrap();
    let above = folder.file_name().unwrap().to_str().unwrap();
    let free = format!("{above}/grad-cam");
    assert_eq!(names[5..], ["five/grad-cam/counts.csv", "one/grad-cam", free.as_str(), "one"]);
}

#[test]
fn where_nothing_is_defined_cells_are_empty() {
    let corpus = Corpus::small();
    // No box is confident enough, so that every cell is 0.
    let run = analyzed(&corpus, "run", &["--limit", "5"]);
    let said = ends(rsa(&[&run.folder]).args(["--min-confidence", "1"]), 0);
    assert_whole(&run.path("rsa"));
    for phrase in ["no object was detected", "grad-cam: all compared cells are equal"] {
        assert!(said.err.contains(phrase), "{}", said.err);
    }
    for name in TABLES {
        let (_, cells) = square(&run.path("rsa").join(name));
        let zero = |cell: &Option<f64>| {
            if name == "rho_a.csv" { *cell == Some(0.0) } else { cell.is_none() }
        };
        assert!(cells.iter().flatten().all(zero), "{name}");
    }
    // One image: correlations, but nothing that needs several.
    let single = analyzed(&corpus, "single", &["--limit", "1", "--confidence", "0.0001"]);
    let said = ends(&mut rsa(&[&single.folder]), 0);
    assert_whole(&single.path("rsa"));
    assert!(said.err.contains("one image"), "{}", said.err);
    for name in ["spearman_lower.csv", "spearman_upper.csv"] {
        assert!(square(&single.path("rsa").join(name)).1.iter().flatten().all(Option::is_none));
    }
    let reliability = Table::read(&single.path("rsa/reliability.csv"));
    assert!(
        reliability.rows.iter().all(|row| row[1] == "1" && row[2..].iter().all(String::is_empty))
    );
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let corpus = Corpus::small();
    let run = corpus.analyzed("run");
    refused(&mut rsa(&[&run.folder]), &["1 matrix to compare, two are needed", "--cam paper"]);
    refused(&mut rsa(&[&matrix("a"), &matrix("a")]), &["a.csv: is named twice"]);
    refused(
        &mut rsa(&[&matrix("a"), &run.folder]),
        &["run: has the class `Cat`, which", "a.csv has not"],
    );
    refused(&mut rsa(&[&matrix("a"), &corpus.path("nowhere")]), &["nowhere"]);
    refused(&mut rsa(&[&corpus.path("photos"), &matrix("a")]), &["photos: is no run directory"]);
    refused(
        rsa(&[&matrix("a"), &matrix("b")]).args(["--resamples", "50"]),
        &["at least 100", "found 50"],
    );
    refused(
        rsa(&[&run.folder, &matrix("a")]).args(["--importance", "2"]),
        &["importance should be from 0 to 1"],
    );
    let table = |name: &str, text: &str| {
        corpus.write(name, text);
        corpus.path(name)
    };
    let first = table("first.csv", "class,Joy,Awe\nCat,1,2\nOwl,0,3\n");
    let less = table("less.csv", "class,Joy,Awe\nCat,1,2\n");
    let named = table("named.csv", "class,Joy,Fear\nCat,1,2\nOwl,0,3\n");
    let twice = table("twice.csv", "class,Joy,Awe\nCat,1,2\nCat,0,3\n");
    let empty = table("empty.csv", "class,Joy,Awe\nCat,,2\nOwl,,3\n");
    refused(&mut rsa(&[&first, &less]), &["less.csv: has no class `Owl`, which", "first.csv has"]);
    refused(
        &mut rsa(&[&first, &named]),
        &["named.csv: has the label `Fear`, which", "first.csv has not"],
    );
    refused(&mut rsa(&[&first, &twice]), &["twice.csv: has the class `Cat` twice"]);
    refused(
        &mut rsa(&[&first, &empty]),
        &["2 cells (2 classes, 1 labels) are filled in every matrix, at least 3"],
    );
    assert!(!corpus.path("rsa").exists() && !run.path("rsa").exists());
}

#[test]
#[ignore = "what the release build promises: cargo test --release --test suite rsa:: -- --ignored \
            --nocapture"]
fn two_thousand_resamples_of_twenty_five_thousand_records_take_less_than_a_minute() {
    let corpus = Corpus::empty();
    corpus.add("a.png", "emonet/picture_0.png");
    let run = analyzed(&corpus, "run", &[]);
    invent_records(&run, 20);
    let clock = Instant::now();
    let said = ends(rsa(&[&run.folder]).env("RAYON_NUM_THREADS", "2"), 0);
    let took = clock.elapsed();
    eprintln!(
        "{}rsa, 25,000 records of 20 boxes, five methods, 2,000 resamples, two threads: {took:?}",
        said.out
    );
    assert_whole(&run.path("rsa"));
    assert_eq!(summary(&run.path("rsa"))["cells"], 601 * 19);
    assert!(took < Duration::from_secs(60), "{took:?}");
}
