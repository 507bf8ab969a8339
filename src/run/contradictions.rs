//! What a record cannot say without contradicting itself.

use super::record::{BoxRecord, ImageRecord, MapRecord};
use crate::score::BoxScore;

impl ImageRecord {
    /// Refuses what is no distribution, and a label that is not the most probable one.
    pub(super) fn check_probabilities(&self) -> Result<(), String> {
        /// How far the sum of the most labels may be from 1 in single precision.
        const ROUNDING: f32 = 1e-3;
        let Some(own) = self.probabilities.get(self.label) else { return Ok(()) };
        if let Some(wrong) =
            self.probabilities.iter().find(|p| !(0.0..=1.0 + ROUNDING).contains(*p))
        {
            return Err(format!("a probability of {wrong}"));
        }
        let sum: f32 = self.probabilities.iter().sum();
        if (sum - 1.0).abs() > ROUNDING {
            return Err(format!("probabilities whose sum is {sum}"));
        }
        match self.probabilities.iter().find(|p| *p > own) {
            Some(higher) => {
                Err(format!("its label has the probability {own}, and another one {higher}"))
            }
            None => Ok(()),
        }
    }
}

impl BoxRecord {
    /// Refuses what is no box of a picture of this width and height.
    pub(super) fn check(&self, (width, height): (u32, u32)) -> Result<(), String> {
        let edges @ [x_min, y_min, x_max, y_max] = <[f32; 4]>::from(self.bounding_box);
        let inside =
            x_min >= 0.0 && y_min >= 0.0 && x_max <= width as f32 && y_max <= height as f32;
        if !(inside && x_min <= x_max && y_min <= y_max) {
            return Err(format!("{edges:?} is no box in a picture of {width} x {height}"));
        }
        if !(0.0..=1.0).contains(&self.confidence) {
            return Err(format!("a confidence of {}", self.confidence));
        }
        Ok(())
    }
}

impl MapRecord {
    /// Refuses scores that no map from 0 to 1 has. The shares of a method that gives regions
    /// numbers are no scores.
    pub(super) fn check_scores(&self) -> Result<(), String> {
        /// The bicubic filter overshoots: between values from 0 to 1 it may give others, but not by
        /// so much.
        const OVERSHOOT: f32 = 0.25;
        let share = -OVERSHOOT..=1.0 + OVERSHOOT;
        let possible = |score: &BoxScore| {
            let &BoxScore { mean, max, mass, contrast, z, lift } = score;
            let shares = [mean, max, mass].iter().all(|number| share.contains(number));
            let others =
                contrast.abs() <= 1.0 + 2.0 * OVERSHOOT && z.is_finite() && lift.is_finite();
            shares && others && mean <= max + 1e-4
        };
        if self.game_of_regions().is_some() {
            return Ok(());
        }
        let all =
            self.scores.iter().chain(self.mask_scores.iter().flatten()).chain([&self.background]);
        let errors = self.score_errors.iter();
        if let Some(error) = errors.copied().find(|error| !(0.0..=10.0).contains(error)) {
            return Err(format!("a standard error of {error} by {}", self.method));
        }
        match all.into_iter().find(|score| !possible(score)) {
            Some(score) => {
                Err(format!("{score:?} by {}: no map from 0 to 1 has this", self.method))
            }
            None if share.contains(&self.mean) => Ok(()),
            None => Err(format!("a mean of {} by {}", self.mean, self.method)),
        }
    }
}
