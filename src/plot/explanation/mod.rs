//! One photo explained, as in the paper's Figs. 1 and 4: the photo with what the detector saw, and
//! side by side the map of every method laid over it with the boxes it makes important; above them
//! the network's answer.
//!
//! In: pixels, maps, boxes, names. Boxes are in pixels of the photo, maps in `[0, 1]` of any size
//! and stretched over it, as the explained network saw the photo. Out: SVG with the photos inside
//! as JPEG, [`PHOTO_SCALE`] pixels per CSS pixel.

mod footer;
mod grid;
mod header;
mod labels;
mod overlay;
mod panels;
#[cfg(test)]
mod tests;
mod values;

pub use values::{PartValue, ValueBars};

pub(super) use overlay::data_uri;

use super::Svg;
use super::colour::Rgb;
use super::svg::Canvas;
use super::text::Font;
use crate::image::{BoundingBox, Rgb8, Size};
use crate::{Error, Result};

/// PNG pixels per CSS pixel at which every pixel of the photos inside is one of the PNG: 192 dots
/// an inch.
pub const PHOTO_SCALE: f64 = 2.0;

/// Between the picture and the paper's edge.
const MARGIN: f64 = 14.0;
/// Between blocks: header, panels, footer.
const BLOCK: f64 = 16.0;

const TITLE: Font = Font::bold(13.0);
const SUBTITLE: Font = Font::regular(10.5);
const NAME: Font = Font::bold(10.5);
const LABEL: Font = Font::regular(10.0);
const STRONG: Font = Font::bold(10.0);
const TAG: Font = Font::regular(9.0);
const SMALL: Font = Font::regular(8.5);

const GREY: Rgb = [0x44; 3];
const AXIS: Rgb = [0x66; 3];
const TRACK: Rgb = [0xe9; 3];
const BAR: Rgb = [0x9a; 3];

/// What the picture shows.
#[derive(Debug, Clone)]
pub struct Explanation<'a> {
    /// The first line, bold: the photo's name.
    pub title: String,
    /// The photo, upright.
    pub photo: &'a Rgb8,
    /// The network's answer, one a label; none where [`Self::answer`] says it in words.
    pub answers: Vec<Answer>,
    /// The answer of a network that names no labels.
    pub answer: Option<String>,
    /// Index of the most probable label.
    pub predicted: usize,
    /// Index of the label the maps explain.
    pub explained: usize,
    /// Valence, arousal, or none.
    pub dimensions: Vec<Dimension>,
    /// All detections, by falling confidence.
    pub objects: Vec<OutlinedObject>,
    /// One a panel, in order.
    pub methods: Vec<MethodMap<'a>>,
    /// What parts of the picture are worth, one block a method that says so.
    pub values: Vec<ValueBars>,
    /// The most boxes in a panel.
    pub boxes: usize,
    /// How maps are coloured.
    pub colours: Colours,
    /// Lines of small print below everything.
    pub notes: Vec<String>,
}

/// A label and its probability.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The label.
    pub label: String,
    /// In `[0, 1]`.
    pub probability: f64,
}

/// A number on a scale with named ends.
#[derive(Debug, Clone, PartialEq)]
pub struct Dimension {
    /// What it is.
    pub name: String,
    /// The number.
    pub value: f64,
    /// The scale's lower end, and what lies there.
    pub lower: (f64, String),
    /// Its upper end, over the lower.
    pub upper: (f64, String),
}

/// A detection, whose box is outlined.
#[derive(Debug, Clone, PartialEq)]
pub struct OutlinedObject {
    /// The name of its class.
    pub class: String,
    /// The detector's confidence, in `[0, 1]`.
    pub confidence: f64,
    /// Its box, in pixels of the photo.
    pub area: BoundingBox,
    /// Closed contours in pixels of the photo, where more is known than the box.
    pub outline: Vec<Vec<(u32, u32)>>,
}

/// One method's map and ranking.
#[derive(Debug, Clone, PartialEq)]
pub struct MethodMap<'a> {
    /// The method.
    pub name: String,
    /// What is explained, beside the name.
    pub note: String,
    /// Columns and rows of the map.
    pub size: Size,
    /// Row by row, in `[0, 1]`.
    pub map: &'a [f32],
    /// The map with its negative part, of a method whose negative values mean something: shown
    /// instead, in two colours with nothing in the middle, where one colouring of two has it.
    pub signed: Option<&'a [f32]>,
    /// The method found no positive evidence: the map is zero throughout.
    pub flat: bool,
    /// Boxes by falling importance.
    pub ranked: Vec<Ranked>,
}

/// A box by its importance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ranked {
    /// Index into [`Explanation::objects`].
    pub object: usize,
    /// Its importance.
    pub score: f64,
    /// Whether it is over the threshold.
    pub counts: bool,
}

/// Which colours maps have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Colours {
    /// A perceptually uniform map, dark to light, over the photo in grey.
    Uniform,
    /// `jet` over the photo, as most published activation maps.
    Jet,
    /// A row of each: the second without boxes.
    #[default]
    Both,
}

impl Colours {
    /// The colourings, from the top.
    fn rows(self) -> &'static [overlay::Colouring] {
        use overlay::Colouring::{Jet, Uniform};
        match self {
            Self::Uniform => &[Uniform],
            Self::Jet => &[Jet],
            Self::Both => &[Uniform, Jet],
        }
    }
}

impl Explanation<'_> {
    /// Draws the picture.
    ///
    /// # Errors
    /// [`Error::Figure`] when there is no method, when an index or the size of a map does not fit,
    /// or when a number is not finite; when the renderer refuses the picture.
    pub fn svg(&self) -> Result<Svg> {
        self.check()?;
        let mut grid =
            grid::Grid::of(self.photo.size(), self.methods.len() + 1, self.colours.rows().len());
        let inner = grid.width();
        let header = header::Header::of(self, MARGIN, inner)?;
        grid.top = (header.bottom + BLOCK).ceil();
        let panels = panels::panels(self, &grid)?;
        let values = values::Values::of(&self.values, grid.bottom() + BLOCK, inner)?;
        let footer = footer::Footer::of(self, values.bottom, inner)?;
        let mut canvas = Canvas::default();
        canvas.group("header", |canvas| header.draw(canvas));
        for (at, panel) in panels.iter().enumerate() {
            canvas.group(&format!("panel-{at}"), |canvas| panel.draw(at, &grid, canvas));
        }
        if !self.values.is_empty() {
            canvas.group("values", |canvas| values.draw(canvas));
        }
        canvas.group("footer", |canvas| footer.draw(canvas));
        Ok(canvas.finish(&self.title, inner + 2.0 * MARGIN, footer.bottom + MARGIN))
    }

    fn check(&self) -> Result<()> {
        let refuse =
            |message: String| Err(Error::Figure(format!("figure of `{}`: {message}", self.title)));
        if self.methods.is_empty() {
            return refuse("no method, nothing to show".into());
        }
        let labels = self.answers.len();
        if self.answer.is_none() && (self.predicted >= labels || self.explained >= labels) {
            return refuse(format!("label {} or {} of {labels}", self.predicted, self.explained));
        }
        if self.answers.iter().any(|answer| !(0.0..=1.0 + 1e-6).contains(&answer.probability)) {
            return refuse("a probability is not a number from 0 to 1".into());
        }
        for Dimension { name, value, lower, upper } in &self.dimensions {
            let span = upper.0 - lower.0;
            if !(span > 0.0 && span.is_finite() && value.is_finite()) {
                return refuse(format!(
                    "{name} {value} on a scale from {} to {}",
                    lower.0, upper.0
                ));
            }
        }
        let edges = |object: &OutlinedObject| <[f32; 4]>::from(object.area);
        if self.objects.iter().any(|object| {
            !object.confidence.is_finite() || edges(object).iter().any(|edge| !edge.is_finite())
        }) {
            return refuse("a box or its confidence is not finite".into());
        }
        for bars in &self.values {
            let values = bars.parts.iter().map(|part| part.value);
            if values.chain([bars.all, bars.nothing]).any(|value| !value.is_finite()) {
                return refuse(format!("{}: a value is not finite", bars.title));
            }
        }
        for method in &self.methods {
            if method.size.area() == 0 || method.map.len() != method.size.area() {
                return refuse(format!(
                    "{} numbers for a map of {}",
                    method.map.len(),
                    method.size
                ));
            }
            let signed = method.signed.unwrap_or_default();
            if method.signed.is_some() && signed.len() != method.map.len() {
                return refuse(format!(
                    "{} numbers for the signed map of {}",
                    signed.len(),
                    method.name
                ));
            }
            if method.map.iter().chain(signed).any(|value| !value.is_finite()) {
                return refuse(format!("the map of {} is not finite", method.name));
            }
            if method
                .ranked
                .iter()
                .any(|ranked| ranked.object >= self.objects.len() || !ranked.score.is_finite())
            {
                return refuse(format!(
                    "{} ranks a box that is not there, or by no number",
                    method.name
                ));
            }
        }
        Ok(())
    }
}
