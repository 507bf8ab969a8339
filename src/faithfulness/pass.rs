//! One picture of the corpus after the other, the next ones decoded meanwhile.

use super::{Evaluation, Judge, Seconds};
use crate::corpus::{DecodeOptions, Source};
use crate::pipeline::in_one_line;
use crate::run::Failure;
use crate::Result;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;

/// Pictures decoded ahead.
const AHEAD: usize = 2;

/// Judges `sources` in their order until all are done or `stop` is set; `report` is told after each how many are done and
/// how many have failed. Returns what was found, the failures, and where the time went.
///
/// # Errors
/// A network cannot be run.
pub fn run(
    judge: &Judge<'_>,
    sources: &[Source],
    options: &DecodeOptions,
    stop: &AtomicBool,
    report: &mut dyn FnMut(usize, usize),
) -> Result<(Evaluation, Vec<Failure>, Seconds)> {
    let (mut evaluation, mut failures, mut seconds) = (Evaluation::new(judge), Vec::new(), Seconds::default());
    std::thread::scope(|scope| {
        let (sender, receiver) = sync_channel(AHEAD);
        scope.spawn(move || {
            for source in sources {
                if sender.send(source.decode(options)).is_err() {
                    return;
                }
            }
        });
        for source in sources {
            match receiver.recv().expect("the decoding thread sends every picture") {
                Ok(picture) => evaluation.add(judge.judge(&picture.pixels, &source.path, &mut seconds)?),
                Err(error) => failures.push(Failure {
                    path: source.path.clone(),
                    stage: "decode".into(),
                    cause: in_one_line(&error),
                }),
            }
            report(evaluation.pictures().len(), failures.len());
            if stop.load(Ordering::Relaxed) {
                break;
            }
        }
        Ok((evaluation, failures, seconds))
    })
}
