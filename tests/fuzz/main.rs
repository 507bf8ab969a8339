//! Mutational fuzzing of every reader of files: no panic, no end of the process, and of an input of
//! less than 1 MiB never more than 1 GiB of memory or 2 s of processor time.
//!
//! `cargo test` reads some thousands of inputs a reader, the same ones every time, and every case
//! that was ever found. `scripts/fuzz [target] [minutes]` goes on for as long as it is told, in
//! processes of their own.

// The lint's exception for tests does not reach their helper functions.
#![allow(clippy::unwrap_used)]

mod campaign;
#[path = "../suite/common/mod.rs"]
#[allow(dead_code, reason = "fuzzing uses a part of it")]
mod common;
mod fuzzer;
mod measure;
mod mutate;
mod readers;
mod repair;
mod runs;
mod seeds;

use fuzzer::Fuzzer;
use measure::{Counting, count_panics};
use readers::{READERS, named};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Inputs a reader in `cargo test`: about two minutes for all.
const INPUTS: u64 = 5000;

/// Where the test's inputs come from.
const SEED: u64 = 17;

/// One test for all readers: time and memory are those of the process, which no other test may
/// share at the time.
#[test]
fn readers_stand_what_is_broken() {
    let _runs = runs::make_runs();
    let hook = std::panic::take_hook();
    count_panics();
    let mut faults = Vec::new();
    for reader in &READERS {
        let folder = campaign::scratch();
        let mut fuzzer = Fuzzer::new(reader, SEED, folder.path());
        let of_seeds = fuzzer.tally().taken;
        (0..INPUTS).for_each(|_| fuzzer.step());
        let tally = fuzzer.tally();
        println!(
            "{}: {} of {} inputs are read, {} outcomes, at most {:.3} s and {} bytes",
            reader.name, tally.taken, tally.inputs, tally.outcomes, tally.slowest, tally.largest
        );
        let mut fault = |text: String| faults.push(format!("{}: {text}", reader.name));
        tally
            .findings
            .iter()
            .for_each(|finding| fault(format!("{}: {}", finding.kind, finding.message)));
        // Else the inputs do not get behind the door.
        if of_seeds == 0 || tally.taken == of_seeds || tally.outcomes < 4 {
            fault(format!(
                "{of_seeds} seeds and {} inputs are read, {} outcomes",
                tally.taken, tally.outcomes
            ));
        }
    }
    std::panic::set_hook(hook);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
#[should_panic(expected = "no target nothing; there are checkpoint, ")]
fn a_target_that_is_not_there_is_refused_with_those_that_are() {
    named("nothing");
}

#[test]
#[ignore = "scripts/fuzz runs it"]
fn campaign() {
    assert!(campaign::run(), "something was found");
}

#[test]
#[ignore = "a process of scripts/fuzz"]
fn worker() {
    campaign::work();
}
