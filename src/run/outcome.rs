//! What came of a pass, and where its time went: the end of `run.json`.

use super::record::ImageRecord;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Counts and times of a pass.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// Pictures with a record.
    pub done: usize,
    /// The checksum of the last line of `records.jsonl`, which is one of all lines; absent where
    /// there is none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub checksum: Option<String>,
    /// Pictures and files in `failures.csv`.
    pub failed: usize,
    /// Labelled boxes.
    pub boxes: usize,
    /// Boxes cut to their picture.
    pub clipped: usize,
    /// Boxes outside their picture, dropped.
    pub outside: usize,
    /// Pictures whose label's probability is above 0.999: there the probability hardly changes,
    /// whatever is changed, and its gradient all but vanishes.
    pub saturated: usize,
    /// Maps that show nothing, per method.
    pub flat_maps: BTreeMap<String, usize>,
    /// Where the time of the last process went.
    pub timings: Timings,
}

/// Seconds in the process that wrote them; those of several threads are added up.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timings {
    /// Pictures these times are for.
    pub images: usize,
    /// From the first picture to the last.
    pub total: f64,
    /// Threads that read, decode and resize; 0 where that was not counted.
    #[serde(default)]
    pub decode_threads: usize,
    /// Their work.
    #[serde(default)]
    pub decode: f64,
    /// Threads that run the networks; all that follows is theirs, but for writing.
    #[serde(default)]
    pub model_threads: usize,
    /// Waiting for decoded pictures.
    pub waiting: f64,
    /// The detector.
    pub detect: f64,
    /// Changing photos: pasting objects into them, by `emocam paste`; hiding and filling in parts,
    /// by `emocam evaluate`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub compose: Option<f64>,
    /// The emotion model, without gradients.
    pub emotion: f64,
    /// Maps, of all methods.
    pub explain: f64,
    /// Scoring boxes.
    pub score: f64,
    /// Writing records and maps.
    pub write: f64,
}

impl Outcome {
    /// A probability over this is called saturated.
    pub const SATURATED: f32 = 0.999;

    /// Counts a picture.
    pub fn add(&mut self, record: &ImageRecord) {
        self.done += 1;
        self.boxes += record.boxes.len();
        self.clipped += record.clipped;
        self.outside += record.outside;
        let probability = record.probabilities.get(record.label);
        self.saturated +=
            usize::from(probability.is_some_and(|&probability| probability > Self::SATURATED));
        for map in &record.maps {
            *self.flat_maps.entry(map.method.clone()).or_default() += usize::from(map.flat);
        }
    }
}

impl Timings {
    /// Adds the times of another batch or process; threads are those of the larger one.
    pub fn add(&mut self, other: &Self) {
        // Every field by name: one that is not added does not compile.
        let &Self {
            images,
            total,
            decode_threads,
            decode,
            model_threads,
            waiting,
            detect,
            compose,
            emotion,
            explain,
            score,
            write,
        } = other;
        self.images += images;
        self.total += total;
        self.decode_threads = self.decode_threads.max(decode_threads);
        self.decode += decode;
        self.model_threads = self.model_threads.max(model_threads);
        self.waiting += waiting;
        self.detect += detect;
        self.compose = self.compose.map_or(compose, |sum| Some(sum + compose.unwrap_or(0.0)));
        self.emotion += emotion;
        self.explain += explain;
        self.score += score;
        self.write += write;
    }

    /// Shares of the time so far in which decode threads and model threads had work, 0 to 1: the
    /// lesser one waits for the other. `None` before there is anything to tell.
    pub fn utilisation(&self) -> Option<(f64, f64)> {
        let share = |busy: f64, threads: usize| {
            let all = self.total * threads as f64;
            (all > 0.0).then(|| (busy / all).clamp(0.0, 1.0))
        };
        let networks = self.detect + self.emotion + self.explain + self.score;
        Some((share(self.decode, self.decode_threads)?, share(networks, self.model_threads)?))
    }
}
