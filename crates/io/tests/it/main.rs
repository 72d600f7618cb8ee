//! The twins keep the promises of the ports.

mod twin;
