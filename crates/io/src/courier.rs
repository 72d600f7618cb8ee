//! How a message reaches an endpoint: one signed request, and what was answered.

use std::future::Future;

use lingqian_core::endpoint::Scheme;
use lingqian_core::time::Timestamp;

/// What signs a message. It never prints itself.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey {
    /// How.
    pub scheme: Scheme,
    /// The secret of HMAC, or the seed of an ed25519 key.
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({}, …)", self.scheme.name())
    }
}

/// A message on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parcel {
    /// Where to.
    pub url: String,
    /// Its name, the same for every try.
    pub id: String,
    /// When it is sent, by the time of the wire.
    pub at: Timestamp,
    /// The body, the same for every try.
    pub body: String,
    /// Everything that signs it.
    pub keys: Vec<SigningKey>,
}

/// What came of a try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Receipt {
    /// It was answered with 2xx.
    Taken,
    /// It was not; whether the other side acted on it is not known.
    NotTaken {
        /// `http_` and the status, or a word such as `timeout`.
        code: String,
        /// The other side asks for so many milliseconds of peace.
        retry_after_ms: Option<i64>,
        /// The other side wants nothing any more.
        gone: bool,
    },
}

impl Receipt {
    /// No answer came, for the reason.
    #[must_use]
    pub fn unanswered(code: &str) -> Receipt {
        Receipt::NotTaken {
            code: code.to_owned(),
            retry_after_ms: None,
            gone: false,
        }
    }
}

/// Whoever carries messages.
pub trait Courier: Send + Sync + 'static {
    /// Sends a message once, and waits for its answer within a time. The machine is looked at
    /// before anything is sent: one that is not of the public network is refused unless the
    /// configuration allows it.
    fn deliver(&self, parcel: Parcel) -> impl Future<Output = Receipt> + Send;
}
