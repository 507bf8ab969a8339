//! What happens to a photo in the experiment: its spots, its inputs through the network, its
//! record.
//!
//! Every photo is decoded and resized once; each object, fill and spot then costs the pixels of its
//! footprint and one input of the network. Inputs go through the network in full batches across the
//! photos that are at hand together.

use super::Sprites;
use super::focus;
use super::object::PastedObject;
use super::photo::{OpenPhoto, PreparedPhoto, on_box};
use super::record::{Focus, PasteRecord, Spot};
use super::settings::{PasteSettings, Places};
use crate::config::Config;
use crate::corpus::{DecodeOptions, Source};
use crate::image::{Fit, KeptResize, Placement, Rgb8, Size};
use crate::networks::{Classifier, Forward, Prediction};
use crate::pipeline::{Stage, in_batches};
use crate::random::Random;
use crate::regions::{Finder, Located, Regions};
use crate::run::{Failure, Timings};
use crate::{Error, Result};
use rayon::prelude::*;
use std::path::PathBuf;
use std::time::Instant;
use tch::Device;

/// Inputs of the network for each photo of `compute.batch`, which counts pictures in the detector:
/// an input costs it a fifteenth of the memory. Many share one reading of the fully connected
/// layers' weights, but with more than 16 or so at a time what the first layers make no longer fits
/// the processor's cache.
const INPUTS: usize = 4;

/// Batches of inputs that the photos at hand together are to fill about: the last one is filled up
/// with copies.
const BATCHES: usize = 8;

/// The most photos at hand together: each holds its pixels.
const PHOTOS: usize = 8;

/// The networks of the experiment, and how many inputs they take at a time by now.
#[derive(Debug)]
pub struct PasteNetworks {
    network: Box<dyn Classifier>,
    /// Where boxes come from, where objects are pasted on boxes.
    regions: Option<Regions>,
    inputs: usize,
}

impl PasteNetworks {
    /// For batches of `compute.batch` photos.
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
                "pasting counts labels that change, and the network has the single output {}",
                scalar.name
            )));
        }
        Ok(Self { network, regions, inputs: INPUTS * config.compute.batch })
    }

    /// The same on `device`, for another thread.
    ///
    /// # Errors
    /// No memory.
    pub fn on(&self, device: Device) -> Result<Self> {
        let regions = self.regions.as_ref().map(|regions| regions.on(device)).transpose()?;
        Ok(Self { network: self.network.on(device)?, regions, inputs: self.inputs })
    }

    /// Inputs that go through the network at a time by now.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// The network that is asked.
    pub fn network(&self) -> &dyn Classifier {
        &*self.network
    }
}

/// The experiment, for a pass over photos.
#[derive(Debug)]
pub struct PasteStage<'a> {
    objects: &'a [PastedObject],
    settings: &'a PasteSettings,
    config: &'a Config,
    fit: Fit,
    finder: Finder,
    /// Indices of the classes of [`Places::Classes`] among the regions' classes.
    classes: Vec<usize>,
    class: Option<usize>,
}

impl<'a> PasteStage<'a> {
    /// What is pasted where, with these networks; `classes` are the indices of the settings'
    /// classes among the regions'.
    ///
    /// # Errors
    /// A class to be explained that is no label.
    pub fn new(
        networks: &PasteNetworks,
        objects: &'a [PastedObject],
        settings: &'a PasteSettings,
        config: &'a Config,
        classes: Vec<usize>,
    ) -> Result<Self> {
        let finder = networks.regions.as_ref().map(Regions::finder).unwrap_or_default();
        let card = networks.network.card();
        let class = config.cam.class.index(card)?;
        Ok(Self { objects, settings, config, fit: card.fit, finder, classes, class })
    }

    /// Photos that should be at hand together.
    pub fn photos(&self, networks: &PasteNetworks) -> usize {
        let inputs =
            1 + self.objects.len() * self.settings.fills.len() * self.settings.places.names().len();
        (BATCHES * networks.inputs).div_ceil(inputs).clamp(1, PHOTOS)
    }

    /// The spots of every photo, in its own order.
    fn spots(&self, networks: &PasteNetworks, photos: &[&PreparedPhoto]) -> Result<Vec<Vec<Spot>>> {
        let Places::Positions(positions) = &self.settings.places else {
            return photos.iter().map(|photo| self.spots_on_boxes(networks, photo)).collect();
        };
        let spot = |(position, place): (usize, &super::Position)| Spot {
            position,
            x: place.x,
            y: place.y,
            bounding_box: None,
        };
        Ok(vec![positions.iter().enumerate().map(spot).collect(); photos.len()])
    }

    /// The centres of the boxes of the wanted classes over the least confidence, by falling
    /// confidence.
    fn spots_on_boxes(&self, networks: &PasteNetworks, photo: &PreparedPhoto) -> Result<Vec<Spot>> {
        let size = photo.placement.original;
        let located = match &networks.regions {
            Some(regions) => regions.locate(&[&photo.seen])?.remove(0),
            None => Vec::new(),
        };
        let wanted = located
            .iter()
            .filter(|found| found.confidence > self.config.association.min_confidence);
        let spot = |found: &Located| {
            let position = self.classes.iter().position(|&class| class == found.class)?;
            Some(on_box(position, found.region.extent.clip(size)?, size))
        };
        Ok(wanted.filter_map(spot).collect())
    }

    /// Composes and asks a batch of inputs, each of the open photo and of the number that is said.
    fn ask(
        &self,
        network: &dyn Classifier,
        open: &mut [OpenPhoto<'_>],
        batch: &[(usize, usize)],
        timings: &mut Timings,
    ) -> Result<Vec<(Prediction, Option<Focus>)>> {
        let clock = Instant::now();
        // What fills up the batch are copies of its last input.
        let distinct = 1 + batch.windows(2).take_while(|pair| pair[0] != pair[1]).count();
        let photos = &*open;
        let compose = |&(photo, input): &(usize, usize)| photos[photo].compose(input);
        let composed: Vec<Rgb8> = batch[..distinct].par_iter().map(compose).collect();
        *timings.compose.get_or_insert(0.0) += clock.elapsed().as_secs_f64();

        let clock = Instant::now();
        let mut pictures: Vec<&Rgb8> = composed.iter().collect();
        pictures.resize(batch.len(), &composed[distinct - 1]);
        let forward = Forward::of_pictures(network, &pictures)?;
        let predictions = forward.predictions(network.card())?;
        timings.emotion += clock.elapsed().as_secs_f64();

        let clock = Instant::now();
        let focus = match self.settings.focus {
            Some(method) => {
                let explained = |prediction: &Prediction| self.class.unwrap_or(prediction.label);
                let classes: Vec<usize> = predictions.iter().map(explained).collect();
                let maps =
                    focus::maps(method, network, self.config, &forward, &classes)?.values()?;
                compare(open, &batch[..distinct], &maps)
            }
            None => vec![None; distinct],
        };
        timings.explain += clock.elapsed().as_secs_f64();
        Ok(predictions.into_iter().zip(focus).collect())
    }
}

/// What the maps of a batch say of each input but the originals, whose maps the others are compared
/// with.
fn compare(
    open: &mut [OpenPhoto<'_>],
    batch: &[(usize, usize)],
    maps: &[Vec<f32>],
) -> Vec<Option<Focus>> {
    for (&(photo, _), map) in batch.iter().zip(maps).filter(|((_, input), _)| *input == 0) {
        open[photo].look_at(map);
    }
    let photos = &*open;
    batch
        .par_iter()
        .zip(maps)
        .map(|(&(photo, input), map)| photos[photo].focus(input, map))
        .collect()
}

impl<'a> Stage for PasteStage<'a> {
    type Item = &'a Source;
    type Prepared = PreparedPhoto;
    type Worker = PasteNetworks;
    type Outcome = PasteRecord;

    fn name(&self, source: &&'a Source) -> (String, PathBuf) {
        (source.path.clone(), source.place())
    }

    fn prepare(&self, source: &&'a Source) -> Result<PreparedPhoto, Failure> {
        let options = DecodeOptions {
            ignore_exif: self.config.corpus.ignore_exif,
            ..DecodeOptions::default()
        };
        let picture = source
            .decode(&options)
            .map_err(|error| Failure::new(&source.path, "decode", &error))?;
        let seen = self.finder.see(&picture, &source.path);
        let seen = seen.map_err(|error| Failure::new(&source.path, "regions", &error))?;
        let photo = picture.pixels;
        let PasteSettings { scale, fills, .. } = self.settings;
        let sprites = |object: &PastedObject| {
            // Of the photo and the object, so that neither order nor threads nor a resumption
            // change a result.
            let random =
                Random::of_text(self.config.cam.seed, &format!("{}\n{}", source.path, object.name));
            Sprites::new(object, &photo, *scale, fills, random)
        };
        let sprites = self.objects.iter().map(sprites).collect();
        let placement = self.fit.placement(photo.size());
        let Placement { resized, columns, rows, .. } = placement.clone();
        Ok(PreparedPhoto {
            path: source.path.clone(),
            scoring: self.finder.canvas.letterbox(photo.size()),
            photo: KeptResize::part(photo, resized, columns, rows, self.fit.filter),
            placement,
            sprites,
            seen,
        })
    }

    fn shape(&self, _photo: &PreparedPhoto) -> Size {
        self.fit.input
    }

    fn run(
        &self,
        networks: &mut PasteNetworks,
        photos: &[&PreparedPhoto],
        timings: &mut Timings,
    ) -> Result<Vec<PasteRecord>> {
        let clock = Instant::now();
        let spots = self.spots(networks, photos)?;
        timings.detect += clock.elapsed().as_secs_f64();
        let fills = &self.settings.fills;
        let mut open: Vec<OpenPhoto<'_>> = photos
            .iter()
            .zip(spots)
            .map(|(photo, spots)| OpenPhoto::new(photo, spots, fills))
            .collect();
        let inputs: Vec<(usize, usize)> = open
            .iter()
            .enumerate()
            .flat_map(|(photo, opened)| (0..opened.inputs).map(move |input| (photo, input)))
            .collect();
        let PasteNetworks { network, inputs: size, .. } = networks;
        let answers =
            in_batches(&inputs, size, |batch| self.ask(&**network, &mut open, batch, timings))?;
        let mut answers = answers.as_slice();
        let record = |photo: OpenPhoto<'_>| {
            let (own, others) = answers.split_at(photo.inputs);
            answers = others;
            photo.record(own)
        };
        Ok(open.into_iter().map(record).collect())
    }

    fn batch_size(&self, networks: &PasteNetworks) -> usize {
        networks.inputs
    }
}
