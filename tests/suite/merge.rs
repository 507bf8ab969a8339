//! What `emocam merge` refuses, and that it then leaves nothing behind; disks, limits and many
//! shards.

use crate::common::corpus::{self, Corpus, Run, assert_same_tables, emocam, ends, refused};
use crate::common::process::Disk;
use crate::common::split::split;
use std::fs;
use std::process::Command;

/// A corpus, its run `whole`, and that run taken apart into the shards of `shards`.
fn taken_apart(images: u32, count: u64) -> (Corpus, Run, Vec<Run>) {
    let corpus = Corpus::of(images);
    let whole = corpus.analyzed("whole");
    let shards = split(&whole, &corpus.path("shards"), count);
    (corpus, whole, shards)
}

fn merge(corpus: &Corpus, arguments: &[&str]) -> Command {
    let mut command = emocam();
    command.current_dir(corpus.path("")).arg("merge").args(arguments);
    if !arguments.contains(&"--out") {
        command.args(["--out", "merged"]);
    }
    command
}

/// Refused with these phrases, leaving nothing where the run would have been.
fn refuse(corpus: &Corpus, arguments: &[&str], phrases: &[&str]) {
    refused(&mut merge(corpus, arguments), phrases);
    for name in ["merged", ".merged.merging"] {
        assert!(!corpus.path(name).exists(), "{name} is there");
    }
}

/// Changes a text file while `test` runs.
fn with(run: &Run, name: &str, change: impl FnOnce(String) -> String, test: impl FnOnce()) {
    let before = fs::read_to_string(run.path(name)).unwrap();
    let after = change(before.clone());
    assert_ne!(before, after);
    fs::write(run.path(name), after).unwrap();
    test();
    fs::write(run.path(name), before).unwrap();
}

/// The text as JSON with the value at `pointer` changed.
fn changed(text: &str, pointer: &str, value: serde_json::Value) -> String {
    let mut json: serde_json::Value = serde_json::from_str(text).unwrap();
    *json.pointer_mut(pointer).unwrap() = value;
    json.to_string()
}

#[test]
fn what_is_missing_or_there_twice_is_named() {
    let (corpus, whole, shards) = taken_apart(12, 4);
    let away = corpus.path("away");
    let hide = |run: &Run| fs::rename(&run.folder, &away).unwrap();
    let back = |run: &Run| fs::rename(&away, &run.folder).unwrap();
    hide(&shards[2]);
    refuse(&corpus, &["shards"], &["cannot be merged", "shard 3 of 4 is absent"]);
    back(&shards[2]);
    refuse(&corpus, &["shards/1-of-4", "shards/4-of-4"], &["shards 2, 3 of 4 are absent"]);
    refuse(&corpus, &["shards/4-of-4"], &["shards 1 to 3 of 4 are absent"]);
    refuse(&corpus, &["shards", "shards/2-of-4"], &["shards/2-of-4 is named twice"]);
    fs::create_dir(&away).unwrap();
    for name in ["run.json", "records.jsonl", "failures.csv"] {
        fs::copy(shards[1].path(name), away.join(name)).unwrap();
    }
    refuse(&corpus, &["shards", "away"], &["shard 2 of 4 is there twice: shards/2-of-4 and away"]);
    split(&whole, &corpus.path("others"), 3);
    refuse(
        &corpus,
        &["shards", "others"],
        &["different divisions: of 3 in others/1-of-3, of 4 in shards/1-of-4"],
    );
    refuse(&corpus, &["shards", "whole"], &["whole is no shard: it was made without --shard"]);
    refuse(&corpus, &["shards", "photos"], &["photos: is no run directory"]);
    refuse(&corpus, &["shards", "nowhere"], &["nowhere: is no run directory"]);
    // Everything at once.
    refuse(
        &corpus,
        &["shards/1-of-4", "whole", "photos"],
        &["whole is no shard", "photos: is no run", "2 to 4 of 4"],
    );
    ends(&mut merge(&corpus, &["shards"]), 0);
    assert_same_tables(&whole, &corpus.run("merged"));
    for out in ["merged", "photos"] {
        refused(
            &mut merge(&corpus, &["shards", "--out", out]),
            &[out, "name another folder with --out"],
        );
    }
}

#[test]
fn shards_that_were_made_differently_are_refused_with_every_difference() {
    let (corpus, _, shards) = taken_apart(6, 2);
    let differing = |pointer: &str, value: serde_json::Value, phrases: &[&str]| {
        let change = |text: String| changed(&text, pointer, value);
        with(&shards[1], "run.json", change, || refuse(&corpus, &["shards"], phrases));
    };
    let sides = "in shards/1-of-2,";
    differing(
        "/configuration/detector/confidence",
        0.1.into(),
        &["setting detector.confidence: 0.005", sides, "0.1 in"],
    );
    differing(
        "/configuration/compute/batch",
        3.into(),
        &["setting compute.batch: 4", sides, "3 in shards/2-of-2"],
    );
    differing("/emocam", "9.9.9".into(), &["version of emocam", "9.9.9 in shards/2-of-2"]);
    differing("/device", "cuda:0".into(), &["device: cpu in shards/1-of-2, cuda in shards/2-of-2"]);
    differing("/models/1/sha256", "00".into(), &["SHA-256", "00 in shards/2-of-2"]);
    differing("/corpus/images", 7.into(), &["number of pictures: 6", "7 in shards/2-of-2"]);
    differing("/corpus/sha256", "00".into(), &["digest of the pictures' paths and sizes"]);
    differing("/classes/0", "Dog".into(), &["names of the labels or classes"]);
    differing("/shard/index", 3.into(), &["shards/2-of-2 has a wrong run.json", "no shard 3 of 2"]);
    differing("/shard/images", 5.into(), &["shards/2-of-2: ", "expected 5 in all"]);
    differing(
        "/labels",
        "none".into(),
        &["shards/2-of-2/run.json: not a run.json of this version"],
    );
    let extra = |text: String| {
        let mut json: serde_json::Value = serde_json::from_str(&text).unwrap();
        let mut file = json["models"][0].clone();
        file["role"] = "emotion.mean".into();
        json["models"].as_array_mut().unwrap().push(file);
        json.to_string()
    };
    for run in &shards {
        with(run, "run.json", extra, || refuse(&corpus, &["shards"], &["emotion.mean", "none in"]));
    }
    // Which GPU of a machine it was makes no difference.
    let gpu = |number: &str| {
        let device = format!("cuda:{number}");
        move |text: String| changed(&text, "/device", device.into())
    };
    with(&shards[0], "run.json", gpu("0"), || {
        with(&shards[1], "run.json", gpu("1"), || {
            ends(&mut merge(&corpus, &["shards"]), 0);
        });
    });
    assert_eq!(corpus.run("merged").manifest()["merged"][1]["device"], "cuda:1");
}

#[test]
fn damaged_shards_are_refused_before_anything_is_written() {
    let (corpus, whole, shards) = taken_apart(20, 2);
    let lines = fs::read_to_string(shards[0].path("records.jsonl")).unwrap().lines().count();
    let truncated = format!(
        "shards/1-of-2/records.jsonl: has {} whole records, and run.json says {lines}",
        lines - 1
    );
    let damage = |name: &str, change: &dyn Fn(String) -> String, phrases: &[&str]| {
        with(&shards[0], name, change, || refuse(&corpus, &["shards"], phrases));
    };
    damage("records.jsonl", &|text| text[..text.len() - 5].into(), &[&truncated, "--resume"]);
    let unsealed = "its checksum does not fit";
    let first_line = "shards/1-of-2/records.jsonl, line 1: ";
    damage(
        "records.jsonl",
        &|text| text[text.find('\n').unwrap() + 1..].into(),
        &[first_line, unsealed],
    );
    let sealed = |text: String| String::from_utf8(corpus::sealed(text.as_bytes())).unwrap();
    damage(
        "records.jsonl",
        &|text| sealed(text[text.find('\n').unwrap() + 1..].into()),
        &[&truncated],
    );
    let second = |text: String, from: &str, to: &str| {
        let at = text.find('\n').unwrap() + 1;
        text[..at].to_string() + &text[at..].replacen(from, to, 1)
    };
    let line = "shards/1-of-2/records.jsonl, line 2";
    damage("records.jsonl", &|text| second(text, "{", "\u{0}"), &[line, unsealed]);
    damage("records.jsonl", &|text| sealed(second(text, "\"label\":", "\"label\":1")), &[line]);
    damage(
        "records.jsonl",
        &|text| sealed(second(text, "{", "\u{0}")),
        &[line, "not a record of this version"],
    );
    damage(
        "records.jsonl",
        &|text| sealed(second(text, "grad-cam", "lift-cam")),
        &[line, "does not fit run.json"],
    );
    damage(
        "failures.csv",
        &|text| text + "0003.png,decode,cause\n",
        &["failures.csv has 1 rows, expected 0"],
    );
    damage("failures.csv", &|_| "path\n\"x\n".into(), &["failures.csv: not a table of failures"]);
    for name in ["records.jsonl", "failures.csv"] {
        fs::rename(shards[0].path(name), shards[0].path("away")).unwrap();
        refuse(
            &corpus,
            &["shards"],
            &[&format!("cannot read shards/1-of-2/{name}"), "No such file"],
        );
        fs::rename(shards[0].path("away"), shards[0].path(name)).unwrap();
    }
    // The first twice in place of the last; the first of the other shard in place of the last.
    let first = |run: &Run| {
        fs::read_to_string(run.path("records.jsonl"))
            .unwrap()
            .split_inclusive('\n')
            .next()
            .unwrap()
            .to_string()
    };
    for extra in [first(&shards[0]), first(&shards[1])] {
        let path = extra.split('"').nth(3).unwrap().to_string();
        let replace = |text: String| {
            let last = text.trim_end().rfind('\n').unwrap() + 1;
            text[..last].to_string() + &extra
        };
        damage(
            "records.jsonl",
            &replace,
            &[&format!("shards/1-of-2/records.jsonl, line {lines}: {unsealed}")],
        );
        damage(
            "records.jsonl",
            &|text| sealed(replace(text)),
            &[&format!("{path} is there twice")],
        );
    }
    ends(&mut merge(&corpus, &["shards"]), 0);
    assert_same_tables(&whole, &corpus.run("merged"));
}

#[test]
fn a_full_disk_leaves_nothing_and_the_same_command_works_when_there_is_room() {
    let (corpus, whole, _) = taken_apart(60, 3);
    let kilobytes = |name: &str| fs::metadata(whole.path(name)).unwrap().len() / 1024;
    let folder = corpus.path("disk");
    let Some(disk) = Disk::mount(&folder, kilobytes("records.jsonl") / 2) else {
        eprintln!("skipped: this user may not mount a file system");
        return;
    };
    let again = |phrases: &[&str]| {
        let full = [phrases, &["No space left on device"]].concat();
        refused(&mut merge(&corpus, &["shards", "--out", "disk/merged"]), &full);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0, "something is left");
    };
    again(&["disk/.merged.merging/"]);
    // Room for the records and a part of the tables.
    disk.resize(
        kilobytes("records.jsonl") + kilobytes("images.csv") + kilobytes("objects.csv") / 2,
    );
    again(&[]);
    disk.resize(16 * 1024);
    ends(&mut merge(&corpus, &["shards", "--out", "disk/merged"]), 0);
    assert_same_tables(&whole, &corpus.run("disk/merged"));
    drop(disk);
}

#[test]
fn maps_are_linked_or_copied() {
    use std::os::unix::fs::MetadataExt;
    let (corpus, _, shards) = taken_apart(6, 2);
    fs::create_dir_all(shards[0].path("maps/a")).unwrap();
    fs::write(shards[0].path("maps/a/x.safetensors"), "maps").unwrap();
    fs::write(shards[0].path("maps/a/.y.safetensors.7.part"), "half").unwrap();
    let said = ends(&mut merge(&corpus, &["shards"]), 0);
    let map = corpus.path("merged/maps/a/x.safetensors");
    assert_eq!(fs::metadata(&map).unwrap().nlink(), 2);
    assert_eq!(fs::read_dir(corpus.path("merged/maps/a")).unwrap().count(), 1);
    assert!(said.err.contains("1 shards were made without --save-maps"), "{}", said.err);
    let folder = corpus.path("disk");
    let Some(disk) = Disk::mount(&folder, 4096) else {
        eprintln!("skipped: this user may not mount a file system");
        return;
    };
    let said = ends(&mut merge(&corpus, &["shards", "--out", "disk/merged"]), 0);
    assert_eq!(
        fs::read_to_string(corpus.path("disk/merged/maps/a/x.safetensors")).unwrap(),
        "maps"
    );
    assert!(said.err.contains("1 maps were copied"), "{}", said.err);
    drop(disk);
}

#[test]
fn many_shards_need_few_open_files() {
    let (corpus, whole, _) = taken_apart(30, 200);
    let command = merge(&corpus, &["shards"]);
    let mut limited = Command::new("bash");
    limited
        .args(["-c", "ulimit -n 32; exec \"$@\"", "bash"])
        .arg(command.get_program())
        .args(command.get_args());
    ends(limited.current_dir(corpus.path("")), 0);
    assert_same_tables(&whole, &corpus.run("merged"));
    let records = |run: &Run| fs::read(run.path("records.jsonl")).unwrap();
    assert!(records(&whole) == records(&corpus.run("merged")));
}

#[test]
fn a_merge_that_was_killed_is_done_again() {
    let (corpus, whole, _) = taken_apart(10, 2);
    // As kill -9 leaves it.
    fs::create_dir_all(corpus.path(".merged.merging/grad-cam")).unwrap();
    fs::copy(whole.path("run.json"), corpus.path(".merged.merging/run.json")).unwrap();
    fs::write(corpus.path(".merged.merging/.records.jsonl.7.part"), "{").unwrap();
    ends(&mut merge(&corpus, &["shards"]), 0);
    assert_eq!(whole.files(), corpus.run("merged").files());
    assert!(!corpus.path(".merged.merging").exists());
}
