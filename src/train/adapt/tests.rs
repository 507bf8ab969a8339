//! Tests of the distances against their definitions (scripts/reference/discrepancy.py), of what a
//! batch is made of, and of which pictures have a label.

use super::discrepancy::{coral, mmd};
use super::domains::{Labelled, TwoDomains};
use super::lessons::{Shares, TwoDomainLessons, joined};
use crate::random::Random;
use crate::train::data::feed::{Augmentation, Feed};
use crate::train::data::{Divided, DrawnConfig};
use crate::train::fitting::{Batch, Lessons, UNLABELLED};
use crate::train::lessons::PictureLessons;
use crate::world::{CausalGraph, Lesson};
use proptest::prelude::*;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use tch::{Device, Kind, TchError, Tensor};

#[derive(Deserialize)]
struct Case {
    source: Vec<Vec<f64>>,
    target: Vec<Vec<f64>>,
    mmd: f64,
    mmd_source: Vec<Vec<f64>>,
    mmd_target: Vec<Vec<f64>>,
    coral: f64,
    coral_source: Vec<Vec<f64>>,
    coral_target: Vec<Vec<f64>>,
}

fn rows(values: &[Vec<f64>], kind: Kind) -> Tensor {
    let flat: Vec<f64> = values.iter().flatten().copied().collect();
    Tensor::from_slice(&flat).reshape([values.len() as i64, -1]).to_kind(kind)
}

/// A distance and its gradients.
type Found = (f64, Tensor, Tensor);

fn found(
    distance: fn(&Tensor, &Tensor) -> Result<Tensor, TchError>,
    case: &Case,
    kind: Kind,
) -> Found {
    let [source, target] =
        [&case.source, &case.target].map(|values| rows(values, kind).set_requires_grad(true));
    let value = distance(&source, &target).unwrap();
    value.backward();
    (value.double_value(&[]), source.grad(), target.grad())
}

#[test]
fn distances_and_their_gradients_are_those_of_the_definitions() {
    let cases: Vec<Case> =
        serde_json::from_str(include_str!("../../../tests/reference/discrepancy.json")).unwrap();
    // Measured 6.7e-16 and 4.4e-7; gradients relative to the largest.
    for (kind, tolerance) in [(Kind::Double, 2e-15), (Kind::Float, 1.3e-6)] {
        let mut worst = 0.0_f64;
        for case in &cases {
            for (distance, value, source, target) in [
                (
                    mmd as fn(&Tensor, &Tensor) -> Result<Tensor, TchError>,
                    case.mmd,
                    &case.mmd_source,
                    &case.mmd_target,
                ),
                (coral, case.coral, &case.coral_source, &case.coral_target),
            ] {
                let (found, to_source, to_target) = found(distance, case, kind);
                worst = worst.max((found - value).abs());
                for (gradient, wanted) in [(to_source, source), (to_target, target)] {
                    let wanted = rows(wanted, Kind::Double);
                    let off =
                        (gradient.to_kind(Kind::Double) - &wanted).abs().max() / wanted.abs().max();
                    worst = worst.max(off.double_value(&[]));
                }
            }
        }
        eprintln!("{kind:?}: values and gradients within {worst:.1e}");
        assert!(worst < tolerance, "{kind:?}: {worst:.1e}");
    }
}

fn normal(random: &mut Random, count: i64, features: i64, shift: f64) -> Tensor {
    let values = random.spread((count * features) as usize, 1.0);
    Tensor::from_slice(&values).reshape([count, features]) + shift
}

#[test]
fn the_discrepancy_of_one_distribution_covers_nothing_and_a_shift_is_seen() {
    let mut random = Random::new(5, 0);
    let mut sample = |shift: f64| -> Vec<f64> {
        let one = |_| {
            let (source, target) =
                (normal(&mut random, 16, 8, 0.0), normal(&mut random, 16, 8, shift));
            mmd(&source, &target).unwrap().double_value(&[])
        };
        (0..200).map(one).collect()
    };
    let mut alike = sample(0.0);
    let mean = alike.iter().sum::<f64>() / 200.0;
    let deviation = (alike.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 199.0).sqrt();
    assert!(
        mean.abs() < 3.0 * deviation / 200.0_f64.sqrt(),
        "{mean} with a deviation of {deviation}"
    );
    alike.sort_by(f64::total_cmp);
    // The 95th percentile of no difference is the threshold: the power at shifts of a half and of a
    // whole deviation.
    let threshold = alike[190];
    let power =
        |found: Vec<f64>| found.iter().filter(|&&value| value > threshold).count() as f64 / 200.0;
    let (half, whole) = (power(sample(0.5)), power(sample(1.0)));
    eprintln!("power at a shift of 0.5: {half}, of 1: {whole}");
    // Measured 0.68 and 1.00.
    assert!(half > 0.5 && whole > 0.95, "{half} {whole}");
}

proptest! {
    #[test]
    fn distances_are_symmetric_and_nothing_between_the_same_rows(seed in any::<u64>(), n in 2_i64..9, m in 2_i64..9) {
        let mut random = Random::new(seed, 1);
        let (a, b) = (normal(&mut random, n, 3, 0.0), normal(&mut random, m, 3, 0.4));
        for distance in [mmd, coral] {
            let there = distance(&a, &b).unwrap().double_value(&[]);
            let back = distance(&b, &a).unwrap().double_value(&[]);
            prop_assert!((there - back).abs() < 1e-6 * there.abs().max(1.0));
        }
        prop_assert!(coral(&a, &a).unwrap().double_value(&[]).abs() < 1e-9);
    }
}

fn domains() -> TwoDomains {
    let config = DrawnConfig { train: 37, validation: 4, test: 8, ..DrawnConfig::default() };
    let graph = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/graphs/four-emotions.toml");
    let target =
        config.draw(&Lesson::Emotions(Arc::new(CausalGraph::load(&graph).unwrap()))).unwrap();
    let map = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/expressions-to-emotions.toml");
    TwoDomains::new(config.draw(&Lesson::Faces).unwrap(), target, Some(&map)).unwrap()
}

#[test]
fn expressions_stand_for_emotions_and_neutral_faces_are_left_out() {
    let domains = domains();
    // happy, sad, angry, disgusted, neutral to happy, sad, hate, anger.
    let places: Vec<Option<usize>> = domains.map.iter().map(|(_, place)| *place).collect();
    assert_eq!(places, [Some(0), Some(1), Some(3), Some(2), None]);
    assert!(domains.source.train.len() < 37 && !domains.source.train.is_empty());
    assert!(domains.source.train.iter().all(|item| item.label < 4));
    let faces =
        |domains: &TwoDomains| Divided { labels: vec!["x".into(); 5], ..domains.source.clone() };
    let message =
        TwoDomains::new(faces(&domains), domains.target.clone(), None).unwrap_err().to_string();
    assert!(message.contains("--label-map"), "{message}");
    let folder = tempfile::tempdir().unwrap();
    let map = folder.path().join("map.toml");
    std::fs::write(&map, "[labels]\nx = \"rage\"\n").unwrap();
    let message =
        TwoDomains::new(faces(&domains), domains.target, Some(&map)).unwrap_err().to_string();
    assert!(message.contains("map.toml") && message.contains("`rage`"), "{message}");
}

#[test]
fn labels_are_drawn_in_the_shares_of_all_and_by_the_seed() {
    let domains = domains();
    let counts = domains.target.training_counts();
    let some = domains.labelled(Labelled::Some(12), 3).unwrap();
    assert_eq!(some.len(), 12);
    for (label, count) in counts.iter().enumerate() {
        let own = some.iter().filter(|&&number| domains.target.train[number].label == label).count()
            as f64;
        assert!((own - 12.0 * *count as f64 / 37.0).abs() <= 1.0, "{own} of {count}");
    }
    assert_ne!(some, domains.labelled(Labelled::Some(12), 4).unwrap());
    // Those of fewer labels are among those of more.
    assert!(domains.labelled(Labelled::Some(5), 3).unwrap().is_subset(&some));
    assert_eq!(domains.labelled(Labelled::All, 3).unwrap().len(), 37);
    assert!(domains.labelled(Labelled::Some(38), 3).unwrap_err().to_string().contains("37"));
}

#[test]
fn a_batch_has_its_shares_and_no_label_that_is_not_to_be_known() {
    let domains = domains();
    let items = joined(&domains);
    let faces = domains.source.train.len();
    let labelled = domains.labelled(Labelled::Some(5), 1).unwrap();
    let shares = Shares::new(8, 5, 32, true);
    assert_eq!((shares.source, shares.labelled, shares.unlabelled), (4, 2, 2));
    let feed = Feed {
        items: &items,
        pairs: None,
        fit: None,
        augmentation: Augmentation::NONE,
        batch: shares.all(),
        threads: 1,
        seed: 1,
        kept: None,
    };
    let pictures = PictureLessons { feed, device: Device::Cpu };
    let lessons = TwoDomainLessons { pictures, faces, labelled: labelled.clone(), shares };
    let mut shown: BTreeMap<usize, usize> = BTreeMap::new();
    for epoch in 1..=4 {
        let mut batches = 0;
        lessons
            .epoch(epoch, &mut |batch: Batch| {
                batches += 1;
                let labels = Vec::<i64>::try_from(&batch.labels).unwrap();
                assert_eq!(labels.len(), 8);
                for (place, (&number, label)) in batch.numbers.iter().zip(labels).enumerate() {
                    *shown.entry(number).or_default() += 1;
                    let known = number < faces || labelled.contains(&(number - faces));
                    assert_eq!(place < 4, number < faces);
                    assert_eq!(known, place < 6);
                    assert_eq!(label, if known { items[number].label as i64 } else { UNLABELLED });
                }
                Ok(())
            })
            .unwrap();
        assert_eq!(batches, lessons.batches());
    }
    // Everything has been shown about as often as all else of its kind.
    let of_faces: BTreeSet<usize> = (0..faces).map(|number| shown[&number]).collect();
    assert!(of_faces.iter().all(|count| (4..=5).contains(count)), "{of_faces:?}");
    assert_eq!(shown.len(), items.len());
}

#[test]
fn shares_of_a_batch_go_by_what_there_is() {
    let shares = |labelled, unlabelled, compared| {
        let Shares { source, labelled, unlabelled } =
            Shares::new(32, labelled, unlabelled, compared);
        (source, labelled, unlabelled)
    };
    assert_eq!(shares(50, 100, true), (16, 8, 8));
    // Without a discrepancy pictures without a label teach nothing, and the others are as many as
    // with one.
    assert_eq!(shares(50, 100, false), (16, 8, 0));
    assert_eq!(shares(150, 0, true), (16, 16, 0));
    assert_eq!(shares(0, 150, true), (16, 0, 16));
}
