#![doc = include_str!("../README.md")]

mod admin;
mod auth;
mod authorization;
mod batch;
mod bill;
mod books;
mod certs;
mod crypto;
mod faults;
mod fields;
mod journal;
mod kept;
mod notify;
mod oauth;
mod old;
mod provision;
mod receipt;
mod robot;
mod server;
mod settings;
mod tls;
mod transfer;
mod world;

pub use provision::Credentials;
pub use server::Sandbox;
pub use settings::{BatchTimes, Booking, OldLimits, Robot, Settings};
