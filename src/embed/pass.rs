//! What happens to a picture: it goes through the network as `emocam classify` sends it, and its
//! features are kept.

use super::layers::FeatureLayer;
use crate::Result;
use crate::classify::{ClassifyRecord, ClassifyStage, ClassifyWorker, PreparedInput};
use crate::config::Config;
use crate::corpus::Source;
use crate::image::Size;
use crate::networks::{Classifier, Forward};
use crate::pipeline::Stage;
use crate::run::{Failure, Timings};
use std::path::PathBuf;

/// Classification whose features are kept, for a pass over pictures.
#[derive(Debug)]
pub struct EmbedStage<'a> {
    classify: ClassifyStage<'a>,
    layers: &'a [FeatureLayer],
}

/// A picture's answer and features.
#[derive(Debug, Clone, PartialEq)]
pub struct EmbeddedPicture {
    /// What the network answers.
    pub answer: ClassifyRecord,
    /// One list a layer.
    pub features: Vec<Vec<f32>>,
}

impl<'a> EmbedStage<'a> {
    /// By this network, at these of its layers.
    pub fn new(network: &dyn Classifier, config: &'a Config, layers: &'a [FeatureLayer]) -> Self {
        Self { classify: ClassifyStage::new(network, config), layers }
    }

    /// The features of every picture of a batch at all layers.
    fn features(&self, network: &dyn Classifier, forward: &Forward) -> Result<Vec<Vec<Vec<f32>>>> {
        let mut pictures = vec![Vec::new(); forward.outputs().size()[0] as usize];
        for layer in self.layers {
            let features = layer.features(network, forward)?;
            pictures
                .iter_mut()
                .zip(features)
                .for_each(|(picture, features)| picture.push(features));
        }
        Ok(pictures)
    }
}

impl Stage for EmbedStage<'_> {
    type Item = Source;
    type Prepared = PreparedInput;
    type Worker = ClassifyWorker;
    type Outcome = EmbeddedPicture;

    fn name(&self, source: &Source) -> (String, PathBuf) {
        self.classify.name(source)
    }

    fn prepare(&self, source: &Source) -> Result<PreparedInput, Failure> {
        self.classify.prepare(source)
    }

    fn shape(&self, prepared: &PreparedInput) -> Size {
        self.classify.shape(prepared)
    }

    fn run(
        &self,
        worker: &mut ClassifyWorker,
        batch: &[&PreparedInput],
        timings: &mut Timings,
    ) -> Result<Vec<EmbeddedPicture>> {
        let answered = self
            .classify
            .answer(worker, batch, timings, |network, forward| self.features(network, forward))?;
        Ok(answered
            .into_iter()
            .map(|(answer, features)| EmbeddedPicture { answer, features })
            .collect())
    }

    fn batch_size(&self, worker: &ClassifyWorker) -> usize {
        self.classify.batch_size(worker)
    }
}
