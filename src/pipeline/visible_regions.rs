//! The regions of a picture as they are scored, and the record that their scores make.

use crate::attribution::InputRegion;
use crate::image::{BoundingBox, Extent, Mask, Placement, Region, Size, inside};
use crate::networks::{Card, Prediction, Regression};
use crate::regions::Located;
use crate::run::record::{BoxRecord, ImageRecord, MapRecord};
use crate::score::{BoxScore, MapGrid, MapScores, MaskScorer};

/// The surest regions that can be players, the rest being background: there is memory for their
/// places.
const MOST_PLAYING: usize = 1000;

/// Scores of a picture's regions by one method.
#[derive(Debug, Clone, Default)]
pub(super) struct RegionScores {
    pub(super) boxes: Vec<BoxScore>,
    /// Empty where no region has pixels of its own.
    pub(super) masks: Vec<Option<BoxScore>>,
    /// The standard error of each importance, of a method that estimates; else empty.
    pub(super) errors: Vec<f32>,
    /// Of what lies in no region.
    pub(super) background: BoxScore,
    /// The map, coarsely, where there is one.
    pub(super) grid: Option<MapGrid>,
}

impl RegionScores {
    /// The importance of each region: on its own pixels where they are known, else in its box.
    pub(super) fn importances(&self) -> impl Iterator<Item = f32> {
        let masks = self.masks.iter().map(Option::as_ref).chain(std::iter::repeat(None));
        self.boxes.iter().zip(masks).map(|(score, mask)| mask.unwrap_or(score).mean)
    }
}

/// The regions of a picture that have a part in it.
pub(super) struct VisibleRegions {
    original: Size,
    pub(super) boxes: Vec<BoxRecord>,
    pub(super) extents: Vec<Extent>,
    pub(super) masks: Vec<Option<Mask>>,
    /// How many were cut.
    clipped: usize,
    /// How many lay outside and are left out.
    outside: usize,
}

impl VisibleRegions {
    pub(super) fn new(original: Size, located: Vec<Located>) -> Self {
        let mut visible = Self {
            original,
            boxes: Vec::new(),
            extents: Vec::new(),
            masks: Vec::new(),
            clipped: 0,
            outside: 0,
        };
        for Located { class, confidence, region } in located {
            let extent = region.extent;
            let Some(inside) = extent.clip(original) else {
                visible.outside += 1;
                continue;
            };
            let whole = BoundingBox::from(<[f64; 4]>::from(extent).map(|edge| edge as f32));
            visible.clipped += usize::from(inside != whole);
            let rle = region.mask.as_ref().map(Mask::to_compressed);
            visible.boxes.push(BoxRecord { class, confidence, bounding_box: inside, extent, rle });
            visible.extents.push(extent);
            visible.masks.push(region.mask);
        }
        visible
    }

    /// The regions in places of the network's input; those less confident than `least` cannot play,
    /// and those beyond [`MOST_PLAYING`] have no places.
    pub(super) fn inside(&self, placement: &Placement, least: f32) -> Vec<InputRegion> {
        let regions = self.extents.iter().zip(&self.masks).enumerate();
        let places = regions.map(|(at, (&extent, mask))| {
            let places = match at < MOST_PLAYING {
                true => inside(&[Region { extent, mask: mask.clone() }], placement),
                false => Vec::new(),
            };
            InputRegion { places, plays: self.boxes[at].confidence >= least }
        });
        places.collect()
    }

    /// Scores on the regions' own pixels by method; nothing where no region has any. `values` are
    /// the maps by method and picture, of which this is the one at `place`; `found` has its scores
    /// on boxes.
    pub(super) fn mask_scores(
        &self,
        placement: &Placement,
        (map, place): (Size, usize),
        values: &[Vec<Vec<f32>>],
        found: &[MapScores],
    ) -> Vec<Vec<Option<BoxScore>>> {
        if self.masks.iter().all(Option::is_none) {
            return Vec::new();
        }
        let scorer = MaskScorer::new(placement, map);
        let by_method = values.iter().zip(found).map(|(maps, found)| {
            let masks = self
                .masks
                .iter()
                .zip(&found.boxes)
                .filter_map(|(mask, score)| Some((mask.as_ref()?, score)));
            let mut scores = scorer.scores(&maps[place], &masks.collect::<Vec<_>>()).into_iter();
            self.masks.iter().map(|mask| mask.as_ref().and_then(|_| scores.next())).collect()
        });
        by_method.collect()
    }

    pub(super) fn record(
        self,
        prediction: &Prediction,
        card: &Card,
        maps: Vec<MapRecord>,
    ) -> ImageRecord {
        let predict = |regression: &Option<Regression>| {
            regression
                .as_ref()
                .map(|regression| regression.predict(&prediction.probabilities) as f32)
        };
        ImageRecord {
            path: String::new(),
            width: self.original.width,
            height: self.original.height,
            label: prediction.label,
            probabilities: prediction.probabilities.clone(),
            output: prediction.output,
            valence: predict(&card.valence),
            arousal: predict(&card.arousal),
            clipped: self.clipped,
            outside: self.outside,
            maps,
            boxes: self.boxes,
        }
    }
}
