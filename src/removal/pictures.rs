//! A picture of the experiment: prepared for the networks, then with the regions that are taken
//! away.

use super::control::Control;
use super::record::{ControlRecord, FillAnswers, RegionRecord, RemovalAnswer, RemovalRecord};
use super::settings::RemovalKind;
use crate::image::{BoundingBox, Mask, Placement, Region, Rgb8, inside};
use crate::networks::Prediction;
use crate::random::Random;
use crate::regions::{Located, Seen};

/// A picture decoded or drawn.
#[derive(Debug)]
pub struct PreparedPicture {
    pub(super) path: String,
    pub(super) placement: Placement,
    /// The network's input.
    pub(super) input: Rgb8,
    /// For where regions come from.
    pub(super) seen: Seen,
    /// Of a drawn scene.
    pub(super) scene: Option<PreparedScene>,
}

/// The objects of a drawn scene that can be seen.
#[derive(Debug)]
pub(super) struct PreparedScene {
    /// Their exact boxes.
    pub located: Vec<Located>,
    /// The scene drawn again without each, as the network takes it.
    pub without: Vec<Rgb8>,
}

/// A region that is taken away.
#[derive(Debug)]
pub(super) struct Chosen {
    /// Its number among all of the picture's.
    pub number: usize,
    class: usize,
    confidence: f32,
    bounding_box: BoundingBox,
    rle: Option<String>,
    /// Which places of the network's input it has, row by row.
    places: Vec<bool>,
    control: Option<Control>,
}

/// Which regions are taken away.
#[derive(Debug, Clone, Copy)]
pub(super) struct Choice {
    /// Those at least so confident.
    pub least_confidence: f32,
    /// At most so many.
    pub most: usize,
    /// Seed of the controls.
    pub seed: u64,
}

/// A picture with its regions.
#[derive(Debug)]
pub(super) struct OpenPicture<'a> {
    pub picture: &'a PreparedPicture,
    pub chosen: Vec<Chosen>,
}

/// The surest regions of which places are kept: there is memory for them.
const MOST_PLACED: usize = 1000;

impl<'a> OpenPicture<'a> {
    /// The surest regions, the earlier of equally sure ones, that have a place in the network's
    /// input, and a control each, drawn from the seed, the picture's path and the region's number.
    pub(super) fn new(picture: &'a PreparedPicture, located: Vec<Located>, choice: Choice) -> Self {
        let mut sure: Vec<(usize, Located)> = located
            .into_iter()
            .enumerate()
            .filter(|(_, found)| found.confidence >= choice.least_confidence)
            .collect();
        sure.sort_by(|(_, a), (_, b)| b.confidence.total_cmp(&a.confidence));
        let placed = sure.into_iter().filter_map(|(number, found)| picture.choose(number, found));
        let mut chosen: Vec<Chosen> = placed.take(MOST_PLACED).collect();
        let mut regions = vec![false; picture.placement.input.area()];
        for placed in &chosen {
            regions.iter_mut().zip(&placed.places).for_each(|(any, &inside)| *any |= inside);
        }
        chosen.truncate(choice.most);
        for chosen in &mut chosen {
            let mut random = Random::of_text(
                choice.seed,
                &format!("{}\ncontrol {}", picture.path, chosen.number),
            );
            chosen.control =
                Control::draw(&chosen.places, &regions, &picture.placement, &mut random);
        }
        Self { picture, chosen }
    }

    /// The inputs for which the network is asked with one fill: the number among `chosen` and what
    /// is hidden.
    pub(super) fn inputs(&self) -> impl Iterator<Item = (usize, RemovalKind)> + '_ {
        let asked =
            |chosen: &Chosen, kind: RemovalKind| !kind.is_control() || chosen.control.is_some();
        self.chosen.iter().enumerate().flat_map(move |(region, chosen)| {
            RemovalKind::ALL
                .into_iter()
                .filter(move |&kind| asked(chosen, kind))
                .map(move |kind| (region, kind))
        })
    }

    /// Appends the places of the network's input that are shown of an input, all of them without a
    /// region.
    pub(super) fn show(&self, input: Option<(usize, RemovalKind)>, shown: &mut Vec<bool>) {
        let Some((region, kind)) = input else {
            shown.extend(std::iter::repeat_n(true, self.picture.placement.input.area()));
            return;
        };
        let chosen = &self.chosen[region];
        let places = match &chosen.control {
            Some(control) if kind.is_control() => &control.places,
            _ => &chosen.places,
        };
        shown.extend(places.iter().map(|&inside| inside == kind.is_kept()));
    }

    /// The picture's record: `whole` is the answer for all of it, `answers` has for every fill
    /// those for [`OpenPicture::inputs`], `redrawn` those for the scene without each region.
    pub(super) fn record(
        &self,
        whole: &Prediction,
        answers: &[&[Prediction]],
        redrawn: &[Prediction],
    ) -> RemovalRecord {
        let own = whole.label;
        let answer = |found: &Prediction| RemovalAnswer {
            label: found.label,
            probability: found.probabilities[own],
        };
        let inputs: Vec<(usize, RemovalKind)> = self.inputs().collect();
        let of_region = |region: usize, of_fill: &&[Prediction]| {
            let find = |kind: RemovalKind| {
                let place = inputs.iter().position(|&input| input == (region, kind))?;
                Some(answer(&of_fill[place]))
            };
            Some(FillAnswers {
                removed: find(RemovalKind::Removed)?,
                kept: find(RemovalKind::Kept)?,
                removed_control: find(RemovalKind::RemovedControl),
                kept_control: find(RemovalKind::KeptControl),
            })
        };
        let PreparedPicture { path, placement, .. } = self.picture;
        let seen = (placement.columns.len() * placement.rows.len()) as f32;
        let region = |(number, chosen): (usize, &Chosen)| RegionRecord {
            class: chosen.class,
            confidence: chosen.confidence,
            bounding_box: chosen.bounding_box,
            rle: chosen.rle.clone(),
            covered: chosen.places.iter().filter(|&&inside| inside).count() as f32 / seen,
            control: chosen.control.as_ref().map(|control| ControlRecord {
                bounding_box: control.bounding_box,
                overlap: control.overlap as f32,
                on_regions: control.on_regions as f32,
            }),
            answers: answers.iter().filter_map(|of_fill| of_region(number, of_fill)).collect(),
            redrawn: redrawn.get(number).map(answer),
        };
        RemovalRecord {
            path: path.clone(),
            width: placement.original.width,
            height: placement.original.height,
            label: own,
            probabilities: whole.probabilities.clone(),
            regions: self.chosen.iter().enumerate().map(region).collect(),
        }
    }
}

impl PreparedPicture {
    /// A region with its places and no control; `None` where the network's input shows nothing of
    /// it.
    fn choose(&self, number: usize, found: Located) -> Option<Chosen> {
        let Located { class, confidence, region } = found;
        let bounding_box = region.extent.clip(self.placement.original)?;
        let rle = region.mask.as_ref().map(Mask::to_compressed);
        let places =
            inside(&[Region { extent: bounding_box.into(), mask: region.mask }], &self.placement);
        places.contains(&true).then_some(Chosen {
            number,
            class,
            confidence,
            bounding_box,
            rle,
            places,
            control: None,
        })
    }
}
