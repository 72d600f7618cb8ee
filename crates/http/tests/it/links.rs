//! Links over HTTP: scopes and pages, mini programs, lists, and acts with their reasons.

use lingqian_core::command::Command;
use lingqian_core::id::{AppId, MchId, MerchantNo};
use lingqian_core::transfer::Merchant;
use serde_json::json;

use crate::world::{Ask, World, is};

/// A second merchant that pays under a mini program.
async fn with_mini(world: &World) {
    let app = |text: &str| AppId::parse(text).expect("an id");
    world
        .submit(Command::DefineMerchant(Merchant {
            no: MerchantNo(2),
            mchid: MchId::parse("1900000002").expect("an id"),
            apps: vec![app("wx-mini")],
            scene: "1000".into(),
            scene_report: Vec::new(),
            remark: "零钱".into(),
            weight: 1,
            day_quota: None,
        }))
        .await;
}

fn code(code: &str) -> Ask {
    let body = json!({ "app": "wx-mini", "code": code });
    Ask::post("/v1/users/u1/link/code").json(&body)
}

async fn linked(world: &World, user: &str, code: &str) {
    let state = world.state(user).await;
    let path = format!("/oauth/wechat/callback?state={state}&code={code}");
    let answer = world.send(Ask::get(&path).without_key()).await;
    assert!(answer.text.contains("<small>linked<"), "{}", answer.text);
}

#[tokio::test]
async fn a_link_asks_for_what_is_wanted_and_every_wrong_wish_is_named() {
    let world = World::new().await;
    world.user("u1").await;
    let url = async |query: &str| {
        let answer = world
            .send(Ask::post(&format!("/v1/users/u1/link{query}")))
            .await;
        let url = answer.json()["authorize_url"].as_str().map(str::to_owned);
        url.unwrap_or_else(|| panic!("{query}: {}", answer.text))
    };
    assert!(
        url("?scope=snsapi_userinfo")
            .await
            .contains("&scope=snsapi_userinfo&")
    );
    let login = url("?scope=snsapi_login").await;
    assert!(
        login.starts_with("https://wechat.test/qrconnect?appid=wx-site&"),
        "{login}"
    );
    for (query, status, word, field) in [
        ("?scope=openid", 400, "scope_unknown", "scope"),
        ("?app=wx-none", 422, "app_not_configured", "/app"),
        ("?app=wx-mini", 422, "scope_not_of_app", "/scope"),
        ("?app=wx-site", 422, "scope_not_of_app", "/scope"),
        (
            "?app=wx8888888888888888&scope=snsapi_login",
            422,
            "scope_not_of_app",
            "/scope",
        ),
    ] {
        let answer = world
            .send(Ask::post(&format!("/v1/users/u1/link{query}")))
            .await;
        assert_eq!(answer.problem(), is(status, word, Some(field)), "{query}");
    }
}

#[tokio::test]
async fn a_mini_program_links_by_its_code_and_no_secret_is_shown() {
    let world = World::new().await;
    world.user("u1").await;
    with_mini(&world).await;
    let answer = world.send(code("mini-1/union-1")).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    let link = answer.json()["links"][0].clone();
    assert_eq!(link["app"], "wx-mini");
    assert_eq!(link["standing"], "active");
    assert_eq!(link["known_across_apps"], true);
    assert!(link["refresh_at"].is_null(), "there are no tokens");
    assert!(!answer.text.contains("mini-1") && !answer.text.contains("union-1"));
    for (given, status, word) in [
        ("virtual", 422, "snapshot_user"),
        ("used", 410, "authorization_ended"),
        ("busy", 503, "wechat_busy"),
        ("blocked", 403, "user_blocked"),
        ("down", 502, "identity_unavailable"),
        ("mini-2/union-2", 201, ""),
    ] {
        let answer = world.send(code(given)).await;
        let said = answer.json()["code"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        assert_eq!((answer.status, said.as_str()), (status, word), "{given}");
    }
    let other_app = json!({ "app": "wx8888888888888888", "code": "x" });
    let answer = world
        .send(Ask::post("/v1/users/u1/link/code").json(&other_app))
        .await;
    assert_eq!(
        answer.problem(),
        is(422, "scope_not_of_app", Some("/scope"))
    );
    let unpaid = json!({ "app": "wx-other-mini", "code": "x" });
    let answer = world
        .send(Ask::post("/v1/users/u1/link/code").json(&unpaid))
        .await;
    assert_eq!(answer.problem(), is(422, "unknown_app", Some("/app")));
    // A wallet of somebody else's under the other app.
    let state = world.state("u1").await;
    let path = format!("/oauth/wechat/callback?state={state}&code=person-3/union-3");
    let answer = world.send(Ask::get(&path).without_key()).await;
    assert!(
        answer.status == 409 && answer.text.contains("unionid_mismatch"),
        "{}",
        answer.text
    );
}

#[tokio::test]
async fn links_are_listed_and_ended_with_a_reason_on_record() {
    let world = World::new().await;
    for user in ["u1", "u2"] {
        world.user(user).await;
        linked(&world, user, &format!("person-{user}")).await;
    }
    let first = world.get("/v1/links?limit=1").await.json();
    assert_eq!(
        (first["data"][0]["user"].as_str(), &first["has_more"]),
        (Some("u1"), &json!(true))
    );
    let cursor = first["next_cursor"].as_str().expect("a cursor");
    let second = world
        .get(&format!("/v1/links?limit=1&cursor={cursor}"))
        .await
        .json();
    assert_eq!(
        (second["data"][0]["user"].as_str(), &second["has_more"]),
        (Some("u2"), &json!(false))
    );
    for (query, word) in [
        ("?standing=asleep", "standing_unknown"),
        ("?cursor=7", "cursor_invalid"),
        ("?flagged=yes", "malformed"),
    ] {
        let answer = world.get(&format!("/v1/links{query}")).await;
        assert_eq!(
            (answer.status, answer.json()["code"].as_str()),
            (400, Some(word))
        );
    }
    let without = world
        .send(Ask::post("/v1/users/u1/link/unlink").json(&json!({})))
        .await;
    assert_eq!(without.status, 400, "{}", without.text);
    let body = json!({ "reason": "the user leaves" });
    let ended = world
        .send(Ask::post("/v1/users/u1/link/unlink").json(&body))
        .await;
    assert_eq!(ended.json()["linked"], false);
    assert_eq!(ended.json()["links"][0]["reason"], "unlinked");
    let revoked = world.get("/v1/links?standing=revoked").await.json();
    assert_eq!(revoked["data"].as_array().map(Vec::len), Some(1));
    let deeds = world.get("/v1/deeds?subject=u1").await.json();
    assert_eq!(deeds["data"][0]["what"], "unlink", "{deeds}");
    assert_eq!(deeds["data"][0]["reason"], "the user leaves");
    let fresh = json!({ "reason": "to see", "app": "wx8888888888888888" });
    let due = world
        .send(Ask::post("/v1/users/u2/link/refresh").json(&fresh))
        .await;
    assert_eq!(due.status, 200, "{}", due.text);
    for (path, status, word) in [
        ("/v1/users/u1/link/refresh", 409, "reauthorization_needed"),
        ("/v1/users/u2/link/allow", 409, "not_shared"),
        ("/v1/users/nobody/link/revoke", 404, "unknown_user"),
    ] {
        let answer = world.send(Ask::post(path).json(&body)).await;
        assert_eq!(
            (answer.status, answer.json()["code"].as_str()),
            (status, Some(word)),
            "{path}"
        );
    }
}

#[tokio::test]
async fn who_asks_for_an_authorization_or_closes_it_is_on_record() {
    let world = World::new().await;
    world.user("u1").await;
    world.linked("u2").await;
    let why = json!({ "reason": "support", "app": "wx8888888888888888" });
    for what in ["apply-authorization", "close-authorization"] {
        let path = format!("/v1/users/u2/link/{what}");
        assert_eq!(world.send(Ask::post(&path).json(&why)).await.status, 200);
        let deeds = world.get("/v1/deeds?subject=u2").await.json();
        let newest = &deeds["data"][0];
        assert_eq!(
            (&newest["what"], &newest["reason"]),
            (&json!(what), &json!("support"))
        );
        let path = format!("/v1/users/u1/link/{what}");
        let ended = world.send(Ask::post(&path).json(&why)).await;
        assert_eq!(ended.json()["code"], "not_linked", "{}", ended.text);
    }
}
