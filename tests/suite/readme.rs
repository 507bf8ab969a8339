//! The README and what it links to: short, whole, and with examples that the program understands.

use crate::common::corpus::emocam;
use regex::Regex;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The texts for people, but those that the program writes itself.
fn pages() -> Vec<PathBuf> {
    let names = [
        "README.md",
        ".readme/guide.md",
        ".readme/networks.md",
        ".readme/CONTRIBUTING.md",
        ".readme/CHANGELOG.md",
        "configs/README.md",
        "models/README.md",
        "scripts/README.md",
        "tests/reference/README.md",
    ];
    names.iter().map(|name| root().join(name)).collect()
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

/// The anchors of a page's headings, as code hosts make them.
fn anchors(page: &str) -> BTreeSet<String> {
    let headings = page.lines().filter_map(|line| {
        line.trim_start_matches('#').strip_prefix(' ').filter(|_| line.starts_with('#'))
    });
    let kept =
        |letter: char| letter.is_alphanumeric() || letter == '-' || letter == '_' || letter == ' ';
    headings
        .map(|name| {
            name.to_lowercase()
                .chars()
                .filter(|&letter| kept(letter))
                .collect::<String>()
                .replace(' ', "-")
        })
        .collect()
}

#[test]
fn the_readme_is_short() {
    let length = text(&root().join("README.md")).len();
    assert!(length <= 12_000, "{length} bytes");
}

#[test]
fn every_link_leads_somewhere() {
    let links = Regex::new(r"\]\(([^)]+)\)").unwrap();
    let mut count = 0;
    for path in pages() {
        let page = text(&path);
        for link in links.captures_iter(&page) {
            if link[1].contains("://") {
                continue;
            }
            let (file, anchor) = link[1].split_once('#').unwrap_or((&link[1], ""));
            let target =
                if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            assert!(target.exists(), "{}: {}", path.display(), &link[1]);
            assert!(
                anchor.is_empty() || anchors(&text(&target)).contains(anchor),
                "{}: {}",
                path.display(),
                &link[1]
            );
            count += 1;
        }
    }
    assert!(count > 30, "{count}");
}

/// Commands of emocam in the shell blocks of a page, each as its words.
fn examples(page: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    // Words between quotation marks are one.
    let words = Regex::new(r#""([^"]*)"|'([^']*)'|(\S+)"#).unwrap();
    for block in page.split("```").skip(1).step_by(2).filter(|block| block.starts_with("sh\n")) {
        let joined = block.replace("\\\n", " ");
        for line in joined.lines() {
            let line = line
                .split(" #")
                .next()
                .unwrap_or_default()
                .replace("scripts/emocam", "emocam")
                .replace("$ ", "");
            let line = line.split([';', '|', '&', '>']).next().unwrap_or_default();
            let Some(line) = line.trim().strip_prefix("emocam ") else { continue };
            let word = |of: regex::Captures<'_>| {
                (1..4).find_map(|group| of.get(group)).unwrap().as_str().to_string()
            };
            found.push(words.captures_iter(line).map(word).collect());
        }
    }
    found
}

#[test]
fn every_example_is_understood() {
    let mut count = 0;
    for path in pages() {
        for words in examples(&text(&path)) {
            // The first thing that is not understood must be what is not there to be understood.
            let words: Vec<String> =
                words.iter().map(|word| word.replace("$SLURM_ARRAY_TASK_ID", "1")).collect();
            let output = emocam().args(&words).arg("--no-such-flag").output().unwrap();
            let said = String::from_utf8(output.stderr).unwrap();
            assert!(
                said.contains("unexpected argument '--no-such-flag'"),
                "{}: emocam {}: {said}",
                path.display(),
                words.join(" ")
            );
            count += 1;
        }
    }
    assert!(count > 30, "{count}");
}

/// What lies directly in a folder of the repository.
fn names(folder: &str) -> BTreeSet<String> {
    let entries = std::fs::read_dir(root().join(folder)).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// What the first group of `pattern` finds.
fn captured(pattern: &str, text: &str) -> BTreeSet<String> {
    Regex::new(pattern).unwrap().captures_iter(text).map(|found| found[1].to_string()).collect()
}

#[test]
fn all_reference_values_and_their_scripts_are_in_the_index() {
    let page = text(&root().join("tests/reference/README.md"));
    // Files and folders are code in the first cells of rows; rows that go on with the values above
    // have none.
    let cells: Vec<&str> = page
        .lines()
        .filter(|line| line.starts_with("| `"))
        .filter_map(|line| line.split('|').nth(1))
        .collect();
    let mut values = names("tests/reference");
    assert!(values.remove("README.md"));
    assert_eq!(captured("`([^`/]+)[^`]*`", &cells.join("\n")), values);
    let mut scripts = names("scripts/reference");
    scripts.retain(|name| name.ends_with(".py"));
    assert_eq!(captured(r"scripts/reference/([^)/]+\.py)\)", &page), scripts);
}
