use super::*;

fn picture() -> Panels {
    let names = ["grad-cam", "lift-cam", "random"];
    let series = names.map(|name| Series { name: name.into(), baseline: name == "random" });
    let dot = |value: f64| {
        Some(Dot { value, interval: Some((value - 0.1, value + 0.1)), mark: "+", n: Some(12) })
    };
    Panels {
        title: "A & B".into(),
        subtitle: "3 images".into(),
        series: series.to_vec(),
        panels: vec![
            Panel::Dots {
                title: "Deletion".into(),
                scale: "area".into(),
                better: "← better".into(),
                dots: vec![dot(0.25), None, dot(0.5)],
                reference: Some(0.5),
            },
            Panel::Lines {
                title: "Deletion".into(),
                across: "share".into(),
                up: "probability".into(),
                lines: vec![vec![(0.0, 0.9), (1.0, 0.1)], Vec::new(), vec![(0.0, 0.9), (1.0, 0.2)]],
                whole_numbers: false,
                n: Some(7),
            },
        ],
        notes: vec!["Made up.".into()],
    }
}

#[test]
fn every_value_is_drawn_and_a_missing_one_is_a_dash() {
    let svg = picture().svg().unwrap();
    let markup = svg.as_str();
    assert_eq!(markup.matches("<circle").count(), 2);
    assert_eq!(markup.matches(">–<").count(), 1);
    assert_eq!(markup.matches(">+<").count(), 2);
    // Two intervals, two curves, one reference line.
    assert_eq!(markup.matches("stroke-linejoin").count(), 5);
    for phrase in ["A &amp; B", ">grad-cam<", ">lift-cam<", "← better", "Made up."] {
        assert!(markup.contains(phrase), "no {phrase}");
    }
    assert!(!markup.contains("legend"), "the rows of dots say what is what");
    svg.png(1.0).unwrap();
}

#[test]
fn every_panel_says_how_many_cases_it_is_of() {
    let mut picture = picture();
    let markup = picture.svg().unwrap().as_str().to_string();
    assert!(markup.contains(">n = 12<") && markup.contains(">n = 7<"), "{markup}");
    if let Panel::Dots { dots, .. } = &mut picture.panels[0] {
        dots[2].as_mut().unwrap().n = Some(11);
    }
    let markup = picture.svg().unwrap().as_str().to_string();
    for number in [">12<", ">11<", ">n: at the right<"] {
        assert!(markup.contains(number), "{number}: {markup}");
    }
}

#[test]
fn curves_alone_have_a_legend() {
    let mut picture = picture();
    picture.panels.remove(0);
    let markup = picture.svg().unwrap().as_str().to_string();
    for phrase in ["legend", ">grad-cam<", ">random<"] {
        assert!(markup.contains(phrase), "no {phrase}");
    }
}

#[test]
fn a_panel_of_equal_or_no_values_has_an_axis_nevertheless() {
    let mut picture = picture();
    for dots in
        [vec![None; 3], vec![Some(Dot { value: 0.0, interval: None, mark: "", n: None }); 3]]
    {
        let (title, scale) = (String::new(), String::new());
        picture.panels =
            vec![Panel::Dots { title, scale, better: String::new(), dots, reference: None }];
        let markup = picture.svg().unwrap().as_str().to_string();
        assert!(!markup.contains("NaN") && !markup.contains("inf"), "{markup}");
    }
}

#[test]
fn the_seventh_method_has_the_first_ones_colour_hollow() {
    let mut picture = Panels { title: "x".into(), ..Panels::default() };
    picture.series =
        (0..8).map(|index| Series { name: index.to_string(), baseline: false }).collect();
    let (first, seventh) = (picture.look(0), picture.look(6));
    assert_eq!((first.colour, first.hollow, seventh.hollow), (seventh.colour, false, true));
}

#[test]
fn what_cannot_be_drawn_is_refused() {
    let refused = |change: &dyn Fn(&mut Panels)| {
        let mut picture = picture();
        change(&mut picture);
        picture.svg().unwrap_err().to_string()
    };
    assert!(refused(&|picture| picture.panels.clear()).contains("nothing to draw"));
    assert!(refused(&|picture| drop(picture.series.pop())).contains("should have 2 entries"));
    assert!(
        refused(&|picture| {
            if let Panel::Dots { reference, .. } = &mut picture.panels[0] {
                *reference = Some(f64::NAN);
            }
        })
        .contains("all finite")
    );
}
