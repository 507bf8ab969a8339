//! Runs that are killed, stopped, starved of disk space or fed with broken files: nothing is lost,
//! and what is resumed ends in the same bytes.

use crate::common;
use crate::common::corpus::{Corpus, assert_counts, assert_same_tables, ends, recount, refused};
use crate::common::odd::{Expect, cases};
use crate::common::process::{Disk, finish, length_of_records, signal, start, wait_for_records};
use emocam::attribution::Method;
use std::fs;
use std::process::Command;
use std::time::Duration;

/// A sequence of numbers in `[0, 1)`, the same in every run of the tests (a linear congruential
/// generator).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> f64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[test]
fn killed_at_random_moments_and_resumed_the_tables_are_those_of_an_uninterrupted_run() {
    // Not divisible by the batch of four.
    let corpus = Corpus::of(299);
    let whole = corpus.analyzed("whole");
    let (run, length) = (corpus.run("killed"), length_of_records(&whole));
    let mut dice = Dice(7);
    let mut between = 0;
    for kill in 0..14 {
        let mut child = start(corpus.analyze("killed").arg("--resume"));
        // At first while starting up, then during the pass, then while the tables are written.
        match kill {
            0..2 => {}
            2..11 => {
                let further = dice.next() * length as f64 / 11.0;
                wait_for_records(&mut child, &run, length_of_records(&run) + further as u64);
            }
            _ => wait_for_records(&mut child, &run, length - 1),
        }
        std::thread::sleep(Duration::from_secs_f64(
            dice.next() * if kill < 2 { 0.4 } else { 0.05 },
        ));
        child.kill().unwrap();
        let (status, said) = finish(child);
        assert!(status.is_none() || (status == Some(0) && kill >= 11), "{status:?}: {said}");
        between += u32::from((1..length).contains(&length_of_records(&run)));
    }
    assert!(between >= 8, "{between} kills during the pass");
    ends(corpus.analyze("killed").arg("--resume"), 0);
    assert_same_tables(&whole, &run);
    assert_eq!(run.table("images.csv").rows.len(), 299);
    assert_eq!(whole.files(), run.files(), "nothing is left half written");
    for picture in ["grad-cam/heatmap.png", "grad-cam/heatmap.svg"] {
        assert!(
            fs::read(whole.path(picture)).unwrap() == fs::read(run.path(picture)).unwrap(),
            "{picture}"
        );
    }
}

#[test]
fn a_torn_last_line_is_done_again_with_every_method() {
    let corpus = Corpus::small();
    let methods: Vec<_> = Method::all().iter().map(|method| method.name()).collect();
    let analyze = |run: &str| {
        let mut command = corpus.analyze(run);
        command.args(["--evaluations", "16", "--cam", &methods.join(",")]);
        command
    };
    ends(&mut analyze("whole"), 0);
    ends(&mut analyze("torn"), 0);
    let [whole, torn] = ["whole", "torn"].map(|name| corpus.run(name));
    let records = fs::read(whole.path("records.jsonl")).unwrap();
    let second = records.iter().position(|&byte| byte == b'\n').unwrap() + 1;
    for keep in [1, second, second + 40, records.len() - 1] {
        fs::write(torn.path("records.jsonl"), &records[..keep]).unwrap();
        ends(analyze("torn").arg("--resume"), 0);
        assert_same_tables(&whole, &torn);
        assert!(fs::read(torn.path("records.jsonl")).unwrap() == records);
    }
}

#[test]
fn stopped_by_a_signal_it_says_how_to_go_on_and_goes_on() {
    let corpus = Corpus::of(150);
    // More links to nothing than there are pictures: they must not count as done.
    for number in 0..200 {
        std::os::unix::fs::symlink("nowhere", corpus.path(&format!("photos/x{number}.png")))
            .unwrap();
    }
    ends(&mut corpus.analyze("whole"), 1);
    let run = corpus.run("stopped");
    for name in ["-INT", "-TERM"] {
        let mut child = start(corpus.analyze("stopped").arg("--resume"));
        let before = length_of_records(&run);
        wait_for_records(&mut child, &run, before);
        signal(&child, name);
        let (status, said) = finish(child);
        assert_eq!(status, Some(130), "{said}");
        for phrase in
            ["stopping after this batch", "of 150 images", "--resume", "emocam associate stopped"]
        {
            assert!(said.contains(phrase), "no \"{phrase}\" in {said}");
        }
        assert_eq!(run.manifest()["complete"], false);
        let records = fs::read(run.path("records.jsonl")).unwrap();
        assert!(records.len() as u64 > before && records.last() == Some(&b'\n'));
    }
    ends(corpus.analyze("stopped").arg("--resume"), 1);
    assert_same_tables(&corpus.run("whole"), &run);
    assert_eq!(run.table("failures.csv").rows.len(), 200);
}

#[test]
fn resuming_is_refused_when_something_differs_and_names_it() {
    let corpus = Corpus::small();
    // Own copies of the files that are changed below.
    let weights = fs::read(common::reference("darknet/yolov3.weights")).unwrap();
    let emonet = fs::read(common::reference("emonet/narrow_ecco.pt")).unwrap();
    corpus.write("my.weights", &weights);
    corpus.write("my.pt", &emonet);
    let names = "Cat\nOwl\nDog\nTin\n";
    corpus.write("my.names", names);
    let analyze_with = |weights: &str| {
        let files = [
            ("--class-names", "my.names"),
            ("--detector-weights", weights),
            ("--emotion-weights", "my.pt"),
        ];
        let mut command = corpus.networks_but(&files);
        command.args(["photos", "--out", "run"]);
        command
    };
    let analyze = || analyze_with("my.weights");
    ends(&mut analyze(), 0);
    let run = corpus.run("run");
    let (before, records) = (run.tables(), fs::read(run.path("records.jsonl")).unwrap());
    let refuse = |flags: &[&str], phrases: &[&str]| {
        refused(
            analyze().arg("--resume").args(flags),
            &[&["run: this run was made differently", "--out"], phrases].concat(),
        );
    };
    refuse(&["--confidence", "0.1"], &["setting detector.confidence: 0.005 then, 0.1 now"]);
    refuse(&["--batch", "3"], &["setting compute.batch: 4 then, 3 now"]);
    refuse(&["--target", "logit"], &["setting cam.target: \"preset\" then, \"logit\" now"]);
    refuse(&["--ignore-exif"], &["setting corpus.ignore_exif: false then, true now"]);
    refuse(&["--limit", "9"], &["number of pictures: 15 then, 9 now"]);
    refuse(&["photos/a"], &["digest of the pictures' paths and sizes"]);

    let mut changed = weights.clone();
    *changed.last_mut().unwrap() ^= 1;
    corpus.write("my.weights", &changed);
    refuse(&[], &["detector.weights", "my.weights", "SHA-256"]);
    corpus.write("my.weights", &weights);
    corpus.write("my.names", "Cat\nOwl\nCow\nTin\n");
    refuse(&[], &["detector.names", "my.names", "names of the labels or classes"]);
    corpus.write("my.names", names);

    corpus.add("b/zebra.png", "emonet/picture_3.png");
    refuse(&[], &["number of pictures: 15 then, 16 now"]);
    fs::remove_file(corpus.path("photos/b/zebra.png")).unwrap();
    corpus.add("a/picture_3.png", "emonet/picture_4.png");
    refuse(&[], &["digest of the pictures' paths and sizes"]);
    corpus.add("a/picture_3.png", "emonet/picture_3.png");

    // What only looks at the records may differ; so may the place of a file.
    fs::rename(corpus.path("my.weights"), corpus.path("moved.weights")).unwrap();
    ends(analyze_with("moved.weights").args(["--resume", "--importance", "0.1"]), 0);
    assert_counts(&run.path("grad-cam"), &recount(&run, "grad-cam", |score, _| score > 0.1));
    assert_ne!(run.tables()["grad-cam/counts.csv"], before["grad-cam/counts.csv"]);
    assert_eq!(run.tables()["objects.csv"], before["objects.csv"]);
    assert!(fs::read(run.path("records.jsonl")).unwrap() == records);
}

#[test]
fn a_complete_run_is_resumed_without_reading_a_picture() {
    let corpus = Corpus::small();
    let run = corpus.analyzed("run");
    let before = run.tables();
    // Nothing but their names and sizes is looked at.
    for name in common::corpus::files_below(&corpus.path("photos")) {
        let file = corpus.path("photos").join(name);
        let size = fs::metadata(&file).unwrap().len() as usize;
        fs::write(&file, vec![b'x'; size]).unwrap();
    }
    let said = ends(corpus.analyze("run").arg("--resume"), 0);
    assert!(said.err.contains("15 images, 15 already done"), "{}", said.err);
    assert_eq!(run.tables(), before);
}

#[test]
fn two_processes_do_not_write_to_one_run() {
    let corpus = Corpus::small();
    let run = corpus.analyzed("run");
    let held = fs::File::open(run.path("records.jsonl")).unwrap();
    held.lock().unwrap();
    refused(corpus.analyze("run").arg("--resume"), &["records.jsonl", "another emocam is writing"]);
    held.unlock().unwrap();
    ends(corpus.analyze("run").arg("--resume"), 0);
}

#[test]
fn every_broken_file_is_a_row_and_every_good_one_is_done() {
    let corpus = Corpus::small();
    let mut broken: Vec<(String, &str, &str)> = Vec::new();
    let mut good: Vec<String> = common::corpus::files_below(&corpus.path("photos"));
    good.retain(|name| name != "notes.txt");
    for case in cases() {
        let name = format!("odd/{}", case.name);
        corpus.write(&format!("photos/{name}"), &case.bytes);
        match case.expect {
            Expect::Image { .. } => good.push(name),
            Expect::Error(fragment) => broken.push((name, "decode", fragment)),
        }
    }
    let pipe = corpus.path("photos/odd/pipe.jpg");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    std::os::unix::fs::symlink("..", corpus.path("photos/odd/loop")).unwrap();
    std::os::unix::fs::symlink("nowhere", corpus.path("photos/odd/dead.png")).unwrap();
    fs::create_dir(corpus.path("photos/odd/folder.png")).unwrap();
    broken.push(("odd/pipe.jpg".into(), "find", "a named pipe"));
    broken.push(("odd/loop".into(), "find", "a symbolic link back to"));
    broken.push(("odd/dead.png".into(), "find", "No such file"));
    broken.sort();
    good.sort();
    assert!(broken.len() >= 30, "{}", broken.len());

    let said = ends(&mut corpus.analyze("run"), 1);
    let run = corpus.run("run");
    assert!(
        said.err.contains(&format!("{} failed in all; see run/failures.csv", broken.len())),
        "{}",
        said.err
    );
    let failures = run.table("failures.csv");
    assert_eq!(failures.header, ["path", "stage", "cause"]);
    let found: Vec<_> =
        failures.rows.iter().map(|row| (row[0].as_str(), row[1].as_str())).collect();
    let expected: Vec<_> = broken.iter().map(|(path, stage, _)| (path.as_str(), *stage)).collect();
    assert_eq!(found, expected);
    for (row, (_, _, fragment)) in failures.rows.iter().zip(&broken) {
        assert!(row[2].contains(fragment) && !row[2].contains('\n'), "{row:?} lacks {fragment}");
    }
    let images = run.table("images.csv");
    assert_eq!(images.column("path"), good);
    assert!(images.rows.iter().all(|row| row[1..5].iter().all(|cell| !cell.is_empty())));
    assert_counts(&run.path("grad-cam"), &recount(&run, "grad-cam", |score, _| score > 0.3));
    let outcome = &run.manifest()["outcome"];
    assert_eq!(outcome["done"].as_u64(), Some(good.len() as u64));
    assert_eq!(outcome["failed"].as_u64(), Some(broken.len() as u64));

    // Resumed, the broken ones are tried again and fail again.
    let before = run.tables();
    ends(corpus.analyze("run").arg("--resume"), 1);
    assert_eq!(run.tables(), before);
}

#[test]
fn nothing_but_broken_files_still_makes_a_run() {
    let corpus = Corpus::empty();
    corpus.write("photos/a.png", "x");
    corpus.write("photos/b.jpg", "");
    let said = ends(&mut corpus.analyze("run"), 1);
    let run = corpus.run("run");
    assert_eq!(run.table("failures.csv").rows.len(), 2);
    assert_eq!(run.table("images.csv").rows.len(), 0);
    assert!(
        run.table("grad-cam/association.csv")
            .rows
            .iter()
            .all(|row| row[1..].iter().all(String::is_empty))
    );
    assert!(!run.path("grad-cam/heatmap.png").exists());
    assert!(said.out.contains("0 images"), "{}", said.out);
}

#[test]
fn a_picture_that_can_be_read_when_the_run_is_resumed_takes_its_place_in_the_order() {
    let corpus = Corpus::small();
    let whole = corpus.analyzed("whole");
    let spoilt = ["a/picture_0.png", "a/picture_5.png", "b/picture_0.png"];
    let pictures = spoilt.map(|name| fs::read(corpus.path("photos").join(name)).unwrap());
    for (name, picture) in spoilt.iter().zip(&pictures) {
        corpus.write(&format!("photos/{name}"), vec![0; picture.len()]);
    }
    ends(&mut corpus.analyze("late"), 1);
    let late = corpus.run("late");
    assert_eq!(late.table("failures.csv").column("path"), spoilt);
    // First two of the three, then the last.
    for count in [2, 3] {
        for (name, picture) in spoilt.iter().zip(&pictures).take(count) {
            corpus.write(&format!("photos/{name}"), picture);
        }
        ends(corpus.analyze("late").arg("--resume"), i32::from(count < 3));
    }
    assert_same_tables(&whole, &late);
}

#[test]
fn an_unreadable_folder_is_a_failure_and_its_siblings_are_done() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::os::unix::process::CommandExt;
    let corpus = Corpus::small();
    let mode = |name: &str, mode| {
        fs::set_permissions(corpus.path(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    mode("photos/a", 0o000);
    mode("photos/b/420.jpg", 0o000);
    let mut command = corpus.analyze("run");
    if fs::metadata(corpus.path("")).unwrap().uid() == 0 {
        // The superuser reads everything: run as nobody, where nobody can reach the binary.
        mode("", 0o777);
        command.uid(65_534).gid(65_534);
        let mut probe = common::corpus::emocam();
        let reachable = probe.arg("--version").uid(65_534).gid(65_534).output();
        if !reachable.is_ok_and(|output| output.status.success()) {
            eprintln!("skipped: no other user can run the binary");
            mode("photos/a", 0o700);
            return;
        }
    }
    let said = ends(&mut command, 1);
    mode("photos/a", 0o700);
    let failures = corpus.run("run").table("failures.csv");
    assert_eq!(failures.column("path"), ["a", "b/420.jpg"], "{}", said.err);
    assert_eq!(failures.column("stage"), ["find", "decode"]);
    assert!(failures.column("cause").iter().all(|cause| cause.contains("Permission denied")));
    assert_eq!(corpus.run("run").table("images.csv").rows.len(), 6);
}

#[test]
fn a_limit_on_file_sizes_ends_the_run_and_it_goes_on_without_the_limit() {
    let corpus = Corpus::of(60);
    let whole = corpus.analyzed("whole");
    let kilobytes = length_of_records(&whole) / 1024 / 2;
    let analyze = corpus.analyze("full");
    let mut limited = Command::new("bash");
    limited.args(["-c", &format!("trap '' XFSZ; ulimit -f {kilobytes}; exec \"$@\""), "bash"]);
    limited.arg(analyze.get_program()).args(analyze.get_args()).current_dir(corpus.path(""));
    limited.env("OMP_WAIT_POLICY", "passive");
    refused(&mut limited, &["cannot append records to full/records.jsonl: File too large"]);
    ends(corpus.analyze("full").arg("--resume"), 0);
    assert_same_tables(&whole, &corpus.run("full"));
}

#[test]
fn a_full_disk_ends_the_run_and_it_goes_on_when_there_is_room() {
    let corpus = Corpus::of(60);
    let whole = corpus.analyzed("whole");
    let kilobytes = |name: &str| fs::metadata(whole.path(name)).unwrap().len() / 1024;
    let records = kilobytes("records.jsonl");
    let folder = corpus.path("disk");
    let Some(disk) = Disk::mount(&folder, records / 2) else {
        eprintln!("skipped: this user may not mount a file system");
        return;
    };
    let full = "No space left on device";
    refused(
        &mut corpus.analyze("disk/run"),
        &["cannot append records to disk/run/records.jsonl", full],
    );
    // Room for the records, not for the tables.
    disk.resize(records + 16 + kilobytes("images.csv") + kilobytes("objects.csv") / 2);
    refused(corpus.analyze("disk/run").arg("--resume"), &["disk/run/", ".csv", full]);
    disk.resize(16 * 1024);
    ends(corpus.analyze("disk/run").arg("--resume"), 0);
    let run = corpus.run("disk/run");
    assert_same_tables(&whole, &run);
    assert_eq!(whole.files(), run.files());
    drop(disk);
}
