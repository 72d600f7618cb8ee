#![doc = include_str!("../README.md")]

mod admin;
mod auth;
mod bill;
mod books;
mod certs;
mod crypto;
mod faults;
mod journal;
mod kept;
mod notify;
mod oauth;
mod provision;
mod robot;
mod server;
mod settings;
mod transfer;
mod world;

pub use provision::Credentials;
pub use server::Sandbox;
pub use settings::{Booking, Robot, Settings};
