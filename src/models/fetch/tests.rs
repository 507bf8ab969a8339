//! Against a server of a few lines on this machine, one request a connection.

use super::*;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::thread::JoinHandle;

/// A file whose bytes differ from place to place, and that is neither empty nor text.
fn contents() -> Vec<u8> {
    (0..200_003_u32).map(|i| (i * 7 + i / 251) as u8).collect()
}

/// Answers one connection with each of `answers`, a function of the range's start; returns the
/// starts asked for.
fn serve(answers: Vec<fn(Option<u64>) -> Vec<u8>>) -> (String, JoinHandle<Vec<Option<u64>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/w.bin", listener.local_addr().unwrap());
    let served = std::thread::spawn(move || {
        answers
            .into_iter()
            .map(|answer| {
                let (mut stream, _) = listener.accept().unwrap();
                let mut start = None;
                for line in BufReader::new(stream.try_clone().unwrap()).lines() {
                    let line = line.unwrap().to_ascii_lowercase();
                    if line.is_empty() {
                        break;
                    }
                    if let Some(range) = line.strip_prefix("range: bytes=") {
                        start = range.strip_suffix('-').unwrap().parse().ok();
                    }
                }
                // The client may hang up first; that is its right.
                let _ = stream.write_all(&answer(start));
                start
            })
            .collect()
    });
    (url, served)
}

fn answer(head: &str, length: usize, body: &[u8]) -> Vec<u8> {
    [
        format!("HTTP/1.1 {head}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n")
            .as_bytes(),
        body,
    ]
    .concat()
}

fn whole(_: Option<u64>) -> Vec<u8> {
    answer("200 OK", contents().len(), &contents())
}

fn ranged(start: Option<u64>) -> Vec<u8> {
    let Some(start) = start else { return whole(None) };
    let (all, rest) = (contents(), &contents()[start as usize..]);
    let head = format!(
        "206 Partial Content\r\nContent-Range: bytes {start}-{}/{}",
        all.len() - 1,
        all.len()
    );
    answer(&head, rest.len(), rest)
}

fn cut(start: Option<u64>) -> Vec<u8> {
    let mut answer = ranged(start);
    answer.truncate(answer.len() - 50_000);
    answer
}

struct Place {
    folder: tempfile::TempDir,
    file: CatalogueFile,
}

impl Place {
    fn new(url: &str) -> Self {
        let file = CatalogueFile {
            name: "w.bin".into(),
            content: "test".into(),
            shipped: false,
            optional: false,
            urls: vec![url.into()],
            page: "https://example.org/models".into(),
            size: Some(contents().len() as u64),
            sha256: None,
        };
        Self { folder: tempfile::tempdir().unwrap(), file }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn fetch(&self) -> Result<Fetched> {
        // Whatever proxy is set here, it does not lead to this machine.
        let agent = agent(Agent::config_builder().proxy(None));
        fetch_with(&agent, &self.file, self.folder.path(), &mut |_, _| ())
    }

    fn is_complete(&self) -> bool {
        fs::read(self.path("w.bin")).unwrap() == contents() && !self.path("w.bin.part").exists()
    }
}

#[test]
fn a_file_arrives_whole_with_progress_and_is_not_downloaded_again() {
    let (url, served) = serve(vec![whole]);
    let place = Place::new(&url);
    let agent = agent(Agent::config_builder().proxy(None));
    let mut seen = Vec::new();
    let fetched = fetch_with(&agent, &place.file, place.folder.path(), &mut |done, total| {
        seen.push((done, total));
    });
    assert_eq!(fetched.unwrap(), Fetched::Downloaded { resumed_from: 0 });
    assert!(place.is_complete());
    let total = contents().len() as u64;
    assert_eq!(seen.first(), Some(&(0, Some(total))));
    assert_eq!(seen.last(), Some(&(total, Some(total))));
    assert!(seen.is_sorted());
    assert_eq!(served.join().unwrap(), [None]);
    assert_eq!(place.fetch().unwrap(), Fetched::AlreadyThere);
}

#[test]
fn a_connection_cut_midway_is_continued_where_it_ended() {
    let (url, served) = serve(vec![cut, ranged]);
    let place = Place::new(&url);
    let message = place.fetch().unwrap_err().to_string();
    assert!(message.contains("150003 of 200003 bytes"), "{message}");
    assert!(!place.path("w.bin").exists());
    assert_eq!(place.fetch().unwrap(), Fetched::Downloaded { resumed_from: 150_003 });
    assert!(place.is_complete());
    assert_eq!(served.join().unwrap(), [None, Some(150_003)]);
}

#[test]
fn a_server_that_ignores_ranges_sends_everything_again() {
    let (url, served) = serve(vec![whole]);
    let place = Place::new(&url);
    fs::write(place.path("w.bin.part"), &contents()[..1000]).unwrap();
    assert_eq!(place.fetch().unwrap(), Fetched::Downloaded { resumed_from: 0 });
    assert!(place.is_complete());
    assert_eq!(served.join().unwrap(), [Some(1000)]);
}

#[test]
fn a_part_that_is_complete_is_only_renamed_and_one_that_is_too_long_begins_anew() {
    fn nothing_there(_: Option<u64>) -> Vec<u8> {
        answer("416 Range Not Satisfiable", 0, b"")
    }
    let (url, _served) = serve(vec![nothing_there, nothing_there, whole]);
    let place = Place::new(&url);
    fs::write(place.path("w.bin.part"), contents()).unwrap();
    assert_eq!(place.fetch().unwrap(), Fetched::Downloaded { resumed_from: 200_003 });
    assert!(place.is_complete());
    fs::remove_file(place.path("w.bin")).unwrap();
    fs::write(place.path("w.bin.part"), vec![7; 300_000]).unwrap();
    assert_eq!(place.fetch().unwrap(), Fetched::Downloaded { resumed_from: 0 });
    assert!(place.is_complete());
}

#[test]
fn a_wrong_length_or_digest_leaves_nothing() {
    fn longer(_: Option<u64>) -> Vec<u8> {
        answer("200 OK", 200_004, &[contents(), vec![1]].concat())
    }
    fn endless(_: Option<u64>) -> Vec<u8> {
        [b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".to_vec(), contents(), contents()].concat()
    }
    let (url, _served) = serve(vec![longer, endless, whole, whole]);
    let mut place = Place::new(&url);
    let message = place.fetch().unwrap_err().to_string();
    assert!(message.contains("expected 200003 bytes, the server offers 200004"), "{message}");
    let message = place.fetch().unwrap_err().to_string();
    assert!(message.contains("more than 200003 bytes"), "{message}");
    place.file.sha256 = Some("0".repeat(64));
    let message = place.fetch().unwrap_err().to_string();
    assert!(message.contains("expected SHA-256 0000"), "{message}");
    assert_eq!(fs::read_dir(place.folder.path()).unwrap().count(), 0);
    fs::write(place.path("right"), contents()).unwrap();
    place.file.sha256 = Some(digest::sha256_file(&place.path("right")).unwrap());
    place.fetch().unwrap();
    assert!(place.is_complete());
}

#[test]
fn a_web_page_instead_of_the_file_and_a_404_are_named_and_the_next_address_is_tried() {
    fn page(_: Option<u64>) -> Vec<u8> {
        answer(
            "200 OK\r\nContent-Type: text/html",
            40,
            b"<!doctype html><title>moved</title>     \n",
        )
    }
    fn untyped_page(_: Option<u64>) -> Vec<u8> {
        answer("200 OK", 40, b"<!doctype html><title>moved</title>     \n")
    }
    fn missing(_: Option<u64>) -> Vec<u8> {
        answer("404 Not Found", 0, b"")
    }
    let (url, _served) = serve(vec![missing, page, untyped_page, missing, whole]);
    let mut place = Place::new(&url);
    place.file.urls = vec![url.clone(), url.clone()];
    let message = place.fetch().unwrap_err().to_string();
    for part in ["404 Not Found", "web page", "https://example.org/models", "w.bin"] {
        assert!(message.contains(part), "{message}");
    }
    place.file.urls.truncate(1);
    place.file.size = None;
    let message = place.fetch().unwrap_err().to_string();
    assert!(message.contains("the server sent a web page"), "{message}");
    assert_eq!(fs::read_dir(place.folder.path()).unwrap().count(), 0);
    place.file.urls.push(url);
    assert_eq!(place.fetch().unwrap(), Fetched::Downloaded { resumed_from: 0 });
    assert!(place.is_complete());
}

#[test]
fn without_network_or_address_the_error_says_where_to_get_it_and_where_to_put_it() {
    // Bound and closed again: nobody answers here.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut place = Place::new(&format!("http://127.0.0.1:{port}/w.bin"));
    let message = place.fetch().unwrap_err().to_string();
    let target = place.path("w.bin").display().to_string();
    for part in ["no connection", "online", "https://example.org/models", &target] {
        assert!(message.contains(part), "{message}");
    }
    place.file.urls.clear();
    let message = place.fetch().unwrap_err().to_string();
    assert!(message.contains("no address") && message.contains(&target), "{message}");
}
