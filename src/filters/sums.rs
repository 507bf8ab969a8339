//! Sums over pictures. A commutative monoid of integers: shares and weights are rounded to fixed
//! fractions of one first, so that any division and any order of the pictures give the same sums.

use super::PictureFilters;
use crate::attribution::Method;
use crate::run::Manifest;
use serde::{Deserialize, Serialize};

/// Shares are counted in units of 2^-32: a rounding error of 1e-10, and room for 2^32 pictures.
const SHARE_UNIT: f64 = (1_u64 << 32) as f64;

/// Weights are counted in units of 2^-80, 1e-24: gradients of saturated probabilities are that
/// small.
const WEIGHT_UNIT: f64 = (1_u128 << 80) as f64;

/// Pictures that are kept for each channel.
const KEPT: usize = 4;

/// A picture that excites a channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Excited {
    /// Its path in the corpus.
    pub path: String,
    /// The highest value of the channel in it.
    pub value: f32,
    /// Where, in shares of the picture's width and height.
    pub at: [f32; 2],
}

/// The sums of a method, by class or label and channel, row by row.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct MethodSums {
    /// Pictures with the class in which the channel has a positive weighted part.
    pub active: Vec<u64>,
    /// Of these, the shares in the class's boxes, in [`SHARE_UNIT`]s.
    pub shares: Vec<u64>,
    /// Of these, the shares of the boxes' area.
    pub areas: Vec<u64>,
    /// Weights by label and channel, in [`WEIGHT_UNIT`]s.
    pub weights: Vec<i128>,
}

/// What a run knows of filters.
#[derive(Debug, Clone, PartialEq)]
pub struct FilterSums {
    /// Pictures that were added.
    pub pictures: u64,
    /// Names of the methods that weigh channels, in the run's order.
    pub(super) methods: Vec<String>,
    pub(super) classes: Vec<String>,
    pub(super) labels: Vec<String>,
    /// Channels of A; 0 before the first picture.
    pub(super) channels: usize,
    /// Pictures in which a class occurs.
    pub(super) class_images: Vec<u64>,
    /// Pictures of a label.
    pub(super) label_images: Vec<u64>,
    /// One a method.
    pub(super) sums: Vec<MethodSums>,
    /// For each channel the pictures in which it is strongest, the strongest first; of equals the
    /// first path.
    pub(super) excited: Vec<Vec<Excited>>,
}

/// How a channel lies in the boxes of a class, over pictures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Cell {
    /// Pictures with the class in which the channel has a positive weighted part.
    pub active: u64,
    /// Mean share of that part in the boxes, 0 to 1.
    pub share: f64,
    /// Mean share of the boxes' area.
    pub area: f64,
}

impl FilterSums {
    /// Of no picture of this run.
    pub fn new(manifest: &Manifest) -> Self {
        let (classes, labels) = (manifest.classes.clone(), manifest.labels.clone());
        let methods =
            manifest.configuration.cam.methods.iter().filter(|method| method.weighs_channels());
        let methods: Vec<String> = methods.map(|method: &Method| method.to_string()).collect();
        Self::of(methods, classes, labels)
    }

    /// Of no picture, by the names of methods, classes and labels.
    pub(super) fn of(methods: Vec<String>, classes: Vec<String>, labels: Vec<String>) -> Self {
        Self {
            pictures: 0,
            channels: 0,
            class_images: vec![0; classes.len()],
            label_images: vec![0; labels.len()],
            sums: vec![MethodSums::default(); methods.len()],
            excited: Vec::new(),
            methods,
            classes,
            labels,
        }
    }

    /// Makes room for so many channels, of which there were none.
    fn with_channels(&mut self, channels: usize) {
        let (cells, weights) = (self.classes.len() * channels, self.labels.len() * channels);
        self.channels = channels;
        self.excited = vec![Vec::new(); channels];
        let none = || MethodSums {
            active: vec![0; cells],
            shares: vec![0; cells],
            areas: vec![0; cells],
            weights: vec![0; weights],
        };
        self.sums.iter_mut().for_each(|sums| *sums = none());
    }

    /// Adds the picture `path` of the label `label`.
    ///
    /// # Panics
    /// When class or label lie outside, or it has another number of channels or methods than the
    /// first picture.
    pub fn add(&mut self, path: &str, label: usize, picture: &PictureFilters) {
        if self.channels == 0 {
            self.with_channels(picture.peaks.len());
        }
        assert_eq!(
            (self.channels, self.methods.len()),
            (picture.peaks.len(), picture.weights.len()),
            "channels, methods"
        );
        self.pictures += 1;
        self.label_images[label] += 1;
        picture.classes.iter().for_each(|present| self.class_images[present.class] += 1);
        for (sums, weights) in self.sums.iter_mut().zip(&picture.weights) {
            let row = &mut sums.weights[label * self.channels..][..self.channels];
            row.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += fixed_weight(*weight));
            for present in &picture.classes {
                let row = present.class * self.channels;
                for (channel, &weight) in weights.iter().enumerate() {
                    let part = if weight > 0.0 { &present.shares[0] } else { &present.shares[1] };
                    let Some(share) = part[channel].filter(|_| weight != 0.0) else { continue };
                    sums.active[row + channel] += 1;
                    sums.shares[row + channel] += fixed_share(share);
                    sums.areas[row + channel] += fixed_share(present.area);
                }
            }
        }
        for (kept, peak) in self.excited.iter_mut().zip(&picture.peaks) {
            // Most pictures are not among the strongest.
            if kept.len() < KEPT || kept.last().is_some_and(|last| peak.value >= last.value) {
                kept.push(Excited { path: path.into(), value: peak.value, at: peak.at });
                keep_strongest(kept);
            }
        }
    }

    /// Adds the pictures of another part of the same run.
    ///
    /// # Panics
    /// When methods, classes, labels or channels differ.
    pub fn merge(&mut self, other: &Self) {
        assert_eq!(self.methods, other.methods, "parts of one run");
        if other.channels == 0 {
            return;
        }
        if self.channels == 0 {
            self.with_channels(other.channels);
        }
        assert_eq!(self.channels, other.channels, "parts of one run");
        self.pictures += other.pictures;
        add(&mut self.class_images, &other.class_images);
        add(&mut self.label_images, &other.label_images);
        for (sums, more) in self.sums.iter_mut().zip(&other.sums) {
            add(&mut sums.active, &more.active);
            add(&mut sums.shares, &more.shares);
            add(&mut sums.areas, &more.areas);
            add(&mut sums.weights, &more.weights);
        }
        for (kept, more) in self.excited.iter_mut().zip(&other.excited) {
            kept.extend_from_slice(more);
            keep_strongest(kept);
        }
    }

    /// How `channel` lies in the boxes of `class` by a method; `None` where it never has a positive
    /// weighted part.
    pub(super) fn cell(&self, method: usize, class: usize, channel: usize) -> Option<Cell> {
        let (sums, at) = (&self.sums[method], class * self.channels + channel);
        let active = sums.active[at];
        let mean = |sum: u64| sum as f64 / SHARE_UNIT / active as f64;
        (active > 0).then(|| Cell {
            active,
            share: mean(sums.shares[at]),
            area: mean(sums.areas[at]),
        })
    }

    /// The mean weight of `channel` in the pictures of `label`; `None` where there are none.
    pub(super) fn mean_weight(&self, method: usize, label: usize, channel: usize) -> Option<f64> {
        let images = self.label_images[label];
        let sum =
            || self.sums[method].weights[label * self.channels + channel] as f64 / WEIGHT_UNIT;
        (images > 0).then(|| sum() / images as f64)
    }
}

fn add<T: Copy + std::ops::AddAssign>(sums: &mut [T], more: &[T]) {
    sums.iter_mut().zip(more).for_each(|(sum, more)| *sum += *more);
}

fn keep_strongest(kept: &mut Vec<Excited>) {
    kept.sort_by(|a, b| b.value.total_cmp(&a.value).then_with(|| a.path.cmp(&b.path)));
    kept.truncate(KEPT);
}

fn fixed_share(share: f32) -> u64 {
    (f64::from(share) * SHARE_UNIT).round() as u64
}

/// Of what is no number nothing is added.
fn fixed_weight(weight: f32) -> i128 {
    (f64::from(weight) * WEIGHT_UNIT).round() as i128
}
