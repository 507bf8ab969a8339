//! Every metric for every map of one picture.

use super::confidence::{drop, gain, increase};
use super::curve::area;
use super::explained::{ExplainedBatch, Grid, JudgedMap, unjudged};
use super::probe::{INPUTS, Probe};
use super::road::combined;
use super::scene::{ProbedPicture, Readings};
use super::{Contender, Curve, Judged, Measure, Metric, Plan, Verdict, baseline, pointing, sanity};
use crate::attribution::external::ExternalMaps;
use crate::config::Config;
use crate::corpus::{DecodeOptions, Source};
use crate::image::{Fit, Placement, Region, Rgb8, Size, inside};
use crate::networks::Classifier;
use crate::nn::Precision;
use crate::pipeline::{Stage, in_batches};
use crate::random::Random;
use crate::regions::{Finder, Located, Regions, Seen};
use crate::run::{Failure, Timings};
use crate::{Error, Result};
use std::cell::Cell;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;
use tch::Device;

/// Whose regions count in the pointing game, and where they come from.
#[derive(Debug, Clone)]
pub struct Pointer {
    finder: Finder,
    /// The class.
    pub class: usize,
}

impl Pointer {
    /// For the class `class` of `regions`.
    pub fn new(regions: &Regions, class: usize) -> Self {
        Self { finder: regions.finder(), class }
    }
}

/// The networks that judge, and how many changed pictures they take at a time by now.
#[derive(Debug)]
pub struct JudgingNetworks {
    network: Box<dyn Classifier>,
    /// The network in the number format in which it answers for changed pictures; `None`: as it is.
    rounded: Option<Box<dyn Classifier>>,
    /// The network with ever more layers of its head redrawn; empty where the sanity check is not
    /// wanted.
    redrawn: Vec<Box<dyn Classifier>>,
    regions: Option<Regions>,
    /// Pictures that are explained at a time by now.
    pictures: Cell<usize>,
    /// Changed pictures that go through the network at a time by now.
    inputs: Cell<usize>,
}

impl JudgingNetworks {
    /// Without `regions` there is no pointing game. As many pictures are explained at a time as
    /// `config` says, and changed ones are answered for in its number format.
    ///
    /// # Errors
    /// No memory for the redrawn heads; the sanity check of a network that does not show its
    /// layers, or does not compute in the number format.
    pub fn new(
        network: Box<dyn Classifier>,
        regions: Option<Regions>,
        plan: &Plan,
        config: &Config,
    ) -> Result<Self> {
        let redrawn = match plan.has(Measure::Sanity) {
            true => sanity::redrawn_networks(&*network, config.cam.seed)?,
            false => Vec::new(),
        };
        let rounded = match config.compute.precision {
            Precision::F32 => None,
            precision => Some(network.in_precision(precision)?.ok_or_else(|| {
                Error::Setting(format!(
                    "--precision {precision}: this network computes in f32 alone; leave it out"
                ))
            })?),
        };
        let (pictures, inputs) = (Cell::new(config.compute.batch), Cell::new(INPUTS));
        Ok(Self { network, rounded, redrawn, regions, pictures, inputs })
    }

    /// The same on `device`, for another thread.
    ///
    /// # Errors
    /// No memory.
    pub fn on(&self, device: Device) -> Result<Self> {
        let on = |network: &dyn Classifier| network.on(device);
        Ok(Self {
            network: on(&*self.network)?,
            rounded: self.rounded.as_deref().map(on).transpose()?,
            redrawn: self.redrawn.iter().map(|network| on(&**network)).collect::<Result<_>>()?,
            regions: self.regions.as_ref().map(|regions| regions.on(device)).transpose()?,
            pictures: self.pictures.clone(),
            inputs: self.inputs.clone(),
        })
    }

    /// What answers for changed pictures.
    fn answering(&self) -> &dyn Classifier {
        self.rounded.as_deref().unwrap_or(&*self.network)
    }

    /// How many layers of the head the sanity check redraws.
    pub fn redrawn_layers(&self) -> usize {
        self.redrawn.len()
    }

    /// Pictures that are explained at a time by now.
    pub fn pictures(&self) -> usize {
        self.pictures.get()
    }

    /// Changed pictures that go through the network at a time by now.
    pub fn inputs(&self) -> usize {
        self.inputs.get()
    }
}

/// A picture decoded and brought to the inputs of the networks.
#[derive(Debug)]
pub struct Candidate {
    path: String,
    placement: Placement,
    input: Rgb8,
    seen: Seen,
    /// Its maps from elsewhere, over the input.
    external: Vec<Vec<f32>>,
}

/// A picture with its explanations.
struct Explained<'n> {
    probe: Probe<'n>,
    grid: Grid,
    /// One a method, then one a list of maps from elsewhere.
    explanations: Vec<JudgedMap>,
}

/// Judges pictures: explains them in batches, then changes one after the other.
#[derive(Debug)]
pub struct Judge<'a> {
    config: &'a Config,
    plan: &'a Plan,
    pointer: Option<Pointer>,
    external: Arc<ExternalMaps>,
    fit: Fit,
    /// The label all maps explain; `None`: each picture's own.
    class: Option<usize>,
    contenders: Vec<Contender>,
    metrics: Vec<Metric>,
}

impl<'a> Judge<'a> {
    /// For these networks and maps from elsewhere, which are those that `config` names; without a
    /// `pointer` there is no pointing game.
    ///
    /// # Errors
    /// A class to be explained that is no label; maps of something else than a label; a network
    /// with a single output.
    pub fn new(
        networks: &JudgingNetworks,
        pointer: Option<Pointer>,
        external: Arc<ExternalMaps>,
        config: &'a Config,
        plan: &'a Plan,
    ) -> Result<Self> {
        let card = networks.network.card();
        if let Some(scalar) = &card.scalar {
            return Err(Error::Setting(format!(
                "methods are judged by the probability of a label, and the network has the single \
                 output {}",
                scalar.name
            )));
        }
        config.cam.check_explains_label()?;
        let metrics = plan.metrics(networks.redrawn.len());
        let contenders = plan.contenders(&config.cam);
        let class = config.cam.class.index(card)?;
        Ok(Self { config, plan, pointer, external, fit: card.fit, class, contenders, metrics })
    }

    /// Whose maps are judged.
    pub fn contenders(&self) -> &[Contender] {
        &self.contenders
    }

    /// What is measured.
    pub fn metrics(&self) -> &[Metric] {
        &self.metrics
    }

    /// What is explained of the pictures of a batch, with the maps of all methods and those from
    /// elsewhere.
    fn explain<'n>(
        &self,
        networks: &'n JudgingNetworks,
        batch: &[&Candidate],
        timings: &mut Timings,
    ) -> Result<Vec<Explained<'n>>> {
        let size = self.fit.input;
        let seeds: Vec<u64> = batch.iter().map(|picture| self.seed(picture)).collect();
        let inputs: Vec<&Rgb8> = batch.iter().map(|picture| &picture.input).collect();
        let explained = ExplainedBatch::new(&*networks.network, &inputs, self.class, seeds)?;
        let mut explanations =
            explained.explanations(&networks.redrawn, self.config, size, timings)?;
        let probe = |place: usize| explained.probe(place, networks.answering(), &networks.inputs);
        let probes = (0..batch.len()).map(probe).collect::<Result<Vec<_>>>()?;
        let external: Vec<&[Vec<f32>]> =
            batch.iter().map(|picture| picture.external.as_slice()).collect();
        for maps in self.external.finish(&external, size, probes[0].input.device())? {
            for (explanations, explanation) in explanations.iter_mut().zip(unjudged(&maps)?) {
                explanations.push(explanation);
            }
        }
        let grid = explained.grid();
        let pictures = probes.into_iter().zip(explanations);
        Ok(pictures.map(|(probe, explanations)| Explained { probe, grid, explanations }).collect())
    }

    /// Of a picture, for whatever is drawn at random.
    fn seed(&self, picture: &Candidate) -> u64 {
        Random::of_text(self.config.cam.seed, &picture.path).next_u64()
    }

    /// Judges a picture.
    fn judge(
        &self,
        networks: &JudgingNetworks,
        picture: &Candidate,
        explained: Explained<'_>,
        timings: &mut Timings,
    ) -> Result<Judged> {
        let Explained { probe, grid, explanations } = explained;
        let (class, size) = (probe.class, self.fit.input);
        let probed = ProbedPicture::new(probe, (grid, size), self.seed(picture), self.plan)?;
        let clock = Instant::now();
        let inside = self.inside(networks, picture)?;
        timings.detect += clock.elapsed().as_secs_f64();

        let mut explanations = explanations.into_iter();
        let baseline = |values| JudgedMap { values, flat: false, correlations: Vec::new() };
        let map = |contender: &Contender| match contender {
            Contender::Method(_) | Contender::External(_) => {
                explanations.next().expect("one map a method")
            }
            Contender::Random => baseline(probed.random.clone()),
            Contender::Centre => baseline(baseline::centre(size)),
            Contender::Uniform => baseline(vec![1.0; size.area()]),
        };
        let maps: Vec<JudgedMap> = self.contenders.iter().map(map).collect();
        // The uniform map plays the pointing game alone.
        let judged = maps.iter().zip(&self.contenders);
        let changing = judged.filter(|(_, contender)| **contender != Contender::Uniform);
        let changing: Vec<&[f32]> = changing.map(|(map, _)| map.values.as_slice()).collect();
        let (whole, readings) = probed.readings(&changing, timings)?;
        let readings = readings.into_iter().chain(std::iter::repeat(Readings::default()));
        let verdict = |(map, readings): (&JudgedMap, Readings)| {
            let energy = inside.as_ref().and_then(|inside| pointing::energy(&map.values, inside));
            let value =
                |metric: &Metric| value(*metric, &readings, whole, energy, &map.correlations);
            let values = self.metrics.iter().map(value).collect();
            Verdict { flat: map.flat, values, curves: readings.curves }
        };
        let verdicts = maps.iter().zip(readings).map(verdict).collect();
        let area = inside.as_deref().and_then(pointing::area);
        Ok(Judged { path: picture.path.clone(), class, probability: whole, area, verdicts })
    }

    /// The pixels of the input inside regions of the named class, where the picture has one.
    fn inside(&self, networks: &JudgingNetworks, picture: &Candidate) -> Result<Option<Vec<bool>>> {
        let (Some(pointer), Some(pointing)) = (&self.pointer, &self.plan.pointing) else {
            return Ok(None);
        };
        let located = match &networks.regions {
            Some(regions) => regions.locate(&[&picture.seen])?.remove(0),
            None => Vec::new(),
        };
        let counts = |found: &Located| {
            found.class == pointer.class && found.confidence > pointing.confidence
        };
        let regions: Vec<Region> =
            located.into_iter().filter(counts).map(|found| found.region).collect();
        let inside = inside(&regions, &picture.placement);
        Ok(inside.contains(&true).then_some(inside))
    }
}

impl Stage for Judge<'_> {
    type Item = Source;
    type Prepared = Candidate;
    type Worker = JudgingNetworks;
    type Outcome = Judged;

    fn name(&self, source: &Source) -> (String, PathBuf) {
        (source.path.clone(), source.place())
    }

    fn prepare(&self, source: &Source) -> Result<Candidate, Failure> {
        let options = DecodeOptions {
            ignore_exif: self.config.corpus.ignore_exif,
            ..DecodeOptions::default()
        };
        let picture = source
            .decode(&options)
            .map_err(|error| Failure::new(&source.path, "decode", &error))?;
        let seen = match &self.pointer {
            Some(pointer) => pointer.finder.see(&picture, &source.path),
            None => Ok(Seen::default()),
        };
        let placement = self.fit.placement(picture.original);
        let external = self.external.read(&source.path, &placement);
        Ok(Candidate {
            path: source.path.clone(),
            placement,
            external: external.map_err(|error| Failure::new(&source.path, "maps", &error))?,
            input: self.fit.apply(&picture.pixels, picture.original),
            seen: seen.map_err(|error| Failure::new(&source.path, "regions", &error))?,
        })
    }

    fn shape(&self, _picture: &Candidate) -> Size {
        self.fit.input
    }

    fn run(
        &self,
        networks: &mut JudgingNetworks,
        batch: &[&Candidate],
        timings: &mut Timings,
    ) -> Result<Vec<Judged>> {
        let networks = &*networks;
        let mut pictures = networks.pictures.get();
        let explained =
            in_batches(batch, &mut pictures, |filled| self.explain(networks, filled, timings))?;
        networks.pictures.set(pictures);
        let judged = batch.iter().zip(explained);
        judged
            .map(|(picture, explained)| self.judge(networks, picture, explained, timings))
            .collect()
    }

    fn batch_size(&self, networks: &JudgingNetworks) -> usize {
        networks.inputs()
    }
}

/// `metric` from what was read for a map; `whole` is the probability of the picture as it is.
fn value(
    metric: Metric,
    readings: &Readings,
    whole: f64,
    energy: Option<f64>,
    correlations: &[Option<f64>],
) -> Option<f64> {
    match metric {
        Metric::Deletion => readings.curve(Curve::Deletion).map(area),
        Metric::Insertion => readings.curve(Curve::Insertion).map(area),
        Metric::Road => {
            let (most, least) =
                (readings.curve(Curve::RoadMost)?, readings.curve(Curve::RoadLeast)?);
            Some(combined(&most[1..], &least[1..]))
        }
        Metric::AverageDrop => drop(whole, readings.shown?),
        Metric::AverageGain => gain(whole, readings.shown?),
        Metric::Increase => Some(increase(whole, readings.shown?)),
        Metric::Pointing => energy,
        Metric::Sanity(layers) => correlations.get(layers - 1).copied().flatten(),
    }
}
