//! The pass over a corpus: a few pictures after the others, in the pass that every command uses.

use super::{Evaluation, Judge, JudgingNetworks, Seconds};
use crate::Result;
use crate::corpus::Source;
use crate::pipeline::{Pass, PassProgress};
use crate::run::Failure;
use std::sync::atomic::AtomicBool;

/// Judges `sources` in their order, decoded on `threads` threads, until all are done or `stop` is set; `report` is told
/// after each how far the pass is. Returns what was found, the failures, and where the time went.
///
/// # Errors
/// A network cannot be run.
pub fn run(
    judge: &Judge<'_>,
    networks: &mut JudgingNetworks,
    sources: &[Source],
    threads: usize,
    stop: &AtomicBool,
    report: &mut dyn FnMut(PassProgress),
) -> Result<(Evaluation, Vec<Failure>, Seconds)> {
    let (mut evaluation, mut seconds) = (Evaluation::new(judge), Seconds::default());
    let batch = networks.pictures();
    let workers = std::slice::from_mut(networks);
    let pass = Pass { stage: judge, items: sources, workers, batch, threads, stop };
    let (failures, _) = pass.run(&mut |done, progress| {
        for picture in done {
            let (judged, spent) = picture.outcome;
            seconds.add(spent);
            evaluation.add(judged);
        }
        report(progress);
        Ok(())
    })?;
    Ok((evaluation, failures, seconds))
}
