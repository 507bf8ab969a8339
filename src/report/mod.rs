//! The command `report`: runs as a page to read, click through and send on.
//!
//! In: runs, and their photos where they are still there. Out: `index.html` with what was done,
//! what was found and the matrix as a table; a page for each prominent class with its numbers and
//! with photos, the strongest and the weakest and some at random; the photos. No script runs in the
//! pages, and they ask no other machine for anything; names of files, classes and labels are text
//! in them, whatever they contain. The same runs give the same bytes.

mod drawing;
mod evidence;
mod extras;
mod findings;
mod gallery;
mod page;
mod sections;

pub use evidence::EvidenceSettings;
pub use gallery::PhotoSource;

use self::evidence::ClassEvidence;
use self::extras::{BackgroundShare, FilterRow};
use self::gallery::Gallery;
use self::page::Pages;
use crate::associate::{BesidePeople, CellTable, Columns, Matrices, matrices};
use crate::attribution::Needs;
use crate::compare::{ComparedLook, ComparisonSettings, RunComparison};
use crate::config::AssociationConfig;
use crate::corpus::FIGURES;
use crate::files::{read_text, remove_leftovers, write_bytes};
use crate::rsa::{Agreement, Input, Inputs, MatrixKind, ResamplingPlan, compare};
use crate::run::{Failure, Run, read_failures};
use crate::{Error, Result};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// What a report shows, and how much of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportSettings {
    /// Classes of each method that are shown: the most prominent ones.
    pub top: usize,
    /// Photos of each class.
    pub evidence: EvidenceSettings,
    /// Everything in one file: at most so many bytes.
    pub embed: Option<usize>,
    /// Whether an `index.html` of somebody else is replaced.
    pub replace: bool,
}

/// A run to report on.
#[derive(Debug)]
pub struct ReportInput<'a> {
    /// The run.
    pub run: &'a Run,
    /// What is important in a picture.
    pub rule: AssociationConfig,
    /// People's labels beside it.
    pub people: Option<BesidePeople>,
    /// Where its photos come from; `None`: no photo is shown.
    pub photos: Option<&'a dyn PhotoSource>,
}

/// A run, and all that is told of it.
struct ReportedRun<'a> {
    /// What it is called.
    name: String,
    run: &'a Run,
    rule: AssociationConfig,
    matrices: Matrices,
    /// For each method the statistics of its cells.
    cells: Vec<CellTable>,
    /// For each method the classes that are shown.
    classes: Vec<Vec<usize>>,
    /// For each method and class what is shown.
    evidence: Vec<HashMap<usize, ClassEvidence>>,
    /// For each method the channels that respond most to some class.
    filters: Vec<Vec<FilterRow>>,
    /// For each method that gives regions values that of what lies outside them.
    backgrounds: Vec<Option<BackgroundShare>>,
    /// Rank correlations of the methods.
    agreement: Option<Agreement>,
    people: Option<BesidePeople>,
    failures: Vec<Failure>,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenReport {
    /// The page to open.
    pub index: PathBuf,
    /// Pictures that are shown: a photo has one for each method and class.
    pub pictures: usize,
    /// Photos that are shown.
    pub photos: usize,
    /// Photos that could not be shown, with why.
    pub missing: Vec<Failure>,
    /// Pictures that were left out of a single file for its size.
    pub left_out: usize,
}

/// Writes a report of `inputs` into `folder`, which is made; what an earlier report left there is
/// replaced.
///
/// # Errors
/// A run cannot be read; a file cannot be written; the folder has an `index.html` of somebody else;
/// a single file without photos would be too large already.
pub fn write(
    inputs: Vec<ReportInput<'_>>,
    folder: &Path,
    settings: ReportSettings,
) -> Result<WrittenReport> {
    let photos: Vec<Option<&dyn PhotoSource>> = inputs.iter().map(|input| input.photos).collect();
    let runs = inputs
        .into_iter()
        .map(|input| ReportedRun::read(input, settings))
        .collect::<Result<Vec<_>>>()?;
    std::fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    remove_leftovers(folder, ".")?;
    let index = folder.join("index.html");
    remove_earlier(folder, &index, settings.replace)?;
    let comparison = match runs.as_slice() {
        [first, second] => Some(beside_each_other(first, second)?),
        _ => None,
    };
    let comparison = comparison.as_ref();
    let mut gallery = Gallery::of(&runs);
    gallery.draw(&runs, &photos, (settings.embed.is_none()).then_some(folder))?;
    let mut left_out = 0;
    match settings.embed {
        Some(budget) => {
            left_out = gallery.keep_within(budget)?;
            let pages = Pages { runs: &runs, gallery: &gallery, comparison, embedded: true };
            let page = pages.index();
            if page.len() > budget {
                return Err(Error::Setting(format!(
                    "the page has {} bytes without photos, and --budget allows {budget}: show \
                     fewer classes with --top, or leave out --embed",
                    page.len()
                )));
            }
            write_bytes(&index, page.as_bytes())?;
        }
        None => {
            let pages = Pages { runs: &runs, gallery: &gallery, comparison, embedded: false };
            for (path, page) in pages.class_pages() {
                let path = folder.join(path);
                let parent = path.parent().expect("it lies in the report's folder");
                std::fs::create_dir_all(parent).map_err(Error::io("create", parent))?;
                write_bytes(&path, page.as_bytes())?;
            }
            write_bytes(&index, pages.index().as_bytes())?;
        }
    }
    let (pictures, photos, missing) = gallery.into_counts(&runs);
    Ok(WrittenReport { index, pictures, photos, missing, left_out })
}

/// Removes the pages and photos of an earlier report, whose index goes first: without it the rest
/// is nobody's.
fn remove_earlier(folder: &Path, index: &Path, replace: bool) -> Result<()> {
    if !index.exists() || (replace && !folder.join(FIGURES).is_file()) {
        return Ok(());
    }
    if !read_text(index)?.contains(page::GENERATOR) {
        return Err(Error::file(
            index,
            "is there already and was not made by emocam: name another folder with --out",
        ));
    }
    std::fs::remove_file(index).map_err(Error::io("remove the earlier", index))?;
    if !folder.join(FIGURES).is_file() {
        // In a folder of the user's `photos` may be the user's too.
        return Ok(());
    }
    for entry in std::fs::read_dir(folder).map_err(Error::io("read", folder))?.flatten() {
        let name = entry.file_name();
        let ours = name == "photos" || name.to_string_lossy().starts_with("run-");
        if ours && entry.path().is_dir() {
            std::fs::remove_dir_all(entry.path())
                .map_err(Error::io("remove the earlier", entry.path()))?;
        }
    }
    Ok(())
}

/// Two runs, by the first method of each.
fn beside_each_other(first: &ReportedRun<'_>, second: &ReportedRun<'_>) -> Result<RunComparison> {
    let names = match first.name == second.name {
        true => [format!("{} (A)", first.name), format!("{} (B)", second.name)],
        false => [first.name.clone(), second.name.clone()],
    };
    let [a, b] = names;
    let looks = [first.look(a), second.look(b)];
    let min_images = first.rule.min_images.max(second.rule.min_images);
    RunComparison::of(&looks, ComparisonSettings { resamples: 1000, seed: 0, min_images, top: 0 })
}

impl<'a> ReportedRun<'a> {
    fn read(input: ReportInput<'a>, settings: ReportSettings) -> Result<Self> {
        let ReportInput { run, rule, people, photos: _ } = input;
        let found = matrices(run, &rule, Columns::Answers)?;
        let cells = found.methods().iter().map(|(_, counts)| found.cells(counts)).collect();
        let classes: Vec<Vec<usize>> = found
            .methods()
            .iter()
            .map(|(_, counts)| found.prominent(counts, settings.top))
            .collect();
        let evidence =
            evidence::collect(run, &rule, &Columns::Answers, &classes, settings.evidence)?;
        let names = found.methods().iter().map(|(name, _)| name.as_str());
        let filters =
            names.map(|name| extras::filters(run, name, rule.min_images)).collect::<Result<_>>()?;
        let games = run
            .manifest
            .configuration
            .cam
            .methods
            .iter()
            .any(|method| method.row().needs == Needs::Regions);
        let count = found.methods().len();
        let backgrounds = if games { extras::backgrounds(run, count)? } else { vec![None; count] };
        let agreement = match found.methods().len() {
            0 | 1 => None,
            _ => {
                let again = Input::Run(Box::new(Run::open(run.folder())?), rule.clone());
                let inputs = Inputs::read(vec![again], MatrixKind::Counts)?;
                let plan = ResamplingPlan {
                    resamples: 0,
                    permutations: 0,
                    splits: 0,
                    ..ResamplingPlan::default()
                };
                Some(compare(&inputs, plan, |_| ())?)
            }
        };
        let failures = run.path("failures.csv");
        let failures = if failures.exists() { read_failures(&failures)? } else { Vec::new() };
        let name = std::path::absolute(run.folder())
            .ok()
            .and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
        let name = name.unwrap_or_else(|| "run".into());
        Ok(Self {
            name,
            run,
            rule,
            matrices: found,
            cells,
            classes,
            evidence,
            filters,
            backgrounds,
            agreement,
            people,
            failures,
        })
    }

    /// Its first method, as `name`.
    fn look(&self, name: String) -> ComparedLook<'_> {
        ComparedLook {
            name,
            run: self.run,
            method: 0,
            rule: self.rule.clone(),
            columns: Columns::Answers,
        }
    }

    fn method(&self, method: usize) -> &str {
        &self.matrices.methods()[method].0
    }
}
