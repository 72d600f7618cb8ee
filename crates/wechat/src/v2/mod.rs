//! The old API (v2): flat XML, an MD5 signature, and the merchant's certificate in the TLS
//! handshake. Its answers carry no signature: that it is WeChat who answers rests on TLS alone.

pub mod door;
pub mod enterprise;
pub mod fund_flow;
pub mod red_packet;
pub mod sign;
pub mod xml;

pub use door::{Door, Heard};
