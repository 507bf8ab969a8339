//! `emocam models`: what is known, made up, imported and verified; and completions.

use crate::common;
use crate::common::corpus::{Corpus, assert_same_tables, emocam, ends, refused};
use crate::common::reference;
use std::fmt::Write;
use std::fs;
use std::process::Command;

fn models(command: &str) -> Command {
    let mut all = emocam();
    all.args(["models", command]);
    all
}

#[test]
fn the_list_names_every_model_and_what_is_here() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("img_mean.txt"), "1,2").unwrap();
    let said = ends(models("list").arg("--models").arg(folder.path()), 0);
    for phrase in [
        &format!("models folder: {}", folder.path().display()),
        "yolov3-openimages: ",
        "emonet: ",
        "emonet-ecco: ",
        "licence: ",
        "cite: ",
        "yolov3-openimages.weights (Darknet weights, 259229388 bytes): not here",
        "yolov3-openimages.cfg (Darknet cfg): built in",
        "img_mean.txt (mean image, 227 lines of 681 numbers): here, 3 bytes",
    ] {
        assert!(said.out.contains(phrase), "no \"{phrase}\" in {}", said.out);
    }
    assert_eq!(said.err, "");
    let by_variable = ends(models("list").env("EMOCAM_MODELS", folder.path()), 0);
    assert_eq!(by_variable.out, said.out);
}

#[test]
fn without_a_network_fetch_says_what_to_do_by_hand() {
    let folder = tempfile::tempdir().unwrap();
    // A proxy that is not there stands for a network that is not there, on every machine.
    let fetch = || {
        let mut command = models("fetch");
        command
            .arg("--models")
            .arg(folder.path())
            .env("HTTPS_PROXY", "http://127.0.0.1:9")
            .env_remove("NO_PROXY");
        command
    };
    let place = format!("{}/emonet.pth: could not be downloaded", folder.path().display());
    refused(
        fetch().arg("emonet"),
        &[&place, "no connection", "Get it by hand from https://gitlab.com/"],
    );
    refused(
        &mut fetch(),
        &["yolov3-openimages.weights: could not be", "https://pjreddie.com/darknet/yolo/"],
    );
    refused(
        fetch().arg("resnet"),
        &["`resnet` is no known model", "yolov3-openimages, emonet, emonet-ecco"],
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn random_weights_are_the_same_for_the_same_seed_and_every_run_with_them_is_marked() {
    let corpus = Corpus::empty();
    corpus.add("a.png", "emonet/picture_3.png");
    let make = |seed: &str, name: &str| {
        let mut command = models("synthesize");
        command
            .arg(reference("darknet/yolov3.cfg"))
            .args(["--seed", seed, "--out"])
            .arg(corpus.path(name));
        ends(&mut command, 0);
        fs::read(corpus.path(name)).unwrap()
    };
    let one = make("1", "one.weights");
    assert!(one == make("1", "new/folder/again.weights"));
    assert!(one != make("2", "two.weights"));
    assert_eq!(
        one.len(),
        fs::metadata(reference("darknet/yolov3.weights")).unwrap().len() as usize
    );
    let mut over = models("synthesize");
    refused(
        over.arg(reference("darknet/yolov3.cfg")).arg("--out").arg(corpus.path("one.weights")),
        &["one.weights exists already", "--out"],
    );
    refused(
        models("synthesize").arg("resnet"),
        &["network: yolov3-openimages, emonet or the path of a cfg", "resnet"],
    );

    let mut marked = corpus.networks_but(&[("--detector-weights", "one.weights")]);
    marked.args(["photos", "--out", "run"]);
    let warning =
        "synthesized weights (detector.weights): random numbers in place of a trained model";
    assert!(ends(&mut marked, 0).err.contains(&format!("warning: {warning}")));
    let run = corpus.run("run");
    assert!(run.manifest()["warning"].as_str().unwrap().starts_with(warning));
    let files = run.manifest()["models"].take();
    let synthesized = files.as_array().unwrap().iter().filter(|file| file["synthesized"] == true);
    assert_eq!(
        synthesized.map(|file| file["role"].as_str().unwrap()).collect::<Vec<_>>(),
        ["detector.weights"]
    );
    assert!(run.table("objects.csv").rows.len() > 3, "random weights find something");
    // The mark outlives the command that set it.
    assert!(ends(emocam().arg("associate").arg(&run.folder), 0).err.contains(warning));
    let svg = fs::read_to_string(run.path("grad-cam/heatmap.svg")).unwrap();
    assert!(svg.contains("synthesized"), "the picture carries the warning");
}

#[test]
fn a_random_emonet_can_be_used_at_once_and_is_not_taken_for_the_published_one() {
    let corpus = Corpus::empty();
    corpus.add("a.png", "emonet/picture_3.png");
    let folder = corpus.path("models");
    ends(models("synthesize").arg("emonet").arg("--models").arg(&folder), 0);
    assert_eq!(common::corpus::files_below(&folder), ["emonet.pth", "img_mean.txt"]);
    let mut marked = corpus.networks_but(&[("--emotion-weights", "")]);
    marked.args(["photos", "--out", "run"]).arg("--models").arg(&folder);
    let warning = "synthesized weights (emotion.weights, emotion.mean)";
    assert!(ends(&mut marked, 0).err.contains(warning));
    assert!(corpus.run("run").manifest()["warning"].as_str().unwrap().starts_with(warning));
    assert_eq!(corpus.run("run").table("images.csv").rows.len(), 1);

    let verified = ends(models("verify").arg("--models").arg(&folder), 0);
    assert!(
        verified.out.contains("ok     emonet.pth: a network of random numbers (synthesized)"),
        "{}",
        verified.out
    );
    refused(
        models("fetch")
            .arg("emonet")
            .arg("--models")
            .arg(&folder)
            .env("HTTPS_PROXY", "http://127.0.0.1:9"),
        &["emonet.pth: here, but made by `emocam models synthesize`", "img_mean.txt"],
    );
    // A mean image that is there is someone's own.
    fs::remove_file(folder.join("emonet.pth")).unwrap();
    refused(
        models("synthesize").arg("emonet").arg("--models").arg(&folder),
        &["img_mean.txt exists already"],
    );
}

/// The mean image of the reference values, by the formula of `scripts/reference/emonet.py`.
fn mean_image() -> String {
    let mut text = String::new();
    for y in 0..227 {
        for channel in 0..3 {
            for x in 0..227 {
                let separator = if (channel, x) == (2, 226) { "\n" } else { "," };
                write!(text, "{}{separator}", 104 + 8 * channel + y / 4 - x / 6).unwrap();
            }
        }
    }
    text
}

#[test]
fn an_imported_checkpoint_gives_the_same_run_as_the_published_one() {
    let corpus = Corpus::small();
    corpus.write("mean.txt", mean_image());
    let checkpoint = reference("emonet/narrow_leuven.pth");
    let analyze = |run: &str, weights: &str, flags: &[&str]| {
        let mut command = corpus.networks_but(&[("--emotion-weights", weights)]);
        command.args(["photos", "--out", run]).args(flags);
        command
    };
    let published = checkpoint.to_str().unwrap();
    refused(&mut analyze("none", published, &[]), &["narrow_leuven.pth", "img_mean.txt", "mean"]);
    ends(&mut analyze("published", published, &["--emotion-mean", "mean.txt"]), 0);
    let import = || {
        let mut command = models("import");
        command.current_dir(corpus.path("")).arg(&checkpoint);
        command
    };
    refused(import().args(["--out", "none.safetensors"]), &["narrow_leuven.pth", "mean"]);
    let said = ends(import().args(["--emotion-mean", "mean.txt", "--out", "mine.safetensors"]), 0);
    assert!(said.err.contains("mine.safetensors"), "{}", said.err);
    ends(&mut analyze("imported", "mine.safetensors", &[]), 0);
    let published = corpus.run("published");
    assert_same_tables(&published, &corpus.run("imported"));
    let expected = common::json("emonet/leuven.json");
    let labels = published.table("images.csv");
    for (label, picture) in
        labels.column("label").iter().zip(expected["pictures"].as_array().unwrap())
    {
        assert_eq!(*label, picture["label"].as_str().unwrap());
    }
    assert!(corpus.analyzed("other").tables()["images.csv"] != published.tables()["images.csv"]);

    corpus.write("broken.pth", &fs::read(&checkpoint).unwrap()[..60_000]);
    refused(import().arg("--out").arg("none.safetensors").current_dir("/"), &["mean"]);
    refused(models("import").arg(corpus.path("broken.pth")), &["broken.pth"]);
    refused(&mut models("import"), &["CHECKPOINT"]);
    assert!(
        !corpus.path("none.safetensors").exists() && !corpus.path("broken.safetensors").exists()
    );
}

#[test]
fn darknet_weights_are_checked_against_their_cfg() {
    let check = |cfg: &str| {
        let mut command = models("import");
        command
            .arg("--detector")
            .arg(reference(cfg))
            .arg("--detector-weights")
            .arg(reference("darknet/yolov3.weights"));
        command
    };
    let said = ends(&mut check("darknet/yolov3.cfg"), 0);
    assert!(
        said.out.contains("yolov3.weights: fits ") && !said.out.contains("random"),
        "{}",
        said.out
    );
    refused(
        &mut check("darknet/tiny.cfg"),
        &["yolov3.weights", "expected 14588 floats for this cfg, found 16127", "layer 22"],
    );
}

#[test]
fn verify_finds_damage_and_says_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let verify = || {
        let mut command = models("verify");
        command.arg("--models").arg(folder.path());
        command
    };
    refused(
        &mut verify(),
        &["has no published model file, so that nothing was verified", "emocam models fetch"],
    );

    let checkpoint = folder.path().join("emonet_pytorch_weights.pt");
    fs::copy(reference("emonet/narrow_ecco.pt"), &checkpoint).unwrap();
    let first = ends(&mut verify(), 0);
    assert!(
        first.out.starts_with("ok     emonet_pytorch_weights.pt: a network with 20 labels"),
        "{}",
        first.out
    );
    assert!(first.out.contains("recorded") && ends(&mut verify(), 0).out.contains("as recorded"));

    let bytes = fs::read(&checkpoint).unwrap();
    fs::write(&checkpoint, &bytes[..bytes.len() - 1000]).unwrap();
    fs::write(folder.path().join("yolov3-openimages.weights"), &bytes[..500]).unwrap();
    let damaged = ends(&mut verify(), 1);
    let lines: Vec<&str> = damaged.out.lines().collect();
    assert_eq!(lines.len(), 2, "{}", damaged.out);
    assert!(
        lines[0].starts_with("WRONG  yolov3-openimages.weights: ") && lines[0].contains("numbers"),
        "{}",
        lines[0]
    );
    assert!(lines[1].starts_with("WRONG  emonet_pytorch_weights.pt: SHA-256"), "{}", lines[1]);
    fs::write(&checkpoint, &bytes).unwrap();
    fs::remove_file(folder.path().join("yolov3-openimages.weights")).unwrap();
    assert!(ends(&mut verify(), 0).out.contains("as recorded"));
}

#[test]
fn completions_know_the_subcommands() {
    for shell in ["bash", "zsh", "fish"] {
        let script = ends(emocam().args(["completions", shell]), 0).out;
        for word in ["analyze", "associate", "models", "emotion-weights"] {
            assert!(script.contains(word), "{shell} lacks {word}");
        }
        if Command::new(shell).arg("--version").output().is_ok() {
            let file = tempfile::NamedTempFile::new().unwrap();
            fs::write(file.path(), script).unwrap();
            ends(Command::new(shell).arg("-n").arg(file.path()), 0);
        }
    }
    refused(emocam().args(["completions", "cmd"]), &["cmd", "bash"]);
}
