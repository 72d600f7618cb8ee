//! What a merchant asks about itself: whether its keys work, and what it had at the end of a day.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::auth::{Incoming, Refused, check};
use crate::bill::{self, ACCOUNT};
use crate::books::{Books, beijing_day, day_start, wire_now};
use crate::fields::{address, length, missing, opened_by_named, parsed};
use crate::notify::{How, Message, post};
use crate::settings::Booking;
use crate::world::{Member, World};

/// Where keys are tried.
pub(crate) const ECHO: &str = "/v3/security/echo";
/// Balances of days that are over are known from ten in the morning.
const KNOWN_AFTER_MS: i64 = 10 * 3_600_000;
/// And for so many days.
const KNOWN_DAYS: i64 = 90;
/// The longest message that is echoed; the document names no length.
const MESSAGE_MAX: usize = 256;

/// What is asked to be echoed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Echo {
    echo_message: Option<String>,
    encrypted_echo_message: Option<String>,
    notify_url: Option<String>,
}

/// Echoes a message, and one that was sealed for WeChat, sealed for the merchant; and announces both.
pub(crate) async fn echo(
    State(world): State<Arc<World>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let request = Incoming {
        method: "POST",
        path: ECHO,
        headers: &headers,
        body: &body,
    };
    let member = world.claimed(&headers);
    let echoed = check(&member, request)
        .and_then(|()| world.admits(&member, "POST", ECHO))
        .and_then(|()| echoed(&member, &headers, &body));
    let result = echoed.map(|(answer, notify_url)| {
        if let Some(url) = notify_url {
            let message = Message::of_echo(member.mchid(), url, answer.clone());
            let world = Arc::clone(&world);
            // One try: whoever waits for it looks whether it came, and asks again.
            tokio::spawn(async move {
                let id = u64::try_from(wire_now()).unwrap_or_default();
                post(&world, &message, id, How::Truly).await;
            });
        }
        answer
    });
    world.answered(&member, &headers, result)
}

fn echoed(
    member: &Member,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<(Value, Option<String>), Refused> {
    let wanted: Echo = parsed(body)?;
    let message = wanted.echo_message;
    let message = message.ok_or_else(|| missing("echo_message", "回显信息"))?;
    length("echo_message", &message, MESSAGE_MAX)?;
    if let Some(url) = &wanted.notify_url {
        address("notify_url", url)?;
    }
    let mut answer = json!({ "echo_message": message });
    if let Some(sealed) = wanted.encrypted_echo_message {
        let field = "encrypted_echo_message";
        let plain = opened_by_named(member, headers, field, &sealed)?;
        let again = member.certs().sealed_name(&plain);
        let again = again.ok_or_else(|| Refused::field(field, "敏感字段加密失败"))?;
        answer[field] = json!(again);
    }
    Ok((answer, wanted.notify_url))
}

/// What a merchant could spend at the end of a day, and what transfers had locked then. What was
/// under way in batches and by the old API at midnight counts as there still.
pub(crate) fn day_end_balance(
    member: &Member,
    books: &Books,
    account: &str,
    query: &str,
) -> Result<Value, Refused> {
    if !["BASIC", "OPERATION", "FEES"].contains(&account) {
        return Err(Refused::new(400, "PARAM_ERROR", "account_type错误"));
    }
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let date = pairs.find_map(|(name, value)| (name == "date").then_some(value));
    let day = date.and_then(bill::day_of);
    let day = day.ok_or_else(|| Refused::new(400, "PARAM_ERROR", "date格式错误"))?;
    let (today, end) = (beijing_day(books.now()), day_start(day + 1));
    let known = books.now() >= end + KNOWN_AFTER_MS && day >= today - KNOWN_DAYS;
    if !known {
        return Err(Refused::invalid(
            "日期错误，只能查询90天内、次日10点后的余额",
        ));
    }
    if account != ACCOUNT {
        return Err(Refused::invalid("输入账户类型未开通"));
    }
    let flow = &books.account(member.mchid()).flow;
    let last = flow.iter().rev().find(|line| line.at < end);
    let closing = last.map_or(0, |line| line.balance);
    let locked = books.transfers.values().filter(|transfer| {
        let ended = transfer.outcome.is_final() && transfer.updated_at < end;
        transfer.mchid == member.mchid() && transfer.created_at < end && !ended
    });
    let pending: i64 = locked.map(|transfer| transfer.amount).sum();
    let available = match books.booking {
        Booking::AtLock => closing,
        Booking::AtSuccess => closing - pending,
    };
    Ok(json!({ "available_amount": available, "pending_amount": pending }))
}
