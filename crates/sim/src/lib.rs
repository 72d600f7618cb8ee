#![doc = include_str!("../README.md")]

pub mod action;
pub mod command;
pub mod crash;
pub mod dice;
pub mod fault;
pub mod oracle;
pub mod ports;
pub mod run;
pub mod script;
pub mod shrink;
pub mod store;
pub mod story;
pub mod text;
pub mod wait;
pub mod wechat;
pub mod workload;
pub mod world;

mod faults;
mod hooks;
mod model;
mod outbox;
mod scene;
mod tasks;

/// How many invariants are checked: the oracle's own and those of the store's audit.
#[must_use]
pub fn invariants() -> usize {
    oracle::INVARIANTS.len() + lingqian_core::audit::Invariant::ALL.len()
}
