//! `emocam evaluate`: the same bytes again, from a run that was stopped, and records that do not fit.

use crate::common;
use crate::common::corpus::{emocam, ends, refused, sealed};
use crate::evaluate::{evaluate, evaluate_into, number, rows, small};

#[test]
fn the_same_evaluation_gives_the_same_bytes_and_less_work_the_same_numbers() {
    let corpus = small(2);
    ends(evaluate(&corpus).args(["--steps", "4"]), 0);
    let model = common::reference("emonet/narrow_ecco.pt");
    let into = |out: &str| evaluate_into(&corpus, out, &model);
    ends(into("again").args(["--steps", "4", "--threads", "1"]), 0);
    assert_eq!(corpus.run("judged").tables(), corpus.run("again").tables());
    ends(into("part").args(["--metrics", "road,sanity", "--limit", "2"]), 0);
    let (all, part) = (rows(&corpus.run("judged")), rows(&corpus.run("part")));
    assert_eq!(part.len(), 1 + 2 + 3, "road three times, the sanity check of the method");
    for (key, row) in &part {
        for name in ["mean", "lower", "upper"] {
            let (found, wanted) = (number(&row[name]), number(&all[key][name]));
            assert_eq!((found.is_some(), wanted.is_some()), (name == "mean", name == "mean"));
            approx::assert_abs_diff_eq!(
                found.unwrap_or(0.0),
                wanted.unwrap_or(0.0),
                epsilon = 1e-9
            );
        }
    }
    // An evaluation in a corpus is not part of it.
    let said = ends(into("photos/inside").args(["--metrics", "confidence"]), 0);
    assert!(said.err.contains("2 images"), "{}", said.err);
    let said = ends(into("after").args(["--metrics", "confidence"]), 0);
    assert!(said.err.contains("2 images"), "{}", said.err);
}

#[test]
fn a_stopped_evaluation_goes_on_to_the_same_tables() {
    let corpus = small(3);
    let fast = ["--steps", "3", "--metrics", "deletion,road,confidence"];
    ends(evaluate(&corpus).args(fast), 0);
    let model = common::reference("emonet/narrow_ecco.pt");
    let resumed = || {
        let mut command = evaluate_into(&corpus, "stopped", &model);
        command.args(fast).arg("--resume");
        command
    };
    // Begun by --resume, as after a kill before the first picture.
    ends(&mut resumed(), 0);
    let (whole, stopped) = (corpus.run("judged"), corpus.run("stopped"));
    let records = std::fs::read(whole.path("records.jsonl")).unwrap();
    assert_eq!(std::fs::read(stopped.path("records.jsonl")).unwrap(), records);
    let first = records.iter().position(|&byte| byte == b'\n').unwrap() + 1;
    // Nothing, half a record, one, one and a half.
    for keep in [0, first / 2, first, first + 20] {
        std::fs::write(stopped.path("records.jsonl"), &records[..keep]).unwrap();
        std::fs::remove_file(stopped.path("evaluation.csv")).unwrap();
        let said = ends(&mut resumed(), 0);
        assert_eq!(said.err.contains("1 already done"), keep >= first, "{}", said.err);
        assert_eq!(std::fs::read(stopped.path("records.jsonl")).unwrap(), records);
        assert_eq!(stopped.tables(), whole.tables());
    }
    refused(
        resumed().args(["--fill", "black", "--seed", "3"]),
        &["stopped", "made differently", "cam.seed"],
    );
    let mut other = evaluate_into(&corpus, "stopped", &model);
    refused(other.args(["--steps", "4", "--resume"]), &["steps: 3 then, 4 now", "measures"]);
    refused(
        evaluate_into(&corpus, "stopped", &model).args(fast),
        &["holds a run already: --resume continues it"],
    );
}

#[test]
fn in_bf16_means_stay_near_and_a_run_keeps_its_format() {
    let corpus = small(3);
    let fast = ["--cam", "grad-cam,lime-cam", "--steps", "5"];
    ends(evaluate(&corpus).args(fast), 0);
    let model = common::reference("emonet/narrow_ecco.pt");
    let rounded = || {
        let mut command = evaluate_into(&corpus, "rounded", &model);
        command.args(fast);
        command
    };
    ends(rounded().args(["--precision", "bf16"]), 0);
    let [own, others] = ["judged", "rounded"].map(|name| rows(&corpus.run(name)));
    let mut worst = 0.0_f64;
    for (key, row) in &own {
        let [own, other] = [row, &others[key]].map(|row| number(&row["mean"]).unwrap());
        if key.1 != "increase" {
            worst = worst.max((own - other).abs());
        }
    }
    eprintln!("means of three pictures in bf16 within {worst:.1e}");
    assert!(worst > 1e-5 && worst < 0.039, "{worst}");
    refused(rounded().arg("--resume"), &["compute.precision: \"bf16\" then, \"f32\" now"]);
}

#[test]
fn a_record_that_does_not_fit_its_evaluation_is_refused() {
    let corpus = small(2);
    let fast = ["--steps", "3", "--metrics", "deletion"];
    ends(evaluate(&corpus).args(fast), 0);
    let judged = corpus.run("judged");
    let records = std::fs::read_to_string(judged.path("records.jsonl")).unwrap();
    for (from, to, cause) in [
        ("\"probability\":", "\"probability\":9", "from 0 to 1"),
        ("\"class\":", "\"class\":99", "does not fit run.json"),
        ("\"values\":[", "\"values\":[0.5,", "does not fit run.json"),
        ("[\"deletion\",[", "[\"deletion\",[0.5,", "does not fit run.json"),
        ("[\"deletion\",[", "[\"insertion\",[", "does not fit run.json"),
    ] {
        let changed = records.replacen(from, to, 1);
        assert_ne!(changed, records);
        std::fs::write(judged.path("records.jsonl"), sealed(changed.as_bytes())).unwrap();
        refused(evaluate(&corpus).args(fast).arg("--resume"), &["records.jsonl", "line 1", cause]);
    }
    // Commands that look for boxes say whose run it is.
    refused(
        emocam().current_dir(corpus.path("")).args(["associate", "judged"]),
        &["emocam evaluate"],
    );
}
