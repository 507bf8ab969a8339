//! A real detector on real photos against OpenCV (scripts/reference/opencv_detections.py). Runs
//! when the folder of photos and detectors lies beside the checkout.

use crate::common::{json, shared};
use emocam::corpus::{DecodeOptions, decode};
use emocam::image::{BoundingBox, Letterbox, LetterboxFilter};
use emocam::nn::Precision;
use emocam::regions::darknet::{Cfg, ClassScores, Darknet, DarknetSettings, Thresholds};
use tch::Device;

#[test]
fn detections_on_photos_agree_with_opencv() {
    let (Some(folder), Some(photos)) = (shared("detector"), shared("photos")) else { return };
    let path = folder.join("yolo-fastest-1.1.cfg");
    let cfg = Cfg::parse(&std::fs::read_to_string(&path).unwrap(), &path).unwrap();
    let weights = folder.join("yolo-fastest-1.1.weights");
    let thresholds =
        Thresholds { class_scores: ClassScores::Logistic, confidence: 0.25, nms_iou: 0.45 };
    let settings = DarknetSettings {
        thresholds,
        precision: Precision::F32,
        rect: false,
        filter: LetterboxFilter::Bicubic,
        fill: 0,
    };
    let classes = (0..cfg.classes()).map(|class| format!("class {class}")).collect();
    let detector = Darknet::load(&cfg, &weights, classes, settings, Device::Cpu).unwrap();
    let expected = json("darknet/yolo_fastest_photos.json");
    let (mut matched, mut worst_iou, mut worst_confidence) = (0, 1.0_f32, 0.0_f32);
    for image in expected["images"].as_array().unwrap() {
        let name = image["image"].as_str().unwrap();
        let photo =
            decode(&photos.join(name), &DecodeOptions { ignore_exif: true, ..Default::default() })
                .unwrap();
        let letterbox = Letterbox::fit(photo.size(), cfg.input);
        let found = detector
            .detect(&[&letterbox.apply(&photo, LetterboxFilter::Bicubic, 0)])
            .unwrap()
            .remove(0);
        let found: Vec<_> = found
            .into_iter()
            .map(|d| {
                (
                    d.class,
                    d.confidence,
                    letterbox.to_original(&d.bounding_box).clip(photo.size()).unwrap(),
                )
            })
            .collect();
        let wanted: Vec<(usize, f32, BoundingBox)> = image["detections"]
            .as_array()
            .unwrap()
            .iter()
            .map(|d| {
                let class = d["class_index"].as_u64().unwrap() as usize;
                let confidence = d["confidence"].as_f64().unwrap() as f32;
                (class, confidence, serde_json::from_value(d["box"].clone()).unwrap())
            })
            .collect();
        // Every one over 0.3 on either side has its like on the other.
        for (ones, others) in [(&found, &wanted), (&wanted, &found)] {
            for one in ones.iter().filter(|one| one.1 > 0.3) {
                let like = others
                    .iter()
                    .filter(|other| other.0 == one.0 && (other.1 - one.1).abs() < 9e-6)
                    .max_by(|a, b| a.2.iou(&one.2).total_cmp(&b.2.iou(&one.2)))
                    .unwrap_or_else(|| panic!("{name}: nothing like {one:?}"));
                let iou = like.2.iou(&one.2);
                assert!(iou > 0.98, "{name}: {one:?}, {like:?}");
                (worst_iou, worst_confidence) =
                    (worst_iou.min(iou), worst_confidence.max((like.1 - one.1).abs()));
                matched += 1;
            }
        }
    }
    eprintln!(
        "{} matched, lowest IoU {worst_iou}, confidence within {worst_confidence:.1e}",
        matched / 2
    );
    assert_eq!(matched / 2, 19);
}
