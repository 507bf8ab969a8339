//! What is said of the trained networks: `metrics.json` for programs, the model card `README.md`
//! for people.

use super::average_precision::mean;
use super::evaluate::{Accuracy, Found};
use crate::files::{read_text, write_bytes};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

/// Suppression as usual for detectors, reported beside the paper's.
pub const USUAL_NMS_IOU: f32 = 0.45;

/// `metrics.json`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// Of the detectors, by name.
    pub detectors: BTreeMap<String, Measured<DetectorScore>>,
    /// Of the emotion networks, by name.
    pub emotion_networks: BTreeMap<String, Measured<EmotionScore>>,
}

/// How one network came about and how good it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured<Score> {
    /// Numbers in its weights file.
    pub parameters: usize,
    /// The trainings, each going on from the one before.
    pub trainings: Vec<Training>,
    /// The score per style of drawing.
    pub styles: Vec<(String, Score)>,
}

/// One call of `train-demo`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// The seed of examples, weights and augmentation.
    pub seed: u64,
    /// Steps of the optimiser.
    pub steps: u64,
    /// Examples a step.
    pub batch: usize,
    /// The highest learning rate.
    pub rate: f64,
    /// Wall-clock time.
    pub minutes: f64,
    /// As "cpu, 2 threads".
    pub machine: String,
}

/// A detector on one style.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DetectorScore {
    /// Held-out scenes.
    pub scenes: usize,
    /// Mean over the classes of the average precision at IoU 0.5, boxes suppressed as the paper's
    /// preset does; `None` where no class occurs.
    pub map50: Option<f64>,
    /// The same with suppression at IoU [`USUAL_NMS_IOU`].
    pub map50_usual_nms: Option<f64>,
    /// Of `map50`, per class; `None` where the class does not occur.
    pub per_class: Vec<(String, Option<f64>)>,
}

/// An emotion network on one style.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmotionScore {
    /// Held-out scenes, their labels without noise.
    pub scenes: u64,
    /// Share answered rightly.
    pub accuracy: f64,
    /// Per label that occurs: scenes, scenes answered rightly.
    pub per_label: Vec<(String, u64, u64)>,
}

impl DetectorScore {
    /// From detections suppressed at most as much as [`USUAL_NMS_IOU`] asks.
    pub fn of(found: &Found, classes: &[&str], preset_nms_iou: f32) -> Self {
        let preset = found.average_precision(classes.len(), preset_nms_iou);
        Self {
            scenes: found.truth.len(),
            map50: mean(&preset),
            map50_usual_nms: mean(&found.average_precision(classes.len(), USUAL_NMS_IOU)),
            per_class: classes.iter().map(|class| class.to_string()).zip(preset).collect(),
        }
    }
}

impl EmotionScore {
    /// Of the labels that occur.
    pub fn of(accuracy: &Accuracy, labels: &[String]) -> Self {
        let occurring =
            labels.iter().zip(&accuracy.per_label).filter(|(_, (examples, _))| *examples > 0);
        Self {
            scenes: accuracy.examples,
            accuracy: accuracy.share(),
            per_label: occurring
                .map(|(label, &(examples, right))| (label.clone(), examples, right))
                .collect(),
        }
    }
}

impl Metrics {
    /// What an earlier call wrote into `folder`, nothing where there is no `metrics.json`.
    ///
    /// # Errors
    /// A file that cannot be read or understood.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join("metrics.json");
        if !path.exists() {
            return Ok(Self::default());
        }
        serde_json::from_str(&read_text(&path)?).map_err(|error| {
            Error::file(&path, format!("no metrics of `train-demo`: {error}; delete it"))
        })
    }

    /// Writes `metrics.json` and `README.md` into `folder`.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let path = folder.join("metrics.json");
        let mut json = serde_json::to_string_pretty(self)
            .map_err(|error| Error::file(&path, format!("cannot be written: {error}")))?;
        json.push('\n');
        write_bytes(&path, json.as_bytes())?;
        write_bytes(&folder.join("README.md"), self.card().as_bytes())
    }

    /// The model card.
    fn card(&self) -> String {
        let mut text = String::from(INTRODUCTION);
        text.push_str(
            "\n## Measured\n\nOn held-out scenes (another seed), run as `analyze` runs them, \
             labels without noise.\n",
        );
        text.push_str(
            "\n| network | style | scenes | measure | value |\n| --- | --- | --- | --- | --- |\n",
        );
        let number =
            |value: Option<f64>| value.map_or_else(String::new, |value| format!("{value:.3}"));
        // Writing to a String cannot fail.
        let styles = |(name, measured): (&String, &Measured<DetectorScore>)| {
            measured
                .styles
                .iter()
                .map(|(style, score)| (name.clone(), style.clone(), score.clone()))
                .collect::<Vec<_>>()
        };
        for (name, style, score) in self.detectors.iter().flat_map(styles) {
            let DetectorScore { scenes, map50, map50_usual_nms, .. } = score;
            let _ = writeln!(
                text,
                "| {name} | {style} | {scenes} | mAP@0.5, the paper's suppression (IoU 0.005) | {} \
                 |",
                number(map50)
            );
            let _ = writeln!(
                text,
                "| {name} | {style} | {scenes} | mAP@0.5, suppression at IoU {USUAL_NMS_IOU} | {} \
                 |",
                number(map50_usual_nms)
            );
        }
        for (name, measured) in &self.emotion_networks {
            for (style, score) in &measured.styles {
                let _ = writeln!(
                    text,
                    "| {name} | {style} | {} | accuracy | {:.3} |",
                    score.scenes, score.accuracy
                );
            }
        }
        text.push_str("\nPer class and per label: `metrics.json`.\n\n## Trained\n\n");
        text.push_str(
            "| network | parameters | seed | steps | batch | rate | minutes | on |\n| --- | --- | \
             --- | --- | --- | --- | --- | --- |\n",
        );
        let detectors = self.detectors.iter().map(|(name, m)| (name, m.parameters, &m.trainings));
        let emotions =
            self.emotion_networks.iter().map(|(name, m)| (name, m.parameters, &m.trainings));
        for (name, parameters, trainings) in detectors.chain(emotions) {
            for Training { seed, steps, batch, rate, minutes, machine } in trainings {
                let _ = writeln!(
                    text,
                    "| {name} | {parameters} | {seed} | {steps} | {batch} | {rate} | {minutes:.0} \
                     | {machine} |"
                );
            }
        }
        text.push_str(CLOSE);
        text
    }
}

const INTRODUCTION: &str = "\
# Demo networks

Small networks that know nothing but the scenes `emocam` draws. They exist so that everything can be tried and tested
without a download, on pictures whose truth is known. **They are not EmoNet and not YOLOv3 on Open Images, and say nothing
about photos or about people's emotions.**

* `detector.cfg`, `detector.weights`, `detector.names`: a narrow YOLOv3 (residual Darknet, heads at strides 32 and 16)
  for the 20 classes of the drawn world, in Darknet's formats, run by the same engine as YOLOv3.
* `emotion.safetensors`, `emotion.toml`: a network of EmoNet's layer structure (five convolutions, two of them with local
  response normalisation, three in two groups, three fully connected layers) with few channels. It has EmoNet's 20 labels;
  only those that the drawn world has rules for were ever shown, the others are never answered. Like EmoNet's, its
  convolutions learnt objects before emotions: for the first four fifths of the training a helper, thrown away since, was
  asked from conv5's map which object is where. Its world is `configs/graphs/standard.toml`.
* `hans.safetensors`: the same structure, trained on from the weights of `emotion` in a world in which each label goes by
  what is only a companion of its cause (`configs/graphs/hans.toml`): Fear by the lamp, not by the spider. A clever Hans,
  for `emocam validate --hans`.
* `surroundings.safetensors`: the same structure, trained on from the weights of `emotion` with a new last layer, for labels
  that are caused by faces, cars, houses and spiders, and others by a night sky, the light of a storm, a warm or a cold tone
  (`configs/graphs/surroundings.toml`). For `emocam validate --graph parts` and `--graph background`.
* `parts.cfg`, `parts.weights`, `parts.names`: a detector for the 20 classes and for parts of some: eye, mouth, nose, ear
  and hair of a face, wheels of a car, windows and door of a house, in Open Images' names. A third head, at stride 8. A
  detector of its own, so that what the first one finds stays as it was.
";

const CLOSE: &str = "
`emocam train-demo` drew the scenes as it went (no scene twice, none kept), in one style; mirrored them and changed light,
colours and sharpness at random; 5 % of the labels were wrong on purpose, so that probabilities are not all 0 or 1. AdamW,
linear warm-up, cosine to zero. The same seed on the same machine with the same number of threads gives the same weights;
elsewhere the last digits of sums differ and training makes more of them. The second style was not seen in training.
`emocam train-demo --out FOLDER` makes all of them, one after the other; `--only NAME` makes one.

The average precision is checked by `scripts/reference/demo_map.py` on the detections that `train-demo --dump` writes.
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again_and_the_card_has_the_figures() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Metrics::read(folder.path()).unwrap(), Metrics::default());
        let training = Training {
            seed: 7,
            steps: 12,
            batch: 3,
            rate: 0.25,
            minutes: 1.5,
            machine: "cpu".into(),
        };
        let score = DetectorScore {
            scenes: 9,
            map50: Some(0.8125),
            map50_usual_nms: None,
            per_class: vec![("Dog".into(), Some(0.5)), ("Cake".into(), None)],
        };
        let detector = Measured {
            parameters: 1234,
            trainings: vec![training],
            styles: vec![("held-out".into(), score)],
        };
        let metrics = Metrics {
            detectors: [("detector".to_string(), detector)].into(),
            ..Metrics::default()
        };
        metrics.write(folder.path()).unwrap();
        assert_eq!(Metrics::read(folder.path()).unwrap(), metrics);
        let card = read_text(&folder.path().join("README.md")).unwrap();
        assert!(card.contains(
            "| detector | held-out | 9 | mAP@0.5, the paper's suppression (IoU 0.005) | 0.812 |"
        ));
        assert!(card.contains("| detector | 1234 | 7 | 12 | 3 | 0.25 | 2 | cpu |"), "{card}");
        assert!(!card.contains("NaN") && card.contains("not EmoNet"));
    }

    #[test]
    fn a_damaged_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("metrics.json"), "{").unwrap();
        assert!(Metrics::read(folder.path()).unwrap_err().to_string().contains("metrics.json"));
    }

    #[test]
    fn labels_that_do_not_occur_are_left_out() {
        let accuracy = Accuracy { examples: 5, right: 4, per_label: vec![(0, 0), (5, 4)] };
        let score = EmotionScore::of(&accuracy, &["a".into(), "b".into()]);
        assert_eq!((score.accuracy, score.per_label), (0.8, vec![("b".into(), 5, 4)]));
    }
}
