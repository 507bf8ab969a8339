//! Flags for labels that people gave, and what is said when they do not fit a corpus.

use clap::Args;
use emocam::annotations::{AnnotationColumns, Annotations, GivenLabels, LabelMap, PeopleLabels};
use emocam::corpus::Source;
use emocam::run::Run;
use std::path::{Path, PathBuf};

/// Labels that people gave.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Labels that people gave")]
pub(super) struct LabelArgs {
    /// What the images show: a table with a column for the images' paths and one for their labels
    /// (CSV, TSV, FindingEmo's annotations, EMOTIC's, Emotion6's), EmoSet's JSON, or `folder`: the
    /// name of the folder that each lies in
    #[arg(long, value_name = "FILE|folder")]
    pub labels: Option<PathBuf>,

    /// The column with the images' paths [default: path, image_path, filename and the like;
    /// EMOTIC's Folder and Filename]
    #[arg(long, value_name = "NAME", requires = "labels")]
    pub path_column: Option<String>,

    /// The column with the labels [default: label, emotion, Categorical_Labels and the like]
    #[arg(long, value_name = "NAME", requires = "labels")]
    pub label_column: Option<String>,

    /// How the network's labels are called in --labels, where they are called otherwise: a TOML
    /// file with a table [labels], as configs/fi-to-webemo.toml, and perhaps [annotations], which
    /// gives labels of the file other names
    #[arg(long, value_name = "FILE.toml", requires = "labels")]
    pub label_map: Option<PathBuf>,
}

/// A picture as labels are found for it: its path, and the name of the folder that it lies in.
pub(super) type FiledPicture = (String, Option<String>);

/// The pictures of a corpus.
pub(super) fn of_sources(images: &[Source]) -> Vec<FiledPicture> {
    let folder = |source: &Source| {
        Some(source.place().parent()?.file_name()?.to_string_lossy().into_owned())
    };
    images.iter().map(|source| (source.path.clone(), folder(source))).collect()
}

/// The pictures of a run. One that lies at the top of the only folder of the corpus has that
/// folder's name.
pub(super) fn of_run(run: &Run) -> anyhow::Result<Vec<FiledPicture>> {
    let root = match run.manifest.corpus.folders.as_slice() {
        [folder] => Path::new(folder).file_name().map(|name| name.to_string_lossy().into_owned()),
        _ => None,
    };
    let mut pictures = Vec::new();
    run.for_each_record(|record| {
        let folder = Path::new(&record.path).parent().and_then(Path::file_name);
        let folder =
            folder.map(|name| name.to_string_lossy().into_owned()).or_else(|| root.clone());
        pictures.push((record.path, folder));
        Ok(())
    })?;
    Ok(pictures)
}

impl LabelArgs {
    /// The labels of `pictures`; `None` without `--labels`. What does not fit is said.
    pub(super) fn given(&self, pictures: &[FiledPicture]) -> anyhow::Result<Option<GivenLabels>> {
        let Some(file) = &self.labels else { return Ok(None) };
        if file.as_os_str() == "folder" {
            let given = GivenLabels::of_folders(pictures);
            say_unjoined(file, &given);
            return Ok(Some(given));
        }
        read_column(file, self.path_column.as_ref(), self.label_column.as_ref(), pictures).map(Some)
    }

    /// Labels that were given beside those of a network.
    pub(super) fn beside(
        &self,
        given: &GivenLabels,
        network: &[String],
    ) -> anyhow::Result<PeopleLabels> {
        let map =
            self.label_map.as_deref().map(|file| LabelMap::read(file, network)).transpose()?;
        Ok(PeopleLabels::new(&given.labels, network, &map.unwrap_or_default()))
    }
}

/// What a column of a table says of `pictures`; without a name the column with labels.
pub(super) fn read_column(
    file: &Path,
    path_column: Option<&String>,
    column: Option<&String>,
    pictures: &[FiledPicture],
) -> anyhow::Result<GivenLabels> {
    let columns = AnnotationColumns { path: path_column.cloned(), label: column.cloned() };
    let paths: Vec<&str> = pictures.iter().map(|(path, _)| path.as_str()).collect();
    let given = Annotations::read(file, &columns)?.join(&paths)?;
    anyhow::ensure!(
        !given.labels.is_empty(),
        "{}: says nothing of any of the {} images, as {}: images are found by their paths in the \
         corpus, or by their file names",
        file.display(),
        pictures.len(),
        given.unjoined_of("image").1.join(", ")
    );
    say_unjoined(file, &given);
    Ok(given)
}

fn say_unjoined(file: &Path, given: &GivenLabels) {
    let file = file.display();
    let (images, example_images) = given.unjoined_of("image");
    if images > 0 {
        say!("{file}: {images} images have no label that counts ({})", example_images.join(", "));
    }
    let (entries, example_entries) = given.unjoined_of("annotation");
    if entries > 0 {
        say!("{file}: {entries} entries belong to no image ({})", example_entries.join(", "));
    }
    if given.rejected > 0 {
        say!("{file}: {} rows are marked as rejected and count for nothing", given.rejected);
    }
}
