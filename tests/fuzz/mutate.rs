//! Small random changes to bytes, to text and to the parts of containers: what makes inputs out of
//! seeds.
//!
//! All randomness comes from one stream, so that a target, a seed and a number of inputs always
//! give the same inputs.

use crate::repair;
use emocam::random::Random;

/// The largest input.
pub(crate) const MOST_BYTES: usize = 1 << 20;

/// Longer inputs are no longer taken as seeds of others: reading them takes most of the time.
pub(crate) const MOST_SEED_BYTES: usize = 1 << 14;

/// One of so many inputs has a part repeated until it is very long.
const RARELY: usize = 4000;

/// What a file is made of, which says how it is changed so that the change gets past its checksums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Bytes without any structure that is known here.
    Binary,
    /// UTF-8, mostly.
    Text,
    /// Chunks with checksums.
    Png,
    /// A RIFF, whose header has the file's length.
    Riff,
    /// Headers with checksums.
    Tar,
    /// A length, a header in JSON, and data.
    Safetensors,
    /// Lines of JSON, each with a checksum.
    Records,
    /// Entries with checksums and a directory.
    Zip,
}

/// Numbers at which readers break, as text.
const NUMBERS: [&str; 26] = [
    "0",
    "-0",
    "1",
    "-1",
    "2",
    "7",
    "0.5",
    "1.0",
    "-0.0001",
    "255",
    "256",
    "65535",
    "65536",
    "2147483647",
    "2147483648",
    "-2147483649",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "18446744073709551615",
    "18446744073709551616",
    "1e30",
    "1e308",
    "1e999",
    "1e-320",
    "nan",
];

/// Pieces of the languages that are read.
const TOKENS: [&str; 44] = [
    "{",
    "}",
    "[",
    "]",
    "(",
    ")",
    "\"",
    "'",
    "\"\"\"",
    ",",
    ":",
    ";",
    "=",
    ".",
    "#",
    "\n",
    "\r\n",
    "\t",
    " ",
    "\\",
    "\\u0000",
    "\\ud800",
    "\u{feff}",
    "\u{0}",
    "\u{1b}[31m",
    "é",
    "猫",
    "\u{202e}",
    "null",
    "true",
    "false",
    "NaN",
    "inf",
    "Infinity",
    "-",
    "+",
    "e9",
    "[[",
    "]]",
    "[net]\n",
    "/",
    "..",
    "../",
    "\"a\":",
];

/// Numbers at which readers break, as bytes.
const WORDS: [u64; 14] = [
    0,
    1,
    0x7f,
    0x80,
    0xff,
    0x100,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x1_0000_0000,
    0x7fff_ffff_ffff_ffff,
    u64::MAX,
];

/// Makes inputs.
#[derive(Debug)]
pub(crate) struct Mutator {
    random: Random,
    kind: Kind,
}

impl Mutator {
    /// Of files of a kind, from a seed.
    pub(crate) fn new(kind: Kind, seed: u64, name: &str) -> Self {
        Self { random: Random::of_text(seed, name), kind }
    }

    /// A changed copy of one of `seeds`, of which there are some.
    pub(crate) fn input(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = seeds[self.random.below(seeds.len())].clone();
        let other = &seeds[self.random.below(seeds.len())];
        // One in eight has its checksums left as the change has made them.
        match self.random.below(8) {
            0 => self.change(&mut bytes, other, Kind::Binary),
            _ => match self.kind {
                Kind::Zip => {
                    repair::zip(&mut bytes, |name, entry| self.change_entry(name, entry, other));
                }
                Kind::Safetensors => {
                    repair::safetensors(&mut bytes, |header, data| match self.random.below(4) {
                        0 => self.change(data, other, Kind::Binary),
                        _ => self.change(header, other, Kind::Text),
                    });
                }
                kind => {
                    self.change(&mut bytes, other, kind);
                    match kind {
                        Kind::Png => repair::png(&mut bytes),
                        Kind::Riff => repair::riff(&mut bytes),
                        Kind::Tar => repair::tar(&mut bytes),
                        Kind::Records => repair::records(&mut bytes),
                        _ => {}
                    }
                }
            },
        }
        bytes.truncate(MOST_BYTES);
        bytes
    }

    /// What is parsed of an archive is changed often, its other entries now and then.
    fn change_entry(&mut self, name: &str, entry: &mut Vec<u8>, other: &[u8]) {
        let parsed = name.ends_with(".pkl") || name.contains("extra/");
        if self.random.below(if parsed { 2 } else { 24 }) == 0 {
            let kind = if std::str::from_utf8(entry).is_ok() { Kind::Text } else { Kind::Binary };
            self.change(entry, other, kind);
        }
    }

    fn change(&mut self, bytes: &mut Vec<u8>, other: &[u8], kind: Kind) {
        if self.random.below(RARELY) == 0 {
            return self.repeat(bytes);
        }
        // Few changes mostly: one that breaks the file at its beginning hides all behind it.
        let changes = 1 << self.random.below(4);
        for _ in 0..changes {
            match kind {
                Kind::Text | Kind::Records if self.random.below(6) > 0 => self.change_text(bytes),
                _ => self.change_bytes(bytes, other),
            }
        }
    }

    /// A part of the bytes, so often that they become long.
    fn repeat(&mut self, bytes: &mut Vec<u8>) {
        let (start, end) = self.range(bytes.len(), 256);
        let part = bytes[start..end].to_vec();
        if part.is_empty() {
            return;
        }
        let length = MOST_BYTES >> self.random.below(5);
        let times = length.saturating_sub(bytes.len()) / part.len();
        bytes.splice(end..end, part.repeat(times));
    }

    /// A random range of at most `most` of `length` places.
    fn range(&mut self, length: usize, most: usize) -> (usize, usize) {
        let start = self.random.below(length + 1);
        (start, (start + self.random.below(most + 1)).min(length))
    }

    fn change_bytes(&mut self, bytes: &mut Vec<u8>, other: &[u8]) {
        let place = self.random.below(bytes.len().max(1));
        match self.random.below(12) {
            0 => {
                if let Some(byte) = bytes.get_mut(place) {
                    *byte ^= 1 << self.random.below(8);
                }
            }
            1 => {
                let value = self.random.next_u64() as u8;
                if let Some(byte) = bytes.get_mut(place) {
                    *byte = value;
                }
            }
            2..=4 => self.set_word(bytes, place),
            5 => {
                let by = self.random.below(33) as i8 - 16;
                if let Some(byte) = bytes.get_mut(place) {
                    *byte = byte.wrapping_add_signed(by);
                }
            }
            6 => {
                let (start, end) = self.range(bytes.len(), 64);
                bytes.drain(start..end);
            }
            7 => {
                let (start, end) = self.range(bytes.len(), 64);
                let part = bytes[start..end].to_vec();
                let into = self.random.below(bytes.len() + 1);
                bytes.splice(into..into, part);
            }
            8 => {
                let count = self.random.below(9);
                let part: Vec<u8> = (0..count).map(|_| self.random.next_u64() as u8).collect();
                let into = self.random.below(bytes.len() + 1);
                bytes.splice(into..into, part);
            }
            9 => {
                let (start, end) = self.range(bytes.len(), 64);
                let part = bytes[start..end].to_vec();
                let into = self.random.below(bytes.len() - part.len() + 1);
                bytes[into..into + part.len()].copy_from_slice(&part);
            }
            10 => {
                let (start, end) = self.range(other.len(), 512);
                let (from, to) = self.range(bytes.len(), 512);
                bytes.splice(from..to, other[start..end].iter().copied());
            }
            _ => {
                // Rarely, for what is cut short is mostly refused at once.
                if self.random.below(4) == 0 {
                    bytes.truncate(place);
                }
            }
        }
    }

    /// A number of one to eight bytes, either end first.
    fn set_word(&mut self, bytes: &mut [u8], place: usize) {
        let word = WORDS[self.random.below(WORDS.len())];
        let width = 1 << self.random.below(4);
        let end = (place + width).min(bytes.len());
        let (little, big) = (word.to_le_bytes(), word.to_be_bytes());
        let from = if self.random.below(2) == 0 { &little[..width] } else { &big[8 - width..] };
        if let Some(part) = bytes.get_mut(place..end) {
            part.copy_from_slice(&from[..part.len()]);
        }
    }

    fn change_text(&mut self, bytes: &mut Vec<u8>) {
        match self.random.below(10) {
            0..=3 => self.change_number(bytes),
            4 | 5 => {
                let token = TOKENS[self.random.below(TOKENS.len())];
                let (start, mut end) = self.range(bytes.len(), 3);
                if self.random.below(2) == 0 {
                    end = start;
                }
                bytes.splice(start..end, token.bytes());
            }
            6 => {
                let (start, end) = self.line(bytes);
                bytes.drain(start..end);
            }
            7 => {
                let (start, end) = self.line(bytes);
                let line = bytes[start..end].to_vec();
                let (into, _) = self.line(bytes);
                bytes.splice(into..into, line);
            }
            8 => {
                // From one mark to another, as an element of a list.
                let (start, end) = self.range(bytes.len(), 80);
                let part = bytes[start..end].to_vec();
                let times = 1 + self.random.below(4);
                bytes.splice(end..end, part.repeat(times));
            }
            _ => {
                let (start, end) = self.range(bytes.len(), 20);
                bytes.drain(start..end);
            }
        }
    }

    /// The line around a random place.
    fn line(&mut self, bytes: &[u8]) -> (usize, usize) {
        let place = self.random.below(bytes.len() + 1);
        let start = bytes[..place].iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        let end = bytes[place..]
            .iter()
            .position(|&byte| byte == b'\n')
            .map_or(bytes.len(), |at| place + at + 1);
        (start, end)
    }

    /// Another number in the place of the next one.
    fn change_number(&mut self, bytes: &mut Vec<u8>) {
        let place = self.random.below(bytes.len().max(1));
        let Some(start) = bytes[place.min(bytes.len())..]
            .iter()
            .position(u8::is_ascii_digit)
            .map(|at| place + at)
        else {
            return;
        };
        let end = bytes[start..]
            .iter()
            .position(|byte| !byte.is_ascii_digit())
            .map_or(bytes.len(), |at| start + at);
        let number = match self.random.below(3) {
            0 => (self.random.next_u64() % 100).to_string(),
            _ => NUMBERS[self.random.below(NUMBERS.len())].to_string(),
        };
        bytes.splice(start..end, number.into_bytes());
    }
}
