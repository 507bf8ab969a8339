use super::*;
use crate::Result;
use crate::attribution::HiddenFill;
use crate::classify::{ClassifyStage, ClassifyWorker};
use crate::config::Config;
use crate::corpus::{Source, find};
use crate::demo::{DemoNetworks, use_models};
use crate::faithfulness::{Judge, JudgingNetworks, Measure, Plan, Pointer, Pointing};
use crate::ground_truth::{Trial, TrialStage, World, trials};
use crate::image::Size;
use crate::load::{Loaded, load};
use crate::networks::narrow::Narrow;
use crate::nn::Precision;
use crate::paste::{
    Fill, ObjectInfo, PasteNetworks, PasteSettings, PasteStage, PastedObject, Places,
};
use crate::removal::{RemovalNetworks, RemovalSettings, RemovalStage, Subject};
use crate::world::{Scene, Style, graph};
use std::fmt::Debug;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use tch::Device;

const SCENES: u64 = 14;

/// Scenes as files, one of them torn, and the embedded models.
fn corpus(folder: &Path) -> (Vec<Source>, Config) {
    let pictures = folder.join("pictures");
    std::fs::create_dir(&pictures).unwrap();
    for number in 0..SCENES {
        let picture = Scene::draw(graph(), 30, number, Style::Standard).render();
        let Size { width, height } = picture.size();
        let file = pictures.join(format!("{number:02}.png"));
        ::image::RgbImage::from_raw(width, height, picture.data().to_vec())
            .unwrap()
            .save(&file)
            .unwrap();
    }
    std::fs::write(pictures.join("05.png"), "torn").unwrap();
    (find(&[pictures]).unwrap().images, with_models(folder))
}

fn with_models(folder: &Path) -> Config {
    let mut config = Config::default();
    use_models(&mut config, &folder.join("models"), DemoNetworks::default()).unwrap();
    config.cam.methods = ["grad-cam", "lime-cam"].map(|name| name.parse().unwrap()).into();
    config
}

fn loaded(config: &Config) -> Loaded {
    load(config, Path::new(""), Device::Cpu, &[]).unwrap()
}

/// The analysis of all pictures: for each its path and what came of it, written out.
fn analysed(
    sources: &[&Source],
    config: &Config,
    workers: &mut [Worker],
    take: &mut dyn FnMut(PassProgress),
    stop: &AtomicBool,
) -> (Vec<(String, Examined)>, Vec<crate::run::Failure>, crate::run::Timings) {
    let stage = Analysis::new(&workers[0].loaded, config, true);
    let pass = Pass {
        stage: &stage,
        items: sources,
        workers,
        batch: config.compute.batch,
        threads: 2,
        stop,
    };
    let mut found = Vec::new();
    let run = pass.run(&mut |done, progress| {
        let written = done.into_iter().map(|done| (done.item.path.clone(), done.outcome));
        found.extend(written);
        take(progress);
        Ok(())
    });
    let (failures, timings) = run.unwrap();
    (found, failures, timings)
}

fn worker(loaded: Loaded, config: &Config) -> Worker {
    Worker { loaded, batch: config.compute.batch }
}

#[test]
fn several_model_threads_find_what_one_finds_in_the_same_order() {
    let folder = tempfile::tempdir().unwrap();
    let (sources, config) = corpus(folder.path());
    let sources: Vec<&Source> = sources.iter().collect();
    tch::set_num_threads(2);
    let found = |threads: usize| {
        // All on the same tensors, as the threads of a GPU.
        let first = loaded(&config);
        let others: Vec<Loaded> = (1..threads).map(|_| first.on(Device::Cpu).unwrap()).collect();
        let mut workers: Vec<Worker> =
            std::iter::once(first).chain(others).map(|loaded| worker(loaded, &config)).collect();
        let stop = AtomicBool::new(false);
        let mut reported = Vec::new();
        let mut report = |now: PassProgress| reported.push(now.done + now.failed);
        let (found, failures, timings) =
            analysed(&sources, &config, &mut workers, &mut report, &stop);
        assert_eq!(failures.len(), 1);
        assert_eq!((failures[0].path.as_str(), failures[0].stage.as_str()), ("05.png", "decode"));
        assert_eq!((timings.images, timings.model_threads), (SCENES as usize - 1, threads));
        assert!(timings.decode > 0.0 && timings.detect > 0.0);
        let (decode, networks) = timings.utilisation().unwrap();
        assert!(decode > 0.0 && networks > 0.0);
        assert!(reported.is_sorted() && reported.last() == Some(&(SCENES as usize)));
        found
    };
    let one = found(1);
    assert_eq!(one.len(), SCENES as usize - 1);
    for threads in [2, 3] {
        assert!(found(threads) == one, "{threads} model threads");
    }
}

/// What a stage makes of all items, as two workers that `on` makes of `first` find it and as it
/// finds it alone.
fn is_found_by_several<S: Stage<Outcome: PartialEq + Debug>>(
    stage: &S,
    items: &[S::Item],
    first: S::Worker,
    on: impl Fn(&S::Worker, Device) -> Result<S::Worker>,
) {
    let found = |mut workers: Vec<S::Worker>| {
        let (stop, mut found) = (AtomicBool::new(false), Vec::new());
        let pass = Pass { stage, items, workers: &mut workers, batch: 2, threads: 2, stop: &stop };
        let run = pass.run(&mut |done, _| {
            found.extend(done.into_iter().map(|done| done.outcome));
            Ok(())
        });
        assert_eq!(run.unwrap().0.len(), 1, "the torn picture");
        found
    };
    let others = vec![on(&first, Device::Cpu).unwrap(), on(&first, Device::Cpu).unwrap()];
    let one = found(workers_on(first, &[Device::Cpu], |_, _| panic!("the CPU has one")).unwrap());
    assert_eq!(one.len(), items.len() - 1);
    assert_eq!(found(others), one);
}

#[test]
fn every_experiment_has_model_threads_that_find_what_one_finds() {
    let folder = tempfile::tempdir().unwrap();
    let (mut sources, mut config) = corpus(folder.path());
    // The torn picture and two for each of two threads.
    sources = sources.drain(2..7).collect();
    config.cam.methods = vec!["grad-cam".parse().unwrap()];
    tch::set_num_threads(2);
    let parts = || {
        let Loaded { network, regions, maps, .. } = loaded(&config);
        (network, Some(regions), maps)
    };

    let (network, ..) = parts();
    let stage = ClassifyStage::new(&*network, &config);
    is_found_by_several(&stage, &sources, ClassifyWorker { network, batch: 4 }, ClassifyWorker::on);

    let (network, regions, _) = parts();
    let settings =
        RemovalSettings { fills: vec![HiddenFill::Surroundings], max_regions: 3, drawn: None };
    let networks = RemovalNetworks::new(network, regions, &config).unwrap();
    let stage = RemovalStage::new(&networks, &settings, &config);
    let photos: Vec<Subject<'_>> = sources.iter().map(Subject::Photo).collect();
    is_found_by_several(&stage, &photos, networks, RemovalNetworks::on);

    let (network, regions, _) = parts();
    let file = folder.path().join("ball.png");
    ::image::RgbaImage::from_pixel(9, 7, ::image::Rgba([200, 30, 30, 255])).save(&file).unwrap();
    let objects = [PastedObject::load(&file).unwrap()];
    let named = |object: &PastedObject| ObjectInfo {
        name: object.name.clone(),
        sha256: object.sha256.clone(),
    };
    let settings = PasteSettings {
        objects: objects.iter().map(named).collect(),
        fills: vec![Fill::Object],
        scale: 0.3,
        places: Places::Classes(vec!["first".into()]),
        focus: None,
    };
    let networks = PasteNetworks::new(network, regions, &config).unwrap();
    let stage = PasteStage::new(&networks, &objects, &settings, &config, vec![0]).unwrap();
    let photos: Vec<&Source> = sources.iter().collect();
    is_found_by_several(&stage, &photos, networks, PasteNetworks::on);

    // The changed pictures' network, and those with redrawn layers, are others than the explained.
    config.compute.precision = Precision::Bf16;
    let (network, regions, maps) = {
        let Loaded { network, regions, maps, .. } = loaded(&config);
        (network, Some(regions), maps)
    };
    let pointing = Some(Pointing { class: "first".into(), confidence: 0.3 });
    let measures = [Measure::WITHOUT_DETECTOR, &[Measure::Pointing]].concat();
    let plan = Plan { measures, steps: 3, pointing, resamples: 0 };
    let pointer = regions.as_ref().map(|regions| Pointer::new(regions, 0));
    let networks = JudgingNetworks::new(network, regions, &plan, &config).unwrap();
    let judge = Judge::new(&networks, pointer, maps, &config, &plan).unwrap();
    is_found_by_several(&judge, &sources, networks, JudgingNetworks::on);
}

/// The network's memory suffices for `most` pictures from its call `after` on.
fn narrowed(loaded: Loaded, most: usize, after: usize) -> Loaded {
    Loaded { network: Box::new(Narrow::new(loaded.network, most, after)), ..loaded }
}

#[test]
fn an_analysis_whose_memory_runs_out_midway_is_finished_with_smaller_batches() {
    let folder = tempfile::tempdir().unwrap();
    let (sources, mut config) = corpus(folder.path());
    config.compute.batch = 4;
    let sources: Vec<&Source> = sources.iter().collect();
    let stop = AtomicBool::new(false);
    let run = |loaded: Loaded| {
        let mut workers = [worker(loaded, &config)];
        let mut batches = Vec::new();
        let found =
            analysed(&sources, &config, &mut workers, &mut |now| batches.push(now.batch), &stop).0;
        (found, batches)
    };
    let (whole, batches) = run(narrowed(loaded(&config), config.compute.batch, 0));
    assert!(batches.iter().all(|&batch| batch == 4));
    let (found, batches) = run(narrowed(loaded(&config), 1, 2));
    assert_eq!((batches.first(), batches.last()), (Some(&4), Some(&1)));
    assert!(found[..8] == whole[..8]);
    // The detector's sums follow the size of its batch in their last digits; answers and maps do
    // not.
    for ((_, found), (_, whole)) in found.iter().zip(&whole) {
        assert_eq!(found.record.probabilities, whole.record.probabilities);
        assert!(found.maps == whole.maps, "{}", found.record.path);
    }
    assert_eq!(found.len(), whole.len());
}

#[test]
fn a_batch_of_one_that_does_not_fit_ends_the_pass() {
    let folder = tempfile::tempdir().unwrap();
    let (sources, config) = corpus(folder.path());
    let sources: Vec<&Source> = sources.iter().take(3).collect();
    let stop = AtomicBool::new(false);
    let mut workers = [worker(narrowed(loaded(&config), 0, 0), &config)];
    let stage = Analysis::new(&workers[0].loaded, &config, false);
    let pass = Pass {
        stage: &stage,
        items: &sources,
        workers: &mut workers,
        batch: 8,
        threads: 1,
        stop: &stop,
    };
    let error = pass.run(&mut |_, _| Ok(())).unwrap_err();
    assert!(error.is_out_of_memory(), "{error}");
    assert_eq!(workers[0].batch, 1);
}

#[test]
fn a_validation_whose_memory_runs_out_midway_is_finished_with_smaller_batches() {
    let folder = tempfile::tempdir().unwrap();
    let config = with_models(folder.path());
    let stop = AtomicBool::new(false);
    let run = |loaded: Loaded| -> Result<(Vec<Trial>, usize)> {
        let mut worker = worker(loaded, &config);
        let world = World { graph: graph(), seed: 3, style: Style::Standard, parts: false };
        let stage = TrialStage::new(world, &worker.loaded, &config);
        let (items, mut records) = ((0..12).collect::<Vec<u64>>(), Vec::new());
        let (workers, batch) = (std::slice::from_mut(&mut worker), config.compute.batch);
        let pass = Pass { stage: &stage, items: &items, workers, batch, threads: 2, stop: &stop };
        pass.run(&mut |done, _| {
            records.extend(done.into_iter().map(|scene| scene.outcome));
            Ok(())
        })?;
        Ok((trials(records), worker.batch))
    };
    let (whole, batch) = run(narrowed(loaded(&config), config.compute.batch, 0)).unwrap();
    assert_eq!((whole.len(), batch), (12, config.compute.batch));
    let (found, batch) = run(narrowed(loaded(&config), 2, 2)).unwrap();
    assert_eq!((found.len(), batch), (12, 2));
    assert_eq!(format!("{found:?}"), format!("{whole:?}"));
    assert!(run(narrowed(loaded(&config), 0, 0)).unwrap_err().is_out_of_memory());
}

#[test]
fn results_of_a_pass_that_was_stopped_are_whole_batches() {
    let folder = tempfile::tempdir().unwrap();
    let (sources, config) = corpus(folder.path());
    let sources: Vec<&Source> = sources.iter().collect();
    let stop = AtomicBool::new(false);
    let mut workers = [worker(loaded(&config), &config)];
    let mut stop_now = |_: PassProgress| stop.store(true, Ordering::Relaxed);
    let (found, _, timings) = analysed(&sources, &config, &mut workers, &mut stop_now, &stop);
    assert_eq!(timings.images, found.len());
    assert!((4..=SCENES as usize).contains(&found.len()), "{}", found.len());
    let paths: Vec<&str> = found.iter().map(|(path, _)| path.as_str()).collect();
    let expected: Vec<&str> = sources
        .iter()
        .map(|source| source.path.as_str())
        .filter(|path| *path != "05.png")
        .collect();
    assert_eq!(paths, expected[..paths.len()]);
}
