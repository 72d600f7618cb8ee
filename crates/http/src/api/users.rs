//! Users: register, show, freeze, statement.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::{Extension, Json};
use lingqian_core::command::Command;
use lingqian_core::facts::Wallet;
use lingqian_core::id::{UserId, UserNo};
use lingqian_core::ledger::Account;
use lingqian_core::money::Micros;
use lingqian_core::time::BusinessDate;
use lingqian_io::store::StatementLine;
use lingqian_io::{Browse as _, Clock as _, Fault, Ports, Sealer as _};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::api::acts;
use crate::auth::Caller;
use crate::request::{self, Query, id};
use crate::wire::{link, rfc3339};
use crate::{Doors, Problem};

/// The purpose that real names are sealed for.
const NAME_PURPOSE: &str = "name";
/// The longest real name, in characters.
const NAME_MAX: usize = 64;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewUser {
    id: String,
    name: Option<String>,
}

/// Registers a user. Doing it again changes nothing but a name given.
pub(crate) async fn register<P: Ports>(
    State(doors): State<Doors<P>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let new: NewUser = request::json(&headers, &request::body(body)?)?;
    let user = id("/id", &new.id, UserId::parse)?;
    let name = match new.name.as_deref().map(str::trim) {
        None => None,
        Some(name) if name.is_empty() || name.chars().count() > NAME_MAX => {
            let detail = "name must have 1 to 64 characters";
            return Err(Problem::field("/name", "malformed", detail));
        }
        Some(name) => {
            let sealed = doors
                .ports
                .sealer()
                .seal(NAME_PURPOSE, name.as_bytes())
                .await;
            Some(sealed.map_err(|fault| Fault::Broken(fault.to_string()))?)
        }
    };
    doors
        .desk
        .submit(Command::RegisterUser {
            user: user.clone(),
            name,
        })
        .await??;
    Ok((StatusCode::CREATED, shown(&doors, &user).await?))
}

/// Lists users in the order in which they were registered.
pub(crate) async fn list<P: Ports>(
    State(doors): State<Doors<P>>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Problem> {
    let query = Query::parse(query.as_deref(), &["limit", "cursor"])?;
    let limit = query.limit()?;
    let after = UserNo(query.cursor()?.unwrap_or(0));
    // Nobody has less than nothing, so this is everybody.
    let users = doors.ports.store();
    let mut users = users.sweepable(Micros::ZERO, after, limit + 1).await?;
    let has_more = users.len() > limit as usize;
    users.truncate(limit as usize);
    let next = users.last().filter(|_| has_more);
    let next = next.map(|(no, _)| no.0.to_string());
    let data = users.iter().map(|(_, user)| json!({ "id": user.as_str() }));
    let data: Vec<Value> = data.collect();
    Ok(Json(
        json!({ "data": data, "has_more": has_more, "next_cursor": next }),
    ))
}

/// Shows a user with balances.
pub(crate) async fn show<P: Ports>(
    State(doors): State<Doors<P>>,
    Path(user): Path<String>,
) -> Result<Json<Value>, Problem> {
    shown(&doors, &id("/id", &user, UserId::parse)?).await
}

async fn shown<P: Ports>(doors: &Doors<P>, user: &UserId) -> Result<Json<Value>, Problem> {
    let today = doors.ports.clock().business().business_date();
    let wallet = doors.ports.store().user(user, today).await?;
    let wallet = wallet.ok_or_else(|| Problem::not_found("user"))?;
    let totals = wallet.day(today);
    let mut user = json!({
        "id": wallet.user.id.as_str(),
        "created_at": rfc3339(wallet.user.created_at),
        "frozen": wallet.user.frozen,
        "named": wallet.user.name.is_some(),
        "linked": wallet.is_linked(),
        "linked_at": wallet.newest_link().map(|link| rfc3339(link.linked_at)),
        "links": wallet.links.values().map(link::shown).collect::<Vec<_>>(),
        "currency": "CNY",
        "today": {
            "business_date": today.to_string(),
            "payouts": totals.count,
            "amount_fen": totals.amount.0,
        },
    });
    if let Some(user) = user.as_object_mut() {
        user.extend(balances(&wallet, today));
    }
    Ok(Json(user))
}

/// What a user has, in all the ways in which it is counted.
pub(crate) fn balances(wallet: &Wallet, today: BusinessDate) -> Map<String, Value> {
    let purse = wallet.purse(today);
    let spendable = purse.spendable();
    let balances = [
        ("available_micros", wallet.available.0),
        ("held_micros", wallet.held.0),
        ("cooling_micros", purse.cooling.0),
        ("owed_micros", purse.owed.0),
        ("spendable_micros", spendable.0),
        ("withdrawable_fen", spendable.whole_fen().0),
    ];
    let balances = balances.into_iter();
    balances
        .map(|(name, value)| (name.to_owned(), json!(value)))
        .collect()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UserChange {
    frozen: bool,
    reason: Option<String>,
}

/// Freezes or unfreezes a user; with a reason it is on record who did.
pub(crate) async fn change<P: Ports>(
    State(doors): State<Doors<P>>,
    Extension(caller): Extension<Caller>,
    Path(user): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, Problem> {
    let user = id("/id", &user, UserId::parse)?;
    let change: UserChange = request::json(&headers, &request::body(body)?)?;
    let UserChange { frozen, reason } = change;
    let act = reason
        .map(|reason| acts::act(&caller, &reason))
        .transpose()?;
    doors
        .desk
        .submit(Command::SetFrozen {
            user: user.clone(),
            frozen,
            act,
        })
        .await??;
    shown(&doors, &user).await
}

/// Lists a user's entries, newest first.
pub(crate) async fn statement<P: Ports>(
    State(doors): State<Doors<P>>,
    Path(user): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Problem> {
    let user = id("/id", &user, UserId::parse)?;
    let query = Query::parse(query.as_deref(), &["limit", "cursor"])?;
    let limit = query.limit()?;
    let before = query.cursor()?;
    let today = doors.ports.clock().business().business_date();
    let wallet = doors.ports.store().user(&user, today).await?;
    let no = wallet.ok_or_else(|| Problem::not_found("user"))?.user.no;
    let mut lines = doors.ports.store().statement(no, before, limit + 1).await?;
    let has_more = lines.len() > limit as usize;
    lines.truncate(limit as usize);
    let next = lines
        .last()
        .filter(|_| has_more)
        .map(|line| line.seq.to_string());
    let data: Vec<Value> = lines.iter().map(|one| line(one, no)).collect();
    Ok(Json(
        json!({ "data": data, "has_more": has_more, "next_cursor": next }),
    ))
}

/// A line as the user `whose` sees it.
fn line(line: &StatementLine, whose: UserNo) -> Value {
    let entry = &line.entry;
    let side = |account: Account| match account {
        _ if account.user().is_some_and(|owner| owner != whose) => "another_user",
        Account::Available(_) => "available",
        Account::Held(_) => "held",
        Account::Receivable(_) => "receivable",
        Account::Funding(_) => "funding",
        Account::Clearing(_) => "wechat",
        Account::Float(_) => "float",
        Account::TaxWithheld(_) => "tax",
        Account::Fees => "fees",
        Account::Suspense => "suspense",
    };
    json!({
        "seq": line.seq,
        "at": rfc3339(entry.at()),
        "cause": entry.cause().name(),
        "from": side(entry.debit()),
        "to": side(entry.credit()),
        "amount_micros": entry.amount().0,
        "payout": entry.payout().map(|payout| payout.to_string()),
        "kind": line.kind.as_ref().map(|kind| kind.as_str()),
        "source": line.event.as_ref().map(|(source, _)| source.as_str()),
        "event_id": line.event.as_ref().map(|(_, event)| event.as_str()),
        "occurred_at": line.occurred_at.map(rfc3339),
    })
}
