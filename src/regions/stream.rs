//! JSON read as a stream: an array an element at a time, each handed over and forgotten.

use crate::{Error, Result};
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error as _, SeqAccess, Visitor};
use std::fmt;
use std::marker::PhantomData;
use std::path::Path;

/// Reads an array of `T` and calls `take` with each. Errors begin with the element's noun and
/// number, counted from 1. To one that `take` returns nothing else is added: it begins with ` (id
/// …): ` or whatever tells the element further. Its value is the number of elements.
pub(super) struct Each<T, F> {
    noun: &'static str,
    take: F,
    element: PhantomData<T>,
}

impl<T, F: FnMut(T) -> Result<(), String>> Each<T, F> {
    /// An array of what is called `noun` in messages.
    pub(super) fn new(noun: &'static str, take: F) -> Self {
        Self { noun, take, element: PhantomData }
    }
}

impl<'de, T: Deserialize<'de>, F: FnMut(T) -> Result<(), String>> DeserializeSeed<'de>
    for Each<T, F>
{
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<usize, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, T: Deserialize<'de>, F: FnMut(T) -> Result<(), String>> Visitor<'de> for Each<T, F> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list, each element one {}", self.noun)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<usize, A::Error> {
        let mut number = 0;
        loop {
            number += 1;
            let place = |cause: &dyn fmt::Display| {
                A::Error::custom(format!("{} {number}{cause}", self.noun))
            };
            match list.next_element() {
                Ok(Some(element)) => (self.take)(element).map_err(|cause| place(&cause))?,
                Ok(None) => return Ok(number - 1),
                Err(cause) => return Err(place(&format_args!(": {cause}"))),
            }
        }
    }
}

/// What serde_json found in `file`, as an error of this crate. It says line and column.
pub(super) fn error(file: &Path) -> impl Fn(serde_json::Error) -> Error + '_ {
    move |cause| match cause.is_io() {
        true => Error::io("read", file)(cause.into()),
        false => Error::file(file, cause.to_string()),
    }
}
