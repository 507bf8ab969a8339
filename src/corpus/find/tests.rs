use super::*;
use tempfile::TempDir;

fn folder(files: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in files {
        let path = folder.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }
    folder
}

fn names(corpus: &Corpus) -> Vec<&str> {
    corpus.images.iter().map(|image| image.path.as_str()).collect()
}

fn find_in(folder: &TempDir) -> Corpus {
    find(&[folder.path().to_path_buf()]).unwrap()
}

#[test]
fn images_come_in_byte_order_and_nothing_else_comes() {
    let folder = folder(&[
        "b/x.JPG",
        "b.png",
        "a/z.tiff",
        "a/a.jpeg",
        "B.webp",
        "notes.txt",
        "jpg",
        "._b.png",
        ".t/x.png",
    ]);
    let corpus = find_in(&folder);
    assert_eq!(names(&corpus), ["B.webp", "a/a.jpeg", "a/z.tiff", "b.png", "b/x.JPG"]);
    assert_eq!(*corpus.images[4].file, *folder.path().join("b/x.JPG"));
    assert_eq!(corpus.problems, []);
}

#[test]
fn several_roots_keep_equal_names_apart_and_count_a_repeated_root_once() {
    let folder = folder(&["a/x.jpg", "b/x.jpg"]);
    let [a, b] = ["a", "b"].map(|name| folder.path().join(name));
    let corpus = find(&[b.clone(), a.clone(), b.clone()]).unwrap();
    let expected = [a, b].map(|root| format!("{}/x.jpg", root.display()));
    assert_eq!(names(&corpus), expected);
}

#[test]
fn roots_that_are_the_same_folder_count_once() {
    let folder = folder(&["a/x.jpg", "a/y.jpg"]);
    let [plain, dotted] = ["a", "./a/../a"].map(|name| folder.path().join(name));
    let corpus = find(&[plain.clone(), dotted, plain.join("x.jpg")]).unwrap();
    assert_eq!(corpus.images.len(), 2);
}

#[test]
fn pictures_of_other_formats_are_counted_problems() {
    let folder = folder(&["a.gif", "b.HEIC", "c.txt", "d.png"]);
    let corpus = find_in(&folder);
    assert_eq!(names(&corpus), ["d.png"]);
    let problems: Vec<_> = corpus.problems.iter().map(|problem| problem.path.as_str()).collect();
    assert_eq!(problems, ["a.gif", "b.HEIC"]);
    assert!(corpus.problems[0].cause.contains("format gif"));
}

#[test]
fn a_root_that_is_a_file_is_taken_as_it_is_given() {
    let folder = folder(&["photo.unknown"]);
    let file = folder.path().join("photo.unknown");
    let corpus = find(std::slice::from_ref(&file)).unwrap();
    assert_eq!(names(&corpus), [file.to_str().unwrap()]);
}

#[test]
fn a_root_that_does_not_exist_is_named() {
    let error = find(&[PathBuf::from("/no/such/folder")]).unwrap_err();
    assert_eq!(error.to_string(), "cannot read /no/such/folder");
}

#[cfg(unix)]
#[test]
fn links_are_followed_and_loops_and_dead_ends_reported() {
    use std::os::unix::fs::symlink;
    let other = folder(&["far.jpg"]);
    let folder = folder(&["a/x.jpg"]);
    symlink(folder.path(), folder.path().join("a/loop")).unwrap();
    symlink("nowhere", folder.path().join("dead.png")).unwrap();
    symlink("nowhere", folder.path().join(".dead.png")).unwrap();
    symlink(other.path(), folder.path().join("other")).unwrap();
    let corpus = find_in(&folder);
    assert_eq!(names(&corpus), ["a/x.jpg", "other/far.jpg"]);
    let problems: Vec<_> =
        corpus.problems.iter().map(|p| (p.path.as_str(), p.cause.as_str())).collect();
    assert_eq!(problems.len(), 2);
    assert!(
        problems[0].0 == "a/loop" && problems[0].1.starts_with("a symbolic link back to"),
        "{problems:?}"
    );
    assert!(problems[1].0 == "dead.png" && problems[1].1.contains("No such file"), "{problems:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn pipes_and_names_that_are_not_utf8_are_problems() {
    use std::os::unix::ffi::OsStrExt;
    let folder = folder(&["ok.bmp"]);
    let pipe = folder.path().join("pipe.jpg");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let bad = std::ffi::OsStr::from_bytes(b"\xff\xfe.png");
    fs::write(folder.path().join(bad), "").unwrap();
    let corpus = find_in(&folder);
    assert_eq!(names(&corpus), ["ok.bmp"]);
    let causes: Vec<_> = corpus.problems.iter().map(|problem| problem.cause.as_str()).collect();
    assert_eq!(causes, ["a named pipe, not a file", "its name is not UTF-8"]);
}

#[cfg(unix)]
#[test]
fn an_unreadable_folder_is_a_problem_and_its_siblings_are_found() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder(&["locked/x.jpg", "open/y.jpg"]);
    let locked = folder.path().join("locked");
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o000)).unwrap();
    let readable_all_the_same = fs::read_dir(&locked).is_ok();
    let corpus = find_in(&folder);
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o700)).unwrap();
    if readable_all_the_same {
        eprintln!("skipped: this user reads every folder");
        return;
    }
    assert_eq!(names(&corpus), ["open/y.jpg"]);
    assert_eq!(corpus.problems[0].path, "locked");
}
