//! The string that COCO compresses run lengths to.
//!
//! Every number is written five bits at a time, the lowest first, each as the character 48 + bits
//! (`0` to `o`); 32 more says that bits follow. The highest bit of the last five is the sign. From
//! the fourth number on, what is written is the difference to the number two places before it,
//! which tends to be of the same column's neighbour.

/// The lowest character.
const ZERO: u8 = b'0';
/// Says that more bits follow.
const MORE: u8 = 0x20;
/// The sign, in the last five bits.
const SIGN: u8 = 0x10;
/// Characters of the longest number: 35 bits hold any difference of 32-bit numbers.
const MAX_CHARACTERS: usize = 7;

/// The numbers of a compressed string, one after the other; the first error ends them.
#[derive(Debug)]
pub(super) struct Counts<'a> {
    text: &'a [u8],
    /// Bytes that were read.
    position: usize,
    /// Numbers that were read, and the last two of them.
    read: usize,
    last: [i64; 2],
}

impl<'a> Counts<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text: text.as_bytes(), position: 0, read: 0, last: [0; 2] }
    }

    /// The next number as it is written.
    fn number(&mut self) -> Result<i64, String> {
        let mut number = 0_i64;
        for place in 0..MAX_CHARACTERS {
            let Some(&byte) = self.text.get(self.position) else {
                return Err("a compressed mask that ends within a number".into());
            };
            self.position += 1;
            let bits = byte.wrapping_sub(ZERO);
            if bits >= 0x40 {
                let shown = char::from(byte).escape_default();
                return Err(format!(
                    "a compressed mask has characters from `0` to `o`, found `{shown}` as its \
                     character {}",
                    self.position
                ));
            }
            number |= i64::from(bits & 0x1f) << (5 * place);
            if bits & MORE == 0 {
                let sign = if bits & SIGN == 0 { 0 } else { -1_i64 << (5 * (place + 1)) };
                return Ok(number | sign);
            }
        }
        Err(format!("a compressed mask with a number of more than {MAX_CHARACTERS} characters"))
    }
}

impl Iterator for Counts<'_> {
    type Item = Result<u64, String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.position == self.text.len() {
            return None;
        }
        let count = self.number().and_then(|number| {
            let before = if self.read > 2 { self.last[0] } else { 0 };
            // Both are of at most 35 bits.
            let count = before + number;
            self.last = [self.last[1], count];
            self.read += 1;
            match u32::try_from(count) {
                Ok(count) => Ok(u64::from(count)),
                Err(_) => {
                    Err(format!("a compressed mask with {count} as its run length {}", self.read))
                }
            }
        });
        if count.is_err() {
            self.position = self.text.len();
        }
        Some(count)
    }
}

/// The compressed string of `counts`.
pub(super) fn write(counts: &[u32]) -> String {
    let mut text = String::new();
    for (index, &count) in counts.iter().enumerate() {
        let before = if index > 2 { i64::from(counts[index - 2]) } else { 0 };
        let mut rest = i64::from(count) - before;
        loop {
            let bits = (rest & 0x1f) as u8;
            rest >>= 5;
            let last = rest == if bits & SIGN == 0 { 0 } else { -1 };
            text.push(char::from(ZERO + bits + if last { 0 } else { MORE }));
            if last {
                break;
            }
        }
    }
    text
}
