//! A corpus of small pictures, miniature networks, and the command line that runs them.

use assert_cmd::assert::OutputAssertExt;
use emocam::run::journal::Sealer;
use emocam::run::record::RunRecord;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// The binary, with an empty models folder and no network.
pub(crate) fn emocam() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_emocam"));
    command.env("EMOCAM_MODELS", "/no/such/models").env("HOME", "/no/such/home");
    // Tests share few cores with each other: threads that wait by spinning would make them ten
    // times slower.
    command.env("OMP_WAIT_POLICY", "passive").env_remove("OMP_NUM_THREADS");
    for proxy in
        ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"]
    {
        command.env_remove(proxy);
    }
    command
}

/// What a command wrote.
pub(crate) struct Said {
    pub out: String,
    pub err: String,
}

/// Runs `command` to its end, which must have this exit status.
pub(crate) fn ends(command: &mut Command, status: i32) -> Said {
    let assert = command.assert().code(status);
    let output = assert.get_output();
    let [out, err] =
        [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    assert!(!err.contains("panicked"), "{err}");
    Said { out, err }
}

/// Runs `command`, which must be refused with all of `phrases` on stderr and nothing on stdout.
pub(crate) fn refused(command: &mut Command, phrases: &[&str]) {
    let said = ends(command, 2);
    assert_eq!(said.out, "", "{}", said.err);
    let plain = said.err.split_whitespace().collect::<Vec<_>>().join(" ");
    for phrase in phrases {
        assert!(plain.contains(phrase), "no \"{phrase}\" in: {}", said.err);
    }
}

/// A temporary folder with the pictures in `photos` and the class names.
pub(crate) struct Corpus {
    folder: TempDir,
}

impl Corpus {
    /// No pictures.
    pub(crate) fn empty() -> Self {
        let corpus = Self { folder: tempfile::tempdir().unwrap() };
        corpus.write("four.names", "Cat\nOwl\n\"Big\", bad dog\nTin\n");
        corpus.write("photos/notes.txt", "no picture");
        corpus
    }

    /// Fifteen committed pictures of different shapes and formats in two folders; `picture_0.png`
    /// is in both, not the same.
    pub(crate) fn small() -> Self {
        let corpus = Self::empty();
        for at in 0..8 {
            corpus.add(&format!("a/picture_{at}.png"), &format!("emonet/picture_{at}.png"));
        }
        corpus.add("b/picture_0.png", "emonet/picture_1.png");
        for name in
            ["113x1.png", "37x211.png", "420.jpg", "17x33.jpg", "cmyk.jpg", "orientation_6.jpg"]
        {
            corpus.add(&format!("b/{name}"), &format!("pillow_resize/{name}"));
        }
        corpus
    }

    /// `count` different small pictures, `0000.png` and so on.
    pub(crate) fn of(count: u32) -> Self {
        let corpus = Self::empty();
        for number in 0..count {
            let (width, height) = (24 + number % 7, 17 + number % 5);
            let pixel = |x: u32, y: u32| {
                let wave = (x * (number % 11 + 1) + y * (number % 13 + 3)) % 256;
                image::Rgb([wave as u8, (number * 37 % 256) as u8, (255 - 9 * y) as u8])
            };
            let picture = image::RgbImage::from_fn(width, height, pixel);
            picture.save(corpus.path(&format!("photos/{number:04}.png"))).unwrap();
        }
        corpus
    }

    /// A path below the temporary folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file below the temporary folder.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// Copies a file below `tests/reference` to `photos`.
    pub(crate) fn add(&self, name: &str, reference: &str) {
        self.write(&format!("photos/{name}"), std::fs::read(super::reference(reference)).unwrap());
    }

    /// `emocam analyze` with the miniature networks on the CPU, in the temporary folder; without a
    /// corpus.
    pub(crate) fn networks(&self) -> Command {
        self.networks_but(&[])
    }

    /// [`Corpus::networks`] with other values for some flags; an empty one leaves the flag out.
    pub(crate) fn networks_but(&self, others: &[(&str, &str)]) -> Command {
        self.command("analyze", others)
    }

    /// `emocam explain` with the miniature networks; without photos.
    pub(crate) fn explain(&self) -> Command {
        self.command("explain", &[])
    }

    /// A command over pictures with the miniature networks, or others for some flags; an empty one
    /// leaves the flag out.
    pub(crate) fn command(&self, subcommand: &str, others: &[(&str, &str)]) -> Command {
        let mut command = emocam();
        command.current_dir(self.folder.path()).arg(subcommand);
        let files = [
            ("--device", PathBuf::from("cpu")),
            ("--detector", super::reference("darknet/yolov3.cfg")),
            ("--detector-weights", super::reference("darknet/yolov3.weights")),
            ("--class-names", self.path("four.names")),
            ("--emotion-weights", super::reference("emonet/narrow_ecco.pt")),
        ];
        for (flag, file) in files {
            match others.iter().find(|(other, _)| *other == flag) {
                Some((_, "")) => {}
                Some((_, name)) => {
                    command.args([flag, name]);
                }
                None => {
                    command.arg(flag).arg(file);
                }
            }
        }
        command
    }

    /// `emocam analyze photos --out RUN` with the miniature networks.
    pub(crate) fn analyze(&self, run: &str) -> Command {
        let mut command = self.networks();
        command.args(["photos", "--out", run]);
        command
    }

    /// A run of [`Corpus::analyze`] in which every picture is done.
    pub(crate) fn analyzed(&self, run: &str) -> Run {
        ends(&mut self.analyze(run), 0);
        self.run(run)
    }

    /// The file of this name that `emocam explain` wrote, in whichever folder below `explained`.
    pub(crate) fn explained(&self, name: &str) -> String {
        let files = files_below(&self.path("explained"));
        let found = files
            .iter()
            .find(|file| file.ends_with(name))
            .unwrap_or_else(|| panic!("no {name} in {files:?}"));
        std::fs::read_to_string(self.path("explained").join(found)).unwrap()
    }

    /// A run directory.
    pub(crate) fn run(&self, run: &str) -> Run {
        Run { folder: self.path(run) }
    }
}

/// A run directory.
#[derive(Clone)]
pub(crate) struct Run {
    pub folder: PathBuf,
}

impl Run {
    /// A file of it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Every file, as `/`-separated paths in byte order.
    pub(crate) fn files(&self) -> Vec<String> {
        files_below(&self.folder)
    }

    /// Name and bytes of every CSV.
    pub(crate) fn tables(&self) -> BTreeMap<String, Vec<u8>> {
        let tables = self.files().into_iter().filter(|name| name.ends_with(".csv"));
        tables.map(|name| (name.clone(), std::fs::read(self.path(&name)).unwrap())).collect()
    }

    /// `run.json`.
    pub(crate) fn manifest(&self) -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(self.path("run.json")).unwrap()).unwrap()
    }

    /// A table.
    pub(crate) fn table(&self, name: &str) -> Table {
        Table::read(&self.path(name))
    }

    /// The records, as emocam reads them.
    pub(crate) fn records<R: RunRecord>(&self) -> Vec<R> {
        let mut records = Vec::new();
        let keep = |record| {
            records.push(record);
            Ok(())
        };
        emocam::run::Run::open(&self.folder).unwrap().for_each_record_of(keep).unwrap();
        records
    }

    /// Writes `records.jsonl` of these lines, with the checksums that belong to them, as if a pass
    /// had ended with them.
    pub(crate) fn reseal(&self, lines: &[u8]) {
        std::fs::write(self.path("records.jsonl"), sealed(lines)).unwrap();
        self.expect_records(lines.iter().filter(|&&byte| byte == b'\n').count());
    }

    /// Makes `run.json` say that there are so many records, whatever their checksum.
    pub(crate) fn expect_records(&self, count: usize) {
        let mut manifest = self.manifest();
        manifest["outcome"]["done"] = count.into();
        manifest["outcome"].as_object_mut().unwrap().remove("checksum");
        std::fs::write(self.path("run.json"), manifest.to_string()).unwrap();
    }

    /// Makes `run.json` say that the pass has not come to its end.
    pub(crate) fn unfinish(&self) {
        let mut manifest = self.manifest();
        manifest["complete"] = false.into();
        manifest.as_object_mut().unwrap().remove("outcome");
        std::fs::write(self.path("run.json"), manifest.to_string()).unwrap();
    }
}

/// Lines of a `records.jsonl` with the checksums that belong to them.
pub(crate) fn sealed(lines: &[u8]) -> Vec<u8> {
    let (mut sealer, mut sealed) = (Sealer::default(), Vec::new());
    lines.split_inclusive(|&byte| byte == b'\n').for_each(|line| sealer.seal(line, &mut sealed));
    sealed
}

/// Every file below `folder`, as `/`-separated paths in byte order, but for the marks of folders
/// that emocam made.
pub(crate) fn files_below(folder: &Path) -> Vec<String> {
    let mut files: Vec<String> = walkdir::WalkDir::new(folder)
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| entry.path().strip_prefix(folder).unwrap().to_str().unwrap().to_string())
        .filter(|name| {
            ![emocam::corpus::FIGURES, ".emocam-made"].iter().any(|mark| name.ends_with(mark))
        })
        .collect();
    files.sort();
    files
}

/// Asserts that a picture's regions have the record's scores on its own map, as it was kept, which
/// is what levels of chance stand beside; how many scores were compared.
pub(crate) fn assert_scored_on_kept_maps(run: &Run) -> usize {
    let run = emocam::run::Run::open(&run.folder).unwrap();
    let mut scored = 0;
    run.for_each_record(|record| {
        for method in 0..record.maps.len() {
            let again = emocam::associate::scores_from_kept_map(&run, &record, method)?;
            let map = &record.maps[method];
            assert_eq!(again.len(), map.scores.len());
            for (at, found) in again.iter().enumerate() {
                let expected = map.score(at);
                for (found, expected) in [(found.mean, expected.mean), (found.max, expected.max)] {
                    assert!((found - expected).abs() < 1e-5, "{}", record.path);
                }
                scored += 1;
            }
        }
        Ok(())
    })
    .unwrap();
    scored
}

/// Asserts that two runs have the same CSVs, byte for byte, and at least five of them.
pub(crate) fn assert_same_tables(a: &Run, b: &Run) {
    let (left, right) = (a.tables(), b.tables());
    assert_eq!(left.keys().collect::<Vec<_>>(), right.keys().collect::<Vec<_>>());
    assert!(left.len() >= 5, "{:?}", left.keys());
    for (name, bytes) in left {
        // Not assert_eq!: a difference would print both tables.
        assert!(
            bytes == right[&name],
            "{name} differs between {} and {}",
            a.folder.display(),
            b.folder.display()
        );
    }
}

/// Asserts that a run and one merged from shards are the same, byte for byte but for times and the
/// shards' names.
pub(crate) fn assert_same_runs(whole: &Run, merged: &Run) {
    assert_eq!(whole.files(), merged.files());
    for name in whole.files().into_iter().filter(|name| name != "run.json") {
        let [left, right] = [whole, merged].map(|run| std::fs::read(run.path(&name)).unwrap());
        assert!(
            left == right,
            "{name} differs between {} and {}",
            whole.folder.display(),
            merged.folder.display()
        );
    }
    let facts = |run: &Run| {
        let mut manifest = run.manifest();
        manifest.as_object_mut().unwrap().remove("merged");
        manifest["outcome"].as_object_mut().unwrap().remove("timings");
        manifest
    };
    assert_eq!(facts(whole), facts(merged));
}

/// A CSV file.
pub(crate) struct Table {
    pub header: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// Reads a file whose rows all have as many cells as its header.
    pub(crate) fn read(path: &Path) -> Self {
        let mut reader = csv::Reader::from_path(path).unwrap();
        let cells =
            |record: &csv::StringRecord| record.iter().map(String::from).collect::<Vec<_>>();
        let header = cells(reader.headers().unwrap());
        Self { header, rows: reader.records().map(|record| cells(&record.unwrap())).collect() }
    }

    /// Where a column is.
    pub(crate) fn at(&self, column: &str) -> usize {
        self.header.iter().position(|name| name == column).unwrap()
    }

    /// Of `objects.csv`: the columns of importances.
    pub(crate) fn methods(&self) -> &[String] {
        &self.header[8..self.at("extent_x_min")]
    }

    /// The cells of a column.
    pub(crate) fn column(&self, column: &str) -> Vec<&str> {
        let at = self.at(column);
        self.rows.iter().map(|row| row[at].as_str()).collect()
    }
}

/// Counts of a run's images and of those in which a class is important by `method`, again and from
/// its tables alone: (label -> images, (class, label) -> images).
pub(crate) fn recount(
    run: &Run,
    method: &str,
    important: impl Fn(f64, f64) -> bool,
) -> (BTreeMap<String, u64>, Cells) {
    let images = run.table("images.csv");
    let mut of_label = BTreeMap::new();
    for label in images.column("label") {
        *of_label.entry(label.to_string()).or_default() += 1;
    }
    let objects = run.table("objects.csv");
    let [path, label, class, confidence, score] =
        ["path", "label", "class", "confidence", method].map(|name| objects.at(name));
    let mut seen = std::collections::BTreeSet::new();
    for row in &objects.rows {
        if important(row[score].parse().unwrap(), row[confidence].parse().unwrap()) {
            seen.insert((&row[class], &row[label], &row[path]));
        }
    }
    let mut cells = Cells::new();
    for (class, label, _) in seen {
        *cells.entry((class.clone(), label.clone())).or_default() += 1;
    }
    (of_label, cells)
}

/// (class, label) -> images.
pub(crate) type Cells = BTreeMap<(String, String), u64>;

/// Asserts that `counts.csv` and `association.csv` in `folder` say what [`recount`] does.
pub(crate) fn assert_counts(folder: &Path, (of_label, cells): &(BTreeMap<String, u64>, Cells)) {
    let counts = Table::read(&folder.join("counts.csv"));
    let association = Table::read(&folder.join("association.csv"));
    assert_eq!(counts.header, association.header);
    assert_eq!(counts.rows.len(), association.rows.len() + 1);
    let (images, rows) = counts.rows.split_last().unwrap();
    assert_eq!(images[0], "images");
    for (at, label) in counts.header.iter().enumerate().skip(1) {
        let c = of_label.get(label).copied().unwrap_or(0);
        assert_eq!(images[at], c.to_string(), "images of {label}");
        for (row, shares) in rows.iter().zip(&association.rows) {
            assert_eq!(row[0], shares[0]);
            let a = cells.get(&(row[0].clone(), label.clone())).copied().unwrap_or(0);
            assert_eq!(row[at], a.to_string(), "{}, {label}", row[0]);
            match c {
                0 => assert_eq!(shares[at], "", "{}, {label}", row[0]),
                _ => approx::assert_abs_diff_eq!(
                    shares[at].parse::<f64>().unwrap(),
                    a as f64 / c as f64,
                    epsilon = 1e-12
                ),
            }
        }
    }
    let total: u64 =
        rows.iter().flat_map(|row| &row[1..]).map(|cell| cell.parse::<u64>().unwrap()).sum();
    assert_eq!(
        total,
        cells.values().sum::<u64>(),
        "a class of objects.csv is no row of counts.csv"
    );
}
