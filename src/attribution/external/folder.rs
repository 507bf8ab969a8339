//! A folder of maps and the name under which they are a method, as the configuration states them.

use crate::attribution::Method;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;
use std::str::FromStr;

/// The longest name, in bytes: it becomes a folder's and a column's.
const LONGEST: usize = 64;

/// Names that mean something else where names of methods stand: in options, in the folder of a run,
/// among the columns of `objects.csv`, and among the maps that methods are compared with.
const RESERVED: [&str; 29] = [
    "paper",
    "all",
    "none",
    "maps",
    "report",
    "rsa",
    "compare",
    "figures",
    "models",
    "run",
    "random",
    "centre",
    "uniform",
    "detections",
    "path",
    "label",
    "class",
    "confidence",
    "x_min",
    "y_min",
    "x_max",
    "y_max",
    "extent_x_min",
    "extent_y_min",
    "extent_x_max",
    "extent_y_max",
    "box_area",
    "canvas_width",
    "canvas_height",
];

/// Maps of one method from elsewhere: `NAME=DIR` as text, or `DIR` alone, whose last part then is
/// the name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct MapFolder {
    name: String,
    /// Where the files are.
    pub folder: String,
}

impl MapFolder {
    /// The maps in `folder`, as the method `name`.
    ///
    /// # Errors
    /// A name that cannot be a method's: the sentence says why.
    pub fn new(name: &str, folder: &str) -> Result<Self, String> {
        check(name)?;
        if folder.is_empty() {
            return Err(format!("the maps `{name}` have no folder: expected NAME=DIR"));
        }
        Ok(Self { name: name.into(), folder: folder.into() })
    }

    /// The method's name in options, tables and folders.
    pub fn name(&self) -> &str {
        &self.name
    }
}

fn check(name: &str) -> Result<(), String> {
    let refuse =
        |cause: String| Err(format!("`{name}` cannot name maps: {cause}; name them with NAME=DIR"));
    let plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    let ends = name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.ends_with(|c: char| c.is_ascii_alphanumeric());
    if !ends || !name.chars().all(plain) || name.len() > LONGEST {
        return refuse(format!(
            "a name has 1 to {LONGEST} letters a-z, digits, and between them '-', '_' and '.'"
        ));
    }
    let same = |other: &str| name.eq_ignore_ascii_case(other);
    if Method::all().into_iter().any(|method| same(method.name())) {
        return refuse("this program has a method of that name".into());
    }
    if RESERVED.into_iter().any(same) || same("mask_pixels") || name.ends_with("_box") {
        return refuse("the name means something else in a run's folder and tables".into());
    }
    Ok(())
}

impl FromStr for MapFolder {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            // `./a=b` is a folder.
            Some((name, folder)) if !name.contains(['/', '\\']) => Self::new(name, folder),
            _ => {
                let name = Path::new(text).file_name().and_then(|name| name.to_str());
                Self::new(
                    name.ok_or_else(|| {
                        format!("`{text}` does not end in a name; name the maps with NAME=DIR")
                    })?,
                    text,
                )
            }
        }
    }
}

impl fmt::Display for MapFolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.folder)
    }
}

impl From<MapFolder> for String {
    fn from(maps: MapFolder) -> Self {
        maps.to_string()
    }
}

impl TryFrom<String> for MapFolder {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// Refuses two folders of one name, whatever the case of its letters: some file systems do not tell
/// it.
///
/// # Errors
/// The sentence names both.
pub fn check_different(all: &[MapFolder]) -> Result<(), String> {
    for (at, maps) in all.iter().enumerate() {
        if let Some(other) =
            all[..at].iter().find(|other| other.name.eq_ignore_ascii_case(&maps.name))
        {
            return Err(format!(
                "the maps {other} and {maps} have the same name; name them with NAME=DIR"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_its_own_name_or_the_one_it_is_given() {
        for (text, name, folder) in [
            ("maps/human", "human", "maps/human"),
            ("maps/human/", "human", "maps/human/"),
            ("LeGrad=/data/le grad=2", "LeGrad", "/data/le grad=2"),
            ("./gaze.v2=new/eyes", "eyes", "./gaze.v2=new/eyes"),
        ] {
            let maps: MapFolder = text.parse().unwrap();
            assert_eq!((maps.name(), maps.folder.as_str()), (name, folder));
            assert_eq!(maps.to_string().parse::<MapFolder>().unwrap(), maps);
        }
    }

    #[test]
    fn names_that_cannot_be_are_refused_with_the_reason() {
        let refused = [
            ("grad-cam=x", "a method of that name"),
            ("LIME-cam=x", "a method of that name"),
            ("Maps=x", "means something else"),
            ("x_box=x", "means something else"),
            ("run/maps", "means something else"),
            ("=x", "1 to 64 letters"),
            ("-a=x", "1 to 64 letters"),
            ("a.=x", "1 to 64 letters"),
            ("größe=x", "1 to 64 letters"),
            ("a b", "1 to 64 letters"),
            ("a=", "no folder"),
            ("..", "does not end in a name"),
            ("", "does not end in a name"),
        ];
        for (text, words) in refused {
            let message = text.parse::<MapFolder>().unwrap_err();
            assert!(message.contains(words) && message.contains("NAME=DIR"), "{text}: {message}");
        }
        assert!(format!("{}=x", "a".repeat(65)).parse::<MapFolder>().is_err());
        let twice = ["a=x", "A=y"].map(|text| text.parse().unwrap());
        assert!(check_different(&twice).unwrap_err().contains("a=x and A=y"));
    }
}
