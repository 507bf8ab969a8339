use super::*;
use crate::attribution::Method;
use crate::corpus::{find, Source};
use crate::demo::use_models;
use crate::image::BoundingBox;
use crate::load::{load, Loaded};
use crate::run::record::{self, RecordWriter};
use crate::world::{Scene, Style};
use crate::Error;
use std::cell::Cell;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use tch::Device;

const SCENES: u64 = 14;

/// Scenes as files, one of them torn, and the embedded models.
fn corpus(folder: &Path) -> (Vec<Source>, Config) {
    let pictures = folder.join("pictures");
    std::fs::create_dir(&pictures).unwrap();
    for number in 0..SCENES {
        let picture = Scene::draw(30, number, Style::Standard).render();
        let Size { width, height } = picture.size();
        let file = pictures.join(format!("{number:02}.png"));
        ::image::RgbImage::from_raw(width, height, picture.data().to_vec()).unwrap().save(&file).unwrap();
    }
    std::fs::write(pictures.join("05.png"), "torn").unwrap();
    let mut config = Config::default();
    use_models(&mut config, &folder.join("models")).unwrap();
    config.cam.methods = vec![Method::GradCam, Method::LimeCam];
    (find(&[pictures]).unwrap().images, config)
}

fn loaded(config: &Config) -> Loaded {
    load(config, Path::new(""), Device::Cpu).unwrap()
}

#[test]
fn several_model_threads_find_what_one_finds_in_the_same_order() {
    let folder = tempfile::tempdir().unwrap();
    let (sources, config) = corpus(folder.path());
    let sources: Vec<&Source> = sources.iter().collect();
    tch::set_num_threads(2);
    let records = |threads: usize| {
        let path = folder.path().join(format!("{threads}.jsonl"));
        // All on the same tensors, as the threads of a GPU.
        let first = loaded(&config);
        let others: Vec<Loaded> = (1..threads).map(|_| first.on(Device::Cpu).unwrap()).collect();
        let mut models: Vec<Loaded> = std::iter::once(first).chain(others).collect();
        let stop = AtomicBool::new(false);
        let pass =
            Pass { sources: &sources, models: &mut models, config: &config, threads: 2, maps: None, stop: &stop };
        let mut reported = Vec::new();
        let mut writer = RecordWriter::open(&path).unwrap();
        let (failures, timings) = pass.run(&mut writer, &mut |now| reported.push(now.done + now.failed)).unwrap();
        assert_eq!(failures.len(), 1);
        assert_eq!((failures[0].path.as_str(), failures[0].stage.as_str()), ("05.png", "decode"));
        assert_eq!((timings.images, timings.model_threads), (SCENES as usize - 1, threads));
        assert!(timings.decode > 0.0 && timings.detect > 0.0);
        let (decode, networks) = timings.utilisation().unwrap();
        assert!(decode > 0.0 && networks > 0.0);
        assert!(reported.is_sorted() && reported.last() == Some(&(SCENES as usize)));
        std::fs::read(path).unwrap()
    };
    let one = records(1);
    assert_eq!(one.iter().filter(|&&byte| byte == b'\n').count(), SCENES as usize - 1);
    for threads in [2, 3] {
        assert!(records(threads) == one, "{threads} model threads");
    }
}

/// A detector whose memory suffices for `most` pictures.
struct Narrow {
    most: usize,
    calls: Cell<usize>,
}

impl Detector for Narrow {
    fn input(&self) -> Size {
        Size::new(64, 64)
    }

    fn stride(&self) -> Option<u32> {
        None
    }

    fn detect(&self, pictures: &[&Rgb8]) -> Result<Vec<Vec<Detection>>> {
        self.calls.set(self.calls.get() + 1);
        if pictures.len() > self.most {
            let message = "CUDA out of memory. Tried to allocate 2.00 GiB.".to_string();
            return Err(Error::Torch { doing: "running the detector", message });
        }
        // A box that tells the pictures apart.
        let of = |picture: &&Rgb8| {
            let edge = 10.0 + f32::from(picture.pixel(32, 32)[0]) / 10.0;
            vec![Detection { class: 1, confidence: 0.5, bounding_box: BoundingBox::new(8.0, 8.0, edge, edge) }]
        };
        Ok(pictures.iter().map(of).collect())
    }
}

#[test]
fn a_batch_that_does_not_fit_is_halved_and_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let (sources, config) = corpus(folder.path());
    let emotion = loaded(&config).emotion;
    let decoded = |source: &Source| source.decode(&Default::default()).unwrap();
    let prepared: Vec<Prepared> = sources
        .iter()
        .filter(|source| !source.path.starts_with("05"))
        .take(7)
        .map(|source| {
            Prepared::new(
                &decoded(source),
                &source.path,
                Size::new(64, 64).into(),
                EmotionModel::input(&emotion),
                &config,
            )
        })
        .collect();
    let prepared: Vec<&Prepared> = prepared.iter().collect();
    let examined = |most: usize, size: &mut usize| {
        let detector = Narrow { most, calls: Cell::new(0) };
        let models = Models { detector: &detector, emotion: &emotion };
        let found = examine_in_memory(&prepared, size, models, &config, &mut Timings::default());
        (found, detector.calls.get())
    };
    let mut whole = 8;
    let (expected, calls) = examined(8, &mut whole);
    assert_eq!((whole, calls), (8, 1));
    let expected = expected.unwrap();
    let mut size = 8;
    let (found, calls) = examined(2, &mut size);
    // Refused with 8 and with 4; then 2, 2, 2 and 1 filled up.
    assert_eq!((size, calls), (2, 6));
    let found = found.unwrap();
    assert_eq!((found.records.len(), found.maps.len()), (7, 2));
    for (found, expected) in found.maps.iter().zip(&expected.maps) {
        let (values, expected) = (found.values().unwrap(), expected.values().unwrap());
        assert_eq!((values.len(), found.flat.len(), found.means.len()), (7, 7, 7));
        for (a, b) in values.iter().flatten().zip(expected.iter().flatten()) {
            approx::assert_abs_diff_eq!(*a, *b, epsilon = 1e-3);
        }
    }
    for (found, expected) in found.records.iter().zip(&expected.records) {
        assert_eq!((found.label, &found.boxes), (expected.label, &expected.boxes));
    }
    let (none, _) = examined(0, &mut size);
    assert!(none.unwrap_err().is_out_of_memory());
    assert_eq!(size, 1);
}

#[test]
fn records_of_a_pass_that_was_stopped_are_whole_batches() {
    let folder = tempfile::tempdir().unwrap();
    let (sources, config) = corpus(folder.path());
    let sources: Vec<&Source> = sources.iter().collect();
    let path = folder.path().join("stopped.jsonl");
    let stop = AtomicBool::new(false);
    let mut models = [loaded(&config)];
    let pass = Pass { sources: &sources, models: &mut models, config: &config, threads: 1, maps: None, stop: &stop };
    let mut writer = RecordWriter::open(&path).unwrap();
    let (_, timings) = pass.run(&mut writer, &mut |_| stop.store(true, std::sync::atomic::Ordering::Relaxed)).unwrap();
    let mut paths = Vec::new();
    record::for_each(&path, |record: ImageRecord| {
        paths.push(record.path);
        Ok(())
    })
    .unwrap();
    assert_eq!(timings.images, paths.len());
    assert!((4..=SCENES as usize).contains(&paths.len()), "{paths:?}");
    let expected: Vec<&str> =
        sources.iter().map(|source| source.path.as_str()).filter(|path| *path != "05.png").collect();
    assert_eq!(paths, expected[..paths.len()]);
}
