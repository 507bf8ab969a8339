//! Shapley values of a picture's rectangles by halving: Winter values (Winter 1989) of a tree of
//! halves, as SHAP's PartitionExplainer computes them (Lundberg & Lee 2017; the idea for pictures:
//! DnCShap, Kumar & Raman).
//!
//! A node is a rectangle together with a context, what else is shown. Its credit is
//! weight * (f11 - f00): the score with the rectangle less that without, both with the context.
//! Opened, it hands its credit to its halves: each half joins before the other and after it, at
//! half the weight each. Nodes with the most credit are opened first; what is not opened when the
//! budget is spent keeps its credit, so that credits add up to v(all) - v(nothing) at any budget.

use super::masking::{Coalition, Scores};
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use tch::TchError;

/// A part of the picture, in whole places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rectangle {
    pub top: usize,
    pub left: usize,
    pub height: usize,
    pub width: usize,
}

impl Rectangle {
    /// The halves of the longer side, the smaller half first; of the width where both are equal.
    /// `None` for a single place.
    fn halves(self) -> Option<[Self; 2]> {
        let Self { top, left, height, width } = self;
        if self.area() == 1 {
            return None;
        }
        if width >= height {
            let half = width / 2;
            return Some([
                Self { width: half, ..self },
                Self { left: left + half, width: width - half, ..self },
            ]);
        }
        let half = height / 2;
        Some([
            Self { height: half, ..self },
            Self { top: top + half, height: height - half, ..self },
        ])
    }

    fn area(self) -> usize {
        self.height * self.width
    }

    /// Calls `with` with the stretch of every row.
    pub(super) fn rows(self, columns: usize, mut with: impl FnMut(std::ops::Range<usize>)) {
        for row in self.top..self.top + self.height {
            let start = row * columns + self.left;
            with(start..start + self.width);
        }
    }
}

/// Rectangles of a picture that are shown.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    pub picture: usize,
    pub rectangles: Vec<Rectangle>,
    /// Of the whole picture.
    pub columns: usize,
}

impl Coalition for Shown {
    fn picture(&self) -> usize {
        self.picture
    }

    fn show(&self, shown: &mut [bool]) {
        for rectangle in &self.rectangles {
            rectangle.rows(self.columns, |row| shown[row].fill(true));
        }
    }
}

impl Shown {
    fn with(&self, rectangle: Rectangle) -> Self {
        let mut rectangles = self.rectangles.clone();
        rectangles.push(rectangle);
        Self { rectangles, ..*self }
    }
}

/// How far to go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    /// Evaluations of the score a picture, with those of the whole picture and of nothing; at least
    /// 2.
    pub evaluations: usize,
    /// Halvings from the whole picture to the smallest rectangles, at most.
    pub depth: usize,
    /// Nodes of a picture that are opened together.
    pub together: usize,
}

/// The credit of a picture's places.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Credit {
    /// v(all)
    pub all: f64,
    /// v(nothing)
    pub nothing: f64,
    /// Evaluations of the score.
    pub evaluations: usize,
    /// Credit of each place, row by row: that of a rectangle lies evenly on its places. The sum is
    /// `all` - `nothing`.
    pub places: Vec<f64>,
}

/// A rectangle in a context.
#[derive(Debug)]
struct Node {
    rectangle: Rectangle,
    /// What else is shown.
    context: Shown,
    /// The score of the context, and of the context with the rectangle.
    scores: (f64, f64),
    weight: f64,
    depth: usize,
    /// Of equal credits the older node comes first.
    number: usize,
}

impl Node {
    fn credit(&self) -> f64 {
        self.weight * (self.scores.1 - self.scores.0)
    }
}

impl Ord for Node {
    fn cmp(&self, other: &Self) -> Ordering {
        self.credit().abs().total_cmp(&other.credit().abs()).then(other.number.cmp(&self.number))
    }
}

impl PartialOrd for Node {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Node {}

/// The nodes of a picture.
struct Tree {
    credit: Credit,
    open: BinaryHeap<Node>,
    columns: usize,
    nodes: usize,
}

impl Tree {
    /// Takes a node: to be opened, or as it is where it is one of the smallest.
    fn push(&mut self, mut node: Node, depth: usize) {
        node.number = self.nodes;
        self.nodes += 1;
        if node.depth < depth && node.rectangle.area() > 1 {
            self.open.push(node);
        } else {
            self.settle(&node);
        }
    }

    fn settle(&mut self, node: &Node) {
        let share = node.credit() / node.rectangle.area() as f64;
        node.rectangle.rows(self.columns, |row| {
            self.credit.places[row].iter_mut().for_each(|place| *place += share);
        });
    }
}

/// The credit of the places of each of `pictures` pictures of `rows` x `columns` places; `value`
/// gives the scores of what is shown.
pub(super) fn credits(
    (rows, columns): (usize, usize),
    pictures: usize,
    plan: Plan,
    value: &mut dyn FnMut(&[Shown]) -> Scores,
) -> Result<Vec<Credit>, TchError> {
    let whole = Rectangle { top: 0, left: 0, height: rows, width: columns };
    let nothing = |picture: usize| Shown { picture, rectangles: Vec::new(), columns };
    let ends: Vec<Shown> = (0..pictures)
        .flat_map(|picture| [nothing(picture), nothing(picture).with(whole)])
        .collect();
    let tree = |(picture, scores): (usize, &[f64])| {
        let credit = Credit {
            all: scores[1],
            nothing: scores[0],
            evaluations: 2,
            places: vec![0.0; rows * columns],
        };
        let mut tree = Tree { credit, open: BinaryHeap::new(), columns, nodes: 0 };
        let (context, scores) = (nothing(picture), (scores[0], scores[1]));
        tree.push(
            Node { rectangle: whole, context, scores, weight: 1.0, depth: 0, number: 0 },
            plan.depth,
        );
        tree
    };
    let mut trees: Vec<Tree> = value(&ends)?.chunks_exact(2).enumerate().map(tree).collect();
    loop {
        let opened: Vec<(Node, [Rectangle; 2])> =
            trees.iter_mut().flat_map(|tree| to_open(tree, plan)).collect();
        if opened.is_empty() {
            break;
        }
        let asked: Vec<Shown> = opened
            .iter()
            .flat_map(|(node, halves)| halves.map(|half| node.context.with(half)))
            .collect();
        let scores = value(&asked)?;
        for (((node, halves), shown), scores) in
            opened.into_iter().zip(asked.chunks_exact(2)).zip(scores.chunks_exact(2))
        {
            let tree = &mut trees[node.context.picture];
            let (before, behind) = node.scores;
            for (half, context, scores) in [
                (0, &node.context, (before, scores[0])),
                (1, &node.context, (before, scores[1])),
                (0, &shown[1], (scores[1], behind)),
                (1, &shown[0], (scores[0], behind)),
            ] {
                let (rectangle, context) = (halves[half], context.clone());
                let (weight, depth) = (node.weight / 2.0, node.depth + 1);
                tree.push(
                    Node { rectangle, context, scores, weight, depth, number: 0 },
                    plan.depth,
                );
            }
        }
    }
    let finished = trees.into_iter().map(|mut tree| {
        for node in std::mem::take(&mut tree.open) {
            tree.settle(&node);
        }
        tree.credit
    });
    Ok(finished.collect())
}

/// The nodes of a picture that are opened next.
fn to_open(tree: &mut Tree, plan: Plan) -> Vec<(Node, [Rectangle; 2])> {
    let mut opened = Vec::new();
    while opened.len() < plan.together && tree.credit.evaluations + 2 <= plan.evaluations {
        let Some(node) = tree.open.pop() else { break };
        let Some(halves) = node.rectangle.halves() else { continue };
        tree.credit.evaluations += 2;
        opened.push((node, halves));
    }
    opened
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A score of what is shown: tanh of a weighted sum and of products of distant places.
    fn score(weights: &[f64], shown: &[bool]) -> f64 {
        let weight = |place: usize| if shown[place] { weights[place] } else { 0.0 };
        let linear = (0..weights.len()).map(weight).sum::<f64>();
        let pairs = (0..weights.len())
            .map(|place| weight(place) * weight(weights.len() - 1 - place))
            .sum::<f64>();
        (linear + pairs).tanh()
    }

    fn found(
        (rows, columns): (usize, usize),
        plan: Plan,
        score: &dyn Fn(&[bool]) -> f64,
    ) -> Credit {
        let mut value = |asked: &[Shown]| {
            let scores = asked.iter().map(|one| {
                let mut shown = vec![false; rows * columns];
                one.show(&mut shown);
                score(&shown)
            });
            Ok(scores.collect())
        };
        credits((rows, columns), 1, plan, &mut value).unwrap().remove(0)
    }

    fn weights(seed: u64, count: usize) -> Vec<f64> {
        crate::random::Random::new(seed, 3).spread(count, 0.3)
    }

    proptest! {
        #[test]
        fn credits_add_up_at_every_budget(
            rows in 1..9_usize, columns in 1..9_usize, seed in 0..99_u64, evaluations in 2..300_usize,
            together in 1..9_usize,
        ) {
            let weights = weights(seed, rows * columns);
            let plan = Plan { evaluations, depth: 10, together };
            let credit = found((rows, columns), plan, &|shown| score(&weights, shown));
            let sum: f64 = credit.places.iter().sum();
            prop_assert!((sum - (credit.all - credit.nothing)).abs() < 1e-12);
            prop_assert!(credit.evaluations <= evaluations);
        }

        /// Of a linear score every smallest rectangle has its own change, whatever the order.
        #[test]
        fn of_a_linear_score_every_place_has_its_own_part(
            rows in 1..6_usize, columns in 1..6_usize, seed in 0..99_u64,
        ) {
            let weights = weights(seed, rows * columns);
            let linear = |shown: &[bool]| shown.iter().zip(&weights).filter(|&(&shown, _)| shown).map(|(_, w)| w).sum();
            let credit = found((rows, columns), Plan { evaluations: 20_000, depth: 10, together: 8 }, &linear);
            for (found, expected) in credit.places.iter().zip(&weights) {
                prop_assert!((found - expected).abs() < 1e-12);
            }
        }

        #[test]
        fn one_halving_is_plain_shapley(rows in 1..6_usize, columns in 2..6_usize, seed in 0..99_u64) {
            let weights = weights(seed, rows * columns);
            let plan = Plan { evaluations: 100, depth: 1, together: 1 };
            let credit = found((rows, columns), plan, &|shown| score(&weights, shown));
            let whole = Rectangle { top: 0, left: 0, height: rows, width: columns };
            let halves = whole.halves().unwrap();
            let score_of = |rectangles: &[Rectangle]| {
                let mut shown = vec![false; rows * columns];
                Shown { picture: 0, rectangles: rectangles.to_vec(), columns }.show(&mut shown);
                score(&weights, &shown)
            };
            let first = (score_of(&halves[..1]) - score_of(&[]) + score_of(&halves) - score_of(&halves[1..])) / 2.0;
            let mut sum = 0.0;
            halves[0].rows(columns, |row| sum += credit.places[row].iter().sum::<f64>());
            prop_assert!((sum - first).abs() < 1e-12);
        }

        /// A score that does not tell left from right gives mirrored places the same credit, on
        /// sides of a power of 2.
        #[test]
        fn of_a_symmetric_score_mirrored_places_have_the_same_credit(seed in 0..99_u64) {
            let half = weights(seed, 8);
            let weights: Vec<f64> = half.chunks(2).flat_map(|row| [row[0], row[1], row[1], row[0]]).collect();
            let symmetric = |shown: &[bool]| {
                shown.iter().zip(&weights).filter(|&(&shown, _)| shown).map(|(_, w)| w).sum::<f64>().tanh()
            };
            let credit = found((4, 4), Plan { evaluations: 20_000, depth: 10, together: 8 }, &symmetric);
            for row in credit.places.chunks(4) {
                prop_assert!((row[0] - row[3]).abs() < 1e-12 && (row[1] - row[2]).abs() < 1e-12);
            }
        }
    }

    /// 2 (4^d - 1) / 3 + 2 evaluations open every node down to depth d.
    #[test]
    fn all_nodes_of_a_depth_cost_what_the_sum_says() {
        let weights = weights(1, 64);
        for (depth, evaluations) in [(1, 4), (2, 12), (3, 44), (4, 172), (6, 2732)] {
            let plan = Plan { evaluations: 100_000, depth, together: 8 };
            assert_eq!(
                found((8, 8), plan, &|shown| score(&weights, shown)).evaluations,
                evaluations
            );
        }
    }
}
