//! Users who confirm, fail, or never answer.

use std::sync::Arc;
use std::time::Duration;

use crate::faults::{Fault, lot};
use crate::journal::Promise;
use crate::kept::{Id, Outcome};
use crate::world::World;
use crate::{old, transfer};

/// Lets the user of a transfer do what they would, after a while.
pub(crate) fn ask_user(world: &Arc<World>, id: Id) {
    let robot = world.robot();
    let dice = lot("robot", robot.seed, &id.number);
    let confirm = u64::from(robot.confirm_per_mille);
    let refuse = confirm + u64::from(robot.refuse_per_mille);
    if dice >= refuse {
        return;
    }
    let world = Arc::clone(world);
    let reason = why_not(&world, &id, dice < confirm);
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(robot.delay_ms)).await;
        let promise = loop {
            if let Some(promise) = confirmed(&world, &id, reason) {
                break promise;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        if let Some(promise) = promise
            && promise.kept().await.is_ok()
        {
            world.wake_notifier();
        }
    });
}

/// Confirms, where there is still something to confirm; nothing while that is yet to come.
fn confirmed(world: &World, id: &Id, reason: Option<&str>) -> Option<Option<Promise>> {
    let mut books = world.books();
    let state = books.transfers.get(id).map(|transfer| &transfer.outcome);
    if matches!(state, Some(Outcome::Accepted | Outcome::Processing)) {
        return None;
    }
    // Somebody cancelled it, or it expired: there is nothing to confirm any more.
    let _ = transfer::confirm(&mut books, id, reason);
    Some(books.promise())
}

/// Asks everybody whose money waits, or will wait, for them.
pub(crate) fn ask_all(world: &Arc<World>) {
    let ids: Vec<Id> = {
        let books = world.books();
        let waiting = books.waiting.iter().map(|(_, id)| id);
        waiting.chain(&books.moving).cloned().collect()
    };
    ids.into_iter().for_each(|id| ask_user(world, id));
}

/// Why a transfer that is confirmed fails, if it does.
pub(crate) fn why_not(world: &World, id: &Id, receives: bool) -> Option<&'static str> {
    if world.faults().strikes(Fault::UnknownReason, &id.number) {
        Some("REASON_OF_TOMORROW")
    } else {
        (!receives).then_some("REAL_NAME_CHECK_FAIL")
    }
}

/// Lets the user of a packet open it, after a while, or leave it.
pub(crate) fn open_packet(world: &Arc<World>, id: Id) {
    let robot = world.robot();
    if lot("robot", robot.seed, &id.number) >= u64::from(robot.confirm_per_mille) {
        return;
    }
    let world = Arc::clone(world);
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(robot.delay_ms)).await;
        // It went back meanwhile: there is nothing to open any more.
        let _ = old::open(&mut world.books(), &id);
    });
}

/// Cancels take effect a moment after they were accepted.
pub(crate) fn finish_cancel(world: &Arc<World>, id: Id) {
    let world = Arc::clone(world);
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(50)).await;
        {
            let mut books = world.books();
            let cancelling = books
                .transfers
                .get(&id)
                .is_some_and(|transfer| transfer.outcome == Outcome::Canceling);
            if cancelling {
                books.advance(&id, Outcome::Cancelled);
            }
        }
        world.wake_notifier();
    });
}
