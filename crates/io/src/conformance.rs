//! The suite that every store must pass.
//!
//! Call [`exercise`] with a way to make an empty store, inside whatever runs futures. It panics
//! with the promise that was broken. [`whole_flow`] takes one store through a life: earn,
//! withdraw, assess, begin, report, reconcile, audit, with no decision of its own.
//!
//! The suite says what is promised to callers ([`crate::store`]) and asks for nothing else: not
//! how a store numbers its facts' basis, nor in which order it lists what has no order. What it
//! cannot show is that an answer survives a crash; each durable store shows that by itself.

mod alerts;
mod auditing;
mod commits;
mod control;
mod events;
mod flow;
mod given;
mod inbox;
mod letters;
mod links;
mod look;
mod outbox;
mod people;
mod reading_out;
mod reconciling;
mod states;
mod withdrawals;
mod work;

use crate::{Alerts, Browse, Store};

pub use flow::whole_flow;
pub use reading_out::{full_books, reading_out};

/// Everything that a store promises. `make` makes a store with empty books, another one each
/// time.
///
/// # Panics
/// When a promise is broken.
pub async fn exercise<S: Store + Browse + Alerts>(make: impl AsyncFn() -> S) {
    commits::exercise(&make).await;
    events::exercise(&make).await;
    withdrawals::exercise(&make).await;
    people::exercise(&make).await;
    links::exercise(&make).await;
    states::exercise(&make).await;
    work::exercise(&make).await;
    control::exercise(&make).await;
    reconciling::exercise(&make).await;
    look::exercise(&make).await;
    auditing::exercise(&make).await;
    outbox::exercise(&make).await;
    inbox::exercise(&make).await;
    letters::exercise(&make).await;
    alerts::exercise(&make).await;
    whole_flow(&make().await).await;
}
