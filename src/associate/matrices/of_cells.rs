//! Pictures of the statistics of cells: heatmaps of differences and of log odds, marks of what
//! chance hardly gives, and the forest plot.

use super::{Matrices, shown};
use crate::associate::{CellTable, Counts, MatrixCell};
use crate::config::HeatmapKind;
use crate::names::counted;
use crate::plot::{Forest, ForestRow, Heatmap};
use crate::stats::ValueWithInterval;
use ndarray::Array2;

/// What a mark says.
const MARK_NOTE: &str = "A dot: q < 0.05 (Benjamini-Hochberg, over all cells in statistics.csv).";

fn log_odds(cell: &MatrixCell) -> Option<ValueWithInterval> {
    cell.important.log_odds.map(|odds| odds.with_interval())
}

/// The interval of a cell whose value a kind of heatmap shows.
fn interval_of(kind: HeatmapKind) -> fn(&MatrixCell) -> Option<ValueWithInterval> {
    match kind {
        HeatmapKind::Shares => |cell| cell.important.share,
        HeatmapKind::Difference => |cell| cell.important.difference,
        HeatmapKind::LogOdds => log_odds,
    }
}

/// The sentence that says that no cell stands out.
fn none_is_sure(tested: usize) -> String {
    match tested {
        1 => "The one cell that was tested has no q < 0.05.".into(),
        _ => format!("{tested} cells were tested, and none has q < 0.05."),
    }
}

impl Matrices {
    /// The rows of the heatmap: of shares the most prominent classes, else those of the surest
    /// cells.
    pub(super) fn heatmap_classes(&self, counts: &Counts, cells: &CellTable) -> Vec<usize> {
        match self.importance.rule().heatmap {
            HeatmapKind::Shares => self.prominent(counts, self.importance.rule().top),
            kind => {
                let few = counts.labels_of_few(self.importance.rule().min_images);
                let interval =
                    |cell: &MatrixCell| interval_of(kind)(cell).filter(|_| !few[cell.label]);
                cells.strongest_classes(self.importance.rule().top, interval)
            }
        }
    }

    /// Differences or log odds of classes, red where a label has more and blue where it has less
    /// than the others.
    pub(super) fn heatmap_of_cells(
        &self,
        method: &str,
        counts: &Counts,
        cells: &CellTable,
        classes: &[usize],
    ) -> Heatmap {
        let interval = interval_of(self.importance.rule().heatmap);
        let mut matrix = Array2::from_elem(counts.cells.dim(), None);
        for cell in cells.cells() {
            matrix[[cell.class, cell.label]] = interval(cell).map(|interval| interval.value);
        }
        let mut heatmap = self.drawn(&matrix, classes, &counts.images, "statistics.csv");
        let reach =
            heatmap.values.iter().flatten().flatten().map(|value| value.abs()).fold(0.0, f64::max);
        let reach = if reach > 0.0 { reach } else { 1.0 };
        heatmap.range = (-reach, reach);
        let (name, value_label) = match self.importance.rule().heatmap {
            HeatmapKind::LogOdds => {
                ("log odds ratios", "log odds ratio, a label's images against all others")
            }
            _ => ("differences of shares", "share of a label's images less that of all others"),
        };
        heatmap.title = format!("Objects and emotions: {name}");
        heatmap.subtitle = Some(format!(
            "{method}, {}: how much more often a class is important in an emotion's images than in \
             all others; the {} classes with the surest cells of {}",
            counted(counts.images.iter().sum(), "image"),
            classes.len(),
            self.classes.len()
        ));
        heatmap.value_label = value_label.into();
        heatmap.empty_label = "no image got this label, or no other".into();
        heatmap.notes.insert(0, self.importance.rule().described());
        heatmap.notes.insert(1, self.enough_described());
        heatmap
    }

    /// Marks the cells of `classes`, the heatmap's rows, that chance hardly gives.
    pub(super) fn mark(
        &self,
        heatmap: &mut Heatmap,
        counts: &Counts,
        cells: &CellTable,
        classes: &[usize],
    ) {
        let columns = shown(&counts.images);
        let is_marked = |class, label| {
            cells.cell(class, label).is_some_and(|cell| cell.important.is_significant())
        };
        heatmap.marks = (0..classes.len())
            .flat_map(|row| (0..columns.len()).map(move |column| (row, column)))
            .filter(|&(row, column)| is_marked(classes[row], columns[column]))
            .collect();
        heatmap.notes.push(MARK_NOTE.into());
    }

    /// The cells whose log odds ratios are surest to be large or small.
    pub(super) fn forest(&self, method: &str, cells: &CellTable) -> Forest {
        let strongest = cells.strongest(self.importance.rule().top, log_odds);
        let row = |cell: &&MatrixCell| {
            let interval = log_odds(cell)?;
            Some(ForestRow {
                label: format!("{}, {}", self.classes[cell.class], self.labels[cell.label]),
                value: interval.value,
                interval: (interval.lower, interval.upper),
                filled: cell.important.is_significant(),
                reference: cell.detected.log_odds.map(|odds| odds.value),
                remark: format!(
                    "{} of {}",
                    cell.counts.important_with_label, cell.counts.images_with_label
                ),
            })
        };
        let rows: Vec<ForestRow> = strongest.iter().filter_map(row).collect();
        let mut notes = vec![
            "Filled: q < 0.05 (Benjamini-Hochberg, over all cells in statistics.csv). Grey stroke: \
             the log odds ratio of mere detection, which the detector alone accounts for. Right: \
             images of the label in which the class is important."
                .to_string(),
            self.importance.rule().described(),
            self.enough_described(),
        ];
        notes.extend(self.importance.rule().images_described());
        notes.extend(self.columns.described());
        notes.extend(self.warning.iter().map(|warning| format!("Warning: {warning}.")));
        let (shown, tested) = (rows.len(), cells.tested());
        let what = format!(
            "{method}: log odds ratio with its interval at 95 %, an emotion's images against all \
             others; the {shown} surest of {}",
            counted(tested as u64, "cell")
        );
        let (title, subtitle) =
            match cells.cells().iter().any(|cell| cell.important.is_significant()) {
                true => ("The surest associations of objects and emotions", what),
                false => ("No association is sure", format!("{what}. {}", none_is_sure(tested))),
            };
        Forest { title: title.into(), subtitle, value_label: "log odds ratio".into(), rows, notes }
    }

    /// The sentence that says which classes have statistics.
    fn enough_described(&self) -> String {
        format!(
            "Classes that are important in at least {}.",
            counted(self.importance.rule().min_images, "image")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::associate::mean_scores::ScoreSums;
    use crate::associate::{Columns, Importance};
    use crate::config::AssociationConfig;

    /// Two labels of `images` pictures each; the one class is important in `important` of the
    /// first.
    fn matrices(images: usize, important: usize) -> Matrices {
        let rule = AssociationConfig { min_images: 1, ..AssociationConfig::default() };
        let (classes, labels) =
            (vec!["Tree".to_string()], ["Joy", "Awe"].map(String::from).to_vec());
        let (mut counts, mut detected) = (Counts::new(1, 2), Counts::new(1, 2));
        for (label, number) in
            (0..2).flat_map(|label| (0..images).map(move |number| (label, number)))
        {
            counts.add(label, if label == 0 && number < important { &[0] } else { &[] });
            detected.add(label, &[0]);
        }
        Matrices {
            methods: vec![("grad-cam".into(), counts)],
            scores: vec![ScoreSums::new(1, 2)],
            detected,
            effects: vec![None],
            seed: 1,
            importance: Importance::of_picture(&rule, &classes).unwrap(),
            labels,
            classes,
            background: None,
            columns: Columns::Answers,
            warning: None,
        }
    }

    #[test]
    fn a_forest_plot_says_whether_any_association_is_sure() {
        let forest = |images, important| {
            let matrices = matrices(images, important);
            let (method, counts) = &matrices.methods()[0];
            matrices.forest(method, &matrices.cells(counts))
        };
        let sure = forest(20, 15);
        assert_eq!(sure.title, "The surest associations of objects and emotions");
        assert!(
            sure.rows.iter().all(|row| row.filled) && sure.subtitle.ends_with("surest of 2 cells")
        );
        let unsure = forest(5, 1);
        assert_eq!(unsure.title, "No association is sure");
        assert!(
            unsure.subtitle.ends_with(". 2 cells were tested, and none has q < 0.05."),
            "{}",
            unsure.subtitle
        );
        assert_eq!(unsure.rows.len(), 2);
        assert!(
            unsure.notes.contains(&"Classes that are important in at least 1 image.".to_string())
        );
    }

    #[test]
    fn what_is_missing_and_why() {
        let missing = |min_images, min_confidence, heatmap, matrices: Matrices| {
            let rule = AssociationConfig {
                min_images,
                min_confidence,
                heatmap,
                ..AssociationConfig::default()
            };
            let importance = Importance::of_picture(&rule, &matrices.classes).unwrap();
            Matrices { importance, ..matrices }.missing_pictures()
        };
        let shares = HeatmapKind::Shares;
        assert_eq!(missing(2, 0.1, shares, matrices(3, 2)), [""; 0]);
        let few = "grad-cam: no forest plot: the most often important class is important in 2 \
                   images; statistics need 3 (--min-images)";
        assert_eq!(missing(3, 0.1, shares, matrices(3, 2)), [few]);
        let seen_in_none = |labels: usize| {
            let mut matrices = matrices(3, 0);
            for counts in [&mut matrices.detected, &mut matrices.methods[0].1] {
                counts.cells.fill(0);
                counts.images[labels..].fill(0);
            }
            matrices
        };
        let nothing = "grad-cam: no heatmap and no forest plot: nothing is detected";
        let sure = format!("{nothing} over a confidence of 0.1 in 6 images");
        assert_eq!(missing(2, 0.1, shares, seen_in_none(2)), [sure]);
        assert_eq!(missing(2, 0.0, shares, seen_in_none(2)), [format!("{nothing} in 6 images")]);
        // Of one label there are shares, and nothing that compares.
        let alone = "grad-cam: no heatmap: nothing is detected in 3 images";
        assert_eq!(missing(2, 0.0, shares, seen_in_none(1)), [alone]);
        assert_eq!(missing(2, 0.0, HeatmapKind::Difference, seen_in_none(1)), [""; 0]);
    }

    #[test]
    fn of_many_labels_those_with_the_most_images_have_columns() {
        let drawn = |labels: usize| {
            let mut matrices = matrices(1, 1);
            let names = (0..labels).map(|label| format!("label {label}")).collect();
            let mut counts = Counts::new(1, labels);
            for label in 0..labels {
                (0..=label % 50).for_each(|_| counts.add(label, &[0]));
            }
            (matrices.labels, matrices.detected) = (names, counts.clone());
            let cells = matrices.cells(&counts);
            matrices.heatmap("grad-cam", &counts, &cells)
        };
        let all = drawn(100);
        assert_eq!((all.columns.len(), all.columns[99].as_str()), (100, "label 99"));
        assert!(!all.notes.iter().any(|note| note.contains("most images")), "{:?}", all.notes);
        // Of 150 labels three have as many images each; the 50 with the fewest are left out.
        let most = drawn(150);
        assert_eq!(most.columns.len(), 100);
        let is_shown = |name: &str| most.columns.iter().any(|column| column == name);
        assert!(is_shown("label 49") && is_shown("label 149") && !is_shown("label 50"));
        let note = "The 100 labels with the most images of 150; association.csv has all.";
        assert!(most.notes.iter().any(|found| found == note), "{:?}", most.notes);
    }

    #[test]
    fn what_has_one_label_alone_cannot_be_compared() {
        let mut matrices = matrices(3, 2);
        assert_eq!((matrices.only_label(), matrices.missing_pictures().len()), (None, 0));
        for counts in [&mut matrices.detected, &mut matrices.methods[0].1] {
            counts.images[1] = 0;
            counts.cells[[0, 1]] = 0;
        }
        let said = "all 3 images were answered with Joy: nothing can be compared";
        assert_eq!(matrices.only_label().as_deref(), Some(said));
        let rule =
            AssociationConfig { min_margin: 0.5, min_images: 9, ..AssociationConfig::default() };
        let importance = Importance::of_picture(&rule, &matrices.classes).unwrap();
        let sure = Matrices { importance, ..matrices };
        assert_eq!(sure.only_label().unwrap(), said.replace("images", "images that count"));
        assert!(sure.missing_pictures().is_empty(), "more images of one label would not help");
    }
}
