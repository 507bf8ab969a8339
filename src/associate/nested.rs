//! Classes that are parts or kinds of others, and boxes of them that lie in each other: a face in a
//! head in a person, a man who is a person too. One thing that the map lies on is then important
//! under several names.
//!
//! In: a table of parts and wholes, the boxes of a picture. Out: which of nested boxes counts.

use crate::config::{AssociationConfig, Nested};
use crate::files::read_text;
use crate::image::BoundingBox;
use crate::run::record::ImageRecord;
use crate::{Error, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The table for classes of Open Images.
const OPEN_IMAGES: &str = include_str!("../../configs/openimages-nested.csv");

/// A box lies in another when this share of its area does.
const INSIDE: f32 = 0.8;

/// Which of a run's classes are parts or kinds of which others.
#[derive(Debug, Clone)]
pub struct NestedClasses {
    rule: Nested,
    /// For each class all that it is a part or kind of, directly or through others, ascending.
    wholes: Vec<Vec<usize>>,
}

impl NestedClasses {
    /// As the rule's table says of a run's classes; names are told apart whatever their case. Of
    /// the built-in table, rows with other names than the run's are passed over.
    ///
    /// # Errors
    /// The rule's own table cannot be read, is no table of `part,whole,relation`, names a class
    /// that the run does not have, or makes a class a part of itself.
    pub fn new(rule: &AssociationConfig, classes: &[String]) -> Result<Self> {
        let wholes = match rule.nested_table.as_str() {
            "" => {
                read_table(OPEN_IMAGES, Path::new("configs/openimages-nested.csv"), classes, false)?
            }
            file => read_table(&read_text(Path::new(file))?, Path::new(file), classes, true)?,
        };
        Ok(Self { rule: rule.nested, wholes })
    }

    /// Whether `part` is a part or kind of `whole`; rows of matrices that are no classes are in
    /// none.
    pub fn is_in(&self, part: usize, whole: usize) -> bool {
        self.wholes.get(part).is_some_and(|wholes| wholes.binary_search(&whole).is_ok())
    }

    /// Whether the record's box `at` does not count where its box `other` does.
    pub(super) fn hides(&self, record: &ImageRecord, other: usize, at: usize) -> bool {
        let lies_in = |part: usize, whole: usize| {
            let [part, whole] = [part, whole].map(|index| &record.boxes[index]);
            self.is_in(part.class, whole.class)
                && share_inside(&part.bounding_box, &whole.bounding_box) >= INSIDE
        };
        match self.rule {
            Nested::Separate => false,
            Nested::Outermost => lies_in(at, other),
            Nested::Innermost => lies_in(other, at),
        }
    }
}

/// The share of a box's area that lies in another.
fn share_inside(part: &BoundingBox, whole: &BoundingBox) -> f32 {
    let along = |start: f32, end: f32| (end - start).max(0.0);
    let width = along(part.x_min.max(whole.x_min), part.x_max.min(whole.x_max));
    let height = along(part.y_min.max(whole.y_min), part.y_max.min(whole.y_max));
    let area = along(part.x_min, part.x_max) * along(part.y_min, part.y_max);
    if area > 0.0 { width * height / area } else { 0.0 }
}

/// [`NestedClasses::wholes`] from a table; with `strict` every name should be one of `classes`.
fn read_table(
    text: &str,
    path: &Path,
    classes: &[String],
    strict: bool,
) -> Result<Vec<Vec<usize>>> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let wrong =
        |error: csv::Error| Error::file(path, format!("not a table of nested classes: {error}"));
    if reader.headers().map_err(wrong)? != ["part", "whole", "relation"].as_slice() {
        return Err(Error::file(
            path,
            "not a table of nested classes: its first line should be part,whole,relation",
        ));
    }
    let known: BTreeSet<String> = classes.iter().map(|name| name.to_lowercase()).collect();
    let mut direct: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in reader.records() {
        let row = row.map_err(wrong)?;
        let failed = |message: String| {
            Err(Error::line(
                path,
                row.position().map_or(0, |position| position.line() as usize),
                message,
            ))
        };
        if !["part-of", "is-a"].contains(&&row[2]) {
            return failed(format!("the relation should be part-of or is-a, found {:?}", &row[2]));
        }
        if let Some(unknown) =
            [&row[0], &row[1]].into_iter().find(|name| !known.contains(&name.to_lowercase()))
            && strict
        {
            return failed(format!(
                "the run has no class {unknown:?}: take the line out, or mend the name"
            ));
        }
        direct.entry(row[0].to_lowercase()).or_default().insert(row[1].to_lowercase());
    }
    let places: BTreeMap<String, usize> =
        classes.iter().map(|name| name.to_lowercase()).zip(0..).collect();
    let wholes = |class: &String| {
        let name = class.to_lowercase();
        let (mut found, mut open) = (BTreeSet::new(), vec![&name]);
        while let Some(part) = open.pop() {
            for whole in direct.get(part).into_iter().flatten() {
                if found.insert(whole) {
                    open.push(whole);
                }
            }
        }
        if found.contains(&name) {
            return Err(Error::file(
                path,
                format!("makes {class:?} a part of itself: take out one of the lines"),
            ));
        }
        let mut found: Vec<usize> =
            found.into_iter().filter_map(|name| places.get(name).copied()).collect();
        found.sort_unstable();
        Ok(found)
    };
    classes.iter().map(wholes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::associate::Importance;
    use crate::run::record::{BoxRecord, MapRecord};
    use crate::score::BoxScore;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    /// A picture with these boxes of classes of [`CLASSES`], each with its score.
    fn record(boxes: &[(usize, [f32; 4], f32)]) -> ImageRecord {
        let region = |&(class, edges, _): &(usize, [f32; 4], f32)| {
            let bounding_box = BoundingBox::from(edges);
            BoxRecord {
                class,
                confidence: 0.5,
                bounding_box,
                extent: bounding_box.into(),
                rle: None,
            }
        };
        ImageRecord {
            path: "a.jpg".into(),
            width: 100,
            height: 100,
            label: 0,
            probabilities: vec![1.0],
            output: None,
            valence: None,
            arousal: None,
            boxes: boxes.iter().map(region).collect(),
            clipped: 0,
            outside: 0,
            maps: vec![MapRecord {
                method: "grad-cam".into(),
                flat: false,
                error: None,
                mean: 0.1,
                scores: boxes
                    .iter()
                    .map(|given| BoxScore { mean: given.2, ..BoxScore::default() })
                    .collect(),
                mask_scores: Vec::new(),
                score_errors: Vec::new(),
                background: BoxScore::default(),
                grid: None,
                game: None,
            }],
        }
    }

    const CLASSES: [&str; 4] = ["Person", "Human face", "Human eye", "Dog"];

    fn important(record: &ImageRecord, nested: Nested) -> Vec<usize> {
        let rule = AssociationConfig { nested, ..AssociationConfig::default() };
        Importance::of_picture(&rule, &names(&CLASSES)).unwrap().classes(record, 0)
    }

    #[test]
    fn of_nested_boxes_the_outermost_or_the_innermost_counts() {
        let (person, face, eye) =
            ([10.0, 10.0, 60.0, 90.0], [20.0, 15.0, 40.0, 35.0], [24.0, 20.0, 28.0, 22.0]);
        let all = record(&[(0, person, 0.5), (1, face, 0.5), (2, eye, 0.5), (3, face, 0.5)]);
        assert_eq!(important(&all, Nested::Separate), [0, 1, 2, 3]);
        // A dog in a person's box is no part of a person.
        assert_eq!(important(&all, Nested::Outermost), [0, 3]);
        assert_eq!(important(&all, Nested::Innermost), [2, 3]);
        // Boxes that are not important hide nothing.
        let quiet = record(&[(0, person, 0.2), (1, face, 0.5), (2, eye, 0.2)]);
        assert_eq!(important(&quiet, Nested::Outermost), [1]);
        assert_eq!(important(&quiet, Nested::Innermost), [1]);
        // Nor does a box of which less than four fifths of the face lie in it; another face counts
        // on.
        let beside = [20.0, 15.0, 35.9, 35.0];
        let half = record(&[(0, beside, 0.5), (1, face, 0.5)]);
        assert_eq!(important(&half, Nested::Outermost), [0, 1]);
        assert_eq!(
            important(
                &record(&[(0, [20.0, 15.0, 36.1, 35.0], 0.5), (1, face, 0.5)]),
                Nested::Outermost
            ),
            [0]
        );
        let two = record(&[(0, person, 0.5), (1, face, 0.5), (1, [70.0, 15.0, 90.0, 35.0], 0.5)]);
        assert_eq!(important(&two, Nested::Outermost), [0, 1]);
    }

    #[test]
    fn the_shipped_table_is_of_classes_of_open_images() {
        let classes: Vec<String> =
            include_str!("../../configs/openimages.names").lines().map(String::from).collect();
        let wholes =
            read_table(OPEN_IMAGES, Path::new("configs/openimages-nested.csv"), &classes, true)
                .unwrap();
        let place = |name: &str| classes.iter().position(|class| class == name).unwrap();
        for (part, whole) in
            [("Human eye", "Woman"), ("Tire", "Vehicle"), ("Dog", "Animal"), ("Rose", "Plant")]
        {
            assert!(wholes[place(part)].contains(&place(whole)), "{part}, {whole}");
        }
        assert!(!wholes[place("Woman")].contains(&place("Human eye")));
        // Classes of other detectors are told by the same names, whatever their case.
        let coco =
            NestedClasses::new(&AssociationConfig::default(), &names(&["dog", "animal", "kite"]))
                .unwrap();
        assert!(coco.is_in(0, 1) && !coco.is_in(1, 0) && !coco.is_in(2, 1) && !coco.is_in(3, 1));
    }

    #[test]
    fn a_table_that_cannot_be_says_where_and_why() {
        let classes = names(&["A", "B", "C"]);
        let read = |text: &str| read_table(text, Path::new("own.csv"), &classes, true);
        assert_eq!(
            read("part,whole,relation\na,B,part-of\nB,C,is-a\n").unwrap(),
            [vec![1, 2], vec![2], vec![]]
        );
        for (text, said) in [
            ("part,whole\nA,B\n", "part,whole,relation"),
            ("part,whole,relation\nA,B,part-of\nA,D,is-a\n", "line 3: the run has no class \"D\""),
            ("part,whole,relation\nA,B,in\n", "line 2: the relation should be part-of or is-a"),
            ("part,whole,relation\nA,B,is-a\nB,A,is-a\n", "a part of itself"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
