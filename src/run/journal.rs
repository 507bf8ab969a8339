//! `records.jsonl`: a file that grows by whole lines, each sealed by a checksum.
//!
//! A line is a JSON object whose last key is `crc32`: the CRC-32 of all lines up to it, each
//! without its last key and what follows, as eight hexadecimal digits. So a line that was changed,
//! lost, doubled or moved is found by the first line that no longer fits, and `run.json` of a
//! finished run says how many lines there are and the last checksum. In Python: `c = 0`, and for
//! each line `c = zlib.crc32(line[:line.rindex(b',"crc32":"')], c)`.
//!
//! A last line that a kill tore is dropped when the run is resumed; any other damage is an error
//! that names the line.

use super::record::Line;
use crate::{Error, Result};
use rayon::prelude::*;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// What stands before the eight digits of a checksum.
const KEY: &[u8] = b",\"crc32\":\"";
/// What stands behind them.
const END: &[u8] = b"\"}\n";
/// Bytes of both and of the digits.
const SEAL: usize = KEY.len() + 8 + END.len();

/// Makes the lines of a `records.jsonl`, in their order.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sealer {
    checksum: u32,
}

impl Sealer {
    /// Appends to `lines` the sealed line of a JSON object, which may have a seal from another file
    /// and a line feed.
    pub fn seal(&mut self, object: &[u8], lines: &mut Vec<u8>) {
        let body = match seal_of(object) {
            Some(seal) => &object[..seal.at],
            None => {
                let object = object.strip_suffix(b"\n").unwrap_or(object);
                object.strip_suffix(b"}").unwrap_or(object)
            }
        };
        self.checksum = after(self.checksum, body);
        for part in [body, KEY, in_digits(self.checksum).as_bytes(), END] {
            lines.extend_from_slice(part);
        }
    }
}

/// A checksum as it is written.
fn in_digits(checksum: u32) -> String {
    format!("{checksum:08x}")
}

/// The CRC-32 of what has `checksum`, followed by `body`.
fn after(checksum: u32, body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(checksum);
    hasher.update(body);
    hasher.finalize()
}

/// Where a line's seal begins, and its checksum.
#[derive(Debug, Clone, Copy)]
struct Seal {
    at: usize,
    checksum: u32,
}

/// The seal of a whole line.
fn seal_of(line: &[u8]) -> Option<Seal> {
    let start = line.len().checked_sub(SEAL)?;
    let digits = line[start..].strip_prefix(KEY)?.strip_suffix(END)?;
    let checksum = u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    // The number may be written in one way alone.
    (in_digits(checksum).as_bytes() == digits).then_some(Seal { at: start, checksum })
}

/// How far a `records.jsonl` has been read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// Lines before it.
    pub lines: usize,
    /// Checksum of the last of them.
    checksum: u32,
}

impl Place {
    /// The checksum of the lines before it, as it is written.
    pub(crate) fn checksum(self) -> String {
        in_digits(self.checksum)
    }

    /// Goes behind a line that was read.
    pub(crate) fn pass(&mut self, line: &[u8]) {
        self.lines += 1;
        self.checksum = seal_of(line).map_or(0, |seal| seal.checksum);
    }
}

/// Appends to a `records.jsonl`.
#[derive(Debug)]
pub struct RecordWriter {
    path: PathBuf,
    file: File,
    sealer: Sealer,
}

impl RecordWriter {
    /// Opens the file for appending, making it if need be, after cutting off a torn last line.
    ///
    /// # Errors
    /// The file cannot be opened, read or cut; its last whole line has no checksum; another process
    /// has it open for appending.
    pub fn open(path: &Path) -> Result<Self> {
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path)
            .map_err(Error::io("open", path))?;
        // Two processes would record every picture twice. Where the file system knows no locks, the
        // user must see to it.
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            return Err(Error::file(
                path,
                "another emocam is writing to it: wait for that one, or name another folder",
            ));
        }
        let whole = whole_lines(&mut file).map_err(Error::io("read", path))?;
        file.set_len(whole).map_err(Error::io("cut the torn last line of", path))?;
        let mut writer = Self { path: path.into(), file, sealer: Sealer::default() };
        writer.go_on_from(whole)?;
        Ok(writer)
    }

    /// Keeps the first `count` lines alone.
    ///
    /// # Errors
    /// There are fewer, or the file cannot be read or cut.
    pub fn keep(&mut self, count: usize) -> Result<()> {
        let lines = BufReader::with_capacity(
            1 << 20,
            File::open(&self.path).map_err(Error::io("read", &self.path))?,
        );
        let (mut length, mut found) = (0, 0);
        for line in lines.split(b'\n').take(count) {
            length += line.map_err(Error::io("read", &self.path))?.len() as u64 + 1;
            found += 1;
        }
        if found < count {
            return Err(Error::file(
                &self.path,
                format!("has {found} records, expected at least {count}"),
            ));
        }
        self.file.set_len(length).map_err(Error::io("cut", &self.path))?;
        self.go_on_from(length)
    }

    /// Appends one line a record and waits until they are on the disk.
    ///
    /// # Errors
    /// The disk is full or gone; what was written before is safe.
    pub fn append<R: Line>(&mut self, records: &[R]) -> Result<()> {
        let (mut lines, mut sealer) = (Vec::new(), self.sealer);
        for record in records {
            let object =
                serde_json::to_vec(record).map_err(|e| Error::file(&self.path, e.to_string()))?;
            sealer.seal(&object, &mut lines);
        }
        self.file
            .write_all(&lines)
            .and_then(|()| self.file.sync_data())
            .map_err(Error::io("append records to", &self.path))?;
        self.sealer = sealer;
        Ok(())
    }

    /// Takes up the checksum of the line that ends at `length`.
    fn go_on_from(&mut self, length: u64) -> Result<()> {
        let seal = seal_before(&mut self.file, length).map_err(Error::io("read", &self.path))?;
        self.sealer.checksum = match seal {
            Some(seal) => seal.checksum,
            None if length == 0 => 0,
            None => {
                return Err(Error::file(&self.path, format!("its last line is {}", unsealed())));
            }
        };
        Ok(())
    }
}

/// The seal that ends at `length`.
fn seal_before(file: &mut File, length: u64) -> std::io::Result<Option<Seal>> {
    let mut seal = vec![0; length.min(SEAL as u64) as usize];
    file.seek(SeekFrom::Start(length - seal.len() as u64))?;
    file.read_exact(&mut seal)?;
    Ok(seal_of(&seal))
}

/// The checksum of the last whole line of a `records.jsonl`, as it is written; `None` where there
/// is no line, or no file.
///
/// # Errors
/// The file cannot be read.
pub(super) fn last_checksum(path: &Path) -> Result<Option<String>> {
    if !path.exists() {
        return Ok(None);
    }
    let failed = Error::io("read", path);
    let last = || -> std::io::Result<_> {
        let mut file = File::open(path)?;
        let length = whole_lines(&mut file)?;
        seal_before(&mut file, length)
    };
    Ok(last().map_err(failed)?.map(|seal| in_digits(seal.checksum)))
}

/// Whole lines of the file.
///
/// # Errors
/// It cannot be read.
pub fn count_lines(path: &Path) -> Result<usize> {
    let mut reader =
        BufReader::with_capacity(1 << 20, File::open(path).map_err(Error::io("read", path))?);
    let mut lines = 0;
    loop {
        let block = reader.fill_buf().map_err(Error::io("read", path))?;
        if block.is_empty() {
            return Ok(lines);
        }
        lines += block.iter().filter(|&&byte| byte == b'\n').count();
        let length = block.len();
        reader.consume(length);
    }
}

/// Length of the file up to and including its last line feed.
fn whole_lines(file: &mut File) -> std::io::Result<u64> {
    let mut end = file.seek(SeekFrom::End(0))?;
    let mut block = vec![0; 64 * 1024];
    while end > 0 {
        let start = end.saturating_sub(block.len() as u64);
        let part = &mut block[..(end - start) as usize];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(part)?;
        if let Some(at) = part.iter().rposition(|&byte| byte == b'\n') {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

/// Bytes parsed at a time.
const CHUNK: usize = 4 << 20;

/// Calls `take` with every line of the file, line feed included, and its record, in its order,
/// parsing on all cores; a torn last line is passed over. Memory does not depend on the file's
/// length. Returns the file's end.
///
/// # Errors
/// The file cannot be read; a line that is no record or whose checksum does not fit, by its number;
/// whatever `take` returns.
pub(crate) fn for_each_line<R: Line>(
    path: &Path,
    mut take: impl FnMut(&[u8], R) -> Result<()>,
) -> Result<Place> {
    let mut reader =
        BufReader::with_capacity(1 << 20, File::open(path).map_err(Error::io("read", path))?);
    let mut place = Place::default();
    loop {
        let lines = read_lines(&mut reader, path, place, CHUNK)?;
        if lines.is_empty() {
            return Ok(place);
        }
        for (line, record) in lines {
            place.pass(&line);
            take(&line, record)?;
        }
    }
}

/// The next whole lines of `reader`, with their line feeds, until they have `bytes` bytes or more,
/// and their records; `reader` is at `place` of the file `path`.
///
/// # Errors
/// As [`for_each_line`].
pub(crate) fn read_lines<R: Line>(
    reader: &mut impl BufRead,
    path: &Path,
    place: Place,
    bytes: usize,
) -> Result<Vec<(Vec<u8>, R)>> {
    let (mut lines, mut checksums, mut read) = (Vec::new(), vec![place.checksum], 0);
    while read < bytes {
        let mut line = Vec::new();
        reader.read_until(b'\n', &mut line).map_err(Error::io("read", path))?;
        if line.last() != Some(&b'\n') {
            break;
        }
        read += line.len();
        checksums.push(seal_of(&line).map_or(0, |seal| seal.checksum));
        lines.push(line);
    }
    let records: Vec<_> =
        lines.par_iter_mut().zip(&checksums).map(|(line, &before)| parse(line, before)).collect();
    let numbered = (place.lines + 1..).zip(lines.into_iter().zip(records));
    let whole = numbered.map(|(number, (line, record))| match record {
        Ok(record) => Ok((line, record)),
        Err(cause) => Err(Error::line(path, number, cause)),
    });
    whole.collect()
}

/// The record of a line that follows on one with the checksum `before`.
fn parse<R: Line>(line: &mut [u8], before: u32) -> Result<R, String> {
    let seal = seal_of(line).ok_or_else(unsealed)?;
    if after(before, &line[..seal.at]) != seal.checksum {
        return Err(
            "its checksum does not fit: this line was changed, or lines before it were lost, \
             doubled or moved; bring the file back from a copy, or begin anew in another folder \
             with --out"
                .into(),
        );
    }
    // The object without its seal is closed in place, and the line is then as it was.
    line[seal.at] = b'}';
    let record: Result<R, _> = serde_json::from_slice(&line[..=seal.at]);
    line[seal.at] = KEY[0];
    let record =
        record.map_err(|error| format!("not a record of this version of emocam: {error}"))?;
    record
        .check()
        .map(|()| record)
        .map_err(|cause| format!("not a record of this version of emocam: {cause}"))
}

/// What a line without a seal is.
fn unsealed() -> String {
    "not a record of this version of emocam: it does not end with its checksum (\"crc32\")".into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::{Deserialize, Serialize};

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Word {
        word: String,
    }

    impl Line for Word {
        fn check(&self) -> Result<(), String> {
            if self.word.is_empty() { Err("no word".into()) } else { Ok(()) }
        }
    }

    fn words(all: &[&str]) -> Vec<Word> {
        all.iter().map(|&word| Word { word: word.into() }).collect()
    }

    fn read(path: &Path) -> Result<Vec<Word>> {
        let mut all = Vec::new();
        for_each_line(path, |_, record| {
            all.push(record);
            Ok(())
        })?;
        Ok(all)
    }

    #[test]
    fn checksums_are_those_of_zlib() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("records.jsonl");
        RecordWriter::open(&path).unwrap().append(&words(&["a", "b"])).unwrap();
        // zlib.crc32(b'{"word":"a"') and zlib.crc32(b'{"word":"b"', that) of Python.
        let expected =
            "{\"word\":\"a\",\"crc32\":\"3e6fcade\"}\n{\"word\":\"b\",\"crc32\":\"346bcbf2\"}\n";
        assert_eq!(std::fs::read_to_string(&path).unwrap(), expected);
    }

    #[test]
    fn a_torn_last_line_is_dropped_and_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("records.jsonl");
        let all = words(&["a", "b", "c"]);
        RecordWriter::open(&path).unwrap().append(&all).unwrap();
        let whole = std::fs::read(&path).unwrap();
        let line = whole.len() / 3;
        for cut in [0, 1, line - 1, line, line + 1, 2 * line + 5, whole.len() - 1, whole.len()] {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let kept = cut / line;
            assert_eq!(read(&path).unwrap(), all[..kept]);
            RecordWriter::open(&path).unwrap().append(&all[kept..]).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), whole);
        }
        let mut writer = RecordWriter::open(&path).unwrap();
        writer.keep(1).unwrap();
        writer.append(&all[1..]).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), whole);
        assert!(
            writer.keep(4).unwrap_err().to_string().contains("has 3 records, expected at least 4")
        );
    }

    #[test]
    fn every_changed_lost_doubled_or_moved_line_is_an_error_with_its_number() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("records.jsonl");
        RecordWriter::open(&path).unwrap().append(&words(&["a", "b", "c", "d"])).unwrap();
        let whole = std::fs::read(&path).unwrap();
        let lines: Vec<&[u8]> = whole.split_inclusive(|&byte| byte == b'\n').collect();
        let [a, b, c, d] = lines[..] else { panic!("four lines") };
        let orders: [(&[&[u8]], usize); 6] = [
            (&[b, c, d], 1),
            (&[a, c, d], 2),
            (&[a, b, d], 3),
            (&[a, b, b, c, d], 3),
            (&[b, a, c, d], 1),
            (&[a, c, b, d], 2),
        ];
        for (order, number) in orders {
            std::fs::write(&path, order.concat()).unwrap();
            let error = read(&path).unwrap_err().to_string();
            assert!(
                error.contains(&format!("line {number}: its checksum does not fit")),
                "{error}"
            );
        }
        // Every byte of the second line, and what becomes of it when it is another one.
        for at in a.len()..a.len() + b.len() - 1 {
            for other in [b'0', b'x', 0, 0xFF] {
                let mut changed = whole.clone();
                changed[at] = other;
                std::fs::write(&path, &changed).unwrap();
                assert!(
                    changed == whole || read(&path).unwrap_err().to_string().contains("line 2: "),
                    "byte {at}"
                );
            }
        }
        std::fs::write(&path, "{\"word\":\"a\"}\n").unwrap();
        for error in [read(&path).unwrap_err(), RecordWriter::open(&path).map(|_| ()).unwrap_err()]
        {
            assert!(error.to_string().contains("does not end with its checksum"), "{error}");
        }
    }

    #[test]
    fn a_sealed_line_is_checked_for_what_it_says() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("records.jsonl");
        for (object, cause) in [
            ("{\"word\":\"\"}", "no word"),
            ("{\"wort\":\"a\"}", "unknown field"),
            ("{", "missing"),
        ] {
            let mut lines = Vec::new();
            Sealer::default().seal(object.as_bytes(), &mut lines);
            std::fs::write(&path, lines).unwrap();
            let error = read(&path).unwrap_err().to_string();
            assert!(
                error.contains("line 1: not a record of this version") && error.contains(cause),
                "{error}"
            );
        }
    }

    #[test]
    fn lines_of_other_files_are_sealed_anew() {
        let [mut one, mut other] = [Vec::new(), Vec::new()];
        let mut sealer = Sealer::default();
        ["{\"word\":\"a\"}", "{\"word\":\"b\"}"]
            .iter()
            .for_each(|object| sealer.seal(object.as_bytes(), &mut one));
        let mut sealer = Sealer::default();
        one.split_inclusive(|&byte| byte == b'\n').for_each(|line| sealer.seal(line, &mut other));
        assert_eq!(one, other);
    }
}
