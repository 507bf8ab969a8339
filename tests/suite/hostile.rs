//! Files that somebody made to do harm, each made here: a clear error, in little time and memory,
//! and nothing lost.

use crate::common::corpus::{Corpus, emocam, ends, refused};
use emocam::corpus::{DecodeOptions, decode};
use emocam::nn::weights::{StateDict, mean_image};
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Longer than anything here takes on a busy machine, far below what it took before.
const PATIENCE: Duration = Duration::from_secs(20);

fn in_time<T>(what: &str, run: impl FnOnce() -> T) -> T {
    let clock = Instant::now();
    let result = run();
    assert!(clock.elapsed() < PATIENCE, "{what} took {:?}", clock.elapsed());
    result
}

/// A grey progressive JPEG of `side` x `side` pixels, whose `scans` say the same again and again.
fn progressive_jpeg(side: u16, scans: usize) -> Vec<u8> {
    let mut bytes = vec![0xff, 0xd8, 0xff, 0xdb, 0, 67, 0];
    bytes.extend([1; 64]);
    let [high, low] = side.to_be_bytes();
    bytes.extend([0xff, 0xc2, 0, 11, 8, high, low, high, low, 1, 1, 0x11, 0]);
    // One code of one bit, which means: no difference.
    bytes.extend([0xff, 0xc4, 0, 20, 0, 1]);
    bytes.extend([0; 16]);
    let blocks = usize::from(side).div_ceil(8).pow(2);
    for _ in 0..scans {
        bytes.extend([0xff, 0xda, 0, 8, 1, 1, 0, 0, 0, 0]);
        bytes.extend(vec![0; blocks.div_ceil(8)]);
    }
    bytes.extend([0xff, 0xd9]);
    bytes
}

#[test]
fn a_jpeg_may_have_fewer_scans_the_larger_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let options = DecodeOptions::default();
    let jpeg = |side: u16, scans: usize| {
        let path = folder.path().join(format!("{side}-{scans}.jpg"));
        std::fs::write(&path, progressive_jpeg(side, scans)).unwrap();
        in_time("a JPEG", || decode(&path, &options))
    };
    jpeg(64, 900).unwrap();
    jpeg(4000, 16).unwrap();
    let message = jpeg(8000, 80).unwrap_err().to_string();
    assert!(message.contains("more than 31 scans of 64000000 pixels"), "{message}");
}

#[test]
fn a_picture_has_no_more_pixels_than_its_bytes_can_show() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flat.png");
    let flat = |side: u32| {
        let mut png = Vec::new();
        let mut encoder = png::Encoder::new(&mut png, side, side);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.write_header().unwrap().write_image_data(&vec![7; (side * side) as usize]).unwrap();
        std::fs::write(&path, png).unwrap();
        in_time("a flat PNG", || decode(&path, &DecodeOptions::default()))
    };
    assert_eq!(flat(5700).unwrap().size().area(), 5700 * 5700);
    let object = image::RgbaImage::from_pixel(4097, 4097, image::Rgba([9, 9, 9, 7]));
    let large = folder.path().join("object.png");
    object.save(&large).unwrap();
    let refused =
        in_time("an object", || emocam::paste::PastedObject::load(&large)).unwrap_err().to_string();
    assert!(refused.contains("16785409 pixels; 16777216 are the most of an object"), "{refused}");
    let message = flat(5900).unwrap_err().to_string();
    assert!(
        message.contains("34810000 pixels in") && message.contains("fewer than any photo takes"),
        "{message}"
    );
}

#[test]
fn a_profile_in_a_picture_takes_no_more_memory_than_a_picture_may() {
    let folder = tempfile::tempdir().unwrap();
    // 8 x 8 pixels, and a colour profile that unpacks to a gigabyte of zeros.
    let mut png = Vec::new();
    let mut encoder = png::Encoder::new(&mut png, 8, 8);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.write_header().unwrap().write_image_data(&[7; 64]).unwrap();
    let mut profile = b"big\0\0".to_vec();
    let mut packer = flate2::write::ZlibEncoder::new(&mut profile, flate2::Compression::best());
    (0..1024).for_each(|_| packer.write_all(&[0; 1 << 20]).unwrap());
    packer.finish().unwrap();
    let mut chunk = b"iCCP".to_vec();
    chunk.extend(&profile);
    let at = 33;
    let mut file = png[..at].to_vec();
    file.extend((profile.len() as u32).to_be_bytes());
    file.extend(&chunk);
    let mut sum = flate2::Crc::new();
    sum.update(&chunk);
    file.extend(sum.sum().to_be_bytes());
    file.extend(&png[at..]);
    let path = folder.path().join("profile.png");
    std::fs::write(&path, file).unwrap();
    // With the profile or without it: the picture is there, or an error.
    let mut command = Command::new("sh");
    let corpus = Corpus::empty();
    std::fs::copy(&path, corpus.path("photos/profile.png")).unwrap();
    corpus.add("good.png", "emonet/picture_0.png");
    let analyze = corpus.analyze("run");
    let arguments: Vec<String> =
        analyze.get_args().map(|part| part.to_string_lossy().into_owned()).collect();
    command.current_dir(corpus.path("")).args(["-c", "ulimit -v 3000000; exec \"$@\"", "sh"]);
    command.arg(analyze.get_program()).args(arguments);
    let output = in_time("a profile", || command.output().unwrap());
    assert!(output.status.code().is_some_and(|status| status < 2), "{output:?}");
    assert!(
        std::fs::read_to_string(corpus.path("run/records.jsonl")).unwrap().contains("good.png")
    );
}

/// `[net]` of this size, then sections.
fn cfg(corpus: &Corpus, side: u32, sections: &str) -> String {
    corpus.write("net.cfg", format!("[net]\nwidth={side}\nheight={side}\n{sections}"));
    corpus.write("one.names", "thing\n");
    // Darknet's head, and more numbers than any of these networks has.
    let mut weights = vec![0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0];
    weights.extend([0; 8]);
    corpus.write("net.weights", weights);
    corpus.path("net.cfg").display().to_string()
}

fn analyze_with(corpus: &Corpus, cfg: &str, names: &str) -> Command {
    let (weights, names) = (corpus.path("net.weights"), corpus.path(names));
    let files = [
        ("--detector", cfg),
        ("--detector-weights", weights.to_str().unwrap()),
        ("--class-names", names.to_str().unwrap()),
    ];
    let mut command = corpus.networks_but(&files);
    command.args(["photos", "--out", "hostile"]);
    command
}

#[test]
fn descriptions_of_detectors_that_cannot_be_are_refused_by_their_line() {
    let corpus = Corpus::empty();
    corpus.add("a.png", "emonet/picture_0.png");
    let convolution = |filters: u32, more: &str| {
        format!("[convolutional]\nfilters={filters}\nactivation=linear\n{more}")
    };
    let yolo = "[yolo]\nclasses=1\nanchors=10,12\n";
    let two_heads = format!(
        "{}{yolo}{}[yolo]\nclasses=2\nanchors=10,12\n",
        convolution(6, "size=1\n"),
        convolution(7, "size=1\n")
    );
    let nan = convolution(6, "size=1\n") + yolo + "scale_x_y=nan\n";
    let infinite = nan.replace("nan", "inf");
    let large =
        format!("{}{}{yolo}", convolution(8, "size=1\n"), convolution(6, "size=1\nstride=64\n"));
    let kernel = convolution(6, "size=4\nstride=2\n") + yolo;
    let window =
        format!("{}[maxpool]\nsize=4\nstride=2\npadding=0\n{yolo}", convolution(6, "size=1\n"));
    let layers = convolution(6, "size=1\n") + &"[dropout]\n".repeat(90_000) + yolo;
    let cases: [(u32, &str, &[&str]); 7] = [
        (64, &two_heads, &["[yolo] has 2 classes, and that of line 8 1", "line 15"]),
        (64, &nan, &["scale_x_y", "from 0.1 to 10, found NaN"]),
        (64, &infinite, &["scale_x_y", "found inf"]),
        (8192, &large, &["at most 268435456 values"]),
        (3, &kernel, &["at least one row and column"]),
        (3, &window, &["at least one row and column"]),
        (64, &layers, &["more than 2000 sections"]),
    ];
    for (side, sections, named) in cases {
        let path = cfg(&corpus, side, sections);
        in_time("a cfg", || refused(&mut analyze_with(&corpus, &path, "one.names"), named));
    }
}

#[test]
fn names_that_cannot_be_told_apart_or_shown_are_refused_with_their_file() {
    let corpus = Corpus::empty();
    corpus.add("a.png", "emonet/picture_0.png");
    let names = |text: &str, named: &[&str]| {
        corpus.write("bad.names", text);
        let file = corpus.path("bad.names");
        let mut command = corpus.networks_but(&[("--class-names", file.to_str().unwrap())]);
        refused(command.args(["photos", "--out", "hostile"]), named);
    };
    names("Cat\nOwl\nCat\nTin\n", &["bad.names", "`Cat` is there twice"]);
    names("Cat\nOwl\nimages\nTin\n", &["bad.names", "counts.csv"]);
    names("Cat\nOwl\n\u{1b}[31m\nTin\n", &["bad.names", "control characters"]);
    names(&format!("Cat\nOwl\n{}\nTin\n", "x".repeat(20_000)), &["bad.names", "20000 letters"]);
    // A mark of byte order and line ends of any system are nothing.
    corpus.write("good.names", "\u{feff}Cat\r\nOwl\r\nDog\r\nTin\r\n");
    let file = corpus.path("good.names");
    let mut command = corpus.networks_but(&[("--class-names", file.to_str().unwrap())]);
    ends(command.args(["photos", "--out", "good"]), 0);
    assert_eq!(corpus.run("good").manifest()["classes"][0], "Cat");
}

#[test]
fn cards_have_numbers_that_a_picture_can_have_and_files_that_end() {
    let folder = tempfile::tempdir().unwrap();
    let message = mean_image::read(Path::new("/dev/zero")).unwrap_err().to_string();
    assert!(message.contains("found no regular file"), "{message}");
    let path = folder.path().join("card.toml");
    let endless = in_time("a card", || {
        emocam::networks::Card::from_toml("labels = '/dev/zero'\ninput = 64\n", &path)
    });
    assert!(endless.unwrap_err().to_string().contains("found no regular file"));
    for (text, named) in [
        ("mean = [nan, 0, 0]", "`mean`"),
        ("mean = [1e30, 0, 0]", "`mean`"),
        ("std = [nan, 1, 1]", "`scale` and `std`"),
        ("scale = 1e-30", "`scale` and `std`"),
        ("valence = { bias = nan, weights = [1, 2] }", "valence"),
        ("valence = { bias = 0, weights = [1e300, 2] }", "valence"),
    ] {
        let card = format!("labels = ['a', 'b']\ninput = 64\n{text}\n");
        let message = emocam::networks::Card::from_toml(&card, &path).unwrap_err().to_string();
        assert!(message.contains(named), "{text}: {message}");
    }
    let long = format!("labels = ['a', '{}']\ninput = 64\n", "x".repeat(20_000));
    let message = emocam::networks::Card::from_toml(&long, &path).unwrap_err().to_string();
    assert!(message.contains("20000 letters") && message.len() < 500, "{message}");
}

#[test]
fn a_tar_in_the_clothes_of_a_checkpoint_is_refused_before_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("old.pth");
    // Five pickles as `torch.save` wrote them before 1.6, with the mark of a tar inside a text.
    let mut file =
        vec![0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, b'.'];
    file.extend([0x80, 2, b'M', 0xe9, 3, b'.']);
    let before = file.len() + 7;
    let mut text = vec![b'x'; 257 - before];
    text.extend(b"ustar");
    file.extend([0x80, 2, b'X']);
    file.extend((text.len() as u32).to_le_bytes());
    file.extend(&text);
    file.push(b'.');
    file.extend([0x80, 2, b'}', b'.', 0x80, 2, b']', b'.']);
    assert_eq!(&file[257..262], b"ustar");
    std::fs::write(&path, file).unwrap();
    let message = StateDict::open(&path).unwrap_err().to_string();
    assert!(message.contains("a tar, as PyTorch wrote before 2018"), "{message}");
}

#[test]
fn outlines_across_pictures_that_are_not_there_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("coco.json");
    let write = |side: u32, annotations: usize| {
        // Back and forth over the whole picture.
        let corners: Vec<String> =
            (0..40).map(|at| format!("{},{at}", if at % 2 == 0 { 0 } else { side })).collect();
        let annotation = format!(
            "{{\"image_id\": 1, \"category_id\": 1, \"segmentation\": [[{}, 0, {side}]]}}",
            corners.join(",")
        );
        let image = format!(
            "{{\"id\": 1, \"file_name\": \"a.jpg\", \"width\": {side}, \"height\": {side}}}"
        );
        let text = format!(
            "{{\"images\": [{image}], \"categories\": [{{\"id\": 1, \"name\": \"cat\"}}], \
             \"annotations\": [{}]}}",
            vec![annotation; annotations].join(",")
        );
        std::fs::write(&path, text).unwrap();
        in_time("outlines", || emocam::regions::read(&path, None))
    };
    let message = write(65_535, 2000).unwrap_err().to_string();
    assert!(message.contains("coco.json") && message.contains("cross more columns"), "{message}");
    let known = write(100, 2000).unwrap();
    assert_eq!(known.pictures()["a.jpg"].regions.len(), 2000);
}

#[test]
fn records_that_contradict_themselves_are_refused_by_their_line() {
    let corpus = Corpus::small();
    let run = corpus.analyzed("run");
    let text = std::fs::read_to_string(run.path("records.jsonl")).unwrap();
    let line = text.lines().position(|line| line.contains("\"class\":")).unwrap();
    let associate = || {
        let mut command = emocam();
        command.arg("associate").arg(&run.folder).args(["--out"]).arg(corpus.path("again"));
        command
    };
    type Change = fn(&mut serde_json::Value);
    let changes: [(Change, &str); 11] = [
        (
            |record| record["label"] = ((record["label"].as_u64().unwrap() + 1) % 20).into(),
            "its label has the probability",
        ),
        (|record| record["probabilities"][0] = 7.5.into(), "a probability of 7.5"),
        (|record| record["probabilities"] = vec![0.01; 20].into(), "whose sum is"),
        (
            |record| record["boxes"][0]["box"] = vec![30.0, 0.0, 10.0, 9.0].into(),
            "is no box in a picture",
        ),
        (|record| record["boxes"][0]["confidence"] = 1.5.into(), "a confidence of 1.5"),
        (|record| record["width"] = 0.into(), "a picture of 0 x"),
        (|record| record["maps"][0]["scores"][0][0] = 1.5.into(), "no map from 0 to 1 has this"),
        (|record| record["maps"][0]["mean"] = (-0.5).into(), "a mean of -0.5"),
        (
            |record| {
                let boxes = record["boxes"].as_array().unwrap().len();
                record["maps"][0]["score_errors"] = vec![-0.25; boxes].into();
            },
            "a standard error of -0.25",
        ),
        (
            |record| record["maps"][0]["score_errors"] = vec![0.1; 1000].into(),
            "1000 standard errors by grad-cam",
        ),
        (
            |record| {
                let last = record["boxes"].as_array().unwrap().len() - 1;
                record["boxes"][last]["confidence"] = 1.0.into();
                record["boxes"][0]["confidence"] = 0.5.into();
            },
            "not by falling confidence",
        ),
    ];
    for (change, named) in changes {
        let mut lines: Vec<String> = text.lines().map(String::from).collect();
        let mut record: serde_json::Value = serde_json::from_str(&lines[line]).unwrap();
        change(&mut record);
        // The seal is the last key, and not among those in the order of their names.
        record.as_object_mut().unwrap().remove("crc32");
        lines[line] = record.to_string();
        run.reseal((lines.join("\n") + "\n").as_bytes());
        refused(&mut associate(), &["records.jsonl", &format!("line {}", line + 1), named]);
    }
    let twice = format!("{text}{}\n", text.lines().next().unwrap());
    run.reseal(twice.as_bytes());
    refused(corpus.analyze("run").arg("--resume"), &["records.jsonl", "two records of"]);
    type ManifestChange = fn(&mut serde_json::Value);
    let inputs: [(ManifestChange, &str); 3] = [
        (|manifest| manifest["scoring"]["width"] = 0.into(), "1 to 65535 pixels, found 0"),
        (|manifest| manifest["scoring"]["stride"] = 0.into(), "1 to 65535 pixels, found 0"),
        (
            |manifest| manifest["input"]["crop"] = 0.into(),
            "a share of the picture over 0 and up to 1, found 0",
        ),
    ];
    for (change, named) in inputs {
        let mut manifest = run.manifest();
        let whole = manifest.to_string();
        change(&mut manifest);
        std::fs::write(run.path("run.json"), manifest.to_string()).unwrap();
        refused(&mut associate(), &["run.json", named]);
        std::fs::write(run.path("run.json"), whole).unwrap();
    }
}

#[test]
fn nothing_that_files_say_commands_the_terminal() {
    let corpus = Corpus::small();
    let run = corpus.analyzed("run");
    let mut manifest = run.manifest();
    manifest["warning"] = "\u{1b}]0;owned\u{7}".into();
    std::fs::write(run.path("run.json"), manifest.to_string()).unwrap();
    let mut command = emocam();
    let said = ends(command.arg("associate").arg(&run.folder), 0);
    assert!(
        said.err.contains("]0;owned")
            && !said.err.contains('\u{1b}')
            && !said.err.contains('\u{7}')
    );
    // A line of a configuration that cannot be read is not echoed whole.
    corpus.write("long.toml", format!("[cam]\nmethods = {}\n", "[".repeat(200_000)));
    let mut command = corpus.analyze("other");
    let output = command.arg("--config").arg(corpus.path("long.toml")).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stderr.len() < 10_000, "{}", output.stderr.len());
}

#[test]
fn memory_follows_the_work_and_not_the_flag() {
    let corpus = Corpus::empty();
    corpus.add("a.png", "emonet/picture_0.png");
    for (batch, out) in [("4", "four"), ("4096", "many")] {
        let mut command = corpus.analyze(out);
        in_time("a batch", || ends(command.args(["--batch", batch]), 0));
    }
    let (four, many) = (corpus.run("four"), corpus.run("many"));
    assert_eq!(four.tables(), many.tables());
    assert_eq!(many.manifest()["configuration"]["compute"]["batch"], 4);
    refused(
        corpus.analyze("more").args(["--batch", "100000"]),
        &["--batch", "should be a whole number from 1 to 4096"],
    );
    let rsa = |flag: &str| {
        let mut command = emocam();
        refused(
            command.arg("rsa").arg(&four.folder).args([flag, "100000000000"]),
            &[flag, "should be a whole number from 0 to"],
        );
    };
    rsa("--resamples");
    rsa("--permutations");
}
