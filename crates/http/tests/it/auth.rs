//! Who may do what. Nothing but health, the OAuth callback and the hook is open.

use lingqian_core::Command;
use lingqian_core::command::ApiKey;
use lingqian_core::time::Timestamp;
use lingqian_http::{ROUTES, Route, SCOPES, mint};
use lingqian_io::twin::{FaultPoint, SeededDice};
use lingqian_io::{Clock as _, Ports as _};

use crate::world::{Ask, World, is};

const OPEN: [&str; 6] = [
    "/oauth/wechat/callback",
    // Whoever holds the sealed address of such a page.
    "/confirm/{id}",
    "/confirm/{id}/state",
    "/hooks/wechat/transfer",
    "/healthz",
    "/readyz",
];

fn ask(route: &Route) -> Ask {
    Ask::new(route.method, &route.path.replace("{id}", "x"))
}

fn locked() -> impl Iterator<Item = (&'static Route, &'static str)> {
    ROUTES
        .iter()
        .filter_map(|route| Some((route, route.scope?)))
}

#[tokio::test]
async fn only_health_the_callback_the_hook_and_confirm_pages_are_open() {
    let world = World::new().await;
    let open: Vec<&str> = ROUTES
        .iter()
        .filter(|route| route.scope.is_none())
        .map(|route| route.path)
        .collect();
    assert_eq!(open, OPEN);
    for (route, _) in locked() {
        let answer = world.send(ask(route).without_key()).await;
        assert_eq!(
            answer.problem(),
            is(401, "key_missing", None),
            "{}",
            route.path
        );
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    }
}

#[tokio::test]
async fn every_route_wants_its_own_scope_and_no_other() {
    let world = World::new().await;
    for (route, scope) in locked() {
        let right = world.mint(&[scope]).await.text;
        let others: Vec<&str> = SCOPES.into_iter().filter(|other| *other != scope).collect();
        let wrong = world.mint(&others).await.text;
        let answer = world.send(ask(route).with_key(&wrong)).await;
        assert_eq!(
            answer.problem(),
            is(403, "scope_missing", None),
            "{}",
            route.path
        );
        assert!(
            answer.json()["detail"]
                .as_str()
                .is_some_and(|text| text.contains(scope))
        );
        let answer = world.send(ask(route).with_key(&right)).await;
        assert!(
            ![401, 403].contains(&answer.status),
            "{}: {}",
            route.path,
            answer.text
        );
    }
}

#[tokio::test]
async fn a_key_that_is_wrong_in_any_way_is_unknown() {
    let world = World::new().await;
    let key = world.key.clone();
    let (name, _) = key.rsplit_once('_').expect("three parts");
    let mut changed = key.clone();
    let last = if changed.pop() == Some('A') { 'B' } else { 'A' };
    changed.push(last);
    for wrong in [
        changed.as_str(),
        name,
        "",
        "lq_",
        &format!("{key}x"),
        &key.to_lowercase(),
    ] {
        let answer = world.send(Ask::get("/v1/summary").with_key(wrong)).await;
        assert_eq!(answer.problem(), is(401, "key_unknown", None), "{wrong}");
        assert!(
            wrong.is_empty() || !answer.text.contains(wrong),
            "a key is not repeated"
        );
    }
    for header in ["", "Basic bHE6eA==", &key, "Bearer"] {
        let ask = Ask::get("/v1/summary")
            .without_key()
            .header("authorization", header);
        assert_eq!(
            world.send(ask).await.problem(),
            is(401, "key_missing", None),
            "{header}"
        );
    }
    let query = format!("/v1/summary?key={key}");
    let answer = world.send(Ask::get(&query).without_key()).await;
    assert_eq!(answer.problem(), is(401, "key_missing", None));
}

#[tokio::test]
async fn a_withdrawn_key_stops_working_within_two_seconds() {
    let world = World::new().await;
    let minted = world.mint(&["books:read"]).await;
    let call = || world.send(Ask::get("/v1/summary").with_key(&minted.text));
    assert_eq!(call().await.status, 200);
    let withdrawn = ApiKey {
        revoked_at: Some(world.ports.clock().business()),
        ..minted.key.clone()
    };
    world.submit(Command::AddApiKey(withdrawn)).await;
    world.ports.clock().advance_ms(2_000);
    assert_eq!(call().await.problem(), is(401, "key_unknown", None));
}

#[tokio::test]
async fn keys_are_remembered_for_a_moment_so_that_a_blink_of_the_store_locks_nobody_out() {
    let world = World::new().await;
    assert_eq!(world.get("/openapi.json").await.status, 200);
    world.store().fail_next(FaultPoint::Look);
    assert_eq!(world.get("/openapi.json").await.status, 200);
    world.ports.clock().advance_ms(2_000);
    let answer = world.get("/openapi.json").await;
    assert_eq!(answer.problem(), is(503, "temporarily_unavailable", None));
    assert_eq!(world.get("/openapi.json").await.status, 200);
}

#[tokio::test]
async fn who_may_not_enter_changes_nothing() {
    let world = World::new().await;
    let reader = world.mint(&["users:read"]).await.text;
    let before = world.books().await;
    let body = serde_json::json!({ "id": "u1" });
    for key in [reader.as_str(), "lq_invented_key"] {
        let answer = world
            .send(Ask::post("/v1/users").json(&body).with_key(key))
            .await;
        assert!([401, 403].contains(&answer.status));
    }
    assert_eq!(world.books().await, before);
}

#[test]
fn a_minted_key_is_long_and_only_its_digest_is_kept() {
    let dice = SeededDice::new(1);
    let one = mint(&dice, vec!["*".into()], Timestamp(5));
    let two = mint(&dice, vec!["*".into()], Timestamp(5));
    assert_ne!(one.text, two.text);
    assert_ne!(one.key.digest, two.key.digest);
    let mut parts = one.text.splitn(3, '_');
    assert_eq!(parts.next(), Some("lq"));
    assert_eq!(parts.next(), Some(one.key.id.as_str()));
    let secret = parts.next().expect("a secret");
    assert_eq!(secret.len(), 43, "256 bits");
    assert!(!format!("{:?}", one.key).contains(secret));
    assert_eq!(
        (one.key.created_at, one.key.revoked_at),
        (Timestamp(5), None)
    );
}
