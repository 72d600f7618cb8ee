//! A file of a server, poured into one of ours.

use std::fs::File;
use std::future::Future;
use std::io::Write as _;
use std::time::Duration;

use lingqian_io::Fault;
use lingqian_io::files::Taken;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::folder::too_large;
use crate::place::Server;

/// A server that says nothing for so long is away.
pub(crate) const IDLE: Duration = Duration::from_secs(30);
/// A file is picked up within this.
const WHOLE: Duration = Duration::from_secs(900);
/// So much is read at once, in bytes.
const PIECE: usize = 256 * 1024;

/// Reads to the end; tells how much there was.
///
/// # Errors
/// When the server falls silent, or there is more than `most`.
pub(crate) async fn pour(
    server: &Server,
    from: &mut (impl AsyncRead + Unpin),
    into: &mut File,
    (name, most): (&str, u64),
) -> Result<u64, Fault> {
    let (mut piece, mut copied) = (vec![0; PIECE], 0_u64);
    loop {
        let read = tokio::time::timeout(IDLE, from.read(&mut piece)).await;
        let read = read.map_err(|_| server.away(&"it stopped in the middle"))?;
        let read = read.map_err(|error| server.away(&error))?;
        if read == 0 {
            return Ok(copied);
        }
        copied += read as u64;
        if copied > most {
            return Err(too_large(name));
        }
        let bytes = piece.get(..read).unwrap_or_default();
        into.write_all(bytes).map_err(|error| server.away(&error))?;
    }
}

/// All of it, in the time that a file may take.
pub(crate) async fn in_time(
    server: &Server,
    copied: impl Future<Output = Result<Taken, Fault>>,
) -> Result<Taken, Fault> {
    let copied = tokio::time::timeout(WHOLE, copied).await;
    copied.unwrap_or_else(|_| Err(server.away(&"it took too long")))
}
