//! WeChat's keys, and whether a message is signed with one of them.

use std::collections::BTreeMap;
use std::sync::RwLock;

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lingqian_core::time::Timestamp;
use lingqian_io::Fault;
use lingqian_io::rail::Refusal;

/// A message may be this much older or newer than our clock, in milliseconds.
pub const SKEW_MAX_MS: i64 = 300_000;

/// WeChat's public keys, by the serial number or key id that messages name.
#[derive(Debug, Default)]
pub struct Trust {
    keys: RwLock<BTreeMap<String, Key>>,
}

#[derive(Clone, Debug)]
struct Key {
    spki: Vec<u8>,
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
        let broken =
            || Fault::Broken("the platform certificate is not a certificate in PEM".into());
        let block = pem::parse(text).map_err(|_| broken())?;
        let (_, certificate) =
            x509_parser::parse_x509_certificate(block.contents()).map_err(|_| broken())?;
        let serial = normal(&certificate.raw_serial_as_string().replace(':', ""));
        let key = Key {
            spki: certificate.public_key().raw.to_vec(),
            rank: certificate.validity().not_before.timestamp(),
        };
        self.add(serial.clone(), key);
        Ok(serial)
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
                rank: i64::MAX,
            },
        );
        Ok(())
    }

    fn add(&self, serial: String, key: Key) {
        let mut keys = self
            .keys
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        keys.insert(serial, key);
    }

    /// The key that sealed fields are to use, with its serial or id.
    #[must_use]
    pub fn sealing_key(&self) -> Option<(String, Vec<u8>)> {
        let keys = self
            .keys
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let (serial, key) = keys.iter().max_by_key(|(_, key)| key.rank)?;
        Some((serial.clone(), key.spki.clone()))
    }

    /// Proves that a body came from WeChat, at about this moment of the wire's clock. The
    /// header names must be in lower case.
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
            let found = headers.iter().find(|(key, _)| key == name);
            found
                .map(|(_, value)| value.as_str())
                .ok_or(Refusal::HeaderMissing(name))
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
        let key = {
            let keys = self
                .keys
                .read()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            keys.get(&normal(serial))
                .map(|key| key.spki.clone())
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

/// Serial numbers have forty digits in upper case, leading zeros among them; ids of public keys
/// are left as they are.
fn normal(serial: &str) -> String {
    if serial.starts_with("PUB_KEY_ID_") {
        return serial.to_owned();
    }
    let digits = serial.trim_start_matches('0').to_ascii_uppercase();
    format!("{digits:0>40}")
}
