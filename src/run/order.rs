//! Records in byte order of their paths, which is the order of the corpus: of one run, or of
//! several merged.
//!
//! A pass appends in that order. Records come late only where a picture that had failed could be
//! read when the run was resumed. So a `records.jsonl` is a few ascending stretches, and the
//! stretches of all files are merged. No file is held open, and memory depends neither on the
//! number of records nor on that of late ones.

use super::Run;
use crate::run::journal::{self, Place};
use crate::run::record::RunRecord;
use crate::{Error, Result};
use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::marker::PhantomData;

/// Bytes of lines held, shared by the stretches.
const HELD: usize = 64 << 20;

/// Runs of one command, whose records `R` are to be read in one order.
#[derive(Debug)]
pub(crate) struct Ordered<'a, R> {
    stretches: Vec<Stretch<'a>>,
    records: PhantomData<fn() -> R>,
}

impl Run {
    /// [`Run::for_each_record_of`] in byte order of the paths, whatever the order in the file.
    ///
    /// # Errors
    /// As [`Run::for_each_record_of`].
    pub fn for_each_record_in_order<R: RunRecord>(
        &self,
        mut take: impl FnMut(&R) -> Result<()>,
    ) -> Result<()> {
        let mut ordered = Ordered::new();
        ordered.add(self, |_| Ok(()))?;
        let mut last = String::new();
        ordered.for_each(|_, record: &R| {
            if record.path() == last {
                let message = format!(
                    "has two records of {last}: what follows from them would count it twice"
                );
                return Err(Error::file(&self.path("records.jsonl"), message));
            }
            record.path().clone_into(&mut last);
            take(record)
        })
    }
}

/// Lines of a `records.jsonl` in ascending order of their paths.
#[derive(Debug, Clone)]
struct Stretch<'a> {
    run: &'a Run,
    /// Bytes before it, and up to its end.
    start: u64,
    end: u64,
    /// The lines before it.
    place: Place,
}

impl<'a, R: RunRecord> Ordered<'a, R> {
    /// No runs yet.
    pub(crate) fn new() -> Self {
        Self { stretches: Vec::new(), records: PhantomData }
    }

    /// Adds the records of a run, reading each once for `take`.
    ///
    /// # Errors
    /// As [`Run::for_each_record_of`].
    pub(crate) fn add(
        &mut self,
        run: &'a Run,
        mut take: impl FnMut(R) -> Result<()>,
    ) -> Result<()> {
        let mut last: Option<String> = None;
        let (mut at, mut place) = (0, Place::default());
        run.for_each_line(|line, record: R| {
            if last.as_ref().is_none_or(|last| record.path() < last.as_str()) {
                self.stretches.push(Stretch { run, start: at, end: at, place });
            }
            at += line.len() as u64;
            place.pass(line);
            self.stretches.last_mut().expect("the first line has begun one").end = at;
            record.path().clone_into(last.get_or_insert_default());
            take(record)
        })
    }

    /// Calls `take` with every line, line feed included, and its record, in byte order of the
    /// paths; of equal ones, the run that was added first comes first.
    ///
    /// # Errors
    /// As [`Run::for_each_record_of`]; whatever `take` returns.
    pub(crate) fn for_each(&self, mut take: impl FnMut(&[u8], &R) -> Result<()>) -> Result<()> {
        let bytes = (HELD / self.stretches.len().max(1)).clamp(4 << 10, 4 << 20);
        let mut cursors: Vec<Cursor<'_, R>> =
            self.stretches.iter().map(|stretch| Cursor::new(stretch, bytes)).collect();
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
struct Head<R> {
    line: Vec<u8>,
    record: R,
    from: usize,
}

impl<R: RunRecord> Ord for Head<R> {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.record.path(), other.from).cmp(&(self.record.path(), self.from))
    }
}

impl<R: RunRecord> PartialOrd for Head<R> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<R: RunRecord> PartialEq for Head<R> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<R: RunRecord> Eq for Head<R> {}

/// How far a stretch has been read.
struct Cursor<'a, R> {
    /// What is still to be read.
    rest: Stretch<'a>,
    ahead: VecDeque<(Vec<u8>, R)>,
    /// Bytes to read at a time.
    bytes: usize,
}

impl<'a, R: RunRecord> Cursor<'a, R> {
    fn new(stretch: &Stretch<'a>, bytes: usize) -> Self {
        Self { rest: stretch.clone(), ahead: VecDeque::new(), bytes }
    }

    fn next(&mut self) -> Result<Option<(Vec<u8>, R)>> {
        if self.ahead.is_empty() && self.rest.start < self.rest.end {
            self.read()?;
        }
        Ok(self.ahead.pop_front())
    }

    fn read(&mut self) -> Result<()> {
        let Stretch { run, start, end, place } = self.rest;
        let path = run.path("records.jsonl");
        let mut file = File::open(&path).map_err(Error::io("read", &path))?;
        file.seek(SeekFrom::Start(start)).map_err(Error::io("read", &path))?;
        let mut reader =
            BufReader::with_capacity(self.bytes.min(256 << 10), file.take(end - start));
        self.ahead = journal::read_lines(&mut reader, &path, place, self.bytes)?.into();
        if self.ahead.is_empty() {
            return Err(Error::file(
                &path,
                "has become shorter while it was read: is another emocam writing to it?",
            ));
        }
        let fits = R::fits(&run.manifest).map_err(|message| Error::file(run.folder(), message))?;
        for (line, record) in &self.ahead {
            self.rest.place.pass(line);
            fits(record).map_err(|cause| Error::line(&path, self.rest.place.lines, cause))?;
            self.rest.start += line.len() as u64;
        }
        Ok(())
    }
}
