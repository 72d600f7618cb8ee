//! The client against a WeChat of the tests' own: what is certain is listed, all else unknown.

mod bill;
mod calls;
mod certificates;
mod classify;
mod merchants;
mod notify;
mod oauth;
mod world;
