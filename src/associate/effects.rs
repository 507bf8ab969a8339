//! What objects do to the answer: the mean value of every class in the pictures of every label, by
//! a method that gives regions values.

use super::Counts;
use crate::Result;
use crate::run::record::{GameRecord, ImageRecord};
use crate::run::table;
use crate::stats::{mean, percentile_interval_of_mean};
use ndarray::Array2;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Bootstrap resamples over pictures.
const RESAMPLES: usize = 1000;

/// The values of classes in pictures. A commutative monoid up to the order of the pictures.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Effects {
    /// Pictures of each label.
    images: BTreeMap<usize, u64>,
    cells: BTreeMap<(usize, usize), Cell>,
}

/// What a class does in the pictures of a label.
#[derive(Debug, Clone, Default, PartialEq)]
struct Cell {
    /// Its value in each picture that has it.
    values: Vec<f64>,
    /// Pictures in which it is the most important object.
    top: u64,
}

impl Effects {
    /// Adds a picture of the label. A class's value in a picture is that of all its players; one
    /// thing under two class names counts for both. Only regions more confident than
    /// `min_confidence` have a class.
    pub fn add(
        &mut self,
        record: &ImageRecord,
        label: usize,
        game: &GameRecord,
        min_confidence: f32,
    ) {
        *self.images.entry(label).or_default() += 1;
        let mut classes: BTreeMap<usize, BTreeMap<usize, f64>> = BTreeMap::new();
        let regions = record.boxes.iter().zip(&game.players).zip(&game.values);
        let mut top: Option<(usize, f32)> = None;
        for ((region, player), &value) in regions {
            if region.confidence <= min_confidence || *player == 0 {
                continue;
            }
            classes.entry(region.class).or_default().insert(*player, f64::from(value));
            // Of one player the surest region, which comes first.
            if value > top.map_or(0.0, |(_, most)| most) {
                top = Some((region.class, value));
            }
        }
        for (class, players) in classes {
            self.cells.entry((class, label)).or_default().values.push(players.values().sum());
        }
        if let Some((class, _)) = top {
            self.cells.entry((class, label)).or_default().top += 1;
        }
    }

    /// The mean value of every class in the pictures of every label that have it, classes x labels;
    /// `None` where none has.
    ///
    /// # Panics
    /// When a class or label that was added lies outside.
    pub fn means(&self, classes: usize, labels: usize) -> Array2<Option<f64>> {
        let mut means = Array2::from_elem((classes, labels), None);
        for (&place, cell) in &self.cells {
            means[place] = mean(&cell.values);
        }
        means
    }

    /// In how many pictures of every label every class's region is the most important object.
    ///
    /// # Panics
    /// When a class or label that was added lies outside.
    pub fn most_important(&self, classes: usize, labels: usize) -> Counts {
        let mut counts = Counts::new(classes, labels);
        for (&place, cell) in &self.cells {
            counts.cells[place] = cell.top;
        }
        for (&label, &images) in &self.images {
            counts.images[label] = images;
        }
        counts
    }

    /// The classes that move the answers of all pictures most, at most `top`: by the sum over
    /// labels of |mean value| times the number of pictures, so that a class with one lucky picture
    /// does not come before one that counts in hundreds. None whose sum is 0; the first of equals
    /// comes first. Labels of `few` pictures ([`Counts::labels_of_few`]) do not count, and a class
    /// that only they have comes last.
    pub fn strongest(&self, top: usize, few: &[bool]) -> Vec<usize> {
        let mut sums: BTreeMap<usize, f64> = BTreeMap::new();
        let mut moving = BTreeSet::new();
        for (&(class, label), cell) in &self.cells {
            let sum = cell.values.iter().sum::<f64>().abs();
            *sums.entry(class).or_default() +=
                if few.get(label) == Some(&true) { 0.0 } else { sum };
            if sum > 0.0 {
                moving.insert(class);
            }
        }
        let mut classes: Vec<usize> = moving.into_iter().collect();
        classes.sort_by(|a, b| sums[b].total_cmp(&sums[a]));
        classes.truncate(top);
        classes
    }

    /// Writes a table with a row for every class and label of which there is a picture: how many
    /// pictures of the label have the class, the mean of its values in these with a bootstrap
    /// interval (95 %, percentiles; none of fewer than
    /// [`FEWEST_RESAMPLED_CASES`](crate::stats::FEWEST_RESAMPLED_CASES) pictures), in units of the
    /// score, and the share of all pictures of the label in which it is the most important object.
    ///
    /// # Errors
    /// The table cannot be written.
    pub fn write(
        &self,
        path: &Path,
        classes: &[String],
        labels: &[String],
        seed: u64,
    ) -> Result<()> {
        let cells: Vec<(&(usize, usize), &Cell)> = self.cells.iter().collect();
        let interval = |(_, cell): &(&(usize, usize), &Cell)| {
            percentile_interval_of_mean(&cell.values, RESAMPLES, seed)
        };
        let intervals: Vec<Option<(f64, f64)>> = cells.par_iter().map(interval).collect();
        table(path, |table| {
            table.row(["class", "label", "images", "effect", "low", "high", "most_important"])?;
            for (((class, label), cell), interval) in cells.iter().zip(&intervals) {
                let number =
                    |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
                table.row([
                    classes[*class].clone(),
                    labels[*label].clone(),
                    cell.values.len().to_string(),
                    number(mean(&cell.values)),
                    number(interval.map(|(low, _)| low)),
                    number(interval.map(|(_, high)| high)),
                    (cell.top as f64 / self.images[label] as f64).to_string(),
                ])?;
            }
            Ok(())
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::image::BoundingBox;
    use crate::run::record::BoxRecord;

    fn record(regions: &[(usize, f32)]) -> ImageRecord {
        let bounding_box = BoundingBox::new(0.0, 0.0, 1.0, 1.0);
        let region = |&(class, confidence): &(usize, f32)| BoxRecord {
            class,
            confidence,
            bounding_box,
            extent: bounding_box.into(),
            rle: None,
        };
        ImageRecord {
            path: String::new(),
            width: 3,
            height: 2,
            label: 0,
            probabilities: vec![1.0],
            output: None,
            valence: None,
            arousal: None,
            boxes: regions.iter().map(region).collect(),
            clipped: 0,
            outside: 0,
            maps: Vec::new(),
        }
    }

    fn game(players: &[usize], values: &[f32]) -> GameRecord {
        GameRecord {
            value_all: 0.9,
            value_nothing: 0.1,
            evaluations: 8,
            layer: None,
            background: Some(0.0),
            players: players.to_vec(),
            values: values.to_vec(),
            errors: None,
        }
    }

    /// Two pictures of label 0 and one of label 2.
    pub(in crate::associate) fn by_hand() -> Effects {
        let mut effects = Effects::default();
        // Two things of class 0, one of them under the name of class 1 too, and a region that is
        // background.
        let recorded = record(&[(0, 0.9), (1, 0.8), (0, 0.7), (2, 0.6)]);
        effects.add(&recorded, 0, &game(&[1, 1, 2, 0], &[0.5, 0.5, 0.25, 0.0]), 0.0);
        effects.add(&record(&[(0, 0.9), (1, 0.01)]), 0, &game(&[1, 2], &[-0.25, 0.3]), 0.05);
        effects.add(&record(&[(2, 0.9), (1, 0.8)]), 2, &game(&[1, 2], &[-0.5, 0.25]), 0.0);
        effects
    }

    #[test]
    fn a_table_by_hand() {
        let effects = by_hand();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("effects.csv");
        effects
            .write(&path, &["a", "b", "c"].map(String::from), &["x", "y", "z"].map(String::from), 1)
            .unwrap();
        let text = std::fs::read_to_string(path).unwrap();
        let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split(',').collect()).collect();
        assert_eq!(rows[1][..4], ["a", "x", "2", "0.25"]);
        assert_eq!(rows[1][6], "0.5");
        assert_eq!(rows[2], ["b", "x", "1", "0.5", "", "", "0"]);
        assert_eq!(rows[4], ["c", "z", "1", "-0.5", "", "", "0"]);
        assert_eq!(rows.len(), 5);
    }

    #[test]
    fn what_moves_nothing_is_not_among_the_strongest() {
        let mut effects = Effects::default();
        effects.add(&record(&[(0, 0.9), (1, 0.9)]), 0, &game(&[1, 2], &[0.0, -0.5]), 0.0);
        assert_eq!(effects.strongest(9, &[]), [1]);
    }

    #[test]
    fn matrices_by_hand() {
        let effects = by_hand();
        let means = effects.means(3, 3);
        assert_eq!(means.row(0).to_vec(), [Some(0.25), None, None]);
        assert_eq!(means.row(1).to_vec(), [Some(0.5), None, Some(0.25)]);
        assert_eq!(means.row(2).to_vec(), [None, None, Some(-0.5)]);
        let shares = effects.most_important(3, 3).association();
        assert_eq!(shares.row(0).to_vec(), [Some(0.5), None, Some(0.0)]);
        assert_eq!(shares.row(1).to_vec(), [Some(0.0), None, Some(1.0)]);
        // The sums are 0.5, 0.5 + 0.25 and 0.5.
        assert_eq!(
            (effects.strongest(9, &[]), effects.strongest(2, &[])),
            (vec![1, 0, 2], vec![1, 0])
        );
    }
}
