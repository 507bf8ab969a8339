//! Which pixels of a network's input lie in regions of the picture.

use super::{Placement, Region, Size};

/// Which pixels of the network's input lie in one of `regions` (pixels of the picture that lies in
/// it as `placement` says): those whose centre does, for a region with pixels of its own in one of
/// these.
pub fn inside(regions: &[Region], placement: &Placement) -> Vec<bool> {
    let input = placement.input;
    let (across, down) = (placement.across(), placement.down());
    let (wide, high) =
        (across.length / f64::from(input.width), down.length / f64::from(input.height));
    let mut inside = Vec::with_capacity(input.area());
    for row in 0..input.height {
        let y = down.start + (f64::from(row) + 0.5) * high;
        for column in 0..input.width {
            let x = across.start + (f64::from(column) + 0.5) * wide;
            inside.push(regions.iter().any(|region| holds(region, x, y, placement.original)));
        }
    }
    inside
}

/// Whether a point of the picture lies in the region.
fn holds(region: &Region, x: f64, y: f64, picture: Size) -> bool {
    if let Some(mask) = &region.mask {
        let within = (0.0..f64::from(picture.width)).contains(&x)
            && (0.0..f64::from(picture.height)).contains(&y);
        return within && mask.contains(x as u32, y as u32);
    }
    // As in every table, in single precision.
    let [left, top, right, bottom] =
        <[f64; 4]>::from(region.extent).map(|edge| f64::from(edge as f32));
    left <= x && x < right && top <= y && y < bottom
}
