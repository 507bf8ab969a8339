//! Golden pictures of the room's own kinds, with one row, twenty and many, and with names that are
//! hard to set.

pub(crate) mod golden;

use self::golden::assert_golden;
use super::*;
use crate::image::{Rgb8, Size};

/// Names: short, long, Arabic, in Chinese characters and Japanese letters, with signs of XML.
fn names(count: usize) -> Vec<String> {
    let hard = [
        "a name that is much longer than any label of any picture has room for, and goes on after \
         that for a while",
        "سعادة غامرة",
        "悲しみ",
        "Dog & <cat>",
    ];
    let name = |at: usize| match at {
        0 => "Tree".to_string(),
        at if at <= hard.len() => hard[at - 1].into(),
        at => format!("class {at}"),
    };
    (0..count).map(name).collect()
}

/// From 0 to 1, without an order that shows.
fn value(at: usize) -> f64 {
    (at * 7919 % 1000) as f64 / 999.0
}

fn heatmap(rows: usize) -> Heatmap {
    let columns = names(8);
    let cell = |row: usize, column: usize| (column != 6).then(|| value(row * 31 + column * 7));
    Heatmap {
        title: "Objects and emotions".into(),
        subtitle: Some(format!(
            "{rows} rows: share of an emotion's images in which a class is important"
        )),
        rows: names(rows),
        values: (0..rows)
            .map(|row| (0..columns.len()).map(|column| cell(row, column)).collect())
            .collect(),
        column_notes: (0..columns.len()).map(|index| (3 * index).to_string()).collect(),
        column_notes_label: "images".into(),
        columns,
        value_label: "share".into(),
        faded: vec![1, 2],
        marks: vec![(0, 3)],
        notes: vec!["A box counts when its score (mean of the map in the box) is over 0.3.".into()],
        ..Heatmap::default()
    }
}

#[test]
fn golden_heatmaps() {
    for (rows, scale) in [(1, 0.6), (20, 0.6), (601, 0.06)] {
        assert_golden(&format!("heatmap-{rows}"), &heatmap(rows).svg().unwrap(), scale);
    }
    let mut diverging = heatmap(20);
    diverging.range = (-1.0, 1.0);
    let twice = |row: &mut Vec<Option<f64>>| {
        row.iter_mut().flatten().for_each(|value| *value = 2.0 * *value - 1.0);
    };
    diverging.values.iter_mut().for_each(twice);
    assert_golden("heatmap-diverging", &diverging.svg().unwrap(), 0.6);
}

#[test]
fn golden_bars() {
    for (groups, scale) in [(1, 0.6), (20, 0.5), (601, 0.15)] {
        let bar = |series: usize| {
            move |at: usize| {
                let value = 0.8 * value(at + 300 * series);
                let n = if groups == 20 { 40 - (at % 3) as u64 } else { 40 };
                (at != 7).then(|| Bar {
                    value,
                    interval: (0.7 * value, 1.0_f64.min(1.2 * value)),
                    mark: "Jo".into(),
                    n,
                })
            }
        };
        let bars = Bars {
            title: "Labels changed by pasting an object".into(),
            subtitle: format!("{groups} groups; objects 20 % as high as the image"),
            groups: names(groups),
            series: vec!["the object".into(), "its outline in the mean colour".into()],
            panels: names(3)
                .into_iter()
                .map(|title| BarPanel {
                    title,
                    series: (0..2).map(|series| (0..groups).map(bar(series)).collect()).collect(),
                })
                .take(if groups == 601 { 1 } else { 3 })
                .collect(),
            value_label: "share of labels changed".into(),
            notes: vec!["Lines: Wilson's intervals, 95 %.".into()],
        };
        assert_golden(&format!("bars-{groups}"), &bars.svg().unwrap(), scale);
    }
}

#[test]
fn golden_positions() {
    for count in [1, 20, 601] {
        let spots = names(count).into_iter().enumerate();
        let place = |(at, name): (usize, String)| (name, value(17 * at), value(29 * at + 5));
        let picture =
            Spots { title: "Positions".into(), spots: spots.map(place).collect(), height: 0.2 };
        let scale = if count == 601 { 0.25 } else { 0.5 };
        assert_golden(&format!("positions-{count}"), &picture.svg().unwrap(), scale);
    }
}

#[test]
fn golden_forests() {
    for (rows, scale) in [(1, 0.6), (20, 0.6), (601, 0.12)] {
        let row = |(at, label): (usize, String)| {
            let value = 4.0 * value(at) - 2.0;
            ForestRow {
                label,
                value,
                interval: (value - 0.5, value + 0.7),
                filled: at % 2 == 0,
                reference: (at % 3 == 0).then_some(0.25),
                remark: format!("{at} of {rows}"),
            }
        };
        let forest = Forest {
            title: "The surest associations of objects and emotions".into(),
            subtitle: format!("{rows} rows: log odds ratio with its interval at 95 %"),
            rows: names(rows).into_iter().enumerate().map(row).collect(),
            value_label: "log odds ratio".into(),
            notes: vec!["Filled: q < 0.05.".into()],
        };
        assert_golden(&format!("forest-{rows}"), &forest.svg().unwrap(), scale);
    }
}

#[test]
fn golden_explanations() {
    let pixels =
        (0..30).flat_map(|y| (0..40).flat_map(move |x| [(6 * x) as u8, 60, (8 * y) as u8]));
    let photo = Rgb8::new(Size::new(40, 30), pixels.collect());
    let map = [0.0, 0.5, 1.0, 0.0, 0.5, 1.0];
    for methods in [1, 5] {
        let names = names(6);
        let place = |at: usize| {
            [5.0 * at as f32, 3.0 * at as f32, 5.0 * at as f32 + 12.0, 3.0 * at as f32 + 9.0]
        };
        let object = |(at, class): (usize, &String)| OutlinedObject {
            class: class.clone(),
            confidence: value(at + 3),
            area: place(at).into(),
            outline: Vec::new(),
        };
        let method = |at: usize| MethodMap {
            name: format!("method {at}"),
            note: "of the logit".into(),
            size: Size::new(3, 2),
            map: &map,
            signed: None,
            flat: at == 4,
            ranked: (0..names.len())
                .map(|object| Ranked {
                    object,
                    score: 0.9 - 0.1 * object as f64,
                    counts: object < 3,
                })
                .collect(),
        };
        let explanation = Explanation {
            title: names[1].clone(),
            photo: &photo,
            answers: names
                .iter()
                .enumerate()
                .map(|(at, label)| Answer {
                    label: label.clone(),
                    probability: (at + 1) as f64 / 21.0,
                })
                .collect(),
            answer: None,
            predicted: 5,
            explained: 3,
            dimensions: Vec::new(),
            objects: names.iter().enumerate().map(object).collect(),
            methods: (0..methods).map(method).collect(),
            values: Vec::new(),
            boxes: 5,
            colours: Colours::Uniform,
            notes: vec!["Made up.".into()],
        };
        assert_golden(&format!("explanation-{methods}"), &explanation.svg().unwrap(), 0.4);
    }
}
