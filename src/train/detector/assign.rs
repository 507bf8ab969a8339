//! Which place of which head answers for which object (Redmon & Farhadi 2018, section 2.1).

use crate::image::BoundingBox;
use crate::regions::darknet::Head;

/// Beside the best anchor, others that overlap the object's shape more than this answer for it too:
/// more places learn from each picture.
const ALSO_RESPONSIBLE: f32 = 0.5;

/// One place that must find one object.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Assignment {
    /// Index of the head.
    pub head: usize,
    /// Cell of its grid, from the top.
    pub row: usize,
    /// Cell of its grid, from the left.
    pub column: usize,
    /// Anchor of the head.
    pub anchor: usize,
    /// The object's class.
    pub class: usize,
    /// The object, in input pixels.
    pub bounding_box: BoundingBox,
}

/// The places for the objects of one picture, boxes in input pixels: per object the cell its centre
/// lies in, on the head and with the anchor whose shape overlaps it most; then the other anchors
/// over `ALSO_RESPONSIBLE`. Where two objects want one place, the first gets it, and best anchors
/// come before others.
pub fn assign(objects: &[(usize, BoundingBox)], heads: &[Head]) -> Vec<Assignment> {
    let mut taken: Vec<Assignment> = Vec::new();
    let mut others = Vec::new();
    for &(class, bounding_box) in objects {
        let mut candidates: Vec<(f32, Assignment)> = Vec::new();
        for (number, head) in heads.iter().enumerate() {
            let cell = |centre: f32, stride: f32, cells: u32| {
                ((centre / stride) as usize).min(cells as usize - 1)
            };
            let row = cell(
                (bounding_box.y_min + bounding_box.y_max) / 2.0,
                head.stride.1,
                head.grid.height,
            );
            let column = cell(
                (bounding_box.x_min + bounding_box.x_max) / 2.0,
                head.stride.0,
                head.grid.width,
            );
            for (anchor, &shape) in head.anchors.iter().enumerate() {
                let overlap = shape_iou((bounding_box.width(), bounding_box.height()), shape);
                candidates.push((
                    overlap,
                    Assignment { head: number, row, column, anchor, class, bounding_box },
                ));
            }
        }
        candidates.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut candidates = candidates.into_iter();
        taken.extend(candidates.next().map(|(_, best)| best).filter(|best| is_free(&taken, best)));
        others.extend(
            candidates.filter(|(overlap, _)| *overlap > ALSO_RESPONSIBLE).map(|(_, other)| other),
        );
    }
    for other in others {
        if is_free(&taken, &other) {
            taken.push(other);
        }
    }
    taken
}

fn is_free(taken: &[Assignment], place: &Assignment) -> bool {
    let key = |a: &Assignment| (a.head, a.row, a.column, a.anchor);
    taken.iter().all(|other| key(other) != key(place))
}

/// IoU of two boxes (width, height) with one centre.
pub(super) fn shape_iou(a: (f32, f32), b: (f32, f32)) -> f32 {
    let shared = a.0.min(b.0) * a.1.min(b.1);
    shared / (a.0 * a.1 + b.0 * b.1 - shared)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Size;

    /// Two heads for an input of 96 x 64: cells of 32 with large anchors, cells of 16 with small
    /// ones.
    fn heads() -> Vec<Head> {
        let head = |anchors: &[(f32, f32)], grid: Size, stride: f32| Head {
            anchors: anchors.to_vec(),
            classes: 3,
            scale_x_y: 1.0,
            grid,
            stride: (stride, stride),
        };
        vec![
            head(&[(40.0, 30.0), (60.0, 60.0)], Size::new(3, 2), 32.0),
            head(&[(10.0, 10.0), (20.0, 12.0)], Size::new(6, 4), 16.0),
        ]
    }

    #[test]
    fn an_object_goes_to_the_cell_of_its_centre_and_the_anchor_of_its_shape() {
        // 20 x 11 around (70, 41): on the fine grid column 4, row 2; the second anchor's shape.
        let object = BoundingBox::from_center(70.0, 41.0, 20.0, 11.0);
        let found = assign(&[(2, object)], &heads());
        assert_eq!(
            found[0],
            Assignment { head: 1, row: 2, column: 4, anchor: 1, class: 2, bounding_box: object }
        );
        // The small anchor overlaps it by 100 / 220, under the limit: nobody else answers.
        assert_eq!(found.len(), 1);
    }

    #[test]
    fn a_similar_anchor_answers_too_and_a_taken_place_is_not_taken_again() {
        // 46 x 38 around (50, 20): 1200 / 1748 with the first large anchor, 1748 / 3600 with the
        // second; none small.
        let first = BoundingBox::from_center(50.0, 20.0, 46.0, 38.0);
        // 52 x 46, the same cell: its best is the second anchor (2392 / 3600), the first (1200 /
        // 2392) is also over 1/2.
        let second = BoundingBox::from_center(40.0, 25.0, 52.0, 46.0);
        let found = assign(&[(0, first), (1, second)], &heads());
        let places: Vec<_> =
            found.iter().map(|a| (a.head, a.row, a.column, a.anchor, a.class)).collect();
        assert_eq!(places, [(0, 0, 1, 0, 0), (0, 0, 1, 1, 1)]);
    }

    #[test]
    fn a_centre_on_the_edge_stays_in_the_grid() {
        let found = assign(&[(0, BoundingBox::new(92.0, 56.0, 100.0, 72.0))], &heads());
        assert_eq!((found[0].row, found[0].column), (3, 5));
    }
}
