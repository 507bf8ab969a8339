//! One section of a Darknet cfg: its keys and values, each read once and checked.

use crate::nn::Nonlinearity;
use crate::{Error, Result};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::Path;
use std::str::FromStr;

/// Options that matter to training, data augmentation or display alone, in all sections.
const IGNORED: &[&str] = &[
    "absolute",
    "adam",
    "angle",
    "aspect",
    "batch",
    "beta_nms",
    "blur",
    "burn_in",
    "cls_normalizer",
    "contrastive",
    "counters_per_class",
    "cutmix",
    "decay",
    "delta_normalizer",
    "dropblock",
    "dynamic_minibatch",
    "ema_alpha",
    "exposure",
    "flip",
    "focal_loss",
    "gaussian_noise",
    "gamma",
    "hue",
    "ignore_thresh",
    "iou_loss",
    "iou_normalizer",
    "iou_thresh",
    "iou_thresh_kind",
    "jitter",
    "label_smooth_eps",
    "learning_rate",
    "letter_box",
    "loss_scale",
    "map",
    "max_batches",
    "max_chart_loss",
    "max_crop",
    "max_delta",
    "min_crop",
    "mixup",
    "momentum",
    "mosaic",
    "mosaic_bound",
    "nms_kind",
    "num_sigmas_reject_badlabels",
    "obj_normalizer",
    "objectness_smooth",
    "optimized_memory",
    "policy",
    "power",
    "probability",
    "random",
    "resize",
    "saturation",
    "scale",
    "scales",
    "show_details",
    "steps",
    "stopbackward",
    "subdivisions",
    "time_steps",
    "track",
    "truth_thresh",
    "try_fix_nan",
    "uc_normalizer",
    "workspace_size_limit_MB",
];

/// A section's options, each with its line, taken out one by one so that what is left is unknown.
pub(super) struct Section<'a> {
    pub(super) path: &'a Path,
    pub(super) name: String,
    pub(super) line: usize,
    pub(super) options: BTreeMap<String, (usize, String)>,
}

impl Section<'_> {
    pub(super) fn error(&self, line: usize, message: impl Into<String>) -> Error {
        Error::line(self.path, line, message)
    }

    pub(super) fn text(&mut self, key: &str) -> Option<(usize, String)> {
        self.options.remove(key)
    }

    pub(super) fn number<T: FromStr>(&mut self, key: &str) -> Result<Option<(usize, T)>> {
        self.text(key)
            .map(|(line, text)| {
                text.parse().map(|value| (line, value)).map_err(|_| {
                    self.error(line, format!("`{key}` should be a number, found `{text}`"))
                })
            })
            .transpose()
    }

    /// An integer within `range`, or `default` when the option is absent.
    pub(super) fn integer(
        &mut self,
        key: &str,
        default: i64,
        range: RangeInclusive<i64>,
    ) -> Result<i64> {
        match self.number::<i64>(key)? {
            None => Ok(default),
            Some((_, value)) if range.contains(&value) => Ok(value),
            Some((line, value)) => Err(self.error(
                line,
                format!(
                    "`{key}` should be from {} to {}, found {value}",
                    range.start(),
                    range.end()
                ),
            )),
        }
    }

    pub(super) fn required(&mut self, key: &str, range: RangeInclusive<i64>) -> Result<i64> {
        if !self.options.contains_key(key) {
            return Err(self.error(self.line, format!("[{}] has no `{key}`", self.name)));
        }
        self.integer(key, 0, range)
    }

    pub(super) fn list<T: FromStr>(&mut self, key: &str) -> Result<Option<(usize, Vec<T>)>> {
        let Some((line, text)) = self.text(key) else { return Ok(None) };
        text.split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .map(|part| {
                part.parse().map_err(|_| {
                    self.error(line, format!("`{key}` should be a list of numbers, found `{part}`"))
                })
            })
            .collect::<Result<Vec<T>>>()
            .map(|values| Some((line, values)))
    }

    pub(super) fn activation(&mut self, default: &str) -> Result<Nonlinearity> {
        let (line, text) = self.text("activation").unwrap_or((self.line, default.into()));
        text.parse().map_err(|message: String| self.error(line, message))
    }

    /// The number of the layer `reference` stands for in layer `current`: negative counts back.
    pub(super) fn layer(&self, line: usize, reference: i64, current: usize) -> Result<usize> {
        let absolute = if reference < 0 { current as i64 + reference } else { reference };
        usize::try_from(absolute).ok().filter(|&n| n < current).ok_or_else(|| {
            self.error(
                line,
                format!(
                    "layer {current} refers to layer {absolute}, which does not come before it"
                ),
            )
        })
    }

    /// An option must have one value, the only one this engine computes.
    pub(super) fn only(&mut self, key: &str, value: &str) -> Result<()> {
        match self.text(key) {
            Some((line, found)) if found != value => Err(self.error(
                line,
                format!(
                    "`{key}={found}` changes the result and is not supported in [{}]",
                    self.name
                ),
            )),
            _ => Ok(()),
        }
    }

    pub(super) fn finish(self) -> Result<()> {
        match self.options.iter().find(|(key, _)| !IGNORED.contains(&key.as_str())) {
            None => Ok(()),
            Some((key, (line, value))) => Err(self.error(
                *line,
                format!(
                    "unknown option `{key}={value}` in [{}]: it may change the result",
                    self.name
                ),
            )),
        }
    }
}
