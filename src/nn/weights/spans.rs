//! How far the tensors of a checkpoint reach in their storages, told from its pickle by the gate in
//! `pickle.rs`.
//!
//! A tensor is a view: a place in a storage, its extents and, for each, the step to the next
//! element. One that is not contiguous is gathered from everything between its first element and
//! its last. Thousands of small views that each span a large storage would be read for minutes;
//! those of a network span as much as they have. Only tuples of whole numbers are followed here, so
//! that nothing grows with what a pickle builds.

use std::collections::BTreeMap;
use std::rc::Rc;

/// What lies on the pickle's stack, as far as it matters.
#[derive(Debug, Clone)]
enum Item {
    Mark,
    Int(i64),
    /// A tuple of whole numbers.
    Ints(Rc<[i64]>),
    /// The function that rebuilds a tensor.
    Rebuild,
    /// That function's arguments: the elements from the tensor's first to its last.
    View(u64),
    Other,
}

/// The pickle's stack machine, which knows of tensors' extents alone.
#[derive(Debug, Default)]
pub(super) struct Spans {
    stack: Vec<Item>,
    memo: BTreeMap<u32, Item>,
    /// Elements that all tensors span.
    pub(super) elements: u64,
}

impl Spans {
    /// A name: module and attribute.
    pub(super) fn name(&mut self, attribute: &str) {
        self.stack.push(if attribute.starts_with("_rebuild_tensor") {
            Item::Rebuild
        } else {
            Item::Other
        });
    }

    /// Any other opcode that the gate admits, with its argument.
    ///
    /// # Errors
    /// It takes from an empty stack; a tensor whose extents are not whole numbers.
    pub(super) fn step(&mut self, opcode: u8, argument: &[u8]) -> Result<(), String> {
        match opcode {
            b'K' | b'M' => self.stack.push(Item::Int(i64::from(unsigned(argument)))),
            b'J' => self.stack.push(Item::Int(i64::from(unsigned(argument) as i32))),
            // A length that no 32 bits hold has as many bytes; a longer one is no extent.
            0x8a => self.stack.push(match argument.len() {
                length @ 1..=8 => {
                    let mut eight =
                        if argument[length - 1] & 0x80 == 0 { [0; 8] } else { [0xff; 8] };
                    eight[..length].copy_from_slice(argument);
                    Item::Int(i64::from_le_bytes(eight))
                }
                _ => Item::Other,
            }),
            b'G' | b'U' | b'X' | b'T' | b'N' | 0x88 | 0x89 | b']' | b'}' => {
                self.stack.push(Item::Other);
            }
            b'(' => self.stack.push(Item::Mark),
            b')' => self.stack.push(Item::Ints(Rc::new([]))),
            b't' => {
                let start = self.mark()?;
                self.tuple(start);
                // The mark, below the tuple.
                self.stack.swap_remove(start - 1);
            }
            0x85..=0x87 => {
                let start =
                    self.stack.len().checked_sub(usize::from(opcode - 0x84)).ok_or_else(empty)?;
                self.tuple(start);
            }
            b'e' | b'u' => {
                let start = self.mark()?;
                self.stack.truncate(start - 1);
            }
            b'a' | b'b' => self.pop().map(drop)?,
            b's' => {
                self.pop()?;
                self.pop()?;
            }
            b'Q' => {
                self.pop()?;
                self.stack.push(Item::Other);
            }
            b'R' => self.call()?,
            b'q' | b'r' => {
                let top = self.stack.last().ok_or_else(empty)?.clone();
                self.memo.insert(unsigned(argument), top);
            }
            b'h' | b'j' => {
                let item = self
                    .memo
                    .get(&unsigned(argument))
                    .ok_or("its pickle asks for what it has not kept")?;
                self.stack.push(item.clone());
            }
            _ => {}
        }
        Ok(())
    }

    fn pop(&mut self) -> Result<Item, String> {
        self.stack.pop().ok_or_else(empty)
    }

    /// The place behind the last mark.
    fn mark(&self) -> Result<usize, String> {
        self.stack
            .iter()
            .rposition(|item| matches!(item, Item::Mark))
            .map(|index| index + 1)
            .ok_or_else(empty)
    }

    /// Makes a tuple of all from `from` on.
    fn tuple(&mut self, from: usize) {
        let items = &self.stack[from..];
        let ints =
            items.iter().map(|item| if let Item::Int(int) = item { Some(*int) } else { None });
        let tuple = match (ints.collect::<Option<Rc<[i64]>>>(), items) {
            (Some(ints), _) => Item::Ints(ints),
            (None, [_, _, Item::Ints(sizes), Item::Ints(strides), ..]) => {
                Item::View(span(sizes, strides))
            }
            _ => Item::Other,
        };
        self.stack.truncate(from);
        self.stack.push(tuple);
    }

    /// A call: the function lies below its arguments.
    fn call(&mut self) -> Result<(), String> {
        match (self.pop()?, self.pop()?) {
            (Item::View(elements), Item::Rebuild) => {
                self.elements = self.elements.saturating_add(elements);
            }
            (_, Item::Rebuild) => {
                return Err("a tensor in its pickle has extents that are no whole numbers".into());
            }
            _ => {}
        }
        self.stack.push(Item::Other);
        Ok(())
    }
}

/// Elements from the first of a tensor to its last.
fn span(sizes: &[i64], strides: &[i64]) -> u64 {
    if sizes.contains(&0) {
        return 0;
    }
    let steps = |(&size, &stride): (&i64, &i64)| {
        size.unsigned_abs().saturating_sub(1).saturating_mul(stride.unsigned_abs())
    };
    sizes.iter().zip(strides).map(steps).fold(1, u64::saturating_add)
}

/// Up to four bytes, the least significant first.
fn unsigned(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |sum, &byte| sum << 8 | u32::from(byte))
}

fn empty() -> String {
    "its pickle takes what it has not made (is the file damaged?)".into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tensor_spans_what_lies_between_its_first_and_last_element() {
        for (sizes, strides, elements) in [
            (&[][..], &[][..], 1),
            (&[2, 3], &[3, 1], 6),
            (&[3, 2], &[1, 3], 6),
            (&[2], &[99_000], 99_001),
            (&[100, 100], &[0, 0], 1),
            (&[4, 0], &[9, 9], 0),
            (&[i64::MAX, 3], &[i64::MIN, 1], u64::MAX),
        ] {
            assert_eq!(span(sizes, strides), elements, "{sizes:?} {strides:?}");
        }
    }

    #[test]
    fn memory_does_not_grow_with_tuples_of_tuples() {
        let mut spans = Spans::default();
        spans.step(b'K', &[7]).unwrap();
        for _ in 0..10_000 {
            spans.step(b'q', &[0]).unwrap();
            spans.step(b'h', &[0]).unwrap();
            spans.step(0x86, &[]).unwrap();
        }
        assert_eq!((spans.stack.len(), spans.memo.len()), (1, 1));
        assert!(spans.step(0x87, &[]).is_err());
    }
}
