//! The files of a layer.

use super::features::{FeatureSet, MarkBy, PictureRow};
use super::layers::FeatureLayer;
use super::measure::{DomainPair, EmbedSettings, LayerEmbedding, Measurement};
use super::picture::picture;
use crate::files::write_whole;
use crate::plot;
use crate::run::{Run, table};
use crate::{Error, Result};
use ndarray::Array2;
use std::io::Write;
use std::path::{Path, PathBuf};

/// A layer that has been embedded and measured.
#[derive(Debug)]
pub struct LayerReport<'a> {
    /// Which one.
    pub layer: &'a FeatureLayer,
    /// Its number in the set.
    pub number: usize,
    /// The pictures.
    pub set: &'a FeatureSet,
    /// What came of them.
    pub embedding: &'a LayerEmbedding,
    /// How.
    pub settings: &'a EmbedSettings,
    /// What the marks tell.
    pub mark: MarkBy,
}

/// Writes `features.npy`, `embedding.csv`, `numbers.csv`, `domains.csv` where there are several,
/// `embedding.png` and `.svg` into the layer's folder of the run, which is returned.
///
/// # Errors
/// A file cannot be written.
pub fn write_layer(run: &Run, report: &LayerReport<'_>) -> Result<PathBuf> {
    let &LayerReport { layer, number, set, embedding, settings, mark } = report;
    let folder = run.path(&layer.folder());
    std::fs::create_dir_all(&folder).map_err(Error::io("create", &folder))?;
    write_npy(&folder.join("features.npy"), &set.layers[number])?;
    write_embedding(&folder.join("embedding.csv"), set, embedding)?;
    write_numbers(&folder.join("numbers.csv"), &embedding.measurements)?;
    if set.domains.len() > 1 {
        write_domains(&folder.join("domains.csv"), set, &embedding.domains)?;
    }
    let weights = Path::new(&run.manifest.configuration.emotion.weights);
    let model =
        weights.file_name().map_or(String::new(), |name| format!(" of {}", name.to_string_lossy()));
    let title = format!("Features of the layer {}{model}", layer.name);
    let drawing = picture(title, set, embedding, settings, mark, run.manifest.warning.as_deref());
    plot::write(&drawing.svg()?, &folder.join("embedding.png"), &folder.join("embedding.svg"))?;
    Ok(folder)
}

/// Writes a matrix of f32, row by row, as NumPy's format 1.0 (numpy.lib.format).
fn write_npy(path: &Path, matrix: &Array2<f32>) -> Result<()> {
    let (rows, columns) = matrix.dim();
    let mut header =
        format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {columns}), }}");
    // Magic number, version and length take ten bytes; the numbers begin at a multiple of 64.
    let padding = (64 - (header.len() + 11) % 64) % 64;
    header.push_str(&" ".repeat(padding));
    header.push('\n');
    let length = u16::try_from(header.len()).expect("a header of two numbers is short");
    write_whole(path, |file| {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend(length.to_le_bytes());
        bytes.extend(header.as_bytes());
        file.write_all(&bytes).map_err(Error::io("write", path))?;
        for row in matrix.outer_iter() {
            let bytes: Vec<u8> = row.iter().flat_map(|value| value.to_le_bytes()).collect();
            file.write_all(&bytes).map_err(Error::io("write", path))?;
        }
        Ok(())
    })
}

/// A row a picture, in the order of the rows of `features.npy`.
fn write_embedding(path: &Path, set: &FeatureSet, embedding: &LayerEmbedding) -> Result<()> {
    table(path, |table| {
        table.row(["path", "domain", "label", "answer", "pca_1", "pca_2", "tsne_1", "tsne_2"])?;
        for (row, picture) in set.pictures.iter().enumerate() {
            let PictureRow { path, domain, label, answer, .. } = picture;
            let place = |places: Option<&Array2<f64>>, column: usize| {
                cell(places.and_then(|places| places.get((row, column)).copied()))
            };
            let mut cells = vec![
                path.clone(),
                set.domains[*domain].clone(),
                label.clone().unwrap_or_default(),
                answer.clone(),
            ];
            for places in [Some(&embedding.plane), embedding.t_sne.as_ref()] {
                cells.extend([place(places, 0), place(places, 1)]);
            }
            table.row(cells)?;
        }
        Ok(())
    })
}

fn write_numbers(path: &Path, measurements: &[Measurement]) -> Result<()> {
    table(path, |table| {
        table.row([
            "measure",
            "space",
            "by",
            "value",
            "lower",
            "upper",
            "pictures",
            "neighbours",
        ])?;
        for &Measurement { measure, space, by, value, interval, pictures, neighbours } in
            measurements
        {
            table.row([
                measure.name().to_string(),
                space.name().to_string(),
                by.to_string(),
                cell(value),
                cell(interval.map(|(lower, _)| lower)),
                cell(interval.map(|(_, upper)| upper)),
                pictures.to_string(),
                neighbours.map_or(String::new(), |neighbours| neighbours.to_string()),
            ])?;
        }
        Ok(())
    })
}

fn write_domains(path: &Path, set: &FeatureSet, pairs: &[DomainPair]) -> Result<()> {
    table(path, |table| {
        let mut header = vec![
            "domain_a",
            "domain_b",
            "pictures_a",
            "pictures_b",
            "classifier_accuracy",
            "lower",
            "upper",
        ];
        header.extend(["right", "cases", "proxy_a_distance", "mean_distance"]);
        table.row(header)?;
        for &DomainPair { domains, pictures, accuracy, proxy_a_distance, mean_distance } in pairs {
            let count = |count: Option<u64>| count.map_or(String::new(), |count| count.to_string());
            table.row([
                set.domains[domains[0]].clone(),
                set.domains[domains[1]].clone(),
                pictures[0].to_string(),
                pictures[1].to_string(),
                cell(accuracy.map(|share| share.share)),
                cell(accuracy.map(|share| share.interval.0)),
                cell(accuracy.map(|share| share.interval.1)),
                count(accuracy.map(|share| share.hits)),
                count(accuracy.map(|share| share.cases)),
                cell(proxy_a_distance),
                cell(mean_distance),
            ])?;
        }
        Ok(())
    })
}

/// Six decimals; empty where there is no number. Adding 0 takes the sign off a zero.
fn cell(value: Option<f64>) -> String {
    value.map_or(String::new(), |value| format!("{:.6}", (value * 1e6).round() / 1e6 + 0.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribution::external::npy_matrix;

    #[test]
    fn the_matrix_is_read_again_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("features.npy");
        let matrix =
            Array2::from_shape_fn((3, 5), |(row, column)| row as f32 - 0.3 * column as f32);
        write_npy(&path, &matrix).unwrap();
        let length = std::fs::metadata(&path).unwrap().len();
        let (columns, values) = npy_matrix(&path, length).unwrap();
        assert_eq!((columns, values), (5, matrix.iter().copied().collect()));
        assert_eq!((length - 60) % 64, 0);
    }

    #[test]
    fn cells_have_six_decimals_and_no_negative_zero() {
        assert_eq!([Some(-1e-9), Some(0.1234567), None].map(cell), ["0.000000", "0.123457", ""]);
    }
}
