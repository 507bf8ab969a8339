//! COCO: data sets, and the results that detectors write about their images.
//!
//! A data set is an object of three lists: `images` (id, file_name, width, height), `categories`
//! (id, name) and `annotations` (image_id, category_id, bbox [x, y, width, height], segmentation:
//! polygons or run lengths). Results are a list of annotations with a score, whose ids are those of
//! a data set. The lists of a data set come in any order and can be long: it is read twice as a
//! stream, first for images and categories, then for the annotations.

mod annotation;
mod catalogue;
mod id;

use super::known::KnownRegions;
use super::opening;
use super::stream::{self, Each};
use crate::{Error, Result};
use annotation::Annotation;
use catalogue::Catalogue;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use std::fmt;
use std::path::Path;

/// The keys that only a data set has.
pub(super) const LISTS: [&str; 3] = ["images", ANNOTATIONS, "categories"];
const ANNOTATIONS: &str = "annotations";

/// Reads COCO results; `dataset` has their images and categories.
///
/// # Errors
/// No data set was named; a file cannot be read, or is not what it should be.
pub(super) fn read_results(file: &Path, dataset: Option<&Path>) -> Result<KnownRegions> {
    let dataset = dataset.ok_or_else(|| {
        Error::file(
            file,
            "COCO results have numbers for images and categories: the COCO data set that names \
             them is needed too",
        )
    })?;
    let mut catalogue = Catalogue::read(dataset)?;
    catalogue.expect(file)?;
    let mut json = serde_json::Deserializer::from_reader(opening::open(file)?);
    let results = Each::new("result", |result: Annotation| {
        let score = result.score.ok_or("missing field `score`");
        let place = result.place();
        score
            .map_err(String::from)
            .and_then(|score| catalogue.take(result, score))
            .map_err(|cause| place + &cause)
    });
    results.deserialize(&mut json).and_then(|_| json.end()).map_err(stream::error(file))?;
    Ok(catalogue.finish(file))
}

/// Reads a COCO data set. An annotation that has a score keeps it; the others, drawn by people,
/// have 1.
///
/// # Errors
/// The file cannot be read, or is not what it should be.
pub(super) fn read_dataset(file: &Path) -> Result<KnownRegions> {
    let mut catalogue = Catalogue::read(file)?;
    catalogue.expect(file)?;
    let mut json = serde_json::Deserializer::from_reader(opening::open(file)?);
    json.deserialize_map(Annotations(&mut catalogue))
        .and_then(|()| json.end())
        .map_err(stream::error(file))?;
    Ok(catalogue.finish(file))
}

/// Reads the annotations of a data set and passes over everything else.
struct Annotations<'a>(&'a mut Catalogue);

impl<'de> Visitor<'de> for Annotations<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a COCO data set: an object with the lists images, annotations and categories")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        let mut found = false;
        while let Some(key) = object.next_key::<String>()? {
            if key != ANNOTATIONS {
                object.next_value::<IgnoredAny>()?;
                continue;
            }
            if std::mem::replace(&mut found, true) {
                return Err(A::Error::duplicate_field(ANNOTATIONS));
            }
            object.next_value_seed(Each::new("annotation", |annotation: Annotation| {
                let (score, place) = (annotation.score.unwrap_or(1.0), annotation.place());
                self.0.take(annotation, score).map_err(|cause| place + &cause)
            }))?;
        }
        if found { Ok(()) } else { Err(A::Error::missing_field(ANNOTATIONS)) }
    }
}
