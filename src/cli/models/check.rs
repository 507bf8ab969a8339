//! `emocam models check`: the doctor of networks that users bring.

use anyhow::Context;
use emocam::models::digest;
use emocam::networks::torchscript::{examine, is_one};
use emocam::networks::{
    AlexNet, Architecture, Card, Classifier, FerNet, Layout, Mean, MultiGap, TorchScript,
};
use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

/// Examines the network in `file`, prints every check, and says by its exit status whether all
/// held.
pub(super) fn run(file: &Path, mean: Option<&Path>) -> anyhow::Result<ExitCode> {
    let mut text = String::new();
    let card = Card::if_beside(file)?;
    let sound = match card {
        _ if is_one(file)? => script(file, &mut text)?,
        Some(card) if card.architecture == Architecture::MultiGap => {
            multi_gap(file, card, &mut text)?;
            true
        }
        Some(card) if card.architecture == Architecture::FerNet => {
            fer_net(file, card, &mut text)?;
            true
        }
        _ => {
            alexnet(file, mean, &mut text)?;
            true
        }
    };
    super::super::session::print(text.as_bytes())?;
    Ok(if sound { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn head(file: &Path, what: &str, card: &Card, text: &mut String) -> anyhow::Result<()> {
    let length =
        std::fs::metadata(file).with_context(|| format!("cannot read {}", file.display()))?.len();
    writeln!(
        text,
        "{}: {what}, {length} bytes, SHA-256 {}",
        file.display(),
        digest::sha256_file(file)?
    )?;
    if let Some(source) = &card.source {
        writeln!(text, "  from:    {source}")?;
    }
    let input = card.input();
    let fit = card.fit;
    let crop = if fit.crop < 1.0 { format!(" ({} kept)", fit.crop) } else { String::new() };
    let [resize, filter] = [named(&fit.resize)?, named(&fit.filter)?];
    writeln!(
        text,
        "  input:   {} rows, {} columns; {resize}{crop}, {filter}",
        input.height, input.width
    )?;
    let per_channel = |values: &[f32; 3]| values.map(|value| value.to_string()).join(", ");
    let mean = match &card.mean {
        None => "0".into(),
        Some(Mean::Colour(colour)) => per_channel(colour),
        Some(Mean::File(file)) => format!("that of {file}"),
    };
    let std = card.std.as_ref().map_or("1".into(), per_channel);
    writeln!(
        text,
        "  pixels:  / {}, less the mean {mean}, / std {std}; {}",
        card.scale,
        named(&card.channels)?
    )?;
    match &card.scalar {
        Some(scalar) => {
            writeln!(text, "  output:  {}; bins: {}", scalar.name, card.labels.join(", "))?;
        }
        None => {
            const SHOWN: usize = 8;
            let more = card.labels.len().saturating_sub(SHOWN);
            let names =
                card.labels.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
            let more = if more > 0 { format!(", and {more} more") } else { String::new() };
            writeln!(text, "  labels:  {}: {names}{more}", card.labels.len())?;
        }
    }
    if let Some(layer) = &card.layer {
        writeln!(text, "  layer:   {layer}")?;
    }
    Ok(())
}

/// A setting's name as in cards.
fn named<T: serde::Serialize>(setting: &T) -> anyhow::Result<String> {
    Ok(serde_json::to_value(setting)?.as_str().unwrap_or_default().to_string())
}

/// A TorchScript file and its checks; whether all held.
fn script(file: &Path, text: &mut String) -> anyhow::Result<bool> {
    let network = TorchScript::open(file, tch::Device::Cpu)?;
    let card = network.card();
    head(file, "a TorchScript network (a program: load only what you trust)", card, text)?;
    let layout = match card.layout {
        Layout::Nchw => "channels, rows, columns".into(),
        Layout::Nhwc => "rows, columns, channels".into(),
        Layout::Tokens { prefix, grid: (rows, columns) } => {
            format!("tokens, {prefix} before a grid of {rows} x {columns}")
        }
    };
    writeln!(text, "  layout:  {layout}")?;
    let findings = examine(&network);
    for finding in &findings {
        match &finding.outcome {
            Ok(number) => writeln!(text, "ok     {}: {number}", finding.name)?,
            Err(failure) => writeln!(text, "WRONG  {}: {failure}", finding.name)?,
        }
    }
    let sound = findings.iter().all(|finding| finding.outcome.is_ok());
    if sound {
        writeln!(
            text,
            "usable with every method that needs no visible layers: all but lrp-cam and lift-cam"
        )?;
    }
    Ok(sound)
}

/// Weights of a Multi-GAP network: reading them is the check.
fn multi_gap(file: &Path, card: Card, text: &mut String) -> anyhow::Result<()> {
    let network = MultiGap::load(file, card, tch::Device::Cpu)?;
    head(file, "weights of a Multi-GAP network", network.card(), text)?;
    let numbers: usize = network.parameters().iter().map(|one| one.tensor.numel()).sum();
    writeln!(
        text,
        "ok     structure: {numbers} numbers; streams: {}",
        network.stream_names().join(", ")
    )?;
    writeln!(
        text,
        "usable with every method that needs no visible layers: all but lrp-cam and lift-cam"
    )?;
    Ok(())
}

/// Weights of a network of facial expressions: reading them is the check.
fn fer_net(file: &Path, card: Card, text: &mut String) -> anyhow::Result<()> {
    let network = FerNet::load(file, card, tch::Device::Cpu)?;
    head(file, "weights of a network of facial expressions", network.card(), text)?;
    let numbers: usize = network.parameters().iter().map(|one| one.tensor.numel()).sum();
    writeln!(
        text,
        "ok     structure: {numbers} numbers; explained at: {}",
        network.streams().join(", ")
    )?;
    writeln!(
        text,
        "usable with every method that needs no visible layers: all but lrp-cam and lift-cam"
    )?;
    Ok(())
}

/// Weights of an AlexNet: reading them is the check.
fn alexnet(file: &Path, mean: Option<&Path>, text: &mut String) -> anyhow::Result<()> {
    let network = AlexNet::load(file, mean, tch::Device::Cpu)?;
    head(file, "weights of an AlexNet", network.card(), text)?;
    let layers = network.layers().map_or(0, <[_]>::len);
    writeln!(
        text,
        "ok     structure: {} numbers, {layers} visible layers behind conv5",
        network.parameter_count()
    )?;
    writeln!(text, "ok     layers: {}", network.structure().in_words())?;
    let subtracts =
        if network.subtracts_mean()? { "a mean is subtracted" } else { "no mean is subtracted" };
    writeln!(text, "ok     input: {subtracts}")?;
    if network.synthesized() {
        writeln!(text, "note   the weights are random numbers (synthesized)")?;
    }
    writeln!(text, "usable with every method")?;
    Ok(())
}
