//! The ids of images and categories.

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use std::fmt;

/// A number or a text; the number 3 and the text "3" are two ids. Numbers come before texts in
/// order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Id {
    Number(i64),
    Text(String),
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => write!(f, "{text:?}"),
        }
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(IdVisitor)
    }
}

struct IdVisitor;

impl Visitor<'_> for IdVisitor {
    type Value = Id;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an id: a whole number or a text")
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Id, E> {
        Ok(Id::Number(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Id, E> {
        i64::try_from(number)
            .map(Id::Number)
            .map_err(|_| E::custom(format!("the id {number} is too large")))
    }

    /// Tables that hold a missing number write whole ones as 3.0.
    fn visit_f64<E: Error>(self, number: f64) -> Result<Id, E> {
        /// Up to here every whole number is one of its own in double precision.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        if number.fract() == 0.0 && number.abs() < EXACT {
            Ok(Id::Number(number as i64))
        } else {
            Err(E::custom(format!("an id is a whole number or a text, found {number}")))
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Id, E> {
        Ok(Id::Text(text.to_string()))
    }
}
