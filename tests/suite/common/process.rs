//! Processes that are killed and stopped in the middle of a pass, and disks that fill.

use super::corpus::Run;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Starts a command, keeping its stderr.
pub(crate) fn start(command: &mut Command) -> Child {
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Bytes of the records so far.
pub(crate) fn length_of_records(run: &Run) -> u64 {
    fs::metadata(run.path("records.jsonl")).map_or(0, |metadata| metadata.len())
}

/// Waits until the records are longer than `length`, or the process has ended.
pub(crate) fn wait_for_records(child: &mut Child, run: &Run, length: u64) {
    let patience = Instant::now() + Duration::from_secs(120);
    while length_of_records(run) <= length && child.try_wait().unwrap().is_none() {
        assert!(Instant::now() < patience, "no progress");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Waits for the end; exit status, if it was not a signal, and stderr.
pub(crate) fn finish(child: Child) -> (Option<i32>, String) {
    let output = child.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Sends a signal, as `-TERM`.
pub(crate) fn signal(child: &Child, name: &str) {
    // The shell's own: a small machine has no program of that name.
    let command = format!("kill {name} {}", child.id());
    assert!(Command::new("bash").args(["-c", &command]).status().unwrap().success());
}

/// A small file system of its own, if this user may mount one.
pub(crate) struct Disk<'a>(&'a std::path::Path);

impl<'a> Disk<'a> {
    /// Nothing where this user may not mount.
    pub(crate) fn mount(at: &'a std::path::Path, kilobytes: u64) -> Option<Self> {
        fs::create_dir(at).unwrap();
        let options = format!("size={kilobytes}k");
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "emocam-test"])
            .arg(at)
            .output();
        mount.is_ok_and(|output| output.status.success()).then_some(Self(at))
    }

    /// Changes its size.
    pub(crate) fn resize(&self, kilobytes: u64) {
        let options = format!("remount,size={kilobytes}k");
        assert!(
            Command::new("mount").args(["-o", &options]).arg(self.0).status().unwrap().success()
        );
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0).status();
    }
}
