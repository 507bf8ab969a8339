//! How large the photo is in every panel, and where the panels are.

use super::MARGIN;
use crate::image::Size;
use crate::plot::svg::Area;

/// The picture is at least this wide inside its margins: header and footer need it.
const NARROWEST: f64 = 560.0;
/// Room for labels, also where the photo is narrow or low.
const SMALLEST_CELL: (f64, f64) = (170.0, 66.0);
/// A photo 30 times as wide as high, or more, is shown distorted rather than as a line.
const THINNEST: f64 = 12.0;
/// Above the photos of a panel.
const TITLE_LINE: f64 = 19.0;
/// Between the photos of a panel.
const SEAM: f64 = 6.0;
/// Between panels, across and down.
const GAP: (f64, f64) = (16.0, 14.0);
/// Header and footer together, about.
const AROUND: f64 = 260.0;
/// Width by height of a good picture, for a page as for a screen.
const ASPECT: f64 = 1.3;
/// How much an empty place at the end counts against a picture, as the logarithm of an aspect.
const EMPTY: f64 = 0.25;
/// Wider than this, text is too small to read on a page.
const WIDEST: f64 = 1120.0;

/// Panels in rows, each with a title and one or two photos below it. Lengths are whole CSS pixels,
/// so that photos lie on the PNG's own.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Grid {
    /// Width and height of a photo.
    pub photo: (f64, f64),
    /// Where the first row begins.
    pub top: f64,
    cell: (f64, f64),
    columns: usize,
    panels: usize,
    photos: usize,
}

impl Grid {
    /// For `panels` panels of `photos` photos, each of the shape of `photo`.
    pub(super) fn of(photo: Size, panels: usize, photos: usize) -> Self {
        let (width, height) = match panels {
            ..=2 => (400.0, 340.0),
            3 => (340.0, 320.0),
            4..=6 => (300.0, 290.0),
            _ => (240.0, 230.0),
        };
        let [across, down] = [photo.width, photo.height].map(f64::from);
        // A panorama would be too low to see much, let alone labels.
        let width = if across > 2.0 * down { 1.5 * width } else { width };
        let scale = f64::min(width / across, height / down);
        let photo = ((across * scale).round().max(THINNEST), (down * scale).round().max(THINNEST));
        let cell = (photo.0.max(SMALLEST_CELL.0), photo.1.max(SMALLEST_CELL.1));
        let with_columns = |columns| Self { photo, top: MARGIN, cell, columns, panels, photos };
        let cost = |columns: &usize| {
            let grid = with_columns(*columns);
            let aspect = (grid.width() / (grid.bottom() + AROUND) / ASPECT).ln().abs();
            aspect + EMPTY * (columns * panels.div_ceil(*columns) - panels) as f64
        };
        let columns =
            (1..=panels).filter(|&columns| columns <= 2 || with_columns(columns).width() <= WIDEST);
        with_columns(columns.min_by(|a, b| cost(a).total_cmp(&cost(b))).unwrap_or(1))
    }

    /// Width of the picture inside its margins.
    pub(super) fn width(&self) -> f64 {
        let columns = self.columns as f64;
        (columns * self.cell.0 + (columns - 1.0) * GAP.0).max(NARROWEST)
    }

    /// Where the last row ends.
    pub(super) fn bottom(&self) -> f64 {
        let rows = self.panels.div_ceil(self.columns) as f64;
        self.top + rows * self.panel_height() + (rows - 1.0) * GAP.1
    }

    /// The start of a panel's title line: its left end and the top of the line.
    pub(super) fn title(&self, panel: usize) -> (f64, f64) {
        let (column, row) = (panel % self.columns, panel / self.columns);
        (
            MARGIN + column as f64 * (self.cell.0 + GAP.0),
            self.top + row as f64 * (self.panel_height() + GAP.1),
        )
    }

    /// A photo of a panel.
    pub(super) fn photo(&self, panel: usize, photo: usize) -> Area {
        let place = self.labels(panel, photo);
        Area::new(place.x, place.y, self.photo.0, self.photo.1)
    }

    /// Where the labels of a photo may be: in it, or beside and below where it is small.
    pub(super) fn labels(&self, panel: usize, photo: usize) -> Area {
        let (x, y) = self.title(panel);
        Area::new(x, y + TITLE_LINE + photo as f64 * (self.cell.1 + SEAM), self.cell.0, self.cell.1)
    }

    fn panel_height(&self) -> f64 {
        let photos = self.photos as f64;
        TITLE_LINE + photos * self.cell.1 + (photos - 1.0) * SEAM
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn shapes_of_common_pictures() {
        let columns = |width, height, panels, photos| {
            Grid::of(Size::new(width, height), panels, photos).columns
        };
        // One method, the paper's five, eleven; in both colours.
        for (panels, landscape, portrait, panorama) in [(2, 2, 2, 1), (6, 3, 3, 2), (12, 4, 6, 3)] {
            assert_eq!(columns(768, 576, panels, 2), landscape, "{panels} panels");
            assert_eq!(columns(576, 768, panels, 2), portrait, "{panels} panels");
            assert_eq!(columns(3000, 500, panels, 2), panorama, "{panels} panels");
        }
        // Four are two by two, seven leave one place empty.
        assert_eq!([columns(768, 576, 4, 1), columns(768, 576, 7, 1)], [2, 4]);
    }

    proptest! {
        #[test]
        fn photos_lie_inside_the_paper_and_apart(
            width in 1..9000_u32, height in 1..9000_u32, panels in 2..20_usize, photos in 1..=2_usize,
        ) {
            let grid = Grid::of(Size::new(width, height), panels, photos);
            let mut areas: Vec<Area> = Vec::new();
            for panel in 0..panels {
                for photo in 0..photos {
                    let (area, labels) = (grid.photo(panel, photo), grid.labels(panel, photo));
                    prop_assert!(area.right() <= labels.right() && area.bottom() <= labels.bottom());
                    prop_assert!(labels.right() <= MARGIN + grid.width() && labels.bottom() <= grid.bottom());
                    prop_assert!([area.x, area.y, area.width, area.height].iter().all(|side| side.fract() == 0.0));
                    for other in &areas {
                        let apart = other.right() <= labels.x || labels.right() <= other.x
                            || other.bottom() <= labels.y || labels.bottom() <= other.y;
                        prop_assert!(apart, "{:?} {:?}", other, labels);
                    }
                    areas.push(labels);
                }
            }
            let shape = area_shape(&grid);
            let true_shape = f64::from(width) / f64::from(height);
            if (0.06..16.0).contains(&true_shape) {
                prop_assert!((shape / true_shape).ln().abs() < 0.06, "{} for {}", shape, true_shape);
            }
        }
    }

    fn area_shape(grid: &Grid) -> f64 {
        grid.photo.0 / grid.photo.1
    }
}
