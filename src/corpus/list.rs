//! A list of files as a corpus: `@files.txt`, one path a line, or `@files.csv`, a table with a
//! column `path`.

use crate::{Error, Result};
use std::io::Read;
use std::path::{Path, PathBuf};

/// The list a root names: `@FILE`; `@-` is standard input.
pub(super) fn named(root: &Path) -> Option<PathBuf> {
    root.to_str()?.strip_prefix('@').filter(|file| !file.is_empty()).map(PathBuf::from)
}

/// The folder that relative lines of a list start from: the list's own; for standard input the
/// current one.
pub(super) fn folder(list: &Path) -> &Path {
    list.parent().unwrap_or(Path::new(""))
}

/// The paths of a list: its lines without line ends, empty ones and comments, which begin with `#`
/// (a file whose name does is `./#name`); of a `.csv` the cells of its column `path`. What is not
/// UTF-8 is an `Err` with what can be shown.
///
/// # Errors
/// The list cannot be read, or is a table without such a column.
pub(super) fn lines(list: &Path) -> Result<Vec<Result<String, String>>> {
    let bytes = if list == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin()
            .lock()
            .read_to_end(&mut bytes)
            .map_err(Error::io("read", "standard input"))?;
        bytes
    } else {
        std::fs::read(list).map_err(Error::io("read", list))?
    };
    if list.extension().is_some_and(|found| found.eq_ignore_ascii_case("csv")) {
        return column(&bytes).map_err(|message| Error::file(list, message));
    }
    Ok(parse(&bytes))
}

/// The cells of the column `path` of a table.
fn column(bytes: &[u8]) -> Result<Vec<Result<String, String>>, String> {
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    let mut reader = csv::Reader::from_reader(bytes);
    let header = reader.byte_headers().map_err(|error| error.to_string())?;
    let place = header.iter().position(|name| name.eq_ignore_ascii_case(b"path"));
    let place = place
        .ok_or("has no column `path`: a list is a table with one, or a text with a path a line")?;
    let cell = |row: Result<csv::ByteRecord, csv::Error>| {
        let row = row.map_err(|error| error.to_string())?;
        let cell = row.get(place).unwrap_or_default();
        Ok(std::str::from_utf8(cell)
            .map(String::from)
            .map_err(|_| String::from_utf8_lossy(cell).into_owned()))
    };
    reader.byte_records().map(cell).collect()
}

/// Some editors begin a text with it.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

fn parse(bytes: &[u8]) -> Vec<Result<String, String>> {
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    bytes
        .split(|&byte| byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .filter(|line| !line.is_empty() && !line.starts_with(b"#"))
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
        let lines = parse(b"\xef\xbb\xbfa b.jpg\r\n\n# c.jpg\n./#d.jpg\n\xff.png\n/d.tif");
        let expected = [Ok("a b.jpg"), Ok("./#d.jpg"), Err("\u{fffd}.png"), Ok("/d.tif")];
        assert_eq!(lines, expected.map(|line| line.map(String::from).map_err(String::from)));
    }

    #[test]
    fn tables_have_their_paths_in_a_column() {
        let rows = column(b"\xef\xbb\xbflabel,Path\njoy,a b.jpg\nfear,\"c,d.png\"\n").unwrap();
        assert_eq!(rows, [Ok("a b.jpg".to_string()), Ok("c,d.png".to_string())]);
        assert!(column(b"label,file\n").unwrap_err().contains("no column `path`"));
    }

    #[test]
    fn only_an_at_sign_in_front_names_a_list() {
        assert_eq!(named(Path::new("@x/files.txt")), Some("x/files.txt".into()));
        assert_eq!(
            ["./@files", "files@", "@"].map(|root| named(Path::new(root))),
            [None, None, None]
        );
    }
}
