//! What is compared: the methods of runs, and matrices from CSV files, brought to the same classes
//! and labels.

use super::pictures::{Numbering, Pictures};
use super::table::{self, MatrixFile};
use crate::config::AssociationConfig;
use crate::run::Run;
use crate::{Error, Result};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What stands in the cells that are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MatrixKind {
    /// M_A (paper, appendix A.2): in how many pictures of a label a class is important, every
    /// column; that of a label without pictures is 0.
    #[default]
    Counts,
    /// M': the share of a label's pictures in which a class is important. A label that has no
    /// picture somewhere is left out everywhere.
    Shares,
}

/// One argument of the comparison.
#[derive(Debug)]
pub enum Input {
    /// A run, and which of its boxes count.
    Run(Box<Run>, AssociationConfig),
    /// An `association.csv` or `counts.csv`.
    Table(PathBuf),
}

impl Input {
    fn path(&self) -> &Path {
        match self {
            Self::Run(run, _) => run.folder(),
            Self::Table(path) => path,
        }
    }
}

/// One matrix.
#[derive(Debug)]
pub struct Item {
    /// Unique among the items.
    pub name: String,
    /// Which of the arguments it came from.
    pub input: usize,
    pub(super) data: Data,
}

#[derive(Debug)]
pub(super) enum Data {
    /// Counted from the pictures of the run at this place of [`Inputs::runs`] by this method.
    Run { run: usize, method: usize },
    /// Cells row by row, and which columns have any.
    Table { cells: Vec<f64>, present: Vec<bool> },
}

/// Everything that is compared.
#[derive(Debug)]
pub struct Inputs {
    /// Names of the rows.
    pub classes: Vec<String>,
    /// Names of the columns.
    pub labels: Vec<String>,
    /// The matrices.
    pub items: Vec<Item>,
    /// The arguments, as paths.
    pub paths: Vec<PathBuf>,
    /// What stands in the cells.
    pub matrix: MatrixKind,
    /// What the reader should know.
    pub warnings: Vec<String>,
    pub(super) runs: Vec<RunPictures>,
}

/// A run's pictures and which corpus they are from.
#[derive(Debug)]
pub(super) struct RunPictures {
    pub input: usize,
    pub pictures: Pictures,
    /// Digest of the corpus.
    pub corpus: String,
    pub rule: AssociationConfig,
}

impl Inputs {
    /// Reads everything. Rows and columns are those of the first argument; others may have them in
    /// another order.
    ///
    /// # Errors
    /// A file cannot be read; classes or labels differ; the same argument comes twice; fewer than
    /// two matrices in all.
    pub fn read(inputs: Vec<Input>, matrix: MatrixKind) -> Result<Self> {
        let names = names(&inputs)?;
        let mut all = Self {
            classes: Vec::new(),
            labels: Vec::new(),
            items: Vec::new(),
            paths: inputs.iter().map(|input| input.path().to_path_buf()).collect(),
            matrix,
            warnings: Vec::new(),
            runs: Vec::new(),
        };
        let mut as_they_stand = Vec::new();
        for (at, (input, name)) in inputs.into_iter().zip(names).enumerate() {
            match input {
                Input::Run(run, rule) => all.add_run(at, &name, &run, rule)?,
                Input::Table(path) => {
                    let table = MatrixFile::read(&path, matrix)?;
                    as_they_stand.extend((!table.counted).then(|| path.display().to_string()));
                    all.add_table(at, name, &table)?;
                }
            }
        }
        if matrix == MatrixKind::Counts && (1..all.paths.len()).contains(&as_they_stand.len()) {
            all.warnings.push(format!(
                "the numbers of {} are compared as they stand with counts of images: of \
                 association.csv name counts.csv beside it, or compare shares (--matrix shares)",
                as_they_stand.join(", ")
            ));
        }
        all.tell_apart();
        if all.items.len() < 2 {
            return Err(Error::Setting(format!(
                "{} matrix to compare, two are needed: name several runs or matrices, or a run \
                 with several methods (`emocam analyze --cam paper`)",
                all.items.len()
            )));
        }
        Ok(all)
    }

    /// How many pictures stand behind an item; `None` for a matrix from a file.
    pub fn images(&self, item: usize) -> Option<usize> {
        match self.items[item].data {
            Data::Run { run, .. } => Some(self.runs[run].pictures.len()),
            Data::Table { .. } => None,
        }
    }

    /// The settings by which boxes of the argument count, when it is a run.
    pub fn rule(&self, input: usize) -> Option<&AssociationConfig> {
        self.runs.iter().find(|run| run.input == input).map(|run| &run.rule)
    }

    fn add_run(
        &mut self,
        input: usize,
        name: &Option<String>,
        run: &Run,
        rule: AssociationConfig,
    ) -> Result<()> {
        let manifest = &run.manifest;
        let numbering = self.number(input, &manifest.classes, &manifest.labels)?;
        let pictures = Pictures::read(run, &rule, &numbering)?;
        let folder = run.folder().display();
        self.warnings.extend(manifest.warning.iter().map(|warning| format!("{folder}: {warning}")));
        if pictures.is_empty() && rule.min_margin > 0.0 {
            let margin = rule.min_margin;
            return Err(Error::file(
                run.folder(),
                format!("has no image whose label leads by more than {margin}"),
            ));
        }
        if pictures.is_empty() {
            return Err(Error::file(run.folder(), "has no records yet: nothing to compare"));
        }
        if !manifest.complete {
            self.warnings.push(format!(
                "{folder}: the run is not finished, {} images so far",
                pictures.len()
            ));
        }
        if pictures.without_detections() {
            self.warnings.push(format!("{folder}: no object was detected, all its cells are 0"));
        }
        if pictures.len() == 1 {
            self.warnings.push(format!("{folder}: one image: no intervals and no reliability"));
        }
        let methods = manifest.configuration.cam.names();
        for (method, of) in methods.iter().enumerate() {
            let name = match name {
                Some(name) if methods.len() > 1 => format!("{name}/{of}"),
                Some(name) => name.clone(),
                None => of.to_string(),
            };
            self.items.push(Item { name, input, data: Data::Run { run: self.runs.len(), method } });
        }
        self.runs.push(RunPictures {
            input,
            pictures,
            corpus: manifest.corpus.sha256.clone(),
            rule,
        });
        Ok(())
    }

    fn add_table(&mut self, input: usize, name: Option<String>, table: &MatrixFile) -> Result<()> {
        let Numbering { classes, labels } = self.number(input, &table.classes, &table.labels)?;
        let (mut cells, mut present) =
            (vec![0.0; classes.len() * labels.len()], vec![false; labels.len()]);
        for (from, &label) in labels.iter().enumerate() {
            present[label] = table.present[from];
            for (row, &class) in classes.iter().enumerate() {
                cells[class * labels.len() + label] = table.cells[row * labels.len() + from];
            }
        }
        let name = name.unwrap_or_else(|| table::name_of(&self.paths[input], 1));
        self.items.push(Item { name, input, data: Data::Table { cells, present } });
        Ok(())
    }

    /// A file that has the name of another item, as `run/grad-cam/counts.csv` beside the run
    /// itself, is called by its path.
    fn tell_apart(&mut self) {
        let names: Vec<String> = self.items.iter().map(|item| item.name.clone()).collect();
        for item in self.items.iter_mut().filter(|item| matches!(item.data, Data::Table { .. })) {
            if names.iter().filter(|name| **name == item.name).count() > 1 {
                item.name = self.paths[item.input].display().to_string();
            }
        }
    }

    /// The numbers of an argument's classes and labels among those of the first argument.
    fn number(&mut self, input: usize, classes: &[String], labels: &[String]) -> Result<Numbering> {
        if input == 0 {
            (self.classes, self.labels) = (classes.to_vec(), labels.to_vec());
        }
        let number = |first: &[String], these: &[String], what: &str| {
            matching(first, these, what, &self.paths[0])
                .map_err(|cause| Error::file(&self.paths[input], cause))
        };
        Ok(Numbering {
            classes: number(&self.classes, classes, "class")?,
            labels: number(&self.labels, labels, "label")?,
        })
    }
}

/// Where each of `these` is in `first`, which must be the same set.
fn matching(
    first: &[String],
    these: &[String],
    what: &str,
    path: &Path,
) -> Result<Vec<usize>, String> {
    if first == these {
        return Ok((0..first.len()).collect());
    }
    let places: BTreeMap<&String, usize> = first.iter().zip(0..).collect();
    let mut missing: BTreeMap<&String, usize> = places.clone();
    let mut numbers = Vec::with_capacity(these.len());
    for name in these {
        let Some(&place) = places.get(name) else {
            return Err(format!(
                "has the {what} `{name}`, which {} has not: they cannot be compared",
                path.display()
            ));
        };
        if missing.remove(name).is_none() {
            return Err(format!("has the {what} `{name}` twice: which of the two is meant?"));
        }
        numbers.push(place);
    }
    match missing.into_iter().min_by_key(|&(_, place)| place) {
        Some((name, _)) => Err(format!(
            "has no {what} `{name}`, which {} has: they cannot be compared",
            path.display()
        )),
        None if first.len() != these.len() => Err(format!("{} has a {what} twice", path.display())),
        None => Ok(numbers),
    }
}

/// A name for every argument: for a run's folder its own, for a file its own or, where that says
/// nothing, its folder's; preceded by as many folders as it takes to tell the arguments apart, if
/// that is possible. `None` for a single run.
fn names(inputs: &[Input]) -> Result<Vec<Option<String>>> {
    if let [Input::Run(..)] = inputs {
        return Ok(vec![None]);
    }
    let whole: Vec<PathBuf> = inputs
        .iter()
        .map(|input| input.path().canonicalize().map_err(Error::io("read", input.path())))
        .collect::<Result<_>>()?;
    for (at, path) in whole.iter().enumerate() {
        if whole[..at].contains(path) {
            return Err(Error::file(inputs[at].path(), "is named twice"));
        }
    }
    let named = |at: usize, folders: usize| match &inputs[at] {
        Input::Run(..) => table::last_parts(&whole[at], folders),
        Input::Table(_) => table::name_of(&whole[at], folders),
    };
    let name = |at: usize| {
        let deepest = whole[at].components().count();
        let unique = |folders: &usize| {
            (0..whole.len()).all(|b| b == at || named(b, *folders) != named(at, *folders))
        };
        let folders = (1..deepest).find(unique).unwrap_or(deepest);
        Some(named(at, folders))
    };
    Ok((0..whole.len()).map(name).collect())
}
