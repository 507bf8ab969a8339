//! Every metric for every map of one picture.

use super::confidence::{drop, gain, increase};
use super::curve::area;
use super::probe::{Grid, Probe};
use super::road::combined;
use super::scene::{ProbedPicture, Readings};
use super::{baseline, pointing, sanity, Contender, Curve, Measure, Metric, Plan};
use crate::config::Config;
use crate::image::{resize, BoundingBox, Filter, Rgb8, Size};
use crate::networks::EmotionModel;
use crate::nn::Layer;
use crate::random::Random;
use crate::stats::Ranks;
use crate::Result;
use serde::Serialize;
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

/// The detector, and the class whose boxes count.
#[derive(Clone, Copy)]
pub struct Pointer<'a> {
    /// Finds objects.
    pub detector: &'a dyn Detector,
    /// The class.
    pub class: usize,
}

/// Judges one picture after the other.
pub struct Judge<'a> {
    model: &'a dyn EmotionModel,
    config: &'a Config,
    plan: &'a Plan,
    pointer: Option<Pointer<'a>>,
    /// The label all maps explain; `None`: each picture's own.
    class: Option<usize>,
    contenders: Vec<Contender>,
    metrics: Vec<Metric>,
    /// The head with ever more layers redrawn; empty where the sanity check is not wanted.
    redrawn: Vec<Vec<Layer>>,
}

impl<'a> Judge<'a> {
    /// Without a `pointer` there is no pointing game.
    ///
    /// # Errors
    /// No memory for the redrawn heads; a class to be explained that is no label.
    pub fn new(
        model: &'a dyn EmotionModel,
        pointer: Option<Pointer<'a>>,
        config: &'a Config,
        plan: &'a Plan,
    ) -> Result<Self> {
        let redrawn = match plan.has(Measure::Sanity) {
            true => sanity::redrawn(model.head(), config.cam.seed)?,
            false => Vec::new(),
        };
        let metrics = plan.metrics(redrawn.len());
        let contenders = plan.contenders(&config.cam.methods);
        let class = config.cam.class.index(&model.card().labels)?;
        Ok(Self { model, config, plan, pointer, class, contenders, metrics, redrawn })
    }

    /// Whose maps are judged.
    pub fn contenders(&self) -> &[Contender] {
        &self.contenders
    }

    /// What is measured.
    pub fn metrics(&self) -> &[Metric] {
        &self.metrics
    }

    /// Judges `picture`, named `path` in the corpus.
    ///
    /// # Errors
    /// A network cannot be run.
    pub fn judge(&self, picture: &Rgb8, path: &str, seconds: &mut Seconds) -> Result<Judged> {
        let size = self.model.input();
        let seed = Random::of_text(self.config.cam.seed, path).next_u64();
        let probe = Probe::new(self.model, &resize(picture, size, Filter::Bicubic), self.class, seed)?;
        let probed = ProbedPicture::new(probe, size, seed, self.plan)?;

        let clock = Instant::now();
        let mut of_methods = probed.probe.maps(self.model.head(), &self.config.cam, size)?.into_iter();
        seconds.maps += clock.elapsed().as_secs_f64();
        let clock = Instant::now();
        let mut correlations = self.correlations(&probed.probe)?.into_iter();
        seconds.sanity += clock.elapsed().as_secs_f64();
        let clock = Instant::now();
        let inside = self.inside(picture, size)?;
        seconds.detect += clock.elapsed().as_secs_f64();

        let mut verdicts = Vec::with_capacity(self.contenders.len());
        for contender in &self.contenders {
            let (mut flat, mut own) = (false, Vec::new());
            let map = match contender {
                Contender::Method(_) => {
                    let maps = of_methods.next().expect("one list of maps a method");
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
        Ok(Judged { path: path.into(), class: probed.probe.class, probability: probed.whole, area, verdicts })
    }

    /// Per method the correlation of its map with that of each redrawn head; none where a map is the same everywhere.
    fn correlations(&self, probe: &Probe<'_>) -> Result<Vec<Vec<Option<f64>>>> {
        if self.redrawn.is_empty() {
            return Ok(Vec::new());
        }
        let Grid { rows, columns } = probe.grid();
        let grid = Size::new(columns as u32, rows as u32);
        let values = |head: &[Layer]| -> Result<Vec<Vec<f32>>> {
            let maps = probe.maps(head, &self.config.cam, grid)?;
            maps.iter().map(|maps| Ok(maps.values()?.remove(0))).collect()
        };
        let own: Vec<Ranks> = values(self.model.head())?.iter().map(|map| Ranks::of(map)).collect();
        let mut correlations = vec![Vec::with_capacity(self.redrawn.len()); own.len()];
        for head in &self.redrawn {
            for (method, other) in values(head)?.iter().enumerate() {
                correlations[method].push(own[method].spearman(&Ranks::of(other)));
            }
        }
        Ok(correlations)
    }

    /// The pixels inside boxes of the named class, where the picture has one.
    fn inside(&self, picture: &Rgb8, size: Size) -> Result<Option<Vec<bool>>> {
        let (Some(pointer), Some(pointing)) = (self.pointer, &self.plan.pointing) else { return Ok(None) };
        let config = &self.config.detector;
        let letterbox = pointer.detector.canvas(config.rect).letterbox(picture.size());
        let canvas = letterbox.apply(picture, config.letterbox_filter, config.fill());
        let found = pointer.detector.detect(&[&canvas])?.remove(0);
        let boxes: Vec<BoundingBox> = found
            .iter()
            .filter(|found| found.class == pointer.class && found.confidence > pointing.confidence)
            .map(|found| letterbox.to_original(&found.bounding_box))
            .collect();
        let inside = pointing::inside(&boxes, picture.size(), size);
        Ok(inside.contains(&true).then_some(inside))
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
