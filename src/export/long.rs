//! One long table, for pandas and R: a row for each picture, object and method.

use crate::Result;
use crate::associate::Importance;
use crate::config::AssociationConfig;
use crate::run::record::ImageRecord;
use crate::run::{Run, table};
use std::path::Path;

/// Writes the table. A picture without objects has one row with empty cells behind the picture's,
/// so that every picture is there; a run without methods has a row for each object.
///
/// # Errors
/// Records that cannot be read; a table that cannot be written.
pub fn write_long(run: &Run, rule: &AssociationConfig, path: &Path) -> Result<()> {
    let (labels, classes) = (&run.manifest.labels, &run.manifest.classes);
    let importance = Importance::of_run(run, rule)?;
    table(path, |table| {
        let picture = ["path", "width", "height", "label", "probability", "output", "margin"];
        let object =
            ["object", "class", "confidence", "x_min", "y_min", "x_max", "y_max", "area_share"];
        let map = ["method", "mean", "max", "mass", "important", "contrast", "z", "lift"];
        table.row(picture.into_iter().chain(object).chain(map))?;
        run.for_each_record_in_order(|record: &ImageRecord| {
            let number =
                |value: Option<f32>| value.map(|value| value.to_string()).unwrap_or_default();
            let mut of_picture =
                vec![record.path.clone(), record.width.to_string(), record.height.to_string()];
            of_picture.push(labels[record.label].clone());
            of_picture.extend(
                [record.probabilities.get(record.label).copied(), record.output, record.margin()]
                    .map(number),
            );
            if record.boxes.is_empty() {
                return table.row(
                    of_picture.into_iter().chain(vec![String::new(); object.len() + map.len()]),
                );
            }
            record.boxes.iter().enumerate().try_for_each(|(at, region)| {
                let edges = <[f32; 4]>::from(region.bounding_box);
                let [x_min, y_min, x_max, y_max] = edges;
                let share = (x_max - x_min) * (y_max - y_min)
                    / (record.width as f32 * record.height as f32);
                let mut of_object = of_picture.clone();
                of_object.extend([
                    (at + 1).to_string(),
                    classes[region.class].clone(),
                    region.confidence.to_string(),
                ]);
                of_object.extend(edges.map(|edge| edge.to_string()));
                of_object.push(share.to_string());
                if record.maps.is_empty() {
                    return table.row(of_object.into_iter().chain(vec![String::new(); map.len()]));
                }
                record.maps.iter().enumerate().try_for_each(|(method, map)| {
                    let [mean, max, mass, contrast, z, lift] =
                        <[f32; 6]>::from(*map.score(at)).map(|it| it.to_string());
                    let counts = u8::from(importance.counts(record, method, at)).to_string();
                    let of_map = [map.method.clone(), mean, max, mass, counts, contrast, z, lift]
                        .into_iter();
                    table.row(of_object.iter().cloned().chain(of_map))
                })
            })
        })
    })
}
