//! Adjective-noun pairs of pictures ("smiling face", "red flower"): how probable each pair is, by a
//! picture's path.
//!
//! In: a CSV file with the column `path` and one column a pair; or a matrix without names, as NPY
//! or as DeepSentiBank writes it (`*_prob.dat`: 32-bit floats in the machine's order, a row a
//! picture, no header), with a JSON list of the pairs' names beside it and a list of the pictures
//! in the order of the rows. Of scenes of the drawn world the pairs are known; they are made less
//! certain on purpose.

use super::{DrawnConfig, LabelledPicture};
use crate::attribution::external::npy_matrix;
use crate::files::read_text;
use crate::random::Random;
use crate::world::{Lesson, Variant, kind_name};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// The largest file of pairs that is read: 200,000 pictures of 2,089 pairs.
const MAX_FILE_BYTES: u64 = 2 << 30;

/// `[anp]`
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PairsConfig {
    /// A CSV, NPY or DAT file; empty: there are none, or those of the drawn world.
    pub file: String,
    /// A JSON list of the pairs' names, for NPY and DAT.
    pub names: String,
    /// A list of the pictures in the order of the rows, for NPY and DAT.
    pub pictures: String,
}

/// The pairs of pictures.
#[derive(Debug, Clone)]
pub struct Pairs {
    /// Their names.
    pub names: Vec<String>,
    known: Known,
}

#[derive(Debug, Clone)]
enum Known {
    ByPath(BTreeMap<String, Vec<f32>>),
    Drawn { kinds: Vec<(usize, Variant)>, noise: f64 },
}

impl Pairs {
    /// Those that a file says.
    ///
    /// # Errors
    /// A file that cannot be read; numbers of rows, names and pictures that do not go together; a
    /// value that is not from 0 to 1.
    pub fn read(config: &PairsConfig) -> Result<Self> {
        let file = Path::new(&config.file);
        let length = std::fs::metadata(file).map_err(Error::io("read", file))?.len();
        if length > MAX_FILE_BYTES {
            return Err(Error::file(
                file,
                format!("{length} bytes, {MAX_FILE_BYTES} are the limit"),
            ));
        }
        let extension =
            file.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        match extension.to_lowercase().as_str() {
            "csv" => table(file),
            "npy" => {
                let (columns, values) = npy_matrix(file, length)?;
                matrix(config, file, columns, &values)
            }
            "dat" => {
                let bytes = std::fs::read(file).map_err(Error::io("read", file))?;
                let values: Vec<f32> =
                    bytes.as_chunks::<4>().0.iter().map(|four| f32::from_ne_bytes(*four)).collect();
                let columns = names(config, file)?.len();
                if columns == 0 || bytes.len() % (4 * columns) != 0 {
                    let message = format!(
                        "{length} bytes are no whole rows of {columns} 32-bit floats, one a name"
                    );
                    return Err(Error::file(file, message));
                }
                matrix(config, file, columns, &values)
            }
            _ => Err(Error::file(file, "expected adjective-noun pairs as .csv, .npy or .dat")),
        }
    }

    /// Those of the scenes of a lesson: each that is there or not there is taken for the opposite
    /// in a share of `pair_noise`, and is then claimed with a probability from 0.5 to 1, or below
    /// 0.5.
    pub fn drawn(config: &DrawnConfig, lesson: &Lesson) -> Self {
        let kinds = lesson.kinds();
        let names = kinds.iter().map(|&(class, variant)| pair_name(class, variant)).collect();
        Self { names, known: Known::Drawn { kinds, noise: config.pair_noise } }
    }

    /// Those of a picture.
    ///
    /// # Panics
    /// They are not known: [`Self::check`] says so before.
    pub fn of(&self, item: &LabelledPicture) -> Vec<f32> {
        match &self.known {
            Known::ByPath(known) => known[&item.path].clone(),
            Known::Drawn { kinds, noise } => drawn_pairs(item, kinds, *noise),
        }
    }

    /// Refuses pictures whose pairs are not known.
    ///
    /// # Errors
    /// The first picture without pairs, and how many there are.
    pub fn check(&self, file: &str, items: &[LabelledPicture]) -> Result<()> {
        let missing = |item: &&LabelledPicture| match &self.known {
            Known::ByPath(known) => !known.contains_key(&item.path),
            Known::Drawn { .. } => item.scene().is_none(),
        };
        let without: Vec<&LabelledPicture> = items.iter().filter(missing).collect();
        match without.first() {
            Some(first) => Err(Error::file(
                Path::new(file),
                format!(
                    "has no adjective-noun pairs of {} pictures, as {}",
                    without.len(),
                    first.path
                ),
            )),
            None => Ok(()),
        }
    }
}

/// The names of a matrix's columns.
fn names(config: &PairsConfig, file: &Path) -> Result<Vec<String>> {
    if config.names.is_empty() {
        return Err(Error::file(
            file,
            "has no names in it: give a JSON list of them as [anp] names",
        ));
    }
    let path = Path::new(&config.names);
    serde_json::from_str(&read_text(path)?)
        .map_err(|error| Error::file(path, format!("not a JSON list of the pairs' names: {error}")))
}

fn matrix(config: &PairsConfig, file: &Path, columns: usize, values: &[f32]) -> Result<Pairs> {
    let names = names(config, file)?;
    if names.len() != columns {
        return Err(Error::file(
            file,
            format!("has {columns} columns, {} has {} names", config.names, names.len()),
        ));
    }
    if config.pictures.is_empty() {
        return Err(Error::file(
            file,
            "does not name pictures: give a list of them as [anp] pictures",
        ));
    }
    let list = read_text(Path::new(&config.pictures))?;
    let paths: Vec<&str> = list.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if values.len() != paths.len() * columns {
        let rows = values.len() / columns;
        return Err(Error::file(
            file,
            format!("has {rows} rows, {} names {} pictures", config.pictures, paths.len()),
        ));
    }
    joined(
        file,
        names,
        paths.into_iter().map(String::from).zip(values.chunks_exact(columns).map(<[f32]>::to_vec)),
    )
}

fn table(file: &Path) -> Result<Pairs> {
    let refuse = |error: csv::Error| {
        Error::file(file, format!("not a table of adjective-noun pairs: {error}"))
    };
    let mut reader = csv::Reader::from_path(file).map_err(refuse)?;
    let header = reader.headers().map_err(refuse)?.clone();
    if header.get(0) != Some("path") || header.len() < 2 {
        return Err(Error::file(
            file,
            "expected a first column `path` and a column for each adjective-noun pair",
        ));
    }
    let mut rows = Vec::new();
    for (number, record) in reader.records().enumerate() {
        let record = record.map_err(refuse)?;
        let values = record.iter().skip(1).map(|cell| {
            cell.trim()
                .parse::<f32>()
                .map_err(|_| Error::line(file, number + 2, format!("`{cell}` is no number")))
        });
        rows.push((record[0].to_string(), values.collect::<Result<Vec<_>>>()?));
    }
    joined(file, header.iter().skip(1).map(String::from).collect(), rows.into_iter())
}

fn joined(
    file: &Path,
    names: Vec<String>,
    rows: impl Iterator<Item = (String, Vec<f32>)>,
) -> Result<Pairs> {
    let mut known = BTreeMap::new();
    for (path, values) in rows {
        if let Some(wrong) = values.iter().find(|value| !(0.0..=1.0).contains(*value)) {
            return Err(Error::file(
                file,
                format!("{path}: a probability from 0 to 1 was expected, found {wrong}"),
            ));
        }
        if known.insert(path.clone(), values).is_some() {
            return Err(Error::file(file, format!("has {path} twice")));
        }
    }
    Ok(Pairs { names, known: Known::ByPath(known) })
}

/// "smiling human face"; things that have no variant are "plain".
fn pair_name(class: usize, variant: Variant) -> String {
    let name = kind_name(class, variant);
    if variant == Variant::Plain { format!("plain {name}") } else { name }
}

fn drawn_pairs(item: &LabelledPicture, kinds: &[(usize, Variant)], noise: f64) -> Vec<f32> {
    let scene = item.scene().expect("only scenes have drawn pairs");
    let mut random = Random::of_text(scene.seed, "pairs");
    let claim = |&(class, variant): &(usize, Variant)| {
        let there =
            scene.objects.iter().any(|object| object.class == class && object.variant == variant);
        let claimed = there != (random.uniform(0.0, 1.0) < noise);
        random.uniform(0.0, 0.5) as f32 + if claimed { 0.5 } else { 0.0 }
    };
    kinds.iter().map(claim).collect()
}
