//! The gate in front of the pickle reader: walks the opcodes of a checkpoint's pickle without
//! building anything, and lets through only what `torch.save` writes for a state dict.
//!
//! A pickle is a program for a small stack machine; Python's own would call whatever the file
//! names. The reader behind this gate calls nothing, but it holds every object of the pickle in
//! memory and passes over calls that it does not know. So the gate bounds the length, admits the
//! opcodes of protocol 2 that a state dict needs, and refuses every name (module and attribute)
//! that is not needed to rebuild a tensor, saying which.
//!
//! Opcodes: Python's `Lib/pickletools.py`.

use super::spans::Spans;
use std::io::BufRead;

/// The longest pickle that is walked. EmoNet's takes 2 kB, that of a network of 1,000 layers some
/// 300 kB; in memory an object takes up to a hundred times its bytes here.
pub(super) const MAX_BYTES: u64 = 1 << 20;

/// How the argument of an opcode is laid out.
enum Argument {
    /// This many bytes.
    Fixed(usize),
    /// A length of this many bytes, little-endian, then as many bytes as it says.
    Counted(usize),
    /// Two lines: module and attribute.
    Name,
    /// The end of the pickle.
    Stop,
}

/// The argument of an admitted opcode; `None` for every other opcode.
fn argument(opcode: u8) -> Option<Argument> {
    use Argument::{Counted, Fixed, Name, Stop};
    Some(match opcode {
        b'.' => Stop,
        b'c' => Name,
        // PROTO, BININT1, BINPUT, BINGET
        0x80 | b'K' | b'q' | b'h' => Fixed(1),
        // BININT2
        b'M' => Fixed(2),
        // BININT, LONG_BINPUT, LONG_BINGET
        b'J' | b'r' | b'j' => Fixed(4),
        // BINFLOAT
        b'G' => Fixed(8),
        // LONG1, SHORT_BINSTRING
        0x8a | b'U' => Counted(1),
        // BINUNICODE, BINSTRING
        b'X' | b'T' => Counted(4),
        // MARK, tuples, lists, dicts, NONE, booleans, REDUCE, BUILD, BINPERSID
        b'(' | b')' | b't' | 0x85 | 0x86 | 0x87 | b']' | b'a' | b'e' | b'}' | b's' | b'u'
        | b'N' | 0x88 | 0x89 | b'R' | b'b' | b'Q' => Fixed(0),
        _ => return None,
    })
}

/// Whether a state dict needs the name.
fn admitted(module: &str, attribute: &str) -> bool {
    match module {
        "collections" => attribute == "OrderedDict",
        "torch._utils" => {
            matches!(attribute, "_rebuild_tensor" | "_rebuild_tensor_v2" | "_rebuild_parameter")
        }
        "torch" => attribute
            .strip_suffix("Storage")
            .is_some_and(|kind| kind.chars().all(char::is_alphanumeric)),
        _ => false,
    }
}

/// Walks one pickle up to and including its STOP; returns how many elements its tensors span, see
/// [`super::spans`].
///
/// # Errors
/// What is wrong with it: too long, truncated, an opcode or a name that no state dict needs.
pub(super) fn walk(reader: &mut impl BufRead) -> Result<u64, String> {
    let (mut input, mut spans) = (Input { reader, read: 0 }, Spans::default());
    loop {
        let start = input.read;
        let opcode = input.bytes(1)?[0];
        match argument(opcode) {
            Some(Argument::Stop) => return Ok(spans.elements),
            Some(Argument::Fixed(length)) => spans.step(opcode, &input.bytes(length)?)?,
            Some(Argument::Counted(width)) => {
                let length = input
                    .bytes(width)?
                    .iter()
                    .rev()
                    .fold(0, |sum, &byte| sum << 8 | usize::from(byte));
                spans.step(opcode, &input.bytes(length)?)?;
            }
            Some(Argument::Name) => {
                let (module, attribute) = (input.line()?, input.line()?);
                if !admitted(&module, &attribute) {
                    return Err(format!(
                        "its pickle names `{module}.{attribute}`, which no state dict needs; \
                         nothing was run. If you trust the file, load it in Python and save \
                         `model.state_dict()` alone"
                    ));
                }
                spans.name(&attribute);
            }
            None => {
                return Err(format!(
                    "opcode 0x{opcode:02x} at byte {start} of its pickle, which `torch.save` does \
                     not write for a state dict (is the file damaged, or written with another \
                     pickle protocol than 2?)"
                ));
            }
        }
    }
}

/// A reader that counts what it hands out.
struct Input<'a, R> {
    reader: &'a mut R,
    read: u64,
}

impl<R: BufRead> Input<'_, R> {
    fn bytes(&mut self, length: usize) -> Result<Vec<u8>, String> {
        self.count(length as u64)?;
        let mut bytes = vec![0; length];
        let start = self.read;
        self.reader
            .read_exact(&mut bytes)
            .map_err(|e| format!("its pickle ends before byte {start}: {e}"))?;
        Ok(bytes)
    }

    fn line(&mut self) -> Result<String, String> {
        const MAX_NAME: usize = 200;
        let mut line = Vec::new();
        loop {
            match self.bytes(1)?[0] {
                b'\n' => return Ok(String::from_utf8_lossy(&line).into_owned()),
                byte if line.len() < MAX_NAME => line.push(byte),
                _ => return Err(format!("a name of more than {MAX_NAME} bytes in its pickle")),
            }
        }
    }

    fn count(&mut self, length: u64) -> Result<(), String> {
        self.read = self.read.saturating_add(length);
        if self.read > MAX_BYTES {
            return Err(format!(
                "its pickle takes {} bytes or more; {MAX_BYTES} are the limit",
                self.read
            ));
        }
        Ok(())
    }
}
