//! Which shards there are, and whether they are parts of one run.

use super::refuse_if_any;
use crate::corpus::Shard;
use crate::run::{Manifest, Run};
use crate::{Error, Result, paste, removal};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The commands that do a corpus in shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunKind {
    /// `emocam analyze`.
    Analyze,
    /// `emocam paste`.
    Paste,
    /// `emocam remove`.
    Remove,
}

impl RunKind {
    /// Which of them made a run; none when another command did.
    pub fn new(manifest: &Manifest) -> Option<Self> {
        match manifest.experiment.as_ref().map(|experiment| experiment.command.as_str()) {
            None => Some(Self::Analyze),
            Some(paste::COMMAND) => Some(Self::Paste),
            Some(removal::COMMAND) => Some(Self::Remove),
            Some(_) => None,
        }
    }
}

/// The shards of one run, which agree with each other.
#[derive(Debug)]
pub struct Shards {
    /// By their numbers, each once, at least one.
    pub(super) runs: Vec<Run>,
    /// The command that made all of them.
    pub kind: RunKind,
    /// What whoever merges them should know, a sentence each.
    pub notes: Vec<String>,
    /// What is missing, when that is allowed.
    pub missing: Vec<String>,
}

impl Shards {
    /// Opens the shards at `paths`: run folders, or folders in which run folders lie. `partial`:
    /// some may be absent or unfinished.
    ///
    /// # Errors
    /// Everything that is wrong, in one error: what is no run or no shard; numbers that are missing
    /// or there twice; commands, versions, settings, kinds of device, models or corpora that
    /// differ; shards that are not finished.
    pub fn open(paths: &[PathBuf], partial: bool) -> Result<Self> {
        let mut complaints = Vec::new();
        let (runs, count) = sorted(paths, &mut complaints)?;
        let Some(first) = runs.first() else {
            refuse_if_any(&complaints)?;
            return Err(Error::Setting("no shards to merge".into()));
        };
        let kind = RunKind::new(&first.manifest).expect("runs of other commands are refused");
        for other in &runs[1..] {
            let words = [first, other].map(|run| format!("in {}", run.folder().display()));
            let differences =
                comparable(first).differences(&comparable(other), [&words[0], &words[1]]);
            complaints.extend(differences);
        }
        let mut missing = absent(&runs, count);
        for run in runs.iter().filter(|run| !run.manifest.complete) {
            missing.push(unfinished(run)?);
        }
        if !partial {
            complaints.append(&mut missing);
        }
        refuse_if_any(&complaints)?;
        Ok(Self { notes: notes(&runs, kind), runs, kind, missing })
    }
}

/// The runs by the numbers of their shards, and how many shards there are in all. What cannot take
/// part becomes a complaint.
fn sorted(paths: &[PathBuf], complaints: &mut Vec<String>) -> Result<(Vec<Run>, u64)> {
    let mut by_number: BTreeMap<u64, Run> = BTreeMap::new();
    let mut counts: BTreeMap<u64, PathBuf> = BTreeMap::new();
    let mut commands: BTreeMap<String, PathBuf> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for folder in folders(paths)? {
        // What cannot be found is named when it is opened.
        if !seen.insert(folder.canonicalize().unwrap_or_else(|_| folder.clone())) {
            complaints.push(format!("{} is named twice", folder.display()));
            continue;
        }
        let run = match Run::open(&folder) {
            Ok(run) => run,
            Err(error) => {
                complaints.push(error.to_string());
                continue;
            }
        };
        match shard_of_run(&run) {
            Err(complaint) => complaints.push(format!("{} {complaint}", folder.display())),
            Ok(shard) => {
                commands.entry(run.manifest.command()).or_insert_with(|| folder.clone());
                counts.entry(shard.count).or_insert(folder);
                let comparable = counts.len() == 1 && commands.len() == 1;
                if let Some(other) = by_number.get(&shard.index).filter(|_| comparable) {
                    let [a, b] = [other, &run].map(|run| run.folder().display().to_string());
                    complaints.push(format!(
                        "shard {} of {} is there twice: {a} and {b}",
                        shard.index, shard.count
                    ));
                }
                by_number.entry(shard.index).or_insert(run);
            }
        }
    }
    if commands.len() > 1 {
        let all =
            commands.iter().map(|(command, folder)| format!("`{command}` in {}", folder.display()));
        let all = all.collect::<Vec<_>>().join(", ");
        complaints.push(format!(
            "they are runs of different commands: {all}; merge those of each by themselves"
        ));
    }
    if counts.len() > 1 {
        let all =
            counts.iter().map(|(count, folder)| format!("of {count} in {}", folder.display()));
        let all = all.collect::<Vec<_>>().join(", ");
        complaints.push(format!("they are shards of different divisions: {all}"));
    }
    if commands.len() > 1 || counts.len() > 1 {
        // What else there is to say would follow from that.
        refuse_if_any(complaints)?;
    }
    let count = counts.into_keys().next().unwrap_or(0);
    Ok((by_number.into_values().collect(), count))
}

/// Run folders among `paths`, and for a folder that is none the run folders in it, by name.
fn folders(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let is_run = |folder: &Path| folder.join("run.json").exists();
    let mut found = Vec::new();
    for path in paths {
        if is_run(path) || !path.is_dir() {
            found.push(path.clone());
            continue;
        }
        let entries = std::fs::read_dir(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let entries = entries.map_err(Error::io("read", path))?;
        let hidden = |path: &Path| {
            path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
        };
        let inside = entries
            .into_iter()
            .map(|entry| entry.path())
            .filter(|path| is_run(path) && !hidden(path));
        let mut inside: Vec<PathBuf> = inside.collect();
        inside.sort();
        // None: named as it is, so that opening it says what is wrong.
        found.extend(if inside.is_empty() { vec![path.clone()] } else { inside });
    }
    Ok(found)
}

fn shard_of_run(run: &Run) -> Result<Shard, String> {
    if RunKind::new(&run.manifest).is_none() {
        return Err(format!(
            "is a run of `{}`, which is not made in shards",
            run.manifest.command()
        ));
    }
    match run.manifest.shard {
        None => Err("is no shard: it was made without --shard".into()),
        Some(info) => Shard::new(info.index, info.count)
            .map_err(|error| format!("has a wrong run.json: {error}")),
    }
}

/// What must agree. Of the device the kind: its number says only where in a machine it was, while
/// the last digits of a processor and a GPU differ, and one run has one of them.
fn comparable(run: &Run) -> Manifest {
    Manifest {
        device: device_kind(&run.manifest.device).into(),
        shard: None,
        ..run.manifest.clone()
    }
}

fn device_kind(device: &str) -> &str {
    device.split(':').next().unwrap_or(device)
}

/// The numbers without a run.
fn absent(runs: &[Run], count: u64) -> Vec<String> {
    let present: BTreeSet<u64> =
        runs.iter().filter_map(|run| run.manifest.shard).map(|shard| shard.index).collect();
    let absent: Vec<u64> = (1..=count).filter(|index| !present.contains(index)).collect();
    match absent.len() {
        0 => vec![],
        1 => vec![format!("shard {} of {count} is absent", absent[0])],
        _ => vec![format!("shards {} of {count} are absent", ranges(&absent))],
    }
}

/// `2, 5 to 8, 11` of ascending numbers.
fn ranges(numbers: &[u64]) -> String {
    let ranges = numbers.chunk_by(|a, b| a + 1 == *b).map(|range| match range {
        [one] => one.to_string(),
        [one, other] => format!("{one}, {other}"),
        [first, .., last] => format!("{first} to {last}"),
        [] => String::new(),
    });
    ranges.collect::<Vec<_>>().join(", ")
}

fn unfinished(run: &Run) -> Result<String> {
    let path = run.path("records.jsonl");
    // Killed before its first batch, a run has none.
    let done = if path.exists() { crate::run::journal::count_lines(&path)? } else { 0 };
    let (folder, shard) =
        (run.folder().display(), run.manifest.shard.expect("runs without are refused"));
    Ok(format!(
        "shard {} of {} ({folder}) is not finished: {done} of {} images; the same `{}` with \
         --resume continues it",
        shard.index,
        shard.count,
        shard.images,
        run.manifest.command()
    ))
}

/// Differences that shards may have and whoever merges them should know of.
fn notes(runs: &[Run], kind: RunKind) -> Vec<String> {
    let (first, mut notes) = (&runs[0].manifest, Vec::new());
    let on_cpu = device_kind(&first.device) == "cpu";
    if let Some(other) =
        runs.iter().find(|run| on_cpu && run.manifest.network_threads != first.network_threads)
    {
        notes.push(format!(
            "the networks had {} threads in {} and {} in {}: the last digits differ from those of \
             one run (OMP_NUM_THREADS sets the number)",
            first.network_threads,
            runs[0].folder().display(),
            other.manifest.network_threads,
            other.folder().display()
        ));
    }
    // What is counted, and how many classes a figure shows, are settings that records do not depend
    // on.
    let counting = &first.configuration.association;
    let differs = |other: &Run| match (kind, &other.manifest.configuration.association) {
        (RunKind::Analyze, own) => own != counting,
        (RunKind::Paste, _) => false,
        (RunKind::Remove, own) => own.top != counting.top,
    };
    if let Some(other) = runs.iter().find(|run| differs(run)) {
        let [one, other] = [&runs[0], other].map(|run| run.folder().display());
        notes.push(if kind == RunKind::Analyze {
            format!(
                "{one} and {other} count boxes differently; the matrix is made as in the first \
                 (`emocam associate` makes it anew)"
            )
        } else {
            format!(
                "{one} and {other} show other numbers of classes (--top); the figure is made as in \
                 the first"
            )
        });
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_ranges() {
        let cases: [(&[u64], &str); 4] = [
            (&[7], "7"),
            (&[1, 2], "1, 2"),
            (&[1, 2, 3, 9], "1 to 3, 9"),
            (&[2, 5, 6, 7, 8, 11], "2, 5 to 8, 11"),
        ];
        for (numbers, text) in cases {
            assert_eq!(ranges(numbers), text);
        }
    }
}
