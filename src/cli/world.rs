//! `emocam world`: pictures whose causes are known.

use super::output::Overwrite;
use super::progress::Progress;
use super::settings::MOST_SCENES;
use super::values::whole;
use anyhow::Context;
use emocam::Error;
use emocam::files::{sha256, write_bytes, write_whole};
use emocam::image::BoundingBox;
use emocam::random::Random;
use emocam::run::ModelFile;
use emocam::world::{
    CLASSES, CausalGraph, Object, Place, Scene, Style, Variant, face_graph, graph, named_graph,
};
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// Draw scenes whose causes are known: pictures, labels, exact boxes and the causal graph behind
/// them
///
/// Each scene is drawn from a declared causal graph over 20 Open Images classes and 9 of EmoNet's
/// labels: one object, or for Boredom none, causes the label; others only go along with it at a
/// declared rate, or have nothing to do with it. --graph names another graph with labels of its
/// own; --faces draws single faces, labelled by their expression. The same seed gives the same
/// bytes on every machine. About 3 ms of one core a scene, and 150 kB.
///
/// Writes scene-00000.png (of faces face-00000.png) and so on, and beside them scenes.csv (path,
/// label, and the label with noise), objects.csv (path, object in painting order, class, variant,
/// role, box in pixels; the box is empty where less than 35 % of the object are in sight) and
/// graph.json. Where the graph has causes that are no objects, scenes.csv has the ambience too.
/// Prints how many scenes have each label.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Folder to write into; made if it is not there, files of the same names are replaced
    #[arg(long, value_name = "DIR")]
    out: PathBuf,

    /// How many scenes, 1 to 1000000
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = whole::<u64>(1, MOST_SCENES))]
    scenes: u64,

    /// The stream of scenes: another seed gives other scenes
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = whole::<u64>(0, u64::MAX))]
    seed: u64,

    /// How they are drawn: `held-out` has the same objects in other palettes, line widths, shading
    /// and backgrounds, to test what was learnt from `standard`
    #[arg(long, value_enum, default_value_t = StyleName::Standard)]
    style: StyleName,

    /// The causal graph to draw from, a file or one that comes with the program: standard, parts,
    /// background, surroundings, hans or hans-corpus. configs/graphs/standard.toml explains every
    /// key and is what holds without this option
    #[arg(long, value_name = "NAME|FILE.toml")]
    graph: Option<PathBuf>,

    /// Also write parts.csv: the parts of objects that have names of their own (eyes, mouths,
    /// wheels, doors ...), with their boxes and what they are part of
    #[arg(long, conflicts_with = "faces")]
    parts: bool,

    /// Instead of scenes single faces that fill the picture, each of happy, sad, angry, disgusted,
    /// neutral as often: persons, turns, sizes, light and backgrounds differ
    #[arg(long, conflicts_with = "graph")]
    faces: bool,

    /// Share of scenes whose noisy label is another one than the graph's, from 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = 0.05)]
    label_noise: f64,

    /// Also write one object of every class and variant alone, transparent around it, into this
    /// folder: to be pasted into pictures with `emocam paste`
    #[arg(long, value_name = "DIR")]
    objects: Option<PathBuf>,

    #[command(flatten)]
    overwrite: Overwrite,
}

/// Longest side of an object that is written alone, pixels.
const CUTOUT: u32 = 400;

/// A [`Style`], by its name on the command line.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum StyleName {
    Standard,
    HeldOut,
}

impl From<StyleName> for Style {
    fn from(name: StyleName) -> Self {
        match name {
            StyleName::Standard => Self::Standard,
            StyleName::HeldOut => Self::HeldOut,
        }
    }
}

/// What is drawn, and by which graph it is labelled.
struct Subject {
    graph: Arc<CausalGraph>,
    faces: bool,
}

impl Subject {
    fn scene(&self, seed: u64, number: u64, style: Style) -> Scene {
        if self.faces {
            Scene::draw_face(seed, number, style)
        } else {
            Scene::draw(&self.graph, seed, number, style)
        }
    }

    /// The file's name of picture `number`.
    fn file_name(&self, number: u64) -> String {
        let what = if self.faces { "face" } else { "scene" };
        format!("{what}-{number:05}.png")
    }
}

/// The graph of this name, or in this file, or the built-in one.
fn graph_by_name(name: Option<&Path>) -> emocam::Result<Arc<CausalGraph>> {
    let known = name.and_then(Path::to_str).and_then(named_graph);
    known.map_or_else(|| graph_or_standard(name), |graph| Ok(graph.clone()))
}

/// What says later whether the causal graph is still the same.
pub(super) fn graph_file(file: &Path) -> anyhow::Result<ModelFile> {
    let text = emocam::files::read_text(file)?;
    let path = std::path::absolute(file).unwrap_or_else(|_| file.into()).display().to_string();
    Ok(ModelFile {
        role: "world.graph".into(),
        path,
        sha256: sha256(text.as_bytes()),
        synthesized: false,
    })
}

/// The graph in a file, or the built-in one.
pub(super) fn graph_or_standard(file: Option<&Path>) -> emocam::Result<Arc<CausalGraph>> {
    file.map_or_else(|| Ok(graph().clone()), |file| CausalGraph::load(file).map(Arc::new))
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Args { out, scenes, seed, style, graph, parts, faces, label_noise, objects, overwrite } =
        args;
    anyhow::ensure!(
        (0.0..=1.0).contains(&label_noise),
        "--label-noise {label_noise}: a share from 0 to 1 is needed"
    );
    let style = Style::from(style);
    let graph = if faces { face_graph().clone() } else { graph_by_name(graph.as_deref())? };
    let subject = Subject { graph: graph.clone(), faces };
    let _claimed = overwrite.photos(&out)?;
    let _claimed_for_objects =
        objects.as_deref().map(|folder| overwrite.photos(folder)).transpose()?;
    let mut tables = Tables::new(parts, !graph.ambiences.is_empty())?;
    let mut counts = vec![0_u64; graph.labels.len()];
    let mut progress = Progress::new(scenes, if faces { "faces" } else { "scenes" });
    for number in 0..scenes {
        let (scene, name) = (subject.scene(seed, number, style), subject.file_name(number));
        let painting = scene.paint();
        write_bytes(&out.join(&name), &png(&painting.picture)?)?;
        let labels = [graph.label(&scene), graph.noisy_label(&scene, label_noise)];
        let [label, noisy] =
            labels.map(|label| label.expect("what is drawn from a graph has a label by it"));
        tables.add_scene(
            &name,
            &graph.labels[label],
            &graph.labels[noisy],
            scene.ambience.name(),
        )?;
        tables.add_objects(&name, &scene, &graph, &painting.boxes)?;
        counts[label] += 1;
        progress.at(number + 1, String::new());
    }
    progress.finish();
    tables.write(&out)?;
    if let Some(folder) = objects {
        write_objects(&folder, &graph, seed, style)?;
    }
    let mut graph_json = serde_json::to_vec_pretty(&graph.to_json())?;
    graph_json.push(b'\n');
    write_bytes(&out.join("graph.json"), &graph_json)?;
    let mut text = Vec::new();
    for label in graph.occurring() {
        writeln!(text, "{:<24} {:>6}", graph.labels[label], counts[label])?;
    }
    std::io::stdout().lock().write_all(&text).context("cannot write to stdout")?;
    Ok(ExitCode::SUCCESS)
}

/// One object of every class and variant of the graph: `spider.png`, `human-face-smiling.png`.
fn write_objects(
    folder: &Path,
    graph: &CausalGraph,
    seed: u64,
    style: Style,
) -> anyhow::Result<()> {
    for (class, variant) in graph.kinds() {
        let name = match variant {
            Variant::Plain => CLASSES[class].to_string(),
            variant => format!("{}-{}", CLASSES[class], variant.name()),
        };
        let name = name.to_lowercase().replace(' ', "-");
        let place = Place { x: 0.5, y: 0.5, size: 1.0, turn: 0.0 };
        let object = Object {
            class,
            variant,
            place,
            seed: Random::of_text(seed, &name).next_u64(),
            hidden: 0,
        };
        let (size, pixels) = object.cutout(style, CUTOUT);
        let pixels = image::RgbaImage::from_raw(size.width, size.height, pixels)
            .expect("four bytes a pixel");
        write_bytes(&folder.join(format!("{name}.png")), &encoded(&pixels.into())?)?;
    }
    Ok(())
}

fn png(picture: &emocam::image::Rgb8) -> anyhow::Result<Vec<u8>> {
    let size = picture.size();
    let pixels = image::RgbImage::from_raw(size.width, size.height, picture.data().to_vec())
        .expect("a picture has 3 bytes a pixel");
    encoded(&pixels.into())
}

fn encoded(pixels: &image::DynamicImage) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Cursor::new(Vec::new());
    pixels.write_to(&mut bytes, image::ImageFormat::Png).context("cannot encode a PNG")?;
    Ok(bytes.into_inner())
}

/// `scenes.csv` and `objects.csv`, kept until all pictures are there.
struct Tables {
    scenes: csv::Writer<Vec<u8>>,
    objects: csv::Writer<Vec<u8>>,
    parts: Option<csv::Writer<Vec<u8>>>,
    /// Whether the scenes' ambience is a column.
    ambiences: bool,
}

impl Tables {
    fn new(parts: bool, ambiences: bool) -> anyhow::Result<Self> {
        let table = || csv::Writer::from_writer(Vec::new());
        let mut tables =
            Self { scenes: table(), objects: table(), parts: parts.then(table), ambiences };
        if let Some(parts) = &mut tables.parts {
            parts.write_record([
                "path", "object", "whole", "part", "class", "x_min", "y_min", "x_max", "y_max",
            ])?;
        }
        let head = ["path", "label", "noisy_label", "noisy"]
            .into_iter()
            .chain(ambiences.then_some("ambience"));
        tables.scenes.write_record(head)?;
        let head =
            ["path", "object", "class", "variant", "role", "x_min", "y_min", "x_max", "y_max"];
        tables.objects.write_record(head)?;
        Ok(tables)
    }

    fn add_scene(
        &mut self,
        name: &str,
        label: &str,
        noisy: &str,
        ambience: &str,
    ) -> anyhow::Result<()> {
        let differs = if label == noisy { "no" } else { "yes" };
        let ambience = self.ambiences.then_some(ambience);
        Ok(self.scenes.write_record([name, label, noisy, differs].into_iter().chain(ambience))?)
    }

    fn add_objects(
        &mut self,
        name: &str,
        scene: &Scene,
        graph: &CausalGraph,
        boxes: &[(usize, BoundingBox)],
    ) -> anyhow::Result<()> {
        for (number, object) in scene.objects.iter().enumerate() {
            let head = [name.to_string(), number.to_string(), CLASSES[object.class].to_string()];
            let role = graph.role(object.class, object.variant);
            let role = [object.variant.name().to_string(), role.name().to_string()];
            let edges = match boxes.iter().find(|(object, _)| *object == number) {
                Some((_, b)) => [b.x_min, b.y_min, b.x_max, b.y_max].map(|edge| edge.to_string()),
                None => Default::default(),
            };
            self.objects.write_record(head.iter().chain(&role).chain(&edges))?;
        }
        if let Some(table) = &mut self.parts {
            for part in scene.part_boxes() {
                let whole = CLASSES[scene.objects[part.object].class];
                let names = [part.object.to_string(), whole.into(), part.part.to_string()];
                let class = part.kind.name().to_string();
                let edges = <[f32; 4]>::from(part.bounding_box).map(|edge| edge.to_string());
                table.write_record(
                    [name.to_string()].iter().chain(&names).chain([&class]).chain(&edges),
                )?;
            }
        }
        Ok(())
    }

    fn write(self, folder: &Path) -> anyhow::Result<()> {
        let tables = [(self.scenes, "scenes.csv"), (self.objects, "objects.csv")];
        for (writer, name) in tables.into_iter().chain(self.parts.map(|parts| (parts, "parts.csv")))
        {
            let path = folder.join(name);
            let bytes =
                writer.into_inner().map_err(|e| anyhow::anyhow!("{}: {e}", path.display()))?;
            write_whole(&path, |file| file.write_all(&bytes).map_err(Error::io("write", &path)))?;
        }
        Ok(())
    }
}
