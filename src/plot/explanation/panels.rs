//! A panel: name, the photo with frames and labels, and below it, where two colourings are asked
//! for, without.

use super::grid::Grid;
use super::overlay::{Colouring, data_uri, grey, overlay, panel_pixels, signed_overlay};
use super::{Explanation, GREY, LABEL, MethodMap, NAME, SMALL, TAG, labels};
use crate::Result;
use crate::image::{BoundingBox, Rgb8, Size};
use crate::plot::colour::{BLACK, CATEGORIES, Rgb, WHITE, readable_on};
use crate::plot::svg::{Area, Canvas, Stroke};
use crate::plot::text::{ASCENT, Anchor, DESCENT, Font, Text, shorten, widths};
use std::collections::BTreeMap;

/// The most of a photo's width that a label's name takes.
const LONGEST_NAME: f64 = 96.0;
/// Around a label's text.
const PADDING: (f64, f64) = (3.0, 1.0);
/// Width of a frame's line, and of the dark one below it.
const FRAME: (f64, f64) = (1.5, 3.0);
/// Between the panel's name and what is said about it.
const BESIDE: f64 = 6.0;

/// What is drawn in a panel, text measured.
#[derive(Debug)]
pub(super) struct Panel {
    name: String,
    note: String,
    name_width: f64,
    /// Data URIs, from the top.
    photos: Vec<String>,
    tags: Vec<Tag>,
    /// Across the photo, with its width.
    message: Option<(String, f64)>,
    photo: Size,
}

/// A frame and its label.
#[derive(Debug)]
struct Tag {
    area: BoundingBox,
    /// Closed contours in pixels of the photo; empty: the frame alone is known.
    outline: Vec<Vec<(u32, u32)>>,
    text: String,
    width: f64,
    colour: Rgb,
    dashed: bool,
}

/// A frame before its text is measured: object, number, whether it counts.
type Marked = (usize, f64, bool);

/// The photo's panel and one a method.
///
/// # Errors
/// The renderer refuses a text, or the encoder a photo.
pub(super) fn panels(of: &Explanation<'_>, grid: &Grid) -> Result<Vec<Panel>> {
    let pixels = panel_pixels(of.photo, grid.photo);
    let colours = colours(of);
    let mut panels = vec![photo_panel(of, grid, &pixels, &colours)?];
    for method in &of.methods {
        panels.push(method_panel(of, method, grid, &pixels, &colours)?);
    }
    Ok(panels)
}

fn photo_panel(
    of: &Explanation<'_>,
    grid: &Grid,
    pixels: &Rgb8,
    colours: &Colours<'_>,
) -> Result<Panel> {
    let shown = of.objects.len().min(of.boxes);
    let note = match (shown, of.objects.len()) {
        (_, 0) => "no detections".to_string(),
        (1, 1) => "1 detection".to_string(),
        (shown, all) if shown == all => format!("{all} detections"),
        (shown, all) => format!("{shown} of {all} detections"),
    };
    let marked: Vec<Marked> =
        of.objects[..shown].iter().enumerate().map(|(at, of)| (at, of.confidence, true)).collect();
    let photos = vec![data_uri(pixels)?; of.colours.rows().len()];
    Panel::new(of, ("photo", &note), grid, photos, &marked, colours, None)
}

fn method_panel(
    of: &Explanation<'_>,
    method: &MethodMap<'_>,
    grid: &Grid,
    pixels: &Rgb8,
    colours: &Colours<'_>,
) -> Result<Panel> {
    let title = (method.name.as_str(), method.note.as_str());
    if method.flat {
        let photos = vec![data_uri(&grey(pixels))?; of.colours.rows().len()];
        return Panel::new(of, title, grid, photos, &[], colours, Some("no positive evidence"));
    }
    let rows = of.colours.rows().iter();
    let photos = rows.map(|&colouring| match (method.signed, colouring) {
        (Some(signed), Colouring::Uniform) => {
            data_uri(&signed_overlay(pixels, signed, method.size))
        }
        _ => data_uri(&overlay(pixels, method.map, method.size, colouring)),
    });
    let marked: Vec<Marked> = method
        .ranked
        .iter()
        .take(of.boxes)
        .map(|ranked| (ranked.object, ranked.score, ranked.counts))
        .collect();
    Panel::new(of, title, grid, photos.collect::<Result<_>>()?, &marked, colours, None)
}

/// Colours by class.
type Colours<'a> = BTreeMap<&'a str, Rgb>;

/// One colour a class, given out in the order in which the panels show them; from the eighth class
/// on they repeat.
fn colours<'a>(of: &'a Explanation<'_>) -> Colours<'a> {
    let seen = 0..of.objects.len().min(of.boxes);
    let ranked = of
        .methods
        .iter()
        .flat_map(|method| method.ranked.iter().take(of.boxes).map(|ranked| ranked.object));
    let mut colours = Colours::new();
    for object in seen.chain(ranked) {
        let next = CATEGORIES[colours.len() % CATEGORIES.len()];
        colours.entry(of.objects[object].class.as_str()).or_insert(next);
    }
    colours
}

impl Panel {
    fn new(
        of: &Explanation<'_>,
        (name, note): (&str, &str),
        grid: &Grid,
        photos: Vec<String>,
        marked: &[Marked],
        colours: &Colours<'_>,
        message: Option<&str>,
    ) -> Result<Self> {
        let across = grid.labels(0, 0).width;
        let name = shorten(&[name], NAME, across)?.concat();
        let name_width = widths(&[&name], NAME)?[0];
        let note = match across - name_width - BESIDE {
            // Less than a word.
            room if room < 3.0 * SMALL.size => String::new(),
            room => shorten(&[note], SMALL, room)?.concat(),
        };
        let message =
            message.map(|text| Ok((text.to_string(), widths(&[text], LABEL)?[0]))).transpose()?;
        let tags = tags(of, marked, colours)?;
        Ok(Self { name, note, name_width, photos, tags, message, photo: of.photo.size() })
    }

    /// Draws the panel that is the grid's `at`th.
    pub(super) fn draw(&self, at: usize, grid: &Grid, canvas: &mut Canvas) {
        let (x, y) = grid.title(at);
        let mut line = |content: &str, x: f64, font: Font, fill: Rgb| {
            let position = (x, y + NAME.size * ASCENT);
            canvas.text(&Text {
                content,
                at: position,
                font,
                anchor: Anchor::Start,
                turn: 0.0,
                fill,
            });
        };
        line(&self.name, x, NAME, BLACK);
        line(&self.note, x + self.name_width + BESIDE, SMALL, GREY);
        for (row, uri) in self.photos.iter().enumerate() {
            let photo = grid.photo(at, row);
            canvas.image(photo, uri);
            if let Some(message) = &self.message {
                draw_message(message, photo, grid.labels(at, row), canvas);
            }
        }
        self.draw_tags(grid.photo(at, 0), grid.labels(at, 0), canvas);
    }

    fn draw_tags(&self, photo: Area, bounds: Area, canvas: &mut Canvas) {
        let frames: Vec<Area> =
            self.tags.iter().map(|tag| frame(tag.area, self.photo, photo)).collect();
        let height = (TAG.size * (ASCENT + DESCENT)).ceil() + 2.0 * PADDING.1;
        let sizes: Vec<(f64, f64)> =
            self.tags.iter().map(|tag| (tag.width + 2.0 * PADDING.0, height)).collect();
        let places = labels::place(&frames, &sizes, bounds);
        // The most important on top.
        for (tag, frame) in self.tags.iter().zip(&frames).rev() {
            for (colour, width) in [(BLACK, FRAME.1), (tag.colour, FRAME.0)] {
                if tag.outline.is_empty() {
                    canvas.frame(*frame, colour, width, tag.dashed);
                }
                for contour in &tag.outline {
                    let points = contour_on(contour, self.photo, photo);
                    canvas.stroke(&points, Stroke { colour, width, dashed: tag.dashed });
                }
            }
        }
        for ((tag, frame), place) in self.tags.iter().zip(&frames).zip(&places) {
            if let Some((from, to)) = labels::leader(place, frame) {
                canvas.line(from, to, BLACK, FRAME.1);
                canvas.line(from, to, tag.colour, FRAME.0);
            }
        }
        for (tag, place) in self.tags.iter().zip(&places).rev() {
            canvas.rect(*place, tag.colour);
            let position = (place.x + PADDING.0, place.y + place.height / 2.0 + TAG.drop());
            let fill = readable_on(tag.colour);
            canvas.text(&Text {
                content: &tag.text,
                at: position,
                font: TAG,
                anchor: Anchor::Start,
                turn: 0.0,
                fill,
            });
        }
    }
}

/// Names shortened, each with its number; colours by class.
fn tags(of: &Explanation<'_>, marked: &[Marked], colours: &Colours<'_>) -> Result<Vec<Tag>> {
    let names: Vec<&str> =
        marked.iter().map(|(object, ..)| of.objects[*object].class.as_str()).collect();
    let texts: Vec<String> = shorten(&names, TAG, LONGEST_NAME)?
        .iter()
        .zip(marked)
        .map(|(name, (_, number, _))| format!("{name} {number:.2}").replace('-', "−"))
        .collect();
    let widths = widths(&texts, TAG)?;
    Ok(marked
        .iter()
        .zip(texts.into_iter().zip(widths))
        .map(|(&(object, _, counts), (text, width))| Tag {
            area: of.objects[object].area,
            outline: of.objects[object].outline.clone(),
            text,
            width,
            colour: colours[of.objects[object].class.as_str()],
            dashed: !counts,
        })
        .collect())
}

/// A box of the photo on the picture, moved in where half of its line would stand out.
fn frame(of: BoundingBox, original: Size, photo: Area) -> Area {
    let inset = FRAME.1 / 2.0;
    let edges = |from: f32, to: f32, side: u32, start: f64, length: f64| {
        let place = |edge: f32| start + f64::from(edge) / f64::from(side) * length;
        let (low, high) = (start + inset, start + length - inset);
        let start = place(from).clamp(low, high);
        (start, place(to).clamp(low, high) - start)
    };
    let (x, width) = edges(of.x_min, of.x_max, original.width, photo.x, photo.width);
    let (y, height) = edges(of.y_min, of.y_max, original.height, photo.y, photo.height);
    Area::new(x, y, width, height)
}

/// A closed contour of the photo on the picture, the first point repeated at the end. Points nearer
/// to the last one than the eye can tell are left out: a mask has a corner at every pixel of its
/// edge.
fn contour_on(contour: &[(u32, u32)], original: Size, photo: Area) -> Vec<(f64, f64)> {
    const NEAR: f64 = 0.35;
    let place = |&(x, y): &(u32, u32)| {
        let across = f64::from(x) / f64::from(original.width) * photo.width;
        (photo.x + across, photo.y + f64::from(y) / f64::from(original.height) * photo.height)
    };
    let mut points: Vec<(f64, f64)> = Vec::new();
    for point in contour.iter().map(place) {
        let far =
            points.last().is_none_or(|last| (last.0 - point.0).hypot(last.1 - point.1) >= NEAR);
        if far {
            points.push(point);
        }
    }
    points.extend(points.first().copied());
    points
}

fn draw_message((text, width): &(String, f64), photo: Area, bounds: Area, canvas: &mut Canvas) {
    let size = (width + 12.0, LABEL.size * (ASCENT + DESCENT) + 6.0);
    let x = (photo.x + (photo.width - size.0) / 2.0).max(bounds.x);
    let place = Area::new(x, photo.y + (photo.height - size.1).max(0.0) / 2.0, size.0, size.1);
    canvas.rect(place, WHITE);
    let position = (place.x + 6.0, place.y + place.height / 2.0 + LABEL.drop());
    canvas.text(&Text {
        content: text,
        at: position,
        font: LABEL,
        anchor: Anchor::Start,
        turn: 0.0,
        fill: BLACK,
    });
}
