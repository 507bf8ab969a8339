//! A long campaign: every target in a process of its own, so that one that ends its process is a
//! finding and not the end.
//!
//! What is asked for stands in environment variables that `scripts/fuzz` sets; without them nothing
//! here runs.

#![allow(clippy::print_stdout, reason = "its table is what scripts/fuzz is called for")]

use crate::fuzzer::{Fuzzer, Tally};
use crate::measure::{count_panics, limit_memory};
use crate::readers::{READERS, Reader, named};
use crate::runs;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Which targets: names with commas between, or `all`.
const TARGETS: &str = "EMOCAM_FUZZ_TARGETS";
/// For how many minutes, all together.
const MINUTES: &str = "EMOCAM_FUZZ_MINUTES";
/// Where findings go.
const OUT: &str = "EMOCAM_FUZZ_OUT";
/// The number from which all randomness comes.
const SEED: &str = "EMOCAM_FUZZ_SEED";
/// How many targets at a time.
const JOBS: &str = "EMOCAM_FUZZ_JOBS";
/// The target of a worker process.
const TARGET: &str = "EMOCAM_FUZZ_TARGET";
/// Its seconds.
const SECONDS: &str = "EMOCAM_FUZZ_SECONDS";

/// What a worker may take of the machine before it is refused more.
const WORKER_BYTES: u64 = 8 << 30;

/// After so long on one input a worker ends itself.
const HANGS: Duration = Duration::from_secs(120);

/// So often a target whose process ended is begun again.
const RESTARTS: u64 = 20;

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn number(name: &str, default: f64) -> f64 {
    variable(name).map_or(default, |text| {
        text.parse().unwrap_or_else(|_| panic!("{name}: {text} is no number"))
    })
}

/// A folder in memory where there is one: every input is a file.
pub(crate) fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.unwrap()
}

/// A worker's part: fuzzes one target and writes its figures from time to time.
pub(crate) fn work() {
    let Some(target) = variable(TARGET) else { return };
    let (reader, out) = (named(&target), PathBuf::from(variable(OUT).unwrap()));
    let folder = PathBuf::from(variable("EMOCAM_FUZZ_FOLDER").unwrap());
    count_panics();
    let mut fuzzer = Fuzzer::new(reader, number(SEED, 1.0) as u64, &folder);
    limit_memory(WORKER_BYTES);
    static INPUTS: AtomicU64 = AtomicU64::new(0);
    std::thread::spawn(|| {
        loop {
            let before = INPUTS.load(Relaxed);
            std::thread::sleep(HANGS);
            if INPUTS.load(Relaxed) == before {
                std::process::abort();
            }
        }
    });
    let (start, mut told, mut kept) = (Instant::now(), Instant::now(), 0);
    let wanted = Duration::from_secs_f64(number(SECONDS, 1.0));
    while start.elapsed() < wanted {
        fuzzer.step();
        INPUTS.fetch_add(1, Relaxed);
        let tally = fuzzer.tally();
        if told.elapsed() > Duration::from_secs(1)
            || tally.findings.len() > kept
            || start.elapsed() >= wanted
        {
            for (number, finding) in tally.findings.iter().enumerate().skip(kept) {
                let name = format!("{target}-{}-{}-{number}", finding.kind, std::process::id());
                std::fs::write(out.join(name), &finding.input).unwrap();
            }
            kept = tally.findings.len();
            std::fs::write(folder.join("report.json"), report(tally, start.elapsed()).to_string())
                .unwrap();
            told = Instant::now();
        }
    }
}

fn report(tally: &Tally, elapsed: Duration) -> Value {
    let findings: Vec<Value> = tally
        .findings
        .iter()
        .map(|finding| json!(format!("{}: {}", finding.kind, finding.message)))
        .collect();
    json!({
        "inputs": tally.inputs, "taken": tally.taken, "outcomes": tally.outcomes, "caught": tally.caught,
        "slowest": tally.slowest, "largest": tally.largest, "findings": findings, "seconds": elapsed.as_secs_f64(),
    })
}

/// The campaign: `true` where nothing was found.
pub(crate) fn run() -> bool {
    let Some(targets) = variable(TARGETS) else { return true };
    let chosen: Vec<&Reader> = match targets.as_str() {
        "all" => READERS.iter().collect(),
        names => names.split(',').map(named).collect(),
    };
    let out = PathBuf::from(variable(OUT).unwrap_or_else(|| "fuzz-findings".into()));
    std::fs::create_dir_all(&out).unwrap();
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    let jobs = (number(JOBS, cores as f64) as usize).clamp(1, chosen.len());
    let seconds = number(MINUTES, 2.0) * 60.0 * jobs as f64 / chosen.len() as f64;
    let runs = runs::make_runs();
    println!(
        "| target | inputs | inputs/s | read | outcomes | slowest, s | largest, MB | panics caught \
         | findings |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    let (queue, rows) = (Mutex::new(chosen.iter()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                loop {
                    let Some(reader) = queue.lock().unwrap().next() else { return };
                    let row = target(reader, seconds, &out, &runs.path(""));
                    println!("{}", row.line(reader.name));
                    rows.lock().unwrap().push(row);
                }
            });
        }
    });
    let rows = rows.into_inner().unwrap();
    let whole = rows.iter().fold(Row::default(), |sum, row| sum.and(row));
    println!("{}", whole.line("all"));
    whole.findings.iter().for_each(|finding| println!("FOUND {finding}"));
    println!("findings: {} ({})", whole.findings.len(), out.display());
    whole.findings.is_empty()
}

/// The figures of a target, or of several.
#[derive(Default)]
struct Row {
    counts: [u64; 4],
    slowest: f64,
    largest: u64,
    seconds: f64,
    findings: Vec<String>,
}

impl Row {
    fn of(name: &str, report: &Value) -> Self {
        let count = |key: &str| report[key].as_u64().unwrap_or(0);
        let findings = report["findings"].as_array().into_iter().flatten();
        Self {
            counts: ["inputs", "taken", "outcomes", "caught"].map(count),
            slowest: report["slowest"].as_f64().unwrap_or(0.0),
            largest: count("largest"),
            seconds: report["seconds"].as_f64().unwrap_or(0.0),
            findings: findings
                .map(|finding| format!("{name}: {}", finding.as_str().unwrap_or_default()))
                .collect(),
        }
    }

    fn and(self, other: &Self) -> Self {
        Self {
            counts: std::array::from_fn(|at| self.counts[at] + other.counts[at]),
            slowest: self.slowest.max(other.slowest),
            largest: self.largest.max(other.largest),
            seconds: self.seconds + other.seconds,
            findings: [self.findings, other.findings.clone()].concat(),
        }
    }

    fn line(&self, name: &str) -> String {
        let [inputs, taken, outcomes, caught] = self.counts;
        let rate = inputs as f64 / self.seconds.max(1e-9);
        let megabytes = self.largest as f64 / 1e6;
        format!(
            "| {name} | {inputs} | {rate:.0} | {taken} | {outcomes} | {:.3} | {megabytes:.1} | \
             {caught} | {} |",
            self.slowest,
            self.findings.len()
        )
    }
}

/// Fuzzes a target for so many seconds, in as many processes as it takes.
fn target(reader: &Reader, seconds: f64, out: &Path, runs: &Path) -> Row {
    let (start, mut row) = (Instant::now(), Row::default());
    let first = number(SEED, 1.0) as u64;
    for seed in first..first + RESTARTS {
        let left = seconds - start.elapsed().as_secs_f64();
        if left <= 0.0 {
            break;
        }
        let folder = scratch();
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "worker", "--ignored", "--nocapture", "--test-threads", "1"])
            .env(TARGET, reader.name)
            .env(SEED, seed.to_string())
            .env(SECONDS, left.to_string())
            .env(OUT, out)
            .env(runs::RUNS, runs)
            .env("EMOCAM_FUZZ_FOLDER", folder.path())
            .stdout(Stdio::null())
            .status()
            .unwrap();
        let report = std::fs::read(folder.path().join("report.json")).unwrap_or_default();
        row = row.and(&Row::of(reader.name, &serde_json::from_slice(&report).unwrap_or_default()));
        if !status.success() {
            let name = format!("{}-abort-{seed}", reader.name);
            // Nothing is there where it ended before its first input.
            let _ = std::fs::copy(folder.path().join(reader.file), out.join(&name));
            row.findings
                .push(format!("{}: the process ended with {status}, at {name}", reader.name));
        }
    }
    row
}
