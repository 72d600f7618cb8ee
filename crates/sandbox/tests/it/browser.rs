//! A real browser, driven by its DevTools protocol over its standard streams: it moves a mouse,
//! presses and types, and looks at what is shown. Nothing of the page is called from here.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// `cargo xtask test` installs the first; any will do.
const BROWSERS: [&str; 4] = [
    "chromium-headless-shell",
    "chromium",
    "chromium-browser",
    "google-chrome",
];

/// A browser with one page.
pub(crate) struct Browser {
    child: Child,
    to: ChildStdin,
    from: Receiver<Value>,
    asked: u64,
    session: String,
    /// What is typed where the page asks by a dialog.
    pub(crate) answer: String,
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn installed() -> &'static str {
    let found = BROWSERS.into_iter().find(|name| {
        let asked = Command::new(name).arg("--version").output();
        asked.is_ok_and(|output| output.status.success())
    });
    found.expect("there is no browser: `cargo xtask test` installs chromium-headless-shell")
}

impl Browser {
    /// Starts it with nothing but a folder of its own, and opens a page.
    pub(crate) fn open(folder: &Path, url: &str) -> Browser {
        // It reads from its third stream and writes to its fourth; those are ours.
        let script = r#"exec "$0" "$@" 3<&0 4>&1 </dev/null >/dev/null"#;
        let mut child = Command::new("sh")
            .args(["-c", script, installed()])
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--disable-dev-shm-usage",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--lang=en",
                "--window-size=1280,1600",
                "--remote-debugging-pipe",
            ])
            .arg(format!("--user-data-dir={}", folder.display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let to = child.stdin.take().expect("a stream");
        let mut stream = BufReader::new(child.stdout.take().expect("a stream"));
        let (told, from) = channel();
        std::thread::spawn(move || {
            let mut message = Vec::new();
            while stream
                .read_until(0, &mut message)
                .is_ok_and(|size| size > 1)
            {
                message.pop();
                let read = serde_json::from_slice(&message).expect("JSON");
                message.clear();
                if told.send(read).is_err() {
                    return;
                }
            }
        });
        let mut browser = Browser {
            child,
            to,
            from,
            asked: 0,
            session: String::new(),
            answer: String::new(),
        };
        let page = browser.call("Target.createTarget", &json!({ "url": "about:blank" }));
        let target = json!({ "targetId": page["targetId"], "flatten": true });
        let session = browser.call("Target.attachToTarget", &target);
        browser.session = session["sessionId"].as_str().expect("a session").to_owned();
        browser.call("Page.enable", &json!({}));
        browser.go(url);
        browser
    }

    /// Says of itself what another browser does, and gives each page what it finds there.
    pub(crate) fn pretend(&mut self, agent: &str, script: &str) {
        let agent = json!({ "userAgent": agent });
        self.call("Emulation.setUserAgentOverride", &agent);
        let script = json!({ "source": script });
        self.call("Page.addScriptToEvaluateOnNewDocument", &script);
    }

    /// Opens another page.
    pub(crate) fn go(&mut self, url: &str) {
        let told = self.call("Page.navigate", &json!({ "url": url }));
        assert!(told["errorText"].is_null(), "{url}: {told}");
        self.until("document.readyState === 'complete'");
    }

    fn send(&mut self, method: &str, parameters: &Value) -> u64 {
        self.asked += 1;
        let mut message = json!({ "id": self.asked, "method": method, "params": parameters });
        if !self.session.is_empty() {
            message["sessionId"] = json!(self.session);
        }
        let text = format!("{message}\0");
        self.to.write_all(text.as_bytes()).expect("it listens");
        self.asked
    }

    /// One command and its answer. A dialog that opens meanwhile is answered: the page waits for it.
    pub(crate) fn call(&mut self, method: &str, parameters: &Value) -> Value {
        let id = self.send(method, parameters);
        loop {
            let told = self.from.recv_timeout(PATIENCE);
            let told = told.unwrap_or_else(|_| panic!("the browser did not answer {method}"));
            if told["method"] == "Page.javascriptDialogOpening" {
                let answer = json!({ "accept": true, "promptText": self.answer });
                self.send("Page.handleJavaScriptDialog", &answer);
            }
            if told["id"] == id {
                assert!(told["error"].is_null(), "{method}: {told}");
                return told["result"].clone();
            }
        }
    }

    /// What an expression says of the page as it is shown.
    pub(crate) fn look(&mut self, expression: &str) -> Value {
        let asked = json!({ "expression": expression, "returnByValue": true });
        let told = self.call("Runtime.evaluate", &asked);
        let failed = &told["exceptionDetails"];
        assert!(failed.is_null(), "{expression}: {failed}");
        told["result"]["value"].clone()
    }

    /// Waits until an expression is true of what is shown.
    pub(crate) fn until(&mut self, expression: &str) {
        let began = Instant::now();
        while self.look(expression) != json!(true) {
            if began.elapsed() > PATIENCE {
                let shown = self.look("document.body.innerText");
                panic!("it never came to be that {expression}; the page shows {shown}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Presses the mouse in the middle of what an expression finds, once that can be hit and does
    /// not move any more; again where something moved under the hand and nothing was hit.
    pub(crate) fn click(&mut self, found: &str) {
        let middle = format!(
            "(() => {{
               const node = {found};
               if (!node || node.disabled) return null;
               node.scrollIntoView({{ block: 'center', inline: 'center' }});
               const box = node.getBoundingClientRect();
               const x = box.x + box.width / 2, y = box.y + box.height / 2;
               return node.contains(document.elementFromPoint(x, y)) ? {{ x, y }} : null;
             }})()"
        );
        for _ in 0..5 {
            self.until(&format!("{middle} !== null"));
            let at = self.look(&middle);
            self.look(&format!(
                "window.hit = null;
                 addEventListener('click', (told) => {{
                   window.hit = !!({found})?.contains(told.target);
                   if (!window.hit) told.stopImmediatePropagation();
                 }}, {{ capture: true, once: true }}); 0"
            ));
            if self.look(&middle) == at && self.press(&at) {
                return;
            }
        }
        panic!("{found} was never hit");
    }

    /// Whether the press hit what it was meant for.
    fn press(&mut self, at: &Value) -> bool {
        let mut event = json!({ "type": "mouseMoved", "x": at["x"], "y": at["y"] });
        self.call("Input.dispatchMouseEvent", &event);
        event["button"] = json!("left");
        event["clickCount"] = json!(1);
        for kind in ["mousePressed", "mouseReleased"] {
            event["type"] = json!(kind);
            self.call("Input.dispatchMouseEvent", &event);
        }
        self.look("window.hit") == json!(true)
    }

    /// Keeps what is shown as a picture, for whoever wants to see it.
    pub(crate) fn picture(&mut self, name: &str) {
        let whole = json!({ "format": "png", "captureBeyondViewport": true });
        let told = self.call("Page.captureScreenshot", &whole);
        let picture = STANDARD.decode(told["data"].as_str().expect("text"));
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let path = folder.join(format!("{name}.png"));
        std::fs::write(path, picture.expect("base64")).expect("written");
    }
}
