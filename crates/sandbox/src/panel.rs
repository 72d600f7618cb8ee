//! The page `/_sandbox` to see and drive the sandbox, and what it shows beyond the lists.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::response::{Html, IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::admin::{WRONG_PERSON, bad, durable};
use crate::books::{Books, rfc3339};
use crate::kept::Outcome;
use crate::world::World;
use crate::{admin, authorization, certs, damage, notify, transfer};

type Shared = State<Arc<World>>;

/// Everything that only a sandbox has.
pub(crate) fn routes() -> Router<Arc<World>> {
    Router::new()
        .route(
            "/_sandbox/authorizations/{number}/{deed}",
            post(admin::authorization),
        )
        .route("/_sandbox/packets/{number}/open", post(admin::open_packet))
        .route("/_sandbox/clock", get(admin::clock).post(admin::advance))
        .route("/_sandbox/users", get(admin::users).post(admin::put_user))
        .route("/_sandbox/top-up", post(admin::top_up))
        .route(
            "/_sandbox/merchants",
            get(admin::merchants).post(admin::make_merchant),
        )
        .route("/_sandbox/bindings", post(admin::bind))
        .route("/_sandbox/books", get(admin::summary))
        .route("/_sandbox/transfers", get(admin::transfers))
        .route("/_sandbox/transfers/{number}/{deed}", post(admin::confirm))
        .route("/_sandbox/lag", get(admin::lag).post(admin::set_lag))
        .route("/_sandbox/robot", get(admin::robot).post(admin::set_robot))
        .route(
            "/_sandbox/faults",
            get(admin::faults).post(admin::set_faults),
        )
        .route(
            "/_sandbox/certificates",
            get(certs::certificates).post(certs::change),
        )
        .route("/_sandbox/notifications", get(admin::notifications))
        .route(
            "/_sandbox/notifications/{id}",
            get(notification).post(admin::redeliver),
        )
        .route("/_sandbox", get(page))
        .route("/_sandbox/", get(page))
        .route("/_sandbox/orders", get(orders))
        .route("/_sandbox/authorizations", get(authorizations))
        .route("/_sandbox/packages", post(open_package))
        .route("/_sandbox/balance", post(set_balance))
        .route("/_sandbox/attempts", get(attempts))
        .route("/_sandbox/bill", get(bill))
}

/// The page itself; it needs nothing from elsewhere.
pub(crate) async fn page() -> Html<&'static str> {
    Html(include_str!("../page/index.html"))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Last {
    limit: Option<usize>,
}

impl Last {
    fn limit(&self) -> usize {
        self.limit.unwrap_or(100).min(10_000)
    }
}

/// Everything that merchants sent, by whichever product, newest first.
pub(crate) async fn orders(State(world): Shared, Query(last): Query<Last>) -> Json<Value> {
    let books = world.books();
    let mut found: Vec<(i64, Value)> = Vec::new();
    for one in books.transfers.values() {
        let kind = if one.direct { "direct" } else { "transfer" };
        let mut told = order(&books, kind, (&one.mchid, &one.out_bill_no), &one.openid);
        told["fen"] = json!(one.amount);
        told["state"] = json!(one.outcome.word());
        if let Outcome::Fail { reason } = &one.outcome {
            told["reason"] = json!(reason);
        }
        found.push((one.created_at, told));
    }
    for batch in books.batches.values() {
        for item in &batch.items {
            let number = format!("{}/{}", batch.number, item.number);
            let mut told = order(&books, "batch", (&batch.mchid, &number), &item.openid);
            told["fen"] = json!(item.amount);
            told["state"] = json!(item.status.word());
            told["reason"] = json!(item.fail_reason);
            found.push((batch.created_at, told));
        }
    }
    for one in books.payments.values() {
        let mut told = order(&books, "payment", (&one.mchid, &one.number), &one.openid);
        told["fen"] = json!(one.amount);
        told["state"] = json!(one.status.word());
        found.push((one.created_at, told));
    }
    for one in books.packets.values() {
        let mut told = order(&books, "packet", (&one.mchid, &one.number), &one.openid);
        told["fen"] = json!(one.amount);
        told["state"] = json!(one.status.word());
        found.push((one.created_at, told));
    }
    found.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    found.truncate(last.limit());
    let shown = found.into_iter().map(|(at, mut told)| {
        told["at"] = json!(rfc3339(at));
        told
    });
    Json(json!({ "data": shown.collect::<Vec<Value>>() }))
}

fn order(books: &Books, kind: &str, (mchid, number): (&str, &str), openid: &str) -> Value {
    let user = books.openids.get(openid).map(|(_, name)| name);
    json!({ "kind": kind, "mchid": mchid, "number": number, "user": user })
}

/// Every authorization.
pub(crate) async fn authorizations(State(world): Shared) -> Json<Value> {
    let books = world.books();
    let shown = books.authorizations.values().map(|one| {
        let mut told = authorization::shown(one);
        told["mchid"] = json!(one.mchid);
        told["user"] = json!(books.openids.get(&one.openid).map(|(_, name)| name));
        told
    });
    Json(json!({ "data": shown.collect::<Vec<Value>>() }))
}

/// What a page in WeChat hands over in order to be confirmed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Package {
    package: String,
    /// Who holds the phone.
    user: String,
    mch_id: Option<String>,
    app_id: Option<String>,
}

/// `requestMerchantTransfer`: the user opens the page of a package and confirms. What the page of
/// the app is told is not what became of the transfer.
pub(crate) async fn open_package(State(world): Shared, Json(asked): Json<Package>) -> Response {
    let fail = |words: &str| {
        Json(json!({ "err_msg": format!("requestMerchantTransfer:fail {words}") })).into_response()
    };
    let found = {
        let books = world.books();
        let fits = |mchid: &str, appid: &str| {
            asked.mch_id.as_deref().is_none_or(|wanted| wanted == mchid)
                && asked.app_id.as_deref().is_none_or(|wanted| wanted == appid)
        };
        let mut transfers = books.transfers.values();
        let transfer = transfers
            .find(|one| one.package == asked.package && fits(&one.mchid, &one.appid))
            .map(|one| (one.id(), false, one.openid.clone()));
        let mut authorizations = books.authorizations.values();
        let other = authorizations
            .find(|one| one.package == asked.package && fits(&one.mchid, &one.appid))
            .map(|one| (one.id(), true, one.openid.clone()));
        let found = transfer.or(other);
        found.map(|(id, authorization, openid)| {
            let name = books.openids.get(&openid).map(|(_, name)| name.clone());
            (id, authorization, name.unwrap_or_default())
        })
    };
    let Some((id, is_authorization, owner)) = found else {
        return fail("package错误或已过期");
    };
    if owner != asked.user {
        return fail(WRONG_PERSON);
    }
    let reason = crate::robot::why_not(&world, &id, true);
    let mut confirmed = false;
    durable(&world, |books| {
        confirmed = if is_authorization {
            books.grant_authorization(&id)
        } else {
            transfer::confirm(books, &id, reason).is_ok()
        };
    })
    .await;
    world.wake_notifier();
    if confirmed {
        Json(json!({ "err_msg": "requestMerchantTransfer:ok" })).into_response()
    } else {
        fail("package错误或已过期")
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Balance {
    balance_fen: i64,
    mchid: Option<String>,
}

/// Sets what is on a merchant's account, by a line that says so.
pub(crate) async fn set_balance(State(world): Shared, Json(wanted): Json<Balance>) -> Response {
    if !(0..=1_000_000_000_000).contains(&wanted.balance_fen) {
        return bad("balance_fen must be 0 to 1,000,000,000,000");
    }
    let member = match world.named(wanted.mchid.as_deref()) {
        Ok(member) => member,
        Err(words) => return bad(&words),
    };
    let mchid = member.mchid();
    durable(&world, |books| {
        let more = wanted.balance_fen - books.account(mchid).balance;
        if more > 0 {
            books.top_up(mchid, more);
        } else if more < 0 {
            let voucher = format!("CASH{:08}", books.account(mchid).flow.len() + 1);
            let bill = (voucher.clone(), voucher);
            books.book((mchid, false), -more, "提现", bill);
        }
    })
    .await;
    let balance = world.books().account(mchid).balance;
    Json(json!({ "mchid": mchid, "balance_fen": balance })).into_response()
}

/// Tries of notifications, newest first.
pub(crate) async fn attempts(State(world): Shared, Query(last): Query<Last>) -> Json<Value> {
    let attempts = world.attempts();
    let newest: Vec<_> = attempts.iter().rev().take(last.limit()).cloned().collect();
    Json(json!({ "data": newest }))
}

/// One notification: what it says in clear, and how each try went.
pub(crate) async fn notification(State(world): Shared, Path(id): Path<u64>) -> Response {
    let told = {
        let books = world.books();
        let notice = books.notices.get(&id);
        notice.and_then(|notice| notify::message(&books, &notice.id))
    };
    let Some(message) = told else {
        return bad("there is no such notification");
    };
    let mut told = message.told();
    let attempts = world.attempts();
    let own: Vec<_> = attempts
        .iter()
        .filter(|one| one.id == id)
        .cloned()
        .collect();
    told["id"] = json!(id);
    told["attempts"] = json!(own);
    Json(told).into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Day {
    date: String,
    mchid: Option<String>,
}

/// The file of a day's bill, as whoever downloads it gets it.
pub(crate) async fn bill(State(world): Shared, Query(day): Query<Day>) -> Response {
    let member = match world.named(day.mchid.as_deref()) {
        Ok(member) => member,
        Err(words) => return bad(&words),
    };
    let books = world.books();
    let query = format!("bill_date={}", day.date);
    let file = damage::apply(&world, &member, &books, &query).and_then(|told| {
        let url = told["download_url"].as_str().unwrap_or_default();
        let token = url.split_once('?').map_or("", |(_, token)| token);
        damage::download(&world, &member, &books, token)
    });
    match file {
        Ok(file) => ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], file).into_response(),
        Err(refused) => {
            let why = match refused.code.as_ref() {
                "NO_STATEMENT_EXIST" => "nothing moved that day, and WeChat makes no bill of it",
                "STATEMENT_CREATING" => "it is made from nine in the morning of the next day",
                "INVALID_REQUEST" => "bills are of days that are over, of the last three months",
                _ => "there is none",
            };
            bad(&format!("{}: {why} ({})", refused.code, refused.message))
        }
    }
}
