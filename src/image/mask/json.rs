//! A mask in JSON: COCO's object `{"size": [height, width], "counts": …}`.

use super::Mask;
use crate::image::Size;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use std::fmt;

/// The object as it stands in a file, which need not be a mask.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RunLengths {
    /// Height and width, in this order.
    size: [u32; 2],
    counts: Counts,
}

/// The run lengths in one of the two forms.
#[derive(Debug)]
enum Counts {
    List(Vec<u32>),
    Compressed(String),
}

impl TryFrom<RunLengths> for Mask {
    type Error = String;

    fn try_from(RunLengths { size: [height, width], counts }: RunLengths) -> Result<Self, String> {
        let size = Size::new(width, height);
        match counts {
            Counts::List(counts) => Self::from_counts(size, counts.into_iter().map(u64::from)),
            Counts::Compressed(text) => Self::from_compressed(size, &text),
        }
    }
}

impl From<Mask> for RunLengths {
    fn from(mask: Mask) -> Self {
        Self {
            size: [mask.size.height, mask.size.width],
            counts: Counts::Compressed(mask.to_compressed()),
        }
    }
}

impl Serialize for Counts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::List(counts) => counts.serialize(serializer),
            Self::Compressed(text) => text.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Counts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CountsVisitor)
    }
}

struct CountsVisitor;

impl<'de> Visitor<'de> for CountsVisitor {
    type Value = Counts;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mask's run lengths: a list of numbers from 0 on, or the compressed string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Counts, E> {
        Ok(Counts::Compressed(text.to_string()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Counts, A::Error> {
        // Grows as numbers come: a file's word for their number is never taken.
        let mut counts = Vec::new();
        while let Some(count) = list.next_element()? {
            counts.push(count);
        }
        Ok(Counts::List(counts))
    }
}
