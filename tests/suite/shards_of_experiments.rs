//! `emocam paste` and `emocam remove` done in shards and merged: the same bytes as in one run, and
//! what is refused. The networks are the small ones that come with the program, the pictures drawn
//! scenes.

use crate::common::corpus::{Corpus, Run, assert_same_runs, emocam, ends, refused, sealed};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Six scenes and a picture that cannot be read in `photos`, and `models.toml` with the models of
/// the demo.
fn scenes() -> Corpus {
    let corpus = Corpus::empty();
    let mut draw = emocam();
    draw.current_dir(corpus.path("")).args([
        "world",
        "--scenes",
        "6",
        "--seed",
        "77",
        "--out",
        "photos",
        "--overwrite",
    ]);
    ends(&mut draw, 0);
    corpus.write("photos/broken.png", "x");
    let quoted = |name: &str| {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo").join(name);
        toml::Value::String(file.to_str().unwrap().into()).to_string()
    };
    let [cfg, weights, names] = ["detector.cfg", "detector.weights", "detector.names"].map(quoted);
    let emotion = quoted("emotion.safetensors");
    let config = format!(
        "[detector]\ncfg = {cfg}\nweights = {weights}\nnames = {names}\n[emotion]\nweights = \
         {emotion}\n"
    );
    corpus.write("models.toml", config);
    corpus
}

/// `emocam SUBCOMMAND photos --out RUN` with small settings.
fn experiment(corpus: &Corpus, subcommand: &str, run: &str) -> Command {
    let mut command = emocam();
    command.current_dir(corpus.path("")).args([
        subcommand,
        "photos",
        "--device",
        "cpu",
        "--config",
        "models.toml",
    ]);
    match subcommand {
        "paste" => command.args(["--controls", "mean"]).arg("--object").arg(object()),
        _ => command.args(["--fills", "mean,surroundings", "--max-regions", "3"]),
    };
    command.args(["--out", run]);
    command
}

fn object() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models/objects/soccer-ball.png")
}

/// [`experiment`] on one shard, into `shards/INDEX`; exit status 1 where the picture that cannot be
/// read is in it.
fn shard(corpus: &Corpus, subcommand: &str, index: u64, count: u64) -> (Command, i32) {
    let mut command = experiment(corpus, subcommand, &format!("shards/{index}"));
    command.args(["--shard", &format!("{index}/{count}")]);
    let broken = emocam::corpus::shard_of("broken.png", count) == index;
    (command, i32::from(broken))
}

/// Does all shards, the last first; of three the first has no pictures.
fn do_shards(corpus: &Corpus, subcommand: &str, count: u64) -> Vec<Run> {
    for index in (1..=count).rev() {
        let (mut command, status) = shard(corpus, subcommand, index, count);
        let said = ends(&mut command, status);
        assert!(
            said.err.contains(&format!("shard {index} of {count} of a corpus of 7")),
            "{}",
            said.err
        );
    }
    let runs: Vec<Run> = (1..=count).map(|index| corpus.run(&format!("shards/{index}"))).collect();
    let images = runs
        .iter()
        .map(|run| fs::read_to_string(run.path("records.jsonl")).unwrap().lines().count());
    let images: Vec<usize> = images.collect();
    assert_eq!(images.iter().sum::<usize>(), 6);
    assert!(
        images.iter().filter(|&&images| images > 1).count() == 2,
        "one shard with all tests little: {images:?}"
    );
    runs
}

fn merge(corpus: &Corpus, shards: &[&str], out: &str) -> Command {
    let mut command = emocam();
    command.current_dir(corpus.path("")).arg("merge").args(shards).args(["--out", out]);
    command
}

/// Changes the value at `pointer` in a run's `run.json`; returns the text as it was.
fn change(run: &Run, pointer: &str, value: serde_json::Value) -> String {
    let before = fs::read_to_string(run.path("run.json")).unwrap();
    let mut manifest = run.manifest();
    *manifest.pointer_mut(pointer).unwrap() = value;
    fs::write(run.path("run.json"), manifest.to_string()).unwrap();
    before
}

#[test]
fn shards_of_paste_merged_are_one_run_byte_for_byte() {
    let corpus = scenes();
    let one = ends(&mut experiment(&corpus, "paste", "whole"), 1);
    do_shards(&corpus, "paste", 3);
    let said = ends(&mut merge(&corpus, &["shards"], "merged"), 1);
    let (whole, merged) = (corpus.run("whole"), corpus.run("merged"));
    assert_same_runs(&whole, &merged);
    assert_eq!(said.out, one.out);
    assert!(said.out.contains("soccer-ball"), "{}", said.out);
    for phrase in ["merged/paste.png", "1 failed in all; see merged/failures.csv"] {
        assert!(said.err.contains(phrase), "no \"{phrase}\" in {}", said.err);
    }
    let manifest = merged.manifest();
    assert_eq!(manifest["experiment"]["command"], "paste");
    assert_eq!(
        (&manifest["merged"][2]["folder"], &manifest["outcome"]["done"]),
        (&"shards/3".into(), &6.into())
    );
    assert_eq!(whole.table("paste.csv").column("images"), ["6"; 2 * 17]);
    assert_eq!(whole.table("failures.csv").column("path"), ["broken.png"]);
    // Nothing is left to do for the command without --shard.
    let said = ends(experiment(&corpus, "paste", "merged").arg("--resume"), 1);
    assert!(said.err.contains("7 images, 6 already done"), "{}", said.err);
    assert_same_runs(&whole, &merged);
}

#[test]
fn shards_of_remove_cut_off_then_resumed_and_merged_are_one_run_byte_for_byte() {
    let corpus = scenes();
    let one = ends(&mut experiment(&corpus, "remove", "whole"), 1);
    let shards = do_shards(&corpus, "remove", 2);
    // The larger one as a kill would leave it.
    let images = |run: &Run| fs::read_to_string(run.path("records.jsonl")).unwrap().lines().count();
    let cut = (0..2).max_by_key(|&place| images(&shards[place])).unwrap();
    let records = fs::read(shards[cut].path("records.jsonl")).unwrap();
    fs::write(shards[cut].path("records.jsonl"), &records[..records.len() * 3 / 5]).unwrap();
    change(&shards[cut], "/complete", false.into());
    let unfinished = format!("shard {0} of 2 (shards/{0}) is not finished", cut + 1);
    let again = "the same `emocam remove` with --resume continues it";
    refused(&mut merge(&corpus, &["shards"], "merged"), &[&unfinished, again]);
    assert!(!corpus.path("merged").exists());

    let whole = corpus.run("whole");
    let said = ends(merge(&corpus, &["shards"], "part").arg("--partial"), 0);
    assert!(
        said.err.contains("`emocam remove --resume --out part` without --shard"),
        "{}",
        said.err
    );
    let part = corpus.run("part");
    assert!(part.path("removal.csv").exists() && !part.path("failures.csv").exists());
    assert_eq!(part.manifest()["complete"], false);
    ends(experiment(&corpus, "remove", "part").arg("--resume"), 1);
    assert!(part.tables() == whole.tables(), "tables differ");

    let (mut command, status) = shard(&corpus, "remove", cut as u64 + 1, 2);
    let said = ends(command.arg("--resume"), status);
    assert!(said.err.contains("already done"), "{}", said.err);
    let said = ends(&mut merge(&corpus, &["shards/2", "shards/1"], "merged"), 1);
    assert_same_runs(&whole, &corpus.run("merged"));
    assert_eq!(said.out, one.out);
    assert!(said.err.contains("merged/removal.png"), "{}", said.err);
    assert!(whole.table("removal.csv").rows.len() > 6 * 4, "too few regions to tell orders apart");
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let corpus = scenes();
    let shards = do_shards(&corpus, "paste", 2);
    let mut removal = experiment(&corpus, "remove", "removed/1");
    let status = i32::from(emocam::corpus::shard_of("broken.png", 2) == 1);
    ends(removal.args(["--shard", "1/2"]), status);
    let refuse = |paths: &[&str], phrases: &[&str]| {
        refused(&mut merge(&corpus, paths, "merged"), phrases);
        assert!(!corpus.path("merged").exists());
    };
    let mixed =
        ["they are runs of different commands: `emocam paste` in shards/2, `emocam remove` in \
          removed/1; merge those"];
    refuse(&["removed/1", "shards/2"], &mixed);
    refuse(
        &["removed/1", "shards"],
        &["different commands: `emocam paste` in shards/1, `emocam remove` in removed/1"],
    );
    refuse(&["shards/2"], &["shard 1 of 2 is absent"]);
    for (pointer, value, phrase) in [
        (
            "/experiment/settings/scale",
            serde_json::json!(0.3),
            "scale: 0.2 in shards/1, 0.3 in shards/2",
        ),
        (
            "/configuration/association/min_confidence",
            0.5.into(),
            "association.min_confidence: 0 in shards/1, 0.5 in",
        ),
        ("/models/0/sha256", "00".into(), "00 in shards/2"),
        (
            "/experiment/command",
            "shuffle".into(),
            "shards/2 is a run of `emocam shuffle`, which is not made in shards",
        ),
    ] {
        let before = change(&shards[1], pointer, value);
        refuse(&["shards"], &[phrase]);
        fs::write(shards[1].path("run.json"), before).unwrap();
    }
    // A record of another experiment among those of this one.
    let before = fs::read_to_string(shards[1].path("records.jsonl")).unwrap();
    let stranger = fs::read_to_string(corpus.path("removed/1/records.jsonl")).unwrap();
    let among = format!("{before}{}\n", stranger.lines().next().unwrap());
    fs::write(shards[1].path("records.jsonl"), sealed(among.as_bytes())).unwrap();
    refuse(&["shards"], &["shards/2/records.jsonl", "not a record of this version"]);
    fs::write(shards[1].path("records.jsonl"), &before).unwrap();
    fs::write(shards[1].path("records.jsonl"), &before[..before.len() / 2]).unwrap();
    refuse(&["shards"], &["shards/2/records.jsonl: has", "the same `emocam paste` with --resume"]);
    let mut command = experiment(&corpus, "paste", "shards/1");
    let other = ["made differently", "shard: 1 of 2 then, 2 of 2 now"];
    refused(command.args(["--resume", "--shard", "2/2"]), &other);
}

#[test]
fn a_single_photo_and_drawn_scenes_have_no_shards() {
    let corpus = Corpus::empty();
    let mut find = emocam();
    find.arg("paste").arg("--object").arg(object()).args(["--find", "photo.png", "--shard", "1/2"]);
    refused(&mut find, &["--find", "cannot be used with", "--shard"]);
    let mut drawn = emocam();
    drawn.current_dir(corpus.path("")).args(["remove", "--drawn", "3", "--shard", "1/2"]);
    refused(&mut drawn, &["--drawn", "cannot be used with", "--shard"]);
}

#[test]
fn without_a_place_a_shard_goes_beside_the_others() {
    let corpus = scenes();
    let default = |subcommand: &str, index: u64| {
        let mut command = experiment(&corpus, subcommand, "");
        // Without the last two words, --out and its value.
        let arguments: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
        command = emocam();
        command.current_dir(corpus.path("")).args(&arguments[..arguments.len() - 2]);
        command.args(["--limit", "3", "--shard", &format!("{index}/2")]);
        command
    };
    for index in 1..=2 {
        for subcommand in ["paste", "remove"] {
            let code = default(subcommand, index).output().unwrap().status.code();
            assert!(matches!(code, Some(0 | 1)), "{subcommand} {index}: {code:?}");
        }
    }
    for folder in ["photos-paste-emocam-shards", "emocam-removal-shards"] {
        let mut names: Vec<_> = fs::read_dir(corpus.path(folder))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        assert_eq!(names, ["1-of-2", "2-of-2"]);
        ends(&mut merge(&corpus, &[folder], &format!("{folder}-merged")), 1);
    }
}
