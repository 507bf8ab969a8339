//! A headless Chromium, driven through a pair of pipes by the DevTools protocol.

use serde_json::{Value, json};
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// Longer than a page of these tests ever takes.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Browser {
    child: Child,
    orders: File,
    answers: Receiver<Value>,
    session: Value,
    number: u64,
    /// Everything that was said between answers.
    pub events: Vec<Value>,
    _folder: tempfile::TempDir,
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Browser {
    /// Starts it with a page of this width; `None` where there is none on this machine.
    pub(crate) fn start(width: u32) -> Option<Self> {
        let there = Command::new("chromium")
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if !there.is_ok_and(|status| status.success()) {
            eprintln!("skipped: no chromium on this machine");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let made = Command::new("mkfifo").args([path("orders"), path("answers")]).status().unwrap();
        assert!(made.success());
        let script = "exec chromium --headless --no-sandbox --disable-gpu --disable-dev-shm-usage \
                      --remote-debugging-pipe --user-data-dir=\"$1/profile\" about:blank \
                      3<\"$1/orders\" 4>\"$1/answers\"";
        let child = Command::new("sh")
            .args(["-c", script, "sh"])
            .arg(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let orders = File::options().write(true).open(path("orders")).unwrap();
        let mut answers = File::open(path("answers")).unwrap();
        let (sender, receiver) = channel();
        std::thread::spawn(move || {
            let (mut text, mut block) = (Vec::new(), [0; 65536]);
            while let Ok(length @ 1..) = answers.read(&mut block) {
                text.extend(&block[..length]);
                while let Some(end) = text.iter().position(|&byte| byte == 0) {
                    let message: Vec<u8> = text.drain(..=end).collect();
                    let _ = sender.send(serde_json::from_slice(&message[..end]).unwrap());
                }
            }
        });
        let mut browser = Self {
            child,
            orders,
            answers: receiver,
            session: Value::Null,
            number: 0,
            events: Vec::new(),
            _folder: folder,
        };
        let target =
            browser.ask("Target.createTarget", &json!({ "url": "about:blank" }))["targetId"]
                .clone();
        let attached =
            browser.ask("Target.attachToTarget", &json!({ "targetId": target, "flatten": true }));
        browser.session = attached["sessionId"].clone();
        for room in ["Page", "Runtime", "Log", "Network"] {
            browser.ask(&format!("{room}.enable"), &json!({}));
        }
        let screen =
            json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false });
        browser.ask("Emulation.setDeviceMetricsOverride", &screen);
        Some(browser)
    }

    fn next(&mut self) -> Value {
        self.answers.recv_timeout(PATIENCE).expect("an answer of the browser")
    }

    /// Gives an order and waits for its answer.
    pub(crate) fn ask(&mut self, method: &str, params: &Value) -> Value {
        self.number += 1;
        let mut order = json!({ "id": self.number, "method": method, "params": params });
        if !self.session.is_null() {
            order["sessionId"] = self.session.clone();
        }
        self.orders.write_all(format!("{order}\0").as_bytes()).unwrap();
        loop {
            let said = self.next();
            if said["id"].as_u64() == Some(self.number) {
                assert!(said["error"].is_null(), "{method}: {}", said["error"]);
                return said["result"].clone();
            }
            self.events.push(said);
        }
    }

    /// Waits until a page is loaded that began to load after `seen` events.
    fn loaded(&mut self, seen: usize) {
        while !self.events[seen..].iter().any(|event| event["method"] == "Page.loadEventFired") {
            let said = self.next();
            self.events.push(said);
        }
    }

    /// Opens a file.
    pub(crate) fn open(&mut self, file: &Path) {
        let seen = self.events.len();
        self.ask("Page.navigate", &json!({ "url": format!("file://{}", file.display()) }));
        self.loaded(seen);
    }

    /// What an expression is in the page.
    pub(crate) fn value(&mut self, expression: &str) -> Value {
        let answer = self
            .ask("Runtime.evaluate", &json!({ "expression": expression, "returnByValue": true }));
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {answer}");
        answer["result"]["value"].clone()
    }

    fn key(&mut self, name: &str, code: u32, text: &str) {
        let key = json!({ "type": "keyDown", "key": name, "code": name, "windowsVirtualKeyCode": code, "text": text });
        self.ask("Input.dispatchKeyEvent", &key);
        let key =
            json!({ "type": "keyUp", "key": name, "code": name, "windowsVirtualKeyCode": code });
        self.ask("Input.dispatchKeyEvent", &key);
    }

    /// Goes on with the tabulator until `wanted` is true of the element that has the focus.
    pub(crate) fn tab_until(&mut self, wanted: &str) {
        for _ in 0..500 {
            self.key("Tab", 9, "");
            if self.value(&format!("(element => {wanted})(document.activeElement)"))
                == Value::Bool(true)
            {
                return;
            }
        }
        panic!("no element that {wanted} can be reached by keyboard");
    }

    /// Follows the link that has the focus.
    pub(crate) fn enter(&mut self) {
        let seen = self.events.len();
        self.key("Enter", 13, "\r");
        self.loaded(seen);
    }

    /// Whatever was wrong in the pages, and everything that they asked for from elsewhere.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let of = |event: &Value| {
            let params = &event["params"];
            match event["method"].as_str()? {
                "Runtime.exceptionThrown" | "Log.entryAdded" | "Runtime.consoleAPICalled" => {
                    Some(params.to_string())
                }
                "Network.requestWillBeSent" => {
                    let url = params["request"]["url"].as_str()?;
                    (!url.starts_with("file:") && !url.starts_with("data:"))
                        .then(|| url.to_string())
                }
                "Network.loadingFailed" => Some(params.to_string()),
                _ => None,
            }
        };
        self.events.iter().filter_map(of).collect()
    }
}
