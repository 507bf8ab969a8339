//! What people say the pictures of a corpus show.
//!
//! In: a file of labels as data sets have it, or the names of folders. Out: a label for each
//! picture of the corpus that has one, and everything that did not fit together, by name. Knows
//! nothing of networks but the names of their labels.

mod formats;
mod map;

pub use map::LabelMap;

use crate::corpus::Joined;
use crate::run::table;
use crate::{Error, Result};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

/// Which columns of a table are read; `None`: those that data sets usually have.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AnnotationColumns {
    /// What names the picture.
    pub path: Option<String>,
    /// What is said of it.
    pub label: Option<String>,
}

/// What a file says of pictures.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Annotations {
    file: PathBuf,
    /// By the name that the file gives a picture: how often which label, by its lower case.
    entries: BTreeMap<String, BTreeMap<String, u64>>,
    /// Labels as they are first written, by their lower case.
    spellings: BTreeMap<String, String>,
    /// Rows that the file itself rejects.
    pub rejected: u64,
}

/// What did not fit together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unjoined {
    /// `image` or `annotation`.
    pub side: &'static str,
    /// The image's path, or the annotation's name of it.
    pub name: String,
    /// Why it counts for nothing.
    pub cause: &'static str,
}

/// Labels of the pictures of a corpus.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GivenLabels {
    /// By the pictures' paths.
    pub labels: BTreeMap<String, String>,
    /// Everything else.
    pub unjoined: Vec<Unjoined>,
    /// Rows that the file itself rejects.
    pub rejected: u64,
}

impl Annotations {
    /// Reads a file, which is told by its contents: a table with a header line (fields apart by
    /// commas, semicolons or tabs), or EmoSet's JSON lists. A picture may have several rows, and a
    /// row several labels.
    ///
    /// # Errors
    /// The file cannot be read; it lacks a column, or a field in a row; the message says which
    /// columns it has.
    pub fn read(file: &Path, columns: &AnnotationColumns) -> Result<Self> {
        let bytes = std::fs::read(file).map_err(Error::io("read", file))?;
        let mut annotations = Self { file: file.into(), ..Self::default() };
        formats::read(&bytes, columns, &mut annotations)
            .map_err(|message| Error::file(file, message))?;
        if annotations.entries.is_empty() {
            return Err(Error::file(
                file,
                format!("has no label ({} rows are rejected)", annotations.rejected),
            ));
        }
        Ok(annotations)
    }

    /// One more label of the picture that the file calls `name`.
    fn add(&mut self, name: &str, label: &str) {
        let name = name.trim().replace('\\', "/");
        let name = name.trim_start_matches("./").trim_start_matches('/').to_string();
        let label = label.trim();
        let key = label.to_lowercase();
        let labels = self.entries.entry(name).or_default();
        if !label.is_empty() {
            self.spellings.entry(key.clone()).or_insert_with(|| label.to_string());
            *labels.entry(key).or_default() += 1;
        }
    }

    /// Names of pictures with the one label of each, in the order of the names.
    ///
    /// # Errors
    /// A picture without a label, or with several.
    pub fn of_one_label(&self) -> Result<Vec<(&str, &str)>> {
        let one = |(name, labels): (&'_ String, &'_ BTreeMap<String, u64>)| match labels.len() {
            1 => Ok(()),
            0 => Err(Error::file(&self.file, format!("has no label for {name}"))),
            _ => Err(Error::file(&self.file, format!("names {name} twice, with different labels"))),
        };
        self.entries.iter().try_for_each(one)?;
        let labels = self
            .entries
            .iter()
            .flat_map(|(name, labels)| labels.keys().map(move |key| (name, key)));
        Ok(labels.map(|(name, key)| (name.as_str(), self.spellings[key].as_str())).collect())
    }

    /// Labels for the pictures `paths`, found by their paths, else by file names that no other
    /// picture has (the rule of [`KnownRegions::join`](crate::regions::KnownRegions::join)). Of
    /// several labels of a picture the one that is named most often counts, and of equals none.
    ///
    /// # Errors
    /// Several pictures or several entries compete by name.
    pub fn join(&self, paths: &[&str]) -> Result<GivenLabels> {
        let names: Vec<&str> = self.entries.keys().map(String::as_str).collect();
        let joined =
            Joined::by_name(paths, &names).map_err(|cause| Error::file(&self.file, cause))?;
        let mut given = GivenLabels { rejected: self.rejected, ..GivenLabels::default() };
        let mut used = BTreeSet::new();
        let mut lost = |side, name: &str, cause| {
            given.unjoined.push(Unjoined { side, name: name.into(), cause });
        };
        for (path, entry) in paths.iter().zip(&joined.entries) {
            let Some(entry) = entry else {
                lost("image", path, "the file does not name it");
                continue;
            };
            used.insert(entry.as_str());
            let labels = &self.entries[entry];
            let most = labels.values().max();
            let mut candidates =
                labels.iter().filter(|(_, count)| Some(*count) == most).map(|(key, _)| key);
            match (candidates.next(), candidates.next()) {
                (Some(key), None) => {
                    given.labels.insert(path.to_string(), self.spellings[key].clone());
                }
                (None, _) => lost("image", path, "has no label in the file"),
                _ => lost("image", path, "has several labels, each named as often"),
            }
        }
        for name in names.into_iter().filter(|name| !used.contains(name)) {
            lost("annotation", name, "the corpus has no such image");
        }
        Ok(given)
    }
}

impl GivenLabels {
    /// The folder that each picture lies in as its label: of `(path, folder)`.
    pub fn of_folders(pictures: &[(String, Option<String>)]) -> Self {
        let mut given = Self::default();
        for (path, folder) in pictures {
            match folder {
                Some(label) => {
                    given.labels.insert(path.clone(), label.clone());
                }
                None => {
                    given.unjoined.push(Unjoined {
                        side: "image",
                        name: path.clone(),
                        cause: "lies in no folder",
                    });
                }
            }
        }
        given
    }

    /// Writes what did not fit together as a table: `side`, `name`, `cause`.
    ///
    /// # Errors
    /// The table cannot be written.
    pub fn write_unjoined(&self, path: &Path) -> Result<()> {
        table(path, |table| {
            table.row(["side", "name", "cause"])?;
            self.unjoined.iter().try_for_each(|one| table.row([one.side, &one.name, one.cause]))
        })
    }

    /// How many of a side did not fit, and the first few of them.
    pub fn unjoined_of(&self, side: &str) -> (usize, Vec<&str>) {
        let of_side =
            || self.unjoined.iter().filter(|one| one.side == side).map(|one| one.name.as_str());
        (of_side().count(), of_side().take(3).collect())
    }
}

/// Labels that people gave beside those of a network, under one set of names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeopleLabels {
    /// The network's labels as people call them, in their order, then those that people alone use.
    pub names: Vec<String>,
    /// Of each of the network's labels the place in `names`; `None`: people have no word for it.
    pub of_network: Vec<Option<usize>>,
    labels: HashMap<String, usize>,
}

impl PeopleLabels {
    /// Labels by the pictures' paths, beside the network's, which `map` translates. Names are the
    /// same that differ in case alone.
    pub fn new(labels: &BTreeMap<String, String>, network: &[String], map: &LabelMap) -> Self {
        let mut names: Vec<String> = Vec::new();
        let mut place = |name: &str| {
            let known = names.iter().position(|known| known.to_lowercase() == name.to_lowercase());
            known.unwrap_or_else(|| {
                names.push(name.to_string());
                names.len() - 1
            })
        };
        let of_network =
            network.iter().map(|label| Some(map.map(label)).filter(|name| !name.is_empty()));
        let of_network = of_network.map(|name| name.map(&mut place)).collect();
        let used: BTreeSet<&str> = labels
            .values()
            .map(|label| map.of_people(label))
            .filter(|name| !name.is_empty())
            .collect();
        let places: HashMap<&str, usize> =
            used.into_iter().map(|name| (name, place(name))).collect();
        let of_picture = |(path, label): (&String, &String)| {
            Some((path.clone(), *places.get(map.of_people(label))?))
        };
        let labels = labels.iter().filter_map(of_picture).collect();
        Self { names, of_network, labels }
    }

    /// The label that people gave a picture, as its place in `names`.
    pub fn of_picture(&self, path: &str) -> Option<usize> {
        self.labels.get(path).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Annotations> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("labels");
        std::fs::write(&file, text).unwrap();
        Annotations::read(&file, &AnnotationColumns::default())
    }

    fn given(text: &str, paths: &[&str]) -> Vec<(String, String)> {
        read(text).unwrap().join(paths).unwrap().labels.into_iter().collect()
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|(path, label)| (path.to_string(), label.to_string())).collect()
    }

    #[test]
    fn the_label_named_most_often_counts() {
        let text = "path,label\na.jpg,Joy\na.jpg,fear\na.jpg,joy\nb.jpg,Fear\nb.jpg,joy\nc.jpg,\nd.jpg,Fear\n";
        let found = read(text).unwrap();
        let given = found.join(&["a.jpg", "b.jpg", "c.jpg", "e.jpg"]).unwrap();
        assert_eq!(given.labels, [("a.jpg".to_string(), "Joy".to_string())].into());
        let rest: Vec<_> = given.unjoined.iter().map(|one| (one.side, one.name.as_str())).collect();
        assert_eq!(
            rest,
            [("image", "b.jpg"), ("image", "c.jpg"), ("image", "e.jpg"), ("annotation", "d.jpg")]
        );
        assert!(found.of_one_label().unwrap_err().to_string().contains("names a.jpg twice"));
    }

    #[test]
    fn finding_emo() {
        let text = "index,user,image_path,reject,age,valence,arousal,emotion,dec_factors\n\
                    0,u1,/Run_1/Joyful kids/a.jpg,Keep,Adult,2,4,Joy,\"['Facial expression']\"\n\
                    1,u1,/Run_2/b.jpg,Reject: watermark,,0,0,Undefined,[]\n2,u2,/Run_2/c.jpg,keep,,1,1,Trust,[]\n";
        assert_eq!(
            given(text, &["Run_1/Joyful kids/a.jpg", "Run_2/b.jpg", "Run_2/c.jpg"]),
            pairs(&[("Run_1/Joyful kids/a.jpg", "Joy"), ("Run_2/c.jpg", "Trust")])
        );
        assert_eq!(read(text).unwrap().rejected, 1);
    }

    #[test]
    fn emotic_has_folders_and_lists() {
        let text = ",Folder,Filename,Image Size,BBox,Categorical_Labels,Gender\n\
                    0,mscoco/images,x.jpg,\"[640, 480]\",\"[1, 2, 3, 4]\",\"['Happiness', 'Peace']\",Male\n\
                    1,mscoco/images,x.jpg,\"[640, 480]\",\"[5, 2, 9, 4]\",['Happiness'],Female\n";
        assert_eq!(
            given(text, &["mscoco/images/x.jpg"]),
            pairs(&[("mscoco/images/x.jpg", "Happiness")])
        );
    }

    #[test]
    fn emoset_and_emotion6() {
        let emoset = r#"[["awe", "image/awe/awe_00001.jpg", "annotation/awe/awe_00001.json"],
                         ["fear", "f2", "image/fear/fear_2.jpg", "annotation/fear/fear_2.json"]]"#;
        let paths = ["awe/awe_00001.jpg", "fear/fear_2.jpg"];
        assert_eq!(given(emoset, &paths), pairs(&[(paths[0], "awe"), (paths[1], "fear")]));
        let emotion6 = "[image_filename]\t[valence]\t[arousal]\t[prob. anger]\t[prob. \
                        joy]\nanger/1.jpg\t3.2\t5\t0.6\t0.4\n";
        assert_eq!(given(emotion6, &["anger/1.jpg"]), pairs(&[("anger/1.jpg", "anger")]));
    }

    #[test]
    fn what_is_missing_is_named() {
        for (text, named) in [
            ("", "no header"),
            ("picture,label\na,b\n", "picture"),
            ("path,mood\na.jpg,b\n", "mood"),
            ("path,label\na.jpg\n", "line: 2"),
            ("path,label\n", "no label"),
            ("[[\"joy\"]]", "entry 1"),
            ("[[1, 2", "JSON"),
            ("[1, 2", "path"),
        ] {
            let message = read(text).unwrap_err().to_string();
            assert!(message.contains(named), "{text}: {message}");
        }
    }

    #[test]
    fn folders_are_labels() {
        let pictures = [("joy/a.jpg", Some("joy")), ("c.jpg", None)];
        let pictures = pictures.map(|(path, folder)| (path.to_string(), folder.map(String::from)));
        let given = GivenLabels::of_folders(&pictures);
        assert_eq!(given.labels, [("joy/a.jpg".to_string(), "joy".to_string())].into());
        assert_eq!(given.unjoined_of("image"), (1, vec!["c.jpg"]));
    }

    #[test]
    fn names_differ_not_by_case_alone() {
        let labels = [("a", "JOY"), ("b", "calm"), ("c", "dread"), ("d", "bored")]
            .map(|(path, label)| (path.to_string(), label.to_string()))
            .into();
        let map = LabelMap {
            labels: [("Joy", "joy"), ("Awe", "")].map(|(from, to)| (from.into(), to.into())).into(),
            annotations: [("dread", "fear"), ("bored", "")]
                .map(|(from, to)| (from.into(), to.into()))
                .into(),
        };
        let truth = PeopleLabels::new(&labels, &["Awe".into(), "Joy".into()], &map);
        assert_eq!(
            (truth.names.as_slice(), truth.of_network.as_slice()),
            (&["joy", "calm", "fear"].map(String::from)[..], &[None, Some(0)][..])
        );
        assert_eq!(
            ["a", "b", "c", "d", "e"].map(|path| truth.of_picture(path)),
            [Some(0), Some(1), Some(2), None, None]
        );
    }
}
