//! A scene's pixels and exact boxes: the background, every object on a layer of its own, light and
//! noise over all.

use super::object::{Object, ObjectPart, Style};
use super::objects;
use super::pen::{self, ShownMarks};
use super::scene::Scene;
use super::setting;
use crate::image::{BoundingBox, Rgb8, Size};
use resvg::tiny_skia::{Pixmap, Transform};

/// Least share of an object's pixels in sight for which it has a box.
const LEAST_IN_SIGHT: f32 = 0.35;

/// Least alpha of 255 of an object's pixels: what is fainter is left out of picture and box, since
/// nobody can see it.
const LEAST_ALPHA: u8 = 16;

/// Least side of a part's box in pixels.
const LEAST_PART: f32 = 4.0;

/// A part of an object in a picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PartBox {
    /// Index of the object.
    pub object: usize,
    /// Which of the object's parts: what [`Scene::without_part`] takes.
    pub part: usize,
    /// What it is.
    pub kind: ObjectPart,
    /// In pixels.
    pub bounding_box: BoundingBox,
}

/// A rendered scene.
#[derive(Debug, Clone, PartialEq)]
pub struct Painting {
    /// Its pixels.
    pub picture: Rgb8,
    /// Index of the object and its box, as [`Scene::boxes`].
    pub boxes: Vec<(usize, BoundingBox)>,
}

impl Scene {
    /// The pixels: a pure function of the scene, the same bytes on every machine.
    pub fn render(&self) -> Rgb8 {
        self.paint().picture
    }

    /// For each object its index and box in pixels: tight around every pixel it touches, hidden
    /// ones included, clipped to the picture. An object of which less than 35 % are in sight has
    /// none.
    pub fn boxes(&self) -> Vec<(usize, BoundingBox)> {
        boxes(&self.layers(), self.size)
    }

    /// [`Scene::render`] and [`Scene::boxes`] at the price of the first.
    pub fn paint(&self) -> Painting {
        let layers = self.layers();
        let mut canvas =
            Pixmap::new(self.size.width, self.size.height).expect("a picture has an area");
        setting::paint_background(&mut canvas, self.seed, self.style, self.ambience);
        let mut pixels: Vec<u8> =
            canvas.data().chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]]).collect();
        for layer in layers.iter().flatten() {
            layer.over(&mut pixels, self.size);
        }
        setting::tone(&mut pixels, self.ambience);
        setting::light_and_noise(&mut pixels, self.size, self.seed, self.style);
        Painting { picture: Rgb8::new(self.size, pixels), boxes: boxes(&layers, self.size) }
    }

    /// The parts of the objects that have names of their own and can be seen: tight around the
    /// pixels that are seen of each, clipped to the picture. A part of which less than 35 % of what
    /// the object itself shows is in sight has none, nor one whose object has no box, nor one that
    /// is smaller than 4 pixels on a side.
    pub fn part_boxes(&self) -> Vec<PartBox> {
        let layers = self.layers();
        let front = front(&layers, self.size);
        let boxes = boxes(&layers, self.size);
        let of_object = |&(object, _): &(usize, BoundingBox)| {
            let drawing = objects::draw(&self.objects[object], self.style);
            let hidden = self.objects[object].hidden;
            let parts: Vec<(usize, ObjectPart)> =
                drawing.parts().enumerate().filter(|(part, _)| hidden >> part & 1 == 0).collect();
            let layer =
                |part: usize| Layer::showing(&self.objects[object], self, ShownMarks::Alone(part));
            let boxed = |(part, kind): (usize, ObjectPart)| {
                let bounding_box =
                    layer(part)?.seen(|index| front[index] == object as u32 + 1, self.size)?;
                Some(PartBox { object, part, kind, bounding_box })
            };
            parts.into_iter().filter_map(boxed).collect::<Vec<_>>()
        };
        boxes.iter().flat_map(of_object).collect()
    }

    fn layers(&self) -> Vec<Option<Layer>> {
        self.objects.iter().map(|object| Layer::of(object, self)).collect()
    }
}

impl Object {
    /// The object alone, upright, without the light of a scene: RGBA with transparency around it,
    /// four bytes a pixel, not premultiplied, its longest side of `side` pixels. For pasting it
    /// into other pictures.
    ///
    /// # Panics
    /// `side` is 0.
    pub fn cutout(&self, style: Style, side: u32) -> (Size, Vec<u8>) {
        let drawing = objects::draw(self, style);
        let upright = pen::turn(0.0);
        let [left, top, right, bottom] =
            drawing.bounds(upright).expect("every class draws something");
        let scale = side as f32 / (right - left).max(bottom - top);
        let length = |from: f32, to: f32| ((scale * (to - from)).ceil() as u32).clamp(1, side);
        let size = Size::new(length(left, right), length(top, bottom));
        let mut pixels = Pixmap::new(size.width, size.height).expect("a cutout has an area");
        let place = Transform::from_row(scale, 0.0, 0.0, scale, -scale * left, -scale * top);
        drawing.paint(&mut pixels, place, ShownMarks::Without(self.hidden));
        let straight = pixels.pixels().iter().map(|pixel| pixel.demultiply());
        (
            size,
            straight
                .flat_map(|pixel| [pixel.red(), pixel.green(), pixel.blue(), pixel.alpha()])
                .collect(),
        )
    }
}

/// One object's pixels, premultiplied, and where in the picture they lie.
struct Layer {
    left: usize,
    top: usize,
    pixels: Pixmap,
}

impl Layer {
    /// `None`: all of it lies outside the picture.
    fn of(object: &Object, scene: &Scene) -> Option<Self> {
        let mut layer = Self::showing(object, scene, ShownMarks::Without(object.hidden))?;
        for pixel in
            layer.pixels.data_mut().chunks_exact_mut(4).filter(|pixel| pixel[3] < LEAST_ALPHA)
        {
            pixel.fill(0);
        }
        Some(layer)
    }

    /// The same place, whatever is shown of the object.
    fn showing(object: &Object, scene: &Scene, shown: ShownMarks) -> Option<Self> {
        let drawing = objects::draw(object, scene.style);
        let turn = pen::turn(object.place.turn as f32);
        let [left, top, right, bottom] = drawing.bounds(turn)?;
        let Size { width, height } = scene.size;
        let scale =
            object.place.size as f32 * width.min(height) as f32 / (right - left).max(bottom - top);
        // From the drawing's units to the picture's pixels: the middle of the bounds goes to the
        // centre.
        let x = object.place.x as f32 * width as f32 - scale * (left + right) / 2.0;
        let y = object.place.y as f32 * height as f32 - scale * (top + bottom) / 2.0;
        // A pixel more on every side: where a line grazes a pixel, its alpha may be rounded up.
        let edge = |low: f32, high: f32, most: u32| {
            let (low, high) = ((low - 1.0).floor().max(0.0), (high + 1.0).ceil().min(most as f32));
            (high > low).then_some((low as u32, high as u32))
        };
        let (left, right) = edge(x + scale * left, x + scale * right, width)?;
        let (top, bottom) = edge(y + scale * top, y + scale * bottom, height)?;
        let mut pixels = Pixmap::new(right - left, bottom - top)?;
        let place = Transform::from_row(scale, 0.0, 0.0, scale, x - left as f32, y - top as f32);
        drawing.paint(&mut pixels, place.pre_concat(turn), shown);
        Some(Self { left: left as usize, top: top as usize, pixels })
    }

    /// Of a layer that shows a part white, the box of its pixels that are `in_front` (indices into
    /// the picture): `None` where too few are, or the box is too small.
    fn seen(&self, in_front: impl Fn(usize) -> bool, size: Size) -> Option<BoundingBox> {
        let (mut all, mut seen, mut edges) = (0_u32, 0_u32, None::<[usize; 4]>);
        for (y, row) in self.rows() {
            for (x, pixel) in row.chunks_exact(4).enumerate().filter(|(_, pixel)| pixel[0] >= 128) {
                debug_assert!(pixel[3] >= 128, "white is opaque");
                all += 1;
                let x = self.left + x;
                if in_front(y * size.width as usize + x) {
                    seen += 1;
                    let [left, top, right, bottom] = edges.unwrap_or([x, y, x, y]);
                    edges = Some([left.min(x), top.min(y), right.max(x), bottom.max(y)]);
                }
            }
        }
        let [left, top, right, bottom] = edges?.map(|edge| edge as f32);
        let found = BoundingBox::new(left, top, right + 1.0, bottom + 1.0);
        let enough = seen as f32 >= LEAST_IN_SIGHT * all as f32;
        (enough && found.width() >= LEAST_PART && found.height() >= LEAST_PART).then_some(found)
    }

    /// Rows of the layer: y in the picture, and its RGBA pixels.
    fn rows(&self) -> impl Iterator<Item = (usize, &[u8])> {
        let row = 4 * self.pixels.width() as usize;
        self.pixels.data().chunks_exact(row).enumerate().map(|(y, row)| (self.top + y, row))
    }

    /// Composites it over RGB pixels.
    fn over(&self, picture: &mut [u8], size: Size) {
        for (y, row) in self.rows() {
            let start = 3 * (y * size.width as usize + self.left);
            for (below, above) in picture[start..].chunks_exact_mut(3).zip(row.chunks_exact(4)) {
                let through = 255 - u32::from(above[3]);
                for (below, &above) in below.iter_mut().zip(&above[..3]) {
                    let light = u32::from(above) + (u32::from(*below) * through + 127) / 255;
                    *below = light.min(255) as u8;
                }
            }
        }
    }

    /// The box of the pixels it touches; `None` when it touches none.
    fn bounds(&self) -> Option<BoundingBox> {
        let mut edges: Option<[usize; 4]> = None;
        for (y, row) in self.rows() {
            let mut touched =
                row.chunks_exact(4).enumerate().filter(|(_, pixel)| pixel[3] > 0).map(|(x, _)| x);
            let Some(first) = touched.next() else { continue };
            let last = touched.next_back().unwrap_or(first);
            let [left, top, right, _] = edges.unwrap_or([first, y, last, y]);
            edges = Some([left.min(first), top, right.max(last), y]);
        }
        let [left, top, right, bottom] = edges?;
        let x = |at: usize| (self.left + at) as f32;
        Some(BoundingBox::new(x(left), top as f32, x(right) + 1.0, bottom as f32 + 1.0))
    }
}

/// Who is in front at each pixel: 0 nobody, else the object's index + 1. A pixel is an object's if
/// it covers half.
fn front(layers: &[Option<Layer>], size: Size) -> Vec<u32> {
    let mut front = vec![0_u32; size.area()];
    for (object, layer) in layers.iter().enumerate() {
        for (y, row) in layer.iter().flat_map(Layer::rows) {
            let start = y * size.width as usize + layer.as_ref().map_or(0, |layer| layer.left);
            let covered = front[start..]
                .iter_mut()
                .zip(row.chunks_exact(4))
                .filter(|(_, pixel)| pixel[3] >= 128);
            covered.for_each(|(front, _)| *front = object as u32 + 1);
        }
    }
    front
}

fn boxes(layers: &[Option<Layer>], size: Size) -> Vec<(usize, BoundingBox)> {
    let front = front(layers, size);
    let opaque = |layer: &Option<Layer>| {
        let rows = layer.iter().flat_map(Layer::rows);
        rows.map(|(_, row)| row.chunks_exact(4).filter(|pixel| pixel[3] >= 128).count() as u32)
            .sum()
    };
    let pixels: Vec<u32> = layers.iter().map(opaque).collect();
    let mut in_sight = vec![0_u32; layers.len() + 1];
    for &object in &front {
        in_sight[object as usize] += 1;
    }
    let shown = |object: usize| {
        in_sight[object + 1] as f32 >= LEAST_IN_SIGHT * pixels[object].max(1) as f32
    };
    let boxed =
        |(object, layer): (usize, &Option<Layer>)| Some((object, layer.as_ref()?.bounds()?));
    layers.iter().enumerate().filter_map(boxed).filter(|&(object, _)| shown(object)).collect()
}
