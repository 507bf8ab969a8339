//! Tests of recipes, first weights and small trainings.

use super::recipe::{Part, Recipe};
use super::{Study, Workshop};
use crate::train::data::pairs::Pairs;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use tch::Device;

fn configs() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/configs"))
}

#[test]
fn the_explained_recipe_is_the_one_that_holds_without_any() {
    assert_eq!(Recipe::load(&configs().join("multi-gap.toml")).unwrap(), Recipe::default());
}

#[test]
fn the_recipe_of_the_drawn_world_can_be_used() {
    let recipe = Recipe::load(&configs().join("multi-gap-drawn.toml")).unwrap();
    assert_eq!(recipe.drawn.test, 1000);
}

#[test]
fn a_recipe_that_contradicts_itself_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine.toml");
    for (text, phrase) in [
        ("[network]\nstreams = ['sky']\n", "no [stream.sky]"),
        ("[training]\nepochs = 0\n", "at least 1"),
        ("[training]\nrate = 0\n", "rate"),
        ("[training]\nwarm_up = 1.5\n", "warm_up"),
        ("[augmentation]\ncrop = 0\n", "crop"),
        ("[study]\nvariants = 'fusion'\n", "all or heads"),
        ("[training]\nepoch = 3\n", "epoch"),
        ("[stream.object]\nbackbone = 'resnet18'\n", "resnet18"),
    ] {
        std::fs::write(&file, text).unwrap();
        let message = Recipe::load(&file).unwrap_err().to_string();
        assert!(message.contains(phrase), "{message}");
    }
}

/// A recipe of networks so small that all of a study takes seconds.
fn tiny() -> Recipe {
    let mut recipe = Recipe::default();
    recipe.network.input = [32, 40];
    for stream in recipe.stream.values_mut() {
        stream.width = 0.05;
        stream.units = 3;
    }
    recipe.drawn =
        crate::train::data::DrawnConfig { train: 24, validation: 8, test: 12, ..recipe.drawn };
    (recipe.training.epochs, recipe.training.batch, recipe.heads.epochs, recipe.heads.batch) =
        (1, 8, 2, 8);
    recipe
}

#[test]
fn every_network_of_both_studies_is_trained_and_known_the_second_time() {
    let folder = tempfile::tempdir().unwrap();
    let mut recipe = tiny();
    recipe.study.variants = Part::Heads;
    let lesson = crate::world::Lesson::Emotions(crate::world::graph().clone());
    let (data, stop) = (recipe.drawn.draw(&lesson).unwrap(), AtomicBool::new(false));
    let pairs = Pairs::drawn(&recipe.drawn, &lesson);
    let run = |study: Study| {
        let mut workshop =
            Workshop::new(&recipe, &data, Some(&pairs), (Device::Cpu, 1), folder.path(), &stop);
        let mut begun = Vec::new();
        let results = study.run(&mut workshop, &mut |told| {
            if let crate::train::outcome::Told::Network(name) = told {
                begun.push(name);
            }
        });
        (results.unwrap().unwrap(), begun)
    };
    let (table, begun) = run(Study::Table1);
    let names: Vec<&str> = table.iter().map(|result| result.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "object",
            "places",
            "anp",
            "object-gru",
            "object-gru-attention",
            "places-gru-attention",
            "early-fusion",
            "late-fusion",
            "late-fusion-object-places",
            "late-fusion-gru-attention",
        ]
    );
    assert_eq!(begun, names);
    assert!(table.iter().all(|result| result.accuracy.cases == 12));
    // Late fusion trains nothing, early fusion its classifier alone.
    let numbers =
        |name: &str| table.iter().find(|result| result.name == name).unwrap().trained_numbers;
    assert_eq!((numbers("late-fusion"), numbers("early-fusion")), (0, (320 + 320 + 512 + 1) * 20));
    let (again, begun) = run(Study::Table1);
    assert_eq!((again, begun.len()), (table, 0));
    let (truncated, begun) = run(Study::Truncation);
    assert_eq!((truncated.len(), begun.len()), (10, 8));
    for file in
        ["table1.csv", "table1.svg", "truncation.csv", "truncation.png", "early-fusion/model.toml"]
    {
        assert!(folder.path().join(file).is_file(), "{file}");
    }
}
