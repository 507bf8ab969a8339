//! One annotation of a data set, or one result, as it stands in a file.

use super::id::Id;
use crate::image::mask::RunLengths;
use crate::image::{Extent, Mask, Size};
use serde::de::{
    Deserialize, Deserializer, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer,
};
use std::fmt;

/// A labelled region; what else a file says of it (`iscrowd`, `area`, …) is passed over.
#[derive(Debug, serde::Deserialize)]
pub(super) struct Annotation {
    pub(super) image_id: Id,
    pub(super) category_id: Id,
    pub(super) score: Option<f64>,
    /// x, y, width, height.
    bbox: Option<[f64; 4]>,
    segmentation: Option<Segmentation>,
}

/// Which pixels are its.
#[derive(Debug)]
enum Segmentation {
    /// Lists x, y, x, y, … of corners.
    Polygons(Vec<Vec<f64>>),
    RunLengths(RunLengths),
}

impl Annotation {
    /// Which image it is about, to follow its number in messages.
    pub(super) fn place(&self) -> String {
        format!(" (image_id {}): ", self.image_id)
    }

    /// The box and the mask, each if there is one. What the mask costs is taken from `crossings`,
    /// the columns that edges of polygons may still cross.
    ///
    /// # Errors
    /// Polygons or run lengths that are none; polygons of an image whose size is not known, or that
    /// cost too much.
    pub(super) fn region(
        self,
        size: Option<Size>,
        crossings: &mut usize,
    ) -> Result<(Option<Extent>, Option<Mask>), String> {
        let extent =
            self.bbox.map(|[x, y, width, height]| Extent::new(x, y, x + width, y + height));
        let mask = match self.segmentation {
            None => None,
            // Data sets of boxes alone have an empty list.
            Some(Segmentation::Polygons(polygons)) if polygons.is_empty() => None,
            Some(Segmentation::Polygons(polygons)) => {
                let size = size.ok_or(
                    "a polygon needs the image's width and height, which the data set does not \
                     give",
                )?;
                let (mask, cost) = Mask::from_polygons_counted(size, &polygons)?;
                *crossings = crossings.checked_sub(cost).ok_or(
                    "the edges of all polygons cross more columns of pixels than outlines in a \
                     file of this length do: it is made to take time, or the images are smaller \
                     than it says",
                )?;
                Some(mask)
            }
            Some(Segmentation::RunLengths(run_lengths)) => Some(Mask::try_from(run_lengths)?),
        };
        Ok((extent, mask))
    }
}

impl<'de> Deserialize<'de> for Segmentation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SegmentationVisitor)
    }
}

struct SegmentationVisitor;

impl<'de> Visitor<'de> for SegmentationVisitor {
    type Value = Segmentation;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a segmentation: a list of polygons, or an object with size and counts")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Segmentation, A::Error> {
        let mut polygons = Vec::new();
        while let Some(polygon) = list.next_element()? {
            polygons.push(polygon);
        }
        Ok(Segmentation::Polygons(polygons))
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Segmentation, A::Error> {
        RunLengths::deserialize(MapAccessDeserializer::new(object)).map(Segmentation::RunLengths)
    }
}
