//! Against files written by real PyTorch and safetensors
//! (`scripts/reference/torch_checkpoints.py`), and against files that are damaged on purpose.

use super::*;
use proptest::prelude::*;
use std::fs;
use std::io::Write;
use zip::write::SimpleFileOptions;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/checkpoints").join(name)
}

/// A zip archive of uncompressed entries.
fn stored(entries: &[(String, Vec<u8>)]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.pth");
    let mut archive = zip::ZipWriter::new(fs::File::create(&path).unwrap());
    let options = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, bytes) in entries {
        archive.start_file(name.as_str(), options).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap();
    (folder, path)
}

fn expected() -> BTreeMap<String, BTreeMap<String, Array>> {
    #[derive(serde::Deserialize)]
    struct Held {
        shape: Vec<usize>,
        values: Vec<f32>,
    }
    let text = fs::read_to_string(fixture("expected.json")).unwrap();
    let files: BTreeMap<String, BTreeMap<String, Held>> = serde_json::from_str(&text).unwrap();
    let array = |held: Held| Array { shape: held.shape, values: held.values };
    files
        .into_iter()
        .map(|(file, held)| (file, held.into_iter().map(|(k, v)| (k, array(v))).collect()))
        .collect()
}

#[test]
fn every_variant_of_torch_save_is_read_exactly() {
    let expected = expected();
    assert_eq!(expected.len(), 12);
    for (name, arrays) in expected {
        let dict = StateDict::open(&fixture(&name)).unwrap();
        assert_eq!(dict.arrays, arrays, "{name}");
    }
}

#[test]
fn every_bad_checkpoint_is_refused_for_its_own_reason() {
    let reasons = [
        ("bad_malicious.pth", "`posix.system`"),
        ("bad_malicious_legacy.pth", "`posix.system`"),
        ("bad_whole_module.pth", "`torch.nn.modules.linear.Linear`"),
        ("bad_expanded.pth", "claim 12000 bytes, the file has 1612"),
        ("bad_only_integers.pth", "without any float tensor"),
        ("bad_truncated.pth", "truncated"),
        ("bad_truncated_legacy.pth", "beyond the end"),
        ("bad_shape.pth", "damaged PyTorch checkpoint"),
        ("bad_compressed.pth", "compressed"),
        ("bad_bomb.pth", "compressed"),
        ("bad_checksum.pth", "checksum"),
    ];
    for (name, reason) in reasons {
        let message = StateDict::open(&fixture(name)).unwrap_err().to_string();
        assert!(message.contains(reason) && message.contains(name), "{name}: {message}");
    }
    let bad = fs::read_dir(fixture(""))
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("bad_"));
    assert_eq!(bad.count(), reasons.len());
}

#[test]
fn integers_are_left_out_and_named_when_a_weight_is_expected() {
    let mut dict = StateDict::open(&fixture("batch_norm.pth")).unwrap();
    assert_eq!(dict.arrays.len(), 6);
    let message = dict.take("1.num_batches_tracked", &[]).unwrap_err().to_string();
    assert!(message.contains("int64") && message.contains("1.num_batches_tracked"), "{message}");
}

#[test]
fn take_checks_name_shape_and_values_and_finish_what_is_left() {
    let array =
        |shape: &[usize], values: &[f32]| Array { shape: shape.to_vec(), values: values.to_vec() };
    let arrays = BTreeMap::from([
        ("a".to_string(), array(&[2, 3], &[1., 2., 3., 4., 5., 6.])),
        ("b".to_string(), array(&[2], &[0., f32::NAN])),
    ]);
    let mut dict = StateDict::new("w.pth", arrays);
    let message = |error: Error| error.to_string();
    assert_eq!(
        message(dict.take("a", &[3, 2]).unwrap_err()),
        "w.pth: tensor `a`: expected floats of shape [3, 2], found shape [2, 3]"
    );
    assert_eq!(
        message(dict.take("c", &[1]).unwrap_err()),
        "w.pth: tensor `c`: expected floats of shape [1], found no tensor of that name; the file \
         has `a`, `b`"
    );
    assert_eq!(
        message(dict.take("b", &[2]).unwrap_err()),
        "w.pth: tensor `b`: expected floats of shape [2], found NaN at element 1 of 2"
    );
    assert_eq!(dict.take("a", &[2, 3]).unwrap(), [1., 2., 3., 4., 5., 6.]);
    assert!(
        message(dict.finish().unwrap_err())
            .contains("1 tensors that the network has no place for: `b`")
    );
}

#[test]
fn what_is_no_weights_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("emonet.pth");
    let cases: [(&[u8], &str); 5] = [
        (b"", "empty file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n", "Git LFS pointer"),
        (b"\n<!DOCTYPE html>\n<html lang=\"en\">", "web page"),
        (b"<?xml version=\"1.0\"?><Error/>", "XML"),
        (b"\x89PNG\r\n\x1a\n....", "89 50 4e 47"),
    ];
    for (bytes, what) in cases {
        fs::write(&path, bytes).unwrap();
        let message = StateDict::open(&path).unwrap_err().to_string();
        assert!(message.contains(what) && message.contains("emonet.pth"), "{message}");
        let message = darknet::DarknetWeights::open(&path, 1).unwrap_err().to_string();
        assert!(message.contains("expected Darknet weights"), "{message}");
        assert!(mean_image::read(&path).is_err());
    }
    assert!(matches!(StateDict::open(&folder.path().join("none")), Err(Error::Io { .. })));
}

#[test]
fn a_large_pickle_is_refused_before_it_takes_memory() {
    let long = [b"\x80\x02".to_vec(), vec![b'N'; 2 << 20], b".".to_vec()].concat();
    let (_folder, path) = stored(&[("archive/data.pkl".into(), long)]);
    let message = StateDict::open(&path).unwrap_err().to_string();
    assert!(message.contains("2097155 bytes, 1048576 are the limit"), "{message}");
    let magic = &fs::read(fixture("legacy.pth")).unwrap()[..16];
    fs::write(&path, [magic, &vec![b'N'; 2 << 20]].concat()).unwrap();
    let message = StateDict::open(&path).unwrap_err().to_string();
    assert!(message.contains("1048576 are the limit"), "{message}");
}

/// Arrays of odd shapes, empty and scalar ones among them.
fn arrays() -> impl Strategy<Value = Vec<(String, Array)>> {
    let array = proptest::collection::vec(0_usize..5, 0..4).prop_flat_map(|shape| {
        let count = shape.iter().product::<usize>();
        proptest::collection::vec(proptest::num::f32::NORMAL, count)
            .prop_map(move |values| Array { shape: shape.clone(), values })
    });
    proptest::collection::btree_map("[a-z]{1,3}[.][a-zé0-9 ]{1,8}", array, 1..6)
        .prop_map(|arrays| arrays.into_iter().collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_is_read_back(tensors in arrays(), note in "[a-z ]{0,9}") {
        let folder = tempfile::tempdir().unwrap();
        let arrays: BTreeMap<_, _> = tensors.iter().cloned().collect();
        let path = folder.path().join("a.pth");
        pytorch::write(&path, &tensors, None).unwrap();
        prop_assert_eq!(&StateDict::open(&path).unwrap().arrays, &arrays);
        let once = fs::read(&path).unwrap();
        pytorch::write(&path, &tensors, None).unwrap();
        prop_assert_eq!(once, fs::read(&path).unwrap());
        let metadata = BTreeMap::from([("a".to_string(), note.clone()), ("synthesized".to_string(), note)]);
        safetensors::write(&path, &tensors, &metadata).unwrap();
        let dict = StateDict::open(&path).unwrap();
        prop_assert_eq!(dict.arrays, arrays);
        prop_assert_eq!(dict.metadata, metadata);
    }

    #[test]
    fn damaged_files_never_panic_nor_grow(
        which in 0_usize..7,
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
        truncate in proptest::bool::weighted(0.3),
    ) {
        let names = ["ordered_dict.pth", "legacy.pth", "views.pth", "nested_parallel.pth", "views_legacy.pth",
            "mixed.safetensors", "batch_norm.pth"];
        let mut bytes = fs::read(fixture(names[which])).unwrap();
        for (place, byte) in &edits {
            let place = place.index(bytes.len());
            bytes[place] = *byte;
        }
        if truncate {
            bytes.truncate(cut.index(bytes.len()));
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("damaged");
        fs::write(&path, &bytes).unwrap();
        if let Ok(dict) = StateDict::open(&path) {
            let values: usize = dict.arrays.values().map(|array| array.values.len()).sum();
            prop_assert!(values <= bytes.len() / 2, "{} values from {} bytes", values, bytes.len());
            for array in dict.arrays.values() {
                prop_assert_eq!(array.values.len(), array.shape.iter().product::<usize>());
            }
        }
        let _ = darknet::DarknetWeights::open(&path, 10);
        let _ = mean_image::read(&path);
    }

    /// An archive's checksum keeps most damage from the pickle; here the archive around the damaged
    /// pickle is sound.
    #[test]
    fn damaged_pickles_in_a_sound_archive_never_panic_nor_grow(
        which in 0_usize..3,
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let name = ["ordered_dict.pth", "views.pth", "nested_parallel.pth"][which];
        let mut archive = zip::ZipArchive::new(fs::File::open(fixture(name)).unwrap()).unwrap();
        let entries: Vec<(String, Vec<u8>)> = (0..archive.len())
            .map(|index| {
                let mut entry = archive.by_index(index).unwrap();
                let mut bytes = Vec::new();
                std::io::copy(&mut entry, &mut bytes).unwrap();
                let name = entry.name().unwrap().into_owned();
                if name.ends_with("data.pkl") {
                    for (place, byte) in &edits {
                        let place = place.index(bytes.len());
                        bytes[place] = *byte;
                    }
                }
                (name, bytes)
            })
            .collect();
        let (_folder, path) = stored(&entries);
        if let Ok(dict) = StateDict::open(&path) {
            let values: usize = dict.arrays.values().map(|array| array.values.len()).sum();
            prop_assert!(values as u64 <= fs::metadata(&path).unwrap().len() / 2);
        }
    }

    #[test]
    fn random_pickles_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = pickle::walk(&mut bytes.as_slice());
    }

    /// Programs of admitted opcodes only: what passes the gate must not hurt the reader behind it.
    #[test]
    fn random_programs_of_admitted_opcodes_never_panic(
        opcodes in proptest::collection::vec(
            proptest::sample::select(&b"(()t\x85\x86\x87]ae}suN\x88\x89RbQKJq hGX"[..]), 0..200,
        ),
        argument in any::<u8>(),
    ) {
        let mut program = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\nq\x00ccollections\nOrderedDict\nq\x01".to_vec();
        for opcode in opcodes {
            match opcode {
                b' ' => program.extend(b"X\x07\x00\x00\x00storage"),
                b'X' => program.extend(b"X\x01\x00\x00\x000"),
                b'G' => program.extend(b"ctorch\nFloatStorage\n"),
                b'K' | b'q' | b'h' => program.extend([opcode, argument % 4]),
                b'J' => program.extend([b'J', 0xff, 0xff, 0xff, argument]),
                other => program.push(other),
            }
        }
        program.push(b'.');
        let (_folder, path) = stored(&[("a/data.pkl".into(), program), ("a/data/0".into(), vec![0; 24])]);
        let _ = StateDict::open(&path);
    }
}

/// A pickle of so many tensors of two elements, `stride` apart, in one storage of 100,000.
fn views(count: usize, stride: i32) -> Vec<u8> {
    let mut program = b"\x80\x02}".to_vec();
    for number in 0..count {
        let name = number.to_string();
        program.extend([&b"X"[..], &(name.len() as u32).to_le_bytes(), name.as_bytes()].concat());
        program.extend(
            b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\n",
        );
        program.extend(b"X\x01\0\0\x000X\x03\0\0\0cpuJ\xa0\x86\x01\0tQK\0K\x02\x85J");
        program.extend(stride.to_le_bytes());
        program.extend(b"\x85\x89ccollections\nOrderedDict\n)RtRs");
    }
    program.push(b'.');
    program
}

#[test]
fn views_that_span_far_more_than_the_file_are_refused() {
    let archive = |views: Vec<u8>| {
        stored(&[("a/data.pkl".into(), views), ("a/data/0".into(), vec![0; 400_000])])
    };
    let (_folder, path) = archive(views(300, 1));
    assert_eq!(StateDict::open(&path).unwrap().arrays.len(), 300);
    let (_folder, path) = archive(views(300, 99_000));
    let message = StateDict::open(&path).unwrap_err().to_string();
    assert!(message.contains("300 tensors span 29700300 elements"), "{message}");
    // The format before has the same pickle, fourth of five.
    let legacy =
        [LEGACY, &views(300, 99_000), b"\x80\x02]X\x01\0\0\x000a.", &100_000_u64.to_le_bytes()]
            .concat();
    fs::write(&path, [legacy, vec![0; 400_000]].concat()).unwrap();
    let message = StateDict::open(&path).unwrap_err().to_string();
    assert!(message.contains("300 tensors span 29700300 elements"), "{message}");
}

/// Magic number, protocol and system of a legacy file.
const LEGACY: &[u8] = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 \
                        j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}X\x0d\0\0\0little_endian\x88s.";

#[test]
fn nesting_is_bounded() {
    let deep = [b"\x80\x02N".to_vec(), vec![0x85; 1_000_000], b".".to_vec()].concat();
    let (_folder, path) = stored(&[("a/data.pkl".into(), deep)]);
    let message = StateDict::open(&path).unwrap_err().to_string();
    assert!(message.contains("nesting"), "{message}");
}

#[test]
fn writers_refuse_what_readers_could_not_mean() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w");
    let short = || ("w".to_string(), Array { shape: vec![2, 3], values: vec![0.; 5] });
    let right = || ("w".to_string(), Array { shape: vec![2, 3], values: vec![0.; 6] });
    let none = BTreeMap::new();
    assert!(pytorch::write(&path, &[short()], None).is_err());
    assert!(safetensors::write(&path, &[short()], &none).is_err());
    assert!(
        pytorch::write(&path, &[right(), right()], None).unwrap_err().to_string().contains("twice")
    );
    assert!(
        safetensors::write(&path, &[right(), right()], &none)
            .unwrap_err()
            .to_string()
            .contains("twice")
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
