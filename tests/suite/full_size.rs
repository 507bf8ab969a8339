//! The shipped YOLOv3 for Open Images at full size, with synthesized weights, against OpenCV
//! (scripts/reference/opencv_raw.py).

use crate::common::{reference, tensors};
use emocam::config::Config;
use emocam::corpus::{DecodeOptions, decode};
use emocam::image::{Letterbox, LetterboxFilter};
use emocam::nn::{Precision, stack};
use emocam::regions::darknet::Darknet;
use std::path::Path;
use tch::{Device, Kind};

#[test]
fn yolov3_agrees_with_opencv() {
    let folder = tempfile::tempdir().unwrap();
    let weights = folder.path().join("yolov3.weights");
    let config = Config::default();
    let cfg = emocam::load::cfg(&config, Path::new("no models folder")).unwrap().0;
    emocam::synthesize::write_darknet(&cfg, 1, &weights).unwrap();
    assert_eq!(std::fs::metadata(&weights).unwrap().len(), 259_229_388);
    let picture = decode(&reference("emonet/picture_3.png"), &DecodeOptions::default()).unwrap();
    let input =
        Letterbox::fit(picture.size(), cfg.input).apply(&picture, LetterboxFilter::Bicubic, 0);

    let load = |precision: Precision| {
        let classes = (0..cfg.classes()).map(|class| format!("class {class}")).collect();
        Darknet::load(&cfg, &weights, classes, config.detector.settings(precision), Device::Cpu)
            .unwrap()
    };
    let f32 = load(Precision::F32);
    let x = stack(&[&input], cfg.input, Device::Cpu).unwrap().to_kind(Kind::Float) / 255.0;
    let expected = tensors("full_size/yolov3.safetensors");
    let mut heads = Vec::new();
    for (at, raw) in f32.network().forward(&x).unwrap().iter().enumerate() {
        let found = Vec::<f32>::try_from(&raw.contiguous().flatten(0, -1)).unwrap();
        let (_, sample) = expected.floats(&format!("sample_{at}"));
        let max_abs = expected.floats(&format!("max_abs_{at}")).1[0];
        let error =
            found.iter().step_by(997).zip(&sample).fold(0.0_f32, |m, (a, b)| m.max((a - b).abs()));
        eprintln!("head {at}: max abs difference / max abs value = {:.2e}", error / max_abs);
        assert_eq!(found.len().div_ceil(997), sample.len());
        assert!(error / max_abs < 2.2e-5, "head {at}: {error} of {max_abs}");
        heads.push((found, max_abs));
    }
    let detections = f32.detect(&[&input]).unwrap().remove(0);
    assert!(
        (5..2000).contains(&detections.len()),
        "{} detections: empty or saturated",
        detections.len()
    );
    assert!(detections.iter().all(|detection| detection.confidence < 0.99));
    drop(f32);

    // bf16 has 8 bits of mantissa: after 75 layers numbers agree to some per cent of the largest.
    let bf16 = load(Precision::Bf16);
    for (raw, (wanted, max_abs)) in bf16.network().forward(&x).unwrap().iter().zip(heads) {
        let found =
            Vec::<f32>::try_from(&raw.to_kind(Kind::Float).contiguous().flatten(0, -1)).unwrap();
        let mean = found.iter().zip(&wanted).map(|(a, b)| f64::from((a - b).abs())).sum::<f64>()
            / wanted.len() as f64;
        eprintln!("bf16: mean abs difference / max abs value = {:.2e}", mean / f64::from(max_abs));
        assert!(mean / f64::from(max_abs) < 0.02);
    }
}
