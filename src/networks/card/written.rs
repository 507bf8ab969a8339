//! A card as people write it: keys that may be left out, two ways to say the same.

use super::{
    Architecture, Card, ChannelOrder, Flatten, Layout, Mean, Published, ReferenceAnswer,
    Regression, Scalar, numbers,
};
use crate::files::read_named_text;
use crate::image::{Filter, Fit, Resize, Size};
use crate::networks::alexnet::structure::StructureKey;
use crate::networks::fer_net::FerNetDescription;
use crate::networks::multi_gap::Description;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// A card as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenCard {
    #[serde(default)]
    network: Architecture,
    labels: Option<Labels>,
    output: Option<String>,
    thresholds: Option<Vec<f64>>,
    input: Input,
    resize: Option<Resize>,
    crop: Option<f64>,
    filter: Option<Filter>,
    scale: Option<f32>,
    mean: Option<Mean>,
    std: Option<Divisors>,
    channels: Option<ChannelOrder>,
    layout: Option<String>,
    prefix: Option<i64>,
    grid: Option<(i64, i64)>,
    flatten: Option<Flatten>,
    structure: Option<StructureKey>,
    valence: Option<Regression>,
    arousal: Option<Regression>,
    #[serde(default)]
    published: Vec<Published>,
    #[serde(default)]
    reference: Vec<ReferenceAnswer>,
    layer: Option<String>,
    source: Option<String>,
    multi_gap: Option<Description>,
    fer_net: Option<FerNetDescription>,
}

/// The keys that a network trained here needs.
#[derive(Debug, Serialize)]
pub(super) struct TrainedCard<'a> {
    network: Architecture,
    labels: &'a [String],
    input: [u32; 2],
    resize: Resize,
    crop: f64,
    filter: Filter,
    #[serde(skip_serializing_if = "is_one")]
    scale: f32,
    #[serde(skip_serializing_if = "Option::is_none")]
    mean: Option<&'a Mean>,
    #[serde(skip_serializing_if = "Option::is_none")]
    std: Option<[f32; 3]>,
    #[serde(skip_serializing_if = "is_rgb")]
    channels: ChannelOrder,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    layer: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    valence: Option<&'a Regression>,
    #[serde(skip_serializing_if = "Option::is_none")]
    arousal: Option<&'a Regression>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    published: &'a [Published],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    reference: &'a [ReferenceAnswer],
    #[serde(skip_serializing_if = "Option::is_none")]
    multi_gap: Option<&'a Description>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fer_net: Option<&'a FerNetDescription>,
}

fn is_one(scale: &f32) -> bool {
    *scale == 1.0
}

fn is_rgb(channels: &ChannelOrder) -> bool {
    *channels == ChannelOrder::Rgb
}

impl<'a> TrainedCard<'a> {
    pub(super) fn of(card: &'a Card) -> Self {
        let Fit { resize, crop, filter, input } = card.fit;
        Self {
            network: card.architecture,
            labels: &card.labels,
            input: [input.height, input.width],
            resize,
            crop,
            filter,
            scale: card.scale,
            mean: card.mean.as_ref(),
            std: card.std,
            channels: card.channels,
            source: card.source.as_deref(),
            layer: card.layer.as_deref(),
            valence: card.valence.as_ref(),
            arousal: card.arousal.as_ref(),
            published: &card.published,
            reference: &card.reference,
            multi_gap: card.multi_gap.as_ref(),
            fer_net: card.fer_net.as_ref(),
        }
    }

    pub(super) fn to_toml(&self) -> String {
        toml::to_string(self).expect("plain keys, then tables")
    }
}

/// Labels in a card, or the name of a file with one a line.
#[derive(Debug, Deserialize)]
#[serde(try_from = "toml::Value")]
enum Labels {
    Here(Vec<String>),
    File(String),
}

impl TryFrom<toml::Value> for Labels {
    type Error = String;

    fn try_from(written: toml::Value) -> std::result::Result<Self, String> {
        let refused = format!(
            "`labels` should be a list of names, or the name of a file with one a line, found \
             {written}"
        );
        match written {
            toml::Value::String(file) => Ok(Self::File(file)),
            toml::Value::Array(names) => {
                let names = names.into_iter().map(|name| name.as_str().map(String::from));
                names.collect::<Option<_>>().map(Self::Here).ok_or(refused)
            }
            _ => Err(refused),
        }
    }
}

/// The side of a square input, or its rows and columns.
#[derive(Debug, Deserialize)]
#[serde(try_from = "toml::Value")]
enum Input {
    Square(u32),
    Sides([u32; 2]),
}

impl TryFrom<toml::Value> for Input {
    type Error = String;

    fn try_from(written: toml::Value) -> std::result::Result<Self, String> {
        let side = |value: &toml::Value| u32::try_from(value.as_integer()?).ok();
        let sides = match &written {
            toml::Value::Array(sides) => sides.iter().map(side).collect::<Option<Vec<u32>>>(),
            written => side(written).map(|side| vec![side]),
        };
        match sides.as_deref() {
            Some(&[side]) if written.is_integer() => Ok(Self::Square(side)),
            Some(&[rows, columns]) => Ok(Self::Sides([rows, columns])),
            _ => Err(format!(
                "`input` should be the side of a square in pixels, or two numbers, rows and \
                 columns, found {written}"
            )),
        }
    }
}

/// What the channels are divided by.
#[derive(Debug, Deserialize)]
#[serde(try_from = "toml::Value")]
struct Divisors([f32; 3]);

impl TryFrom<toml::Value> for Divisors {
    type Error = String;

    fn try_from(written: toml::Value) -> std::result::Result<Self, String> {
        let three = numbers(&written).and_then(|numbers| <[f32; 3]>::try_from(numbers).ok());
        three
            .map(Self)
            .ok_or_else(|| format!("`std` should be three numbers, one a channel, found {written}"))
    }
}

impl WrittenCard {
    /// The card, checked; `path` is the file it is from.
    pub(super) fn resolve(self, path: &Path) -> Result<Card> {
        // Every field by name: a key that is read and not used does not compile.
        let Self {
            network,
            labels,
            output,
            thresholds,
            input,
            resize,
            crop,
            filter,
            scale,
            mean,
            std,
            channels,
            layout,
            prefix,
            grid,
            flatten,
            structure,
            valence,
            arousal,
            published,
            reference,
            layer,
            source,
            multi_gap,
            fer_net,
        } = self;
        let labels = labels.map(|labels| labels.read(path)).transpose()?;
        let refuse = |message: String| Error::file(path, message);
        let (labels, scalar) = answers(labels, output, thresholds).map_err(refuse)?;
        let input = match input {
            Input::Square(side) => Size::new(side, side),
            Input::Sides([rows, columns]) => Size::new(columns, rows),
        };
        let crop_is_said = crop.is_some() || resize != Some(Resize::CenterCrop);
        let said = [
            ("resize", resize.is_some()),
            ("crop", crop_is_said),
            ("filter", filter.is_some()),
            ("scale", scale.is_some()),
            ("mean", mean.is_some()),
            ("std", std.is_some()),
            ("channels", channels.is_some()),
        ];
        // What an AlexNet's card leaves out is asked for where it is not EmoNet's; the others have
        // values of their own.
        let is_alexnet = network == Architecture::AlexNet;
        let unsaid = said
            .into_iter()
            .filter(|(_, is_said)| is_alexnet && !is_said)
            .map(|(key, _)| key)
            .collect();
        let resize = resize.unwrap_or_default();
        let fit = Fit {
            resize,
            crop: crop.unwrap_or(1.0),
            filter: filter.unwrap_or(Filter::Bicubic),
            input,
        };
        let layout = layout_of(layout.as_deref(), prefix, grid).map_err(refuse)?;
        let card = Card {
            architecture: network,
            multi_gap,
            fer_net,
            labels,
            scalar,
            fit,
            scale: scale.unwrap_or(1.0),
            mean,
            std: std.map(|Divisors(std)| std),
            channels: channels.unwrap_or_default(),
            layout,
            flatten,
            structure: structure.map(Into::into),
            unsaid,
            valence,
            arousal,
            published,
            reference,
            layer,
            source,
        };
        card.check().map_err(refuse)?;
        Ok(card)
    }
}

impl Labels {
    fn read(self, card: &Path) -> Result<Vec<String>> {
        match self {
            Self::Here(labels) => Ok(labels),
            Self::File(name) => {
                let text = read_named_text(&card.with_file_name(name))?;
                let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
                Ok(lines.filter(|line| !line.is_empty()).map(String::from).collect())
            }
        }
    }
}

/// Names of the columns, and the single output if there is one.
fn answers(
    labels: Option<Vec<String>>,
    output: Option<String>,
    thresholds: Option<Vec<f64>>,
) -> Result<(Vec<String>, Option<Scalar>), String> {
    match (labels, output) {
        (Some(_), Some(name)) => Err(format!(
            "it has `labels` and a single `output` ({name}): a network has one or the other"
        )),
        (None, None) => {
            Err("it has neither `labels` nor, for a network with a single number, `output`".into())
        }
        (Some(labels), None) if thresholds.is_none() => Ok((labels, None)),
        (Some(_), None) => {
            Err("`thresholds` belong to a network with a single `output`, this one has `labels`"
                .into())
        }
        (None, Some(name)) => {
            let thresholds = thresholds.unwrap_or_else(|| vec![0.0]);
            let ascending = thresholds.windows(2).all(|pair| pair[0] < pair[1]);
            if thresholds.is_empty()
                || !ascending
                || !thresholds.iter().all(|edge| edge.is_finite())
            {
                return Err(format!(
                    "`thresholds` should be finite and ascend, found {thresholds:?}"
                ));
            }
            let labels = Scalar::bins(&name, &thresholds);
            Ok((labels, Some(Scalar { name, thresholds })))
        }
    }
}

fn layout_of(
    name: Option<&str>,
    prefix: Option<i64>,
    grid: Option<(i64, i64)>,
) -> Result<Layout, String> {
    let plain = |layout: Layout| match (prefix, grid) {
        (None, None) => Ok(layout),
        _ => Err("`prefix` and `grid` belong to `layout = \"tokens\"`".to_string()),
    };
    match name {
        None | Some("nchw") => plain(Layout::Nchw),
        Some("nhwc") => plain(Layout::Nhwc),
        Some("tokens") => {
            let Some(grid) = grid else {
                return Err(
                    "`layout = \"tokens\"` needs `grid`, the rows and columns of the patches"
                        .into(),
                );
            };
            Ok(Layout::Tokens { prefix: prefix.unwrap_or(0), grid })
        }
        Some(other) => Err(format!("`layout` should be nchw, nhwc or tokens, found `{other}`")),
    }
}
