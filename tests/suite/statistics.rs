//! Statistics of cells: `statistics.csv` against scipy and statsmodels
//! (`scripts/reference/cell_statistics.py`), and what the commands make of it.

use crate::common::corpus::{
    Corpus, Run, Table, assert_scored_on_kept_maps, emocam, ends, refused,
};
use crate::common::invented::invent_records;
use crate::common::json;
use emocam::associate::{COLUMNS, CellTable, Counts, NestedClasses};
use emocam::config::AssociationConfig;
use emocam::image::Size;
use emocam::run::record::{BoxRecord, ImageRecord};
use emocam::run::{KeptMap, map_file, read_map, write_maps};
use emocam::stats::{
    PairedShares, TwoByTwo, benjamini_hochberg, benjamini_yekutieli, cohens_kappa, stratified,
};
use ndarray::Array2;
use serde_json::Value;
use std::fs;
use std::process::Command;
use std::time::Instant;

/// The largest difference from scipy and statsmodels: absolute, of numbers over 1 relative.
const TOLERANCE: f64 = 1e-9;

fn counts(table: &Value, of: &str) -> Counts {
    let images: Vec<u64> = serde_json::from_value(table["images"].clone()).unwrap();
    let rows: Vec<Vec<u64>> = serde_json::from_value(table[of].clone()).unwrap();
    Counts {
        cells: Array2::from_shape_fn((rows.len(), images.len()), |(row, column)| rows[row][column]),
        images,
    }
}

/// A number of the reference, or that there is none.
fn same(found: Option<f64>, expected: &Value, what: &str) {
    assert_eq!(found.is_some(), expected.is_number(), "{what}: {found:?}, expected {expected}");
    if let (Some(found), Some(expected)) = (found, expected.as_f64()) {
        assert!(
            (found - expected).abs() <= TOLERANCE * expected.abs().max(1.0),
            "{what}: {found}, expected {expected}"
        );
    }
}

/// `scripts/reference/agreement_statistics.py`
#[test]
fn kappa_strata_and_exchanges_are_statsmodels_and_scipys() {
    let reference = json("statistics/agreement.json");
    for case in reference["kappa"].as_array().unwrap() {
        let counts: Vec<Vec<u64>> = serde_json::from_value(case["counts"].clone()).unwrap();
        let found = cohens_kappa(&counts).unwrap();
        for (value, name) in [(found.value, "value"), (found.lower, "low"), (found.upper, "high")] {
            same(Some(value), &case[name], name);
        }
    }
    for case in reference["stratified"].as_array().unwrap() {
        let tables: Vec<[u64; 4]> = serde_json::from_value(case["tables"].clone()).unwrap();
        let table = |&[first_with, first_without, second_with, second_without]: &[u64; 4]| {
            TwoByTwo { first_with, first_without, second_with, second_without }
        };
        let found = stratified(&tables.iter().map(table).collect::<Vec<_>>()).unwrap();
        assert_eq!(found.strata as u64, case["strata"].as_u64().unwrap());
        let odds = found.odds_ratio.unwrap();
        for (value, place) in [(odds.value, 0), (odds.lower, 1), (odds.upper, 2)] {
            same(Some(value), &case["odds_ratio"][place], "odds ratio");
        }
        same(Some(found.p_value), &case["p"], "p");
        same(found.homogeneity_p_value, &case["homogeneity_p"], "p of homogeneity");
    }
    for case in reference["exchange"].as_array().unwrap() {
        let paired =
            PairedShares { counts: serde_json::from_value(case["counts"].clone()).unwrap() };
        same(paired.difference(), &case["difference"], "difference");
        same(paired.p_value(), &case["p"], "p of exchanges");
    }
}

fn names(kind: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{kind} {number}")).collect()
}

#[test]
fn every_column_is_scipys_and_statsmodels() {
    let reference = json("statistics/cells.json");
    let folder = tempfile::tempdir().unwrap();
    let (mut largest, mut largest_of_p) = (0.0_f64, 0.0_f64);
    for (name, table) in reference["tables"].as_object().unwrap() {
        let (important, detected) = (counts(table, "important"), counts(table, "detected"));
        let path = folder.path().join(format!("{name}.csv"));
        let (classes, labels) = important.cells.dim();
        let cells = CellTable::new(&important, &detected, table["min_images"].as_u64().unwrap());
        let classes = names("class", classes);
        let nested = NestedClasses::new(&AssociationConfig::default(), &classes).unwrap();
        cells.write(&path, &classes, &names("label", labels), &nested).unwrap();
        let found = Table::read(&path);
        let expected = table["cells"].as_array().unwrap();
        assert_eq!(found.rows.len(), expected.len(), "{name}");
        // Behind them the classes that a cell depends on.
        assert_eq!(found.header.len(), expected[0].as_object().unwrap().len() + 1, "{name}");
        for (row, expected) in found.rows.iter().zip(expected) {
            for (column, cell) in found.header.iter().zip(row).take(2 + COLUMNS.len()) {
                let place = format!("{name}, {}, {}: {column} is {cell}", row[0], row[1]);
                let difference = match &expected[column] {
                    Value::Null => {
                        assert_eq!(cell, "", "{place}");
                        continue;
                    }
                    Value::String(text) => {
                        assert_eq!(cell, text, "{place}");
                        continue;
                    }
                    Value::Number(number) if column == "class" || column == "label" => {
                        assert_eq!(*cell, format!("{column} {number}"), "{place}");
                        continue;
                    }
                    number => {
                        let (cell, number) =
                            (cell.parse::<f64>().unwrap(), number.as_f64().unwrap());
                        if column.ends_with('p') && number > 0.0 {
                            largest_of_p = largest_of_p.max((cell - number).abs() / number);
                        }
                        (cell - number).abs() / number.abs().max(1.0)
                    }
                };
                assert!(difference <= TOLERANCE, "{place}, expected {}", expected[column]);
                largest = largest.max(difference);
            }
        }
    }
    eprintln!("largest difference {largest:e}, of a p-value relative to it {largest_of_p:e}");
    assert!(largest_of_p <= TOLERANCE, "{largest_of_p:e}");
}

#[test]
fn q_values_are_statsmodels() {
    for list in json("statistics/cells.json")["multiple"].as_array().unwrap() {
        let numbers =
            |name: &str| -> Vec<f64> { serde_json::from_value(list[name].clone()).unwrap() };
        let p_values = numbers("p");
        for (found, expected) in [
            (benjamini_hochberg(&p_values), numbers("benjamini_hochberg")),
            (benjamini_yekutieli(&p_values), numbers("benjamini_yekutieli")),
        ] {
            for (found, expected) in found.iter().zip(&expected) {
                assert!((found - expected).abs() <= 1e-14, "{found}, expected {expected}");
            }
        }
    }
}

fn associate(run: &Run) -> Command {
    let mut command = emocam();
    command.arg("associate").arg(&run.folder);
    command
}

/// A run of 25,000 invented records.
fn large(corpus: &Corpus) -> Run {
    corpus.add("a.png", "emonet/picture_0.png");
    let run = corpus.analyzed("run");
    invent_records(&run, 12);
    run
}

#[test]
fn the_table_is_what_the_counts_are_and_comes_with_every_command() {
    let corpus = Corpus::small();
    let run = corpus.analyzed("run");
    let table = |folder: &Run| fs::read(folder.path("grad-cam/statistics.csv")).unwrap();
    let header = String::from_utf8(table(&run)).unwrap();
    let names = ["class", "label"]
        .into_iter()
        .chain(COLUMNS.iter().map(|(name, _)| *name))
        .collect::<Vec<_>>()
        .join(",");
    assert!(header.starts_with(&format!("{names},dependent_on\n")), "{header}");
    ends(associate(&run).args(["--min-images", "1"]), 0);
    let statistics = run.table("grad-cam/statistics.csv");
    let counts = run.table("grad-cam/counts.csv");
    let (images, rows) = counts.rows.split_last().unwrap();
    let mut cells = 0;
    for row in rows {
        let numbers: Vec<u64> = row[1..].iter().map(|cell| cell.parse().unwrap()).collect();
        for (column, label) in
            counts.header.iter().enumerate().skip(1).filter(|(column, _)| images[*column] != "0")
        {
            let found =
                statistics.rows.iter().find(|found| found[0] == row[0] && found[1] == *label);
            if numbers.iter().sum::<u64>() == 0 {
                assert_eq!(found, None);
                continue;
            }
            let cell = |name: &str| found.unwrap()[statistics.at(name)].as_str();
            assert_eq!(cell("important_with_label"), row[column]);
            assert_eq!(cell("images_with_label"), images[column]);
            assert_eq!(cell("important"), numbers.iter().sum::<u64>().to_string());
            assert_eq!(cell("images"), "15");
            cells += 1;
        }
    }
    assert_eq!(cells, statistics.rows.len());
    assert!(cells > 0);
}

#[test]
fn a_margin_keeps_the_images_that_the_network_is_sure_of() {
    let corpus = Corpus::small();
    let run = corpus.analyzed("run");
    let images = run.table("images.csv");
    let labels = &images.header[5..25];
    let margins: Vec<f64> = images
        .rows
        .iter()
        .map(|row| {
            let mut probabilities: Vec<f64> =
                row[5..5 + labels.len()].iter().map(|cell| cell.parse().unwrap()).collect();
            probabilities.sort_by(|a, b| b.total_cmp(a));
            probabilities[0] - probabilities[1]
        })
        .collect();
    let mut sorted = margins.clone();
    sorted.sort_by(f64::total_cmp);
    let cut = (sorted[6] + sorted[7]) / 2.0;
    let before = run.tables();
    ends(associate(&run).args(["--min-margin", &cut.to_string()]), 0);
    let counts = run.table("grad-cam/counts.csv");
    let kept: u64 =
        counts.rows.last().unwrap()[1..].iter().map(|cell| cell.parse::<u64>().unwrap()).sum();
    assert_eq!(kept, 8);
    let svg = fs::read_to_string(run.path("grad-cam/heatmap.svg")).unwrap();
    assert!(svg.contains("Only images whose label leads the next one by more than"));
    ends(&mut associate(&run), 0);
    assert!(before == run.tables(), "without the flag all images count again");
    refused(associate(&run).args(["--min-margin", "1.5"]), &["min_margin should be from 0 to 1"]);
}

#[test]
fn heatmaps_of_other_kinds_diverge_and_are_marked_and_the_preset_is_not() {
    let corpus = Corpus::empty();
    let run = large(&corpus);
    let picture = |flags: &[&str]| {
        ends(associate(&run).args(flags), 0);
        fs::read_to_string(run.path("grad-cam/heatmap.svg")).unwrap()
    };
    let shares = picture(&[]);
    assert!(!shares.contains("A dot: q"), "the preset has no marks");
    let marked = picture(&["--mark"]);
    assert!(
        marked.contains("A dot: q &lt; 0.05")
            && marked.contains("aria-label=\"Objects and emotions\"")
    );
    let differences = picture(&["--heatmap", "difference"]);
    assert!(
        differences.contains("differences of shares") && differences.contains("A dot: q &lt; 0.05")
    );
    let odds = picture(&["--heatmap", "log-odds", "--min-images", "50"]);
    assert!(odds.contains("log odds ratios") && odds.contains("important in at least 50 images"));
    assert_eq!(picture(&["--heatmap", "shares"]), shares);
    refused(associate(&run).args(["--heatmap", "odds"]), &["unknown variant `odds`", "log-odds"]);
}

#[test]
fn a_cell_is_said_in_words_and_nothing_is_written() {
    let corpus = Corpus::small();
    let run = corpus.analyzed("run");
    let label = run.table("images.csv").column("label")[0].to_string();
    let before = run.files();
    let said = ends(
        associate(&run).args(["--explain-cell", "owl", &label.to_lowercase(), "--min-images", "1"]),
        0,
    );
    assert!(said.out.starts_with(&format!("grad-cam: Owl, {label}\n")), "{}", said.out);
    for words in [
        "of 15 images are labelled",
        "Meaning: ",
        "It does not mean",
        "A box counts when its score",
    ] {
        assert!(said.out.replace("\n  ", " ").contains(words), "{words}: {}", said.out);
    }
    assert!(!said.out.contains("NaN") && said.err.is_empty(), "{}", said.err);
    assert_eq!(run.files(), before);
    refused(
        associate(&run).args(["--explain-cell", "Owls", &label]),
        &["no class `Owls`", "did you mean Owl?"],
    );
    refused(
        associate(&run).args(["--explain-cell", "Owl", "Joyful"]),
        &["no label `Joyful`", "Joy"],
    );
}

#[test]
fn the_same_bytes_for_any_number_of_threads_and_quickly() {
    let corpus = Corpus::empty();
    let run = large(&corpus);
    let mut tables = Vec::new();
    for threads in ["1", "5"] {
        let clock = Instant::now();
        ends(associate(&run).env("RAYON_NUM_THREADS", threads), 0);
        // A figure to look at, not to fail by.
        eprintln!(
            "associate, 25,000 records of 12 boxes, {threads} threads: {:?}",
            clock.elapsed()
        );
        tables.push((run.tables(), fs::read(run.path("grad-cam/forest.svg")).unwrap()));
    }
    assert!(tables[0] == tables[1]);
    let statistics = run.table("grad-cam/statistics.csv");
    assert_eq!(statistics.rows.len(), 601 * 19, "the last label does not occur");
    assert!(statistics.rows.iter().flatten().all(|cell| cell != "NaN" && cell != "inf"));
}

#[test]
fn curves_pass_through_the_statistics_of_their_threshold() {
    let corpus = Corpus::empty();
    let run = large(&corpus);
    let cell = ["--curve", "class 7", "Joy", "--curve", "Class 300", "Awe", "--min-images", "1"];
    let said = ends(associate(&run).args(cell), 0);
    assert!(said.err.contains("grad-cam/curves.png"), "{}", said.err);
    let curves = run.table("grad-cam/curves.csv");
    assert_eq!(curves.rows.len(), 2 * 17);
    for threshold in ["0.3", "0.55"] {
        ends(associate(&run).args(["--min-images", "1", "--importance", threshold]), 0);
        let statistics = run.table("grad-cam/statistics.csv");
        let at = curves.at("threshold");
        for curve in curves.rows.iter().filter(|row| row[at] == threshold) {
            let row = statistics.rows.iter().find(|row| row[..2] == curve[..2]).unwrap();
            for column in curves.header.iter().filter(|name| statistics.header.contains(name)) {
                assert_eq!(curve[curves.at(column)], row[statistics.at(column)], "{column}");
            }
        }
    }
    let shares: Vec<f64> =
        curves.column("share")[..17].iter().map(|cell| cell.parse().unwrap()).collect();
    assert!(shares.windows(2).all(|pair| pair[0] >= pair[1]), "{shares:?}");
    refused(associate(&run).args(["--curve", "Class 7", "Bliss"]), &["no label `Bliss`"]);
    refused(associate(&run).args(["--curve", "Class 7"]), &["2 values required"]);
}

#[test]
fn boxes_on_maps_of_other_images_say_what_chance_would_give() {
    let corpus = Corpus::small();
    ends(corpus.analyze("run").args(["--save-maps", "--cam", "grad-cam,eigen-cam"]), 0);
    let run = corpus.run("run");
    let scored = assert_scored_on_kept_maps(&run);
    assert!(scored > 20, "{scored}");
    ends(associate(&run).args(["--chance", "40"]), 0);
    let chance = run.table("grad-cam/chance.csv");
    let counts = run.table("grad-cam/counts.csv");
    let (mut cells, mut moved) = (0, 0);
    for row in &chance.rows {
        let cell = |name: &str| row[chance.at(name)].parse::<f64>().unwrap();
        assert!(cell("by_chance") <= cell("detected") && cell("important") <= cell("detected"));
        assert!(cell("p") >= 1.0 / 41.0 && cell("p") <= 1.0);
        let of_class = counts.rows.iter().find(|of| of[0] == row[0]).unwrap();
        let important: f64 = match row[1].as_str() {
            "(all)" => of_class[1..].iter().map(|cell| cell.parse::<f64>().unwrap()).sum(),
            label => of_class[counts.at(label)].parse().unwrap(),
        };
        assert_eq!(cell("important"), important);
        cells += 1;
        moved += usize::from((cell("by_chance") - cell("important")).abs() > 1e-9);
    }
    assert!(cells > 4 && moved > 0, "{moved} of {cells}");
    let once = fs::read(run.path("grad-cam/chance.csv")).unwrap();
    ends(associate(&run).args(["--chance", "40"]).env("RAYON_NUM_THREADS", "1"), 0);
    assert!(once == fs::read(run.path("grad-cam/chance.csv")).unwrap());
    let bare = corpus.analyzed("bare");
    refused(associate(&bare).args(["--chance", "5"]), &["kept no maps", "--save-maps"]);
}

/// Of two pictures each is drawn for the other, whose map is made known: high everywhere for the
/// first picture's boxes, and zero for the second's.
#[test]
fn chance_counts_the_boxes_on_the_map_of_the_other_picture() {
    let corpus = Corpus::small();
    ends(corpus.analyze("run").args(["--save-maps", "--cam", "grad-cam", "--limit", "2"]), 0);
    let run = corpus.run("run");
    let opened = emocam::run::Run::open(&run.folder).unwrap();
    let mut records = Vec::new();
    opened
        .for_each_record(|record| {
            records.push(record);
            Ok(())
        })
        .unwrap();
    let [first, second] = &records[..] else { panic!("two pictures, found {}", records.len()) };
    for (record, value) in [(first, 0.0), (second, 1.0)] {
        let file = map_file(&run.path("maps"), &record.path);
        let ([rows, columns], values) = read_map(&file, "grad-cam").unwrap().unwrap();
        let kept = KeptMap { values: vec![value; values.len()], signed: None };
        write_maps(&file, record, Size::new(columns as u32, rows as u32), &[kept]).unwrap();
    }
    ends(associate(&run).args(["--chance", "3"]), 0);
    let chance = run.table("grad-cam/chance.csv");
    let sure = AssociationConfig::default().min_confidence;
    let detects = |record: &ImageRecord, row: &Vec<String>| {
        let is_sure = |region: &BoxRecord| {
            opened.manifest.classes[region.class] == row[0] && region.confidence > sure
        };
        let of_label = opened.manifest.labels[record.label] == row[1];
        (row[1] == "(all)" || of_label) && record.boxes.iter().any(is_sure)
    };
    let mut counted = [0, 0];
    for row in &chance.rows {
        let cell = |name: &str| row[chance.at(name)].as_str();
        let [drawn, detected] = [first, second].map(|record| detects(record, row));
        let detected = u32::from(drawn) + u32::from(detected);
        assert_eq!(cell("detected"), detected.to_string(), "{row:?}");
        assert_eq!(cell("by_chance").parse(), Ok(f64::from(u8::from(drawn))), "{row:?}");
        assert_eq!(cell("by_chance_deviation").parse(), Ok(0.0));
        counted[usize::from(drawn)] += 1;
    }
    assert!(counted[0] > 0 && counted[1] > 0, "{counted:?}");
}
