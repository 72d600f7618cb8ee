//! The client against a WeChat of the tests' own and against the sandbox: what is certain is
//! listed, all else unknown.

mod batch;
mod bill;
mod calls;
mod certificates;
mod classify;
mod enterprise;
mod notify;
mod oauth;
mod real;
mod world;
mod xml;
