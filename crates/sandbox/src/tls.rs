//! TLS in front of the same routes, for what wants the merchant's certificate: an authority and a
//! certificate for this machine, made on first use and kept in `tls.json`.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, ServerConfig, SignatureScheme};
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::provision::private_file;

/// A handshake must be over within this.
const HANDSHAKE_WAIT: Duration = Duration::from_secs(5);
/// Connections that wait to be served at a time.
const WAITING_MAX: usize = 64;

/// This machine, and WeChat's own names, for clients that cannot be told another address and are
/// led here by a hosts file.
const NAMES: [&str; 10] = [
    "localhost",
    "127.0.0.1",
    "api.mch.weixin.qq.com",
    "api2.mch.weixin.qq.com",
    "apihk.mch.weixin.qq.com",
    "api.wechatpay.cn",
    "api2.wechatpay.cn",
    "api.weixin.qq.com",
    "api2.weixin.qq.com",
    "open.weixin.qq.com",
];

/// The certificate in PEM of the authority that the sandbox of a directory rests on with TLS; it is
/// made on first use.
///
/// # Errors
/// When the directory can be neither read nor written.
pub fn authority(dir: &Path) -> anyhow::Result<String> {
    std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    Ok(load_or_make(dir)?.authority_pem)
}

/// What is kept.
#[derive(Deserialize, Serialize)]
struct Kept {
    /// What the certificate is for; files of earlier versions name nothing.
    #[serde(default)]
    names: Vec<String>,
    authority_pem: String,
    cert_pem: String,
    key_pem: String,
}

/// Who is at the other end.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    /// The serial number and the public key of the certificate that was shown.
    pub(crate) certificate: Option<(String, Vec<u8>)>,
}

/// Connections whose handshake is over.
pub(crate) struct TlsListener {
    addr: SocketAddr,
    ready: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
}

/// A listener, and the authority that its certificate rests on.
pub(crate) async fn listen(dir: &Path, at: SocketAddr) -> anyhow::Result<(TlsListener, String)> {
    let kept = load_or_make(dir)?;
    let chain = vec![CertificateDer::from_pem_slice(kept.cert_pem.as_bytes())?];
    let key = PrivateKeyDer::from_pem_slice(kept.key_pem.as_bytes())?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = Arc::new(AnyHolder(Arc::clone(&provider)));
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)?;
    let listener = TcpListener::bind(at)
        .await
        .with_context(|| format!("cannot listen on {at}"))?;
    let addr = listener.local_addr()?;
    let (sender, ready) = mpsc::channel(WAITING_MAX);
    tokio::spawn(shake_hands(
        listener,
        TlsAcceptor::from(Arc::new(config)),
        sender,
    ));
    Ok((TlsListener { addr, ready }, kept.authority_pem))
}

/// One slow client holds nobody else up.
async fn shake_hands(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    sender: mpsc::Sender<(TlsStream<TcpStream>, SocketAddr)>,
) {
    while !sender.is_closed() {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = sender.closed() => return,
        };
        let Ok((stream, from)) = accepted else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let (acceptor, sender) = (acceptor.clone(), sender.clone());
        tokio::spawn(async move {
            let shaken = tokio::time::timeout(HANDSHAKE_WAIT, acceptor.accept(stream)).await;
            if let Ok(Ok(stream)) = shaken {
                let _ = sender.send((stream, from)).await;
            }
        });
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.ready.recv().await {
            Some(ready) => ready,
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        Ok(self.addr)
    }
}

impl Connected<IncomingStream<'_, TlsListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, TlsListener>) -> Peer {
        let shown = stream.io().get_ref().1.peer_certificates();
        let certificate = shown.and_then(|chain| {
            let (_, parsed) = x509_parser::parse_x509_certificate(chain.first()?).ok()?;
            let serial = parsed.raw_serial_as_string().replace(':', "");
            let serial = format!("{:0>40}", serial.to_ascii_uppercase());
            Some((serial, parsed.public_key().raw.to_vec()))
        });
        Peer { certificate }
    }
}

fn load_or_make(dir: &Path) -> anyhow::Result<Kept> {
    let path = dir.join("tls.json");
    if let Ok(text) = std::fs::read(&path) {
        let kept: Kept = serde_json::from_slice(&text).context("tls.json")?;
        if kept.names == NAMES {
            return Ok(kept);
        }
    }
    let authority_key = KeyPair::generate()?;
    let mut authority = CertificateParams::default();
    authority
        .distinguished_name
        .push(DnType::CommonName, "Sandbox Root CA");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_pem = authority.self_signed(&authority_key)?.pem();
    let key = KeyPair::generate()?;
    let names = NAMES.map(str::to_owned).to_vec();
    let params = CertificateParams::new(names.clone())?;
    let signed = params.signed_by(&key, &Issuer::new(authority, authority_key))?;
    let kept = Kept {
        names,
        authority_pem,
        cert_pem: signed.pem(),
        key_pem: key.serialize_pem(),
    };
    private_file(&path, &serde_json::to_vec_pretty(&kept)?)?;
    Ok(kept)
}

/// Lets everybody in who holds the key of the certificate that they show, and who shows none: what
/// each may do is decided by the API, as WeChat's gateway does.
#[derive(Debug)]
struct AnyHolder(Arc<CryptoProvider>);

impl ClientCertVerifier for AnyHolder {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
