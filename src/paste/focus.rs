//! Does the model's focus move along? The activation map before and after pasting: what of it lies
//! inside the pasted outline, how important the covered box is, how alike the two maps are.

use super::record::Focus;
use crate::Result;
use crate::attribution::{HeadPass, Maps, Method, explain};
use crate::config::Config;
use crate::image::{BoundingBox, Extent, Filter, KeptResize, Letterbox, Placement, Rgb8};
use crate::networks::{Classifier, Forward};
use crate::score::{BoxArea, PlacedMap, Scorer};
use crate::stats::Ranks;

/// The maps of a batch by `method`, of each picture's own label (`classes`) or of the class the
/// configuration names.
///
/// # Errors
/// The class is not known; no memory.
pub(super) fn maps(
    method: Method,
    network: &dyn Classifier,
    config: &Config,
    forward: &Forward,
    classes: &[usize],
) -> Result<Maps> {
    let fixed = config.cam.class.index(network.card())?;
    let classes: Vec<usize> = classes.iter().map(|&own| fixed.unwrap_or(own)).collect();
    // One seed for all: two pictures differ in what was pasted, not in what was drawn.
    let seeds = vec![config.cam.seed; classes.len()];
    let pass = HeadPass::new(network, forward, config.cam.options(), &classes, &seeds)?;
    explain(method, &pass.with_changes_in(config.compute.precision), network.card().input())
}

/// The map of a photo with nothing pasted, ready for comparisons.
#[derive(Debug)]
pub(super) struct Look {
    scorer: Scorer,
    placement: Placement,
    before: Vec<f32>,
    placed: PlacedMap,
    ranks: Ranks,
    /// A black photo: with an outline in white over it, it is the outline's mask over the network's
    /// input.
    black: KeptResize,
}

impl Look {
    /// `before` is a map over the input in which the photo lies as `placement` says; boxes are
    /// scored on `letterbox`.
    pub(super) fn new(letterbox: Letterbox, placement: &Placement, before: &[f32]) -> Self {
        let Placement { original, resized, columns, rows, input, .. } = placement.clone();
        let scorer = Scorer::new(placement, input, letterbox, BoxArea::Canvas);
        let black = Rgb8::filled(original, [0; 3]);
        let black = KeptResize::part(black, resized, columns, rows, Filter::Bicubic);
        let (placed, ranks) = (scorer.place(before), Ranks::of(before));
        Self { scorer, placement: placement.clone(), before: before.to_vec(), placed, ranks, black }
    }

    /// Compares with the map `after`; `mask` is the pasted alpha as a grey patch with its corner in
    /// the photo.
    pub(super) fn compare(
        &self,
        after: &[f32],
        mask: Option<&(usize, usize, Rgb8)>,
        of: Option<&BoundingBox>,
    ) -> Focus {
        let mask = match mask {
            Some((left, top, alpha)) => self.black.with(*left, *top, alpha),
            None => self.black.result().clone(),
        };
        let mask = self.placement.frame(mask);
        let extent = of.map(|inside| Extent::from(*inside));
        let importance =
            |placed: &PlacedMap| extent.as_ref().map(|extent| placed.score(extent).mean);
        Focus {
            mass_before: mass(&self.before, &mask),
            mass_after: mass(after, &mask),
            box_before: importance(&self.placed),
            box_after: of.and_then(|_| importance(&self.scorer.place(after))),
            correlation: self.ranks.spearman(&Ranks::of(after)).map(|rho| rho as f32),
        }
    }
}

/// The share of the map's sum inside the mask (a grey picture of the map's size, white inside).
fn mass(map: &[f32], mask: &Rgb8) -> Option<f32> {
    let total: f64 = map.iter().map(|&value| f64::from(value)).sum();
    let inside: f64 = map
        .iter()
        .zip(mask.data().chunks_exact(3))
        .map(|(&value, pixel)| f64::from(value) * f64::from(pixel[0]))
        .sum();
    (total > 0.0).then(|| (inside / 255.0 / total) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Fit, Size};
    use crate::regions::SCORING_CANVAS;

    #[test]
    fn mass_inside_and_of_nothing() {
        let mut mask = Rgb8::filled(Size::new(2, 2), [0; 3]);
        mask.put(1, 0, &Rgb8::filled(Size::new(1, 1), [255; 3]));
        assert_eq!(mass(&[1.0, 2.0, 0.0, 1.0], &mask), Some(0.5));
        assert_eq!(mass(&[0.0; 4], &mask), None);
    }

    #[test]
    fn an_unchanged_map_is_wholly_alike() {
        let map: Vec<f32> = (0..26 * 20).map(|index| ((index * 37) % 101) as f32 / 100.0).collect();
        let photo = Size::new(60, 41);
        let placement = Fit::squash(Size::new(26, 20)).placement(photo);
        let look = Look::new(SCORING_CANVAS.letterbox(photo), &placement, &map);
        let white = Rgb8::filled(Size::new(60, 41), [255; 3]);
        let bounds = BoundingBox::new(3.0, 4.0, 30.0, 30.0);
        let focus = look.compare(&map, Some(&(0, 0, white)), Some(&bounds));
        approx::assert_abs_diff_eq!(focus.correlation.unwrap(), 1.0, epsilon = 1e-6);
        approx::assert_abs_diff_eq!(focus.mass_after.unwrap(), 1.0, epsilon = 1e-6);
        assert_eq!(focus.box_before, focus.box_after);
        assert_eq!(look.compare(&map, None, None).mass_after, Some(0.0));
    }
}
