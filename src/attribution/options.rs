//! What is explained, and by which variant of a method.

use crate::networks::{Card, Classifier, Regression};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// The number a map explains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Score {
    /// The class's softmax probability.
    Probability,
    /// The class's logit.
    Logit,
    /// The class's logit less that of the label it is held against ([`Options::contrast`]).
    Contrast,
    /// The card's linear regression of valence on the probabilities, whatever the class.
    Valence,
    /// That of arousal.
    Arousal,
}

impl Score {
    /// How many there are.
    pub(super) const COUNT: usize = 5;

    /// In one word, as in figures and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Probability => "probability",
            Self::Logit => "logit",
            Self::Contrast => "contrast",
            Self::Valence => "valence",
            Self::Arousal => "arousal",
        }
    }

    /// Whether it is computed from probabilities, so that it hardly changes where one of them is
    /// nearly 1.
    pub fn is_of_probabilities(self) -> bool {
        matches!(self, Self::Probability | Self::Valence | Self::Arousal)
    }

    /// The card's regression that it is, for valence and arousal, where the card has it.
    pub(super) fn regression(self, card: &Card) -> Option<&Regression> {
        match self {
            Self::Valence => card.valence.as_ref(),
            Self::Arousal => card.arousal.as_ref(),
            Self::Probability | Self::Logit | Self::Contrast => None,
        }
    }
}

/// Which [`Score`] is explained, as configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// What the published code explains with each method; for methods it does not have, the logit.
    #[default]
    Preset,
    /// The probability, whatever the method.
    Probability,
    /// The logit, whatever the method.
    Logit,
    /// Valence: the card's linear regression on the probabilities of all labels.
    Valence,
    /// Arousal, likewise.
    Arousal,
}

/// Which part of a raw map is shown and scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sign {
    /// What speaks for the score: the map is finished as it is.
    #[default]
    Positive,
    /// What speaks against it: minus the raw map is finished.
    Negative,
}

/// The class whose score is explained.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "toml::Value", into = "String")]
pub enum ClassChoice {
    /// The most probable one, of each picture its own.
    #[default]
    Predicted,
    /// The same one for every picture: a label or its index, as text.
    Fixed(String),
}

impl From<String> for ClassChoice {
    fn from(text: String) -> Self {
        match text.as_str() {
            "predicted" => Self::Predicted,
            _ => Self::Fixed(text),
        }
    }
}

impl TryFrom<toml::Value> for ClassChoice {
    type Error = String;

    /// As a configuration file or a manifest has it: a name, or the index as a number.
    fn try_from(written: toml::Value) -> std::result::Result<Self, String> {
        match written {
            toml::Value::String(text) => Ok(text.into()),
            toml::Value::Integer(index) if index >= 0 => Ok(Self::Fixed(index.to_string())),
            other => Err(format!(
                "`class` should be `predicted`, a label or the index of one, found {other}"
            )),
        }
    }
}

impl From<ClassChoice> for String {
    fn from(choice: ClassChoice) -> Self {
        match choice {
            ClassChoice::Predicted => "predicted".into(),
            ClassChoice::Fixed(text) => text,
        }
    }
}

impl ClassChoice {
    /// The index of a fixed class among the outputs of a network (capitals do not matter), `None`
    /// for the predicted one.
    ///
    /// # Errors
    /// There is no such label, or the network has a single output.
    pub fn index(&self, card: &Card) -> Result<Option<usize>> {
        match (self, &card.scalar) {
            (Self::Predicted, _) => Ok(None),
            (Self::Fixed(text), Some(scalar)) => Err(Error::Setting(format!(
                "class `{text}`: the network has the single output {}, which every map explains; \
                 leave the class out",
                scalar.name
            ))),
            (Self::Fixed(text), None) => {
                label("class should be `predicted`,", text, &card.labels).map(Some)
            }
        }
    }
}

/// The index of the label `text`, by its name or its index; `expected` begins what is said where
/// there is none.
fn label(expected: &str, text: &str, labels: &[String]) -> Result<usize> {
    const SHOWN: usize = 30;
    let named = labels.iter().position(|label| label.eq_ignore_ascii_case(text));
    named.or_else(|| text.parse().ok().filter(|&index| index < labels.len())).ok_or_else(|| {
        Error::Setting(format!(
            "{expected} an index below {}, or one of {}{}; found `{text}`",
            labels.len(),
            labels[..labels.len().min(SHOWN)].join(", "),
            if labels.len() > SHOWN { ", ..." } else { "" }
        ))
    })
}

/// On which side of the last convolution's ReLU the explained activation A lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LayerPoint {
    /// The convolution's output (the paper).
    #[default]
    PreRelu,
    /// What the ReLU lets through: A has no negative part, and the gradient is not masked by the
    /// ReLU.
    PostRelu,
}

/// Whose LIME-CAM, LRP-CAM, LIFT-CAM and DnCShap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compat {
    /// The methods as they are defined.
    #[default]
    None,
    /// As the paper's published code computes them: its ReLUs are function calls and its fully
    /// connected layers lie in a plain list, so captum hooks none of them. What is left of LRP is
    /// score times gradient, of DeepLIFT gradient times A. LIME-CAM by a single fit to 256 sets.
    /// DnCShap as it was released, whose values do not add up.
    Published,
}

/// How LRP hands relevance through a linear layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LrpRule {
    /// In proportion to the contributions x w (Bach et al. 2015, equation 58 with captum's
    /// epsilon).
    #[default]
    Epsilon,
    /// Positive weights count 1.25-fold (Montavon et al. 2019, gamma = 0.25, captum's default; the
    /// bias stays as it is).
    Gamma,
    /// Positive weights alone, no bias (z+ rule, alpha 1 beta 0; Montavon et al. 2017).
    ZPlus,
}

/// Of what places are hidden to see what they are worth. In options by its name: "input",
/// "activation", or the name of a layer.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum HiddenPlace {
    /// Places of the picture.
    #[default]
    Input,
    /// Places of the explained activation A, which become 0.
    Activation,
    /// Places of the output of an inner layer of this name, which become 0.
    Layer(String),
}

impl HiddenPlace {
    /// The name in options and records.
    pub fn name(&self) -> &str {
        match self {
            Self::Input => "input",
            Self::Activation => "activation",
            Self::Layer(name) => name,
        }
    }

    /// Refuses a layer that `network` does not name.
    ///
    /// # Errors
    /// [`Error::Setting`] with all that are known.
    pub fn check(&self, network: &dyn Classifier) -> Result<()> {
        let Self::Layer(name) = self else { return Ok(()) };
        let known = network.inner_layers();
        if known.contains(&name.as_str()) {
            return Ok(());
        }
        let file = network
            .files()
            .first()
            .map_or("this network".into(), |(_, path)| path.display().to_string());
        let named = if known.is_empty() { "names no layers" } else { "has no layer of this name" };
        let places =
            ["input", "activation"].into_iter().chain(known).collect::<Vec<_>>().join(", ");
        Err(Error::Setting(format!(
            "at-layer `{name}`: {file} {named}; places can be hidden of: {places}"
        )))
    }
}

impl From<String> for HiddenPlace {
    fn from(name: String) -> Self {
        match name.as_str() {
            "input" => Self::Input,
            "activation" => Self::Activation,
            _ => Self::Layer(name),
        }
    }
}

impl From<HiddenPlace> for String {
    fn from(place: HiddenPlace) -> Self {
        place.name().into()
    }
}

/// What stands in for hidden places of the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HiddenFill {
    /// Black, as DnCShap was released.
    Black,
    /// The picture's mean colour.
    Mean,
    /// The picture, blurred (Gaussian, standard deviation 8 % of the input's longer side).
    Blur,
    /// The colours around the hidden places, the nearer the finer.
    #[default]
    Surroundings,
}

impl HiddenFill {
    /// The name in options and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Black => "black",
            Self::Mean => "mean",
            Self::Blur => "blur",
            Self::Surroundings => "surroundings",
        }
    }
}

/// What the methods can be told.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Which score is explained.
    pub target: Target,
    /// A label, by its name or index: the score is then the explained class's logit less that of
    /// this label. Empty: none.
    pub contrast: String,
    /// What speaks for the score, or what speaks against it.
    pub sign: Sign,
    /// Where A lies.
    pub layer_point: LayerPoint,
    /// Whose LIME-CAM, LRP-CAM, LIFT-CAM and DnCShap.
    pub compat: Compat,
    /// LRP-CAM's rule.
    pub lrp_rule: LrpRule,
    /// Orders in which Shapley-CAM adds the channels, an even number.
    pub permutations: usize,
    /// LIME-CAM fits until the standard error of a picture's channel weights is at most this share
    /// of their norm.
    pub lime_error: f32,
    /// Evaluations of the score for a picture, by methods that hide parts of it.
    pub evaluations: usize,
    /// What stands in for hidden places of the picture.
    pub fill: HiddenFill,
    /// Where dnc-shap hides.
    pub at_layer: HiddenPlace,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            target: Target::default(),
            contrast: String::new(),
            sign: Sign::default(),
            layer_point: LayerPoint::default(),
            compat: Compat::default(),
            lrp_rule: LrpRule::default(),
            permutations: 16,
            lime_error: 0.075,
            evaluations: 256,
            fill: HiddenFill::default(),
            at_layer: HiddenPlace::default(),
        }
    }
}

impl Options {
    /// The index of the label that the explained class is held against; `None`: there is none.
    ///
    /// # Errors
    /// The target is no logit; there is no such label; the network has a single output.
    pub fn contrast_index(&self, card: &Card) -> Result<Option<usize>> {
        if self.contrast.is_empty() {
            return Ok(None);
        }
        self.check_contrast()?;
        match &card.scalar {
            Some(scalar) => Err(Error::Setting(format!(
                "contrast `{}`: the network has the single output {} and no labels; leave \
                 --contrast out",
                self.contrast, scalar.name
            ))),
            None => label("contrast should be", &self.contrast, &card.labels).map(Some),
        }
    }

    /// Refuses a contrast where the target is no logit.
    ///
    /// # Errors
    /// [`Error::Setting`] that names both.
    pub fn check_contrast(&self) -> Result<()> {
        let target = match self.target {
            Target::Preset | Target::Logit => return Ok(()),
            _ if self.contrast.is_empty() => return Ok(()),
            Target::Probability => "probability",
            Target::Valence => "valence",
            Target::Arousal => "arousal",
        };
        Err(Error::Setting(format!(
            "contrast `{}` explains two logits' difference, target {target} something else: leave \
             one of them out",
            self.contrast
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_is_a_label_or_its_index() {
        let labels = ["Awe", "Joy", "0"].map(String::from);
        let index = |text: &str| label("class should be", text, &labels);
        assert_eq!(index("joy").unwrap(), 1);
        assert_eq!(index("1").unwrap(), 1);
        assert_eq!(index("0").unwrap(), 2, "a label before an index");
        for wrong in ["Fear", "3", "-1", ""] {
            assert!(index(wrong).unwrap_err().to_string().contains("Awe, Joy"), "{wrong}");
        }
    }
}
