//! Shards of a corpus: which part of it one of several processes does.
//!
//! Membership follows from a path and the number of shards alone. So shards are made in any order,
//! on any machine and without coordination, and every picture is in exactly one.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;

/// More shards than this are a typing error.
const MOST: u64 = 1_000_000;

/// The shard of `key` among `count`, from 1: the first eight bytes of its SHA-256, as a big-endian
/// number, modulo `count`.
///
/// # Panics
/// When `count` is 0.
pub fn shard_of(key: &str, count: u64) -> u64 {
    let digest = Sha256::digest(key.as_bytes());
    let number = digest.iter().take(8).fold(0, |number, &byte| number << 8 | u64::from(byte));
    number % count + 1
}

/// One of several parts of a corpus, written `3/16`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shard {
    /// From 1 to `count`.
    pub index: u64,
    /// How many there are.
    pub count: u64,
}

impl Shard {
    /// The shard `index` of `count`.
    ///
    /// # Errors
    /// There is none.
    pub fn new(index: u64, count: u64) -> Result<Self> {
        if !(1..=MOST).contains(&count) {
            return Err(Error::Setting(format!(
                "{count} shards: a number from 1 to {MOST} is needed"
            )));
        }
        if !(1..=count).contains(&index) {
            return Err(Error::Setting(format!(
                "there is no shard {index} of {count}: they count from 1 to {count}"
            )));
        }
        Ok(Self { index, count })
    }

    /// Whether what has this key ([`super::Source::shard_key`]) is in it.
    pub fn contains(&self, key: &str) -> bool {
        shard_of(key, self.count) == self.index
    }

    /// `03-of-16`: in the order of the numbers when sorted by name.
    pub fn folder_name(&self) -> String {
        let digits = self.count.to_string().len();
        format!("{:0digits$}-of-{}", self.index, self.count)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

/// What the user asked for: `3/16`, `auto` or `auto/16`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShardChoice {
    /// This one.
    Fixed(Shard),
    /// This task of a Slurm job array that covers all shards.
    Auto,
    /// The shard with the number of this task of a job array, of so many: also in an array of some
    /// of them.
    AutoOf(u64),
}

impl FromStr for ShardChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        let wrong = || format!("`{text}` is no shard: 3/16 (the third of 16), auto or auto/16 are");
        let (index, count) = text.split_once('/').ok_or_else(wrong)?;
        let count = count.parse().map_err(|_| wrong())?;
        let index = if index == "auto" { None } else { Some(index.parse().map_err(|_| wrong())?) };
        let shard = Shard::new(index.unwrap_or(1), count).map_err(|error| error.to_string())?;
        Ok(index.map_or(Self::AutoOf(count), |_| Self::Fixed(shard)))
    }
}

impl ShardChoice {
    /// The shard, where `variable` looks up environment variables.
    ///
    /// # Errors
    /// The variables of a Slurm job array are needed and are not there, are no numbers, or the
    /// array does not cover the shards one by one.
    pub fn resolve(self, variable: impl Fn(&str) -> Option<String>) -> Result<Shard> {
        match self {
            Self::Fixed(shard) => Ok(shard),
            Self::Auto => Array::read(variable)?.shard(),
            Self::AutoOf(count) => {
                Shard::new(Array::read(variable)?.task, count).map_err(|error| {
                    Error::Setting(format!(
                        "{error}; the number is SLURM_ARRAY_TASK_ID's: submit with \
                         --array=1-{count}"
                    ))
                })
            }
        }
    }
}

/// A task of a Slurm job array, as Slurm describes it to the task.
struct Array {
    task: u64,
    count: Option<u64>,
    lowest: Option<u64>,
    highest: Option<u64>,
}

impl Array {
    fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let number = |name: &str| -> Result<Option<u64>> {
            let parsed = |text: String| {
                text.parse()
                    .map_err(|_| Error::Setting(format!("{name} is `{text}`, which is no number")))
            };
            variable(name).map(parsed).transpose()
        };
        let advice = "`--shard auto` is for the tasks of a Slurm job array (sbatch --array=1-16); \
                      elsewhere say which shard, as --shard 3/16";
        let task = number("SLURM_ARRAY_TASK_ID")?
            .ok_or_else(|| Error::Setting(format!("SLURM_ARRAY_TASK_ID is not set: {advice}")))?;
        Ok(Self {
            task,
            count: number("SLURM_ARRAY_TASK_COUNT")?,
            lowest: number("SLURM_ARRAY_TASK_MIN")?,
            highest: number("SLURM_ARRAY_TASK_MAX")?,
        })
    }

    /// The shard of an array that covers 1 to N, or 0 to N - 1, without a gap.
    fn shard(&self) -> Result<Shard> {
        let Self { task, count, lowest, highest } = *self;
        let missing = |name: &str| {
            Error::Setting(format!("{name} is not set: say how many shards, as --shard auto/16"))
        };
        let count = count.ok_or_else(|| missing("SLURM_ARRAY_TASK_COUNT"))?;
        let lowest = lowest.ok_or_else(|| missing("SLURM_ARRAY_TASK_MIN"))?;
        let covers = lowest <= 1
            && task >= lowest
            && task - lowest < count
            && highest
                .is_none_or(|highest| highest.checked_sub(lowest) == Some(count.saturating_sub(1)));
        if !covers {
            let highest = highest.map_or(String::new(), |highest| format!(" to {highest}"));
            return Err(Error::Setting(format!(
                "task {task} of a job array of {count} from {lowest}{highest}: `--shard auto` \
                 needs an array without gaps or steps from 1 or 0, as --array=1-{count}; for some \
                 shards of a larger number say how many there are in all, as --shard auto/16"
            )));
        }
        Shard::new(task - lowest + 1, count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_that_must_never_change() {
        // As by Python: int(hashlib.sha256(key.encode()).hexdigest()[:16], 16) % count + 1.
        let expected: [(&str, u64, u64); 6] = [
            ("", 16, 5),
            ("a/picture_0.png", 1, 1),
            ("a/picture_0.png", 16, 15),
            ("a/picture_0.png", 1000, 271),
            ("fotos/\u{e9}t\u{e9}.jpg", 7, 5),
            ("shard-000.tar", 512, 219),
        ];
        for (key, count, shard) in expected {
            assert_eq!(shard_of(key, count), shard, "{key} of {count}");
        }
    }

    #[test]
    fn shards_are_about_equal() {
        let mut sizes = [0_u32; 16];
        for number in 0..16_000 {
            sizes[shard_of(&format!("folder/picture {number}.jpg"), 16) as usize - 1] += 1;
        }
        // Binomial: 1000 with a standard deviation of 31.
        assert!(sizes.iter().all(|size| (860..1140).contains(size)), "{sizes:?}");
    }

    proptest! {
        #[test]
        fn every_key_is_in_exactly_one_shard(key in ".*", count in 1..600_u64) {
            let holders: Vec<u64> =
                (1..=count).filter(|&index| Shard::new(index, count).unwrap().contains(&key)).collect();
            prop_assert_eq!(holders, [shard_of(&key, count)]);
        }

        #[test]
        fn what_is_written_is_read(count in 1..=MOST, part in 0.0..1.0_f64) {
            let shard = Shard::new(1 + (part * count as f64) as u64, count).unwrap();
            prop_assert_eq!(shard.to_string().parse(), Ok(ShardChoice::Fixed(shard)));
        }
    }

    #[test]
    fn folders_sort_as_their_numbers() {
        let names = [(9, 16), (10, 16), (3, 512), (1, 1)]
            .map(|(index, count)| Shard { index, count }.folder_name());
        assert_eq!(names, ["09-of-16", "10-of-16", "003-of-512", "1-of-1"]);
    }

    #[test]
    fn what_is_no_shard_is_refused() {
        for text in ["", "3", "3/", "/16", "-1/4", "3/4/5", "auto/", "x/2", "1.5/2"] {
            let error = text.parse::<ShardChoice>().unwrap_err();
            assert!(error.contains("is no shard: 3/16"), "{text}: {error}");
        }
        for (text, phrase) in [
            ("0/16", "count from 1 to 16"),
            ("17/16", "no shard 17 of 16"),
            ("1/0", "0 shards"),
            ("1/1000001", "1000001 shards"),
            ("auto/0", "0 shards"),
        ] {
            let error = text.parse::<ShardChoice>().unwrap_err();
            assert!(error.contains(phrase), "{text}: {error}");
        }
    }

    /// The choice in an environment with these `SLURM_ARRAY_TASK_` variables.
    fn within(choice: &str, variables: &[(&str, &str)]) -> Result<String, String> {
        let lookup = |name: &str| {
            let name = name.strip_prefix("SLURM_ARRAY_TASK_").unwrap();
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.to_string())
        };
        let choice: ShardChoice = choice.parse().unwrap();
        choice.resolve(lookup).map(|shard| shard.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn tasks_of_job_arrays() {
        let task = |task, count, lowest, highest| {
            within("auto", &[("ID", task), ("COUNT", count), ("MIN", lowest), ("MAX", highest)])
        };
        assert_eq!(task("3", "16", "1", "16"), Ok("3/16".into()));
        assert_eq!(task("0", "4", "0", "3"), Ok("1/4".into()));
        assert_eq!(task("3", "4", "0", "3"), Ok("4/4".into()));
        assert_eq!(within("auto", &[("ID", "2"), ("COUNT", "2"), ("MIN", "1")]), Ok("2/2".into()));
        // A step, a list, a part, and what Slurm never says.
        for (id, count, lowest, highest) in [
            ("1", "8", "1", "15"),
            ("7", "2", "3", "7"),
            ("5", "4", "5", "8"),
            ("9", "4", "1", "4"),
            ("0", "4", "1", "4"),
        ] {
            let error = task(id, count, lowest, highest).unwrap_err();
            assert!(error.contains("without gaps") && error.contains("--shard auto/16"), "{error}");
        }
        assert_eq!(
            within("auto/16", &[("ID", "7"), ("COUNT", "1"), ("MIN", "7")]),
            Ok("7/16".into())
        );
        assert_eq!(within("2/3", &[]), Ok("2/3".into()));
        for (choice, variables, phrase) in [
            ("auto", &[][..], "SLURM_ARRAY_TASK_ID is not set"),
            ("auto/4", &[], "SLURM_ARRAY_TASK_ID is not set"),
            ("auto", &[("ID", "1")], "SLURM_ARRAY_TASK_COUNT is not set"),
            ("auto", &[("ID", "1"), ("COUNT", "2")], "SLURM_ARRAY_TASK_MIN is not set"),
            ("auto", &[("ID", "one")], "`one`, which is no number"),
            ("auto/4", &[("ID", "5")], "submit with --array=1-4"),
            ("auto/4", &[("ID", "0")], "submit with --array=1-4"),
        ] {
            let error = within(choice, variables).unwrap_err();
            assert!(error.contains(phrase), "{choice} {variables:?}: {error}");
        }
    }
}
