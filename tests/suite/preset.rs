//! What the preset's counts were before networks and regions became exchangeable, made by the
//! commit dcf3ba3. Last digits of libtorch's sums follow the processor, so that counts of images
//! may move by one; drawn scenes are the same to the byte.

use crate::common::corpus::{Table, emocam, ends};
use crate::common::{json, reference};
use emocam::files::sha256;

/// Counts of images of a hundred drawn scenes. LIME-CAM as it was then, a single fit to 256 sets,
/// is the published one now.
#[test]
fn tables_of_a_hundred_drawn_scenes_are_what_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    ends(
        emocam()
            .current_dir(folder)
            .args(["world", "--scenes", "100", "--seed", "5", "--out", "scenes"]),
        0,
    );
    let recorded = json("preset/digests.json");
    for (name, digest) in recorded.as_object().unwrap() {
        assert_eq!(
            sha256(&std::fs::read(folder.join("scenes").join(name)).unwrap()),
            *digest,
            "{name}"
        );
    }
    let mut config = emocam::config::Config::default();
    emocam::demo::use_models(
        &mut config,
        &folder.join("models"),
        emocam::demo::DemoNetworks::default(),
    )
    .unwrap();
    std::fs::write(folder.join("demo.toml"), emocam::demo::to_toml(&config)).unwrap();
    let analyze = |out: &str, flags: &[&str]| {
        let mut command = emocam();
        command.current_dir(folder).args([
            "analyze",
            "scenes",
            "--device",
            "cpu",
            "--config",
            "demo.toml",
        ]);
        ends(command.args(["--out", out]).args(flags), 0);
    };
    analyze("run", &["--cam", "grad-cam,ablation-cam,lrp-cam,lift-cam"]);
    analyze("published", &["--cam", "lime-cam", "--compat", "published"]);
    for (run, method) in [
        ("run", "grad-cam"),
        ("run", "ablation-cam"),
        ("published", "lime-cam"),
        ("run", "lrp-cam"),
        ("run", "lift-cam"),
    ] {
        let found = Table::read(&folder.join(run).join(method).join("counts.csv"));
        let wanted = Table::read(&reference(&format!("preset/{method}.csv")));
        assert_eq!(
            (found.rows.len(), &found.header),
            (wanted.rows.len(), &wanted.header),
            "{method}"
        );
        for (found, wanted) in found.rows.iter().zip(&wanted.rows) {
            assert_eq!(found[0], wanted[0], "{method}");
            for (found, wanted) in found[1..].iter().zip(&wanted[1..]) {
                let [found, wanted]: [i64; 2] = [found, wanted].map(|cell| cell.parse().unwrap());
                assert!(
                    (found - wanted).abs() <= 1,
                    "{method}: {found} images, {wanted} are recorded"
                );
            }
        }
    }
}
