#![doc = include_str!("../README.md")]

mod client;
mod guard;
pub mod sign;

pub use client::{HttpCourier, Reach};
