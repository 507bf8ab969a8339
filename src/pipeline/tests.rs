use super::*;
use crate::Result;
use crate::config::Config;
use crate::corpus::{Source, find};
use crate::demo::{DemoNetworks, use_models};
use crate::ground_truth::{Trial, TrialStage, World, trials};
use crate::image::Size;
use crate::load::{Loaded, load};
use crate::networks::narrow::Narrow;
use crate::world::{Scene, Style, graph};
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
