//! What happens to a picture, from pixels to its record: regions, the explained network, all maps,
//! scores.

use super::visible_regions::{RegionScores, VisibleRegions};
use super::{Stage, distinct, in_batches};
use crate::attribution::external::ExternalMaps;
use crate::attribution::{HeadPass, InputRegion, Maps, Needs, explain, values_of};
use crate::config::Config;
use crate::corpus::{Enough, Source};
use crate::filters::{self, PictureBoxes, PictureFilters};
use crate::image::{Extent, Fit, Picture, Placement, Rgb8, Size};
use crate::load::Loaded;
use crate::networks::{Classifier, Forward, Prediction, predictions};
use crate::random::Random;
use crate::regions::{Finder, Seen};
use crate::run::record::{GameRecord, ImageRecord, MapRecord};
use crate::run::{Failure, KeptMap, Timings};
use crate::score::{BoxScore, MapScores, RegionCover, Scorer, scores_on_device};
use crate::stats::jackknife_error;
use crate::{Error, Result};
use rayon::prelude::*;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;
use tch::{Device, Tensor};

/// The networks of a model thread, and how many pictures they take at a time by now.
#[derive(Debug)]
pub struct Worker {
    /// Both ends of the analysis.
    pub loaded: Loaded,
    /// Pictures a batch; fewer than configured since memory ran out.
    pub batch: usize,
}

impl Worker {
    /// The same on `device`, for another thread.
    ///
    /// # Errors
    /// No memory.
    pub fn on(&self, device: Device) -> Result<Self> {
        Ok(Self { loaded: self.loaded.on(device)?, batch: self.batch })
    }
}

/// The analysis of single pictures, for a pass over a corpus.
#[derive(Debug, Clone)]
pub struct Analysis<'a> {
    config: &'a Config,
    finder: Finder,
    external: Arc<ExternalMaps>,
    fit: Fit,
    keep_maps: bool,
    keep_filters: bool,
    keep_errors: bool,
}

/// A picture ready for both networks.
#[derive(Debug)]
pub struct Prepared {
    /// How it lies in the explained network's input.
    placement: Placement,
    input: Rgb8,
    seen: Seen,
    /// Its maps from elsewhere, over the input.
    external: Vec<Vec<f32>>,
    /// For methods that draw at random: from the run's seed and the picture's path, so that neither
    /// order nor threads nor a resumption change a result.
    seed: u64,
}

/// What came of a picture.
#[derive(Debug, PartialEq)]
pub struct Examined {
    /// Its record, `path` empty.
    pub record: ImageRecord,
    /// Its maps, one a method; empty where they are not kept.
    pub maps: Vec<KeptMap>,
    /// How its channels lie in its boxes, where that is kept.
    pub filters: Option<PictureFilters>,
    /// What each stream of a network with several answers alone, with its name, where maps are
    /// kept.
    pub streams: Vec<(String, Prediction)>,
}

impl<'a> Analysis<'a> {
    /// With these networks, whose sizes and regions decode threads need; maps are handed on where
    /// `keep_maps` says so.
    pub fn new(loaded: &Loaded, config: &'a Config, keep_maps: bool) -> Self {
        let (finder, external) = (loaded.regions.finder(), loaded.maps.clone());
        Self {
            config,
            finder,
            external,
            fit: loaded.network.card().fit,
            keep_maps,
            keep_filters: false,
            keep_errors: true,
        }
    }

    /// The same, which leaves out how sure estimated importances are.
    pub fn without_errors(self) -> Self {
        Self { keep_errors: false, ..self }
    }

    /// The same, which also hands on how channels lie in boxes, where the configuration says so.
    pub fn with_filters(self) -> Self {
        Self { keep_filters: self.config.cam.filters, ..self }
    }

    /// How much of a picture decoding has to give.
    pub fn enough(&self) -> Enough {
        Enough { letterboxed: self.finder.view.map(|view| view.canvas), fit: self.fit }
    }

    /// Brings the picture named `path` in the corpus to both networks' inputs.
    ///
    /// # Errors
    /// Its known regions are those of a picture of another size (stage `regions`); a map from
    /// elsewhere is missing or cannot be used (stage `maps`).
    pub fn prepare(&self, picture: &Picture, path: &str) -> Result<Prepared, Failure> {
        let failure = |stage: &'static str| move |error: Error| Failure::new(path, stage, &error);
        let placement = self.fit.placement(picture.original);
        let external = self.external.read(path, &placement).map_err(failure("maps"))?;
        Ok(Prepared {
            placement,
            external,
            input: self.fit.apply(&picture.pixels, picture.original),
            seen: self.finder.see(picture, path).map_err(failure("regions"))?,
            seed: Random::of_text(self.config.cam.seed, path).next_u64(),
        })
    }

    /// Runs both networks, all methods and the scoring on pictures whose canvases have one size, in
    /// batches of the worker's size, adding what it took to `timings`.
    ///
    /// # Errors
    /// A network could not be run, or not even on a single picture.
    pub fn examine(
        &self,
        worker: &mut Worker,
        pictures: &[&Prepared],
        timings: &mut Timings,
    ) -> Result<Vec<Examined>> {
        let Worker { loaded, batch } = worker;
        in_batches(pictures, batch, |filled| self.examine_batch(loaded, filled, timings))
    }

    fn examine_batch(
        &self,
        loaded: &Loaded,
        batch: &[&Prepared],
        timings: &mut Timings,
    ) -> Result<Vec<Examined>> {
        let network = &*loaded.network;
        let clock = Instant::now();
        let located = loaded
            .regions
            .locate(&batch.iter().map(|prepared| &prepared.seen).collect::<Vec<_>>())?;
        timings.detect += clock.elapsed().as_secs_f64();

        let clock = Instant::now();
        let inputs: Vec<&Rgb8> = batch.iter().map(|prepared| &prepared.input).collect();
        let forward = Forward::of_pictures(network, &inputs)?;
        let answers = forward.predictions(network.card())?;
        timings.emotion += clock.elapsed().as_secs_f64();

        let clock = Instant::now();
        let visible: Vec<VisibleRegions> = batch
            .iter()
            .zip(located)
            .map(|(prepared, regions)| VisibleRegions::new(prepared.placement.original, regions))
            .collect();
        let explained =
            |prediction: &Prediction| loaded.class.unwrap_or_else(|| prediction.explained());
        let classes: Vec<usize> = answers.iter().map(explained).collect();
        let seeds: Vec<u64> = batch.iter().map(|prepared| prepared.seed).collect();
        let inside = self.inside(batch, &visible);
        let all_maps = |network: &dyn Classifier, forward: &Forward| {
            let options = self.config.cam.options();
            let pass = HeadPass::new(network, forward, options, &classes, &seeds)?;
            let pass = pass
                .with_regions(&inside)
                .with_copies_behind(distinct(batch))
                .with_changes_in(self.config.compute.precision);
            let maps = self
                .config
                .cam
                .methods
                .iter()
                .map(|&method| explain(method, &pass, self.fit.input));
            Ok((maps.collect::<Result<Vec<_>>>()?, pass.a().shallow_clone()))
        };
        let (mut maps, activation) = all_maps(network, &forward)?;
        let streams = self.stream_answers(network, &forward)?;
        for further in &loaded.further_streams {
            let forward = Forward::run(&**further, forward.input.shallow_clone())?;
            maps.extend(all_maps(&**further, &forward)?.0);
        }
        let external: Vec<&[Vec<f32>]> =
            batch.iter().map(|prepared| prepared.external.as_slice()).collect();
        maps.extend(self.external.finish(&external, self.fit.input, forward.input.device())?);
        timings.explain += clock.elapsed().as_secs_f64();

        let clock = Instant::now();
        let scored = self.scores(batch, &visible, &maps)?;
        let mut kept = match self.keep_maps {
            true => maps.iter().map(kept_maps).collect::<Result<Vec<_>>>()?,
            false => Vec::new(),
        };
        let mut filters = self.filters(batch, &visible, &activation, &maps)?.into_iter();
        let mut streams = streams.into_iter();
        let examined = visible.into_iter().zip(answers).zip(scored).enumerate();
        let examined = examined.map(|(place, ((visible, prediction), scores))| Examined {
            record: visible.record(
                &prediction,
                network.card(),
                self.map_records(&maps, place, scores),
            ),
            maps: kept.iter_mut().map(|maps| std::mem::take(&mut maps[place])).collect(),
            filters: filters.next(),
            streams: streams.next().unwrap_or_default(),
        });
        let examined = examined.collect();
        timings.score += clock.elapsed().as_secs_f64();
        Ok(examined)
    }

    /// The regions of each picture in places of the network's input, where a method asks what these
    /// are worth.
    fn inside(&self, batch: &[&Prepared], visible: &[VisibleRegions]) -> Vec<Vec<InputRegion>> {
        if !self.config.cam.methods.iter().any(|method| method.row().needs == Needs::Regions) {
            return vec![Vec::new(); batch.len()];
        }
        let least = self.config.cam.player_confidence;
        let places = |(visible, prepared): (&VisibleRegions, &&Prepared)| {
            visible.inside(&prepared.placement, least)
        };
        visible.par_iter().zip(batch).map(places).collect()
    }

    /// What each stream of the network answers alone, by picture; nothing where maps are not kept.
    fn stream_answers(
        &self,
        network: &dyn Classifier,
        forward: &Forward,
    ) -> Result<Vec<Vec<(String, Prediction)>>> {
        if !self.keep_maps {
            return Ok(Vec::new());
        }
        let _no_grad = tch::no_grad_guard();
        let outputs = network
            .stream_outputs(&forward.activation)
            .map_err(Error::torch("running the streams"))?;
        let mut answers = Vec::new();
        for (name, outputs) in outputs {
            for (place, answer) in predictions(&outputs, network.card())?.into_iter().enumerate() {
                answers.resize_with(answers.len().max(place + 1), Vec::new);
                answers[place].push((name.clone(), answer));
            }
        }
        Ok(answers)
    }

    /// Scores by picture and method, with the standard errors of those of estimated maps.
    fn scores(
        &self,
        batch: &[&Prepared],
        visible: &[VisibleRegions],
        maps: &[Maps],
    ) -> Result<Vec<Vec<RegionScores>>> {
        if !self.keep_errors {
            let maps: Vec<&Tensor> = maps.iter().map(Maps::tensor).collect();
            return self.scores_on(batch, visible, &maps);
        }
        let left_out = maps.iter().map(Maps::left_out).collect::<Result<Vec<_>>>()?;
        let all: Vec<&Tensor> =
            maps.iter().map(Maps::tensor).chain(left_out.iter().flatten()).collect();
        let mut by_picture = self.scores_on(batch, visible, &all)?;
        for (picture, scores) in by_picture.iter_mut().enumerate() {
            let mut behind = scores.split_off(maps.len()).into_iter();
            for ((scores, maps), left_out) in scores.iter_mut().zip(maps).zip(&left_out) {
                let without: Vec<RegionScores> = behind.by_ref().take(left_out.len()).collect();
                scores.errors = standard_errors(&without[..maps.groups(picture)]);
            }
        }
        Ok(by_picture)
    }

    /// Scores by picture and map: where the maps are, on a GPU or on the processor's cores.
    fn scores_on(
        &self,
        batch: &[&Prepared],
        visible: &[VisibleRegions],
        maps: &[&Tensor],
    ) -> Result<Vec<Vec<RegionScores>>> {
        let Some(&[_, rows, columns]) = maps.first().map(|maps| maps.size()).as_deref() else {
            return Ok(vec![Vec::new(); batch.len()]);
        };
        let size = Size::new(columns as u32, rows as u32);
        let scorer = |prepared: &&Prepared| self.scorer(prepared, size);
        let scorers: Vec<Scorer> = batch.par_iter().map(scorer).collect();
        let cover = |(scorer, regions): (&Scorer, &VisibleRegions)| {
            scorer.cover(regions.extents.iter().zip(regions.masks.iter().map(Option::as_ref)))
        };
        let covers: Vec<RegionCover> = scorers.par_iter().zip(visible).map(cover).collect();
        let on_device = maps.iter().all(|maps| maps.device().is_cuda());
        let has_masks = visible.iter().any(|regions| regions.masks.iter().any(Option::is_some));
        let values = match on_device && !has_masks {
            true => Vec::new(),
            false => maps.iter().map(|maps| values_of(maps)).collect::<Result<Vec<_>>>()?,
        };
        let mut found: Vec<Vec<MapScores>> = if on_device {
            let extents: Vec<&[Extent]> =
                visible.iter().map(|regions| regions.extents.as_slice()).collect();
            scores_on_device(&scorers, maps, &extents, &covers)
                .map_err(Error::torch("scoring boxes"))?
        } else {
            let picture = |place: usize| {
                let placed = |maps: &Vec<Vec<f32>>| scorers[place].place(&maps[place]);
                values
                    .iter()
                    .map(|maps| placed(maps).scores(&visible[place].extents, &covers[place]))
                    .collect()
            };
            (0..batch.len()).into_par_iter().map(picture).collect()
        };
        let picture = |(place, found): (usize, &mut Vec<MapScores>)| {
            let masks =
                visible[place].mask_scores(&batch[place].placement, (size, place), &values, found);
            let by_method =
                found.drain(..).zip(masks.into_iter().chain(std::iter::repeat(Vec::new())));
            by_method
                .map(|(MapScores { boxes, background, grid }, masks)| RegionScores {
                    boxes,
                    masks,
                    errors: Vec::new(),
                    background,
                    grid: Some(grid),
                })
                .collect()
        };
        Ok(found.par_iter_mut().enumerate().map(picture).collect())
    }

    /// How channels lie in boxes; nothing where that is not kept. `activation` is A of the batch.
    fn filters(
        &self,
        batch: &[&Prepared],
        visible: &[VisibleRegions],
        activation: &Tensor,
        maps: &[Maps],
    ) -> Result<Vec<PictureFilters>> {
        if !self.keep_filters {
            return Ok(Vec::new());
        }
        let pictures = batch.iter().zip(visible).map(|(prepared, regions)| PictureBoxes {
            placement: &prepared.placement,
            boxes: regions.boxes.iter().map(|region| (region.class, region.bounding_box)).collect(),
        });
        let weights: Vec<&Tensor> = maps.iter().filter_map(|maps| maps.weights.as_ref()).collect();
        filters::in_batch(activation, &weights, &pictures.collect::<Vec<_>>())
            .map_err(Error::torch("measuring channels in boxes"))
    }

    /// What boxes of a picture are scored with, on maps of a size.
    fn scorer(&self, prepared: &Prepared, map: Size) -> Scorer {
        let letterbox = self.finder.canvas.letterbox(prepared.placement.original);
        Scorer::new(&prepared.placement, map, letterbox, self.config.regions.box_area)
    }

    /// What is kept of the maps of the picture at `place` in its batch.
    fn map_records(
        &self,
        maps: &[Maps],
        place: usize,
        scores: Vec<RegionScores>,
    ) -> Vec<MapRecord> {
        let each = self.config.cam.names().into_iter().zip(maps).zip(scores);
        each.map(|((method, maps), mut scores)| {
            let game = maps.games.as_ref().map(|games| &games[place]);
            if let Some(game) = game.filter(|game| game.background.is_some()) {
                let boxes = game.shares.iter().copied().map(BoxScore::of_value).collect();
                let background = BoxScore::of_value(game.background_share);
                scores = RegionScores { boxes, background, ..RegionScores::default() };
            }
            MapRecord {
                method,
                flat: maps.flat[place],
                error: maps.error(place),
                mean: maps.means[place],
                scores: scores.boxes,
                mask_scores: scores.masks,
                score_errors: scores.errors,
                background: scores.background,
                grid: scores.grid,
                game: game.map(GameRecord::from),
            }
        })
        .collect()
    }
}

impl<'a> Stage for Analysis<'a> {
    type Item = &'a Source;
    type Prepared = Prepared;
    type Worker = Worker;
    type Outcome = Examined;

    fn name(&self, source: &&'a Source) -> (String, PathBuf) {
        (source.path.clone(), source.place())
    }

    fn prepare(&self, source: &&'a Source) -> Result<Prepared, Failure> {
        let options = self.config.corpus.decoding(self.enough());
        let picture = source
            .decode(&options)
            .map_err(|error| Failure::new(&source.path, "decode", &error))?;
        Analysis::prepare(self, &picture, &source.path)
    }

    fn shape(&self, prepared: &Prepared) -> Size {
        prepared.seen.sight.as_ref().map_or(self.fit.input, |sight| sight.pixels.size())
    }

    fn run(
        &self,
        worker: &mut Worker,
        batch: &[&Prepared],
        timings: &mut Timings,
    ) -> Result<Vec<Examined>> {
        self.examine(worker, batch, timings)
    }

    fn batch_size(&self, worker: &Worker) -> usize {
        worker.batch
    }
}

/// The standard error of each region's importance, from all scores again, each time without a group
/// of the draws; empty without groups.
fn standard_errors(left_out: &[RegionScores]) -> Vec<f32> {
    let importances: Vec<Vec<f32>> =
        left_out.iter().map(|scores| scores.importances().collect()).collect();
    let regions = importances.first().map_or(0, Vec::len);
    let error = |region: usize| {
        let of_region = importances.iter().map(|of_map| f64::from(of_map[region]));
        jackknife_error(&of_region.collect::<Vec<_>>()) as f32
    };
    (0..regions).map(error).collect()
}

/// What is kept of a method's maps, one a picture.
fn kept_maps(maps: &Maps) -> Result<Vec<KeptMap>> {
    let mut signed = maps.signed_values()?.map(Vec::into_iter);
    let kept = |values| KeptMap { values, signed: signed.as_mut().and_then(Iterator::next) };
    Ok(maps.values()?.into_iter().map(kept).collect())
}
