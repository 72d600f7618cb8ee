//! A server that takes mail over real sockets, with TLS from the beginning, after STARTTLS, or not
//! at all; and some that misbehave.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufStream};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// How it takes mail, or does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Safety {
    Tls,
    StartTls,
    Clear,
    /// It does not know STARTTLS.
    NoTls,
    /// Says nothing at all.
    Hangs,
    /// Takes no sender.
    Refuses,
    /// A greeting that never ends.
    Floods,
}

/// A server and what it got.
pub(crate) struct Mailbox {
    pub(crate) port: u16,
    pub(crate) authority: String,
    /// Every line.
    pub(crate) got: Arc<Mutex<Vec<String>>>,
    /// Those that came in clear text.
    pub(crate) clear: Arc<Mutex<Vec<String>>>,
}

type Lines = Arc<Mutex<Vec<String>>>;

pub(crate) async fn start(safety: Safety) -> Mailbox {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a key");
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("a certificate");
    let tls = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let mailbox = Mailbox {
        port: listener.local_addr().expect("an address").port(),
        authority: made.cert.pem(),
        got: Arc::default(),
        clear: Arc::default(),
    };
    let (got, clear) = (Arc::clone(&mailbox.got), Arc::clone(&mailbox.clear));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(
                stream,
                safety,
                tls.clone(),
                [got.clone(), clear.clone()],
            ));
        }
    });
    mailbox
}

async fn serve(mut stream: TcpStream, safety: Safety, tls: TlsAcceptor, kept: [Lines; 2]) {
    let [got, clear] = kept;
    match safety {
        Safety::Hangs => tokio::time::sleep(Duration::from_secs(60)).await,
        Safety::Floods => {
            let block = vec![b'x'; 65_536];
            let mut left = 160;
            while left > 0 && stream.write_all(&block).await.is_ok() {
                left -= 1;
            }
        }
        Safety::Tls => {
            if let Ok(stream) = tls.accept(stream).await {
                let _ = talk(BufStream::new(stream), safety, true, &[got]).await;
            }
        }
        _ => {
            let kept = [got.clone(), clear];
            let plain = talk(BufStream::new(stream), safety, true, &kept).await;
            if let Some(stream) = plain
                && let Ok(stream) = tls.accept(stream.into_inner()).await
            {
                let _ = talk(BufStream::new(stream), Safety::Tls, false, &[got]).await;
            }
        }
    }
}

/// Talks until the other side leaves, or wants to go on encrypted.
async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: BufStream<S>,
    safety: Safety,
    greets: bool,
    kept: &[Lines],
) -> Option<BufStream<S>> {
    let mut answer = if greets { "220 hello\r\n" } else { "" };
    let mut data = false;
    loop {
        stream.write_all(answer.as_bytes()).await.ok()?;
        stream.flush().await.ok()?;
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_owned();
        for lines in kept {
            lines.lock().expect("no panic").push(line.clone());
        }
        answer = match line.split(' ').next().unwrap_or_default() {
            _ if data && line != "." => "",
            "." => {
                data = false;
                "250 taken\r\n"
            }
            "EHLO" if safety == Safety::StartTls => "250-me\r\n250 STARTTLS\r\n",
            "EHLO" => "250-me\r\n250 AUTH PLAIN LOGIN\r\n",
            "STARTTLS" => {
                stream.write_all(b"220 go on\r\n").await.ok()?;
                stream.flush().await.ok()?;
                return Some(stream);
            }
            "AUTH" => "235 welcome\r\n",
            "MAIL" if safety == Safety::Refuses => "550 not you\r\n",
            "DATA" => {
                data = true;
                "354 go on\r\n"
            }
            "QUIT" => "221 bye\r\n",
            _ => "250 ok\r\n",
        };
    }
}
