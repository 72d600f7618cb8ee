#![doc = include_str!("../README.md")]

mod admin;
mod auth;
mod authorization;
mod batch;
mod bill;
mod books;
mod caller;
mod certs;
mod create;
mod crypto;
mod damage;
mod faults;
mod fields;
mod identity;
mod journal;
mod kept;
mod lag;
mod message;
mod notify;
mod oauth;
mod old;
mod panel;
#[doc(hidden)]
pub mod probe;
mod provision;
mod receipt;
mod robot;
mod said;
mod scenes;
mod server;
mod settings;
mod side;
mod throttle;
mod tls;
mod transfer;
mod world;

pub use provision::Credentials;
pub use server::Sandbox;
pub use settings::{BatchTimes, Booking, Lag, OldLimits, Robot, Settings};
pub use tls::authority;
