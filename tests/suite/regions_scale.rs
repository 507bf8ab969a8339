//! A million annotations: time and memory. Writes files of up to 300 MB, hence not a part of the
//! usual tests: `cargo test --release --test suite regions_scale:: -- --ignored --nocapture`.

use emocam::regions;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Instant;

const ANNOTATIONS: usize = 1_000_000;
const IMAGES: usize = 100_000;
const SECONDS: u64 = 30;

/// The most memory this process had at a time, in megabytes.
fn peak_memory() -> i64 {
    // SAFETY: all zero is a valid value of this plain structure of numbers.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a variable of its type.
    assert_eq!(unsafe { libc::getrusage(libc::RUSAGE_SELF, &mut usage) }, 0);
    usage.ru_maxrss / 1024
}

/// Writes a list, an element for each number.
fn list(file: &mut impl Write, count: usize, mut element: impl FnMut(usize) -> String) {
    for number in 0..count {
        let comma = if number == 0 { "" } else { "," };
        write!(file, "{comma}{}", element(number)).unwrap();
    }
}

/// A data set; its annotations have boxes and, if `polygons`, a polygon of twelve corners each.
fn write_dataset(path: &Path, polygons: bool) {
    let mut file = BufWriter::new(File::create(path).unwrap());
    write!(file, "{{\"annotations\":[").unwrap();
    list(&mut file, ANNOTATIONS, |number| {
        let (x, y) = ((number * 7) % 500, (number * 13) % 350);
        let corner = |index: usize| {
            let angle = index as f64 * std::f64::consts::TAU / 12.0;
            format!(
                "{:.2},{:.2}",
                x as f64 + 40.0 * (1.0 + angle.cos()),
                y as f64 + 40.0 * (1.0 + angle.sin())
            )
        };
        let corners = (0..12).map(corner).collect::<Vec<_>>().join(",");
        let segmentation = if polygons { format!("[[{corners}]]") } else { "[]".into() };
        format!(
            "{{\"id\":{number},\"image_id\":{},\"category_id\":{},\"iscrowd\":0,\"area\":5027.5,\"bbox\":[{x}.25,{y}.5,80.0,80.0],\"segmentation\":{segmentation}}}",
            number % IMAGES,
            1 + number % 80
        )
    });
    write!(file, "],\"images\":[").unwrap();
    list(&mut file, IMAGES, |id| {
        format!(
            "{{\"id\":{id},\"file_name\":\"folder/{id:012}.jpg\",\"width\":640,\"height\":480}}"
        )
    });
    write!(file, "],\"categories\":[").unwrap();
    list(&mut file, 80, |id| format!("{{\"id\":{},\"name\":\"class {id}\"}}", id + 1));
    writeln!(file, "]}}").unwrap();
    file.into_inner().unwrap().sync_all().unwrap();
}

fn write_lines(path: &Path) {
    let mut file = BufWriter::new(File::create(path).unwrap());
    for number in 0..ANNOTATIONS {
        let (x, y) = ((number * 7) % 500, (number * 13) % 350);
        writeln!(
            file,
            "{{\"file\":\"folder/{:012}.jpg\",\"label\":\"class \
             {}\",\"score\":0.{:03},\"box\":[{x}.25,{y}.5,{x}.75,{y}.75]}}",
            number % IMAGES,
            number % 80,
            number % 1000
        )
        .unwrap();
    }
}

fn measure(name: &str, path: &Path) {
    let megabytes = path.metadata().unwrap().len() / 1_000_000;
    let start = Instant::now();
    let mut known = regions::read(path, None).unwrap();
    let seconds = start.elapsed();
    let count: usize = known.pictures().values().map(|picture| picture.regions.len()).sum();
    assert_eq!((count, known.classes().len()), (ANNOTATIONS, 80));
    let names: Vec<_> = known.pictures().keys().map(|name| name.replace("folder/", "")).collect();
    let joined = known.join(&names.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
    assert_eq!((joined.pictures_without_entry, joined.entries_without_picture), (0, 0));
    let (read, both) = (seconds.as_secs_f64(), start.elapsed().as_secs_f64());
    eprintln!(
        "{name}: {megabytes} MB read in {read:.1} s, joined after {both:.1} s; peak so far {} MB",
        peak_memory()
    );
    assert!(seconds.as_secs() < SECONDS);
}

#[test]
#[ignore = "writes 600 MB"]
fn a_million_annotations_are_read_in_seconds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("regions.json");
    eprintln!("before: peak {} MB", peak_memory());
    write_lines(&path);
    measure("JSON lines, boxes", &path);
    write_dataset(&path, false);
    measure("COCO data set, boxes", &path);
    write_dataset(&path, true);
    measure("COCO data set, polygons", &path);
}
