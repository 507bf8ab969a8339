//! The score of pictures of which parts are hidden: the payoff of the games.

use super::surroundings;
use crate::attribution::options::{HiddenFill, HiddenPlace};
use crate::attribution::pass::as_torch;
use crate::attribution::{HeadPass, Score};
use crate::image::Rgb8;
use crate::networks::{Activation, Classifier};
use tch::{Kind, TchError, Tensor};

/// Masked inputs that go through the network at a time, on the processor: it is as fast with more.
const AT_A_TIME: usize = 16;

/// Likewise on a GPU.
const AT_A_TIME_ON_GPU: usize = 128;

/// The standard deviation of the blur as a share of the longer side of the input: what is left of
/// an object that fills a tenth of the side is a breath of its colour.
const BLUR: f64 = 0.08;

/// The scores of coalitions, in their order.
pub(super) type Scores = Result<Vec<f64>, TchError>;

/// A set of players: what of a picture is shown.
pub(super) trait Coalition {
    /// The picture's place in the batch.
    fn picture(&self) -> usize;

    /// Sets the places that are shown, row by row; all are `false` before.
    fn show(&self, shown: &mut [bool]);
}

/// The pictures of a batch, to be shown in part.
pub(super) struct Masking<'a, 'p> {
    pass: &'p HeadPass<'a>,
    score: Score,
    place: HiddenPlace,
    /// What is masked: (N, channels, rows, columns), with what by-passes it.
    whole: Activation,
    /// What is there instead, of the same shape; `None` where it is made from what is shown.
    hidden: Option<Tensor>,
    at_a_time: usize,
}

impl<'a, 'p> Masking<'a, 'p> {
    /// Hides places of the input, filled as the pass's options say, or of A or the output of an
    /// inner layer, which become 0.
    pub(super) fn new(
        pass: &'p HeadPass<'a>,
        score: Score,
        place: &HiddenPlace,
    ) -> Result<Self, TchError> {
        let whole = match place {
            HiddenPlace::Input => Activation::alone(pass.input.shallow_clone()),
            HiddenPlace::Activation => pass.activation.with_values(pass.a().shallow_clone()),
            HiddenPlace::Layer(name) => {
                pass.network.inner(name, pass.input).map_err(|error| as_torch(&error))?
            }
        };
        let hidden = match place {
            HiddenPlace::Input => stand_in(pass.network, pass.input, pass.options.fill)?,
            HiddenPlace::Activation | HiddenPlace::Layer(_) => Some(whole.values.f_zeros_like()?),
        };
        let at_a_time = if whole.values.device().is_cuda() { AT_A_TIME_ON_GPU } else { AT_A_TIME };
        Ok(Self { pass, score, place: place.clone(), whole, hidden, at_a_time })
    }

    /// Rows and columns of what is masked.
    pub(super) fn size(&self) -> (usize, usize) {
        let size = self.whole.values.size();
        (size[2] as usize, size[3] as usize)
    }

    /// The score of every coalition. They go through the network so many at a time, the last ones
    /// filled up with copies, that a score follows the coalition alone and not what else is asked.
    pub(super) fn values<C: Coalition>(&self, asked: &[C]) -> Scores {
        let mut values = Vec::with_capacity(asked.len());
        for chunk in asked.chunks(self.at_a_time) {
            values.extend(self.chunk(chunk)?.into_iter().take(chunk.len()));
        }
        Ok(values)
    }

    fn chunk<C: Coalition>(&self, chunk: &[C]) -> Scores {
        let (rows, columns) = self.size();
        let filled = |at: usize| &chunk[at.min(chunk.len() - 1)];
        let mut shown = vec![false; self.at_a_time * rows * columns];
        for (at, of_one) in shown.chunks_exact_mut(rows * columns).enumerate() {
            filled(at).show(of_one);
        }
        let pictures: Vec<i64> =
            (0..self.at_a_time).map(|index| filled(index).picture() as i64).collect();
        let device = self.whole.values.device();
        let shape = [self.at_a_time as i64, 1, rows as i64, columns as i64];
        let shown = Tensor::f_from_slice(&shown)?.f_reshape(shape)?.f_to_device(device)?;
        let pictures = Tensor::f_from_slice(&pictures)?.f_to_device(device)?;
        let masked = shown_in_part(&self.whole.values, self.hidden.as_ref(), &pictures, &shown)?;
        let masked = self.whole.of_pictures(&pictures, masked)?;
        let network = self.pass.network;
        let outputs = match &self.place {
            HiddenPlace::Input => network
                .outputs(&network.activation(&masked.values).map_err(|error| as_torch(&error))?)?,
            HiddenPlace::Activation => network.outputs(&masked)?,
            HiddenPlace::Layer(name) => {
                network.outputs_from(name, &masked).map_err(|error| as_torch(&error))?
            }
        };
        let scores = self.pass.scores_of(&outputs, &pictures, self.score)?;
        Vec::try_from(&scores.f_to_kind(Kind::Double)?.f_flatten(0, -1)?)
    }
}

/// Of `whole` (N, channels, rows, columns) the pictures `pictures` (M), each with the places
/// `shown` (M, 1, rows, columns); the others are those of `hidden`, of the shape of `whole`, or
/// made from what is shown where there is none.
pub(super) fn shown_in_part(
    whole: &Tensor,
    hidden: Option<&Tensor>,
    pictures: &Tensor,
    shown: &Tensor,
) -> Result<Tensor, TchError> {
    let whole = whole.f_index_select(0, pictures)?;
    match hidden {
        Some(hidden) => whole.f_where_self(shown, &hidden.f_index_select(0, pictures)?),
        None => surroundings::fill(&whole, shown),
    }
}

/// What stands in for hidden places of the prepared inputs (N, 3, rows, columns), of their shape;
/// `None` where it is made from what is shown. What a network makes of a picture is a black
/// picture's input plus something proportional to the picture, so that means and blurs of pictures
/// can be taken there.
pub(super) fn stand_in(
    network: &dyn Classifier,
    inputs: &Tensor,
    fill: HiddenFill,
) -> Result<Option<Tensor>, TchError> {
    if fill == HiddenFill::Surroundings {
        return Ok(None);
    }
    let size = network.card().fit.input;
    let black = Rgb8::new(size, vec![0; 3 * size.area()]);
    let black = network.prepare(&[&black]).map_err(|error| as_torch(&error))?;
    let light = inputs.f_sub(&black)?;
    let light = match fill {
        HiddenFill::Black | HiddenFill::Surroundings => light.f_zeros_like()?,
        HiddenFill::Mean => {
            light.f_mean_dim([2_i64, 3].as_slice(), true, Kind::Float)?.f_expand_as(&light)?
        }
        HiddenFill::Blur => blurred(&light)?,
    };
    light.f_add(&black).map(Some)
}

/// A Gaussian blur of (N, channels, rows, columns), edges repeated.
fn blurred(x: &Tensor) -> Result<Tensor, TchError> {
    let (n, channels, rows, columns) = x.size4()?;
    let deviation = BLUR * rows.max(columns) as f64;
    let along = |x: &Tensor, across: bool| {
        let radius = ((3.0 * deviation).ceil() as i64).max(1);
        let weights: Vec<f32> = (-radius..=radius)
            .map(|index| (-0.5 * (index as f64 / deviation).powi(2)).exp() as f32)
            .collect();
        let total: f32 = weights.iter().sum();
        let weights = Tensor::f_from_slice(&weights)?
            .f_div_scalar(f64::from(total))?
            .f_to_device(x.device())?;
        let (padding, shape) = match across {
            true => ([radius, radius, 0, 0], [1, 1, 1, -1]),
            false => ([0, 0, radius, radius], [1, 1, -1, 1]),
        };
        x.f_replication_pad2d(padding)?.f_conv2d::<&Tensor>(
            &weights.f_reshape(shape)?,
            None,
            1,
            0,
            1,
            1,
        )
    };
    let single = x.f_reshape([n * channels, 1, rows, columns])?;
    let blurred = along(&along(&single, true)?, false)?;
    blurred.f_reshape([n, channels, rows, columns])
}
