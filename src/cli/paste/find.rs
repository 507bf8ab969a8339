//! `emocam paste --find`: for one photo, how the answer changes with the position of an object.

use anyhow::Context;
use emocam::Error;
use emocam::config::Config;
use emocam::corpus::{DecodeOptions, decode};
use emocam::files::{write_bytes, write_whole};
use emocam::image::Rgb8;
use emocam::networks::Classifier;
use emocam::paste::{PastedObject, Search, SwitchMap, find_switch, rendered};
use emocam::plot::{self, Heatmap};
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

/// Where to look, and where to write.
pub(super) struct Task<'a> {
    pub photo: &'a Path,
    pub objects: &'a [PastedObject],
    pub grid: (usize, usize),
    pub scales: &'a [f64],
    pub folder: &'a Path,
    pub config: &'a Config,
    pub network: &'a dyn Classifier,
    pub warning: Option<String>,
}

/// `16x12`.
pub(super) fn grid(text: &str) -> Result<(usize, usize), String> {
    let sides = text.split_once('x').and_then(|(n, m)| Some((n.parse().ok()?, m.parse().ok()?)));
    sides
        .filter(|(columns, rows)| (1..=100).contains(columns) && (1..=100).contains(rows))
        .ok_or_else(|| {
            format!("`{text}` is no grid: expected columns x rows, as 16x12, each from 1 to 100")
        })
}

/// Searches for every object and writes `find.csv`, a map for every object and scale, and the
/// strongest switch of every object.
pub(super) fn run(task: &Task<'_>) -> anyhow::Result<()> {
    let options =
        DecodeOptions { ignore_exif: task.config.corpus.ignore_exif, ..DecodeOptions::default() };
    let photo = decode(task.photo, &options)?;
    let labels = &task.network.card().labels;
    let (mut lines, mut summary) = (Vec::new(), String::new());
    for object in task.objects {
        let found = find_switch(
            &photo,
            &Search { object, grid: task.grid, scales: task.scales },
            task.network,
        )?;
        for (scale, height) in task.scales.iter().enumerate() {
            rows(&found, object, (scale, *height), labels, &mut lines);
            let path = |kind: &str| task.folder.join(format!("{}-{height}.{kind}", object.name));
            plot::write(
                &map(task, &found, object, (scale, *height), labels).svg()?,
                &path("png"),
                &path("svg"),
            )?;
            say!("{}", path("png").display());
        }
        let (scale, position) = found.strongest;
        let (answer, at) = (&found.answers[scale][position], &found.positions[position]);
        let picture = task.folder.join(format!("{}-strongest.png", object.name));
        write_png(&picture, &rendered(&photo, object, task.scales[scale], at))?;
        say!("{}", picture.display());
        let own = found.original.label;
        summary.push_str(&format!(
            "{}: {} {:.3} alone; {} {:.3}, {} {:.3} with it {} high at {:.3}, {:.3}\n",
            object.name,
            labels[own],
            found.original.probabilities[own],
            labels[answer.label],
            answer.probabilities[answer.label],
            labels[own],
            answer.probabilities[own],
            task.scales[scale],
            at.x,
            at.y
        ));
    }
    write_table(&task.folder.join("find.csv"), &lines)?;
    match std::io::stdout().lock().write_all(summary.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to stdout")
        }
        _ => Ok(()),
    }
}

fn rows(
    found: &SwitchMap,
    object: &PastedObject,
    (scale, height): (usize, f64),
    labels: &[String],
    lines: &mut Vec<[String; 8]>,
) {
    for (position, (at, answer)) in found.positions.iter().zip(&found.answers[scale]).enumerate() {
        lines.push([
            object.name.clone(),
            height.to_string(),
            at.x.to_string(),
            at.y.to_string(),
            labels[answer.label].clone(),
            answer.probabilities[answer.label].to_string(),
            answer.probabilities[found.original.label].to_string(),
            found.lead(scale, position).to_string(),
        ]);
    }
}

fn write_table(path: &PathBuf, lines: &[[String; 8]]) -> emocam::Result<()> {
    let failed = |error: csv::Error| Error::file(path, format!("cannot be written: {error}"));
    write_whole(path, |file| {
        let mut table = csv::Writer::from_writer(file);
        let head =
            ["object", "scale", "x", "y", "label", "probability", "original_probability", "lead"];
        table.write_record(head).map_err(failed)?;
        lines.iter().try_for_each(|line| table.write_record(line).map_err(failed))?;
        table.flush().map_err(Error::io("write", path))
    })
}

/// The change of the original label's probability, at every position.
fn map(
    task: &Task<'_>,
    found: &SwitchMap,
    object: &PastedObject,
    (scale, height): (usize, f64),
    labels: &[String],
) -> Heatmap {
    let own = found.original.label;
    let before = f64::from(found.original.probabilities[own]);
    let changes: Vec<f64> = found.answers[scale]
        .iter()
        .map(|answer| f64::from(answer.probabilities[own]) - before)
        .collect();
    let reach = changes.iter().fold(0.01_f64, |most, change| most.max(change.abs()));
    let switched = found.answers[scale].iter().filter(|answer| answer.label != own).count();
    let share = |value: f64| format!("{value:.2}");
    let mut notes =
        vec![format!("The label changes at {switched} of {} positions.", found.positions.len())];
    notes.extend(task.warning.as_ref().map(|warning| format!("Warning: {warning}.")));
    Heatmap {
        title: format!(
            "{} on {}",
            object.name,
            task.photo.file_name().unwrap_or_default().to_string_lossy()
        ),
        subtitle: Some(format!(
            "{} {before:.3} alone; change of its probability with the object {height} of the photo \
             high, by the object's centre",
            labels[own]
        )),
        rows: found
            .positions
            .iter()
            .step_by(task.grid.0)
            .map(|position| share(position.y))
            .collect(),
        columns: found.positions[..task.grid.0].iter().map(|position| share(position.x)).collect(),
        values: changes
            .chunks(task.grid.0)
            .map(|row| row.iter().map(|&change| Some(change)).collect())
            .collect(),
        range: (-reach, reach),
        value_label: format!("change of the probability of {}", labels[own]),
        notes,
        ..Heatmap::default()
    }
}

fn write_png(path: &Path, picture: &Rgb8) -> emocam::Result<()> {
    let size = picture.size();
    let pixels = image::RgbImage::from_raw(size.width, size.height, picture.data().to_vec())
        .expect("a picture has three bytes a pixel");
    let mut bytes = Cursor::new(Vec::new());
    pixels
        .write_to(&mut bytes, image::ImageFormat::Png)
        .map_err(|error| Error::file(path, format!("cannot be written: {error}")))?;
    write_bytes(path, bytes.get_ref())
}
