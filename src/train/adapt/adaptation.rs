//! One network, adapted: from a network of facial expressions to weights, logs and figures.

use super::discrepancy::DiscrepancyKind;
use super::domains::{Labelled, LayerDistance, TwoDomains, distances, sample};
use super::lessons::{AdaptLearner, Shares, TwoDomainLessons, joined};
use super::recipe::{AdaptRecipe, DiscrepancyConfig};
use crate::files::sha256;
use crate::models;
use crate::networks::fer_net::{CLASSIFIER, FerNet};
use crate::networks::{Architecture, Card, Classifier};
use crate::nn::weights::{Array, StateDict};
use crate::train::data::feed::Augmentation;
use crate::train::fer::{FerLearner, IS_BACKBONE};
use crate::train::first::FirstWeights;
use crate::train::fitting::{Trained, TrainingConfig, TrainingRun};
use crate::train::lessons::Showing;
use crate::train::outcome::{
    Examination, Told, TrainingResult, WEIGHTS, known_result, label_weights, write_result,
};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use tch::Device;

/// What is adapted, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct AdaptPlan {
    /// Its folder's name below the study's; empty: the study's own.
    pub name: String,
    /// What the network learns from; `None`: nothing, it stays as it is.
    pub labelled: Option<Labelled>,
    /// What draws both domains together.
    pub kind: DiscrepancyKind,
    /// Of the order of pictures, and of which have a label.
    pub seed: u64,
}

/// What an adaptation came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AdaptResult {
    /// Of the network, on the target's pictures.
    #[serde(flatten)]
    pub training: TrainingResult,
    /// The distance by its name.
    pub discrepancy: String,
    /// How many pictures of the target had a label that was learnt from.
    pub labelled: usize,
    /// Of both domains, before the first step.
    pub before: Vec<LayerDistance>,
    /// Of both domains, after the last.
    pub after: Vec<LayerDistance>,
}

/// Everything that networks are adapted with.
#[derive(Debug)]
pub struct Adaptation<'a> {
    /// How.
    pub recipe: &'a AdaptRecipe,
    /// Faces and pictures.
    pub domains: &'a TwoDomains,
    /// Weights of the network of facial expressions.
    pub initial: &'a Path,
    /// Where networks run.
    pub device: Device,
    /// Threads that read pictures.
    pub threads: usize,
    /// Where everything goes.
    pub folder: &'a Path,
    /// Ends the training after the step at hand.
    pub stop: &'a AtomicBool,
}

impl Adaptation<'_> {
    /// Adapts the network of a plan, or goes on with it, or reads what it came to; `None`: stopped
    /// before the end.
    ///
    /// # Errors
    /// The folder holds another training; files that cannot be read or written; a loss that is no
    /// number.
    pub fn run(&self, plan: &AdaptPlan, told: &mut dyn FnMut(Told)) -> Result<Option<AdaptResult>> {
        let folder = self.folder.join(&plan.name);
        let config = &TrainingConfig { seed: plan.seed, ..self.recipe.training.clone() };
        let discrepancy = &DiscrepancyConfig { kind: plan.kind, ..self.recipe.discrepancy.clone() };
        let fingerprint = self.fingerprint(plan, config, discrepancy)?;
        if let Some(done) = known_result(&folder, &fingerprint, |result: &AdaptResult| {
            &result.training.fingerprint
        })? {
            return Ok(Some(done));
        }
        told(Told::Network(plan.name.clone()));
        let clock = std::time::Instant::now();
        let network = self.first(config.seed)?;
        let fer =
            || FerLearner { network: &network, frozen_blocks: self.recipe.network.frozen_blocks };
        let learner =
            AdaptLearner { fer: fer(), discrepancy, faces: self.domains.source.train.len() };
        let measured = self.showing(&network, config.batch, config.seed);
        let before = self.distances(&fer(), measured)?;
        let mut trained = Trained::default();
        let labelled = match plan.labelled {
            Some(labelled) => self.domains.labelled(labelled, config.seed)?,
            None => Default::default(),
        };
        let count = labelled.len();
        if plan.labelled.is_some() {
            let items = joined(self.domains);
            let mut counts = self.domains.source.training_counts();
            labelled
                .iter()
                .for_each(|&number| counts[self.domains.target.train[number].label] += 1);
            let shares = Shares::new(
                config.batch,
                count,
                self.domains.target.train.len() - count,
                plan.kind != DiscrepancyKind::None,
            );
            let showing = self.showing(&network, shares.all(), config.seed);
            let pictures = showing.lessons(&items, &self.recipe.augmentation);
            let lessons = TwoDomainLessons { pictures, faces: learner.faces, labelled, shares };
            let validation = measured.lessons(&self.domains.target.validation, &Augmentation::NONE);
            let training = TrainingRun {
                learner: &learner,
                lessons: &lessons,
                validation: &validation,
                config,
                label_weights: config
                    .class_weights
                    .then(|| label_weights(&counts, self.device))
                    .transpose()?,
                folder: &folder,
                fingerprint: &fingerprint,
                stop: self.stop,
            };
            match training.run(&mut |step| told(Told::Step(step)))? {
                Some(ended) => trained = ended,
                None => return Ok(None),
            }
        }
        trained.failures.extend(self.domains.source.failures.iter().cloned());
        let examination = Examination {
            learner: &learner,
            lessons: &measured.lessons(&self.domains.target.test, &Augmentation::NONE),
            data: &self.domains.target,
            folder: &folder,
            name: &plan.name,
            title: if plan.name.is_empty() { "emotions of pictures" } else { &plan.name },
        };
        let training = examination.run(trained)?;
        let after = if plan.labelled.is_some() {
            self.distances(&fer(), measured)?
        } else {
            before.clone()
        };
        network.save(&folder.join(WEIGHTS))?;
        let training =
            TrainingResult { fingerprint, seconds: clock.elapsed().as_secs_f64(), ..training };
        let discrepancy = plan.kind.name().into();
        let result = AdaptResult { training, discrepancy, labelled: count, before, after };
        write_result(&folder, &result)?;
        Ok(Some(result))
    }

    /// Pictures of both domains as `network` takes them.
    fn showing(&self, network: &FerNet, batch: usize, seed: u64) -> Showing {
        let AdaptRecipe { source, target, .. } = self.recipe;
        let (fit, keep) = (network.card().fit, target.data.keep && source.data.keep);
        Showing { fit, batch, seed, threads: self.threads, keep, device: self.device }
    }

    /// How far the domains lie apart on pictures that nothing is learnt from.
    fn distances(&self, learner: &FerLearner<'_>, measured: Showing) -> Result<Vec<LayerDistance>> {
        let items =
            [&self.domains.source.test, &self.domains.target.test].map(|items| sample(items));
        let [source, target] =
            items.each_ref().map(|items| measured.lessons(items, &Augmentation::NONE));
        distances(learner, &self.recipe.discrepancy.layers, [&source, &target], measured.seed)
    }

    /// The network of facial expressions with the target's labels: an emotion's row of the last
    /// layer is the mean of those of the expressions that stand for it, and random where none does.
    fn first(&self, seed: u64) -> Result<FerNet> {
        let card = Card::beside(self.initial)?;
        if card.architecture != Architecture::FerNet {
            return Err(Error::file(
                self.initial,
                "is no network of facial expressions with its card: name the model.safetensors of \
                 emocam train fer",
            ));
        }
        let known = |label: &String| self.domains.map.iter().any(|(name, _)| name == label);
        if let Some(missing) = self.domains.map.iter().find(|(name, _)| !card.labels.contains(name))
        {
            return Err(Error::file(
                &Card::path_beside(self.initial),
                format!(
                    "the faces have the label `{}`, which is none of the network's: {}",
                    missing.0,
                    card.labels.join(", ")
                ),
            ));
        }
        if let Some(missing) = card.labels.iter().find(|label| !known(label)) {
            return Err(Error::file(
                &Card::path_beside(self.initial),
                format!("has the label `{missing}`, of which there are no faces"),
            ));
        }
        let mut source = FirstWeights::random(seed, self.device, IS_BACKBONE);
        source.add_network(self.initial)?;
        source.forget(CLASSIFIER);
        let mut state = StateDict::open(self.initial)?;
        for name in ["weight", "bias"].map(|name| format!("{CLASSIFIER}{name}")) {
            let Some(array) = state.arrays.remove(&name) else { continue };
            let mapped = self.mapped(&array, &card.labels, |shape| source.values_of(&name, shape));
            source.set(&name, self.initial, mapped);
        }
        FerNet::build(
            Card { labels: self.domains.target.labels.clone(), ..card },
            &mut source,
            self.device,
        )
    }

    /// Rows of the last layer for the target's labels, from those for the `expressions`.
    fn mapped(
        &self,
        array: &Array,
        expressions: &[String],
        random: impl Fn(&[i64]) -> Vec<f32>,
    ) -> Array {
        let labels = self.domains.target.labels.len();
        let width: usize = array.shape.iter().skip(1).product();
        let shape: Vec<usize> =
            [labels].into_iter().chain(array.shape.iter().skip(1).copied()).collect();
        let mut values = random(&shape.iter().map(|&side| side as i64).collect::<Vec<_>>());
        for label in 0..labels {
            let stands = |name: &String| self.domains.map.contains(&(name.clone(), Some(label)));
            let standing = expressions.iter().enumerate().filter(|(_, name)| stands(name));
            let rows: Vec<&[f32]> =
                standing.map(|(row, _)| &array.values[row * width..(row + 1) * width]).collect();
            if rows.is_empty() {
                continue;
            }
            for (column, value) in values[label * width..(label + 1) * width].iter_mut().enumerate()
            {
                *value = rows.iter().map(|row| row[column]).sum::<f32>() / rows.len() as f32;
            }
        }
        Array { shape, values }
    }

    /// What must be the same for a training to go on: plan, recipe, pictures of both domains, and
    /// the network it begins from.
    fn fingerprint(
        &self,
        plan: &AdaptPlan,
        config: &TrainingConfig,
        discrepancy: &DiscrepancyConfig,
    ) -> Result<String> {
        let AdaptRecipe { network, augmentation, .. } = self.recipe;
        let mut text =
            format!("{plan:?}\n{config:?}\n{discrepancy:?}\n{network:?}\n{augmentation:?}\n");
        text.push_str(&format!("{:?}\n", self.domains.map));
        text.push_str(&self.domains.source.digest());
        text.push_str(&self.domains.target.digest());
        text.push_str(&models::digest::sha256_file(self.initial)?);
        text.push_str(&format!("{:?}", Card::if_beside(self.initial)?));
        Ok(sha256(text.as_bytes()))
    }
}
