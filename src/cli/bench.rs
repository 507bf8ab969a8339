//! `emocam bench-detector`: an instrument for `scripts/bench` and `scripts/gpu`, not part of the
//! command line's promise.
//!
//! Times the detector alone (preparing its input, network, decoding, suppression) on letterboxed
//! photos, with nothing else running in the process, as the baseline of what the whole pass costs;
//! on request also the network without all that, against a large matrix product.

use super::settings::Settings;
use anyhow::Context;
use emocam::corpus::{DecodeOptions, find};
use emocam::image::Rgb8;
use emocam::regions::Detector;
use emocam::regions::darknet::Darknet;
use emocam::{load, models, nn};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;
use tch::{Device, Kind, Tensor};

/// Time the detector alone on letterboxed photos: JSON on stdout, seconds per image of every batch
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Folders of images or single images; repeated as often as needed to fill the batches
    #[arg(required = true)]
    corpus: Vec<PathBuf>,

    /// Batches to time, after one more that is not (it sets up the kernels)
    #[arg(long, value_name = "N", default_value_t = 3)]
    batches: usize,

    /// Also time the network alone, batch after batch on pixels that are there, and a large matrix
    /// product
    #[arg(long)]
    rates: bool,

    #[command(flatten)]
    settings: Settings,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Args { corpus, batches, rates, settings } = args;
    let (config, machine) = settings.resolve()?;
    tch::set_num_threads(nn::network_threads());
    let device = nn::open(&machine.device)?;
    let (cfg, _) = load::cfg(&config, &machine.models)?;
    let weights = models::locate(config.detector.weights.as_ref(), &machine.models)?;
    let precision = config.compute.precision;
    // Their names do not matter here.
    let classes = (0..cfg.classes()).map(|class| class.to_string()).collect();
    let detector =
        Darknet::load(&cfg, &weights, classes, config.detector.settings(precision), device)?;
    nn::keep_freed_memory();
    let options =
        DecodeOptions { ignore_exif: config.corpus.ignore_exif, ..DecodeOptions::default() };
    let canvases: Vec<Rgb8> = find(&corpus)?
        .images
        .iter()
        .map(|source| Ok(detector.view().sight(&source.decode(&options)?).pixels))
        .collect::<emocam::Result<_>>()?;
    anyhow::ensure!(!canvases.is_empty(), "no images in {corpus:?}");

    let size = config.compute.batch;
    let mut pictures = canvases.iter().cycle();
    let (mut seconds, mut boxes) = (Vec::with_capacity(batches), 0);
    for number in 0..=batches {
        let batch: Vec<&Rgb8> = pictures.by_ref().take(size).collect();
        let clock = Instant::now();
        let found = detector.detect(&batch)?;
        if number > 0 {
            seconds.push(clock.elapsed().as_secs_f64() / size as f64);
            boxes += found.iter().map(Vec::len).sum::<usize>();
        }
    }
    let mut report = serde_json::json!({
        "precision": precision.to_string(),
        "batch": size,
        "threads": tch::get_num_threads(),
        "boxes_per_image": boxes as f64 / (batches * size).max(1) as f64,
        "seconds_per_image": seconds,
    });
    if rates {
        let network = network_alone(&detector, size, batches)?;
        report["network_seconds_per_image"] = network.into();
        report["network_tflops"] = (cfg.flops()? / network / 1e12).into();
        report["matrix_tflops"] = matrix_rate(device, precision.kind())?.into();
    }
    writeln!(std::io::stdout().lock(), "{report}").context("cannot write the times")?;
    Ok(ExitCode::SUCCESS)
}

/// Seconds an image of the network alone, on random pixels that are there already.
fn network_alone(detector: &Darknet, size: usize, batches: usize) -> anyhow::Result<f64> {
    let (network, input) = (detector.network(), detector.input());
    let shape = [size as i64, i64::from(input.height), i64::from(input.width), 3];
    let x = Tensor::f_rand(shape, (Kind::Float, network.device()))?.f_permute([0, 3, 1, 2])?;
    let _no_grad = tch::no_grad_guard();
    let seconds = timed(network.device(), batches, || Ok(network.forward(&x)?))?;
    Ok(seconds / size as f64)
}

/// 10^12 floating-point operations a second in the product of two large square matrices: what the
/// device can do at most.
fn matrix_rate(device: Device, kind: Kind) -> anyhow::Result<f64> {
    let (side, products) = if device.is_cuda() { (8192_i64, 10) } else { (2048, 3) };
    let matrix = || Tensor::f_randn([side, side], (Kind::Float, device))?.f_to_kind(kind);
    let (a, b) = (matrix()?, matrix()?);
    let seconds = timed(device, products, || Ok(a.f_matmul(&b)?))?;
    Ok(2.0 * (side as f64).powi(3) / seconds / 1e12)
}

/// Seconds each of `times` calls, after one that sets up the kernels, until the device has done
/// them all.
fn timed<T>(
    device: Device,
    times: usize,
    work: impl Fn() -> anyhow::Result<T>,
) -> anyhow::Result<f64> {
    let wait = || {
        if let Device::Cuda(number) = device {
            tch::Cuda::synchronize(number as i64);
        }
    };
    work()?;
    wait();
    let clock = Instant::now();
    for _ in 0..times {
        work()?;
    }
    wait();
    Ok(clock.elapsed().as_secs_f64() / times.max(1) as f64)
}
