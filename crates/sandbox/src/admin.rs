//! `/_sandbox/…`: the hands of whoever tests. Nothing here is signed, nothing exists at WeChat.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::batch::ItemStatus;
use crate::books::{Books, rfc3339};
use crate::faults::Faults;
use crate::journal::Record;
use crate::kept::{Id, Outcome, Transfer};
use crate::old::{PacketStatus, Status};
use crate::robot::ask_all;
use crate::said::Said;
use crate::settings::{Lag, Robot};
use crate::world::World;
use crate::{notify, old, transfer};

/// The longest time in a state: a week.
const LAG_MAX_MS: i64 = 7 * 86_400_000;
/// The largest top-up, in fen.
const TOP_UP_MAX: i64 = 1_000_000_000_000;

type Shared = State<Arc<World>>;

pub(crate) fn bad(words: &str) -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({ "error": words }))).into_response()
}

/// Records under the lock, then waits until it is durable.
pub(crate) async fn durable(world: &World, change: impl FnOnce(&mut Books)) {
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

/// Whose; the first merchant's where nobody is named.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Whose {
    pub(crate) mchid: Option<String>,
}

/// Ahead by so many seconds, or to a moment.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum Advance {
    By { advance_seconds: i64 },
    To { to: String },
}

/// Moves the business clock ahead; what became due happens.
pub(crate) async fn advance(State(world): Shared, Json(body): Json<Advance>) -> Response {
    let ahead_ms = match body {
        Advance::By { advance_seconds } => advance_seconds.saturating_mul(1_000),
        Advance::To { to } => match to.parse::<jiff::Timestamp>() {
            Ok(to) => to.as_millisecond() - world.books().now(),
            Err(_) => return bad("to must be a moment such as 2026-03-02T23:59:50+08:00"),
        },
    };
    if !(0..=366 * 86_400_000).contains(&ahead_ms) {
        return bad(
            "the clock moves ahead only: advance_seconds 0 to one year, or to a moment \
                    within a year",
        );
    }
    world.advance_ms(ahead_ms).await;
    clock(State(world)).await.into_response()
}

/// How many of a product are in each state, and how much they are.
#[derive(Default)]
struct ByState<'b>(BTreeMap<&'b str, (u64, i64)>);

impl<'b> ByState<'b> {
    /// Adds one; `whom` is who has the money, where somebody has.
    fn add(
        &mut self,
        state: &'b str,
        amount: i64,
        whom: Option<&'b str>,
        paid: &mut BTreeMap<&'b str, i64>,
    ) {
        let sum = self.0.entry(state).or_default();
        sum.0 += 1;
        sum.1 += amount;
        if let Some(whom) = whom {
            *paid.entry(whom).or_default() += amount;
        }
    }

    fn told(&self) -> Value {
        let state = |(state, (count, fen)): (&&str, &(u64, i64))| {
            let sum = json!({ "count": count, "fen": fen });
            ((*state).to_owned(), sum)
        };
        Value::Object(self.0.iter().map(state).collect())
    }
}

/// Sums over the books of one merchant, or of all.
fn sums(books: &Books, mchid: Option<&str>) -> Value {
    let own = |of: &str| mchid.is_none_or(|mchid| mchid == of);
    let mut paid: BTreeMap<&str, i64> = BTreeMap::new();
    let mut transfers = ByState::default();
    for one in books.transfers.values().filter(|one| own(&one.mchid)) {
        let whom = (one.outcome == Outcome::Success).then_some(&*one.openid);
        transfers.add(one.outcome.word(), one.amount, whom, &mut paid);
    }
    let batches = books.batches.values().filter(|one| own(&one.mchid));
    let mut items = ByState::default();
    for one in batches.flat_map(|batch| &batch.items) {
        let whom = (one.status == ItemStatus::Success).then_some(&*one.openid);
        items.add(one.status.word(), one.amount, whom, &mut paid);
    }
    let mut payments = ByState::default();
    for one in books.payments.values().filter(|one| own(&one.mchid)) {
        let whom = (one.status == Status::Success).then_some(&*one.openid);
        payments.add(one.status.word(), one.amount, whom, &mut paid);
    }
    let mut packets = ByState::default();
    for one in books.packets.values().filter(|one| own(&one.mchid)) {
        let whom = (one.status == PacketStatus::Received).then_some(&*one.openid);
        packets.add(one.status.word(), one.amount, whom, &mut paid);
    }
    let accounts = books.accounts.iter().filter(|(of, _)| own(of));
    let (mut came_in, mut out, mut balance) = (0, 0, 0);
    for (_, account) in accounts {
        balance += account.balance;
        for line in &account.flow {
            let sum = if line.income { &mut came_in } else { &mut out };
            *sum += line.amount;
        }
    }
    json!({
        "came_in_fen": came_in,
        "out_fen": out,
        "balance_fen": balance,
        "transfers": transfers.told(),
        "batch_items": items.told(),
        "payments": payments.told(),
        "packets": packets.told(),
        "paid_people": paid.len(),
        "paid_fen": paid.values().sum::<i64>(),
        "paid_per_openid_fen": paid,
    })
}

/// What has to be known in order to prove from outside that nobody was paid twice.
pub(crate) async fn summary(State(world): Shared, Query(whose): Query<Whose>) -> Response {
    if let Some(Err(words)) = whose.mchid.as_deref().map(|mchid| world.named(Some(mchid))) {
        return bad(&words);
    }
    let books = world.books();
    let mut sums = sums(&books, whose.mchid.as_deref());
    sums["notifications"] = json!(books.notices.len());
    sums["undelivered"] = json!(books.due.len());
    Json(sums).into_response()
}

/// The merchants, with their apps and what they have.
pub(crate) async fn merchants(State(world): Shared) -> Json<Value> {
    let members = world.members();
    let books = world.books();
    let shown = members.iter().zip(1..).map(|(member, no)| {
        let mchid = member.mchid();
        let bound = books.bindings.iter().filter(|(of, _)| of == mchid);
        let apps: Vec<&String> = bound.map(|(_, appid)| appid).collect();
        json!({
            "no": no,
            "mchid": mchid,
            "appid": member.credentials().appid,
            "bound_apps": apps,
            "merchant_serial": member.credentials().merchant_serial,
            "platform_serial": member.credentials().platform_serial,
            "public_key_id": member.credentials().public_key_id,
            "balance_fen": books.account(mchid).balance,
        })
    });
    Json(json!({ "data": shown.collect::<Vec<Value>>() }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MakeMerchant {
    /// What its account begins with; left out: what every merchant's does.
    top_up_fen: Option<i64>,
}

/// Makes one merchant more, with an app of its own.
pub(crate) async fn make_merchant(
    State(world): Shared,
    Json(body): Json<MakeMerchant>,
) -> Response {
    let top_up = body.top_up_fen.unwrap_or(world.settings.first_top_up_fen);
    if !(0..=TOP_UP_MAX).contains(&top_up) {
        return bad("top_up_fen must be 0 to 1,000,000,000,000");
    }
    let made = match world.make_member(top_up) {
        Ok(made) => made,
        Err(error) => return bad(&format!("{error:#}")),
    };
    durable(&world, |_| {}).await;
    let credentials = made.credentials();
    Json(json!({ "mchid": credentials.mchid, "appid": credentials.appid })).into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bind {
    mchid: String,
    appid: String,
    #[serde(default = "yes")]
    bound: bool,
}

fn yes() -> bool {
    true
}

/// Binds an app to a merchant, or unbinds it.
pub(crate) async fn bind(State(world): Shared, Json(body): Json<Bind>) -> Response {
    if let Err(words) = world.named(Some(&body.mchid)) {
        return bad(&words);
    }
    if world.books().kind_of(&body.appid).is_none() && world.owner_of(&body.appid).is_none() {
        return bad("there is no such app; GET /_sandbox/merchants lists them");
    }
    let Bind {
        mchid,
        appid,
        bound,
    } = body;
    let answer = json!({ "mchid": mchid, "appid": appid, "bound": bound });
    let record = Record::Bound {
        mchid,
        appid,
        bound,
    };
    durable(&world, |books| books.record(record)).await;
    Json(answer).into_response()
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
    let limit = page.limit.unwrap_or(100).min(10_000);
    let mut found: Vec<&Transfer> = Vec::new();
    for mchid in books.accounts.keys() {
        let first = Id::new(mchid, &after);
        let beyond = books.transfers.range((Excluded(first), Unbounded));
        let own = beyond.take_while(|(id, _)| id.mchid == *mchid);
        found.extend(own.take(limit).map(|(_, transfer)| transfer));
    }
    // By number over all merchants, so that a page goes on after a number.
    found.sort_by(|a, b| a.out_bill_no.cmp(&b.out_bill_no));
    found.truncate(limit);
    let found: Vec<Value> = found.into_iter().map(transfer::shown).collect();
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
    durable(&world, |books| {
        // Whoever only freezes a person says nothing about the name.
        let known = books.people.get(&name);
        let known = known.and_then(|person| person.real_name.clone());
        books.record(Record::User {
            name: name.clone(),
            real_name: real_name.or(known),
            frozen,
        });
    })
    .await;
    let (openid, openids) = openids(&world.books(), &name);
    Json(json!({ "name": name, "openid": openid, "openids": openids, "frozen": frozen }))
        .into_response()
}

/// A person's openid under the first app, and under every app.
fn openids(books: &Books, name: &str) -> (String, BTreeMap<String, String>) {
    let openid = |app: &String| (app.clone(), books.openid(app, name));
    let first = books.apps.first().map(|app| books.openid(app, name));
    let all = books.apps.iter().map(openid).collect();
    (first.unwrap_or_default(), all)
}

/// Everybody.
pub(crate) async fn users(State(world): Shared) -> Json<Value> {
    let books = world.books();
    let person = |(name, person): (&String, &crate::books::Person)| {
        let (openid, openids) = openids(&books, name);
        json!({ "name": name, "openid": openid, "openids": openids, "frozen": person.frozen })
    };
    let found: Vec<Value> = books.people.iter().map(person).collect();
    Json(json!({ "data": found }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TopUp {
    amount_fen: i64,
    mchid: Option<String>,
}

/// Money for a merchant's account.
pub(crate) async fn top_up(State(world): Shared, Json(body): Json<TopUp>) -> Response {
    if !(1..=TOP_UP_MAX).contains(&body.amount_fen) {
        return bad("amount_fen must be 1 to 1,000,000,000,000");
    }
    let member = match world.named(body.mchid.as_deref()) {
        Ok(member) => member,
        Err(words) => return bad(&words),
    };
    durable(&world, |books| {
        books.top_up(member.mchid(), body.amount_fen)
    })
    .await;
    let balance = world.books().account(member.mchid()).balance;
    Json(json!({ "mchid": member.mchid(), "balance_fen": balance })).into_response()
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
    if !kept(&world, |said| said.robot = Some(robot)) {
        return not_kept();
    }
    world.set_robot(robot);
    ask_all(&world);
    Json(json!(robot)).into_response()
}

/// How long transfers take.
pub(crate) async fn lag(State(world): Shared) -> Json<Value> {
    Json(json!(world.books().lag))
}

/// Changes how long transfers take, also those that are under way.
pub(crate) async fn set_lag(State(world): Shared, Json(lag): Json<Lag>) -> Response {
    let all = [lag.accepted_ms, lag.processing_ms, lag.transfering_ms];
    if all.iter().any(|ms| !(0..=LAG_MAX_MS).contains(ms)) {
        return bad("accepted_ms, processing_ms and transfering_ms must be 0 to 604,800,000");
    }
    if !kept(&world, |said| said.lag = Some(lag)) {
        return not_kept();
    }
    world.books().lag = lag;
    Json(json!(lag)).into_response()
}

/// What will go wrong.
pub(crate) async fn faults(State(world): Shared) -> Json<Value> {
    let faults = world.faults().clone();
    Json(json!(faults))
}

/// Changes what will go wrong; replaces what was set before.
pub(crate) async fn set_faults(State(world): Shared, Json(faults): Json<Faults>) -> Response {
    // What strikes meanwhile waits, so that it cannot write down what was there before.
    let mut script = world.faults();
    if !kept(&world, |said| said.faults = Some(faults.clone())) {
        return not_kept();
    }
    *script = faults.clone();
    drop(script);
    Json(json!(faults)).into_response()
}

/// Writes down what is said, before it counts; whether that went well.
fn kept(world: &World, say: impl FnOnce(&mut Said)) -> bool {
    let mut said = world.said();
    let mut next = said.clone();
    say(&mut next);
    if let Err(error) = next.keep() {
        tracing::error!(%error, "what was said is not kept");
        return false;
    }
    *said = next;
    true
}

fn not_kept() -> Response {
    let words = json!({ "error": "it could not be written down; nothing changed" });
    (StatusCode::INTERNAL_SERVER_ERROR, Json(words)).into_response()
}

/// Whose transfer, and who does something about it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Thumb {
    mchid: Option<String>,
    /// Who holds the phone; the receiver where nobody is named.
    user: Option<String>,
    /// Why a transfer that is refused fails.
    reason: Option<String>,
}

/// What WeChat shows to whoever is not the receiver.
pub(crate) const WRONG_PERSON: &str = "你的微信号与商家指定的收款微信号不一致";

/// The user of a transfer confirms (or tries to, with a wallet that may not receive), or somebody
/// else opens its page.
pub(crate) async fn confirm(
    State(world): Shared,
    Path((number, deed)): Path<(String, String)>,
    Query(thumb): Query<Thumb>,
) -> Response {
    let member = match world.named(thumb.mchid.as_deref()) {
        Ok(member) => member,
        Err(words) => return bad(&words),
    };
    let id = Id::new(member.mchid(), &number);
    let Some(receiver) = receiver(&world.books(), &id) else {
        return bad("there is no transfer of this number");
    };
    let other = thumb.user.is_some_and(|user| user != receiver);
    let reason = match deed.as_str() {
        "wrong-person" => return bad(WRONG_PERSON),
        "confirm" | "refuse" if other => return bad(WRONG_PERSON),
        "confirm" => crate::robot::why_not(&world, &id, true).map(str::to_owned),
        "refuse" => Some(
            thumb
                .reason
                .unwrap_or_else(|| "REAL_NAME_CHECK_FAIL".into()),
        ),
        _ => return bad("the last part must be confirm, refuse or wrong-person"),
    };
    let mut result = Ok(());
    durable(&world, |books| {
        result = transfer::confirm(books, &id, reason.as_deref())
    })
    .await;
    world.wake_notifier();
    match result {
        Ok(()) => Json(json!({ "out_bill_no": number })).into_response(),
        Err(refused) => bad(&refused.message),
    }
}

/// The name of whoever is to receive a transfer.
pub(crate) fn receiver(books: &Books, id: &Id) -> Option<String> {
    let transfer = books.transfers.get(id)?;
    let (_, name) = books.openids.get(&transfer.openid)?;
    Some(name.clone())
}

/// The user opens a red packet.
pub(crate) async fn open_packet(
    State(world): Shared,
    Path(number): Path<String>,
    Query(whose): Query<Whose>,
) -> Response {
    let member = match world.named(whose.mchid.as_deref()) {
        Ok(member) => member,
        Err(words) => return bad(&words),
    };
    let id = Id::new(member.mchid(), &number);
    let mut result = Ok(());
    durable(&world, |books| result = old::open(books, &id)).await;
    match result {
        Ok(()) => Json(json!({ "mch_billno": number })).into_response(),
        Err(refused) => bad(&refused.message),
    }
}

/// The user grants an authorization or takes it back, or WeChat takes it back.
pub(crate) async fn authorization(
    State(world): Shared,
    Path((number, deed)): Path<(String, String)>,
    Query(whose): Query<Whose>,
) -> Response {
    let member = match world.named(whose.mchid.as_deref()) {
        Ok(member) => member,
        Err(words) => return bad(&words),
    };
    let id = Id::new(member.mchid(), &number);
    let mut done = false;
    durable(&world, |books| {
        done = match deed.as_str() {
            "confirm" => books.grant_authorization(&id),
            "revoke" => books.close_authorization(&id, "USER_CLOSE"),
            "risk" => books.close_authorization(&id, "TRANSFER_RISK"),
            "abnormal" => books.close_authorization(&id, "USER_ACCOUNT_ABNORMAL"),
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
            "mchid": notice.id.mchid,
            "out_bill_no": notice.id.number,
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
        notice.and_then(|notice| notify::message(&books, &notice.id))
    };
    let Some(message) = found else {
        return bad("there is no such notification");
    };
    let delivered = notify::post(&world, &message, id, notify::How::Truly).await;
    Json(json!({ "id": id, "delivered": delivered })).into_response()
}
