//! What a region may be, whatever the format: ranges of scores and coordinates.

use super::Located;
use crate::image::{Extent, Mask, Region};

/// The furthest edge of a box, in pixels from the picture's corner.
const MAX_COORDINATE: f64 = 1e7;

/// A region from what a file says of it.
///
/// # Errors
/// The score is not in `[0, 1]`; the box is not finite, turned inside out or beyond 10 million;
/// there is neither a box nor a mask.
pub(super) fn located(
    class: usize,
    score: f64,
    extent: Option<Extent>,
    mask: Option<Mask>,
) -> Result<Located, String> {
    if !(0.0..=1.0).contains(&score) {
        return Err(format!("a score is a number from 0 to 1, found {score}"));
    }
    if let Some(extent) = extent {
        check_extent(&extent)?;
    }
    let region = match (extent, mask) {
        (Some(extent), mask) => Region { extent, mask },
        (None, Some(mask)) => Region::from(mask),
        (None, None) => return Err("a region has a box or a mask, found neither".into()),
    };
    Ok(Located { class, confidence: score as f32, region })
}

fn check_extent(extent: &Extent) -> Result<(), String> {
    let edges = <[f64; 4]>::from(*extent);
    if let Some(far) = edges.iter().find(|edge| edge.is_nan() || edge.abs() > MAX_COORDINATE) {
        return Err(format!(
            "a box's edges are at most {MAX_COORDINATE} pixels from 0, found {far}"
        ));
    }
    if extent.width() < 0.0 || extent.height() < 0.0 {
        return Err(format!(
            "a box has no negative width or height, found {} x {} (edges {edges:?}: x_min, y_min, \
             x_max, y_max)",
            extent.width(),
            extent.height()
        ));
    }
    Ok(())
}
