//! Every metric for every map of one picture.

use super::confidence::{drop, gain, increase};
use super::curve::area;
use super::probe::{Grid, Probe, INPUTS};
use super::road::combined;
use super::scene::{ProbedPicture, Readings};
use super::{baseline, pointing, sanity, Contender, Curve, Measure, Metric, Plan};
use crate::attribution::external::ExternalMaps;
use crate::config::Config;
use crate::corpus::{DecodeOptions, Source};
use crate::image::{inside, Fit, Placement, Region, Rgb8, Size};
use crate::networks::Classifier;
use crate::pipeline::Stage;
use crate::random::Random;
use crate::regions::{Finder, Located, Regions, Seen};
use crate::run::{Failure, Timings};
use crate::stats::Ranks;
use crate::{Error, Result};
use serde::Serialize;
use std::cell::Cell;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

/// Seconds a part of the work took, all pictures together.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Seconds {
    /// The detector.
    pub detect: f64,
    /// Maps of all methods.
    pub maps: f64,
    /// Maps of the redrawn heads.
    pub sanity: f64,
    /// Making changed pictures, filling in removed pixels among it.
    pub change: f64,
    /// Running the changed pictures through the network.
    pub network: f64,
}

impl Seconds {
    /// Adds the times of another picture.
    pub(super) fn add(&mut self, other: Self) {
        // Every field by name: one that is not added does not compile.
        let Self { detect, maps, sanity, change, network } = other;
        self.detect += detect;
        self.maps += maps;
        self.sanity += sanity;
        self.change += change;
        self.network += network;
    }
}

/// What one map is worth on one picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// The map shows nothing.
    pub flat: bool,
    /// One a metric of [`Judge::metrics`]; none where it is undefined.
    pub values: Vec<Option<f64>>,
    /// Probabilities along the plan's curves; empty where the contender has none.
    pub curves: Vec<(Curve, Vec<f64>)>,
}

/// One picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// Its name in the corpus.
    pub path: String,
    /// The explained class.
    pub class: usize,
    /// Its probability.
    pub probability: f64,
    /// The share of the picture inside boxes of the named class, where there is one.
    pub area: Option<f64>,
    /// One a contender.
    pub verdicts: Vec<Verdict>,
}

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
    /// The network with ever more layers of its head redrawn; empty where the sanity check is not wanted.
    redrawn: Vec<Box<dyn Classifier>>,
    regions: Option<Regions>,
    inputs: Cell<usize>,
}

impl JudgingNetworks {
    /// Without `regions` there is no pointing game.
    ///
    /// # Errors
    /// No memory for the redrawn heads; the sanity check of a network that does not show its layers.
    pub fn new(network: Box<dyn Classifier>, regions: Option<Regions>, plan: &Plan, seed: u64) -> Result<Self> {
        let redrawn = match plan.has(Measure::Sanity) {
            true => sanity::redrawn_networks(&*network, seed)?,
            false => Vec::new(),
        };
        Ok(Self { network, redrawn, regions, inputs: Cell::new(INPUTS) })
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

/// Judges one picture after the other.
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
    /// For these networks and maps from elsewhere, which are those that `config` names; without a `pointer` there is no
    /// pointing game.
    ///
    /// # Errors
    /// A class to be explained that is no label; maps of something else than a label; a network with a single output.
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
                "methods are judged by the probability of a label, and the network has the single output {}",
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

    /// Judges a picture.
    fn judge(&self, networks: &JudgingNetworks, picture: &Candidate, seconds: &mut Seconds) -> Result<Judged> {
        let size = self.fit.input;
        let seed = Random::of_text(self.config.cam.seed, &picture.path).next_u64();
        let network = &*networks.network;
        let probe = Probe::new(network, &networks.inputs, &picture.input, self.class, seed)?;
        let probed = ProbedPicture::new(probe, size, seed, self.plan)?;

        let clock = Instant::now();
        let external = self.external.finish(&[&picture.external], size, probed.probe.input.device())?;
        let mut all_maps = probed.probe.maps(network, &self.config.cam, size)?.into_iter().chain(external);
        seconds.maps += clock.elapsed().as_secs_f64();
        let clock = Instant::now();
        let mut correlations = self.correlations(networks, &probed.probe)?.into_iter();
        seconds.sanity += clock.elapsed().as_secs_f64();
        let clock = Instant::now();
        let inside = self.inside(networks, picture)?;
        seconds.detect += clock.elapsed().as_secs_f64();

        let mut verdicts = Vec::with_capacity(self.contenders.len());
        for contender in &self.contenders {
            let (mut flat, mut own) = (false, Vec::new());
            let map = match contender {
                Contender::Method(_) | Contender::External(_) => {
                    let maps = all_maps.next().expect("one list of maps a method");
                    (flat, own) = (maps.flat[0], correlations.next().unwrap_or_default());
                    // A map that is all but flat orders nothing: it counts as the zeros it stands for.
                    if flat {
                        vec![0.0; size.area()]
                    } else {
                        maps.values()?.remove(0)
                    }
                }
                Contender::Random => probed.random.clone(),
                Contender::Centre => baseline::centre(size),
                Contender::Uniform => vec![1.0; size.area()],
            };
            let energy = inside.as_ref().and_then(|inside| pointing::energy(&map, inside));
            let readings = match contender {
                Contender::Uniform => Readings::default(),
                _ => probed.readings(&map, seconds)?,
            };
            let value = |metric: &Metric| value(*metric, &readings, probed.whole, energy, &own);
            verdicts.push(Verdict { flat, values: self.metrics.iter().map(value).collect(), curves: readings.curves });
        }
        let area = inside.as_deref().and_then(pointing::area);
        let (path, class) = (picture.path.clone(), probed.probe.class);
        Ok(Judged { path, class, probability: probed.whole, area, verdicts })
    }

    /// Per method the correlation of its map with that of each redrawn head; none where a map is the same everywhere.
    fn correlations(&self, networks: &JudgingNetworks, probe: &Probe<'_>) -> Result<Vec<Vec<Option<f64>>>> {
        if networks.redrawn.is_empty() {
            return Ok(Vec::new());
        }
        let Grid { rows, columns } = probe.grid();
        let grid = Size::new(columns as u32, rows as u32);
        let values = |network: &dyn Classifier| -> Result<Vec<Vec<f32>>> {
            let maps = probe.maps(network, &self.config.cam, grid)?;
            maps.iter().map(|maps| Ok(maps.values()?.remove(0))).collect()
        };
        let own: Vec<Ranks> = values(&*networks.network)?.iter().map(|map| Ranks::of(map)).collect();
        let mut found = vec![Vec::with_capacity(networks.redrawn.len()); own.len()];
        for redrawn in &networks.redrawn {
            for (method, other) in values(&**redrawn)?.iter().enumerate() {
                found[method].push(own[method].spearman(&Ranks::of(other)));
            }
        }
        Ok(found)
    }

    /// The pixels of the input inside regions of the named class, where the picture has one.
    fn inside(&self, networks: &JudgingNetworks, picture: &Candidate) -> Result<Option<Vec<bool>>> {
        let (Some(pointer), Some(pointing)) = (&self.pointer, &self.plan.pointing) else { return Ok(None) };
        let located = match &networks.regions {
            Some(regions) => regions.locate(&[&picture.seen])?.remove(0),
            None => Vec::new(),
        };
        let counts = |found: &Located| found.class == pointer.class && found.confidence > pointing.confidence;
        let regions: Vec<Region> = located.into_iter().filter(counts).map(|found| found.region).collect();
        let inside = inside(&regions, &picture.placement);
        Ok(inside.contains(&true).then_some(inside))
    }
}

impl Stage for Judge<'_> {
    type Item = Source;
    type Prepared = Candidate;
    type Worker = JudgingNetworks;
    type Outcome = (Judged, Seconds);

    fn name(&self, source: &Source) -> (String, PathBuf) {
        (source.path.clone(), source.place())
    }

    fn prepare(&self, source: &Source) -> Result<Candidate, Failure> {
        let options = DecodeOptions { ignore_exif: self.config.corpus.ignore_exif, ..DecodeOptions::default() };
        let picture = source.decode(&options).map_err(|error| Failure::new(&source.path, "decode", &error))?;
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
        _timings: &mut Timings,
    ) -> Result<Vec<(Judged, Seconds)>> {
        let judged = batch.iter().map(|picture| {
            let mut seconds = Seconds::default();
            Ok((self.judge(networks, picture, &mut seconds)?, seconds))
        });
        judged.collect()
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
            let (most, least) = (readings.curve(Curve::RoadMost)?, readings.curve(Curve::RoadLeast)?);
            Some(combined(&most[1..], &least[1..]))
        }
        Metric::AverageDrop => drop(whole, readings.shown?),
        Metric::AverageGain => gain(whole, readings.shown?),
        Metric::Increase => Some(increase(whole, readings.shown?)),
        Metric::Pointing => energy,
        Metric::Sanity(layers) => correlations.get(layers - 1).copied().flatten(),
    }
}
