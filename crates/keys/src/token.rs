//! A PKCS#11 token: keys that are made in it and never leave it.
//!
//! Some threads have one session each; whoever wants a signature puts work on their queue. The
//! library is blocking and slow, so it is never called on a thread that others wait for.

mod fault;
mod module;
mod office;
mod pin;
mod seat;

use std::fmt;
use std::path::PathBuf;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use cryptoki::mechanism::aead::GcmParams;
use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsOaepParams, PkcsOaepSource};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, AttributeType, ObjectClass};
use lingqian_io::keys::KeyFault;
use tokio::sync::oneshot;

pub use office::{TokenStatus, init};
pub use pin::PinSource;

use seat::{Gate, Job, Seat, Trouble, Work};

/// Whoever waits longer for a token takes it as away.
const ANSWER_WAIT: Duration = Duration::from_secs(10);

/// How long threads are waited for that nobody can ask any more.
const END_WAIT: Duration = Duration::from_secs(1);

/// Bits of the tag of AES-GCM.
const TAG_BITS: u64 = 128;

/// Which token, and how to get in.
#[derive(Clone, Debug)]
pub struct TokenSettings {
    /// The vendor's library.
    pub module: PathBuf,
    /// The token's label.
    pub label: String,
    /// Where its PIN is.
    pub pin: PinSource,
    /// Threads with a session each.
    pub sessions: usize,
}

/// The way to a token. Clones share its threads, which end with the last one.
#[derive(Clone)]
pub struct Token {
    settings: Arc<TokenSettings>,
    jobs: Arc<Mutex<Sender<Job>>>,
    /// Dropped after the jobs, without which the threads end.
    _threads: Arc<Threads>,
}

/// Threads that are waited for when nobody can ask any more: a library that tidies up at the end of
/// the process must not meet one that closes its session.
struct Threads(Vec<JoinHandle<()>>);

impl Drop for Threads {
    fn drop(&mut self) {
        let begun = Instant::now();
        // One that waits for a token that does not answer is left to itself.
        while self.0.iter().any(|thread| !thread.is_finished()) && begun.elapsed() < END_WAIT {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.settings.fmt(f)
    }
}

impl Token {
    /// Starts the threads. They log in when the first work comes, and again whenever the token was
    /// away, so that a platform starts without its token and waits for it.
    ///
    /// # Errors
    /// [`KeyFault::Broken`] when there are no threads to be had.
    pub fn open(settings: TokenSettings) -> Result<Token, KeyFault> {
        let (jobs, queue) = channel();
        let queue = Arc::new(Mutex::new(queue));
        let settings = Arc::new(settings);
        let gate = Arc::new(Mutex::new(Gate::default()));
        let mut threads = Vec::new();
        for number in 0..settings.sessions.clamp(1, 64) {
            let seat = Seat::new(Arc::clone(&settings), Arc::clone(&gate));
            let queue = Arc::clone(&queue);
            let thread = std::thread::Builder::new()
                .name(format!("token-{number}"))
                .spawn(move || seat.serve(&queue))
                .map_err(|_| KeyFault::Broken("no thread for the token".into()))?;
            threads.push(thread);
        }
        Ok(Token {
            settings,
            jobs: Arc::new(Mutex::new(jobs)),
            _threads: Arc::new(Threads(threads)),
        })
    }

    /// Which token it is.
    #[must_use]
    pub fn settings(&self) -> &TokenSettings {
        &self.settings
    }

    async fn ask(&self, work: Work) -> Result<Vec<u8>, KeyFault> {
        let (reply, answer) = oneshot::channel();
        let away = |words: &str| KeyFault::Away(words.into());
        self.jobs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .send(Job { work, reply })
            .map_err(|_| away("the token's threads have ended"))?;
        tokio::time::timeout(ANSWER_WAIT, answer)
            .await
            .map_err(|_| away("no answer within ten seconds"))?
            .map_err(|_| away("the token's thread ended"))?
    }

    /// The RSA PKCS#1 v1.5 signature with SHA-256 by the private key of a label.
    ///
    /// # Errors
    /// [`KeyFault::Away`] when the token is; otherwise what a person must cure.
    pub async fn sign(&self, label: &str, message: &[u8]) -> Result<Vec<u8>, KeyFault> {
        let (label, message) = (label.to_owned(), message.to_vec());
        self.ask(Box::new(move |seat| {
            let key = seat.object(ObjectClass::PRIVATE_KEY, &label)?;
            Ok(seat
                .session()?
                .sign(&Mechanism::Sha256RsaPkcs, key, &message)?)
        }))
        .await
    }

    /// Opens what was encrypted to the key of a label with RSA-OAEP (SHA-1).
    ///
    /// # Errors
    /// As for [`Token::sign`]; [`KeyFault::Tampered`] when it does not open.
    pub async fn decrypt(&self, label: &str, sealed: &[u8]) -> Result<Vec<u8>, KeyFault> {
        let (label, sealed) = (label.to_owned(), sealed.to_vec());
        self.ask(Box::new(move |seat| {
            let key = seat.object(ObjectClass::PRIVATE_KEY, &label)?;
            let oaep = PkcsOaepParams::new(
                MechanismType::SHA1,
                PkcsMgfType::MGF1_SHA1,
                PkcsOaepSource::empty(),
            );
            let opened = seat
                .session()?
                .decrypt(&Mechanism::RsaPkcsOaep(oaep), key, &sealed);
            opened.map_err(does_not_open)
        }))
        .await
    }

    /// Encrypts with the AES key of a label by GCM; the answer ends with the tag.
    ///
    /// # Errors
    /// As for [`Token::sign`].
    pub async fn lock(
        &self,
        label: &str,
        (nonce, purpose): ([u8; 12], &str),
        plain: &[u8],
    ) -> Result<Vec<u8>, KeyFault> {
        let (label, purpose) = (label.to_owned(), purpose.to_owned());
        let plain = zeroize::Zeroizing::new(plain.to_vec());
        self.ask(Box::new(move |seat| {
            let key = seat.object(ObjectClass::SECRET_KEY, &label)?;
            let mut nonce = nonce;
            let gcm = GcmParams::new(&mut nonce, purpose.as_bytes(), TAG_BITS.into())?;
            Ok(seat
                .session()?
                .encrypt(&Mechanism::AesGcm(gcm), key, &plain)?)
        }))
        .await
    }

    /// Opens what [`Token::lock`] made.
    ///
    /// # Errors
    /// As for [`Token::sign`]; [`KeyFault::Tampered`] when it does not open.
    pub async fn unlock(
        &self,
        label: &str,
        (nonce, purpose): ([u8; 12], &str),
        locked: &[u8],
    ) -> Result<Vec<u8>, KeyFault> {
        let (label, purpose) = (label.to_owned(), purpose.to_owned());
        let locked = locked.to_vec();
        self.ask(Box::new(move |seat| {
            let key = seat.object(ObjectClass::SECRET_KEY, &label)?;
            let mut nonce = nonce;
            let gcm = GcmParams::new(&mut nonce, purpose.as_bytes(), TAG_BITS.into())?;
            let opened = seat
                .session()?
                .decrypt(&Mechanism::AesGcm(gcm), key, &locked);
            opened.map_err(does_not_open)
        }))
        .await
    }

    /// The public half of the key of a label, as an RSA public key in DER.
    ///
    /// # Errors
    /// As for [`Token::sign`].
    pub async fn public_key(&self, label: &str) -> Result<Vec<u8>, KeyFault> {
        let label = label.to_owned();
        self.ask(Box::new(move |seat| {
            let key = seat.object(ObjectClass::PUBLIC_KEY, &label)?;
            let wanted = [AttributeType::Modulus, AttributeType::PublicExponent];
            let (mut modulus, mut exponent) = (Vec::new(), Vec::new());
            for attribute in seat.session()?.get_attributes(key, &wanted)? {
                match attribute {
                    Attribute::Modulus(bytes) => modulus = bytes,
                    Attribute::PublicExponent(bytes) => exponent = bytes,
                    _ => {}
                }
            }
            Ok(crate::der::rsa_public_key(&modulus, &exponent))
        }))
        .await
    }
}

/// A decryption fails for what it was given, unless the token itself was lost.
fn does_not_open(error: cryptoki::error::Error) -> Trouble {
    use cryptoki::error::{Error, RvError};
    match error {
        // SoftHSM says so of a wrong tag or padding.
        Error::Pkcs11(RvError::GeneralError | RvError::FunctionFailed, _) => {
            Trouble::Ours(KeyFault::Tampered)
        }
        error => Trouble::Token(error),
    }
}
