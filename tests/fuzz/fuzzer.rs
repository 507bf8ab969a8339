//! One target fuzzed: inputs made, read and measured; what is new is kept as a seed of others, what
//! must not be as a finding.

use crate::measure::{Measured, measure};
use crate::mutate::{MOST_SEED_BYTES, Mutator};
use crate::readers::{Outcome, Reader};
use std::collections::{BTreeSet, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// An input of less than 1 MiB may take as much memory.
pub(crate) const MOST_MEMORY: usize = 1 << 30;

/// And as much processor time.
pub(crate) const MOST_SECONDS: f64 = 2.0;

/// So long a finding is made smaller.
const ENOUGH: Duration = Duration::from_secs(20);

/// So many inputs with a new outcome become seeds.
const MOST_SEEDS: usize = 600;

/// What must not be.
pub(crate) struct Finding {
    /// `panic`, `memory` or `time`.
    pub kind: &'static str,
    /// The panic's place and words, or the figures.
    pub message: String,
    /// The input, made as small as it gets in a while.
    pub input: Vec<u8>,
}

/// What came of the inputs of a target.
#[derive(Default)]
pub(crate) struct Tally {
    /// Inputs that were read.
    pub inputs: u64,
    /// Those that the reader took.
    pub taken: u64,
    /// Different outcomes, by their wording.
    pub outcomes: usize,
    /// Panics of others' code that the program caught.
    pub caught: u64,
    /// The most processor time of an input, in seconds.
    pub slowest: f64,
    /// The most memory of an input, in bytes.
    pub largest: usize,
    /// What must not be, once a kind and place.
    pub findings: Vec<Finding>,
}

/// A target with its inputs.
pub(crate) struct Fuzzer {
    reader: &'static Reader,
    path: PathBuf,
    mutator: Mutator,
    corpus: Vec<Vec<u8>>,
    outcomes: HashSet<u64>,
    known: BTreeSet<String>,
    tally: Tally,
}

impl Fuzzer {
    /// Of a reader, whose files lie in `folder`; reads its seeds and all cases that were found
    /// before.
    pub(crate) fn new(reader: &'static Reader, seed: u64, folder: &Path) -> Self {
        (reader.beside)(folder);
        let mut fuzzer = Self {
            reader,
            path: folder.join(reader.file),
            mutator: Mutator::new(reader.kind, seed, reader.name),
            corpus: (reader.seeds)(),
            outcomes: HashSet::new(),
            known: BTreeSet::new(),
            tally: Tally::default(),
        };
        let seeds = fuzzer.corpus.clone();
        for bytes in seeds.iter().chain(&found(reader)) {
            fuzzer.take(bytes);
        }
        fuzzer
    }

    /// What came of all inputs so far.
    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Makes and reads one more input.
    pub(crate) fn step(&mut self) {
        let input = self.mutator.input(&self.corpus);
        self.take(&input);
    }

    fn read(&self, input: &[u8]) -> Measured<Outcome> {
        std::fs::write(&self.path, input).unwrap();
        measure(self.reader.native, || (self.reader.read)(&self.path))
    }

    fn take(&mut self, input: &[u8]) {
        let mut measured = self.read(input);
        if let Some((kind, message)) = fault(&measured) {
            // Others' work on the machine may have been counted: only what is there again counts.
            let again = self.read(input);
            match fault(&again) {
                Some((other, _)) if other == kind => self.keep(kind, message, input),
                _ => measured = again,
            }
        }
        let tally = &mut self.tally;
        tally.inputs += 1;
        tally.slowest = tally.slowest.max(measured.seconds);
        tally.largest = tally.largest.max(measured.bytes);
        if let Ok(outcome) = measured.result {
            tally.caught += measured.panics;
            tally.taken += u64::from(outcome.is_ok());
            if self.outcomes.insert(signature(&outcome)) {
                tally.outcomes += 1;
                if input.len() <= MOST_SEED_BYTES && self.corpus.len() < MOST_SEEDS {
                    self.corpus.push(input.to_vec());
                }
            }
        }
    }

    fn keep(&mut self, kind: &'static str, message: String, input: &[u8]) {
        // Of panics each place, of what takes too much the first few.
        let place = if kind == "panic" {
            message.lines().next().unwrap_or_default().to_string()
        } else {
            kind.into()
        };
        let number = self.tally.findings.iter().filter(|finding| finding.kind == kind).count();
        if number < 5 && (kind != "panic" || self.known.insert(place)) {
            let input = self.smaller(kind, input.to_vec());
            self.tally.findings.push(Finding { kind, message, input });
        }
    }

    /// Leaves out what is not needed for the finding.
    fn smaller(&self, kind: &str, mut input: Vec<u8>) -> Vec<u8> {
        let start = Instant::now();
        let mut size = input.len() / 2;
        while size > 0 {
            let mut from = 0;
            while from < input.len() && start.elapsed() < ENOUGH {
                let to = (from + size).min(input.len());
                let less = [&input[..from], &input[to..]].concat();
                match fault(&self.read(&less)) {
                    Some((same, _)) if same == kind => input = less,
                    _ => from = to,
                }
            }
            size /= 2;
        }
        input
    }
}

/// What is wrong with it, if something is.
pub(crate) fn fault(measured: &Measured<Outcome>) -> Option<(&'static str, String)> {
    match &measured.result {
        Err(message) => Some(("panic", message.clone())),
        _ if measured.bytes > MOST_MEMORY => {
            Some(("memory", format!("{} bytes of memory", measured.bytes)))
        }
        _ if measured.seconds > MOST_SECONDS => {
            Some(("time", format!("{:.1} s", measured.seconds)))
        }
        _ => None,
    }
}

/// Of an error its wording, without numbers and names; of what is read how much it is, roughly.
fn signature(outcome: &Outcome) -> u64 {
    let mut hasher = DefaultHasher::new();
    match outcome {
        Ok(much) => much.ilog2_or_zero().hash(&mut hasher),
        Err(message) => {
            let plain = message.split(['`', '"', '\'']).step_by(2).flat_map(str::chars);
            plain
                .filter(|letter| letter.is_ascii_alphabetic())
                .take(200)
                .for_each(|letter| letter.hash(&mut hasher));
        }
    }
    hasher.finish()
}

trait Roughly {
    fn ilog2_or_zero(self) -> u32;
}

impl Roughly for usize {
    fn ilog2_or_zero(self) -> u32 {
        self.checked_ilog2().map_or(0, |log| log + 1)
    }
}

/// The committed cases of a reader.
pub(crate) fn found(reader: &Reader) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/found").join(reader.name);
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}
