//! The sandbox as a client meets it: over HTTP, with a small client of the tests' own.

mod bad;
mod bill;
mod browser;
mod clicks;
mod client;
mod identity;
mod journal;
mod lag;
mod merchants;
mod notices;
mod oauth;
mod others;
mod panel;
mod script;
mod side;
mod transfer;
mod wire;
