//! The detector's loss: where the objects are, whether there is one, and which.

use super::assign::{Assignment, assign};
use crate::image::BoundingBox;
use crate::regions::darknet::Head;
use crate::{Error, Result};
use tch::{Device, Kind, Reduction, TchError, Tensor};

/// A place that answers for no object, but whose box overlaps one more than this, is neither right
/// nor wrong.
const IGNORED: f64 = 0.6;

/// Weight of the boxes against objectness and class, which have 1.
const BOX_WEIGHT: f64 = 2.0;

/// |tw| and |th| over this are taken as this, so that exp stays finite; e^4 times an anchor is beyond any object.
const LARGEST_LOG: f64 = 4.0;

/// The loss of a batch, a scalar with gradient.
///
/// `raw` is what [`super::DetectorTraining::forward`] gives, one tensor a head; `truth` has class
/// and box (input pixels) of the objects of every picture. With P places assigned to objects (at
/// least 1), it is the sum of
/// * 2 / P * sum over them of 1 - CIoU (Zheng et al. 2020) of decoded box and object,
/// * 1 / P * sum over all places of the binary cross-entropy of the objectness, without the ignored
///   ones,
/// * 1 / P * sum over the assigned of the cross-entropy of the class (softmax, as the run-time
///   decoding).
///
/// # Errors
/// libtorch is out of memory.
pub fn loss(raw: &[Tensor], heads: &[Head], truth: &[&[(usize, BoundingBox)]]) -> Result<Tensor> {
    let assigned: Vec<Vec<Assignment>> =
        truth.iter().map(|objects| assign(objects, heads)).collect();
    let count = assigned.iter().map(Vec::len).sum::<usize>().max(1) as f64;
    let sum = || -> Result<Tensor, TchError> {
        let device = raw[0].device();
        let objects = padded(truth, device)?;
        let mut total = Tensor::f_zeros([], (Kind::Float, device))?;
        for (number, (raw, head)) in raw.iter().zip(heads).enumerate() {
            let places = Places::of(number, head, &assigned, device)?;
            total = total.f_add(&of_head(raw, head, &places, &objects)?)?;
        }
        total.f_div_scalar(count)
    };
    sum().map_err(Error::torch("computing the detector's loss"))
}

/// The assigned places of one head, P in all.
struct Places {
    /// (P): rows in the head's numbers as (N * rows * columns * anchors, 5 + classes).
    rows: Tensor,
    /// (P): the same place within its picture.
    cells: Tensor,
    /// (P, 4): x_min, y_min, x_max, y_max of the objects.
    objects: Tensor,
    /// (P)
    classes: Tensor,
}

impl Places {
    fn of(
        number: usize,
        head: &Head,
        assigned: &[Vec<Assignment>],
        device: Device,
    ) -> Result<Self, TchError> {
        let (mut rows, mut cells, mut objects, mut classes) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let of_picture = head.grid.area() * head.anchors.len();
        for (picture, assigned) in assigned.iter().enumerate() {
            for place in assigned.iter().filter(|place| place.head == number) {
                let cell = (place.row * head.grid.width as usize + place.column)
                    * head.anchors.len()
                    + place.anchor;
                rows.push((picture * of_picture + cell) as i64);
                cells.push(cell as i64);
                objects.extend(<[f32; 4]>::from(place.bounding_box));
                classes.push(place.class as i64);
            }
        }
        let tensor = |numbers: &[i64]| Tensor::f_from_slice(numbers)?.f_to_device(device);
        Ok(Self {
            rows: tensor(&rows)?,
            cells: tensor(&cells)?,
            objects: Tensor::f_from_slice(&objects)?.f_reshape([-1, 4])?.f_to_device(device)?,
            classes: tensor(&classes)?,
        })
    }
}

/// The objects' boxes as (N, T, 4), T the most of any picture; where there are fewer, boxes without
/// area.
fn padded(truth: &[&[(usize, BoundingBox)]], device: Device) -> Result<Tensor, TchError> {
    let most = truth.iter().map(|objects| objects.len()).max().unwrap_or(0).max(1);
    let mut edges = vec![0.0_f32; truth.len() * most * 4];
    for (picture, objects) in edges.chunks_exact_mut(4 * most).zip(truth) {
        for (to, (_, object)) in picture.chunks_exact_mut(4).zip(*objects) {
            to.copy_from_slice(&<[f32; 4]>::from(*object));
        }
    }
    Tensor::f_from_slice(&edges)?
        .f_reshape([truth.len() as i64, most as i64, 4])?
        .f_to_device(device)
}

/// One head's part, before the division by P.
fn of_head(
    raw: &Tensor,
    head: &Head,
    places: &Places,
    objects: &Tensor,
) -> Result<Tensor, TchError> {
    let (batch, numbers) = (raw.size()[0], 5 + head.classes as i64);
    let rows = raw.f_permute([0, 2, 3, 1])?.f_reshape([-1, numbers])?;
    let (offsets, anchors) = constants(head, raw.device())?;
    let target =
        rows.f_select(1, 4)?.f_detach()?.f_zeros_like()?.f_index_fill(0, &places.rows, 1.0)?;
    let weight = {
        let _no_grad = tch::no_grad_guard();
        let boxes = decoded(&rows.f_reshape([batch, -1, numbers])?, &offsets, &anchors, head)?;
        let overlap = iou(&boxes.f_unsqueeze(2)?, &objects.f_unsqueeze(1)?)?.f_amax([2], false)?;
        let considered = overlap.f_le(IGNORED)?.f_to_kind(Kind::Float)?.f_reshape([-1])?;
        considered.f_maximum(&target)?
    };
    let objectness = rows.f_select(1, 4)?.f_binary_cross_entropy_with_logits(
        &target,
        Some(&weight),
        None,
        Reduction::Sum,
    )?;
    if places.rows.size()[0] == 0 {
        return Ok(objectness);
    }
    let chosen = rows.f_index_select(0, &places.rows)?;
    let (offsets, anchors) =
        (offsets.f_index_select(0, &places.cells)?, anchors.f_index_select(0, &places.cells)?);
    let boxes = decoded(&chosen, &offsets, &anchors, head)?;
    let misplaced =
        ciou(&boxes, &places.objects)?.f_neg()?.f_add_scalar(1.0)?.f_sum(Kind::Float)?;
    let class = chosen.f_slice(1, 5, None, 1)?.f_cross_entropy_loss::<Tensor>(
        &places.classes,
        None,
        Reduction::Sum,
        -100,
        0.0,
    )?;
    objectness.f_add(&class)?.f_add(&misplaced.f_mul_scalar(BOX_WEIGHT)?)
}

/// Column and row of every place's cell, and its anchor's width and height in input pixels: two (M,
/// 2) tensors for the M = rows * columns * anchors places of a picture, in this order.
fn constants(head: &Head, device: Device) -> Result<(Tensor, Tensor), TchError> {
    let (mut offsets, mut anchors) = (Vec::new(), Vec::new());
    for row in 0..head.grid.height {
        for column in 0..head.grid.width {
            for &(width, height) in &head.anchors {
                offsets.extend([column as f32, row as f32]);
                anchors.extend([width, height]);
            }
        }
    }
    let place =
        |numbers: &[f32]| Tensor::f_from_slice(numbers)?.f_reshape([-1, 2])?.f_to_device(device);
    Ok((place(&offsets)?, place(&anchors)?))
}

/// Boxes (..., 4) as x_min, y_min, x_max, y_max in input pixels from numbers (..., at least 4): see
/// `detect::head::decode`, whose formulas these are.
fn decoded(
    numbers: &Tensor,
    offsets: &Tensor,
    anchors: &Tensor,
    head: &Head,
) -> Result<Tensor, TchError> {
    let scale = f64::from(head.scale_x_y);
    let stride =
        Tensor::f_from_slice(&[head.stride.0, head.stride.1])?.f_to_device(numbers.device())?;
    let centre = numbers
        .f_slice(-1, 0, 2, 1)?
        .f_sigmoid()?
        .f_mul_scalar(scale)?
        .f_sub_scalar((scale - 1.0) / 2.0)?
        .f_add(offsets)?
        .f_mul(&stride)?;
    let half = numbers
        .f_slice(-1, 2, 4, 1)?
        .f_clamp(-LARGEST_LOG, LARGEST_LOG)?
        .f_exp()?
        .f_mul(anchors)?
        .f_div_scalar(2.0)?;
    Tensor::f_cat(&[centre.f_sub(&half)?, centre.f_add(&half)?], -1)
}

/// Widths and heights (..., 2) of boxes (..., 4).
fn sides(boxes: &Tensor) -> Result<Tensor, TchError> {
    boxes.f_slice(-1, 2, 4, 1)?.f_sub(&boxes.f_slice(-1, 0, 2, 1)?)
}

fn area(boxes: &Tensor) -> Result<Tensor, TchError> {
    product(&sides(boxes)?)
}

/// Width times height. Not libtorch's product along an axis, whose derivative where a side is 0 is
/// slow to compute.
fn product(sides: &Tensor) -> Result<Tensor, TchError> {
    sides.f_select(-1, 0)?.f_mul(&sides.f_select(-1, 1)?)
}

/// Intersection over union of boxes (..., 4), broadcast.
fn iou(a: &Tensor, b: &Tensor) -> Result<Tensor, TchError> {
    let low = a.f_slice(-1, 0, 2, 1)?.f_maximum(&b.f_slice(-1, 0, 2, 1)?)?;
    let high = a.f_slice(-1, 2, 4, 1)?.f_minimum(&b.f_slice(-1, 2, 4, 1)?)?;
    let sides = high.f_sub(&low)?.f_clamp_min(0.0)?;
    let shared = product(&sides)?;
    shared.f_div(&area(a)?.f_add(&area(b)?)?.f_sub(&shared)?.f_clamp_min(1e-9)?)
}

/// Complete IoU (Zheng et al. 2020, equations 10 to 12) of boxes (P, 4): IoU less the squared
/// distance of the centres over the squared diagonal of the common hull, less alpha v, v the
/// squared difference of the aspects' angles times 4 / pi^2, alpha = v / (1 - IoU + v), without
/// gradient.
fn ciou(boxes: &Tensor, objects: &Tensor) -> Result<Tensor, TchError> {
    let iou = iou(boxes, objects)?;
    let low = boxes.f_slice(1, 0, 2, 1)?.f_minimum(&objects.f_slice(1, 0, 2, 1)?)?;
    let high = boxes.f_slice(1, 2, 4, 1)?.f_maximum(&objects.f_slice(1, 2, 4, 1)?)?;
    let square = |x: Tensor| x.f_square()?.f_sum_dim_intlist(1, false, Kind::Float);
    let diagonal = square(high.f_sub(&low)?)?.f_clamp_min(1e-9)?;
    let centre =
        |b: &Tensor| b.f_slice(1, 0, 2, 1)?.f_add(&b.f_slice(1, 2, 4, 1)?)?.f_div_scalar(2.0);
    let distance = square(centre(boxes)?.f_sub(&centre(objects)?)?)?;
    let angle = |b: &Tensor| -> Result<Tensor, TchError> {
        let sides = sides(b)?;
        sides.f_select(1, 0)?.f_div(&sides.f_select(1, 1)?)?.f_atan()
    };
    let v = angle(objects)?
        .f_sub(&angle(boxes)?)?
        .f_square()?
        .f_mul_scalar(4.0 / std::f64::consts::PI.powi(2))?;
    let alpha = v.f_detach()?.f_div(&v.f_sub(&iou)?.f_add_scalar(1.0 + 1e-7)?.f_detach()?)?;
    iou.f_sub(&distance.f_div(&diagonal)?)?.f_sub(&v.f_mul(&alpha)?)
}
