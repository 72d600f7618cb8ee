//! The OAuth dance through the doors: one state, one code, one wallet.

use lingqian_io::Ports as _;
use lingqian_io::twin::FaultPoint;

use crate::world::{Answer, Ask, World, is};

async fn callback(world: &World, query: &str) -> Answer {
    let path = format!("/oauth/wechat/callback{query}");
    world.send(Ask::get(&path).without_key()).await
}

/// A page says what happened in both languages and by a code.
fn page(answer: &Answer) -> (u16, String) {
    assert_eq!(
        answer.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    let (_, rest) = answer.text.split_once("<p>").expect("a Chinese paragraph");
    let (chinese, rest) = rest.split_once("</p><p lang=en>").expect("an English one");
    let (english, rest) = rest.split_once("</p><small>").expect("a code");
    let (code, _) = rest.split_once("</small>").expect("an end");
    assert!(
        !chinese.is_ascii() && english.is_ascii() && !english.is_empty(),
        "{code}"
    );
    (answer.status, code.to_owned())
}

fn says(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[tokio::test]
async fn a_link_begins_with_a_page_for_wechat_and_ten_minutes() {
    let world = World::new().await;
    world.user("u1").await;
    let answer = world.send(Ask::post("/v1/users/u1/link")).await;
    assert_eq!(answer.status, 201);
    let body = answer.json();
    assert_eq!(body["expires_at"], "2026-03-02T04:10:02Z");
    let url = body["authorize_url"].as_str().expect("a URL");
    let expected = "https://wechat.test/authorize?appid=wx8888888888888888\
                    &to=https://pay.example.test/oauth/wechat/callback&state=";
    assert!(url.starts_with(expected), "{url}");
}

#[tokio::test]
async fn a_user_who_agrees_is_linked_and_the_link_works_once() {
    let world = World::new().await;
    world.user("u1").await;
    let state = world.state("u1").await;
    let query = format!("?state={state}&code=person-1");
    assert_eq!(page(&callback(&world, &query).await), says(200, "linked"));
    let shown = world.get("/v1/users/u1").await;
    assert_eq!(shown.json()["linked"], true);
    assert_eq!(shown.json()["linked_at"], "2026-03-02T04:00:02Z");
    assert!(!shown.text.contains("person-1"), "an openid is never shown");

    // WeChat may open the way back twice: nothing happens, and the page says what is so.
    let before = world.books().await;
    let again = callback(&world, &query).await;
    assert_eq!(page(&again), says(200, "linked"));
    let other = callback(&world, &format!("?state={state}&code=person-2")).await;
    assert_eq!(page(&other), says(200, "linked"));
    assert_eq!(world.books().await, before);
    let links = world.get("/v1/users/u1").await.json()["links"].clone();
    assert_eq!(links[0]["version"], 1, "{links}");
}

#[tokio::test]
async fn a_wallet_that_is_another_users_is_not_linked() {
    let world = World::new().await;
    for user in ["u1", "u2"] {
        world.user(user).await;
    }
    let (first, second) = (world.state("u1").await, world.state("u2").await);
    callback(&world, &format!("?state={first}&code=person-1")).await;
    let answer = callback(&world, &format!("?state={second}&code=person-1")).await;
    assert_eq!(page(&answer), says(409, "wallet_linked_elsewhere"));
    assert!(
        !answer.text.contains("u1"),
        "it does not say whose wallet it is"
    );
    assert_eq!(world.get("/v1/users/u2").await.json()["linked"], false);
    assert_eq!(world.books().await.users, (2, 1));
}

#[tokio::test]
async fn a_state_that_is_too_old_or_invented_links_nobody() {
    let world = World::new().await;
    world.user("u1").await;
    let state = world.state("u1").await;
    world.ports.clock().advance_ms(600_001);
    let late = callback(&world, &format!("?state={state}&code=person-1")).await;
    assert_eq!(page(&late), says(410, "link_state_expired"));
    let invented = callback(&world, "?state=invented&code=person-1").await;
    assert_eq!(page(&invented), says(410, "link_state_unknown"));
    assert_eq!(world.books().await.users, (1, 0));
}

#[tokio::test]
async fn a_user_who_does_not_agree_may_think_again() {
    let world = World::new().await;
    world.user("u1").await;
    let state = world.state("u1").await;
    for query in [format!("?state={state}"), format!("?state={state}&code=")] {
        assert_eq!(page(&callback(&world, &query).await), says(200, "denied"));
    }
    assert_eq!(world.books().await.users, (1, 0));
    let query = format!("?state={state}&code=person-1");
    assert_eq!(page(&callback(&world, &query).await), says(200, "linked"));
}

#[tokio::test]
async fn a_person_whom_wechat_does_not_vouch_for_is_not_linked() {
    let world = World::new().await;
    world.user("u1").await;
    let cases = [
        ("virtual", 422, "snapshot_user"),
        ("used", 410, "authorization_ended"),
        ("busy", 503, "wechat_busy"),
        ("slow", 503, "wechat_slow_down"),
        ("blocked", 403, "user_blocked"),
        ("secret", 502, "wechat_configuration"),
        ("down", 502, "identity_unavailable"),
    ];
    for (code, status, word) in cases {
        let state = world.state("u1").await;
        let answer = callback(&world, &format!("?state={state}&code={code}")).await;
        assert_eq!(page(&answer), says(status, word));
        let again = callback(&world, &format!("?state={state}&code=person-1")).await;
        assert_eq!(page(&again), says(410, "link_state_used"), "after {code}");
    }
    assert_eq!(world.books().await.users, (1, 0));
}

#[tokio::test]
async fn a_callback_that_is_not_whole_gets_a_page_too() {
    let world = World::new().await;
    let (long_state, long_code) = ("s".repeat(129), "c".repeat(513));
    let cases = [
        (String::new(), 400, "state_missing"),
        ("?state=".into(), 400, "state_missing"),
        ("?code=c".into(), 400, "state_missing"),
        (format!("?state={long_state}&code=c"), 400, "state_missing"),
        (format!("?state=s&code={long_code}"), 200, "denied"),
        ("?state=s&code=c&next=evil".into(), 400, "parameter_unknown"),
        ("?state=s&state=t&code=c".into(), 400, "parameter_unknown"),
    ];
    for (query, status, code) in cases {
        assert_eq!(
            page(&callback(&world, &query).await),
            says(status, code),
            "{query}"
        );
    }
}

#[tokio::test]
async fn a_page_never_shows_what_came_in() {
    let world = World::new().await;
    for query in [
        "?state=%3Cscript%3Ezebra%3C/script%3E&code=zebra",
        "?zebra=%3Cscript%3Ezebra",
        "?state=zebra",
    ] {
        let answer = callback(&world, query).await;
        assert!(
            !answer.text.contains("zebra") && !answer.text.contains("<script"),
            "{query}"
        );
    }
}

#[tokio::test]
async fn a_store_that_fails_leaves_the_state_to_be_used_again() {
    let world = World::new().await;
    world.user("u1").await;
    let state = world.state("u1").await;
    let query = format!("?state={state}&code=person-1");
    world.store().fail_next(FaultPoint::Commit);
    assert_eq!(
        page(&callback(&world, &query).await),
        says(503, "unavailable")
    );
    assert_eq!(page(&callback(&world, &query).await), says(200, "linked"));
}

#[tokio::test]
async fn a_link_of_a_malformed_user_is_refused() {
    let world = World::new().await;
    let answer = world.send(Ask::post("/v1/users/a%20b/link")).await;
    assert_eq!(answer.problem(), is(400, "malformed", Some("/user")));
}
