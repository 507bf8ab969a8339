//! `emocam analyze --filters`: the same tables whatever happened to the run, and what is refused.

use crate::common::corpus::{Corpus, Run, emocam, ends, refused};
use std::fs;

const METHODS: [&str; 3] = ["grad-cam", "ablation-cam", "lime-cam"];
const FLAGS: [&str; 3] = ["--cam", "grad-cam,ablation-cam,lime-cam", "--filters"];

/// Every table about filters.
fn tables(run: &Run) -> Vec<Vec<u8>> {
    let names = METHODS.iter().flat_map(|method| {
        ["filters.csv", "filter_weights.csv"].map(|name| format!("{method}/{name}"))
    });
    names.map(|name| fs::read(run.path(&name)).unwrap()).collect()
}

#[test]
fn shards_restarts_and_a_second_look_give_the_same_tables() {
    let corpus = Corpus::of(23);
    let said = ends(corpus.analyze("whole").args(FLAGS), 0);
    assert!(said.err.contains("whole/grad-cam/filters.png"), "{}", said.err);
    let whole = corpus.run("whole");
    let expected = tables(&whole);
    let plain = corpus.analyzed("plain");
    assert_eq!(plain.tables()["images.csv"], whole.tables()["images.csv"]);
    assert!(
        !plain.path("filters.safetensors").exists() && !plain.path("grad-cam/filters.csv").exists()
    );

    for index in [3, 1, 2] {
        let mut command = corpus.analyze(&format!("shards/{index}"));
        ends(command.args(FLAGS).args(["--shard", &format!("{index}/3")]), 0);
    }
    let here = || {
        let mut command = emocam();
        command.current_dir(corpus.path(""));
        command
    };
    ends(here().args(["merge", "shards", "--out", "merged"]), 0);
    assert_eq!(tables(&corpus.run("merged")), expected);
    for kind in ["png", "svg"] {
        let picture = |run: &Run| fs::read(run.path(&format!("grad-cam/filters.{kind}"))).unwrap();
        assert!(picture(&corpus.run("merged")) == picture(&whole), "filters.{kind}");
    }
    for run in ["merged", "whole"] {
        fs::remove_file(corpus.run(run).path("lime-cam/filters.csv")).unwrap();
        ends(here().args(["associate", run, "--importance", "0.1"]), 0);
        assert_eq!(tables(&corpus.run(run)), expected);
    }

    // As a kill leaves it: records whose sums were not written yet, as many as an earlier state of
    // the file lacks.
    let parts = corpus.run("shards/1").path("filters.safetensors");
    let killed = corpus.run("shards/2");
    fs::remove_file(killed.path("filters.safetensors")).unwrap();
    refused(
        here().args(["merge", "shards", "--out", "again"]),
        &["filters.safetensors has 0 images", "--resume"],
    );
    let mut again = corpus.analyze("shards/2");
    let said = ends(again.args(FLAGS).args(["--shard", "2/3", "--resume"]), 0);
    assert!(
        said.err.contains("images whose filters were not written before the end are done again"),
        "{}",
        said.err
    );
    ends(here().args(["merge", "shards", "--out", "again"]), 0);
    assert_eq!(tables(&corpus.run("again")), expected);
    fs::rename(corpus.path("photos"), corpus.path("elsewhere")).unwrap();
    let said = ends(here().args(["merge", "shards", "--out", "without"]), 0);
    assert!(
        said.err.contains("no filters.png") && said.err.contains("photos: merge where they are"),
        "{}",
        said.err
    );
    assert_eq!(tables(&corpus.run("without")), expected);
    assert!(!corpus.run("without").path("grad-cam/filters.png").exists());
    fs::rename(corpus.path("elsewhere"), corpus.path("photos")).unwrap();
    fs::write(parts, "torn").unwrap();
    refused(
        here().args(["merge", "shards", "--out", "torn"]),
        &["filters.safetensors", "not the sums"],
    );
    // More sums than records.
    fs::write(killed.path("records.jsonl"), "").unwrap();
    let mut again = corpus.analyze("shards/2");
    refused(
        again.args(FLAGS).args(["--shard", "2/3", "--resume"]),
        &["do not belong together", "--out"],
    );
}

#[test]
fn a_killed_run_is_resumed_from_its_last_sums() {
    let corpus = Corpus::of(16);
    ends(corpus.analyze("whole").args(FLAGS), 0);
    ends(corpus.analyze("killed").args(FLAGS), 0);
    let (whole, killed) = (corpus.run("whole"), corpus.run("killed"));
    // The sums of the first pictures alone: of a run over no more.
    ends(corpus.analyze("first").args(FLAGS).args(["--limit", "8"]), 0);
    fs::copy(corpus.run("first").path("filters.safetensors"), killed.path("filters.safetensors"))
        .unwrap();
    let said = ends(corpus.analyze("killed").args(FLAGS).arg("--resume"), 0);
    assert!(said.err.contains("8 images whose filters were not written"), "{}", said.err);
    assert!(said.err.contains("16 images, 8 already done"), "{}", said.err);
    assert_eq!(tables(&killed), tables(&whole));
    let records = |run: &Run| fs::read(run.path("records.jsonl")).unwrap();
    assert!(records(&whole) == records(&killed));
    assert!(fs::read(whole.path("filters.safetensors")).unwrap().len() > 1000);
    let picture = |run: &Run| fs::read(run.path("grad-cam/filters.svg")).unwrap();
    assert!(picture(&whole) == picture(&killed));
}

#[test]
fn tables_have_what_they_say_and_methods_without_channels_are_named() {
    let corpus = Corpus::small();
    let said =
        ends(corpus.analyze("run").args(["--cam", "grad-cam,layer-cam,eigen-cam", "--filters"]), 0);
    assert!(said.err.contains("no filters.csv by layer-cam, eigen-cam"), "{}", said.err);
    let run = corpus.run("run");
    assert!(!run.path("layer-cam/filters.csv").exists());
    let table = run.table("grad-cam/filters.csv");
    assert_eq!(
        table.header,
        ["class", "channel", "images", "active_images", "share", "area_share"]
    );
    assert!(!table.rows.is_empty());
    for row in &table.rows {
        let number = |at: usize| row[at].parse::<f64>().unwrap();
        assert!(number(3) <= number(2));
        match row[3].as_str() {
            "0" => assert_eq!((row[4].as_str(), row[5].as_str()), ("", "")),
            _ => assert!((0.0..=1.0).contains(&number(4)) && (0.0..=1.0).contains(&number(5))),
        }
    }
    let weights = run.table("grad-cam/filter_weights.csv");
    assert_eq!((weights.header.len(), weights.rows.last().unwrap()[0].as_str()), (21, "images"));
    let images: u64 =
        weights.rows.last().unwrap()[1..].iter().map(|cell| cell.parse::<u64>().unwrap()).sum();
    assert_eq!(images, run.table("images.csv").rows.len() as u64);

    let mut without = corpus.analyze("run");
    refused(
        without.args(["--cam", "grad-cam,layer-cam,eigen-cam", "--resume"]),
        &["setting cam.filters"],
    );
    let mut none = corpus.analyze("none");
    refused(
        none.args(["--cam", "layer-cam", "--filters"]),
        &["filters need a method that weighs channels", "grad-cam"],
    );
}
