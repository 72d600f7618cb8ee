//! OAuth: the page, and codes that work once.

use std::time::Duration;

use serde_json::Value;

use crate::client::{World, call};

async fn get(url: &str) -> crate::client::Answer {
    call("GET", url, &[], "").await.expect("it answers")
}

fn page(world: &World, more: &str) -> String {
    let app = &world.credentials.appid;
    format!(
        "{}/connect/oauth2/authorize?appid={app}&redirect_uri=http%3A%2F%2F127.0.0.1%2Fback%3Fa%3D1\
         &response_type=code&scope=snsapi_base&state=s1{more}",
        world.url
    )
}

async fn code(world: &World, more: &str) -> String {
    let answer = get(&page(world, more)).await;
    assert_eq!(answer.status, 302);
    let location = &answer.headers["location"];
    assert!(
        location.starts_with("http://127.0.0.1/back?a=1&code="),
        "{location}"
    );
    assert!(location.ends_with("&state=s1"), "{location}");
    location
        .split("code=")
        .nth(1)
        .and_then(|rest| rest.split('&').next())
        .expect("a code")
        .into()
}

async fn exchange(world: &World, code: &str, secret: &str) -> Value {
    let app = &world.credentials.appid;
    let url = format!(
        "{}/sns/oauth2/access_token?appid={app}&secret={secret}&code={code}\
         &grant_type=authorization_code",
        world.url
    );
    let answer = get(&url).await;
    assert_eq!(answer.status, 200, "every answer has status 200");
    answer.json()
}

#[tokio::test]
async fn a_code_names_the_user_once() {
    let world = World::new().await;
    let secret = world.credentials.app_secret.clone();
    let first = code(&world, "&sandbox_user=alice").await;
    let granted = exchange(&world, &first, &secret).await;
    assert_eq!(granted["openid"], world.person("alice").await);
    assert_eq!(granted["expires_in"], 7_200);
    assert_eq!(exchange(&world, &first, &secret).await["errcode"], 40_163);
    assert_eq!(
        exchange(&world, "invented", &secret).await["errcode"],
        40_029
    );
    let second = code(&world, "&sandbox_user=alice").await;
    assert_eq!(exchange(&world, &second, "wrong").await["errcode"], 40_125);
    world.sandbox.advance(Duration::from_secs(301)).await;
    assert_eq!(exchange(&world, &second, &secret).await["errcode"], 40_029);
}

#[tokio::test]
async fn a_snapshot_user_is_marked_and_somebody_else() {
    let world = World::new().await;
    let secret = world.credentials.app_secret.clone();
    let virtual_one = code(&world, "&sandbox_user=alice&sandbox_snapshot=1").await;
    let granted = exchange(&world, &virtual_one, &secret).await;
    assert_eq!(granted["is_snapshotuser"], 1);
    assert_ne!(granted["openid"], world.person("alice").await);
}

#[tokio::test]
async fn whoever_denies_goes_back_without_a_code() {
    let world = World::new().await;
    let answer = get(&page(&world, "&sandbox_deny=1")).await;
    assert_eq!(
        answer.headers["location"],
        "http://127.0.0.1/back?a=1&state=s1"
    );
}

#[tokio::test]
async fn tokens_can_be_checked_and_refreshed() {
    let world = World::new().await;
    let secret = world.credentials.app_secret.clone();
    let code = code(&world, "&sandbox_user=alice").await;
    let granted = exchange(&world, &code, &secret).await;
    let text = |name: &str| granted[name].as_str().expect("text").to_owned();
    let (access, refresh, openid) = (text("access_token"), text("refresh_token"), text("openid"));
    let check = format!(
        "{}/sns/auth?access_token={access}&openid={openid}",
        world.url
    );
    assert_eq!(get(&check).await.json()["errcode"], 0);
    let info = check.replace("sns/auth", "sns/userinfo");
    assert_eq!(
        get(&info).await.json()["errcode"],
        48_001,
        "snsapi_base has no profile"
    );
    world.sandbox.advance(Duration::from_secs(7_201)).await;
    assert_eq!(get(&check).await.json()["errcode"], 42_001);
    let again = format!(
        "{}/sns/oauth2/refresh_token?appid={}&grant_type=refresh_token&refresh_token={refresh}",
        world.url, world.credentials.appid
    );
    assert_eq!(get(&again).await.json()["openid"], openid);
    world
        .sandbox
        .advance(Duration::from_secs(31 * 86_400))
        .await;
    assert_eq!(get(&again).await.json()["errcode"], 42_002);
}

#[tokio::test]
async fn a_person_without_a_name_is_shown_a_page_that_reflects_nothing_raw() {
    let world = World::new().await;
    let answer = get(&page(&world, "&x=%22%3E%3Cscript%3E")).await;
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    assert_eq!(answer.status, 200);
    assert!(
        text.contains("允许 Allow") && !text.contains("<script>"),
        "{text}"
    );
}
