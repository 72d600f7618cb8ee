//! `/_sandbox/…`: the hands of whoever tests. Nothing here is signed, nothing exists at WeChat.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::batch::ItemStatus;
use crate::books::{Books, Outcome, rfc3339};
use crate::faults::Faults;
use crate::journal::Record;
use crate::old::{PacketStatus, Status};
use crate::robot::ask_user;
use crate::server::World;
use crate::settings::Robot;
use crate::{notify, old, transfer};

type Shared = State<Arc<World>>;

fn bad(words: &str) -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({ "error": words }))).into_response()
}

/// Records under the lock, then waits until it is durable.
async fn durable(world: &World, change: impl FnOnce(&mut Books)) {
    let promise = {
        let mut books = world.books();
        change(&mut books);
        books.promise()
    };
    if let Some(promise) = promise {
        let _ = promise.kept().await;
    }
}

/// The two clocks.
pub(crate) async fn clock(State(world): Shared) -> Json<Value> {
    let books = world.books();
    let (now, offset_ms) = (books.now(), books.offset_ms);
    Json(json!({ "business_time": rfc3339(now), "now_ms": now, "offset_ms": offset_ms }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Advance {
    advance_seconds: i64,
}

/// Moves the business clock ahead; what became due happens.
pub(crate) async fn advance(State(world): Shared, Json(body): Json<Advance>) -> Response {
    if !(0..=366 * 86_400).contains(&body.advance_seconds) {
        return bad("advance_seconds must be 0 to one year");
    }
    world.advance_ms(body.advance_seconds * 1_000).await;
    clock(State(world)).await.into_response()
}

/// What has to be known in order to prove from outside that nobody was paid twice.
pub(crate) async fn summary(State(world): Shared) -> Json<Value> {
    let books = world.books();
    let mut states: BTreeMap<&str, (u64, i64)> = BTreeMap::new();
    let mut paid: BTreeMap<&str, i64> = BTreeMap::new();
    for transfer in books.transfers.values() {
        let sum = states.entry(transfer.outcome.word()).or_default();
        sum.0 += 1;
        sum.1 += transfer.amount;
        if transfer.outcome == Outcome::Success {
            *paid.entry(transfer.openid.as_str()).or_default() += transfer.amount;
        }
    }
    let mut items: BTreeMap<&str, (u64, i64)> = BTreeMap::new();
    for item in books.batches.values().flat_map(|batch| &batch.items) {
        let sum = items.entry(item.status.word()).or_default();
        sum.0 += 1;
        sum.1 += item.amount;
        if item.status == ItemStatus::Success {
            *paid.entry(item.openid.as_str()).or_default() += item.amount;
        }
    }
    let mut payments: BTreeMap<&str, (u64, i64)> = BTreeMap::new();
    for payment in books.payments.values() {
        let sum = payments.entry(payment.status.word()).or_default();
        sum.0 += 1;
        sum.1 += payment.amount;
        if payment.status == Status::Success {
            *paid.entry(payment.openid.as_str()).or_default() += payment.amount;
        }
    }
    let mut packets: BTreeMap<&str, (u64, i64)> = BTreeMap::new();
    for packet in books.packets.values() {
        let sum = packets.entry(packet.status.word()).or_default();
        sum.0 += 1;
        sum.1 += packet.amount;
        if packet.status == PacketStatus::Received {
            *paid.entry(packet.openid.as_str()).or_default() += packet.amount;
        }
    }
    let came_in: i64 = books
        .flow
        .iter()
        .filter(|line| line.income)
        .map(|line| line.amount)
        .sum();
    let out: i64 = books
        .flow
        .iter()
        .filter(|line| !line.income)
        .map(|line| line.amount)
        .sum();
    let word = |(word, (count, fen)): (&str, (u64, i64))| {
        (word.to_owned(), json!({ "count": count, "fen": fen }))
    };
    let states: serde_json::Map<String, Value> = states.into_iter().map(word).collect();
    let packets: serde_json::Map<String, Value> = packets.into_iter().map(word).collect();
    let items: serde_json::Map<String, Value> = items.into_iter().map(word).collect();
    let payments: serde_json::Map<String, Value> = payments.into_iter().map(word).collect();
    Json(json!({
        "came_in_fen": came_in,
        "out_fen": out,
        "balance_fen": books.balance,
        "transfers": states,
        "batch_items": items,
        "payments": payments,
        "packets": packets,
        "paid_people": paid.len(),
        "paid_fen": paid.values().sum::<i64>(),
        "paid_per_openid_fen": paid,
        "notifications": books.notices.len(),
        "undelivered": books.due.len(),
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Page {
    after: Option<String>,
    limit: Option<usize>,
}

/// Transfers by number, a page at a time.
pub(crate) async fn transfers(State(world): Shared, Query(page): Query<Page>) -> Json<Value> {
    let books = world.books();
    let after = page.after.unwrap_or_default();
    let later = books.transfers.range::<str, _>((
        std::ops::Bound::Excluded(after.as_str()),
        std::ops::Bound::Unbounded,
    ));
    let found: Vec<Value> = later
        .take(page.limit.unwrap_or(100).min(10_000))
        .map(|(_, transfer)| transfer::shown(&books, transfer))
        .collect();
    Json(json!({ "data": found }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Person {
    name: String,
    real_name: Option<String>,
    #[serde(default)]
    frozen: bool,
}

/// Makes or changes a person.
pub(crate) async fn put_user(State(world): Shared, Json(person): Json<Person>) -> Response {
    if person.name.is_empty() || person.name.len() > 64 {
        return bad("name must have 1 to 64 bytes");
    }
    let Person {
        name,
        real_name,
        frozen,
    } = person;
    let record = Record::User {
        name: name.clone(),
        real_name,
        frozen,
    };
    durable(&world, |books| books.record(record)).await;
    let openid = world.books().openid(&name);
    Json(json!({ "name": name, "openid": openid, "frozen": frozen })).into_response()
}

/// Everybody.
pub(crate) async fn users(State(world): Shared) -> Json<Value> {
    let books = world.books();
    let person = |(name, person): (&String, &crate::books::Person)| json!({ "name": name, "openid": person.openid, "frozen": person.frozen });
    let found: Vec<Value> = books.people.iter().map(person).collect();
    Json(json!({ "data": found }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TopUp {
    amount_fen: i64,
}

/// Money for the merchant's account.
pub(crate) async fn top_up(State(world): Shared, Json(body): Json<TopUp>) -> Response {
    if !(1..=1_000_000_000_000).contains(&body.amount_fen) {
        return bad("amount_fen must be 1 to 1,000,000,000,000");
    }
    durable(&world, |books| {
        let voucher = format!("TOPUP{:08}", books.flow.len() + 1);
        books.book(true, body.amount_fen, "充值", (voucher.clone(), voucher));
    })
    .await;
    let balance = world.books().balance;
    Json(json!({ "balance_fen": balance })).into_response()
}

/// What users do.
pub(crate) async fn robot(State(world): Shared) -> Json<Value> {
    Json(json!(world.robot()))
}

/// Changes what users do; those who are waiting are asked again.
pub(crate) async fn set_robot(State(world): Shared, Json(robot): Json<Robot>) -> Response {
    if u32::from(robot.confirm_per_mille) + u32::from(robot.refuse_per_mille) > 1_000 {
        return bad("confirm_per_mille and refuse_per_mille add up to more than 1000");
    }
    world.set_robot(robot);
    let waiting: Vec<String> = world
        .books()
        .waiting
        .iter()
        .map(|(_, number)| number.clone())
        .collect();
    waiting
        .into_iter()
        .for_each(|number| ask_user(&world, number));
    Json(json!(robot)).into_response()
}

/// What will go wrong.
pub(crate) async fn faults(State(world): Shared) -> Json<Value> {
    let faults = world.faults().clone();
    Json(json!(faults))
}

/// Changes what will go wrong; replaces what was set before.
pub(crate) async fn set_faults(State(world): Shared, Json(faults): Json<Faults>) -> Json<Value> {
    *world.faults() = faults.clone();
    Json(json!(faults))
}

/// The user of a transfer confirms (or tries to, with a wallet that may not receive).
pub(crate) async fn confirm(
    State(world): Shared,
    Path((number, deed)): Path<(String, String)>,
) -> Response {
    let receives = match deed.as_str() {
        "confirm" => true,
        "refuse" => false,
        _ => return bad("the last part must be confirm or refuse"),
    };
    let mut result = Ok(());
    durable(&world, |books| {
        result = transfer::confirm(books, &number, receives)
    })
    .await;
    world.wake_notifier();
    match result {
        Ok(()) => Json(json!({ "out_bill_no": number })).into_response(),
        Err(refused) => bad(&refused.message),
    }
}

/// The user opens a red packet.
pub(crate) async fn open_packet(State(world): Shared, Path(number): Path<String>) -> Response {
    let mut result = Ok(());
    durable(&world, |books| result = old::open(books, &number)).await;
    match result {
        Ok(()) => Json(json!({ "mch_billno": number })).into_response(),
        Err(refused) => bad(&refused.message),
    }
}

/// The user grants or revokes an authorization.
pub(crate) async fn authorization(
    State(world): Shared,
    Path((number, deed)): Path<(String, String)>,
) -> Response {
    let mut done = false;
    durable(&world, |books| {
        done = match deed.as_str() {
            "confirm" => books.grant_authorization(&number),
            "revoke" => books.close_authorization(&number, "USER_CLOSE"),
            _ => false,
        };
    })
    .await;
    world.wake_notifier();
    if !done {
        return bad("there is nothing to confirm or to revoke under this number");
    }
    Json(json!({ "out_authorization_no": number })).into_response()
}

/// Notifications with how often they were tried and acknowledged.
pub(crate) async fn notifications(State(world): Shared) -> Json<Value> {
    let books = world.books();
    let notice = |(id, notice): (&u64, &crate::books::Notice)| {
        json!({
            "id": id,
            "out_bill_no": notice.number,
            "tries": notice.tries,
            "delivered": notice.delivered,
            "due_at": notice.due_at.map(rfc3339),
        })
    };
    let found: Vec<Value> = books.notices.iter().map(notice).collect();
    Json(json!({ "data": found }))
}

/// Sends a notification again, now.
pub(crate) async fn redeliver(State(world): Shared, Path(id): Path<u64>) -> Response {
    let found = {
        let books = world.books();
        let notice = books.notices.get(&id);
        notice.and_then(|notice| notify::message(&books, &notice.number))
    };
    let Some(message) = found else {
        return bad("there is no such notification");
    };
    let delivered = notify::post(&world, &message, id, false).await;
    Json(json!({ "id": id, "delivered": delivered })).into_response()
}
