//! Labels that people gave: files as data sets have them, joined with a run, and what the commands
//! make of them.

use crate::common::corpus::{Corpus, Run, Table, emocam, ends, refused};
use crate::common::invented::invent_records;
use emocam::run::record::ImageRecord;
use std::collections::BTreeMap;
use std::process::Command;

fn associate(run: &Run) -> Command {
    let mut command = emocam();
    command.arg("associate").arg(&run.folder);
    command
}

/// A run of 25,000 invented records, and these.
fn large(corpus: &Corpus) -> (Run, Vec<ImageRecord>) {
    corpus.add("a.png", "emonet/picture_0.png");
    let run = corpus.analyzed("run");
    invent_records(&run, 12);
    let records = run.records();
    (run, records)
}

/// What people say: of every third picture what the network says, of the others what some number
/// says; nothing of every seventh.
fn said(number: usize, record: &ImageRecord, labels: &[String]) -> Option<String> {
    match (number % 7, number % 3) {
        (0, _) => None,
        (_, 0) => Some(labels[record.label].to_uppercase()),
        _ => Some(labels[number % 11].clone()),
    }
}

fn labels_of(run: &Run) -> Vec<String> {
    serde_json::from_value(run.manifest()["labels"].clone()).unwrap()
}

/// A row of a table by the class and the label it is of.
fn row<'a>(table: &'a Table, class: &str, label: &str) -> &'a [String] {
    table.rows.iter().find(|row| row[0] == class && row[1] == label).unwrap()
}

#[test]
fn matrices_by_people_and_of_right_and_wrong_answers_are_those_counted_by_hand() {
    let corpus = Corpus::empty();
    let (run, records) = large(&corpus);
    let labels = labels_of(&run);
    let mut file = "image;Feeling\n".to_string();
    for (number, record) in records.iter().enumerate() {
        if let Some(label) = said(number, record, &labels) {
            file.push_str(&format!("{};{label}\n", record.path));
        }
    }
    file.push_str("elsewhere/x.jpg;Joy\n");
    corpus.write("labels.csv", file);
    let found = ends(
        associate(&run)
            .args(["--labels"])
            .arg(corpus.path("labels.csv"))
            .args(["--label-column", "feeling"]),
        0,
    );
    assert!(found.err.contains("3572 images have no label that counts"), "{}", found.err);
    assert!(found.err.contains("1 entries belong to no image (elsewhere/x.jpg)"), "{}", found.err);
    assert!(found.out.contains("kappa"), "{}", found.out);
    let unjoined = run.table("people/unjoined.csv");
    assert_eq!(
        (unjoined.rows.len(), unjoined.rows[3572].clone()),
        (
            3573,
            ["annotation", "elsewhere/x.jpg", "the corpus has no such image"]
                .map(String::from)
                .to_vec()
        )
    );

    // Counted again: by what people say, and by the answer where it is right and where it is wrong.
    type Counts = BTreeMap<(usize, String), u64>;
    let (mut images, mut right, mut wrong) =
        (Counts::new(), [Counts::new(), Counts::new()], [Counts::new(), Counts::new()]);
    let mut by_people = Counts::new();
    let (mut hits, mut cases) = (0, 0);
    for (number, record) in records.iter().enumerate() {
        let Some(label) = said(number, record, &labels) else { continue };
        let label =
            labels.iter().find(|known| known.to_lowercase() == label.to_lowercase()).unwrap();
        let answer = &labels[record.label];
        let mut classes: Vec<usize> = (0..record.boxes.len())
            .filter(|&at| record.maps[0].scores[at].mean > 0.3)
            .map(|at| record.boxes[at].class)
            .collect();
        classes.sort_unstable();
        classes.dedup();
        *images.entry((0, label.clone())).or_default() += 1;
        let group = if label == answer { &mut right } else { &mut wrong };
        *group[0].entry((0, answer.clone())).or_default() += 1;
        (hits, cases) = (hits + u64::from(label == answer), cases + 1);
        for class in classes {
            *by_people.entry((class, label.clone())).or_default() += 1;
            *group[1].entry((class, answer.clone())).or_default() += 1;
        }
    }
    let counts = run.table("people/grad-cam/counts.csv");
    let table = run.table("people/grad-cam/right_or_wrong.csv");
    for class in [0, 17, 600] {
        for label in &labels[..11] {
            let of = |counts: &Counts, class| {
                counts.get(&(class, label.clone())).copied().unwrap_or_default().to_string()
            };
            assert_eq!(counts.rows[class][counts.at(label)], of(&by_people, class));
            assert_eq!(counts.rows[601][counts.at(label)], of(&images, 0));
            let cell = row(&table, &format!("Class {class}"), label);
            assert_eq!(cell[table.at("right_images")], of(&right[0], 0));
            assert_eq!(cell[table.at("right_important")], of(&right[1], class));
            assert_eq!(cell[table.at("wrong_images")], of(&wrong[0], 0));
            assert_eq!(cell[table.at("wrong_important")], of(&wrong[1], class));
        }
    }
    let accuracy: serde_json::Value =
        serde_json::from_slice(&std::fs::read(run.path("people/accuracy.json")).unwrap()).unwrap();
    assert_eq!(
        (accuracy["accuracy"]["hits"].as_u64(), accuracy["accuracy"]["cases"].as_u64()),
        (Some(hits), Some(cases))
    );
    assert!(accuracy["kappa"][0].as_f64().unwrap() > 0.3);
    // Nothing was made to depend on whether the answer is right.
    let found = table
        .column("q")
        .iter()
        .filter(|q| !q.is_empty() && q.parse::<f64>().unwrap() < 0.05)
        .count();
    assert!(found * 100 < table.rows.len(), "{found} of {}", table.rows.len());
    let words = ends(
        associate(&run)
            .args(["--explain-cell", "class 3", "joy", "--labels"])
            .arg(corpus.path("labels.csv"))
            .args(["--label-column", "Feeling"]),
        0,
    );
    assert!(words.out.contains("images are labelled Joy"), "{}", words.out);
    // Whose labels the columns are is said where they are not the network's.
    let [by_people, by_network] = ["people/grad-cam", "grad-cam"].map(|folder| {
        let text = std::fs::read_to_string(run.path(&format!("{folder}/heatmap.svg"))).unwrap();
        text.contains("labels that people gave")
    });
    assert!(by_people && !by_network);
}

#[test]
fn groups_show_what_the_sum_of_them_hides() {
    let corpus = Corpus::empty();
    let (run, records) = large(&corpus);
    let mut file = "path,year\n".to_string();
    let mut left_out = 0;
    for (number, record) in records.iter().enumerate() {
        // The year goes with one class and one label, which have nothing to do with each other.
        let has = record
            .boxes
            .iter()
            .zip(&record.maps[0].scores)
            .any(|(region, score)| region.class == 5 && score.mean > 0.3);
        if !has && record.label != 2 && number % 1000 == 0 {
            left_out += 1;
            continue;
        }
        let old = has == (number % 10 != 0) && (record.label == 2) == (number % 10 != 1);
        file.push_str(&format!("{},{}\n", record.path, if old { 1990 } else { 2020 }));
    }
    corpus.write("years.csv", file);
    let found =
        ends(associate(&run).args(["--by", "year", "--by-file"]).arg(corpus.path("years.csv")), 0);
    assert!(found.err.contains("by year: 2 groups, as 1990 ("), "{}", found.err);
    assert!(
        left_out > 1 && found.err.contains(&format!("; {left_out} images in none")),
        "{}",
        found.err
    );
    let groups = run.table("by-year/grad-cam/strata.csv");
    let common = run.table("by-year/grad-cam/mantel_haenszel.csv");
    assert_eq!(groups.rows.len(), 2 * common.rows.len());
    let label = &labels_of(&run)[2];
    let cell = row(&common, "Class 5", label);
    assert_eq!(cell[common.at("groups")], "2");
    // Of the groups' images all are counted.
    let counts = run.table("grad-cam/counts.csv");
    let important: u64 = groups
        .rows
        .iter()
        .filter(|row| row[0] == "Class 5" && row[1] == *label)
        .map(|row| row[groups.at("important_with_label")].parse::<u64>().unwrap())
        .sum();
    assert_eq!(important.to_string(), counts.rows[5][counts.at(label)]);
    refused(associate(&run).args(["--by", "year"]), &["--by year", "--by-file"]);
    refused(
        associate(&run).args(["--by", "month", "--by-file"]).arg(corpus.path("years.csv")),
        &["years.csv", "no column `month`", "`year`"],
    );
}

#[test]
fn a_data_sets_own_file_is_read_and_what_is_not_there_is_said() {
    let corpus = Corpus::small();
    let run = corpus.analyzed("run");
    let images = run.table("images.csv");
    let paths = images.column("path");
    // FindingEmo's, of which the paths begin with a stroke.
    let mut file = "index,user,image_path,reject,valence,arousal,emotion\n".to_string();
    for (number, path) in paths.iter().enumerate() {
        let reject = if number == 1 { "Reject" } else { "Keep" };
        file.push_str(&format!(
            "{number},u,\"/{path}\",{reject},1,2,{}\n",
            if number % 2 == 0 { "Joy" } else { "Rage" }
        ));
    }
    corpus.write("annotations_single.ann", file);
    corpus.write("words.toml", "[annotations]\nRage = \"Horror\"\n");
    let found = ends(
        associate(&run)
            .arg("--labels")
            .arg(corpus.path("annotations_single.ann"))
            .arg("--label-map")
            .arg(corpus.path("words.toml")),
        0,
    );
    assert!(found.err.contains("1 rows are marked as rejected"), "{}", found.err);
    let none = "1 images have no label, 0 an answer without a word for it";
    assert!(found.out.contains(none), "{}", found.out);
    let confusion = run.table("people/confusion.csv");
    let of = |label: &str| -> u64 {
        let row = confusion.rows.iter().find(|row| row[0] == label).unwrap();
        row[1..].iter().map(|cell| cell.parse::<u64>().unwrap()).sum()
    };
    assert_eq!(
        (of("Joy"), of("Horror"), of("Awe")),
        (paths.len().div_ceil(2) as u64, (paths.len() / 2) as u64 - 1, 0)
    );
    // Without a word for what the network says of the first picture.
    let answers = images.column("label");
    let silent =
        answers.iter().enumerate().filter(|(at, answer)| *at != 1 && **answer == answers[0]);
    let word = |label: &String| if label == answers[0] { String::new() } else { label.clone() };
    let words: Vec<String> =
        labels_of(&run).iter().map(|label| format!("{label:?} = {:?}\n", word(label))).collect();
    let fewer = format!("[annotations]\nRage = \"Horror\"\n[labels]\n{}", words.concat());
    corpus.write("fewer.toml", fewer);
    let mut fewer = associate(&run);
    fewer.arg("--labels").arg(corpus.path("annotations_single.ann"));
    let found_fewer = ends(fewer.arg("--label-map").arg(corpus.path("fewer.toml")), 0);
    let some = format!("1 images have no label, {} an answer without a word", silent.count());
    assert!(found_fewer.out.contains(&some), "{}", found_fewer.out);
    // EmoSet's lists, whose paths begin elsewhere.
    let entry = |path: &&str| {
        serde_json::json!(["awe", format!("image/{path}"), "annotation/x.json"]).to_string()
    };
    let entries: Vec<String> = paths.iter().map(entry).collect();
    corpus.write("train.json", format!("[{}]", entries.join(",")));
    let found = ends(associate(&run).arg("--labels").arg(corpus.path("train.json")), 0);
    assert!(!found.err.contains("no label that counts"), "{}", found.err);
    refused(
        associate(&run).arg("--labels").arg(corpus.path("words.toml")),
        &["words.toml", "--path-column"],
    );
    corpus.write("other.csv", "path,label\nnowhere.jpg,Joy\n");
    refused(
        associate(&run).arg("--labels").arg(corpus.path("other.csv")),
        &["other.csv", "says nothing of any of"],
    );
}
