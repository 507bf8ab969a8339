//! Between a network's own layout of A and the grid (N, K, rows, columns) on which maps are made.

use crate::networks::{Activation, Layout};
use tch::{TchError, Tensor};

/// The activation as a grid; tokens before the grid's become the first part of the context.
///
/// # Errors
/// The tensor does not have the shape that the card says, in a sentence.
pub(super) fn to_grid(
    layout: Layout,
    raw: &Tensor,
    mut context: Vec<Tensor>,
) -> Result<Activation, TchError> {
    let shape = raw.size();
    let wrong = |expected: String| {
        TchError::Torch(format!(
            "ValueError: the card's layout says {expected}, `features` gives A of shape {shape:?}"
        ))
    };
    let values = match layout {
        Layout::Nchw if shape.len() == 4 => raw.shallow_clone(),
        Layout::Nchw => return Err(wrong("(N, channels, rows, columns)".into())),
        Layout::Nhwc if shape.len() == 4 => raw.f_permute([0, 3, 1, 2])?,
        Layout::Nhwc => return Err(wrong("(N, rows, columns, channels)".into())),
        Layout::Tokens { prefix, grid: (rows, columns) } => {
            if shape.len() != 3 || shape[1] != prefix + rows * columns {
                return Err(wrong(format!(
                    "(N, tokens, channels) with {prefix} + {rows} x {columns} = {} tokens",
                    prefix + rows * columns
                )));
            }
            if prefix > 0 {
                context.insert(0, raw.f_narrow(1, 0, prefix)?);
            }
            let tokens = raw.f_narrow(1, prefix, rows * columns)?;
            tokens.f_permute([0, 2, 1])?.f_reshape([shape[0], shape[2], rows, columns])?
        }
    };
    Ok(Activation { values: values.f_contiguous()?, context })
}

/// The arguments of `head`: A in the network's own layout, then its context.
///
/// # Errors
/// No memory.
pub(super) fn from_grid(layout: Layout, activation: &Activation) -> Result<Vec<Tensor>, TchError> {
    let (values, mut context) =
        (&activation.values, activation.context.iter().map(Tensor::shallow_clone));
    let raw = match layout {
        Layout::Nchw => values.shallow_clone(),
        Layout::Nhwc => values.f_permute([0, 2, 3, 1])?.f_contiguous()?,
        Layout::Tokens { prefix, .. } => {
            let (count, channels, ..) = values.size4()?;
            let tokens = values.f_reshape([count, channels, -1])?.f_permute([0, 2, 1])?;
            let before = if prefix > 0 { context.next() } else { None };
            match before {
                Some(before) => Tensor::f_cat(&[before, tokens], 1)?,
                None => tokens.f_contiguous()?,
            }
        }
    };
    Ok(std::iter::once(raw).chain(context).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    #[test]
    fn a_layout_goes_to_the_grid_and_back() {
        let numbers = |shape: &[i64]| {
            Tensor::arange(shape.iter().product::<i64>(), (Kind::Float, Device::Cpu)).reshape(shape)
        };
        for (layout, raw) in [
            (Layout::Nchw, numbers(&[2, 5, 3, 4])),
            (Layout::Nhwc, numbers(&[2, 3, 4, 5])),
            (Layout::Tokens { prefix: 2, grid: (3, 4) }, numbers(&[2, 14, 5])),
            (Layout::Tokens { prefix: 0, grid: (3, 4) }, numbers(&[2, 12, 5])),
        ] {
            let skipped = numbers(&[2, 7]);
            let grid = to_grid(layout, &raw, vec![skipped.shallow_clone()]).unwrap();
            assert_eq!(grid.values.size(), [2, 5, 3, 4], "{layout:?}");
            let back = from_grid(layout, &grid).unwrap();
            assert_eq!(back.len(), 2);
            assert!(back[0] == raw && back[1] == skipped, "{layout:?}");
            let changed =
                grid.changed(1, grid.values.narrow(0, 1, 1).repeat([3, 1, 1, 1])).unwrap();
            let back = from_grid(layout, &changed).unwrap();
            assert!((0..3).all(|row| back[0].get(row) == raw.get(1) && back[1].get(row) == skipped.get(1)));
        }
        let wrong =
            to_grid(Layout::Tokens { prefix: 1, grid: (3, 4) }, &numbers(&[2, 14, 5]), Vec::new())
                .unwrap_err();
        assert!(wrong.to_string().contains("1 + 3 x 4 = 13 tokens"), "{wrong}");
    }
}
