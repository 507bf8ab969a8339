//! A run beside labels that people gave: whether the network answers as people do, which objects go
//! with what people say, and which are important when the network is wrong.
//!
//! In: records, people's labels. Out: matrices by people's labels, the confusion of both, and for
//! each answer the difference between pictures for which it is wrong and those for which it is
//! right. No network runs.

use super::matrices::picture;
use super::{Columns, Counts, DifferenceTable, Importance, Matrices};
use crate::annotations::PeopleLabels;
use crate::classify::Confusion;
use crate::config::AssociationConfig;
use crate::run::Run;
use crate::stats::ValueWithInterval;
use crate::{Error, Result};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The folder of a run for what is made with people's labels.
pub const FOLDER: &str = "people";

/// A run beside people's labels.
#[derive(Debug)]
pub struct BesidePeople {
    /// Columns are people's labels.
    by_people: Matrices,
    /// Pictures that are answered rightly, and wrongly; columns are answers.
    right: Matrices,
    wrong: Matrices,
    /// Rows are people's labels, columns the network's answers in people's words.
    pub confusion: Confusion,
    /// Pictures with a label that are answered with one for which people have no word.
    pub incomparable: u64,
    /// Pictures without a label.
    pub unlabelled: u64,
    rule: AssociationConfig,
    classes: Vec<String>,
    answers: Vec<String>,
}

impl BesidePeople {
    /// Counts a run's records.
    ///
    /// # Errors
    /// The records cannot be read; the rule does not fit the run's network; the network names no
    /// labels.
    pub fn read(run: &Run, rule: &AssociationConfig, truth: &Arc<PeopleLabels>) -> Result<Self> {
        let importance = Importance::of_run(run, rule)?;
        if let Some(output) = &run.manifest.output {
            let message = format!(
                "its network has a single output ({output}), with which no labels can be compared"
            );
            return Err(Error::file(run.folder(), message));
        }
        let new = |columns| Matrices::new(&run.manifest, &importance, columns);
        let mut beside = Self {
            by_people: new(Columns::People(truth.clone())),
            right: new(Columns::Answers),
            wrong: new(Columns::Answers),
            confusion: Confusion::new(&truth.names),
            incomparable: 0,
            unlabelled: 0,
            rule: rule.clone(),
            classes: new(Columns::Answers).classes().to_vec(),
            answers: run.manifest.labels.clone(),
        };
        run.for_each_record(|record| {
            if !rule.takes(record.margin()) {
                return Ok(());
            }
            let Some(label) = truth.of_picture(&record.path) else {
                beside.unlabelled += 1;
                return Ok(());
            };
            beside.by_people.add(&record);
            match truth.of_network[record.label] {
                Some(answer) => {
                    beside.confusion.add(label, answer);
                    if answer == label { &mut beside.right } else { &mut beside.wrong }
                        .add(&record);
                }
                None => beside.incomparable += 1,
            }
            Ok(())
        })?;
        Ok(beside)
    }

    /// Names of the rows of its matrices.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// Cohen's kappa of people's labels and the network's answers.
    pub fn kappa(&self) -> Option<ValueWithInterval> {
        self.confusion.kappa()
    }

    /// Matrices whose columns are people's labels.
    pub fn by_people(&self) -> &Matrices {
        &self.by_people
    }

    /// Per method the differences between pictures that are answered wrongly (second) and rightly
    /// (first); the columns are the answers.
    pub fn right_or_wrong(&self) -> Vec<(&str, DifferenceTable)> {
        let pairs = self.right.methods().iter().zip(self.wrong.methods());
        let table = |(right, wrong): (&(String, Counts), &(String, Counts))| {
            DifferenceTable::unpaired(&right.1, &wrong.1, self.rule.min_images)
        };
        self.right.methods().iter().map(|(name, _)| name.as_str()).zip(pairs.map(table)).collect()
    }

    /// Writes into `folder`: `confusion.csv`, `.png` and `.svg`, `labels.csv` and `accuracy.json`;
    /// for every method what [`Matrices::write`] does, with people's labels as columns, and
    /// `right_or_wrong.csv` and `.png` with its SVG. Returns the paths of the pictures.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<Vec<PathBuf>> {
        std::fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        self.confusion.write(folder, "What people say, and what the network answers")?;
        self.confusion.write_json(&folder.join("accuracy.json"))?;
        let mut pictures = self.by_people.write(folder)?;
        for (method, table) in self.right_or_wrong() {
            let folder = folder.join(method);
            table.write(
                &folder.join("right_or_wrong.csv"),
                &self.classes,
                &self.answers,
                ["right", "wrong"],
            )?;
            let mut heatmap =
                table.heatmap(&self.classes, &self.answers, self.rule.top, self.rule.min_images);
            heatmap.title = "What is important when the network is wrong".into();
            heatmap.subtitle = Some(format!(
                "{method}: share of the images with a wrong answer in which a class is important, \
                 less that of the images with the same answer where it is right; the {} classes \
                 with the surest cells",
                heatmap.rows.len()
            ));
            heatmap.empty_label = "the answer is never right, or never wrong".into();
            heatmap.notes.insert(0, self.rule.described());
            let empty = heatmap.values.iter().flatten().flatten().next().is_none();
            pictures.extend(picture(&folder, "right_or_wrong", empty, || heatmap.svg())?);
        }
        Ok(pictures)
    }
}
