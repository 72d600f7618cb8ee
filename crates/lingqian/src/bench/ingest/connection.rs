//! One connection that is kept: requests out, answers in, and nothing else.

use std::time::Instant;

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::ReadHalf;

use crate::bench::figures::Latencies;
use crate::bench::ingest::body::Parcel;
use crate::bench::ingest::results::{Response, Results};

/// So much is read at a time.
const READ: usize = 256 * 1_024;

/// A connection to the server.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    /// Opens it.
    ///
    /// # Errors
    /// When nobody listens there.
    pub(crate) async fn open(address: &str) -> anyhow::Result<Connection> {
        let stream = TcpStream::connect(address).await;
        let stream = stream.with_context(|| format!("no connection to {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Connection {
            stream,
            buffer: Vec::with_capacity(READ),
        })
    }

    /// Sends every request after the answer to the one before, and compares the answers. A
    /// request is written while its answer is read, so a stream never waits for itself.
    ///
    /// # Errors
    /// When the connection breaks or an answer is not what was expected.
    pub(crate) async fn send(&mut self, parcel: &Parcel) -> anyhow::Result<Latencies> {
        let mut latencies = Latencies::default();
        let (mut from, mut first) = (0, 0);
        let (mut reader, mut writer) = self.stream.split();
        for &(end, last) in &parcel.ends {
            let mut results = Results::expect(&parcel.expected[first..last]);
            let began = Instant::now();
            let request = &parcel.bytes[from..end];
            let write = async { writer.write_all(request).await.context("not sent") };
            let read = answer(&mut reader, &mut self.buffer, &mut results);
            tokio::try_join!(write, read)?;
            latencies.add(began.elapsed());
            (from, first) = (end, last);
        }
        Ok(latencies)
    }
}

async fn answer(
    reader: &mut ReadHalf<'_>,
    buffer: &mut Vec<u8>,
    results: &mut Results<'_>,
) -> anyhow::Result<()> {
    let mut response = Response::new();
    loop {
        let count = reader.read_buf(buffer).await.context("not answered")?;
        anyhow::ensure!(count > 0, "the server closed the connection");
        let (done, over) = response.read(buffer, results)?;
        buffer.drain(..done);
        if over {
            anyhow::ensure!(buffer.is_empty(), "more was answered than was asked");
            return Ok(());
        }
    }
}
