//! All photos of a report: each is decoded once, drawn for every class and method that shows it,
//! and written.

use super::ReportedRun;
use super::drawing::{LARGE, MapOverPhoto, SMALL, draw};
use super::evidence::ShownExample;
use crate::files::write_bytes;
use crate::image::{Rgb8, Size};
use crate::run::Failure;
use crate::{Error, Result};
use base64::Engine;
use rayon::prelude::*;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Where photos and maps come from.
pub trait PhotoSource: std::fmt::Debug + Sync {
    /// Is told beforehand, once, which photos will be asked for.
    ///
    /// # Errors
    /// What has to be done for all of them at once fails.
    fn expect(&self, paths: &BTreeSet<&str>) -> Result<()> {
        let _ = paths;
        Ok(())
    }

    /// The upright photo.
    ///
    /// # Errors
    /// It is not there, or cannot be decoded.
    fn photo(&self, path: &str) -> Result<Rgb8>;

    /// A method's map over the whole photo of this size, in `[0, 1]`: the map's grid and its values
    /// row by row; `None` where there is none.
    ///
    /// # Errors
    /// There is one, and it cannot be read.
    fn map(&self, path: &str, method: &str, photo: Size) -> Result<Option<(Size, Vec<f32>)>>;
}

/// Which picture: run, method, class and path.
type Key<'a> = (usize, usize, usize, &'a str);

/// A picture in the pages.
#[derive(Debug)]
pub(super) struct Shown {
    /// What its file is called, without an ending.
    pub name: String,
    /// Width and height of the small one.
    pub size: Size,
    /// The small one as JPEG, where everything is in one file.
    embedded: Vec<u8>,
    /// Whether a map lies over it.
    pub mapped: bool,
    kept: bool,
}

/// What came of drawing a picture.
type Drawn = Result<(Size, Vec<u8>, bool)>;

/// All pictures of a report.
#[derive(Debug, Default)]
pub(super) struct Gallery<'a> {
    examples: BTreeMap<Key<'a>, &'a ShownExample>,
    /// By run, method and class, then by path.
    shown: BTreeMap<(usize, usize, usize), BTreeMap<String, Shown>>,
    missing: Vec<Failure>,
}

impl<'a> Gallery<'a> {
    /// What is to be drawn.
    pub(super) fn of(runs: &'a [ReportedRun<'_>]) -> Self {
        let mut examples = BTreeMap::new();
        for (number, run) in runs.iter().enumerate() {
            for (method, of_method) in run.evidence.iter().enumerate() {
                examples.extend(of_method.iter().flat_map(|(&class, evidence)| {
                    let key = move |example: &'a ShownExample| {
                        (number, method, class, example.path.as_str())
                    };
                    evidence.examples().map(move |example| (key(example), example))
                }));
            }
        }
        Self { examples, ..Self::default() }
    }

    /// Draws everything; with a `folder` both sizes are written there.
    ///
    /// # Errors
    /// A file cannot be written. A photo that cannot be read is left out and said.
    pub(super) fn draw(
        &mut self,
        runs: &[ReportedRun<'_>],
        photos: &[Option<&dyn PhotoSource>],
        folder: Option<&Path>,
    ) -> Result<()> {
        let mut by_photo: BTreeMap<(usize, &str), Vec<Key<'a>>> = BTreeMap::new();
        for &key in self.examples.keys() {
            by_photo.entry((key.0, key.3)).or_default().push(key);
        }
        if let Some(folder) = folder {
            let folder = folder.join("photos");
            std::fs::create_dir_all(&folder).map_err(Error::io("create", &folder))?;
        }
        for (number, source) in photos.iter().enumerate() {
            let Some(source) = source else { continue };
            source.expect(
                &by_photo.keys().filter(|(run, _)| *run == number).map(|(_, path)| *path).collect(),
            )?;
        }
        let names: BTreeMap<Key<'a>, String> = self
            .examples
            .keys()
            .zip(1..)
            .map(|(key, number)| (*key, format!("{number:05}")))
            .collect();
        let task = DrawingTask { examples: &self.examples, names: &names, runs, folder };
        let of_photo = |(&(run, path), keys): (&(usize, &str), &Vec<Key<'a>>)| match photos[run] {
            Some(source) => task.draw(source, run, path, keys),
            None => Ok(Vec::new()),
        };
        let drawn: Vec<Vec<(Key<'a>, Drawn)>> =
            by_photo.par_iter().map(of_photo).collect::<Result<_>>()?;
        let mut failed = BTreeSet::new();
        for (key, drawn) in drawn.into_iter().flatten() {
            match drawn {
                Ok((size, embedded, mapped)) => {
                    let shown =
                        Shown { name: names[&key].clone(), size, embedded, mapped, kept: true };
                    self.shown
                        .entry((key.0, key.1, key.2))
                        .or_default()
                        .insert(key.3.into(), shown);
                }
                Err(error) if failed.insert((key.0, key.3)) => {
                    self.missing.push(Failure::new(key.3, "report", &error));
                }
                Err(_) => {}
            }
        }
        Ok(())
    }

    /// Of pictures in the page itself keeps as many as fit into three quarters of `budget`, spread
    /// evenly over them; says how many were left out.
    pub(super) fn keep_within(&mut self, budget: usize) -> Result<usize> {
        let room = budget / 4 * 3;
        let all: usize = self.all().map(|shown| shown.embedded.len().div_ceil(3) * 4).sum();
        if all <= room {
            return Ok(0);
        }
        let share = room as f64 / all as f64;
        let (mut due, mut left_out) = (0.0, 0);
        for shown in self.shown.values_mut().flat_map(BTreeMap::values_mut) {
            due += share;
            shown.kept = due >= 1.0;
            if shown.kept {
                due -= 1.0;
            } else {
                left_out += 1;
            }
        }
        Ok(left_out)
    }

    fn all(&self) -> impl Iterator<Item = &Shown> {
        self.shown.values().flat_map(BTreeMap::values)
    }

    /// The picture of a run, method and class of a photo, if it is shown.
    pub(super) fn picture(&self, place: (usize, usize, usize), path: &str) -> Option<&Shown> {
        self.shown.get(&place)?.get(path).filter(|shown| shown.kept)
    }

    /// How many pictures are shown, of how many photos, and what could not be. Photos of one path
    /// are the same in runs over the same corpus.
    pub(super) fn into_counts(self, runs: &[ReportedRun<'_>]) -> (usize, usize, Vec<Failure>) {
        let kept = self.shown.iter().flat_map(|(place, of)| {
            let corpus = runs[place.0].run.manifest.corpus.sha256.as_str();
            of.iter().filter(|(_, shown)| shown.kept).map(move |(path, _)| (corpus, path.as_str()))
        });
        let pictures: Vec<(&str, &str)> = kept.collect();
        let photos: BTreeSet<&(&str, &str)> = pictures.iter().collect();
        (pictures.len(), photos.len(), self.missing)
    }
}

/// What drawing all classes and methods of a photo needs.
struct DrawingTask<'a, 'b> {
    examples: &'b BTreeMap<Key<'a>, &'a ShownExample>,
    names: &'b BTreeMap<Key<'a>, String>,
    runs: &'b [ReportedRun<'b>],
    /// Where both sizes are written.
    folder: Option<&'b Path>,
}

impl<'a> DrawingTask<'a, '_> {
    /// Decodes the photo and draws it for each of `keys`; what cannot be read is in their place.
    fn draw(
        &self,
        source: &dyn PhotoSource,
        run: usize,
        path: &str,
        keys: &[Key<'a>],
    ) -> Result<Vec<(Key<'a>, Drawn)>> {
        let photo = match source.photo(path) {
            Ok(photo) => photo,
            Err(error) => {
                return Ok(keys.first().map(|key| (*key, Err(error))).into_iter().collect());
            }
        };
        let mut maps: BTreeMap<usize, Option<MapOverPhoto>> = BTreeMap::new();
        let mut drawn = Vec::new();
        for key in keys {
            if let Entry::Vacant(place) = maps.entry(key.1) {
                match source.map(path, self.runs[run].method(key.1), photo.size()) {
                    Ok(map) => place.insert(map),
                    Err(error) => {
                        drawn.push((*key, Err(error)));
                        continue;
                    }
                };
            }
            drawn.push((*key, Ok(self.draw_one(&photo, maps[&key.1].as_ref(), key)?)));
        }
        Ok(drawn)
    }

    fn draw_one(
        &self,
        photo: &Rgb8,
        map: Option<&MapOverPhoto>,
        key: &Key<'a>,
    ) -> Result<(Size, Vec<u8>, bool)> {
        let example = self.examples[key];
        let (size, small) = draw(photo, map, example, SMALL)?;
        let Some(folder) = self.folder else { return Ok((size, small, map.is_some())) };
        let (_, large) = draw(photo, map, example, LARGE)?;
        let name = &self.names[key];
        write_bytes(&folder.join(format!("photos/{name}-small.jpg")), &small)?;
        write_bytes(&folder.join(format!("photos/{name}.jpg")), &large)?;
        Ok((size, Vec::new(), map.is_some()))
    }
}

impl Shown {
    /// The small picture as a page's source.
    pub(super) fn source(&self, prefix: &str, embedded: bool) -> String {
        match embedded {
            true => {
                format!(
                    "data:image/jpeg;base64,{}",
                    base64::engine::general_purpose::STANDARD.encode(&self.embedded)
                )
            }
            false => format!("{prefix}photos/{}-small.jpg", self.name),
        }
    }
}
