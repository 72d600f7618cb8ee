#![doc = include_str!("../README.md")]

pub mod backoff;
pub mod figures;
pub mod intake;
#[cfg(feature = "kafka")]
pub mod kafka;
#[cfg(any(feature = "rabbitmq", feature = "kafka"))]
pub mod load;
pub mod mapping;
#[cfg(feature = "rabbitmq")]
pub mod rabbitmq;
pub mod sink;

/// The header in which a message says the version of its schema.
pub const VERSION_HEADER: &str = "lingqian-schema";
/// The header in which a message at the exchange for dead letters bears its code.
pub const CODE_HEADER: &str = "lingqian-code";
/// The header in which it bears the queue that it came from.
pub const QUEUE_HEADER: &str = "lingqian-queue";
/// The header in which a notice bears its number.
pub const NUMBER_HEADER: &str = "lingqian-number";
