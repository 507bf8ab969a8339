//! Darknet's `.weights`: a header, then bare `f32` values in the order of the cfg, without names or
//! shapes.
//!
//! Nothing in the file says which network it belongs to; only the count does. So whoever builds the
//! network says how many values it needs in all, takes them layer by layer, and
//! [`DarknetWeights::finish`] refuses what is left over. Layout: `load_weights_upto` in Darknet's
//! `src/parser.c`; major, minor, revision as int32, the number of images seen in training as int64
//! since version 0.2 and int32 before.

use super::{content, file_length, float};
use crate::files::write_whole;
use crate::{Error, Result};
use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};

/// Versions above this mean "fully connected layers are transposed" to Darknet, and none was ever
/// published.
const MAX_VERSION: i32 = 1000;

/// More training images than this is no count but something else read as one.
const MAX_SEEN: i64 = 1_000_000_000_000_000;

/// Bytes of a value.
const FLOAT_BYTES: u64 = 4;

/// What stands before the values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Major version, 0 in every published file.
    pub major: i32,
    /// Minor version: 1 or 2.
    pub minor: i32,
    /// Revision.
    pub revision: i32,
    /// Images seen in training.
    pub seen: i64,
}

impl Header {
    /// The header that Darknet writes today.
    pub const CURRENT: Self = Self { major: 0, minor: 2, revision: 0, seen: 0 };

    /// Whether `seen` takes eight bytes.
    fn wide(&self) -> bool {
        self.major * 10 + self.minor >= 2
    }

    /// Bytes of the header.
    fn length(&self) -> u64 {
        12 + if self.wide() { 8 } else { 4 }
    }
}

/// The values of one file, handed out in order.
#[derive(Debug)]
pub struct DarknetWeights {
    path: PathBuf,
    header: Header,
    values: Vec<f32>,
    taken: usize,
    expected: usize,
    last: String,
}

impl DarknetWeights {
    /// Reads the file `path` for a network that needs `expected` values in all.
    ///
    /// A count that differs is not refused yet: [`Self::take`] and [`Self::finish`] can say at
    /// which layer.
    ///
    /// # Errors
    /// The file cannot be read; its header is no Darknet header; it ends within a value.
    pub fn open(path: &Path, expected: usize) -> Result<Self> {
        let length = file_length(path)?;
        if let Some(what) = content::impostor(&content::head(path)?) {
            return Err(Error::file(path, format!("expected Darknet weights, found {what}")));
        }
        let mut reader =
            BufReader::with_capacity(1 << 20, File::open(path).map_err(Error::io("read", path))?);
        let header = read_header(&mut reader, path)?;
        let bytes = length.saturating_sub(header.length());
        if bytes % FLOAT_BYTES != 0 {
            let message = format!(
                "{bytes} bytes behind the header of {} bytes: the last value has {} of its \
                 {FLOAT_BYTES} bytes; the file is truncated or no Darknet weights file",
                header.length(),
                bytes % FLOAT_BYTES
            );
            return Err(Error::file(path, message));
        }
        let values =
            read_values(&mut reader, bytes / FLOAT_BYTES).map_err(Error::io("read", path))?;
        Ok(Self {
            path: path.to_path_buf(),
            header,
            values,
            taken: 0,
            expected,
            last: "none".into(),
        })
    }

    /// The header.
    pub fn header(&self) -> Header {
        self.header
    }

    /// How many values the file holds.
    pub fn count(&self) -> usize {
        self.values.len()
    }

    /// The next `count` values, which are `part` (as "kernel") of layer `layer` (counted from 0, as
    /// Darknet does).
    ///
    /// # Errors
    /// [`Error::Tensor`] where the file runs out, with the counts, or where a value is NaN or
    /// infinite.
    pub fn take(&mut self, layer: usize, part: &str, count: usize) -> Result<Vec<f32>> {
        let left = self.values.len() - self.taken;
        let tensor = format!("layer {layer}, {part}");
        let Some(values) = self.values.get(self.taken..).and_then(|rest| rest.get(..count)) else {
            return Err(Error::Tensor {
                path: self.path.clone(),
                tensor,
                expected: format!("{count} floats (the cfg needs {} in all)", self.expected),
                found: format!(
                    "{left} left (the file holds {} in all): it is truncated or belongs to another \
                     cfg",
                    self.values.len()
                ),
            });
        };
        if let Some((index, value)) = float::first_not_finite(values) {
            return Err(Error::Tensor {
                path: self.path.clone(),
                tensor,
                expected: format!("{count} finite floats"),
                found: format!(
                    "{value} at element {index}: the file is damaged or belongs to another cfg"
                ),
            });
        }
        let values = values.to_vec();
        self.taken += count;
        self.last = tensor;
        Ok(values)
    }

    /// Ends the reading: every value must have been taken.
    ///
    /// # Errors
    /// [`Error::File`] with both counts and the last layer that took values.
    pub fn finish(&self) -> Result<()> {
        let left = self.values.len() - self.taken;
        if left == 0 {
            return Ok(());
        }
        let message = format!(
            "expected {} floats for this cfg, found {}: {left} are left after the last ({}); the \
             file belongs to another cfg",
            self.expected,
            self.values.len(),
            self.last
        );
        Err(Error::file(&self.path, message))
    }
}

/// The header, with sane ranges.
fn read_header(reader: &mut impl Read, path: &Path) -> Result<Header> {
    let short =
        |_| Error::file(path, "expected Darknet weights, found a file that ends within the header");
    let mut words = [[0; 4]; 3];
    for word in &mut words {
        reader.read_exact(word).map_err(short)?;
    }
    let [major, minor, revision] = words.map(i32::from_le_bytes);
    if [major, minor, revision].iter().any(|version| !(0..=MAX_VERSION).contains(version)) {
        let message = format!(
            "expected Darknet weights (three version numbers of 0 to {MAX_VERSION} first), found \
             {major}, {minor}, {revision}"
        );
        return Err(Error::file(path, message));
    }
    let mut header = Header { major, minor, revision, seen: 0 };
    header.seen = if header.wide() {
        let mut seen = [0; 8];
        reader.read_exact(&mut seen).map_err(short)?;
        i64::from_le_bytes(seen)
    } else {
        let mut seen = [0; 4];
        reader.read_exact(&mut seen).map_err(short)?;
        i32::from_le_bytes(seen).into()
    };
    if !(0..=MAX_SEEN).contains(&header.seen) {
        let message = format!(
            "expected Darknet weights (at most {MAX_SEEN} images seen in training), found {} \
             images",
            header.seen
        );
        return Err(Error::file(path, message));
    }
    Ok(header)
}

/// `count` values; memory grows with what arrives.
fn read_values(reader: &mut impl Read, count: u64) -> std::io::Result<Vec<f32>> {
    const PIECE: u64 = 1 << 20;
    let mut values = Vec::new();
    values.try_reserve_exact(count as usize).map_err(|_| std::io::ErrorKind::OutOfMemory)?;
    let mut bytes = Vec::new();
    let mut left = count * FLOAT_BYTES;
    while left > 0 {
        let piece = left.min(PIECE);
        bytes.resize(piece as usize, 0);
        reader.read_exact(&mut bytes)?;
        values.extend(bytes.as_chunks().0.iter().map(|value| f32::from_le_bytes(*value)));
        left -= piece;
    }
    Ok(values)
}

/// Writes a weights file: `header`, then all `parts` one after the other.
///
/// # Errors
/// The header is one that [`DarknetWeights::open`] would refuse, or the file cannot be written.
pub fn write<'a>(
    path: &Path,
    header: Header,
    parts: impl IntoIterator<Item = &'a [f32]>,
) -> Result<()> {
    let mut head: Vec<u8> = [header.major, header.minor, header.revision]
        .iter()
        .flat_map(|word| word.to_le_bytes())
        .collect();
    match (header.wide(), i32::try_from(header.seen)) {
        (true, _) => head.extend(header.seen.to_le_bytes()),
        (false, Ok(seen)) => head.extend(seen.to_le_bytes()),
        (false, Err(_)) => {
            return Err(Error::file(
                path,
                format!("{} images seen do not fit this header version", header.seen),
            ));
        }
    }
    read_header(&mut head.as_slice(), path)?;
    write_whole(path, |file| {
        file.write_all(&head).map_err(Error::io("write", path))?;
        parts
            .into_iter()
            .try_for_each(|part| float::write_f32(file, part))
            .map_err(Error::io("write", path))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fs;

    fn written(header: Header, values: &[f32]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.weights");
        write(&path, header, [values]).unwrap();
        (folder, path)
    }

    #[test]
    fn values_come_in_order_and_all_are_accounted_for() {
        let (_folder, path) =
            written(Header { seen: 1 << 40, ..Header::CURRENT }, &[1.5, -2.0, 3.0, 4.0, 5.0]);
        assert_eq!(fs::metadata(&path).unwrap().len(), 20 + 20);
        let mut weights = DarknetWeights::open(&path, 5).unwrap();
        assert_eq!((weights.header().seen, weights.count()), (1 << 40, 5));
        assert_eq!(weights.take(0, "bias", 2).unwrap(), [1.5, -2.0]);
        assert!(
            weights
                .finish()
                .unwrap_err()
                .to_string()
                .contains("3 are left after the last (layer 0, bias)")
        );
        assert_eq!(weights.take(0, "kernel", 3).unwrap(), [3.0, 4.0, 5.0]);
        weights.finish().unwrap();
    }

    #[test]
    fn the_old_header_is_four_bytes_shorter() {
        let header = Header { major: 0, minor: 1, revision: 0, seen: 77 };
        let (_folder, path) = written(header, &[1.0, 2.0]);
        assert_eq!(fs::metadata(&path).unwrap().len(), 16 + 8);
        let weights = DarknetWeights::open(&path, 2).unwrap();
        assert_eq!((weights.header(), weights.count()), (header, 2));
    }

    #[test]
    fn too_few_and_too_many_values_are_refused_with_counts_and_layer() {
        let (_folder, path) = written(Header::CURRENT, &[0.5; 7]);
        let mut weights = DarknetWeights::open(&path, 12).unwrap();
        weights.take(0, "kernel", 4).unwrap();
        let message = weights.take(3, "kernel", 8).unwrap_err().to_string();
        for part in ["layer 3, kernel", "8 floats", "12 in all", "3 left", "7 in all"] {
            assert!(message.contains(part), "{message}");
        }
        let mut weights = DarknetWeights::open(&path, 4).unwrap();
        weights.take(0, "kernel", 4).unwrap();
        let message = weights.finish().unwrap_err().to_string();
        for part in ["expected 4 floats", "found 7", "3 are left", "layer 0, kernel"] {
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn broken_headers_values_and_tails_are_refused() {
        let (_folder, path) = written(Header::CURRENT, &[1.0, f32::INFINITY, 3.0]);
        let message =
            DarknetWeights::open(&path, 3).unwrap().take(2, "mean", 3).unwrap_err().to_string();
        assert!(
            message.contains("layer 2, mean") && message.contains("inf at element 1"),
            "{message}"
        );
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        assert!(
            DarknetWeights::open(&path, 3).unwrap_err().to_string().contains("3 of its 4 bytes")
        );
        fs::write(&path, &bytes[..18]).unwrap();
        assert!(
            DarknetWeights::open(&path, 3)
                .unwrap_err()
                .to_string()
                .contains("ends within the header")
        );
        fs::write(&path, [[0xff; 4].as_slice(), &bytes[4..]].concat()).unwrap();
        assert!(DarknetWeights::open(&path, 3).unwrap_err().to_string().contains("found -1, 2, 0"));
        fs::write(&path, [&bytes[..12], &[0xff; 8], &bytes[20..]].concat()).unwrap();
        assert!(
            DarknetWeights::open(&path, 3).unwrap_err().to_string().contains("found -1 images")
        );
        let old = Header { major: 0, minor: 1, revision: 0, seen: 1 << 40 };
        assert!(write(&path, old, [[0.0_f32; 1].as_slice()]).is_err());
    }

    #[test]
    fn a_published_file_is_read_whole() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../shared/detector/yolo-fastest-1.1.weights");
        if !path.exists() {
            eprintln!("skipped: {} is not there", path.display());
            return;
        }
        let mut weights = DarknetWeights::open(&path, 346_062).unwrap();
        assert!(weights.header().wide());
        assert_eq!(weights.take(0, "all", 346_062).unwrap().len(), 346_062);
        weights.finish().unwrap();
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_values(
            values in proptest::collection::vec(-9.0_f32..9.0, 0..60), cuts in any::<[prop::sample::Index; 3]>(),
        ) {
            let (_folder, path) = written(Header::CURRENT, &values);
            let mut weights = DarknetWeights::open(&path, values.len()).unwrap();
            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(values.len() + 1)).chain([values.len()]).collect();
            cuts.sort_unstable();
            let mut joined = Vec::new();
            for (layer, cut) in cuts.into_iter().enumerate() {
                joined.extend(weights.take(layer, "part", cut - joined.len()).unwrap());
            }
            prop_assert_eq!(joined, values);
            prop_assert!(weights.finish().is_ok());
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("w.weights");
            fs::write(&path, &bytes).unwrap();
            if let Ok(weights) = DarknetWeights::open(&path, 1) {
                prop_assert_eq!(weights.header().length() as usize + 4 * weights.count(), bytes.len());
            }
        }
    }
}
