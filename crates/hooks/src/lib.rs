#![doc = include_str!("../README.md")]

mod client;
mod guard;
mod herald;
mod mail;
mod robot;
pub mod sign;
mod text;

pub use client::{HttpCourier, Reach};
pub use herald::{NetHerald, Way};
pub use mail::{Mail, Safety};
