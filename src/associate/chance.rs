//! How often a class would be important by chance: its boxes scored on the maps of other pictures.
//!
//! Pictures have their motif in the middle, maps are high in the middle, and large boxes hold some
//! of any map. So each picture's boxes are laid on the map that another picture, drawn at random,
//! has in the same run: boxes keep their sizes and places, maps their shapes, and what they have to
//! do with each other is gone. The draws are whole: in each of them every picture has one map of
//! another.
//!
//! In: a run that kept its maps. Out: per method and cell the number of pictures in which the class
//! is important beside that number by chance. No network runs.

use super::cells::number;
use super::{Columns, Importance, detected_classes};
use crate::config::AssociationConfig;
use crate::image::{Mask, Size};
use crate::random::Random;
use crate::run::record::ImageRecord;
use crate::run::{Manifest, Run, map_file, read_maps, table};
use crate::score::{BoxScore, MaskScorer, ScoreRule, Scorer};
use crate::{Error, Result};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Records that are scored at a time.
const CHUNK: usize = 256;

/// A cell by chance.
#[derive(Debug, Clone, Default, PartialEq)]
struct ChanceCell {
    /// Pictures in which the class is detected, and in which it is important.
    detected: u64,
    important: u64,
    /// In how many it is important, draw by draw.
    drawn: Vec<u64>,
}

/// Cells of a run by chance.
#[derive(Debug, Clone, PartialEq)]
pub struct ChanceLevels {
    draws: usize,
    methods: Vec<String>,
    classes: Vec<String>,
    labels: Vec<String>,
    /// By method; then by class, then by label, `None` for all labels together.
    cells: Vec<BTreeMap<(usize, Option<usize>), ChanceCell>>,
}

/// What a picture says: its label, its detected classes, and for each method which of them are
/// important in it and in each draw.
struct PictureLevels {
    label: usize,
    detected: Vec<usize>,
    important: Vec<Vec<usize>>,
    drawn: Vec<Vec<Vec<usize>>>,
}

impl ChanceLevels {
    /// Lays the boxes of each picture on `draws` maps of others; `progress` is told how many
    /// pictures are done.
    ///
    /// # Errors
    /// The run kept no maps, or lacks that of a picture; fewer than two pictures; records that
    /// cannot be read.
    pub fn read(
        run: &Run,
        rule: &AssociationConfig,
        columns: &Columns,
        draws: usize,
        progress: &mut dyn FnMut(usize),
    ) -> Result<Self> {
        let folder = kept_maps(run, rule)?;
        let importance = Importance::of_run(run, rule)?;
        // Methods that give regions numbers instead of maps have no map to lay boxes on.
        let methods = run.manifest.configuration.cam.names();
        let mut paths = Vec::new();
        run.for_each_record(|record: ImageRecord| {
            paths.push(record.path);
            Ok(())
        })?;
        paths.sort_unstable();
        if paths.len() < 2 {
            return Err(Error::file(
                run.folder(),
                "has fewer than two images: there is no map of another one",
            ));
        }
        let labels = columns.names(&run.manifest.labels);
        let mut levels = Self {
            draws,
            cells: vec![BTreeMap::new(); methods.len()],
            methods,
            classes: run.manifest.classes.clone(),
            labels,
        };
        let draw = Draw {
            run,
            importance: &importance,
            folder: &folder,
            methods: &levels.methods.clone(),
            paths: &paths,
            draws,
        };
        let (mut chunk, mut done) = (Vec::with_capacity(CHUNK), 0);
        let mut score = |chunk: &mut Vec<(usize, ImageRecord)>, levels: &mut Self| -> Result<()> {
            let found = chunk
                .par_iter()
                .map(|(label, record)| draw.levels(*label, record))
                .collect::<Result<Vec<_>>>()?;
            done += chunk.len();
            chunk.clear();
            found.iter().for_each(|picture| levels.add(picture));
            progress(done);
            Ok(())
        };
        run.for_each_record(|record: ImageRecord| {
            if let Some(label) = columns.of(&record).filter(|_| rule.takes(record.margin())) {
                chunk.push((label, record));
            }
            if chunk.len() == CHUNK { score(&mut chunk, &mut levels) } else { Ok(()) }
        })?;
        score(&mut chunk, &mut levels)?;
        Ok(levels)
    }

    fn add(&mut self, picture: &PictureLevels) {
        for (method, cells) in self.cells.iter_mut().enumerate() {
            for &class in &picture.detected {
                for label in [None, Some(picture.label)] {
                    let cell = cells.entry((class, label)).or_default();
                    cell.drawn.resize(self.draws, 0);
                    cell.detected += 1;
                    cell.important += u64::from(picture.important[method].contains(&class));
                    for (sum, drawn) in cell.drawn.iter_mut().zip(&picture.drawn[method]) {
                        *sum += u64::from(drawn.contains(&class));
                    }
                }
            }
        }
    }

    /// Writes `<folder>/<method>/chance.csv` and returns the paths.
    ///
    /// # Errors
    /// A table cannot be written.
    pub fn write(&self, folder: &Path) -> Result<Vec<PathBuf>> {
        let mut written = Vec::new();
        for (method, cells) in self.methods.iter().zip(&self.cells) {
            let folder = folder.join(method);
            std::fs::create_dir_all(&folder).map_err(Error::io("create", &folder))?;
            let path = folder.join("chance.csv");
            table(&path, |table| {
                let counts =
                    ["class", "label", "detected", "important", "by_chance", "by_chance_deviation"];
                table.row(counts.into_iter().chain(["ratio", "z", "p"]))?;
                cells.iter().try_for_each(|(&(class, label), cell)| {
                    let mut row = vec![self.classes[class].clone()];
                    row.push(label.map_or("(all)".into(), |label| self.labels[label].clone()));
                    row.extend([cell.detected, cell.important].map(|count| count.to_string()));
                    row.extend(cell.numbers().map(number));
                    table.row(row)
                })
            })?;
            written.push(path);
        }
        Ok(written)
    }
}

impl ChanceCell {
    /// The mean over the draws, their standard deviation, how many times as many pictures there are
    /// as by chance, how many deviations more, and the share of draws, the pictures themselves
    /// among them, that have as many (Phipson and Smyth 2010).
    fn numbers(&self) -> [Option<f64>; 5] {
        let count = self.drawn.len() as f64;
        let mean = self.drawn.iter().sum::<u64>() as f64 / count;
        let squares: f64 = self.drawn.iter().map(|&drawn| (drawn as f64 - mean).powi(2)).sum();
        let deviation = (count > 1.0).then(|| (squares / (count - 1.0)).sqrt());
        let important = self.important as f64;
        let as_many = self.drawn.iter().filter(|&&drawn| drawn >= self.important).count() as f64;
        let z = deviation
            .filter(|deviation| *deviation > 0.0)
            .map(|deviation| (important - mean) / deviation);
        [
            Some(mean),
            deviation,
            (mean > 0.0).then(|| important / mean),
            z,
            Some((as_many + 1.0) / (count + 1.0)),
        ]
    }
}

/// The folder of the maps that the run kept.
fn kept_maps(run: &Run, rule: &AssociationConfig) -> Result<PathBuf> {
    if rule.score == ScoreRule::Chance {
        return Err(Error::Setting(
            "chance levels lay boxes on other images' maps, and the score chance does so already: \
             choose another score (--score mean, z, ...)"
                .into(),
        ));
    }
    let folder = run.path("maps");
    match folder.is_dir() {
        true => Ok(folder),
        false => Err(Error::file(
            run.folder(),
            "kept no maps, which chance levels are made from: analyze with --save-maps",
        )),
    }
}

/// What all pictures share.
struct Draw<'a> {
    run: &'a Run,
    importance: &'a Importance,
    folder: &'a Path,
    methods: &'a [String],
    paths: &'a [String],
    draws: usize,
}

impl Draw<'_> {
    fn levels(&self, label: usize, record: &ImageRecord) -> Result<PictureLevels> {
        let own = self.paths.binary_search(&record.path).expect("paths are those of the records");
        let mut random = Random::of_text(
            self.run.manifest.configuration.cam.seed,
            &format!("chance {}", record.path),
        );
        let mut drawn = vec![Vec::with_capacity(self.draws); self.methods.len()];
        if !record.boxes.is_empty() {
            for _ in 0..self.draws {
                // Any but its own.
                let other = random.below(self.paths.len() - 1);
                let other = other + usize::from(other >= own);
                let file = map_file(self.folder, &self.paths[other]);
                let maps = read_maps(&file, self.methods)?;
                for ((map, method), drawn) in maps.iter().zip(self.methods).zip(&mut drawn) {
                    drawn.push(match map {
                        Some((size, values)) => important_on(
                            &self.run.manifest,
                            self.importance,
                            record,
                            *size,
                            values,
                        )?,
                        None if file.is_file() => Vec::new(),
                        None => {
                            return Err(Error::file(
                                &file,
                                format!("is missing: the map of {method} of this image"),
                            ));
                        }
                    });
                }
            }
        }
        let important =
            (0..self.methods.len()).map(|method| self.importance.classes(record, method)).collect();
        Ok(PictureLevels {
            label,
            detected: detected_classes(record, self.importance.rule()),
            important,
            drawn,
        })
    }
}

/// The classes that are important in a picture by a map over the network's input, which may be
/// another picture's.
fn important_on(
    manifest: &Manifest,
    importance: &Importance,
    record: &ImageRecord,
    [rows, columns]: [usize; 2],
    values: &[f32],
) -> Result<Vec<usize>> {
    let scores = scores_on(manifest, record, Size::new(columns as u32, rows as u32), values)?;
    let is_over = |at: usize| importance.rule().counts(record.boxes[at].confidence, &scores[at]);
    let important = (0..scores.len()).filter(|&at| importance.remains(record, at, is_over));
    Ok(super::each_once(important.map(|index| record.boxes[index].class).collect()))
}

/// The scores of a picture's regions on a map over the network's input, as the pass computes them:
/// on their own pixels where they are known, else on their boxes.
fn scores_on(
    manifest: &Manifest,
    record: &ImageRecord,
    size: Size,
    values: &[f32],
) -> Result<Vec<BoxScore>> {
    let picture = Size::new(record.width, record.height);
    let placement = manifest.input.placement(picture);
    let area = manifest.configuration.regions.box_area;
    let placed =
        Scorer::new(&placement, size, manifest.scoring.letterbox(picture), area).place(values);
    let mut scores: Vec<BoxScore> =
        record.boxes.iter().map(|region| placed.score(&region.extent)).collect();
    let mask = |rle: &String| {
        Mask::from_compressed(picture, rle)
            .map_err(|cause| Error::Setting(format!("a mask of {}: {cause}", record.path)))
    };
    let masks: Vec<Option<Mask>> = record
        .boxes
        .iter()
        .map(|region| region.rle.as_ref().map(mask).transpose())
        .collect::<Result<_>>()?;
    let known = masks.iter().zip(&scores).filter_map(|(mask, score)| Some((mask.as_ref()?, score)));
    let known: Vec<(&Mask, &BoxScore)> = known.collect();
    if !known.is_empty() {
        let mut of_masks = MaskScorer::new(&placement, size).scores(values, &known).into_iter();
        for (score, _) in scores.iter_mut().zip(&masks).filter(|(_, mask)| mask.is_some()) {
            *score = of_masks.next().expect("a score a mask");
        }
    }
    Ok(scores)
}

/// The scores of a record's regions by a method again, from the map that the run kept; for tests of
/// the law that a picture's boxes on its own map have the record's scores.
///
/// # Errors
/// As [`ChanceLevels::read`].
pub fn scores_from_kept_map(
    run: &Run,
    record: &ImageRecord,
    method: usize,
) -> Result<Vec<BoxScore>> {
    let file = map_file(&run.path("maps"), &record.path);
    let names = run.manifest.configuration.cam.names();
    let missing = || Error::file(&file, "has no map of this method");
    let ([rows, columns], values) =
        read_maps(&file, &names[method..=method])?.pop().flatten().ok_or_else(missing)?;
    scores_on(&run.manifest, record, Size::new(columns as u32, rows as u32), &values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_by_hand() {
        let cell = ChanceCell { detected: 20, important: 12, drawn: vec![4, 6, 8] };
        assert_eq!(cell.numbers(), [Some(6.0), Some(2.0), Some(2.0), Some(3.0), Some(0.25)]);
        let never = ChanceCell { detected: 3, important: 0, drawn: vec![0, 0] };
        assert_eq!(never.numbers(), [Some(0.0), Some(0.0), None, None, Some(1.0)]);
    }
}
