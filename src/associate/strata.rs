//! Associations within groups of pictures, as by the year or by who is seen: does an object go with
//! a label only because both are more frequent in some group, and does it in all groups alike?
//!
//! In: records, a word for each picture. Out: per method and cell the odds ratio of Mantel and
//! Haenszel over the groups with tests, and the shares in every group.

use super::cells::{number, q_values};
use super::{Columns, Counts, Importance, Matrices};
use crate::annotations::GivenLabels;
use crate::config::AssociationConfig;
use crate::run::{Run, table};
use crate::stats::{Stratified, TwoByTwo, stratified, wilson};
use crate::{Error, Result};
use ndarray::Axis;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// More groups say nothing: a column with a different word for each picture is a mistake.
const MOST_STRATA: usize = 1000;

/// A run's counts in groups of pictures.
#[derive(Debug)]
pub struct StrataReport {
    /// What groups them, as a column's name.
    column: String,
    strata: Vec<(String, Matrices)>,
    rule: AssociationConfig,
    classes: Vec<String>,
    labels: Vec<String>,
    /// Pictures of no group.
    pub left_out: u64,
}

impl StrataReport {
    /// Counts a run's records in groups: `given` has the group of each picture.
    ///
    /// # Errors
    /// The records cannot be read; the rule does not fit the run's network; there are more than a
    /// thousand groups.
    pub fn read(
        run: &Run,
        rule: &AssociationConfig,
        columns: &Columns,
        column: &str,
        given: &GivenLabels,
    ) -> Result<Self> {
        let importance = Importance::of_run(run, rule)?;
        let mut strata: BTreeMap<&str, Matrices> = BTreeMap::new();
        let mut left_out = 0;
        run.for_each_record(|record| {
            match given.labels.get(&record.path) {
                Some(group) => strata
                    .entry(group)
                    .or_insert_with(|| Matrices::new(&run.manifest, &importance, columns.clone()))
                    .add(&record),
                None => left_out += 1,
            }
            match strata.len() > MOST_STRATA {
                true => Err(Error::Setting(format!(
                    "the column {column} has more than {MOST_STRATA} different words; groups are \
                     for columns with a few"
                ))),
                false => Ok(()),
            }
        })?;
        let whole = Matrices::new(&run.manifest, &importance, columns.clone());
        Ok(Self {
            column: column.into(),
            strata: strata
                .into_iter()
                .map(|(name, matrices)| (name.to_string(), matrices))
                .collect(),
            rule: rule.clone(),
            classes: whole.classes().to_vec(),
            labels: whole.labels().to_vec(),
            left_out,
        })
    }

    /// Names of the groups with their numbers of pictures.
    pub fn groups(&self) -> Vec<(&str, u64)> {
        let images = |matrices: &Matrices| matrices.detected().images.iter().sum();
        self.strata.iter().map(|(name, matrices)| (name.as_str(), images(matrices))).collect()
    }

    /// Writes for every method `<folder>/<method>/strata.csv`, a row for each cell and group, and
    /// `mantel_haenszel.csv`, a row for each cell, and returns the paths of the latter.
    ///
    /// # Errors
    /// A table cannot be written.
    pub fn write(&self, folder: &Path) -> Result<Vec<PathBuf>> {
        let Some((_, first)) = self.strata.first() else { return Ok(Vec::new()) };
        let mut written = Vec::new();
        for (place, (method, _)) in first.methods().iter().enumerate() {
            let folder = folder.join(method);
            std::fs::create_dir_all(&folder).map_err(Error::io("create", &folder))?;
            let groups: Vec<(&str, &Counts)> = self
                .strata
                .iter()
                .map(|(name, matrices)| (name.as_str(), &matrices.methods()[place].1))
                .collect();
            let cells = self.often(&groups);
            self.write_groups(&folder.join("strata.csv"), &groups, &cells)?;
            let path = folder.join("mantel_haenszel.csv");
            self.write_common(&path, &groups, &cells)?;
            written.push(path);
        }
        Ok(written)
    }

    /// Cells of classes that are important in at least so many pictures as the rule asks, with
    /// labels that occur.
    fn often(&self, groups: &[(&str, &Counts)]) -> Vec<(usize, usize)> {
        let important = |class| {
            groups
                .iter()
                .map(|(_, counts)| counts.cells.index_axis(Axis(0), class).sum())
                .sum::<u64>()
        };
        let labels: Vec<usize> = (0..self.labels.len())
            .filter(|&label| groups.iter().any(|(_, counts)| counts.images[label] > 0))
            .collect();
        let classes =
            (0..self.classes.len()).filter(|&class| important(class) >= self.rule.min_images);
        classes.flat_map(|class| labels.iter().map(move |&label| (class, label))).collect()
    }

    fn write_groups(
        &self,
        path: &Path,
        groups: &[(&str, &Counts)],
        cells: &[(usize, usize)],
    ) -> Result<()> {
        table(path, |table| {
            let head = [
                "class",
                "label",
                &self.column,
                "images_with_label",
                "important_with_label",
                "share",
            ];
            let others = [
                "share_low",
                "share_high",
                "other_images",
                "other_important",
                "base_rate",
                "log_odds",
            ];
            table.row(head.into_iter().chain(others).chain(["log_odds_error"]))?;
            for &(class, label) in cells {
                for (group, counts) in groups {
                    let [[hits, images], [other_hits, other_images]] =
                        of_cell(counts, class, label);
                    let share =
                        |hits: u64, images: u64| (images > 0).then(|| hits as f64 / images as f64);
                    let (low, high) = wilson(hits, images).unzip();
                    let odds =
                        TwoByTwo::of_groups([hits, images], [other_hits, other_images]).log_odds();
                    let mut row = vec![
                        self.classes[class].clone(),
                        self.labels[label].clone(),
                        group.to_string(),
                    ];
                    row.extend([images, hits].map(|count| count.to_string()));
                    row.extend([share(hits, images), low, high].map(number));
                    row.extend([other_images, other_hits].map(|count| count.to_string()));
                    row.push(number(share(other_hits, other_images)));
                    row.extend(
                        [odds.map(|odds| odds.value), odds.map(|odds| odds.error)].map(number),
                    );
                    table.row(row)?;
                }
            }
            Ok(())
        })
    }

    fn write_common(
        &self,
        path: &Path,
        groups: &[(&str, &Counts)],
        cells: &[(usize, usize)],
    ) -> Result<()> {
        let found: Vec<Option<Stratified>> = cells
            .iter()
            .map(|&(class, label)| {
                let table = |(_, counts): &(&str, &Counts)| {
                    let [with_label, others] = of_cell(counts, class, label);
                    TwoByTwo::of_groups(with_label, others)
                };
                stratified(&groups.iter().map(table).collect::<Vec<_>>())
            })
            .collect();
        let p_values: Vec<Option<f64>> =
            found.iter().map(|one| one.map(|one| one.p_value)).collect();
        let homogeneity: Vec<Option<f64>> =
            found.iter().map(|one| one.and_then(|one| one.homogeneity_p_value)).collect();
        let (q, homogeneity_q) = (q_values(&p_values), q_values(&homogeneity));
        table(path, |table| {
            table.row([
                "class",
                "label",
                "groups",
                "odds_ratio",
                "odds_ratio_low",
                "odds_ratio_high",
                "p",
                "q",
                "homogeneity_p",
                "homogeneity_q",
            ])?;
            for (place, &(class, label)) in cells.iter().enumerate() {
                let odds = found[place].and_then(|one| one.odds_ratio);
                let mut row = vec![self.classes[class].clone(), self.labels[label].clone()];
                row.push(found[place].map_or(0, |one| one.strata).to_string());
                row.extend(
                    [
                        odds.map(|odds| odds.value),
                        odds.map(|odds| odds.lower),
                        odds.map(|odds| odds.upper),
                    ]
                    .map(number),
                );
                row.extend([p_values[place], q[place].map(|(q, _)| q)].map(number));
                row.extend([homogeneity[place], homogeneity_q[place].map(|(q, _)| q)].map(number));
                table.row(row)?;
            }
            Ok(())
        })
    }
}

/// Pictures with the label in which the class is important, and all of them; then the same of other
/// labels.
fn of_cell(counts: &Counts, class: usize, label: usize) -> [[u64; 2]; 2] {
    let (hits, images) = (counts.cells[[class, label]], counts.images[label]);
    let all = [counts.cells.row(class).sum(), counts.images.iter().sum()];
    [[hits, images], [all[0] - hits, all[1] - images]]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two groups of pictures of three labels, of which the third occurs in none.
    fn groups() -> [Counts; 2] {
        let mut groups = [Counts::new(2, 3), Counts::new(2, 3)];
        let mut add = |group: usize, label, times, classes: &[usize]| {
            (0..times).for_each(|_| groups[group].add(label, classes));
        };
        add(0, 0, 3, &[0]);
        add(0, 0, 1, &[]);
        add(0, 1, 2, &[0]);
        add(0, 1, 1, &[1]);
        add(0, 1, 3, &[]);
        add(1, 0, 1, &[0]);
        add(1, 0, 4, &[]);
        groups
    }

    fn report(min_images: u64) -> StrataReport {
        let strings = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        StrataReport {
            column: "year".into(),
            strata: Vec::new(),
            rule: AssociationConfig { min_images, ..AssociationConfig::default() },
            classes: strings(&["Tree", "Cat"]),
            labels: strings(&["Joy", "Awe", "Fear"]),
            left_out: 0,
        }
    }

    #[test]
    fn a_cell_beside_the_other_labels() {
        let [old, new] = groups();
        assert_eq!(of_cell(&old, 0, 0), [[3, 4], [2, 6]]);
        assert_eq!(of_cell(&old, 1, 1), [[1, 6], [0, 4]]);
        assert_eq!(of_cell(&new, 0, 1), [[0, 0], [1, 5]]);
    }

    #[test]
    fn cells_are_those_of_frequent_classes_and_labels_that_occur() {
        let [old, new] = groups();
        let groups = [("1970", &old), ("1980", &new)];
        assert_eq!(report(2).often(&groups), [(0, 0), (0, 1)]);
        assert_eq!(report(6).often(&groups), [(0, 0), (0, 1)], "six pictures in both together");
        assert_eq!(report(7).often(&groups), []);
        assert_eq!(report(1).often(&groups), [(0, 0), (0, 1), (1, 0), (1, 1)]);
    }

    #[test]
    fn a_row_for_each_group_by_hand() {
        let [old, new] = groups();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("strata.csv");
        let groups = [("1970", &old), ("1980", &new)];
        report(2).write_groups(&path, &groups, &[(0, 0), (0, 1)]).unwrap();
        let text = std::fs::read_to_string(path).unwrap();
        let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split(',').collect()).collect();
        // Class, label and group, images and important ones, share; then those of other labels.
        let shown = |row: &Vec<&str>| [&row[..6], &row[8..11]].concat().join(" ");
        let wanted = [
            "class label year images_with_label important_with_label share other_images other_important base_rate",
            "Tree Joy 1970 4 3 0.75 6 2 0.3333333333333333",
            "Tree Joy 1980 5 1 0.2 0 0 ",
            "Tree Awe 1970 6 2 0.3333333333333333 4 3 0.75",
            "Tree Awe 1980 0 0  5 1 0.2",
        ];
        assert_eq!(rows.iter().map(shown).collect::<Vec<_>>(), wanted);
    }
}
