//! The rules of money as functions of their arguments.
//!
//! Facts in, rules, changes out: [`execute()`] takes the moment, one command and the facts that
//! it asked for, and answers with changes and an outcome, or with a rejection. It is the only
//! place where anything is decided. There is no I/O, no clock, no randomness and no float here,
//! and nothing here knows how facts are stored or how WeChat spells things.
//!
//! Read them in the order in which money moves: `link`, `earning`, `ledger`, `withdrawal`,
//! `risk`, `payout`, `transfer`, `settle`, `reconcile`; then `command`, `facts`, `execute`.

#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::float_arithmetic,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm
)]

pub mod audit;
pub mod changes;
pub mod command;
pub mod earning;
pub mod execute;
pub mod facts;
pub mod id;
pub mod ledger;
pub mod link;
pub mod money;
pub mod payout;
pub mod reconcile;
pub mod risk;
mod settle;
pub mod time;
pub mod transfer;
pub mod user;
pub mod withdrawal;

pub use changes::Changes;
pub use command::{Command, Outcome, Rejection};
pub use execute::{Moment, execute};
pub use facts::{Facts, Keys};
