//! `images.csv`, `objects.csv` and `failures.csv`, in the order of the corpus.

use super::{Manifest, Run};
use crate::attribution::Needs;
use crate::files::write_whole;
use crate::image::{Mask, Size};
use crate::run::record::{ImageRecord, MapRecord};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

/// What a game among regions says of a picture, behind the method's name.
const GAME_OF_PICTURE: [&str; 3] = ["value_all", "value_nothing", "background"];

/// What it says of a region: the number of its player, the player's value, and the value's standard
/// error where it was sampled.
const GAME_OF_REGION: [&str; 3] = ["player", "value", "error"];

/// A picture or file that was not analysed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Its path, as in every table.
    pub path: String,
    /// Where it failed: "find", "decode", ...
    pub stage: String,
    /// Why, in one line.
    pub cause: String,
}

impl Failure {
    /// The picture `path` failed in `stage` with `error`.
    pub fn new(path: &str, stage: &str, error: &Error) -> Self {
        Self { path: path.into(), stage: stage.into(), cause: error.in_one_line() }
    }
}

/// A table being written to the file `path`.
pub(crate) struct Table<'a> {
    writer: csv::Writer<&'a mut BufWriter<File>>,
    path: &'a Path,
}

impl Table<'_> {
    pub(crate) fn row<T: AsRef<[u8]>>(&mut self, cells: impl IntoIterator<Item = T>) -> Result<()> {
        let failed =
            |error: csv::Error| Error::file(self.path, format!("cannot be written: {error}"));
        self.writer.write_record(cells).map_err(failed)
    }
}

/// Writes the table `path` whole.
pub(crate) fn table(path: &Path, fill: impl FnOnce(&mut Table<'_>) -> Result<()>) -> Result<()> {
    write_whole(path, |file| {
        let mut table = Table { writer: csv::Writer::from_writer(file), path };
        fill(&mut table)?;
        table.writer.flush().map_err(Error::io("write", path))
    })
}

/// `images.csv`, one row a picture, and `objects.csv`, one row a labelled box with its importance
/// (mean of the map in the box) by every method.
///
/// # Errors
/// Records that cannot be read, a table that cannot be written.
pub fn images_and_objects_csv(run: &Run) -> Result<()> {
    write_tables(run, |row| run.for_each_record_in_order(row))
}

/// [`images_and_objects_csv`] of the records that `records` hands on, in the order of the corpus.
///
/// # Errors
/// A table cannot be written; whatever `records` returns.
pub(crate) fn write_tables(
    run: &Run,
    records: impl FnOnce(&mut dyn FnMut(&ImageRecord) -> Result<()>) -> Result<()>,
) -> Result<()> {
    let manifest = &run.manifest;
    let labels = &manifest.labels;
    table(&run.path("images.csv"), |images| {
        let head = ["path", "width", "height", "label"].map(String::from).into_iter();
        // A network with a single output has that in place of probabilities and what follows from
        // them.
        let answers: Vec<String> = match &manifest.output {
            Some(output) => vec![output.clone()],
            None => {
                let labels = labels.iter().map(String::as_str);
                let names =
                    std::iter::once("probability").chain(labels).chain(["valence", "arousal"]);
                names.map(String::from).collect()
            }
        };
        let cams = manifest.configuration.cam.methods.iter();
        let games = cams.filter(|method| method.row().needs == Needs::Regions);
        let games =
            games.flat_map(|method| GAME_OF_PICTURE.map(|number| format!("{method}_{number}")));
        images.row(head.chain(answers).chain(games))?;
        table(&run.path("objects.csv"), |objects| {
            let head = ["path", "label", "class", "confidence", "x_min", "y_min", "x_max", "y_max"]
                .map(String::from);
            let masks = !manifest.configuration.regions.file.is_empty();
            let methods = manifest.configuration.cam.names();
            objects.row(head.into_iter().chain(methods).chain(added_head(manifest, masks)))?;
            records(&mut |record| {
                images.row(image_cells(record, labels))?;
                (0..record.boxes.len()).try_for_each(|index| {
                    let cells = object_cells(record, index, labels, &manifest.classes);
                    objects.row(cells.into_iter().chain(added_cells(record, index, run, masks)?))
                })
            })
        })
    })
}

fn image_cells(record: &ImageRecord, labels: &[String]) -> Vec<String> {
    let mut cells = vec![record.path.clone(), record.width.to_string(), record.height.to_string()];
    cells.push(labels[record.label].clone());
    match record.output {
        Some(output) => cells.push(output.to_string()),
        None => {
            cells.push(record.probabilities[record.label].to_string());
            cells.extend(record.probabilities.iter().map(f32::to_string));
            let affect = [record.valence, record.arousal].into_iter();
            cells.extend(
                affect.map(|value| value.map(|value| value.to_string()).unwrap_or_default()),
            );
        }
    }
    for game in record.maps.iter().filter_map(MapRecord::game_of_regions) {
        let numbers = [Some(game.value_all), Some(game.value_nothing), game.background];
        cells.extend(
            numbers.map(|number| number.map(|number| number.to_string()).unwrap_or_default()),
        );
    }
    cells
}

fn object_cells(
    record: &ImageRecord,
    at: usize,
    labels: &[String],
    classes: &[String],
) -> Vec<String> {
    let region = &record.boxes[at];
    let mut cells =
        vec![record.path.clone(), labels[record.label].clone(), classes[region.class].clone()];
    cells.push(region.confidence.to_string());
    cells.extend(<[f32; 4]>::from(region.bounding_box).map(|edge| edge.to_string()));
    cells.extend(record.maps.iter().map(|map| map.score(at).mean.to_string()));
    cells
}

/// The scores that know a region's size, by each method that makes maps, behind its name.
const SIZE_AWARE: [&str; 3] = ["contrast", "z", "lift"];

/// Names of the methods that make maps.
fn maps_of(manifest: &Manifest) -> impl Iterator<Item = String> {
    let cam = &manifest.configuration.cam;
    let of_regions =
        cam.methods_of_maps().into_iter().map(|method| method.row().needs == Needs::Regions);
    let names = cam.names().into_iter().zip(of_regions.chain(std::iter::repeat(false)));
    names.filter(|(_, of_regions)| !of_regions).map(|(name, _)| name)
}

/// Names of the maps that are estimated by sampling.
fn estimated_maps(manifest: &Manifest) -> impl Iterator<Item = String> {
    let cam = &manifest.configuration.cam;
    let methods = cam.methods_of_maps().into_iter().map(|method| method.estimates(cam.compat));
    cam.names().into_iter().zip(methods).filter_map(|(name, estimates)| estimates.then_some(name))
}

/// What is needed to compute each importance again from a saved map: the box as it was found, in
/// pixels of the picture; what counts as its area; the size of the canvas on which it was scored;
/// then [`SIZE_AWARE`]; by every method that estimates the importance's standard error; of a region
/// with pixels of its own their number, and by every method the importance of its box, beside that
/// of its pixels.
fn added_head(manifest: &Manifest, masks: bool) -> Vec<String> {
    let edges = ["extent_x_min", "extent_y_min", "extent_x_max", "extent_y_max"];
    let mut head: Vec<String> = edges
        .into_iter()
        .chain(["box_area", "canvas_width", "canvas_height"])
        .map(String::from)
        .collect();
    let methods = manifest.configuration.cam.methods.iter();
    let games = methods.filter(|method| method.row().needs == Needs::Regions);
    head.extend(games.flat_map(|method| GAME_OF_REGION.map(|number| format!("{method}_{number}"))));
    head.extend(
        maps_of(manifest).flat_map(|name| SIZE_AWARE.map(|number| format!("{name}_{number}"))),
    );
    head.extend(estimated_maps(manifest).map(|name| format!("{name}_error")));
    if masks {
        head.push("mask_pixels".into());
        head.extend(
            manifest.configuration.cam.names().iter().map(|method| format!("{method}_box")),
        );
    }
    head
}

fn added_cells(record: &ImageRecord, index: usize, run: &Run, masks: bool) -> Result<Vec<String>> {
    let manifest = &run.manifest;
    let found = &record.boxes[index];
    let picture = Size::new(record.width, record.height);
    let canvas = manifest.scoring.letterbox(picture).canvas;
    let mut cells: Vec<String> =
        <[f64; 4]>::from(found.extent).iter().map(f64::to_string).collect();
    cells.push(manifest.configuration.regions.box_area.name().into());
    cells.extend([canvas.width, canvas.height].map(|side| side.to_string()));
    for game in record.maps.iter().filter_map(MapRecord::game_of_regions) {
        let error = game.errors.as_ref().map(|errors| errors[index].to_string());
        cells.extend([
            game.players[index].to_string(),
            game.values[index].to_string(),
            error.unwrap_or_default(),
        ]);
    }
    for map in record.maps.iter().filter(|map| map.game_of_regions().is_none()) {
        let score = map.score(index);
        cells.extend([score.contrast, score.z, score.lift].map(|number| number.to_string()));
    }
    let cam = &manifest.configuration.cam;
    for (map, method) in record.maps.iter().zip(cam.methods_of_maps()) {
        if method.estimates(cam.compat) {
            cells.push(map.score_errors.get(index).map(f32::to_string).unwrap_or_default());
        }
    }
    if masks {
        let mask = found.rle.as_ref().map(|rle| Mask::from_compressed(picture, rle)).transpose();
        let mask = mask.map_err(|cause| {
            Error::file(
                &run.path("records.jsonl"),
                format!("the mask of an object of {}: {cause}", record.path),
            )
        })?;
        cells.push(mask.map(|mask| mask.area().to_string()).unwrap_or_default());
        let boxes = record.maps.iter().map(|map| map.scores[index].mean.to_string());
        cells.extend(boxes.map(|mean| if found.rle.is_some() { mean } else { String::new() }));
    }
    Ok(cells)
}

/// `failures.csv`: always written, with its header alone when nothing failed.
///
/// # Errors
/// The table cannot be written.
pub fn failures_csv(run: &Run, failures: &[Failure]) -> Result<()> {
    write_failures(&run.path("failures.csv"), failures)
}

/// [`failures_csv`] anywhere.
///
/// # Errors
/// The table cannot be written.
pub fn write_failures(path: &Path, failures: &[Failure]) -> Result<()> {
    table(path, |table| {
        table.row(["path", "stage", "cause"])?;
        failures
            .iter()
            .try_for_each(|failure| table.row([&failure.path, &failure.stage, &failure.cause]))
    })
}

/// Reads a `failures.csv`.
///
/// # Errors
/// There is none, or it is damaged.
pub fn read_failures(path: &Path) -> Result<Vec<Failure>> {
    let file = File::open(path).map_err(Error::io("read", path))?;
    let failures: Result<Vec<Failure>, _> = csv::Reader::from_reader(file).deserialize().collect();
    failures.map_err(|error| Error::file(path, format!("not a table of failures: {error}")))
}
