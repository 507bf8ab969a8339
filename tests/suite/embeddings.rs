//! Principal components, t-SNE and what is said of them against scikit-learn
//! (`scripts/reference/embeddings.py`).

use crate::common::json;
use emocam::random::Random;
use emocam::stats::{
    PrincipalComponents, Separation, TsneSettings, logistic_regression, principal_components,
    separation, t_sne, trustworthiness,
};
use ndarray::{Array2, s};
use std::time::Instant;

fn numbers(value: &serde_json::Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
}

fn matrix(value: &serde_json::Value) -> Array2<f64> {
    let rows: Vec<Vec<f64>> = value.as_array().unwrap().iter().map(numbers).collect();
    Array2::from_shape_vec((rows.len(), rows[0].len()), rows.concat()).unwrap()
}

fn furthest<'a>(a: impl IntoIterator<Item = &'a f64>, b: impl IntoIterator<Item = &'a f64>) -> f64 {
    a.into_iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

/// The committed values; rows and their groups.
fn reference() -> (serde_json::Value, Array2<f64>, Vec<usize>) {
    let values = json("embeddings/values.json");
    let groups = numbers(&values["groups"]).into_iter().map(|group| group as usize).collect();
    let rows = matrix(&values["rows"]);
    (values, rows, groups)
}

#[test]
fn principal_components_are_those_of_scikit_learn_in_their_signs_too() {
    let (values, rows, _) = reference();
    let PrincipalComponents { components, variances, total_variance, scores } =
        principal_components(&rows, 5).unwrap();
    let shares: Vec<f64> = variances.iter().map(|variance| variance / total_variance).collect();
    assert!(furthest(&components, &matrix(&values["components"])) < 1e-10);
    assert!(furthest(&scores, &matrix(&values["scores"])) < 1e-10);
    assert!(furthest(&variances, &numbers(&values["variances"])) < 1e-10);
    assert!(furthest(&shares, &numbers(&values["shares"])) < 1e-10);
}

#[test]
fn groups_are_apart_as_scikit_learn_says() {
    let (values, rows, groups) = reference();
    let plane = principal_components(&rows, 2).unwrap().scores;
    for (rows, silhouette, right) in
        [(&rows, "silhouette", "right"), (&plane, "silhouette_2", "right_2")]
    {
        let Separation { silhouette: found, neighbours } = separation(rows, &groups, 5).unwrap();
        let expected = values[silhouette].as_f64().unwrap();
        assert!((found - expected).abs() < 1e-10, "{silhouette}: {found}, scikit-learn {expected}");
        assert_eq!(Some(neighbours.hits), values[right].as_u64());
    }
    let found = trustworthiness(&rows, &[&plane], 5).unwrap()[0];
    let expected = values["trustworthiness_2"].as_f64().unwrap();
    assert!((found - expected).abs() < 1e-10, "{found}, scikit-learn {expected}");
}

#[test]
fn the_plane_between_two_domains_is_that_of_scikit_learn() {
    let (values, rows, groups) = reference();
    let positive: Vec<bool> = groups.iter().map(|group| *group > 1).collect();
    let model = logistic_regression(&rows, &positive, 1.0);
    assert!(furthest(&model.weights, &numbers(&values["weights"])) < 1e-6, "{model:?}");
    assert!((model.intercept - values["intercept"].as_f64().unwrap()).abs() < 3e-6, "{model:?}");
}

#[test]
fn t_sne_can_be_trusted_as_much_as_scikit_learns() {
    let (values, rows, _) = reference();
    let worst = numbers(&values["t_sne"]).into_iter().fold(1.0, f64::min);
    let scores = principal_components(&rows, 50).unwrap().scores;
    for seed in 0..3 {
        let settings = TsneSettings { perplexity: 20.0, iterations: 1000, seed };
        let points = t_sne(&scores, settings).unwrap().points;
        let found = trustworthiness(&rows, &[&points], 5).unwrap()[0];
        assert!(found >= worst - 0.02, "seed {seed}: {found}, scikit-learn {worst}");
    }
}

/// `cargo test --release --test suite embeddings:: -- --ignored --nocapture`: seconds of every
/// step, on two threads.
#[test]
#[ignore = "takes a minute of a quiet machine, in release"]
fn ten_thousand_rows_of_512_take_less_than_two_minutes() {
    let mut random = Random::new(1, 0);
    let centres = Array2::from_shape_fn((20, 512), |_| random.uniform(-1.5, 1.5));
    let groups: Vec<usize> = (0..10_000).map(|row| row * 7 % 20).collect();
    let rows = Array2::from_shape_fn((10_000, 512), |(row, column)| {
        let width = 3.0 - 2.7 * column as f64 / 511.0;
        (centres[[groups[row], column]] + width * random.uniform(-1.7, 1.7)).max(0.0)
    });
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    let clock = Instant::now();
    let said = |step: &str| println!("{:.1} s: {step}", clock.elapsed().as_secs_f64());
    pool.install(|| {
        let found = principal_components(&rows, 50).unwrap();
        said("principal components");
        let settings = TsneSettings { perplexity: 30.0, iterations: 1000, seed: 1 };
        let points = t_sne(&found.scores, settings).unwrap().points;
        said("t-SNE");
        let plane = found.scores.slice(s![.., ..2]).to_owned();
        let trusted = trustworthiness(&rows, &[&plane, &points], 5).unwrap();
        said(&format!("trustworthiness {trusted:.4?}"));
        let apart = separation(&rows, &groups, 5).unwrap();
        said(&format!(
            "separation: silhouette {:.4}, neighbours {:.4}",
            apart.silhouette, apart.neighbours.share
        ));
        separation(&points, &groups, 5).unwrap();
        separation(&plane, &groups, 5).unwrap();
        said("separation in the two planes");
    });
    assert!(clock.elapsed().as_secs() < 120);
}
