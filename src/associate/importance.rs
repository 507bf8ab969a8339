//! Which boxes of a picture count: their numbers by the rule against its threshold.

use super::{NestedClasses, check_rule};
use crate::config::{AssociationConfig, Nested};
use crate::image::Size;
use crate::run::Run;
use crate::run::record::ImageRecord;
use crate::score::{MapSample, OtherMaps, ScoreRule};
use crate::{Error, Result};
use std::sync::Arc;

/// A rule with what it needs of other pictures.
#[derive(Debug, Clone)]
pub struct Importance {
    rule: AssociationConfig,
    /// Maps of the run's pictures, where the rule compares with them.
    maps: Option<Arc<MapSample>>,
    nested: Arc<NestedClasses>,
}

impl Importance {
    /// For the records of a run, which are read for it where the rule compares pictures with
    /// others.
    ///
    /// # Errors
    /// The rule does not fit the run's network; it compares with other pictures, and there are
    /// none, or the records cannot be read.
    pub fn of_run(run: &Run, rule: &AssociationConfig) -> Result<Self> {
        check_rule(&run.manifest, rule)?;
        let nested = Arc::new(NestedClasses::new(rule, &run.manifest.classes)?);
        let maps = match rule.score {
            ScoreRule::Chance => Some(Arc::new(sample(run)?)),
            _ => None,
        };
        Ok(Self { rule: rule.clone(), maps, nested })
    }

    /// For a picture alone, with regions of these classes.
    ///
    /// # Errors
    /// The rule compares with other pictures, or its table of nested classes does not fit.
    pub fn of_picture(rule: &AssociationConfig, classes: &[String]) -> Result<Self> {
        match rule.score {
            ScoreRule::Chance => Err(Error::Setting(
                "the score chance compares an image's map with those of the others of a run, and a \
                 single image has no others: choose another score (--score mean, z, ...), or \
                 `emocam associate` a run by it"
                    .into(),
            )),
            _ => Ok(Self { rule: rule.clone(), maps: None, nested: Arc::new(NestedClasses::new(rule, classes)?) }),
        }
    }

    /// Which classes are parts or kinds of which others.
    pub fn nested(&self) -> &NestedClasses {
        &self.nested
    }

    /// The rule.
    pub fn rule(&self) -> &AssociationConfig {
        &self.rule
    }

    /// The number of the record's box `at` by the map `method` of its list: the larger, the more
    /// important. Where a method gives regions values instead of maps, the value's share of all
    /// positive ones, whatever the rule.
    pub fn number(&self, record: &ImageRecord, method: usize, at: usize) -> f32 {
        let map = &record.maps[method];
        let score = map.score(at);
        if map.game_of_regions().is_some() {
            return score.mean;
        }
        self.rule.score.pick(score).unwrap_or_else(|| {
            let found = self.maps.as_ref().zip(map.grid.as_ref()).and_then(|(maps, grid)| {
                let edges =
                    record.boxes[at].bounding_box.shares(Size::new(record.width, record.height));
                maps.score(method, &record.path, grid, edges)
            });
            found.expect(
                "a rule that compares with other pictures is made with their maps, which every map \
                 has",
            )
        })
    }

    /// Whether the box is important: it is sure enough, its number is over the threshold, and no
    /// nested box counts in its place.
    pub fn counts(&self, record: &ImageRecord, method: usize, at: usize) -> bool {
        self.remains(record, at, |box_index| self.is_over(record, method, box_index))
    }

    /// Whether the box `at` is one of those that `are_over` the threshold, and none of these counts
    /// in its place.
    pub(super) fn remains(
        &self,
        record: &ImageRecord,
        at: usize,
        are_over: impl Fn(usize) -> bool,
    ) -> bool {
        let hides = |other: usize| self.nested.hides(record, other, at) && are_over(other);
        are_over(at)
            && (self.rule.nested == Nested::Separate || !(0..record.boxes.len()).any(hides))
    }

    fn is_over(&self, record: &ImageRecord, method: usize, at: usize) -> bool {
        let is_sure = record.boxes[at].confidence > self.rule.min_confidence;
        is_sure && self.number(record, method, at) > self.threshold(record, method)
    }

    /// The number of the background by the map `method`, likewise.
    pub fn background_number(&self, record: &ImageRecord, method: usize) -> f32 {
        let map = &record.maps[method];
        match map.game_of_regions() {
            Some(_) => map.background.mean,
            // The rules for which there is none are refused with the background as a row.
            None => self.rule.score.pick(&map.background).unwrap_or_default(),
        }
    }

    /// Whether the background is important.
    pub fn background_counts(&self, record: &ImageRecord, method: usize) -> bool {
        self.background_number(record, method) > self.threshold(record, method)
    }

    /// What a number has to be over.
    fn threshold(&self, record: &ImageRecord, method: usize) -> f32 {
        match record.maps[method].game_of_regions() {
            Some(_) => self.rule.region_importance(),
            None => self.rule.importance,
        }
    }

    /// The classes that are important in a picture by the map `method` of its list, each once,
    /// ascending.
    pub fn classes(&self, record: &ImageRecord, method: usize) -> Vec<usize> {
        let important = (0..record.boxes.len()).filter(|&at| self.counts(record, method, at));
        super::each_once(important.map(|index| record.boxes[index].class).collect())
    }
}

/// Maps of the run's pictures.
fn sample(run: &Run) -> Result<MapSample> {
    let mut maps = OtherMaps::default();
    run.for_each_record(|record| {
        if let Some(map) =
            record.maps.iter().find(|map| map.grid.is_none() && map.game_of_regions().is_none())
        {
            let message = format!(
                "{}: no grid of the map of {}, which the score chance compares",
                record.path, map.method
            );
            return Err(Error::file(&run.path("records.jsonl"), message));
        }
        maps.add(&record.path, record.maps.iter().map(|map| map.grid));
        Ok(())
    })?;
    maps.sample().ok_or_else(|| {
        let message = "has fewer than two images, so that the score chance has no other maps: \
                       choose another --score";
        Error::file(run.folder(), message)
    })
}
