//! What the preset's tables were before networks and regions became exchangeable: SHA-256 of every CSV, made by the
//! commit dcf3ba3 on an AMD EPYC with AVX-512. Last digits of libtorch's sums follow the processor; where those of the
//! answers are others, counts of images may move by one.

// The lint's exception for tests does not reach their helper functions.
#![allow(clippy::unwrap_used)]

mod common;

use common::corpus::{emocam, ends, Run, Table};
use common::{json, reference, shared};
use emocam::files::sha256;
use std::path::Path;
use std::process::Command;

const METHODS: [&str; 5] = ["grad-cam", "ablation-cam", "lime-cam", "lrp-cam", "lift-cam"];

/// The tables of a folder as they were: without `statistics.csv` and `mean_scores.csv`, which have come since, and of
/// `objects.csv` without the columns that were added behind.
fn tables(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let tables = Run { folder: folder.to_path_buf() }.tables().into_iter();
    tables
        .filter(|(name, _)| !name.ends_with("/statistics.csv") && !name.ends_with("/mean_scores.csv"))
        .map(|(name, bytes)| {
            if name != "objects.csv" || !String::from_utf8_lossy(&bytes).contains("extent_x_min") {
                return (name, bytes);
            }
            let table = Table::read(&folder.join(&name));
            let kept = table.at("extent_x_min");
            let mut writer = csv::Writer::from_writer(Vec::new());
            writer.write_record(&table.header[..kept]).unwrap();
            table.rows.iter().for_each(|row| writer.write_record(&row[..kept]).unwrap());
            (name, writer.into_inner().unwrap())
        })
        .collect()
}

/// Compares every table's digest with the recorded one; `false` where the answers in `images.csv` have other last
/// digits.
fn as_recorded(folder: &Path, name: &str, answers: bool) -> bool {
    let expected = json("preset/digests.json")[name].as_object().unwrap().clone();
    let tables = tables(folder);
    let names: Vec<&String> = tables.iter().map(|(name, _)| name).collect();
    assert_eq!(names, expected.keys().collect::<Vec<_>>(), "{name}");
    let digests: Vec<(&String, bool)> =
        tables.iter().map(|(name, bytes)| (name, expected[name] == sha256(bytes))).collect();
    if answers && digests.iter().any(|(name, same)| *name == "images.csv" && !same) {
        eprintln!("{name}: this processor's last digits are others than the recorded ones");
        return false;
    }
    let changed: Vec<&&String> = digests.iter().filter(|(_, same)| !same).map(|(name, _)| name).collect();
    assert!(changed.is_empty(), "{name}: {changed:?} changed");
    true
}

fn analyze(folder: &Path, corpus: &Path, networks: [&Path; 4], out: &str) -> Command {
    let mut command = emocam();
    command.current_dir(folder).arg("analyze").arg(corpus).args(["--device", "cpu", "--cam", "paper", "--out", out]);
    for (flag, file) in ["--detector", "--detector-weights", "--class-names", "--emotion-weights"].iter().zip(networks)
    {
        command.arg(flag).arg(file);
    }
    command
}

#[test]
fn tables_of_a_hundred_drawn_scenes_are_what_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    ends(emocam().current_dir(folder).args(["world", "--scenes", "100", "--seed", "5", "--out", "scenes"]), 0);
    assert!(as_recorded(&folder.join("scenes"), "scenes", false));
    let mut config = emocam::config::Config::default();
    emocam::demo::use_models(&mut config, &folder.join("models"), emocam::demo::DemoNetworks::default()).unwrap();
    let files = ["detector.cfg", "detector.weights", "detector.names", "emotion.safetensors"];
    let files = files.map(|name| folder.join("models").join(name));
    let networks = files.each_ref().map(|path| path.as_path());
    ends(&mut analyze(folder, Path::new("scenes"), networks, "run"), 0);
    if as_recorded(&folder.join("run"), "run", true) {
        let rsa = ["rsa", "run", "--out", "rsa", "--matrix", "shares", "--resamples", "200", "--permutations", "500"];
        ends(emocam().current_dir(folder).args(rsa), 0);
        assert!(as_recorded(&folder.join("rsa"), "rsa", false));
        return;
    }
    for method in METHODS {
        let [found, wanted] =
            [folder.join("run").join(method).join("counts.csv"), reference(&format!("preset/{method}.csv"))]
                .map(|path| Table::read(&path));
        for (found, wanted) in found.rows.iter().zip(&wanted.rows) {
            assert_eq!(found[0], wanted[0], "{method}");
            for (found, wanted) in found[1..].iter().zip(&wanted[1..]) {
                let [found, wanted]: [i64; 2] = [found, wanted].map(|cell| cell.parse().unwrap());
                assert!((found - wanted).abs() <= 1, "{method}: {found} images, {wanted} are recorded");
            }
        }
    }
}

#[test]
fn tables_of_photos_are_what_they_were() {
    let (Some(detector), Some(photos)) = (shared("detector"), shared("photos")) else { return };
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (weights, mean) = (folder.join("emonet.pth"), folder.join("img_mean.txt"));
    emocam::synthesize::write_emonet(&emocam::networks::Card::emonet(), 1, &weights, &mean).unwrap();
    let files = ["yolo-fastest-1.1.cfg", "yolo-fastest-1.1.weights", "coco.names"].map(|name| detector.join(name));
    let networks = [&files[0], &files[1], &files[2], &weights].map(|path| path.as_path());
    ends(&mut analyze(folder, &photos.canonicalize().unwrap(), networks, "run"), 0);
    // Five photos: on a processor with other last digits nothing is said of them.
    as_recorded(&folder.join("run"), "photos", true);
}
