//! What happens to a picture: it is brought to the network's input, and the network answers.

use super::record::ClassifyRecord;
use crate::config::Config;
use crate::corpus::{Enough, Source};
use crate::image::{Fit, Rgb8, Size};
use crate::networks::{Card, Classifier, Forward, Prediction, predictions};
use crate::pipeline::{Stage, in_batches};
use crate::run::{Failure, Timings};
use crate::{Error, Result};
use std::path::PathBuf;
use std::time::Instant;
use tch::Device;

/// The network, and how many pictures it takes at a time by now.
#[derive(Debug)]
pub struct ClassifyWorker {
    /// The network.
    pub network: Box<dyn Classifier>,
    /// Pictures a batch.
    pub batch: usize,
}

impl ClassifyWorker {
    /// The same on `device`, for another thread.
    ///
    /// # Errors
    /// No memory.
    pub fn on(&self, device: Device) -> Result<Self> {
        Ok(Self { network: self.network.on(device)?, batch: self.batch })
    }
}

/// A picture brought to the network's input.
#[derive(Debug)]
pub struct PreparedInput {
    path: String,
    input: Rgb8,
}

/// Classification, for a pass over pictures.
#[derive(Debug)]
pub struct ClassifyStage<'a> {
    config: &'a Config,
    fit: Fit,
    card: Card,
}

impl<'a> ClassifyStage<'a> {
    /// By this network.
    pub fn new(network: &dyn Classifier, config: &'a Config) -> Self {
        Self { config, fit: network.card().fit, card: network.card().clone() }
    }

    /// The records of a batch of pictures, each with what `also` makes of it: `also` sees the batch
    /// on its way through the network and gives an entry a picture.
    ///
    /// # Errors
    /// The network cannot be run; whatever `also` reports.
    pub(crate) fn answer<R>(
        &self,
        worker: &mut ClassifyWorker,
        batch: &[&PreparedInput],
        timings: &mut Timings,
        also: impl Fn(&dyn Classifier, &Forward) -> Result<Vec<R>>,
    ) -> Result<Vec<(ClassifyRecord, R)>> {
        let clock = Instant::now();
        let pictures: Vec<&Rgb8> = batch.iter().map(|picture| &picture.input).collect();
        let ClassifyWorker { network, batch: size } = worker;
        let answers = in_batches(&pictures, size, |filled| {
            let forward = Forward::of_pictures(&**network, filled)?;
            Ok(self
                .answers(&**network, &forward)?
                .into_iter()
                .zip(also(&**network, &forward)?)
                .collect())
        })?;
        timings.emotion += clock.elapsed().as_secs_f64();
        let record = |(picture, ((answer, streams), more)): (
            &&PreparedInput,
            ((Prediction, Vec<usize>), R),
        )| {
            let Prediction { label, probabilities, output } = answer;
            (
                ClassifyRecord {
                    path: picture.path.clone(),
                    label,
                    probabilities,
                    output,
                    streams,
                },
                more,
            )
        };
        Ok(batch.iter().zip(answers).map(record).collect())
    }

    /// What the network and each of its streams answer for a batch.
    fn answers(
        &self,
        network: &dyn Classifier,
        forward: &Forward,
    ) -> Result<Vec<(Prediction, Vec<usize>)>> {
        let whole = forward.predictions(&self.card)?;
        let mut streams = vec![Vec::new(); whole.len()];
        let _no_grad = tch::no_grad_guard();
        let outputs = network
            .stream_outputs(&forward.activation)
            .map_err(Error::torch("running the streams"))?;
        for (_, outputs) in outputs {
            let answers = predictions(&outputs, &self.card)?;
            streams.iter_mut().zip(answers).for_each(|(own, answer)| own.push(answer.label));
        }
        Ok(whole.into_iter().zip(streams).collect())
    }
}

impl Stage for ClassifyStage<'_> {
    type Item = Source;
    type Prepared = PreparedInput;
    type Worker = ClassifyWorker;
    type Outcome = ClassifyRecord;

    fn name(&self, source: &Source) -> (String, PathBuf) {
        (source.path.clone(), source.place())
    }

    fn prepare(&self, source: &Source) -> Result<PreparedInput, Failure> {
        let options = self.config.corpus.decoding(Enough { letterboxed: None, fit: self.fit });
        let picture = source
            .decode(&options)
            .map_err(|error| Failure::new(&source.path, "decode", &error))?;
        Ok(PreparedInput {
            path: source.path.clone(),
            input: self.fit.apply(&picture.pixels, picture.original),
        })
    }

    fn shape(&self, _: &PreparedInput) -> Size {
        self.fit.input
    }

    fn run(
        &self,
        worker: &mut ClassifyWorker,
        batch: &[&PreparedInput],
        timings: &mut Timings,
    ) -> Result<Vec<ClassifyRecord>> {
        let answered = self.answer(worker, batch, timings, |_, forward| {
            Ok(vec![(); forward.outputs().size()[0] as usize])
        })?;
        Ok(answered.into_iter().map(|(record, ())| record).collect())
    }

    fn batch_size(&self, worker: &ClassifyWorker) -> usize {
        worker.batch
    }
}
