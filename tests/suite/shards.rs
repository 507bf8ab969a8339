//! A corpus done in shards and merged: the same bytes as in one run, whatever happened to the
//! shards.

use crate::common::corpus::{
    Corpus, Run, Said, assert_same_runs, assert_same_tables, emocam, ends, files_below, refused,
};
use crate::common::process::{finish, length_of_records, signal, start, wait_for_records};
use std::fs;
use std::process::Command;

/// `emocam analyze --shard`, into a folder of its own in `shards`.
fn shard(corpus: &Corpus, index: u64, count: u64) -> Command {
    let mut command = corpus.analyze(&format!("shards/{index}"));
    command.args(["--shard", &format!("{index}/{count}")]);
    command
}

/// `emocam merge ... --out merged`.
fn merge(corpus: &Corpus, shards: &[&str]) -> Command {
    let mut command = emocam();
    command.current_dir(corpus.path("")).arg("merge").args(shards).args(["--out", "merged"]);
    command
}

#[test]
fn two_shards_merged_are_one_run_byte_for_byte() {
    let corpus = Corpus::small();
    corpus.write("photos/b/broken.png", "x");
    corpus.write("photos/a/broken.jpg", "");
    for name in ["a/dead.png", "b/dead.png", "x,\"y\".png"] {
        std::os::unix::fs::symlink("nowhere", corpus.path("photos").join(name)).unwrap();
    }
    // Methods that draw at random too.
    let methods = ["--cam", "grad-cam,lime-cam,shapley-cam", "--save-maps"];
    let one = ends(corpus.analyze("whole").args(methods), 1);
    for index in [2, 1] {
        ends(shard(&corpus, index, 2).args(methods), 1);
    }
    let [first, second] = ["shards/1", "shards/2"].map(|name| corpus.run(name));
    for (run, index) in [(&first, 1), (&second, 2)] {
        let (manifest, failures) = (run.manifest(), run.table("failures.csv").rows.len() as u64);
        assert_eq!(
            (&manifest["shard"]["index"], &manifest["shard"]["count"]),
            (&index.into(), &2.into())
        );
        assert_eq!(manifest["corpus"], corpus.run("whole").manifest()["corpus"]);
        assert_eq!(manifest["outcome"]["failed"], failures);
        assert!(run.table("images.csv").rows.len() >= 3, "a corpus that is one shard tests little");
    }
    let said = ends(&mut merge(&corpus, &["shards"]), 1);
    let (whole, merged) = (corpus.run("whole"), corpus.run("merged"));
    assert_same_runs(&whole, &merged);
    assert_eq!(said.out, one.out);
    assert!(said.err.contains("5 failed in all; see merged/failures.csv"), "{}", said.err);
    assert!(said.err.contains("merged/grad-cam/heatmap.png"), "{}", said.err);
    assert_eq!(whole.table("failures.csv").rows.len(), 5);
    assert_eq!(merged.files().iter().filter(|name| name.starts_with("maps/")).count(), 15);
    let times = |run: &Run| run.manifest()["outcome"]["timings"].clone();
    let sum =
        |key: &str| times(&first)[key].as_f64().unwrap() + times(&second)[key].as_f64().unwrap();
    assert_eq!(times(&merged)["images"], 15);
    approx::assert_abs_diff_eq!(
        times(&merged)["detect"].as_f64().unwrap(),
        sum("detect"),
        epsilon = 1e-9
    );
    assert_eq!(merged.manifest()["merged"][1]["folder"], "shards/2");

    // A second look, and going on where nothing is left to do.
    ends(
        emocam().current_dir(corpus.path("")).args(["associate", "merged", "--importance", "0.1"]),
        0,
    );
    ends(
        emocam().current_dir(corpus.path("")).args([
            "rsa",
            "merged",
            "shards/1",
            "--resamples",
            "100",
        ]),
        0,
    );
    let said = ends(corpus.analyze("merged").args(methods).arg("--resume"), 1);
    assert!(said.err.contains("17 images, 15 already done"), "{}", said.err);
    assert_eq!(merged.manifest()["merged"][1]["folder"], "shards/2");
    assert_same_runs(&whole, &merged);
}

#[test]
fn shards_without_an_image_are_runs_like_others() {
    let corpus = Corpus::of(3);
    let whole = corpus.analyzed("whole");
    let mut empty = 0;
    for index in [5, 3, 1, 2, 4] {
        let said = ends(&mut shard(&corpus, index, 5), 0);
        let run = corpus.run(&format!("shards/{index}"));
        let images = run.table("images.csv").rows.len();
        let unit = if images == 1 { "image" } else { "images" };
        let expected = format!("{images} {unit}, shard {index} of 5 of a corpus of 3;");
        assert!(said.err.contains(&expected), "no \"{expected}\" in {}", said.err);
        assert_eq!(run.manifest()["shard"]["images"], images);
        if images == 0 {
            empty += 1;
            assert_eq!(run.manifest()["complete"], true);
            assert!(said.out.contains("0 images"), "{}", said.out);
            ends(shard(&corpus, index, 5).arg("--resume"), 0);
            ends(emocam().arg("associate").arg(&run.folder), 0);
            refused(emocam().arg("rsa").arg(&run.folder), &["no records yet"]);
        }
    }
    assert!(empty >= 2, "{empty}");
    ends(&mut merge(&corpus, &["shards/2", "shards/1", "shards/5", "shards/4", "shards/3"]), 0);
    assert_same_runs(&whole, &corpus.run("merged"));
}

#[test]
fn without_a_place_a_shard_goes_beside_the_others() {
    let corpus = Corpus::of(2);
    for index in 1..=10 {
        ends(corpus.networks().args(["photos", "--shard", &format!("{index}/10")]), 0);
    }
    let runs = fs::read_dir(corpus.path("photos-emocam-shards")).unwrap();
    let mut names: Vec<_> =
        runs.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!((names.len(), names[0].as_str(), names[9].as_str()), (10, "01-of-10", "10-of-10"));
    ends(&mut merge(&corpus, &["photos-emocam-shards"]), 0);
    assert_eq!(corpus.run("merged").table("images.csv").rows.len(), 2);
}

#[test]
fn a_shard_killed_and_one_stopped_are_named_then_resumed_and_merged() {
    let corpus = Corpus::of(200);
    let whole = corpus.analyzed("whole");
    for (index, how) in [(1, "-KILL"), (2, "-TERM")] {
        let mut child = start(&mut shard(&corpus, index, 2));
        let run = corpus.run(&format!("shards/{index}"));
        wait_for_records(&mut child, &run, 0);
        signal(&child, how);
        let (status, said) = finish(child);
        assert_eq!(status, (how == "-TERM").then_some(130), "{said}");
        assert!(length_of_records(&run) > 0);
    }
    let done = |index| {
        let text =
            fs::read_to_string(corpus.path(&format!("shards/{index}/records.jsonl"))).unwrap();
        let images = corpus.run(&format!("shards/{index}")).manifest()["shard"]["images"].clone();
        format!(
            "shard {index} of 2 (shards/{index}) is not finished: {} of {images} images",
            text.matches('\n').count()
        )
    };
    refused(&mut merge(&corpus, &["shards"]), &[&done(1), &done(2), "--resume continues it"]);
    assert!(!corpus.path("merged").exists());
    ends(shard(&corpus, 1, 2).arg("--resume"), 0);
    refused(&mut merge(&corpus, &["shards"]), &[&done(2)]);
    ends(shard(&corpus, 2, 2).arg("--resume"), 0);
    ends(&mut merge(&corpus, &["shards"]), 0);
    assert_same_runs(&whole, &corpus.run("merged"));
}

#[test]
fn a_picture_that_came_late_takes_its_place() {
    let corpus = Corpus::small();
    let whole = corpus.analyzed("whole");
    let spoilt = ["a/picture_0.png", "a/picture_5.png", "b/37x211.png", "b/picture_0.png"];
    let pictures = spoilt.map(|name| fs::read(corpus.path("photos").join(name)).unwrap());
    for (name, picture) in spoilt.iter().zip(&pictures) {
        corpus.write(&format!("photos/{name}"), vec![0; picture.len()]);
    }
    let all = |resume: &[&str]| {
        for index in 1..=2 {
            shard(&corpus, index, 2).args(resume).status().unwrap();
        }
    };
    all(&[]);
    // First the last two of the four, then the others.
    for restored in [2..4, 0..2] {
        for at in restored {
            corpus.write(&format!("photos/{}", spoilt[at]), &pictures[at]);
        }
        all(&["--resume"]);
    }
    let late = (1..=2).any(|index| {
        let text =
            fs::read_to_string(corpus.path(&format!("shards/{index}/records.jsonl"))).unwrap();
        let paths: Vec<_> =
            text.lines().map(|line| line.split('"').nth(3).unwrap().to_string()).collect();
        !paths.is_sorted()
    });
    assert!(late, "no record is out of order");
    ends(&mut merge(&corpus, &["shards"]), 0);
    assert_same_runs(&whole, &corpus.run("merged"));
}

#[test]
fn another_shard_is_not_continued_in_the_same_place() {
    let corpus = Corpus::of(6);
    ends(&mut shard(&corpus, 1, 2), 0);
    let resume = |flags: &[&str]| {
        let mut command = corpus.analyze("shards/1");
        command.arg("--resume").args(flags);
        command
    };
    refused(
        &mut resume(&["--shard", "2/2"]),
        &["made differently", "shard: 1 of 2 then, 2 of 2 now"],
    );
    refused(&mut resume(&["--shard", "1/3"]), &["shard: 1 of 2 then, 1 of 3 now"]);
    refused(&mut resume(&[]), &["shard: 1 of 2 then, the whole corpus now"]);
    ends(&mut resume(&["--shard", "1/2"]), 0);
    ends(&mut corpus.analyze("whole"), 0);
    let mut command = corpus.analyze("whole");
    refused(
        command.args(["--resume", "--shard", "1/2"]),
        &["shard: the whole corpus then, 1 of 2 now"],
    );
}

#[test]
fn in_a_job_array_the_shard_is_the_task() {
    let corpus = Corpus::of(5);
    let task = |shard: &str, id: &str, count: &str, lowest: &str, highest: &str| {
        let mut command = corpus.networks();
        command.args(["photos", "--shard", shard]);
        for (name, value) in [("ID", id), ("COUNT", count), ("MIN", lowest), ("MAX", highest)] {
            command.env(format!("SLURM_ARRAY_TASK_{name}"), value);
        }
        command
    };
    ends(&mut task("auto", "0", "3", "0", "2"), 0);
    ends(&mut task("auto", "2", "3", "1", "3"), 0);
    ends(&mut task("auto/3", "3", "1", "3", "3"), 0);
    refused(
        &mut task("auto", "3", "2", "1", "3"),
        &["array of 2 from 1 to 3", "without gaps or steps"],
    );
    refused(&mut task("auto/3", "4", "4", "1", "4"), &["no shard 4 of 3", "--array=1-3"]);
    let mut outside = corpus.networks();
    outside.args(["photos", "--shard", "auto"]).env_remove("SLURM_ARRAY_TASK_ID");
    refused(&mut outside, &["SLURM_ARRAY_TASK_ID is not set", "--shard 3/16"]);
    ends(&mut merge(&corpus, &["photos-emocam-shards"]), 0);
    assert_same_tables(&corpus.analyzed("whole"), &corpus.run("merged"));
}

#[test]
fn other_numbers_of_threads_and_other_rules_of_counting_are_said() {
    let corpus = Corpus::of(5);
    ends(&mut shard(&corpus, 1, 2), 0);
    ends(shard(&corpus, 2, 2).args(["--importance", "0.1"]), 0);
    // Not by OMP_NUM_THREADS: libtorch takes no more threads than there are cores.
    let second = corpus.run("shards/2");
    let mut manifest = second.manifest();
    manifest["network_threads"] = 3.into();
    fs::write(second.path("run.json"), manifest.to_string()).unwrap();
    let first = corpus.run("shards/1").manifest()["network_threads"].clone();
    let Said { err, .. } = ends(&mut merge(&corpus, &["shards"]), 0);
    for phrase in [
        &format!("{first} threads in shards/1 and 3 in shards/2"),
        "OMP_NUM_THREADS",
        "count boxes differently",
    ] {
        assert!(err.contains(phrase), "no \"{phrase}\" in {err}");
    }
    let merged = corpus.run("merged").manifest();
    assert_eq!(merged["merged"][1]["network_threads"], 3);
    let importance = merged["configuration"]["association"]["importance"].as_f64().unwrap();
    approx::assert_abs_diff_eq!(importance, 0.3, epsilon = 1e-6);
}

#[test]
fn part_of_the_shards_make_a_run_that_can_be_completed() {
    let corpus = Corpus::of(40);
    let whole = corpus.analyzed("whole");
    ends(&mut shard(&corpus, 2, 3), 0);
    ends(&mut shard(&corpus, 3, 3), 0);
    // Shard 3 as a kill would leave it.
    let third = corpus.run("shards/3");
    let records = fs::read(third.path("records.jsonl")).unwrap();
    fs::write(third.path("records.jsonl"), &records[..records.len() / 2]).unwrap();
    let manifest = fs::read_to_string(third.path("run.json")).unwrap();
    fs::write(
        third.path("run.json"),
        manifest.replace("\"complete\": true", "\"complete\": false"),
    )
    .unwrap();
    let Said { err, .. } = ends(merge(&corpus, &["shards"]).arg("--partial"), 0);
    for phrase in [
        "shard 1 of 3 is absent",
        "shard 3 of 3 (shards/3) is not finished",
        "--resume --out merged",
    ] {
        assert!(err.contains(phrase), "no \"{phrase}\" in {err}");
    }
    let merged = corpus.run("merged");
    assert_eq!(merged.manifest()["complete"], false);
    let there = merged.table("images.csv").rows.len();
    assert!((3..38).contains(&there), "{there}");
    assert!(!files_below(&merged.folder).contains(&"failures.csv".to_string()));
    ends(corpus.analyze("merged").arg("--resume"), 0);
    assert_same_tables(&whole, &merged);
}

#[test]
fn a_tar_is_read_by_one_shard_and_merged_all_the_same() {
    let corpus = Corpus::small();
    for (tar, from) in [("one.tar", "a"), ("two.tar", "b")] {
        let packed = Command::new("tar")
            .args(["--format=ustar", "--sort=name", "-cf"])
            .arg(corpus.path(&format!("photos/{tar}")))
            .arg("-C")
            .arg(corpus.path("photos"))
            .arg(from)
            .status();
        assert!(packed.unwrap().success());
    }
    let whole = corpus.analyzed("whole");
    for index in 1..=3 {
        ends(&mut shard(&corpus, index, 3), 0);
        let images = corpus.run(&format!("shards/{index}")).table("images.csv");
        for tar in ["one.tar/", "two.tar/"] {
            let members = images.column("path").iter().filter(|path| path.starts_with(tar)).count();
            let all = whole
                .table("images.csv")
                .column("path")
                .iter()
                .filter(|path| path.starts_with(tar))
                .count();
            assert!(
                members == 0 || members == all,
                "shard {index} has {members} of {all} in {tar}"
            );
        }
    }
    ends(&mut merge(&corpus, &["shards/1", "shards/2", "shards/3"]), 0);
    assert_same_runs(&whole, &corpus.run("merged"));
}
