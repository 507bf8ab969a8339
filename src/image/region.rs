//! Where something is in a picture: a box, or the pixels themselves.

use super::{Extent, Mask};

/// A part of a picture, in pixels of the upright picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Region {
    /// The box around it, as its source gave it.
    pub extent: Extent,
    /// Its pixels, where the source knows them; `None`: the whole box. A mask can be empty, for
    /// instance that of a polygon too thin to hold a pixel.
    pub mask: Option<Mask>,
}

impl From<Extent> for Region {
    /// The region that is a whole box.
    fn from(extent: Extent) -> Self {
        Self { extent, mask: None }
    }
}

impl From<Mask> for Region {
    /// The region of these pixels, with the smallest box around them; around no pixel, it is `[0,
    /// 0, 0, 0]`.
    fn from(mask: Mask) -> Self {
        let extent = mask.bounding_box().map_or(Extent::new(0.0, 0.0, 0.0, 0.0), Extent::from);
        Self { extent, mask: Some(mask) }
    }
}
