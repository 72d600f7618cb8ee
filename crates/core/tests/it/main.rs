//! The rules of money, as tables and stories that read like bookkeeping.

mod auditing;
mod conserved;
mod control;
mod earning;
mod linking;
mod links;
mod machine;
mod packing;
mod pooling;
mod properties;
mod reconciling;
mod rejections;
mod risk;
mod withdrawing;
mod world;
