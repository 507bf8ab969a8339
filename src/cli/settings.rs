//! Flags that mean the same in every subcommand, and how they change the configuration.

use super::association::Association;
use super::precision::PrecisionChoice;
use super::values::{by_name, set, whole};
use clap::Args;
use emocam::attribution::external::MapFolder;
use emocam::attribution::{
    ClassChoice, Compat, HiddenFill, HiddenPlace, LayerPoint, LrpRule, Method, Needs, Sign, Target,
};
use emocam::config::{CamConfig, Config};
use emocam::load;
use emocam::nn::{self, DeviceChoice};
use emocam::regions::darknet::ClassScores;
use emocam::score::BoxArea;
use std::path::{Path, PathBuf};

/// Parses `--precision`.
fn precision_choice(text: &str) -> Result<PrecisionChoice, String> {
    match text {
        "auto" => Ok(PrecisionChoice::Measured),
        _ => {
            by_name(text).map(PrecisionChoice::Given).map_err(|error| format!("{error}, or `auto`"))
        }
    }
}

/// More threads than any machine has cores only cost memory.
pub(super) const MOST_THREADS: u64 = 1024;

/// More scenes take weeks to draw and ask.
pub(super) const MOST_SCENES: u64 = 1_000_000;

/// The value of `--cam`.
#[derive(Debug, Clone)]
struct Methods(Vec<Method>);

fn methods(text: &str) -> Result<Methods, String> {
    let named = |name: &str| match name {
        "paper" => Ok(Method::paper()),
        "all" => Ok(Method::cams()),
        "none" => Ok(Vec::new()),
        name => name.parse().map(|method| vec![method]),
    };
    let named = text.split(',').map(named).collect::<Result<Vec<_>, String>>()?;
    Ok(Methods(named.concat()))
}

/// The help of `--cam`, from the table of methods.
fn methods_help() -> String {
    let names = |methods: &[Method]| {
        methods.iter().map(|method| method.name()).collect::<Vec<_>>().join(", ")
    };
    let (paper, cams, all) = (Method::paper(), Method::cams(), Method::all());
    let besides = |all: &[Method], known: &[Method]| {
        all.iter().copied().filter(|method| !known.contains(method)).collect::<Vec<_>>()
    };
    let mut help = format!(
        "Methods, separated by commas [default: grad-cam; of explain: paper]\n\npaper: {}. all: \
         these and {}. By name alone: {}. none: the maps of --maps alone.\nAll cost little beside \
         the detector but shapley-cam (one ablation-cam for each of its permutations), score-cam \
         (a run of the whole network for each channel), and those by name (a run for each of their \
         --evaluations).\n",
        names(&paper),
        names(&besides(&cams, &paper)),
        names(&besides(&all, &cams))
    );
    for method in all {
        let row = method.row();
        help.push_str(&format!(
            "\n{}: {} ({}; needs: {}; explains: {})",
            row.name,
            row.summary,
            row.source,
            row.needs.name(),
            row.explains.name()
        ));
    }
    help
}

/// How methods draw and hide what they ask about.
#[derive(Debug, Args)]
struct Sampling {
    /// Orders in which shapley-cam adds the channels, an even number from 2 to 100000; its error,
    /// in the records, falls with the square root [default: 16]
    #[arg(long, value_name = "N", help_heading = "Maps", value_parser = whole::<usize>(2, 100_000))]
    permutations: Option<usize>,

    /// lime-cam fits until the standard error of its channel weights is at most this share of their
    /// norm, 0.01 to 1, or 64 times; 512 sets of channels a fit, two fits at least (--compat
    /// published: one fit to 256 sets) [default: 0.075]
    #[arg(long, value_name = "SHARE", help_heading = "Maps")]
    lime_error: Option<f32>,

    /// Seed of the methods that draw at random (lime-cam, shapley-cam, object-shap) [default: 1]
    #[arg(long, value_name = "N", help_heading = "Maps", value_parser = whole::<u64>(0, u64::MAX))]
    seed: Option<u64>,

    /// Runs of the network for a picture by dnc-shap and object-shap, 2 to 1000000: with more,
    /// smaller rectangles and smaller errors [default: 256]
    #[arg(long, value_name = "N", help_heading = "Maps", value_parser = whole::<usize>(2, 1_000_000))]
    evaluations: Option<usize>,

    /// What dnc-shap and object-shap put in place of what they hide: black (as DnCShap was
    /// released), mean (the picture's mean colour), blur, or surroundings (the colours around it)
    /// [default: surroundings]
    #[arg(long, value_name = "FILL", value_parser = by_name::<HiddenFill>, help_heading = "Maps")]
    fill: Option<HiddenFill>,

    /// What dnc-shap hides: places of the input; of the explained activation, which become 0; or
    /// likewise of the output of a layer by its name: of an AlexNet (EmoNet) conv1 to conv5, before
    /// its ReLU (conv5 is activation), of a Multi-GAP network block1 to block5, of a network of
    /// facial expressions b1 to b5. The map has the layer's own rows and columns [default: input]
    #[arg(long, value_name = "LAYER", value_parser = by_name::<HiddenPlace>, help_heading = "Maps")]
    at_layer: Option<HiddenPlace>,

    /// Regions less confident than this are no players of object-shap; they are background, or
    /// another name of the surer player that they overlap most of; 0 to 1 [default: 0.25]
    #[arg(long, value_name = "SHARE", help_heading = "Maps")]
    player_confidence: Option<f32>,
}

/// A named configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Preset {
    Paper,
    Robust,
}

impl Preset {
    fn configuration(self) -> Config {
        match self {
            Self::Paper => Config::default(),
            Self::Robust => Config::robust(),
        }
    }
}

/// What is looked at, and with which models.
#[derive(Debug, Args)]
pub(super) struct Settings {
    /// Configuration; keys it does not name keep the paper's values (configs/paper.toml lists them
    /// all)
    #[arg(long, value_name = "FILE.toml")]
    config: Option<PathBuf>,

    /// What is not said otherwise: paper, the published system, or robust, Ablation-CAM and of a
    /// box the map's maximum, which is right more often in the single scenes of every drawn world
    /// (configs/robust.toml) [default: paper]
    #[arg(long, value_name = "NAME", value_enum, conflicts_with = "config")]
    preset: Option<Preset>,

    /// Folder of model files that are named without a path [default: $EMOCAM_MODELS, else
    /// ~/.local/share/emocam/models]
    #[arg(long, value_name = "DIR")]
    pub models: Option<PathBuf>,

    /// The detector: Darknet's description of a network [default: yolov3-openimages.cfg, built in],
    /// or a YOLO network as Ultralytics exports it to TorchScript
    #[arg(long, value_name = "FILE.cfg", help_heading = "Detector")]
    detector: Option<String>,

    /// The detector's weights [default: yolov3-openimages.weights]
    #[arg(long, value_name = "FILE", help_heading = "Detector")]
    detector_weights: Option<String>,

    /// Names of the detector's classes, one a line [default: openimages.names, built in]
    #[arg(long, value_name = "FILE", help_heading = "Detector")]
    class_names: Option<String>,

    /// softmax: one label a box (the paper); logistic: every class over the threshold (Darknet)
    /// [default: softmax]
    #[arg(long, value_name = "RULE", value_parser = by_name::<ClassScores>, help_heading = "Detector")]
    class_scores: Option<ClassScores>,

    /// Keep labels more confident than this, 0 to 1 [default: 0.005]
    #[arg(long, value_name = "P", help_heading = "Detector")]
    confidence: Option<f32>,

    /// Suppress boxes of a class that overlap more than this, 0 to 1 [default: 0.005]
    #[arg(long, value_name = "IOU", help_heading = "Detector")]
    nms_iou: Option<f32>,

    /// Run the detector on the picture alone, without bars, its sides rounded up to the network's
    /// stride: a third less arithmetic for photos of 3:2; boxes and confidences change slightly
    /// (scripts/README.md: Rectangular inference)
    #[arg(long, help_heading = "Detector")]
    rect: bool,

    /// Regions from a file in place of the detector: COCO results or a COCO data set, JSON lines;
    /// or those of an earlier RUN
    #[arg(long, value_name = "FILE|RUN", help_heading = "Regions",
        conflicts_with_all = ["detector", "detector_weights"])]
    regions: Option<String>,

    /// The COCO data set whose images and categories a file of COCO results refers to
    #[arg(long, value_name = "FILE", help_heading = "Regions", requires = "regions")]
    regions_dataset: Option<String>,

    /// What of a box that reaches beyond the image counts as its area: canvas (also the black bars
    /// around the image, the paper's) or picture [default: canvas]
    #[arg(long, value_name = "AREA", value_parser = by_name::<BoxArea>, help_heading = "Regions")]
    box_area: Option<BoxArea>,

    /// The explained network: a published checkpoint of EmoNet, safetensors, or any network as a
    /// TorchScript file with its card (scripts/export_model.py; `emocam models check` tells whether
    /// it fits) [default: emonet.pth]
    ///
    /// A TorchScript file is a program: load only what you trust.
    #[arg(long, value_name = "FILE", help_heading = "Emotion model")]
    emotion_weights: Option<String>,

    /// Its mean image as published text [default: img_mean.txt beside the weights, where the
    /// checkpoint needs one]
    #[arg(long, value_name = "FILE", help_heading = "Emotion model")]
    emotion_mean: Option<String>,

    /// Where a network with several places is explained, separated by commas: streams of a
    /// Multi-GAP network, at their last convolutions; b5 (the trunk's last convolution) or sum (of
    /// trunk and branches) of a network of facial expressions; all: each of them, side by side
    /// [default: its first]
    #[arg(long, value_name = "NAME,...", value_delimiter = ',', help_heading = "Emotion model")]
    stream: Option<Vec<String>>,

    /// Class activation maps, separated by commas [default: grad-cam; of explain: paper]
    #[arg(long, value_name = "METHOD,...", value_parser = methods, help_heading = "Maps", long_help = methods_help())]
    cam: Option<Methods>,

    /// Maps of a method from elsewhere (another program, eye tracking, people), taken as one more
    /// method NAME [default: the folder's name]; may be given several times. For the image a/x.jpg
    /// of the corpus the file DIR/a/x.npy or DIR/a/x.jpg.npy, or .safetensors (one tensor, or the
    /// one named `map`), or .png (grey, 8 or 16 bits)
    ///
    /// A map has two dimensions (rows, columns), any size, and covers the whole upright image. It
    /// is finished as all maps are: its positive part, scaled to 0 to 1, brought to the network's
    /// input bilinearly (as the image is: where the network crops the image, the map is resized and
    /// cropped likewise; bars are 0), scaled to 0 to 1 again. An image whose map is missing or
    /// damaged is a row of failures.csv. All files are read once more at the start, for the digest
    /// by which --resume and merge notice changes.
    #[arg(long, value_name = "[NAME=]DIR", help_heading = "Maps")]
    maps: Vec<MapFolder>,

    /// What a map explains: preset (as published for each method), probability or logit; or valence
    /// or arousal, the network's linear regression on the probabilities of all labels, where its
    /// card has one [default: preset]
    #[arg(long, value_name = "SCORE", value_parser = by_name::<Target>, help_heading = "Maps")]
    target: Option<Target>,

    /// Explain why one label and not another: the logit of each image's explained class less that
    /// of LABEL (or INDEX). The map of an image whose class is LABEL itself is flat
    #[arg(long, value_name = "LABEL", help_heading = "Maps")]
    contrast: Option<String>,

    /// What a map shows: positive, what speaks for the score, or negative, what speaks against it
    /// (minus the raw map) [default: positive]
    #[arg(long, value_name = "SIGN", value_parser = by_name::<Sign>, help_heading = "Maps")]
    sign: Option<Sign>,

    /// Whose score a map explains: predicted (each image's own label), or one LABEL or INDEX for
    /// all images [default: predicted]
    #[arg(long, value_name = "CLASS", help_heading = "Maps")]
    class: Option<String>,

    /// The explained activation: pre-relu or post-relu, before or behind the last convolution's
    /// ReLU [default: pre-relu]
    #[arg(long, value_name = "POINT", value_parser = by_name::<LayerPoint>, help_heading = "Maps")]
    layer_point: Option<LayerPoint>,

    /// published: LRP-CAM and LIFT-CAM as the paper's published code computes them, with captum
    /// blind to the fully connected layers, and dnc-shap as it was released, with values that do
    /// not add up; none: as they are defined [default: none]
    #[arg(long, value_name = "CODE", value_parser = by_name::<Compat>, help_heading = "Maps")]
    compat: Option<Compat>,

    /// LRP-CAM's rule: epsilon, gamma or z-plus [default: epsilon]
    #[arg(long, value_name = "RULE", value_parser = by_name::<LrpRule>, help_heading = "Maps")]
    lrp_rule: Option<LrpRule>,

    #[command(flatten)]
    sampling: Sampling,

    /// Leave photos as their pixels lie, whatever their EXIF orientation says (as the published
    /// code does)
    #[arg(long)]
    ignore_exif: bool,

    /// Decode JPEGs much larger than the networks' inputs at 1/2, 1/4 or 1/8 of their size (analyze
    /// and explain; the other commands look at whole photos): faster, and pixels change a little
    /// (scripts/README.md: Fast decoding)
    #[arg(long)]
    fast_decode: bool,

    #[command(flatten)]
    association: Association,

    #[command(flatten)]
    compute: Compute,
}

/// How the networks compute.
#[derive(Debug, Args)]
#[command(next_help_heading = "Computing")]
pub(super) struct Compute {
    /// auto (the first GPU when CUDA works, else the CPU), cpu, cuda, cuda:N, or of analyze several
    /// GPUs: cuda:0,1
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub device: DeviceChoice,

    /// Inside the detector, behind missing channels and for Score-CAM's masked images (bf16), and
    /// in evaluate's answers for changed images: f32, bf16 (half the time on some processors, more
    /// on others), f16, or of analyze auto: bf16 where a second of measuring finds it clearly
    /// faster [default: f32]
    #[arg(long, value_name = "FORMAT", value_parser = precision_choice)]
    precision: Option<PrecisionChoice>,

    /// Images a batch, 1 to 4096, never more than there are; costs about 0.3 GB each with YOLOv3,
    /// and is halved where that does not fit; a GPU wants 32 or so [default: 4]
    #[arg(long, value_name = "N", value_parser = whole::<usize>(1, 4096))]
    batch: Option<usize>,

    /// Threads that read and resize images, 1 to 1024 [default: all cores]. The networks' threads
    /// follow OMP_NUM_THREADS
    #[arg(long, value_name = "N", value_parser = whole::<u16>(1, MOST_THREADS))]
    threads: Option<u16>,
}

/// Changes what a map explains.
fn set_score(
    cam: &mut CamConfig,
    target: Option<Target>,
    contrast: Option<String>,
    sign: Option<Sign>,
    class: Option<String>,
) {
    set(&mut cam.target, target);
    set(&mut cam.contrast, contrast);
    set(&mut cam.sign, sign);
    set(&mut cam.class, class.map(ClassChoice::from));
}

/// What a command needs besides the configuration.
#[derive(Debug)]
pub(super) struct Machine {
    /// The models folder.
    pub models: PathBuf,
    /// As asked for.
    pub device: DeviceChoice,
    /// Whether the detector's number format is to be measured.
    pub measures_precision: bool,
    /// Decode threads.
    pub threads: usize,
}

impl Settings {
    /// [`Settings::resolve_or`] with the methods of the paper.
    pub(super) fn resolve_or_paper_methods(self) -> anyhow::Result<(Config, Machine)> {
        self.resolve_or(Method::paper())
    }

    /// As [`Settings::resolve`], with those of `methods` that the network is open to and that can
    /// explain what is asked for, where neither `--cam` nor a configuration says which.
    pub(super) fn resolve_or(self, methods: Vec<Method>) -> anyhow::Result<(Config, Machine)> {
        let open = self.cam.is_none() && self.config.is_none() && self.preset.is_none();
        let (mut config, machine) = self.resolve()?;
        if open {
            config.cam.methods = methods;
            let options = config.cam.options();
            config.cam.methods.retain(|method| method.can_explain(&options));
            if load::is_opaque(&config, &machine.models) {
                config.cam.methods.retain(|method| method.row().needs != Needs::Layers);
            }
        }
        Ok((config, machine))
    }

    /// Preset, file and flags together.
    pub(super) fn resolve(self) -> anyhow::Result<(Config, Machine)> {
        // Every field by name: an option that is not applied does not compile.
        let Self {
            config,
            preset,
            models,
            detector,
            detector_weights,
            class_names,
            class_scores,
            confidence,
            nms_iou,
            rect,
            regions,
            regions_dataset,
            box_area,
            emotion_weights,
            emotion_mean,
            stream,
            cam,
            maps,
            target,
            contrast,
            sign,
            class,
            layer_point,
            compat,
            lrp_rule,
            sampling,
            ignore_exif,
            fast_decode,
            association,
            compute,
        } = self;
        let mut resolved = match (config, preset) {
            (Some(file), _) => Config::load(&file)?,
            (None, preset) => preset.unwrap_or(Preset::Paper).configuration(),
        };
        set(&mut resolved.detector.cfg, detector);
        set(&mut resolved.detector.weights, detector_weights);
        set(&mut resolved.detector.names, class_names);
        set(&mut resolved.detector.class_scores, class_scores);
        set(&mut resolved.detector.confidence, confidence);
        set(&mut resolved.detector.nms_iou, nms_iou);
        set(&mut resolved.regions.file, regions);
        set(&mut resolved.regions.dataset, regions_dataset);
        set(&mut resolved.regions.box_area, box_area);
        set(&mut resolved.emotion.weights, emotion_weights);
        set(&mut resolved.emotion.mean, emotion_mean);
        set(&mut resolved.cam.streams, stream);
        set(&mut resolved.cam.methods, cam.map(|Methods(methods)| methods));
        set(&mut resolved.cam.maps, (!maps.is_empty()).then_some(maps));
        set_score(&mut resolved.cam, target, contrast, sign, class);
        set(&mut resolved.cam.layer_point, layer_point);
        set(&mut resolved.cam.compat, compat);
        set(&mut resolved.cam.lrp_rule, lrp_rule);
        sampling.apply(&mut resolved.cam);
        resolved.detector.rect |= rect;
        resolved.corpus.ignore_exif |= ignore_exif;
        resolved.corpus.fast_decode |= fast_decode;
        association.apply(&mut resolved.association);
        let machine = compute.apply(&mut resolved, models.as_deref());
        if resolved.cam.streams == ["all"] {
            resolved.cam.streams = load::streams(&resolved, &machine.models)?;
        }
        resolved.check()?;
        nn::share_no_heap_on_gpu(&machine.device);
        Ok((resolved, machine))
    }
}

impl Sampling {
    /// Changes what was given in `cam`.
    fn apply(self, cam: &mut CamConfig) {
        let Self { permutations, lime_error, seed, evaluations, fill, at_layer, player_confidence } =
            self;
        set(&mut cam.permutations, permutations);
        set(&mut cam.lime_error, lime_error);
        set(&mut cam.seed, seed);
        set(&mut cam.evaluations, evaluations);
        set(&mut cam.fill, fill);
        set(&mut cam.at_layer, at_layer);
        set(&mut cam.player_confidence, player_confidence);
    }
}

impl Compute {
    /// Changes what was given in `config`; the rest is the machine's.
    fn apply(self, config: &mut Config, models: Option<&Path>) -> Machine {
        let Self { device, precision, batch, threads } = self;
        if let Some(PrecisionChoice::Given(precision)) = precision {
            config.compute.precision = precision;
        }
        set(&mut config.compute.batch, batch);
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        let models = emocam::models::folder(models);
        let measures_precision = precision == Some(PrecisionChoice::Measured);
        Machine {
            models,
            device,
            measures_precision,
            threads: threads.map_or_else(cores, usize::from),
        }
    }
}
