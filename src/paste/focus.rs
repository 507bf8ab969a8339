//! Does the model's focus move along? The activation map before and after pasting: what of it lies inside the pasted
//! outline, how important the covered box is, how alike the two maps are.

use super::record::Focus;
use crate::attribution::{explain, HeadPass, Maps, Method, Network};
use crate::config::Config;
use crate::image::{BoundingBox, Filter, KeptResize, Letterbox, Rgb8, Size};
use crate::networks::EmotionModel;
use crate::score::{PlacedMap, Scorer};
use crate::stats::Ranks;
use crate::Result;
use tch::Tensor;

/// The grid on which importance is computed where no detector says otherwise: the published detector's input.
pub const CANVAS: Size = Size::new(608, 608);

/// The maps of a batch by `method`, of each picture's own label (`classes`) or of the class the configuration names.
///
/// # Errors
/// The class is not known; no memory.
pub fn maps(
    method: Method,
    model: &dyn EmotionModel,
    config: &Config,
    (input, values): (&Tensor, &[Tensor]),
    classes: &[usize],
) -> Result<Maps> {
    let fixed = config.cam.class.index(&model.card().labels)?;
    let classes: Vec<usize> = classes.iter().map(|&own| fixed.unwrap_or(own)).collect();
    // One seed for all: two pictures differ in what was pasted, not in what was drawn.
    let seeds = vec![config.cam.seed; classes.len()];
    let network = Network { input, body: model.body(), head: model.head(), values };
    explain(method, &HeadPass::new(network, config.cam.options(), &classes, &seeds), model.input())
}

/// The map of a photo with nothing pasted, ready for comparisons.
#[derive(Debug)]
pub struct Look {
    scorer: Scorer,
    letterbox: Letterbox,
    before: Vec<f32>,
    placed: PlacedMap,
    ranks: Ranks,
    /// A black photo: with an outline in white over it, it is the outline's mask at the map's size.
    black: KeptResize,
}

impl Look {
    /// `before` is a map of size `map` of a photo that is letterboxed as `letterbox` says.
    pub fn new(letterbox: Letterbox, map: Size, before: &[f32]) -> Self {
        let photo = letterbox.original;
        let scorer = Scorer::new(letterbox, map);
        let black = KeptResize::new(Rgb8::filled(photo, [0; 3]), map, Filter::Bicubic);
        let (placed, ranks) = (scorer.place(before), Ranks::of(before));
        Self { scorer, letterbox, before: before.to_vec(), placed, ranks, black }
    }

    /// Compares with the map `after`; `mask` is the pasted alpha as a grey patch with its corner in the photo.
    pub fn compare(&self, after: &[f32], mask: Option<&(usize, usize, Rgb8)>, of: Option<&BoundingBox>) -> Focus {
        let mask = match mask {
            Some((left, top, alpha)) => self.black.with(*left, *top, alpha),
            None => self.black.result().clone(),
        };
        let on_canvas = of.map(|of| self.letterbox.to_canvas(of));
        let importance = |placed: &PlacedMap| on_canvas.as_ref().map(|of| placed.score(of).mean);
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
    let inside: f64 =
        map.iter().zip(mask.data().chunks_exact(3)).map(|(&value, pixel)| f64::from(value) * f64::from(pixel[0])).sum();
    (total > 0.0).then(|| (inside / 255.0 / total) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mass_inside_and_of_nothing() {
        let mut mask = Rgb8::filled(Size::new(2, 2), [0; 3]);
        mask.put(1, 0, &Rgb8::filled(Size::new(1, 1), [255; 3]));
        assert_eq!(mass(&[1.0, 2.0, 0.0, 1.0], &mask), Some(0.5));
        assert_eq!(mass(&[0.0; 4], &mask), None);
    }

    #[test]
    fn an_unchanged_map_is_wholly_alike() {
        let map: Vec<f32> = (0..26 * 20).map(|at| ((at * 37) % 101) as f32 / 100.0).collect();
        let letterbox = Letterbox::fit(Size::new(60, 41), CANVAS);
        let look = Look::new(letterbox, Size::new(26, 20), &map);
        let white = Rgb8::filled(Size::new(60, 41), [255; 3]);
        let of = BoundingBox::new(3.0, 4.0, 30.0, 30.0);
        let focus = look.compare(&map, Some(&(0, 0, white)), Some(&of));
        approx::assert_abs_diff_eq!(focus.correlation.unwrap(), 1.0, epsilon = 1e-6);
        approx::assert_abs_diff_eq!(focus.mass_after.unwrap(), 1.0, epsilon = 1e-6);
        assert_eq!(focus.box_before, focus.box_after);
        assert_eq!(look.compare(&map, None, None).mass_after, Some(0.0));
    }
}
