//! How a transfer goes on by itself: accepted, its money locked, then its user or the wallet. How
//! long each step takes is set; most take no time, as is seen at WeChat.

use crate::books::{Books, DAY_MS};
use crate::kept::{Id, Outcome, Transfer};

/// Why a transfer will fail whatever its user does, as people and wallets stand now.
pub(crate) fn refusal(books: &Books, transfer: &Transfer) -> Option<&'static str> {
    let person = books.person_of(&transfer.appid, &transfer.openid)?;
    let wrong_name = match (&transfer.user_name, &person.real_name) {
        (Some(given), Some(real)) => given != real,
        _ => false,
    };
    if wrong_name {
        Some("NAME_NOT_CORRECT")
    } else if person.frozen {
        Some("ACCOUNT_FROZEN")
    } else {
        None
    }
}

fn failed(reason: &str) -> Outcome {
    Outcome::Fail {
        reason: reason.to_owned(),
    }
}

/// What comes once the money is there.
fn locked(books: &Books, transfer: &Transfer) -> Outcome {
    match refusal(books, transfer) {
        Some(reason) => failed(reason),
        None if !transfer.direct => Outcome::WaitUserConfirm,
        None if books.lag.transfering_ms == 0 => Outcome::Success,
        None => Outcome::Transfering { fails: None },
    }
}

/// What a transfer does next by itself, and when; nothing where it waits for somebody or has ended.
fn next(books: &Books, transfer: &Transfer) -> Option<(i64, Outcome)> {
    let lag = books.lag;
    let (since, made) = (transfer.updated_at, transfer.created_at);
    let locked_at = made + lag.accepted_ms + lag.processing_ms;
    Some(match &transfer.outcome {
        Outcome::Accepted if lag.processing_ms == 0 => (locked_at, locked(books, transfer)),
        Outcome::Accepted => (made + lag.accepted_ms, Outcome::Processing),
        Outcome::Processing => (locked_at, locked(books, transfer)),
        Outcome::Transfering { fails } => {
            let end = fails.as_deref().map_or(Outcome::Success, failed);
            let from = if transfer.direct { locked_at } else { since };
            (from + lag.transfering_ms, end)
        }
        Outcome::WaitUserConfirm
        | Outcome::Canceling
        | Outcome::Success
        | Outcome::Fail { .. }
        | Outcome::Cancelled => return None,
    })
}

/// Goes on as far as its time has come.
pub(crate) fn go(books: &mut Books, id: &Id) {
    while let Some(outcome) = due(books, id) {
        books.advance(id, outcome);
    }
}

fn due(books: &Books, id: &Id) -> Option<Outcome> {
    let transfer = books.transfers.get(id)?;
    let (at, outcome) = next(books, transfer)?;
    let now = books.now();
    if now < at {
        return None;
    }
    let takes = !matches!(outcome, Outcome::Processing | Outcome::Fail { .. });
    if takes && !transfer.locked && books.free_balance(&id.mchid) < transfer.amount {
        // It waits for money, a day at most.
        let closed = (now - transfer.created_at >= DAY_MS).then(|| failed("OVERDUE_CLOSE"));
        let accepted = transfer.outcome == Outcome::Accepted;
        return closed.or(accepted.then_some(Outcome::Processing));
    }
    Some(outcome)
}

/// Everything that goes on by itself goes on; whether anything did.
pub(crate) fn pass(books: &mut Books) -> bool {
    let moving: Vec<Id> = books.moving.iter().cloned().collect();
    let mut went = false;
    for id in moving {
        went |= due(books, &id).is_some();
        go(books, &id);
    }
    went
}
