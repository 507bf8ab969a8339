//! `emocam demo`: the whole tool on drawn scenes, with the models that come with it.

use super::run_arguments;
use super::values::whole;
use anyhow::Context;
use emocam::Error;
use emocam::associate::{Columns, Matrices, matrices};
use emocam::config::{AssociationConfig, Config};
use emocam::demo::{DemoNetworks, to_toml, use_models};
use emocam::files::write_bytes;
use emocam::run::Run;
use emocam::world::{CLASSES, Cause, LABELS, Scene, Style, Variant, graph};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Which stream of scenes: not that of the models' training.
const SEED: u64 = 2;

/// Scenes whose maps are shown one by one: the first of each of these labels.
const EXPLAINED: [&str; 4] = ["Joy", "Fear", "Craving", "Excitement"];

/// A class is detected, for the comparison with detections alone, over this confidence.
const DETECTED: f32 = 0.5;

/// A cause is found when its class is among so many of its label's column.
const TOP: usize = 3;

/// See the whole tool work on drawn scenes whose causes are known; nothing to download, a minute or
/// so
///
/// Draws scenes, analyses them with the five methods of the paper, compares the methods, explains a
/// few scenes, and says whether the planted causes were found. The models are small networks that
/// come with the program and know nothing but these scenes: they are not EmoNet. Every step is a
/// command of its own, which is printed.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Write here; the folder must be new or empty
    #[arg(long, value_name = "DIR", default_value = "emocam-demo")]
    out: PathBuf,

    /// Scenes to draw, 50 to 99999
    #[arg(long, value_name = "N", default_value_t = 300, value_parser = whole::<u64>(50, 99_999))]
    scenes: u64,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let Args { out, scenes } = args;
    std::fs::create_dir_all(out).map_err(Error::io("create", out))?;
    let mut entries = std::fs::read_dir(out).map_err(Error::io("read", out))?;
    anyhow::ensure!(
        entries.next().is_none(),
        "{} is not empty: remove it, or name another folder with --out",
        out.display()
    );
    let path = |name: &str| out.join(name).display().to_string();
    let (pictures, run, config_file) = (path("scenes"), path("run"), path("demo.toml"));
    let mut config = Config::default();
    use_models(&mut config, &out.join("models"), DemoNetworks::default())?;
    write_bytes(&out.join("demo.toml"), to_toml(&config).as_bytes())?;

    let (scenes_text, seed) = (scenes.to_string(), SEED.to_string());
    let shown = explained(*scenes, &out.join("scenes"));
    let mut explain = vec!["explain"];
    explain.extend(shown.iter().map(String::as_str));
    let explained = path("explained");
    explain.extend(["--config", &config_file, "--cam", "paper", "--device", "cpu"]);
    explain.extend(["--corpus", &pictures, "--out", &explained]);
    let steps: [&[&str]; 5] = [
        &["world", "--scenes", &scenes_text, "--seed", &seed, "--out", &pictures],
        &[
            "analyze",
            &pictures,
            "--config",
            &config_file,
            "--cam",
            "paper",
            "--device",
            "cpu",
            "--out",
            &run,
        ],
        &["rsa", &run, "--resamples", "500"],
        &explain,
        &[
            "report",
            &run,
            "--compute-maps",
            "--device",
            "cpu",
            "--examples",
            "2",
            "--example-labels",
            "3",
        ],
    ];
    for arguments in steps {
        if !step(arguments)? {
            say!(
                "stopped; what was done lies in {}: remove it, or name another folder with --out",
                out.display()
            );
            return Ok(ExitCode::from(130));
        }
    }
    let summary = summary(&Run::open(&out.join("run"))?, out)?;
    std::io::stdout().lock().write_all(summary.as_bytes()).context("cannot write to stdout")?;
    Ok(ExitCode::SUCCESS)
}

/// Prints and runs a command of `emocam`; `false`: Ctrl-C stopped it.
fn step(arguments: &[&str]) -> anyhow::Result<bool> {
    say!("\n$ emocam {}", arguments.join(" "));
    let status = run_arguments(arguments)?;
    if status == ExitCode::from(130) {
        return Ok(false);
    }
    anyhow::ensure!(status == ExitCode::SUCCESS, "`emocam {}` did not finish", arguments[0]);
    Ok(true)
}

/// The first scene of each of the labels in `EXPLAINED`.
fn explained(scenes: u64, folder: &Path) -> Vec<String> {
    let first = |label: &&str| {
        let label = LABELS.iter().position(|name| name == label);
        let number = (0..scenes).find(|&number| {
            graph().label(&Scene::draw(graph(), SEED, number, Style::Standard)) == label
        })?;
        Some(folder.join(format!("scene-{number:05}.png")).display().to_string())
    };
    EXPLAINED.iter().filter_map(first).collect()
}

/// What was planted and what was found: a line a cause, with the rank of its class in its label's
/// column.
fn summary(run: &Run, out: &Path) -> anyhow::Result<String> {
    let rule = &run.manifest.configuration.association;
    let found = matrices(run, rule, Columns::Answers)?;
    let detected = AssociationConfig {
        importance: f32::NEG_INFINITY,
        min_confidence: DETECTED,
        ..rule.clone()
    };
    let detected = matrices(run, &detected, Columns::Answers)?;
    let mut names = vec!["detected"];
    names.extend(found.methods().iter().map(|(name, _)| name.as_str()));
    let ranks = |cause: &Cause| -> Vec<Option<usize>> {
        let (_, alone) = &detected.methods()[0];
        let by_method = found.methods().iter().map(|(_, counts)| counts);
        std::iter::once(alone)
            .chain(by_method)
            .map(|counts| counts.rank(cause.class, cause.label))
            .collect()
    };
    let all: Vec<(&Cause, Vec<Option<usize>>)> =
        graph().causes.iter().map(|cause| (cause, ranks(cause))).collect();

    let mut text = String::new();
    writeln!(
        text,
        "\nWhat was planted, and its rank among the {} classes of its column:\n",
        found.classes().len()
    )?;
    write!(text, "{:<23} {:<21}", "emotion", "caused by")?;
    names.iter().for_each(|name| text.push_str(&format!(" {name:>12}")));
    text.push('\n');
    for (cause, ranks) in &all {
        write!(text, "{:<23} {:<21}", LABELS[cause.label], named(cause))?;
        for rank in ranks {
            write!(text, " {:>12}", rank.map_or("none".into(), |rank| rank.to_string()))?;
        }
        text.push('\n');
    }
    let within = |at: usize| {
        all.iter().filter(|(_, ranks)| ranks[at].is_some_and(|rank| rank <= TOP)).count()
    };
    write!(text, "{:<45}", format!("among the first {TOP}, of {}", all.len()))?;
    (0..names.len()).for_each(|index| text.push_str(&format!(" {:>12}", within(index))));
    text.push_str("\n\n\"detected\" counts objects wherever the map is. Look at\n");
    text.push_str(&places(&found, out));
    Ok(text)
}

fn named(cause: &Cause) -> String {
    match cause.variant {
        Variant::Plain => CLASSES[cause.class].to_string(),
        variant => format!("{}, {}", CLASSES[cause.class], variant.name()),
    }
}

/// Where to look, and what to do next.
fn places(found: &Matrices, out: &Path) -> String {
    let file = |name: &str| out.join(name).display().to_string();
    let first = found.methods().first().map_or("grad-cam", |(name, _)| name);
    format!(
        "  {}  all of it as a page\n  {}  which objects go with which emotion\n  {}  whether the \
         methods agree\n  {}  single scenes\n  {}  what causes what\n`emocam validate` measures \
         with interventions how right the maps are. The models know nothing but these \
         drawn\nscenes; for photos: `emocam models fetch`, `emocam analyze photos`.\n",
        file("run/report/index.html"),
        file(&format!("run/{first}/heatmap.png")),
        file("run/rsa/heatmap.png"),
        file("explained"),
        file("scenes/graph.json")
    )
}
