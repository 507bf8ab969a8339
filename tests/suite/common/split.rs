//! A run taken apart into shards, without networks.

use super::corpus::Run;
use emocam::corpus::{Shard, shard_of};
use std::fs;
use std::path::Path;

/// Writes the runs of `count` shards of a run without failures into `folder`, as `emocam analyze
/// --shard` would have left them but for tables and times.
pub(crate) fn split(whole: &Run, folder: &Path, count: u64) -> Vec<Run> {
    let mut parts = vec![(String::new(), 0); count as usize];
    for line in fs::read_to_string(whole.path("records.jsonl")).unwrap().lines() {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        let (lines, images) =
            &mut parts[shard_of(record["path"].as_str().unwrap(), count) as usize - 1];
        *lines += &format!("{line}\n");
        *images += 1;
    }
    let write = |(index, (lines, images)): (u64, (String, usize))| {
        let run = Run { folder: folder.join(Shard::new(index, count).unwrap().folder_name()) };
        write_manifest(whole, &run, Shard { index, count }, images);
        run.reseal(lines.as_bytes());
        run
    };
    (1..).zip(parts).map(write).collect()
}

/// Makes the folder of a finished shard, with all but its records.
pub(crate) fn write_manifest(whole: &Run, run: &Run, shard: Shard, images: usize) {
    let mut manifest = whole.manifest();
    manifest["shard"] =
        serde_json::json!({ "index": shard.index, "count": shard.count, "images": images });
    fs::create_dir_all(&run.folder).unwrap();
    fs::write(run.path("run.json"), manifest.to_string()).unwrap();
    run.expect_records(images);
    fs::write(run.path("failures.csv"), "path,stage,cause\n").unwrap();
}
