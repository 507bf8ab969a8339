//! COCO's format for objects (<https://cocodataset.org/#format-data>), with what emocam knows of
//! each as further keys, which readers of the format keep (FiftyOne as attributes) or pass over.

use crate::associate::Importance;
use crate::config::AssociationConfig;
use crate::files::write_whole;
use crate::run::Run;
use crate::run::record::ImageRecord;
use crate::{Error, Result};
use serde_json::{Map, Value, json};
use std::io::Write;
use std::path::Path;

/// A name as a key without signs that identifiers do not have.
fn key(method: &str) -> String {
    method.replace(|letter: char| !letter.is_alphanumeric(), "_")
}

/// Writes the run as a COCO data set: `images` (with `emotion` and `probability`), `annotations`
/// (`score` is the detector's confidence; for each method `importance_<method>`, the box's score by
/// `rule`, and `important_<method>`, whether it counts) and `categories`, numbered from 1.
///
/// # Errors
/// Records that cannot be read; a file that cannot be written.
pub fn write_coco(run: &Run, rule: &AssociationConfig, path: &Path) -> Result<()> {
    let importance = Importance::of_run(run, rule)?;
    write_whole(path, |file| {
        let mut write =
            |text: &str| file.write_all(text.as_bytes()).map_err(Error::io("write", path));
        let info = json!({ "description": format!("emocam {}: {}", run.manifest.emocam, run.folder().display()) });
        write(&format!("{{\"info\":{info},\"images\":["))?;
        let mut number = 0_u64;
        run.for_each_record_in_order(|record: &ImageRecord| {
            number += 1;
            let separator = if number > 1 { "," } else { "" };
            write(&format!("{separator}\n{}", image(run, number, record)))
        })?;
        write("\n],\"annotations\":[")?;
        let (mut picture, mut object) = (0, 0);
        run.for_each_record_in_order(|record: &ImageRecord| {
            picture += 1;
            (0..record.boxes.len()).try_for_each(|index| {
                object += 1;
                let separator = if object > 1 { "," } else { "" };
                write(&format!(
                    "{separator}\n{}",
                    annotation(record, index, &importance, [object, picture])
                ))
            })
        })?;
        let category = |(number, name): (u64, &String)| json!({ "id": number, "name": name });
        let categories: Vec<Value> = (1..).zip(&run.manifest.classes).map(category).collect();
        write(&format!("\n],\"categories\":{}}}\n", Value::from(categories)))
    })
}

/// The number with no more digits than single precision has: 0.3, and not 0.30000001192092896.
fn short(value: f32) -> Value {
    value.to_string().parse::<f64>().map_or(Value::Null, Value::from)
}

fn image(run: &Run, number: u64, record: &ImageRecord) -> Value {
    json!({
        "id": number,
        "file_name": record.path,
        "width": record.width,
        "height": record.height,
        "emotion": run.manifest.labels[record.label],
        "probability": record.probabilities.get(record.label).copied().map(short),
        "output": record.output.map(short),
    })
}

fn annotation(
    record: &ImageRecord,
    at: usize,
    importance: &Importance,
    [object, picture]: [u64; 2],
) -> Value {
    let region = &record.boxes[at];
    let [x_min, y_min, x_max, y_max] = <[f32; 4]>::from(region.bounding_box);
    let (width, height) = (x_max - x_min, y_max - y_min);
    let mut entry = Map::new();
    entry.insert("id".into(), object.into());
    entry.insert("image_id".into(), picture.into());
    entry.insert("category_id".into(), (region.class as u64 + 1).into());
    entry.insert("bbox".into(), json!([x_min, y_min, width, height].map(short)));
    entry.insert("area".into(), short(width * height));
    entry.insert("iscrowd".into(), 0.into());
    if let Some(rle) = &region.rle {
        entry.insert(
            "segmentation".into(),
            json!({ "counts": rle, "size": [record.height, record.width] }),
        );
    }
    entry.insert("score".into(), short(region.confidence));
    for (method, map) in record.maps.iter().enumerate() {
        let name = key(&map.method);
        entry.insert(format!("importance_{name}"), short(importance.number(record, method, at)));
        entry.insert(format!("important_{name}"), importance.counts(record, method, at).into());
    }
    Value::Object(entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_no_digits_that_it_does_not_have() {
        let written = [0.3_f32, 0.9, 1.0, 1e-7].map(|value| short(value).to_string());
        assert_eq!(written, ["0.3", "0.9", "1.0", "1e-7"]);
    }
}
