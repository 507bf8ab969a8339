//! Where objects are pasted: relative positions by name, from a file, a list or a grid.

use crate::files::read_text;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::Path;

/// More positions than this are a mistake: each is a run of the network for each photo and object.
const MOST: usize = 10_000;

/// Where the object's centre lies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// Its name in tables and pictures.
    pub name: String,
    /// Share of the photo's width, from the left.
    pub x: f64,
    /// Share of the photo's height, from the top.
    pub y: f64,
}

/// A list of positions, as in `configs/paste.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Positions {
    /// In the order of every table.
    pub positions: Vec<Position>,
}

impl Default for Positions {
    /// The declared 17.
    fn default() -> Self {
        toml::from_str(include_str!("../../configs/paste.toml"))
            .expect("the embedded file is checked by a test")
    }
}

impl Positions {
    /// The centres of a grid of cells, numbered from 1, row by row.
    pub fn grid(columns: usize, rows: usize) -> Self {
        let centre = |at: usize, of: usize| (at as f64 + 0.5) / of as f64;
        let position = |number: usize| Position {
            name: (number + 1).to_string(),
            x: centre(number % columns, columns),
            y: centre(number / columns, rows),
        };
        Self { positions: (0..columns * rows).map(position).collect() }
    }

    /// What a user wrote: `NxM`, a grid of N columns and M rows; `x,y;x,y;...`; or a TOML file.
    ///
    /// # Errors
    /// A file that cannot be read or understood, a position outside the photo, none at all.
    pub fn parse(text: &str) -> Result<Self> {
        let found = match text
            .split_once('x')
            .and_then(|(n, m)| Some((n.parse().ok()?, m.parse().ok()?)))
        {
            Some((columns, rows))
                if usize::checked_mul(columns, rows).is_some_and(|count| count <= MOST) =>
            {
                Self::grid(columns, rows)
            }
            Some(_) => {
                return Err(Error::Setting(format!(
                    "the grid {text} has more than {MOST} positions"
                )));
            }
            None if text.contains(',') && !Path::new(text).exists() => Self::list(text)?,
            None => {
                let path = Path::new(text);
                toml::from_str(&read_text(path)?).map_err(|error| {
                    Error::file(path, format!("not a list of positions: {error}"))
                })?
            }
        };
        found.check()?;
        Ok(found)
    }

    fn list(text: &str) -> Result<Self> {
        let position = |(at, pair): (usize, &str)| -> Option<Position> {
            let (x, y) = pair.split_once(',')?;
            Some(Position {
                name: (at + 1).to_string(),
                x: x.trim().parse().ok()?,
                y: y.trim().parse().ok()?,
            })
        };
        let pairs = text.split(';').map(str::trim).filter(|pair| !pair.is_empty());
        let positions = pairs.enumerate().map(position).collect::<Option<Vec<_>>>().ok_or_else(|| {
            Error::Setting(format!(
                "`{text}` are no positions: expected pairs as 0.5,0.5;0.25,0.75, a grid as 4x4, or \
                 a file"
            ))
        })?;
        Ok(Self { positions })
    }

    fn check(&self) -> Result<()> {
        if self.positions.is_empty() {
            return Err(Error::Setting("the list of positions is empty".into()));
        }
        let mut names = BTreeSet::new();
        for Position { name, x, y } in &self.positions {
            if !((0.0..=1.0).contains(x) && (0.0..=1.0).contains(y)) {
                return Err(Error::Setting(format!(
                    "position `{name}` lies at {x}, {y}; both should be shares of the photo's \
                     sides, from 0 to 1"
                )));
            }
            if name.is_empty() || !names.insert(name) {
                return Err(Error::Setting(format!(
                    "position `{name}` should have a name of its own"
                )));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_declared_positions_are_a_grid_and_the_centre() {
        let declared = Positions::default();
        declared.check().unwrap();
        let mut expected = Positions::grid(4, 4).positions;
        expected.push(Position { name: "17".into(), x: 0.5, y: 0.5 });
        assert_eq!(declared.positions, expected);
    }

    #[test]
    fn positions_as_they_are_written() {
        assert_eq!(Positions::parse("3x2").unwrap(), Positions::grid(3, 2));
        let list = Positions::parse("0.25,0.5; 1,0").unwrap().positions;
        assert_eq!((list[0].x, list[0].y, list[1].x, list[1].name.as_str()), (0.25, 0.5, 1.0, "2"));
        for (text, words) in [
            ("0x4", "empty"),
            ("1000x1000", "more than"),
            ("0.5,1.5", "from 0 to 1"),
            ("0.5,NaN", "from 0 to 1"),
            ("0.5,a", "expected pairs"),
            ("no such file.toml", "cannot read"),
        ] {
            let message = Positions::parse(text).unwrap_err().to_string();
            assert!(message.contains(words), "{text}: {message}");
        }
    }
}
