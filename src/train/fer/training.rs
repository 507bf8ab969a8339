//! One network from its recipe to its weights and its figures.

use super::learner::{FerLearner, IS_BACKBONE};
use super::recipe::FerRecipe;
use crate::files::sha256;
use crate::models;
use crate::networks::fer_net::{CLASSIFIER, FerNet, TRUNK};
use crate::networks::{Architecture, Card, Classifier};
use crate::train::data::Divided;
use crate::train::data::feed::Augmentation;
use crate::train::first::FirstWeights;
use crate::train::fitting::{TrainingConfig, TrainingRun};
use crate::train::lessons::Showing;
use crate::train::outcome::{
    Examination, Told, TrainingResult, WEIGHTS, known_result, label_weights, write_result,
};
use crate::{Error, Result};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use tch::Device;

/// Everything that a network is trained with.
#[derive(Debug)]
pub struct FerTraining<'a> {
    /// How.
    pub recipe: &'a FerRecipe,
    /// The pictures.
    pub data: &'a Divided,
    /// Weights of a network that was trained before, from which this one goes on.
    pub initial: Option<&'a Path>,
    /// Where the network runs.
    pub device: Device,
    /// Threads that read pictures.
    pub threads: usize,
    /// Where everything goes.
    pub folder: &'a Path,
    /// Ends the training after the step at hand.
    pub stop: &'a AtomicBool,
}

impl FerTraining<'_> {
    /// Trains the network called `name`, or goes on with it, or reads what it came to; `None`:
    /// stopped before the end.
    ///
    /// # Errors
    /// The folder holds another training; files that cannot be read or written; a loss that is no
    /// number.
    pub fn run(
        &self,
        name: &str,
        config: &TrainingConfig,
        told: &mut dyn FnMut(Told),
    ) -> Result<Option<TrainingResult>> {
        let trunk = self.trunk_file()?;
        let fingerprint = self.fingerprint(config, trunk.as_deref())?;
        if let Some(done) =
            known_result(self.folder, &fingerprint, |result: &TrainingResult| &result.fingerprint)?
        {
            return Ok(Some(done));
        }
        told(Told::Network(name.into()));
        let clock = std::time::Instant::now();
        let network = self.first(config.seed, trunk.as_deref())?;
        let learner =
            FerLearner { network: &network, frozen_blocks: self.recipe.network.frozen_blocks };
        let (fit, keep) = (network.card().fit, self.recipe.data.keep);
        let &TrainingConfig { batch, seed, .. } = config;
        let showing =
            Showing { fit, batch, seed, threads: self.threads, keep, device: self.device };
        let training = TrainingRun {
            learner: &learner,
            lessons: &showing.lessons(&self.data.train, &self.recipe.augmentation),
            validation: &showing.lessons(&self.data.validation, &Augmentation::NONE),
            config,
            label_weights: config
                .class_weights
                .then(|| label_weights(&self.data.training_counts(), self.device))
                .transpose()?,
            folder: self.folder,
            fingerprint: &fingerprint,
            stop: self.stop,
        };
        let Some(trained) = training.run(&mut |step| told(Told::Step(step)))? else {
            return Ok(None);
        };
        let examination = Examination {
            learner: &learner,
            lessons: &showing.lessons(&self.data.test, &Augmentation::NONE),
            data: self.data,
            folder: self.folder,
            name,
            title: if name.is_empty() { "facial expressions" } else { name },
        };
        let result = examination.run(trained)?;
        network.save(&self.folder.join(WEIGHTS))?;
        let result =
            TrainingResult { fingerprint, seconds: clock.elapsed().as_secs_f64(), ..result };
        write_result(self.folder, &result)?;
        Ok(Some(result))
    }

    /// The file with the trunk's first weights, by its path or its name in the models folder.
    fn trunk_file(&self) -> Result<Option<PathBuf>> {
        let file = Some(self.recipe.network.weights.as_str()).filter(|file| !file.is_empty());
        file.map(|file| models::locate(file.as_ref(), &models::folder(None))).transpose()
    }

    /// The network with its first weights.
    fn first(&self, seed: u64, trunk: Option<&Path>) -> Result<FerNet> {
        let mut source = FirstWeights::random(seed, self.device, IS_BACKBONE);
        if let Some(file) = trunk {
            source.add_backbone(TRUNK, file)?;
        }
        let card = self.recipe.network.card(&self.data.labels)?;
        if let Some(weights) = self.initial {
            let before = self.card_of(weights)?;
            source.add_network(weights)?;
            if before.labels != card.labels {
                // Its answers are other ones.
                source.forget(CLASSIFIER);
            }
        }
        FerNet::build(card, &mut source, self.device)
    }

    /// The card of the network to go on from, which must have the recipe's sizes.
    fn card_of(&self, weights: &Path) -> Result<Card> {
        let card =
            Card::if_beside(weights)?.filter(|card| card.architecture == Architecture::FerNet);
        let card = card.ok_or_else(|| {
            Error::file(
                weights,
                "is no network of facial expressions with its card: name the model.safetensors of \
                 emocam train fer (the trunk of another network is named as [network] weights)",
            )
        })?;
        let wanted = self.recipe.network.card(&self.data.labels)?;
        match card.fer_net == wanted.fer_net && card.input() == wanted.input() {
            true => Ok(card),
            false => Err(Error::file(
                &Card::path_beside(weights),
                "has another width, input or number of units than the recipe: give [network] the \
                 same ones",
            )),
        }
    }

    /// What must be the same for a training to go on: the recipe's part that it uses, the pictures,
    /// and the contents of files that it begins from.
    fn fingerprint(&self, config: &TrainingConfig, trunk: Option<&Path>) -> Result<String> {
        let FerRecipe { network, augmentation, .. } = self.recipe;
        let card = network.card(&self.data.labels)?;
        let mut text =
            format!("{card:?}\n{}\n{config:?}\n{augmentation:?}\n", network.frozen_blocks);
        text.push_str(&self.data.digest());
        if let Some(weights) = self.initial {
            text.push_str(&format!("{:?}\n", self.card_of(weights)?));
        }
        for file in trunk.into_iter().chain(self.initial) {
            text.push_str(&models::digest::sha256_file(file)?);
        }
        Ok(sha256(text.as_bytes()))
    }
}
