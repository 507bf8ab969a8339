//! TorchScript files: what they hold, read by this program before libtorch sees them, and
//! libtorch's module.
//!
//! A TorchScript file is a program: running it computes whatever its author wrote, with libtorch's
//! operators. One loads only what one trusts. What is checked here keeps accidents and malformed
//! archives from libtorch's own reader: the archive is whole, its entries lie in one folder and
//! claim no more than the file has, only its code is compressed, and its parts are those that
//! `torch.jit.save` writes. Knows nothing of emotions, boxes or classes.

use super::Precision;
use super::weights::{MAX_FILE_BYTES, content};
use crate::{Error, Result};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use tch::{CModule, Device, TchError};
use zip::{CompressionMethod, ZipArchive};

/// The most entries of an archive.
const MAX_ENTRIES: usize = 100_000;

/// The most bytes that all code may have when it is expanded.
const MAX_CODE_BYTES: u64 = 64 << 20;

/// The most bytes of an extra file.
const MAX_EXTRA_BYTES: u64 = 16 << 20;

/// A TorchScript archive that has passed the checks.
#[derive(Debug)]
pub struct ScriptArchive {
    path: PathBuf,
    archive: ZipArchive<BufReader<File>>,
    /// The folder that all entries lie in.
    root: String,
}

impl ScriptArchive {
    /// Whether the file is a zip archive with TorchScript's code in it, rather than a checkpoint or
    /// something else.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn is_one(path: &Path) -> Result<bool> {
        if content::of_file(path)? != content::Content::Zip {
            return Ok(false);
        }
        let file = File::open(path).map_err(Error::io("read", path))?;
        // What is no whole archive is no TorchScript file that could be run; the readers of
        // checkpoints say what is wrong.
        let Ok(archive) = ZipArchive::new(BufReader::new(file)) else { return Ok(false) };
        let has_code =
            archive.file_names().any(|name| name.is_ok_and(|name| name.contains("/code/")));
        Ok(has_code)
    }

    /// Opens and checks the archive.
    ///
    /// # Errors
    /// The file cannot be read, is too large, truncated, or not what `torch.jit.save` writes.
    pub fn open(path: &Path) -> Result<Self> {
        let length = std::fs::metadata(path).map_err(Error::io("read", path))?.len();
        let refuse = |reason: String| {
            Error::file(path, format!("not a TorchScript file that can be read: {reason}"))
        };
        if length > MAX_FILE_BYTES {
            return Err(refuse(format!("{length} bytes, {MAX_FILE_BYTES} are the limit")));
        }
        if let content::Content::Other(what) = content::of_file(path)? {
            return Err(Error::file(
                path,
                format!("expected a TorchScript file (torch.jit.save), found {what}"),
            ));
        }
        let file = File::open(path).map_err(Error::io("read", path))?;
        let mut archive = ZipArchive::new(BufReader::new(file))
            .map_err(|error| refuse(format!("{error} (truncated?)")))?;
        let root = check(&mut archive, length).map_err(refuse)?;
        Ok(Self { path: path.into(), archive, root })
    }

    /// The text of the extra file `name`, as given to `torch.jit.save(..., _extra_files=...)`;
    /// `None` if there is none.
    ///
    /// # Errors
    /// It is too large, damaged or not UTF-8.
    pub fn extra(&mut self, name: &str) -> Result<Option<String>> {
        let entry = format!("{}/extra/{name}", self.root);
        let refuse =
            |reason: String| Error::file(&self.path, format!("its entry {name}: {reason}"));
        let mut found = match self.archive.by_name(&entry) {
            Ok(found) => found,
            Err(zip::result::ZipError::FileNotFound) => return Ok(None),
            Err(error) => return Err(refuse(error.to_string())),
        };
        if found.size() > MAX_EXTRA_BYTES {
            return Err(refuse(format!("{} bytes, {MAX_EXTRA_BYTES} are the limit", found.size())));
        }
        let mut text = String::new();
        found
            .read_to_string(&mut text)
            .map_err(|error| refuse(format!("it cannot be read as text: {error}")))?;
        Ok(Some(text))
    }

    /// The program, on `device`, in evaluation mode. libtorch's fuser is switched off in this
    /// process: it would compile parts of a program for a GPU after the first runs, and change the
    /// last digits of the answers to the pictures after those.
    ///
    /// # Errors
    /// libtorch refuses the file, in one sentence.
    pub fn load(&self, device: Device) -> Result<CModule> {
        let loaded = tch::jit::f_set_tensor_expr_fuser_enabled(false).and_then(|()| {
            let mut module = CModule::load_on_device(&self.path, device)?;
            module.f_set_eval()?;
            Ok(module)
        });
        loaded.map_err(|error| {
            Error::file(
                &self.path,
                format!("libtorch cannot load this TorchScript file: {}", reason(&error)),
            )
        })
    }

    /// [`Self::load`], with the program's numbers rounded to `precision`, in which it computes
    /// then.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_rounded(&self, device: Device, precision: Precision) -> Result<CModule> {
        let mut module = self.load(device)?;
        let kind = precision.kind();
        let parameters =
            module.named_parameters().map_err(Error::torch("reading a program's weights"))?;
        if parameters.iter().any(|(_, parameter)| parameter.kind() != kind) {
            // tch has no form of this that gives an error; it fails where memory ends.
            module.to(device, kind, false);
        }
        Ok(module)
    }
}

/// The one sentence of libtorch's message that says what went wrong: in the interpreter the last
/// error named, elsewhere the first line.
pub fn reason(error: &TchError) -> String {
    let text = error.to_string();
    let text = text.strip_prefix("Internal torch error: ").unwrap_or(&text);
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty());
    let named = lines()
        .rfind(|line| line.split_once("Error: ").is_some_and(|(kind, _)| !kind.contains(' ')));
    named.or_else(|| lines().next()).unwrap_or("no reason given").to_string()
}

/// Checks every entry; returns the folder they lie in.
fn check(archive: &mut ZipArchive<BufReader<File>>, file_length: u64) -> Result<String, String> {
    if archive.len() > MAX_ENTRIES {
        return Err(format!("{} entries, {MAX_ENTRIES} are the limit", archive.len()));
    }
    let mut names = BTreeSet::new();
    let mut root = None;
    let (mut stored, mut code) = (0_u64, 0_u64);
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).map_err(|error| error.to_string())?;
        let name = entry.name().map_err(|error| error.to_string())?.into_owned();
        let Some((folder, rest)) = name.split_once('/') else {
            return Err(format!("entry `{}` lies in no folder", name.escape_debug()));
        };
        if *root.get_or_insert_with(|| folder.to_string()) != folder {
            return Err(format!(
                "its entries lie in more than one folder: `{}`",
                name.escape_debug()
            ));
        }
        if rest.split('/').any(|part| part == "..") || name.contains('\\') {
            return Err(format!("entry `{}` leads out of its folder", name.escape_debug()));
        }
        if rest.starts_with("code/") {
            code = code.saturating_add(entry.size());
        } else if entry.compression() != CompressionMethod::Stored {
            return Err(format!(
                "entry `{rest}` is compressed, which `torch.jit.save` does to code alone"
            ));
        }
        stored = stored.saturating_add(entry.compressed_size());
        if !names.insert(rest.to_string()) {
            return Err(format!("entry `{rest}` is there twice"));
        }
    }
    if stored > file_length {
        return Err(format!("its entries claim {stored} bytes, the file has {file_length}"));
    }
    if code > MAX_CODE_BYTES {
        return Err(format!("its code claims {code} bytes, {MAX_CODE_BYTES} are the limit"));
    }
    if !names.iter().any(|name| name.starts_with("code/")) {
        return Err("it has no code: a checkpoint of weights, which needs the network that it \
                    belongs to; scripts/export_model.py makes a TorchScript file of both (of a \
                    detector, Ultralytics' own `model.export(format=\"torchscript\")`)"
            .into());
    }
    if let Some(missing) =
        ["data.pkl", "constants.pkl"].into_iter().find(|name| !names.contains(*name))
    {
        return Err(format!("its entry {missing} is missing"));
    }
    Ok(root.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use zip::write::SimpleFileOptions;

    fn archive(folder: &Path, entries: &[(&str, &str)]) -> PathBuf {
        let path = folder.join("net.pt");
        let mut writer = zip::ZipWriter::new(File::create(&path).unwrap());
        for (name, text) in entries {
            writer
                .start_file(
                    *name,
                    SimpleFileOptions::default().compression_method(CompressionMethod::Stored),
                )
                .unwrap();
            writer.write_all(text.as_bytes()).unwrap();
        }
        writer.finish().unwrap();
        path
    }

    const WHOLE: [(&str, &str); 4] = [
        ("net/data.pkl", "x"),
        ("net/constants.pkl", "x"),
        ("net/code/__torch__.py", "x"),
        ("net/extra/emocam.json", "{}"),
    ];

    #[test]
    fn an_archive_that_torch_did_not_write_is_refused_in_a_sentence() {
        let folder = tempfile::tempdir().unwrap();
        let path = archive(folder.path(), &WHOLE);
        assert!(ScriptArchive::is_one(&path).unwrap());
        let mut whole = ScriptArchive::open(&path).unwrap();
        assert_eq!(whole.extra("emocam.json").unwrap().as_deref(), Some("{}"));
        assert_eq!(whole.extra("config.txt").unwrap(), None);
        let sentence = whole.load(Device::Cpu).unwrap_err().to_string();
        assert!(
            sentence.contains("libtorch cannot load") && sentence.lines().count() == 1,
            "{sentence}"
        );

        let all_and = |entry: (&'static str, &'static str)| [&WHOLE[..], &[entry]].concat();
        for (entries, phrase) in [
            (WHOLE[..2].to_vec(), "it has no code"),
            (WHOLE[1..].to_vec(), "data.pkl is missing"),
            (all_and(("other/x", "x")), "more than one folder"),
            (all_and(("net/../../x", "x")), "leads out of its folder"),
            (all_and(("plain", "x")), "lies in no folder"),
        ] {
            let path = archive(folder.path(), &entries);
            let message = ScriptArchive::open(&path).unwrap_err().to_string();
            assert!(message.contains("net.pt") && message.contains(phrase), "{message}");
        }
        let bytes = std::fs::read(archive(folder.path(), &WHOLE)).unwrap();
        for length in [0, 10, bytes.len() / 2, bytes.len() - 1] {
            std::fs::write(&path, &bytes[..length]).unwrap();
            assert!(ScriptArchive::open(&path).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn the_reason_is_one_sentence() {
        let interpreter = "The following operation failed in the TorchScript interpreter.\nTraceback of TorchScript, \
                           serialized code (most recent call last):\n  File \"code/x.py\", line 7\n    return \
                           torch.add(a, b)\n\
                           RuntimeError: The size of tensor a (3) must match\n";
        let found = reason(&TchError::Torch(interpreter.into()));
        assert_eq!(found, "RuntimeError: The size of tensor a (3) must match");
        assert_eq!(
            reason(&TchError::Torch("open file failed\nException raised from x\n".into())),
            "open file failed"
        );
    }
}
