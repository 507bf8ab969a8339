//! Batches of both domains: half faces, half pictures, of which half have a label where only some
//! have.

use super::domains::TwoDomains;
use super::recipe::{ComparedLayer, DiscrepancyConfig};
use crate::networks::parameters::Parameter;
use crate::random::Random;
use crate::train::data::LabelledPicture;
use crate::train::data::feed::Feed;
use crate::train::fer::FerLearner;
use crate::train::fitting::{Batch, Learner, Lessons, StepAnswer, UNLABELLED};
use crate::train::lessons::PictureLessons;
use crate::{Error, Result};
use std::collections::BTreeSet;
use tch::{TchError, Tensor};

/// All pictures of both domains that are learnt from: faces, then pictures.
pub(super) fn joined(domains: &TwoDomains) -> Vec<LabelledPicture> {
    domains.source.train.iter().chain(&domains.target.train).cloned().collect()
}

/// How many of a batch's pictures are of which kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shares {
    /// Faces.
    pub source: usize,
    /// Pictures with a label.
    pub labelled: usize,
    /// Pictures without.
    pub unlabelled: usize,
}

impl Shares {
    /// Of a batch of `batch`, where so many pictures have a label and so many have none. Half are
    /// faces; where some pictures have a label and some have none, a quarter each, and pictures
    /// without one are there only where they are `compared`.
    pub(super) fn new(batch: usize, labelled: usize, unlabelled: usize, compared: bool) -> Self {
        let half = batch / 2;
        let quarter = half / 2;
        let (with, without) = match (labelled > 0, unlabelled > 0) {
            (true, true) => (quarter, half - quarter),
            (true, false) => (half, 0),
            (false, _) => (0, half),
        };
        Self {
            source: batch - half,
            labelled: with,
            unlabelled: if compared { without } else { 0 },
        }
    }

    /// All of a batch.
    pub(super) fn all(self) -> usize {
        self.source + self.labelled + self.unlabelled
    }
}

/// Faces and pictures as they are shown. An epoch shows every face once; pictures go on where the
/// last epoch ended, in an order that is drawn anew whenever all have been shown.
#[derive(Debug)]
pub(super) struct TwoDomainLessons<'a> {
    /// All faces, then all pictures; its batch is that of all shares.
    pub pictures: PictureLessons<'a>,
    /// How many of them are faces.
    pub faces: usize,
    /// Numbers of the pictures with a label, counted from the first picture.
    pub labelled: BTreeSet<usize>,
    /// What a batch is made of.
    pub shares: Shares,
}

impl TwoDomainLessons<'_> {
    /// Numbers of all that is shown in an epoch, batch after batch.
    fn order(&self, epoch: u64) -> Vec<usize> {
        let feed: &Feed<'_> = &self.pictures.feed;
        let (labelled, unlabelled): (Vec<usize>, Vec<usize>) = (self.faces..feed.items.len())
            .partition(|number| self.labelled.contains(&(number - self.faces)));
        let steps = self.batches() as usize;
        let stream = |name, numbers, count| {
            Endless { numbers, name, seed: feed.seed }.taken(epoch - 1, steps * count)
        };
        let Shares { source, labelled: with, unlabelled: without } = self.shares;
        let streams = [
            (stream("faces", (0..self.faces).collect(), source), source),
            (stream("labelled", labelled, with), with),
            (stream("unlabelled", unlabelled, without), without),
        ];
        let batch = |step: usize| {
            streams.iter().flat_map(move |(taken, count)| &taken[step * count..(step + 1) * count])
        };
        (0..steps).flat_map(batch).copied().collect()
    }

    /// Pictures whose labels are not to be known have none.
    fn hidden(&self, mut batch: Batch) -> Result<Batch> {
        let unknown = |number: &usize| {
            *number >= self.faces && !self.labelled.contains(&(number - self.faces))
        };
        let unknown: Vec<bool> = batch.numbers.iter().map(unknown).collect();
        batch.labels = Tensor::f_from_slice(&unknown)
            .and_then(|unknown| {
                batch.labels.f_masked_fill(&unknown.f_to_device(batch.labels.device())?, UNLABELLED)
            })
            .map_err(Error::torch("hiding labels"))?;
        Ok(batch)
    }
}

impl Lessons for TwoDomainLessons<'_> {
    fn batches(&self) -> u64 {
        self.faces.div_ceil(self.shares.source) as u64
    }

    fn epoch(&self, epoch: u64, take: &mut dyn FnMut(Batch) -> Result<()>) -> Result<()> {
        let order = self.order(epoch);
        self.pictures
            .feed
            .epoch_in(epoch, &order, |_, shown| take(self.hidden(self.pictures.batch(shown)?)?))
    }

    fn in_order(&self, take: &mut dyn FnMut(Batch) -> Result<()>) -> Result<()> {
        self.pictures.feed.in_order(|_, shown| take(self.hidden(self.pictures.batch(shown)?)?))
    }
}

/// Numbers in an order drawn anew for each pass, pass after pass.
struct Endless {
    numbers: Vec<usize>,
    name: &'static str,
    seed: u64,
}

impl Endless {
    /// Part number `part`, from 0, of `count` numbers.
    fn taken(&self, part: u64, count: usize) -> Vec<usize> {
        let length = self.numbers.len();
        if length == 0 || count == 0 {
            return Vec::new();
        }
        let mut taken = Vec::with_capacity(count);
        let mut place = part as usize * count;
        while taken.len() < count {
            let mut pass = self.numbers.clone();
            Random::of_text(self.seed, &format!("{}/{}", self.name, place / length))
                .shuffle(&mut pass);
            let rest = &pass[place % length..];
            let more = rest.len().min(count - taken.len());
            taken.extend(&rest[..more]);
            place += more;
        }
        taken
    }
}

/// A network that learns labels while its features of both domains are drawn together.
#[derive(Debug)]
pub(super) struct AdaptLearner<'a> {
    /// The network.
    pub fer: FerLearner<'a>,
    /// What draws them together.
    pub discrepancy: &'a DiscrepancyConfig,
    /// How many of the pictures are faces, which are the first.
    pub faces: usize,
}

impl AdaptLearner<'_> {
    /// The sum of the layers' distances; `None` where there is none.
    fn distance(
        &self,
        all: &crate::networks::fer_net::Features,
        numbers: &[usize],
    ) -> Result<Option<Tensor>, TchError> {
        let rows = |of_source: bool| {
            let places = numbers
                .iter()
                .enumerate()
                .filter(|&(_, &number)| (number < self.faces) == of_source);
            let places: Vec<i64> = places.map(|(place, _)| place as i64).collect();
            Tensor::f_from_slice(&places)?.f_to_device(all.logits.device())
        };
        let (source, target) = (rows(true)?, rows(false)?);
        let distance = |layer: &ComparedLayer| {
            let features = layer.features(all)?;
            let select = |rows: &Tensor| features.f_index_select(0, rows);
            self.discrepancy.kind.distance(&select(&source)?, &select(&target)?)
        };
        let terms = self
            .discrepancy
            .layers
            .iter()
            .map(distance)
            .collect::<Result<Option<Vec<Tensor>>, _>>()?;
        terms
            .filter(|terms| !terms.is_empty())
            .map(|terms| Tensor::f_stack(&terms, 0)?.f_sum(None))
            .transpose()
    }
}

impl Learner for AdaptLearner<'_> {
    fn parameters(&self) -> &[Parameter] {
        self.fer.parameters()
    }

    fn is_trained(&self, parameter: &Parameter) -> bool {
        self.fer.is_trained(parameter)
    }

    fn logits(&self, batch: &Batch, training: bool) -> Result<Tensor, TchError> {
        self.fer.logits(batch, training)
    }

    fn answer(&self, batch: &Batch, done: f64) -> Result<StepAnswer, TchError> {
        let all = self.fer.network.features(&self.fer.input(batch)?)?;
        let DiscrepancyConfig { weight, warm_up, .. } = *self.discrepancy;
        let weight = if done < warm_up { weight * done / warm_up } else { weight };
        let discrepancy = self.distance(&all, &batch.numbers)?.map(|distance| (distance, weight));
        Ok(StepAnswer { logits: all.logits, discrepancy })
    }
}
