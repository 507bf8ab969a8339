//! `emocam associate`: a second look at the records of a run.

use crate::associate_scores::{recount_records, scores};
use crate::common;
use crate::common::corpus::{Corpus, Run, assert_counts, emocam, ends, recount, refused, sealed};
use crate::common::invented::invent_records;
use std::fs;
use std::process::Command;
use std::time::Instant;

pub(crate) fn associate(run: &Run) -> Command {
    let mut command = emocam();
    command.arg("associate").arg(&run.folder);
    command
}

#[test]
fn written_elsewhere_the_run_stays_as_it_is() {
    let corpus = Corpus::small();
    let run = corpus.analyzed("run");
    let before = run.tables();
    let out = corpus.path("new/folder");
    let said =
        ends(associate(&run).args(["--importance", "0.6", "--top", "2"]).arg("--out").arg(&out), 0);
    assert!(said.err.contains("new/folder/grad-cam/heatmap.png"), "{}", said.err);
    assert_eq!(
        said.out.lines().count(),
        2 + 4,
        "the table shows more than the picture: {}",
        said.out
    );
    let files = [
        "association.csv",
        "counts.csv",
        "heatmap.png",
        "heatmap.svg",
        "mean_scores.csv",
        "statistics.csv",
    ]
    .map(|name| format!("grad-cam/{name}"));
    assert_eq!(common::corpus::files_below(&out), files);
    assert_counts(&out.join("grad-cam"), &recount(&run, "grad-cam", |score, _| score > 0.6));
    assert_eq!(run.tables(), before);
}

#[test]
fn where_no_box_counts_there_is_no_outdated_picture() {
    let corpus = Corpus::small();
    let run = corpus.analyzed("run");
    assert!(run.path("grad-cam/heatmap.png").exists());
    let said = ends(associate(&run).args(["--importance", "1"]), 0);
    let why = "grad-cam: no heatmap and no forest plot: no box counts in 15 images. A box counts \
               when its score";
    assert!(said.err.contains(why), "{}", said.err);
    let said = ends(associate(&run).args(["--min-confidence", "1"]), 0);
    assert!(
        said.err.contains("nothing is detected over a confidence of 1 in 15 images"),
        "{}",
        said.err
    );
    let said_of_some = ends(
        associate(&run)
            .args(["--min-images", "16", "--out", "elsewhere"])
            .current_dir(corpus.path("")),
        0,
    );
    let sums = common::corpus::Table::read(&corpus.path("elsewhere/grad-cam/counts.csv")).rows;
    let sum =
        |row: &Vec<String>| row[1..].iter().map(|cell| cell.parse::<u64>().unwrap()).sum::<u64>();
    let most = sums[..sums.len() - 1].iter().map(sum).max().unwrap();
    let images = if most == 1 { "1 image".into() } else { format!("{most} images") };
    let why = format!(
        "grad-cam: no forest plot: the most often important class is important in {images}; \
         statistics need 16 (--min-images)"
    );
    assert!(most > 0 && said_of_some.err.contains(&why), "{}", said_of_some.err);
    assert_counts(&run.path("grad-cam"), &recount(&run, "grad-cam", |_, _| false));
    assert!(
        !run.path("grad-cam/heatmap.png").exists() && !run.path("grad-cam/heatmap.svg").exists()
    );
}

#[test]
fn the_counts_of_two_halves_are_those_of_the_whole() {
    let corpus = Corpus::small();
    let numbers = |run: &str, roots: &[&str]| -> Vec<u64> {
        ends(corpus.networks().args(["--out", run]).args(roots), 0);
        let table = corpus.run(run).table("grad-cam/counts.csv");
        table.rows.iter().flat_map(|row| &row[1..]).map(|cell| cell.parse().unwrap()).collect()
    };
    let whole = numbers("whole", &["photos"]);
    let halves = numbers("a", &["photos/a"])
        .into_iter()
        .zip(numbers("b", &["photos/b"]))
        .map(|(a, b)| a + b);
    assert_eq!(halves.collect::<Vec<_>>(), whole);
    assert_eq!(whole.len(), 5 * 20);
}

#[test]
fn an_unfinished_run_can_be_looked_at() {
    let corpus = Corpus::small();
    let run = corpus.analyzed("run");
    let records = fs::read_to_string(run.path("records.jsonl")).unwrap();
    let six: usize = records.split_inclusive('\n').take(6).map(str::len).sum();
    let torn = &records[..six + 50];
    fs::write(run.path("records.jsonl"), torn).unwrap();
    refused(
        &mut associate(&run),
        &["run/records.jsonl: has 6 whole records, and run.json says 15", "--resume"],
    );
    run.unfinish();
    let said = ends(&mut associate(&run), 0);
    assert!(said.out.starts_with("grad-cam: 6 images"), "{}", said.out);
    // The torn line is another process's, which may still be writing it.
    assert_eq!(fs::read_to_string(run.path("records.jsonl")).unwrap(), torn);
}

#[test]
fn a_finished_run_says_how_its_records_end() {
    let corpus = Corpus::small();
    let run = corpus.analyzed("run");
    let records = fs::read(run.path("records.jsonl")).unwrap();
    let refused_as = |records: &[u8], phrase: &str| {
        fs::write(run.path("records.jsonl"), records).unwrap();
        refused(&mut associate(&run), &["run/records.jsonl: ", phrase]);
    };
    refused_as(b"", "has 0 whole records, and run.json says 15");
    refused_as(&vec![0; records.len()], "has 0 whole records, and run.json says 15");
    let other = String::from_utf8(records.clone()).unwrap().replace("picture_7", "picture_9");
    refused_as(&sealed(other.as_bytes()), "is not the file that run.json was written for");
    fs::write(run.path("records.jsonl"), &records).unwrap();
    ends(&mut associate(&run), 0);
}

#[test]
fn a_damaged_record_is_named_by_its_line() {
    let corpus = Corpus::small();
    let run = corpus.analyzed("run");
    let records = fs::read(run.path("records.jsonl")).unwrap();
    let before = run.tables();
    let manifest = fs::read(run.path("run.json")).unwrap();
    let changed = |change: &dyn Fn(&mut Vec<Vec<u8>>)| {
        let mut lines: Vec<Vec<u8>> =
            records.split_inclusive(|&byte| byte == b'\n').map(<[u8]>::to_vec).collect();
        change(&mut lines);
        lines.concat()
    };
    let check = |phrases: &[&str]| {
        refused(&mut associate(&run), phrases);
        refused(corpus.analyze("run").arg("--resume"), phrases);
        fs::write(run.path("run.json"), &manifest).unwrap();
    };
    let line = "run/records.jsonl, line 7: ";
    let text = |lines: &[Vec<u8>]| String::from_utf8(lines[6].clone()).unwrap();

    // As a disk or an editor would: the checksum tells.
    let spoil = |change: &dyn Fn(&mut Vec<Vec<u8>>), phrases: &[&str]| {
        fs::write(run.path("records.jsonl"), changed(change)).unwrap();
        check(phrases);
    };
    spoil(&|lines| lines[6] = b"{\n".to_vec(), &[line, "does not end with its checksum"]);
    spoil(&|lines| lines[6] = b"\n".to_vec(), &[line, "does not end with its checksum"]);
    spoil(&|lines| lines[6][20] = 0xFF, &[line, "its checksum does not fit"]);
    spoil(
        &|lines| lines[6] = text(lines).replacen("0.", "0.0", 1).into(),
        &[line, "its checksum does not fit"],
    );
    spoil(&|lines| drop(lines.remove(6)), &[line, "its checksum does not fit"]);
    spoil(&|lines| lines.insert(6, lines[5].clone()), &[line, "its checksum does not fit"]);
    spoil(&|lines| lines.swap(6, 7), &[line, "its checksum does not fit"]);

    // With checksums that fit, by what contradicts itself or the run.
    let damage = |change: &dyn Fn(&mut Vec<Vec<u8>>), phrases: &[&str]| {
        run.reseal(&changed(change));
        check(phrases);
    };
    damage(&|lines| lines[6] = b"{\n".to_vec(), &[line, "not a record"]);
    damage(&|lines| lines[6][20] = 0xFF, &[line, "not a record"]);
    damage(
        &|lines| lines[6] = text(lines).replacen("\"label\":", "\"label\":9", 1).into(),
        &[line],
    );
    damage(
        &|lines| lines[6] = text(lines).replacen("\"class\":", "\"class\":7", 1).into(),
        &[line, "does not fit run.json"],
    );
    damage(
        &|lines| lines[6] = text(lines).replacen("grad-cam", "grad-can", 1).into(),
        &[line, "does not fit run.json"],
    );
    damage(
        &|lines| {
            lines[6] =
                text(lines).replacen("\"scores\":[[", "\"scores\":[[1,1,1,1,1,1],[", 1).into();
        },
        &[line, "scores"],
    );
    assert_eq!(run.tables(), before);
}

#[test]
fn what_is_no_run_is_refused() {
    let corpus = Corpus::small();
    let run = corpus.analyzed("run");
    refused(
        &mut associate(&corpus.run("photos")),
        &["photos: is no run directory", "emocam analyze"],
    );
    refused(&mut associate(&corpus.run("nowhere")), &["nowhere: is no run directory"]);
    refused(
        associate(&run).arg("--importance=-1"),
        &["importance should be from 0 to 1, found -1"],
    );
    refused(associate(&run).args(["--importance", "2"]), &["importance should be from 0 to 1"]);
    refused(
        associate(&run).args(["--top", "0"]),
        &["--top", "should be a whole number from 1 on, found 0"],
    );
    fs::write(run.path("run.json"), "{").unwrap();
    refused(&mut associate(&run), &["run/run.json: not a run.json: EOF"]);
}

#[test]
fn twenty_five_thousand_records_are_counted() {
    let corpus = Corpus::empty();
    corpus.add("a.png", "emonet/picture_0.png");
    let run = corpus.analyzed("run");
    invent_records(&run, 12);

    let clock = Instant::now();
    let said = ends(&mut associate(&run), 0);
    let took = clock.elapsed();
    assert!(said.out.starts_with("grad-cam: 25000 images"), "{}", said.out);
    assert_counts(
        &run.path("grad-cam"),
        &recount_records(&run, |record, at| scores(record, at)[0] > 0.3),
    );
    let association = run.table("grad-cam/association.csv");
    assert!(
        association.column("Surprise").iter().all(|cell| cell.is_empty()),
        "no image got the last label"
    );
    // A figure to look at, not to fail by: in a release build on a quiet machine it is below a
    // second.
    eprintln!("associate, 25,000 records of 12 boxes: {took:?}");
    let clock = Instant::now();
    ends(associate(&run).args(["--score", "chance"]), 0);
    eprintln!("... by the score chance: {:?}", clock.elapsed());
}

#[test]
fn a_run_says_with_which_thresholds_its_matrices_were_made() {
    let corpus = Corpus::small();
    let run = corpus.analyzed("run");
    let noted = |run: &Run| run.manifest()["matrices"]["importance"].as_f64();
    let elsewhere = run.folder.with_file_name("elsewhere");
    ends(associate(&run).args(["--importance", "0.5", "--out"]).arg(&elsewhere), 0);
    assert_eq!(noted(&run), None);
    ends(associate(&run).args(["--importance", "0.5"]), 0);
    assert_eq!(noted(&run), Some(0.5));
    ends(&mut associate(&run), 0);
    assert_eq!(noted(&run), None);
}

#[test]
fn a_question_starts_from_the_settings_of_the_tables_and_new_tables_from_those_of_the_run() {
    let corpus = Corpus::small();
    let run = corpus.analyzed("run");
    ends(associate(&run).args(["--min-images", "1", "--importance", "0.2"]), 0);
    let manifest = run.manifest();
    let statistics = run.table("grad-cam/statistics.csv");
    let cell = statistics.rows.iter().find(|row| !row[statistics.at("q")].is_empty()).unwrap();
    let tested = statistics.column("q").iter().filter(|q| !q.is_empty()).count();
    let explain = |flags: &[&str]| {
        let said =
            ends(associate(&run).args(["--explain-cell", &cell[0], &cell[1]]).args(flags), 0);
        said.out.replace("\n  ", " ")
    };
    let text = explain(&[]);
    assert!(text.contains(&format!("among the {tested} cells that are tested q = ")), "{text}");
    assert!(text.contains("is over 0.2.") && !text.contains("without a correction"), "{text}");
    // What is given comes on top, and what is not given stays.
    let other = explain(&["--min-images", "16"]);
    assert!(other.contains("(--min-images 16)") && other.contains("is over 0.2."), "{other}");
    assert_eq!(run.manifest(), manifest);
    let rule = "is over 0.3.";
    ends(&mut associate(&run), 0);
    assert!(explain(&[]).contains(rule) && run.manifest()["matrices"].is_null());
}

#[test]
fn names_that_are_not_there_bring_those_that_are_and_the_file_that_lists_them() {
    let corpus = Corpus::small();
    let run = corpus.analyzed("run");
    let labels: Vec<String> = serde_json::from_value(run.manifest()["labels"].clone()).unwrap();
    refused(
        associate(&run).args(["--explain-cell", "xyz", &labels[0]]),
        &["no class `xyz`; the classes are Cat, Owl,", "(association.csv lists all)"],
    );
    let all = format!("no label `xyz`; the labels are {}", labels.join(", "));
    refused(associate(&run).args(["--explain-cell", "Owl", "xyz"]), &[&all]);
}

#[test]
fn where_all_images_have_one_label_it_is_said_that_nothing_can_be_compared() {
    let corpus = Corpus::empty();
    (0..3).for_each(|number| corpus.add(&format!("{number}.png"), "emonet/picture_0.png"));
    let cams = ["--cam", "grad-cam,ablation-cam", "--importance", "0.05"];
    let analyzed = ends(corpus.analyze("run").args(cams), 0);
    let run = corpus.run("run");
    let label = run.table("images.csv").column("label")[0].to_string();
    let sentence = format!("all 3 images were answered with {label}: nothing can be compared\n");
    for said in [analyzed, ends(associate(&run).args(["--min-images", "1"]), 0)] {
        assert_eq!(said.err.matches(&sentence).count(), 1, "{}", said.err);
        assert!(!said.err.contains("no forest plot"), "{}", said.err);
    }
    let text =
        ends(associate(&run).args(["--explain-cell", "Owl", &label]), 0).out.replace("\n  ", " ");
    let cause = format!(
        "nothing can be compared: there is no image where the network answers anything but {label}."
    );
    assert_eq!(text.matches(&cause).count(), 2, "once a method: {text}");
    let mut report = emocam();
    ends(report.arg("report").arg(&run.folder), 0);
    let page = fs::read_to_string(run.path("report/index.html")).unwrap();
    assert!(page.contains(&format!("<li>A{}.</li>", &sentence[1..].trim_end())), "{page}");
    assert!(!page.contains("too few images for statistics"));
    // Two labels can be compared.
    (1..8).for_each(|number| {
        corpus.add(&format!("other {number}.png"), &format!("emonet/picture_{number}.png"));
    });
    let said = ends(corpus.analyze("more").args(cams), 0);
    assert!(!said.err.contains("nothing can be compared"), "{}", said.err);
}

#[test]
fn the_readme_shows_the_table_that_is_printed() {
    let corpus = Corpus::small();
    let run = corpus.analyzed("run");
    let said = ends(&mut associate(&run), 0);
    let heading = said.out.lines().nth(1).unwrap();
    assert!(
        heading.starts_with("class ") && heading.ends_with(" mean of labels  highest for"),
        "{heading}"
    );
    let readme =
        fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md"))
            .unwrap();
    assert!(readme.contains(&format!("\n{heading}\n")), "{heading}");
    // The mean of the labels that occur, not of the images.
    let association = run.table("grad-cam/association.csv");
    for line in said.out.lines().skip(2) {
        let (class, rest) = line.split_at(28);
        let row = association.rows.iter().find(|row| row[0] == class.trim_end()).unwrap();
        let shares: Vec<f64> = row[1..].iter().filter_map(|cell| cell.parse().ok()).collect();
        let mean = shares.iter().sum::<f64>() / shares.len() as f64;
        assert_eq!(rest.split_whitespace().next().unwrap(), format!("{mean:.3}"), "{line}");
    }
}
