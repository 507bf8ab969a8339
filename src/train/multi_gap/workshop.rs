//! One network from its plan to its weights and its figures.

use super::lessons::PartOf;
use super::recipe::{ANP, Part, Recipe};
use super::uses::KeptBlock;
use crate::files::sha256;
use crate::models;
use crate::networks::multi_gap::{Description, Fusion, MultiGap, StreamDescription};
use crate::networks::{Architecture, Card};
use crate::train::data::Divided;
use crate::train::data::pairs::Pairs;
use crate::train::first::FirstWeights;
use crate::train::fitting::{Trained, TrainingConfig, TrainingRun};
use crate::train::outcome::{
    Examination, Told, TrainingResult, WEIGHTS, known_result, label_weights, write_result,
};
use crate::{Error, Result};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use tch::{Device, Tensor, no_grad};

/// A network that is to be trained.
#[derive(Debug, Clone, PartialEq)]
pub struct NetworkPlan {
    /// Its folder's name below the study's; empty: the study's own.
    pub name: String,
    /// Its streams that look at pixels.
    pub streams: Vec<StreamDescription>,
    /// Whether it reads adjective-noun pairs.
    pub anp: bool,
    /// How streams become one.
    pub fusion: Fusion,
    /// Weights of networks trained before.
    pub initial: Vec<PathBuf>,
    /// What is trained; `None`: nothing, as late fusion of trained networks.
    pub part: Option<Part>,
}

/// Everything that networks are trained with.
#[derive(Debug)]
pub struct Workshop<'a> {
    /// The recipe.
    pub recipe: &'a Recipe,
    /// The pictures.
    pub data: &'a Divided,
    /// Their adjective-noun pairs.
    pub pairs: Option<&'a Pairs>,
    /// Where networks run.
    pub device: Device,
    /// Threads that read pictures.
    pub threads: usize,
    /// Where everything goes.
    pub folder: &'a Path,
    /// Ends the training after the step at hand.
    pub stop: &'a AtomicBool,
    /// By the digest of a backbone's tensors up to the block.
    pub(super) kept: BTreeMap<String, [KeptBlock; 3]>,
}

impl<'a> Workshop<'a> {
    /// One that has done nothing yet.
    pub fn new(
        recipe: &'a Recipe,
        data: &'a Divided,
        pairs: Option<&'a Pairs>,
        (device, threads): (Device, usize),
        folder: &'a Path,
        stop: &'a AtomicBool,
    ) -> Self {
        Self { recipe, data, pairs, device, threads, folder, stop, kept: BTreeMap::new() }
    }

    /// The plan of the recipe's own network.
    pub fn own_plan(&self) -> NetworkPlan {
        let network = &self.recipe.network;
        let names = network.streams.iter().filter(|name| *name != ANP);
        NetworkPlan {
            name: String::new(),
            streams: names.map(|name| self.recipe.stream[name].describe(name)).collect(),
            anp: network.streams.iter().any(|name| name == ANP),
            fusion: network.fusion,
            initial: network.initial.iter().map(PathBuf::from).collect(),
            part: Some(network.trained),
        }
    }

    /// Trains the network of a plan, or goes on with it, or reads what it came to; `None`: stopped
    /// before the end.
    ///
    /// # Errors
    /// The folder holds another training; files that cannot be read or written; a loss that is no
    /// number.
    pub fn train(
        &mut self,
        plan: &NetworkPlan,
        told: &mut dyn FnMut(Told),
    ) -> Result<Option<TrainingResult>> {
        let folder = self.folder.join(&plan.name);
        let fingerprint = self.fingerprint(plan)?;
        if let Some(done) =
            known_result(&folder, &fingerprint, |result: &TrainingResult| &result.fingerprint)?
        {
            return Ok(Some(done));
        }
        told(Told::Network(plan.name.clone()));
        let clock = std::time::Instant::now();
        let network = self.first(plan)?;
        let part = plan.part.unwrap_or(Part::Fusion);
        let learner = PartOf { network: &network, part };
        let config = self.config(plan);
        let lessons = self.lessons(plan, &network, config, told)?;
        let mut trained = Trained::default();
        if plan.part.is_some() {
            let training = TrainingRun {
                learner: &learner,
                lessons: &*lessons[0],
                validation: &*lessons[1],
                config,
                label_weights: config
                    .class_weights
                    .then(|| label_weights(&self.data.training_counts(), self.device))
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
        let (lessons, name, title) = (&*lessons[2], plan.name.as_str(), &title(plan));
        let examination = Examination {
            learner: &learner,
            lessons,
            data: self.data,
            folder: &folder,
            name,
            title,
        };
        let result = examination.run(trained)?;
        network.save(&folder.join(WEIGHTS))?;
        let result =
            TrainingResult { fingerprint, seconds: clock.elapsed().as_secs_f64(), ..result };
        write_result(&folder, &result)?;
        Ok(Some(result))
    }

    /// What must be the same for a training to go on: the plan, the recipe's part that it uses, the
    /// pictures, and the contents of files that it begins from.
    fn fingerprint(&self, plan: &NetworkPlan) -> Result<String> {
        // Files count by their contents, wherever they lie.
        let moved = NetworkPlan { initial: Vec::new(), ..plan.clone() };
        let mut text =
            format!("{moved:?}\n{:?}\n{:?}\n", self.config(plan), self.recipe.network.fit());
        if plan.part == Some(Part::All) {
            text.push_str(&format!("{:?}\n", self.recipe.augmentation));
        }
        if let Some(pairs) = self.pairs.filter(|_| plan.anp) {
            text.push_str(&format!("{:?}\n{:?}\n", pairs.names, self.recipe.drawn));
            if !self.recipe.anp.file.is_empty() {
                text.push_str(&models::digest::sha256_file(self.recipe.anp.file.as_ref())?);
            }
        }
        text.push_str(&self.data.digest());
        for file in self.files(plan)? {
            text.push_str(&models::digest::sha256_file(&file)?);
        }
        Ok(sha256(text.as_bytes()))
    }

    /// Files that the first weights come from.
    fn files(&self, plan: &NetworkPlan) -> Result<Vec<PathBuf>> {
        let backbones =
            plan.streams.iter().filter_map(|stream| self.backbone_file(&stream.name).transpose());
        plan.initial.iter().cloned().map(Ok).chain(backbones).collect()
    }

    /// The file with a backbone's first weights, by its path or its name in the models folder.
    fn backbone_file(&self, stream: &str) -> Result<Option<PathBuf>> {
        let file = self.recipe.stream.get(stream).map(|stream| stream.weights.as_str());
        file.filter(|file| !file.is_empty())
            .map(|file| models::locate(file.as_ref(), &models::folder(None)))
            .transpose()
    }

    /// The network with its first weights.
    fn first(&self, plan: &NetworkPlan) -> Result<MultiGap> {
        let mut source = FirstWeights::random(self.config(plan).seed, self.device, |name| {
            name.contains(".backbone.")
        });
        for stream in &plan.streams {
            if let Some(file) = self.backbone_file(&stream.name)? {
                source.add_backbone(&backbone_prefix(&stream.name), &file)?;
            }
        }
        for weights in &plan.initial {
            source.add_network(weights)?;
        }
        let pairs = if plan.anp { self.needed_pairs()?.names.len() as i64 } else { 0 };
        let description =
            Description { fusion: plan.fusion, anp: pairs, streams: plan.streams.clone() };
        let card = Card {
            architecture: Architecture::MultiGap,
            multi_gap: Some(description),
            labels: self.data.labels.clone(),
            fit: self.recipe.network.fit(),
            ..Card::bare()
        };
        card.check().map_err(Error::Setting)?;
        let network = MultiGap::build(card, &mut source, self.device)?;
        if plan.anp && plan.initial.is_empty() {
            self.set_mean_pairs(&network)?;
        }
        Ok(network)
    }

    fn needed_pairs(&self) -> Result<&'a Pairs> {
        self.pairs.ok_or_else(|| {
            Error::Setting(
                "the stream `anp` needs adjective-noun pairs of every picture: name their file as \
                 [anp] file"
                    .into(),
            )
        })
    }

    /// The mean pairs of the pictures that are learnt from stand in where nobody knows a picture's.
    fn set_mean_pairs(&self, network: &MultiGap) -> Result<()> {
        let pairs = self.needed_pairs()?;
        let mut sums = vec![0.0_f64; pairs.names.len()];
        for item in &self.data.train {
            pairs.of(item).iter().zip(&mut sums).for_each(|(value, sum)| *sum += f64::from(*value));
        }
        let mean: Vec<f32> =
            sums.iter().map(|sum| (sum / self.data.train.len() as f64) as f32).collect();
        let parameter = network
            .parameters()
            .iter()
            .find(|one| one.name == "anp.mean")
            .expect("the network has pairs");
        let mut tensor = parameter.tensor.shallow_clone();
        no_grad(|| tensor.f_copy_(&Tensor::f_from_slice(&mean)?))
            .map_err(Error::torch("setting the mean pairs"))
    }

    /// Whole networks are trained by one set of numbers, what stands on fixed features by another.
    fn config(&self, plan: &NetworkPlan) -> &'a TrainingConfig {
        match plan.part {
            Some(Part::All) if !plan.streams.is_empty() => &self.recipe.training,
            _ => &self.recipe.heads,
        }
    }
}

/// What stands before the names of the tensors of a stream's backbone.
fn backbone_prefix(stream: &str) -> String {
    format!("streams.{stream}.backbone.")
}

fn title(plan: &NetworkPlan) -> String {
    match plan.name.as_str() {
        "" => "Multi-GAP".into(),
        name => name.replace('-', " "),
    }
}
