//! Changes of how an example looks that leave what it shows: mirror image, light, colour,
//! sharpness, grain. They make the networks look at shapes and not at the exact palette of one
//! style of drawing.

use super::Example;
use crate::image::{BoundingBox, Filter, Rgb8, Size, resize};
use crate::random::Random;

/// `example` as it would look mirrored (half of the time), in other light and colours, less sharp
/// (a quarter), with grain.
pub fn augment(example: &mut Example, random: &mut Random) {
    if random.uniform(0.0, 1.0) < 0.5 {
        mirror(example);
    }
    if random.uniform(0.0, 1.0) < 0.25 {
        let share = random.uniform(0.5, 0.9);
        example.picture = blurred(&example.picture, share);
    }
    let tones: [[u8; 256]; 3] = tones(random);
    let saturation = random.uniform(0.45, 1.5) as f32;
    let grain = (random.uniform(-8.0, 12.0).max(0.0)) as f32;
    for pixel in example.picture.data_mut().as_chunks_mut::<3>().0 {
        let toned = [0, 1, 2].map(|channel| f32::from(tones[channel][usize::from(pixel[channel])]));
        // ITU-R BT.601's weights of the three colours in the perceived brightness.
        let grey = 0.299 * toned[0] + 0.587 * toned[1] + 0.114 * toned[2];
        let bits = random.next_u64();
        for (channel, value) in toned.into_iter().enumerate() {
            let noise = ((bits >> (16 * channel)) & 0xffff) as f32 / 32_768.0 - 1.0;
            pixel[channel] =
                (grey + saturation * (value - grey) + grain * noise + 0.5).clamp(0.0, 255.0) as u8;
        }
    }
}

/// Left and right exchanged.
fn mirror(example: &mut Example) {
    let size = example.picture.size();
    for row in example.picture.data_mut().chunks_exact_mut(3 * size.width as usize) {
        row.as_chunks_mut::<3>().0.reverse();
    }
    let width = size.width as f32;
    for (_, b) in example.boxes.iter_mut().chain(&mut example.kinds) {
        *b = BoundingBox::new(width - b.x_max, b.y_min, width - b.x_min, b.y_max);
    }
}

/// The picture as if it had been `share` times as large: reduced and enlarged again.
fn blurred(picture: &Rgb8, share: f64) -> Rgb8 {
    let size = picture.size();
    let side = |side: u32| ((f64::from(side) * share) as u32).max(1);
    let small = resize(picture, Size::new(side(size.width), side(size.height)), Filter::Bilinear);
    resize(&small, size, Filter::Bilinear)
}

/// Per channel what becomes of each of the 256 values: a common gamma, contrast and brightness, and
/// a cast of colour.
fn tones(random: &mut Random) -> [[u8; 256]; 3] {
    let gamma = random.uniform(-0.4, 0.4).exp();
    let contrast = random.uniform(0.6, 1.3);
    let brightness = random.uniform(-35.0, 35.0);
    [0, 1, 2].map(|_| {
        let cast = random.uniform(0.85, 1.15);
        std::array::from_fn(|value| {
            let curved = 255.0 * (value as f64 / 255.0).powf(gamma);
            (cast * ((curved - 127.5) * contrast + 127.5) + brightness + 0.5).clamp(0.0, 255.0)
                as u8
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Example {
        let size = Size::new(5, 3);
        let mut picture = Rgb8::filled(size, [10, 20, 30]);
        picture.data_mut()[..3].copy_from_slice(&[200, 100, 50]);
        Example {
            picture,
            boxes: vec![(7, BoundingBox::new(0.0, 0.0, 2.0, 1.0))],
            kinds: Vec::new(),
            label: 3,
        }
    }

    #[test]
    fn a_mirror_image_has_mirrored_boxes() {
        let mut mirrored = example();
        mirror(&mut mirrored);
        assert_eq!(mirrored.picture.pixel(4, 0), [200, 100, 50]);
        assert_eq!(mirrored.picture.pixel(0, 0), [10, 20, 30]);
        assert_eq!(mirrored.boxes, [(7, BoundingBox::new(3.0, 0.0, 5.0, 1.0))]);
    }

    #[test]
    fn the_same_random_numbers_give_the_same_picture_and_others_another() {
        let changed_by = |number| {
            let mut changed = example();
            augment(&mut changed, &mut Random::new(1, number));
            (changed.picture, changed.boxes, changed.label)
        };
        assert_eq!(changed_by(5), changed_by(5));
        assert_ne!(changed_by(5).0, changed_by(6).0);
        assert_eq!(changed_by(6).2, 3);
    }
}
