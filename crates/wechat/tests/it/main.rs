//! The client against a WeChat of the tests' own and against the sandbox: what is certain is
//! listed, all else unknown.

mod authorized;
mod bad;
mod batch;
mod bill;
mod calls;
mod certificates;
mod classify;
mod documents;
mod enterprise;
mod manners;
mod merchants;
mod messages;
mod notify;
mod oauth;
mod packed;
mod packets;
mod perception;
mod real;
mod receipts;
mod world;
mod xml;
