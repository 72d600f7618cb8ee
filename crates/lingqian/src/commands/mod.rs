//! One file per command.

pub(crate) mod audit;
pub(crate) mod explain;
pub(crate) mod import;
pub(crate) mod keys;
pub(crate) mod payouts;
pub(crate) mod reconcile;
pub(crate) mod sandbox;
pub(crate) mod serve;
pub(crate) mod withdraw;
