//! What matrices cannot show, in sentences that say why.

use super::Matrices;
use crate::associate::{Columns, Counts};
use crate::config::HeatmapKind;
use crate::names::counted;

impl Matrices {
    /// Where all images are in one column, so that no class has statistics, a sentence that says
    /// so.
    pub fn only_label(&self) -> Option<String> {
        let images = &self.detected.images;
        let label = images.iter().position(|&images| images > 0)?;
        let count: u64 = images.iter().sum();
        if images[label] < count {
            return None;
        }
        let by_people = matches!(self.columns, Columns::People(_));
        let all = match (count, by_people || self.importance.rule().min_margin > 0.0) {
            (1, false) => "the only image was".into(),
            (1, true) => "the only image that counts was".into(),
            (_, false) => format!("all {count} images were"),
            (_, true) => format!("all {count} images that count were"),
        };
        let got = if by_people { "labelled" } else { "answered with" };
        Some(format!("{all} {got} {}: nothing can be compared", self.labels[label]))
    }

    /// For every method that has no heatmap or no forest plot a sentence that says why, unless a
    /// picture compares labels and there is [`Matrices::only_label`].
    pub fn missing_pictures(&self) -> Vec<String> {
        let comparable = self.only_label().is_none();
        let heatmap_possible = comparable || self.importance.rule().heatmap == HeatmapKind::Shares;
        let of_method = |(method, counts): &(String, Counts)| {
            let cells = self.cells(counts);
            let why = self.why_nothing_counts(counts)?;
            let heatmap = heatmap_possible && self.heatmap_classes(counts, &cells).is_empty();
            let forest = comparable && cells.cells().is_empty();
            let pictures = match (heatmap, forest) {
                (true, true) => "heatmap and no forest plot",
                (true, false) => "heatmap",
                (false, true) => "forest plot",
                (false, false) => return None,
            };
            Some(format!("{method}: no {pictures}: {why}"))
        };
        self.methods.iter().filter_map(of_method).collect()
    }

    /// What keeps classes out of the pictures of a method, where not one of them has statistics.
    fn why_nothing_counts(&self, counts: &Counts) -> Option<String> {
        let rule = self.importance.rule();
        let images: u64 = counts.images.iter().sum();
        let (some, most) =
            (counted(images, "image"), counts.cells.rows().into_iter().map(|row| row.sum()).max());
        let detected = self.detected.cells.iter().any(|&count| count > 0);
        Some(match most {
            _ if images == 0 => "no image counts".into(),
            _ if !detected && rule.min_confidence > 0.0 => {
                format!(
                    "nothing is detected over a confidence of {} in {some}",
                    rule.min_confidence
                )
            }
            _ if !detected => format!("nothing is detected in {some}"),
            None | Some(0) => format!("no box counts in {some}. {}", rule.described()),
            Some(most) if most < rule.min_images => format!(
                "the most often important class is important in {}; statistics need {} \
                 (--min-images)",
                counted(most, "image"),
                rule.min_images
            ),
            Some(_) => return None,
        })
    }
}
