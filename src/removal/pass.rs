//! What happens to a picture in the experiment: its regions, its inputs through the network, its
//! record.
//!
//! Every picture is brought to the network's input once; each fill, region and kind then costs one
//! input. Inputs go through the network in full batches across the pictures that are at hand
//! together.

use super::pictures::{Choice, OpenPicture, PreparedPicture, PreparedScene};
use super::record::RemovalRecord;
use super::settings::{RemovalKind, RemovalSettings};
use crate::attribution::{HiddenFill, MaskedInputs};
use crate::config::Config;
use crate::corpus::{Enough, Source};
use crate::image::{Fit, Picture, Rgb8, Size};
use crate::networks::{Classifier, Prediction, predict};
use crate::pipeline::{Stage, in_batches};
use crate::regions::{Finder, Located, Regions, Seen};
use crate::run::{Failure, Timings};
use crate::world::{CausalGraph, Scene};
use crate::{Error, Result};
use rayon::prelude::*;
use std::path::PathBuf;
use std::time::Instant;
use tch::Device;

/// Inputs of the network for each picture of `compute.batch`, which counts pictures in the detector
/// (as in paste).
const INPUTS: usize = 4;

/// The networks of the experiment, and how much they take at a time by now.
#[derive(Debug)]
pub struct RemovalNetworks {
    network: Box<dyn Classifier>,
    /// Where regions come from; none for drawn scenes, which say themselves.
    regions: Option<Regions>,
    /// Pictures that are at hand together.
    together: usize,
    /// Pictures the detector takes.
    batch: usize,
    /// Inputs the network takes.
    inputs: usize,
}

impl RemovalNetworks {
    /// For batches of `compute.batch` pictures.
    ///
    /// # Errors
    /// A network with a single output, which has no label to change.
    pub fn new(
        network: Box<dyn Classifier>,
        regions: Option<Regions>,
        config: &Config,
    ) -> Result<Self> {
        if let Some(scalar) = &network.card().scalar {
            return Err(Error::Setting(format!(
                "removing counts labels that change, and the network has the single output {}",
                scalar.name
            )));
        }
        let batch = config.compute.batch;
        Ok(Self { network, regions, together: batch, batch, inputs: INPUTS * batch })
    }

    /// The same on `device`, for another thread.
    ///
    /// # Errors
    /// No memory.
    pub fn on(&self, device: Device) -> Result<Self> {
        let regions = self.regions.as_ref().map(|regions| regions.on(device)).transpose()?;
        let network = self.network.on(device)?;
        let &Self { together, batch, inputs, .. } = self;
        Ok(Self { network, regions, together, batch, inputs })
    }

    /// The network that is asked.
    pub fn network(&self) -> &dyn Classifier {
        &*self.network
    }

    /// Inputs that go through the network at a time by now.
    pub fn inputs(&self) -> usize {
        self.inputs
    }
}

/// A picture that is still to be done.
#[derive(Debug, Clone, Copy)]
pub enum Subject<'a> {
    /// An image of the corpus.
    Photo(&'a Source),
    /// A scene of the stream of the settings.
    Scene {
        /// The causal graph it is drawn from.
        graph: &'a CausalGraph,
        /// Its number in the stream.
        number: u64,
    },
}

impl Subject<'_> {
    /// The path in every table.
    pub fn path(&self) -> String {
        match self {
            Self::Photo(source) => source.path.clone(),
            Self::Scene { number, .. } => format!("scene {number}"),
        }
    }
}

/// The experiment, for a pass over pictures.
#[derive(Debug)]
pub struct RemovalStage<'a> {
    settings: &'a RemovalSettings,
    config: &'a Config,
    fit: Fit,
    finder: Finder,
}

/// What the network is asked: the open picture, and which region is hidden how; of none, the whole
/// picture is shown.
type Asked = (usize, Option<(usize, RemovalKind)>);

impl<'a> RemovalStage<'a> {
    /// With these networks.
    pub fn new(
        networks: &RemovalNetworks,
        settings: &'a RemovalSettings,
        config: &'a Config,
    ) -> Self {
        let finder = networks.regions.as_ref().map(Regions::finder).unwrap_or_default();
        Self { settings, config, fit: networks.network.card().fit, finder }
    }

    fn photo(&self, source: &Source) -> Result<PreparedPicture, Failure> {
        let failure =
            |stage: &'static str| move |error: Error| Failure::new(&source.path, stage, &error);
        let enough =
            Enough { letterboxed: self.finder.view.map(|view| view.canvas), fit: self.fit };
        let options = self.config.corpus.decoding(enough);
        let picture = source.decode(&options).map_err(failure("decode"))?;
        let seen = self.finder.see(&picture, &source.path).map_err(failure("regions"))?;
        Ok(self.prepared(source.path.clone(), &picture, seen, None))
    }

    fn scene(&self, graph: &CausalGraph, number: u64, path: String) -> PreparedPicture {
        let drawn = self.settings.drawn.as_ref();
        let (world, style) =
            drawn.map_or((0, crate::world::Style::Standard), |drawn| (drawn.world, drawn.style));
        let scene = Scene::draw(graph, world, number, style);
        let painting = scene.paint();
        let located = painting.boxes.iter().map(|&(object, bounding_box)| Located {
            class: scene.objects[object].class,
            confidence: 1.0,
            region: crate::image::Extent::from(bounding_box).into(),
        });
        let without = painting.boxes.iter().map(|&(object, _)| {
            let picture = scene.without(object).render();
            self.fit.apply(&picture, picture.size())
        });
        let objects = PreparedScene { located: located.collect(), without: without.collect() };
        self.prepared(path, &painting.picture.into(), Seen::default(), Some(objects))
    }

    fn prepared(
        &self,
        path: String,
        picture: &Picture,
        seen: Seen,
        scene: Option<PreparedScene>,
    ) -> PreparedPicture {
        let placement = self.fit.placement(picture.original);
        let input = self.fit.apply(&picture.pixels, picture.original);
        PreparedPicture { path, placement, input, seen, scene }
    }

    /// The regions of every picture.
    fn located(
        &self,
        networks: &mut RemovalNetworks,
        pictures: &[&PreparedPicture],
    ) -> Result<Vec<Vec<Located>>> {
        let RemovalNetworks { regions, batch, .. } = networks;
        match regions {
            Some(regions) => in_batches(pictures, batch, |filled| {
                regions.locate(&filled.iter().map(|picture| &picture.seen).collect::<Vec<_>>())
            }),
            None => {
                let own = |picture: &&PreparedPicture| {
                    picture.scene.as_ref().map(|scene| scene.located.clone())
                };
                Ok(pictures.iter().map(|picture| own(picture).unwrap_or_default()).collect())
            }
        }
    }

    /// What the network answers for `asked` with a fill.
    fn ask(
        &self,
        networks: &mut RemovalNetworks,
        open: &[OpenPicture<'_>],
        fill: HiddenFill,
        asked: &[Asked],
    ) -> Result<Vec<Prediction>> {
        let RemovalNetworks { network, inputs, together, .. } = networks;
        // As many pictures whatever is at hand, so that a blur has the same last digits in every
        // run.
        let mut pictures: Vec<&Rgb8> = open.iter().map(|open| &open.picture.input).collect();
        pictures.resize((*together).max(pictures.len()), pictures[pictures.len() - 1]);
        let masked = MaskedInputs::new(&**network, &network.prepare(&pictures)?, fill)?;
        in_batches(asked, inputs, |batch| {
            let pictures: Vec<usize> = batch.iter().map(|&(picture, _)| picture).collect();
            let mut shown = Vec::with_capacity(batch.len() * self.fit.input.area());
            batch.iter().for_each(|&(picture, input)| open[picture].show(input, &mut shown));
            masked.predictions(&pictures, &shown)
        })
    }

    /// What it answers for scenes drawn again without each of the chosen objects.
    fn redrawn(
        &self,
        networks: &mut RemovalNetworks,
        open: &[OpenPicture<'_>],
    ) -> Result<Vec<Prediction>> {
        let without = open.iter().flat_map(|open| {
            let scene = open.picture.scene.as_ref();
            scene
                .into_iter()
                .flat_map(|scene| open.chosen.iter().map(|chosen| &scene.without[chosen.number]))
        });
        let RemovalNetworks { network, inputs, .. } = networks;
        in_batches(&without.collect::<Vec<_>>(), inputs, |batch| predict(&**network, batch))
    }
}

impl<'a> Stage for RemovalStage<'a> {
    type Item = Subject<'a>;
    type Prepared = PreparedPicture;
    type Worker = RemovalNetworks;
    type Outcome = RemovalRecord;

    fn name(&self, subject: &Subject<'a>) -> (String, PathBuf) {
        let place = match subject {
            Subject::Photo(source) => source.place(),
            Subject::Scene { .. } => subject.path().into(),
        };
        (subject.path(), place)
    }

    fn prepare(&self, subject: &Subject<'a>) -> Result<PreparedPicture, Failure> {
        match subject {
            Subject::Photo(source) => self.photo(source),
            Subject::Scene { graph, number } => Ok(self.scene(graph, *number, subject.path())),
        }
    }

    fn shape(&self, picture: &PreparedPicture) -> Size {
        picture.seen.sight.as_ref().map_or(self.fit.input, |sight| sight.pixels.size())
    }

    fn run(
        &self,
        networks: &mut RemovalNetworks,
        pictures: &[&PreparedPicture],
        timings: &mut Timings,
    ) -> Result<Vec<RemovalRecord>> {
        let clock = Instant::now();
        let located = self.located(networks, pictures)?;
        let least_confidence = self.config.cam.player_confidence;
        let choice = Choice {
            least_confidence,
            most: self.settings.max_regions,
            seed: self.config.cam.seed,
        };
        let open: Vec<OpenPicture<'_>> = pictures
            .par_iter()
            .zip(located)
            .map(|(picture, found)| OpenPicture::new(picture, found, choice))
            .collect();
        timings.detect += clock.elapsed().as_secs_f64();

        let clock = Instant::now();
        let hidden: Vec<Asked> = open
            .iter()
            .enumerate()
            .flat_map(|(place, open)| open.inputs().map(move |input| (place, Some(input))))
            .collect();
        let whole: Vec<Asked> = (0..open.len()).map(|place| (place, None)).collect();
        // Nothing is hidden of whole pictures, so that they can go along with any fill.
        let first =
            self.ask(networks, &open, self.settings.fills[0], &[whole, hidden.clone()].concat())?;
        let (whole, first) = first.split_at(open.len());
        let others =
            self.settings.fills[1..].iter().map(|&fill| self.ask(networks, &open, fill, &hidden));
        let others = others.collect::<Result<Vec<_>>>()?;
        let redrawn = self.redrawn(networks, &open)?;
        timings.emotion += clock.elapsed().as_secs_f64();

        let mut answers: Vec<&[Prediction]> =
            std::iter::once(first).chain(others.iter().map(Vec::as_slice)).collect();
        let mut redrawn = redrawn.as_slice();
        let record = |(open, whole): (&OpenPicture<'_>, &Prediction)| {
            let count = open.inputs().count();
            let own: Vec<&[Prediction]> = answers.iter().map(|of_fill| &of_fill[..count]).collect();
            answers.iter_mut().for_each(|of_fill| *of_fill = &of_fill[count..]);
            let (without, rest) = redrawn.split_at(open.chosen.len().min(redrawn.len()));
            redrawn = rest;
            open.record(whole, &own, without)
        };
        Ok(open.iter().zip(whole).map(record).collect())
    }

    fn batch_size(&self, networks: &RemovalNetworks) -> usize {
        networks.inputs
    }
}
