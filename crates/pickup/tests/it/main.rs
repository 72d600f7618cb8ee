//! Files picked up from real servers that the tests start: OpenSSH's, asyncssh and pyftpdlib.

mod folder;
mod ftp;
mod servers;
#[cfg(feature = "sftp")]
mod sftp;
