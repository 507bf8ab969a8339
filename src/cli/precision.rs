//! In which number format the detector computes: as asked for, or by a measurement (`--precision
//! auto`).

use anyhow::Context;
use emocam::config::Config;
use emocam::image::Rgb8;
use emocam::load;
use emocam::nn::Precision;
use emocam::regions::Sight;
use emocam::run::Run;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

/// What `--precision` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PrecisionChoice {
    /// f32, or bf16 where it is clearly faster.
    Measured,
    /// This one.
    Given(Precision),
}

/// Seconds an image, by the name of the number format.
pub(super) type MeasuredPrecision = BTreeMap<String, f64>;

/// How long each number format is measured, after a batch that sets things up.
const MEASURED: Duration = Duration::from_millis(500);

/// bf16 has to take less than this share of f32's time to be worth its rounding.
const WORTH: f64 = 0.75;

/// Settles the detector's number format in `config` where it is to be measured (`measures`), with
/// the files in `models`, and returns what was found; a run in `folder` that is resumed keeps its
/// own. Where f32 is used on a device that is made for bf16, this is said.
pub(super) fn settle(
    config: &mut Config,
    (measures, models): (bool, &Path),
    device: tch::Device,
    resumed: Option<&Path>,
) -> anyhow::Result<Option<MeasuredPrecision>> {
    let has_detector = config.regions.file.is_empty();
    if !measures {
        if has_detector && config.compute.precision == Precision::F32 && is_made_for_bf16(device) {
            say!(
                "this device computes bf16 several times as fast as f32: --precision bf16, or \
                 auto, which measures first"
            );
        }
        return Ok(None);
    }
    if let Some(folder) = resumed.filter(|folder| folder.join("run.json").exists()) {
        let earlier = Run::open(folder)?.manifest;
        config.compute.precision = earlier.configuration.compute.precision;
        return Ok(earlier.measured_precision);
    }
    config.compute.precision = Precision::F32;
    if !has_detector {
        say!("--precision auto measures the detector, and there is none here: going on in f32");
        return Ok(None);
    }
    let [f32, bf16] = [Precision::F32, Precision::Bf16]
        .map(|precision| seconds(config, models, device, precision));
    let (f32, bf16) = (f32?, bf16?);
    if bf16 < WORTH * f32 {
        config.compute.precision = Precision::Bf16;
    }
    say!(
        "detector: {f32:.4} s an image in f32, {bf16:.4} in bf16; going on in {}",
        config.compute.precision
    );
    Ok(Some(
        [(Precision::F32, f32), (Precision::Bf16, bf16)]
            .map(|(of, seconds)| (of.to_string(), seconds))
            .into(),
    ))
}

/// Seconds an image of the detector in a number format, in batches of the configured size.
fn seconds(
    config: &Config,
    models: &Path,
    device: tch::Device,
    precision: Precision,
) -> anyhow::Result<f64> {
    let mut config = config.clone();
    config.compute.precision = precision;
    let (detector, _) = load::detector(&config, models, device)?;
    let grey = Rgb8::filled(detector.view().canvas.size, [120, 110, 100]);
    let grey = detector.view().sight(&grey.into());
    let batch: Vec<&Sight> = std::iter::repeat_n(&grey, config.compute.batch).collect();
    let locate = || detector.locate(&batch).context("cannot measure how fast the detector is");
    locate()?;
    let (begin, mut batches) = (Instant::now(), 0);
    while begin.elapsed() < MEASURED {
        locate()?;
        batches += 1;
    }
    Ok(begin.elapsed().as_secs_f64() / f64::from(batches) / config.compute.batch as f64)
}

/// Whether matrices of bf16 have units of their own there: GPUs, and processors with AMX.
fn is_made_for_bf16(device: tch::Device) -> bool {
    device.is_cuda()
        || std::fs::read_to_string("/proc/cpuinfo").is_ok_and(|text| text.contains("amx_bf16"))
}
