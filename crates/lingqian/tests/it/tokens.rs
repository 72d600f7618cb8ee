//! A merchant whose key never leaves its token, end to end, while certificates change; and what
//! the logs of all that must not hold.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::process::{Running, ask, independent_audit, lingqian, until};

const PIN: &str = "271828182845";
const OFFICER: &str = "314159265358";

fn module() -> &'static str {
    let known = [
        "/usr/lib/softhsm/libsofthsm2.so",
        "/usr/lib64/pkcs11/libsofthsm2.so",
    ];
    let found = known.into_iter().find(|path| Path::new(path).exists());
    found.expect("softhsm2 is installed; `cargo xtask test` installs it")
}

struct World {
    dir: tempfile::TempDir,
    data: PathBuf,
}

impl World {
    fn new() -> World {
        let dir = tempfile::tempdir().expect("a directory");
        let data = dir.path().join("data");
        std::fs::create_dir(dir.path().join("tokens")).expect("made");
        let tokens = dir.path().join("tokens");
        let conf = format!("directories.tokendir = {}\n", tokens.display());
        std::fs::write(dir.path().join("softhsm2.conf"), conf).expect("written");
        std::fs::write(dir.path().join("pin"), PIN).expect("written");
        std::fs::write(dir.path().join("officer"), OFFICER).expect("written");
        World { dir, data }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = lingqian(&self.data, arguments);
        command
            .env("SOFTHSM2_CONF", self.dir.path().join("softhsm2.conf"))
            .env_remove("LINGQIAN_TOKEN_PIN");
        command
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let done = self.command(&[arguments, &["--json"]].concat()).output();
        let done = done.expect("it runs");
        let errors = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{arguments:?}: {errors}");
        serde_json::from_slice(&done.stdout).expect("JSON")
    }

    fn change(&self, file: &str, from: &str, to: &str) {
        let path = self.data.join(file);
        let text = std::fs::read_to_string(&path).expect("there");
        assert!(text.contains(from), "{file} has {from}");
        std::fs::write(&path, text.replacen(from, to, 1)).expect("written");
    }

    fn serve(&self, log: &Path) -> Running {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(log);
        let mut serve = self.command(&["serve", "--listen", "127.0.0.1:0"]);
        serve
            .env("LINGQIAN_LOG", "debug")
            .stderr(log.expect("a log"));
        Running::of(serve.stdout(Stdio::piped()))
    }
}

async fn certificates(sandbox: &str, change: Value) -> Value {
    let url = format!("{sandbox}/_sandbox/certificates");
    let json = [("content-type", "application/json")];
    let (status, answer, _) = ask("POST", &url, &json, &change.to_string())
        .await
        .expect("answers");
    assert_eq!(status, 200, "{answer}");
    answer
}

/// Credits a new user, links it, pays it, and waits until it is paid.
async fn pay(platform: &str, key: &str, user: &str) {
    let bearer = format!("Bearer {key}");
    let reference = format!("r-{user}");
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
        ("idempotency-key", reference.as_str()),
    ];
    let api = async |method: &str, path: &str, body: Value| {
        let url = format!("{platform}{path}");
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let (status, said, _) = ask(method, &url, &headers, &body).await.expect("answers");
        assert!(status < 300, "{path}: {said}");
        said
    };
    api("POST", "/v1/users", json!({ "id": user })).await;
    let event = json!({ "source": "t", "event_id": user, "user": user, "kind": "task_done",
        "amount_fen": 100 });
    api("POST", "/v1/events", event).await;
    let begun = api("POST", &format!("/v1/users/{user}/link"), Value::Null).await;
    let page = begun["authorize_url"].as_str().expect("a page");
    let page = page.split('#').next().expect("a page");
    let page = format!("{page}&sandbox_user={user}");
    let (_, _, callback) = ask("GET", &page, &[], "").await.expect("answers");
    let callback = callback.expect("it leads back");
    let (status, said, _) = ask("GET", &callback, &[], "").await.expect("answers");
    assert_eq!(status, 200, "{said}");
    let wanted = json!({ "user": user, "amount_fen": 100, "reference": reference });
    let made = api("POST", "/v1/withdrawals", wanted).await;
    let payout = made["id"].as_str().unwrap_or_else(|| panic!("{made}"));
    until("paid", async || {
        let url = format!("{platform}/v1/payouts/{payout}");
        let (_, shown, _) = ask("GET", &url, &headers, "").await?;
        (shown["state"] != "paid").then(|| shown.to_string())
    })
    .await;
}

impl World {
    /// A key in the token that the sandbox issued a certificate for; answers its serial number.
    async fn certified(&self, sandbox: &str, label: &str) -> String {
        self.json(&["keys", "token", "generate", "--label", label]);
        let csr = [
            "keys",
            "token",
            "csr",
            "--label",
            label,
            "--mchid",
            "1900000109",
        ];
        let request = self.json(&csr)["request"].clone();
        let answer = certificates(sandbox, json!({ "request": request })).await;
        answer["issued"]["serial"]
            .as_str()
            .expect("issued")
            .to_owned()
    }

    fn credential(&self, name: &str) -> String {
        let text = std::fs::read_to_string(self.data.join("wechat/credentials.json"));
        let all: Value = serde_json::from_str(&text.expect("there")).expect("JSON");
        all[name]
            .as_str()
            .unwrap_or_else(|| panic!("{name}"))
            .to_owned()
    }

    /// Everything that must be in no log.
    fn secrets(&self) -> Vec<(String, String)> {
        let file = |name: &str| std::fs::read_to_string(self.data.join(name)).expect(name);
        let mut secrets = vec![
            ("the PIN".to_owned(), PIN.to_owned()),
            ("the officer's PIN".to_owned(), OFFICER.to_owned()),
            ("the API key".to_owned(), file("api-key").trim().to_owned()),
        ];
        for name in ["app_secret", "apiv3_key", "v2_key"] {
            secrets.push((name.to_owned(), self.credential(name)));
        }
        let ring = file("keyring.json");
        let ring = ring.split_whitespace().nth(1).expect("a key");
        secrets.push(("the keyring".to_owned(), ring.to_owned()));
        let pem = file("wechat/apiclient_key.pem");
        let line = pem.lines().nth(3).expect("a key");
        secrets.push(("the private key".to_owned(), line.to_owned()));
        secrets
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_pays_while_keys_and_certificates_change_and_no_log_holds_a_secret() {
    let world = World::new();
    let data = world.data.clone();
    world.json(&["keys", "list"]);
    let pin = world.dir.path().join("pin");
    for (from, to) in [
        ("signer = \"software\"", "signer = \"pkcs11\"".to_owned()),
        ("sealer = \"software\"", "sealer = \"pkcs11\"".to_owned()),
        (
            "pin_file = \"\"",
            format!("pin_file = \"{}\"", pin.display()),
        ),
        ("/usr/lib/softhsm/libsofthsm2.so", module().to_owned()),
    ] {
        world.change("lingqian.toml", from, &to);
    }
    let officer = world.dir.path().join("officer");
    let officer = officer.to_str().expect("plain");
    world.json(&["keys", "token", "init", "--officer-pin-file", officer]);
    world.json(&["keys", "token", "generate", "--sealing"]);
    let sandbox = Running::start(&data, &["sandbox", "--listen", "127.0.0.1:0"]);
    let robot = json!({ "confirm_per_mille": 1000, "refuse_per_mille": 0, "delay_ms": 0,
        "seed": 1 });
    let url = format!("{}/_sandbox/robot", sandbox.url);
    let headers = [("content-type", "application/json")];
    ask("POST", &url, &headers, &robot.to_string())
        .await
        .expect("answers");

    let first = world.certified(&sandbox.url, "merchant").await;
    let software = world.credential("merchant_serial");
    certificates(&sandbox.url, json!({ "retire": software })).await;
    world.change("wechat/credentials.json", &software, &first);
    // Without the public key WeChat signs with its certificate.
    std::fs::remove_file(data.join("wechat/pub_key.pem")).expect("removed");
    let log = world.dir.path().join("log");
    let platform = world.serve(&log);
    let key = std::fs::read_to_string(data.join("api-key")).expect("the key is there");
    pay(&platform.url, key.trim(), "u1").await;
    let rotated = certificates(&sandbox.url, json!({ "make": true, "sign": true })).await;
    assert_eq!(rotated["platform"].as_array().map(Vec::len), Some(2));
    pay(&platform.url, key.trim(), "u2").await;
    platform.kill();

    let second = world.certified(&sandbox.url, "merchant-next").await;
    let next = format!("{{\n  \"next\": {{ \"merchant_serial\": \"{second}\" }},");
    world.change("wechat/credentials.json", "{", &next);
    let platform = world.serve(&log);
    certificates(&sandbox.url, json!({ "retire": first })).await;
    pay(&platform.url, key.trim(), "u3").await;
    certificates(&sandbox.url, json!({ "retire": second, "restore": first })).await;
    pay(&platform.url, key.trim(), "u4").await;
    let status = world.json(&["keys", "token", "status"]);
    assert_eq!(status["signing_keys"], json!(["merchant", "merchant-next"]));
    platform.kill();
    let audit = world.json(&["audit"]);
    assert_eq!(audit["sound"], true, "{audit:#}");
    independent_audit(&data);

    let log = std::fs::read_to_string(&log).expect("a log");
    assert!(
        log.contains("WeChat refused a key of the merchant"),
        "the fallback is told"
    );
    assert!(log.contains("DEBUG"), "it is a log of everything");
    for (name, secret) in world.secrets() {
        assert!(
            secret.len() >= 10 && !log.contains(&secret),
            "{name} is in the log"
        );
    }
}
