//! Pictures in the explained network, a batch at a time: what is explained, the maps of all
//! methods, and what becomes of the maps where the head is redrawn.

use super::probe::Probe;
use super::sanity;
use crate::attribution::{HeadPass, Maps, explain_at};
use crate::config::Config;
use crate::image::{Rgb8, Size};
use crate::networks::{Activation, Classifier, Forward};
use crate::pipeline::distinct;
use crate::run::Timings;
use crate::stats::Ranks;
use crate::{Error, Result};
use std::cell::Cell;
use std::time::Instant;
use tch::Tensor;

/// The places of A.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grid {
    /// From the top.
    pub rows: usize,
    /// From the left.
    pub columns: usize,
}

impl Grid {
    /// As the size of a map that has a value for each place.
    pub(super) fn size(self) -> Size {
        Size::new(self.columns as u32, self.rows as u32)
    }
}

/// A batch of pictures with what is explained of each.
pub(super) struct ExplainedBatch<'a> {
    network: &'a dyn Classifier,
    /// (N, 3, rows, columns), as the network's card prepares it.
    input: Tensor,
    activation: Activation,
    seeds: Vec<u64>,
    classes: Vec<usize>,
    /// So many pictures differ; what follows are copies of the last of them.
    distinct: usize,
}

/// The map of a method for a picture.
#[derive(Debug, Clone)]
pub(super) struct JudgedMap {
    /// Over the network's input, row by row, in `[0, 1]`.
    pub values: Vec<f32>,
    /// It shows nothing: `values` are zeros then.
    pub flat: bool,
    /// Its correlation with the map of each redrawn head; none where one is the same everywhere.
    pub correlations: Vec<Option<f64>>,
}

impl<'a> ExplainedBatch<'a> {
    /// Runs `pictures`, of the network's input size; `class` is explained, `None`: the predicted
    /// one of each; `seeds` are those of `analyze` for the pictures, so that methods that draw at
    /// random give the same maps here.
    ///
    /// # Errors
    /// The network cannot be run.
    pub(super) fn new(
        network: &'a dyn Classifier,
        pictures: &[&Rgb8],
        class: Option<usize>,
        seeds: Vec<u64>,
    ) -> Result<Self> {
        let forward = Forward::of_pictures(network, pictures)?;
        let predictions = forward.predictions(network.card())?;
        let classes =
            predictions.iter().map(|prediction| class.unwrap_or(prediction.label)).collect();
        let Forward { input, activation, .. } = forward;
        Ok(Self { network, input, activation, seeds, classes, distinct: distinct(pictures) })
    }

    /// The places of A.
    pub(super) fn grid(&self) -> Grid {
        let size = self.activation.values.size();
        Grid { rows: size[2] as usize, columns: size[3] as usize }
    }

    /// The picture at `place` of the batch, ready to be changed; `network` answers for what it
    /// becomes, and `inputs` is the number of changed ones that go through it at once by now.
    ///
    /// # Errors
    /// There is no such picture.
    pub(super) fn probe(
        &self,
        place: usize,
        network: &'a dyn Classifier,
        inputs: &'a Cell<usize>,
    ) -> Result<Probe<'a>> {
        let input = self
            .input
            .f_narrow(0, place as i64, 1)
            .map_err(Error::torch("preparing changed pictures"))?;
        Ok(Probe { network, inputs, input, class: self.classes[place] })
    }

    /// The maps of all methods for the explained classes by `network`, which may have another head
    /// than the pictures' own: one list a method, with one entry for each of `sizes`. All that this
    /// room knows of the methods is here.
    ///
    /// # Errors
    /// No memory.
    pub(super) fn maps(
        &self,
        network: &dyn Classifier,
        config: &Config,
        sizes: &[Size],
    ) -> Result<Vec<Vec<Maps>>> {
        let activation = self.activation.with_values(self.activation.values.shallow_clone());
        let forward = Forward::from_activation(network, self.input.shallow_clone(), activation)?;
        let cam = &config.cam;
        let pass = HeadPass::new(network, &forward, cam.options(), &self.classes, &self.seeds)?;
        let pass = pass.with_copies_behind(self.distinct).with_changes_in(config.compute.precision);
        cam.methods.iter().map(|&method| explain_at(method, &pass, sizes)).collect()
    }

    /// For each picture the map of each method, of `size`, and what becomes of it in the `redrawn`
    /// networks.
    ///
    /// # Errors
    /// No memory.
    pub(super) fn explanations(
        &self,
        redrawn: &[Box<dyn Classifier>],
        config: &Config,
        size: Size,
        timings: &mut Timings,
    ) -> Result<Vec<Vec<JudgedMap>>> {
        let clock = Instant::now();
        let sizes = [size, self.grid().size()];
        let sizes = if redrawn.is_empty() { &sizes[..1] } else { &sizes[..] };
        let maps = self.maps(self.network, config, sizes)?;
        let mut found = vec![Vec::with_capacity(maps.len()); self.classes.len()];
        for sizes in &maps {
            for (explanations, explanation) in found.iter_mut().zip(unjudged(&sizes[0])?) {
                explanations.push(explanation);
            }
        }
        let own = if redrawn.is_empty() { Vec::new() } else { last_ranks(&maps)? };
        let coarser = sanity::on_redrawn_heads(config);
        for redrawn in redrawn {
            let others = last_ranks(&self.maps(&**redrawn, &coarser, &sizes[1..])?)?;
            for (method, (own, others)) in own.iter().zip(&others).enumerate() {
                for (picture, (own, other)) in own.iter().zip(others).enumerate() {
                    found[picture][method].correlations.push(own.spearman(other));
                }
            }
        }
        timings.explain += clock.elapsed().as_secs_f64();
        Ok(found)
    }
}

/// The maps of a batch by one method, one entry a picture, held against no other. A map that is all
/// but flat orders nothing: it counts as the zeros it stands for.
///
/// # Errors
/// A GPU cannot be read.
pub(super) fn unjudged(maps: &Maps) -> Result<Vec<JudgedMap>> {
    let values = maps.values()?.into_iter().zip(&maps.flat);
    let values =
        values.map(|(values, &flat)| (if flat { vec![0.0; values.len()] } else { values }, flat));
    Ok(values.map(|(values, flat)| JudgedMap { values, flat, correlations: Vec::new() }).collect())
}

/// By method the ranks of each picture's map of the last size.
fn last_ranks(maps: &[Vec<Maps>]) -> Result<Vec<Vec<Ranks>>> {
    let of_method = |sizes: &Vec<Maps>| -> Result<Vec<Ranks>> {
        Ok(sizes[sizes.len() - 1].values()?.iter().map(|map| Ranks::of(map)).collect())
    };
    maps.iter().map(of_method).collect()
}
