//! From an examined photo to its figure.

use super::{
    ExaminedPhoto, Explained, ExplainedBox, ExplainedLabel, ExplainedMap, ExplainedStream,
    Explainer,
};
use crate::Result;
use crate::attribution::Sign;
use crate::config::CamConfig;
use crate::image::{Mask, Size};
use crate::networks::Regression;
use crate::plot::{
    Answer, Colours, Dimension, Explanation, MethodMap, OutlinedObject, PartValue, Ranked, Svg,
    ValueBars,
};
use crate::run::record::BoxRecord;
use std::collections::BTreeMap;

impl Explainer<'_> {
    /// The figure: at most `boxes` boxes a panel.
    ///
    /// # Errors
    /// As [`Explanation::svg`].
    pub fn figure(
        &self,
        of: &ExaminedPhoto,
        content: &Explained,
        boxes: usize,
        colours: Colours,
    ) -> Result<Svg> {
        let record = &of.record;
        let card = &self.card;
        let answer = |label: &ExplainedLabel| Answer {
            label: label.label.clone(),
            probability: label.probability.unwrap_or(0.0).into(),
        };
        let dimensions = [
            dimension("valence", content.valence, card.valence.as_ref(), &card.labels),
            dimension("arousal", content.arousal, card.arousal.as_ref(), &card.labels),
        ];
        let of_size = Size::new(record.width, record.height);
        let placement = card.fit.placement(of_size);
        let over = |map: &Vec<f32>| placement.over_picture(map, of.size);
        let maps: Vec<(Size, Vec<f32>)> = of.maps.iter().map(|map| over(&map.values)).collect();
        let signed: Vec<Option<Vec<f32>>> =
            of.maps.iter().map(|map| map.signed.as_ref().map(|signed| over(signed).1)).collect();
        let object = |of: &BoxRecord| OutlinedObject {
            class: self.classes[of.class].clone(),
            confidence: of.confidence.into(),
            area: of.bounding_box,
            outline: of.rle.as_ref().map(|rle| outline(rle, of_size)).unwrap_or_default(),
        };
        let dimensions: Vec<Dimension> = dimensions.into_iter().flatten().collect();
        let explanation = Explanation {
            title: record.path.rsplit('/').next().unwrap_or(&record.path).to_string(),
            photo: &of.pixels,
            answers: content.probabilities.iter().map(answer).collect(),
            answer: content.output.map(|output| {
                let name = &content.explained.label;
                format!(
                    "{name} {}, explained; {}",
                    format!("{output:.3}").replace('-', "−"),
                    content.predicted.label
                )
            }),
            predicted: record.label,
            explained: self.class.unwrap_or(of.record.label),
            objects: record.boxes.iter().map(object).collect(),
            methods: content
                .methods
                .iter()
                .zip(maps.iter().zip(&signed))
                .map(|(map, ((size, values), signed))| MethodMap {
                    signed: signed.as_deref(),
                    ..method(map, &self.config.cam, values, *size)
                })
                .collect(),
            values: content.methods.iter().filter_map(value_bars).collect(),
            boxes,
            colours,
            notes: self.notes(content, !dimensions.is_empty()),
            dimensions,
        };
        explanation.svg()
    }

    /// How to read the picture.
    fn notes(&self, content: &Explained, scales: bool) -> Vec<String> {
        let mut reading = String::from(
            "Numbers at boxes: in the photo the detector's confidence, in maps the score; solid \
             frames count, dashed ones do not. ",
        );
        reading.push_str(&self.config.association.described());
        reading.push_str(
            " Every map is scaled to 0 to 1 by itself: colours tell places apart, not methods.",
        );
        let mut notes = vec![reading];
        let outside = |map: &ExplainedMap| {
            let share = map.outside.filter(|_| !map.flat && !map.boxes.is_empty())?;
            Some(format!("{} {:.0} %", map.method, 100.0 * share))
        };
        let outside: Vec<String> = content.methods.iter().filter_map(outside).collect();
        if !outside.is_empty() {
            notes.push(format!("Of the map lies outside all boxes: {}.", outside.join(", ")));
        }
        if content.methods.iter().any(|map| map.value_all.is_some()) {
            let signed = "Maps of Shapley values: red speaks for the answer, blue against it, grey \
                          is nothing. Of object-shap the number at a box is its value as a share \
                          of all positive ones.";
            notes.push(signed.into());
        }
        if content.methods.iter().any(|map| map.error.is_some()) {
            let sampled = "± behind a score: the map's channel weights were estimated from random \
                           draws, this is their standard error as a share of their length; boxes \
                           close to the threshold may change sides with another seed.";
            notes.push(sampled.into());
        }
        if !content.streams.is_empty() {
            let answer = |of: &ExplainedStream| {
                let percent = of
                    .answer
                    .probability
                    .map_or(String::new(), |share| format!(" {:.1} %", 100.0 * share));
                format!("{}: {}{percent}", of.stream, of.answer.label)
            };
            let answers: Vec<String> = content.streams.iter().map(answer).collect();
            notes.push(format!("Each stream alone answers: {}.", answers.join("; ")));
        }
        if scales {
            let ends = "Valence and arousal: the ends are the least and the most this network can \
                        answer, when it is certain of one emotion.";
            notes.push(ends.into());
        }
        notes.extend(content.warning.iter().map(|warning| format!("Warning: {warning}.")));
        notes
    }
}

/// A share in per cent: whole ones from 1 on.
pub fn percentage(share: f32) -> String {
    match 100.0 * share {
        percent if percent >= 1.0 || percent == 0.0 => format!("{percent:.0} %"),
        percent => format!("{percent:.1} %"),
    }
}

/// The contours of a mask in pixels of the photo.
fn outline(rle: &str, photo: Size) -> Vec<Vec<(u32, u32)>> {
    Mask::from_compressed(photo, rle)
        .expect("it was written by Mask::to_compressed just now")
        .outline()
}

fn method<'a>(map: &ExplainedMap, cam: &CamConfig, values: &'a [f32], size: Size) -> MethodMap<'a> {
    let ranked = |of: &ExplainedBox| Ranked {
        object: of.index,
        score: of.importance.into(),
        counts: of.counts,
    };
    MethodMap {
        name: map.method.clone(),
        note: map
            .score
            .map_or("map from a file".into(), |score| note(score, cam) + &uncertainty(map)),
        size,
        map: values,
        signed: None,
        flat: map.flat,
        ranked: map.boxes.iter().map(ranked).collect(),
    }
}

/// How sure the weights are of a map that was sampled.
fn uncertainty(map: &ExplainedMap) -> String {
    map.error.map(|error| format!(", ± {}", percentage(error))).unwrap_or_default()
}

/// Of what a map is, below its name.
fn note(score: &str, cam: &CamConfig) -> String {
    let relation = match cam.sign {
        Sign::Positive => "of",
        Sign::Negative => "against",
    };
    match score {
        "contrast" => format!("{relation} the logit less that of {}", cam.contrast),
        "valence" | "arousal" => format!("{relation} {score}"),
        _ => format!("{relation} the {score}"),
    }
}

/// Bars of the players' values, the greatest first: the background and the surest region of each.
fn value_bars(map: &ExplainedMap) -> Option<ValueBars> {
    /// More than that are put together.
    const SHOWN: usize = 12;
    let background =
        PartValue { name: "background".into(), value: map.background?.into(), error: None };
    let mut players: BTreeMap<usize, &ExplainedBox> = BTreeMap::new();
    for ranked in map.boxes.iter().filter(|object| object.player.is_some_and(|player| player > 0)) {
        let first = players.entry(ranked.player.unwrap_or_default()).or_insert(ranked);
        if ranked.index < first.index {
            *first = ranked;
        }
    }
    let part = |of: &&ExplainedBox| PartValue {
        name: of.class.clone(),
        value: of.shapley.unwrap_or_default().into(),
        error: of.shapley_error.map(f64::from),
    };
    let mut parts: Vec<PartValue> = players.values().map(part).chain([background]).collect();
    parts.sort_by(|a, b| b.value.abs().total_cmp(&a.value.abs()));
    if parts.len() > SHOWN {
        let rest = parts.split_off(SHOWN - 1);
        let value = rest.iter().map(|part| part.value).sum();
        parts.push(PartValue { name: format!("{} others", rest.len()), value, error: None });
    }
    let score =
        map.score.map(|score| format!(": what each part adds to the {score}")).unwrap_or_default();
    let title = format!("{}{score}", map.method);
    Some(ValueBars { title, nothing: map.value_nothing?.into(), all: map.value_all?.into(), parts })
}

/// The scale ends at what the regression gives for certainty of one label: probabilities sum to
/// one, so nothing is beyond.
fn dimension(
    name: &str,
    value: Option<f32>,
    by: Option<&Regression>,
    labels: &[String],
) -> Option<Dimension> {
    let (value, by) = (f64::from(value?), by?);
    let certain: Vec<(f64, &String)> =
        by.weights.iter().map(|weight| by.bias + weight).zip(labels).collect();
    let end = |end: Option<&(f64, &String)>| end.map(|(number, label)| (*number, (*label).clone()));
    let lower = end(certain.iter().min_by(|a, b| a.0.total_cmp(&b.0)))?;
    let upper = end(certain.iter().max_by(|a, b| a.0.total_cmp(&b.0)))?;
    // A regression that says the same of every label has no scale.
    (upper.0 > lower.0).then(|| Dimension { name: name.into(), value, lower, upper })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::networks::Card;

    #[test]
    fn a_scale_ends_at_certainty_of_one_emotion() {
        let card = Card::emonet();
        let valence = dimension("valence", Some(3.1), card.valence.as_ref(), &card.labels).unwrap();
        approx::assert_abs_diff_eq!(valence.lower.0, 3.2963 - 0.7719, epsilon = 1e-12);
        approx::assert_abs_diff_eq!(valence.upper.0, 3.2963 + 0.599, epsilon = 1e-12);
        assert_eq!([valence.lower.1, valence.upper.1], ["Disgust", "Adoration"]);
        assert_eq!(dimension("valence", None, card.valence.as_ref(), &card.labels), None);
        let constant = Regression { bias: 2.0, weights: vec![0.5; 20] };
        assert_eq!(dimension("valence", Some(2.5), Some(&constant), &card.labels), None);
    }
}
