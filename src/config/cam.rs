//! Section `[cam]`: which methods explain which score, and how.

use crate::attribution::external::MapFolder;
use crate::attribution::{
    ClassChoice, Compat, HiddenFill, HiddenPlace, LayerPoint, LrpRule, Method, Needs, Options,
    Sign, Target,
};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// `[cam]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CamConfig {
    /// One map a method.
    pub methods: Vec<Method>,
    /// Of a network with several streams those at whose last convolution it is explained, each by
    /// all methods; empty: at its first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub streams: Vec<String>,
    /// Maps from elsewhere, each folder of them one more method, behind `methods`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub maps: Vec<MapFolder>,
    /// Which score is explained.
    pub target: Target,
    /// A label: the score is the explained class's logit less that of this label. Empty: none.
    pub contrast: String,
    /// What speaks for the score, or what speaks against it.
    pub sign: Sign,
    /// Of which class.
    pub class: ClassChoice,
    /// On which side of the last convolution's ReLU the explained activation lies.
    pub layer_point: LayerPoint,
    /// LIME-CAM, LRP-CAM, LIFT-CAM and DnCShap as defined, or as published.
    pub compat: Compat,
    /// LRP-CAM's rule.
    pub lrp_rule: LrpRule,
    /// Orders in which Shapley-CAM adds the channels, an even number.
    pub permutations: usize,
    /// LIME-CAM fits until the standard error of a picture's channel weights is at most this share
    /// of their norm.
    pub lime_error: f32,
    /// Evaluations of the score for a picture, by dnc-shap and object-shap.
    pub evaluations: usize,
    /// What dnc-shap and object-shap put in place of what they hide.
    pub fill: HiddenFill,
    /// Where dnc-shap hides: in the picture, in the explained activation, or in the output of a
    /// named layer.
    pub at_layer: HiddenPlace,
    /// Regions less confident than this are no players of object-shap.
    pub player_confidence: f32,
    /// Seed of the methods that draw at random.
    pub seed: u64,
    /// Which channels respond to which objects, by every method that weighs channels (`emocam
    /// analyze`).
    pub filters: bool,
}

impl Default for CamConfig {
    fn default() -> Self {
        let options = Options::default();
        Self {
            methods: vec![Method::GRAD_CAM],
            streams: Vec::new(),
            maps: Vec::new(),
            target: options.target,
            contrast: options.contrast,
            sign: options.sign,
            class: ClassChoice::Predicted,
            layer_point: options.layer_point,
            compat: options.compat,
            lrp_rule: options.lrp_rule,
            permutations: options.permutations,
            lime_error: options.lime_error,
            evaluations: options.evaluations,
            fill: options.fill,
            at_layer: options.at_layer,
            player_confidence: 0.25,
            seed: 1,
            filters: false,
        }
    }
}

impl CamConfig {
    /// The method of each map of a picture that is computed, in their order: all methods, for each
    /// stream.
    pub fn methods_of_maps(&self) -> Vec<Method> {
        self.methods.repeat(self.streams.len().max(1))
    }

    /// The names of all maps of a picture, in their order: of the methods, with `@` and the
    /// stream's name where there are several streams, then of the maps from elsewhere.
    pub fn names(&self) -> Vec<String> {
        let computed: Vec<String> = match self.streams.as_slice() {
            [] | [_] => self.methods.iter().map(ToString::to_string).collect(),
            streams => {
                let names = |stream: &String| {
                    self.methods
                        .iter()
                        .map(|method| format!("{method}@{stream}"))
                        .collect::<Vec<_>>()
                };
                streams.iter().flat_map(names).collect()
            }
        };
        computed.into_iter().chain(self.maps.iter().map(|maps| maps.name().to_string())).collect()
    }

    /// Refuses several streams, for commands that judge the maps of one.
    ///
    /// # Errors
    /// [`Error::Setting`] that names them.
    pub fn check_one_stream(&self) -> Result<()> {
        match self.streams.len() {
            0 | 1 => Ok(()),
            _ => Err(Error::Setting(format!(
                "one stream is judged at a time: name one of {}",
                self.streams.join(", ")
            ))),
        }
    }

    /// Refuses what cannot be with several streams.
    pub(super) fn check_streams(&self) -> Result<()> {
        if let Some(twice) = (1..self.streams.len())
            .find(|&number| self.streams[..number].contains(&self.streams[number]))
        {
            return Err(Error::Setting(format!(
                "the stream {} is named twice",
                self.streams[twice]
            )));
        }
        if self.streams.len() < 2 {
            return Ok(());
        }
        if self.filters {
            return Err(Error::Setting("filters are those of one stream: name one".into()));
        }
        let whole =
            |method: &&Method| matches!(method.row().needs, Needs::MaskedInputs | Needs::Regions);
        match self.methods.iter().find(whole) {
            Some(method) => Err(Error::Setting(format!(
                "{method} asks the whole network what parts of the picture are worth, whatever the \
                 stream: name one stream, or leave the method out"
            ))),
            None => Ok(()),
        }
    }

    /// What the methods are told.
    pub fn options(&self) -> Options {
        Options {
            target: self.target,
            contrast: self.contrast.clone(),
            sign: self.sign,
            layer_point: self.layer_point,
            compat: self.compat,
            lrp_rule: self.lrp_rule,
            permutations: self.permutations,
            lime_error: self.lime_error,
            evaluations: self.evaluations,
            fill: self.fill,
            at_layer: self.at_layer.clone(),
        }
    }
}

impl CamConfig {
    /// Refuses maps of anything but what speaks for a label, for commands that compare maps with
    /// its probability.
    ///
    /// # Errors
    /// [`Error::Setting`] that names what is asked for.
    pub fn check_explains_label(&self) -> Result<()> {
        let asked = match (self.target, self.sign) {
            (Target::Valence, _) => "--target valence".into(),
            (Target::Arousal, _) => "--target arousal".into(),
            (_, Sign::Negative) => "--sign negative".into(),
            _ if !self.contrast.is_empty() => format!("--contrast {}", self.contrast),
            _ => return Ok(()),
        };
        Err(Error::Setting(format!(
            "maps are judged here by the probability of the explained label, and {asked} explains \
             something else: leave it out"
        )))
    }

    /// Refuses scores that contradict each other.
    pub(super) fn check_score(&self) -> Result<()> {
        self.options().check_contrast()?;
        let ClassChoice::Fixed(class) = &self.class else { return Ok(()) };
        let target = match self.target {
            Target::Preset | Target::Probability | Target::Logit => return Ok(()),
            Target::Valence => "valence",
            Target::Arousal => "arousal",
        };
        Err(Error::Setting(format!(
            "class `{class}` with target {target}, which is computed from all labels: leave one of \
             them out"
        )))
    }
}
