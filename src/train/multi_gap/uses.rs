//! What a network is trained, chosen and measured with: pictures as they are shown, or what
//! backbones that stay as they are have made of them, which is kept for all networks that stand on
//! the same backbone.

use super::lessons::{KeptMeans, means_of};
use super::recipe::Part;
use super::workshop::{NetworkPlan, Workshop};
use crate::files::hexadecimal;
use crate::networks::multi_gap::{MultiGap, Stream};
use crate::run::Failure;
use crate::train::data::LabelledPicture;
use crate::train::data::feed::Augmentation;
use crate::train::data::pairs::Pairs;
use crate::train::fitting::{Lessons, TrainingConfig};
use crate::train::lessons::{PictureLessons, Showing};
use crate::train::outcome::Told;
use crate::{Error, Result};
use sha2::{Digest, Sha256};
use std::rc::Rc;
use tch::Tensor;

/// What a block has made of the pictures of one use.
#[derive(Debug)]
pub(super) struct KeptBlock {
    means: Tensor,
    readable: Rc<Readable>,
}

/// Numbers of the pictures that could be read, and why the others could not.
#[derive(Debug)]
struct Readable {
    numbers: Vec<usize>,
    failures: Vec<Failure>,
}

impl<'a> Workshop<'a> {
    fn items(&self, number: usize) -> &'a [LabelledPicture] {
        [&self.data.train, &self.data.validation, &self.data.test][number]
    }

    fn pictures(
        &self,
        number: usize,
        (batch, seed): (usize, u64),
        augmentation: &Augmentation,
        pairs: Option<&'a Pairs>,
    ) -> PictureLessons<'a> {
        let (fit, threads, device) = (self.recipe.network.fit(), self.threads, self.device);
        let showing = Showing { fit, batch, seed, threads, keep: self.recipe.data.keep, device };
        let mut lessons = showing.lessons(self.items(number), augmentation);
        lessons.feed.pairs = pairs;
        lessons
    }

    /// What is learnt from, chosen by and measured with.
    pub(super) fn lessons(
        &mut self,
        plan: &NetworkPlan,
        network: &MultiGap,
        config: &TrainingConfig,
        told: &mut dyn FnMut(Told),
    ) -> Result<[Box<dyn Lessons + 'a>; 3]> {
        if plan.part == Some(Part::All) && !plan.streams.is_empty() {
            let pictures = |number| {
                let learnt = number == 0;
                let augmentation =
                    if learnt { &self.recipe.augmentation } else { &Augmentation::NONE };
                self.pictures(
                    number,
                    (config.batch, config.seed),
                    augmentation,
                    self.pairs.filter(|_| plan.anp),
                )
            };
            return Ok([0, 1, 2].map(|number| Box::new(pictures(number)) as Box<dyn Lessons>));
        }
        let mut keys = Vec::new();
        for stream in network.streams() {
            let own = block_digests(network, stream)?;
            if own.iter().any(|key| !self.kept.contains_key(key)) {
                self.run_backbone(stream, &own, told)?;
            }
            keys.push(own);
        }
        let mut lessons = Vec::new();
        for number in 0..3 {
            lessons
                .push(Box::new(self.kept_means(plan, &keys, number, config)?) as Box<dyn Lessons>);
        }
        lessons.try_into().map_err(|_| Error::Setting("there are three uses of pictures".into()))
    }

    /// Keeps what the backbone of a stream makes of all pictures.
    fn run_backbone(
        &mut self,
        stream: &Stream,
        keys: &[String],
        told: &mut dyn FnMut(Told),
    ) -> Result<()> {
        let batch = self.recipe.training.batch;
        let pictures =
            [0, 1, 2].map(|number| self.pictures(number, (batch, 0), &Augmentation::NONE, None));
        let batches: u64 = pictures.iter().map(Lessons::batches).sum();
        let (mut uses, mut done) = (Vec::new(), 0);
        for pictures in &pictures {
            let (blocks, numbers, failures) =
                means_of(stream, pictures, &mut |more| told(Told::Features(done + more, batches)))?;
            done += pictures.batches();
            uses.push((blocks, Rc::new(Readable { numbers, failures })));
        }
        for (block, key) in keys.iter().enumerate() {
            let kept = [0, 1, 2].map(|number| {
                let (blocks, readable) = &uses[number];
                KeptBlock { means: blocks[block].shallow_clone(), readable: readable.clone() }
            });
            self.kept.insert(key.clone(), kept);
        }
        Ok(())
    }

    fn kept_means(
        &self,
        plan: &NetworkPlan,
        keys: &[Vec<String>],
        number: usize,
        config: &TrainingConfig,
    ) -> Result<KeptMeans> {
        let items = self.items(number);
        let kept =
            |keys: &Vec<String>| keys.iter().map(|key| &self.kept[key][number]).collect::<Vec<_>>();
        let kept: Vec<Vec<&KeptBlock>> = keys.iter().map(kept).collect();
        // The same pictures can be read by all streams.
        let (numbers, failures) = match kept.first().and_then(|blocks| blocks.first()) {
            Some(first) => (first.readable.numbers.clone(), first.readable.failures.clone()),
            None => ((0..items.len()).collect(), Vec::new()),
        };
        let labels: Vec<i64> = numbers.iter().map(|&number| items[number].label as i64).collect();
        let pairs = self.pairs.filter(|_| plan.anp);
        let tensors = || {
            let labels = Tensor::f_from_slice(&labels)?.f_to_device(self.device)?;
            let pairs = pairs.map(|pairs| {
                let values: Vec<f32> =
                    numbers.iter().flat_map(|&number| pairs.of(&items[number])).collect();
                Tensor::f_from_slice(&values)?
                    .f_reshape([numbers.len() as i64, -1])?
                    .f_to_device(self.device)
            });
            Ok((labels, pairs.transpose()?))
        };
        let (labels, pairs) = tensors().map_err(Error::torch("keeping labels and pairs"))?;
        let means = |blocks: &Vec<&KeptBlock>| {
            blocks.iter().map(|block| block.means.shallow_clone()).collect()
        };
        let (batch, seed) = (config.batch, config.seed);
        Ok(KeptMeans {
            streams: kept.iter().map(means).collect(),
            pairs,
            labels,
            numbers,
            failures,
            batch,
            seed,
        })
    }
}

/// SHA-256 of a stream's backbone up to each of its blocks: what names the features that it gives.
fn block_digests(network: &MultiGap, stream: &Stream) -> Result<Vec<String>> {
    // Two streams of one backbone may want their pixels otherwise.
    let begun = Sha256::new().chain_update(stream.normalisation());
    let mut digests = vec![begun; stream.blocks_count()];
    for parameter in network.parameters() {
        let Some(block) = stream.block_of(&parameter.name) else { continue };
        let array = parameter.to_array()?;
        let bytes: Vec<u8> = array.values.iter().flat_map(|value| value.to_le_bytes()).collect();
        digests[block..].iter_mut().for_each(|digest| digest.update(&bytes));
    }
    Ok(digests.into_iter().map(|digest| hexadecimal(&digest.finalize())).collect())
}
