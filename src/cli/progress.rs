//! Progress on stderr: a bar with rate and ETA on a terminal, a line every so often elsewhere.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Seconds between lines where stderr is no terminal: a log of a day stays readable.
const LINE_EVERY: Duration = Duration::from_secs(30);

/// Progress over a known number of things.
pub struct Progress {
    bar: ProgressBar,
    total: u64,
    /// Done before it started; the rate is not theirs.
    before: u64,
    started: Instant,
    printed: Option<Instant>,
    /// Whether the line of the end has been printed: whoever reports may say it more than once.
    ended: bool,
    unit: &'static str,
}

impl Progress {
    /// Starts; `unit` is what is counted, in the plural.
    pub fn new(total: u64, unit: &'static str) -> Self {
        let unit = if total == 1 { unit.strip_suffix('s').unwrap_or(unit) } else { unit };
        let bar = if std::io::stderr().is_terminal() { ProgressBar::new(total) } else { ProgressBar::hidden() };
        let template = format!("{{bar:30}} {{pos}}/{{len}} {unit}  {{per_sec}}  ETA {{eta}}  {{msg}}");
        bar.set_style(ProgressStyle::with_template(&template).expect("the template is constant"));
        Self { bar, total, before: 0, started: Instant::now(), printed: None, ended: false, unit }
    }

    /// Goes on after `done` things that were done by an earlier process.
    pub fn from(mut self, done: u64) -> Self {
        self.before = done;
        self.bar.set_position(done);
        self.bar.reset_eta();
        self
    }

    /// Starts counting bytes.
    pub fn bytes(total: u64) -> Self {
        let progress = Self::new(total, "bytes");
        let template = "{bar:30} {bytes}/{total_bytes}  {bytes_per_sec}  ETA {eta}  {msg}";
        progress.bar.set_style(ProgressStyle::with_template(template).expect("the template is constant"));
        progress
    }

    /// The total has become known.
    pub fn total(&mut self, total: u64) {
        self.total = total;
        self.bar.set_length(total);
    }

    /// `done` of the total are done; `note` may add something.
    pub fn at(&mut self, done: u64, note: String) {
        self.bar.set_position(done);
        if self.bar.is_hidden() && self.has_news(done) {
            self.printed = Some(Instant::now());
            let rate = done.saturating_sub(self.before) as f64 / self.started.elapsed().as_secs_f64();
            let left = Duration::from_secs_f64((self.total.saturating_sub(done)) as f64 / rate.max(1e-9));
            let eta = indicatif::HumanDuration(left);
            say!(
                "{done}/{} {}, {rate:.2}/s, ETA {eta}{}{note}",
                self.total,
                self.unit,
                if note.is_empty() { "" } else { ", " }
            );
        }
        self.bar.set_message(note);
    }

    /// Whether a line is due: at the end, once, and before it every so often.
    fn has_news(&mut self, done: u64) -> bool {
        let due = self.printed.unwrap_or(self.started).elapsed() >= LINE_EVERY;
        let ends = done == self.total;
        let has_news = if ends { !self.ended } else { due };
        self.ended |= ends;
        has_news
    }

    /// Leaves the bar as it is.
    pub fn finish(self) {
        self.bar.abandon();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_said_once() {
        let mut progress = Progress::new(3, "images");
        let said: Vec<bool> = [1, 2, 3, 3].map(|done| progress.has_news(done)).into();
        assert_eq!(said, [false, false, true, false]);
    }

    #[test]
    fn one_is_singular() {
        assert_eq!([Progress::new(1, "images").unit, Progress::new(2, "images").unit], ["image", "images"]);
    }
}
