//! What a Multi-GAP network learns from: pictures, or what its backbones have made of them.

use super::recipe::Part;
use crate::networks::multi_gap::{Means, MultiGap, Stream};
use crate::networks::parameters::Parameter;
use crate::random::Random;
use crate::run::Failure;
use crate::train::fitting::{Batch, Learner, Lessons};
use crate::train::lessons::PictureLessons;
use crate::{Error, Result};
use tch::{TchError, Tensor, no_grad};

/// A network of which a part is trained.
#[derive(Debug)]
pub(super) struct PartOf<'a> {
    /// The network.
    pub network: &'a MultiGap,
    /// What of it.
    pub part: Part,
}

impl Learner for PartOf<'_> {
    fn parameters(&self) -> &[Parameter] {
        self.network.parameters()
    }

    fn is_trained(&self, parameter: &Parameter) -> bool {
        parameter.role.is_learnt()
            && match self.part {
                Part::All => true,
                Part::Heads => !parameter.name.contains(".backbone."),
                Part::Fusion => parameter.name.starts_with("fusion."),
            }
    }

    fn logits(&self, batch: &Batch, training: bool) -> Result<Tensor, TchError> {
        let pairs = batch.pairs.as_ref().map(Tensor::shallow_clone);
        let means = match &batch.pixels {
            Some(pixels) => {
                self.network.means(pixels, pairs, training && self.part == Part::All)?
            }
            None => {
                let streams = batch
                    .means
                    .iter()
                    .map(|blocks| blocks.iter().map(Tensor::shallow_clone).collect());
                Means { streams: streams.collect(), pairs }
            }
        };
        Ok(self.network.answers(&means)?.fused)
    }
}

/// What backbones have made of pictures, once and for all.
#[derive(Debug)]
pub(super) struct KeptMeans {
    /// Per stream and block (pictures, channels).
    pub streams: Vec<Vec<Tensor>>,
    /// (pictures, pairs)
    pub pairs: Option<Tensor>,
    /// (pictures)
    pub labels: Tensor,
    /// Numbers of the pictures among the items.
    pub numbers: Vec<usize>,
    /// Pictures that could not be read.
    pub failures: Vec<Failure>,
    /// Pictures a batch.
    pub batch: usize,
    /// Of their order.
    pub seed: u64,
}

/// Runs one stream's backbone over all pictures: means of every block's channels (pictures,
/// channels), numbers of the pictures, and those that could not be read. `told` hears how many
/// batches are done.
///
/// # Errors
/// The network could not be run; none of the pictures can be read.
pub(super) fn means_of(
    stream: &Stream,
    pictures: &PictureLessons<'_>,
    told: &mut dyn FnMut(u64),
) -> Result<(Vec<Tensor>, Vec<usize>, Vec<Failure>)> {
    let mut blocks: Vec<Vec<Tensor>> = Vec::new();
    let (mut numbers, mut failures, mut done) = (Vec::new(), Vec::new(), 0);
    pictures.in_order(&mut |mut batch| {
        failures.append(&mut batch.failures);
        done += 1;
        told(done);
        if let Some(pixels) = &batch.pixels {
            numbers.append(&mut batch.numbers);
            let means = no_grad(|| stream.means(pixels, false))
                .map_err(Error::torch("running a backbone"))?;
            blocks.resize_with(means.len(), Vec::new);
            blocks.iter_mut().zip(means).for_each(|(block, mean)| block.push(mean));
        }
        Ok(())
    })?;
    if numbers.is_empty() {
        return Err(Error::Setting("none of the pictures can be read".into()));
    }
    let joined = blocks.iter().map(|block| Tensor::f_cat(block, 0)).collect::<Result<_, _>>();
    Ok((joined.map_err(Error::torch("keeping what a backbone made"))?, numbers, failures))
}

impl KeptMeans {
    fn taken(&self, places: &[usize]) -> Result<Batch> {
        let select = || {
            let index: Vec<i64> = places.iter().map(|&place| place as i64).collect();
            let index = Tensor::f_from_slice(&index)?.f_to_device(self.labels.device())?;
            let taken = |tensor: &Tensor| tensor.f_index_select(0, &index);
            let means = self
                .streams
                .iter()
                .map(|blocks| blocks.iter().map(taken).collect::<Result<Vec<_>, _>>());
            let pairs = self.pairs.as_ref().map(taken).transpose()?;
            Ok((means.collect::<Result<_, _>>()?, pairs, taken(&self.labels)?))
        };
        let (means, pairs, labels) = select().map_err(Error::torch("preparing a batch"))?;
        let numbers = places.iter().map(|&place| self.numbers[place]).collect();
        Ok(Batch { pixels: None, pairs, means, labels, numbers, failures: Vec::new() })
    }

    fn shown(&self, order: &[usize], take: &mut dyn FnMut(Batch) -> Result<()>) -> Result<()> {
        for (number, places) in order.chunks(self.batch).enumerate() {
            let mut batch = self.taken(places)?;
            if number == 0 {
                batch.failures.clone_from(&self.failures);
            }
            take(batch)?;
        }
        Ok(())
    }
}

impl Lessons for KeptMeans {
    fn batches(&self) -> u64 {
        self.numbers.len().div_ceil(self.batch) as u64
    }

    fn epoch(&self, epoch: u64, take: &mut dyn FnMut(Batch) -> Result<()>) -> Result<()> {
        let mut order: Vec<usize> = (0..self.numbers.len()).collect();
        Random::of_text(self.seed, &format!("epoch/{epoch}")).shuffle(&mut order);
        self.shown(&order, take)
    }

    fn in_order(&self, take: &mut dyn FnMut(Batch) -> Result<()>) -> Result<()> {
        self.shown(&(0..self.numbers.len()).collect::<Vec<_>>(), take)
    }
}
