//! How cells change with the threshold over which a box counts: shares at 17 thresholds, from 0.1
//! to 0.9 where scores are shares, beside the share in the whole corpus, which is what a label gets
//! by chance.
//!
//! In: the records of a run, classes and labels. Out: per method `curves.csv` and a picture.

use super::{COLUMNS, CellCounts, Importance, MatrixCell};
use crate::attribution::Needs;
use crate::config::{AssociationConfig, Nested};
use crate::names::BACKGROUND;
use crate::plot::{self, Panel, Panels, Series};
use crate::run::record::ImageRecord;
use crate::run::{Run, table};
use crate::score::ScoreRule;
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// The number of thresholds.
const THRESHOLDS: usize = 17;

/// The thresholds, ascending. Of whole thousandths, so that 0.3 is the 0.3 of the configuration.
fn thresholds(score: ScoreRule) -> [f32; THRESHOLDS] {
    let (first, step) = match score {
        ScoreRule::Mean | ScoreRule::Max | ScoreRule::Mass => (2, 50),
        ScoreRule::Contrast => (2, 25),
        ScoreRule::Z | ScoreRule::Lift => (2, 250),
        ScoreRule::Chance => (3, 50),
    };
    std::array::from_fn(|number| ((number + first) * step) as f32 / 1000.0)
}

/// Numbers of pictures with a label, and of all others.
type Pair = [u64; 2];

/// A class and a label over all thresholds, by one method.
#[derive(Debug, Clone, PartialEq)]
struct Tally {
    thresholds: [f32; THRESHOLDS],
    images: Pair,
    detected: Pair,
    important: [Pair; THRESHOLDS],
}

impl Tally {
    fn new(score: ScoreRule) -> Self {
        let nothing = [0; 2];
        Self {
            thresholds: thresholds(score),
            images: nothing,
            detected: nothing,
            important: [nothing; THRESHOLDS],
        }
    }

    /// Adds a picture: `group` is 0 for one of the label; `best` is the highest score of a detected
    /// box of the class.
    fn add(&mut self, group: usize, best: Option<f32>) {
        self.images[group] += 1;
        let Some(best) = best else { return };
        self.detected[group] += 1;
        for (important, threshold) in self.important.iter_mut().zip(self.thresholds) {
            important[group] += u64::from(best > threshold);
        }
    }

    /// The cell at a threshold.
    fn cell(&self, (class, label): (usize, usize), threshold: usize) -> MatrixCell {
        let [with_label, other] = self.important[threshold];
        let counts = CellCounts {
            images: self.images.iter().sum(),
            images_with_label: self.images[0],
            detected: self.detected.iter().sum(),
            detected_with_label: self.detected[0],
            important: with_label + other,
            important_with_label: with_label,
        };
        MatrixCell::new(class, label, counts)
    }
}

/// Cells of a run at all thresholds.
#[derive(Debug)]
pub struct Curves {
    places: Vec<(usize, usize)>,
    /// Names of class and label, a pair a place.
    names: Vec<[String; 2]>,
    /// Per method, in the order of the places.
    methods: Vec<(String, Vec<Tally>)>,
    rule: AssociationConfig,
}

impl Curves {
    /// Counts a run's records for the cells at `places`, each a class and a label; of `rule`
    /// everything holds but the threshold.
    ///
    /// # Errors
    /// The records cannot be read; the rule does not fit the run's network.
    ///
    /// # Panics
    /// When a class or label is not one of the run's.
    pub fn read(run: &Run, rule: &AssociationConfig, places: Vec<(usize, usize)>) -> Result<Self> {
        let manifest = &run.manifest;
        if places.iter().any(|&(class, _)| class == manifest.classes.len()) {
            return Err(Error::Setting(format!(
                "no curve is drawn of {BACKGROUND}: name a class with --curve"
            )));
        }
        if rule.nested != Nested::Separate {
            return Err(Error::Setting(
                "a curve counts each box by itself: leave out --curve, or count nested classes \
                 with --nested separate"
                    .into(),
            ));
        }
        let importance = Importance::of_run(run, rule)?;
        let name = |&(class, label): &(usize, usize)| {
            [manifest.classes[class].clone(), manifest.labels[label].clone()]
        };
        let cam = &manifest.configuration.cam;
        // Values of regions are shares, whatever the rule.
        let score = |method: usize| match cam.methods_of_maps().get(method) {
            Some(method) if method.row().needs == Needs::Regions => ScoreRule::Mean,
            _ => rule.score,
        };
        let methods = cam.names().into_iter().enumerate();
        let mut curves = Self {
            names: places.iter().map(name).collect(),
            methods: methods
                .map(|(at, name)| (name, vec![Tally::new(score(at)); places.len()]))
                .collect(),
            places,
            rule: rule.clone(),
        };
        run.for_each_record(|record| {
            curves.add(&record, &importance);
            Ok(())
        })?;
        Ok(curves)
    }

    fn add(&mut self, record: &ImageRecord, importance: &Importance) {
        let Self { places, methods, rule, .. } = self;
        if !rule.takes(record.margin()) {
            return;
        }
        for (method, (_, tallies)) in methods.iter_mut().enumerate() {
            for (&(class, label), tally) in places.iter().zip(tallies) {
                let detected = record.boxes.iter().enumerate();
                let detected = detected.filter(|(_, found)| {
                    found.class == class && found.confidence > rule.min_confidence
                });
                let scores = detected.map(|(index, _)| importance.number(record, method, index));
                tally.add(usize::from(record.label != label), scores.max_by(f32::total_cmp));
            }
        }
    }

    /// Writes `<folder>/<method>/curves.csv`, `curves.png` and `curves.svg` for every method, and
    /// returns the pictures' paths. The table has the columns of `statistics.csv` at each threshold
    /// but for q-values, since nothing is corrected, and `chance`: the share of all images in which
    /// the class is important.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<Vec<PathBuf>> {
        let write = |(method, tallies): &(String, Vec<Tally>)| {
            let folder = folder.join(method);
            std::fs::create_dir_all(&folder).map_err(Error::io("create", &folder))?;
            self.write_table(&folder.join("curves.csv"), tallies)?;
            let png = folder.join("curves.png");
            plot::write(&self.picture(method, tallies).svg()?, &png, &folder.join("curves.svg"))?;
            Ok(png)
        };
        self.methods.iter().map(write).collect()
    }

    fn write_table(&self, path: &Path, tallies: &[Tally]) -> Result<()> {
        let columns =
            COLUMNS.iter().filter(|(name, _)| !name.ends_with('q') && !name.ends_with("q_strict"));
        table(path, |table| {
            let head = ["class", "label", "threshold", "chance"].into_iter();
            table.row(head.chain(columns.clone().map(|(name, _)| *name)))?;
            for ((&place, [class, label]), tally) in
                self.places.iter().zip(&self.names).zip(tallies)
            {
                for (number, threshold) in tally.thresholds.into_iter().enumerate() {
                    let cell = tally.cell(place, number);
                    let chance = chance(&cell).map(|share| share.to_string()).unwrap_or_default();
                    let head =
                        [class.clone(), label.clone(), threshold.to_string(), chance].into_iter();
                    table.row(head.chain(columns.clone().map(|(_, text)| text(&cell))))?;
                }
            }
            Ok(())
        })
    }

    fn picture(&self, method: &str, tallies: &[Tally]) -> Panels {
        let panel =
            |((&place, [class, label]), tally): ((&(usize, usize), &[String; 2]), &Tally)| {
                let line = |value: fn(&MatrixCell) -> Option<f64>| -> Vec<(f64, f64)> {
                    let point = |(number, threshold): (usize, f32)| {
                        value(&tally.cell(place, number)).map(|share| (f64::from(threshold), share))
                    };
                    tally.thresholds.into_iter().enumerate().filter_map(point).collect()
                };
                Panel::Lines {
                    title: format!("{class}, {label}"),
                    across: "a box counts over".into(),
                    up: "share of images".into(),
                    lines: vec![
                        line(|cell| cell.important.share.map(|share| share.value)),
                        line(chance),
                    ],
                    whole_numbers: false,
                    n: Some(tally.cell(place, 0).counts.images_with_label as usize),
                }
            };
        let series = [("images of the label", false), ("all images (chance)", true)];
        Panels {
            title: "Associations over the threshold".into(),
            subtitle: format!("{method}: share of images in which the class is important"),
            series: series.map(|(name, baseline)| Series { name: name.into(), baseline }).to_vec(),
            panels: self.places.iter().zip(&self.names).zip(tallies).map(panel).collect(),
            notes: [self.rule.score_described()]
                .into_iter()
                .chain(self.rule.images_described())
                .chain(["curves.csv has the intervals.".into()])
                .collect(),
        }
    }
}

/// The share of all pictures in which the class is important; a label that has nothing to do with
/// it gets the same.
fn chance(cell: &MatrixCell) -> Option<f64> {
    let counts = &cell.counts;
    (counts.images > 0).then(|| counts.important as f64 / counts.images as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_are_those_of_the_configuration() {
        let all = thresholds(ScoreRule::Mean);
        assert_eq!((all[0], all[4], all[16]), (0.1, 0.3, 0.9));
        for score in ScoreRule::ALL {
            assert!(thresholds(score).contains(&score.default_importance()), "{score:?}");
        }
    }

    #[test]
    fn a_tally_by_hand() {
        let mut tally = Tally::new(ScoreRule::Mean);
        for (group, best) in
            [(0, Some(0.31)), (0, None), (1, Some(0.3)), (1, Some(0.95)), (1, None)]
        {
            tally.add(group, best);
        }
        let cell = tally.cell((3, 1), 4);
        assert_eq!(cell.counts.important, 2, "0.3 is not over 0.3");
        assert_eq!((cell.counts.images, cell.counts.images_with_label), (5, 2));
        assert_eq!((cell.counts.detected, cell.counts.detected_with_label), (3, 1));
        assert_eq!(cell.counts.important_with_label, 1);
        assert_eq!(chance(&cell), Some(0.4));
        assert_eq!(tally.cell((3, 1), 16).counts.important, 1);
        assert_eq!(chance(&Tally::new(ScoreRule::Mean).cell((0, 0), 0)), None);
    }
}
