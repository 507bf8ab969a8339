//! Resampling, on corpora drawn from a model whose true matrices are known.

use super::inputs::RunPictures;
use super::pictures::Pictures;
use super::*;
use std::path::PathBuf;

/// A corpus as nature makes it: P(label) is uniform; a class is detected with a probability for
/// each class and label; when detected, it is important by either of two methods with probabilities
/// that are related. The methods see the same pictures and half of the time the same chance.
struct Nature {
    size: (usize, usize),
    detected: Vec<f64>,
    important: [Vec<f64>; 2],
}

fn normal(random: &mut Random) -> f64 {
    let (radius, angle) =
        (random.uniform(f64::MIN_POSITIVE, 1.0), random.uniform(0.0, std::f64::consts::TAU));
    (-2.0 * radius.ln()).sqrt() * angle.cos()
}

fn logistic(value: f64) -> f64 {
    1.0 / (1.0 + (-value).exp())
}

impl Nature {
    fn new(classes: usize, labels: usize, spread: f64, seed: u64) -> Self {
        let mut random = Random::new(seed, 0);
        let (mut detected, mut important) = (Vec::new(), [Vec::new(), Vec::new()]);
        for _ in 0..classes {
            let frequency = spread * normal(&mut random) - 1.0;
            for _ in 0..labels {
                let first = normal(&mut random);
                detected.push(logistic(frequency + 0.5 * normal(&mut random)));
                important[0].push(logistic(first));
                important[1].push(logistic(0.6 * first + 0.8 * normal(&mut random)));
            }
        }
        Self { size: (classes, labels), detected, important }
    }

    /// The Spearman correlation of the two methods over all pictures there could be.
    fn truth(&self) -> f64 {
        let shares = |of: &Vec<f64>| {
            Ranks::of(&self.detected.iter().zip(of).map(|(a, b)| a * b).collect::<Vec<_>>())
        };
        shares(&self.important[0]).spearman(&shares(&self.important[1])).unwrap()
    }

    fn corpus(&self, images: usize, random: &mut Random) -> Pictures {
        let (classes, labels) = self.size;
        let mut pictures = Pictures::new(classes, labels, 2).unwrap();
        for at in 0..images {
            let label = random.below(labels);
            let mut lists = [Vec::new(), Vec::new(), Vec::new()];
            for class in 0..classes {
                let cell = class * labels + label;
                let mut chance = || random.uniform(0.0, 1.0);
                let (detected, first, second, shared) =
                    (chance(), chance(), chance(), chance() < 0.5);
                if detected < self.detected[cell] {
                    lists[2].push(class);
                    for (method, chance) in
                        [first, if shared { first } else { second }].into_iter().enumerate()
                    {
                        if chance < self.important[method][cell] {
                            lists[method].push(class);
                        }
                    }
                }
            }
            pictures.add(format!("{at}.jpg"), label, lists.into_iter().map(Vec::into_iter));
        }
        pictures
    }
}

/// Inputs of runs by their pictures, digests of their corpora and number of methods.
fn inputs(runs: Vec<(Pictures, &str, usize)>, (classes, labels): (usize, usize)) -> Inputs {
    let name = |at: usize| format!("{at}");
    let mut all = Inputs {
        classes: (0..classes).map(name).collect(),
        labels: (0..labels).map(name).collect(),
        items: Vec::new(),
        paths: runs.iter().map(|(_, corpus, _)| PathBuf::from(corpus)).collect(),
        matrix: MatrixKind::Shares,
        warnings: Vec::new(),
        runs: Vec::new(),
    };
    for (run, (pictures, corpus, methods)) in runs.into_iter().enumerate() {
        let items = (0..methods).map(|method| Item {
            name: format!("{run}/{method}"),
            input: run,
            data: Data::Run { run, method },
        });
        all.items.extend(items);
        all.runs.push(RunPictures {
            input: run,
            pictures,
            corpus: corpus.into(),
            rule: Default::default(),
        });
    }
    all
}

/// How many of 100 corpora have an interval that holds the truth.
fn coverage(nature: &Nature, images: usize, seed: u64) -> usize {
    let truth = nature.truth();
    let covered = (0..100).filter(|&corpus| {
        let pictures = nature.corpus(images, &mut Random::new(seed, corpus));
        let inputs = inputs(vec![(pictures, "c", 2)], nature.size);
        let plan = ResamplingPlan { resamples: 300, permutations: 0, splits: 0, seed: corpus };
        let BootstrapInterval { lower, upper, .. } =
            compare(&inputs, plan, |_| {}).unwrap().pair(0, 1).interval.unwrap();
        (lower..=upper).contains(&truth)
    });
    covered.count()
}

#[test]
fn intervals_cover_the_truth_as_often_as_they_say() {
    let nature = Nature::new(30, 5, 1.5, 1);
    let covered = coverage(&nature, 2000, 5);
    eprintln!("{covered} of 100 intervals cover {:.3}", nature.truth());
    assert!((90..=99).contains(&covered), "{covered} of 100");
}

/// 40 pictures of a small nature; the last label is rare.
fn small(seed: u64) -> (Nature, Pictures) {
    let nature = Nature::new(7, 3, 1.0, 2);
    let pictures = nature.corpus(40, &mut Random::new(seed, 0));
    (nature, pictures)
}

/// The pictures with numbers `keep`, in that order.
fn some(pictures: &Pictures, nature: &Nature, keep: impl Iterator<Item = usize>) -> Pictures {
    let mut kept = Pictures::new(nature.size.0, nature.size.1, 2).unwrap();
    for at in keep {
        let lists: Vec<Vec<usize>> = (0..3).map(|list| pictures.classes(list, at)).collect();
        kept.add(
            pictures.paths()[at].clone(),
            pictures.label(at),
            lists.into_iter().map(Vec::into_iter),
        );
    }
    kept
}

const PLAN: ResamplingPlan =
    ResamplingPlan { resamples: 120, permutations: 99, splits: 20, seed: 4 };

fn pairs(inputs: &Inputs) -> Vec<Pair> {
    compare(inputs, PLAN, |_| {}).unwrap().pairs
}

#[test]
fn the_order_of_the_records_does_not_matter() {
    let (nature, pictures) = small(1);
    let turned = some(&pictures, &nature, (0..40).rev());
    let one = compare(&inputs(vec![(pictures, "c", 2)], nature.size), PLAN, |_| {}).unwrap();
    let two = compare(&inputs(vec![(turned, "c", 2)], nature.size), PLAN, |_| {}).unwrap();
    assert_eq!((one.pairs, one.items), (two.pairs, two.items));
}

#[test]
fn runs_over_one_corpus_are_resampled_together_and_others_are_not() {
    let (nature, pictures) = small(1);
    let bounds = |first: Pictures, second: Pictures, corpora: [&str; 2]| {
        let all = inputs(vec![(first, corpora[0], 1), (second, corpora[1], 1)], nature.size);
        let groups = corpora_of(&all);
        (groups, pairs(&all)[1].interval.unwrap())
    };
    // The same paths, whatever the digest: every resample is the same in both.
    let (groups, together) = bounds(pictures.clone(), pictures.clone(), ["c", "d"]);
    assert_eq!((groups, together.lower, together.upper), (vec![40], 1.0, 1.0));
    // The same digest, and a picture that one of them could not analyse: still the same draws.
    let (groups, nearly) = bounds(pictures.clone(), some(&pictures, &nature, 1..40), ["c", "c"]);
    assert_eq!(groups, [40]);
    assert!(nearly.upper - nearly.lower < 0.25, "{nearly:?}");
    // Other pictures.
    let (groups, apart) = bounds(pictures.clone(), some(&pictures, &nature, 1..40), ["c", "d"]);
    assert_eq!(groups, [40, 39]);
    assert!(apart.bias < -0.05 && apart.bias < 4.0 * nearly.bias, "{apart:?} {nearly:?}");
}

fn corpora_of(inputs: &Inputs) -> Vec<usize> {
    corpora(inputs).iter().map(|corpus| corpus.images).collect()
}

#[test]
fn a_label_that_is_not_drawn_is_left_out_of_the_resample() {
    // One picture of the last label: more than a third of the resamples do without it, and all have
    // a correlation.
    let (nature, pictures) = small(3);
    let mut kept: Vec<usize> = (0..40).filter(|&at| pictures.label(at) != 2).collect();
    kept.extend((0..40).find(|&at| pictures.label(at) == 2));
    let all = inputs(vec![(some(&pictures, &nature, kept.into_iter()), "c", 2)], nature.size);
    let agreement = compare(&all, PLAN, |_| {}).unwrap();
    assert_eq!((agreement.cells, agreement.labels.len()), (21, 3));
    assert_eq!(agreement.pair(0, 1).resamples, 120);
    assert!(agreement.items.iter().all(|item| item.reliability.unwrap().splits == 20));
}

#[test]
fn a_resample_of_a_known_corpus() {
    // Two pictures of different labels: a resample has both once, or one of them twice and one
    // column; then the two methods' cells are (1, 0, 0) and (0, 0, 1), whose correlation is -1/2.
    let mut pictures = Pictures::new(3, 2, 2).unwrap();
    for (label, path) in ["a", "b"].into_iter().enumerate() {
        pictures.add(
            path.into(),
            label,
            [vec![0], vec![2], vec![0, 2]].into_iter().map(Vec::into_iter),
        );
    }
    let all = inputs(vec![(pictures, "c", 2)], (3, 2));
    let corpora = corpora(&all);
    let mut counts = Vec::new();
    let drawn = bootstrap::resample(&all, &corpora, 130, 9, |done| counts.push(done));
    assert!(drawn.iter().all(|pairs| pairs == &[Some(-0.5)]), "{drawn:?}");
    assert_eq!(counts, [64, 128, 130]);
    let agreement = compare(&all, PLAN, |_| {}).unwrap();
    assert_eq!(agreement.pair(0, 1).interval, None);
    let why = agreement.missing_intervals().unwrap();
    assert!(why.starts_with("1 of 1 pair without an interval: a run has 2 images"), "{why}");
    // The halves have no label in common.
    assert!(agreement.items.iter().all(|item| item.reliability.is_none()));
    // Class 1 is never detected: given the detections, which are all that two and zero share, the
    // rest is opposed.
    assert_eq!(agreement.pair(0, 1).partial, Some(-1.0));
}

#[test]
fn intervals_are_there_from_ten_images_on_and_else_it_is_said_why() {
    let (nature, pictures) = small(1);
    let resampled = |images: usize, plan: ResamplingPlan| {
        let all = inputs(vec![(some(&pictures, &nature, 0..images), "c", 2)], nature.size);
        let agreement = compare(&all, plan, |_| {}).unwrap();
        (agreement.pair(0, 1).interval, agreement.missing_intervals())
    };
    let (nine, ten) = (resampled(9, PLAN), resampled(10, PLAN));
    assert!(nine.0.is_none() && nine.1.unwrap().contains("9 images"));
    assert!(ten.0.is_some() && ten.1.is_none(), "{ten:?}");
    let none = resampled(40, ResamplingPlan { resamples: 0, ..PLAN });
    assert!(none.0.is_none() && none.1.unwrap().contains("--resamples 0"));
}

#[test]
fn halves_hold_every_picture_once() {
    let (nature, pictures) = small(1);
    let all =
        inputs(vec![(some(&pictures, &nature, 0..39), "c", 2), (pictures, "d", 2)], nature.size);
    let corpora = corpora(&all);
    let counter = Counter::new(&all, &corpora);
    let [first, second] = Sample::halves(&corpora, 1, 7);
    let images = |sample: &Sample| -> Vec<u32> {
        counter.images(sample).iter().map(|run| run.iter().sum()).collect()
    };
    assert_eq!((images(&first), images(&second)), (vec![20, 20], vec![19, 20]));
    let sum = |a: Vec<Vec<u32>>, b: Vec<Vec<u32>>| -> Vec<u32> {
        a.concat().iter().zip(b.concat()).map(|(a, b)| a + b).collect()
    };
    let whole = counter.images(&Sample::whole(&corpora));
    assert_eq!(sum(counter.images(&first), counter.images(&second)), whole.concat());
    let [other, _] = Sample::halves(&corpora, 1, 8);
    assert_ne!(counter.images(&first), counter.images(&other));
}

#[test]
fn more_pictures_make_halves_agree_better() {
    let nature = Nature::new(12, 3, 1.0, 1);
    let reliability = |images: usize| {
        let all =
            inputs(vec![(nature.corpus(images, &mut Random::new(6, 0)), "c", 2)], nature.size);
        compare(&all, PLAN, |_| {}).unwrap().items[0].reliability.unwrap()
    };
    let (few, many) = (reliability(200), reliability(400));
    assert!(few.split_half < many.split_half);
    // What Spearman and Brown say twice as many pictures would give.
    approx::assert_abs_diff_eq!(few.spearman_brown.unwrap(), many.split_half, epsilon = 0.05);
    assert!(few.ceiling_lower < few.ceiling_upper && few.ceiling_upper < 1.0);
}

#[test]
fn golden_agreements() {
    let (nature, pictures) = small(1);
    let mut runs = inputs(vec![(pictures, "c", 2)], nature.size);
    runs.items[1].name = "悲しみ and سعادة".into();
    let mut tables = inputs(Vec::new(), nature.size);
    let mut random = Random::new(5, 0);
    tables.paths = vec![PathBuf::from("many.csv")];
    tables.items = (0..20)
        .map(|index| Item {
            name: format!(
                "matrix {index}{}",
                if index == 3 { " with a name that is longer than others" } else { "" }
            ),
            input: 0,
            data: Data::Table { cells: random.spread(21, 1.0), present: vec![true; 3] },
        })
        .collect();
    for (name, inputs, scale) in [("rsa-2", runs, 0.6), ("rsa-20", tables, 0.45)] {
        let picture = compare(&inputs, PLAN, |_| {}).unwrap().heatmap(&inputs).svg().unwrap();
        crate::plot::tests::golden::assert_golden(name, &picture, scale);
    }
}
