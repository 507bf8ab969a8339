//! What objects do to the answer: tables and pictures by a method that gives regions values.

use super::{Matrices, picture};
use crate::Result;
use crate::associate::Effects;
use crate::names::counted;
use crate::plot::Heatmap;
use std::path::{Path, PathBuf};

impl Matrices {
    /// Writes `effects.csv`, and as matrices of classes x labels with pictures `effects_matrix.csv`
    /// and `most_important_matrix.csv`; returns the pictures' paths.
    ///
    /// # Errors
    /// A file cannot be written.
    pub(super) fn write_effects(
        &self,
        folder: &Path,
        method: &str,
        effects: &Effects,
    ) -> Result<Vec<PathBuf>> {
        effects.write(&folder.join("effects.csv"), &self.classes, &self.labels, self.seed)?;
        let (classes, labels) = (self.classes.len(), self.labels.len());
        self.matrix(&folder.join("effects_matrix.csv"), &effects.means(classes, labels))?;
        let shares = effects.most_important(classes, labels).association();
        self.matrix(&folder.join("most_important_matrix.csv"), &shares)?;
        let [values, most] =
            [self.effects_heatmap(method, effects), self.most_important_heatmap(method, effects)];
        let pictures = [
            picture(folder, "effects", values.rows.is_empty(), || values.svg())?,
            picture(folder, "most_important", most.rows.is_empty(), || most.svg())?,
        ];
        Ok(pictures.into_iter().flatten().collect())
    }

    /// The classes that move the answers most, red where they speak for the answer and blue where
    /// against it.
    fn effects_heatmap(&self, method: &str, effects: &Effects) -> Heatmap {
        let rule = self.importance.rule();
        let means = effects.means(self.classes.len(), self.labels.len());
        let counts = effects.most_important(self.classes.len(), self.labels.len());
        let classes = effects.strongest(rule.top, &counts.labels_of_few(rule.min_images));
        let images = counts.images;
        let mut heatmap = self.drawn(&means, &classes, &images, "effects_matrix.csv");
        let values = heatmap.values.iter().flatten().flatten();
        let reach = values.map(|value| value.abs()).fold(0.0, f64::max);
        let reach = if reach > 0.0 { reach } else { 1.0 };
        heatmap.range = (-reach, reach);
        heatmap.title = "What objects do to the answer".into();
        heatmap.subtitle = Some(format!(
            "{method}, {}: mean value of a class in the images of an emotion that have it; the {} \
             classes of {} that do most, over all images",
            counted(images.iter().sum(), "image"),
            classes.len(),
            self.classes.len()
        ));
        heatmap.value_label = "mean value, in units of the score".into();
        heatmap.empty_label = "no image of this label has the class".into();
        let note = "Positive: for the explained answer; negative: against it. effects.csv has \
                    every cell's number of images and its bootstrap interval.";
        heatmap.notes.insert(0, format!("{note}{}", self.sure_regions()));
        heatmap
    }

    /// The classes that are the most important object most often.
    fn most_important_heatmap(&self, method: &str, effects: &Effects) -> Heatmap {
        let counts = effects.most_important(self.classes.len(), self.labels.len());
        let classes = self.prominent(&counts, self.importance.rule().top);
        let table = "most_important_matrix.csv";
        let mut heatmap = self.drawn(&counts.association(), &classes, &counts.images, table);
        heatmap.title = "The most important objects".into();
        heatmap.subtitle = Some(format!(
            "{method}, {}: share of an emotion's images in which a class is the most important \
             object; the {} most prominent of {} classes",
            counted(counts.images.iter().sum(), "image"),
            classes.len(),
            self.classes.len()
        ));
        heatmap.value_label = "share of the images of an emotion".into();
        heatmap.empty_label = "no image got this label".into();
        let note = "The object of the highest value, where that is positive.";
        heatmap.notes.insert(0, format!("{note}{}", self.sure_regions()));
        heatmap
    }

    /// The sentence that says which regions count, where not all do.
    fn sure_regions(&self) -> String {
        match self.importance.rule().min_confidence {
            0.0 => String::new(),
            over => format!(" Regions of confidence over {over}."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::associate::effects::tests::by_hand;
    use crate::associate::mean_scores::ScoreSums;
    use crate::associate::{Counts, Importance};
    use crate::config::AssociationConfig;
    use std::fs;

    fn matrices() -> Matrices {
        let rule = AssociationConfig { min_images: 1, ..AssociationConfig::default() };
        let strings =
            |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<String>>();
        Matrices {
            methods: vec![("object-shap".into(), Counts::new(4, 3))],
            scores: vec![ScoreSums::new(4, 3)],
            detected: Counts::new(4, 3),
            effects: vec![Some(by_hand())],
            seed: 1,
            importance: Importance::of_picture(&rule, &strings(&["Tree", "Cat", "Car", "Hat"]))
                .unwrap(),
            labels: strings(&["Joy", "Awe", "Fear"]),
            classes: strings(&["Tree", "Cat", "Car", "Hat"]),
            background: None,
            columns: crate::associate::Columns::Answers,
            warning: None,
        }
    }

    /// The fills of the rectangles of a picture's cells, row by row.
    fn fills(svg: &str) -> Vec<[u8; 3]> {
        let cells = svg.split("id=\"cells\"").nth(1).unwrap().split("</g>").next().unwrap();
        let fill = |part: &str| {
            [0, 2, 4].map(|start| u8::from_str_radix(&part[start..start + 2], 16).unwrap())
        };
        cells
            .split("<rect")
            .skip(1)
            .map(|rectangle| fill(rectangle.split("fill=\"#").nth(1).unwrap()))
            .collect()
    }

    #[test]
    fn tables_and_pictures_say_what_effects_csv_says() {
        let folder = tempfile::tempdir().unwrap();
        let written = matrices().write(folder.path()).unwrap();
        let folder = folder.path().join("object-shap");
        assert_eq!(written, ["effects.png", "most_important.png"].map(|name| folder.join(name)));
        let text = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
        assert_eq!(
            text("effects_matrix.csv"),
            "class,Joy,Awe,Fear\nTree,0.25,,\nCat,0.5,,0.25\nCar,,,-0.5\nHat,,,\n"
        );
        assert_eq!(
            text("most_important_matrix.csv"),
            "class,Joy,Awe,Fear\nTree,0.5,,0\nCat,0,,1\nCar,0,,0\nHat,0,,0\n"
        );
        assert!(text("effects.csv").contains("Car,Fear,1,-0.5,"), "{}", text("effects.csv"));
        let heatmap = matrices().effects_heatmap("object-shap", &by_hand());
        assert_eq!(
            (heatmap.range, &heatmap.rows[..]),
            ((-0.5, 0.5), &["Cat", "Tree", "Car"].map(String::from)[..])
        );
        assert_eq!(heatmap.column_notes, ["2", "0", "1"]);
        // Red for, blue against, and the most of both.
        let colours = fills(heatmap.svg().unwrap().as_str());
        assert_eq!((colours[0], colours[8]), ([0x59, 0x00, 0x08], [0x00, 0x12, 0x61]));
        assert!(colours[3][0] > colours[3][2], "{colours:?}");
        let shares = matrices().most_important_heatmap("object-shap", &by_hand());
        assert_eq!(
            (shares.range, &shares.rows[..]),
            ((0.0, 1.0), &["Cat", "Tree"].map(String::from)[..])
        );
        assert_eq!(shares.values[0], [Some(0.0), None, Some(1.0)]);
        let note = "The object of the highest value, where that is positive.";
        assert_eq!(shares.notes[0], note);
        let rule = AssociationConfig { min_confidence: 0.25, ..AssociationConfig::default() };
        let importance = Importance::of_picture(&rule, &matrices().classes).unwrap();
        let sure = Matrices { importance, ..matrices() };
        let first_note = sure.most_important_heatmap("object-shap", &by_hand()).notes.remove(0);
        assert_eq!(first_note, format!("{note} Regions of confidence over 0.25."));
    }

    #[test]
    fn columns_of_few_images_are_faded_and_do_not_order_rows() {
        let few = |min_images: u64| {
            let rule = AssociationConfig { min_images, ..AssociationConfig::default() };
            let matrices = matrices();
            let importance = Importance::of_picture(&rule, &matrices.classes).unwrap();
            Matrices { importance, ..matrices }.effects_heatmap("object-shap", &by_hand())
        };
        // By Joy's two images alone; Car, which only Fear has, comes last.
        let heatmap = few(2);
        assert_eq!(
            (&heatmap.faded[..], &heatmap.rows[..]),
            (&[1, 2][..], &["Tree", "Cat", "Car"].map(String::from)[..])
        );
        let note =
            "Faded: labels of fewer than 2 images (--min-images), which do not order the rows.";
        assert!(heatmap.notes.iter().any(|said| said == note), "{:?}", heatmap.notes);
        let (plain, faded) =
            (fills(few(1).svg().unwrap().as_str()), fills(heatmap.svg().unwrap().as_str()));
        let lightness = |colour: [u8; 3]| colour.iter().map(|&level| u32::from(level)).sum::<u32>();
        assert!(lightness(faded[8]) > lightness(plain[8]) + 300, "{faded:?} {plain:?}");
        // Where all have few images they order the rows, faded as they are.
        let heatmap = few(10);
        assert_eq!(
            (heatmap.faded.len(), &heatmap.rows[..]),
            (3, &["Cat", "Tree", "Car"].map(String::from)[..])
        );
    }

    #[test]
    fn where_nothing_has_a_value_there_is_no_picture_and_an_earlier_one_goes() {
        let folder = tempfile::tempdir().unwrap();
        matrices().write(folder.path()).unwrap();
        let none = Matrices { effects: vec![Some(Effects::default())], ..matrices() };
        assert!(none.write(folder.path()).unwrap().is_empty());
        let mut names: Vec<String> = fs::read_dir(folder.path().join("object-shap"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        let tables = [
            "association",
            "counts",
            "effects",
            "effects_matrix",
            "mean_scores",
            "most_important_matrix",
        ];
        let tables = tables.into_iter().chain(["statistics"]);
        assert_eq!(names, tables.map(|name| format!("{name}.csv")).collect::<Vec<_>>());
    }
}
