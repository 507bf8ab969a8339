//! Progress on stderr: a bar with rate and ETA on a terminal, a line every so often elsewhere.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Seconds between lines where stderr is no terminal: a log of a day stays readable.
const LINE_EVERY: Duration = Duration::from_secs(30);

/// Seconds to the first of these lines: how long it will take is asked soon.
const FIRST_LINE: Duration = Duration::from_secs(5);

/// Progress over a known number of things.
pub(super) struct Progress {
    bar: ProgressBar,
    total: u64,
    /// Done before it started; the rate is not theirs.
    before: u64,
    /// Done by now, those before among them.
    done: u64,
    started: Instant,
    /// When the last line was printed, and how many were done then.
    printed: Option<(Instant, u64)>,
    unit: &'static str,
}

impl Progress {
    /// Starts; `unit` is what is counted, in the plural.
    pub(super) fn new(total: u64, unit: &'static str) -> Self {
        let bar = if std::io::stderr().is_terminal() {
            ProgressBar::new(total)
        } else {
            ProgressBar::hidden()
        };
        let template =
            format!("{{bar:30}} {{pos}}/{{len}} {unit}  {{per_sec}}  ETA {{eta}}  {{msg}}");
        bar.set_style(ProgressStyle::with_template(&template).expect("the template is constant"));
        Self { bar, total, before: 0, done: 0, started: Instant::now(), printed: None, unit }
    }

    /// Goes on after `done` things that were done by an earlier process.
    pub(super) fn from(mut self, done: u64) -> Self {
        (self.before, self.done) = (done, done);
        self.bar.set_position(done);
        self.bar.reset_eta();
        self
    }

    /// Starts counting bytes.
    pub(super) fn bytes(total: u64) -> Self {
        let progress = Self::new(total, "bytes");
        let template = "{bar:30} {bytes}/{total_bytes}  {bytes_per_sec}  ETA {eta}  {msg}";
        progress
            .bar
            .set_style(ProgressStyle::with_template(template).expect("the template is constant"));
        progress
    }

    /// The total has become known.
    pub(super) fn total(&mut self, total: u64) {
        self.total = total;
        self.bar.set_length(total);
    }

    /// `done` of the total are done; `note` may add something.
    pub(super) fn at(&mut self, done: u64, note: String) {
        self.bar.set_position(done);
        self.done = done;
        if self.bar.is_hidden() && self.has_news() {
            self.printed = Some((Instant::now(), done));
            let (rate, unit, counted) = (self.rate(), self.unit, self.counted(self.total));
            let left =
                Duration::from_secs_f64((self.total.saturating_sub(done)) as f64 / rate.max(1e-9));
            let eta = indicatif::HumanDuration(left);
            let note = if note.is_empty() { String::new() } else { format!(", {note}") };
            say!("{done}/{} {counted}, {rate:.2} {unit}/s, ETA {eta}{note}", self.total);
        }
        self.bar.set_message(note);
    }

    /// Whether a line is due: at the end, once, and before it every so often.
    fn has_news(&self) -> bool {
        let due = match self.printed {
            None => self.started.elapsed() >= FIRST_LINE,
            Some((printed, _)) => printed.elapsed() >= LINE_EVERY,
        };
        match self.done == self.total {
            true => self.printed.is_none_or(|(_, printed)| printed < self.total),
            false => due,
        }
    }

    /// What is counted, of so many.
    fn counted(&self, count: u64) -> &'static str {
        if count == 1 { self.unit.strip_suffix('s').unwrap_or(self.unit) } else { self.unit }
    }

    /// Things a second, those of an earlier process left out.
    pub(super) fn rate(&self) -> f64 {
        self.done.saturating_sub(self.before) as f64
            / self.started.elapsed().as_secs_f64().max(1e-9)
    }

    /// Leaves the bar as it is and says how long it took, and how long `sample` of the things take
    /// at this rate; of nothing done nothing is said.
    pub(super) fn finish_with_rate(self, sample: Option<u64>) {
        let (done, unit, rate) = (self.done.saturating_sub(self.before), self.unit, self.rate());
        let counted = self.counted(done);
        let took = indicatif::HumanDuration(self.started.elapsed());
        self.finish();
        if done == 0 {
            return;
        }
        let sample = sample.filter(|&count| count != done).map(|count| {
            let time = indicatif::HumanDuration(Duration::from_secs_f64(count as f64 / rate));
            format!(": {} take {time}", indicatif::HumanCount(count))
        });
        say!("{done} {counted} in {took}, {rate:.2} {unit}/s{}", sample.unwrap_or_default());
    }

    /// Leaves the bar as it is.
    pub(super) fn finish(self) {
        self.bar.abandon();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_said_once() {
        let mut progress = Progress::new(3, "images");
        let mut said = |done| {
            progress.done = done;
            let news = progress.has_news();
            progress.printed = news.then(|| (Instant::now(), done)).or(progress.printed);
            news
        };
        assert_eq!([1, 2, 3, 3].map(&mut said), [false, false, true, false]);
    }

    #[test]
    fn one_is_singular() {
        let progress = Progress::new(1, "images");
        assert_eq!([0, 1, 2].map(|count| progress.counted(count)), ["images", "image", "images"]);
    }
}
