//! The table of methods, and methods by name.
//!
//! Names, help texts, `paper` and `all`, what a network must offer, and the documents' table follow
//! from [`METHODS`]. A new method is a file with its row, and the row's name here.

use super::cam::{
    ablation_cam, eigen_cam, grad_cam, grad_cam_plus_plus, hires_cam, layer_cam, lift_cam,
    lime_cam, lrp_cam, score_cam, shapley_cam, xgrad_cam,
};
use super::options::{Compat, LayerPoint, Options, Score, Sign, Target};
use super::regions::{dnc_shap, object_shap};
use super::{CamMethod, pass, walk};
use crate::networks::{Card, Classifier};
use crate::nn::{Layer, Nonlinearity};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// All methods: those of the paper first, in its order.
static METHODS: [&MethodRow; 14] = [
    &grad_cam::ROW,
    &ablation_cam::ROW,
    &lime_cam::ROW,
    &lrp_cam::ROW,
    &lift_cam::ROW,
    &shapley_cam::ROW,
    &grad_cam_plus_plus::ROW,
    &xgrad_cam::ROW,
    &hires_cam::ROW,
    &layer_cam::ROW,
    &eigen_cam::ROW,
    &score_cam::ROW,
    &dnc_shap::ROW,
    &object_shap::ROW,
];

/// What there is to know about a method.
pub struct MethodRow {
    /// Its name in options, tables and folders.
    pub name: &'static str,
    /// What its maps are made of, in half a sentence.
    pub summary: &'static str,
    /// The publication.
    pub source: &'static str,
    /// What a network must offer.
    pub needs: Needs,
    /// Which scores it can explain.
    pub explains: Explains,
    /// The score that the published pipeline explains with it; for methods it does not have, the
    /// logit.
    pub preset: Score,
    /// Whether the EmoCAM paper has it.
    pub paper: bool,
    /// Whether it draws at random, from the seed and the picture's path.
    pub draws: bool,
    pub(super) implementation: &'static dyn CamMethod,
}

/// What a method asks of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// The activation alone.
    Activation,
    /// Outputs for changed activations or inputs.
    Outputs,
    /// The derivative of the outputs by the activation.
    Gradient,
    /// The layers from the activation to the outputs, one by one.
    Layers,
    /// Outputs for inputs of which parts are hidden, hundreds of times: in no group of methods,
    /// asked for by name.
    MaskedInputs,
    /// Likewise, and the regions of the picture.
    Regions,
}

impl Needs {
    /// In the words of the documents' table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Activation => "activation",
            Self::Outputs => "outputs",
            Self::Gradient => "gradient",
            Self::Layers => "visible layers",
            Self::MaskedInputs => "outputs of masked inputs",
            Self::Regions => "outputs of masked inputs, regions",
        }
    }
}

/// Which scores a method can explain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Explains {
    /// Any number that is computed from the outputs.
    AnyScore,
    /// Any number that is computed from the outputs, but only what speaks for it: its weights leave
    /// out what is negative.
    SupportAlone,
    /// The probability or logit of a label, or the difference of two logits: what is redistributed
    /// starts from labels.
    Labels,
    /// None: no score enters, so that it says neither what speaks for one nor what speaks against
    /// it.
    NoScore,
}

impl Explains {
    /// In the words of the documents' table.
    pub fn name(self) -> &'static str {
        match self {
            Self::AnyScore => "any score",
            Self::SupportAlone => "any score, sign positive",
            Self::Labels => "probability, logit, contrast",
            Self::NoScore => "no score",
        }
    }

    /// What of `options` such a method cannot explain, in the words of the options.
    fn refuses(self, options: &Options) -> Option<String> {
        let affect = match options.target {
            Target::Preset | Target::Probability | Target::Logit => None,
            Target::Valence => Some("--target valence"),
            Target::Arousal => Some("--target arousal"),
        };
        let affect = affect.map(String::from);
        match self {
            Self::SupportAlone if options.sign == Sign::Negative => Some("--sign negative".into()),
            Self::AnyScore | Self::SupportAlone => None,
            Self::Labels => affect,
            Self::NoScore if !options.contrast.is_empty() => {
                Some(format!("--contrast {}", options.contrast))
            }
            Self::NoScore if options.sign == Sign::Negative => Some("--sign negative".into()),
            Self::NoScore => affect,
        }
    }
}

/// A method of the table.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Method(&'static MethodRow);

impl Method {
    /// The preset's only method, and the first of the table.
    pub const GRAD_CAM: Self = Self(&grad_cam::ROW);

    /// Those of the paper, in its order.
    pub fn paper() -> Vec<Self> {
        Self::all().into_iter().filter(|method| method.0.paper).collect()
    }

    /// All of them, the paper's first.
    pub fn all() -> Vec<Self> {
        METHODS.iter().map(|row| Self(row)).collect()
    }

    /// All class activation maps, the paper's first: what cost is no reason to leave out.
    pub fn cams() -> Vec<Self> {
        let by_name =
            |method: &Self| matches!(method.0.needs, Needs::MaskedInputs | Needs::Regions);
        Self::all().into_iter().filter(|method| !by_name(method)).collect()
    }

    /// Those that explain `network`, the paper's first.
    pub fn for_network(network: &dyn Classifier) -> Vec<Self> {
        Self::all().into_iter().filter(|method| method.works_on(network)).collect()
    }

    /// Its row of the table.
    pub fn row(self) -> &'static MethodRow {
        self.0
    }

    /// The name in options, tables and folders.
    pub fn name(self) -> &'static str {
        self.0.name
    }

    /// Whether its channel weights are means of several draws, so that its importances have
    /// standard errors. As published LIME-CAM is a single fit.
    pub fn estimates(self, compat: Compat) -> bool {
        let single = self.0.paper && compat == Compat::Published;
        self.0.draws && self.implementation().channel_weights().is_some() && !single
    }

    /// The score explained with `options`.
    pub fn score(self, options: &Options) -> Score {
        match options.target {
            Target::Preset | Target::Logit if !options.contrast.is_empty() => Score::Contrast,
            Target::Preset => self.0.preset,
            Target::Probability => Score::Probability,
            Target::Logit => Score::Logit,
            Target::Valence => Score::Valence,
            Target::Arousal => Score::Arousal,
        }
    }

    /// Whether it can explain what `options` ask for.
    pub fn can_explain(self, options: &Options) -> bool {
        self.0.explains.refuses(options).is_none()
    }

    /// Whether it draws at random, from the seed and the picture's path.
    pub fn draws(self) -> bool {
        self.0.draws
    }

    /// Whether its raw map is a weighted sum of A's channels.
    pub fn weighs_channels(self) -> bool {
        self.0.implementation.channel_weights().is_some()
    }

    pub(super) fn implementation(self) -> &'static dyn CamMethod {
        self.0.implementation
    }

    /// Whether the network offers what the method needs.
    fn works_on(self, network: &dyn Classifier) -> bool {
        self.0.needs != Needs::Layers || network.layers().is_some_and(walk::walkable)
    }
}

/// Refuses methods and options that cannot be with `network`, before any picture is looked at.
///
/// # Errors
/// [`Error::Setting`] that names the method, the reason and the methods that work.
pub fn check(methods: &[Method], options: &Options, network: &dyn Classifier) -> Result<()> {
    let starts_with_relu =
        || matches!(network.layers(), Some([Layer::Pointwise(Nonlinearity::Relu), ..]));
    if options.layer_point == LayerPoint::PostRelu && !starts_with_relu() {
        return Err(Error::Setting(pass::no_relu()));
    }
    options.at_layer.check(network)?;
    options.contrast_index(network.card())?;
    check_regression(options, network.card())?;
    check_scores(methods, options, network)?;
    let Some(method) = methods.iter().find(|method| !method.works_on(network)) else {
        return Ok(());
    };
    let names: Vec<&str> = Method::for_network(network).into_iter().map(Method::name).collect();
    let file = network
        .files()
        .first()
        .map_or("this network".into(), |(_, path)| path.display().to_string());
    Err(Error::Setting(format!(
        "{method} walks the layers between the explained activation and the outputs one by one, \
         and {file} does not show them; these work on it: {}",
        names.join(", ")
    )))
}

/// Refuses valence and arousal where the network's card has no regression for it.
fn check_regression(options: &Options, card: &Card) -> Result<()> {
    let score = match options.target {
        Target::Preset | Target::Probability | Target::Logit => return Ok(()),
        Target::Valence => Score::Valence,
        Target::Arousal => Score::Arousal,
    };
    let name = score.name();
    let message = match &card.scalar {
        Some(scalar) => {
            format!("the network has the single output {}, which every map explains", scalar.name)
        }
        None if score.regression(card).is_some() => return Ok(()),
        None => format!("the network's card has no [{name}] (a bias, and a weight for each label)"),
    };
    Err(Error::Setting(format!(
        "target {name}: {message}; leave --target out, or choose logit or probability"
    )))
}

/// Refuses a method that cannot explain the score that is asked for, with those that can.
fn check_scores(methods: &[Method], options: &Options, network: &dyn Classifier) -> Result<()> {
    let refusal = |method: &Method| method.0.explains.refuses(options).map(|what| (*method, what));
    let Some((method, what)) = methods.iter().find_map(refusal) else { return Ok(()) };
    let able =
        Method::for_network(network).into_iter().filter(|method| method.can_explain(options));
    let names: Vec<&str> = able.map(Method::name).collect();
    Err(Error::Setting(format!(
        "{method} cannot explain {what} (it explains {}); these can: {}",
        method.0.explains.name(),
        names.join(", ")
    )))
}

impl PartialEq for Method {
    fn eq(&self, other: &Self) -> bool {
        self.0.name == other.0.name
    }
}

impl Eq for Method {}

impl std::fmt::Debug for Method {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Method({})", self.0.name)
    }
}

impl std::fmt::Debug for MethodRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MethodRow({})", self.name)
    }
}

impl std::fmt::Display for Method {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Method {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = || METHODS.iter().map(|row| row.name).collect::<Vec<_>>().join(", ");
        let row = METHODS.iter().find(|row| row.name == text);
        row.map(|row| Self(row))
            .ok_or_else(|| format!("`{text}` is no CAM method; known: {}", known()))
    }
}

impl From<Method> for String {
    fn from(method: Method) -> Self {
        method.name().into()
    }
}

impl TryFrom<String> for Method {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every file of methods has its row in the table, and every row a name of its own.
    #[test]
    fn the_table_has_every_file() {
        let folder = |name| {
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/attribution").join(name)
        };
        let files = ["cam", "regions"]
            .into_iter()
            .flat_map(|room| std::fs::read_dir(folder(room)).unwrap().flatten());
        let has_row = |text: String| text.contains("static ROW: MethodRow");
        let methods = files.filter(|file| has_row(std::fs::read_to_string(file.path()).unwrap()));
        assert_eq!(METHODS.len(), methods.count());
        for (number, row) in METHODS.iter().enumerate() {
            assert!(METHODS[..number].iter().all(|other| other.name != row.name), "{}", row.name);
            assert_eq!(row.name.parse::<Method>().unwrap().row().summary, row.summary);
        }
        let paper: Vec<&str> = Method::paper().into_iter().map(Method::name).collect();
        assert_eq!(paper, ["grad-cam", "ablation-cam", "lime-cam", "lrp-cam", "lift-cam"]);
    }
}
