//! The two domains: faces whose expressions stand for emotions, and pictures of which some have a
//! label.

use super::discrepancy::DiscrepancyKind;
use super::recipe::ComparedLayer;
use crate::annotations::LabelMap;
use crate::networks::fer_net::FerNet;
use crate::random::Random;
use crate::stats::{Share, domain_accuracy};
use crate::train::data::{Divided, LabelledPicture};
use crate::train::fer::FerLearner;
use crate::train::fitting::Lessons;
use crate::{Error, Result};
use ndarray::Array2;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::str::FromStr;
use tch::{Kind, Tensor, no_grad};

/// How many pictures of the target have a label that is learnt from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Labelled {
    /// All of them.
    All,
    /// So many of them, drawn by the seed, of every label as many as its share; 0: none.
    Some(usize),
}

impl fmt::Display for Labelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Some(count) => write!(f, "{count}"),
        }
    }
}

impl FromStr for Labelled {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "all" => Ok(Self::All),
            "none" => Ok(Self::Some(0)),
            number => number
                .parse()
                .map(Self::Some)
                .map_err(|_| format!("expected all, none or a number, found {text}")),
        }
    }
}

/// Faces and pictures, with one set of labels.
#[derive(Debug, Clone)]
pub struct TwoDomains {
    /// Faces; their labels are indices among the target's. Those whose expression stands for no
    /// emotion are left out.
    pub source: Divided,
    /// Pictures.
    pub target: Divided,
    /// Each label of the source with the index of the target's label that it stands for; `None`: it
    /// stands for none.
    pub map: Vec<(String, Option<usize>)>,
}

impl TwoDomains {
    /// `source` with its labels brought to those of `target` by the map in `file`, or by their
    /// names where there is none.
    ///
    /// # Errors
    /// The map cannot be read, or maps to a label that the target does not have; no label is left.
    pub fn new(source: Divided, target: Divided, file: Option<&Path>) -> Result<Self> {
        let names = file.map(|file| LabelMap::read(file, &source.labels)).transpose()?;
        let mut map = Vec::new();
        for label in &source.labels {
            let name = names.as_ref().map_or(label.as_str(), |names| names.map(label));
            let place = target.labels.iter().position(|known| known == name);
            if let (Some(file), None, false) = (file, place, name.is_empty()) {
                let known = target.labels.join(", ");
                return Err(Error::file(
                    file,
                    format!("`{label}` is mapped to `{name}`; the target has {known}"),
                ));
            }
            map.push((label.clone(), place));
        }
        if map.iter().all(|(_, place)| place.is_none()) {
            return Err(Error::Setting(format!(
                "no label of the source ({}) is one of the target's ({}): map them with \
                 --label-map",
                source.labels.join(", "),
                target.labels.join(", ")
            )));
        }
        let Divided { train, validation, test, failures, .. } = source;
        let mapped = |items: Vec<LabelledPicture>| -> Vec<LabelledPicture> {
            let item = |item: LabelledPicture| map[item.label].1.map(|label| item.labelled(label));
            items.into_iter().filter_map(item).collect()
        };
        let labels = target.labels.clone();
        let (train, validation, test) = (mapped(train), mapped(validation), mapped(test));
        if train.is_empty() || test.is_empty() {
            return Err(Error::Setting(
                "no face is left whose expression stands for an emotion of the target".into(),
            ));
        }
        Ok(Self { source: Divided { labels, train, validation, test, failures }, target, map })
    }

    /// Numbers of the target's pictures to learn from that have a label: of every label as many as
    /// its share, drawn by the seed.
    ///
    /// # Errors
    /// There are not so many.
    pub fn labelled(&self, labelled: Labelled, seed: u64) -> Result<BTreeSet<usize>> {
        let items = &self.target.train;
        let Labelled::Some(count) = labelled else { return Ok((0..items.len()).collect()) };
        if count > items.len() {
            return Err(Error::Setting(format!(
                "{count} labelled pictures are asked for, the target has {} to learn from",
                items.len()
            )));
        }
        let mut order: Vec<usize> = (0..items.len()).collect();
        Random::of_text(seed, "labelled").shuffle(&mut order);
        // The places of every label's pictures are spread evenly over (0, 1): the first ones of all
        // are a fair sample.
        let counts = self.target.training_counts();
        let mut seen = vec![0_usize; counts.len()];
        let mut placed: Vec<(f64, usize)> = Vec::new();
        for number in order {
            let label = items[number].label;
            placed.push(((seen[label] as f64 + 0.5) / counts[label] as f64, number));
            seen[label] += 1;
        }
        placed.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        Ok(placed.into_iter().take(count).map(|(_, number)| number).collect())
    }
}

/// How far apart a layer's features of both domains lie, on pictures that nothing was learnt from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayerDistance {
    /// The layer.
    pub layer: String,
    /// How often a linear classifier tells the domains apart: 1/2 is chance.
    pub domain_accuracy: Share,
    /// The squared maximum mean discrepancy of as many rows.
    pub mmd: f64,
}

/// Most pictures of a domain that distances are measured on.
const MOST_PICTURES: usize = 500;

/// Of these pictures as many as distances are measured on, spread evenly over the list.
pub(super) fn sample(items: &[LabelledPicture]) -> Vec<LabelledPicture> {
    items.iter().step_by(items.len().div_ceil(MOST_PICTURES).max(1)).cloned().collect()
}

/// The distances at `layers`, between the faces and the pictures of two lists of lessons.
///
/// # Errors
/// The network could not be run; too few pictures.
pub(super) fn distances(
    learner: &FerLearner<'_>,
    layers: &[ComparedLayer],
    [source, target]: [&dyn Lessons; 2],
    seed: u64,
) -> Result<Vec<LayerDistance>> {
    let (source, target) = (features(learner, layers, source)?, features(learner, layers, target)?);
    let mut distances = Vec::new();
    for ((layer, source), target) in layers.iter().zip(source).zip(target) {
        let numbers = || {
            DiscrepancyKind::Mmd
                .distance(&source, &target)?
                .map(|one| one.f_double_value(&[]))
                .transpose()
        };
        let mmd = numbers().map_err(Error::torch("measuring the domains' distance"))?;
        let accuracy = domain_accuracy(&as_rows(&source)?, &as_rows(&target)?, seed);
        let (Some(mmd), Some(domain_accuracy)) = (mmd, accuracy) else {
            return Err(Error::Setting(
                "each domain needs five pictures or more to measure with".into(),
            ));
        };
        distances.push(LayerDistance { layer: layer.name().into(), domain_accuracy, mmd });
    }
    Ok(distances)
}

/// Features (pictures, numbers), one tensor a layer.
fn features(
    learner: &FerLearner<'_>,
    layers: &[ComparedLayer],
    lessons: &dyn Lessons,
) -> Result<Vec<Tensor>> {
    let network: &FerNet = learner.network;
    let mut parts: Vec<Vec<Tensor>> = layers.iter().map(|_| Vec::new()).collect();
    lessons.in_order(&mut |batch| {
        if batch.numbers.is_empty() {
            return Ok(());
        }
        let all = no_grad(|| network.features(&learner.input(&batch)?));
        let all = all.map_err(Error::torch("running the network"))?;
        for (layer, parts) in layers.iter().zip(&mut parts) {
            parts.push(layer.features(&all).map_err(Error::torch("keeping features"))?);
        }
        Ok(())
    })?;
    if parts.iter().any(Vec::is_empty) {
        return Err(Error::Setting(
            "none of a domain's pictures to measure with can be read".into(),
        ));
    }
    let joined = parts.iter().map(|parts| Tensor::f_cat(parts, 0)).collect::<Result<_, _>>();
    joined.map_err(Error::torch("keeping features"))
}

fn as_rows(features: &Tensor) -> Result<Array2<f32>> {
    let size = features.size();
    let values = features
        .f_to_kind(Kind::Float)
        .and_then(|features| {
            Vec::<f32>::try_from(
                &features.f_to_device(tch::Device::Cpu)?.f_contiguous()?.f_flatten(0, -1)?,
            )
        })
        .map_err(Error::torch("reading features"))?;
    Ok(Array2::from_shape_vec((size[0] as usize, size[1] as usize), values)
        .expect("a tensor of this size"))
}
