//! A list of files as a corpus: `@files.txt`, one path a line.

use crate::{Error, Result};
use std::io::Read;
use std::path::{Path, PathBuf};

/// The list a root names: `@FILE`; `@-` is standard input.
pub(super) fn named(root: &Path) -> Option<PathBuf> {
    root.to_str()?.strip_prefix('@').filter(|file| !file.is_empty()).map(PathBuf::from)
}

/// The folder that relative lines of a list start from: the list's own; for standard input the current one.
pub(super) fn folder(list: &Path) -> &Path {
    list.parent().unwrap_or(Path::new(""))
}

/// The lines of a list, without line ends and empty ones. A line that is not UTF-8 is an `Err` with what can be shown.
///
/// # Errors
/// The list cannot be read.
pub(super) fn lines(list: &Path) -> Result<Vec<Result<String, String>>> {
    let bytes = if list == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin().lock().read_to_end(&mut bytes).map_err(Error::io("read", "standard input"))?;
        bytes
    } else {
        std::fs::read(list).map_err(Error::io("read", list))?
    };
    Ok(parse(&bytes))
}

fn parse(bytes: &[u8]) -> Vec<Result<String, String>> {
    /// Some editors begin a text with it.
    const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    bytes
        .split(|&byte| byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .filter(|line| !line.is_empty())
        .map(|line| match std::str::from_utf8(line) {
            Ok(line) => Ok(line.to_string()),
            Err(_) => Err(String::from_utf8_lossy(line).into_owned()),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_any_system_and_editor() {
        let lines = parse(b"\xef\xbb\xbfa b.jpg\r\n\n# c.jpg\n\xff.png\n/d.tif");
        let expected = [Ok("a b.jpg"), Ok("# c.jpg"), Err("\u{fffd}.png"), Ok("/d.tif")];
        assert_eq!(lines, expected.map(|line| line.map(String::from).map_err(String::from)));
    }

    #[test]
    fn only_an_at_sign_in_front_names_a_list() {
        assert_eq!(named(Path::new("@x/files.txt")), Some("x/files.txt".into()));
        assert_eq!(["./@files", "files@", "@"].map(|root| named(Path::new(root))), [None, None, None]);
    }
}
