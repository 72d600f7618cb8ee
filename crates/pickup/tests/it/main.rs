//! Files picked up from real servers: OpenSSH's and Pure-FTPd, started by the tests.

mod folder;
mod ftp;
mod servers;
mod sftp;
