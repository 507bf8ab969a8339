//! Which shapes a map may have.

use super::{MAX_CELLS, MAX_SIDE};
use crate::image::Size;

/// The size of a map of this shape (rows, columns).
///
/// # Errors
/// It has another number of dimensions, no cell, or more than are read: what was found, in words
/// that go behind what was expected.
pub(super) fn size(shape: &[usize]) -> Result<Size, String> {
    let &[rows, columns] = shape else {
        return Err(format!(
            "expected 2 dimensions (rows, columns), found {}: {shape:?}",
            shape.len()
        ));
    };
    let small = (1..=MAX_SIDE).contains(&rows)
        && (1..=MAX_SIDE).contains(&columns)
        && rows * columns <= MAX_CELLS;
    if !small {
        return Err(format!(
            "expected 1 to {MAX_SIDE} rows and columns and at most {MAX_CELLS} cells, found {rows} \
             rows and {columns} columns"
        ));
    }
    Ok(Size::new(columns as u32, rows as u32))
}
