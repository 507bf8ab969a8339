//! One file a subcommand: help, arguments, run. The only room that knows clap, anyhow and the
//! terminal.
//!
//! stdout is data, stderr is messages and progress. Exit status 0: everything done; 1: finished,
//! but some pictures failed; 2: could not run; 130: stopped by Ctrl-C, to be continued with
//! `--resume`.

/// A line on stderr. Unlike `eprintln!` it does not end a pass of many hours when nobody reads
/// stderr any more, as after `2>&1 | head` or when the terminal has gone.
macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), "{}", $crate::cli::printable(&format!($($text)*)));
    }};
}

/// A text without what would command the terminal: names of files and members of tars are
/// anybody's.
pub(crate) fn printable(text: &str) -> std::borrow::Cow<'_, str> {
    let commands = |letter: char| letter.is_control() && !matches!(letter, '\n' | '\t');
    match text.contains(commands) {
        true => text.replace(commands, "\u{fffd}").into(),
        false => text.into(),
    }
}

/// An error's text: printable, and of lines that are too long, as a whole file echoed by a parser,
/// the beginning.
pub(crate) fn printable_error(error: &anyhow::Error) -> String {
    const MOST_LETTERS: usize = 1000;
    let text = format!("{error:#}");
    let shortened = |line: &str| match line.char_indices().nth(MOST_LETTERS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_string(),
    };
    printable(&text.lines().map(shortened).collect::<Vec<_>>().join("\n")).into_owned()
}

mod analyze;
mod associate;
mod association;
mod bench;
mod classify;
mod compare;
mod corpus;
mod demo;
mod embed;
mod evaluate;
mod experiment;
mod explain;
mod export;
mod filters;
mod labels;
mod merge;
mod models;
mod output;
mod paste;
mod precision;
mod progress;
mod remove;
mod report;
mod rsa;
mod session;
mod settings;
mod shard;
mod train;
mod validate;
mod values;
mod world;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use std::io::Write;
use std::process::ExitCode;

const AFTER_HELP: &str = "\
Examples:
  emocam demo                            everything on drawn scenes, nothing to download; results in emocam-demo/
  emocam models fetch                    the published weights, about 500 MB
  emocam analyze photos                  the paper's configuration; results in photos-emocam/
  emocam analyze photos --cam paper      all five methods of the paper in one pass
  emocam associate photos-emocam --importance 0.5 --top 40
  emocam report photos-emocam            a page of the run to read, click through and send on
  emocam explain photos/dog.jpg          maps of the paper's five methods side by side, in explained/
  emocam rsa photos-emocam               do the methods agree?
  emocam compare old-emocam new-emocam   what differs between two runs, image by image and cell by cell
  emocam evaluate photos --cam paper     which of the methods tell what the model does
  emocam paste photos --object ball.png  does the label change when a ball lies in the photo, and where?
  emocam embed emonet.pth photos --out e are labels apart among a layer's features, and domains together?
  emocam remove photos                   does the answer change when a detected object is taken away?

Exit status: 0 everything done; 1 finished, some images failed (failures.csv); 2 could not run; 130 stopped by Ctrl-C
(continue with --resume).";

/// What in the pictures drives the answers of an image-emotion network?
///
/// `analyze` runs an object detector and an emotion network over a corpus of images, asks a class
/// activation map which detected objects the answer rests on, and counts which objects go with
/// which emotion. `associate` asks the records of such a run again, with other thresholds, in a
/// moment. `explain` shows single photos: maps, boxes, ranking.
#[derive(Debug, Parser)]
#[command(
    version,
    max_term_width = 110,
    after_help = AFTER_HELP
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Analyze(analyze::Args),
    Associate(associate::Args),
    Classify(classify::Args),
    Compare(compare::Args),
    Evaluate(evaluate::Args),
    Paste(paste::Args),
    #[command(hide = true)]
    BenchDetector(bench::Args),
    Demo(demo::Args),
    Embed(embed::Args),
    Explain(explain::Args),
    Export(export::Args),
    Merge(merge::Args),
    #[command(subcommand)]
    Models(models::Command),
    Remove(remove::Args),
    Report(report::Args),
    Rsa(rsa::Args),
    #[command(subcommand)]
    Train(train::TrainCommand),
    #[command(hide = true)]
    TrainDemo(train::demo::Args),
    Validate(validate::Args),
    World(world::Args),
    /// Print a completion script for a shell
    ///
    /// For instance `emocam completions bash > ~/.local/share/bash-completion/completions/emocam`.
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Runs the command line.
pub(crate) fn run() -> anyhow::Result<ExitCode> {
    let matches = with_negative_numbers(Cli::command()).get_matches();
    run_command(Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit()).command)
}

/// The command, whose options take a negative number for a value: what is wrong with `--confidence
/// -1` is its range, not an argument `-1`.
fn with_negative_numbers(command: clap::Command) -> clap::Command {
    let takes_value = |arg: &clap::Arg| !arg.is_positional() && arg.get_action().takes_values();
    let negative =
        |arg: clap::Arg| if takes_value(&arg) { arg.allow_negative_numbers(true) } else { arg };
    command.mut_args(negative).mut_subcommands(with_negative_numbers)
}

/// Runs `emocam ARGUMENTS...` in this process.
fn run_arguments(arguments: &[&str]) -> anyhow::Result<ExitCode> {
    run_command(Cli::try_parse_from(["emocam"].iter().chain(arguments))?.command)
}

fn run_command(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Analyze(args) => analyze::run(args),
        Command::Associate(args) => associate::run(&args),
        Command::Classify(args) => classify::run(args),
        Command::Compare(args) => compare::run(&args),
        Command::Evaluate(args) => evaluate::run(args),
        Command::Paste(args) => paste::run(args),
        Command::BenchDetector(args) => bench::run(args),
        Command::Demo(args) => demo::run(&args),
        Command::Embed(args) => embed::run(&args),
        Command::Explain(args) => explain::run(args),
        Command::Export(args) => export::run(args),
        Command::Merge(args) => merge::run(args),
        Command::Models(command) => models::run(command),
        Command::Remove(args) => remove::run(args),
        Command::Report(args) => report::run(&args),
        Command::Rsa(args) => rsa::run(args),
        Command::Train(command) => train::run(command),
        Command::TrainDemo(args) => train::demo::run(&args),
        Command::Validate(args) => validate::run(args),
        Command::World(args) => world::run(args),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "emocam", &mut script);
            std::io::stdout().lock().write_all(&script)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Whether the reader of stdout has gone, as `head` does when it has seen enough: no failure.
pub(crate) fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|cause| cause.kind() == std::io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_said_commands_the_terminal() {
        assert_eq!(printable("a\u{1b}[31mb\u{7}\tc\nd"), "a\u{fffd}[31mb\u{fffd}\tc\nd");
        assert_eq!(printable("übung"), "übung");
        let text = printable_error(&anyhow::anyhow!("{}\nshort", "x".repeat(200_000)));
        assert!(text.len() < 1100 && text.ends_with("…\nshort"), "{}", text.len());
    }

    #[test]
    fn the_command_line_is_consistent() {
        with_negative_numbers(Cli::command()).debug_assert();
    }

    #[test]
    fn a_negative_number_is_a_value_that_is_out_of_range() {
        let parsed = |arguments: &[&str]| {
            with_negative_numbers(Cli::command()).try_get_matches_from(arguments)
        };
        assert!(
            parsed(&["emocam", "analyze", "photos", "--confidence", "-1"]).is_ok(),
            "the configuration refuses it"
        );
        let refused =
            parsed(&["emocam", "analyze", "photos", "--batch", "-1"]).unwrap_err().to_string();
        assert!(refused.contains("should be a whole number from 1 to 4096, found -1"), "{refused}");
    }

    /// Calls `look` for every option of a command and the commands below it, with the words that
    /// lead there.
    fn for_each_option(
        command: &clap::Command,
        words: &[String],
        look: &mut impl FnMut(&[String], &clap::Arg),
    ) {
        let words = [words, &[command.get_name().to_string()]].concat();
        command
            .get_arguments()
            .filter(|arg| arg.get_long().is_some())
            .for_each(|arg| look(&words, arg));
        command.get_subcommands().for_each(|below| for_each_option(below, &words, look));
    }

    #[test]
    fn the_help_of_every_number_says_its_upper_limit() {
        let (command, mut limits) = (with_negative_numbers(Cli::command()), 0);
        for_each_option(&command, &[], &mut |words, arg| {
            let is_number = arg
                .get_value_names()
                .is_some_and(|names| names.iter().any(|name| name == "N" || name == "MB"));
            let is_hidden =
                words.iter().any(|word| ["bench-detector", "train-demo"].contains(&word.as_str()));
            if !is_number
                || is_hidden
                || ["perplexity", "labelled"].contains(&arg.get_id().as_str())
            {
                return;
            }
            let flag = format!("--{}", arg.get_long().unwrap());
            let given: Vec<&str> = words
                .iter()
                .map(String::as_str)
                .chain([flag.as_str(), "99999999999999999999999"])
                .collect();
            let said = with_negative_numbers(Cli::command())
                .try_get_matches_from(&given)
                .unwrap_err()
                .to_string();
            let range = said
                .split("should be a whole number from ")
                .nth(1)
                .unwrap_or_else(|| panic!("{given:?}: {said}"));
            let range = range.split(',').next().unwrap();
            let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
            let long = arg.get_long_help().map(ToString::to_string).unwrap_or_default();
            if let Some(most) = range.split(" to ").nth(1) {
                limits += 1;
                assert!(
                    help.contains(most) || long.contains(most),
                    "{given:?}: {range} is not in `{help}`"
                );
            }
        });
        assert!(limits > 15, "{limits} numbers with an upper limit");
    }
}
