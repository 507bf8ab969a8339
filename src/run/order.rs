//! Records in byte order of their paths, which is the order of the corpus: of one run, or of several merged.
//!
//! A pass appends in that order. Records come late only where a picture that had failed could be read when the run was
//! resumed. So a `records.jsonl` is a few ascending stretches, and the stretches of all files are merged. No file is
//! held open, and memory depends neither on the number of records nor on that of late ones.

use super::Run;
use crate::run::record::{self, ImageRecord};
use crate::{Error, Result};
use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};

/// Bytes of lines held, shared by the stretches.
const HELD: usize = 64 << 20;

/// Runs whose records are to be read in one order.
#[derive(Default)]
pub(crate) struct Ordered<'a> {
    stretches: Vec<Stretch<'a>>,
}

/// Lines of a `records.jsonl` in ascending order of their paths.
#[derive(Clone)]
struct Stretch<'a> {
    run: &'a Run,
    /// Bytes before it, and up to its end.
    start: u64,
    end: u64,
    /// Lines before it.
    lines: usize,
}

impl<'a> Ordered<'a> {
    /// Adds the records of a run, reading each once for `take`.
    ///
    /// # Errors
    /// As [`Run::for_each_record`].
    pub fn add(&mut self, run: &'a Run, mut take: impl FnMut(ImageRecord) -> Result<()>) -> Result<()> {
        let mut last: Option<String> = None;
        let (mut at, mut lines) = (0, 0);
        run.for_each_line(|line, record| {
            if last.as_ref().is_none_or(|last| record.path < *last) {
                self.stretches.push(Stretch { run, start: at, end: at, lines });
            }
            at += line.len() as u64;
            lines += 1;
            self.stretches.last_mut().expect("the first line has begun one").end = at;
            last.get_or_insert_default().clone_from(&record.path);
            take(record)
        })
    }

    /// Calls `take` with every line, line feed included, and its record, in byte order of the paths; of equal ones, the
    /// run that was added first comes first.
    ///
    /// # Errors
    /// As [`Run::for_each_record`]; whatever `take` returns.
    pub fn for_each(&self, mut take: impl FnMut(&[u8], &ImageRecord) -> Result<()>) -> Result<()> {
        let bytes = (HELD / self.stretches.len().max(1)).clamp(4 << 10, 4 << 20);
        let mut cursors: Vec<Cursor<'_>> = self.stretches.iter().map(|stretch| Cursor::new(stretch, bytes)).collect();
        let mut heads = BinaryHeap::with_capacity(cursors.len());
        for (from, cursor) in cursors.iter_mut().enumerate() {
            heads.extend(cursor.next()?.map(|(line, record)| Head { line, record, from }));
        }
        while let Some(Head { line, record, from }) = heads.pop() {
            take(&line, &record)?;
            heads.extend(cursors[from].next()?.map(|(line, record)| Head { line, record, from }));
        }
        Ok(())
    }
}

/// The next record of a stretch. The greatest is the one whose path comes first.
struct Head {
    line: Vec<u8>,
    record: ImageRecord,
    from: usize,
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> Ordering {
        (&other.record.path, other.from).cmp(&(&self.record.path, self.from))
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Head {}

/// How far a stretch has been read.
struct Cursor<'a> {
    /// What is still to be read.
    rest: Stretch<'a>,
    ahead: VecDeque<(Vec<u8>, ImageRecord)>,
    /// Bytes to read at a time.
    bytes: usize,
}

impl<'a> Cursor<'a> {
    fn new(stretch: &Stretch<'a>, bytes: usize) -> Self {
        Self { rest: stretch.clone(), ahead: VecDeque::new(), bytes }
    }

    fn next(&mut self) -> Result<Option<(Vec<u8>, ImageRecord)>> {
        if self.ahead.is_empty() && self.rest.start < self.rest.end {
            self.read()?;
        }
        Ok(self.ahead.pop_front())
    }

    fn read(&mut self) -> Result<()> {
        let Stretch { run, start, end, lines } = self.rest;
        let path = run.path("records.jsonl");
        let mut file = File::open(&path).map_err(Error::io("read", &path))?;
        file.seek(SeekFrom::Start(start)).map_err(Error::io("read", &path))?;
        let mut reader = BufReader::with_capacity(self.bytes.min(256 << 10), file.take(end - start));
        self.ahead = record::read_lines(&mut reader, &path, lines, self.bytes)?.into();
        if self.ahead.is_empty() {
            return Err(Error::file(&path, "has become shorter while it was read: is another emocam writing to it?"));
        }
        for (number, (line, record)) in (lines + 1..).zip(&self.ahead) {
            run.manifest.check_record(record).map_err(|cause| Error::line(&path, number, cause))?;
            self.rest.start += line.len() as u64;
        }
        self.rest.lines += self.ahead.len();
        Ok(())
    }
}
