//! Hierarchical Shapley values against shap's PartitionExplainer, and the released DnCShap against
//! a direct reading of it, on small pictures (scripts/reference/dnc_shap_small.py and
//! dnc_shap_published.py).

use super::hierarchy::{Plan, Rectangle, Shown, credits};
use super::masking::{Coalition, Scores};
use super::published::{Axis, cut_off, leaves, painted};
use serde_json::Value;
use std::path::Path;

fn json(name: &str) -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/dnc_shap").join(name);
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

fn numbers(of: &Value) -> Vec<f64> {
    match of {
        Value::Array(rows) => rows.iter().flat_map(numbers).collect(),
        number => vec![number.as_f64().unwrap()],
    }
}

/// A score of a small picture: see class Value of scripts/reference/dnc_shap.py.
struct Picture {
    rows: usize,
    columns: usize,
    parts: Value,
    linear: Vec<f64>,
    weights: Vec<f64>,
}

impl Picture {
    fn read(name: &str) -> (Self, Value) {
        let mut document = json(&format!("{name}.json"));
        let parts = document["value"].take();
        let side = |name: &str| document[name].as_u64().unwrap() as usize;
        let (linear, weights) = (numbers(&parts["linear"]), numbers(&parts["weights"]));
        (Self { rows: side("height"), columns: side("width"), parts, linear, weights }, document)
    }

    fn size(&self) -> (usize, usize) {
        (self.rows, self.columns)
    }

    fn score(&self, shown: &[bool]) -> f64 {
        let part = |name: &str| self.parts[name].as_f64().unwrap();
        let sum = |of: &[f64]| {
            of.iter().zip(shown).filter(|&(_, &shown)| shown).map(|(of, _)| of).sum::<f64>()
        };
        let share = |name: &str| {
            let edges: Vec<usize> =
                numbers(&self.parts[name]).iter().map(|&edge| edge as usize).collect();
            let rectangle = Rectangle {
                top: edges[1],
                left: edges[0],
                height: edges[3] - edges[1],
                width: edges[2] - edges[0],
            };
            let mut kept = 0;
            rectangle.rows(self.columns, |row| {
                kept += shown[row].iter().filter(|&&shown| shown).count();
            });
            kept as f64 / (rectangle.height * rectangle.width) as f64
        };
        let saturating = part("amplitude") * (part("offset") + sum(&self.weights)).tanh();
        part("constant")
            + sum(&self.linear)
            + saturating
            + part("product") * share("first") * share("second")
    }

    fn scores(&self, asked: &[Shown]) -> Scores {
        let score = |one: &Shown| {
            let mut shown = vec![false; self.rows * self.columns];
            one.show(&mut shown);
            self.score(&shown)
        };
        Ok(asked.iter().map(score).collect())
    }
}

fn worst(found: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    found.iter().zip(expected).map(|(found, expected)| (found - expected).abs()).fold(0.0, f64::max)
}

#[test]
fn credits_are_those_of_shap_at_every_budget() {
    let mut most: f64 = 0.0;
    for name in ["wide", "square", "high"] {
        let (picture, document) = Picture::read(name);
        for case in document["cases"].as_array().unwrap() {
            // shap exceeds an odd budget by one.
            let evaluations = case["evaluations"].as_u64().unwrap() as usize;
            let depth = case["depth"].as_u64().map_or(usize::MAX, |depth| depth as usize);
            let together = case["at_once"].as_u64().unwrap() as usize;
            let plan = Plan { evaluations, depth, together };
            let found = credits(picture.size(), 1, plan, &mut |asked| picture.scores(asked))
                .unwrap()
                .remove(0);
            assert_eq!(found.evaluations, evaluations);
            most = most.max(worst(&found.places, &numbers(&case["pixels"])));
            most = most.max((found.all - document["all"].as_f64().unwrap()).abs());
        }
    }
    eprintln!("at most {most:.1e} off");
    assert!(most < 1.5e-9, "{most:e}");
}

#[test]
fn the_published_values_are_those_of_the_release() {
    let document = json("published.json");
    let (mut most, mut missed): (f64, f64) = (0.0, 0.0);
    for case in document["cases"].as_array().unwrap() {
        let (picture, _) = Picture::read(case["picture"].as_str().unwrap());
        let levels = case["levels"].as_u64().unwrap() as usize;
        let axis = if case["first_axis"] == "rows" { Axis::Rows } else { Axis::Columns };
        let mut value = |asked: &[Shown]| picture.scores(asked);
        let (parts, all, nothing) = leaves(picture.size(), 0, (levels, axis), &mut value).unwrap();
        let values: Vec<f64> = parts.iter().map(|part| part.value).collect();
        let column = |at: usize| -> Vec<f64> {
            case["leaves"]
                .as_array()
                .unwrap()
                .iter()
                .map(|leaf| leaf[at].as_f64().unwrap())
                .collect()
        };
        most = most.max(worst(&values, &column(4)));
        let mut places = painted(picture.size(), &parts);
        cut_off(&mut places);
        let mut kept = vec![0.0; places.len()];
        for (part, value) in parts.iter().zip(column(5)) {
            part.rectangle.rows(picture.columns, |row| kept[row].fill(value));
        }
        most = most.max(worst(&places, &kept));
        missed = missed.max((all - nothing - values.iter().sum::<f64>()).abs());
    }
    eprintln!("at most {most:.1e} off; up to {missed:.2} short of v(all) - v(nothing)");
    assert!(most < 1e-6, "{most:e}");
    assert!(missed > 1.0, "its values are known not to add up");
}
