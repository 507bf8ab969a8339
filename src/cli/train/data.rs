//! The words that stand for the drawn world where a training takes pictures.

use emocam::Result;
use emocam::train::data::{DataConfig, Divided, DrawnConfig, SplitConfig, collect};
use emocam::world::{CausalGraph, Lesson, graph};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What `drawn=FILE.toml` begins with.
const BY_GRAPH: &str = "drawn=";

/// The lesson that a word for the drawn world names; `None` of anything else, which is a path.
///
/// `drawn` is the emotions of the built-in causal graph, `drawn=FILE.toml` those of the graph in a
/// file, `drawn-objects` and `drawn-places` what backbones can be taught before, `drawn-faces` the
/// expressions of single faces. A file of one of these names is reached by `./drawn`.
pub(super) fn drawn_lesson(root: &Path) -> Option<Result<Lesson>> {
    let word = root.to_str()?;
    if let Some(file) = word.strip_prefix(BY_GRAPH) {
        return Some(
            CausalGraph::load(Path::new(file)).map(|graph| Lesson::Emotions(Arc::new(graph))),
        );
    }
    match word {
        "drawn" => Some(Ok(Lesson::Emotions(graph().clone()))),
        "drawn-objects" => Some(Ok(Lesson::Objects)),
        "drawn-places" => Some(Ok(Lesson::Places)),
        "drawn-faces" => Some(Ok(Lesson::Faces)),
        _ => None,
    }
}

/// The pictures for each use: of folders and tables as `data` and `split` say, or as many scenes as
/// `drawn` says.
pub(super) fn divided(
    roots: &[PathBuf],
    (data, split, drawn): (&DataConfig, &SplitConfig, &DrawnConfig),
) -> Result<Divided> {
    if let [root] = roots
        && let Some(lesson) = drawn_lesson(root)
    {
        return drawn.draw(&lesson?);
    }
    split.divide(collect(roots, data)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_name_lessons_and_all_else_is_a_path() {
        let lesson = |word: &str| drawn_lesson(Path::new(word)).map(|lesson| lesson.unwrap());
        assert_eq!(lesson("drawn"), Some(Lesson::Emotions(graph().clone())));
        assert_eq!(lesson("drawn-objects"), Some(Lesson::Objects));
        assert_eq!(lesson("drawn-places"), Some(Lesson::Places));
        assert_eq!(lesson("drawn-faces"), Some(Lesson::Faces));
        for path in ["./drawn", "drawn/", "drawn.csv", "photos"] {
            assert_eq!(lesson(path), None, "{path}");
        }
        let graphs = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/graphs");
        let four =
            lesson(&format!("drawn={}", graphs.join("four-emotions.toml").display())).unwrap();
        assert_eq!(four.labels(), ["happy", "sad", "hate", "anger"]);
        let message =
            drawn_lesson(Path::new("drawn=nowhere.toml")).unwrap().unwrap_err().to_string();
        assert!(message.contains("nowhere.toml"), "{message}");
    }
}
