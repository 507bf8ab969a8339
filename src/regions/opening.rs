//! The beginning of a file, which tells its format.

use crate::{Error, Result};
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// Some editors begin a text with it.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Bytes that are looked at.
const LOOKED_AT: u64 = 64 << 10;

/// What a file begins with.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Opening {
    /// The first byte that is no space; `None` if there is none.
    pub(super) first: Option<u8>,
    /// The keys of the JSON object that the file begins with, as far as they stand among the first
    /// 64 kB.
    pub(super) keys: Vec<String>,
}

impl Opening {
    /// Looks at the first bytes of a file.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn read(file: &Path) -> Result<Self> {
        let mut bytes = Vec::new();
        open(file)?.take(LOOKED_AT).read_to_end(&mut bytes).map_err(Error::io("read", file))?;
        let mut keys = Vec::new();
        // The beginning of a longer file is cut off somewhere, which is no fault; any other is
        // found by the reader.
        let _ = serde_json::Deserializer::from_slice(&bytes).deserialize_map(Keys(&mut keys));
        Ok(Self { first: bytes.iter().find(|byte| !byte.is_ascii_whitespace()).copied(), keys })
    }
}

/// Opens a text for reading, past its byte order mark.
///
/// # Errors
/// The file cannot be read.
pub(super) fn open(file: &Path) -> Result<BufReader<File>> {
    let mut reader =
        BufReader::with_capacity(1 << 18, File::open(file).map_err(Error::io("read", file))?);
    if reader.fill_buf().map_err(Error::io("read", file))?.starts_with(BYTE_ORDER_MARK) {
        reader.consume(BYTE_ORDER_MARK.len());
    }
    Ok(reader)
}

/// Collects an object's keys as they come.
struct Keys<'a>(&'a mut Vec<String>);

impl<'de> Visitor<'de> for Keys<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        while let Some(key) = object.next_key()? {
            self.0.push(key);
            object.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }
}
