//! Tests of recipes and folds.

use super::FerRecipe;
use crate::train::adapt::AdaptRecipe;
use crate::train::data::{DrawnConfig, SplitConfig};
use crate::train::fitting::history::Epoch;
use crate::world::Lesson;
use std::collections::BTreeSet;

#[test]
fn the_explained_recipes_are_what_holds_without_one() {
    assert_eq!(
        toml::from_str::<FerRecipe>(include_str!("../../../configs/fer.toml")).unwrap(),
        FerRecipe::default()
    );
    let adapt = toml::from_str::<AdaptRecipe>(include_str!("../../../configs/adapt.toml")).unwrap();
    assert_eq!(adapt, AdaptRecipe::default());
    for recipe in [
        include_str!("../../../configs/fer-drawn.toml"),
        include_str!("../../../configs/fer-drawn-objects.toml"),
    ] {
        toml::from_str::<FerRecipe>(recipe).unwrap().check().unwrap();
    }
    toml::from_str::<AdaptRecipe>(include_str!("../../../configs/adapt-drawn.toml"))
        .unwrap()
        .check()
        .unwrap();
}

#[test]
fn every_picture_is_measured_with_in_one_fold_and_never_learnt_from_there() {
    let divided = DrawnConfig { train: 53, validation: 1, test: 1, ..DrawnConfig::default() }
        .draw(&Lesson::Faces);
    let divided = divided.unwrap();
    let data = crate::train::data::DataSet {
        labels: divided.labels,
        items: divided.train,
        failures: Vec::new(),
        uses: Default::default(),
    };
    let config = SplitConfig { validation: 0.1, ..SplitConfig::default() };
    let mut measured = BTreeSet::new();
    for fold in 0..5 {
        let part = config.fold(data.clone(), fold, 5).unwrap();
        let paths = |items: &[crate::train::data::LabelledPicture]| -> BTreeSet<String> {
            items.iter().map(|item| item.path.clone()).collect()
        };
        let (train, validation, test) =
            (paths(&part.train), paths(&part.validation), paths(&part.test));
        assert!(
            train.is_disjoint(&test)
                && train.is_disjoint(&validation)
                && validation.is_disjoint(&test)
        );
        assert_eq!(train.len() + validation.len() + test.len(), 53);
        for path in test {
            assert!(measured.insert(path));
        }
    }
    assert_eq!(measured.len(), 53);
}

#[test]
fn the_rate_falls_on_a_plateau_and_stops_at_the_least() {
    let recipe = FerRecipe::default();
    let mut config = recipe.training;
    config.schedule = recipe.folds.schedule;
    let epoch = |validation_accuracy: f64| Epoch {
        epoch: 1,
        rate: 0.0,
        training_loss: 0.0,
        training_accuracy: 0.0,
        validation_loss: 0.0,
        validation_accuracy,
        discrepancy: None,
    };
    let mut epochs = vec![epoch(0.5), epoch(0.6)];
    let rate = |epochs: &[Epoch]| config.rate_at(0, 100, epochs);
    assert_eq!(rate(&epochs), 3e-4);
    epochs.extend((0..9).map(|_| epoch(0.6)));
    assert_eq!(rate(&epochs), 3e-4);
    epochs.push(epoch(0.1));
    approx::assert_relative_eq!(rate(&epochs), 3e-4 * 0.6, epsilon = 1e-12);
    // A better one starts the waiting anew.
    epochs.push(epoch(0.7));
    epochs.extend((0..9).map(|_| epoch(0.7)));
    approx::assert_relative_eq!(rate(&epochs), 3e-4 * 0.6, epsilon = 1e-12);
    epochs.extend((0..100).map(|_| epoch(0.7)));
    approx::assert_relative_eq!(rate(&epochs), 8e-5, epsilon = 1e-12);
}
