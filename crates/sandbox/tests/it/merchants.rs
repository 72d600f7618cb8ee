//! Several merchants: each with its own account, keys, numbers and bills, and none of another's.

use std::time::Duration;

use lingqian_sandbox::Credentials;
use serde_json::{Value, json};

use crate::client::{Address, Answer, World, proves};

const TRANSFERS: &str = "/v3/fund-app/mch-transfer/transfer-bills";

/// A sandbox of two merchants, and the second one.
async fn two() -> (World, Credentials) {
    let world = World::with(|settings| settings.merchants = 2).await;
    let second = Credentials::of(world.dir.path(), 2).expect("it is there");
    (world, second)
}

/// The body of a transfer by the second merchant to alice, as the second app knows her.
async fn transfer(world: &World, second: &Credentials, number: &str, fen: i64) -> Value {
    let mut body = world.transfer(number, fen).await;
    let alice = json!({ "name": "alice" });
    let alice = world.admin("POST", "users", &alice).await;
    body["openid"] = alice["openids"][&second.appid].clone();
    body["appid"] = json!(second.appid);
    body
}

async fn create(world: &World, merchant: &Credentials, body: &Value) -> Answer {
    let call = ("POST", TRANSFERS);
    let answer = world.ask_as(merchant, call, &body.to_string()).await;
    answer.expect("it answers")
}

async fn balance(world: &World, mchid: &str) -> Value {
    let path = format!("books?mchid={mchid}");
    world.admin("GET", &path, &Value::Null).await["balance_fen"].clone()
}

#[tokio::test]
async fn merchants_may_use_the_same_number_and_do_not_see_each_others() {
    let (world, second) = two().await;
    let first = world.credentials.clone();
    assert_ne!(first.mchid, second.mchid);
    let only = transfer(&world, &second, "ONLY", 700).await;
    assert_eq!(create(&world, &second, &only).await.status, 200);
    assert_eq!(world.query("ONLY").await.error(), (404, "NOT_FOUND".into()));
    let cancel = format!("{TRANSFERS}/out-bill-no/ONLY/cancel");
    let foreign = world.ask("POST", &cancel, "").await.expect("it answers");
    assert_eq!(foreign.error(), (400, "INVALID_REQUEST".into()));

    let same = transfer(&world, &second, "SAME", 300).await;
    let own = world.transfer("SAME", 500).await;
    let created = create(&world, &second, &same).await;
    assert!(
        proves(&second, &created.headers, &created.body),
        "by its own key"
    );
    assert!(!proves(&first, &created.headers, &created.body));
    assert_eq!(world.create(&own).await.expect("it answers").status, 200);
    let theirs = format!("transfers/SAME/confirm?mchid={}", second.mchid);
    world.admin("POST", &theirs, &Value::Null).await;
    assert_eq!(
        world.state("SAME").await,
        "WAIT_USER_CONFIRM",
        "the other's"
    );
    let path = format!("{TRANSFERS}/out-bill-no/SAME");
    let found = world.ask_as(&second, ("GET", &path), "").await;
    let found = found.expect("it answers").json();
    assert_eq!(found["state"], "SUCCESS");
    assert_eq!(found["mch_id"], json!(second.mchid));
    assert_eq!(balance(&world, &second.mchid).await, 1_000_000_000 - 300);
    assert_eq!(balance(&world, &first.mchid).await, 1_000_000_000);
    let all = world.admin("GET", "books", &Value::Null).await;
    assert_eq!(all["balance_fen"], 2_000_000_000_i64 - 300, "{all:#}");
}

#[tokio::test]
async fn an_app_pays_through_the_merchants_that_it_is_bound_to_and_openids_are_its_own() {
    let (world, second) = two().await;
    let own = world.transfer("T1", 500).await;
    let unbound = create(&world, &second, &own).await;
    assert_eq!(unbound.error(), (400, "APPID_MCHID_NOT_MATCH".into()));
    let bind = json!({ "mchid": second.mchid, "appid": world.credentials.appid });
    world.admin("POST", "bindings", &bind).await;
    assert_eq!(create(&world, &second, &own).await.status, 200);
    // The second app's word for the same person is nobody's under the first.
    let mut mixed = transfer(&world, &second, "T2", 500).await;
    mixed["appid"] = own["appid"].clone();
    let refused = create(&world, &second, &mixed).await;
    assert_eq!(refused.error(), (400, "INVALID_REQUEST".into()));
    let mut unbind = bind.clone();
    unbind["bound"] = json!(false);
    world.admin("POST", "bindings", &unbind).await;
    let other = world.transfer("T3", 500).await;
    let unbound = create(&world, &second, &other).await;
    assert_eq!(unbound.error(), (400, "APPID_MCHID_NOT_MATCH".into()));
}

#[tokio::test]
async fn one_merchants_keys_and_bills_are_of_no_use_to_another() {
    let (world, second) = two().await;
    let body = transfer(&world, &second, "T1", 400).await;
    create(&world, &second, &body).await;
    let confirm = format!("transfers/T1/confirm?mchid={}", second.mchid);
    world.admin("POST", &confirm, &Value::Null).await;
    // Signed by the first merchant's key in the second one's name.
    let forged = Credentials {
        mchid: second.mchid.clone(),
        ..world.credentials.clone()
    };
    let path = format!("{TRANSFERS}/out-bill-no/T1");
    let answer = world.ask_as(&forged, ("GET", &path), "").await;
    assert_eq!(answer.expect("it answers").error().0, 401);
    world.sandbox.advance(Duration::from_secs(2 * 86_400)).await;
    let day = world.sandbox.now_business() - 2 * 86_400_000;
    let day = jiff::Timestamp::from_millisecond(day).expect("a moment");
    let day = jiff::tz::Offset::constant(8).to_datetime(day).date();
    let apply = format!("/v3/bill/fundflowbill?bill_date={day}&account_type=BASIC");
    let applied = world.ask_as(&second, ("GET", &apply), "").await;
    let applied = applied.expect("it answers").json();
    let url = applied["download_url"].as_str().expect("an address");
    let path = &url[url.find("/v3/").expect("a path")..];
    let taken = world.ask("GET", path, "").await.expect("it answers");
    assert_eq!(
        taken.error(),
        (400, "INVALID_REQUEST".into()),
        "a token is one merchant's"
    );
    let bill = world
        .ask_as(&second, ("GET", path), "")
        .await
        .expect("it answers");
    let bill = String::from_utf8(bill.body.to_vec()).expect("text");
    assert!(bill.contains("`T1\r\n") && bill.contains("`4.00"), "{bill}");
    let applied = world
        .ask("GET", &apply, "")
        .await
        .expect("it answers")
        .json();
    let url = applied["download_url"].as_str().expect("an address");
    let path = &url[url.find("/v3/").expect("a path")..];
    let own = world.ask("GET", path, "").await.expect("it answers");
    let own = String::from_utf8(own.body.to_vec()).expect("text");
    assert!(!own.contains("T1\r\n") && own.contains("TOPUP"), "{own}");
}

#[tokio::test]
async fn a_merchant_that_is_made_beside_the_sandbox_counts_at_once_and_survives_it() {
    let world = World::new().await;
    let second = Credentials::of(world.dir.path(), 2).expect("made");
    let address = Address::open(0).await;
    let path = format!("{TRANSFERS}/out-bill-no/T1");
    let first = world.ask_as(&second, ("GET", &path), "").await;
    assert_eq!(
        first.expect("it answers").error(),
        (404, "NOT_FOUND".into())
    );
    let mut body = transfer(&world, &second, "T1", 400).await;
    body["notify_url"] = json!(address.url);
    assert_eq!(create(&world, &second, &body).await.status, 200);
    let confirm = format!("transfers/T1/confirm?mchid={}", second.mchid);
    world.admin("POST", &confirm, &Value::Null).await;
    let (headers, body) = address.received(1).await.remove(0);
    assert!(proves(&second, &headers, &body), "announced by its own key");
    assert!(!proves(&world.credentials, &headers, &body));

    let poor = json!({ "top_up_fen": 5 });
    let third = world.admin("POST", "merchants", &poor).await;
    let all = world.admin("GET", "merchants", &Value::Null).await;
    assert_eq!(all["data"][2]["mchid"], third["mchid"]);
    assert_eq!(all["data"][2]["balance_fen"], 5);
    let (mchid, dir) = (third["mchid"].as_str().expect("text").to_owned(), world.dir);
    assert_eq!(
        Credentials::number_of(dir.path(), &mchid).expect("there"),
        3
    );
    world.sandbox.stop().await;
    let settings = lingqian_sandbox::Settings {
        data: dir.path().to_owned(),
        ..Default::default()
    };
    let again = World::open(dir, settings).await;
    assert_eq!(again.sandbox.mchids().len(), 3);
    assert_eq!(balance(&again, &mchid).await, 5, "no second first top-up");
    assert_eq!(balance(&again, &second.mchid).await, 1_000_000_000 - 400);
}
