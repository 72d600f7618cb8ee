#![doc = include_str!("../README.md")]

pub mod alerts;
pub mod columns;
pub mod conformance;
pub mod courier;
pub mod fault;
pub mod files;
pub mod inbox;
pub mod keys;
pub mod links;
pub mod outbox;
pub mod ports;
pub mod rail;
pub mod read_out;
pub mod store;
pub mod text;
pub mod twin;
pub mod world;

pub use alerts::Alerts;
pub use fault::Fault;
pub use inbox::Inbox;
pub use keys::{Sealer, Signer};
pub use lingqian_core::user::Sealed;
pub use links::Links;
pub use outbox::Outbox;
pub use ports::Ports;
pub use rail::{IdentityProvider, Rail};
pub use read_out::ReadOut;
pub use store::{Browse, Store};
pub use world::{Clock, Dice};
