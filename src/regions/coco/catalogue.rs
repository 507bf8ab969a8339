//! The images and categories of a data set, and the regions found for them.

use super::annotation::Annotation;
use super::id::Id;
use crate::image::Size;
use crate::regions::known::{KnownPicture, KnownRegions};
use crate::regions::stream::{self, Each};
use crate::regions::{check, opening};
use crate::{Error, Result};
use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

/// Images and categories by their ids.
#[derive(Debug)]
pub(super) struct Catalogue {
    /// The names of the categories, in order of their ids.
    classes: Vec<String>,
    class_places: HashMap<Id, usize>,
    images: Images,
    /// How many columns of pixels the edges of polygons may still cross.
    crossings: usize,
}

/// So many columns the edges of all polygons of a file may cross, and so many more for each of its
/// bytes: a polygon of sixty bytes in a picture of 65,535 columns would take half a megabyte. In
/// COCO's own files it is less than one a byte.
const CROSSINGS: (u64, u64) = (1 << 22, 16);

/// A data set whose annotations are passed over.
#[derive(serde::Deserialize)]
struct Lists {
    images: Images,
    categories: Categories,
    #[serde(rename = "annotations")]
    _annotations: Option<PassedOver>,
}

/// A list of annotations that is not kept; counted all the same, for the place of what is no JSON.
struct PassedOver;

/// The list of images.
#[derive(Debug, Default)]
struct Images {
    pictures: Vec<(String, KnownPicture)>,
    places: HashMap<Id, usize>,
}

/// The list of categories.
#[derive(Debug, Default)]
struct Categories(BTreeMap<Id, String>);

#[derive(serde::Deserialize)]
struct Image {
    id: Id,
    file_name: String,
    width: Option<u32>,
    height: Option<u32>,
}

#[derive(serde::Deserialize)]
struct Category {
    id: Id,
    name: String,
}

impl Catalogue {
    /// Reads the images and categories of a data set and passes over its annotations.
    ///
    /// # Errors
    /// The file cannot be read; a list is missing; an id, an image's or a category's name comes
    /// twice.
    pub(super) fn read(file: &Path) -> Result<Self> {
        let mut json = serde_json::Deserializer::from_reader(opening::open(file)?);
        let lists = Lists::deserialize(&mut json).and_then(|lists| json.end().map(|()| lists));
        let Lists { images, categories, .. } = lists.map_err(stream::error(file))?;
        if categories.0.is_empty() {
            return Err(Error::file(file, "a COCO data set has at least one category, found none"));
        }
        let (ids, classes): (Vec<_>, Vec<_>) = categories.0.into_iter().unzip();
        let class_places = ids.into_iter().enumerate().map(|(place, id)| (id, place)).collect();
        Ok(Self { classes, class_places, images, crossings: 0 })
    }

    /// Allows for the polygons of `file` what its length does.
    ///
    /// # Errors
    /// The file cannot be examined.
    pub(super) fn expect(&mut self, file: &Path) -> Result<()> {
        let bytes = std::fs::metadata(file).map_err(Error::io("read", file))?.len();
        let crossings = bytes.saturating_mul(CROSSINGS.1).saturating_add(CROSSINGS.0);
        self.crossings = usize::try_from(crossings).unwrap_or(usize::MAX);
        Ok(())
    }

    /// Adds what an annotation says.
    ///
    /// # Errors
    /// It is of an unknown image or category, or its region is none.
    pub(super) fn take(&mut self, annotation: Annotation, score: f64) -> Result<(), String> {
        let place = self.images.places.get(&annotation.image_id);
        let place = *place.ok_or("the data set has no image of this id")?;
        let class = self.class_places.get(&annotation.category_id);
        let class = *class.ok_or_else(|| {
            format!("the data set has no category of the id {}", annotation.category_id)
        })?;
        let picture = &mut self.images.pictures[place].1;
        let (extent, mask) = annotation.region(picture.size, &mut self.crossings)?;
        picture.push(check::located(class, score, extent, mask)?)
    }

    /// All that was read, as from `file`.
    pub(super) fn finish(self, file: &Path) -> KnownRegions {
        KnownRegions::new(file, self.classes, self.images.pictures.into_iter().collect())
    }
}

impl<'de> Deserialize<'de> for Images {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (mut images, mut names) = (Self::default(), HashSet::new());
        let list = Each::new("image", |Image { id, file_name, width, height }: Image| {
            let place = format!(" (id {id}): ");
            let size = match (width, height) {
                (Some(0), _) | (_, Some(0)) => {
                    return Err(place + "an image has a width and a height of at least 1, found 0");
                }
                (Some(width), Some(height)) => Some(Size::new(width, height)),
                _ => None,
            };
            if file_name.is_empty() {
                return Err(place + "`file_name` is the name of a picture, found an empty text");
            }
            if !names.insert(file_name.clone()) {
                return Err(format!(
                    "{place}an image before it has the same file_name `{file_name}`"
                ));
            }
            if images.places.insert(id, images.pictures.len()).is_some() {
                return Err(place + "an image before it has the same id");
            }
            images.pictures.push((file_name, KnownPicture { size, regions: Vec::new() }));
            Ok(())
        });
        list.deserialize(deserializer)?;
        Ok(images)
    }
}

impl<'de> Deserialize<'de> for PassedOver {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Each::new("annotation", |_: IgnoredAny| Ok(())).deserialize(deserializer).map(|_| Self)
    }
}

impl<'de> Deserialize<'de> for Categories {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (mut categories, mut names) = (Self::default(), HashSet::new());
        let list = Each::new("category", |Category { id, name }: Category| {
            let place = format!(" (id {id}): ");
            if name.is_empty() {
                return Err(place + "`name` is the name of a class, found an empty text");
            }
            if !names.insert(name.clone()) {
                return Err(format!("{place}a category before it has the same name `{name}`"));
            }
            match categories.0.insert(id, name) {
                None => Ok(()),
                Some(_) => Err(place + "a category before it has the same id"),
            }
        });
        list.deserialize(deserializer)?;
        Ok(categories)
    }
}
