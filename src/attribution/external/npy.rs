//! NPY, the file format of NumPy's arrays, versions 1.0 to 3.0 (numpy.lib.format): a magic number,
//! a header that is a Python dictionary with the keys `descr`, `fortran_order` and `shape`, and the
//! numbers.
//!
//! In: a file with one array of two dimensions, of any real type, in either byte order, row by row
//! or column by column. Read here rather than by a crate: two hundred lines, in which what a file
//! says is checked before memory is taken.

use super::number::{ByteOrder, NumberFormat};
use super::shape;
use crate::image::Size;
use crate::{Error, Result};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// The longest header that is read; that of a plain array takes 128 bytes.
const MAX_HEADER_BYTES: usize = 1 << 16;

/// Bytes read at a time, a multiple of every number's size.
const BLOCK_BYTES: usize = 1 << 16;

/// Reads a file of `length` bytes: the size of the array and its values row by row.
///
/// # Errors
/// It cannot be read, is no NPY file, is shorter or longer than its header says, or has no map in
/// it.
pub(super) fn read(file: &Path, length: u64) -> Result<(Size, Vec<f32>)> {
    let mut reader = BufReader::new(File::open(file).map_err(Error::io("read", file))?);
    array(&mut reader, length).map_err(|cause| Error::file(file, cause))
}

/// Reads a matrix of any size that `length`, the file's bytes, holds: its columns and its values
/// row by row.
///
/// # Errors
/// As [`read`].
pub(crate) fn matrix(file: &Path, length: u64) -> Result<(usize, Vec<f32>)> {
    let mut reader = BufReader::new(File::open(file).map_err(Error::io("read", file))?);
    let found = sized(&mut reader, length, |shape| match *shape {
        [rows, columns]
            if rows > 0
                && columns > 0
                && rows.checked_mul(columns).is_some_and(|all| all as u64 <= length) =>
        {
            let side = |side: usize| {
                u32::try_from(side).map_err(|_| format!("a side of {side} is too long"))
            };
            Ok(Size::new(side(columns)?, side(rows)?))
        }
        _ => Err(format!(
            "expected rows and columns, not more than there are bytes, found the shape {shape:?}"
        )),
    });
    let (size, values) = found.map_err(|cause| Error::file(file, cause))?;
    Ok((size.width as usize, values))
}

/// [`read`] from anything of `length` bytes.
pub(super) fn array(reader: &mut impl Read, length: u64) -> Result<(Size, Vec<f32>), String> {
    sized(reader, length, shape::size)
}

fn sized(
    reader: &mut impl Read,
    length: u64,
    size: impl Fn(&[usize]) -> Result<Size, String>,
) -> Result<(Size, Vec<f32>), String> {
    let (text, start) = header_text(reader)?;
    let Header { format, order, by_columns, shape } = Header::parse(&text)?;
    let size = size(&shape)?;
    let bytes = (size.area() * format.bytes()) as u64;
    if length != start + bytes {
        return Err(format!(
            "expected {bytes} bytes for {} rows and {} columns behind the header, found {}",
            size.height,
            size.width,
            length.saturating_sub(start)
        ));
    }
    let mut values = Vec::with_capacity(size.area());
    let mut block = vec![0; BLOCK_BYTES];
    let mut left = bytes as usize;
    while left > 0 {
        let part = &mut block[..left.min(BLOCK_BYTES)];
        reader.read_exact(part).map_err(|error| format!("cannot be read: {error}"))?;
        values.extend(format.to_f32(part, order));
        left -= part.len();
    }
    Ok((size, if by_columns { by_rows(&values, size) } else { values }))
}

/// Values column by column, row by row.
fn by_rows(values: &[f32], size: Size) -> Vec<f32> {
    let (rows, columns) = (size.height as usize, size.width as usize);
    (0..rows).flat_map(|row| (0..columns).map(move |column| values[column * rows + row])).collect()
}

/// The text of the header, and where the numbers begin.
fn header_text(reader: &mut impl Read) -> Result<(Vec<u8>, u64), String> {
    let short = |error: std::io::Error| format!("expected the header of an NPY file: {error}");
    let mut start = [0; 8];
    reader.read_exact(&mut start).map_err(short)?;
    if &start[..6] != MAGIC {
        return Err("expected an NPY file, which begins with \\x93NUMPY".into());
    }
    let (prefix, length) = match start[6] {
        1 => {
            let mut length = [0; 2];
            reader.read_exact(&mut length).map_err(short)?;
            (10, usize::from(u16::from_le_bytes(length)))
        }
        2 | 3 => {
            let mut length = [0; 4];
            reader.read_exact(&mut length).map_err(short)?;
            (12, u32::from_le_bytes(length) as usize)
        }
        other => {
            return Err(format!("expected version 1, 2 or 3 of the NPY format, found {other}"));
        }
    };
    if length > MAX_HEADER_BYTES {
        return Err(format!(
            "expected a header of at most {MAX_HEADER_BYTES} bytes, found {length}"
        ));
    }
    let mut text = vec![0; length];
    reader.read_exact(&mut text).map_err(short)?;
    Ok((text, (prefix + length) as u64))
}

/// What a header says.
#[derive(Debug, PartialEq)]
struct Header {
    format: NumberFormat,
    order: ByteOrder,
    /// Fortran's order: the numbers of a column lie beside each other.
    by_columns: bool,
    shape: Vec<usize>,
}

impl Header {
    fn parse(text: &[u8]) -> Result<Self, String> {
        let mut literal = Literal { left: text };
        let (mut descr, mut by_columns, mut shape) = (None, None, None);
        literal.expect(b'{')?;
        while !literal.takes(b'}') {
            let key = literal.string()?;
            literal.expect(b':')?;
            match key.as_str() {
                "descr" => descr = Some(literal.string().map_err(|_| structured())?),
                "fortran_order" => by_columns = Some(literal.boolean()?),
                "shape" => shape = Some(literal.tuple()?),
                other => {
                    return Err(format!(
                        "expected the keys descr, fortran_order and shape, found `{other}`"
                    ));
                }
            }
            if !literal.takes(b',') {
                literal.expect(b'}')?;
                break;
            }
        }
        literal.end()?;
        match (descr, by_columns, shape) {
            (Some(descr), Some(by_columns), Some(shape)) => {
                let (format, order) = number_format(&descr)?;
                Ok(Self { format, order, by_columns, shape })
            }
            _ => Err("expected a header with the keys descr, fortran_order and shape, found not \
                      all of them"
                .into()),
        }
    }
}

fn structured() -> String {
    "expected an array of plain numbers, found a structured type".into()
}

/// NumPy's short name of a type: byte order, kind, bytes.
fn number_format(descr: &str) -> Result<(NumberFormat, ByteOrder), String> {
    let unknown =
        || format!("expected numbers of a type b1, u1-u8, i1-i8, f2, f4 or f8, found `{descr}`");
    let order = match descr.as_bytes().first() {
        Some(b'>') => ByteOrder::Big,
        Some(b'<' | b'|') => ByteOrder::Little,
        _ => return Err(unknown()),
    };
    let format = match descr.get(1..) {
        Some("b1") => NumberFormat::Bool,
        Some("u1") => NumberFormat::U8,
        Some("i1") => NumberFormat::I8,
        Some("u2") => NumberFormat::U16,
        Some("i2") => NumberFormat::I16,
        Some("u4") => NumberFormat::U32,
        Some("i4") => NumberFormat::I32,
        Some("u8") => NumberFormat::U64,
        Some("i8") => NumberFormat::I64,
        Some("f2") => NumberFormat::F16,
        Some("f4") => NumberFormat::F32,
        Some("f8") => NumberFormat::F64,
        _ => return Err(unknown()),
    };
    Ok((format, order))
}

/// The few Python literals of a header.
struct Literal<'a> {
    left: &'a [u8],
}

impl Literal<'_> {
    fn skip_spaces(&mut self) {
        self.left = self.left.trim_ascii_start();
    }

    /// Whether `byte` comes next, which then is behind.
    fn takes(&mut self, byte: u8) -> bool {
        self.skip_spaces();
        let here = self.left.first() == Some(&byte);
        if here {
            self.left = &self.left[1..];
        }
        here
    }

    fn expect(&mut self, byte: u8) -> Result<(), String> {
        if self.takes(byte) {
            return Ok(());
        }
        Err(self.unexpected(&format!("`{}`", char::from(byte))))
    }

    fn unexpected(&self, expected: &str) -> String {
        let found = match self.left {
            [] => "its end".into(),
            left => {
                format!("`{}`", String::from_utf8_lossy(&left[..left.len().min(20)]).trim_end())
            }
        };
        format!("expected {expected} in the header of an NPY file, found {found}")
    }

    /// Text in single or double quotes, without escapes.
    fn string(&mut self) -> Result<String, String> {
        self.skip_spaces();
        let text = match self.left {
            [quote @ (b'\'' | b'"'), rest @ ..] => {
                rest.iter().position(|byte| byte == quote).map(|end| rest.split_at(end))
            }
            _ => None,
        };
        let Some((text, rest)) = text else { return Err(self.unexpected("text in quotes")) };
        let text = String::from_utf8_lossy(text).into_owned();
        self.left = &rest[1..];
        Ok(text)
    }

    fn boolean(&mut self) -> Result<bool, String> {
        self.skip_spaces();
        for (word, value) in [(b"True".as_slice(), true), (b"False", false)] {
            if let Some(rest) = self.left.strip_prefix(word) {
                self.left = rest;
                return Ok(value);
            }
        }
        Err(self.unexpected("True or False"))
    }

    /// A tuple of whole numbers; Python 2 wrote some with an L.
    fn tuple(&mut self) -> Result<Vec<usize>, String> {
        let mut numbers = Vec::new();
        self.expect(b'(')?;
        while !self.takes(b')') {
            numbers.push(self.number()?);
            self.takes(b'L');
            if !self.takes(b',') {
                self.expect(b')')?;
                break;
            }
        }
        Ok(numbers)
    }

    fn number(&mut self) -> Result<usize, String> {
        self.skip_spaces();
        let end =
            self.left.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(self.left.len());
        let (digits, rest) = self.left.split_at(end);
        let number = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
        let number = number.ok_or_else(|| self.unexpected("a whole number"))?;
        self.left = rest;
        Ok(number)
    }

    fn end(&mut self) -> Result<(), String> {
        self.skip_spaces();
        if self.left.is_empty() {
            return Ok(());
        }
        Err(self.unexpected("nothing more"))
    }
}
