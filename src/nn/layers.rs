//! Layers of a feed-forward network as data, so that running, differentiating and explaining walk
//! one list.

use super::Nonlinearity;
use rayon::prelude::*;
use tch::{Device, Kind, TchError, Tensor};

/// One layer. Tensors are (N, channels, rows, columns) until [`Layer::Flatten`], (N, features)
/// after it, in the number format of the layer's own tensors.
#[derive(Debug)]
pub enum Layer {
    /// 2-d convolution with bias.
    Convolution {
        /// (out, in / groups, rows, columns)
        kernel: Tensor,
        /// (out)
        bias: Tensor,
        /// Step in both directions.
        stride: i64,
        /// Zeros on every side.
        padding: i64,
        /// Channel groups.
        groups: i64,
    },
    /// A function of every single value.
    Pointwise(Nonlinearity),
    /// x / (k + alpha / size * sum of x^2 over `size` neighbouring channels)^beta: PyTorch's
    /// convention, in which alpha is divided by the size.
    LocalResponseNorm {
        /// Channels in the sum, an odd number.
        size: i64,
        /// Factor of the mean square.
        alpha: f64,
        /// Exponent.
        beta: f64,
        /// Constant term.
        k: f64,
    },
    /// Maximum over windows of `size` x `size`.
    MaxPool {
        /// Side of the window.
        size: i64,
        /// Step in both directions.
        stride: i64,
        /// Rows (and columns) added in all, its smaller half before the first one; what is added is
        /// never the maximum.
        padding: i64,
    },
    /// The mean over windows that divide the map into `rows` x `columns` as evenly as can be, where
    /// need be overlapping: PyTorch's `AdaptiveAvgPool2d`.
    AveragePool {
        /// Rows of the output.
        rows: i64,
        /// Columns of the output.
        columns: i64,
    },
    /// Every value repeated in `factor` rows and columns.
    Upsample {
        /// How often.
        factor: i64,
    },
    /// Channels of earlier layers, one after the other.
    Concatenate {
        /// Numbers of the layers in their [`Graph`].
        layers: Vec<usize>,
        /// Of each layer only one of so many equal groups of channels is taken.
        groups: i64,
        /// Which one, from 0.
        group: i64,
    },
    /// The sum of the layer before and an earlier one.
    Add {
        /// Number of the earlier layer in its [`Graph`].
        layer: usize,
    },
    /// (N, channels, rows, columns) to (N, channels * rows * columns), in this order.
    Flatten,
    /// x W^T + b
    Linear {
        /// (out, in)
        weight: Tensor,
        /// (out)
        bias: Tensor,
    },
}

impl Layer {
    /// max(x, 0)
    pub const RELU: Self = Self::Pointwise(Nonlinearity::Relu);

    /// The same layer on `device`: its tensors are copied there, or shared where they are there
    /// already.
    ///
    /// # Errors
    /// No memory.
    pub fn on(&self, device: Device) -> Result<Self, TchError> {
        self.with_tensors(|tensor| tensor.f_to_device(device))
    }

    /// The same layer, its tensors rounded to the number format `kind`.
    ///
    /// # Errors
    /// No memory.
    pub fn rounded_to(&self, kind: Kind) -> Result<Self, TchError> {
        self.with_tensors(|tensor| tensor.f_to_kind(kind))
    }

    /// The same layer, with what `change` makes of its tensors.
    fn with_tensors(
        &self,
        change: impl Fn(&Tensor) -> Result<Tensor, TchError>,
    ) -> Result<Self, TchError> {
        Ok(match self {
            &Self::Convolution { ref kernel, ref bias, stride, padding, groups } => {
                let (kernel, bias) = (change(kernel)?, change(bias)?);
                Self::Convolution { kernel, bias, stride, padding, groups }
            }
            &Self::Pointwise(function) => Self::Pointwise(function),
            &Self::LocalResponseNorm { size, alpha, beta, k } => {
                Self::LocalResponseNorm { size, alpha, beta, k }
            }
            &Self::MaxPool { size, stride, padding } => Self::MaxPool { size, stride, padding },
            &Self::AveragePool { rows, columns } => Self::AveragePool { rows, columns },
            &Self::Upsample { factor } => Self::Upsample { factor },
            &Self::Concatenate { ref layers, groups, group } => {
                Self::Concatenate { layers: layers.clone(), groups, group }
            }
            &Self::Add { layer } => Self::Add { layer },
            Self::Flatten => Self::Flatten,
            Self::Linear { weight, bias } => {
                Self::Linear { weight: change(weight)?, bias: change(bias)? }
            }
        })
    }

    /// The layer's output for `x`; autograd works through it.
    ///
    /// # Errors
    /// Shapes that do not fit, or no memory.
    ///
    /// # Panics
    /// When the layer reads an earlier one: such layers belong into a [`Graph`].
    pub fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        self.run(x, no_earlier)
    }

    /// Numbers of the earlier layers whose outputs it reads besides that of the layer before.
    pub fn reads(&self) -> &[usize] {
        match self {
            Self::Concatenate { layers, .. } => layers,
            Self::Add { layer } => std::slice::from_ref(layer),
            _ => &[],
        }
    }

    /// The layer's output, from that of the layer before and, by their numbers, those of earlier
    /// layers.
    fn run<'a>(
        &self,
        x: &Tensor,
        earlier: impl Fn(usize) -> &'a Tensor,
    ) -> Result<Tensor, TchError> {
        match self {
            Self::Convolution { kernel, bias, stride, padding, groups } => {
                x.f_conv2d(kernel, Some(bias), *stride, *padding, 1, *groups)
            }
            Self::Pointwise(function) => function.forward(x),
            &Self::LocalResponseNorm { size, alpha, beta, k } => {
                local_response_norm(x, size, alpha, beta, k)
            }
            &Self::MaxPool { size, stride, padding } => max_pool(x, size, stride, padding),
            &Self::AveragePool { rows, columns } => x.f_adaptive_avg_pool2d([rows, columns]),
            &Self::Upsample { factor } => {
                let (_, _, height, width) = x.size4()?;
                x.f_upsample_nearest2d([height * factor, width * factor], None, None)
            }
            Self::Concatenate { layers, groups, group } => {
                let part = |&layer: &usize| {
                    let length = earlier(layer).size()[1] / groups;
                    earlier(layer).f_narrow(1, group * length, length)
                };
                let mut parts = layers.iter().map(part).collect::<Result<Vec<_>, _>>()?;
                if parts.len() == 1 { Ok(parts.remove(0)) } else { Tensor::f_cat(&parts, 1) }
            }
            &Self::Add { layer } => x.f_add(earlier(layer)),
            Self::Flatten => x.f_flatten(1, -1),
            Self::Linear { weight, bias } => x.f_linear(weight, Some(bias)),
        }
    }

    /// Whether nobody else has what the layer just made, so that the next one may change it in
    /// place.
    fn output_is_its_own(&self) -> bool {
        matches!(self, Self::Convolution { .. } | Self::Linear { .. } | Self::Add { .. })
    }

    /// Its output for `x`, in the memory of `x` where `in_place` and the layer can.
    fn run_on<'a>(
        &self,
        x: Tensor,
        in_place: bool,
        earlier: impl Fn(usize) -> &'a Tensor,
    ) -> Result<Tensor, TchError> {
        match self {
            Self::Pointwise(function) if in_place && !x.requires_grad() => function.apply(x),
            _ => self.run(&x, earlier),
        }
    }
}

/// For layers in a plain row, which read nothing but the layer before.
fn no_earlier(layer: usize) -> &'static Tensor {
    unreachable!("layer {layer} is read by a layer in a plain row; such layers belong into a Graph")
}

/// `x` through `layers`, one after the other.
///
/// # Errors
/// Shapes that do not fit, or no memory.
///
/// # Panics
/// When a layer reads an earlier one: such layers belong into a [`Graph`].
pub fn forward(layers: &[Layer], x: &Tensor) -> Result<Tensor, TchError> {
    let mut x = x.shallow_clone();
    let mut own = false;
    for layer in layers {
        x = layer.run_on(x, own, no_earlier)?;
        own = layer.output_is_its_own();
    }
    Ok(x)
}

/// [`forward`] with everything on the way: `x`, then every layer's output.
///
/// # Errors
/// As [`forward`].
///
/// # Panics
/// As [`forward`].
pub fn forward_kept(layers: &[Layer], x: &Tensor) -> Result<Vec<Tensor>, TchError> {
    let mut values = vec![x.shallow_clone()];
    for (number, layer) in layers.iter().enumerate() {
        values.push(layer.forward(&values[number])?);
    }
    Ok(values)
}

/// Layers of which some read the outputs of earlier ones by their numbers, from 0.
#[derive(Debug)]
pub struct Graph {
    layers: Vec<Layer>,
    /// The layers whose outputs are asked for, ascending.
    outputs: Vec<usize>,
    /// For every layer the last one that reads its output besides the next, or itself: what is not
    /// needed any more is freed at once.
    last_use: Vec<usize>,
}

impl Graph {
    /// `outputs` are the numbers of the layers whose outputs [`Graph::forward`] returns, in that
    /// order.
    ///
    /// # Panics
    /// When a layer reads one that does not come before it, or an output is no layer: the caller
    /// has checked both.
    pub fn new(layers: Vec<Layer>, outputs: Vec<usize>) -> Self {
        let mut last_use: Vec<usize> = (0..layers.len()).collect();
        for (number, layer) in layers.iter().enumerate() {
            for &read in layer.reads() {
                assert!(
                    read < number,
                    "layer {number} reads layer {read}, which does not come before it"
                );
                last_use[read] = number;
            }
        }
        assert!(outputs.iter().all(|&output| output < layers.len()), "every output is a layer");
        Self { layers, outputs, last_use }
    }

    /// The same layers on `device`: their tensors are copied there, or shared where they are there
    /// already.
    ///
    /// # Errors
    /// No memory.
    pub fn on(&self, device: Device) -> Result<Self, TchError> {
        let layers = self.layers.iter().map(|layer| layer.on(device)).collect::<Result<_, _>>()?;
        Ok(Self { layers, outputs: self.outputs.clone(), last_use: self.last_use.clone() })
    }

    /// The outputs asked for, from the input `x`.
    ///
    /// # Errors
    /// Shapes that do not fit, or no memory.
    pub fn forward(&self, x: &Tensor) -> Result<Vec<Tensor>, TchError> {
        let mut kept: Vec<Option<Tensor>> = Vec::with_capacity(self.layers.len());
        let mut outputs = Vec::with_capacity(self.outputs.len());
        let mut previous = x.shallow_clone();
        let mut own = false;
        for (number, layer) in self.layers.iter().enumerate() {
            let earlier =
                |read: usize| kept[read].as_ref().expect("an output is kept until its last use");
            previous = layer.run_on(previous, own, earlier)?;
            let is_output = self.outputs.contains(&number);
            if is_output {
                outputs.push(previous.shallow_clone());
            }
            let is_read = self.last_use[number] > number;
            own = layer.output_is_its_own() && !is_output && !is_read;
            kept.push(is_read.then(|| previous.shallow_clone()));
            for (output, &last_use) in kept.iter_mut().zip(&self.last_use) {
                if last_use <= number {
                    *output = None;
                }
            }
        }
        Ok(outputs)
    }
}

fn max_pool(x: &Tensor, size: i64, stride: i64, padding: i64) -> Result<Tensor, TchError> {
    let before = padding / 2;
    if padding % 2 == 0 && before <= size / 2 {
        return x.f_max_pool2d(size, stride, before, 1, false);
    }
    let after = padding - before;
    let padded = x.f_pad([before, after, before, after], "constant", f64::NEG_INFINITY)?;
    padded.f_max_pool2d(size, stride, 0, 1, false)
}

/// Computed in f32, whatever the number format of `x`, which is the output's too.
fn local_response_norm(
    x: &Tensor,
    size: i64,
    alpha: f64,
    beta: f64,
    k: f64,
) -> Result<Tensor, TchError> {
    let channels = x.size4()?.1;
    let given = x.kind();
    let x = x.f_to_kind(Kind::Float)?;
    if x.device() == Device::Cpu && !x.requires_grad() {
        return local_response_norm_by_pixels(&x, size, alpha, beta, k)?.f_to_kind(given);
    }
    // The sum over neighbouring channels is a 1 x 1 convolution with a band matrix: a matrix
    // product, several times as fast, forwards and backwards, as a pooling along the channels.
    let band = Tensor::f_ones([channels, channels], (x.kind(), x.device()))?
        .f_triu(-(size / 2))?
        .f_tril(size / 2)?;
    let band = band.f_mul_scalar(alpha / size as f64)?.f_view([channels, channels, 1, 1])?;
    let constant = Tensor::f_full([channels], k, (x.kind(), x.device()))?;
    let base = x.f_square()?.f_conv2d(&band, Some(&constant), 1, 0, 1, 1)?;
    let raised = match beta {
        // Roots are faster than powers.
        0.75 => base.f_sqrt().and_then(|root| root.f_mul(&root.f_sqrt()?))?,
        _ => base.f_pow_tensor_scalar(beta)?,
    };
    x.f_div(&raised)?.f_to_kind(given)
}

/// The same on the processor, in one pass over the numbers: it takes a fraction of the time of a
/// dozen operations on whole tensors.
fn local_response_norm_by_pixels(
    x: &Tensor,
    size: i64,
    alpha: f64,
    beta: f64,
    k: f64,
) -> Result<Tensor, TchError> {
    let (n, channels, rows, columns) = x.size4()?;
    let mut pixels = Vec::<f32>::try_from(&x.f_permute([0, 2, 3, 1])?.f_contiguous()?.f_view(-1)?)?;
    let (scale, k, beta) = ((alpha / size as f64) as f32, k as f32, beta as f32);
    let (channels_of_pixel, size) = (channels as usize, size as usize);
    pixels.par_chunks_mut(PIXELS * channels_of_pixel).for_each(|pixels| {
        // The channels' squares between zeros, and the sums of neighbours.
        let mut squares = vec![0.0; channels_of_pixel + size - 1];
        let mut sums = vec![0.0; channels_of_pixel];
        for pixel in pixels.chunks_exact_mut(channels_of_pixel) {
            for (square, x) in squares[size / 2..].iter_mut().zip(&*pixel) {
                *square = x * x;
            }
            sums.copy_from_slice(&squares[..channels_of_pixel]);
            for shift in 1..size {
                for (sum, square) in sums.iter_mut().zip(&squares[shift..]) {
                    *sum += square;
                }
            }
            divide_by_powers(pixel, &sums, (scale, k, beta));
        }
    });
    Tensor::f_from_slice(&pixels)?.f_view([n, rows, columns, channels])?.f_permute([0, 3, 1, 2])
}

/// Pixels that a thread takes at a time.
const PIXELS: usize = 256;

/// Divides each value by (scale * sum + k)^beta.
fn divide_by_powers(values: &mut [f32], sums: &[f32], (scale, k, beta): (f32, f32, f32)) {
    let pairs = values.iter_mut().zip(sums);
    if beta == 0.75 {
        // Roots, several at a time, are far faster than powers, and rounded alike everywhere.
        pairs.for_each(|(x, sum)| {
            let root = (sum * scale + k).sqrt();
            *x /= root * root.sqrt();
        });
    } else {
        pairs.for_each(|(x, sum)| *x /= (sum * scale + k).powf(beta));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_does_not_depend_on_the_place_in_the_batch() {
        tch::manual_seed(3);
        let x =
            Tensor::rand([4, 12, 55, 55], (Kind::Float, Device::Cpu)).f_mul_scalar(100.0).unwrap();
        let x = x.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2]);
        let layer = Layer::LocalResponseNorm { size: 5, alpha: 1e-4, beta: 0.75, k: 1.0 };
        let run = |x: &Tensor| forward(std::slice::from_ref(&layer), x).unwrap();
        let y = run(&x);
        for shift in 1..4 {
            assert!(run(&x.roll([shift], [0])).equal(&y.roll([shift], [0])), "{shift}");
        }
    }

    #[test]
    fn local_response_norm_by_pixels_is_that_of_whole_tensors() {
        tch::manual_seed(4);
        let x = Tensor::randn([3, 30, 60, 50], (Kind::Float, Device::Cpu)) * 20.0;
        assert!(x.numel() / 30 > PIXELS, "more than one thread has work");
        for (size, alpha, beta, k) in
            [(5, 1e-4, 0.75, 1.0), (3, 0.1, 0.5, 2.0), (1, 0.3, 0.75, 1.0)]
        {
            let wanted = local_response_norm(&x.set_requires_grad(true), size, alpha, beta, k)
                .unwrap()
                .detach();
            let found = local_response_norm(&x.detach(), size, alpha, beta, k).unwrap();
            let worst = ((found - &wanted) / (wanted.abs() + 1.0)).abs().max().double_value(&[]);
            assert!(worst < 1e-6, "{size}: {worst}");
        }
    }

    #[test]
    fn local_response_norm_by_hand() {
        // Three channels of one pixel, window 3: channel 0 sees itself and channel 1.
        let x = Tensor::from_slice(&[1.0_f32, 2.0, 3.0]).reshape([1, 3, 1, 1]);
        let layer = Layer::LocalResponseNorm { size: 3, alpha: 0.6, beta: 0.5, k: 2.0 };
        let y = Vec::<f32>::try_from(&forward(&[layer], &x).unwrap().flatten(0, -1)).unwrap();
        let expected = [
            1.0 / 3.0_f32.sqrt(),
            2.0 / (2.0 + 0.2 * 14.0_f32).sqrt(),
            3.0 / (2.0 + 0.2 * 13.0_f32).sqrt(),
        ];
        for (found, wanted) in y.iter().zip(expected) {
            approx::assert_abs_diff_eq!(*found, wanted, epsilon = 1e-6);
        }
    }

    #[test]
    fn a_graph_by_hand_reads_what_it_keeps_and_changes_nothing_that_others_read() {
        let one = |value: f32| Tensor::from_slice(&[value]).reshape([1, 1, 1, 1]);
        let scale = |factor: f32| Layer::Convolution {
            kernel: one(factor),
            bias: Tensor::from_slice(&[0.0_f32]),
            stride: 1,
            padding: 0,
            groups: 1,
        };
        // 0: -2 x, 1: its ReLU, 2: 3 times that, 3: plus layer 0, 4: ReLU, 5: layers 0 and 4 side
        // by side.
        let layers = vec![
            scale(-2.0),
            Layer::RELU,
            scale(3.0),
            Layer::Add { layer: 0 },
            Layer::RELU,
            Layer::Concatenate { layers: vec![0, 4], groups: 1, group: 0 },
        ];
        let graph = Graph::new(layers, vec![3, 5]);
        for (x, sum, both) in [(1.0, -2.0, [-2.0, 0.0]), (-1.0, 8.0, [2.0, 8.0])] {
            let found = graph.on(Device::Cpu).unwrap().forward(&one(x)).unwrap();
            assert_eq!(Vec::<f32>::try_from(&found[0].flatten(0, -1)).unwrap(), [sum]);
            assert_eq!(Vec::<f32>::try_from(&found[1].flatten(0, -1)).unwrap(), both);
        }
    }
}
