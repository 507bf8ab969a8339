//! Against the direct way, and the sums' laws.

use super::*;
use crate::attribution::{HeadPass, Method, Options, explain};
use crate::corpus::{DecodeOptions, decode};
use crate::image::Picture;
use crate::networks::{AlexNet, Classifier, Forward};
use crate::random::Random;
use proptest::prelude::*;
use std::path::{Path, PathBuf};
use tch::{Device, Kind};

const METHODS: [&str; 3] = ["grad-cam", "ablation-cam", "lime-cam"];

fn reference(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference").join(name)
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| number.to_string()).collect()
}

/// Boxes with edges between pixels, some overlapping and of one class.
fn some_boxes(seed: u64, size: Size) -> Vec<(usize, BoundingBox)> {
    let mut random = Random::new(seed, 3);
    let mut side = |most: u32| {
        let (a, b) = (random.uniform(0.0, 1.0), random.uniform(0.0, 1.0));
        let [from, to] = [a.min(b), a.max(b)].map(|share| (share * f64::from(most)) as f32);
        (from, to)
    };
    let mut one = |class: usize| {
        let ((x_min, x_max), (y_min, y_max)) = (side(size.width), side(size.height));
        (class, BoundingBox::new(x_min, y_min, x_max, y_max))
    };
    [0, 2, 0, 1, 0].map(&mut one).to_vec()
}

/// Which pixels of a picture lie in any box of a class: (rows, columns), ones and zeros.
fn inside(boxes: &[(usize, BoundingBox)], class: usize, size: Size) -> Tensor {
    let mask =
        Tensor::zeros([i64::from(size.height), i64::from(size.width)], (Kind::Float, Device::Cpu));
    for (_, of) in boxes.iter().filter(|(other, _)| *other == class) {
        let [x, y] = [(of.x_min, of.x_max), (of.y_min, of.y_max)]
            .map(|(from, to)| (from as i64, (to as i64).max(from as i64 + 1) - from as i64));
        let _ = mask.narrow(0, y.0, y.1).narrow(1, x.0, x.1).fill_(1.0);
    }
    mask
}

/// The share of every channel's upsampled ReLU(w A) in the mask, -1 where it has none: (K).
fn direct_shares(activation: &Tensor, weights: &Tensor, mask: &Tensor) -> Vec<f64> {
    let weighted = (weights.reshape([-1, 1, 1]) * activation).relu();
    let size = mask.size2().unwrap();
    // Weights are as small as a probability's gradient.
    let scaled = &weighted / weighted.amax([1_i64, 2].as_slice(), true).clamp_min(1e-30);
    let large =
        scaled.unsqueeze(0).upsample_bilinear2d([size.0, size.1], false, None, None).squeeze_dim(0);
    let sum = |x: &Tensor| {
        x.to_kind(Kind::Double).sum_dim_intlist([1_i64, 2].as_slice(), false, Kind::Double)
    };
    let (part, whole) = (sum(&(&large * mask)), sum(&large));
    Vec::try_from((part / &whole).nan_to_num(-1.0, None, None)).unwrap()
}

/// The mean weights of three pictures of these labels are their own, and where there is no picture
/// there is none.
fn assert_eq_weights(sums: &FilterSums, method: usize, weights: &Tensor, classes: [usize; 3]) {
    assert!(sums.cell(method, 3, 0).is_none(), "a class that does not occur");
    for (n, label) in classes.into_iter().enumerate() {
        let expected = f64::try_from(weights.get(n as i64).get(1)).unwrap();
        approx::assert_relative_eq!(
            sums.mean_weight(method, label, 1).unwrap(),
            expected,
            max_relative = 1e-6
        );
    }
    assert!(sums.mean_weight(method, 1, 0).is_none(), "a label that no picture has");
}

/// All channels of a real network and three photos of different shapes: upsampled one by one,
/// averaged in the boxes. The largest difference seen is 7e-8.
#[test]
fn three_methods_are_as_the_direct_way_says() {
    let network = AlexNet::load(&reference("emonet/narrow_ecco.pt"), None, Device::Cpu).unwrap();
    let fit = network.card().fit;
    let files = ["emonet/picture_2.png", "pillow_resize/420.jpg", "pillow_resize/37x211.png"];
    let photos: Vec<Picture> = files
        .iter()
        .map(|file| decode(&reference(file), &DecodeOptions::default()).unwrap())
        .map(Picture::from)
        .collect();
    let inputs: Vec<_> =
        photos.iter().map(|photo| fit.apply(&photo.pixels, photo.original)).collect();
    let forward = Forward::of_pictures(&network, &inputs.iter().collect::<Vec<_>>()).unwrap();
    let (classes, seeds) = ([3, 0, 7], [1, 2, 3]);
    let pass = HeadPass::new(&network, &forward, Options::default(), &classes, &seeds).unwrap();
    let maps: Vec<_> = METHODS
        .map(|name| explain(name.parse::<Method>().unwrap(), &pass, fit.input).unwrap())
        .into_iter()
        .map(|maps| maps.weights.unwrap())
        .collect();
    let placements: Vec<Placement> =
        photos.iter().map(|photo| fit.placement(photo.original)).collect();
    let boxes: Vec<_> =
        (0..).zip(&photos).map(|(seed, photo)| some_boxes(seed, photo.original)).collect();
    let pictures: Vec<PictureBoxes<'_>> = placements
        .iter()
        .zip(&boxes)
        .map(|(placement, boxes)| PictureBoxes { placement, boxes: boxes.clone() })
        .collect();
    let found = in_batch(pass.a(), &maps.iter().collect::<Vec<_>>(), &pictures).unwrap();
    let mut sums = FilterSums::of(METHODS.map(String::from).to_vec(), names(4), names(20));
    for (picture, label) in found.iter().zip(classes) {
        sums.add(files[label % 3], label, picture);
    }
    let (mut compared, mut largest) = (0, 0.0_f64);
    for (method, weights) in maps.iter().enumerate() {
        for class in 0..3 {
            let shares = (0..3).map(|n| {
                let mask = inside(&boxes[n], class, photos[n].original);
                (
                    direct_shares(&pass.a().get(n as i64), &weights.get(n as i64), &mask),
                    f64::try_from(mask.mean(None)).unwrap(),
                )
            });
            let shares: Vec<_> = shares.collect();
            for channel in 0..sums.channels {
                let active: Vec<_> =
                    shares.iter().filter(|(shares, _)| shares[channel] >= 0.0).collect();
                let count = active.len() as f64;
                let share = active.iter().map(|(shares, _)| shares[channel]).sum::<f64>() / count;
                let area = active.iter().map(|(_, area)| area).sum::<f64>() / count;
                let cell = sums.cell(method, class, channel);
                assert_eq!(
                    cell.map_or(0, |cell| cell.active),
                    active.len() as u64,
                    "{method} {class} {channel}"
                );
                let Some(cell) = cell else { continue };
                largest = largest.max((cell.share - share).abs());
                largest = largest.max((cell.area - area).abs());
                compared += 1;
            }
        }
        assert_eq_weights(&sums, method, weights, classes);
    }
    eprintln!("{compared} cells, largest difference {largest:.1e}");
    assert!(compared > 50 && largest < 3e-7, "{compared} {largest}");
}

fn pictures(seed: u64, count: usize) -> Vec<(String, usize, PictureFilters)> {
    let mut random = Random::new(seed, 5);
    let mut number = |low: f64, high: f64| random.uniform(low, high) as f32;
    let mut picture = |name: usize| {
        let mut class = |class: usize| ClassShares {
            class,
            area: number(0.0, 1.0),
            shares: [0, 1].map(|_| {
                (0..3).map(|_| Some(number(-0.3, 1.0)).filter(|share| *share >= 0.0)).collect()
            }),
        };
        let classes = vec![class(name % 2), class(2)];
        let weights = (0..2).map(|_| (0..3).map(|_| number(-1e-3, 1e-3)).collect()).collect();
        // Equal values too.
        let peaks =
            (0..3).map(|_| Peak { value: number(0.0, 5.0).floor(), at: [0.5, 0.25] }).collect();
        (format!("{name:03}"), name % 4, PictureFilters { classes, weights, peaks })
    };
    (0..count).map(&mut picture).collect()
}

fn sums_of(pictures: &[(String, usize, PictureFilters)]) -> FilterSums {
    let mut sums = FilterSums::of(names(2), names(4), names(4));
    pictures.iter().for_each(|(path, label, picture)| sums.add(path, *label, picture));
    sums
}

proptest! {
    /// Any division and any order give the same sums to the last bit, empty parts too.
    #[test]
    fn parts_merge_into_the_whole_in_any_order(seed in 0..999_u64, count in 0..30_usize, cut in 0..31_usize) {
        let mut all = pictures(seed, count);
        let whole = sums_of(&all);
        Random::new(seed, 9).shuffle(&mut all);
        let (a, b) = all.split_at(cut.min(count));
        for parts in [[a, b], [b, a]] {
            let mut merged = FilterSums::of(names(2), names(4), names(4));
            parts.iter().for_each(|part| merged.merge(&sums_of(part)));
            prop_assert_eq!(&merged, &whole);
        }
    }
}

#[test]
fn strongest_pairs_have_each_class_and_channel_once_and_lie_over_their_area() {
    let sums = sums_of(&pictures(4, 40));
    let pairs = sums.strongest(0, 8);
    assert!(!pairs.is_empty() && pairs.len() <= 3);
    for (number, pair) in pairs.iter().enumerate() {
        assert!(pair.share > pair.area && pair.images > 0);
        assert!(
            pairs[..number]
                .iter()
                .all(|other| other.class != pair.class && other.channel != pair.channel)
        );
    }
    let drawn = figure(&sums, None, &mut |path| {
        (path != "000").then(|| crate::image::Rgb8::filled(Size::new(9, 7), [9; 3]))
    });
    assert_eq!(drawn.len(), 2);
    drawn[0].1.svg().unwrap();
}
