//! Checksums and lengths made right again after a change, so that it reaches what lies behind them.

use emocam::run::journal::Sealer;
use std::io::{Cursor, Read, Write};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// The checksum of every chunk of a PNG.
pub(crate) fn png(bytes: &mut [u8]) {
    let mut start = 8;
    while let Some(length) =
        bytes.get(start..start + 4).map(|four| u32::from_be_bytes(four.try_into().unwrap()))
    {
        let end = start + 8 + length as usize;
        if bytes.len() < end + 4 {
            return;
        }
        let mut sum = flate2::Crc::new();
        sum.update(&bytes[start + 4..end]);
        bytes[end..end + 4].copy_from_slice(&sum.sum().to_be_bytes());
        start = end + 4;
    }
}

/// The length of a RIFF.
pub(crate) fn riff(bytes: &mut [u8]) {
    let length = bytes.len().saturating_sub(8) as u32;
    if let Some(place) = bytes.get_mut(4..8) {
        place.copy_from_slice(&length.to_le_bytes());
    }
}

/// The checksum of every header of a tar.
pub(crate) fn tar(bytes: &mut [u8]) {
    for header in bytes.chunks_exact_mut(512).filter(|block| &block[257..262] == b"ustar") {
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
}

/// The checksum of every line of records.
pub(crate) fn records(bytes: &mut Vec<u8>) {
    let (mut sealer, mut lines) = (Sealer::default(), Vec::new());
    bytes.split_inclusive(|&byte| byte == b'\n').for_each(|line| sealer.seal(line, &mut lines));
    *bytes = lines;
}

/// Changes header and data of a safetensors file, and states the header's new length.
pub(crate) fn safetensors(bytes: &mut Vec<u8>, change: impl FnOnce(&mut Vec<u8>, &mut Vec<u8>)) {
    let length = bytes.first_chunk().map_or(0, |length| u64::from_le_bytes(*length));
    let behind = usize::try_from(length)
        .ok()
        .and_then(|length| length.checked_add(8))
        .filter(|end| *end <= bytes.len());
    let Some(behind) = behind else { return };
    let (mut header, mut data) = (bytes[8..behind].to_vec(), bytes[behind..].to_vec());
    change(&mut header, &mut data);
    *bytes = [&(header.len() as u64).to_le_bytes()[..], &header, &data].concat();
}

/// Changes entries of a zip archive, and writes it anew: stored, but for code, which PyTorch
/// compresses.
pub(crate) fn zip(bytes: &mut Vec<u8>, mut change: impl FnMut(&str, &mut Vec<u8>)) {
    let Ok(mut archive) = ZipArchive::new(Cursor::new(&*bytes)) else { return };
    let comment = archive.comment().to_vec();
    let mut entries = Vec::new();
    for index in 0..archive.len() {
        let Ok(mut entry) = archive.by_index(index) else { return };
        let Ok(name) = entry.name().map(|name| name.into_owned()) else { return };
        let mut content = Vec::new();
        if entry.read_to_end(&mut content).is_err() {
            return;
        }
        drop(entry);
        change(&name, &mut content);
        entries.push((name, content));
    }
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    writer.set_raw_comment(comment.into()).unwrap();
    for (name, content) in entries {
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        if writer.start_file(name, options).is_err() || writer.write_all(&content).is_err() {
            return;
        }
    }
    if let Ok(written) = writer.finish() {
        *bytes = written.into_inner();
    }
}
