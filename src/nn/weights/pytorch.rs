//! PyTorch checkpoints: `torch.save` of a state dict, in the zip format (since 1.6) and the one
//! before it.
//!
//! Why the crate `pytorch-reader`, and what stands around it. Its unpickler interprets the calls
//! that rebuild tensors and turns every other call into a name: nothing can be executed. It bounds
//! nesting and memo copies, multiplies sizes with overflow checks, compares every view with its
//! storage and every storage with the file, gathers strided tensors, and verifies checksums. It
//! does not bound the objects of a pickle (a compressed `data.pkl` of 100 MB in a file of 100 kB is
//! admitted) nor what a broadcast view (stride 0) expands to below 10 GiB nor how often a storage
//! is read, and unknown calls pass in silence. Hence, before it sees the file: entries must be
//! stored, not compressed, and fit into the file; the pickle is walked by the gate in `pickle.rs`,
//! which bounds it, refuses unknown names and adds up what tensors span; and after it: all tensors
//! together may not be larger than the file.
//!
//! A dict with an entry `state_dict`, `model_state_dict` or `model` is read as that entry; the
//! prefix `module.` of `DataParallel` is dropped.

use super::float::{self, Float};
use super::{Array, StateDict, check_array, content, file_length, pickle};
use crate::files::write_whole;
use crate::{Error, Result};
use pytorch_reader::{DType, PytorchReader, Tensor};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek, Write};
use std::path::Path;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// Entries under which training scripts keep the state dict beside optimizer and epoch.
const WRAPPERS: [&str; 3] = ["state_dict.", "model_state_dict.", "model."];

/// What `DataParallel` puts before every name.
const PARALLEL: &str = "module.";

/// How many pickles open a legacy file: magic number, protocol, system, the objects, the keys of
/// the storages.
const LEGACY_PICKLES: usize = 5;

/// Where a tar says that it is one, and how.
const TAR_MARK: (u64, &[u8]) = (257, b"ustar");

/// Reads a state dict; integer and boolean tensors are left out.
///
/// # Errors
/// The file cannot be read; it is damaged, compressed or larger than [`super::MAX_FILE_BYTES`]; it
/// names anything but tensors; its tensors claim more bytes than the file has; it holds no float
/// tensor.
pub fn read(path: &Path) -> Result<StateDict> {
    let length = file_length(path)?;
    let checked = match content::of_file(path)? {
        content::Content::LegacyCheckpoint => check_legacy(path),
        _ => check_zip(path, length),
    };
    let Checked { comment, spanned } = checked.map_err(|reason| {
        Error::file(path, format!("not a PyTorch checkpoint that can be read: {reason}"))
    })?;
    let note = note(&comment);
    let reader = PytorchReader::new(path)
        .map_err(|e| Error::file(path, format!("damaged PyTorch checkpoint: {e}")))?;
    let tensors: BTreeMap<String, Tensor> = reader.into_tensors().into_iter().collect();
    check_total(path, &tensors, length)?;
    check_views(path, tensors.len(), spanned, length)?;
    let mut dict = StateDict::new(path, BTreeMap::new());
    dict.metadata.extend(note);
    let values = |(name, tensor): (String, Tensor)| {
        let values = float_of(tensor.dtype())
            .map(|float| tensor.read().map(|bytes| float::to_f32(float, &bytes)));
        (name, tensor, values)
    };
    let read: Vec<_> = own_names(tensors).into_par_iter().map(values).collect();
    for (name, tensor, values) in read {
        let Some(values) = values else {
            dict.left_out.insert(name, type_name(tensor.dtype()));
            continue;
        };
        let values =
            values.map_err(|e| Error::file(path, format!("damaged PyTorch checkpoint: {e}")))?;
        dict.arrays.insert(name, Array { shape: tensor.shape().to_vec(), values });
    }
    if dict.arrays.is_empty() {
        return Err(Error::file(
            path,
            "a PyTorch checkpoint without any float tensor, expected a state dict",
        ));
    }
    Ok(dict)
}

/// `key=value` of the archive's comment, where [`write()`] puts it.
fn note(comment: &[u8]) -> Option<(String, String)> {
    let (key, value) = std::str::from_utf8(comment).ok()?.split_once('=')?;
    Some((key.into(), value.into()))
}

/// What a checkpoint has said of itself.
struct Checked {
    /// The archive's comment.
    comment: Vec<u8>,
    /// Elements that its tensors span.
    spanned: u64,
}

/// All entries stored, within the file, and one pickle that passes the gate.
fn check_zip(path: &Path, file_length: u64) -> Result<Checked, String> {
    let file = File::open(path).map_err(|e| e.to_string())?;
    let mut archive =
        ZipArchive::new(BufReader::new(file)).map_err(|e| format!("{e} (truncated?)"))?;
    let comment = archive.comment().to_vec();
    let mut pickles = Vec::new();
    let mut total = 0_u64;
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).map_err(|e| e.to_string())?;
        let name = entry.name().map_err(|e| e.to_string())?.into_owned();
        if entry.compression() != CompressionMethod::Stored
            || entry.compressed_size() != entry.size()
        {
            return Err(format!("entry `{name}` is compressed, which `torch.save` never does"));
        }
        total = total.saturating_add(entry.size());
        if name == "data.pkl" || name.ends_with("/data.pkl") {
            pickles.push(index);
        }
    }
    if total > file_length {
        return Err(format!("its entries claim {total} bytes, the file has {file_length}"));
    }
    let [index] = pickles[..] else {
        return Err(format!("expected one entry `data.pkl`, found {}", pickles.len()));
    };
    let entry = archive.by_index(index).map_err(|e| e.to_string())?;
    if entry.size() > pickle::MAX_BYTES {
        return Err(format!(
            "its pickle takes {} bytes, {} are the limit",
            entry.size(),
            pickle::MAX_BYTES
        ));
    }
    let mut rest = BufReader::new(entry);
    let spanned = pickle::walk(&mut rest)?;
    // Bytes behind STOP would be carried along unseen.
    match rest.read(&mut [0]).map_err(|e| e.to_string())? {
        0 => Ok(Checked { comment, spanned }),
        _ => Err("bytes behind the end of its pickle".into()),
    }
}

/// The pickles of a legacy file pass the gate; the storages behind them are checked by the reader.
fn check_legacy(path: &Path) -> Result<Checked, String> {
    let mut reader = BufReader::new(File::open(path).map_err(|e| e.to_string())?);
    // What the reader would take for the tar that PyTorch wrote before 2018: it has pickles of its
    // own, which no gate sees.
    let mut start = Vec::new();
    reader
        .by_ref()
        .take(TAR_MARK.0 + TAR_MARK.1.len() as u64)
        .read_to_end(&mut start)
        .map_err(|e| e.to_string())?;
    if start.get(TAR_MARK.0 as usize..).is_some_and(|mark| mark == TAR_MARK.1) {
        return Err("a tar, as PyTorch wrote before 2018: load it there and save it again".into());
    }
    reader.rewind().map_err(|e| e.to_string())?;
    let spanned = (0..LEGACY_PICKLES)
        .map(|_| pickle::walk(&mut reader))
        .try_fold(0_u64, |sum, spanned| spanned.map(|spanned| sum.saturating_add(spanned)))?;
    Ok(Checked { comment: Vec::new(), spanned })
}

/// A view can repeat its storage (stride 0), so the reader's own checks do not bound what is built
/// in memory.
fn check_total(path: &Path, tensors: &BTreeMap<String, Tensor>, file_length: u64) -> Result<()> {
    let total =
        tensors.values().fold(0_u64, |sum, tensor| sum.saturating_add(tensor.byte_len() as u64));
    if total <= file_length {
        return Ok(());
    }
    let message = format!(
        "its {} tensors claim {total} bytes, the file has {file_length}: expanded or shared \
         tensors are not read",
        tensors.len()
    );
    Err(Error::file(path, message))
}

/// A view that is not contiguous is gathered from all that it spans: thousands of small views over
/// one large storage would be read for minutes. The tensors of a network span as many elements as
/// they have, at least a byte each; some are there several times.
fn check_views(path: &Path, tensors: usize, spanned: u64, file_length: u64) -> Result<()> {
    /// So often the file may be read.
    const MOST_READ: u64 = 8;
    if spanned <= file_length.saturating_mul(MOST_READ) {
        return Ok(());
    }
    let message = format!(
        "its {tensors} tensors span {spanned} elements, the file has {file_length} bytes: save \
         contiguous tensors, as {{name: tensor.clone() for name, tensor in state.items()}}"
    );
    Err(Error::file(path, message))
}

/// The names as the network knows them.
fn own_names(mut tensors: BTreeMap<String, Tensor>) -> BTreeMap<String, Tensor> {
    for wrapper in WRAPPERS {
        if tensors.keys().any(|name| name.starts_with(wrapper)) {
            tensors = strip(tensors, wrapper);
        }
    }
    match tensors.keys().all(|name| name.starts_with(PARALLEL)) {
        true => strip(tensors, PARALLEL),
        false => tensors,
    }
}

/// Those tensors whose names start with `prefix`, without it.
fn strip(tensors: BTreeMap<String, Tensor>, prefix: &str) -> BTreeMap<String, Tensor> {
    let own =
        |(name, tensor): (String, Tensor)| Some((name.strip_prefix(prefix)?.to_string(), tensor));
    tensors.into_iter().filter_map(own).collect()
}

fn float_of(dtype: DType) -> Option<Float> {
    match dtype {
        DType::F16 => Some(Float::F16),
        DType::BF16 => Some(Float::Bf16),
        DType::F32 => Some(Float::F32),
        DType::F64 => Some(Float::F64),
        _ => None,
    }
}

/// PyTorch's name of the type.
fn type_name(dtype: DType) -> &'static str {
    match dtype {
        DType::F64 => "float64",
        DType::F32 => "float32",
        DType::F16 => "float16",
        DType::BF16 => "bfloat16",
        DType::I64 => "int64",
        DType::I32 => "int32",
        DType::I16 => "int16",
        DType::I8 => "int8",
        DType::U64 => "uint64",
        DType::U32 => "uint32",
        DType::U16 => "uint16",
        DType::U8 => "uint8",
        DType::Bool => "bool",
    }
}

/// Writes a state dict as `torch.save(OrderedDict)` does, float32 and contiguous;
/// `torch.load(weights_only=True)` reads it. The same tensors give the same bytes. `note`, a key
/// and its value, goes into the archive's comment, which PyTorch passes over; [`read`] gives it
/// back as metadata.
///
/// # Errors
/// A tensor's shape and values disagree, or it has more than 2^31-1 values; two have the same name;
/// the file cannot be written.
pub fn write(path: &Path, tensors: &[(String, Array)], note: Option<(&str, &str)>) -> Result<()> {
    let pickle = state_dict_pickle(path, tensors)?;
    let failed = |e: zip::result::ZipError| Error::io("write", path)(e.into());
    write_whole(path, |file| {
        let mut archive = ZipWriter::new(file);
        if let Some((key, value)) = note {
            archive.set_comment(format!("{key}={value}")).map_err(failed)?;
        }
        // torch.load maps storages into memory where they lie on 64 bytes.
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .with_alignment(64);
        let mut entry =
            |name: &str, fill: &dyn Fn(&mut dyn Write) -> std::io::Result<()>| -> Result<()> {
                archive.start_file(format!("archive/{name}"), options).map_err(failed)?;
                fill(&mut archive).map_err(Error::io("write", path))
            };
        entry("data.pkl", &|out| out.write_all(&pickle))?;
        entry("byteorder", &|out| out.write_all(b"little"))?;
        for (index, (_, array)) in tensors.iter().enumerate() {
            entry(&format!("data/{index}"), &|mut out| float::write_f32(&mut out, &array.values))?;
        }
        entry("version", &|out| out.write_all(b"3\n"))?;
        archive.finish().map_err(failed)?;
        Ok(())
    })
}

/// `OrderedDict([(name, _rebuild_tensor_v2(storage, 0, shape, strides, False, OrderedDict())),
/// ...])`, protocol 2.
fn state_dict_pickle(path: &Path, tensors: &[(String, Array)]) -> Result<Vec<u8>> {
    const ORDERED_DICT: &[u8] = b"ccollections\nOrderedDict\n)R";
    let mut names = std::collections::BTreeSet::new();
    let mut out = vec![0x80, 2];
    out.extend(ORDERED_DICT);
    out.push(b'(');
    for (index, (name, array)) in tensors.iter().enumerate() {
        check_array(path, name, array)?;
        if !names.insert(name) {
            return Err(Error::file(path, format!("tensor `{name}` was given twice")));
        }
        let integer = |value: usize| {
            let value = i32::try_from(value).map_err(|_| Error::Tensor {
                path: path.to_path_buf(),
                tensor: name.clone(),
                expected: "at most 2^31-1 values".into(),
                found: format!("{value}"),
            })?;
            Ok([&b"J"[..], &value.to_le_bytes()].concat())
        };
        let integers = |values: &[usize]| -> Result<Vec<u8>> {
            let values = values.iter().map(|&value| integer(value)).collect::<Result<Vec<_>>>()?;
            Ok([b"(".to_vec(), values.concat(), b"t".to_vec()].concat())
        };
        out.extend(text(name));
        out.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        out.extend(text("storage"));
        out.extend(b"ctorch\nFloatStorage\n");
        out.extend(text(&index.to_string()));
        out.extend(text("cpu"));
        out.extend(integer(array.values.len())?);
        out.extend(b"tQK\x00");
        out.extend(integers(&array.shape)?);
        out.extend(integers(&strides(&array.shape))?);
        out.push(0x89);
        out.extend(ORDERED_DICT);
        out.extend(b"tR");
    }
    out.extend(b"u.");
    Ok(out)
}

/// BINUNICODE.
fn text(text: &str) -> Vec<u8> {
    // A name of 4 GiB cannot come from a network.
    [b"X", &(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat()
}

/// Row-major strides in elements.
fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis].max(1);
    }
    strides
}
