//! DnCShap (Kumar & Raman, "Interpretable Image Emotion Recognition"): Shapley values of rectangles
//! of the picture by halving them, by the right recursion (`hierarchy`).
//!
//! The map is signed: credit per place, of which the positive part is scored as a class activation
//! map is.

use super::hierarchy::{Credit, Plan, credits};
use super::masking::Masking;
use super::published;

use crate::attribution::options::{Compat, HiddenPlace};
use crate::attribution::{CamMethod, Explains, Game, HeadPass, MethodRow, Needs, RawMaps, Score};
use tch::{TchError, Tensor};

/// Halvings down to the smallest rectangles: 32 x 32 of them in all.
const DEPTH: usize = 10;

/// Nodes of a picture opened together; their evaluations fill a batch.
const TOGETHER: usize = 8;

pub(in crate::attribution) static ROW: MethodRow = MethodRow {
    name: "dnc-shap",
    summary: "Shapley values of rectangles of the picture, halved where much of the credit lies",
    source: "Kumar & Raman; Winter 1989",
    needs: Needs::MaskedInputs,
    preset: Score::Probability,
    explains: Explains::AnyScore,
    paper: false,
    draws: false,
    implementation: &DncShap,
};

struct DncShap;

impl CamMethod for DncShap {
    fn raw_maps(&self, pass: &HeadPass<'_>, score: Score) -> Result<RawMaps, TchError> {
        let masking = Masking::new(pass, score, &pass.options.at_layer)?;
        let (size, pictures) = (masking.size(), pass.distinct);
        let evaluations = pass.options.evaluations;
        let mut credits = match pass.options.compat {
            Compat::None => {
                let plan = Plan { evaluations, depth: DEPTH, together: TOGETHER };
                credits(size, pictures, plan, &mut |asked| masking.values(asked))?
            }
            Compat::Published => {
                published::credits(size, pictures, evaluations, &mut |asked| masking.values(asked))?
            }
        };
        pass.repeat_last(&mut credits, Clone::clone);
        let places: Vec<f32> = credits
            .iter()
            .flat_map(|picture| picture.places.iter().map(|&credit| credit as f32))
            .collect();
        let shape = [credits.len() as i64, size.0 as i64, size.1 as i64];
        let maps =
            Tensor::f_from_slice(&places)?.f_reshape(shape)?.f_to_device(pass.a().device())?;
        let layer = (pass.options.at_layer != HiddenPlace::Input)
            .then(|| pass.options.at_layer.name().to_string());
        let game = |Credit { all, nothing, evaluations, .. }| {
            let layer = layer.clone();
            Game { all, nothing, evaluations, layer, ..Game::default() }
        };
        Ok(RawMaps {
            signed: true,
            games: Some(credits.into_iter().map(game).collect()),
            ..maps.into()
        })
    }
}
