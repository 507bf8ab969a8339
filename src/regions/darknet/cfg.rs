//! Darknet's `.cfg`: which layers a network has. Strict: a section or option that would change the
//! result and that this engine does not know is an error naming its line; options for training
//! alone are passed over.

mod section;

use crate::image::Size;
use crate::nn::Nonlinearity;
use crate::{Error, Result};
use section::Section;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A network as its `.cfg` describes it; layers are numbered from 0, `[net]` not counted.
#[derive(Debug, Clone, PartialEq)]
pub struct Cfg {
    /// Where it was read, for messages.
    pub path: PathBuf,
    /// The network's input, RGB.
    pub input: Size,
    /// The layers in order.
    pub layers: Vec<CfgLayer>,
}

/// One section of a `.cfg`.
#[derive(Debug, Clone, PartialEq)]
pub struct CfgLayer {
    /// The section's line, counted from 1.
    pub line: usize,
    /// What it does.
    pub kind: LayerKind,
}

/// What a layer does. CfgLayer references are absolute numbers.
#[derive(Debug, Clone, PartialEq)]
pub enum LayerKind {
    /// `[convolutional]`
    Convolutional {
        /// Output channels.
        filters: i64,
        /// Side of the square kernel.
        size: i64,
        /// Step in both directions.
        stride: i64,
        /// Zeros added on every side.
        padding: i64,
        /// Channel groups.
        groups: i64,
        /// Whether BatchNorm comes between kernel and bias.
        batch_normalize: bool,
        /// What follows.
        activation: Nonlinearity,
    },
    /// `[maxpool]`; `padding` counts both sides together, the smaller half comes first.
    Maxpool {
        /// Side of the window.
        size: i64,
        /// Step in both directions.
        stride: i64,
        /// Columns (rows) added in all.
        padding: i64,
    },
    /// `[upsample]`: nearest neighbour, `stride` times in both directions.
    Upsample {
        /// The factor.
        stride: i64,
    },
    /// `[route]`: the channels of several layers, or one of `groups` equal parts of each.
    Route {
        /// The layers, in order of their channels.
        layers: Vec<usize>,
        /// Parts each layer is cut into.
        groups: i64,
        /// Which part is taken.
        group_id: i64,
    },
    /// `[shortcut]`: the sum with an earlier layer.
    Shortcut {
        /// The earlier layer.
        from: usize,
        /// What follows.
        activation: Nonlinearity,
    },
    /// `[dropout]`: nothing at inference.
    Dropout,
    /// `[yolo]`
    Yolo {
        /// Width and height of this head's anchors, in input pixels.
        anchors: Vec<(f32, f32)>,
        /// Number of classes.
        classes: usize,
        /// How far beyond its cell a centre may lie: x = sigmoid(tx) * scale - (scale - 1) / 2.
        scale_x_y: f32,
    },
}

/// More sections no network has: YOLOv4-P7 has about 400.
const MOST_SECTIONS: usize = 2000;

impl Cfg {
    /// Reads the text of a `.cfg`; `path` is for messages.
    ///
    /// # Errors
    /// [`Error::Line`] for anything that is not understood and might change the result.
    pub fn parse(text: &str, path: &Path) -> Result<Self> {
        let mut sections = sections(text, path)?.into_iter();
        let mut net = sections
            .next()
            .filter(|section| section.name == "net" || section.name == "network")
            .ok_or_else(|| Error::line(path, 1, "a Darknet cfg begins with [net]"))?;
        let input = Size::new(
            net.required("width", 1..=8192)? as u32,
            net.required("height", 1..=8192)? as u32,
        );
        if net.integer("channels", 3, 1..=1024)? != 3 {
            return Err(net.error(net.line, "only networks with `channels=3` (RGB) are supported"));
        }
        net.finish()?;
        let layers = sections
            .enumerate()
            .map(|(number, section)| {
                Ok(CfgLayer { line: section.line, kind: layer_kind(section, number)? })
            })
            .collect::<Result<Vec<_>>>()?;
        let cfg = Self { path: path.to_path_buf(), input, layers };
        let of_head = |layer: &CfgLayer| match layer.kind {
            LayerKind::Yolo { classes, .. } => Some((layer.line, classes)),
            _ => None,
        };
        let mut heads = cfg.layers.iter().filter_map(of_head);
        let Some((first, classes)) = heads.next() else {
            return Err(Error::file(
                path,
                "has no [yolo] layer: not a YOLO detector of version 3 or later",
            ));
        };
        if let Some((line, other)) = heads.find(|(_, other)| *other != classes) {
            let message = format!(
                "[yolo] has {other} classes, and that of line {first} {classes}: all heads need \
                 the same"
            );
            return Err(Error::line(path, line, message));
        }
        Ok(cfg)
    }

    /// Number of classes of the `[yolo]` layers.
    pub fn classes(&self) -> usize {
        let classes = |layer: &CfgLayer| match layer.kind {
            LayerKind::Yolo { classes, .. } => Some(classes),
            _ => None,
        };
        self.layers.iter().find_map(classes).unwrap_or(0)
    }
}

fn sections<'a>(text: &str, path: &'a Path) -> Result<Vec<Section<'a>>> {
    let mut sections: Vec<Section<'a>> = Vec::new();
    for (at, raw) in text.lines().enumerate() {
        let line = at + 1;
        if sections.len() > MOST_SECTIONS {
            return Err(Error::line(
                path,
                line,
                format!("more than {MOST_SECTIONS} sections: no detector has so many"),
            ));
        }
        // Darknet removes all white space; a comment begins with # or ;.
        let content: String = raw
            .split(['#', ';'])
            .next()
            .unwrap_or_default()
            .chars()
            .filter(|c| !c.is_whitespace())
            .collect();
        if content.is_empty() {
            continue;
        }
        if let Some(name) = content.strip_prefix('[') {
            let name = name.strip_suffix(']').ok_or_else(|| {
                Error::line(path, line, format!("expected `[section]`, found `{content}`"))
            })?;
            sections.push(Section { path, name: name.into(), line, options: BTreeMap::new() });
            continue;
        }
        let (key, value) = content.split_once('=').ok_or_else(|| {
            Error::line(
                path,
                line,
                format!("expected `key=value` or `[section]`, found `{content}`"),
            )
        })?;
        let section = sections.last_mut().ok_or_else(|| {
            Error::line(path, line, "an option stands before the first [section]")
        })?;
        if section.options.insert(key.into(), (line, value.into())).is_some() {
            return Err(Error::line(
                path,
                line,
                format!("`{key}` is given twice in [{}]", section.name),
            ));
        }
    }
    Ok(sections)
}

fn layer_kind(mut section: Section<'_>, number: usize) -> Result<LayerKind> {
    let kind = match section.name.as_str() {
        "convolutional" | "conv" => convolutional(&mut section)?,
        "maxpool" | "max" => {
            let size = section.integer("size", 1, 1..=64)?;
            let stride = section.integer("stride", 1, 1..=64)?;
            let padding = section.integer("padding", size - 1, 0..=2 * size)?;
            section.only("antialiasing", "0")?;
            section.only("maxpool_depth", "0")?;
            LayerKind::Maxpool { size, stride, padding }
        }
        "upsample" => {
            // Here `scale` multiplies the values; elsewhere it belongs to training.
            if let Some((line, factor)) =
                section.number::<f32>("scale")?.filter(|&(_, factor)| factor != 1.0)
            {
                return Err(
                    section.error(line, format!("`scale={factor}` is not supported in [upsample]"))
                );
            }
            LayerKind::Upsample { stride: section.integer("stride", 2, 1..=32)? }
        }
        "route" => {
            let (line, references) = section
                .list::<i64>("layers")?
                .filter(|(_, references)| !references.is_empty())
                .ok_or_else(|| section.error(section.line, "[route] has no `layers`"))?;
            let layers = references
                .into_iter()
                .map(|reference| section.layer(line, reference, number))
                .collect::<Result<Vec<_>>>()?;
            let groups = section.integer("groups", 1, 1..=1024)?;
            LayerKind::Route {
                layers,
                groups,
                group_id: section.integer("group_id", 0, 0..=groups - 1)?,
            }
        }
        "shortcut" => {
            let (line, reference) = section
                .number("from")?
                .ok_or_else(|| section.error(section.line, "[shortcut] has no `from`"))?;
            section.only("weights_type", "none")?;
            section.text("weights_normalization");
            LayerKind::Shortcut {
                from: section.layer(line, reference, number)?,
                activation: section.activation("linear")?,
            }
        }
        "dropout" => LayerKind::Dropout,
        "yolo" => yolo(&mut section)?,
        other => return Err(section.error(
            section.line,
            format!(
                "[{other}] is not supported: convolutional, maxpool, upsample, route, shortcut, \
                 dropout and yolo are"
            ),
        )),
    };
    section.finish()?;
    Ok(kind)
}

fn convolutional(section: &mut Section<'_>) -> Result<LayerKind> {
    let size = section.required("size", 1..=64)?;
    let pad = section.integer("pad", 0, 0..=1)?;
    // `pad=1` means "same", and then `padding` is not looked at.
    let explicit = section.integer("padding", 0, 0..=64)?;
    for (key, value) in [
        ("dilation", "1"),
        ("binary", "0"),
        ("xnor", "0"),
        ("antialiasing", "0"),
        ("share_index", ""),
    ] {
        section.only(key, value)?;
    }
    section.only("assisted_excitation", "0")?;
    section.only("deform", "0")?;
    Ok(LayerKind::Convolutional {
        filters: section.required("filters", 1..=65_536)?,
        size,
        stride: section.integer("stride", 1, 1..=64)?,
        padding: if pad == 1 { size / 2 } else { explicit },
        groups: section.integer("groups", 1, 1..=65_536)?,
        batch_normalize: section.integer("batch_normalize", 0, 0..=1)? == 1,
        activation: section.activation("logistic")?,
    })
}

fn yolo(section: &mut Section<'_>) -> Result<LayerKind> {
    let classes = section.required("classes", 1..=100_000)? as usize;
    let (line, anchors) = section
        .list::<f32>("anchors")?
        .ok_or_else(|| section.error(section.line, "[yolo] has no `anchors`"))?;
    if anchors.len() % 2 != 0 || anchors.iter().any(|side| !side.is_finite() || *side <= 0.0) {
        return Err(
            section.error(line, "`anchors` should be pairs of positive numbers: width, height")
        );
    }
    let num = section.integer("num", (anchors.len() / 2) as i64, 1..=1024)? as usize;
    if num != anchors.len() / 2 {
        return Err(section
            .error(line, format!("`num={num}` but `anchors` holds {} pairs", anchors.len() / 2)));
    }
    let (mask_line, mask) = section.list::<usize>("mask")?.unwrap_or((line, (0..num).collect()));
    let anchors = mask
        .iter()
        .map(|&index| {
            (index < num).then(|| (anchors[2 * index], anchors[2 * index + 1])).ok_or_else(|| {
                section.error(mask_line, format!("`mask` names anchor {index} of {num}"))
            })
        })
        .collect::<Result<Vec<_>>>()?;
    section.only("new_coords", "0")?;
    section.only("embedding_layer", "")?;
    let scale_x_y = match section.number::<f32>("scale_x_y")? {
        Some((line, scale)) if !(0.1..=10.0).contains(&scale) => {
            return Err(
                section.error(line, format!("`scale_x_y` should be from 0.1 to 10, found {scale}"))
            );
        }
        found => found.map_or(1.0, |(_, scale)| scale),
    };
    Ok(LayerKind::Yolo { anchors, classes, scale_x_y })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = "[net]\nwidth=96\nheight = 64\nmomentum=0.9\n\n[convolutional]\nfilters=16 \
                         # \
                         comment\nsize=3\nstride=1\npad=1\nbatch_normalize=1\nactivation=leaky\n[maxpool]\nsize=2\nstride=2\n[convolutional]\nfilters=21\nsize=1\nactivation=linear\n[yolo]\nclasses=2\nnum=6\nmask=3,4,5\nanchors=1,2, \
                         3,4, 5,6, 7,8, 9,10, 11,12\n";

    fn parse(text: &str) -> Result<Cfg> {
        Cfg::parse(text, Path::new("small.cfg"))
    }

    #[test]
    fn a_small_network() {
        let cfg = parse(SMALL).unwrap();
        assert_eq!(cfg.input, Size::new(96, 64));
        assert_eq!(cfg.classes(), 2);
        assert_eq!(cfg.layers.len(), 4);
        assert_eq!(cfg.layers[1].kind, LayerKind::Maxpool { size: 2, stride: 2, padding: 1 });
        let LayerKind::Convolutional { padding, batch_normalize, .. } = cfg.layers[0].kind else {
            panic!("layer 0 is a convolution")
        };
        assert_eq!((padding, batch_normalize), (1, true));
        let LayerKind::Yolo { anchors, .. } = &cfg.layers[3].kind else {
            panic!("layer 3 is a head")
        };
        assert_eq!(anchors, &[(7.0, 8.0), (9.0, 10.0), (11.0, 12.0)]);
    }

    #[test]
    fn what_would_change_the_result_is_an_error_with_its_line() {
        for (from, to, line, words) in [
            ("size=3", "size=3\ndilation=2", "line 9", "dilation=2"),
            ("[maxpool]", "[reorg]", "line 13", "[reorg]"),
            ("activation=leaky", "activation=gelu", "line 12", "gelu"),
            ("mask=3,4,5", "mask=3,4,6", "line 23", "anchor 6"),
            ("num=6", "num=6\nnew_coords=1", "line 23", "new_coords"),
            ("stride=1", "strde=1", "line 9", "unknown option `strde=1`"),
            ("filters=16", "filters=-1", "line 7", "found -1"),
            ("pad=1", "pad=1\npad=1", "line 11", "twice"),
        ] {
            let message = parse(&SMALL.replacen(from, to, 1)).unwrap_err().to_string();
            assert!(message.contains(line) && message.contains(words), "{from} -> {to}: {message}");
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "(\\[(net|route|yolo|convolutional|shortcut|upsample)\\]\n([a-z_]{1,8}|width|height|layers|size|filters|classes|anchors|mask|from|groups|group_id)=[-0-9.,]{0,9}\n){0,12}") {
            let _ = parse(&text);
        }
    }
}
