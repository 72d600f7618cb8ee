//! The sandbox as a client meets it: over HTTP, with a small client of the tests' own.

mod bill;
mod client;
mod identity;
mod journal;
mod merchants;
mod notices;
mod oauth;
mod transfer;
mod wire;
