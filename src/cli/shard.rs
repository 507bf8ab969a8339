//! `--shard`: the part of a corpus that one of several processes does.

use emocam::corpus::{Corpus, Shard, ShardChoice, Source};
use emocam::run::{Manifest, ShardInfo};
use std::path::PathBuf;

/// The shard that was asked for; a Slurm job array's comes from the environment.
pub(super) fn resolve(choice: Option<ShardChoice>) -> emocam::Result<Option<Shard>> {
    choice.map(|choice| choice.resolve(|name| std::env::var(name).ok())).transpose()
}

/// The shard's images, in the order of the corpus; without a shard all of them.
pub(super) fn images(all: &[Source], shard: Option<Shard>) -> Vec<&Source> {
    all.iter()
        .filter(|source| shard.is_none_or(|shard| shard.contains(source.shard_key())))
        .collect()
}

/// Leaves out of the corpus's problems those that another shard reports. Its images stay: what is
/// said of the corpus in `run.json` is said of the whole.
pub(super) fn keep_problems(corpus: &mut Corpus, shard: Option<Shard>) {
    corpus.problems.retain(|problem| shard.is_none_or(|shard| shard.contains(problem.shard_key())));
}

/// As in `run.json`.
pub(super) fn info(shard: Option<Shard>, images: usize) -> Option<ShardInfo> {
    shard.map(|Shard { index, count }| ShardInfo { index, count, images })
}

/// Where a run goes that was given no place: `photos-emocam`, or of a shard
/// `photos-emocam-shards/3-of-16`.
pub(super) fn folder(whole: String, shard: Option<Shard>) -> PathBuf {
    match shard {
        Some(shard) => PathBuf::from(format!("{whole}-shards")).join(shard.folder_name()),
        None => whole.into(),
    }
}

/// `, shard 3 of 16 of a corpus of 1000`; nothing without a shard.
pub(super) fn in_words(manifest: &Manifest) -> String {
    manifest.shard.map_or(String::new(), |shard| {
        format!(
            ", shard {} of {} of a corpus of {}",
            shard.index, shard.count, manifest.corpus.images
        )
    })
}
