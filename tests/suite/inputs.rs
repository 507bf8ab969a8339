//! Corpora as lists and tars: the same results as from a folder, and no harm from files that are
//! not what they should be.

use crate::common;
use crate::common::corpus::{Corpus, Run, assert_same_tables, emocam, ends, refused};
use crate::common::{json, reference};
use emocam::corpus::{DecodeOptions, digest, find};
use emocam::files::sha256;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use tar::{Builder, EntryType, Header};

/// A tar of these members, in this order.
fn tar_of(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = Builder::new(Vec::new());
    for (name, content) in members {
        tar.append(&header(name, content.len() as u64, EntryType::Regular), *content).unwrap();
    }
    tar.into_inner().unwrap()
}

/// A header that says what it is told, also what `tar` would not write.
fn header(name: &str, size: u64, kind: EntryType) -> Header {
    let mut header = Header::new_gnu();
    header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_size(size);
    header.set_entry_type(kind);
    header.set_cksum();
    header
}

/// The files of `photos` with their contents, in the order of their names.
fn files_of(corpus: &Corpus) -> Vec<(String, Vec<u8>)> {
    let names = common::corpus::files_below(&corpus.path("photos")).into_iter();
    names.map(|name| (name.clone(), fs::read(corpus.path("photos").join(name)).unwrap())).collect()
}

/// Packs `photos` into `name`.
fn pack(corpus: &Corpus, name: &str) -> Vec<u8> {
    let files = files_of(corpus);
    let members: Vec<(&str, &[u8])> =
        files.iter().map(|(name, content)| (name.as_str(), content.as_slice())).collect();
    let tar = tar_of(&members);
    corpus.write(name, &tar);
    tar
}

/// `emocam analyze CORPUS --out RUN` with the miniature networks, which must end with this status.
fn analyzed(corpus: &Corpus, root: &str, run: &str, status: i32) -> Run {
    ends(corpus.networks().args([root, "--out", run]), status);
    corpus.run(run)
}

/// The tables of a run with `name/` taken out of the paths.
fn tables_without(run: &Run, name: &str) -> BTreeMap<String, String> {
    let without =
        |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replace(&format!("{name}/"), "");
    run.tables().into_iter().map(|(table, bytes)| (table, without(bytes))).collect()
}

/// Path and cause of a run's failures.
fn failures(run: &Run) -> Vec<(String, String)> {
    let table = run.table("failures.csv");
    let [path, cause] = ["path", "cause"].map(|column| table.at(column));
    table.rows.iter().map(|row| (row[path].clone(), row[cause].clone())).collect()
}

fn found(roots: &[&Path]) -> emocam::corpus::Corpus {
    find(&roots.iter().map(PathBuf::from).collect::<Vec<_>>()).unwrap()
}

#[test]
fn members_lie_where_pythons_tarfile_finds_them() {
    let index = json("tars/index.json");
    assert_eq!(index.as_object().unwrap().len(), 5);
    for (tar, members) in index.as_object().unwrap() {
        let corpus = found(&[&reference(&format!("tars/{tar}"))]);
        let bytes = fs::read(reference(&format!("tars/{tar}"))).unwrap();
        let mut wanted: Vec<_> = members.as_array().unwrap().iter().collect();
        wanted.sort_by_key(|member| member[0].as_str().unwrap());
        assert_eq!(corpus.images.len(), wanted.len(), "{tar}");
        for (image, wanted) in corpus.images.iter().zip(wanted) {
            let place = image.member.unwrap();
            let member = image.path.strip_prefix(image.tar().unwrap()).unwrap();
            assert_eq!(member, format!("/{}", wanted[0].as_str().unwrap()));
            assert_eq!(
                (place.offset, image.size),
                (wanted[1].as_u64().unwrap(), wanted[2].as_u64().unwrap())
            );
            let content = &bytes[place.offset as usize..][..image.size as usize];
            assert_eq!(sha256(content), wanted[3].as_str().unwrap(), "{}", image.path);
            assert_eq!(image.decode(&DecodeOptions::default()).unwrap().pixels.size().height, 4);
        }
        let problems: Vec<_> = corpus.problems.iter().map(|of| of.cause.as_str()).collect();
        match tar.starts_with("sparse") {
            true => assert!(
                problems.len() == 1 && problems[0].contains("sparse"),
                "{tar}: {problems:?}"
            ),
            false => assert!(problems.is_empty(), "{tar}: {problems:?}"),
        }
    }
}

#[test]
fn a_list_of_all_files_is_the_folder() {
    let corpus = Corpus::small();
    let folder = corpus.analyzed("folder");
    let mut names: Vec<String> = files_of(&corpus).into_iter().map(|(name, _)| name).collect();
    names.retain(|name| !name.ends_with(".txt"));
    names.reverse();
    // As editors and `find` write it: line ends of both kinds, "./", a line twice, an empty one.
    let list = format!("\u{feff}{}\r\n\n./{}\n{}", names[0], names[1..].join("\n"), names[3]);
    corpus.write("photos/files.txt", list);
    let listed = analyzed(&corpus, "@photos/files.txt", "listed", 0);
    assert_same_tables(&folder, &listed);
    assert_eq!(folder.manifest()["corpus"]["sha256"], listed.manifest()["corpus"]["sha256"]);
    let named = listed.manifest()["corpus"]["folders"][0].as_str().unwrap().to_string();
    assert!(named.starts_with("@/") && named.ends_with("/photos/files.txt"), "{named}");
}

#[test]
fn a_list_may_name_what_is_not_there_and_what_lies_elsewhere() {
    let corpus = Corpus::small();
    let far = corpus.path("photos/b/420.jpg");
    corpus.write(
        "lists/mine.txt",
        format!("../photos/a/picture_1.png\nnone.png\n../photos\n{}\n", far.display()),
    );
    let run = analyzed(&corpus, "@lists/mine.txt", "run", 1);
    let far = far.to_str().unwrap();
    assert_eq!(run.table("images.csv").column("path"), ["../photos/a/picture_1.png", far]);
    let failures = failures(&run);
    assert_eq!(
        failures.iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>(),
        ["../photos", "none.png"]
    );
    assert!(
        failures[0].1.contains("a folder") && failures[1].1.contains("No such file"),
        "{failures:?}"
    );
    corpus.write("lists/wrong.txt", "a.png\nb.png\n");
    let wrong = "no images in @lists/wrong.txt";
    refused(
        corpus.networks().arg("@lists/wrong.txt"),
        &[wrong, "a.png: listed, but cannot be read: No such file"],
    );
    refused(corpus.networks().arg("@lists/none.txt"), &["cannot read lists/none.txt"]);
}

#[test]
fn a_list_may_come_through_a_pipe_and_name_tars() {
    let corpus = Corpus::small();
    pack(&corpus, "shards/0.tar");
    corpus.write("list", "shards/0.tar\nphotos/b/420.jpg\n");
    let mut command = corpus.networks();
    command.args(["@-", "--out", "run"]).stdin(fs::File::open(corpus.path("list")).unwrap());
    ends(&mut command, 0);
    let images = corpus.run("run").table("images.csv");
    assert_eq!(images.rows.len(), 16);
    assert_eq!(images.column("path")[0], "photos/b/420.jpg");
    assert!(images.column("path")[1..].iter().all(|path| path.starts_with("shards/0.tar/")));
}

#[test]
fn a_tar_gives_the_folders_tables() {
    let corpus = Corpus::small();
    let folder = tables_without(&corpus.analyzed("folder"), "photos.tar");
    pack(&corpus, "shards/photos.tar");
    let tar = analyzed(&corpus, "shards", "tar", 0);
    assert_eq!(tar.table("images.csv").rows.len(), 15);
    assert!(
        tar.table("images.csv").column("path").iter().all(|path| path.starts_with("photos.tar/"))
    );
    assert!(tables_without(&tar, "photos.tar") == folder);
    let alone = analyzed(&corpus, "shards/photos.tar", "alone", 0);
    assert!(tables_without(&alone, "shards/photos.tar") == folder);
    // Read by one thread or many.
    ends(corpus.networks().args(["shards", "--out", "one", "--threads", "1"]), 0);
    assert_same_tables(&tar, &corpus.run("one"));
}

#[test]
fn the_other_commands_take_tars_too() {
    let corpus = Corpus::small();
    pack(&corpus, "shards/photos.tar");
    let object = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/objects/soccer-ball.png");
    let networks = |command: &str, root: &str, out: &str| {
        let mut command_line = emocam();
        command_line
            .current_dir(corpus.path(""))
            .args([command, root, "--out", out, "--device", "cpu"]);
        command_line.arg("--emotion-weights").arg(reference("emonet/narrow_ecco.pt"));
        command_line
    };
    for (root, out) in [("photos", "pasted"), ("shards", "pasted_tar")] {
        ends(networks("paste", root, out).arg("--object").arg(&object), 0);
    }
    assert!(
        tables_without(&corpus.run("pasted_tar"), "photos.tar")
            == tables_without(&corpus.run("pasted"), "photos.tar")
    );
    for (root, out) in [("photos/a", "judged"), ("shards/photos.tar/a/picture_1.png", "judged_tar")]
    {
        ends(
            networks("evaluate", root, out).args([
                "--metrics",
                "deletion",
                "--resamples",
                "0",
                "--limit",
                "2",
            ]),
            0,
        );
    }
    let [judged, of_member] =
        ["judged", "judged_tar"].map(|run| corpus.run(run).table("images.csv").rows);
    // Label and probability: in the curves what is equally high is ordered at random, by the
    // image's name.
    let of_picture = |rows: &[Vec<String>]| -> Vec<Vec<String>> {
        rows.iter()
            .filter(|row| row[0].ends_with("picture_1.png"))
            .map(|row| row[1..3].to_vec())
            .collect()
    };
    assert!(!of_picture(&judged).is_empty());
    assert_eq!(of_picture(&judged), of_picture(&of_member));
    // The name a run over the folder of tars gave it, by `--corpus`.
    let said =
        ends(corpus.explain().args(["shards/photos.tar/b/420.jpg", "--corpus", "shards"]), 0);
    assert!(said.out.starts_with("photos.tar/b/420.jpg: "), "{}", said.out);
    refused(
        corpus.explain().arg("shards/photos.tar/b/none.jpg"),
        &["photos.tar: has no image named b/none.jpg"],
    );
}

#[test]
fn of_a_truncated_tar_what_precedes_the_cut_is_analysed_and_the_rest_is_named() {
    let corpus = Corpus::small();
    let whole = pack(&corpus, "whole/photos.tar");
    let images = found(&[&corpus.path("whole/photos.tar")]).images;
    let all = tables_without(&analyzed(&corpus, "whole", "all", 0), "photos.tar");
    // Within the eleventh member, between two headers, and without the end marker alone.
    let eleventh = images[10].member.unwrap().offset as usize;
    for (number, (cut, left)) in
        [(eleventh + 5, 10), (eleventh - 512, 10), (whole.len() - 1024, 15)].into_iter().enumerate()
    {
        corpus.write(&format!("cut_{number}/photos.tar"), &whole[..cut]);
        let run = analyzed(&corpus, &format!("cut_{number}"), &format!("run_{number}"), 1);
        let lines = |text: &str| text.lines().map(String::from).collect::<Vec<_>>();
        let [found, wanted] =
            [&tables_without(&run, "photos.tar"), &all].map(|tables| lines(&tables["images.csv"]));
        assert_eq!(found, wanted[..=left], "cut {number}");
        let failures = failures(&run);
        let (tar, cause) = &failures[0];
        assert!(tar == "photos.tar" && cause.contains("the tar is truncated"), "{failures:?}");
        assert_eq!(failures.len(), if number == 0 { 2 } else { 1 });
        if number == 0 {
            let name = images[10].path.strip_prefix(images[10].tar().unwrap()).unwrap();
            assert_eq!(failures[1].0, format!("photos.tar{name}"));
            let there = format!("5 of {} bytes are there", images[10].size);
            assert!(failures[1].1.contains(&there), "{failures:?}");
        }
    }
}

#[test]
fn hostile_names_and_members_do_no_harm() {
    let corpus = Corpus::empty();
    let picture = fs::read(reference("pillow_resize/2x3.png")).unwrap();
    let other = fs::read(reference("pillow_resize/113x1.png")).unwrap();
    let inner = tar_of(&[("inner.png", &picture)]);
    let mut tar = Builder::new(Vec::new());
    let mut add = |name: &str, kind, content: &[u8]| {
        tar.append(&header(name, content.len() as u64, kind), content).unwrap();
    };
    add("../../../up.png", EntryType::Regular, &picture);
    add("/root.png", EntryType::Regular, &picture);
    add("./a//b.png", EntryType::Regular, &other);
    add("a/b.png", EntryType::Regular, &picture);
    add("._a.png", EntryType::Regular, b"hidden");
    add("inner.tar", EntryType::Regular, &inner);
    add("folder.png", EntryType::Directory, b"");
    add("link.png", EntryType::Symlink, b"");
    add("hard.png", EntryType::Link, b"");
    add("pipe.png", EntryType::Fifo, b"");
    add("empty.png", EntryType::Regular, b"");
    add("z/last.png", EntryType::Regular, &picture);
    let bytes = tar.into_inner().unwrap();
    corpus.write("shards/x.tar", &bytes);
    ends(corpus.networks().args(["shards", "--out", "deep/run", "--save-maps"]), 1);
    let run = corpus.run("deep/run");
    let images = run.table("images.csv");
    // Of two members of one name the later one counts, as when it is unpacked.
    let paths = ["x.tar/../../../up.png", "x.tar/a/b.png", "x.tar/root.png", "x.tar/z/last.png"];
    assert_eq!(images.column("path"), paths);
    assert_eq!(images.column("width"), ["2"; 4]);
    let causes: Vec<(String, String)> = failures(&run);
    let expected = [
        ("empty.png", "the file is empty"),
        ("hard.png", "a hard link in a tar"),
        ("link.png", "a symbolic link in a tar"),
        ("pipe.png", "a named pipe in a tar"),
    ];
    assert_eq!(causes.len(), expected.len(), "{causes:?}");
    for ((path, cause), (name, phrase)) in causes.iter().zip(expected) {
        assert!(*path == format!("x.tar/{name}") && cause.contains(phrase), "{path}: {cause}");
    }
    let everything = common::corpus::files_below(&corpus.path(""));
    let maps: Vec<_> = everything.iter().filter(|name| name.ends_with(".safetensors")).collect();
    assert_eq!(maps.len(), 4);
    assert!(maps.iter().all(|name| name.starts_with("deep/run/maps/x.tar/")), "{maps:?}");
}

#[test]
fn impossible_sizes_and_joined_tars_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let picture = fs::read(reference("pillow_resize/2x3.png")).unwrap();
    let good = tar_of(&[("a.png", &picture)]);
    let members = &good[..good.len() - 1024];
    let with = |further: &[u8]| [members, further].concat();
    let mut longname = header("././@LongLink", 1 << 40, EntryType::GNULongName);
    longname.set_cksum();
    let mut largest = header("b.png", 0, EntryType::Regular);
    largest.as_gnu_mut().unwrap().size = [0xff; 12];
    largest.as_gnu_mut().unwrap().size[0] = 0x80;
    largest.set_cksum();
    let cases: [(Vec<u8>, &str); 6] = [
        (with(header("b.png", 1 << 40, EntryType::Regular).as_bytes()), "the tar is truncated"),
        (with(largest.as_bytes()), "x.tar"),
        // A long name of a terabyte, as a hole.
        (with(longname.as_bytes()), "more than 1048576 bytes"),
        (with(&[7; 2048]), "what comes behind a.png is not read"),
        ([good.as_slice(), &good].concat(), "more behind the tar's end marker"),
        (b"no tar at all, but long enough to be a header ".repeat(20), "nothing of it is read"),
    ];
    for (number, (bytes, phrase)) in cases.into_iter().enumerate() {
        let tar = folder.path().join("x.tar");
        fs::write(&tar, &bytes).unwrap();
        if number == 2 {
            fs::File::options().write(true).open(&tar).unwrap().set_len(1 << 40).unwrap();
        }
        let corpus = found(&[folder.path()]);
        let names: Vec<_> = corpus.images.iter().map(|image| image.path.as_str()).collect();
        assert_eq!(names, if number == 5 { vec![] } else { vec!["x.tar/a.png"] }, "case {number}");
        let causes: Vec<String> =
            corpus.problems.iter().map(|of| format!("{}: {}", of.path, of.cause)).collect();
        assert!(causes.iter().any(|cause| cause.contains(phrase)), "case {number}: {causes:?}");
        assert!(corpus.images.iter().all(|image| image.decode(&DecodeOptions::default()).is_ok()));
    }
}

#[test]
fn compressed_tars_are_refused_with_what_to_do() {
    let corpus = Corpus::small();
    for name in ["x.tar.gz", "x.tgz", "x.TAR.zst"] {
        corpus.write(&format!("shards/{name}"), b"\x1f\x8b\x08");
        refused(
            corpus.networks().arg(format!("shards/{name}")),
            &["a compressed tar", "unpack it to a plain .tar"],
        );
    }
    pack(&corpus, "shards/x.tar");
    let run = analyzed(&corpus, "shards", "run", 1);
    assert_eq!(run.table("images.csv").rows.len(), 15);
    assert_eq!(failures(&run).len(), 3);
}

#[test]
fn a_run_over_a_tar_goes_on_and_refuses_another_tar() {
    let corpus = Corpus::small();
    pack(&corpus, "shards/x.tar");
    let whole = analyzed(&corpus, "shards", "whole", 0);
    analyzed(&corpus, "shards", "torn", 0);
    let torn = corpus.run("torn");
    let records = fs::read(whole.path("records.jsonl")).unwrap();
    fs::write(torn.path("records.jsonl"), &records[..records.len() / 2]).unwrap();
    ends(corpus.networks().args(["shards", "--out", "torn", "--resume"]), 0);
    assert_same_tables(&whole, &torn);
    assert!(fs::read(torn.path("records.jsonl")).unwrap() == records);
    // The same names, one of them with a byte more.
    let mut files = files_of(&corpus);
    files[2].1.push(0);
    let members: Vec<(&str, &[u8])> =
        files.iter().map(|(name, content)| (name.as_str(), content.as_slice())).collect();
    corpus.write("shards/x.tar", tar_of(&members));
    refused(
        corpus.networks().args(["shards", "--out", "torn", "--resume"]),
        &["digest of the pictures' paths and sizes"],
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Nothing panics, whatever stands in the headers; what is found lies within the file.
    #[test]
    fn damaged_tars_never_panic(
        kind in 0..5_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
        refresh in any::<bool>(),
        end in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let name = ["ustar", "gnu", "pax", "sparse_gnu", "sparse_pax"][kind];
        let mut bytes = fs::read(reference(&format!("tars/{name}.tar"))).unwrap();
        // Most of a tar is padding: changes go where something stands.
        let told: Vec<usize> = (0..bytes.len()).filter(|&at| bytes[at] != 0).collect();
        for (at, value) in changes {
            bytes[told[at.index(told.len())]] = value;
        }
        if refresh {
            // Else the checksum would reject nearly every change.
            for block in bytes.chunks_exact_mut(512).filter(|block| block[257..262] == *b"ustar") {
                let mut header = Header::new_old();
                header.as_mut_bytes().copy_from_slice(block);
                header.set_cksum();
                block.copy_from_slice(header.as_bytes());
            }
        }
        if let Some(end) = end {
            bytes.truncate(end.index(bytes.len()));
        }
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("x.tar"), &bytes).unwrap();
        let corpus = found(&[folder.path()]);
        prop_assert_eq!(digest(&corpus.images).len(), 64);
        for image in &corpus.images {
            let member = image.member.unwrap();
            prop_assert!(member.offset + image.size <= bytes.len() as u64);
            prop_assert_eq!(image.tar(), Some("x.tar"));
            let _ = image.decode(&DecodeOptions { max_pixels: 1 << 16, ..DecodeOptions::default() });
        }
    }
}

#[test]
fn fast_decoding_keeps_sizes_and_boxes_in_pixels_of_the_photo() {
    let corpus = Corpus::empty();
    // Smooth, so that what is left at a quarter is the same picture.
    let pixel = |x: u32, y: u32| image::Rgb([(x / 5) as u8, (y / 4) as u8, ((x + y) / 8) as u8]);
    let photo = image::RgbImage::from_fn(1200, 920, pixel);
    fs::create_dir_all(corpus.path("photos")).unwrap();
    photo.save(corpus.path("photos/large.jpg")).unwrap();
    photo.save(corpus.path("photos/large.png")).unwrap();
    let whole = corpus.analyzed("whole");
    ends(corpus.analyze("fast").arg("--fast-decode"), 0);
    let fast = corpus.run("fast");
    let [before, after] = [&whole, &fast].map(|run| run.table("images.csv"));
    assert_eq!(after.column("width"), ["1200", "1200"]);
    assert_eq!(after.column("height"), ["920", "920"]);
    // The PNG is decoded as ever; the JPEG is not.
    assert_eq!(before.rows[1], after.rows[1]);
    assert_ne!(before.rows[0], after.rows[0]);
    let number = |text: &str| text.parse::<f64>().unwrap();
    let probability = |table: &common::corpus::Table| number(table.column("probability")[0]);
    assert!((probability(&before) - probability(&after)).abs() < 0.02);
    let boxes = |run: &Run| {
        let objects = run.table("objects.csv");
        let [path, class] = ["path", "class"].map(|column| objects.at(column));
        let edges = ["x_min", "y_min", "x_max", "y_max"].map(|column| objects.at(column));
        let of = |row: &Vec<String>| (row[class].clone(), edges.map(|at| number(&row[at])));
        objects.rows.iter().filter(|row| row[path] == "large.jpg").map(of).collect::<Vec<_>>()
    };
    let (wanted, found) = (boxes(&whole), boxes(&fast));
    let near = |(class, edges): &&(String, [f64; 4])| {
        let like = |other: &&(String, [f64; 4])| {
            other.0 == *class && edges.iter().zip(other.1).all(|(a, b)| (a - b).abs() < 12.0)
        };
        found.iter().any(|other| like(&other))
    };
    // A random network is unsure of much; in pixels of the reduced picture next to nothing would be
    // alike.
    let alike = wanted.iter().filter(near).count();
    assert!(!wanted.is_empty() && alike * 4 >= wanted.len() * 3, "{alike} of {}", wanted.len());
    refused(
        corpus.analyze("fast").arg("--resume"),
        &["setting corpus.fast_decode: true then, false now"],
    );
    // The figure still shows the whole photo, with the numbers of the run.
    ends(corpus.explain().args(["photos/large.jpg", "--fast-decode", "--cam", "grad-cam"]), 0);
    let explained: serde_json::Value =
        serde_json::from_slice(&fs::read(corpus.path("explained/large.json")).unwrap()).unwrap();
    assert_eq!(
        explained["predicted"]["probability"].as_f64().unwrap() as f32,
        probability(&after) as f32
    );
}
