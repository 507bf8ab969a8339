//! Per method `association.csv`, `counts.csv`, `statistics.csv`, heatmap and forest plot,
//! recomputed from the records; by a method that gives regions values also what objects do to the
//! answer.

mod missing;
mod of_cells;
mod of_effects;
mod words;

use super::mean_scores::ScoreSums;
use super::{CellTable, Counts, Effects, Importance, detected_classes};
use crate::annotations::PeopleLabels;
use crate::attribution::{Method, Needs};
use crate::config::{AssociationConfig, BackgroundRow, HeatmapKind};
use crate::files::write_whole;
use crate::names::{BACKGROUND, counted};
use crate::networks::Scalar;
use crate::plot::{self, Heatmap, Svg};
use crate::run::record::ImageRecord;
use crate::run::{Manifest, Run};
use crate::stats::quantile;
use crate::{Error, Result};
use ndarray::Array2;
use rayon::prelude::*;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// More columns no heatmap shows: its text would be too small to read.
const MOST_COLUMNS: usize = 100;

/// What the columns of matrices are.
#[derive(Debug, Clone, Default)]
pub enum Columns {
    /// What the network answers.
    #[default]
    Answers,
    /// Bins of the answers of a network with a single output, in place of those of its card.
    Bins(Scalar),
    /// Labels that people gave; pictures without one do not count.
    People(Arc<PeopleLabels>),
}

impl Columns {
    /// Their names; `answers` are the run's.
    pub(crate) fn names(&self, answers: &[String]) -> Vec<String> {
        match self {
            Self::Answers => answers.to_vec(),
            Self::Bins(scalar) => Scalar::bins(&scalar.name, &scalar.thresholds),
            Self::People(truth) => truth.names.clone(),
        }
    }

    /// The column that a picture belongs to.
    pub(crate) fn of(&self, record: &ImageRecord) -> Option<usize> {
        match (self, record.output) {
            (Self::Bins(scalar), Some(output)) => Some(scalar.bin(output)),
            (Self::People(truth), _) => truth.of_picture(&record.path),
            _ => Some(record.label),
        }
    }

    /// What the columns are, for notes below pictures, where it is not what goes without saying.
    pub(crate) fn described(&self) -> Option<String> {
        matches!(self, Self::People(_)).then(|| "Columns: labels that people gave.".into())
    }
}

/// The counts of every method of a run.
#[derive(Debug)]
pub struct Matrices {
    methods: Vec<(String, Counts)>,
    /// The scores themselves, one a method.
    scores: Vec<ScoreSums>,
    /// In which pictures classes are detected, whatever the map says.
    detected: Counts,
    /// Of methods whose regions have values, one a method.
    effects: Vec<Option<Effects>>,
    seed: u64,
    importance: Importance,
    labels: Vec<String>,
    /// The last may be the background.
    classes: Vec<String>,
    /// Its row.
    background: Option<usize>,
    columns: Columns,
    warning: Option<String>,
}

/// Counts a run's records by `rule`, for every method at once.
///
/// # Errors
/// The records cannot be read; the rule does not fit the run's network.
pub fn matrices(run: &Run, rule: &AssociationConfig, columns: Columns) -> Result<Matrices> {
    let mut matrices = Matrices::new(&run.manifest, &Importance::of_run(run, rule)?, columns);
    run.for_each_record(|record| {
        matrices.add(&record);
        Ok(())
    })?;
    Ok(matrices)
}

/// `count` bins of the answers of a network with a single output, with about as many pictures in
/// each: edges are the quantiles k / `count` of the run's answers (linear interpolation), equal
/// ones once.
///
/// # Errors
/// The network of the run has labels; the records cannot be read, or there is none.
pub fn quantile_bins(run: &Run, count: usize) -> Result<Scalar> {
    let Some(name) = run.manifest.output.clone() else {
        let message =
            "its network has labels; bins are for networks with a single output: leave out --bins";
        return Err(Error::file(run.folder(), message));
    };
    let mut answers: Vec<f64> = Vec::new();
    run.for_each_record(|record| {
        answers.extend(record.output.map(f64::from));
        Ok(())
    })?;
    if answers.is_empty() {
        return Err(Error::file(run.folder(), "has no records yet: nothing to divide into bins"));
    }
    answers.sort_by(f64::total_cmp);
    // As the answers are: in single precision, which is also what names the bins.
    let edge = |k: usize| f64::from(quantile(&answers, k as f64 / count as f64) as f32);
    let mut thresholds: Vec<f64> = (1..count).map(edge).collect();
    thresholds.dedup();
    Ok(Scalar { name, thresholds })
}

/// The labels that a heatmap has columns for, in their order: all, or of many those with the most
/// images.
fn shown(images: &[u64]) -> Vec<usize> {
    let mut labels: Vec<usize> = (0..images.len()).collect();
    if labels.len() > MOST_COLUMNS {
        labels.sort_by_key(|&label| std::cmp::Reverse(images[label]));
        labels.truncate(MOST_COLUMNS);
        labels.sort_unstable();
    }
    labels
}

impl Matrices {
    /// Of no picture yet.
    pub fn new(manifest: &Manifest, importance: &Importance, columns: Columns) -> Self {
        let (labels, mut classes) = (columns.names(&manifest.labels), manifest.classes.clone());
        let background =
            (importance.rule().background == BackgroundRow::Row).then_some(classes.len());
        classes.extend(background.map(|_| BACKGROUND.into()));
        let names = manifest.configuration.cam.names().into_iter();
        let methods: Vec<_> =
            names.map(|name| (name, Counts::new(classes.len(), labels.len()))).collect();
        let game = |method: &Method| (method.row().needs == Needs::Regions).then(Effects::default);
        let effects = manifest.configuration.cam.methods_of_maps().iter().map(game).collect();
        let seed = manifest.configuration.cam.seed;
        Self {
            scores: vec![ScoreSums::new(classes.len(), labels.len()); methods.len()],
            methods,
            detected: Counts::new(classes.len(), labels.len()),
            effects,
            seed,
            importance: importance.clone(),
            labels,
            classes,
            background,
            columns,
            warning: manifest.warning.clone(),
        }
    }

    /// Counts a picture, if its label is sure enough and it belongs to a column.
    ///
    /// # Panics
    /// When the record does not fit the manifest; [`Run`] has checked those it reads.
    pub fn add(&mut self, record: &ImageRecord) {
        if !self.importance.rule().takes(record.margin()) {
            return;
        }
        let Some(label) = self.columns.of(record) else { return };
        let mut detected = detected_classes(record, self.importance.rule());
        detected.extend(self.background);
        self.detected.add(label, &detected);
        for (method, ((_, counts), scores)) in
            self.methods.iter_mut().zip(&mut self.scores).enumerate()
        {
            let mut important = self.importance.classes(record, method);
            scores.add(record, method, label, &self.importance);
            if let Some(background) = self.background {
                important.extend(
                    self.importance.background_counts(record, method).then_some(background),
                );
                scores.add_number(
                    background,
                    label,
                    self.importance.background_number(record, method),
                );
            }
            counts.add(label, &important);
        }
        for (effects, map) in self.effects.iter_mut().zip(&record.maps) {
            if let (Some(effects), Some(game)) = (effects, map.game_of_regions()) {
                effects.add(record, label, game, self.importance.rule().min_confidence);
            }
        }
    }

    /// In how many pictures of each column each class is detected.
    pub fn detected(&self) -> &Counts {
        &self.detected
    }

    /// Every method's name and counts.
    pub fn methods(&self) -> &[(String, Counts)] {
        &self.methods
    }

    /// Names of the columns.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// Names of the rows.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// Writes `<folder>/<method>/association.csv`, `counts.csv`, `mean_scores.csv`,
    /// `statistics.csv`, `heatmap.png` and `forest.png` with their SVGs for every method, and
    /// returns the pictures' paths. A method by which no box counts has no heatmap, and one without
    /// a class that is important often enough no forest plot. One that gives regions values has
    /// `effects.csv`, `effects_matrix.csv` and `most_important_matrix.csv` too, and of these two
    /// `effects.png` and `most_important.png` with their SVGs.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<Vec<PathBuf>> {
        // Drawing takes most of the time, and methods have nothing to do with each other.
        let of_method = |number: usize| -> Result<Vec<PathBuf>> {
            let (method, counts) = &self.methods[number];
            let folder = folder.join(method);
            let mut pictures = self.write_method(&folder, method, counts, &self.scores[number])?;
            if let Some(effects) = self.effects.get(number).and_then(Option::as_ref) {
                pictures.extend(self.write_effects(&folder, method, effects)?);
            }
            Ok(pictures)
        };
        let pictures: Result<Vec<Vec<PathBuf>>> =
            (0..self.methods.len()).into_par_iter().map(of_method).collect();
        Ok(pictures?.concat())
    }

    /// The classes with the highest mean share, at most `top`, the highest first; labels of few
    /// images do not count ([`Counts::prominent_by_labels_of`]).
    pub fn prominent(&self, counts: &Counts, top: usize) -> Vec<usize> {
        counts.prominent_by_labels_of(top, self.importance.rule().min_images)
    }

    /// The statistics of a method's cells.
    pub fn cells(&self, counts: &Counts) -> CellTable {
        CellTable::new(counts, &self.detected, self.importance.rule().min_images)
    }

    fn write_method(
        &self,
        folder: &Path,
        method: &str,
        counts: &Counts,
        scores: &ScoreSums,
    ) -> Result<Vec<PathBuf>> {
        std::fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        self.matrix(&folder.join("association.csv"), &counts.association())?;
        let rows =
            counts.cells.rows().into_iter().map(|row| row.iter().map(u64::to_string).collect());
        self.table(
            &folder.join("counts.csv"),
            rows.chain([counts.images.iter().map(u64::to_string).collect()]),
        )?;
        self.matrix(&folder.join("mean_scores.csv"), &scores.means(&counts.images))?;
        let cells = self.cells(counts);
        cells.write(
            &folder.join("statistics.csv"),
            &self.classes,
            &self.labels,
            self.importance.nested(),
        )?;
        let heatmap = self.heatmap(method, counts, &cells);
        let forest = self.forest(method, &cells);
        let pictures = [
            picture(folder, "heatmap", heatmap.rows.is_empty(), || heatmap.svg())?,
            picture(folder, "forest", forest.rows.is_empty(), || forest.svg())?,
        ];
        Ok(pictures.into_iter().flatten().collect())
    }

    /// What the configuration wants to see in the cells.
    fn heatmap(&self, method: &str, counts: &Counts, cells: &CellTable) -> Heatmap {
        let classes = self.heatmap_classes(counts, cells);
        let mut heatmap = match self.importance.rule().heatmap {
            HeatmapKind::Shares => self.heatmap_of_shares(method, counts, &classes),
            HeatmapKind::Difference | HeatmapKind::LogOdds => {
                self.heatmap_of_cells(method, counts, cells, &classes)
            }
        };
        if self.importance.rule().mark || self.importance.rule().heatmap != HeatmapKind::Shares {
            self.mark(&mut heatmap, counts, cells, &classes);
        }
        heatmap.notes.extend(self.importance.rule().images_described());
        heatmap
    }

    /// The paper's Fig. 2: the most prominent classes, every share with its denominator below the
    /// column.
    fn heatmap_of_shares(&self, method: &str, counts: &Counts, classes: &[usize]) -> Heatmap {
        let images: u64 = counts.images.iter().sum();
        let mut heatmap =
            self.drawn(&counts.association(), classes, &counts.images, "association.csv");
        heatmap.title = "Objects and emotions".into();
        heatmap.subtitle = Some(format!(
            "{method}, {}: share of an emotion's images in which a class is important; the {} most \
             prominent of {} classes",
            counted(images, "image"),
            classes.len(),
            self.classes.len()
        ));
        heatmap.value_label = "share of the images of an emotion".into();
        heatmap.empty_label = "no image got this label".into();
        heatmap.notes.insert(0, self.importance.rule().described());
        heatmap
    }

    /// The rows `classes` of a matrix of classes x labels, with each label's number of images below
    /// its column; `table` is the file that has the whole matrix.
    fn drawn(
        &self,
        matrix: &Array2<Option<f64>>,
        classes: &[usize],
        images: &[u64],
        table: &str,
    ) -> Heatmap {
        let columns = shown(images);
        let mut notes = Vec::new();
        if columns.len() < self.labels.len() {
            let (shown, all) = (columns.len(), self.labels.len());
            notes.push(format!(
                "The {shown} labels with the most images of {all}; {table} has all."
            ));
        }
        let min_images = self.importance.rule().min_images;
        let faded: Vec<usize> =
            (0..columns.len()).filter(|&at| images[columns[at]] < min_images).collect();
        if faded.iter().any(|&at| images[columns[at]] > 0) {
            let order =
                if faded.len() < columns.len() { ", which do not order the rows" } else { "" };
            notes.push(format!(
                "Faded: labels of fewer than {min_images} images (--min-images){order}."
            ));
        }
        notes.extend(self.columns.described());
        notes.extend(self.warning.iter().map(|warning| format!("Warning: {warning}.")));
        let values = |&class: &usize| columns.iter().map(|&label| matrix[[class, label]]).collect();
        Heatmap {
            rows: classes.iter().map(|&class| self.classes[class].clone()).collect(),
            columns: columns.iter().map(|&label| self.labels[label].clone()).collect(),
            values: classes.iter().map(values).collect(),
            column_notes: columns.iter().map(|&label| images[label].to_string()).collect(),
            column_notes_label: "images".into(),
            faded,
            notes,
            ..Heatmap::default()
        }
    }

    /// The table of a matrix of classes x labels.
    fn matrix(&self, path: &Path, matrix: &Array2<Option<f64>>) -> Result<()> {
        let cell = |value: &Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
        self.table(path, matrix.rows().into_iter().map(|row| row.iter().map(cell).collect()))
    }

    /// A table with the labels as header and the classes, then `images`, as first column.
    fn table(&self, path: &Path, rows: impl Iterator<Item = Vec<String>>) -> Result<()> {
        let failed = |error: csv::Error| Error::file(path, format!("cannot be written: {error}"));
        write_whole(path, |file| {
            let mut table = csv::Writer::from_writer(file);
            table
                .write_record(["class"].into_iter().chain(self.labels.iter().map(String::as_str)))
                .map_err(failed)?;
            let names = self.classes.iter().map(String::as_str).chain(["images"]);
            for (name, cells) in names.zip(rows) {
                table.write_record([name.to_string()].into_iter().chain(cells)).map_err(failed)?;
            }
            table.flush().map_err(Error::io("write", path))
        })
    }
}

/// Writes `<folder>/<name>.png` and `.svg` and returns the path of the PNG; of a picture that is
/// empty none, and one of an earlier look is removed.
pub(super) fn picture(
    folder: &Path,
    name: &str,
    empty: bool,
    draw: impl FnOnce() -> Result<Svg>,
) -> Result<Option<PathBuf>> {
    let [png, svg] = ["png", "svg"].map(|kind| folder.join(format!("{name}.{kind}")));
    if !empty {
        plot::write(&draw()?, &png, &svg)?;
        return Ok(Some(png));
    }
    for outdated in [png, svg].into_iter().filter(|path| path.exists()) {
        std::fs::remove_file(&outdated).map_err(Error::io("remove the outdated", &outdated))?;
    }
    Ok(None)
}
