//! A receiver on a socket of its own: it keeps what came and answers what it is told to.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lingqian_core::time::Timestamp;
use lingqian_hooks::sign;
use lingqian_io::courier::Parcel;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// How a receiver behaves.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Manner {
    /// Answers this at once.
    Says(&'static str),
    /// Reads and says nothing.
    Hangs,
    /// Closes the connection without a word.
    Closes,
    /// A status, and then a body that never ends, a byte at a time.
    Drips,
    /// A status and so many bytes of body.
    Floods(usize),
}

/// What came, whole.
pub(crate) type Seen = Arc<Mutex<Vec<String>>>;

/// Starts a receiver; tells its address and what it saw.
pub(crate) async fn start(manner: Manner) -> (SocketAddr, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let address = listener.local_addr().expect("an address");
    let seen = Seen::default();
    let kept = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, manner, Arc::clone(&kept)));
        }
    });
    (address, seen)
}

async fn serve(mut stream: TcpStream, manner: Manner, seen: Seen) {
    let Some(request) = read(&mut stream).await else {
        return;
    };
    seen.lock().expect("no panic").push(request);
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n";
    match manner {
        Manner::Says(answer) => {
            let _ = stream.write_all(answer.as_bytes()).await;
        }
        Manner::Hangs => tokio::time::sleep(Duration::from_secs(60)).await,
        Manner::Closes => {}
        Manner::Drips => {
            let _ = stream.write_all(format!("{head}\r\n").as_bytes()).await;
            while stream.write_all(b".").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        Manner::Floods(bytes) => {
            let head = format!("{head}Content-Length: {bytes}\r\n\r\n");
            let _ = stream.write_all(head.as_bytes()).await;
            let block = vec![b'x'; 65_536];
            let mut left = bytes;
            while left > 0 && stream.write_all(&block[..left.min(65_536)]).await.is_ok() {
                left -= left.min(65_536);
            }
        }
    }
}

/// One request with its body.
async fn read(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = header(head, "content-length")?.parse::<usize>().ok()?;
            if body.len() >= length {
                return Some(text);
            }
        }
        let mut block = [0; 4_096];
        match stream.read(&mut block).await {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend_from_slice(&block[..count]),
        }
    }
}

/// A header of a request.
pub(crate) fn header(request: &str, name: &str) -> Option<String> {
    let mut lines = request.lines();
    lines.find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name)
            .then(|| value.trim().to_owned())
    })
}

/// A message to an address.
pub(crate) fn parcel(url: &str) -> Parcel {
    let key = sign::read("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    Parcel {
        url: url.to_owned(),
        id: "we_1.7".into(),
        at: Timestamp(1_772_424_000_123),
        body: r#"{"type":"payout.paid","data":{"words":"零钱"}}"#.into(),
        keys: key.into_iter().collect(),
    }
}
