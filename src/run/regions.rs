//! The regions of a run, for another one over the same pictures.

use super::Run;
use crate::image::{Mask, Region, Size};
use crate::regions::{KnownPicture, KnownRegions, Located};
use crate::{Error, Result};
use std::collections::BTreeMap;

impl Run {
    /// Every picture's regions as they were found, unclipped, under the picture's path; with the
    /// canvas on which this run scored them, so that another one of the same network has the same
    /// importances.
    ///
    /// # Errors
    /// As [`Run::for_each_record`]; a mask that is damaged.
    pub fn known_regions(&self) -> Result<KnownRegions> {
        let mut pictures = BTreeMap::new();
        self.for_each_record(|record| {
            let size = Size::new(record.width, record.height);
            let damaged = |cause: String| {
                Error::file(&self.path("records.jsonl"), format!("{}: {cause}", record.path))
            };
            let mut regions = Vec::with_capacity(record.boxes.len());
            for found in &record.boxes {
                let mask =
                    found.rle.as_ref().map(|rle| Mask::from_compressed(size, rle)).transpose();
                let region = Region { extent: found.extent, mask: mask.map_err(damaged)? };
                regions.push(Located { class: found.class, confidence: found.confidence, region });
            }
            pictures.insert(record.path.clone(), KnownPicture { size: Some(size), regions });
            Ok(())
        })?;
        let classes = self.manifest.classes.clone();
        Ok(KnownRegions::new(self.folder(), classes, pictures)
            .on_canvas(self.manifest.scoring.into()))
    }
}
