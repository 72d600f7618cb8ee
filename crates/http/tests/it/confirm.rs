//! The page on which a user confirms: its address, what it shows where, and until when.

use lingqian_core::transfer::Finding;
use lingqian_engine::{Limits, poll};
use lingqian_io::Ports as _;
use serde_json::{Value, json};

use crate::world::{Answer, Ask, World, is};

const WECHAT: &str = "Mozilla/5.0 (Linux; Android 14) MicroMessenger/8.0.49";

async fn waiting(world: &World) -> String {
    world.linked("u1").await;
    let id = world.payout("u1", "r1", 150).await;
    let package = Some("ABBQO+</script>&\"'".to_owned());
    world.pay(Finding::AwaitingUser { package }).await;
    id
}

/// WeChat is asked where things stand.
async fn asked(world: &World, finding: Finding) {
    world.ports.clock().advance_ms(3_600_000);
    world.ports.rail().will_say(finding);
    let limits = Limits::default();
    let (ports, desk) = (&world.ports, &world.desk);
    poll::cancel(ports, desk, &limits).await.expect("no fault");
    poll::poll(ports, desk, &limits).await.expect("no fault");
}

async fn given(world: &World, id: &str) -> Value {
    let answer = world.get(&format!("/v1/payouts/{id}/confirm-page")).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()
}

fn path(given: &Value) -> String {
    let url = given["url"].as_str().expect("an address");
    let path = url.strip_prefix("https://pay.example.test");
    path.expect("an address of ours").to_owned()
}

async fn opened(world: &World, path: &str, agent: &str) -> Answer {
    let ask = Ask::get(path).without_key().header("user-agent", agent);
    world.send(ask).await
}

async fn state(world: &World, path: &str) -> Value {
    let ask = Ask::get(&format!("{path}/state")).without_key();
    let answer = world.send(ask).await;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    answer.json()
}

#[tokio::test]
async fn the_page_has_what_wechat_takes_and_shows_each_end() {
    let world = World::new().await;
    let id = waiting(&world).await;
    let told = given(&world, &id).await;
    for (field, value) in [("mch_id", "1900000109"), ("package", "ABBQO+</script>&\"'")] {
        assert_eq!(told[field], value, "{told:#}");
    }
    let path = path(&told);
    assert!(!path.contains(&id), "the address names nothing");
    let now = state(&world, &path).await;
    assert_eq!(
        (&now["state"], &now["amount_fen"]),
        (&json!("waiting"), &json!(150))
    );
    assert_eq!(now["open"]["package"], told["package"]);
    assert_eq!(now["open"]["expires_at"], told["expires_at"]);
    let page = opened(&world, &path, WECHAT).await;
    assert_eq!(page.status, 200);
    assert!(
        page.header("content-type")
            .is_some_and(|kind| kind.starts_with("text/html"))
    );
    for (name, value) in [
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
    ] {
        assert_eq!(page.header(name), Some(value));
    }
    assert_eq!(
        page.text.matches("</script>").count(),
        1,
        "data ends no script"
    );
    assert!(!page.text.contains("{{"), "everything is filled in");
    assert!(!page.text.contains("<svg"), "nobody scans in WeChat");
    asked(&world, Finding::Paid).await;
    let now = state(&world, &path).await;
    assert_eq!(
        (&now["state"], &now["open"]),
        (&json!("paid"), &Value::Null)
    );
    world.audited().await;
}

#[tokio::test]
async fn elsewhere_it_is_a_code_to_scan() {
    let world = World::new().await;
    let id = waiting(&world).await;
    let path = path(&given(&world, &id).await);
    for (agent, place, code) in [
        ("Mozilla/5.0 (X11; Linux x86_64)", "outside", true),
        ("MicroMessenger/8.0 wxwork/4.1", "wecom", true),
        (
            "MicroMessenger/8.0 MiniProgramEnv/android miniProgram",
            "mini_program",
            false,
        ),
        (WECHAT, "wechat", false),
    ] {
        let page = opened(&world, &path, agent).await;
        assert!(
            page.text.contains(&format!("data-place=\"{place}\"")),
            "{agent}"
        );
        assert_eq!(page.text.contains("<svg"), code, "{agent}");
    }
}

#[tokio::test]
async fn a_cancelled_payout_and_what_ended_say_so_and_open_nothing() {
    let world = World::new().await;
    let id = waiting(&world).await;
    let path = path(&given(&world, &id).await);
    let cancel = Ask::post(&format!("/v1/payouts/{id}/cancel"));
    assert_eq!(world.send(cancel).await.status, 202);
    let now = state(&world, &path).await;
    assert_eq!(
        (&now["state"], &now["open"]),
        (&json!("working"), &Value::Null)
    );
    let refused = world.get(&format!("/v1/payouts/{id}/confirm-page")).await;
    assert_eq!(refused.problem(), is(409, "nothing_to_confirm", None));
    asked(&world, Finding::Cancelled).await;
    assert_eq!(state(&world, &path).await["state"], "cancelled");
    for (number, finding, word) in [
        ("r2", Finding::Expired, "expired"),
        ("r3", Finding::Processing, "working"),
    ] {
        let id = world.payout("u1", number, 20).await;
        let package = Some("package".to_owned());
        world.pay(Finding::AwaitingUser { package }).await;
        let path = self::path(&given(&world, &id).await);
        asked(&world, finding).await;
        let now = state(&world, &path).await;
        assert_eq!(now["state"], word, "{now:#}");
        assert!(now["open"].is_null());
    }
}

#[tokio::test]
async fn only_addresses_that_were_given_show_anything_and_for_a_week() {
    let world = World::new().await;
    let id = waiting(&world).await;
    let path = path(&given(&world, &id).await);
    let other = format!("/confirm/{}", "A".repeat(2_000));
    let wrong = [
        format!("/confirm/{id}"),
        format!("{path}AAAA"),
        "/confirm/bmFtZTph".to_owned(),
        other,
    ];
    for path in &wrong {
        let page = opened(&world, path, WECHAT).await;
        assert_eq!(page.status, 404, "{path}: {}", page.text);
        assert!(!page.text.contains("ABBQO"), "{path}");
    }
    let ask = Ask::get(&format!("/confirm/{id}/state")).without_key();
    let answer = world.send(ask).await;
    assert_eq!(answer.problem(), is(404, "confirm_link_wrong", None));
    let nobody = world
        .get("/v1/payouts/po_00000000000000000000000000/confirm-page")
        .await;
    assert_eq!(nobody.status, 404);
    let keyless = Ask::get(&format!("/v1/payouts/{id}/confirm-page")).without_key();
    assert_eq!(world.send(keyless).await.status, 401);
    world.ports.clock().advance_ms(8 * 86_400_000);
    let old = Ask::get(&format!("{path}/state")).without_key();
    assert_eq!(
        world.send(old).await.problem(),
        is(410, "confirm_link_old", None)
    );
    let page = opened(&world, &path, WECHAT).await;
    assert!(page.status == 410 && page.text.contains("\"state\":\"old\""));
}
