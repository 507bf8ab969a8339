//! The readers against files of other libraries and against damage; maps brought to inputs against
//! Pillow and against the rule of all maps.

use super::number::NumberFormat;
use super::*;
use crate::attribution::finish;
use crate::image::{Filter, Fit, Resize};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn reference(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/external_maps").join(name)
}

fn json<T: serde::de::DeserializeOwned>(name: &str) -> T {
    serde_json::from_str(&std::fs::read_to_string(reference(name)).unwrap()).unwrap()
}

/// What is wrong with a file of these bytes.
fn refused(name: &str, bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(name);
    std::fs::write(&file, bytes).unwrap();
    let message = read::map(&file).unwrap_err().to_string();
    assert!(message.contains(&file.display().to_string()), "{message}");
    message
}

/// An NPY file of version 1 as numpy writes it, but for the padding.
fn npy_file(descr: &str, by_columns: bool, shape: &str, data: &[u8]) -> Vec<u8> {
    let order = if by_columns { "True" } else { "False" };
    let header = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}\n");
    let length = (header.len() as u16).to_le_bytes();
    [b"\x93NUMPY\x01\x00".as_slice(), &length, header.as_bytes(), data].concat()
}

#[test]
fn files_of_numpy_pillow_and_safetensors_are_read_to_the_last_bit() {
    let expected: BTreeMap<String, Vec<f32>> = json("values.json");
    assert_eq!(expected.len(), 29);
    for (name, values) in expected {
        let map = read::map(&reference(&name)).unwrap();
        assert_eq!(map, PictureMap { size: Size::new(4, 3), values }, "{name}");
    }
}

#[test]
fn arrays_that_are_no_maps_are_refused_in_words() {
    let nan = [1.0, 2.0, 3.0, f32::NAN, 5.0, 6.0_f32].map(f32::to_le_bytes).concat();
    let huge = [0.0, 0.0, 0.0, 0.0, 1e300, 0.0_f64].map(f64::to_le_bytes).concat();
    let zeros = [0; 24];
    let cases = [
        (
            npy_file("<f4", false, "(6,)", &zeros),
            "expected 2 dimensions (rows, columns), found 1: [6]",
        ),
        (npy_file("<f4", false, "()", &zeros[..4]), "found 0: []"),
        (npy_file("<f4", false, "(1, 2, 3)", &zeros), "found 3: [1, 2, 3]"),
        (npy_file("<f4", false, "(0, 3)", &[]), "found 0 rows and 3 columns"),
        (npy_file("<f4", false, "(65537, 1)", &zeros), "found 65537 rows"),
        (npy_file("<f4", false, "(60000, 60000)", &zeros), "at most 33554432 cells"),
        (npy_file("<f4", false, "(99999999999999999999, 2)", &zeros), "expected a whole number"),
        (npy_file("<f4", false, "(-2, 3)", &zeros), "expected a whole number"),
        (
            npy_file("<f4", false, "(2, 3)", &zeros[..23]),
            "expected 24 bytes for 2 rows and 3 columns",
        ),
        (npy_file("<f4", false, "(2, 3)", &[0; 25]), "behind the header, found 25"),
        (npy_file("<f4", false, "(2, 3)", &nan), "found NaN in row 1, column 0"),
        (npy_file("<f4", true, "(2, 3)", &nan), "found NaN in row 1, column 1"),
        (npy_file("<f8", false, "(2, 3)", &huge), "found inf in row 1, column 1"),
        (npy_file("<c8", false, "(2, 3)", &zeros), "found `<c8`"),
        (npy_file("|O", false, "(2, 3)", &zeros), "found `|O`"),
        (npy_file("|ä", false, "(2, 3)", &zeros), "of a type b1"),
        (b"\x93NUMPY\x01\x00\x02\x00{}".to_vec(), "found not all of them"),
        (b"\x93NUMPY\x01\x00\x10\x00{'descr': [('a',".to_vec(), "structured type"),
        (b"\x93NUMPY\x01\x00\x08\x00{'a': 1}".to_vec(), "found `a`"),
        (b"\x93NUMPY\x02\x00\xff\xff\xff\xff{}".to_vec(), "at most 65536 bytes, found 4294967295"),
        (b"\x93NUMPY\x09\x00\x02\x00{}".to_vec(), "version 1, 2 or 3 of the NPY format, found 9"),
        (b"PK\x03\x04 an npz".to_vec(), "begins with \\x93NUMPY"),
        (Vec::new(), "expected the header of an NPY file"),
    ];
    for (bytes, words) in cases {
        let message = refused("map.npy", &bytes);
        assert!(message.contains(words), "no \"{words}\" in {message}");
    }
}

#[test]
fn of_a_runs_own_map_with_a_sign_the_one_without_is_read() {
    let values: Vec<u8> = (0..6).flat_map(|value| (value as f32).to_le_bytes()).collect();
    let zeros = vec![0; 24];
    let [plain, signed] = [&values, &zeros].map(|bytes| {
        ::safetensors::tensor::TensorView::new(::safetensors::Dtype::F32, vec![2, 3], bytes)
            .unwrap()
    });
    let file = |names: [&str; 2]| {
        let tensors = [(names[0], &plain), (names[1], &signed)];
        safetensors::tensor(&::safetensors::serialize(tensors, None).unwrap())
    };
    let (size, found) = file(["dnc-shap", "dnc-shap-signed"]).unwrap();
    assert_eq!((size, found), (Size::new(3, 2), vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0]));
    assert!(file(["dnc-shap", "other-signed"]).unwrap_err().contains("found 2"));
}

#[test]
fn safetensors_and_pictures_that_are_no_maps_are_refused_in_words() {
    let named = std::fs::read(reference("named.safetensors")).unwrap();
    let text = |from: &str, to: &str| {
        let start = named.windows(from.len()).position(|bytes| bytes == from.as_bytes()).unwrap();
        [&named[..start], to.as_bytes(), &named[start + from.len()..]].concat()
    };
    for (bytes, words) in [
        (
            text("\"map\"", "\"mop\""),
            "expected one tensor, or one named `map`, found 2: mop, other",
        ),
        (text("[0,96]", "[0,97]"), "expected a safetensors file"),
        (named[..named.len() - 1].to_vec(), "expected a safetensors file"),
        (u64::MAX.to_le_bytes().to_vec(), "a header of at most 1048576 bytes"),
        (Vec::new(), "expected a safetensors file"),
    ] {
        let message = refused("map.safetensors", &bytes);
        assert!(message.contains(words), "no \"{words}\" in {message}");
    }
    let mut bytes = Vec::new();
    let colours = image::RgbImage::new(3, 2);
    colours.write_to(&mut std::io::Cursor::new(&mut bytes), image::ImageFormat::Png).unwrap();
    assert!(
        refused("map.png", &bytes)
            .contains("expected greyscale of 8 or 16 bits, found Rgb of 8 bits")
    );
    let mut grey = std::fs::read(reference("grey_8.png")).unwrap();
    assert!(refused("map.png", &grey[..45]).contains("expected a whole PNG"));
    // A header that declares more than there can be.
    grey[16..20].copy_from_slice(&[0x7f, 0xff, 0xff, 0xff]);
    assert!(refused("map.png", &grey).contains("found"));
    assert!(refused("map.png", b"").contains("expected a whole PNG"));
}

#[test]
fn a_picture_of_a_declared_size_takes_no_memory_before_it_is_checked() {
    let header = |width: u32, height: u32| {
        let mut bytes = Vec::new();
        let mut encoder = ::png::Encoder::new(&mut bytes, width, height);
        encoder.set_color(::png::ColorType::Grayscale);
        encoder.write_header().unwrap().write_chunk(::png::chunk::IDAT, b"").unwrap();
        bytes
    };
    assert!(refused("map.png", &header(60_000, 60_000)).contains("at most 33554432 cells"));
    assert!(refused("map.png", &header(70_000, 1)).contains("1 to 65536 rows and columns"));
}

#[test]
fn a_file_of_a_declared_gigabyte_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("map.safetensors");
    std::fs::File::create(&file).unwrap().set_len(MAX_FILE_BYTES + 1).unwrap();
    let message = read::map(&file).unwrap_err().to_string();
    assert!(message.contains("at most 536870912 bytes, found 536870913"), "{message}");
}

proptest! {
    #[test]
    fn any_array_comes_back(
        rows in 1..9_usize, columns in 1..9_usize, by_columns: bool, big: bool, seed in -1e6..1e6_f32,
    ) {
        let value = |row: usize, column: usize| seed + 3.0 * row as f32 - 7.0 * column as f32;
        let by_rows: Vec<f32> = (0..rows * columns).map(|index| value(index / columns, index % columns)).collect();
        let stored: Vec<f32> = match by_columns {
            true => (0..rows * columns).map(|index| value(index % rows, index / rows)).collect(),
            false => by_rows.clone(),
        };
        let bytes = |value: &f32| if big { value.to_be_bytes() } else { value.to_le_bytes() };
        let data: Vec<u8> = stored.iter().flat_map(bytes).collect();
        let kind = if big { ">f4" } else { "<f4" };
        let file = npy_file(kind, by_columns, &format!("({rows}, {columns})"), &data);
        let (size, values) = npy::array(&mut file.as_slice(), file.len() as u64).unwrap();
        prop_assert_eq!((size, values), (Size::new(columns as u32, rows as u32), by_rows));
        // Cut anywhere, it is none.
        for length in 0..file.len() {
            prop_assert!(npy::array(&mut &file[..length], length as u64).is_err());
        }
    }

    #[test]
    fn damage_is_an_error_or_another_map_and_never_a_panic(
        file in 0..4_usize, changes in prop::collection::vec((0..400_usize, any::<u8>()), 1..6), cut in 0..400_usize,
    ) {
        let name = ["columns_f4.npy", "version_2.npy", "named.safetensors", "grey_16.png"][file];
        let mut bytes = std::fs::read(reference(name)).unwrap();
        bytes.truncate(cut.max(8));
        for (at, byte) in changes {
            let offset = at % bytes.len();
            bytes[offset] = byte;
        }
        let found = match file {
            0 | 1 => npy::array(&mut bytes.as_slice(), bytes.len() as u64),
            2 => safetensors::tensor(&bytes),
            _ => png::levels(std::io::Cursor::new(&bytes)),
        };
        if let Ok((size, values)) = found {
            prop_assert_eq!(size.area(), values.len());
        }
    }

    #[test]
    fn any_header_is_read_or_refused(text in "[{}()',: TrueFalsdcipt_on0-9<f4L]{0,80}") {
        let length = (text.len() as u16).to_le_bytes();
        let bytes = [b"\x93NUMPY\x01\x00".as_slice(), &length, text.as_bytes()].concat();
        prop_assert!(npy::array(&mut bytes.as_slice(), bytes.len() as u64).is_err());
    }

    #[test]
    fn a_map_that_grows_is_finished_as_all_maps_are(
        rows in 1..12_usize, columns in 1..12_usize, values in prop::collection::vec(-3.0..9.0_f32, 144),
        kind in 0..3_usize, width in 20_u32..90, height in 20_u32..90,
    ) {
        let resize = [Resize::Squash, Resize::CenterCrop, Resize::Letterbox][kind];
        let fit = Fit { resize, crop: 0.875, filter: Filter::Bilinear, input: Size::new(31, 23) };
        let placement = fit.placement(Size::new(width, height));
        // A letterbox may shrink a map in one direction, where more than two cells count.
        prop_assume!(placement.resized.width as usize >= columns && placement.resized.height as usize >= rows);
        let size = Size::new(columns as u32, rows as u32);
        let map = PictureMap { size, values: values[..rows * columns].to_vec() };
        let input = placed::over_input(&map, &placement);
        // ReLU and min-max, the whole picture resized, its part in the input with 0 around it.
        let raw = Tensor::from_slice(&map.values).reshape([1, rows as i64, columns as i64]);
        let small = raw.relu();
        let small = (&small - small.min()) / (small.max() - small.min() + 1e-7);
        let resized = [i64::from(placement.resized.height), i64::from(placement.resized.width)];
        let large = small.unsqueeze(0).upsample_bilinear2d(resized, false, None, None).squeeze_dim(0);
        let (down, across) = (placement.rows.len() as i64, placement.columns.len() as i64);
        let part = large.narrow(1, placement.rows.start.into(), down).narrow(2, placement.columns.start.into(), across);
        let expected = Tensor::zeros([1, 23, 31], (tch::Kind::Float, Device::Cpu));
        let place = expected.narrow(1, placement.top.into(), down).narrow(2, placement.left.into(), across);
        place.shallow_clone().copy_(&part);
        let off = (Tensor::from_slice(&input).reshape([1, 23, 31]) - &expected).abs().max().double_value(&[]);
        prop_assert!(off < 2e-6, "{off:.1e}");
        if resize == Resize::Squash {
            let maps = ExternalMaps { folders: vec![MapFiles::empty()] };
            let found = maps.finish(&[&[input]], fit.input, Device::Cpu).unwrap().remove(0);
            let expected = finish(&raw, fit.input).unwrap();
            let off = (found.tensor() - expected.tensor()).abs().max().double_value(&[]);
            prop_assert!(off < 2e-6, "finished: {off:.1e}");
            prop_assert_eq!(found.flat, expected.flat);
        }
    }
}

#[test]
fn maps_are_resized_as_pillow_does() {
    #[derive(serde::Deserialize)]
    struct Reference {
        columns: u32,
        rows: u32,
        map: Vec<f32>,
        resized: BTreeMap<String, Vec<f32>>,
    }
    let Reference { columns, rows, map, resized } = json("resized.json");
    let map = PictureMap { size: Size::new(columns, rows), values: map };
    let mut worst = 0.0_f32;
    for (size, expected) in resized {
        let (width, height) = size.split_once('x').unwrap();
        let input = Size::new(width.parse().unwrap(), height.parse().unwrap());
        let found = placed::over_input(&map, &Fit::squash(input).placement(Size::new(640, 480)));
        assert_eq!(found.len(), expected.len());
        worst = found.iter().zip(&expected).fold(worst, |worst, (a, b)| worst.max((a - b).abs()));
    }
    eprintln!("within {worst:.1e}");
    assert!(worst < 9e-8, "{worst:.1e}");
}

/// One fixated point among ten thousand cells is seen, whatever the size of the input.
#[test]
fn single_points_are_not_lost() {
    for at in 0..100 {
        let mut values = vec![0.0; 100 * 100];
        values[at * 100 + (at * 37) % 100] = 1.0;
        let map = PictureMap { size: Size::new(100, 100), values };
        let input = placed::over_input(
            &map,
            &Fit::squash(Size::new(13, 11)).placement(Size::new(400, 300)),
        );
        let total: f32 = input.iter().sum();
        assert!((0.3..2.0).contains(&(total / (13.0 * 11.0 / 10_000.0))), "{at}: {total}");
    }
}

#[test]
fn extreme_shapes_cost_the_input_and_the_map_alone() {
    let input = Size::new(64, 48);
    let fit = Fit { resize: Resize::CenterCrop, crop: 1.0, filter: Filter::Bilinear, input };
    for (map, picture) in
        [((1, 60_000), (1, 60_000)), ((60_000, 1), (1, 60_000)), ((1, 1), (60_000, 1))]
    {
        let size = Size::new(map.0, map.1);
        let map = PictureMap { size, values: vec![1.0; size.area()] };
        assert_eq!(
            placed::over_input(&map, &fit.placement(Size::new(picture.0, picture.1))),
            vec![0.0; input.area()]
        );
    }
    assert_eq!(NumberFormat::F64.bytes() * MAX_CELLS, 1 << 28);
}
