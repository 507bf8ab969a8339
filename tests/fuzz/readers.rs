//! Every reader of files, each as a function of a path: what is fuzzed.
//!
//! A new reader of files is a row in [`READERS`], its function below and its seeds in `seeds.rs`.

use crate::mutate::Kind;
use crate::runs;
use crate::seeds;
use emocam::Result;
use emocam::annotations::{AnnotationColumns, Annotations, LabelMap};
use emocam::associate::NestedClasses;
use emocam::attribution::external::{ExternalMaps, MapFolder};
use emocam::classify::ClassifyRecord;
use emocam::compare::PublishedMatrix;
use emocam::config::{AssociationConfig, Config};
use emocam::corpus::{DecodeOptions, Enough, decode, find};
use emocam::faithfulness::{EvaluationSettings, Judged};
use emocam::filters::FilterSums;
use emocam::ground_truth::{TrialRecord, ValidationSettings};
use emocam::image::{Fit, Size};
use emocam::networks::Card;
use emocam::nn::script::ScriptArchive;
use emocam::nn::weights::darknet::DarknetWeights;
use emocam::nn::weights::{StateDict, mean_image};
use emocam::paste::{PasteRecord, PasteSettings, PastedObject, Positions};
use emocam::regions::YoloTorchScript;
use emocam::regions::darknet::Cfg;
use emocam::removal::{RemovalRecord, RemovalSettings};
use emocam::rsa::{MatrixFile, MatrixKind};
use emocam::run::record::{ImageRecord, RunRecord};
use emocam::run::{Run, read_failures, read_maps};
use emocam::train::card::Metrics;
use emocam::train::data::pairs::{Pairs, PairsConfig};
use emocam::train::data::{DataConfig, SplitConfig, collect};
use emocam::train::outcome::{TrainingResult, known_result};
use emocam::train::{adapt, fer, multi_gap};
use emocam::world::CausalGraph;
use std::path::Path;

/// How much was read, or why nothing.
pub(crate) type Outcome = Result<usize, String>;

/// A reader and what it is given.
#[derive(Clone, Copy)]
pub(crate) struct Reader {
    /// The target's name.
    pub name: &'static str,
    /// What the file is called: some readers go by the ending.
    pub file: &'static str,
    /// What it is made of.
    pub kind: Kind,
    /// Whether C code takes memory for it.
    pub native: bool,
    /// Files as they should be.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Puts what is read together with the file into its folder, once.
    pub beside: fn(&Path),
    /// Reads the file.
    pub read: fn(&Path) -> Outcome,
}

/// The file of records of every run.
const JOURNAL: &str = "records.jsonl";

const fn reader(
    name: &'static str,
    file: &'static str,
    kind: Kind,
    seeds: fn() -> Vec<Vec<u8>>,
    read: fn(&Path) -> Outcome,
) -> Reader {
    Reader { name, file, kind, native: false, seeds, beside: |_| {}, read }
}

const fn native(reader: Reader) -> Reader {
    Reader { native: true, ..reader }
}

const fn with(reader: Reader, beside: fn(&Path)) -> Reader {
    Reader { beside, ..reader }
}

/// All of them.
pub(crate) static READERS: [Reader; 51] = [
    reader("checkpoint", "net.pth", Kind::Zip, seeds::checkpoints, state_dict),
    reader("legacy-checkpoint", "net.pth", Kind::Binary, seeds::legacy_checkpoints, state_dict),
    reader("safetensors", "net.safetensors", Kind::Safetensors, seeds::safetensors, state_dict),
    reader("darknet-weights", "net.weights", Kind::Binary, seeds::darknet_weights, darknet_weights),
    reader("mean-image", "mean.txt", Kind::Text, seeds::mean_images, |path| {
        said(mean_image::read(path)).map(|mean| mean.values.len())
    }),
    reader("cfg", "net.cfg", Kind::Text, seeds::cfgs, cfg),
    with(
        reader("class-names", "net.names", Kind::Text, seeds::class_names, class_names),
        seeds::beside_names,
    ),
    reader("card", "net.toml", Kind::Text, seeds::cards, |path| {
        said(Card::from_toml(&text(path)?, path)).map(|card| card.outputs())
    }),
    reader("card-json", "net.json", Kind::Text, seeds::cards_as_json, |path| {
        said(Card::from_json(&text(path)?, path)).map(|card| card.outputs())
    }),
    with(
        reader("label-names", "labels.txt", Kind::Text, seeds::label_names, label_names),
        seeds::beside_labels,
    ),
    reader("torchscript", "net.torchscript", Kind::Zip, seeds::torchscripts, torchscript),
    reader("configuration", "emocam.toml", Kind::Text, seeds::configurations, |path| {
        said(Config::load(path)).map(|config| config.cam.names().len())
    }),
    reader("recipe", "recipe.toml", Kind::Text, seeds::recipes, recipe),
    reader("causal-graph", "graph.toml", Kind::Text, seeds::graphs, |path| {
        said(CausalGraph::load(path)).map(|graph| graph.occurring().len())
    }),
    reader("positions", "positions.toml", Kind::Text, seeds::positions, |path| {
        said(Positions::parse(&path.to_string_lossy())).map(|positions| positions.positions.len())
    }),
    native(reader("object", "object.png", Kind::Png, seeds::objects, |path| {
        said(PastedObject::load(path)).map(|object| object.pixels.size().area())
    })),
    native(reader("jpeg", "photo.jpg", Kind::Binary, seeds::jpegs, picture)),
    reader("png", "photo.png", Kind::Png, seeds::pngs, picture),
    reader("webp", "photo.webp", Kind::Riff, seeds::webps, picture),
    reader("bmp", "photo.bmp", Kind::Binary, seeds::bmps, picture),
    reader("tiff", "photo.tif", Kind::Binary, seeds::tiffs, picture),
    native(reader("tar", "photos.tar", Kind::Tar, seeds::tars, |path| {
        corpus(path, path.as_os_str().to_owned())
    })),
    reader("list", "photos.txt", Kind::Text, seeds::lists, list),
    reader("list-table", "photos.csv", Kind::Text, seeds::list_tables, list),
    reader("coco", "coco.json", Kind::Text, seeds::coco_data_sets, |path| regions(path, None)),
    with(
        reader("coco-results", "results.json", Kind::Text, seeds::coco_results, |path| {
            regions(path, Some(&path.with_file_name(seeds::DATA_SET)))
        }),
        seeds::beside_results,
    ),
    reader("region-lines", "regions.jsonl", Kind::Text, seeds::region_lines, |path| {
        regions(path, None)
    }),
    reader("annotations", "labels.csv", Kind::Text, seeds::annotations, annotations),
    reader("label-map", "map.toml", Kind::Text, seeds::label_maps, |path| {
        said(LabelMap::read(path, &["joy".into(), "fear".into()])).map(|map| map.labels.len())
    }),
    reader("map-npy", "a.jpg.npy", Kind::Binary, seeds::npy_maps, external_map),
    reader("map-png", "a.jpg.png", Kind::Png, seeds::png_maps, external_map),
    reader(
        "map-safetensors",
        "a.jpg.safetensors",
        Kind::Safetensors,
        seeds::safetensors_maps,
        external_map,
    ),
    with(
        reader(
            "records",
            JOURNAL,
            Kind::Records,
            || runs::records("analyzed"),
            records::<ImageRecord>,
        ),
        |folder| {
            runs::beside_records("analyzed", folder);
        },
    ),
    with(
        reader(
            "classify-records",
            JOURNAL,
            Kind::Records,
            || runs::records("classify"),
            records::<ClassifyRecord>,
        ),
        |folder| runs::beside_records("classify", folder),
    ),
    with(
        reader(
            "evaluate-records",
            JOURNAL,
            Kind::Records,
            || runs::records("evaluate"),
            records::<Judged>,
        ),
        |folder| runs::beside_records("evaluate", folder),
    ),
    with(
        reader(
            "paste-records",
            JOURNAL,
            Kind::Records,
            || runs::records("paste"),
            records::<PasteRecord>,
        ),
        |folder| {
            runs::beside_records("paste", folder);
        },
    ),
    with(
        reader(
            "remove-records",
            JOURNAL,
            Kind::Records,
            || runs::records("remove"),
            records::<RemovalRecord>,
        ),
        |folder| runs::beside_records("remove", folder),
    ),
    with(
        reader(
            "validate-records",
            JOURNAL,
            Kind::Records,
            || runs::records("validate"),
            records::<TrialRecord>,
        ),
        |folder| runs::beside_records("validate", folder),
    ),
    reader("manifest", "run.json", Kind::Text, runs::manifests, manifest),
    reader("kept-maps", "kept.safetensors", Kind::Safetensors, runs::kept_maps, |path| {
        said(read_maps(path, &["grad-cam", "lift-cam"])).map(|maps| maps.iter().flatten().count())
    }),
    with(
        reader(
            "filter-sums",
            "filters.safetensors",
            Kind::Safetensors,
            runs::filter_sums,
            filter_sums,
        ),
        runs::beside_filter_sums,
    ),
    reader("failures", "failures.csv", Kind::Text, runs::failures, |path| {
        said(read_failures(path)).map(|failures| failures.len())
    }),
    reader("matrix", "association.csv", Kind::Text, runs::matrices, matrix),
    reader("nested-classes", "nested.csv", Kind::Text, seeds::nested_classes, nested_classes),
    with(reader("pairs", "pairs.csv", Kind::Text, seeds::pairs, pairs), seeds::beside_pairs),
    with(
        reader("pairs-npy", "pairs.npy", Kind::Binary, seeds::npy_maps, pairs),
        seeds::beside_pairs,
    ),
    with(
        reader("training-table", "data.csv", Kind::Text, seeds::training_tables, training_table),
        seeds::beside_table,
    ),
    with(
        reader("split-files", "test.txt", Kind::Text, seeds::splits, split_files),
        seeds::beside_splits,
    ),
    reader("training-result", "result.json", Kind::Text, seeds::training_results, |path| {
        let folder = path.parent().unwrap();
        let result =
            said(known_result(folder, "abc", |result: &TrainingResult| &result.fingerprint))?;
        Ok(result.map_or(0, |result| result.numbers))
    }),
    reader("metrics", "metrics.json", Kind::Text, seeds::metrics, |path| {
        said(Metrics::read(path.parent().unwrap())).map(|metrics| metrics.detectors.len())
    }),
    reader("digests", "digests.json", Kind::Text, seeds::digests, |path| {
        said(emocam::models::digest::forget(path.parent().unwrap(), "no such file")).map(|()| 1)
    }),
];

/// The reader of this name.
pub(crate) fn named(name: &str) -> &'static Reader {
    let known = || READERS.iter().map(|reader| reader.name).collect::<Vec<_>>().join(", ");
    READERS
        .iter()
        .find(|reader| reader.name == name)
        .unwrap_or_else(|| panic!("no target {name}; there are {}", known()))
}

fn said<T>(result: Result<T>) -> Result<T, String> {
    result.map_err(|error| error.in_one_line())
}

fn text(path: &Path) -> Result<String, String> {
    said(emocam::files::read_text(path))
}

fn state_dict(path: &Path) -> Outcome {
    let mut dict = said(StateDict::open(path))?;
    let arrays: Vec<_> =
        dict.arrays.iter().map(|(name, array)| (name.clone(), array.shape.clone())).collect();
    let taken: Vec<_> = arrays.iter().map(|(name, shape)| said(dict.take(name, shape))).collect();
    let _ = dict.finish();
    taken.into_iter().collect::<Result<Vec<_>, _>>().map(|arrays| arrays.len())
}

fn darknet_weights(path: &Path) -> Outcome {
    let mut weights = said(DarknetWeights::open(path, 40))?;
    for (layer, count) in [4, 4, 4, 4, 20, 4].into_iter().enumerate() {
        said(weights.take(layer, "part", count))?;
    }
    said(weights.finish()).map(|()| weights.count())
}

fn cfg(path: &Path) -> Outcome {
    let cfg = said(Cfg::parse(&text(path)?, path))?;
    said(cfg.heads())?;
    said(cfg.flops())?;
    said(cfg.channels())?;
    cfg.stride();
    said(cfg.parameter_count())
}

fn class_names(path: &Path) -> Outcome {
    let mut config = Config::default();
    config.detector.cfg = path.with_file_name("net.cfg").to_string_lossy().into_owned();
    config.detector.names = path.to_string_lossy().into_owned();
    said(emocam::load::description(&config, path.parent().unwrap()))
        .map(|(_, classes, _)| classes.len())
}

/// Those that a card names.
fn label_names(path: &Path) -> Outcome {
    let card = path.with_file_name("net.toml");
    said(Card::from_toml(&text(&card)?, &card)).map(|card| card.outputs())
}

fn torchscript(path: &Path) -> Outcome {
    if !said(ScriptArchive::is_one(path))? {
        return Err("no TorchScript".into());
    }
    let classes = said(YoloTorchScript::classes_of(path)).map(|classes| classes.len());
    let mut archive = said(ScriptArchive::open(path))?;
    match said(archive.extra("emocam.json"))? {
        Some(card) => said(Card::from_json(&card, path)).map(|card| card.outputs()),
        None => classes,
    }
}

fn recipe(path: &Path) -> Outcome {
    let all = [
        said(fer::FerRecipe::load(path)).map(|_| 1),
        said(multi_gap::Recipe::load(path)).map(|_| 2),
        said(adapt::AdaptRecipe::load(path)).map(|_| 3),
    ];
    let refused = all.iter().filter_map(|one| one.clone().err()).collect::<Vec<_>>().join("; ");
    all.into_iter().find_map(Result::ok).ok_or(refused)
}

/// Every other file reduced, and most of them as if only small pictures were allowed: else most of
/// the time would go into sizes that a change has made large.
fn picture(path: &Path) -> Outcome {
    let length = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    let reduced =
        Enough { letterboxed: Some(Size::new(16, 12).into()), fit: Fit::squash(Size::new(4, 4)) };
    let defaults = DecodeOptions::default();
    let max_pixels = if length % 8 < 2 { defaults.max_pixels } else { 1 << 20 };
    let options =
        DecodeOptions { max_pixels, enough: (length % 2 == 0).then_some(reduced), ..defaults };
    said(decode(path, &options)).map(|picture| picture.size().area())
}

fn list(path: &Path) -> Outcome {
    let mut root = std::ffi::OsString::from("@");
    root.push(path);
    corpus(path, root)
}

/// Finds pictures, and decodes the first few in a tar.
fn corpus(path: &Path, root: std::ffi::OsString) -> Outcome {
    let found = said(find(&[root.into()]))?;
    let options = DecodeOptions { max_pixels: 1 << 20, ..DecodeOptions::default() };
    let own = found.images.iter().filter(|image| *image.file == *path).take(3);
    let decoded = own.filter(|image| image.decode(&options).is_ok()).count();
    match found.problems.first() {
        Some(problem) if found.images.is_empty() => Err(problem.cause.clone()),
        _ => Ok(found.images.len() + decoded),
    }
}

fn regions(path: &Path, data_set: Option<&Path>) -> Outcome {
    let mut known = said(emocam::regions::read(path, data_set))?;
    let first = known.pictures().iter().take(4);
    let pictures: Vec<_> = first
        .map(|(name, picture)| (name.clone(), picture.size.unwrap_or(Size::new(64, 48))))
        .collect();
    let paths: Vec<&str> = pictures.iter().map(|(name, _)| name.as_str()).collect();
    said(known.join(&paths))?;
    let mut pixels = 0;
    for (name, size) in &pictures {
        for located in said(known.regions(name, *size))?.iter().take(8) {
            // Together what a pass over the pictures does with a mask.
            if let Some(mask) = &located.region.mask {
                pixels += mask.area() as usize + mask.to_compressed().len() + mask.spans().count();
            }
        }
    }
    Ok(known.classes().len() + pixels)
}

fn annotations(path: &Path) -> Outcome {
    let annotations = said(Annotations::read(path, &AnnotationColumns::default()))?;
    let given = said(annotations.join(&["joy/a.jpg", "fear/b.jpg", "c.png"]))?;
    said(annotations.of_one_label())?;
    Ok(given.labels.len())
}

fn external_map(path: &Path) -> Outcome {
    let folder = MapFolder::new("eyes", &path.parent().unwrap().to_string_lossy())?;
    let maps = said(ExternalMaps::join(&[folder], &["a.jpg"]))?;
    let placement = Fit::squash(Size::new(9, 7)).placement(Size::new(40, 30));
    said(maps.read("a.jpg", &placement)).map(|maps| maps.iter().map(Vec::len).sum())
}

/// Of a run that is not finished, as one that is resumed.
fn records<R: RunRecord>(path: &Path) -> Outcome {
    let run = said(Run::open(path.parent().unwrap()))?;
    let mut bytes = 0;
    said(run.for_each_record_of(|record: R| {
        bytes += record.path().len();
        Ok(())
    }))?;
    said(run.recorded::<R>()).map(|paths| paths.len() + bytes)
}

fn manifest(path: &Path) -> Outcome {
    let run = said(Run::open(path.parent().unwrap()))?;
    let manifest = &run.manifest;
    let settings = [
        PasteSettings::read(manifest).map(|_| ()),
        RemovalSettings::read(manifest).map(|_| ()),
        EvaluationSettings::read(manifest).map(|_| ()),
        ValidationSettings::read(manifest).map(|_| ()),
    ];
    let other = emocam::run::Manifest { labels: Vec::new(), ..manifest.clone() };
    let differences = manifest.differences(&other, ["then", "now"]).len();
    // What every command does next: where a picture lies in the inputs.
    manifest.scoring.letterbox(Size::new(40, 30));
    manifest.input.placement(Size::new(40, 30));
    Ok(differences + settings.iter().filter(|read| read.is_ok()).count())
}

fn filter_sums(path: &Path) -> Outcome {
    let run = said(Run::open(path.parent().unwrap()))?;
    said(FilterSums::open(&run)).map(|_| 1)
}

fn matrix(path: &Path) -> Outcome {
    let all = [
        said(MatrixFile::read(path, MatrixKind::Shares)).map(|matrix| matrix.cells.len()),
        said(MatrixFile::read(path, MatrixKind::Counts)).map(|matrix| matrix.cells.len()),
        said(PublishedMatrix::read(path)).map(|_| 1),
    ];
    let refused = all.iter().filter_map(|one| one.clone().err()).collect::<Vec<_>>().join("; ");
    all.into_iter().find_map(Result::ok).ok_or(refused)
}

fn nested_classes(path: &Path) -> Outcome {
    let rule = AssociationConfig {
        nested_table: path.to_string_lossy().into_owned(),
        ..AssociationConfig::default()
    };
    let classes = ["Person", "Human face", "Human eye", "Man"].map(String::from);
    let nested = said(NestedClasses::new(&rule, &classes))?;
    Ok((0..16).filter(|pair| nested.is_in(pair / 4, pair % 4)).count())
}

fn pairs(path: &Path) -> Outcome {
    let beside = |name: &str| path.with_file_name(name).to_string_lossy().into_owned();
    let config = PairsConfig {
        file: path.to_string_lossy().into_owned(),
        names: beside("names.json"),
        pictures: beside("pictures.txt"),
    };
    said(Pairs::read(&config)).map(|pairs| pairs.names.len())
}

/// A table of labelled pictures, or of pixels, and what its rows are for.
fn training_table(path: &Path) -> Outcome {
    let data = said(collect(&[path.into()], &DataConfig::default()))?;
    for item in data.items.iter().take(3) {
        let _ = item.picture(&DecodeOptions { max_pixels: 1 << 20, ..DecodeOptions::default() });
    }
    let pictures = data.items.len();
    said(SplitConfig::default().divide(data)).map(|_| pictures)
}

/// A table of pictures that are there, divided as three files say.
fn split_files(path: &Path) -> Outcome {
    let data = said(collect(&[path.with_file_name("data.csv")], &DataConfig::default()))?;
    let config = SplitConfig {
        files: path.parent().unwrap().to_string_lossy().into_owned(),
        ..SplitConfig::default()
    };
    said(config.divide(data)).map(|divided| divided.test.len())
}
