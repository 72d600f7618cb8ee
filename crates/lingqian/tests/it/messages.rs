//! Users hear by WeChat's messages of what a running server did, whatever WeChat makes of them.

use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{Running, ask, json as said, run, until};

async fn tell(sandbox: &str, path: &str, body: &Value) -> Value {
    let url = format!("{sandbox}/_sandbox/{path}");
    let headers = [("content-type", "application/json")];
    let answer = ask("POST", &url, &headers, &body.to_string()).await;
    let (status, answer, _) = answer.expect("it answers");
    assert_eq!(status, 200, "{path}: {answer}");
    answer
}

/// A server whose app tells its users that they are linked, beside a sandbox.
struct World {
    data: PathBuf,
    sandbox: Running,
    server: Running,
    app: String,
    template: String,
    bearer: String,
    _dir: TempDir,
}

impl World {
    async fn start() -> World {
        let dir = tempfile::tempdir().expect("a directory");
        let data = dir.path().join("data");
        let made = run(&data, &["keys", "new", "--scope", "*"]);
        assert!(made.status.success(), "{made:?}");
        let sandbox = Running::start(&data, &["sandbox", "--listen", "127.0.0.1:0"]);
        // It is written by whoever needs it first.
        assert!(run(&data, &["payouts"]).status.success());
        let text = std::fs::read_to_string(data.join("wechat/credentials.json")).expect("there");
        let account: Value = serde_json::from_str(&text).expect("JSON");
        let app = account["appid"].as_str().expect("a text").to_owned();
        let keys = json!({ "appid": app, "keys": ["thing1"] });
        let template = tell(&sandbox.url, "templates", &keys).await;
        let template = template["template_id"].as_str().expect("a name").to_owned();
        let file = data.join("lingqian.toml");
        let config = std::fs::read_to_string(&file).expect("a configuration");
        let more = format!(
            "\n[[messages]]\napp = \"{app}\"\nevent = \"user.linked\"\n\
             template = \"{template}\"\ndata = {{ thing1 = \"{{title}}\" }}\n"
        );
        std::fs::write(&file, config + &more).expect("written");
        let server = Running::start(&data, &["serve", "--listen", "127.0.0.1:0"]);
        let key = std::fs::read_to_string(data.join("api-key")).expect("a key");
        World {
            data,
            sandbox,
            server,
            app,
            template,
            bearer: format!("Bearer {}", key.trim()),
            _dir: dir,
        }
    }

    async fn api(&self, method: &str, path: &str, body: &str) -> Value {
        let url = format!("{}{path}", self.server.url);
        let headers = [
            ("authorization", self.bearer.as_str()),
            ("content-type", "application/json"),
        ];
        let answer = ask(method, &url, &headers, body).await;
        let (status, said, _) = answer.expect("it answers");
        assert!(status < 300, "{path}: {said}");
        said
    }

    async fn link(&self, user: &str) {
        let body = json!({ "id": user }).to_string();
        self.api("POST", "/v1/users", &body).await;
        let path = format!("/v1/users/{user}/link");
        let begun = self.api("POST", &path, "").await;
        let page = begun["authorize_url"].as_str().expect("a page");
        let page = page.split('#').next().expect("a page");
        let page = format!("{page}&sandbox_user={user}");
        let (_, _, callback) = ask("GET", &page, &[], "").await.expect("it answers");
        let callback = callback.expect("it leads back");
        let (status, said, _) = ask("GET", &callback, &[], "").await.expect("it answers");
        assert_eq!(status, 200, "{said}");
    }

    async fn seen(&self) -> Value {
        let url = format!("{}/_sandbox/messages", self.sandbox.url);
        ask("GET", &url, &[], "").await.expect("it answers").1
    }

    fn endpoint(&self) -> Value {
        said(&self.data, &["webhooks", "list"])["data"][0].clone()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_is_told_once_by_a_template_message() {
    let world = World::start().await;
    // WeChat is busy the first time.
    let plan = json!({ "errcodes": { "cgi-bin/message/template/send": [-1] } });
    tell(&world.sandbox.url, "faults", &plan).await;
    world.link("alice").await;
    until("a message", async || {
        let seen = world.seen().await;
        (seen["data"] == json!([])).then(|| seen.to_string())
    })
    .await;
    // The record of a message comes after it.
    until("nothing waits", async || {
        let pending = world.endpoint()["health"]["pending"].clone();
        (pending != 0).then(|| pending.to_string())
    })
    .await;
    let seen = world.seen().await;
    let sent = seen["data"].as_array().expect("a list");
    assert_eq!(sent.len(), 1, "{seen:#}");
    assert_eq!(sent[0]["template_id"], world.template.as_str());
    assert_eq!(sent[0]["data"]["thing1"]["value"], "微信零钱已绑定");
    assert_eq!(seen["tokens"]["made"], 1, "{seen:#}");
    let endpoint = world.endpoint();
    assert_eq!(
        endpoint["url"],
        format!("wechat:{}", world.app),
        "{endpoint:#}"
    );
    let id = endpoint["id"].as_str().expect("a name");
    let tested = run(&world.data, &["webhooks", "test", id]);
    let words = String::from_utf8_lossy(&tested.stdout).into_owned();
    assert!(words.contains("no_webhook"), "{words}");
    let inbox = world.api("GET", "/v1/users/alice/messages", "").await;
    assert_eq!(inbox["data"][0]["title"]["zh"], "微信零钱已绑定");
}
