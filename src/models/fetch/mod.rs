//! Downloads of published model files: with progress, resumed after an interruption, checked, and
//! complete or not there.
//!
//! A download grows in `NAME.part` beside its final place and is renamed when its size (and digest,
//! where one is known) is right. What an interruption leaves is continued by the next attempt, if
//! the server can; what turns out wrong is deleted, since continuing it could never make it right.

use super::{CatalogueFile, digest};
use crate::nn::weights::{MAX_FILE_BYTES, content};
use crate::{Error, Result};
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;
use ureq::http::{Response, StatusCode, header};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body};

#[cfg(test)]
mod tests;

/// Called with the bytes that are there and, where it is known, how many there will be.
pub type Progress<'a> = dyn FnMut(u64, Option<u64>) + 'a;

/// How a file came to its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fetched {
    /// It was there, in the right size; nothing was downloaded.
    AlreadyThere,
    /// Downloaded; `resumed_from` bytes were left from an earlier attempt.
    Downloaded {
        /// Bytes that did not have to be downloaded again.
        resumed_from: u64,
    },
}

/// Downloads `file` into `folder`, which is created.
///
/// # Errors
/// [`Error::File`] naming the file's place, with the reason for every address tried (no network,
/// status, web page, wrong size or digest, connection lost) and the page to download it from by
/// hand.
pub fn fetch(file: &CatalogueFile, folder: &Path, progress: &mut Progress) -> Result<Fetched> {
    let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
    let config = Agent::config_builder().tls_config(tls).https_only(true);
    fetch_with(&agent(config), file, folder, progress)
}

/// The settings that every download shares.
fn agent(config: ureq::config::ConfigBuilder<ureq::typestate::AgentScope>) -> Agent {
    config
        .http_status_as_error(false)
        .user_agent(concat!("emocam/", env!("CARGO_PKG_VERSION")))
        // A compressed answer has another length, and cannot be continued.
        .accept_encoding("identity")
        .timeout_connect(Some(Duration::from_secs(30)))
        .timeout_recv_response(Some(Duration::from_secs(60)))
        .timeout_per_read(Some(Duration::from_secs(60)))
        .build()
        .new_agent()
}

/// [`fetch`] with the given client.
fn fetch_with(
    agent: &Agent,
    file: &CatalogueFile,
    folder: &Path,
    progress: &mut Progress,
) -> Result<Fetched> {
    let download = Download { agent, file, target: folder.join(&file.name) };
    if download.is_there()? {
        return Ok(Fetched::AlreadyThere);
    }
    fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    let mut reasons = Vec::new();
    for url in &file.urls {
        match download.from(url, progress) {
            Ok(resumed_from) => {
                digest::forget(folder, &file.name)?;
                return Ok(Fetched::Downloaded { resumed_from });
            }
            Err(Fault::Local(error)) => return Err(error),
            Err(Fault::Address(reason)) => reasons.push(format!("{url}: {reason}")),
        }
    }
    let reasons = match reasons.is_empty() {
        true => "no address of this file is established".to_string(),
        false => format!("could not be downloaded ({})", reasons.join("; ")),
    };
    let by_hand = format!("Get it by hand from {} and save it under this name", file.page);
    Err(Error::file(&download.target, format!("{reasons}. {by_hand}")))
}

/// Why an address did not do.
enum Fault {
    /// The address; another one may.
    Address(String),
    /// This machine; no other address helps.
    Local(Error),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Local(error)
    }
}

/// What the server is going to send.
struct Answer {
    body: Body,
    /// Where its first byte belongs.
    start: u64,
    /// The size of the whole file.
    total: Option<u64>,
}

struct Download<'a> {
    agent: &'a Agent,
    file: &'a CatalogueFile,
    target: PathBuf,
}

impl Download<'_> {
    /// Whether the file is in its place; one of another size than published is replaced.
    fn is_there(&self) -> Result<bool> {
        if !self.target.exists() {
            return Ok(false);
        }
        let size = fs::metadata(&self.target).map_err(Error::io("read", &self.target))?.len();
        Ok(self.file.size.is_none_or(|expected| size == expected))
    }

    /// The name under which the download grows.
    fn part(&self) -> PathBuf {
        self.target.with_file_name(format!("{}.part", self.file.name))
    }

    /// Downloads from one address; returns how many bytes an earlier attempt had left.
    fn from(&self, url: &str, progress: &mut Progress) -> Result<u64, Fault> {
        let part = self.part();
        let have = fs::metadata(&part).map(|metadata| metadata.len()).unwrap_or(0);
        let answer = match self.ask(url, have)? {
            Some(answer) => answer,
            // Nothing lies behind what is there: it was complete, or is left from another file.
            None if self.file.size == Some(have) => {
                self.check(&part, None)?;
                return self.finish(&part).map(|()| have);
            }
            None => self
                .ask(url, 0)?
                .ok_or_else(|| Fault::Address("the server refuses to send the file".into()))?,
        };
        if let (Some(offered), Some(expected)) = (answer.total, self.file.size)
            && offered != expected
        {
            return Err(Fault::Address(format!(
                "expected {expected} bytes, the server offers {offered}"
            )));
        }
        let (start, total) = (answer.start, answer.total.or(self.file.size));
        self.receive(answer, &part, total, progress)?;
        self.check(&part, total)?;
        self.finish(&part).map(|()| start)
    }

    /// Asks for the file from byte `have` on; `None` where the server says that nothing is there.
    fn ask(&self, url: &str, have: u64) -> Result<Option<Answer>, Fault> {
        let mut request = self.agent.get(url);
        if have > 0 {
            request = request.header(header::RANGE, format!("bytes={have}-"));
        }
        let response = request.call().map_err(|e| Fault::Address(reason(&e)))?;
        let length = response.body().content_length();
        let is_page = response.body().mime_type() == Some("text/html");
        match response.status() {
            StatusCode::OK if is_page => {
                Err(Fault::Address("the server answers with a web page, not with the file".into()))
            }
            StatusCode::OK => {
                Ok(Some(Answer { total: length, start: 0, body: response.into_body() }))
            }
            StatusCode::PARTIAL_CONTENT => match range(&response) {
                Some((start, total)) if start == have => {
                    Ok(Some(Answer { start, total, body: response.into_body() }))
                }
                _ => Err(Fault::Address(
                    "the server answers with another range than was asked for".into(),
                )),
            },
            StatusCode::RANGE_NOT_SATISFIABLE if have > 0 => Ok(None),
            status => Err(Fault::Address(format!("the server answers {status}"))),
        }
    }

    /// Writes the answer's body to `part`, at its place.
    fn receive(
        &self,
        answer: Answer,
        part: &Path,
        total: Option<u64>,
        progress: &mut Progress,
    ) -> Result<(), Fault> {
        let mut out = match answer.start {
            0 => File::create(part),
            _ => OpenOptions::new().append(true).open(part),
        }
        .map_err(Error::io("write", part))?;
        let limit = total.unwrap_or(MAX_FILE_BYTES);
        let mut body = answer.body.into_with_config().limit(u64::MAX).reader();
        let mut done = answer.start;
        let mut piece = vec![0; 1 << 16];
        progress(done, total);
        loop {
            let read = match body.read(&mut piece) {
                Ok(0) => break,
                Ok(read) => read,
                Err(e) => {
                    return Err(Fault::Address(format!(
                        "the connection ended after {done} of {} bytes ({e}); the next attempt \
                         continues there",
                        total.map_or("unknown".into(), |total| total.to_string())
                    )));
                }
            };
            done += read as u64;
            if done > limit {
                drop(out);
                self.discard(part);
                return Err(Fault::Address(format!("the server sends more than {limit} bytes")));
            }
            out.write_all(&piece[..read]).map_err(Error::io("write", part))?;
            progress(done, total);
        }
        out.sync_data().map_err(Error::io("write", part))?;
        match total {
            Some(total) if done < total => Err(Fault::Address(format!(
                "the connection ended after {done} of {total} bytes; the next attempt continues \
                 there"
            ))),
            _ => Ok(()),
        }
    }

    /// Size, kind and digest of what was downloaded; what is wrong is deleted.
    fn check(&self, part: &Path, total: Option<u64>) -> Result<(), Fault> {
        let size = fs::metadata(part).map_err(Error::io("read", part))?.len();
        let expected = self.file.size.or(total);
        let wrong = if let Some(what) = content::impostor(&content::head(part)?) {
            Some(format!("the server sent {what}"))
        } else if let Some(expected) = expected.filter(|&expected| expected != size) {
            Some(format!("expected {expected} bytes, got {size}"))
        } else if let Some(expected) = &self.file.sha256 {
            let found = digest::sha256_file(part)?;
            (found != *expected).then(|| format!("expected SHA-256 {expected}, got {found}"))
        } else {
            None
        };
        match wrong {
            None => Ok(()),
            Some(reason) => {
                self.discard(part);
                Err(Fault::Address(reason))
            }
        }
    }

    fn finish(&self, part: &Path) -> Result<(), Fault> {
        Ok(fs::rename(part, &self.target)
            .map_err(Error::io("rename a finished download to", &self.target))?)
    }

    fn discard(&self, part: &Path) {
        // The reason for discarding it is what matters; a leftover is only untidy.
        let _ = fs::remove_file(part);
    }
}

/// Start and total of `Content-Range: bytes START-END/TOTAL`.
fn range(response: &Response<Body>) -> Option<(u64, Option<u64>)> {
    let value = response.headers().get(header::CONTENT_RANGE)?.to_str().ok()?;
    let (range, total) = value.trim().strip_prefix("bytes")?.trim().split_once('/')?;
    let (start, _) = range.split_once('-')?;
    Some((start.trim().parse().ok()?, total.trim().parse().ok()))
}

/// What a failed request says to someone who may only be offline.
fn reason(error: &ureq::Error) -> String {
    match error {
        ureq::Error::HostNotFound | ureq::Error::ConnectionFailed | ureq::Error::Io(_) => {
            format!(
                "no connection ({error}); is this machine online, or behind a proxy (HTTPS_PROXY)?"
            )
        }
        ureq::Error::Timeout(_) => format!("no answer in time ({error})"),
        _ => error.to_string(),
    }
}
