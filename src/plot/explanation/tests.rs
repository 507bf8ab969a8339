use super::*;
use crate::plot::outline::collect;
use crate::plot::{text, write_scaled};
use proptest::prelude::*;
use resvg::usvg;
use std::collections::HashMap;

const MAP: [f32; 6] = [0.0, 0.5, 1.0, 0.0, 0.5, 1.0];

/// 40 x 30, red to the right and blue below.
fn photo() -> Rgb8 {
    let pixels =
        (0..30).flat_map(|y| (0..40).flat_map(move |x| [(6 * x) as u8, 60, (8 * y) as u8]));
    Rgb8::new(Size::new(40, 30), pixels.collect())
}

fn object(class: &str, confidence: f64, area: [f32; 4]) -> OutlinedObject {
    OutlinedObject { class: class.into(), confidence, area: area.into(), outline: Vec::new() }
}

fn method<'a>(name: &str, map: &'a [f32]) -> MethodMap<'a> {
    let ranked = vec![
        Ranked { object: 1, score: 0.78, counts: true },
        Ranked { object: 0, score: 0.1, counts: false },
    ];
    MethodMap {
        name: name.into(),
        note: "of the logit".into(),
        size: Size::new(3, 2),
        map,
        signed: None,
        flat: false,
        ranked,
    }
}

fn explanation(photo: &Rgb8) -> Explanation<'_> {
    let answer = |(label, probability): (&str, f64)| Answer { label: label.into(), probability };
    Explanation {
        title: "a & <b>.jpg".into(),
        photo,
        answers: [("Awe", 0.1), ("Joy", 0.7), ("Fear", 0.2)].into_iter().map(answer).collect(),
        answer: None,
        predicted: 1,
        explained: 1,
        dimensions: vec![Dimension {
            name: "valence".into(),
            value: 3.0,
            lower: (2.0, "Fear".into()),
            upper: (4.0, "Joy".into()),
        }],
        objects: vec![
            object("Tree", 0.9, [0.0, 0.0, 20.0, 30.0]),
            object("Dog & cat", 0.5, [20.0, 12.0, 36.0, 27.0]),
        ],
        methods: vec![method("grad-cam", &MAP)],
        values: Vec::new(),
        boxes: 5,
        colours: Colours::Uniform,
        notes: vec!["Made up.".into()],
    }
}

fn decoded(svg: &Svg) -> image::RgbImage {
    let png = svg.png(PHOTO_SCALE).unwrap();
    image::load_from_memory_with_format(&png, image::ImageFormat::Png).unwrap().into_rgb8()
}

#[test]
fn the_svg_of_a_small_figure() {
    let photo = photo();
    let svg = explanation(&photo).svg().unwrap();
    // Pixels and the colour bar's stops are left to their own tests.
    let cut = |line: &str| match line.split_once(";base64,") {
        Some((start, _)) => format!("{start}..."),
        None => line.to_string(),
    };
    let lines: Vec<String> =
        svg.as_str().lines().filter(|line| !line.starts_with("<stop")).map(cut).collect();
    insta::assert_snapshot!(lines.join("\n"), @r##"
    <svg xmlns="http://www.w3.org/2000/svg" width="844" height="518" viewBox="0 0 844 518">
    <title>a &amp; &lt;b&gt;.jpg</title>
    <rect width="100%" height="100%" fill="#ffffff"/>
    <g id="header">
    <text id="t0" x="14" y="27.28" font-family="DejaVu Sans" font-size="13" font-weight="bold" text-anchor="start" fill="#000000">a &amp; &lt;b&gt;.jpg</text>
    <text id="t1" x="14" y="42.27" font-family="DejaVu Sans" font-size="10.5" text-anchor="start" fill="#444444">predicted and explained: Joy, 70.0 %</text>
    <rect x="44.89" y="54.73" width="239.11" height="9" fill="#e9e9e9"/>
    <rect x="44.89" y="54.73" width="167.38" height="9" fill="#000000"/>
    <text id="t2" x="38.89" y="62.87" font-family="DejaVu Sans" font-size="10" font-weight="bold" text-anchor="end" fill="#000000">Joy</text>
    <text id="t3" x="334" y="62.87" font-family="DejaVu Sans" font-size="10" font-weight="bold" text-anchor="end" fill="#000000">70.0 %</text>
    <rect x="44.89" y="69.72" width="239.11" height="9" fill="#e9e9e9"/>
    <rect x="44.89" y="69.72" width="47.82" height="9" fill="#9a9a9a"/>
    <text id="t4" x="38.89" y="77.87" font-family="DejaVu Sans" font-size="10" text-anchor="end" fill="#000000">Fear</text>
    <text id="t5" x="334" y="77.87" font-family="DejaVu Sans" font-size="10" text-anchor="end" fill="#000000">20.0 %</text>
    <rect x="44.89" y="84.72" width="239.11" height="9" fill="#e9e9e9"/>
    <rect x="44.89" y="84.72" width="23.91" height="9" fill="#9a9a9a"/>
    <text id="t6" x="38.89" y="92.87" font-family="DejaVu Sans" font-size="10" text-anchor="end" fill="#000000">Awe</text>
    <text id="t7" x="334" y="92.87" font-family="DejaVu Sans" font-size="10" text-anchor="end" fill="#000000">10.0 %</text>
    <path d="M423.31 59.23L651.33 59.23" fill="none" stroke="#666666" stroke-width="1"/>
    <path d="M423.31 55.23L423.31 63.23" fill="none" stroke="#666666" stroke-width="1"/>
    <path d="M651.33 55.23L651.33 63.23" fill="none" stroke="#666666" stroke-width="1"/>
    <rect x="535.32" y="53.23" width="4" height="12" fill="#000000"/>
    <text id="t8" x="368" y="62.87" font-family="DejaVu Sans" font-size="10" font-weight="bold" text-anchor="start" fill="#000000">valence</text>
    <text id="t9" x="663.33" y="62.87" font-family="DejaVu Sans" font-size="10" font-weight="bold" text-anchor="start" fill="#000000">3.00</text>
    <text id="t10" x="423.31" y="76.09" font-family="DejaVu Sans" font-size="8.5" text-anchor="start" fill="#444444">2.00 Fear</text>
    <text id="t11" x="651.33" y="76.09" font-family="DejaVu Sans" font-size="8.5" text-anchor="end" fill="#444444">4.00 Joy</text>
    </g>
    <g id="panel-0">
    <text id="t12" x="14" y="122.75" font-family="DejaVu Sans" font-size="10.5" font-weight="bold" text-anchor="start" fill="#000000">photo</text>
    <text id="t13" x="54.44" y="122.75" font-family="DejaVu Sans" font-size="8.5" text-anchor="start" fill="#444444">2 detections</text>
    <image xmlns:xlink="http://www.w3.org/1999/xlink" x="14" y="132" width="400" height="300" preserveAspectRatio="none" xlink:href="data:image/jpeg...
    <rect x="214" y="252" width="160" height="150" fill="none" stroke="#000000" stroke-width="3"/>
    <rect x="214" y="252" width="160" height="150" fill="none" stroke="#e69f00" stroke-width="1.5"/>
    <rect x="15.5" y="133.5" width="198.5" height="297" fill="none" stroke="#000000" stroke-width="3"/>
    <rect x="15.5" y="133.5" width="198.5" height="297" fill="none" stroke="#56b4e9" stroke-width="1.5"/>
    <rect x="214" y="239" width="73.78" height="13" fill="#e69f00"/>
    <text id="t14" x="217" y="248.78" font-family="DejaVu Sans" font-size="9" text-anchor="start" fill="#000000">Dog &amp; cat 0.50</text>
    <rect x="15.5" y="133.5" width="47.65" height="13" fill="#56b4e9"/>
    <text id="t15" x="18.5" y="143.28" font-family="DejaVu Sans" font-size="9" text-anchor="start" fill="#000000">Tree 0.90</text>
    </g>
    <g id="panel-1">
    <text id="t16" x="430" y="122.75" font-family="DejaVu Sans" font-size="10.5" font-weight="bold" text-anchor="start" fill="#000000">grad-cam</text>
    <text id="t17" x="491.9" y="122.75" font-family="DejaVu Sans" font-size="8.5" text-anchor="start" fill="#444444">of the logit</text>
    <image xmlns:xlink="http://www.w3.org/1999/xlink" x="430" y="132" width="400" height="300" preserveAspectRatio="none" xlink:href="data:image/jpeg...
    <rect x="431.5" y="133.5" width="198.5" height="297" fill="none" stroke="#000000" stroke-width="3" stroke-dasharray="5 3"/>
    <rect x="431.5" y="133.5" width="198.5" height="297" fill="none" stroke="#56b4e9" stroke-width="1.5" stroke-dasharray="5 3"/>
    <rect x="630" y="252" width="160" height="150" fill="none" stroke="#000000" stroke-width="3"/>
    <rect x="630" y="252" width="160" height="150" fill="none" stroke="#e69f00" stroke-width="1.5"/>
    <rect x="431.5" y="133.5" width="47.65" height="13" fill="#56b4e9"/>
    <text id="t18" x="434.5" y="143.28" font-family="DejaVu Sans" font-size="9" text-anchor="start" fill="#000000">Tree 0.10</text>
    <rect x="630" y="239" width="73.78" height="13" fill="#e69f00"/>
    <text id="t19" x="633" y="248.78" font-family="DejaVu Sans" font-size="9" text-anchor="start" fill="#000000">Dog &amp; cat 0.78</text>
    </g>
    <g id="footer">
    <linearGradient id="uniform" x1="0" y1="0" x2="1" y2="0">
    </linearGradient>
    <rect x="14" y="459.48" width="200" height="10" fill="url(#uniform)"/>
    <text id="t20" x="14" y="455.89" font-family="DejaVu Sans" font-size="8.5" text-anchor="start" fill="#444444">inferno over the photo in grey</text>
    <text id="t21" x="14" y="480.36" font-family="DejaVu Sans" font-size="8.5" text-anchor="start" fill="#444444">0</text>
    <text id="t22" x="114" y="480.36" font-family="DejaVu Sans" font-size="8.5" text-anchor="middle" fill="#444444">0.5</text>
    <text id="t23" x="214" y="480.36" font-family="DejaVu Sans" font-size="8.5" text-anchor="end" fill="#444444">1</text>
    <path d="M14 469.48L14 472.48" fill="none" stroke="#666666" stroke-width="0.8"/>
    <path d="M114 469.48L114 472.48" fill="none" stroke="#666666" stroke-width="0.8"/>
    <path d="M214 469.48L214 472.48" fill="none" stroke="#666666" stroke-width="0.8"/>
    <text id="t24" x="14" y="500.63" font-family="DejaVu Sans" font-size="8.5" text-anchor="start" fill="#444444">Made up.</text>
    </g>
    </svg>
    "##);
}

#[test]
fn the_png_has_the_photo_and_the_map_laid_over_it_in_grey() {
    let photo = photo();
    let explanation = explanation(&photo);
    let grid = grid::Grid::of(photo.size(), 2, 1);
    let image = decoded(&explanation.svg().unwrap());
    // The header's height is the first snapshot's business: the panels begin below it.
    let header = header::Header::of(&explanation, MARGIN, grid.width()).unwrap();
    let top = 2 * ((header.bottom + BLOCK).ceil() as u32 + 19);
    let panel = |at: usize| grid.photo(at, 0).x as u32 * 2;
    let close = |at: (u32, u32), expected: [u8; 3]| {
        let found = image.get_pixel(at.0, at.1).0;
        assert!(
            found.iter().zip(expected).all(|(a, b)| a.abs_diff(b) <= 6),
            "{found:?} for {expected:?} at {at:?}"
        );
    };
    // At 3/4 of the width and 1/6 of the height, away from the frames: pixel (30, 5) of the photo.
    let (x, y) = (2 * 300 + 10, 2 * 50 + 10);
    close((panel(0) + x, top + y), photo.pixel(30, 5));
    // There the map is at (305 / 400) * 3 - 1/2 = 1.7875 of 0, 0.5, 1.
    let luma = 0.299 * 180.0 + 0.587 * 60.0 + 0.114 * 40.0;
    let blend = crate::plot::colour::inferno(0.89375)
        .map(|c| (0.62 * f64::from(c) + 0.38 * luma).round() as u8);
    close((panel(1) + x, top + y), blend);
}

#[test]
fn a_flat_map_says_so_and_has_neither_colours_nor_boxes() {
    let photo = photo();
    let zeros = [0.0; 6];
    let mut explanation = explanation(&photo);
    explanation.methods = vec![MethodMap { flat: true, ..method("grad-cam", &zeros) }];
    explanation.colours = Colours::Both;
    let svg = explanation.svg().unwrap();
    let panel =
        svg.as_str().split(r#"<g id="panel-1">"#).nth(1).unwrap().split("</g>").next().unwrap();
    assert_eq!(panel.matches("no positive evidence").count(), 2);
    assert!(
        !panel.contains("0.78") && !panel.contains(r#"fill="none" stroke"#),
        "a box in the panel"
    );
    // Both pictures are the photo in grey.
    let uris: Vec<&str> =
        panel.split("xlink:href=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert_eq!(uris.len(), 2);
    let grey = overlay::grey(&overlay::panel_pixels(&photo, (400.0, 300.0)));
    assert!(uris.iter().all(|uri| *uri == data_uri(&grey).unwrap()));
}

#[test]
fn both_colours_make_a_second_row_without_boxes() {
    let photo = photo();
    let mut explanation = explanation(&photo);
    let count = |explanation: &Explanation<'_>, what: &str| {
        explanation.svg().unwrap().as_str().matches(what).count()
    };
    let uniform = [
        count(&explanation, "<image"),
        count(&explanation, "Dog &amp; cat"),
        count(&explanation, "cat 0.78"),
    ];
    explanation.colours = Colours::Both;
    let both = [
        count(&explanation, "<image"),
        count(&explanation, "Dog &amp; cat"),
        count(&explanation, "cat 0.78"),
    ];
    assert_eq!((uniform, both), ([2, 2, 1], [4, 2, 1]));
    assert_eq!(count(&explanation, "<linearGradient"), 2);
}

#[test]
fn no_detections_are_said_and_boxes_are_limited() {
    let photo = photo();
    let mut explanation = explanation(&photo);
    explanation.boxes = 1;
    let svg = explanation.svg().unwrap();
    assert!(svg.as_str().contains("1 of 2 detections") && svg.as_str().contains("Tree 0.90"));
    assert!(svg.as_str().contains("Dog &amp; cat 0.78") && !svg.as_str().contains("Tree 0.10"));
    explanation.objects.clear();
    explanation.methods[0].ranked.clear();
    let svg = explanation.svg().unwrap();
    assert!(svg.as_str().contains("no detections") && !svg.as_str().contains("Tree"));
}

#[test]
fn the_explained_label_is_shown_where_it_is_not_among_the_most_probable() {
    let photo = photo();
    let mut explanation = explanation(&photo);
    explanation.answers = (0..8)
        .map(|index| Answer {
            label: format!("L{index}"),
            probability: 0.3 - 0.04 * f64::from(index),
        })
        .collect();
    (explanation.predicted, explanation.explained) = (0, 7);
    let svg = explanation.svg().unwrap();
    assert!(svg.as_str().contains("predicted: L0, 30.0 %; the maps explain L7, 2.0 %"));
    let shown: Vec<bool> =
        (0..8).map(|index| svg.as_str().contains(&format!(">L{index}<"))).collect();
    assert_eq!(shown, [true, true, true, true, false, false, false, true]);
}

#[test]
fn a_class_has_one_colour_in_all_panels() {
    let photo = photo();
    let mut explanation = explanation(&photo);
    explanation.methods.push(method("lift-cam", &MAP));
    let svg = explanation.svg().unwrap();
    let lines: Vec<&str> = svg.as_str().lines().collect();
    // A label's ground is the element before its text.
    let ground = |text: &str| -> Vec<&str> {
        let named = |at: &usize| lines[*at].contains(&format!(">{text} 0."));
        (1..lines.len())
            .filter(named)
            .map(|index| lines[index - 1].split("fill=").nth(1).unwrap())
            .collect()
    };
    assert_eq!(ground("Tree"), [r##""#56b4e9"/>"##; 3]);
    assert_eq!(ground("Dog &amp; cat"), [r##""#e69f00"/>"##; 3]);
}

#[test]
fn both_files_are_written_and_the_same_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let photo = photo();
    for name in ["a", "b"] {
        let svg = explanation(&photo).svg().unwrap();
        let [png, svg_file] = ["png", "svg"].map(|kind| path(&format!("{name}.{kind}")));
        write_scaled(&svg, PHOTO_SCALE, &png, &svg_file).unwrap();
    }
    for kind in ["png", "svg"] {
        let [a, b] = ["a", "b"].map(|name| std::fs::read(path(&format!("{name}.{kind}"))).unwrap());
        assert!(!a.is_empty() && a == b, "{kind}");
    }
    // 192 dots an inch are 7,559 a metre.
    let png = std::fs::read(path("a.png")).unwrap();
    let start = png.windows(4).position(|name| name == b"pHYs").unwrap() + 4;
    assert_eq!(png[start..start + 9], [0, 0, 0x1d, 0x87, 0, 0, 0x1d, 0x87, 1]);
    let svg = std::fs::read_to_string(path("a.svg")).unwrap();
    assert!(!svg.contains("<text") && svg.contains(r#"aria-label="Dog &amp; cat 0.78""#));
    assert!(usvg::Tree::from_str(&svg, &usvg::Options::default()).is_ok());
}

#[test]
fn what_cannot_be_drawn_is_refused() {
    let refused = |change: fn(&mut Explanation<'_>)| {
        let photo = photo();
        let mut explanation = explanation(&photo);
        change(&mut explanation);
        match explanation.svg() {
            Err(Error::Figure(message)) => message,
            other => panic!("{other:?}"),
        }
    };
    let message = refused(|figure| figure.methods.clear());
    assert!(message.contains("a & <b>.jpg"), "{message}");
    refused(|figure| figure.predicted = 3);
    refused(|figure| figure.explained = 3);
    refused(|figure| figure.answers[0].probability = f64::NAN);
    refused(|figure| figure.dimensions[0].value = f64::INFINITY);
    refused(|figure| figure.dimensions[0].upper.0 = 2.0);
    refused(|figure| figure.objects[0].confidence = f64::NAN);
    refused(|figure| figure.objects[1].area.x_max = f32::NAN);
    refused(|figure| figure.methods[0].size = Size::new(2, 2));
    refused(|figure| figure.methods[0].map = &[0.0, 0.5, 1.0, 0.0, 0.5, f32::NAN]);
    refused(|figure| figure.methods[0].ranked[0].object = 2);
    refused(|figure| figure.methods[0].ranked[0].score = f64::NAN);
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn no_text_leaves_the_paper_whatever_the_names_and_shapes(
        names in prop::collection::vec(label(), 9),
        (width, height) in (1_u32..60, 1_u32..60),
        (methods, flat, both) in (1_usize..8, any::<bool>(), any::<bool>()),
        corners in prop::collection::vec((0.0..1.0_f32, 0.0..1.0_f32), 8),
        value in -2.0..9.0_f64,
    ) {
        let photo = Rgb8::filled(Size::new(width, height), [90, 120, 60]);
        let boxes = corners.chunks_exact(2).zip(&names).map(|(pair, name)| {
            let ((a, b), (c, d)) = (pair[0], pair[1]);
            let (w, h) = (width as f32, height as f32);
            object(name, 0.5, [a.min(c) * w, b.min(d) * h, a.max(c) * w, b.max(d) * h])
        });
        let base = explanation(&photo);
        let ranked: Vec<Ranked> =
            (0..4).map(|object| Ranked { object, score: 0.9 - 0.3 * object as f64, counts: object < 2 }).collect();
        let map = |at: usize| MethodMap { flat: flat && at == 0, ranked: ranked.clone(), ..method(&names[at], &MAP) };
        let answers = names.iter().map(|label| Answer { label: label.clone(), probability: 1.0 / 9.0 }).collect();
        let ends = ((-2.0, names[5].clone()), (9.0, names[6].clone()));
        let explanation = Explanation {
            title: names[7].clone(),
            objects: boxes.collect(),
            methods: (0..methods).map(map).collect(),
            answers,
            explained: 8,
            dimensions: vec![Dimension { name: names[4].clone(), value, lower: ends.0, upper: ends.1 }],
            notes: vec![names[3].clone()],
            colours: if both { Colours::Both } else { Colours::Jet },
            ..base
        };
        let svg = explanation.svg().unwrap();
        let tree = text::parse(svg.as_str()).unwrap();
        let mut texts = HashMap::new();
        collect(tree.root(), &mut texts);
        for text in texts.values() {
            let area = text.abs_bounding_box();
            let inside = area.left() >= 0.0 && area.top() >= 0.0
                && f64::from(area.right()) <= svg.width && f64::from(area.bottom()) <= svg.height;
            prop_assert!(inside, "`{}` {:?} on {} x {}", text.chunks()[0].text(), area, svg.width, svg.height);
        }
        prop_assert!(usvg::Tree::from_str(&svg.outlined().unwrap(), &usvg::Options::default()).is_ok());
    }
}
