//! `emocam bench-detector`: an instrument for `scripts/bench`, not part of the command line's promise.
//!
//! Times the detector alone (preparing its input, network, decoding, suppression) on letterboxed photos, with nothing
//! else running in the process, as the baseline of what the whole pass costs.

use super::settings::Settings;
use anyhow::Context;
use emocam::corpus::{find, DecodeOptions};
use emocam::detect::{Darknet, Detector};
use emocam::image::Rgb8;
use emocam::{load, models, nn};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

/// Time the detector alone on letterboxed photos: JSON on stdout, seconds per image of every batch
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folders of images or single images; repeated as often as needed to fill the batches
    #[arg(required = true)]
    corpus: Vec<PathBuf>,

    /// Batches to time, after one more that is not (it sets up the kernels)
    #[arg(long, value_name = "N", default_value_t = 3)]
    batches: usize,

    #[command(flatten)]
    settings: Settings,
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Args { corpus, batches, settings } = args;
    let (config, machine) = settings.resolve()?;
    tch::set_num_threads(nn::network_threads());
    let device = nn::open(&machine.device)?;
    let (cfg, _) = load::cfg(&config, &machine.models)?;
    let weights = models::locate(config.detector.weights.as_ref(), &machine.models)?;
    let precision = config.compute.precision;
    let detector = Darknet::load(&cfg, &weights, config.detector.thresholds(), device, precision)?;
    nn::keep_freed_memory();
    let options = DecodeOptions { ignore_exif: config.corpus.ignore_exif, ..DecodeOptions::default() };
    let canvases: Vec<Rgb8> = find(&corpus)?
        .images
        .iter()
        .map(|source| {
            let picture = source.decode(&options)?.pixels;
            let letterbox = detector.canvas(config.detector.rect).letterbox(picture.size());
            Ok(letterbox.apply(&picture, config.detector.letterbox_filter, config.detector.fill()))
        })
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
    let report = serde_json::json!({
        "precision": precision.to_string(),
        "batch": size,
        "threads": tch::get_num_threads(),
        "boxes_per_image": boxes as f64 / (batches * size).max(1) as f64,
        "seconds_per_image": seconds,
    });
    writeln!(std::io::stdout().lock(), "{report}").context("cannot write the times")?;
    Ok(ExitCode::SUCCESS)
}
