//! What resampling needs of a run's pictures, small: the label, and for every method the classes
//! that are important.
//!
//! About four bytes a picture, method and important class, besides the paths; the records
//! themselves are read once.

use crate::associate::{Importance, detected_classes};
use crate::config::AssociationConfig;
use crate::run::Run;
use crate::run::record::ImageRecord;
use crate::{Error, Result};

/// For each picture a list of cells, flat.
#[derive(Debug, Clone, Default)]
struct Lists {
    cells: Vec<u32>,
    /// Where each picture's list ends.
    ends: Vec<usize>,
}

impl Lists {
    fn push(&mut self, cells: impl Iterator<Item = u32>) {
        self.cells.extend(cells);
        self.ends.push(self.cells.len());
    }
}

/// The pictures of a run, in the order of its records.
#[derive(Debug, Clone)]
pub(super) struct Pictures {
    paths: Vec<String>,
    labels: Vec<u32>,
    /// One a method, and the last for the detections alone.
    lists: Vec<Lists>,
    size: (usize, usize),
}

/// How a run's own classes and labels are numbered in the matrices that are compared.
#[derive(Debug, Clone)]
pub(super) struct Numbering {
    /// Number of each of the run's classes.
    pub classes: Vec<usize>,
    /// Number of each of its labels.
    pub labels: Vec<usize>,
}

impl Pictures {
    /// No pictures; matrices of `classes` x `labels` by so many methods.
    ///
    /// # Errors
    /// More cells than can be numbered.
    pub(super) fn new(classes: usize, labels: usize, methods: usize) -> Result<Self> {
        if classes.checked_mul(labels).is_none_or(|cells| u32::try_from(cells).is_err()) {
            return Err(Error::Setting(format!(
                "matrices of {classes} x {labels} cells are too large to compare"
            )));
        }
        let lists = vec![Lists::default(); methods + 1];
        Ok(Self { paths: Vec::new(), labels: Vec::new(), lists, size: (classes, labels) })
    }

    /// Reads a run's records; pictures and boxes count by `rule`, and a box is a detection when it
    /// is confident enough by it.
    ///
    /// # Errors
    /// The records cannot be read; the rule does not fit the run's network.
    pub(super) fn read(run: &Run, rule: &AssociationConfig, numbering: &Numbering) -> Result<Self> {
        let Numbering { classes, labels } = numbering;
        let importance = Importance::of_run(run, rule)?;
        let mut pictures =
            Self::new(classes.len(), labels.len(), run.manifest.configuration.cam.names().len())?;
        run.for_each_record(|record| {
            if rule.takes(record.margin()) {
                pictures.push(&record, &importance, numbering);
            }
            Ok(())
        })?;
        Ok(pictures)
    }

    fn push(&mut self, record: &ImageRecord, importance: &Importance, numbering: &Numbering) {
        let label = numbering.labels[record.label];
        let numbered =
            |classes: Vec<usize>| classes.into_iter().map(|class| numbering.classes[class]);
        let detected = detected_classes(record, importance.rule());
        let methods = (0..record.maps.len()).map(|method| importance.classes(record, method));
        self.add(record.path.clone(), label, methods.chain([detected]).map(numbered));
    }

    /// Adds a picture: its label and, for each method and then for the detections, different
    /// classes.
    pub(super) fn add(
        &mut self,
        path: String,
        label: usize,
        lists: impl Iterator<Item = impl Iterator<Item = usize>>,
    ) {
        self.paths.push(path);
        self.labels.push(label as u32);
        let columns = self.size.1;
        for (list, classes) in self.lists.iter_mut().zip(lists) {
            list.push(classes.map(|class| (class * columns + label) as u32));
        }
    }

    /// Their paths.
    pub(super) fn paths(&self) -> &[String] {
        &self.paths
    }

    /// Number of pictures.
    pub(super) fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The list of the detections, where others have a method.
    pub(super) fn detections(&self) -> usize {
        self.lists.len() - 1
    }

    /// Whether nothing was detected in any picture.
    pub(super) fn without_detections(&self) -> bool {
        self.lists[self.detections()].cells.is_empty()
    }

    /// c_j: pictures of each label when each counts as often as `weight` says.
    pub(super) fn images(&self, weight: impl Fn(usize) -> u32) -> Vec<u32> {
        let mut images = vec![0; self.size.1];
        self.labels
            .iter()
            .enumerate()
            .for_each(|(at, &label)| images[label as usize] += weight(at));
        images
    }

    /// a_ij, row by row, into `counts`, when each picture counts as often as `weight` says.
    pub(super) fn count(&self, list: usize, weight: impl Fn(usize) -> u32, counts: &mut Vec<u32>) {
        counts.clear();
        counts.resize(self.size.0 * self.size.1, 0);
        let Lists { cells, ends } = &self.lists[list];
        let mut start = 0;
        for (at, &end) in ends.iter().enumerate() {
            let weight = weight(at);
            if weight > 0 {
                cells[start..end].iter().for_each(|&cell| counts[cell as usize] += weight);
            }
            start = end;
        }
    }

    /// The label of a picture.
    #[cfg(test)]
    pub(super) fn label(&self, at: usize) -> usize {
        self.labels[at] as usize
    }

    /// The classes in a list of a picture.
    #[cfg(test)]
    pub(super) fn classes(&self, list: usize, at: usize) -> Vec<usize> {
        let Lists { cells, ends } = &self.lists[list];
        let start = at.checked_sub(1).map_or(0, |before| ends[before]);
        cells[start..ends[at]].iter().map(|&cell| cell as usize / self.size.1).collect()
    }
}
