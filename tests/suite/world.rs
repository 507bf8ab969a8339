//! The drawn world: the same bytes everywhere, exact boxes, edits that change nothing else,
//! declared rates, other causal graphs, faces, and the files of `emocam world`.

use emocam::files::sha256;
use emocam::image::{BoundingBox, Rgb8, Size};
use emocam::world::{
    Ambience, CLASSES, CausalGraph, LABELS, Object, Place, Role, Scene, Style, Variant, face_graph,
    graph,
};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const STYLES: [Style; 2] = [Style::Standard, Style::HeldOut];

/// The smallest box around all pixels that differ.
fn difference(a: &Rgb8, b: &Rgb8) -> Option<BoundingBox> {
    assert_eq!(a.size(), b.size());
    let mut edges: Option<BoundingBox> = None;
    for y in 0..a.size().height {
        for x in (0..a.size().width).filter(|&x| a.pixel(x, y) != b.pixel(x, y)) {
            let (left, top) = (x as f32, y as f32);
            let e = edges.unwrap_or(BoundingBox::new(left, top, left, top));
            edges = Some(BoundingBox::new(
                e.x_min.min(left),
                e.y_min.min(top),
                e.x_max.max(left + 1.0),
                e.y_max.max(top + 1.0),
            ));
        }
    }
    edges
}

fn lies_in(inner: &BoundingBox, outer: &BoundingBox) -> bool {
    inner.x_min >= outer.x_min
        && inner.y_min >= outer.y_min
        && inner.x_max <= outer.x_max
        && inner.y_max <= outer.y_max
}

/// The smallest box around both.
fn around(a: &BoundingBox, b: &BoundingBox) -> BoundingBox {
    let (left, top) = (a.x_min.min(b.x_min), a.y_min.min(b.y_min));
    BoundingBox::new(left, top, a.x_max.max(b.x_max), a.y_max.max(b.y_max))
}

fn scenes(count: u64, style: Style) -> impl Iterator<Item = Scene> {
    (0..count).map(move |number| Scene::draw(graph(), 20, number, style))
}

/// The label by the built-in graph, where every scene has one.
pub(crate) fn label(scene: &Scene) -> usize {
    graph().label(scene).unwrap()
}

pub(crate) fn noisy_label(scene: &Scene, rate: f64) -> usize {
    graph().noisy_label(scene, rate).unwrap()
}

pub(crate) fn graph_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/graphs").join(name)
}

#[test]
fn classes_and_labels_have_the_names_of_the_detector_and_of_emonet() {
    let names = include_str!("../../configs/openimages.names");
    for class in CLASSES {
        assert!(names.lines().any(|name| name == *class), "{class}");
    }
    let card: toml::Table = toml::from_str(include_str!("../../configs/emonet.toml")).unwrap();
    let labels: Vec<&str> =
        card["labels"].as_array().unwrap().iter().map(|label| label.as_str().unwrap()).collect();
    assert_eq!(labels, LABELS);
}

#[test]
fn pictures_are_the_same_bytes_on_every_machine() {
    let digest = |number, style| sha256(Scene::draw(graph(), 1, number, style).render().data());
    for style in STYLES {
        assert_eq!(digest(5, style), digest(5, style));
    }
    let digests: Vec<String> =
        STYLES.iter().flat_map(|&style| (0..3).map(move |number| digest(number, style))).collect();
    insta::assert_snapshot!(digests.join("\n"), @r"
    0450a041bfa8838ca44c703287145b4e5a2d3184e4d66318fc38c9625f18acee
    4676bc6db11b242df829993f8523243cabd453890cbdb4a4a225c7681d7892cc
    4b962c3caf9a176df7572ff8774d083b0723575e9632c3acc90b4e864c6fc8c3
    b639c567149743737f67b02b98efce1faab81e25aeadaf2a0d214192ea03e352
    81091caae451f4228f76fb28162a03a39f0829b358ce415ba3f439076e631388
    5ab53abfae51b82b53e37c7240b2c8329f58320482650f10429a3c9af1f34d59
    ");
}

#[test]
fn scenes_and_labels_of_the_built_in_graph_are_those_that_networks_were_trained_on() {
    let line = |scene: &Scene| {
        let scene_text = serde_json::to_string(scene).unwrap();
        format!("{scene_text} {} {}\n", LABELS[label(scene)], LABELS[noisy_label(scene, 0.5)])
    };
    let text: String =
        STYLES.iter().flat_map(|&style| scenes(500, style)).map(|scene| line(&scene)).collect();
    let graph_json = serde_json::to_string_pretty(&graph().to_json()).unwrap();
    insta::assert_snapshot!([text, graph_json].map(|text| sha256(text.as_bytes())).join("\n"), @r"
    57ea67ae670f85c8e0295046788c3838b878471f01323b7c9b8164309b341904
    34705e75e93d5c38b7e72623948619c7f2472f9af163af89ad0ff73c264ba4fd
    ");
}

#[test]
fn faces_are_the_same_bytes_on_every_machine() {
    let digest = |style| {
        let faces =
            (0..12).map(|number| sha256(Scene::draw_face(1, number, style).render().data()));
        sha256(faces.collect::<String>().as_bytes())
    };
    insta::assert_snapshot!(STYLES.map(digest).join("\n"), @r"
    d02a793b54aaee9fef352c489eee1269b76e31204b47b1a863d54166923d7ec5
    ffb0107135d509e8578633363eb7c51c03f02883dd0a3f27fe75756498060f3f
    ");
}

#[test]
fn pictures_are_never_square_and_of_many_sizes() {
    let mut sizes = BTreeMap::new();
    for Scene { size: Size { width, height }, .. } in scenes(1000, Style::Standard) {
        let (long, short) = (width.max(height), width.min(height));
        assert!((240..=480).contains(&short) && long <= 480, "{width}x{height}");
        let ratio = f64::from(long) / f64::from(short);
        assert!((1.328..1.783).contains(&ratio), "{width}x{height}");
        *sizes.entry((width, height)).or_insert(0) += 1;
    }
    assert!(sizes.len() > 500);
    assert!(
        (400..600).contains(
            &sizes.iter().filter(|((w, h), _)| w > h).map(|(_, count)| count).sum::<i32>()
        )
    );
}

/// Counts of a share `rate` in `of` trials lie this near it but for one case in 30,000.
fn assert_rate(count: usize, of: usize, rate: f64, what: &str) {
    let deviation = (rate * (1.0 - rate) / of as f64).sqrt();
    let share = count as f64 / of as f64;
    assert!((share - rate).abs() <= 4.2 * deviation, "{what}: {share:.3} of {of}, declared {rate}");
}

/// Counts what is in 6000 scenes of a graph.
fn assert_declared_rates(graph: &CausalGraph) {
    let scenes: Vec<Scene> =
        (0..6000).map(|number| Scene::draw(graph, 20, number, Style::Standard)).collect();
    let labels = graph.occurring();
    for &label in &labels {
        let of_label: Vec<&Scene> =
            scenes.iter().filter(|scene| graph.label(scene) == Some(label)).collect();
        let (name, of) = (&graph.labels[label], of_label.len());
        assert_rate(of, scenes.len(), 1.0 / labels.len() as f64, name);
        let with = |is: &dyn Fn(&Object) -> bool| {
            of_label.iter().filter(|s| s.objects.iter().any(is)).count()
        };
        for confounder in &graph.confounders {
            let rate = if confounder.with == label { confounder.rate } else { confounder.base };
            let count = with(&|object| object.class == confounder.class);
            assert_rate(count, of, rate, &format!("{} with {name}", CLASSES[confounder.class]));
        }
        for bystander in &graph.bystanders {
            let is =
                |o: &Object| o.class == bystander.class && bystander.variants.contains(&o.variant);
            assert_rate(
                with(&is),
                of,
                bystander.rate,
                &format!("{} with {name}", CLASSES[bystander.class]),
            );
        }
        let causes: Vec<_> = graph.causes.iter().filter(|cause| cause.label == label).collect();
        for cause in &causes {
            let count =
                with(&|object| object.class == cause.class && object.variant == cause.variant);
            assert_rate(
                count,
                of,
                1.0 / causes.len() as f64,
                &format!("{} causes {name}", CLASSES[cause.class]),
            );
        }
    }
    for scene in &scenes {
        assert!(scene.objects.len() <= 6);
        let causes = scene
            .objects
            .iter()
            .filter(|o| matches!(graph.role(o.class, o.variant), Role::Cause(_)))
            .count();
        assert_eq!(causes, usize::from(graph.label(scene) != graph.neutral));
    }
}

#[test]
fn declared_rates_hold() {
    assert_eq!(graph().occurring().len(), 9);
    assert_declared_rates(graph());
    let counts: Vec<usize> =
        scenes(6000, Style::Standard).map(|scene| scene.objects.len()).collect();
    assert!(counts.iter().all(|count| (2..=6).contains(count)));
    for objects in 2..=6 {
        assert!(counts.contains(&objects), "no scene of {objects} objects");
    }
}

#[test]
fn four_emotions_are_caused_by_a_face_in_half_of_their_scenes() {
    let four = CausalGraph::load(&graph_file("four-emotions.toml")).unwrap();
    assert_eq!(four.labels, ["happy", "sad", "hate", "anger"]);
    assert_eq!((four.occurring(), four.neutral), (vec![0, 1, 2, 3], None));
    assert_declared_rates(&four);
    for label in 0..4 {
        let causes: Vec<&str> = four
            .causes
            .iter()
            .filter(|cause| cause.label == label)
            .map(|cause| CLASSES[cause.class])
            .collect();
        assert_eq!(causes.len(), 2);
        assert_eq!(causes.iter().filter(|class| **class == "Human face").count(), 1, "{causes:?}");
    }
    // Every scene has a label; one whose cause was taken out has none.
    for number in 0..50 {
        let scene = Scene::draw(&four, 1, number, Style::Standard);
        assert_eq!(four.label(&scene.without(four.cause(&scene).unwrap())), None);
    }
}

#[test]
fn bystanders_of_every_scene_are_in_every_scene() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("graph.toml");
    let text = r#"
labels = ["up", "down", "flat"]
neutral = "flat"
causes = [{ label = "up", class = "Dog" }, { label = "down", class = "Cake" }]
confounders = [{ class = "Lamp", with = "up", rate = 1.0, base_rate = 0.0 }]
bystanders = [{ class = "Human face", variants = ["angry", "disgusted"], rate = 1.0 }, { class = "Car", rate = 0.7 }]
"#;
    std::fs::write(&file, text).unwrap();
    assert_declared_rates(&CausalGraph::load(&file).unwrap());
}

#[test]
fn label_noise_has_its_rate_and_takes_only_other_labels_of_the_graph() {
    let scenes: Vec<Scene> = scenes(4000, Style::Standard).collect();
    let labels = graph().occurring();
    for rate in [0.0, 0.1, 0.5, 1.0] {
        let noisy: Vec<&Scene> =
            scenes.iter().filter(|scene| noisy_label(scene, rate) != label(scene)).collect();
        assert_rate(noisy.len(), scenes.len(), rate, "noise");
        assert!(noisy.iter().all(|scene| labels.contains(&noisy_label(scene, rate))));
        assert!(noisy.iter().all(|scene| noisy_label(scene, 1.0) == noisy_label(scene, rate)));
    }
}

#[test]
fn the_label_is_that_of_the_graph_after_every_edit() {
    let place = |size| Place { x: 0.5, y: 0.5, size, turn: 0.0 };
    let object = |class: &str, variant, size| {
        let class = CLASSES.iter().position(|name| *name == class).unwrap();
        Object { class, variant, place: place(size), seed: 3, hidden: 0 }
    };
    let scene = |objects: Vec<Object>| Scene {
        size: Size::new(320, 240),
        style: Style::Standard,
        seed: 1,
        ambience: Ambience::Usual,
        objects,
    };
    let label_of = |objects: Vec<Object>| LABELS[label(&scene(objects))];
    assert_eq!(label_of(vec![]), "Boredom");
    assert_eq!(label_of(vec![object("Human face", Variant::Neutral, 0.4)]), "Boredom");
    assert_eq!(label_of(vec![object("Flower", Variant::Red, 0.3)]), "Romance");
    assert_eq!(
        label_of(vec![object("Flower", Variant::Blue, 0.3), object("Candle", Variant::Plain, 0.4)]),
        "Boredom"
    );
    for class in ["Balloon", "Football"] {
        assert_eq!(
            label_of(vec![
                object(class, Variant::Plain, 0.3),
                object("Person", Variant::Plain, 0.5)
            ]),
            "Excitement"
        );
    }
    let smiling = object("Human face", Variant::Smiling, 0.3);
    let both = scene(vec![smiling, object("Spider", Variant::Plain, 0.35)]);
    assert_eq!(LABELS[label(&both)], "Fear", "the larger cause");
    assert_eq!(LABELS[label(&both.moved(0, place(0.4)))], "Joy");
    assert_eq!(LABELS[label(&both.without(1))], "Joy");
    let sad = Object { variant: Variant::Sad, ..smiling };
    assert_eq!(LABELS[label(&both.without(1).replaced(0, sad))], "Sadness");
}

#[test]
fn every_drawn_object_is_in_sight_and_inside_and_of_readable_size() {
    for style in STYLES {
        for (number, scene) in scenes(150, style).enumerate() {
            let boxes = scene.boxes();
            assert_eq!(boxes.len(), scene.objects.len(), "scene {number}: an object is hidden");
            let short = f64::from(scene.size.width.min(scene.size.height));
            for (at, a) in &boxes {
                let object = &scene.objects[*at];
                assert!((0.15..0.53).contains(&object.place.size), "scene {number}: {object:?}");
                let longest = f64::from(a.width().max(a.height()));
                let outside = object.place.size * short - longest;
                assert!(
                    (-4.0..0.15 * object.place.size * short).contains(&outside),
                    "scene {number}: {object:?} {a:?}"
                );
                for (other, b) in boxes.iter().filter(|(other, _)| other > at) {
                    let same = scene.objects[*other].class == object.class;
                    // Boxes are whole pixels: neighbours may share a row.
                    assert!(!same || a.iou(b) < 0.03, "scene {number}: {a:?} {b:?}");
                }
            }
        }
    }
}

#[test]
fn boxes_are_those_of_the_pixels_that_change() {
    for style in STYLES {
        for (class, name) in CLASSES.iter().enumerate() {
            let mut variants = graph().variants(class);
            variants.extend(
                face_graph()
                    .variants(class)
                    .iter()
                    .filter(|variant| !graph().variants(class).contains(variant)),
            );
            for (number, variant) in variants.into_iter().enumerate() {
                let seed = (40 * class + number) as u64;
                let place = Place { x: 0.47, y: 0.52, size: 0.6, turn: 20.0 };
                let object = Object { class, variant, place, seed, hidden: 0 };
                // Where an object has the colour of what is behind it, nothing changes: three
                // backgrounds.
                let scenes = [1, 2, 3].map(|seed| Scene {
                    size: Size::new(200, 150),
                    style,
                    seed,
                    ambience: Ambience::Usual,
                    objects: vec![object],
                });
                let [scene, ..] = &scenes;
                let changed = scenes
                    .iter()
                    .filter_map(|scene| difference(&scene.render(), &scene.without(0).render()))
                    .reduce(|a, b| around(&a, &b))
                    .unwrap();
                let [(0, found)] = scene.boxes()[..] else { panic!("one object has one box") };
                assert!(lies_in(&changed, &found), "{name}: {changed:?} {found:?}");
                let slack = [
                    changed.x_min - found.x_min,
                    changed.y_min - found.y_min,
                    found.x_max - changed.x_max,
                    found.y_max - changed.y_max,
                ];
                // A faint pixel may keep its value all the same.
                assert!(slack.iter().all(|&edge| edge <= 1.0), "{name}: {changed:?} {found:?}");
                let longest = found.width().max(found.height());
                assert!((89.0..94.0).contains(&longest), "{name}: {longest} pixels instead of 90");
            }
        }
    }
}

#[test]
fn a_hidden_object_has_no_box() {
    let spider = CLASSES.iter().position(|name| *name == "Spider").unwrap();
    let house = CLASSES.iter().position(|name| *name == "House").unwrap();
    let object = |class, size| {
        let place = Place { x: 0.5, y: 0.5, size, turn: 0.0 };
        Object { class, variant: Variant::Plain, place, seed: 1, hidden: 0 }
    };
    let size = Size::new(300, 220);
    let objects = vec![object(spider, 0.15), object(house, 0.8)];
    let scene = Scene { size, style: Style::Standard, seed: 1, ambience: Ambience::Usual, objects };
    assert_eq!(scene.boxes().iter().map(|(at, _)| *at).collect::<Vec<_>>(), [1]);
    assert_eq!(scene.without(1).boxes().len(), 1);
    let far = Place { x: 3.0, y: 0.5, size: 0.2, turn: 0.0 };
    assert_eq!(scene.moved(1, far).boxes().len(), 1, "outside the picture: the spider alone");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn an_edit_changes_pixels_in_its_boxes_only(seed in 0..u64::MAX, number in 0..1000_u64, held_out: bool, x in 0.0..1.0, y in 0.0..1.0) {
        let scene = Scene::draw(graph(), seed, number, STYLES[usize::from(held_out)]);
        let whole = scene.paint();
        prop_assert_eq!(&whole.boxes, &scene.boxes());
        for (object, found) in &whole.boxes {
            let changed = difference(&whole.picture, &scene.without(*object).render());
            prop_assert!(changed.is_none_or(|changed| lies_in(&changed, found)));
        }
        // Moved: within the union of where it was and where it is.
        let place = Place { x, y, ..scene.objects[0].place };
        let moved = scene.moved(0, place).paint();
        let boxes = [&whole, &moved].map(|p| p.boxes.iter().find(|(object, _)| *object == 0).map(|(_, b)| *b));
        if let [Some(a), Some(b)] = boxes {
            let changed = difference(&whole.picture, &moved.picture);
            prop_assert!(changed.is_none_or(|changed| lies_in(&changed, &around(&a, &b))));
        }
    }

    #[test]
    fn any_object_anywhere_renders(class in 0..CLASSES.len(), seed: u64, x in -1.0..2.0, y in -1.0..2.0, size in 0.001..3.0, turn in -720.0..720.0) {
        let variant = graph().variants(class)[0];
        let object = Object { class, variant, place: Place { x, y, size, turn }, seed, hidden: 0 };
        let scene = Scene { size: Size::new(97, 61), style: Style::HeldOut, seed, ambience: Ambience::Usual, objects: vec![object] };
        for (_, b) in scene.paint().boxes {
            prop_assert!(b.x_min >= 0.0 && b.y_min >= 0.0 && b.x_max <= 97.0 && b.y_max <= 61.0 && b.area() > 0.0);
        }
    }
}

/// The pixels in which two pictures differ lie in the box, of which the edges are soft.
fn differ_only_in(one: &Scene, other: &Scene, place: &BoundingBox, margin: f32) -> bool {
    let (one, other) = (one.render(), other.render());
    let width = one.size().width as usize;
    let pixels = one.data().chunks_exact(3).zip(other.data().chunks_exact(3)).enumerate();
    let mut changed = pixels
        .filter(|(_, (a, b))| a != b)
        .map(|(at, _)| ((at % width) as f32, (at / width) as f32));
    changed.all(|(x, y)| {
        (place.x_min - margin..place.x_max + margin).contains(&x)
            && (place.y_min - margin..place.y_max + margin).contains(&y)
    })
}

#[test]
fn a_part_lies_in_its_whole_and_nothing_else_changes_without_it() {
    let mut kinds = std::collections::BTreeSet::new();
    for number in 0..40 {
        let scene = Scene::draw(emocam::world::parts_graph(), 11, number, Style::Standard);
        let wholes: BTreeMap<usize, _> = scene.boxes().into_iter().collect();
        for part in scene.part_boxes() {
            let (whole, own) = (&wholes[&part.object], &part.bounding_box);
            assert!(own.x_min >= whole.x_min && own.x_max <= whole.x_max, "{part:?} {whole:?}");
            assert!(own.y_min >= whole.y_min && own.y_max <= whole.y_max, "{part:?} {whole:?}");
            let without = scene.without_part(part.object, part.part);
            assert_ne!(without.render(), scene.render(), "{part:?}");
            // Outlines and what of hair and ears is hidden by the face lie around what is seen of
            // them.
            assert!(
                differ_only_in(&scene, &without, own, 0.6 * own.width().max(own.height())),
                "{part:?}"
            );
            assert!(
                !without
                    .part_boxes()
                    .iter()
                    .any(|other| (other.object, other.part) == (part.object, part.part))
            );
            kinds.insert(part.kind);
        }
    }
    assert_eq!(kinds.len(), emocam::world::PARTS.len(), "every kind of part occurs: {kinds:?}");
}

#[test]
fn the_ambience_makes_the_label_and_can_be_taken_away() {
    let graph = emocam::world::background_graph();
    let mut seen = std::collections::BTreeSet::new();
    for number in 0..60 {
        let scene = Scene::draw(graph, 5, number, Style::Standard);
        let label = graph.label(&scene).unwrap();
        assert_eq!(graph.has_ambience(label), scene.ambience != Ambience::Usual);
        if scene.ambience == Ambience::Usual {
            let json = serde_json::to_string(&scene).unwrap();
            assert!(!json.contains("ambience") && !json.contains("hidden"), "{json}");
            continue;
        }
        let plain = scene.in_usual_ambience();
        assert_eq!((plain.boxes(), graph.label(&plain)), (scene.boxes(), graph.neutral));
        assert_ne!(plain.render(), scene.render());
        seen.insert(scene.ambience.name());
    }
    assert_eq!(seen.len(), 4, "{seen:?}");
}
