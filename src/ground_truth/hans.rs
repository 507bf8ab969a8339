//! The clever Hans: two networks that give the same answers for different reasons, and whether a
//! method tells them apart.

use super::answers::{Pair, Reading};
use super::decision::{Asked, Judged, estimate, resampled};
use super::recovery::RecoveryEstimate;
use super::tables::{cell, interval_cells, write_table};
use super::trial::Trial;
use crate::plot::{self, Heatmap};
use crate::{Error, Result};
use ndarray::Array2;
use std::path::Path;

/// What was found out about two networks.
#[derive(Debug)]
pub struct HansReport {
    networks: Vec<NetworkFacts>,
    /// Share of the scenes to which both give the same answer.
    agreement: f64,
    scenes: usize,
    truths: Vec<PairTruth>,
    orders: Vec<Order>,
    /// One a network: the association matrix by the paper's rule, or by the first judge where
    /// Grad-CAM is none.
    matrices: Vec<Array2<Option<f64>>>,
    matrix_judge: String,
    names: Names,
}

/// How one network answers.
#[derive(Debug)]
struct NetworkFacts {
    name: String,
    /// Share of the scenes that it answers as the graph does.
    accuracy: f64,
}

/// What taking the cause or its companion out does to a network's answers.
#[derive(Debug)]
struct PairTruth {
    pair: Pair,
    scenes: u64,
    /// Share of the scenes whose answer changes without the one, and without the other; `None`
    /// where there are none.
    flips: [Option<f64>; 2],
}

/// What one judge's matrix, or its single scenes, say of a pair.
#[derive(Debug)]
struct Order {
    pair: Pair,
    judge: (String, &'static str),
    reading: Reading,
    /// Of matrices the cells of the cause and of the other; of scenes the share in which the cause
    /// is first.
    cells: [Option<f64>; 2],
    /// The first cell less the second, or the share of scenes less a half.
    difference: RecoveryEstimate,
}

#[derive(Debug)]
struct Names {
    things: Vec<String>,
    labels: Vec<String>,
}

impl HansReport {
    /// From the trials of both networks; single scenes and matrices are of those that both answer
    /// rightly; `resamples` bootstrap resamples over scenes from `seed`.
    ///
    /// # Panics
    /// The world's question is another one, or there are no scenes.
    pub fn new(
        asked: &Asked,
        methods: &[String],
        importance: f32,
        resamples: u64,
        seed: u64,
    ) -> Self {
        let [honest, hans] = &asked.networks[..] else {
            panic!("two networks are asked in this world")
        };
        let judged = Judged::new(asked, methods, importance);
        let world = asked.world.world(0, crate::world::Style::Standard);
        let names = Names { things: world.things(), labels: world.graph.labels.clone() };
        let facts = |(name, trials): (&&str, &Vec<Trial>)| NetworkFacts {
            name: (*name).into(),
            accuracy: share(trials.iter().map(|trial| trial.label == trial.truth)),
        };
        let truths = judged
            .truth
            .pairs
            .iter()
            .map(|pair| truth(pair, &asked.networks[pair.network]))
            .collect();
        let paper = judged.paper().unwrap_or(0);
        let once = vec![1.0; judged.scenes];
        let (judge, numbers) = &judged.judges[paper];
        let matrices = numbers
            .iter()
            .map(|scenes| judged.truth.matrix(Reading::Counts, scenes, &once))
            .collect();
        Self {
            networks: asked.world.networks.iter().zip(&asked.networks).map(facts).collect(),
            agreement: share(honest.iter().zip(hans).map(|(a, b)| a.label == b.label)),
            scenes: judged.scenes,
            truths,
            orders: orders(&judged, resamples, seed),
            matrices,
            matrix_judge: format!("{}, {}", judge.name, judge.rule_name()),
            names,
        }
    }

    /// Writes into `folder`: `networks.csv` (accuracy and agreement), `truth.csv` (what taking
    /// cause or companion out does to each network), `order.csv` (per label, network, method and
    /// score which of the two comes first), and one heatmap a network with its SVG.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        std::fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        let rows = self.networks.iter().map(|network| {
            vec![
                network.name.clone(),
                self.scenes.to_string(),
                network.accuracy.to_string(),
                self.agreement.to_string(),
            ]
        });
        write_table(
            &folder.join("networks.csv"),
            &["network", "scenes", "accuracy", "agreement"],
            rows,
        )?;
        let head = [
            "label",
            "network",
            "goes_by",
            "other",
            "scenes",
            "flips_without",
            "flips_without_other",
        ];
        let rows = self.truths.iter().map(|truth| {
            let numbers = [truth.scenes.to_string(), cell(truth.flips[0]), cell(truth.flips[1])];
            self.pair_cells(&truth.pair).into_iter().chain(numbers).collect()
        });
        write_table(&folder.join("truth.csv"), &head, rows)?;
        self.write_orders(&folder.join("order.csv"))?;
        for (at, network) in self.networks.iter().enumerate() {
            let name = |ending: &str| folder.join(format!("heatmap-{}.{ending}", network.name));
            plot::write(&self.picture(at).svg()?, &name("png"), &name("svg"))?;
        }
        Ok(())
    }

    fn write_orders(&self, path: &Path) -> Result<()> {
        let head = [
            "label",
            "network",
            "goes_by",
            "other",
            "method",
            "score",
            "reading",
            "value",
            "other_value",
            "difference",
            "difference_lower",
            "difference_upper",
        ];
        let rows = self.orders.iter().map(|order| {
            let mut cells = self.pair_cells(&order.pair).to_vec();
            cells.extend([
                order.judge.0.clone(),
                order.judge.1.into(),
                order.reading.name().into(),
            ]);
            cells.extend(order.cells.map(cell));
            cells.extend(interval_cells(&order.difference));
            cells
        });
        write_table(path, &head, rows)
    }

    fn pair_cells(&self, pair: &Pair) -> [String; 4] {
        let Names { things, labels } = &self.names;
        let network = self.networks[pair.network].name.clone();
        [
            labels[pair.label].clone(),
            network,
            things[pair.cause].clone(),
            things[pair.other].clone(),
        ]
    }

    /// The short text for people.
    pub fn summary(&self) -> String {
        let mut text = format!(
            "{} scenes; both networks give the same answer to {:.3}",
            self.scenes, self.agreement
        );
        for NetworkFacts { name, accuracy } in &self.networks {
            text.push_str(&format!("; {name}: {accuracy:.3} right"));
        }
        text.push('\n');
        let seen = self.truths.iter().filter(|truth| truth.scenes > 0);
        let apart = seen.clone().filter(|truth| truth.flips[0] > truth.flips[1]).count();
        text.push_str(&format!(
            "taking out what a network goes by changes its answer more often than taking out the \
             other for {apart} of {} pairs of label and network\n",
            seen.count()
        ));
        text
    }

    fn picture(&self, network: usize) -> Heatmap {
        let pairs =
            self.truths.iter().map(|truth| &truth.pair).filter(|pair| pair.network == network);
        let pairs: Vec<&Pair> = pairs.collect();
        let things: Vec<usize> = pairs.iter().flat_map(|pair| [pair.cause, pair.other]).fold(
            Vec::new(),
            |mut things, thing| {
                if !things.contains(&thing) {
                    things.push(thing);
                }
                things
            },
        );
        let matrix = &self.matrices[network];
        let row = |&thing: &usize| pairs.iter().map(|pair| matrix[[thing, pair.label]]).collect();
        Heatmap {
            title: format!("What the network {} goes by", self.networks[network].name),
            subtitle: Some(format!("{} scenes; {}", self.scenes, self.matrix_judge)),
            rows: things.iter().map(|&thing| self.names.things[thing].clone()).collect(),
            columns: pairs.iter().map(|pair| self.names.labels[pair.label].clone()).collect(),
            values: things.iter().map(row).collect(),
            value_label: "share of scenes in which it is important".into(),
            notes: vec![
                "What the network goes by and what is always beside it, for each label one above \
                 the other."
                    .into(),
            ],
            ..Heatmap::default()
        }
    }
}

fn share(of: impl ExactSizeIterator<Item = bool>) -> f64 {
    let count = of.len() as f64;
    of.filter(|&is| is).count() as f64 / count
}

/// What taking either of the pair out does to the network's answers.
fn truth(pair: &Pair, trials: &[Trial]) -> PairTruth {
    let (mut scenes, mut sums) = (0, [0_u64; 2]);
    for trial in
        trials.iter().filter(|trial| trial.truth == pair.label && trial.label == pair.label)
    {
        let effect = |class| trial.effects.iter().find(|effect| effect.class == class);
        let (Some(cause), Some(other)) = (effect(pair.cause), effect(pair.other)) else { continue };
        scenes += 1;
        sums[0] += u64::from(cause.flips);
        sums[1] += u64::from(other.flips);
    }
    let flips = sums.map(|sum| (scenes > 0).then(|| sum as f64 / scenes as f64));
    PairTruth { pair: pair.clone(), scenes, flips }
}

/// Cells of the cause and of the other.
type Cells = [Option<f64>; 2];

/// By pair, judge and reading.
fn orders(judged: &Judged, resamples: u64, seed: u64) -> Vec<Order> {
    let pairs = &judged.truth.pairs;
    let measure = |weights: &[f64]| -> Vec<Cells> {
        let of_judge =
            |(_, numbers): &(super::BoxJudge, Vec<Vec<super::answers::SceneNumbers>>)| {
                Reading::ALL.map(|reading| {
                    let of_network =
                        |scenes: &Vec<_>| judged.truth.matrix(reading, scenes, weights);
                    let matrices: Vec<Array2<Option<f64>>> = match reading {
                        Reading::Scenes => Vec::new(),
                        _ => numbers.iter().map(of_network).collect(),
                    };
                    let cells = |pair: &Pair| match matrices.get(pair.network) {
                        Some(matrix) => {
                            [pair.cause, pair.other].map(|thing| matrix[[thing, pair.label]])
                        }
                        None => [
                            judged.truth.scenes_right(&numbers[pair.network], pair.label, weights),
                            Some(0.5),
                        ],
                    };
                    pairs.iter().map(cells).collect::<Vec<Cells>>()
                })
            };
        judged.judges.iter().flat_map(of_judge).flatten().collect()
    };
    let difference = |cells: Cells| Some(cells[0]? - cells[1]?);
    let values = measure(&vec![1.0; judged.scenes]);
    let differences = |weights: &[f64]| -> Vec<Option<f64>> {
        measure(weights).into_iter().map(difference).collect()
    };
    let drawn = resampled(judged.scenes, resamples, seed, differences);
    let order = |(at, &cells): (usize, &Cells)| {
        let (judge, rest) = (at / (3 * pairs.len()), at % (3 * pairs.len()));
        let judge = &judged.judges[judge].0;
        let resamples: Vec<Option<f64>> = drawn.iter().map(|differences| differences[at]).collect();
        Order {
            pair: pairs[rest % pairs.len()].clone(),
            judge: (judge.name.clone(), judge.rule_name()),
            reading: Reading::ALL[rest / pairs.len()],
            cells,
            difference: estimate(difference(cells), &resamples, judged.scenes),
        }
    };
    values.iter().enumerate().map(order).collect()
}
