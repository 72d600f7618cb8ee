//! One file per command.

pub(crate) mod acts;
pub(crate) mod alerts;
pub(crate) mod audit;
pub(crate) mod authorizations;
pub(crate) mod cases;
pub(crate) mod copy;
pub(crate) mod explain;
pub(crate) mod export;
pub(crate) mod import;
pub(crate) mod kept;
pub(crate) mod keys;
pub(crate) mod ledger;
pub(crate) mod letters;
pub(crate) mod links;
pub(crate) mod listen;
pub(crate) mod pass;
pub(crate) mod payouts;
pub(crate) mod receipt;
pub(crate) mod reconcile;
pub(crate) mod sandbox;
pub(crate) mod serve;
pub(crate) mod sim;
pub(crate) mod sql;
pub(crate) mod token;
pub(crate) mod webhooks;
pub(crate) mod withdraw;
