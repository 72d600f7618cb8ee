#![doc = include_str!("../README.md")]

pub mod calls;
pub mod check;
pub mod clients;
pub mod evidence;
pub mod history;
pub mod nemesis;
pub mod plan;
pub mod postgres;
pub mod process;
pub mod proxy;
mod quiet;
pub mod report;
pub mod run;
pub mod settings;
pub mod stage;
pub mod weather;
pub mod web;
