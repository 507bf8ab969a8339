//! Merging 64 shards of 1,000,000 records: time and memory. Takes minutes and 5 GB of disk, hence
//! not a part of the usual tests: `cargo test --release --test suite merge_scale:: -- --ignored
//! --nocapture`.

use crate::common::corpus::{Corpus, Run, emocam};
use crate::common::invented::invented;
use crate::common::split::write_manifest;
use emocam::corpus::{Shard, shard_of};
use emocam::run::journal::RecordWriter;
use rayon::prelude::*;
use std::fs;
use std::process::{Command, Stdio};
use std::time::Instant;

const IMAGES: u64 = 1_000_000;
const SHARDS: u64 = 64;
const BOXES: u64 = 10;
const MEGABYTES: i64 = 500;
const SECONDS: u64 = 120;

fn path(number: u64) -> String {
    format!("folder {:03}/picture {number:07}.jpg", number / 1000)
}

/// The shards, in the folder `shards`; returns bytes of all records.
fn make_shards(corpus: &Corpus, whole: &Run) -> u64 {
    let mut numbers = vec![Vec::new(); SHARDS as usize];
    (0..IMAGES)
        .for_each(|number| numbers[shard_of(&path(number), SHARDS) as usize - 1].push(number));
    let make = |(at, numbers): (usize, &Vec<u64>)| {
        let shard = Shard::new(at as u64 + 1, SHARDS).unwrap();
        let run = Run { folder: corpus.path("shards").join(shard.folder_name()) };
        write_manifest(whole, &run, shard, numbers.len());
        let mut writer = RecordWriter::open(&run.path("records.jsonl")).unwrap();
        for chunk in numbers.chunks(2000) {
            let record = |&number: &u64| {
                let mut record = invented(number, BOXES, 601, &["grad-cam".to_string()]);
                record.path = path(number);
                record
            };
            writer.append(&chunk.iter().map(record).collect::<Vec<_>>()).unwrap();
        }
        fs::metadata(run.path("records.jsonl")).unwrap().len()
    };
    numbers.par_iter().enumerate().map(make).sum()
}

/// Runs a command to its successful end; the most memory it had at a time, in megabytes.
#[allow(clippy::zombie_processes, reason = "wait4 waits for it, which also says what it used")]
fn peak_memory(command: &mut Command) -> i64 {
    let child = command.stdout(Stdio::null()).spawn().unwrap();
    let mut status = 0;
    // SAFETY: all zero is a valid value of this plain structure of numbers.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to variables of their types; the child is waited for nowhere else.
    let waited = unsafe { libc::wait4(child.id() as libc::pid_t, &mut status, 0, &mut usage) };
    assert_eq!((waited, status), (child.id() as libc::pid_t, 0));
    usage.ru_maxrss / 1024
}

#[test]
#[ignore = "takes minutes and 5 GB of disk"]
fn a_million_records_in_64_shards() {
    let corpus = Corpus::of(1);
    let whole = corpus.analyzed("whole");
    let mut manifest = whole.manifest();
    manifest["classes"] = (0..601).map(|class| format!("Class {class}")).collect::<Vec<_>>().into();
    manifest["corpus"]["images"] = IMAGES.into();
    fs::write(whole.path("run.json"), manifest.to_string()).unwrap();
    let bytes = make_shards(&corpus, &whole);
    eprintln!("{IMAGES} records of {BOXES} boxes in {SHARDS} shards, {} MB", bytes / 1_000_000);
    let clock = Instant::now();
    let mut merge = emocam();
    merge.current_dir(corpus.path("")).args(["merge", "shards", "--out", "merged"]);
    let megabytes = peak_memory(&mut merge);
    let seconds = clock.elapsed().as_secs();
    eprintln!("merged in {seconds} s with {megabytes} MB");
    let merged = corpus.run("merged");
    assert_eq!(fs::metadata(merged.path("records.jsonl")).unwrap().len(), bytes);
    assert_eq!(merged.manifest()["outcome"]["done"], IMAGES);
    assert_eq!(merged.manifest()["outcome"]["boxes"], IMAGES * BOXES);
    let mut last = String::new();
    for row in csv::Reader::from_path(merged.path("images.csv")).unwrap().records() {
        let path = row.unwrap()[0].to_string();
        assert!(path > last, "{path} after {last}");
        last = path;
    }
    assert!(megabytes < MEGABYTES, "{megabytes} MB");
    assert!(seconds < SECONDS, "{seconds} s");
}
