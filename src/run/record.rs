//! What a pass over a corpus keeps of every picture, and the file it is kept in.
//!
//! `records.jsonl` holds one JSON object a line, appended as the pass goes. A line that a kill tore is dropped when the
//! run is resumed; any other damage is an error that names the line. Knows nothing of networks.

use super::Manifest;
use crate::attribution::Game;
use crate::image::{BoundingBox, Extent};
use crate::score::{BoxScore, MapGrid};
use crate::{Error, Result};
use rayon::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// One picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageRecord {
    /// Its path, as in every table.
    pub path: String,
    /// Pixels per row, upright.
    pub width: u32,
    /// Number of rows.
    pub height: u32,
    /// Index of the most probable label.
    pub label: usize,
    /// Softmax, one a label; empty for a network with a single output.
    pub probabilities: Vec<f32>,
    /// The output of a network with a single one; the label is the bin it lies in.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub output: Option<f32>,
    /// Valence predicted from the probabilities, when the model has a regression for it.
    pub valence: Option<f32>,
    /// Arousal, likewise.
    pub arousal: Option<f32>,
    /// Every labelled region over the detector's threshold that has a part in the picture, by falling confidence.
    pub boxes: Vec<BoxRecord>,
    /// Boxes that reached beyond the picture and were cut to it.
    pub clipped: usize,
    /// Boxes that lay outside the picture altogether and were dropped.
    pub outside: usize,
    /// One entry a method, in the order of the configuration.
    pub maps: Vec<MapRecord>,
}

/// One labelled region.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BoxRecord {
    /// Index of the class.
    pub class: usize,
    /// In `[0, 1]`.
    pub confidence: f32,
    /// Its box in pixels of the picture, cut to it.
    #[serde(rename = "box")]
    pub bounding_box: BoundingBox,
    /// The box as it was found, which may reach beyond the picture: what is scored.
    pub extent: Extent,
    /// Its pixels, where the source of the regions knows them: COCO's compressed run lengths, column by column.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rle: Option<String>,
}

/// One method's map of the picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MapRecord {
    /// The method's name.
    pub method: String,
    /// The map shows nothing: no positive part, or one too small to be normalised.
    pub flat: bool,
    /// Standard error of the channel weights as a share of their norm, by a method that estimates them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<f32>,
    /// Mean over the map, in `[0, 1]`.
    pub mean: f32,
    /// One score a box, in the order of the boxes. Of a method that gives one number a region instead of a map, its
    /// value as a share of all positive ones, in place of each number.
    pub scores: Vec<BoxScore>,
    /// Of the regions with pixels of their own their scores on these, in the order of the boxes; absent where no region
    /// of the picture has any.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub mask_scores: Vec<Option<BoxScore>>,
    /// The score of what lies in no region's box or, where it has pixels of its own, on none of these. Its contrast is
    /// to the mean inside regions; z is 0. All is 0 where regions leave nothing. Of a method that gives numbers, the
    /// background's value as a share.
    pub background: BoxScore,
    /// The map itself, coarsely; absent where a method gives regions numbers instead of a map.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub grid: Option<MapGrid>,
    /// The game that a method of Shapley values of parts of the picture played.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub game: Option<GameRecord>,
}

/// What a method of Shapley values found: `value_all` - `value_nothing` is the sum of all players' values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GameRecord {
    /// The score of the whole picture.
    pub value_all: f32,
    /// The score of the picture of which everything is hidden.
    pub value_nothing: f32,
    /// How often a score was evaluated.
    pub evaluations: usize,
    /// Of which layer's output places were hidden, by its name; absent: of the picture.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub layer: Option<String>,
    /// Value of what lies outside all regions, where regions play.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub background: Option<f32>,
    /// The player that each region belongs to, in the order of the boxes: regions of one number are one thing; 0 is the
    /// background.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub players: Vec<usize>,
    /// Value of each region's player, in units of the score; 0 for a region that is part of the background.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub values: Vec<f32>,
    /// Standard error of each value, where they were sampled.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub errors: Option<Vec<f32>>,
}

impl GameRecord {
    /// Whether there is one of everything a region, or of nothing.
    fn fits(&self, regions: usize) -> bool {
        let expected = if self.background.is_some() { regions } else { 0 };
        let errors = self.errors.as_ref().is_none_or(|errors| errors.len() == expected);
        self.players.len() == expected && self.values.len() == expected && errors
    }
}

impl From<&Game> for GameRecord {
    fn from(game: &Game) -> Self {
        let single = |values: &[f64]| values.iter().map(|&value| value as f32).collect();
        Self {
            value_all: game.all as f32,
            value_nothing: game.nothing as f32,
            evaluations: game.evaluations,
            layer: game.layer.clone(),
            background: game.background.map(|value| value as f32),
            players: game.players.clone(),
            values: single(&game.values),
            errors: game.errors.as_deref().map(single),
        }
    }
}

impl ImageRecord {
    /// By how much the label's probability is greater than that of the next label; `None` for a network without
    /// probabilities, or with a single label.
    pub fn margin(&self) -> Option<f32> {
        let own = *self.probabilities.get(self.label)?;
        let others = self.probabilities.iter().enumerate().filter(|(label, _)| *label != self.label);
        others.map(|(_, &probability)| own - probability).min_by(f32::total_cmp)
    }
}

impl MapRecord {
    /// The game, where regions played it.
    pub fn game_of_regions(&self) -> Option<&GameRecord> {
        self.game.as_ref().filter(|game| game.background.is_some())
    }

    /// The score that counts for the region `index`: on its own pixels where they are known, else on its box.
    pub fn score(&self, index: usize) -> &BoxScore {
        self.mask_scores.get(index).and_then(Option::as_ref).unwrap_or(&self.scores[index])
    }
}

/// What a line of a `records.jsonl` holds.
pub trait Line: Serialize + DeserializeOwned + Send {
    /// What the type alone does not say.
    ///
    /// # Errors
    /// What contradicts itself.
    fn check(&self) -> Result<(), String>;
}

/// A line that is about one picture, in the `records.jsonl` of one of the commands that make run directories.
pub trait RunRecord: Line {
    /// The picture's path, as in every table.
    fn path(&self) -> &str;

    /// What tells whether a record fits the run that `manifest` describes, in words where it does not.
    ///
    /// # Errors
    /// Another command has made the run, or its settings cannot be read; the message goes behind the run's name.
    fn fits(manifest: &Manifest) -> Result<impl Fn(&Self) -> Result<(), String>, String>;
}

/// Appends to a `records.jsonl`.
#[derive(Debug)]
pub struct RecordWriter {
    path: PathBuf,
    file: File,
}

impl RecordWriter {
    /// Opens the file for appending, making it if need be, after cutting off a torn last line.
    ///
    /// # Errors
    /// The file cannot be opened, read or cut; another process has it open for appending.
    pub fn open(path: &Path) -> Result<Self> {
        let mut file =
            OpenOptions::new().read(true).append(true).create(true).open(path).map_err(Error::io("open", path))?;
        // Two processes would record every picture twice. Where the file system knows no locks, the user must see to
        // it.
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            return Err(Error::file(
                path,
                "another emocam is writing to it: wait for that one, or name another folder",
            ));
        }
        let whole = whole_lines(&mut file).map_err(Error::io("read", path))?;
        file.set_len(whole).map_err(Error::io("cut the torn last line of", path))?;
        Ok(Self { path: path.into(), file })
    }

    /// Keeps the first `count` lines alone.
    ///
    /// # Errors
    /// There are fewer, or the file cannot be read or cut.
    pub fn keep(&mut self, count: usize) -> Result<()> {
        let lines = BufReader::with_capacity(1 << 20, File::open(&self.path).map_err(Error::io("read", &self.path))?);
        let (mut length, mut found) = (0, 0);
        for line in lines.split(b'\n').take(count) {
            length += line.map_err(Error::io("read", &self.path))?.len() as u64 + 1;
            found += 1;
        }
        if found < count {
            return Err(Error::file(&self.path, format!("has {found} records, expected at least {count}")));
        }
        self.file.set_len(length).map_err(Error::io("cut", &self.path))
    }

    /// Appends one line a record and waits until they are on the disk.
    ///
    /// # Errors
    /// The disk is full or gone; what was written before is safe.
    pub fn append<R: Line>(&mut self, records: &[R]) -> Result<()> {
        let mut lines = Vec::new();
        for record in records {
            serde_json::to_writer(&mut lines, record).map_err(|e| Error::file(&self.path, e.to_string()))?;
            lines.push(b'\n');
        }
        self.file
            .write_all(&lines)
            .and_then(|()| self.file.sync_data())
            .map_err(Error::io("append records to", &self.path))
    }
}

/// Whole lines of the file.
///
/// # Errors
/// It cannot be read.
pub fn count_lines(path: &Path) -> Result<usize> {
    let mut reader = BufReader::with_capacity(1 << 20, File::open(path).map_err(Error::io("read", path))?);
    let mut lines = 0;
    loop {
        let block = reader.fill_buf().map_err(Error::io("read", path))?;
        if block.is_empty() {
            return Ok(lines);
        }
        lines += block.iter().filter(|&&byte| byte == b'\n').count();
        let length = block.len();
        reader.consume(length);
    }
}

/// Length of the file up to and including its last line feed.
fn whole_lines(file: &mut File) -> std::io::Result<u64> {
    let mut end = file.seek(SeekFrom::End(0))?;
    let mut block = vec![0; 64 * 1024];
    while end > 0 {
        let start = end.saturating_sub(block.len() as u64);
        let part = &mut block[..(end - start) as usize];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(part)?;
        if let Some(at) = part.iter().rposition(|&byte| byte == b'\n') {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

/// Bytes parsed at a time.
const CHUNK: usize = 4 << 20;

/// Calls `take` with every record of the file, in its order, parsing on all cores; a torn last line is passed over.
/// Memory does not depend on the file's length.
///
/// # Errors
/// The file cannot be read; a line that is no record, by its number; whatever `take` returns.
pub fn for_each<R: Line>(path: &Path, mut take: impl FnMut(R) -> Result<()>) -> Result<()> {
    for_each_line(path, |_, record| take(record))
}

/// [`for_each`] with the record's line as it is in the file, line feed included.
///
/// # Errors
/// As [`for_each`].
pub(crate) fn for_each_line<R: Line>(path: &Path, mut take: impl FnMut(&[u8], R) -> Result<()>) -> Result<()> {
    let mut reader = BufReader::with_capacity(1 << 20, File::open(path).map_err(Error::io("read", path))?);
    let mut number = 0;
    loop {
        let lines = read_lines(&mut reader, path, number, CHUNK)?;
        if lines.is_empty() {
            return Ok(());
        }
        number += lines.len();
        lines.into_iter().try_for_each(|(line, record)| take(&line, record))?;
    }
}

/// The next whole lines of `reader`, with their line feeds, until they have `bytes` bytes or more, and their records;
/// the first is line `before + 1` of `path`.
///
/// # Errors
/// As [`for_each`].
pub(crate) fn read_lines<R: Line>(
    reader: &mut impl BufRead,
    path: &Path,
    before: usize,
    bytes: usize,
) -> Result<Vec<(Vec<u8>, R)>> {
    let (mut lines, mut read) = (Vec::new(), 0);
    while read < bytes {
        let mut line = Vec::new();
        reader.read_until(b'\n', &mut line).map_err(Error::io("read", path))?;
        if line.last() != Some(&b'\n') {
            break;
        }
        read += line.len();
        lines.push(line);
    }
    let parse = |line: &Vec<u8>| -> Result<R, String> {
        let record: R = serde_json::from_slice(line).map_err(|error| error.to_string())?;
        record.check().map(|()| record)
    };
    let records: Vec<_> = lines.par_iter().map(parse).collect();
    let numbered = (before + 1..).zip(lines.into_iter().zip(records));
    let whole = numbered.map(|(number, (line, record))| match record {
        Ok(record) => Ok((line, record)),
        Err(cause) => Err(Error::line(path, number, format!("not a record of this version of emocam: {cause}"))),
    });
    whole.collect()
}

impl Line for ImageRecord {
    fn check(&self) -> Result<(), String> {
        if self.output.is_some() != self.probabilities.is_empty() {
            return Err("it should have either probabilities or a single output".into());
        }
        if self.output.is_none() && self.label >= self.probabilities.len() {
            return Err(format!("label {} of {}", self.label, self.probabilities.len()));
        }
        if self.width == 0 || self.height == 0 {
            return Err(format!("a picture of {} x {} pixels", self.width, self.height));
        }
        self.check_probabilities()?;
        let count = self.boxes.len();
        for (number, region) in (1..).zip(&self.boxes) {
            region.check((self.width, self.height)).map_err(|message| format!("box {number}: {message}"))?;
        }
        for map in &self.maps {
            if map.scores.len() != count {
                return Err(format!("{} scores by {} for {count} boxes", map.scores.len(), map.method));
            }
            if map.game.as_ref().is_some_and(|game| !game.fits(count)) {
                return Err(format!("the game of {} has not one value a box of {count}", map.method));
            }
            if !map.mask_scores.is_empty() && map.mask_scores.len() != count {
                return Err(format!("{} scores of masks by {} for {count} boxes", map.mask_scores.len(), map.method));
            }
        }
        Ok(())
    }
}

impl RunRecord for ImageRecord {
    fn path(&self) -> &str {
        &self.path
    }

    fn fits(manifest: &Manifest) -> Result<impl Fn(&Self) -> Result<(), String>, String> {
        match &manifest.experiment {
            None => Ok(|record: &Self| manifest.check_record(record)),
            Some(_) => Err(format!(
                "is a run of `{}`, whose records have no boxes: name a run of `emocam analyze`",
                manifest.command()
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(path: &str) -> ImageRecord {
        ImageRecord {
            path: path.into(),
            width: 30,
            height: 20,
            label: 1,
            probabilities: vec![0.25, 0.75],
            output: None,
            valence: Some(3.5),
            arousal: None,
            boxes: vec![BoxRecord {
                class: 3,
                confidence: 0.1,
                bounding_box: BoundingBox::new(0.5, 1.0, 7.25, 9.0),
                extent: Extent::new(0.5, 1.0, 7.25, 9.0),
                rle: None,
            }],
            clipped: 1,
            outside: 0,
            maps: vec![MapRecord {
                method: "grad-cam".into(),
                flat: false,
                error: None,
                mean: 0.3,
                scores: vec![BoxScore { mean: 0.31, max: 1.0, mass: 0.2, contrast: 0.1, z: -0.5, lift: 2.0 }],
                mask_scores: Vec::new(),
                background: BoxScore::default(),
                grid: None,
                game: None,
            }],
        }
    }

    fn read(path: &Path) -> Result<Vec<ImageRecord>> {
        let mut all = Vec::new();
        for_each(path, |record| {
            all.push(record);
            Ok(())
        })?;
        Ok(all)
    }

    #[test]
    fn a_torn_last_line_is_dropped_and_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("records.jsonl");
        let all = [record("a"), record("b"), record("c")];
        RecordWriter::open(&path).unwrap().append(&all).unwrap();
        let whole = std::fs::read(&path).unwrap();
        let line = whole.len() / 3;
        for cut in [0, 1, line - 1, line, line + 1, 2 * line + 5, whole.len() - 1, whole.len()] {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let kept = cut / line;
            assert_eq!(read(&path).unwrap(), all[..kept]);
            RecordWriter::open(&path).unwrap().append(&all[kept..]).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), whole);
        }
    }

    #[test]
    fn damage_before_the_end_is_an_error_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("records.jsonl");
        RecordWriter::open(&path).unwrap().append(&[record("a"), record("b")]).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replacen("\"label\":1", "\"label\":7", 2).replacen("\"label\":7", "\"label\":1", 1))
            .unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("line 2"));
    }
}
