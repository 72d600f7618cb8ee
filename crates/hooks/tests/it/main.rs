//! Messages to receivers of every sort, over real sockets.

mod heralds;
mod mailbox;
mod python;
mod receiver;
mod receivers;
