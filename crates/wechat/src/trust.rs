//! WeChat's keys, and whether a message is signed with one of them.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lingqian_core::time::Timestamp;
use lingqian_io::Fault;
use lingqian_io::rail::Refusal;

/// A message may be this much older or newer than our clock, in milliseconds.
pub const SKEW_MAX_MS: i64 = 300_000;

/// What the ids of public keys begin with; they are on no list.
pub const PUBLIC_KEY: &str = "PUB_KEY_ID_";

/// What stands in the subject of every platform certificate.
const SUBJECT: &str = "Tenpay.com sign";

/// WeChat's public keys, by the serial number or key id that messages name.
#[derive(Debug, Default)]
pub struct Trust {
    keys: RwLock<BTreeMap<String, Key>>,
}

#[derive(Clone, Debug)]
struct Key {
    spki: Vec<u8>,
    /// From when and until when it signs, in Unix seconds; a public key does for ever.
    valid: (i64, i64),
    /// For choosing the key that our own sealed fields use: the newest certificate, or a
    /// public key, which comes before all certificates.
    rank: i64,
}

impl Trust {
    /// Trusts the key of a platform certificate; answers its serial number.
    ///
    /// # Errors
    /// [`Fault::Broken`] when it is not a certificate in PEM.
    pub fn add_certificate(&self, text: &str) -> Result<String, Fault> {
        let (serial, _, key) = certificate(text)?;
        self.add(serial.clone(), key);
        Ok(serial)
    }

    /// Trusts a certificate of the list, which names its serial number beside it.
    ///
    /// # Errors
    /// [`Fault::Broken`] when it is none, has another number, or is not for signing as WeChat.
    pub fn add_platform_certificate(&self, text: &str, named: &str) -> Result<(), Fault> {
        let (serial, subject, key) = certificate(text)?;
        if serial != normal(named) {
            return Err(Fault::Broken(
                "a platform certificate has another serial number than was said".into(),
            ));
        }
        if !subject.contains(SUBJECT) {
            return Err(Fault::Broken(
                "a certificate is another platform's: it is not for signing as WeChat".into(),
            ));
        }
        self.add(serial, key);
        Ok(())
    }

    /// Takes the keys of another; answers how many are new.
    pub fn take_over(&self, other: &Trust) -> usize {
        let theirs = other.read().clone();
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        let before = keys.len();
        for (serial, key) in theirs {
            keys.entry(serial).or_insert(key);
        }
        keys.len() - before
    }

    /// The serial numbers and ids that are held, with the moments at which they end.
    #[must_use]
    pub fn held(&self) -> Vec<(String, Option<Timestamp>)> {
        let keys = self.read();
        let end = |key: &Key| (key.valid.1 != i64::MAX).then(|| at(key.valid.1));
        keys.iter()
            .map(|(serial, key)| (serial.clone(), end(key)))
            .collect()
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<String, Key>> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Trusts a public key under its id, `PUB_KEY_ID_…`.
    ///
    /// # Errors
    /// [`Fault::Broken`] when it is not a public key in PEM.
    pub fn add_public_key(&self, id: &str, text: &str) -> Result<(), Fault> {
        let block = pem::parse(text)
            .ok()
            .filter(|block| block.tag() == "PUBLIC KEY");
        let block =
            block.ok_or_else(|| Fault::Broken("the public key of WeChat is not in PEM".into()))?;
        self.add(
            id.to_owned(),
            Key {
                spki: block.into_contents(),
                valid: (i64::MIN, i64::MAX),
                rank: i64::MAX,
            },
        );
        Ok(())
    }

    fn add(&self, serial: String, key: Key) {
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        keys.insert(serial, key);
    }

    /// The key that sealed fields are to use at a moment, with its serial or id.
    #[must_use]
    pub fn sealing_key(&self, now: Timestamp) -> Option<(String, Vec<u8>)> {
        let keys = self.read();
        let valid = keys.iter().filter(|(_, key)| key.signs_at(now));
        let (serial, key) = valid.max_by_key(|(_, key)| key.rank)?;
        Some((serial.clone(), key.spki.clone()))
    }

    /// Whether a key of this serial number or id is held, valid or not.
    #[must_use]
    pub fn holds(&self, serial: &str) -> bool {
        self.read().contains_key(&normal(serial))
    }

    /// Whether nothing is held at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.read().is_empty()
    }

    /// Proves that a body came from WeChat, at about this moment of the wire's clock. The
    /// header names must be in lower case. A header that is there twice is as none: nobody knows
    /// which of the two somebody else would look at.
    ///
    /// # Errors
    /// The first proof that fails.
    pub fn verify(
        &self,
        headers: &[(String, String)],
        body: &[u8],
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let header = |name: &'static str| {
            let mut found = headers.iter().filter(|(key, _)| key == name);
            match (found.next(), found.next()) {
                (Some((_, value)), None) => Ok(value.as_str()),
                _ => Err(Refusal::HeaderMissing(name)),
            }
        };
        let serial = header("wechatpay-serial")?;
        let timestamp = header("wechatpay-timestamp")?;
        let nonce = header("wechatpay-nonce")?;
        let signature = header("wechatpay-signature")?;
        let seconds: i64 = timestamp
            .parse()
            .map_err(|_| Refusal::HeaderMissing("wechatpay-timestamp"))?;
        let age = now.0.saturating_sub(seconds.saturating_mul(1_000));
        if age.saturating_abs() > SKEW_MAX_MS {
            return Err(Refusal::Stale);
        }
        // A certificate that has expired signs no more; it is as if it were not held.
        let key = {
            let keys = self.read();
            let held = keys.get(&normal(serial)).filter(|key| key.signs_at(now));
            held.map(|key| key.spki.clone())
                .ok_or(Refusal::SerialUnknown)?
        };
        let signature = STANDARD
            .decode(signature)
            .map_err(|_| Refusal::SignatureWrong)?;
        let mut message = format!("{timestamp}\n{nonce}\n").into_bytes();
        message.extend_from_slice(body);
        message.push(b'\n');
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key)
            .verify(&message, &signature)
            .map_err(|_| Refusal::SignatureWrong)
    }
}

impl Key {
    fn signs_at(&self, now: Timestamp) -> bool {
        let seconds = now.0.div_euclid(1_000);
        (self.valid.0..=self.valid.1).contains(&seconds)
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp(seconds.saturating_mul(1_000))
}

/// Serial number, subject and key of a certificate.
fn certificate(text: &str) -> Result<(String, String, Key), Fault> {
    let broken = || Fault::Broken("the platform certificate is not a certificate in PEM".into());
    let block = pem::parse(text).map_err(|_| broken())?;
    let (_, certificate) =
        x509_parser::parse_x509_certificate(block.contents()).map_err(|_| broken())?;
    let serial = normal(&certificate.raw_serial_as_string().replace(':', ""));
    let validity = certificate.validity();
    let key = Key {
        spki: certificate.public_key().raw.to_vec(),
        valid: (
            validity.not_before.timestamp(),
            validity.not_after.timestamp(),
        ),
        rank: validity.not_before.timestamp(),
    };
    Ok((serial, certificate.subject().to_string(), key))
}

/// Serial numbers have forty digits in upper case, leading zeros among them; ids of public keys
/// are left as they are.
fn normal(serial: &str) -> String {
    if serial.starts_with(PUBLIC_KEY) {
        return serial.to_owned();
    }
    let digits = serial.trim_start_matches('0').to_ascii_uppercase();
    format!("{digits:0>40}")
}
