//! What finance people look at: bills, breaks, the books in a few numbers.

use axum::Json;
use axum::extract::State;
use lingqian_core::ledger::Account;
use lingqian_io::{Browse as _, Ports};
use serde_json::{Value, json};

use crate::wire::rfc3339;
use crate::{Doors, Problem};

/// Reconciled bills, by day.
pub(crate) async fn bills<P: Ports>(State(doors): State<Doors<P>>) -> Result<Json<Value>, Problem> {
    let (bills, _) = doors.ports.store().reconciled().await?;
    let shown = bills.iter().map(|bill| {
        json!({
            "business_date": bill.date.to_string(),
            "lines": bill.lines,
            "out_fen": bill.out.0,
            "in_fen": bill.came_in.0,
            "opening_fen": bill.opening.0,
            "closing_fen": bill.closing.0,
            "sha1": bill.sha1,
            "fetched_at": rfc3339(bill.fetched_at),
        })
    });
    Ok(Json(json!({ "data": shown.collect::<Vec<_>>() })))
}

/// Breaks, by day, open and closed.
pub(crate) async fn breaks<P: Ports>(
    State(doors): State<Doors<P>>,
) -> Result<Json<Value>, Problem> {
    let (_, breaks) = doors.ports.store().reconciled().await?;
    let shown = breaks.iter().map(|found| {
        json!({
            "subject": found.subject,
            "kind": found.kind.code(),
            "business_date": found.date.to_string(),
            "difference_fen": found.difference.0,
            "opened_at": rfc3339(found.opened_at),
            "closed_at": found.closed_at.map(rfc3339),
        })
    });
    Ok(Json(json!({ "data": shown.collect::<Vec<_>>() })))
}

/// The books in a few numbers.
pub(crate) async fn summary<P: Ports>(
    State(doors): State<Doors<P>>,
) -> Result<Json<Value>, Problem> {
    let summary = doors.ports.store().summary().await?;
    let payouts = summary
        .payouts
        .iter()
        .map(|(state, count, fen)| json!({ "state": state, "count": count, "amount_fen": fen }));
    let accounts = summary.accounts.iter().map(
        |(account, balance)| json!({ "account": name(*account), "balance_micros": balance.0 }),
    );
    Ok(Json(json!({
        "users": summary.users.0,
        "linked_users": summary.users.1,
        "earnings": summary.earned.0,
        "earned_micros": summary.earned.1.to_string(),
        "users_available_micros": summary.users_hold.0.to_string(),
        "users_held_micros": summary.users_hold.1.to_string(),
        "users_owe_micros": summary.users_owe.to_string(),
        "payouts": payouts.collect::<Vec<_>>(),
        "accounts": accounts.collect::<Vec<_>>(),
        "open_breaks": summary.open_breaks,
        "dead_letters": summary.dead_letters,
    })))
}

fn name(account: Account) -> String {
    let (class, owner) = account.code();
    let word = match account {
        Account::Available(_) => "available",
        Account::Held(_) => "held",
        Account::Receivable(_) => "receivable",
        Account::Funding(_) => "funding",
        Account::Clearing(_) => "wechat:clearing",
        Account::Float(_) => "wechat:float",
        Account::TaxWithheld(_) => "tax:withheld",
        Account::Fees => "fees",
        Account::Suspense => "suspense",
    };
    if class >= 40 {
        word.to_owned()
    } else {
        format!("{word}:{owner}")
    }
}
