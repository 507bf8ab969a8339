//! The number formats of map files, brought to f32.

use half::{bf16, f16};

/// How a number is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NumberFormat {
    Bool,
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    F16,
    Bf16,
    F32,
    F64,
}

/// Which of a number's bytes comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ByteOrder {
    /// The least significant.
    Little,
    /// The most significant.
    Big,
}

impl NumberFormat {
    /// Bytes a number.
    pub(super) fn bytes(self) -> usize {
        match self {
            Self::Bool | Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 | Self::F16 | Self::Bf16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }

    /// The numbers in `bytes` as f32, the nearest one; a remainder shorter than a number is left
    /// away.
    pub(super) fn to_f32(self, bytes: &[u8], order: ByteOrder) -> Vec<f32> {
        let numbers = bytes.chunks_exact(self.bytes());
        numbers.map(|number| self.one(number, order)).collect()
    }

    /// `number` has [`Self::bytes`] bytes.
    fn one(self, number: &[u8], order: ByteOrder) -> f32 {
        let mut little = [0; 8];
        let own = &mut little[..self.bytes()];
        own.copy_from_slice(number);
        if order == ByteOrder::Big {
            own.reverse();
        }
        let [b0, b1, b2, b3, ..] = little;
        let (two, four) = ([b0, b1], [b0, b1, b2, b3]);
        match self {
            Self::Bool => f32::from(u8::from(b0 != 0)),
            Self::U8 => f32::from(b0),
            Self::I8 => f32::from(b0 as i8),
            Self::U16 => f32::from(u16::from_le_bytes(two)),
            Self::I16 => f32::from(i16::from_le_bytes(two)),
            Self::U32 => u32::from_le_bytes(four) as f32,
            Self::I32 => i32::from_le_bytes(four) as f32,
            Self::U64 => u64::from_le_bytes(little) as f32,
            Self::I64 => i64::from_le_bytes(little) as f32,
            Self::F16 => f16::from_le_bytes(two).to_f32(),
            Self::Bf16 => bf16::from_le_bytes(two).to_f32(),
            Self::F32 => f32::from_le_bytes(four),
            Self::F64 => f64::from_le_bytes(little) as f32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_in_both_byte_orders() {
        use NumberFormat::*;
        let cases: [(NumberFormat, &[u8], f32); 13] = [
            (Bool, &[2], 1.0),
            (U8, &[200], 200.0),
            (I8, &[0xff], -1.0),
            (U16, &[0x01, 0x02], 513.0),
            (I16, &[0xfe, 0xff], -2.0),
            (U32, &[0, 0, 1, 0], 65536.0),
            (I32, &[0xfd, 0xff, 0xff, 0xff], -3.0),
            (U64, &[0, 0, 0, 0, 1, 0, 0, 0], 4294967296.0),
            (I64, &[0xfc, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], -4.0),
            (F16, &[0x00, 0x3e], 1.5),
            (Bf16, &[0xc0, 0x3f], 1.5),
            (F32, &[0, 0, 0x20, 0xc0], -2.5),
            (F64, &[0, 0, 0, 0, 0, 0, 0xd0, 0x3f], 0.25),
        ];
        for (format, bytes, expected) in cases {
            assert_eq!(format.to_f32(bytes, ByteOrder::Little), [expected], "{format:?}");
            let reversed: Vec<u8> = bytes.iter().rev().copied().collect();
            assert_eq!(format.to_f32(&reversed, ByteOrder::Big), [expected], "{format:?}");
        }
        assert_eq!(U16.to_f32(&[1, 0, 9], ByteOrder::Little), [1.0]);
    }
}
