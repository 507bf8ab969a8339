//! All cells of a method's matrix whose classes are important often enough: their statistics,
//! corrected for their number, as a table.

use super::cell::Margins;
use super::{Comparison, Counts, MatrixCell, NestedClasses};
use crate::Result;
use crate::run::table;
use crate::stats::{ValueWithInterval, benjamini_hochberg, benjamini_yekutieli};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::Path;

/// The cells of a matrix, by class, then label.
#[derive(Debug, Clone, PartialEq)]
pub struct CellTable {
    cells: Vec<MatrixCell>,
}

/// One of a cell's comparisons.
type Part = fn(&mut MatrixCell) -> &mut Comparison;

/// The comparisons whose tests are corrected, each for itself.
const CORRECTED: [Part; 3] =
    [|cell| &mut cell.important, |cell| &mut cell.detected, |cell| &mut cell.contrast];

/// More cells no table has: at 600 bytes a row it would be too large to open.
const MOST_CELLS: usize = 200_000;

impl CellTable {
    /// The cells of all classes that are important in at least `min_images` pictures, with all
    /// labels that occur; of many labels those with the most pictures.
    ///
    /// Both conditions are on sums of rows and columns alone, which say nothing of how the pictures
    /// of a class are spread over the labels: so they may choose what is tested without spoiling
    /// the q-values (Bourgon, Gentleman and Huber 2010).
    ///
    /// # Panics
    /// When the two matrices are not of the same pictures.
    pub fn new(important: &Counts, detected: &Counts, min_images: u64) -> Self {
        Self::of_most(important, detected, min_images, MOST_CELLS)
    }

    /// [`CellTable::new`] with at most `most` cells, but of every class at least one.
    fn of_most(important: &Counts, detected: &Counts, min_images: u64, most: usize) -> Self {
        assert_eq!(important.images, detected.images, "both matrices are of the same pictures");
        let margins = Margins::new(important, detected);
        let enough = margins
            .important_of_class
            .iter()
            .enumerate()
            .filter(|&(_, &images)| images >= min_images);
        let classes: Vec<usize> = enough.map(|(class, _)| class).collect();
        let images = &important.images;
        let mut labels: Vec<usize> = (0..images.len()).filter(|&label| images[label] > 0).collect();
        labels.sort_by_key(|&label| Reverse(images[label]));
        labels.truncate((most / classes.len().max(1)).max(1));
        labels.sort_unstable();
        let of_class = |&class: &usize| labels.iter().map(move |&label| (class, label));
        let places = classes.iter().flat_map(of_class);
        let mut cells: Vec<MatrixCell> =
            places.map(|(class, label)| MatrixCell::of(class, label, &margins)).collect();
        CORRECTED.into_iter().for_each(|part| correct(&mut cells, part));
        Self { cells }
    }

    /// The cells.
    pub fn cells(&self) -> &[MatrixCell] {
        &self.cells
    }

    /// The cell of a class and label, if the class is important often enough and the label occurs.
    pub fn cell(&self, class: usize, label: usize) -> Option<&MatrixCell> {
        let place =
            self.cells.binary_search_by_key(&(class, label), |cell| (cell.class, cell.label));
        place.ok().map(|index| &self.cells[index])
    }

    /// The number of cells that are tested.
    pub fn tested(&self) -> usize {
        self.cells.iter().filter(|cell| cell.important.q.is_some()).count()
    }

    /// The `count` cells whose intervals lie farthest from 0, by falling value; of equals the
    /// first. `interval` is that of a cell, where it has one.
    pub fn strongest(
        &self,
        count: usize,
        interval: impl Fn(&MatrixCell) -> Option<ValueWithInterval>,
    ) -> Vec<&MatrixCell> {
        let with_interval =
            self.cells.iter().filter_map(|cell| interval(cell).map(|interval| (cell, interval)));
        let mut found: Vec<(&MatrixCell, ValueWithInterval)> = with_interval.collect();
        found.sort_by(|(_, a), (_, b)| distance_from_zero(b).total_cmp(&distance_from_zero(a)));
        found.truncate(count);
        found.sort_by(|(_, a), (_, b)| b.value.total_cmp(&a.value));
        found.into_iter().map(|(cell, _)| cell).collect()
    }

    /// The `count` classes that have the cells whose intervals lie farthest from 0, the farthest
    /// first.
    pub fn strongest_classes(
        &self,
        count: usize,
        interval: impl Fn(&MatrixCell) -> Option<ValueWithInterval>,
    ) -> Vec<usize> {
        let mut classes: Vec<(usize, f64)> = Vec::new();
        for (class, distance) in self
            .cells
            .iter()
            .filter_map(|cell| interval(cell).map(|ends| (cell.class, distance_from_zero(&ends))))
        {
            match classes.last_mut().filter(|(last, _)| *last == class) {
                Some((_, most)) => *most = most.max(distance),
                None => classes.push((class, distance)),
            }
        }
        classes.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        classes.truncate(count);
        classes.into_iter().map(|(class, _)| class).collect()
    }

    /// Writes `statistics.csv`: a row a cell, a column for each of [`COLUMNS`], and last the
    /// classes of the table with which a cell's class is nested, whose findings depend on its own.
    ///
    /// # Errors
    /// The table cannot be written.
    pub fn write(
        &self,
        path: &Path,
        classes: &[String],
        labels: &[String],
        nested: &NestedClasses,
    ) -> Result<()> {
        let mut own: Vec<usize> = self.cells.iter().map(|cell| cell.class).collect();
        own.dedup();
        let dependent = |&class: &usize| {
            let others = own
                .iter()
                .filter(|&&other| nested.is_in(class, other) || nested.is_in(other, class));
            (class, others.map(|&other| classes[other].as_str()).collect::<Vec<_>>().join("; "))
        };
        let dependent: BTreeMap<usize, String> = own.iter().map(dependent).collect();
        table(path, |table| {
            let columns = COLUMNS.iter().map(|(name, _)| *name);
            table.row(["class", "label"].into_iter().chain(columns).chain(["dependent_on"]))?;
            self.cells.iter().try_for_each(|cell| {
                let names = [classes[cell.class].clone(), labels[cell.label].clone()];
                let cells = COLUMNS.iter().map(|(_, text)| text(cell));
                table.row(names.into_iter().chain(cells).chain([dependent[&cell.class].clone()]))
            })
        })
    }
}

/// How far the interval's nearer end is from 0, on the side of the value; negative where 0 is
/// inside.
pub(super) fn distance_from_zero(interval: &ValueWithInterval) -> f64 {
    match interval.value < 0.0 {
        true => -interval.upper,
        false => interval.lower,
    }
}

/// Gives the tests of one comparison their q-values.
fn correct(cells: &mut [MatrixCell], part: Part) {
    let p_values: Vec<Option<f64>> =
        cells.iter_mut().map(|cell| part(cell).independence.map(|test| test.p_value)).collect();
    for (cell, q_values) in cells.iter_mut().zip(q_values(&p_values)) {
        let comparison = part(cell);
        (comparison.q, comparison.q_strict) = q_values.unzip();
    }
}

/// The q-values of tests by Benjamini and Hochberg and by Benjamini and Yekutieli, where there is a
/// test.
pub(super) fn q_values(p_values: &[Option<f64>]) -> Vec<Option<(f64, f64)>> {
    let tested: Vec<f64> = p_values.iter().copied().flatten().collect();
    let mut q_values = benjamini_hochberg(&tested).into_iter().zip(benjamini_yekutieli(&tested));
    p_values.iter().map(|p_value| p_value.and_then(|_| q_values.next())).collect()
}

/// A column's name, and a cell's text in it.
type Column = (&'static str, fn(&MatrixCell) -> String);

/// The columns of `statistics.csv` behind class and label, in their order.
pub const COLUMNS: [Column; 41] = [
    ("images", |cell| cell.counts.images.to_string()),
    ("images_with_label", |cell| cell.counts.images_with_label.to_string()),
    ("detected", |cell| cell.counts.detected.to_string()),
    ("detected_with_label", |cell| cell.counts.detected_with_label.to_string()),
    ("important", |cell| cell.counts.important.to_string()),
    ("important_with_label", |cell| cell.counts.important_with_label.to_string()),
    ("share", |cell| number(value(cell.important.share))),
    ("share_low", |cell| number(low(cell.important.share))),
    ("share_high", |cell| number(high(cell.important.share))),
    ("base_rate", |cell| number(cell.important.other_share)),
    ("difference", |cell| number(value(cell.important.difference))),
    ("difference_low", |cell| number(low(cell.important.difference))),
    ("difference_high", |cell| number(high(cell.important.difference))),
    ("risk_ratio", |cell| number(cell.important.ratio)),
    ("lift", |cell| number(cell.lift)),
    ("log_odds", |cell| number(value(log_odds(&cell.important)))),
    ("log_odds_error", |cell| number(cell.important.log_odds.map(|odds| odds.error))),
    ("log_odds_low", |cell| number(low(log_odds(&cell.important)))),
    ("log_odds_high", |cell| number(high(log_odds(&cell.important)))),
    ("test", |cell| test(&cell.important)),
    ("p", |cell| p_value(&cell.important)),
    ("q", |cell| number(cell.important.q)),
    ("q_strict", |cell| number(cell.important.q_strict)),
    ("detected_share", |cell| number(value(cell.detected.share))),
    ("detected_base_rate", |cell| number(cell.detected.other_share)),
    ("detected_log_odds", |cell| number(value(log_odds(&cell.detected)))),
    ("detected_log_odds_low", |cell| number(low(log_odds(&cell.detected)))),
    ("detected_log_odds_high", |cell| number(high(log_odds(&cell.detected)))),
    ("detected_test", |cell| test(&cell.detected)),
    ("detected_p", |cell| p_value(&cell.detected)),
    ("detected_q", |cell| number(cell.detected.q)),
    ("detected_q_strict", |cell| number(cell.detected.q_strict)),
    ("important_if_detected", |cell| number(value(cell.contrast.share))),
    ("important_if_detected_elsewhere", |cell| number(cell.contrast.other_share)),
    ("contrast", |cell| number(value(cell.contrast.difference))),
    ("contrast_low", |cell| number(low(cell.contrast.difference))),
    ("contrast_high", |cell| number(high(cell.contrast.difference))),
    ("contrast_test", |cell| test(&cell.contrast)),
    ("contrast_p", |cell| p_value(&cell.contrast)),
    ("contrast_q", |cell| number(cell.contrast.q)),
    ("contrast_q_strict", |cell| number(cell.contrast.q_strict)),
];

/// Shortest text that reads back as the same number; none where there is no number. Exponents,
/// since p-values are small.
pub(super) fn number(value: Option<f64>) -> String {
    value
        .map(|value| {
            if value != 0.0 && value.abs() < 1e-5 {
                format!("{value:e}")
            } else {
                value.to_string()
            }
        })
        .unwrap_or_default()
}

fn value(interval: Option<ValueWithInterval>) -> Option<f64> {
    interval.map(|interval| interval.value)
}

fn low(interval: Option<ValueWithInterval>) -> Option<f64> {
    interval.map(|interval| interval.lower)
}

fn high(interval: Option<ValueWithInterval>) -> Option<f64> {
    interval.map(|interval| interval.upper)
}

fn log_odds(comparison: &Comparison) -> Option<ValueWithInterval> {
    comparison.log_odds.map(|odds| odds.with_interval())
}

fn test(comparison: &Comparison) -> String {
    comparison.independence.map(|found| found.test.name().to_string()).unwrap_or_default()
}

fn p_value(comparison: &Comparison) -> String {
    number(comparison.independence.map(|found| found.p_value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::AssociationConfig;
    use crate::random::Random;
    use ndarray::Array2;

    fn counts(cells: &[[u64; 3]], images: [u64; 3]) -> Counts {
        Counts {
            cells: Array2::from_shape_fn((cells.len(), 3), |(row, column)| cells[row][column]),
            images: images.into(),
        }
    }

    /// Three labels, of which the second does not occur.
    fn by_hand() -> CellTable {
        let images = [30, 0, 70];
        let important = counts(&[[20, 0, 10], [0, 0, 4], [3, 0, 7]], images);
        let detected = counts(&[[25, 0, 35], [10, 0, 40], [3, 0, 7]], images);
        CellTable::new(&important, &detected, 10)
    }

    #[test]
    fn rare_classes_and_labels_that_do_not_occur_are_left_out() {
        let cells = by_hand();
        let places: Vec<(usize, usize)> =
            cells.cells().iter().map(|cell| (cell.class, cell.label)).collect();
        assert_eq!(places, [(0, 0), (0, 2), (2, 0), (2, 2)]);
        assert_eq!((cells.cell(1, 0), cells.cell(0, 1)), (None, None));
        assert_eq!(cells.cell(2, 2).unwrap().counts.important_with_label, 7);
        assert_eq!(cells.tested(), 4);
        assert!(cells.cell(0, 0).unwrap().important.is_significant());
        // The third class is important wherever it is detected: the contrast is 0, and nothing is
        // left to test.
        let contrast = cells.cell(2, 0).unwrap().contrast;
        assert_eq!(
            (contrast.difference.unwrap().value, contrast.independence, contrast.q),
            (0.0, None, None)
        );
    }

    #[test]
    fn numbers_are_written_short_and_small_ones_with_an_exponent() {
        let written = [None, Some(0.0), Some(0.25), Some(1e-5), Some(-1e-5), Some(2.5e-6)];
        let expected = ["", "0", "0.25", "0.00001", "-0.00001", "2.5e-6"];
        assert_eq!(written.map(number), expected);
    }

    #[test]
    fn an_interval_about_zero_is_at_no_distance() {
        let distance =
            |lower, value, upper| distance_from_zero(&ValueWithInterval { value, lower, upper });
        assert_eq!((distance(0.1, 0.3, 0.4), distance(-0.4, -0.3, -0.1)), (0.1, 0.1));
        assert_eq!((distance(-0.2, 0.1, 0.5), distance(-0.5, -0.1, 0.2)), (-0.2, -0.2));
    }

    #[test]
    fn of_many_labels_those_with_the_most_pictures_are_tested() {
        let important = counts(&[[20, 5, 10], [3, 9, 3]], [30, 40, 70]);
        let table = CellTable::of_most(&important, &important, 1, 5);
        let places: Vec<(usize, usize)> =
            table.cells().iter().map(|cell| (cell.class, cell.label)).collect();
        assert_eq!(places, [(0, 1), (0, 2), (1, 1), (1, 2)]);
        assert_eq!(table.cell(0, 2).unwrap().counts.images, 140, "the others are still the others");
        assert_eq!(CellTable::of_most(&important, &important, 1, 0).cells().len(), 2);
    }

    #[test]
    fn the_strongest_are_those_whose_intervals_lie_farthest_from_zero() {
        let cells = by_hand();
        let found = cells.strongest(2, |cell| log_odds(&cell.important));
        assert_eq!(
            found.iter().map(|cell| (cell.class, cell.label)).collect::<Vec<_>>(),
            [(0, 0), (0, 2)]
        );
        assert_eq!(cells.strongest_classes(5, |cell| cell.important.difference), [0, 2]);
    }

    #[test]
    fn the_table_has_empty_cells_and_never_nan() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("statistics.csv");
        let names = ["Tree", "Cat", "Maple"].map(String::from);
        let nested = NestedClasses::new(&AssociationConfig::default(), &names).unwrap();
        by_hand().write(&path, &names, &["Joy", "Awe", "Fear"].map(String::from), &nested).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("class,label,images,images_with_label,"), "{text}");
        assert!(text.contains("\nTree,Joy,100,30,60,25,30,20,0.6666666666666666,"), "{text}");
        assert!(
            text.lines().nth(3).unwrap().starts_with("Maple,Joy,")
                && text.lines().nth(3).unwrap().ends_with(",,,,Tree"),
            "{text}"
        );
        assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
    }

    /// A corpus in which labels have nothing to do with objects. Class 0 is a person, 1 and 2 are
    /// women and men, which are persons, and share their boxes; and so on. A map lies on a place of
    /// the picture, whatever is there.
    fn null_corpus(number: u64) -> CellTable {
        const GROUPS: usize = 12;
        let mut random = Random::new(23, number);
        let (mut important, mut detected) =
            (Counts::new(3 * GROUPS, 8), Counts::new(3 * GROUPS, 8));
        for _ in 0..500 {
            // Labels are not equally frequent.
            let label = (8.0 * random.uniform(0.0, 1.0).powi(2)) as usize;
            let bright = random.uniform(0.0, 1.0);
            let (mut seen, mut kept) = (Vec::new(), Vec::new());
            for group in 0..GROUPS {
                if random.uniform(0.0, 1.0) > 0.5 / (1 + group % 4) as f64 {
                    continue;
                }
                let classes = [3 * group, 3 * group + 1 + random.below(2)];
                seen.extend(classes);
                if random.uniform(0.0, 1.0) < bright {
                    kept.extend(classes);
                }
            }
            important.add(label, &kept);
            detected.add(label, &seen);
        }
        CellTable::new(&important, &detected, 10)
    }

    #[test]
    fn where_nothing_is_associated_false_discoveries_are_rarer_than_one_in_twenty() {
        // All findings are false here, so that the false discovery rate is the share of corpora
        // with any.
        let corpora = 200;
        let (mut any, mut any_contrast, mut tested) = (0, 0, 0);
        for number in 0..corpora {
            let table = null_corpus(number);
            tested += table.tested();
            any += u32::from(table.cells().iter().any(|cell| cell.important.is_significant()));
            any_contrast +=
                u32::from(table.cells().iter().any(|cell| cell.contrast.is_significant()));
        }
        eprintln!(
            "of {corpora} null corpora, {tested} cells: {any} with a finding, {any_contrast} with \
             a contrast"
        );
        assert!(tested as u64 > corpora * 200, "{tested}");
        // 0.05 and twice its standard error over 200 corpora, 0.015.
        let most = (0.05 + 2.0 * 0.0154) * corpora as f64;
        assert!(
            f64::from(any) <= most && f64::from(any_contrast) <= most,
            "{any}, {any_contrast} of {corpora}"
        );
    }
}
