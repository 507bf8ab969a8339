//! One network from its plan to its weights and its figures.

use super::first::FirstWeights;
use super::lessons::PartOf;
use super::recipe::{Part, Recipe, ANP};
use super::uses::KeptBlock;
use crate::classify::{Confusion, Share};
use crate::files::{read_text, sha256, write_bytes};
use crate::models;
use crate::networks::multi_gap::{Description, Fusion, MultiGap, StreamDescription};
use crate::networks::parameters::Parameter;
use crate::networks::{Architecture, Card};
use crate::run::{table, write_failures, Failure};
use crate::train::data::pairs::Pairs;
use crate::train::data::Divided;
use crate::train::fitting::{Learner, Lessons, StepDone, Trained, TrainingConfig, TrainingRun};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use tch::{no_grad, Device, Kind, Tensor};

/// The file that says that a training is over.
const RESULT: &str = "result.json";

/// Names of a training's files.
pub const WEIGHTS: &str = "model.safetensors";

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

/// What a training came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainingResult {
    /// The network's name in a study.
    pub name: String,
    /// What must be the same for it to count as done.
    fingerprint: String,
    /// Pictures that were learnt from, chosen by, and measured with.
    pub pictures: [usize; 3],
    /// Epochs, and the one whose weights were kept; 0 where nothing was trained.
    pub epochs: u64,
    /// See `epochs`.
    pub best_epoch: u64,
    /// On the pictures to measure with.
    pub accuracy: Share,
    /// Numbers that were trained, of all.
    pub trained_numbers: usize,
    /// Numbers in the network.
    pub numbers: usize,
    /// Seconds of this process.
    pub seconds: f64,
    /// The median of a training step's seconds, where this process trained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step_seconds: Option<f64>,
    /// Of the time of training steps and of waiting for pictures the share that was waiting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waited_share: Option<f64>,
}

/// How far a workshop is.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    /// A network's turn has come.
    Network(String),
    /// The backbones are run over so many batches, of so many.
    Features(u64, u64),
    /// A step of the training.
    Step(StepDone),
}

/// Everything that networks are trained with.
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

    /// Trains the network of a plan, or goes on with it, or reads what it came to; `None`: stopped before the end.
    ///
    /// # Errors
    /// The folder holds another training; files that cannot be read or written; a loss that is no number.
    pub fn train(&mut self, plan: &NetworkPlan, told: &mut dyn FnMut(Told)) -> Result<Option<TrainingResult>> {
        let folder = self.folder.join(&plan.name);
        let fingerprint = self.fingerprint(plan)?;
        if let Some(done) = known_result(&folder, &fingerprint)? {
            return Ok(Some(done));
        }
        told(Told::Network(plan.name.clone()));
        std::fs::create_dir_all(&folder).map_err(Error::io("create", &folder))?;
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
                label_weights: config.class_weights.then(|| self.label_weights()).transpose()?,
                folder: &folder,
                fingerprint: &fingerprint,
                stop: self.stop,
            };
            match training.run(&mut |step| told(Told::Step(step)))? {
                Some(ended) => trained = ended,
                None => return Ok(None),
            }
        }
        let result = self.measured(plan, &learner, &*lessons[2], trained)?;
        network.save(&folder.join(WEIGHTS))?;
        let result = TrainingResult { fingerprint, seconds: clock.elapsed().as_secs_f64(), ..result };
        let json = serde_json::to_vec_pretty(&result).expect("numbers and texts");
        write_bytes(&folder.join(RESULT), &json)?;
        Ok(Some(result))
    }

    /// Measures a trained network on the pictures that nothing was learnt from, and writes all tables and figures.
    fn measured(
        &self,
        plan: &NetworkPlan,
        learner: &PartOf<'_>,
        test: &dyn Lessons,
        trained: Trained,
    ) -> Result<TrainingResult> {
        let folder = self.folder.join(&plan.name);
        let Trained { epochs, best, mut failures, clock } = trained;
        let confusion = self.measure(learner, test, &folder, &mut failures)?;
        failures.extend(self.data.failures.iter().cloned());
        failures.sort_by(|a, b| a.path.cmp(&b.path));
        failures.dedup_by(|a, b| a.path == b.path);
        write_failures(&folder.join("failures.csv"), &failures)?;
        confusion.write(&folder, &format!("Confusion matrix: {}", title(plan)))?;
        let accuracy = confusion.accuracy();
        let parameters = learner.network.parameters().iter();
        let numbers = |one: &Parameter| one.tensor.numel();
        let changed = parameters.clone().filter(|one| plan.part.is_some() && learner.is_trained(one));
        Ok(TrainingResult {
            name: plan.name.clone(),
            fingerprint: String::new(),
            pictures: [&self.data.train, &self.data.validation, &self.data.test].map(Vec::len),
            epochs: epochs.len() as u64,
            best_epoch: best,
            accuracy: accuracy.ok_or_else(|| Error::Setting("no picture to measure with can be read".into()))?,
            trained_numbers: changed.map(numbers).sum(),
            numbers: parameters.map(numbers).sum(),
            seconds: 0.0,
            step_seconds: clock.step_seconds(),
            waited_share: clock.waited_share(),
        })
    }

    /// What must be the same for a training to go on: the plan, the recipe's part that it uses, the pictures, and the
    /// contents of files that it begins from.
    fn fingerprint(&self, plan: &NetworkPlan) -> Result<String> {
        // Files count by their contents, wherever they lie.
        let moved = NetworkPlan { initial: Vec::new(), ..plan.clone() };
        let mut text = format!("{moved:?}\n{:?}\n{:?}\n", self.config(plan), self.recipe.network.fit());
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
        let backbones = plan.streams.iter().filter_map(|stream| self.backbone_file(&stream.name).transpose());
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
        let mut source = FirstWeights::random(self.config(plan).seed, self.device);
        for stream in &plan.streams {
            if let Some(file) = self.backbone_file(&stream.name)? {
                source.add_backbone(&stream.name, &file)?;
            }
        }
        for weights in &plan.initial {
            source.add_network(weights)?;
        }
        let pairs = if plan.anp { self.needed_pairs()?.names.len() as i64 } else { 0 };
        let description = Description { fusion: plan.fusion, anp: pairs, streams: plan.streams.clone() };
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
                "the stream `anp` needs adjective-noun pairs of every picture: name their file as [anp] file".into(),
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
        let mean: Vec<f32> = sums.iter().map(|sum| (sum / self.data.train.len() as f64) as f32).collect();
        let parameter = network.parameters().iter().find(|one| one.name == "anp.mean").expect("the network has pairs");
        let mut tensor = parameter.tensor.shallow_clone();
        no_grad(|| tensor.f_copy_(&Tensor::f_from_slice(&mean)?)).map_err(Error::torch("setting the mean pairs"))
    }

    /// Whole networks are trained by one set of numbers, what stands on fixed features by another.
    fn config(&self, plan: &NetworkPlan) -> &'a TrainingConfig {
        match plan.part {
            Some(Part::All) if !plan.streams.is_empty() => &self.recipe.training,
            _ => &self.recipe.heads,
        }
    }

    /// Labels in inverse proportion to their pictures, their mean over pictures 1.
    fn label_weights(&self) -> Result<Tensor> {
        let counts = self.data.training_counts();
        let occurring = counts.iter().filter(|&&count| count > 0).count();
        let all = self.data.train.len() as f32;
        let weight = |&count: &usize| if count == 0 { 0.0 } else { all / (occurring as f32 * count as f32) };
        let weights: Vec<f32> = counts.iter().map(weight).collect();
        Tensor::f_from_slice(&weights)
            .and_then(|weights| weights.f_to_device(self.device))
            .map_err(Error::torch("weighing the labels"))
    }

    /// What the network answers for the pictures to measure with: `predictions.csv`, and the confusion.
    fn measure(
        &self,
        learner: &dyn Learner,
        lessons: &dyn Lessons,
        folder: &Path,
        failures: &mut Vec<Failure>,
    ) -> Result<Confusion> {
        let _no_grad = tch::no_grad_guard();
        let labels = &self.data.labels;
        let mut confusion = Confusion::new(labels);
        let mut rows = Vec::new();
        lessons.in_order(&mut |mut batch| {
            failures.append(&mut batch.failures);
            if batch.numbers.is_empty() {
                return Ok(());
            }
            let answer = || -> Result<_, tch::TchError> {
                let probabilities = learner.logits(&batch, false)?.f_softmax(1, Kind::Float)?;
                let (highest, answers) = probabilities.f_max_dim(1, false)?;
                Ok((Vec::<f32>::try_from(&highest)?, Vec::<i64>::try_from(&answers)?))
            };
            let (highest, answers) = answer().map_err(Error::torch("reading the network's answers"))?;
            for ((&number, answer), probability) in batch.numbers.iter().zip(answers).zip(highest) {
                let item = &self.data.test[number];
                confusion.add(item.label, answer as usize);
                rows.push((number, answer as usize, probability));
            }
            Ok(())
        })?;
        table(&folder.join("predictions.csv"), |table| {
            table.row(["path", "label", "answer", "probability"])?;
            for &(number, answer, probability) in &rows {
                let item = &self.data.test[number];
                table.row([&item.path, &labels[item.label], &labels[answer], &format!("{probability:.6}")])?;
            }
            Ok(())
        })?;
        Ok(confusion)
    }
}

fn title(plan: &NetworkPlan) -> String {
    match plan.name.as_str() {
        "" => "Multi-GAP".into(),
        name => name.replace('-', " "),
    }
}

/// What a finished training of this plan came to; `None` where there is none yet.
fn known_result(folder: &Path, fingerprint: &str) -> Result<Option<TrainingResult>> {
    let path = folder.join(RESULT);
    if !path.exists() {
        return Ok(None);
    }
    let result: TrainingResult = serde_json::from_str(&read_text(&path)?)
        .map_err(|error| Error::file(&path, format!("is not the result of a training: {error}")))?;
    match result.fingerprint == fingerprint {
        true => Ok(Some(result)),
        false => Err(Error::file(
            folder,
            "holds a training with other settings or other data: name another folder with --out",
        )),
    }
}
