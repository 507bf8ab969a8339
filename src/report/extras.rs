//! What some runs know besides: channels that respond to classes, and what the answer owes to what
//! lies outside all regions.

use crate::run::Run;
use crate::run::record::{ImageRecord, MapRecord};
use crate::{Error, Result};
use serde::Deserialize;

/// Rows of filters that are shown.
const FILTERS: usize = 15;

/// A channel and a class.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct FilterRow {
    pub class: String,
    pub channel: usize,
    /// Pictures with the class.
    pub images: u64,
    /// Those in which the channel has a positive part.
    pub active_images: u64,
    /// The mean share of the channel's part that lies in boxes of the class, and of the area that
    /// these have.
    pub share: Option<f64>,
    pub area_share: Option<f64>,
}

impl FilterRow {
    /// How much more of the channel lies in the boxes than of the picture.
    pub(super) fn excess(&self) -> f64 {
        self.share.unwrap_or(0.0) - self.area_share.unwrap_or(0.0)
    }
}

/// The channels of a method that respond most to some class, of classes that enough pictures have;
/// none where the run does not know.
///
/// # Errors
/// The table is there and cannot be read.
pub(super) fn filters(run: &Run, method: &str, min_images: u64) -> Result<Vec<FilterRow>> {
    let path = run.path(method).join("filters.csv");
    if !path.is_file() {
        return Ok(Vec::new());
    }
    let refuse = |error: csv::Error| Error::file(&path, format!("is no table of filters: {error}"));
    let rows = csv::Reader::from_path(&path).map_err(refuse)?.into_deserialize();
    let mut rows: Vec<FilterRow> = rows.collect::<Result<_, _>>().map_err(refuse)?;
    rows.retain(|row| row.active_images >= min_images);
    rows.sort_by(|a, b| b.excess().total_cmp(&a.excess()));
    rows.truncate(FILTERS);
    Ok(rows)
}

/// Means over pictures by a method that gives regions values.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct BackgroundShare {
    pub images: u64,
    /// Of what lies outside all regions.
    pub background: f64,
    /// Of the whole picture less that of the picture of which everything is hidden.
    pub whole: f64,
}

/// The value of what lies outside all regions, by each method; `None` for methods that give regions
/// none.
///
/// # Errors
/// The records cannot be read.
pub(super) fn backgrounds(run: &Run, methods: usize) -> Result<Vec<Option<BackgroundShare>>> {
    let mut sums = vec![BackgroundShare::default(); methods];
    run.for_each_record(|record: ImageRecord| {
        for (sum, game) in sums.iter_mut().zip(record.maps.iter().map(MapRecord::game_of_regions)) {
            if let Some((game, background)) = game.and_then(|game| Some((game, game.background?))) {
                sum.images += 1;
                sum.background += f64::from(background);
                sum.whole += f64::from(game.value_all - game.value_nothing);
            }
        }
        Ok(())
    })?;
    let mean = |sum: BackgroundShare| {
        let images = sum.images as f64;
        (sum.images > 0).then(|| BackgroundShare {
            background: sum.background / images,
            whole: sum.whole / images,
            ..sum
        })
    };
    Ok(sums.into_iter().map(mean).collect())
}
