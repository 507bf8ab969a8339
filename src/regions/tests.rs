//! Files of every format, and damaged ones: each is refused with the file and the place.

use super::*;
use crate::Error;
use crate::image::{Extent, Mask, Size};
use proptest::prelude::*;
use std::fs;
use tempfile::TempDir;

/// Files of one test.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, text: &str) -> std::path::PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

/// Reads a file with this text.
fn parse(text: &str) -> Result<KnownRegions> {
    let files = Files::new();
    read(&files.write("regions.json", text), None)
}

/// Reads results about [`DATASET`].
fn results(text: &str) -> Result<KnownRegions> {
    let files = Files::new();
    read(&files.write("regions.json", text), Some(&files.write("dataset.json", DATASET)))
}

/// The message about a file, which it names.
fn refused(read: Result<KnownRegions>) -> String {
    let message = read.unwrap_err().to_string();
    let (_, rest) =
        message.split_once("regions.json").unwrap_or_else(|| panic!("names no file: {message}"));
    rest.to_string()
}

/// Asserts that a file is refused with a message that has all of `parts`.
#[track_caller]
fn assert_refused(read: Result<KnownRegions>, parts: &[&str]) {
    let message = refused(read);
    assert!(parts.iter().all(|part| message.contains(part)), "{message:?} lacks one of {parts:?}");
}

/// The annotations come first, ids are numbers and texts, and not in order.
const DATASET: &str = r#"{"info": {"year": [[1]]}, "annotations": [
    {"id": 1, "image_id": 3, "category_id": 9, "iscrowd": 0, "bbox": [1, 2.5, 3, 4],
     "segmentation": [[0, 0, 3, 0, 3, 2, 0, 2]]},
    {"id": 2, "image_id": "b", "category_id": 2, "iscrowd": 1, "segmentation": {"size": [3, 4], "counts": [1, 2, 9]}},
    {"id": 3, "image_id": 3, "category_id": 2, "bbox": [-1, 0, 2, 2], "segmentation": [], "score": 0.5}],
  "images": [{"id": 3, "file_name": "a/x.jpg", "width": 8, "height": 6, "license": null},
    {"id": "b", "file_name": "y.jpg"},
    {"id": 5, "file_name": "z.jpg", "width": 4, "height": 3}],
  "categories": [{"id": 9, "name": "cat", "supercategory": "animal"}, {"id": 2, "name": "dog"}]}"#;

#[test]
fn a_coco_data_set_is_read_whatever_the_order_of_its_lists() {
    let known = parse(&format!("\u{feff} {DATASET}\n")).unwrap();
    assert_eq!(known.classes(), ["dog", "cat"]);
    assert_eq!(known.pictures().keys().collect::<Vec<_>>(), ["a/x.jpg", "y.jpg", "z.jpg"]);
    let x = known.regions("a/x.jpg", Size::new(8, 6)).unwrap();
    assert_eq!(
        (x[0].class, x[0].confidence, x[0].region.extent),
        (1, 1.0, Extent::new(1.0, 2.5, 4.0, 6.5))
    );
    assert_eq!(x[0].region.mask.as_ref().map(Mask::area), Some(6));
    assert_eq!(
        (x[1].class, x[1].confidence, x[1].region.extent),
        (0, 0.5, Extent::new(-1.0, 0.0, 1.0, 2.0))
    );
    assert_eq!(x[1].region.mask, None);
    let y = known.regions("y.jpg", Size::new(4, 3)).unwrap();
    assert_eq!((y.len(), y[0].region.extent), (1, Extent::new(0.0, 1.0, 1.0, 3.0)));
    assert!(known.regions("z.jpg", Size::new(4, 3)).unwrap().is_empty());
    // The mask says the size of an image whose size the data set leaves out.
    assert!(
        known.regions("y.jpg", Size::new(3, 4)).unwrap_err().to_string().contains("--ignore-exif")
    );
}

#[test]
fn coco_results_take_their_names_from_the_data_set() {
    let known = results(
        r#"[{"image_id": "b", "category_id": 2, "score": 0.25, "bbox": [0, 0, 1, 1]},
            {"image_id": "b", "category_id": 9.0, "score": 0.75, "segmentation": {"counts": "138", "size": [3, 4]}}]"#,
    );
    let known = known.unwrap();
    let y = known.regions("y.jpg", Size::new(4, 3)).unwrap();
    assert_eq!(
        y.iter().map(|located| (located.class, located.confidence)).collect::<Vec<_>>(),
        [(1, 0.75), (0, 0.25)]
    );
    assert_eq!(known.pictures()["a/x.jpg"].regions, []);
    assert!(results("[]").unwrap().pictures().values().all(|picture| picture.regions.is_empty()));
    assert_refused(parse("[]"), &["data set", "is needed too"]);
    let files = Files::new();
    let dataset = files.write("dataset.json", DATASET);
    let message = read(&dataset, Some(&dataset)).unwrap_err().to_string();
    assert!(message.contains("only COCO results"), "{message}");
}

#[test]
fn json_lines_give_the_same_whatever_their_order() {
    let lines = [
        r#"{"file": "x.jpg", "label": "dog", "score": 0.5, "box": [0, 1, 2.5, 3], "width": 8, "height": 6}"#,
        "",
        r#"{"file": "y.jpg"}"#,
        r#"{"file": "x.jpg", "label": "cat", "score": 1, "rle": {"size": [6, 8], "counts": [7, 4, 37]}}"#,
    ];
    let known = parse(&lines.join("\r\n")).unwrap();
    assert_eq!(known.classes(), ["cat", "dog"]);
    let x = known.regions("x.jpg", Size::new(8, 6)).unwrap();
    assert_eq!(x.iter().map(|located| located.class).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(x[0].region.extent, Extent::new(1.0, 1.0, 2.0, 5.0));
    assert!(known.regions("y.jpg", Size::new(1, 9)).unwrap().is_empty());
    let reversed = lines.iter().rev().copied().collect::<Vec<_>>().join("\n");
    assert_eq!(parse(&reversed).unwrap().pictures(), known.pictures());
}

#[test]
fn damaged_json_lines_are_refused_with_their_line() {
    let second = |line: &str| parse(&format!("{{\"file\": \"x.jpg\"}}\n{line}\n"));
    let region = |rest: &str| second(&format!(r#"{{"file": "x.jpg", "label": "cat", {rest}}}"#));
    assert_refused(
        second(r#"{"file": "x.jpg", "label": "cat""#),
        &["line 2: EOF while parsing", "at column 32"],
    );
    assert_refused(second(r#"["x.jpg"]"#), &["line 2: "]);
    assert_refused(second(r#"{"file": "", "label": "cat"}"#), &["line 2: `file`"]);
    assert_refused(
        second(r#"{"file": "x.jpg", "labels": "cat"}"#),
        &["line 2: unknown field `labels`"],
    );
    assert_refused(
        second(r#"{"file": "x.jpg", "box": [0, 0, 1, 1]}"#),
        &["line 2: ", "`label`, found none"],
    );
    assert_refused(
        second(r#"{"file": "x.jpg", "width": 3}"#),
        &["line 2: `width` and `height` stand together"],
    );
    assert_refused(
        second(r#"{"file": "x.jpg", "width": 3, "height": 0}"#),
        &["line 2: ", "at least 1, found 0"],
    );
    assert_refused(
        region(r#""box": [0, 0, 1, 1]"#),
        &["line 2: ", "`score`, from 0 to 1, found none"],
    );
    assert_refused(region(r#""score": 1"#), &["line 2: a region has a box or a mask"]);
    assert_refused(
        region(r#""score": 1.5, "box": [0, 0, 1, 1]"#),
        &["line 2: a score is", "found 1.5"],
    );
    assert_refused(region(r#""score": NaN, "box": [0, 0, 1, 1]"#), &["line 2: expected value"]);
    assert_refused(
        region(r#""score": 1, "box": [0, 0, 1e999, 1]"#),
        &["line 2: number out of range"],
    );
    assert_refused(
        region(r#""score": 1, "box": [0, 0, 1e8, 1]"#),
        &["line 2: a box's edges", "found 100000000"],
    );
    assert_refused(
        region(r#""score": 1, "box": [5, 0, 1, 1]"#),
        &["line 2: ", "negative width", "found -4 x 1"],
    );
    assert_refused(region(r#""score": 1, "box": [5, 0, 1]"#), &["line 2: ", "length 3"]);
    assert_refused(region(r#""score": 1, "box": "5 0 1 1""#), &["line 2: invalid type: string"]);
    assert_refused(
        region(r#""score": 1, "width": 5, "height": 4, "rle": {"size": [3, 4], "counts": [12]}"#),
        &["line 2: a mask of 4x3 (width x height) was found for a picture of 5x4"],
    );
    assert_refused(
        region(r#""score": 1, "rle": {"size": [3, 4], "counts": [1000000000]}"#),
        &["line 2: run lengths that sum to the 12 pixels", "1000000000 or more"],
    );
    let deep = format!(r#""score": 1, "rle": {}"#, "[".repeat(100_000));
    assert_refused(region(&deep), &["line 2: "]);
    let files = Files::new();
    let path = files.0.path().join("regions.json");
    fs::write(&path, b"{\"file\": \"x.jpg\"}\n\n{\"file\": \"\xff.jpg\"}").unwrap();
    assert_refused(read(&path, None), &["line 3: "]);
}

#[test]
fn files_of_no_format_are_refused_with_the_formats() {
    for text in ["", " \n", "<xml>", "5", "x,y\n1,2\n"] {
        assert_refused(
            parse(text),
            &["COCO results (a JSON array", "COCO data set (", "JSON lines ("],
        );
    }
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(read(folder.path(), None), Err(Error::Io { .. })));
    assert!(matches!(read(&folder.path().join("none.json"), None), Err(Error::Io { .. })));
}

/// A data set with one image of 4 x 3 and one category, with these annotations.
fn annotated(annotations: &str) -> Result<KnownRegions> {
    parse(&format!(
        r#"{{"images": [{{"id": 3, "file_name": "x.jpg", "width": 4, "height": 3}}, {{"id": 4, "file_name": "y.jpg"}}],
             "categories": [{{"id": 1, "name": "cat"}}], "annotations": {annotations}}}"#
    ))
}

#[test]
fn damaged_annotations_are_refused_with_their_number_and_image() {
    let good = r#"{"image_id": 3, "category_id": 1, "bbox": [0, 0, 1, 1]}"#;
    let second = |rest: &str| {
        annotated(&format!(r#"[{good}, {{"image_id": 3, "category_id": 1, {rest}}}]"#))
    };
    let place = "annotation 2 (image_id 3): ";
    assert_refused(second(r#""bbox": [0, 0, -1, 1]"#), &[place, "negative width", "line 2"]);
    assert_refused(second(r#""bbox": [0, 0, 1e8, 1]"#), &[place, "found 100000000"]);
    assert_refused(second(r#""bbox": [0, 0, 1, 1], "score": -0.5"#), &[place, "found -0.5"]);
    assert_refused(second(r#""iscrowd": 0"#), &[place, "a box or a mask, found neither"]);
    assert_refused(
        second(r#""segmentation": {"size": [3, 4], "counts": [3, 4]}"#),
        &[place, "a sum of 7"],
    );
    assert_refused(
        second(r#""segmentation": {"size": [3, 4], "counts": "33"}"#),
        &[place, "a sum of 6"],
    );
    assert_refused(
        second(r#""segmentation": {"size": [3, 4], "counts": [1000000000]}"#),
        &[place, "1000000000 or more"],
    );
    assert_refused(
        second(r#""segmentation": {"size": [4, 3], "counts": [12]}"#),
        &[place, "3x4", "4x3"],
    );
    assert_refused(
        second(r#""segmentation": [[0, 0, 1, 1]]"#),
        &[place, "at least three corners, found one of 4"],
    );
    assert_refused(
        second(r#""segmentation": [[0, 0, 1, 1, 1e8, 3]]"#),
        &[place, "found 100000000"],
    );
    let number = "annotation 2: ";
    assert_refused(second(r#""bbox": [0, 0, NaN, 1]"#), &[number, "expected value at line 2"]);
    assert_refused(second(r#""bbox": [0, 0, 1]"#), &[number, "length 3"]);
    assert_refused(second(r#""bbox": {"x": 1}"#), &[number, "invalid type: map"]);
    assert_refused(
        second(r#""segmentation": "none""#),
        &[number, "a list of polygons, or an object"],
    );
    assert_refused(
        second(r#""segmentation": {"size": [3, 4], "counts": [3, -4]}"#),
        &[number, "`-4`"],
    );
    assert_refused(
        second(r#""segmentation": {"size": [3, 4]}"#),
        &[number, "missing field `counts`"],
    );
    assert_refused(second(&format!(r#""segmentation": {}"#, "[".repeat(100_000))), &[number]);
    assert_refused(
        annotated(&format!("[{good}, {{\"image_id\": 3}}]")),
        &[number, "missing field `category_id`"],
    );
    let unknown = |image: &str, class: &str| {
        annotated(&format!(
            r#"[{{"image_id": {image}, "category_id": {class}, "bbox": [0, 0, 1, 1]}}]"#
        ))
    };
    assert_refused(
        unknown("7", "1"),
        &["annotation 1 (image_id 7): the data set has no image of this id"],
    );
    assert_refused(
        unknown("\"3\"", "1"),
        &["annotation 1 (image_id \"3\"): the data set has no image"],
    );
    assert_refused(
        unknown("3", "5"),
        &["annotation 1 (image_id 3): the data set has no category of the id 5"],
    );
    assert_refused(
        unknown("3.5", "1"),
        &["annotation 1: an id is a whole number or a text, found 3.5"],
    );
    assert_refused(unknown("1e30", "1"), &["annotation 1: an id is a whole number"]);
    let no_size =
        annotated(r#"[{"image_id": 4, "category_id": 1, "segmentation": [[0, 0, 1, 1, 2, 3]]}]"#);
    assert_refused(
        no_size,
        &["annotation 1 (image_id 4): a polygon needs the image's width and height"],
    );
    assert_refused(annotated("5"), &["expected a list, each element one annotation at line 2"]);
    assert_refused(annotated("[], \"annotations\": []"), &["duplicate field `annotations`"]);
}

#[test]
fn damaged_results_are_refused_with_their_number_and_image() {
    let result = |rest: &str| results(&format!(r#"[{{"image_id": 3, "category_id": 9, {rest}}}]"#));
    assert_refused(result(r#""bbox": [0, 0, 1, 1]"#), &["result 1 (image_id 3): ", "`score`"]);
    assert_refused(
        result(r#""bbox": [0, 0, 1, 1], "score": 1.01"#),
        &["result 1 (image_id 3): ", "found 1.01"],
    );
    assert_refused(results("[5]"), &["result 1: invalid type: integer `5`"]);
    assert_refused(results("[] []"), &["trailing characters"]);
}

#[test]
fn data_sets_cut_off_anywhere_are_refused() {
    for length in 1..DATASET.len() - 1 {
        assert!(parse(&DATASET[..length]).is_err(), "cut off after {length} bytes");
    }
}

#[test]
fn images_and_categories_are_told_apart() {
    let dataset = |images: &str, categories: &str| {
        parse(&format!(r#"{{"images": {images}, "categories": {categories}, "annotations": []}}"#))
    };
    let (images, categories) =
        (r#"[{"id": 1, "file_name": "x.jpg"}]"#, r#"[{"id": 1, "name": "cat"}]"#);
    assert!(dataset(images, categories).unwrap().pictures().contains_key("x.jpg"));
    let twice = |id: u8, name: &str| {
        dataset(
            images,
            &format!(r#"[{{"id": 1, "name": "cat"}}, {{"id": {id}, "name": "{name}"}}]"#),
        )
    };
    assert_refused(twice(1, "dog"), &["category 2 (id 1): a category before it has the same id"]);
    assert_refused(
        twice(2, "cat"),
        &["category 2 (id 2): a category before it has the same name `cat`"],
    );
    assert_refused(twice(2, ""), &["category 2 (id 2): `name`", "empty"]);
    assert_refused(dataset(images, "[]"), &["at least one category"]);
    let twice = |id: u8, name: &str| {
        dataset(
            &format!(
                r#"[{{"id": 1, "file_name": "x.jpg"}}, {{"id": {id}, "file_name": "{name}"}}]"#
            ),
            categories,
        )
    };
    assert_refused(twice(1, "y.jpg"), &["image 2 (id 1): an image before it has the same id"]);
    assert_refused(
        twice(2, "x.jpg"),
        &["image 2 (id 2): an image before it has the same file_name `x.jpg`"],
    );
    assert_refused(twice(2, ""), &["image 2 (id 2): `file_name`"]);
    let empty =
        dataset(r#"[{"id": 1, "file_name": "x.jpg", "width": 0, "height": 3}]"#, categories);
    assert_refused(empty, &["image 1 (id 1): ", "found 0"]);
    assert_refused(parse(r#"{"images": [], "annotations": []}"#), &["missing field `categories`"]);
    assert_refused(
        parse(&format!(r#"{{"images": {images}, "categories": {categories}}}"#)),
        &["missing field `annotations`"],
    );
}

#[test]
fn a_hundred_thousand_and_one_regions_of_a_picture_are_refused() {
    let one = r#"{"image_id":3,"category_id":1,"bbox":[0,0,1,1]}"#;
    let many = |count: usize| annotated(&format!("[{}]", vec![one; count].join(",")));
    assert_eq!(many(MAX_REGIONS).unwrap().pictures()["x.jpg"].regions.len(), MAX_REGIONS);
    assert_refused(
        many(MAX_REGIONS + 1),
        &["annotation 100001 (image_id 3): a picture has at most 100000 regions"],
    );
    let lines = "{\"file\":\"x.jpg\",\"label\":\"cat\",\"score\":1,\"box\":[0,0,1,1]}\n"
        .repeat(MAX_REGIONS + 1);
    assert_refused(parse(&lines), &["line 100001: a picture has at most 100000 regions"]);
}

proptest! {
    /// Numbers, brackets and letters of a file changed, anywhere: never a panic, and every region
    /// is in range.
    #[test]
    fn files_with_other_bytes_give_regions_or_an_error(
        lines in any::<bool>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), "[0-9a-z\\[\\]{},:\".-]"), 1..4),
    ) {
        let line = r#"{"file": "x.jpg", "label": "dog", "score": 0.5, "box": [0, 1, 2.5, 3], "width": 8, "height": 6}
            {"file": "x.jpg", "label": "cat", "score": 1, "rle": {"size": [6, 8], "counts": [7, 4, 37]}}"#;
        let mut text = if lines { line } else { DATASET }.as_bytes().to_vec();
        for (place, byte) in changes {
            let place = place.index(text.len());
            text[place] = byte.as_bytes()[0];
        }
        if let Ok(known) = parse(std::str::from_utf8(&text).unwrap()) {
            let all = known.pictures().values().flat_map(|picture| &picture.regions);
            for Located { class, confidence, region } in all {
                prop_assert!(*class < known.classes().len() && (0.0..=1.0).contains(confidence));
                prop_assert!(region.extent.is_finite() && region.extent.width() >= 0.0);
            }
        }
    }
}
