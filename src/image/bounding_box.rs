//! An axis-aligned box and its arithmetic.

use super::Size;
use serde::{Deserialize, Serialize};

/// A box `[x_min, x_max) x [y_min, y_max)` in pixels, x to the right, y down; which grid the pixels
/// belong to is said where the box is made. In JSON it is the array `[x_min, y_min, x_max, y_max]`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(from = "[f32; 4]", into = "[f32; 4]")]
pub struct BoundingBox {
    /// Left edge.
    pub x_min: f32,
    /// Upper edge.
    pub y_min: f32,
    /// Right edge, not part of the box.
    pub x_max: f32,
    /// Lower edge, not part of the box.
    pub y_max: f32,
}

impl BoundingBox {
    /// A box from its edges.
    pub const fn new(x_min: f32, y_min: f32, x_max: f32, y_max: f32) -> Self {
        Self { x_min, y_min, x_max, y_max }
    }

    /// A box from its centre and sides, as Darknet's head gives it.
    pub fn from_center(x: f32, y: f32, width: f32, height: f32) -> Self {
        Self::new(x - width / 2.0, y - height / 2.0, x + width / 2.0, y + height / 2.0)
    }

    /// `x_max - x_min`; negative for a box turned inside out.
    pub fn width(&self) -> f32 {
        self.x_max - self.x_min
    }

    /// `y_max - y_min`; negative for a box turned inside out.
    pub fn height(&self) -> f32 {
        self.y_max - self.y_min
    }

    /// Width times height, 0 when either is not positive.
    pub fn area(&self) -> f32 {
        self.width().max(0.0) * self.height().max(0.0)
    }

    /// Both ends of its columns, then of its rows, in shares of the sides of a picture of this
    /// size.
    pub fn shares(&self, size: Size) -> [[f64; 2]; 2] {
        let share = |edge: f32, side: u32| f64::from(edge) / f64::from(side);
        let columns = [self.x_min, self.x_max].map(|edge| share(edge, size.width));
        [columns, [self.y_min, self.y_max].map(|edge| share(edge, size.height))]
    }

    /// Intersection over union in `[0, 1]`: areas of plain half-open boxes, no "+1". Two empty
    /// boxes have 0.
    pub fn iou(&self, other: &Self) -> f32 {
        let shared = Self {
            x_min: self.x_min.max(other.x_min),
            y_min: self.y_min.max(other.y_min),
            x_max: self.x_max.min(other.x_max),
            y_max: self.y_max.min(other.y_max),
        }
        .area();
        let union = self.area() + other.area() - shared;
        if union > 0.0 { shared / union } else { 0.0 }
    }

    /// The part inside `[0, width) x [0, height)`; `None` when nothing of it has an area.
    pub fn clip(&self, width: f32, height: f32) -> Option<Self> {
        let clipped = Self {
            x_min: self.x_min.clamp(0.0, width),
            y_min: self.y_min.clamp(0.0, height),
            x_max: self.x_max.clamp(0.0, width),
            y_max: self.y_max.clamp(0.0, height),
        };
        (clipped.area() > 0.0).then_some(clipped)
    }
}

impl From<[f32; 4]> for BoundingBox {
    fn from([x_min, y_min, x_max, y_max]: [f32; 4]) -> Self {
        Self { x_min, y_min, x_max, y_max }
    }
}

impl From<BoundingBox> for [f32; 4] {
    fn from(b: BoundingBox) -> Self {
        [b.x_min, b.y_min, b.x_max, b.y_max]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iou_of_half_overlapping_boxes_is_a_third() {
        let a = BoundingBox::new(0.0, 0.0, 4.0, 2.0);
        let b = BoundingBox::new(2.0, 0.0, 6.0, 2.0);
        assert_eq!(a.iou(&b), 4.0 / 12.0);
        assert_eq!(a.iou(&a), 1.0);
        assert_eq!(a.iou(&BoundingBox::new(4.0, 0.0, 6.0, 2.0)), 0.0);
        assert_eq!(
            BoundingBox::new(1.0, 1.0, 1.0, 1.0).iou(&BoundingBox::new(1.0, 1.0, 1.0, 1.0)),
            0.0
        );
    }

    #[test]
    fn clipping_keeps_what_is_inside() {
        let b = BoundingBox::new(-3.0, 1.0, 5.0, 9.0);
        assert_eq!(b.clip(4.0, 6.0), Some(BoundingBox::new(0.0, 1.0, 4.0, 6.0)));
        assert_eq!(b.clip(4.0, 1.0), None);
    }
}
