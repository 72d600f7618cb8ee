#![doc = include_str!("../README.md")]
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::float_arithmetic,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm
)]

pub mod audit;
pub mod batch;
pub mod changes;
pub mod command;
pub mod control;
pub mod earning;
pub mod endpoint;
pub mod execute;
pub mod facts;
pub mod id;
pub mod ledger;
pub mod letter;
pub mod link;
mod manual;
pub mod money;
pub mod notice;
mod order;
mod pack;
pub mod payout;
pub mod reconcile;
pub mod rejection;
pub mod risk;
mod route;
pub mod seat;
mod settle;
pub mod time;
pub mod transfer;
pub mod user;
pub mod withdrawal;

pub use batch::{EventBatch, EventView};
pub use changes::{Changes, Notes};
pub use command::{Command, Outcome};
pub use execute::{Moment, execute};
pub use facts::{Facts, Keys};
pub use rejection::Rejection;
