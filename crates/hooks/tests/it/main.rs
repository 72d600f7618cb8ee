//! Messages to receivers of every sort, over real sockets.

mod python;
mod receiver;
mod receivers;
