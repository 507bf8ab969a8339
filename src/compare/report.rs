//! What a comparison leaves behind.

use super::{Pairing, PictureChange, RunComparison};
use crate::files::write_bytes;
use crate::names::counted;
use crate::plot::write;
use crate::run::table;
use crate::stats::{mean, percentile_interval_of_mean};
use crate::{Error, Result};
use serde_json::{Value, json};
use std::path::Path;

/// How far two looks agree by one number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AgreementOfPictures {
    /// The mean over pictures; of kappa the coefficient.
    pub value: f64,
    /// Its interval at 95 %: by resampling pictures, of which fewer than
    /// [`FEWEST_RESAMPLED_CASES`](crate::stats::FEWEST_RESAMPLED_CASES) have none; of kappa by its
    /// standard error.
    pub interval: Option<(f64, f64)>,
}

impl RunComparison {
    /// The mean over pictures with its interval at 95 % by resampling them.
    fn mean_of(
        &self,
        value: impl Fn(&PictureChange) -> Option<f64>,
    ) -> Option<AgreementOfPictures> {
        // Sorted by change, pictures of the same change stand by path: the order is the same in
        // every run.
        let values: Vec<f64> = self.pictures.iter().filter_map(value).collect();
        let interval =
            percentile_interval_of_mean(&values, self.settings.resamples, self.settings.seed);
        Some(AgreementOfPictures { value: mean(&values)?, interval })
    }

    /// How far the looks agree, in the order of a summary: a name, and the mean over pictures with
    /// its interval.
    pub fn agreement(&self) -> Vec<(&'static str, Option<AgreementOfPictures>)> {
        let boxes = |picture: &PictureChange| {
            let all = picture.boxes.iter().sum::<usize>();
            (all > 0).then(|| 2.0 * picture.matched as f64 / all as f64)
        };
        let labels = self.mean_of(|picture| Some(f64::from(u8::from(picture.same_label))));
        let kappa = self.confusion.kappa().map(|kappa| AgreementOfPictures {
            value: kappa.value,
            interval: Some((kappa.lower, kappa.upper)),
        });
        vec![
            ("same label", labels),
            ("kappa of labels", kappa),
            ("distance of probabilities", self.mean_of(|picture| picture.probability_distance)),
            ("boxes in both", self.mean_of(boxes)),
            ("rank correlation of scores", self.mean_of(|picture| picture.score_correlation)),
            ("rank correlation of maps", self.mean_of(|picture| picture.map_correlation)),
            ("important classes in both", self.mean_of(|picture| Some(picture.important_overlap))),
        ]
    }

    /// How the pictures of both are joined, in a sentence.
    pub fn pairing_described(&self) -> String {
        let [first, second] = &self.names;
        match self.pairing {
            Pairing::Paired { both, alone: [0, 0] } => {
                format!("{}, each compared with itself.", counted(both, "image"))
            }
            Pairing::Paired { both, alone: [a, b] } => format!(
                "{}, each compared with itself; {a} that only {first} has and {b} that only \
                 {second} has count for nothing.",
                counted(both, "image")
            ),
            Pairing::Unpaired([a, b]) => {
                format!(
                    "No image is in both: {a} images of {first} and {b} of {second} are compared \
                     as two samples."
                )
            }
        }
    }

    /// Why there is no picture of the differences, in a sentence, where there is none.
    pub fn missing_picture(&self) -> Option<String> {
        let cells = self.table.cells();
        let min_images = self.settings.min_images;
        match cells.iter().any(|cell| cell.difference.is_some()) {
            true => None,
            false if cells.is_empty() => Some(format!(
                "no picture of differences: no class is important in {} of both together \
                 (--min-images)",
                counted(min_images, "image")
            )),
            false => Some("no picture of differences: no label has images in both".into()),
        }
    }

    /// Writes into `folder`, which is made: `differences.csv` (a row for each cell),
    /// `differences.png` and `.svg`, `comparison.json`, and of runs over the same pictures
    /// `images.csv` (the most changed first), `confusion.csv`, `.png` and `.svg` (labels by the
    /// first look in rows, by the second in columns).
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        std::fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        let (classes, labels) = (&self.classes.names, &self.labels.names);
        self.table.write(&folder.join("differences.csv"), classes, labels, ["a", "b"])?;
        let mut heatmap =
            self.table.heatmap(classes, labels, self.settings.top, self.settings.min_images);
        let [first, second] = &self.names;
        heatmap.title = format!("{second} less {first}");
        heatmap.subtitle = Some(format!(
            "share of a label's images in which a class is important, by {second} less by {first}; \
             the {} classes with the surest cells",
            heatmap.rows.len()
        ));
        heatmap.notes.extend(self.rules.iter().cloned());
        heatmap.notes.push(self.pairing_described());
        if heatmap.values.iter().flatten().flatten().next().is_some() {
            write(
                &heatmap.svg()?,
                &folder.join("differences.png"),
                &folder.join("differences.svg"),
            )?;
        }
        if !self.pictures.is_empty() {
            self.write_pictures(&folder.join("images.csv"))?;
            self.confusion
                .write(folder, &format!("Labels by {first} (rows) and by {second} (columns)"))?;
        }
        let mut json = serde_json::to_vec_pretty(&self.to_json()).expect("numbers and texts");
        json.push(b'\n');
        write_bytes(&folder.join("comparison.json"), &json)
    }

    fn write_pictures(&self, path: &Path) -> Result<()> {
        let number =
            |value: Option<f64>| value.map(|value| format!("{value:.6}")).unwrap_or_default();
        table(path, |table| {
            table.row([
                "path",
                "a_label",
                "b_label",
                "same_label",
                "probability_distance",
                "a_boxes",
                "b_boxes",
                "boxes_in_both",
                "score_correlation",
                "map_correlation",
                "important_overlap",
                "change",
            ])?;
            self.pictures.iter().try_for_each(|picture| {
                let [first, second] = &picture.labels;
                let [a_boxes, b_boxes] = picture.boxes;
                table.row([
                    picture.path.clone(),
                    first.clone(),
                    second.clone(),
                    u8::from(picture.same_label).to_string(),
                    number(picture.probability_distance),
                    a_boxes.to_string(),
                    b_boxes.to_string(),
                    picture.matched.to_string(),
                    number(picture.score_correlation),
                    number(picture.map_correlation),
                    number(Some(picture.important_overlap)),
                    number(Some(picture.change)),
                ])
            })
        })
    }

    fn to_json(&self) -> Value {
        let ends = |found: AgreementOfPictures| {
            let (lower, upper) = found.interval.unzip();
            json!([found.value, lower, upper])
        };
        let agreement: serde_json::Map<String, Value> = self
            .agreement()
            .into_iter()
            .map(|(name, value)| (name.replace(' ', "_"), value.map_or(Value::Null, ends)))
            .collect();
        let (paired, images) = match self.pairing {
            Pairing::Paired { both, alone } => {
                (true, json!({ "both": both, "only_a": alone[0], "only_b": alone[1] }))
            }
            Pairing::Unpaired([a, b]) => (false, json!({ "a": a, "b": b })),
        };
        json!({
            "a": self.names[0],
            "b": self.names[1],
            "rules": self.rules,
            "paired": paired,
            "images": images,
            "agreement": agreement,
            "cells": self.table.cells().len(),
            "significant_cells": self.table.significant().len(),
            "classes": { "common": self.classes.names.len(), "only_a": self.classes.alone[0], "only_b": self.classes.alone[1] },
            "labels": { "common": self.labels.names.len(), "only_a": self.labels.alone[0], "only_b": self.labels.alone[1] },
            "resamples": self.settings.resamples,
            "seed": self.settings.seed,
            "min_images": self.settings.min_images,
        })
    }
}
