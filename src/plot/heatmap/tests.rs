use super::layout::{Layout, cell_text};
use super::*;
use crate::plot::outline::collect;
use crate::plot::{PRINT_SCALE, text, write};
use proptest::prelude::*;
use resvg::usvg;
use std::collections::HashMap;

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(ToString::to_string).collect()
}

fn two_by_three() -> Heatmap {
    Heatmap {
        title: "Classes & emotions".into(),
        rows: strings(&["Tree", "Person"]),
        columns: strings(&["Joy", "Awe", "Fear"]),
        values: vec![vec![Some(0.0), Some(0.516), None], vec![Some(1.0), Some(0.25), None]],
        value_label: "share".into(),
        column_notes: strings(&["12", "345", "0"]),
        column_notes_label: "images".into(),
        notes: strings(&["Made up."]),
        ..Heatmap::default()
    }
}

#[test]
fn the_svg_of_a_tiny_heatmap() {
    let map = Heatmap {
        title: "A & B".into(),
        rows: strings(&["<Tree>"]),
        columns: strings(&["Joy", "Awe"]),
        values: vec![vec![Some(-0.52), None]],
        range: (-1.0, 1.0),
        value_label: "ρ".into(),
        ..Heatmap::default()
    };
    let svg = map.svg().unwrap();
    // The colour bar's stops are left to the tests of the colours.
    let lines: Vec<&str> = svg.as_str().lines().filter(|line| !line.starts_with("<stop")).collect();
    insta::assert_snapshot!(lines.join("\n"), @r##"
    <svg xmlns="http://www.w3.org/2000/svg" width="202" height="222" viewBox="0 0 202 222">
    <title>A &amp; B</title>
    <rect width="100%" height="100%" fill="#ffffff"/>
    <text id="t0" x="14" y="27.28" font-family="DejaVu Sans" font-size="13" font-weight="bold" text-anchor="start" fill="#000000">A &amp; B</text>
    <g id="rows">
    <text id="t1" x="51.59" y="83.44" font-family="DejaVu Sans" font-size="10" text-anchor="end" fill="#000000">&lt;Tree&gt;</text>
    </g>
    <g id="columns">
    <text id="t2" x="74.17" y="64.8" font-family="DejaVu Sans" font-size="10" text-anchor="start" fill="#000000" transform="rotate(-45 74.17 64.8)">Joy</text>
    <text id="t3" x="104.17" y="64.8" font-family="DejaVu Sans" font-size="10" text-anchor="start" fill="#000000" transform="rotate(-45 104.17 64.8)">Awe</text>
    </g>
    <g id="cells">
    <rect x="57.09" y="70.3" width="29" height="19" fill="#2977a2"/>
    <text id="t4" x="71.59" y="83.08" font-family="DejaVu Sans" font-size="9" text-anchor="middle" fill="#ffffff">−.52</text>
    <rect x="87.09" y="70.3" width="29" height="19" fill="#f4f4f4"/>
    <path d="M87.09 72.8L89.59 70.3M87.09 77.8L94.59 70.3M87.09 82.8L99.59 70.3M87.09 87.8L104.59 70.3M90.59 89.3L109.59 70.3M95.59 89.3L114.59 70.3M100.59 89.3L116.09 73.8M105.59 89.3L116.09 78.8M110.59 89.3L116.09 83.8M115.59 89.3L116.09 88.8" fill="none" stroke="#bcbcbc" stroke-width="0.7"/>
    </g>
    <g id="colour-bar">
    <linearGradient id="values" x1="0" y1="1" x2="0" y2="0">
    </linearGradient>
    <rect x="132.59" y="69.8" width="12" height="110" fill="url(#values)"/>
    <path d="M144.59 179.8L147.59 179.8" fill="none" stroke="#666666" stroke-width="0.8"/>
    <text id="t5" x="149.59" y="183.08" font-family="DejaVu Sans" font-size="9" text-anchor="start" fill="#444444">−1.0</text>
    <path d="M144.59 152.3L147.59 152.3" fill="none" stroke="#666666" stroke-width="0.8"/>
    <text id="t6" x="149.59" y="155.58" font-family="DejaVu Sans" font-size="9" text-anchor="start" fill="#444444">−0.5</text>
    <path d="M144.59 124.8L147.59 124.8" fill="none" stroke="#666666" stroke-width="0.8"/>
    <text id="t7" x="149.59" y="128.08" font-family="DejaVu Sans" font-size="9" text-anchor="start" fill="#444444">0.0</text>
    <path d="M144.59 97.3L147.59 97.3" fill="none" stroke="#666666" stroke-width="0.8"/>
    <text id="t8" x="149.59" y="100.58" font-family="DejaVu Sans" font-size="9" text-anchor="start" fill="#444444">0.5</text>
    <path d="M144.59 69.8L147.59 69.8" fill="none" stroke="#666666" stroke-width="0.8"/>
    <text id="t9" x="149.59" y="73.08" font-family="DejaVu Sans" font-size="9" text-anchor="start" fill="#444444">1.0</text>
    <text id="t10" x="184.95" y="124.8" font-family="DejaVu Sans" font-size="10" text-anchor="middle" fill="#000000" transform="rotate(-90 184.95 124.8)">ρ</text>
    </g>
    <g id="empty">
    <rect x="14" y="196.38" width="18" height="11" fill="#f4f4f4"/>
    <path d="M14 198.88L16.5 196.38M14 203.88L21.5 196.38M15.5 207.38L26.5 196.38M20.5 207.38L31.5 196.38M25.5 207.38L32 200.88M30.5 207.38L32 205.88" fill="none" stroke="#bcbcbc" stroke-width="0.7"/>
    </g>
    <text id="t11" x="38" y="204.98" font-family="DejaVu Sans" font-size="8.5" text-anchor="start" fill="#444444">no data</text>
    </svg>
    "##);
}

#[test]
fn the_png_has_the_cells_colours_and_hatched_empty_cells() {
    let map = two_by_three();
    let layout = Layout::of(&map).unwrap();
    let png = map.svg().unwrap().png(2.0).unwrap();
    let image =
        image::load_from_memory_with_format(&png, image::ImageFormat::Png).unwrap().into_rgb8();
    assert_eq!(
        image.dimensions(),
        (2 * layout.width.ceil() as u32, 2 * layout.height.ceil() as u32)
    );
    assert_eq!(image.get_pixel(0, 0).0, [255; 3]);
    // Beside the number, near the cell's lower left corner.
    let corner = |row, column| {
        let cell = layout.cell(row, column);
        image.get_pixel((2.0 * (cell.x + 2.0)) as u32, (2.0 * (cell.bottom() - 2.0)) as u32).0
    };
    assert_eq!(corner(0, 0), [0xfc, 0xf4, 0xd9]);
    assert_eq!(corner(1, 0), [0x03, 0x13, 0x27]);
    assert_eq!(corner(1, 1), [0x88, 0xc3, 0x69]);
    // An empty cell has its light ground and the darker lines across it, and no number.
    let cell = layout.cell(0, 2);
    let middle = (2.0 * (cell.y + cell.height / 2.0)) as u32;
    let across: Vec<u8> = ((2.0 * cell.x) as u32 + 2..(2.0 * cell.right()) as u32 - 2)
        .map(|x| image.get_pixel(x, middle).0[0])
        .collect();
    assert!(across.contains(&EMPTY[0]), "{across:?}");
    assert!(
        across.windows(3).filter(|w| w[1] < 0xd8 && w[1] <= w[0] && w[1] < w[2]).count() >= 4,
        "{across:?}"
    );
    assert!(across.iter().all(|&level| level > 0xa0), "{across:?}");
}

#[test]
fn the_png_records_its_resolution() {
    let png = two_by_three().svg().unwrap().png(PRINT_SCALE).unwrap();
    let start = png.windows(4).position(|name| name == b"pHYs").unwrap() + 4;
    // 300 dots an inch are 11,811 a metre.
    assert_eq!(png[start..start + 9], [0, 0, 0x2e, 0x23, 0, 0, 0x2e, 0x23, 1]);
}

#[test]
fn outlines_draw_the_same_picture_without_any_font() {
    let mut map = two_by_three();
    map.rows[0] = "Ελληνικά Ж 漢 & <b> \"q\"".into();
    let svg = map.svg().unwrap();
    let outlined = svg.outlined().unwrap();
    assert!(!outlined.contains("<text") && !outlined.contains("font-family"));
    assert!(outlined.contains(r#"aria-label="Ελληνικά Ж 漢 &amp; &lt;b&gt; &quot;q&quot;""#));
    let [a, b] = [svg.as_str(), &outlined].map(|markup| {
        let mut pixels =
            resvg::tiny_skia::Pixmap::new(2 * svg.width as u32, 2 * svg.height as u32).unwrap();
        // No fonts in these options.
        let tree = match markup.contains("<text") {
            true => text::parse(markup).unwrap(),
            false => usvg::Tree::from_str(markup, &usvg::Options::default()).unwrap(),
        };
        resvg::render(
            &tree,
            resvg::tiny_skia::Transform::from_scale(2.0, 2.0),
            &mut pixels.as_mut(),
        );
        pixels
    });
    let differences: Vec<u64> =
        a.data().iter().zip(b.data()).map(|(a, b)| u64::from(a.abs_diff(*b))).collect();
    let mean = differences.iter().sum::<u64>() as f64 / differences.len() as f64;
    // Coordinates are rounded to a hundredth of a pixel, which can move an edge over one of a
    // pixel's four sample rows.
    assert!(
        differences.iter().all(|&d| d <= 64) && mean < 0.05,
        "mean {mean}, max {:?}",
        differences.iter().max()
    );
}

#[test]
fn both_files_are_written_and_the_same_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for name in ["a", "b"] {
        let svg = two_by_three().svg().unwrap();
        write(&svg, &path(&format!("{name}.png")), &path(&format!("{name}.svg"))).unwrap();
    }
    for kind in ["png", "svg"] {
        let [a, b] = ["a", "b"].map(|name| std::fs::read(path(&format!("{name}.{kind}"))).unwrap());
        assert!(!a.is_empty() && a == b, "{kind}");
    }
}

#[test]
fn what_cannot_be_drawn_is_refused() {
    let refused = |change: fn(&mut Heatmap)| {
        let mut map = two_by_three();
        change(&mut map);
        match map.svg() {
            Err(Error::Figure(message)) => message,
            other => panic!("{other:?}"),
        }
    };
    let message = refused(|map| map.values[1][0] = Some(f64::NAN));
    assert!(message.contains("row `Person`, column `Joy` is NaN"), "{message}");
    refused(|map| map.values[0][1] = Some(f64::INFINITY));
    refused(|map| map.values[0][1] = Some(1.01));
    refused(|map| map.values[0][1] = Some(-0.01));
    refused(|map| map.range = (0.0, f64::NAN));
    refused(|map| map.range = (f64::NEG_INFINITY, 1.0));
    refused(|map| map.range = (-f64::MAX, f64::MAX));
    refused(|map| map.range = (1.0, 1.0));
    refused(|map| map.rows.clear());
    refused(|map| map.columns.clear());
    refused(|map| map.values.truncate(1));
    refused(|map| map.values[1].truncate(2));
    refused(|map| map.column_notes.truncate(2));
    for scale in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e4] {
        assert!(
            matches!(two_by_three().svg().unwrap().png(scale), Err(Error::Figure(_))),
            "{scale}"
        );
    }
    // One part in a million is rounding.
    let mut map = two_by_three();
    map.values[0][1] = Some(1.0 + f64::EPSILON);
    map.svg().unwrap();
}

#[test]
fn numbers_in_cells_are_short() {
    let texts =
        [0.0, 0.516, 0.994, 0.996, 1.0, -0.124, -0.001, -1.0, 12.34, 123_456.0].map(cell_text);
    assert_eq!(texts, [".00", ".52", ".99", "1.0", "1.0", "−.12", ".00", "−1.0", "12.3", "1.2e5"]);
}

#[test]
fn ticks_are_round_numbers_within_the_range() {
    let labels = |range| {
        let mut map = two_by_three();
        (map.range, map.values) = (range, vec![vec![None; 3]; 2]);
        let ticks = Layout::of(&map).unwrap().ticks;
        assert!(ticks.iter().all(|(value, _)| (range.0..=range.1).contains(value)), "{ticks:?}");
        ticks.into_iter().map(|(_, label)| label).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(labels((0.0, 1.0)), "0.0 0.2 0.4 0.6 0.8 1.0");
    assert_eq!(labels((-1.0, 1.0)), "−1.0 −0.5 0.0 0.5 1.0");
    assert_eq!(labels((0.0, 0.37)), "0.0 0.1 0.2 0.3");
    assert_eq!(labels((3.0, 250.0)), "50 100 150 200 250");
    assert_eq!(labels((0.0, 1e-9)), "0.0e0 2.0e−10 4.0e−10 6.0e−10 8.0e−10 1.0e−9");
}

#[test]
fn the_legend_of_empty_cells_appears_only_with_them() {
    let mut map = two_by_three();
    assert!(map.svg().unwrap().as_str().contains("no data"));
    map.values = vec![vec![Some(0.5); 3]; 2];
    assert!(!map.svg().unwrap().as_str().contains("no data"));
}

/// The corners of every text's box, in order around it, as the renderer sees them.
fn boxes(svg: &Svg) -> Vec<(String, [(f64, f64); 4])> {
    let tree = text::parse(svg.as_str()).unwrap();
    let mut texts = HashMap::new();
    collect(tree.root(), &mut texts);
    let corners = |text: &usvg::Text| {
        let area = text.bounding_box();
        [
            (area.left(), area.top()),
            (area.right(), area.top()),
            (area.right(), area.bottom()),
            (area.left(), area.bottom()),
        ]
        .map(|(x, y)| {
            let mut point = resvg::tiny_skia::Point::from_xy(x, y);
            text.abs_transform().map_point(&mut point);
            (f64::from(point.x), f64::from(point.y))
        })
    };
    texts.values().map(|text| (text.chunks()[0].text().to_string(), corners(text))).collect()
}

/// Whether two rectangles at any angle share more than a twentieth of a pixel: no edge of either
/// separates them.
fn overlap(a: &[(f64, f64); 4], b: &[(f64, f64); 4]) -> bool {
    let separated = |(from, to): ((f64, f64), (f64, f64))| {
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let length = dx.hypot(dy);
        let extent = |corners: &[(f64, f64); 4]| {
            let along = corners.map(|(x, y)| (x * dx + y * dy) / length);
            (along.into_iter().fold(f64::MAX, f64::min), along.into_iter().fold(f64::MIN, f64::max))
        };
        let (a, b) = (extent(a), extent(b));
        length > 0.0 && (a.1 < b.0 + 0.05 || b.1 < a.0 + 0.05)
    };
    ![(a[0], a[1]), (a[1], a[2]), (b[0], b[1]), (b[1], b[2])].into_iter().any(separated)
}

/// Some empty, some of a few words, some of many letters of several scripts, some of anything.
fn label() -> impl Strategy<Value = String> {
    prop_oneof![
        1 => Just(String::new()),
        4 => "[A-Z][a-z]{2,9}( [A-Z][a-z]{2,9})?",
        2 => "[A-Za-zΑ-ωА-я&<>\" ]{30,90}",
        1 => any::<String>(),
    ]
}

fn heatmap() -> impl Strategy<Value = Heatmap> {
    let labels = |n: usize| prop::collection::vec(label(), n);
    (1_usize..5, 1_usize..9, any::<bool>(), any::<bool>()).prop_flat_map(
        move |(rows, columns, footer, diverging)| {
            let value = prop::option::weighted(0.8, if diverging { -1.0..=1.0 } else { 0.0..=1.0 });
            let values = prop::collection::vec(prop::collection::vec(value, columns), rows);
            let note = if footer { columns } else { 0 };
            (
                (labels(rows), labels(columns), labels(note), labels(3)),
                label(),
                label(),
                label(),
                values,
            )
                .prop_map(
                    move |(
                        (rows, columns, column_notes, notes),
                        title,
                        value_label,
                        column_notes_label,
                        values,
                    )| Heatmap {
                        subtitle: notes.first().cloned(),
                        range: (if diverging { -1.0 } else { 0.0 }, 1.0),
                        ..Heatmap {
                            title,
                            rows,
                            columns,
                            values,
                            value_label,
                            column_notes,
                            column_notes_label,
                            notes,
                            ..Heatmap::default()
                        }
                    },
                )
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn no_text_leaves_the_paper_or_meets_another(map in heatmap()) {
        let svg = map.svg().unwrap();
        let boxes = boxes(&svg);
        for (i, (content, corners)) in boxes.iter().enumerate() {
            for (x, y) in corners {
                prop_assert!((0.0..=svg.width).contains(x) && (0.0..=svg.height).contains(y),
                    "`{}` {:?}", content, corners);
            }
            for (other, others) in &boxes[..i] {
                prop_assert!(!overlap(corners, others), "`{}` {:?} on `{}` {:?}", content, corners, other, others);
            }
        }
        prop_assert!(usvg::Tree::from_str(&svg.outlined().unwrap(), &usvg::Options::default()).is_ok());
    }
}
