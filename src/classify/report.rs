//! Tables and pictures of a classified corpus.

use super::confusion::Confusion;
use super::record::ClassifyRecord;
use crate::Result;
use crate::annotations::PeopleLabels;
use crate::run::{Run, table};
use crate::stats::Share;

/// How right the answers were.
#[derive(Debug, Clone, PartialEq)]
pub struct JudgedAnswers {
    /// The confusion of the network's answers, by the data set's labels.
    pub confusion: Confusion,
    /// The accuracy of each stream alone.
    pub streams: Vec<(String, Option<Share>)>,
    /// Pictures without a label.
    pub unlabelled: u64,
}

/// Writes `predictions.csv` from the run's records, in the order of the paths, and where `truth`
/// says what pictures show also `confusion.csv`, `.png` and `.svg`, `labels.csv` and
/// `accuracy.json`.
///
/// # Errors
/// A file cannot be read or written.
pub fn write(
    run: &Run,
    streams: &[String],
    truth: Option<&PeopleLabels>,
) -> Result<Option<JudgedAnswers>> {
    let mut records = Vec::new();
    run.for_each_record_of(|record: ClassifyRecord| {
        records.push(record);
        Ok(())
    })?;
    records.sort_by(|a, b| a.path.cmp(&b.path));
    let labels = &run.manifest.labels;
    let shown = |record: &ClassifyRecord| {
        truth.and_then(|truth| Some(&truth.names[truth.of_picture(&record.path)?]))
    };
    table(&run.path("predictions.csv"), |table| {
        let mut header = vec!["path".to_string()];
        header.extend(truth.map(|_| "label".to_string()));
        header.extend(["answer", "probability"].map(String::from));
        header.extend(streams.iter().map(|stream| format!("answer_of_{stream}")));
        match &run.manifest.output {
            Some(output) => header.push(output.clone()),
            None => header.extend(labels.iter().map(|label| format!("probability_of_{label}"))),
        }
        table.row(header)?;
        for record in &records {
            let mut cells = vec![record.path.clone()];
            cells.extend(truth.map(|_| shown(record).cloned().unwrap_or_default()));
            cells.push(labels[record.label].clone());
            let probability = record.probabilities.get(record.label);
            cells
                .push(probability.map_or(String::new(), |probability| format!("{probability:.6}")));
            cells.extend(record.streams.iter().map(|&label| labels[label].clone()));
            cells.extend(
                record
                    .probabilities
                    .iter()
                    .chain(&record.output)
                    .map(|number| format!("{number:.6}")),
            );
            table.row(cells)?;
        }
        Ok(())
    })?;
    let Some(truth) = truth else { return Ok(None) };
    let judged = judge(&records, streams, truth);
    judged.confusion.write(run.folder(), "Confusion matrix")?;
    judged.confusion.write_json(&run.path("accuracy.json"))?;
    Ok(Some(judged))
}

fn judge(records: &[ClassifyRecord], streams: &[String], truth: &PeopleLabels) -> JudgedAnswers {
    let mut confusion = Confusion::new(&truth.names);
    let (mut unlabelled, mut right, mut cases) = (0, vec![0; streams.len()], 0);
    for record in records {
        let Some(label) = truth.of_picture(&record.path) else {
            unlabelled += 1;
            continue;
        };
        let Some(answer) = truth.of_network[record.label] else {
            // The network means something that the data set has no word for.
            unlabelled += 1;
            continue;
        };
        confusion.add(label, answer);
        cases += 1;
        for (right, &answer) in right.iter_mut().zip(&record.streams) {
            *right += u64::from(truth.of_network[answer] == Some(label));
        }
    }
    let shares =
        streams.iter().zip(right).map(|(name, right)| (name.clone(), Share::of(right, cases)));
    JudgedAnswers { streams: shares.collect(), confusion, unlabelled }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::annotations::LabelMap;

    #[test]
    fn answers_are_mapped_and_streams_are_counted() {
        let record = |path: &str, label: usize, streams: [usize; 2]| ClassifyRecord {
            path: path.into(),
            label,
            probabilities: vec![0.2, 0.5, 0.3],
            output: None,
            streams: streams.to_vec(),
        };
        let records = [
            record("a", 0, [0, 1]),
            record("b", 1, [0, 1]),
            record("c", 2, [2, 2]),
            record("d", 0, [0, 0]),
        ];
        let truth = [("a", "joy"), ("b", "joy"), ("c", "fear"), ("x", "anger")];
        let truth = truth.map(|(path, label)| (path.to_string(), label.to_string())).into();
        let labels = ["amusement", "contentment", "fear"].map(String::from);
        let map = [("amusement", "joy"), ("contentment", "joy"), ("fear", "")];
        let map = map.map(|(from, to)| (from.to_string(), to.to_string())).into();
        let map = LabelMap { labels: map, ..LabelMap::default() };
        let judged = judge(
            &records,
            &["object".into(), "places".into()],
            &PeopleLabels::new(&truth, &labels, &map),
        );
        assert_eq!(judged.confusion.labels, ["joy", "anger", "fear"]);
        // c is answered with a label that the data set does not have, d has no label.
        assert_eq!(
            (judged.confusion.counts.clone(), judged.unlabelled),
            (vec![vec![2, 0, 0], vec![0; 3], vec![0; 3]], 2)
        );
        let shares: Vec<_> = judged
            .streams
            .iter()
            .map(|(_, share)| share.map(|share| (share.hits, share.cases)))
            .collect();
        assert_eq!(shares, [Some((2, 2)), Some((2, 2))]);
    }
}
