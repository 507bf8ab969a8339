//! `emocam world`: the files that it writes, graphs of the user's own, and what is refused.

use crate::world::{graph_file, label, noisy_label};
use assert_cmd::assert::OutputAssertExt;
use emocam::world::{CLASSES, CausalGraph, LABELS, Scene, Style, face_graph, graph};
use std::path::Path;
use std::process::Command;

#[test]
fn the_command_writes_what_the_library_draws() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("new/world");
    let run = |out: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_emocam"));
        command.args([
            "world",
            "--scenes",
            "9",
            "--seed",
            "4",
            "--style",
            "held-out",
            "--label-noise",
            "0.5",
        ]);
        command.arg("--out").arg(out).assert().success().get_output().stdout.clone()
    };
    let stdout = String::from_utf8(run(&out)).unwrap();
    let counted: u64 = stdout
        .lines()
        .map(|line| line.split_whitespace().last().unwrap().parse::<u64>().unwrap())
        .sum();
    assert_eq!((stdout.lines().count(), counted), (9, 9));

    let mut scenes = csv::Reader::from_path(out.join("scenes.csv")).unwrap();
    let mut objects = csv::Reader::from_path(out.join("objects.csv")).unwrap();
    let mut objects = objects.records();
    for (number, row) in scenes.records().enumerate() {
        let (row, scene) = (row.unwrap(), Scene::draw(graph(), 4, number as u64, Style::HeldOut));
        let picture = image::open(out.join(&row[0])).unwrap().into_rgb8();
        assert_eq!(picture.as_raw(), scene.render().data());
        let (label, noisy) = (label(&scene), noisy_label(&scene, 0.5));
        assert_eq!((&row[1], &row[2]), (LABELS[label], LABELS[noisy]));
        assert_eq!(&row[3], if label == noisy { "no" } else { "yes" });
        for (at, b) in scene.boxes() {
            let (cells, object) = (objects.next().unwrap().unwrap(), &scene.objects[at]);
            let b = [b.x_min, b.y_min, b.x_max, b.y_max].map(|edge| edge.to_string());
            let at = at.to_string();
            let role = graph().role(object.class, object.variant).name();
            let expected = [&row[0], &at, CLASSES[object.class], object.variant.name(), role];
            let expected: Vec<&str> =
                expected.into_iter().chain(b.iter().map(String::as_str)).collect();
            assert_eq!(cells.iter().collect::<Vec<_>>(), expected);
        }
    }
    assert!(objects.next().is_none());
    let written: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(out.join("graph.json")).unwrap()).unwrap();
    assert_eq!(written, graph().to_json());

    let before = std::fs::read(out.join("objects.csv")).unwrap();
    run(&out);
    assert_eq!(std::fs::read(out.join("objects.csv")).unwrap(), before);
}

#[test]
fn the_command_refuses_a_share_above_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_emocam"));
    command.arg("world").arg("--out").arg(folder.path()).args(["--label-noise", "1.5"]);
    let output = command.assert().code(2).get_output().clone();
    assert!(String::from_utf8_lossy(&output.stderr).contains("a share from 0 to 1"));
}

fn world(out: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_emocam"));
    command.args(["world", "--seed", "4", "--scenes", "11"]).args(arguments).arg("--out").arg(out);
    command
}

#[test]
fn the_command_draws_from_the_graph_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let (file, objects) = (graph_file("four-emotions.toml"), folder.path().join("objects"));
    let four = CausalGraph::load(&file).unwrap();
    let arguments = ["--graph", file.to_str().unwrap(), "--objects", objects.to_str().unwrap()];
    let stdout = world(folder.path(), &arguments).assert().success().get_output().stdout.clone();
    let stdout = String::from_utf8(stdout).unwrap();
    let printed: Vec<&str> =
        stdout.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(printed, ["happy", "sad", "hate", "anger"]);
    let mut table = csv::Reader::from_path(folder.path().join("scenes.csv")).unwrap();
    for (number, row) in table.records().enumerate() {
        let (row, scene) = (row.unwrap(), Scene::draw(&four, 4, number as u64, Style::Standard));
        assert_eq!(row[1], four.labels[four.label(&scene).unwrap()]);
        let picture = image::open(folder.path().join(&row[0])).unwrap().into_rgb8();
        assert_eq!(picture.as_raw(), scene.render().data());
    }
    let text = std::fs::read_to_string(folder.path().join("graph.json")).unwrap();
    let written: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&written, &written["neutral"]), (&four.to_json(), &serde_json::Value::Null));
    let names = std::fs::read_dir(&objects).unwrap().map(|entry| entry.unwrap().file_name());
    let cutouts = names.filter(|name| !name.to_string_lossy().starts_with('.')).count();
    assert_eq!(cutouts, four.kinds().len());
    assert!(
        objects.join("human-face-disgusted.png").exists() && !objects.join("boat.png").exists()
    );
}

#[test]
fn the_command_writes_parts_and_ambiences_where_they_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let read = |name: &str| csv::Reader::from_path(folder.path().join(name)).unwrap();
    world(folder.path(), &["--graph", "parts", "--parts"]).assert().success();
    let mut found = Vec::new();
    for row in read("parts.csv").records().map(Result::unwrap) {
        let edges: Vec<f32> = (5..9).map(|at| row[at].parse().unwrap()).collect();
        found.push((row[0].to_string(), row[4].to_string(), edges));
    }
    let drawn = (0..11).flat_map(|number| {
        let scene = Scene::draw(emocam::world::parts_graph(), 4, number, Style::Standard);
        let name = format!("scene-{number:05}.png");
        let part = move |part: emocam::world::PartBox| {
            let b = part.bounding_box;
            (name.clone(), part.kind.name().to_string(), vec![b.x_min, b.y_min, b.x_max, b.y_max])
        };
        scene.part_boxes().into_iter().map(part).collect::<Vec<_>>()
    });
    assert_eq!(found, drawn.collect::<Vec<_>>());
    assert!(
        found.len() > 20
            && !read("scenes.csv").headers().unwrap().iter().any(|name| name == "ambience")
    );
    world(folder.path(), &["--graph", "background"]).assert().success();
    let mut scenes = read("scenes.csv");
    assert_eq!(scenes.headers().unwrap().iter().next_back(), Some("ambience"));
    for row in scenes.records().map(Result::unwrap) {
        let is_ambience = ["Awe", "Anxiety", "Romance", "Entrancement"].contains(&&row[1]);
        assert_eq!(&row[4] != "usual", is_ambience, "{row:?}");
    }
}

#[test]
fn the_command_draws_faces_as_a_labelled_corpus() {
    let folder = tempfile::tempdir().unwrap();
    world(folder.path(), &["--faces", "--style", "held-out"]).assert().success();
    let corpus =
        emocam::train::data::collect(&[folder.path().join("scenes.csv")], &Default::default())
            .unwrap();
    assert_eq!((corpus.items.len(), corpus.failures.len()), (11, 0));
    let mut objects = csv::Reader::from_path(folder.path().join("objects.csv")).unwrap();
    for ((number, item), row) in corpus.items.iter().enumerate().zip(objects.records()) {
        let (row, scene) = (row.unwrap(), Scene::draw_face(4, number as u64, Style::HeldOut));
        assert_eq!(item.path, format!("face-{number:05}.png"));
        let truth = face_graph().label(&scene).unwrap();
        assert_eq!(corpus.labels[item.label], face_graph().labels[truth]);
        let shown = ["smiling", "sad", "angry", "disgusted", "neutral"][truth];
        assert_eq!(
            [&row[0], &row[1], &row[2], &row[3], &row[4]],
            [&item.path, "0", "Human face", shown, "cause"]
        );
        let [left, top, right, bottom] = [5, 6, 7, 8].map(|cell| row[cell].parse::<f32>().unwrap());
        let longest = (right - left).max(bottom - top) / scene.size.width as f32;
        assert!((0.7..1.1).contains(&longest), "{longest} of the width");
    }
}

#[test]
fn the_command_refuses_a_graph_that_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine.toml");
    std::fs::write(&file, "labels = ['a', 'b']\ncauses = [{ label = 'c', class = 'Dog' }]")
        .unwrap();
    let refused = |arguments: &[&str], phrases: &[&str]| {
        let output =
            world(&folder.path().join("out"), arguments).assert().code(2).get_output().clone();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(phrases.iter().all(|phrase| said.contains(phrase)), "{said}");
    };
    let file = file.to_str().unwrap();
    refused(&["--graph", file], &["mine.toml: causes[0].label: `c` is not known; known: a, b"]);
    refused(&["--graph", "nowhere.toml"], &["nowhere.toml"]);
    refused(&["--graph", file, "--faces"], &["cannot be used with"]);
    assert!(!folder.path().join("out").exists());
}
