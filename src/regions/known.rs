//! The regions of all pictures, as a file has them.

use super::{Located, SCORING_CANVAS};
use crate::corpus::Joined;
use crate::image::{Canvas, Size};
use crate::{Error, Result};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The most regions a picture may have.
pub const MAX_REGIONS: usize = 100_000;

/// The regions that a file has of pictures.
#[derive(Debug)]
pub struct KnownRegions {
    file: PathBuf,
    classes: Vec<String>,
    canvas: Canvas,
    /// By the name that the file gives the picture.
    pictures: BTreeMap<String, KnownPicture>,
    /// For each picture of the corpus that has an entry, the entry's name; `None` before the two
    /// were joined.
    joined: Option<BTreeMap<String, String>>,
    /// How the two fitted together.
    fit: Option<Joined>,
}

/// What a file says of one picture.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct KnownPicture {
    /// The size of the upright picture, if the file states it; that of all masks.
    pub size: Option<Size>,
    /// Its regions by falling confidence; equally sure ones in the order of the file.
    pub regions: Vec<Located>,
}

impl KnownPicture {
    /// Adds a region.
    ///
    /// # Errors
    /// The picture has [`MAX_REGIONS`] already; the region has a mask of another size than the
    /// picture.
    pub(super) fn push(&mut self, located: Located) -> Result<(), String> {
        if self.regions.len() >= MAX_REGIONS {
            return Err(format!("a picture has at most {MAX_REGIONS} regions, found one more"));
        }
        if let Some(mask) = &located.region.mask {
            self.state_size(mask.size(), "a mask")?;
        }
        self.regions.push(located);
        Ok(())
    }

    /// Takes note that `source` gives the picture this size.
    ///
    /// # Errors
    /// It has another one already.
    pub(super) fn state_size(&mut self, size: Size, source: &str) -> Result<(), String> {
        match *self.size.get_or_insert(size) {
            known if known == size => Ok(()),
            known => Err(format!(
                "{source} of {size} (width x height) was found for a picture of {known}"
            )),
        }
    }
}

impl KnownRegions {
    /// The regions of `pictures`, by the names that `file` (or a run) gives them; those of each
    /// picture are put in order.
    pub fn new(
        file: &Path,
        classes: Vec<String>,
        mut pictures: BTreeMap<String, KnownPicture>,
    ) -> Self {
        for picture in pictures.values_mut() {
            // A stable sort of scores that are all numbers.
            picture.regions.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
            picture.regions.shrink_to_fit();
        }
        let canvas = SCORING_CANVAS;
        Self { file: file.into(), classes, canvas, pictures, joined: None, fit: None }
    }

    /// The same, scored on the canvas of the detector that found them.
    pub fn on_canvas(self, canvas: Canvas) -> Self {
        Self { canvas, ..self }
    }

    /// The file they are from.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The names of the classes that [`Located::class`] counts.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// The canvas on which they are scored: the published detector's, unless
    /// [`Self::on_canvas`] named another.
    pub fn canvas(&self) -> Canvas {
        self.canvas
    }

    /// All pictures the file has, with or without regions, by the names it gives them.
    pub fn pictures(&self) -> &BTreeMap<String, KnownPicture> {
        &self.pictures
    }

    /// Joins the pictures with those of a corpus, for [`Self::regions`], by the rule of
    /// [`Joined::by_name`].
    ///
    /// # Errors
    /// Several pictures or several entries compete by name; the error names two.
    pub fn join(&mut self, paths: &[&str]) -> Result<&Joined> {
        let names: Vec<_> = self.pictures.keys().map(String::as_str).collect();
        let joined =
            Joined::by_name(paths, &names).map_err(|cause| Error::file(&self.file, cause))?;
        let pairs = paths.iter().zip(&joined.entries);
        let found = pairs.filter_map(|(path, entry)| Some((path.to_string(), entry.clone()?)));
        self.joined = Some(found.collect());
        Ok(self.fit.insert(joined))
    }

    /// How they fitted together with the corpus; `None` before [`Self::join`].
    pub fn joined(&self) -> Option<&Joined> {
        self.fit.as_ref()
    }

    /// The regions of a picture of the corpus, by falling confidence; none if it has no entry.
    /// Before [`Self::join`], its entry is the one with its path.
    ///
    /// # Errors
    /// The file states another size than `size`, that of the upright picture.
    pub fn regions(&self, path: &str, size: Size) -> Result<&[Located]> {
        let name = match &self.joined {
            Some(joined) => joined.get(path).map(String::as_str),
            None => Some(path),
        };
        let Some(picture) = name.and_then(|name| self.pictures.get(name)) else {
            return Ok(&[]);
        };
        match picture.size.filter(|&stated| stated != size) {
            None => Ok(&picture.regions),
            Some(stated) => Err(Error::file(&self.file, different_size(path, stated, size))),
        }
    }
}

fn different_size(path: &str, stated: Size, found: Size) -> String {
    let advice = if stated == Size::new(found.height, found.width) {
        "the regions were made without regard to the EXIF orientation: try --ignore-exif"
    } else {
        "if the regions were made without regard to the EXIF orientation, try --ignore-exif; if on \
         resized pictures, analyse those"
    };
    format!(
        "the file is about a picture of {stated}, but `{path}` has {found} (width x height); \
         {advice}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Extent, Mask, Region};

    fn located(class: usize, confidence: f32) -> Located {
        Located { class, confidence, region: Extent::new(0.0, 0.0, 2.0, 1.0).into() }
    }

    fn known(picture: KnownPicture) -> KnownRegions {
        KnownRegions::new(
            Path::new("r.json"),
            vec!["cat".into()],
            [("a/x.jpg".to_string(), picture)].into(),
        )
    }

    #[test]
    fn regions_come_by_falling_confidence_and_equal_ones_in_their_order() {
        let regions = [(0, 0.5), (1, 0.9), (2, 0.5), (3, 0.0)]
            .map(|(class, sure)| located(class, sure))
            .to_vec();
        let mut known = known(KnownPicture { size: None, regions });
        let order = |known: &KnownRegions, path| -> Vec<usize> {
            known
                .regions(path, Size::new(30, 20))
                .unwrap()
                .iter()
                .map(|located| located.class)
                .collect()
        };
        assert_eq!(order(&known, "a/x.jpg"), [1, 0, 2, 3]);
        assert_eq!(
            known.join(&["b/x.png", "c.jpg"]).unwrap().entries,
            [Some("a/x.jpg".to_string()), None]
        );
        assert_eq!(order(&known, "b/x.png"), [1, 0, 2, 3]);
        assert!(order(&known, "a/x.jpg").is_empty() && order(&known, "c.jpg").is_empty());
    }

    #[test]
    fn another_size_is_an_error_with_advice() {
        let known =
            known(KnownPicture { size: Some(Size::new(30, 20)), regions: vec![located(0, 1.0)] });
        assert_eq!(known.regions("a/x.jpg", Size::new(30, 20)).unwrap().len(), 1);
        let turned = known.regions("a/x.jpg", Size::new(20, 30)).unwrap_err().to_string();
        assert_eq!(
            turned,
            "r.json: the file is about a picture of 30x20, but `a/x.jpg` has 20x30 (width x \
             height); the regions were made without regard to the EXIF orientation: try \
             --ignore-exif"
        );
        assert!(
            known
                .regions("a/x.jpg", Size::new(60, 40))
                .unwrap_err()
                .to_string()
                .contains("resized")
        );
    }

    #[test]
    fn masks_of_a_picture_have_its_size() {
        let mask =
            |width| Mask::from_counts(Size::new(width, 2), [1, 2 * u64::from(width) - 1]).unwrap();
        let masked =
            |width| Located { class: 0, confidence: 1.0, region: Region::from(mask(width)) };
        let mut picture = KnownPicture::default();
        picture.push(masked(3)).unwrap();
        assert_eq!(picture.size, Some(Size::new(3, 2)));
        let error = picture.push(masked(4)).unwrap_err();
        assert_eq!(error, "a mask of 4x2 (width x height) was found for a picture of 3x2");
    }

    #[test]
    fn a_picture_has_a_hundred_thousand_regions_at_most() {
        let mut picture =
            KnownPicture { size: None, regions: vec![located(0, 1.0); MAX_REGIONS - 1] };
        picture.push(located(0, 1.0)).unwrap();
        assert!(picture.push(located(0, 1.0)).unwrap_err().contains("at most 100000 regions"));
    }
}
