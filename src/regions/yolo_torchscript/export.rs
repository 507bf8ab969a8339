//! What an export says of itself: the JSON text that Ultralytics puts into the file's entry
//! `config.txt`.

use crate::image::Size;
use crate::names::check_names;
use crate::nn::script::ScriptArchive;
use crate::{Error, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// The entry of the archive.
const ENTRY: &str = "config.txt";

/// The most rows or columns of an input: a picture of this size has 800 MB as f32.
const MAX_SIDE: u32 = 8192;

/// The most pictures that an export takes at once.
const MAX_BATCH: usize = 1024;

/// What is needed to run an exported detector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Export {
    /// Names of the classes, in the order of their scores.
    pub(super) classes: Vec<String>,
    /// The input.
    pub(super) input: Size,
    /// Pictures that it was traced with; it may take others.
    pub(super) batch: usize,
}

/// The keys of `config.txt` that matter here; there are others.
#[derive(Debug, Deserialize)]
struct Written {
    task: Option<String>,
    /// Index -> name.
    names: BTreeMap<String, String>,
    /// Rows, columns.
    imgsz: [u32; 2],
    batch: Option<usize>,
    channels: Option<u32>,
    end2end: Option<bool>,
    #[serde(default)]
    args: Arguments,
}

/// The arguments of `model.export(...)` that matter here.
#[derive(Debug, Default, Deserialize)]
struct Arguments {
    nms: Option<bool>,
}

impl Export {
    /// Reads and checks the description in a file; `path` is for messages.
    ///
    /// # Errors
    /// There is none, it is not what Ultralytics writes, or it describes something else than a
    /// plain detector of colour pictures.
    pub(super) fn read(archive: &mut ScriptArchive, path: &Path) -> Result<Self> {
        let Some(text) = archive.extra(ENTRY)? else {
            let message = format!(
                "has no {ENTRY}, which says the names of the classes and the size of the input: a \
                 detector is exported by Ultralytics' `model.export(format=\"torchscript\")`"
            );
            return Err(Error::file(path, message));
        };
        Self::parse(&text).map_err(|reason| Error::file(path, format!("its {ENTRY}: {reason}")))
    }

    /// Reads the text of the entry; the error is a sentence.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let written: Written = serde_json::from_str(text)
            .map_err(|error| format!("not as Ultralytics writes it: {error}"))?;
        check_task(&written)?;
        if let Some(channels) = written.channels.filter(|&channels| channels != 3) {
            return Err(format!("the input should have 3 channels, found {channels}"));
        }
        let [height, width] = written.imgsz;
        if ![height, width].iter().all(|side| (1..=MAX_SIDE).contains(side)) {
            return Err(format!(
                "imgsz should be rows and columns from 1 to {MAX_SIDE}, found [{height}, {width}]"
            ));
        }
        let batch = written.batch.unwrap_or(1);
        if !(1..=MAX_BATCH).contains(&batch) {
            return Err(format!("batch should be from 1 to {MAX_BATCH}, found {batch}"));
        }
        let classes = classes(written.names)?;
        check_names(&classes, "class")?;
        Ok(Self { classes, input: Size::new(width, height), batch })
    }
}

/// Refuses what is not a detector that leaves the suppression to its caller.
fn check_task(written: &Written) -> Result<(), String> {
    match written.task.as_deref() {
        Some("detect") => {}
        Some("segment") => {
            return Err(
                "task is \"segment\": segmentation networks are not run here; write their masks to \
                 a file and give that with --regions"
                    .into(),
            );
        }
        Some(other) => return Err(format!("task should be \"detect\", found {other:?}")),
        None => return Err("names no task: an export of Ultralytics 8 or later does".into()),
    }
    let inside = [("end2end", written.end2end), ("nms", written.args.nms)];
    match inside.into_iter().find(|(_, inside)| *inside == Some(true)) {
        Some((key, _)) => Err(format!(
            "{key} is true: suppression lies inside the program, where no threshold reaches it; \
             export the network again with neither nms nor end2end"
        )),
        None => Ok(()),
    }
}

/// The names by their indices, which should be 0, 1, 2 and so on.
fn classes(names: BTreeMap<String, String>) -> Result<Vec<String>, String> {
    let count = names.len();
    let mut classes = vec![None; count];
    for (key, name) in names {
        let index = key.parse::<usize>().ok().filter(|index| index.to_string() == key);
        match index.and_then(|index| classes.get_mut(index)) {
            Some(place) => *place = Some(name),
            None => {
                return Err(format!(
                    "names {count} classes, which should be numbered from 0 on; found {key:?}"
                ));
            }
        }
    }
    match classes.into_iter().collect::<Option<Vec<_>>>() {
        Some(classes) if !classes.is_empty() => Ok(classes),
        _ => Err("names no classes".into()),
    }
}
