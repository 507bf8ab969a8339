//! From a head's raw numbers to boxes.

use super::network::Head;
use super::{ClassScores, Detection};
use crate::image::BoundingBox;
use tch::{IndexOp, Kind, TchError, Tensor};

/// Decodes one head (Redmon & Farhadi 2018, section 2): for the cell in column `col` and row `row`
/// and the anchor (pw, ph), x = (sigmoid(tx) s - (s - 1) / 2 + col) stride, w = pw exp(tw),
/// likewise y and h, objectness = sigmoid(to).
///
/// `raw` is (N, anchors * (5 + classes), rows, columns). Returns per image every label over
/// `confidence`, boxes in input pixels, in the order of row, column, anchor (and class).
pub(super) fn decode(
    raw: &Tensor,
    head: &Head,
    class_scores: ClassScores,
    confidence: f32,
) -> Result<Vec<Vec<Detection>>, TchError> {
    let (batch, anchors, columns) =
        (raw.size()[0], head.anchors.len() as i64, (5 + head.classes) as i64);
    let (_, _, height, width) = raw.size4()?;
    // In channels-last memory this is a view: one row of 5 + classes numbers for every cell and
    // anchor.
    let rows =
        raw.f_permute([0, 2, 3, 1])?.f_reshape([batch * height * width * anchors, columns])?;
    // No label is more confident than its box's objectness: most rows end here, before any exp over
    // the classes.
    let objectness = sigmoids(&rows.f_select(1, 4)?)?;
    let chosen = objectness.f_gt(f64::from(confidence))?.f_nonzero()?.f_flatten(0, -1)?;
    let values = rows.f_index_select(0, &chosen)?.f_to_kind(Kind::Float)?;
    let objectness = objectness.f_index_select(0, &chosen)?;
    let logits = values.f_slice(1, 5, None, 1)?;
    let labels = match class_scores {
        ClassScores::Softmax => {
            if chosen.size()[0] == 0 {
                return Ok(vec![Vec::new(); batch as usize]);
            }
            let (probability, class) = logits.f_softmax(1, Kind::Float)?.f_max_dim(1, false)?;
            let scores = probability.f_mul(&objectness)?;
            let over = scores.f_gt(f64::from(confidence))?.f_nonzero()?.f_flatten(0, -1)?;
            (
                over.shallow_clone(),
                class.f_index_select(0, &over)?,
                scores.f_index_select(0, &over)?,
            )
        }
        ClassScores::Logistic => {
            let scores = sigmoids(&logits)?.f_mul(&objectness.f_unsqueeze(1)?)?;
            let over = scores.f_gt(f64::from(confidence))?.f_nonzero()?;
            let (row, class) = (over.i((.., 0)), over.i((.., 1)));
            let flat = row.f_mul_scalar(head.classes as i64)?.f_add(&class)?;
            (row, class, scores.f_flatten(0, -1)?.f_index_select(0, &flat)?)
        }
    };
    collect(&chosen, &values, labels, head, (batch as usize, height as usize, width as usize))
}

/// In f64, rounded to f32. A processor's exponentials differ in the last digit between vectors and
/// what is left over at their end, so that a confidence would depend on the other pictures of a
/// batch.
fn sigmoids(x: &Tensor) -> Result<Tensor, TchError> {
    x.f_to_kind(Kind::Double)?.f_sigmoid()?.f_to_kind(Kind::Float)
}

/// Moves the chosen rows to the CPU and computes their boxes; `(batch, height, width)` are images
/// and the grid's cells.
fn collect(
    chosen: &Tensor,
    values: &Tensor,
    (row, class, score): (Tensor, Tensor, Tensor),
    head: &Head,
    (batch, height, width): (usize, usize, usize),
) -> Result<Vec<Vec<Detection>>, TchError> {
    // One reading for all numbers, which f64 holds exactly.
    let column = |of: &Tensor| of.f_to_kind(Kind::Double)?.f_unsqueeze(1);
    let geometry = values.f_slice(1, 0, 4, 1)?.f_index_select(0, &row)?.f_to_kind(Kind::Double)?;
    let columns =
        [column(&chosen.f_index_select(0, &row)?)?, column(&class)?, column(&score)?, geometry];
    let numbers = Vec::<f64>::try_from(&Tensor::f_cat(&columns, 1)?.f_flatten(0, -1)?)?;
    let mut detections = vec![Vec::new(); batch];
    for &[place, class, confidence, x, y, w, h] in numbers.as_chunks::<7>().0 {
        let (place, confidence, t) =
            (place as usize, confidence as f32, [x, y, w, h].map(|number| number as f32));
        let (anchor, cell) = (place % head.anchors.len(), place / head.anchors.len());
        let (column, cell) = (cell % width, cell / width);
        let (line, image) = (cell % height, cell / height);
        let centre = |t: f32, cell: usize, stride: f32| {
            (sigmoid(t) * head.scale_x_y - (head.scale_x_y - 1.0) / 2.0 + cell as f32) * stride
        };
        let (anchor_width, anchor_height) = head.anchors[anchor];
        let bounding_box = BoundingBox::from_center(
            centre(t[0], column, head.stride.0),
            centre(t[1], line, head.stride.1),
            t[2].exp() * anchor_width,
            t[3].exp() * anchor_height,
        );
        // exp overflows for absurd weights; such a box cannot be placed anywhere.
        let finite = <[f32; 4]>::from(bounding_box).iter().all(|edge| edge.is_finite());
        if finite && confidence.is_finite() {
            detections[image].push(Detection { class: class as usize, confidence, bounding_box });
        }
    }
    Ok(detections)
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Size;

    /// One head of two anchors and two classes on a grid of 3 columns and 2 rows; everything silent
    /// but one row.
    fn raw(at: (i64, i64, i64), values: [f32; 7]) -> (Tensor, Head) {
        let (anchor, row, column) = at;
        let raw = Tensor::full([2, 14, 2, 3], -20.0, (Kind::Float, tch::Device::Cpu));
        for (channel, value) in values.iter().enumerate() {
            let _ = raw.i((1, anchor * 7 + channel as i64, row, column)).fill_(f64::from(*value));
        }
        let head = Head {
            anchors: vec![(10.0, 20.0), (30.0, 40.0)],
            classes: 2,
            scale_x_y: 1.0,
            grid: Size::new(3, 2),
            stride: (32.0, 32.0),
        };
        (raw, head)
    }

    #[test]
    fn a_box_by_hand() {
        let (raw, head) = raw((1, 0, 2), [0.0, 0.0, 0.0, 2.0_f32.ln(), 20.0, 20.0, -20.0]);
        for scores in [ClassScores::Softmax, ClassScores::Logistic] {
            let found = decode(&raw, &head, scores, 0.25).unwrap();
            assert!(found[0].is_empty());
            assert_eq!(found[1].len(), 1);
            assert_eq!(found[1][0].class, 0);
            approx::assert_abs_diff_eq!(found[1][0].confidence, 1.0, epsilon = 1e-6);
            // Centre (2.5 * 32, 0.5 * 32), 30 wide and 80 high.
            let expected = BoundingBox::new(65.0, -24.0, 95.0, 56.0);
            for (a, b) in
                <[f32; 4]>::from(found[1][0].bounding_box).iter().zip(<[f32; 4]>::from(expected))
            {
                approx::assert_abs_diff_eq!(*a, b, epsilon = 1e-4);
            }
        }
    }

    #[test]
    fn softmax_gives_one_label_and_logistic_every_one_over_the_threshold() {
        let (raw, head) = raw((0, 1, 1), [0.0, 0.0, 0.0, 0.0, 20.0, 1.0, 1.5]);
        let softmax = decode(&raw, &head, ClassScores::Softmax, 0.25).unwrap().remove(1);
        assert_eq!(softmax.len(), 1);
        assert_eq!(softmax[0].class, 1);
        approx::assert_abs_diff_eq!(
            softmax[0].confidence,
            1.0 / (1.0 + (-0.5_f32).exp()),
            epsilon = 1e-6
        );
        let logistic = decode(&raw, &head, ClassScores::Logistic, 0.25).unwrap().remove(1);
        assert_eq!(logistic.iter().map(|d| d.class).collect::<Vec<_>>(), [0, 1]);
        approx::assert_abs_diff_eq!(logistic[0].confidence, sigmoid(1.0), epsilon = 1e-6);
    }
}
