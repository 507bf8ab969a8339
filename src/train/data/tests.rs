//! Tests of the data room: splits, pairs, and pictures as they are shown.

use super::feed::{Augmentation, Feed};
use super::pairs::{Pairs, PairsConfig};
use super::{
    DataConfig, DataSet, DrawnConfig, LabelledPicture, LabelsFrom, Place, SplitConfig, collect,
};
use crate::corpus::DecodeOptions;
use crate::image::{Fit, Size};
use crate::world::{Lesson, graph};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

fn data(counts: &[usize]) -> DataSet {
    let labels = (0..counts.len()).map(|label| format!("label {label}")).collect();
    let of_label = |(label, &count): (usize, &usize)| {
        let item = move |number: usize| LabelledPicture {
            path: format!("{label}/{number:04}"),
            label,
            place: Place::Scene {
                lesson: Lesson::Emotions(graph().clone()),
                seed: 1,
                number: number as u64,
            },
        };
        (0..count).map(item).collect::<Vec<_>>()
    };
    DataSet {
        labels,
        items: counts.iter().enumerate().flat_map(of_label).collect(),
        failures: Vec::new(),
        uses: BTreeMap::new(),
    }
}

proptest! {
    #[test]
    fn a_split_divides_every_label_alike(counts in prop::collection::vec(20_usize..200, 2..5), seed in any::<u64>()) {
        let config = SplitConfig { seed, ..SplitConfig::default() };
        let divided = config.divide(data(&counts)).unwrap();
        let mut seen = BTreeSet::new();
        for (items, share) in [(&divided.test, 0.15), (&divided.validation, 0.05), (&divided.train, 0.8)] {
            for (label, &count) in counts.iter().enumerate() {
                let found = items.iter().filter(|item| item.label == label).count() as f64;
                // Halves of two shares at most.
                prop_assert!((found - share * count as f64).abs() <= 1.0, "{found} of {count}");
            }
            for item in items {
                prop_assert!(seen.insert(item.path.clone()), "{} twice", item.path);
            }
        }
        prop_assert_eq!(seen.len(), counts.iter().sum::<usize>());
        prop_assert_eq!(divided.digest(), config.divide(data(&counts)).unwrap().digest());
    }
}

#[test]
fn another_seed_is_another_split() {
    let digest = |seed: u64| {
        SplitConfig { seed, ..SplitConfig::default() }.divide(data(&[40, 60])).unwrap().digest()
    };
    assert_ne!(digest(1), digest(2));
}

/// Files of the same two rows of three pairs, and what is given for them.
fn pairs_files(folder: &Path) -> Vec<PairsConfig> {
    let values = [[0.0_f32, 0.25, 1.0], [0.5, 0.125, 0.75]];
    let file = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.join(name), bytes).unwrap();
    write(
        "pairs.csv",
        b"path,sad face,red flower,calm sea\na.jpg,0,0.25,1\nb/c.jpg,0.5,0.125,0.75\n",
    );
    write("names.json", br#"["sad face", "red flower", "calm sea"]"#);
    write("pictures.txt", b"a.jpg\nb/c.jpg\n");
    let bytes: Vec<u8> = values.iter().flatten().flat_map(|value| value.to_ne_bytes()).collect();
    write("pairs_prob.dat", &bytes);
    let header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";
    let mut npy = b"\x93NUMPY\x01\x00".to_vec();
    npy.extend((header.len() as u16).to_le_bytes());
    npy.extend_from_slice(header);
    npy.extend(values.iter().flatten().flat_map(|value| value.to_le_bytes()));
    write("pairs.npy", &npy);
    let pairs = |name: &str| PairsConfig {
        file: file(name),
        names: file("names.json"),
        pictures: file("pictures.txt"),
    };
    vec![
        PairsConfig { file: file("pairs.csv"), ..PairsConfig::default() },
        pairs("pairs_prob.dat"),
        pairs("pairs.npy"),
    ]
}

fn item(path: &str) -> LabelledPicture {
    LabelledPicture { path: path.into(), ..data(&[1]).items.remove(0) }
}

#[test]
fn pairs_are_the_same_in_every_format() {
    let folder = tempfile::tempdir().unwrap();
    for config in pairs_files(folder.path()) {
        let pairs = Pairs::read(&config).unwrap();
        assert_eq!(pairs.names, ["sad face", "red flower", "calm sea"]);
        assert_eq!(pairs.of(&item("a.jpg")), [0.0, 0.25, 1.0]);
        assert_eq!(pairs.of(&item("b/c.jpg")), [0.5, 0.125, 0.75]);
        let message =
            pairs.check("pairs", &[item("a.jpg"), item("x.jpg")]).unwrap_err().to_string();
        assert!(message.contains("of 1 pictures, as x.jpg"), "{message}");
    }
}

#[test]
fn pairs_that_do_not_go_together_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let files = pairs_files(folder.path());
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let refused = |config: &PairsConfig, phrase: &str| {
        let message = Pairs::read(config).unwrap_err().to_string();
        assert!(message.contains(phrase), "{message}");
    };
    refused(&PairsConfig { names: String::new(), ..files[1].clone() }, "JSON list");
    refused(&PairsConfig { pictures: String::new(), ..files[2].clone() }, "does not name pictures");
    write("pictures.txt", "a.jpg\n");
    refused(&files[1], "2 rows");
    write("names.json", r#"["sad face", "red flower"]"#);
    refused(&files[2], "3 columns");
    write("names.json", r#"["sad face", "red flower", "calm sea", "dark road"]"#);
    refused(&files[1], "no whole rows of 4");
    write("pairs.csv", "path,sad face\na.jpg,1.5\n");
    refused(&files[0], "from 0 to 1");
    write("pairs.csv", "path,sad face\na.jpg,high\n");
    refused(&files[0], "`high` is no number");
    write("pairs.csv", "file,sad face\na.jpg,1\n");
    refused(&files[0], "first column `path`");
}

#[test]
fn drawn_pairs_without_noise_are_what_is_in_the_scene() {
    let config = DrawnConfig {
        train: 30,
        validation: 1,
        test: 1,
        pair_noise: 0.0,
        ..DrawnConfig::default()
    };
    let lesson = Lesson::Emotions(graph().clone());
    let pairs = Pairs::drawn(&config, &lesson);
    for item in &config.draw(&lesson).unwrap().train {
        let scene = item.scene().unwrap();
        let claimed: BTreeSet<&str> = pairs
            .names
            .iter()
            .zip(pairs.of(item))
            .filter(|(_, value)| *value >= 0.5)
            .map(|(name, _)| name.as_str())
            .collect();
        let there: BTreeSet<(usize, u8)> =
            scene.objects.iter().map(|object| (object.class, object.variant as u8)).collect();
        assert_eq!(claimed.len(), there.len(), "{claimed:?}");
    }
}

#[test]
fn every_picture_is_shown_once_and_kept_pictures_are_the_same() {
    let config = DrawnConfig { train: 10, validation: 1, test: 1, ..DrawnConfig::default() };
    let items = config.draw(&Lesson::Emotions(graph().clone())).unwrap().train;
    let fit = Fit::squash(Size::new(40, 32));
    let augmentation = Augmentation { mirror: true, crop: 1.0, colour: 0.2 };
    let feed = |threads: usize, kept: bool| Feed {
        items: &items,
        pairs: None,
        fit: Some(fit),
        augmentation: augmentation.clone(),
        batch: 4,
        threads,
        seed: 3,
        kept: kept.then(|| items.iter().map(|_| std::sync::OnceLock::new()).collect()),
    };
    let shown = |feed: &Feed<'_>, epoch: u64| {
        let mut all = Vec::new();
        feed.epoch(epoch, |_, shown| {
            all.extend(shown.numbers.into_iter().zip(shown.pictures));
            Ok(())
        })
        .unwrap();
        all
    };
    let (plain, keeping) = (feed(1, false), feed(3, true));
    for epoch in 1..4 {
        let all = shown(&plain, epoch);
        assert_eq!(all, shown(&keeping, epoch));
        let numbers: BTreeSet<usize> = all.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, (0..10).collect());
    }
    assert_ne!(shown(&plain, 1), shown(&plain, 2));
    let unchanged = Feed { augmentation: Augmentation::NONE, ..feed(2, false) };
    unchanged
        .in_order(|_, shown| {
            for (number, picture) in shown.numbers.iter().zip(&shown.pictures) {
                let whole = items[*number].picture(&Default::default()).unwrap();
                assert_eq!(*picture, fit.apply(&whole.pixels, whole.original));
            }
            Ok(())
        })
        .unwrap();
}

fn in_folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

#[test]
fn a_pattern_finds_labels_in_the_names_of_published_data_sets() {
    let folder = in_folder(&[
        ("jaffe/KA.AN1.39.tiff", ""),
        ("jaffe/KA.HA2.30.tiff", ""),
        ("jaffe/README.png", ""),
        ("ferg/aia/aia_anger/aia_anger_1.png", ""),
        ("ferg/mery/mery_joy/mery_joy_12.png", ""),
    ]);
    let labels = |name: &str, pattern: &str| {
        let config = DataConfig {
            labels_from: LabelsFrom::Pattern,
            pattern: pattern.into(),
            ..DataConfig::default()
        };
        collect(&[folder.path().join(name)], &config)
    };
    let jaffe = labels("jaffe", r"\.([A-Z]{2})[0-9]\.").unwrap();
    assert_eq!(jaffe.labels, ["AN", "HA"]);
    assert_eq!(jaffe.failures.len(), 1);
    assert_eq!(labels("ferg", "/[a-z]+_([a-z]+)/[^/]*$").unwrap().labels, ["anger", "joy"]);
    for (pattern, phrase) in [("[", "pattern"), ("abc", "no group"), ("", "go together")] {
        let message = labels("ferg", pattern).unwrap_err().to_string();
        assert!(message.contains(phrase), "{message}");
    }
}

#[test]
fn fer_2013s_table_is_read_with_its_own_split() {
    let square = |value: u8| vec![value.to_string(); 9].join(" ");
    let mut table = String::from("emotion,pixels,Usage\n");
    for (emotion, value, usage) in [
        (0, 1, "Training"),
        (3, 2, "Training"),
        (0, 3, "PublicTest"),
        (3, 4, "PrivateTest"),
        (9, 5, "Training"),
        (3, 6, "Test"),
    ] {
        table.push_str(&format!("{emotion},{},{usage}\n", square(value)));
    }
    table.push_str("3,1 2 3,Training\n3,1 2 300 4,Training\n");
    let folder =
        in_folder(&[("fer2013.csv", table.as_str()), ("other.csv", "emotion,pixels\nhappy,1\n")]);
    let read = |name: &str| collect(&[folder.path().join(name)], &DataConfig::default());
    let data = read("fer2013.csv").unwrap();
    assert_eq!(data.labels, ["angry", "happy"]);
    let causes: Vec<&str> = data.failures.iter().map(|failure| failure.cause.as_str()).collect();
    assert_eq!(causes.len(), 4, "{causes:?}");
    assert!(
        causes[0].contains("from 0 to 6")
            && causes[1].contains("Usage")
            && causes[2].contains("no square")
    );
    let divided = SplitConfig::default().divide(data).unwrap();
    let paths =
        |items: &[LabelledPicture]| items.iter().map(|item| item.path.clone()).collect::<Vec<_>>();
    assert_eq!(paths(&divided.train), ["row-00001", "row-00002"]);
    assert_eq!(
        (paths(&divided.validation), paths(&divided.test)),
        (vec!["row-00003".into()], vec!["row-00004".into()])
    );
    let picture = divided.test[0].picture(&DecodeOptions::default()).unwrap();
    assert_eq!(
        (picture.pixels.size(), picture.pixels.data()),
        (Size::new(3, 3), [4; 27].as_slice())
    );
    assert!(read("other.csv").unwrap_err().to_string().contains("other.csv"));
}
