//! Two matrices cell by cell: where is a class more often important in the one than in the other?
//!
//! In: counts of two sets of pictures, or of the same pictures seen twice. Out: the difference of
//! each cell's shares, with interval and test, as a table and a heatmap.

use super::Counts;
use super::cells::{distance_from_zero, number, q_values};
use crate::Result;
use crate::plot::Heatmap;
use crate::run::table;
use crate::stats::{
    HIT, NOT_OF_THE_KIND, OF_THE_KIND, PairedShares, TwoByTwo, ValueWithInterval,
    difference_of_shares,
};
use rayon::prelude::*;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// A cell of two matrices.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CellDifference {
    /// Index of the class.
    pub class: usize,
    /// Index of the label.
    pub label: usize,
    /// In the first matrix: pictures of the label in which the class is important, and pictures of
    /// the label.
    pub first: [u64; 2],
    /// In the second.
    pub second: [u64; 2],
    /// The second share less the first; `None` where one has no picture of the label.
    pub difference: Option<f64>,
    /// Its interval at 95 %; `None` too where there are too few pictures to draw from.
    pub interval: Option<(f64, f64)>,
    /// The test's name and its p-value.
    pub test: Option<(&'static str, f64)>,
    /// The test's q-value among all cells of the table, by Benjamini and Hochberg.
    pub q: Option<f64>,
    /// The same by Benjamini and Yekutieli.
    pub q_strict: Option<f64>,
}

impl CellDifference {
    /// The two shares.
    pub fn shares(&self) -> [Option<f64>; 2] {
        [self.first, self.second]
            .map(|[hits, images]| (images > 0).then(|| hits as f64 / images as f64))
    }

    /// How far the interval's nearer end is from 0; negative where 0 is inside, and least where
    /// there is none.
    fn distance_from_zero(&self) -> f64 {
        let ends = self.difference.zip(self.interval);
        ends.map_or(f64::MIN, |(value, (lower, upper))| {
            distance_from_zero(&ValueWithInterval { value, lower, upper })
        })
    }

    /// Whether at most one in twenty of such findings is a chance one.
    pub fn is_significant(&self) -> bool {
        self.q.is_some_and(|q| q < 0.05)
    }
}

/// What is said of a picture: its label, if it has one that counts, and the classes that are
/// important in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeenPicture<'a> {
    /// Index of the label.
    pub label: Option<usize>,
    /// Indices of the classes, each once.
    pub classes: &'a [usize],
}

impl SeenPicture<'_> {
    /// What it says of a cell.
    fn of(&self, class: usize, label: usize) -> usize {
        match (self.label == Some(label), self.classes.contains(&class)) {
            (false, _) => NOT_OF_THE_KIND,
            (true, false) => OF_THE_KIND,
            (true, true) => HIT,
        }
    }
}

/// Counts over pictures that are seen twice, as by two networks.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PairedCounts {
    pictures: u64,
    /// Of each label: pictures that have it in the first look and in the second.
    labelled: Vec<[[u64; 2]; 2]>,
    /// Of cells whose class is important in some picture of the label: what such pictures change in
    /// the cell's counts as they follow from `labelled` alone.
    changes: HashMap<(usize, usize), [[i64; 3]; 3]>,
}

impl PairedCounts {
    /// Of no picture.
    pub fn new(labels: usize) -> Self {
        Self { pictures: 0, labelled: vec![[[0; 2]; 2]; labels], changes: HashMap::new() }
    }

    /// Adds a picture in both looks.
    ///
    /// # Panics
    /// When a label lies outside.
    pub fn add(&mut self, first: SeenPicture<'_>, second: SeenPicture<'_>) {
        self.pictures += 1;
        let mut labels: Vec<usize> = first.label.into_iter().chain(second.label).collect();
        labels.dedup();
        for label in labels {
            let has = [first, second].map(|seen| usize::from(seen.label == Some(label)));
            self.labelled[label][has[0]][has[1]] += 1;
            let mut classes = [first.classes, second.classes].concat();
            classes.sort_unstable();
            classes.dedup();
            for class in classes {
                let said = [first, second].map(|seen| seen.of(class, label));
                if said != has {
                    let change = self.changes.entry((class, label)).or_default();
                    change[has[0]][has[1]] -= 1;
                    change[said[0]][said[1]] += 1;
                }
            }
        }
    }

    /// Pictures by what both looks say of a cell.
    pub fn cell(&self, class: usize, label: usize) -> PairedShares {
        let [[_, second], [first, both]] = self.labelled[label];
        let mut counts = [[0; 3]; 3];
        counts[NOT_OF_THE_KIND][NOT_OF_THE_KIND] = self.pictures - first - second - both;
        counts[NOT_OF_THE_KIND][OF_THE_KIND] = second;
        counts[OF_THE_KIND][NOT_OF_THE_KIND] = first;
        counts[OF_THE_KIND][OF_THE_KIND] = both;
        if let Some(changes) = self.changes.get(&(class, label)) {
            for (count, change) in counts.as_flattened_mut().iter_mut().zip(changes.as_flattened())
            {
                *count = count
                    .checked_add_signed(*change)
                    .expect("a picture leaves a place where it was");
            }
        }
        PairedShares { counts }
    }
}

/// The cells of two matrices whose classes are important often enough, by class, then label.
#[derive(Debug, Clone, PartialEq)]
pub struct DifferenceTable {
    cells: Vec<CellDifference>,
}

impl DifferenceTable {
    /// Of two sets of pictures that have nothing to do with each other: Newcombe's interval, and
    /// Fisher's exact test or the G test. Taken are classes that are important in at least
    /// `min_images` pictures of both together.
    ///
    /// # Panics
    /// When the matrices differ in size.
    pub fn unpaired(first: &Counts, second: &Counts, min_images: u64) -> Self {
        assert_eq!(first.cells.dim(), second.cells.dim(), "both have the same classes and labels");
        let (classes, labels) = first.cells.dim();
        let often = |class: &usize| {
            first.cells.row(*class).sum() + second.cells.row(*class).sum() >= min_images
        };
        let places = (0..classes)
            .filter(often)
            .flat_map(|class| (0..labels).map(move |label| (class, label)));
        let cell = |(class, label)| {
            let group = |counts: &Counts| [counts.cells[[class, label]], counts.images[label]];
            let (first, second) = (group(first), group(second));
            let found = TwoByTwo::of_groups(second, first).independence();
            let ends = difference_of_shares(second, first);
            CellDifference {
                class,
                label,
                first,
                second,
                difference: ends.map(|ends| ends.value),
                interval: ends.map(|ends| (ends.lower, ends.upper)),
                test: found.map(|found| (found.test.name(), found.p_value)),
                q: None,
                q_strict: None,
            }
        };
        Self::corrected(places.map(cell).collect())
    }

    /// Of the same pictures seen twice: the interval by resampling them, and the test by exchanging
    /// the two looks ([`PairedShares::p_value`]). Taken are classes that are important in at least
    /// `min_images` pictures of both looks together.
    pub fn paired(
        counts: &PairedCounts,
        classes: usize,
        min_images: u64,
        resamples: usize,
        seed: u64,
    ) -> Self {
        let labels = counts.labelled.len();
        let of_class = |class: usize| {
            let cells: Vec<PairedShares> =
                (0..labels).map(|label| counts.cell(class, label)).collect();
            let important: u64 =
                cells.iter().flat_map(PairedShares::hits_and_cases).map(|[hits, _]| hits).sum();
            (important >= min_images).then_some((class, cells))
        };
        let often: Vec<(usize, Vec<PairedShares>)> = (0..classes).filter_map(of_class).collect();
        let cells = often.into_par_iter().flat_map_iter(|(class, cells)| {
            cells.into_iter().enumerate().map(move |(label, shares)| {
                let [first, second] = shares.hits_and_cases();
                CellDifference {
                    class,
                    label,
                    first,
                    second,
                    difference: shares.difference(),
                    interval: shares.interval(resamples, seed),
                    test: shares.p_value().map(|p_value| ("exchange", p_value)),
                    q: None,
                    q_strict: None,
                }
            })
        });
        Self::corrected(cells.collect())
    }

    /// Cells of labels that occur, with q-values.
    fn corrected(cells: Vec<CellDifference>) -> Self {
        let occurs = |cell: &CellDifference| cell.first[1] + cell.second[1] > 0;
        let mut cells: Vec<CellDifference> = cells.into_iter().filter(occurs).collect();
        let p_values: Vec<Option<f64>> =
            cells.iter().map(|cell| cell.test.map(|(_, p_value)| p_value)).collect();
        for (cell, q_values) in cells.iter_mut().zip(q_values(&p_values)) {
            (cell.q, cell.q_strict) = q_values.unzip();
        }
        Self { cells }
    }

    /// The cells.
    pub fn cells(&self) -> &[CellDifference] {
        &self.cells
    }

    /// The cells with q < 0.05, those with the intervals farthest from 0 first.
    pub fn significant(&self) -> Vec<&CellDifference> {
        let mut found: Vec<&CellDifference> =
            self.cells.iter().filter(|cell| cell.is_significant()).collect();
        found.sort_by(|a, b| b.distance_from_zero().total_cmp(&a.distance_from_zero()));
        found
    }

    /// Writes the table; `names` are those of the two matrices in its header, as `a` and `b`.
    ///
    /// # Errors
    /// The table cannot be written.
    pub fn write(
        &self,
        path: &Path,
        classes: &[String],
        labels: &[String],
        names: [&str; 2],
    ) -> Result<()> {
        table(path, |table| {
            let columns_of = |name: &str| {
                ["images", "important", "share"].map(|column| format!("{name}_{column}"))
            };
            let tested =
                ["difference", "difference_low", "difference_high", "test", "p", "q", "q_strict"];
            let head = ["class", "label"]
                .map(String::from)
                .into_iter()
                .chain(names.into_iter().flat_map(columns_of));
            table.row(head.chain(tested.map(String::from)))?;
            self.cells.iter().try_for_each(|cell| {
                let [first, second] = cell.shares();
                let cells_of = |[hits, images]: [u64; 2], share| {
                    [images.to_string(), hits.to_string(), number(share)]
                };
                let (low, high) = cell.interval.unzip();
                let mut row = vec![classes[cell.class].clone(), labels[cell.label].clone()];
                row.extend(cells_of(cell.first, first));
                row.extend(cells_of(cell.second, second));
                row.extend([cell.difference, low, high].map(number));
                row.push(cell.test.map(|(name, _)| name.to_string()).unwrap_or_default());
                row.extend(
                    [cell.test.map(|(_, p_value)| p_value), cell.q, cell.q_strict].map(number),
                );
                table.row(row)
            })
        })
    }

    /// The differences of the `top` classes with the surest cells, red where the second matrix has
    /// more and blue where it has less; cells with q < 0.05 are marked. Labels of fewer than
    /// `min_images` pictures in one of the two are faded and do not order the rows, where there are
    /// others. Title and more notes are the caller's.
    pub fn heatmap(
        &self,
        classes: &[String],
        labels: &[String],
        top: usize,
        min_images: u64,
    ) -> Heatmap {
        let images: BTreeMap<usize, [u64; 2]> =
            self.cells.iter().map(|cell| (cell.label, [cell.first[1], cell.second[1]])).collect();
        let is_few = |label: usize| images[&label].iter().any(|&of| of < min_images);
        let all_few = images.keys().all(|&label| is_few(label));
        let mut best: HashMap<usize, f64> = HashMap::new();
        for cell in &self.cells {
            if cell.difference.is_some() {
                let most = best.entry(cell.class).or_insert(f64::MIN);
                if all_few || !is_few(cell.label) {
                    *most = most.max(cell.distance_from_zero());
                }
            }
        }
        let mut rows: Vec<(usize, f64)> = best.into_iter().collect();
        rows.sort_by(|(class, a), (other, b)| b.total_cmp(a).then(class.cmp(other)));
        rows.truncate(top);
        let columns: Vec<usize> = images.keys().copied().collect();
        let faded: Vec<usize> = (0..columns.len()).filter(|&at| is_few(columns[at])).collect();
        let mut notes = vec!["A dot: q < 0.05 (Benjamini-Hochberg).".to_string()];
        if !faded.is_empty() {
            let order = if all_few { "" } else { ", which do not order the rows" };
            notes.push(format!(
                "Faded: labels of fewer than {min_images} images in one of the two{order}."
            ));
        }
        let mut heatmap = Heatmap {
            rows: rows.iter().map(|&(class, _)| classes[class].clone()).collect(),
            columns: columns.iter().map(|&label| labels[label].clone()).collect(),
            values: vec![vec![None; columns.len()]; rows.len()],
            value_label: "difference of shares".into(),
            empty_label: "one of the two has no image of this label".into(),
            column_notes: columns
                .iter()
                .map(|label| images[label].map(|count| count.to_string()).join(", "))
                .collect(),
            column_notes_label: "images in the first, in the second".into(),
            faded,
            notes,
            ..Heatmap::default()
        };
        for cell in &self.cells {
            let place = rows.iter().position(|&(class, _)| class == cell.class);
            let Some((row, column)) =
                place.zip(columns.iter().position(|&label| label == cell.label))
            else {
                continue;
            };
            heatmap.values[row][column] = cell.difference;
            if cell.is_significant() {
                heatmap.marks.push((row, column));
            }
        }
        let reach =
            heatmap.values.iter().flatten().flatten().map(|value| value.abs()).fold(0.0, f64::max);
        let reach = if reach > 0.0 { reach } else { 1.0 };
        heatmap.range = (-reach, reach);
        heatmap
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;
    use proptest::prelude::*;

    #[test]
    fn an_unpaired_table_by_hand() {
        let counts = |cells: [[u64; 2]; 2], images: [u64; 2]| Counts {
            cells: Array2::from_shape_fn((2, 2), |(row, column)| cells[row][column]),
            images: images.into(),
        };
        let table = DifferenceTable::unpaired(
            &counts([[5, 0], [1, 0]], [50, 0]),
            &counts([[40, 9], [2, 1]], [50, 30]),
            5,
        );
        let cells = table.cells();
        assert_eq!(
            cells.iter().map(|cell| (cell.class, cell.label)).collect::<Vec<_>>(),
            [(0, 0), (0, 1)]
        );
        approx::assert_abs_diff_eq!(cells[0].difference.unwrap(), 0.7, epsilon = 1e-12);
        assert_eq!(cells[1].shares(), [None, Some(0.3)]);
        // Both together are asked for, of which one may have none.
        let none = counts([[0, 0], [0, 0]], [50, 0]);
        let second = counts([[4, 1], [4, 0]], [50, 30]);
        let frequent = DifferenceTable::unpaired(&none, &second, 5);
        assert_eq!(frequent.cells().iter().map(|cell| cell.class).collect::<Vec<_>>(), [0, 0]);
        assert!(cells[0].is_significant() && cells[1].difference.is_none() && cells[1].q.is_none());
        let heatmap =
            table.heatmap(&["Cat".into(), "Hat".into()], &["Joy".into(), "Awe".into()], 25, 10);
        assert_eq!(
            (heatmap.marks.as_slice(), heatmap.rows.len(), heatmap.columns.len()),
            (&[(0, 0)][..], 1, 2)
        );
        assert_eq!(
            (&heatmap.faded[..], &heatmap.column_notes[..]),
            (&[1][..], &["50, 50".into(), "0, 30".into()][..])
        );
        heatmap.svg().unwrap();
    }

    #[test]
    fn the_surest_differences_come_first() {
        let counts = |cells: [[u64; 2]; 3]| Counts {
            cells: Array2::from_shape_fn((3, 2), |(row, column)| cells[row][column]),
            images: vec![50, 40],
        };
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let (classes, labels) = (names(&["Cat", "Hat", "Cup"]), names(&["Joy", "Awe"]));
        let first = counts([[10, 0], [30, 10], [5, 20]]);
        let table = DifferenceTable::unpaired(&first, &counts([[10, 38], [10, 10], [40, 20]]), 5);
        let surest: Vec<(usize, usize)> =
            table.significant().iter().map(|cell| (cell.class, cell.label)).collect();
        assert_eq!(surest, [(0, 1), (2, 0), (1, 0)]);
        assert_eq!(table.cells()[4].shares(), [Some(0.1), Some(0.8)]);

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("differences.csv");
        table.write(&path, &classes, &labels, ["old", "new"]).unwrap();
        let text = std::fs::read_to_string(path).unwrap();
        let head = "class,label,old_images,old_important,old_share,new_images,new_important,\
                    new_share,difference,";
        assert!(text.starts_with(head), "{text}");
        assert!(text.contains("\nCup,Joy,50,5,0.1,50,40,0.8,0.7"), "{text}");

        // With all labels Cat is the surest; by Joy alone, of which both have enough, the last.
        let drawn = |min_images| table.heatmap(&classes, &labels, 25, min_images);
        let dot = "A dot: q < 0.05 (Benjamini-Hochberg).";
        let all = drawn(40);
        assert_eq!(
            (&all.rows[..], &all.notes[..]),
            (&names(&["Cat", "Cup", "Hat"])[..], &[dot.into()][..])
        );
        assert_eq!((all.faded.len(), all.range), (0, (-0.95, 0.95)));
        let few = drawn(50);
        assert_eq!((&few.rows[..], &few.faded[..]), (&names(&["Cup", "Hat", "Cat"])[..], &[1][..]));
        let faded = "Faded: labels of fewer than 50 images in one of the two";
        assert_eq!(few.notes[1], format!("{faded}, which do not order the rows."));
        let none = drawn(51);
        assert_eq!((&none.rows[..], none.faded.len()), (&all.rows[..], 2));
        assert_eq!(none.notes[1], format!("{}.", faded.replace("50", "51")));
        let same = DifferenceTable::unpaired(&first, &first, 5).heatmap(&classes, &labels, 25, 10);
        assert_eq!((same.range, same.marks.len()), ((-1.0, 1.0), 0));
    }

    proptest! {
        #[test]
        fn paired_counts_are_those_of_every_picture_by_itself(
            pictures in prop::collection::vec(
                (prop::option::of(0..2_usize), prop::collection::btree_set(0..3_usize, 0..3),
                 prop::option::of(0..2_usize), prop::collection::btree_set(0..3_usize, 0..3)), 0..20),
        ) {
            let mut counts = PairedCounts::new(2);
            let mut expected = [[[[0_u64; 3]; 3]; 2]; 3];
            for (label, classes, other_label, other_classes) in pictures {
                let classes: Vec<usize> = classes.into_iter().collect();
                let other_classes: Vec<usize> = other_classes.into_iter().collect();
                let first = SeenPicture { label, classes: &classes };
                let second = SeenPicture { label: other_label, classes: &other_classes };
                counts.add(first, second);
                for (class, of_class) in expected.iter_mut().enumerate() {
                    for (label, cell) in of_class.iter_mut().enumerate() {
                        cell[first.of(class, label)][second.of(class, label)] += 1;
                    }
                }
            }
            for (class, of_class) in expected.iter().enumerate() {
                for (label, cell) in of_class.iter().enumerate() {
                    prop_assert_eq!(&counts.cell(class, label).counts, cell);
                }
            }
        }
    }
}
