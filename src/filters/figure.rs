//! The strongest pairs of a class and a channel, with the photos that excite the channel most.

use super::FilterSums;
use super::sums::Cell;
use crate::image::Rgb8;
use crate::plot::{PhotoRow, PhotoRows, RingedPhoto};

/// Pairs in a figure.
const SHOWN: usize = 8;

/// A channel that lies in the boxes of a class more than their area says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClassChannelPair {
    /// The class's index.
    pub class: usize,
    /// The channel's, from 0.
    pub channel: usize,
    /// Pictures with the class in which the channel has a positive weighted part.
    pub images: u64,
    /// Mean share of that part in the boxes.
    pub share: f64,
    /// Mean share of the boxes' area.
    pub area: f64,
}

impl FilterSums {
    /// The pairs by falling (share - area) times the square root of the number of pictures, which
    /// grows as a mean's distance in standard errors does, each class and each channel once; of
    /// equals the first class, then channel.
    pub fn strongest(&self, method: usize, count: usize) -> Vec<ClassChannelPair> {
        let pair = |(class, channel): (usize, usize)| {
            let Cell { active, share, area } = self.cell(method, class, channel)?;
            (share > area).then_some(ClassChannelPair {
                class,
                channel,
                images: active,
                share,
                area,
            })
        };
        let classes = (0..self.classes.len()).filter(|&class| self.class_images[class] > 0);
        let mut pairs: Vec<ClassChannelPair> = classes
            .flat_map(|class| (0..self.channels).map(move |channel| (class, channel)))
            .filter_map(pair)
            .collect();
        let strength =
            |pair: &ClassChannelPair| (pair.share - pair.area) * (pair.images as f64).sqrt();
        pairs.sort_by(|a, b| strength(b).total_cmp(&strength(a)));
        let mut kept: Vec<ClassChannelPair> = Vec::with_capacity(count);
        for pair in pairs {
            if kept.iter().all(|other| other.class != pair.class && other.channel != pair.channel) {
                kept.push(pair);
            }
            if kept.len() == count {
                break;
            }
        }
        kept
    }

    /// The label in whose pictures the channel has the highest mean weight.
    fn favourite(&self, method: usize, channel: usize) -> Option<(usize, f64)> {
        let weights = (0..self.labels.len())
            .filter_map(|label| Some((label, self.mean_weight(method, label, channel)?)));
        weights.reduce(|best, other| if other.1 > best.1 { other } else { best })
    }
}

/// The figure of each method's name and picture; a method without any pair has none. `open` gives a
/// photo by its path, `None` where it cannot be read: it is left out.
pub fn figure(
    sums: &FilterSums,
    warning: Option<&str>,
    open: &mut dyn FnMut(&str) -> Option<Rgb8>,
) -> Vec<(String, PhotoRows)> {
    let mut figures = Vec::new();
    for (method, name) in sums.methods.iter().enumerate() {
        let pairs = sums.strongest(method, SHOWN);
        if pairs.is_empty() {
            continue;
        }
        let mut notes = vec![String::from(
            "Share: of the channel's positive weighted activation, what lies in the boxes of the \
             class, mean over the images with the class; area: what of the image the boxes cover. \
             Each class and each channel once, by (share - area) times the square root of the \
             number of images. Photos: the highest values of the channel in the corpus, at the \
             ring.",
        )];
        notes.extend(warning.map(|warning| format!("Warning: {warning}.")));
        figures.push((
            name.clone(),
            PhotoRows {
                title: "Filters and objects".into(),
                subtitle: format!("{name}, {} images, {} channels", sums.pictures, sums.channels),
                rows: pairs.iter().map(|pair| row(sums, method, pair, open)).collect(),
                notes,
            },
        ));
    }
    figures
}

fn row(
    sums: &FilterSums,
    method: usize,
    pair: &ClassChannelPair,
    open: &mut dyn FnMut(&str) -> Option<Rgb8>,
) -> PhotoRow {
    let ClassChannelPair { class, channel, images, share, area } = *pair;
    let mut lines = vec![format!("share {share:.3}, area {area:.3}"), format!("{images} images")];
    if let Some((label, weight)) = sums.favourite(method, channel) {
        lines.push(format!("highest mean weight: {} ({weight:.2e})", sums.labels[label]));
    }
    let photos = sums.excited[channel].iter().filter_map(|photo| {
        let ring = (f64::from(photo.at[0]), f64::from(photo.at[1]));
        open(&photo.path).map(|pixels| RingedPhoto { pixels, ring, caption: photo.path.clone() })
    });
    PhotoRow {
        name: format!("{}, channel {channel}", sums.classes[class]),
        lines,
        photos: photos.collect(),
    }
}
