//! A region's box as its source gave it: exact and unclipped.

use super::{BoundingBox, Size};
use serde::{Deserialize, Serialize};

/// A box `[x_min, x_max) x [y_min, y_max)` in pixels of the upright picture, x to the right, y
/// down. It may reach beyond the picture, and is kept in double precision, so that what a detector
/// saw on its canvas goes to the picture and back without rounding. In JSON it is the array
/// `[x_min, y_min, x_max, y_max]`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(from = "[f64; 4]", into = "[f64; 4]")]
pub struct Extent {
    /// Left edge.
    pub x_min: f64,
    /// Upper edge.
    pub y_min: f64,
    /// Right edge, not part of the box.
    pub x_max: f64,
    /// Lower edge, not part of the box.
    pub y_max: f64,
}

impl Extent {
    /// A box from its edges.
    pub const fn new(x_min: f64, y_min: f64, x_max: f64, y_max: f64) -> Self {
        Self { x_min, y_min, x_max, y_max }
    }

    /// `x_max - x_min`; negative for a box turned inside out.
    pub fn width(&self) -> f64 {
        self.x_max - self.x_min
    }

    /// `y_max - y_min`; negative for a box turned inside out.
    pub fn height(&self) -> f64 {
        self.y_max - self.y_min
    }

    /// Whether all edges are finite numbers.
    pub fn is_finite(&self) -> bool {
        <[f64; 4]>::from(*self).iter().all(|edge| edge.is_finite())
    }

    /// The part inside a picture of this size; `None` when nothing of it has an area. Every edge is
    /// rounded to single precision first and clipped then: tables written earlier depend on this
    /// order.
    pub fn clip(&self, size: Size) -> Option<BoundingBox> {
        let rounded = BoundingBox::from(<[f64; 4]>::from(*self).map(|edge| edge as f32));
        rounded.clip(size.width as f32, size.height as f32)
    }
}

impl From<[f64; 4]> for Extent {
    fn from([x_min, y_min, x_max, y_max]: [f64; 4]) -> Self {
        Self { x_min, y_min, x_max, y_max }
    }
}

impl From<Extent> for [f64; 4] {
    fn from(extent: Extent) -> Self {
        [extent.x_min, extent.y_min, extent.x_max, extent.y_max]
    }
}

impl From<BoundingBox> for Extent {
    fn from(bounding_box: BoundingBox) -> Self {
        Self::from(<[f32; 4]>::from(bounding_box).map(f64::from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_are_rounded_before_they_are_clipped() {
        let size = Size::new(30, 20);
        let extent = Extent::new(-0.1, 1.0 / 3.0, 29.999_999_999, 25.0);
        assert_eq!(extent.clip(size), Some(BoundingBox::new(0.0, 1.0_f32 / 3.0, 30.0, 20.0)));
        assert_eq!(Extent::new(30.0, 0.0, 40.0, 5.0).clip(size), None);
        assert_eq!(Extent::new(0.0, f64::NAN, 40.0, 5.0).clip(size), None);
        // Wide in double precision, of no width in single.
        assert_eq!(Extent::new(1.0, 0.0, 1.0 + 1e-12, 5.0).clip(size), None);
    }

    #[test]
    fn it_is_an_array_in_json_and_finite_or_not() {
        let extent = Extent::new(-1.5, 0.1, 2.25, 1e6);
        let text = serde_json::to_string(&extent).unwrap();
        assert_eq!(text, "[-1.5,0.1,2.25,1000000.0]");
        assert_eq!(serde_json::from_str::<Extent>(&text).unwrap(), extent);
        assert_eq!((extent.width(), extent.is_finite()), (3.75, true));
        assert!(!Extent::new(0.0, f64::INFINITY, 1.0, 1.0).is_finite());
        assert_eq!(Extent::from(BoundingBox::new(0.5, 1.0, 2.0, 4.0)).height(), 3.0);
    }
}
