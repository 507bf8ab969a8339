//! Files as they should be, from which inputs are made: committed ones, ones that this program
//! writes, and small ones written here.

use crate::common::reference;
use emocam::nn::script::ScriptArchive;
use emocam::nn::weights::darknet::{self, Header};
use image::{DynamicImage, ImageFormat};
use std::io::{Cursor, Read, Write};
use std::path::{Path, PathBuf};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

pub(crate) type Seeds = Vec<Vec<u8>>;

pub(crate) fn root(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

pub(crate) fn read(paths: impl IntoIterator<Item = PathBuf>) -> Seeds {
    paths
        .into_iter()
        .map(|path| {
            std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        })
        .collect()
}

/// The files of a folder of this repository whose names end so, in order, up to 20 kB each.
fn folder(name: &str, endings: &[&str]) -> Seeds {
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(root(name)).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| endings.iter().any(|ending| path.to_string_lossy().ends_with(ending)));
    paths.retain(|path| std::fs::metadata(path).unwrap().len() < 20_000);
    paths.sort();
    assert!(!paths.is_empty(), "no {endings:?} in {name}");
    read(paths)
}

pub(crate) fn texts(texts: &[&str]) -> Seeds {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

pub(crate) fn checkpoints() -> Seeds {
    let mut all = folder("tests/reference/checkpoints", &[".pth", ".pt"]);
    all.retain(|bytes| bytes.starts_with(b"PK"));
    all
}

pub(crate) fn legacy_checkpoints() -> Seeds {
    let mut all = folder("tests/reference/checkpoints", &[".pth"]);
    all.retain(|bytes| !bytes.starts_with(b"PK"));
    all
}

pub(crate) fn safetensors() -> Seeds {
    let mut all = folder("tests/reference/checkpoints", &[".safetensors"]);
    all.extend(safetensors_maps());
    all
}

pub(crate) fn darknet_weights() -> Seeds {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.weights");
    let values: Vec<f32> = (0..40).map(|number| number as f32 / 7.0).collect();
    let mut headers = vec![Header::CURRENT];
    headers.push(Header { major: 0, minor: 1, revision: 0, seen: 77 });
    let write = |header: Header| {
        darknet::write(&path, header, [&values[..]]).unwrap();
        std::fs::read(&path).unwrap()
    };
    headers.into_iter().map(write).collect()
}

pub(crate) fn mean_images() -> Seeds {
    texts(&[
        "1,2,3\n4, 5,6e0\n",
        "0.5,1.5,2,3,4,5,6,7,8,9,10,11\n104.1,1e-3,2,3,4,5,6,7,8,9,10,11\n",
    ])
}

pub(crate) fn cfgs() -> Seeds {
    folder("tests/reference/darknet", &[".cfg"])
}

/// What the description of a detector names is as many classes as it has.
pub(crate) fn class_names() -> Seeds {
    texts(&["Cat\nOwl\n\"Big\", bad dog\nTin\n", "\u{feff}Cat\r\nOwl\r\nDog\r\nTin\r\n"])
}

pub(crate) fn beside_names(folder: &Path) {
    std::fs::copy(reference("darknet/yolov3.cfg"), folder.join("net.cfg")).unwrap();
}

pub(crate) fn cards() -> Seeds {
    let mut all = read(
        ["configs/emonet.toml", "models/demo/emotion.toml", "models/demo/surroundings.toml"]
            .map(root),
    );
    all.extend(texts(&[
        "labels = ['a', 'b']\ninput = [32, 48]\nmean = [0.4, 0.5, 0.6]\nstd = [0.2, 0.3, 0.2]\nscale = 255.0\nresize = \"center-crop\"\n\
         crop = 0.875\nfilter = \"bilinear\"\nchannels = \"bgr\"\nvalence = { bias = 0.1, weights = [1, -2] }\n",
        "network = \"torchscript\"\noutput = \"valence\"\nthresholds = [-0.25, 0.25]\ninput = 64\nlayout = \"tokens\"\nprefix = 1\n\
         grid = [4, 4]\n",
        "network = \"fer_net\"\nlabels = ['a', 'b']\ninput = 64\n[fer_net]\nwidth = 0.125\nunits = \
         8\n",
        "network = \"multi_gap\"\nlabels = ['a', 'b']\ninput = 64\n[multi_gap]\nfusion = \"late\"\nanp = 3\n[[multi_gap.streams]]\n\
         name = \"object\"\nbackbone = \"mobilenet_v2\"\nwidth = 0.25\nblocks = 2\ndependency = \"gru\"\nunits = 4\n\
         mean = [0.1, 0.2, 0.3]\n",
    ]));
    all
}

/// What the TorchScript files of the tests say of themselves.
pub(crate) fn cards_as_json() -> Seeds {
    let files = ["batch.pt", "scalar.pt", "tokens.pt", "context.pt"]
        .map(|name| reference("plugins").join(name));
    let card = |file: PathBuf| {
        ScriptArchive::open(&file).unwrap().extra("emocam.json").unwrap().unwrap().into_bytes()
    };
    files.into_iter().map(card).collect()
}

/// Without the code and the numbers, which are libtorch's to read.
pub(crate) fn torchscripts() -> Seeds {
    let files = [
        reference("plugins/batch.pt"),
        reference("plugins/scalar.pt"),
        reference("yolo_torchscript/tiny.torchscript"),
    ];
    let small = |bytes: Vec<u8>| {
        let mut archive = ZipArchive::new(Cursor::new(bytes)).unwrap();
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        let mut codes = 0;
        for index in 0..archive.len() {
            let mut entry = archive.by_index(index).unwrap();
            let name = entry.name().unwrap().into_owned();
            codes += usize::from(name.contains("/code/"));
            let kept = ["extra/", "data.pkl", "constants.pkl", "version"]
                .iter()
                .any(|part| name.contains(part));
            if kept || name.contains("/code/") && codes == 1 {
                let mut content = Vec::new();
                entry.read_to_end(&mut content).unwrap();
                let options =
                    SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
                writer.start_file(name, options).unwrap();
                writer.write_all(&content).unwrap();
            }
        }
        writer.finish().unwrap().into_inner()
    };
    read(files).into_iter().map(small).collect()
}

pub(crate) fn configurations() -> Seeds {
    read(["configs/paper.toml", "configs/robust.toml"].map(root))
}

pub(crate) fn recipes() -> Seeds {
    let names = [
        "fer",
        "fer-drawn",
        "fer-drawn-objects",
        "adapt",
        "adapt-drawn",
        "multi-gap",
        "multi-gap-drawn",
    ];
    read(names.map(|name| root(&format!("configs/{name}.toml"))))
}

pub(crate) fn graphs() -> Seeds {
    folder("configs/graphs", &[".toml"])
}

pub(crate) fn positions() -> Seeds {
    read([root("configs/paste.toml")])
}

pub(crate) fn label_maps() -> Seeds {
    let own = "[labels]\njoy = \"happiness\"\nfear = \"\"\n[annotations]\nelation = \
               \"happiness\"\nrage = \"\"\n";
    let mut all = texts(&[own]);
    all.extend(read(
        ["configs/fi-to-webemo.toml", "configs/expressions-to-emotions.toml"].map(root),
    ));
    all
}

/// A picture of 23 x 17 pixels, all different.
fn drawn() -> DynamicImage {
    let pixel = |x: u32, y: u32| {
        image::Rgba([(x * 11) as u8, (y * 15) as u8, (x * y) as u8, (255 - x * 11) as u8])
    };
    DynamicImage::ImageRgba8(image::RgbaImage::from_fn(23, 17, pixel))
}

/// The drawn picture in every type of samples that the format takes.
fn encoded(format: ImageFormat) -> Seeds {
    let picture = drawn();
    let all = [
        DynamicImage::ImageLuma8(picture.to_luma8()),
        DynamicImage::ImageLumaA8(picture.to_luma_alpha8()),
        DynamicImage::ImageRgb8(picture.to_rgb8()),
        DynamicImage::ImageLuma16(picture.to_luma16()),
        DynamicImage::ImageRgba16(picture.to_rgba16()),
        DynamicImage::ImageRgb32F(picture.to_rgb32f()),
        picture,
    ];
    let bytes = |picture: DynamicImage| {
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, format).ok()?;
        Some(bytes.into_inner())
    };
    let all: Seeds = all.into_iter().filter_map(bytes).collect();
    assert!(!all.is_empty());
    all
}

pub(crate) fn jpegs() -> Seeds {
    folder("tests/reference/pillow_resize", &[".jpg"])
}

pub(crate) fn pngs() -> Seeds {
    let mut all = encoded(ImageFormat::Png);
    all.extend(folder("tests/fuzz/seeds", &[".png"]));
    all
}

pub(crate) fn webps() -> Seeds {
    let mut all = encoded(ImageFormat::WebP);
    all.extend(folder("tests/fuzz/seeds", &[".webp"]));
    all
}

pub(crate) fn bmps() -> Seeds {
    let mut all = encoded(ImageFormat::Bmp);
    all.extend(folder("tests/fuzz/seeds", &[".bmp"]));
    all
}

pub(crate) fn tiffs() -> Seeds {
    let mut all = encoded(ImageFormat::Tiff);
    all.extend(folder("tests/fuzz/seeds", &[".tif"]));
    all
}

pub(crate) fn objects() -> Seeds {
    [pngs(), webps(), tiffs()].concat()
}

pub(crate) fn tars() -> Seeds {
    folder("tests/reference/tars", &["ustar.tar", "gnu.tar", "sparse_gnu.tar", "sparse_pax.tar"])
}

pub(crate) fn lists() -> Seeds {
    texts(&[
        "a b.jpg\n\n# c.jpg\n./photos.txt\nmissing.png\r\nphotos.tar\n",
        "\u{feff}photos.txt\n../x.tgz\n/dev/null\n",
    ])
}

pub(crate) fn list_tables() -> Seeds {
    texts(&["label,Path\njoy,a b.jpg\nfear,\"c,d.png\"\n", "path\nphotos.csv\nx.tar\n"])
}

/// The data set that results are read with.
pub(crate) const DATA_SET: &str = "data-set.json";

pub(crate) fn coco_data_sets() -> Seeds {
    texts(&[
        r#"{"images": [{"id": 1, "file_name": "a/x.jpg", "width": 64, "height": 48}, {"id": "b", "file_name": "y.jpg"}],
            "categories": [{"id": 3, "name": "cat"}, {"id": 7, "name": "dog"}],
            "annotations": [{"image_id": 1, "category_id": 3, "bbox": [4, 5, 20.5, 9], "iscrowd": 0,
              "segmentation": [[4, 5, 24, 5, 24.5, 14, 4, 14], [1, 1, 9, 1, 5, 7]]},
             {"image_id": "b", "category_id": 7, "score": 0.5, "bbox": [0, 0, 3, 2], "segmentation": []}]}"#,
        r#"{"annotations": [{"image_id": 1, "category_id": 3, "segmentation": {"size": [5, 7], "counts": [2, 4, 3, 20, 6]}}],
            "categories": [{"id": 3, "name": "cat"}], "images": [{"id": 1, "file_name": "x.jpg", "width": 7, "height": 5}]}"#,
    ])
}

pub(crate) fn coco_results() -> Seeds {
    texts(&[
        r#"[{"image_id": 1, "category_id": 3, "score": 0.75, "bbox": [4, 5, 20.5, 9]},
            {"image_id": "b", "category_id": 7, "score": 1, "segmentation": {"size": [48, 64], "counts": "PT12n02L5K"}}]"#,
        r#"[{"image_id": 1, "category_id": 7, "score": 0.1, "segmentation": [[4, 5, 24, 5, 24.5, 14]]}]"#,
    ])
}

pub(crate) fn beside_results(folder: &Path) {
    std::fs::write(folder.join(DATA_SET), &coco_data_sets()[0]).unwrap();
}

pub(crate) fn region_lines() -> Seeds {
    texts(&[
        "{\"file\": \"a/x.jpg\", \"label\": \"cat\", \"score\": 0.9, \"box\": [10.5, 4, 200, 120.25], \"width\": 640, \"height\": 480}\n\
         {\"file\": \"a/x.jpg\", \"label\": \"dog\", \"score\": 0.4, \"rle\": {\"size\": [480, 640], \"counts\": \"PT12n02L5K\"}}\n\
         {\"file\": \"a/y.jpg\"}\n",
        "\u{feff}{\"file\": \"b.png\", \"label\": \"cat\", \"score\": 1, \"rle\": {\"size\": [5, \
         7], \"counts\": [2, 4, 3, 20, 6]}}\n",
    ])
}

pub(crate) fn annotations() -> Seeds {
    texts(&[
        "path,label\njoy/a.jpg,joy\n./fear/b.jpg,Fear\nc.png,\"awe, or fear\"\n",
        "Folder;Filename;Categorical_Labels\njoy;a.jpg;['joy', 'Fear']\nfear;b.jpg;[]\n",
        "[image_filename]\t[prob. joy]\t[prob. fear]\na.jpg\t0.75\t0.25\nb.jpg\t1e-3\t0.999\n",
        "image_path,emotion,reject\na.jpg,joy,Keep\nb.jpg,fear,Reject\n",
        r#"[["joy", 17, "joy/a.jpg", "annotation/a.json"], ["fear", "fear/b.jpg"]]"#,
    ])
}

pub(crate) fn npy_maps() -> Seeds {
    folder("tests/reference/external_maps", &[".npy"])
}

pub(crate) fn png_maps() -> Seeds {
    folder("tests/reference/external_maps", &[".png"])
}

pub(crate) fn safetensors_maps() -> Seeds {
    folder("tests/reference/external_maps", &[".safetensors"])
}

pub(crate) fn nested_classes() -> Seeds {
    texts(&["part,whole,relation\nHuman eye,Human face,part-of\nHuman \
             face,Person,part-of\nman,Person,is-a\n"])
}

pub(crate) fn pairs() -> Seeds {
    texts(&["path,smiling face,red flower\na/x.jpg,0.25,1\ny.jpg,0,1e-3\n"])
}

/// Of as many columns and rows as the maps of the tests have.
pub(crate) fn beside_pairs(folder: &Path) {
    std::fs::write(folder.join("names.json"), r#"["a b", "c d", "e f", "g h"]"#).unwrap();
    std::fs::write(folder.join("pictures.txt"), "a.jpg\nb.jpg\nc.jpg\n").unwrap();
}

pub(crate) fn training_tables() -> Seeds {
    let rows = |usage: &str| {
        (0..3).map(|label| format!("{label},{label} 2 3 255,{usage}\n")).collect::<String>()
    };
    let pixels = format!(
        "emotion,pixels,Usage\n{}{}{}",
        rows("Training"),
        rows("PublicTest"),
        rows("PrivateTest")
    );
    texts(&[&pixels, "path,label\na.png,joy\nb.png,fear\nc.png,joy\n"])
}

/// Pictures that the table names.
pub(crate) fn beside_table(folder: &Path) {
    for name in ["a.png", "b.png", "c.png"] {
        std::fs::copy(reference("pillow_resize/2x3.png"), folder.join(name)).unwrap();
    }
}

pub(crate) fn digests() -> Seeds {
    texts(&[r#"{"net.pth": {"sha256": "00ff", "size": 12}, "other": {"sha256": "", "size": 0}}"#])
}

pub(crate) fn label_names() -> Seeds {
    texts(&["joy\nfear\n", "\u{feff}Joy\r\n\r\n Fear of \"all\" \r\n"])
}

pub(crate) fn beside_labels(folder: &Path) {
    std::fs::write(folder.join("net.toml"), "labels = 'labels.txt'\ninput = 64\n").unwrap();
}

pub(crate) fn splits() -> Seeds {
    texts(&["./e.png\nf.png\n", "e.png\r\n\r\n"])
}

pub(crate) fn beside_splits(folder: &Path) {
    let names = ["a", "b", "c", "d", "e", "f"].map(|name| format!("{name}.png"));
    let rows =
        names.iter().enumerate().map(|(at, name)| format!("{name},{}\n", ["joy", "fear"][at % 2]));
    std::fs::write(folder.join("data.csv"), format!("path,label\n{}", rows.collect::<String>()))
        .unwrap();
    for name in &names {
        std::fs::copy(reference("pillow_resize/2x3.png"), folder.join(name)).unwrap();
    }
    std::fs::write(folder.join("train.txt"), "a.png\nb.png\n").unwrap();
    std::fs::write(folder.join("validation.txt"), "c.png\n").unwrap();
}

pub(crate) fn training_results() -> Seeds {
    texts(&[
        r#"{"name": "a", "fingerprint": "abc", "pictures": [3, 1, 2], "epochs": 2, "best_epoch": 1,
        "accuracy": {"hits": 1, "cases": 2, "share": 0.5, "interval": [0.1, 0.9]}, "trained_numbers": 5, "numbers": 9, "seconds": 1.5, "step_seconds": 0.25}"#,
    ])
}

pub(crate) fn metrics() -> Seeds {
    read([root("models/demo/metrics.json")])
}
