//! The confirm page end to end: a real browser that says it is WeChat's opens it, what it hands to
//! WeChat is what the sandbox's WeChat takes, and only the books say that the money came. All of it
//! beside a sandbox that takes its time from state to state.

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::killed::World;
use crate::process::{ask, until};

const WECHAT: &str = "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 MicroMessenger/8.0.49";
/// What pages find in WeChat's browser.
const BRIDGE: &str = r#"window.WeixinJSBridge = { invoke(name, given, done) {
  if (name === 'checkJsApi') {
    done({ err_msg: 'checkJsApi:ok', checkResult: '{"requestMerchantTransfer":true}' });
  } else { window.asked = { name, given }; window.closed = done; } } };"#;

async fn payout(world: &World, reference: &str) -> String {
    let event = json!({ "source": "app", "event_id": reference, "user": "alice",
        "kind": "commission", "amount_fen": 200 });
    let (status, told) = world
        .api("POST", "/v1/events", &event.to_string())
        .await
        .expect("answers");
    assert_eq!(status, 200, "{told}");
    let wanted = json!({ "user": "alice", "amount_fen": 150, "reference": reference });
    let (status, held) = world
        .withdraw(reference, &wanted.to_string())
        .await
        .expect("answers");
    assert!(status < 300, "{held}");
    held["payout"]["id"]
        .as_str()
        .or(held["id"].as_str())
        .expect("a payout")
        .to_owned()
}

async fn story(world: &World, payout: &str) -> Value {
    let (status, told) = world
        .api("GET", &format!("/v1/payouts/{payout}"), "")
        .await
        .expect("answers");
    assert_eq!(status, 200, "{told}");
    told
}

async fn comes_to(world: &World, payout: &str, state: &str) -> Value {
    until(state, async || {
        let told = story(world, payout).await;
        let there = told["state"] == state
            && (state != "awaiting_user" || told["package_info"].is_string());
        (!there).then(|| told.to_string())
    })
    .await;
    story(world, payout).await
}

async fn page(world: &World, payout: &str) -> String {
    let path = format!("/v1/payouts/{payout}/confirm-page");
    let (status, told) = world.api("GET", &path, "").await.expect("answers");
    assert_eq!(status, 200, "{told}");
    let url = told["url"].as_str().expect("an address").to_owned();
    let at = url.find("/confirm/").expect("a path");
    format!("{}{}", world.url(), &url[at..])
}

/// What WeChat says when the page of a package is opened by somebody.
async fn opened_by(world: &World, given: &Value, user: &str) -> String {
    let body = json!({ "package": given["package"], "mch_id": given["mchId"],
        "app_id": given["appId"], "user": user });
    let told = world.sandbox("POST", "packages", &body.to_string()).await;
    told["err_msg"].as_str().expect("words").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_confirms_on_the_page_and_the_books_say_that_it_was_paid() {
    let world = World::beside(&["--lag", "300,700,1500"]).await;
    world.linked_user("alice").await;
    let payout = payout(&world, "c1").await;
    let waiting = comes_to(&world, &payout, "awaiting_user").await;
    let history = waiting["history"].as_array().expect("a list").iter();
    let states: Vec<&Value> = history.map(|line| &line["state"]).collect();
    assert!(
        states.contains(&&json!("processing")),
        "it was not there at once: {states:?}"
    );
    let url = page(&world, &payout).await;
    let mut browser = Browser::open(&world.data.join("browser"), "about:blank");
    // Elsewhere than in WeChat there is a code to scan and nothing to press.
    browser.go(&url);
    browser.until("document.body.dataset.word === 'scan'");
    assert_eq!(
        browser.look("document.querySelector('#code svg').getBoundingClientRect().width > 200"),
        true
    );
    assert_eq!(
        browser.look("document.getElementById('confirm').hidden"),
        true
    );
    browser.picture("confirm-scan");
    browser.pretend(WECHAT, BRIDGE);
    browser.go(&url);
    browser.until("document.body.dataset.word === 'waiting'");
    browser.picture("confirm-waiting");
    browser.click("document.getElementById('confirm')");
    browser.until("window.asked !== undefined");
    let asked = browser.look("window.asked");
    assert_eq!(asked["name"], "requestMerchantTransfer");
    let wrong = opened_by(&world, &asked["given"], "somebody").await;
    assert!(wrong.contains("fail"), "{wrong}");
    browser.look("window.closed({ err_msg: 'requestMerchantTransfer:fail' }); 0");
    browser.until("document.body.dataset.word === 'again'");
    browser.click("document.getElementById('confirm')");
    assert_eq!(
        opened_by(&world, &asked["given"], "alice").await,
        "requestMerchantTransfer:ok"
    );
    browser.look("window.closed({ err_msg: 'requestMerchantTransfer:ok' }); 0");
    // It is on its way and not there: `ok` proves nothing.
    let shown = browser.look("document.body.dataset.state");
    assert_ne!(shown, "paid");
    comes_to(&world, &payout, "paid").await;
    browser.until("document.body.dataset.state === 'paid'");
    browser.picture("confirm-paid");
    let (status, refused) = world
        .api("GET", &format!("/v1/payouts/{payout}/confirm-page"), "")
        .await
        .expect("answers");
    assert_eq!(
        (status, &refused["code"]),
        (409, &json!("nothing_to_confirm"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_cancelled_or_left_alone_ends_and_the_page_says_so() {
    let world = World::beside(&["--lag", "0,300,0"]).await;
    world.linked_user("alice").await;
    let (first, second) = (payout(&world, "c1").await, payout(&world, "c2").await);
    comes_to(&world, &first, "awaiting_user").await;
    comes_to(&world, &second, "awaiting_user").await;
    let pages = [page(&world, &first).await, page(&world, &second).await];
    let (status, _) = world
        .api("POST", &format!("/v1/payouts/{first}/cancel"), "")
        .await
        .expect("answers");
    assert_eq!(status, 202);
    comes_to(&world, &first, "cancelled").await;
    world
        .sandbox("POST", "clock", r#"{"advance_seconds":90000}"#)
        .await;
    comes_to(&world, &second, "expired").await;
    for (url, word) in pages.iter().zip(["cancelled", "expired"]) {
        let (status, told, _) = ask("GET", &format!("{url}/state"), &[], "")
            .await
            .expect("answers");
        assert_eq!((status, &told["state"]), (200, &json!(word)), "{told}");
        assert!(told["open"].is_null());
    }
}
