//! The books as relations, for people who ask in SQL and for exports.

pub(crate) mod balances;
pub(crate) mod entries;
pub(crate) mod entry;
pub(crate) mod export;
pub(crate) mod lexicon;
pub(crate) mod shared;
pub(crate) mod shell;
pub(crate) mod tail;
pub(crate) mod views;
