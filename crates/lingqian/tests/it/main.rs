//! The executable as its user has it: real processes, a real file, a sandbox over HTTP, and
//! `kill -9` at any moment.

mod acts;
mod alerts;
mod apps;
mod bench;
mod bills;
mod books;
#[path = "../../../sandbox/tests/it/browser.rs"]
mod browser;
mod commands;
mod confirming;
mod copied;
mod delivered;
mod killed;
mod linking;
mod looked_at;
mod mails;
mod merchants;
mod messages;
mod process;
mod quickstart;
mod server;
mod shared;
#[cfg(feature = "rabbitmq")]
mod sinks;
mod stories;
mod system;
mod tokens;
mod webhooks;
