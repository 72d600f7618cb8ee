//! What becomes of a batch with time: it is taken on, paid item by item, finished or closed.

use super::{Batch, Item, ItemStatus, Status};
use crate::books::{Books, DAY_MS};
use crate::faults::{Fault, lot};
use crate::journal::Record;
use crate::kept::Id;
use crate::world::World;

/// Smaller items fail.
const AMOUNT_MIN: i64 = 10;

/// Batches move on when their time has come.
pub(crate) fn pass(world: &World, books: &mut Books) {
    let now = books.now();
    loop {
        let first = books.batches_due.first().cloned();
        let Some((_, id)) = first.filter(|(due, _)| *due <= now) else {
            return;
        };
        let Some(batch) = books.batches.get(&id).cloned() else {
            return;
        };
        let moved = moved(world, books, batch);
        books.together(|books| settle(books, moved));
    }
}

/// The next state of a batch.
fn moved(world: &World, books: &Books, mut batch: Batch) -> Batch {
    // Of a clock that jumped, every moment in between counts.
    let now = batch.due_at.unwrap_or_else(|| books.now());
    let close_at = batch.created_at + DAY_MS;
    batch.updated_at = now;
    batch.due_at = None;
    match batch.status {
        Status::Accepted if now >= close_at => {
            batch.status = Status::Closed;
            batch.close_reason = Some("OVERDUE_CLOSE".to_owned());
        }
        Status::Accepted if batch.unfunded || batch.total() > books.free_balance(&batch.mchid) => {
            batch.due_at = Some(close_at.min(now + 60_000));
        }
        Status::Accepted => {
            batch.status = Status::Processing;
            batch.due_at = Some(now + world.settings.batch.finish_ms);
            batch
                .items
                .iter_mut()
                .for_each(|item| item.status = ItemStatus::Processing);
        }
        Status::Processing => {
            batch.status = Status::Finished;
            for item in &mut batch.items {
                let failed = failure(world, books, (&batch.wanted.appid, item));
                item.fail_reason = failed.map(str::to_owned);
                item.status = match item.fail_reason {
                    None => ItemStatus::Success,
                    Some(_) => ItemStatus::Fail,
                };
            }
        }
        Status::Finished | Status::Closed => {}
    }
    batch
}

/// Why an item fails, if it does.
fn failure(world: &World, books: &Books, (appid, item): (&str, &Item)) -> Option<&'static str> {
    let person = books.person_of(appid, &item.openid);
    let robot = world.robot();
    let dice = lot("robot", robot.seed, &item.number);
    let confirm = u64::from(robot.confirm_per_mille);
    let refuses = (confirm..confirm + u64::from(robot.refuse_per_mille)).contains(&dice);
    let strikes = world.faults().strikes(Fault::ItemRisk, &item.number);
    match person {
        None => Some("ACCOUNT_NOT_EXIST"),
        Some(person) if person.frozen => Some("ACCOUNT_FROZEN"),
        Some(person) => {
            let differs = |real: &String| item.name.as_ref().is_some_and(|name| name != real);
            if person.real_name.as_ref().is_some_and(differs) {
                Some("NAME_NOT_CORRECT")
            } else if item.amount < AMOUNT_MIN || item.amount > world.settings.single_max_fen {
                Some("TRANSFER_QUOTA_EXCEED")
            } else if strikes {
                Some("TRANSFER_RISK")
            } else if refuses {
                Some("REAL_NAME_CHECK_FAIL")
            } else {
                None
            }
        }
    }
}

/// Keeps a batch as it stands now, with the lines of what was paid and what is announced.
fn settle(books: &mut Books, batch: Batch) {
    let ended = matches!(batch.status, Status::Finished | Status::Closed);
    if batch.status == Status::Finished {
        for item in &batch.items {
            if item.status == ItemStatus::Success {
                let bill = (item.detail_id.clone(), item.number.clone());
                books.book((&batch.mchid, false), item.amount, "商家转账到零钱", bill);
            }
        }
    }
    let notify = batch.wanted.notify_url.is_some();
    let id = Id::new(&batch.mchid, &format!("batch/{}", batch.number));
    let batch = Box::new(batch);
    books.record(Record::Batch { batch });
    if ended && notify {
        books.announce(&id);
    }
}
