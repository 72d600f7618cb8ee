//! People across apps: QR login, mini programs, unionids, grants that users take away, and codes
//! that were planned.

use std::time::Duration;

use serde_json::{Value, json};

use crate::client::{Answer, World, call};

async fn get(url: &str) -> Answer {
    call("GET", url, &[], "").await.expect("it answers")
}

/// An app of a kind: its id and its secret.
async fn app(world: &World, kind: &str) -> (String, String) {
    let made = world.admin("POST", "apps", &json!({ "kind": kind })).await;
    let text = |name: &str| made[name].as_str().expect("text").to_owned();
    (text("appid"), text("secret"))
}

async fn js_code(world: &World, appid: &str, user: &str) -> String {
    let body = json!({ "appid": appid, "user": user });
    let made = world.admin("POST", "wx-login", &body).await;
    made["code"].as_str().expect("a code").to_owned()
}

async fn session(world: &World, (appid, secret): (&str, &str), code: &str) -> Value {
    let url = format!(
        "{}/sns/jscode2session?appid={appid}&secret={secret}&js_code={code}\
         &grant_type=authorization_code",
        world.url
    );
    let answer = get(&url).await;
    assert_eq!(answer.status, 200);
    assert!(answer.headers["content-type"].starts_with("text/plain"));
    answer.json()
}

/// Alice agrees on a page; the answer to her code.
async fn granted(world: &World, page: &str, (appid, secret): (&str, &str), scope: &str) -> Value {
    let url = format!(
        "{}/connect/{page}?appid={appid}&redirect_uri=http%3A%2F%2F127.0.0.1%2Fback\
         &response_type=code&scope={scope}&state=s1&sandbox_user=alice",
        world.url
    );
    let answer = get(&url).await;
    assert_eq!(
        answer.status,
        302,
        "{}",
        String::from_utf8_lossy(&answer.body)
    );
    let location = answer.headers["location"].clone();
    let code = location
        .split("code=")
        .nth(1)
        .and_then(|rest| rest.split('&').next());
    let url = format!(
        "{}/sns/oauth2/access_token?appid={appid}&secret={secret}&code={}\
         &grant_type=authorization_code",
        world.url,
        code.expect("a code")
    );
    get(&url).await.json()
}

async fn refreshed(world: &World, appid: &str, token: &str) -> Value {
    let url = format!(
        "{}/sns/oauth2/refresh_token?appid={appid}&grant_type=refresh_token&refresh_token={token}",
        world.url
    );
    get(&url).await.json()
}

#[tokio::test]
async fn one_person_has_an_openid_per_app_and_one_unionid() {
    let world = World::new().await;
    let own = world.credentials.appid.clone();
    let own_secret = world.credentials.app_secret.clone();
    let (site, site_secret) = app(&world, "website").await;
    let (mini, mini_secret) = app(&world, "mini_program").await;
    let base = granted(
        &world,
        "oauth2/authorize",
        (&own, &own_secret),
        "snsapi_base",
    )
    .await;
    assert!(base["unionid"].is_null(), "snsapi_base does not tell it");
    let full = granted(
        &world,
        "oauth2/authorize",
        (&own, &own_secret),
        "snsapi_userinfo",
    )
    .await;
    let login = granted(&world, "qrconnect", (&site, &site_secret), "snsapi_login").await;
    let code = js_code(&world, &mini, "alice").await;
    let session = session(&world, (&mini, &mini_secret), &code).await;
    assert_eq!(session["session_key"].as_str().map(str::len), Some(24));
    let unionids = [&full["unionid"], &login["unionid"], &session["unionid"]];
    assert!(
        unionids
            .iter()
            .all(|one| one.is_string() && *one == unionids[0]),
        "{unionids:?}"
    );
    let mut openids = vec![
        base["openid"].clone(),
        login["openid"].clone(),
        session["openid"].clone(),
    ];
    assert_eq!(openids[0], full["openid"]);
    openids.dedup();
    assert_eq!(openids.len(), 3);
}

#[tokio::test]
async fn pages_are_for_apps_of_their_kind() {
    let world = World::new().await;
    let own = world.credentials.appid.clone();
    let (site, _) = app(&world, "website").await;
    for (page, appid, scope) in [
        ("qrconnect", &own, "snsapi_login"),
        ("oauth2/authorize", &site, "snsapi_base"),
        ("qrconnect", &site, "snsapi_base"),
        ("oauth2/authorize", &own, "snsapi_login"),
    ] {
        let url = format!(
            "{}/connect/{page}?appid={appid}&redirect_uri=http%3A%2F%2Fx&response_type=code\
             &scope={scope}&state=s&sandbox_user=alice",
            world.url
        );
        let answer = get(&url).await;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(
            answer.status == 200 && text.contains("10005"),
            "{page} {scope}: {text}"
        );
    }
}

#[tokio::test]
async fn a_code_of_a_mini_program_works_once_and_for_five_minutes() {
    let world = World::new().await;
    let (mini, secret) = app(&world, "mini_program").await;
    let code = js_code(&world, &mini, "bob").await;
    let errcode = async |secret: &str, code: &str| {
        session(&world, (&mini, secret), code).await["errcode"].clone()
    };
    assert_eq!(errcode("wrong", &code).await, 40_125);
    assert!(errcode(&secret, &code).await.is_null());
    assert_eq!(errcode(&secret, &code).await, 40_163);
    assert_eq!(errcode(&secret, "invented").await, 40_029);
    assert_eq!(errcode(&secret, "").await, 41_008);
    assert_eq!(errcode("", "x").await, 41_004);
    let old = js_code(&world, &mini, "bob").await;
    world.sandbox.advance(Duration::from_secs(301)).await;
    assert_eq!(errcode(&secret, &old).await, 40_029);
    let body = json!({ "name": "mallory", "frozen": true });
    world.admin("POST", "users", &body).await;
    let risky = js_code(&world, &mini, "mallory").await;
    assert_eq!(errcode(&secret, &risky).await, 40_226);
    for _ in 0..100 {
        let code = js_code(&world, &mini, "bob").await;
        assert!(errcode(&secret, &code).await.is_null());
    }
    let code = js_code(&world, &mini, "bob").await;
    assert_eq!(errcode(&secret, &code).await, 45_011, "a hundred a minute");
    world.sandbox.advance(Duration::from_secs(61)).await;
    assert!(
        errcode(&secret, &code).await.is_null(),
        "the code was not used up"
    );
}

#[tokio::test]
async fn a_user_takes_a_grant_away_and_grants_it_again() {
    let world = World::new().await;
    let own = (
        world.credentials.appid.clone(),
        world.credentials.app_secret.clone(),
    );
    let own = (own.0.as_str(), own.1.as_str());
    let first = granted(&world, "oauth2/authorize", own, "snsapi_userinfo").await;
    let text = |granted: &Value, name: &str| granted[name].as_str().expect("text").to_owned();
    let token = text(&first, "refresh_token");
    assert!(refreshed(&world, own.0, &token).await["errcode"].is_null());
    world.sandbox.advance(Duration::from_secs(1)).await;
    world
        .admin("POST", "grants/take-away", &json!({ "user": "alice" }))
        .await;
    assert_eq!(refreshed(&world, own.0, &token).await["errcode"], 40_030);
    let check = format!(
        "{}/sns/auth?access_token={}&openid={}",
        world.url,
        text(&first, "access_token"),
        text(&first, "openid")
    );
    assert_eq!(get(&check).await.json()["errcode"], 40_001);
    world.sandbox.advance(Duration::from_secs(1)).await;
    let second = granted(&world, "oauth2/authorize", own, "snsapi_userinfo").await;
    let token = text(&second, "refresh_token");
    assert!(refreshed(&world, own.0, &token).await["errcode"].is_null());
    world.sandbox.advance(Duration::from_secs(1)).await;
    let body = json!({ "user": "alice", "password": true });
    world.admin("POST", "grants/take-away", &body).await;
    assert_eq!(refreshed(&world, own.0, &token).await["errcode"], 42_007);
}

#[tokio::test]
async fn answers_go_wrong_as_they_were_planned() {
    let world = World::new().await;
    let own = (
        world.credentials.appid.clone(),
        world.credentials.app_secret.clone(),
    );
    let own = (own.0.as_str(), own.1.as_str());
    let first = granted(&world, "oauth2/authorize", own, "snsapi_base").await;
    let token = first["refresh_token"].as_str().expect("a token").to_owned();
    let plan = json!({
        "errcodes": { "sns/oauth2/refresh_token": [-1, 45_011], "cgi-bin/token": [89_503] },
        "times": { "token_renewed": 1 },
    });
    world.admin("POST", "faults", &plan).await;
    assert_eq!(refreshed(&world, own.0, &token).await["errcode"], -1);
    assert_eq!(refreshed(&world, own.0, &token).await["errcode"], 45_011);
    let renewed = refreshed(&world, own.0, &token).await;
    assert_ne!(
        renewed["refresh_token"],
        token.as_str(),
        "one with thirty days of its own"
    );
    assert_eq!(
        refreshed(&world, own.0, &token).await["refresh_token"],
        token.as_str()
    );
    let lost = json!({ "times": { "tokens_lost": 1 } });
    world.admin("POST", "faults", &lost).await;
    let url = format!("{}/sns/auth?access_token=a&openid=b", world.url);
    assert!(
        call("GET", &url, &[], "").await.is_none(),
        "no whole answer came"
    );
    let of_app = format!(
        "{}/cgi-bin/token?grant_type=client_credential&appid={}&secret={}",
        world.url, own.0, own.1
    );
    assert_eq!(get(&of_app).await.json()["expires_in"], 7_200);
    let wrong = of_app.replace(own.1, "wrong");
    assert_eq!(get(&wrong).await.json()["errcode"], 40_125);
}
