//! `emocam export`: a run in other tools' formats.

use crate::common::corpus::{Corpus, Run, Table, emocam, ends};
use serde_json::Value;
use std::process::Command;

fn export(run: &Run, format: &str) -> Command {
    let mut command = emocam();
    command.arg("export").arg(&run.folder).args(["--format", format]);
    command
}

fn json(run: &Run, name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(run.path(name)).unwrap()).unwrap()
}

/// Fifteen pictures by two methods.
fn analyzed(corpus: &Corpus) -> Run {
    ends(corpus.analyze("run").args(["--cam", "grad-cam,ablation-cam"]), 0);
    corpus.run("run")
}

#[test]
fn a_coco_data_set_has_the_objects_of_the_tables_with_their_importance() {
    let corpus = Corpus::small();
    let run = analyzed(&corpus);
    ends(&mut export(&run, "coco"), 0);
    let coco = json(&run, "coco.json");
    let (images, objects) = (run.table("images.csv"), run.table("objects.csv"));
    let (found_images, found) =
        (coco["images"].as_array().unwrap(), coco["annotations"].as_array().unwrap());
    assert_eq!((found_images.len(), found.len()), (images.rows.len(), objects.rows.len()));
    assert!(!found.is_empty());
    let number =
        |row: &[String], table: &Table, column: &str| row[table.at(column)].parse::<f64>().unwrap();
    for (entry, row) in found.iter().zip(&objects.rows) {
        let image = &found_images[entry["image_id"].as_u64().unwrap() as usize - 1];
        assert_eq!(image["file_name"].as_str().unwrap(), row[0]);
        let category = &coco["categories"][entry["category_id"].as_u64().unwrap() as usize - 1];
        assert_eq!(category["name"].as_str().unwrap(), row[objects.at("class")]);
        let edges = ["x_min", "y_min", "x_max", "y_max"].map(|edge| number(row, &objects, edge));
        let bbox: Vec<f64> =
            entry["bbox"].as_array().unwrap().iter().map(|side| side.as_f64().unwrap()).collect();
        for (found, expected) in
            bbox.iter().zip([edges[0], edges[1], edges[2] - edges[0], edges[3] - edges[1]])
        {
            assert!((found - expected).abs() < 1e-3, "{found}, expected {expected}");
        }
        for method in ["grad-cam", "ablation-cam"] {
            let (importance, key) = (number(row, &objects, method), method.replace('-', "_"));
            let found = entry[format!("importance_{key}")].as_f64().unwrap();
            assert!((found - importance).abs() < 1e-6);
            assert_eq!(entry[format!("important_{key}")].as_bool().unwrap(), importance > 0.3);
        }
    }
}

#[test]
fn a_long_table_has_a_row_for_every_object_and_method() {
    let corpus = Corpus::small();
    let run = analyzed(&corpus);
    ends(
        export(&run, "long").args(["--importance", "0.5", "--out"]).arg(corpus.path("long.csv")),
        0,
    );
    let long = Table::read(&corpus.path("long.csv"));
    let objects = run.table("objects.csv");
    let empty = run.table("images.csv").rows.len()
        - objects.rows.iter().map(|row| &row[0]).collect::<std::collections::BTreeSet<_>>().len();
    assert_eq!(long.rows.len(), 2 * objects.rows.len() + empty);
    let of_objects = long.rows.iter().filter(|row| !row[long.at("class")].is_empty());
    for (place, row) in of_objects.enumerate() {
        let method = &row[long.at("method")];
        let object = &objects.rows[place / 2];
        assert_eq!((&row[0], &row[long.at("mean")]), (&object[0], &object[objects.at(method)]));
        let counts = row[long.at("mean")].parse::<f32>().unwrap() > 0.5;
        assert_eq!(row[long.at("important")], u8::from(counts).to_string());
    }
}

/// What of `value` the schema does not allow, by the few words that it uses.
fn wrong(schema: &Value, value: &Value, root: &Value, place: &str) -> Option<String> {
    let no = |why: &str| Some(format!("{place}: {why}: {value}"));
    if let Some(name) = schema["$ref"].as_str() {
        return wrong(root.pointer(name.trim_start_matches('#')).unwrap(), value, root, place);
    }
    if let Some(any) = schema["anyOf"].as_array() {
        return any
            .iter()
            .all(|one| wrong(one, value, root, place).is_some())
            .then(|| format!("{place}: none fits"));
    }
    let kind = |name: &str| match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.is_u64() || value.is_i64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("{other}"),
    };
    let fits = match &schema["type"] {
        Value::String(name) => kind(name),
        Value::Array(names) => names.iter().any(|name| kind(name.as_str().unwrap())),
        other => panic!("{place}: {other}"),
    };
    if !fits {
        return no("another type");
    }
    let number = value.as_f64().unwrap_or_default();
    if schema["minimum"].as_f64().is_some_and(|least| value.is_number() && number < least)
        || schema["maximum"].as_f64().is_some_and(|most| value.is_number() && number > most)
    {
        return no("out of range");
    }
    if let Some(items) = value.as_array() {
        let count = items.len() as u64;
        if schema["minItems"].as_u64().is_some_and(|least| count < least)
            || schema["maxItems"].as_u64().is_some_and(|most| count > most)
        {
            return no("another number of items");
        }
        return items
            .iter()
            .enumerate()
            .find_map(|(at, item)| wrong(&schema["items"], item, root, &format!("{place}[{at}]")));
    }
    let entries = value.as_object()?;
    for name in schema["required"].as_array().unwrap() {
        if !entries.contains_key(name.as_str().unwrap()) {
            return no(&format!("{name} is missing"));
        }
    }
    entries.iter().find_map(|(name, entry)| match &schema["properties"][name] {
        Value::Null => no(&format!("{name} is not known")),
        schema => wrong(schema, entry, root, &format!("{place}.{name}")),
    })
}

#[test]
fn records_are_as_the_schema_says() {
    let corpus = Corpus::small();
    let run = analyzed(&corpus);
    ends(corpus.analyze("regions").args(["--cam", "grad-cam,object-shap,shapley-cam"]), 0);
    ends(&mut export(&run, "schema"), 0);
    let schema = json(&run, "record.schema.json");
    let mut lines = 0;
    for run in [&run, &corpus.run("regions")] {
        for line in std::fs::read_to_string(run.path("records.jsonl")).unwrap().lines() {
            let record: Value = serde_json::from_str(line).unwrap();
            assert_eq!(wrong(&schema, &record, &schema, "record"), None);
            lines += 1;
            // The check can fail.
            for (name, other) in [
                ("path", Value::Null),
                ("width", (-1).into()),
                ("boxes", "x".into()),
                ("more", 1.into()),
            ] {
                let mut broken = record.clone();
                broken[name] = other;
                assert!(wrong(&schema, &broken, &schema, "record").is_some(), "{name}");
            }
        }
    }
    assert_eq!(lines, 30);
}
