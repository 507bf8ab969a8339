//! Tests of cards: EmoNet's, and those that contradict themselves.

use super::*;
use crate::image::Resize;

#[test]
fn emonets_card() {
    let card = Card::emonet();
    assert_eq!((card.labels.len(), card.outputs(), card.input()), (20, 20, Size::new(227, 227)));
    assert_eq!((card.fit, card.scale, card.std), (Fit::squash(card.input()), 1.0, None));
    assert_eq!(card.labels[0], "Adoration");
    let valence = card.valence.unwrap();
    let only_disgust: Vec<f32> = (0..20).map(|label| if label == 8 { 1.0 } else { 0.0 }).collect();
    approx::assert_abs_diff_eq!(valence.predict(&only_disgust), 3.2963 - 0.7719, epsilon = 1e-9);
    for known in card.published {
        approx::assert_abs_diff_eq!(known.probabilities.iter().sum::<f64>(), 1.0, epsilon = 1e-3);
    }
}

#[test]
fn a_card_that_contradicts_itself_is_refused() {
    for (text, phrase) in [
        (
            "labels = ['a', 'b']\ninput = 99\n[valence]\nbias = 0\nweights = [1]\n",
            "1 weights for 2 labels",
        ),
        ("labels = ['a', 'b']\ninput = 99\nfrobnicate = 1\n", "frobnicate"),
        ("labels = ['a', 'a']\ninput = 99\n", "`a` is there twice"),
        ("labels = ['a']\ninput = 99\n", "from 2 to 10000 labels"),
        ("input = 99\n", "neither `labels`"),
        ("labels = ['a', 'b']\noutput = 'x'\ninput = 99\n", "one or the other"),
        ("output = 'x'\nthresholds = [1, 1]\ninput = 99\n", "ascend"),
        ("labels = ['a', 'b']\ninput = [9, 0]\n", "sides from 1"),
        ("labels = ['a', 'b']\ninput = 9\nstd = [1, 0, 1]\n", "to 1000000, found 0"),
        ("labels = ['a', 'b']\ninput = 9\nscale = nan\n", "to 1000000, found NaN"),
        ("labels = ['a', 'b']\ninput = 9\nmean = [nan, 0, 0]\n", "three numbers"),
        (
            "labels = ['a', 'b']\ninput = 9\nmean = [1, 2]\n",
            "`mean` should be three numbers, one a channel, or the name of a mean image's file, \
             found 2 numbers: [1, 2]",
        ),
        ("labels = ['a', 'b']\ninput = 9\nmean = true\n", "mean image's file, found true"),
        (
            "labels = ['a', 'b']\ninput = 9\nstd = [1, 2]\n",
            "`std` should be three numbers, one a channel, found [1, 2]",
        ),
        (
            "labels = ['a', 'b']\ninput = [1, 2, 3]\n",
            "two numbers, rows and columns, found [1, 2, 3]",
        ),
        ("labels = ['a', 'b']\ninput = -9\n", "the side of a square in pixels"),
        ("labels = 3\ninput = 9\n", "`labels` should be a list of names"),
        ("labels = ['a', 'b']\ninput = 9\nclass = 99\n", "unknown field `class`"),
        ("labels = ['a', 'b']\ninput = 9\ncrop = 1.5\n", "at most 1"),
        ("labels = ['a', 'b']\ninput = 9\nlayout = 'tokens'\n", "needs `grid`"),
        ("labels = ['a', 'b']\ninput = 9\ngrid = [2, 2]\n", "belong to"),
        (
            "labels = ['a', 'b']\ninput = 9\nnetwork = 'torchscript'\nmean = 'mean.txt'\n",
            "not a file",
        ),
        (
            "labels = ['a', 'b']\ninput = 9\nnetwork = 'multi_gap'\nscale = 255\n[multi_gap]\nanp \
             = 3\n",
            "stream has its own",
        ),
        (
            "labels = ['a', 'b']\ninput = 9\nnetwork = 'multi_gap'\nlayout = \
             'nhwc'\n[multi_gap]\nanp = 3\n",
            "`layout`",
        ),
        (
            "output = 'x'\ninput = 9\nnetwork = 'multi_gap'\n[multi_gap]\nanp = 3\n",
            "answers `labels`",
        ),
    ] {
        let message = Card::from_toml(text, Path::new("mine.toml")).unwrap_err().to_string();
        assert!(message.contains("mine.toml") && message.contains(phrase), "{message}");
    }
}

#[test]
fn a_card_in_json_is_the_same_card_and_labels_may_lie_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.toml");
    std::fs::write(folder.path().join("labels.txt"), "\u{feff}Calm \n\nAngry\r\n").unwrap();
    let toml = "network = 'torchscript'\nlabels = 'labels.txt'\ninput = [96, 160]\nresize = 'center-crop'\ncrop = 0.5\n\
                filter = 'bilinear'\nscale = 255\nmean = [0.5, 0.25, 0]\nstd = [1, 2, 3]\nchannels = 'bgr'\n\
                layout = 'tokens'\nprefix = 1\ngrid = [6, 10]\nlayer = 'blocks.3'\n";
    let card = Card::from_toml(toml, &path).unwrap();
    assert_eq!(card.labels, ["Calm", "Angry"]);
    assert_eq!((card.fit.resize, card.input()), (Resize::CenterCrop, Size::new(160, 96)));
    assert_eq!(card.layout, Layout::Tokens { prefix: 1, grid: (6, 10) });
    let json = r#"{"network": "torchscript", "labels": ["Calm", "Angry"], "input": [96, 160],
        "resize": "center-crop", "crop": 0.5, "filter": "bilinear", "scale": 255, "mean": [0.5, 0.25, 0],
        "std": [1, 2, 3], "channels": "bgr", "layout": "tokens", "prefix": 1, "grid": [6, 10], "layer": "blocks.3"}"#;
    assert_eq!(Card::from_json(json, &path).unwrap(), card);
}

#[test]
fn a_single_output_has_bins_for_labels() {
    let card =
        Card::from_toml("output = 'valence'\nthresholds = [-0.5, 1]\ninput = 9\n", Path::new("x"))
            .unwrap();
    assert_eq!(card.labels, ["valence below -0.5", "valence from -0.5 to 1", "valence from 1"]);
    let scalar = card.scalar.as_ref().unwrap();
    assert_eq!([-0.6, -0.5, 0.9, 1.0].map(|output| scalar.bin(output)), [0, 1, 1, 2]);
    assert_eq!(card.outputs(), 1);
    let sign = Card::from_toml("output = 'valence'\ninput = 9\n", Path::new("x")).unwrap();
    assert_eq!(sign.labels, ["valence below 0", "valence from 0"]);
}
