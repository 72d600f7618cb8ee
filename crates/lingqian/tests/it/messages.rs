//! Users hear by WeChat's messages of what a running server did, whatever WeChat makes of them.

use serde_json::{Value, json};

use crate::process::{Running, ask, json as said, run, until};

async fn tell(sandbox: &str, path: &str, body: &Value) -> Value {
    let url = format!("{sandbox}/_sandbox/{path}");
    let headers = [("content-type", "application/json")];
    let answer = ask("POST", &url, &headers, &body.to_string()).await;
    let (status, answer, _) = answer.expect("it answers");
    assert_eq!(status, 200, "{path}: {answer}");
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_is_told_once_by_a_template_message() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    assert!(
        run(&data, &["keys", "new", "--scope", "*"])
            .status
            .success()
    );
    let sandbox = Running::start(&data, &["sandbox", "--listen", "127.0.0.1:0"]);
    let text = std::fs::read_to_string(data.join("wechat/credentials.json")).expect("there");
    let account: Value = serde_json::from_str(&text).expect("JSON");
    let app = account["appid"].as_str().expect("a text");
    let keys = json!({ "appid": app, "keys": ["thing1"] });
    let template = tell(&sandbox.url, "templates", &keys).await;
    let template = template["template_id"].as_str().expect("a name");
    let file = data.join("lingqian.toml");
    let config = std::fs::read_to_string(&file).expect("a configuration");
    let more = format!(
        "\n[[messages]]\napp = \"{app}\"\nevent = \"user.linked\"\ntemplate = \"{template}\"\n\
         data = {{ thing1 = \"{{title}}\" }}\n"
    );
    std::fs::write(&file, config + &more).expect("written");
    // WeChat is busy the first time.
    let plan = json!({ "errcodes": { "cgi-bin/message/template/send": [-1] } });
    tell(&sandbox.url, "faults", &plan).await;
    let server = Running::start(&data, &["serve", "--listen", "127.0.0.1:0"]);
    let key = std::fs::read_to_string(data.join("api-key")).expect("a key");
    let bearer = format!("Bearer {}", key.trim());
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
    ];
    let api = async |path: &str, body: &str| {
        let url = format!("{}{path}", server.url);
        let (status, said, _) = ask("POST", &url, &headers, body).await.expect("answers");
        assert!(status < 300, "{path}: {said}");
        said
    };
    api("/v1/users", r#"{"id":"alice"}"#).await;
    let begun = api("/v1/users/alice/link", "").await;
    let page = begun["authorize_url"].as_str().expect("a page");
    let page = page.split('#').next().expect("a page");
    let page = format!("{page}&sandbox_user=alice");
    let (_, _, callback) = ask("GET", &page, &[], "").await.expect("answers");
    let (status, said_there, _) = ask("GET", &callback.expect("it leads back"), &[], "")
        .await
        .expect("answers");
    assert_eq!(status, 200, "{said_there}");
    let seen = async || {
        let url = format!("{}/_sandbox/messages", sandbox.url);
        ask("GET", &url, &[], "").await.expect("answers").1
    };
    until("a message", async || {
        let seen = seen().await;
        (seen["data"] == json!([])).then(|| seen.to_string())
    })
    .await;
    let seen = seen().await;
    assert_eq!(
        seen["data"].as_array().expect("a list").len(),
        1,
        "{seen:#}"
    );
    assert_eq!(seen["data"][0]["template_id"], template);
    assert_eq!(seen["data"][0]["data"]["thing1"]["value"], "微信零钱已绑定");
    assert_eq!(seen["tokens"]["made"], 1, "{seen:#}");
    let list = said(&data, &["webhooks", "list"]);
    let endpoint = &list["data"][0];
    assert_eq!(endpoint["url"], format!("wechat:{app}"), "{list:#}");
    // The record of a message comes after it.
    until("nothing waits", async || {
        let list = said(&data, &["webhooks", "list"]);
        let pending = &list["data"][0]["health"]["pending"];
        (*pending != 0).then(|| pending.to_string())
    })
    .await;
    let tested = run(
        &data,
        &["webhooks", "test", endpoint["id"].as_str().expect("a name")],
    );
    let words = String::from_utf8_lossy(&tested.stdout).into_owned();
    assert!(words.contains("no_webhook"), "{words}");
    let inbox = format!("{}/v1/users/alice/messages", server.url);
    let (_, inbox, _) = ask("GET", &inbox, &headers, "").await.expect("answers");
    assert_eq!(inbox["data"][0]["title"]["zh"], "微信零钱已绑定");
}
