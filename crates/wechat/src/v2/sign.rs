//! The signature of the old API: over the sorted fields and the merchant's key.

use std::fmt::Write as _;

use aws_lc_rs::hmac;
use md5::{Digest as _, Md5};
use serde::Deserialize;

/// How it is computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// What payments and red packets want; they have no field to say anything else.
    #[default]
    Md5,
    /// For calls that declare `sign_type`.
    HmacSha256,
}

/// What is signed: the fields that are not empty, but for `sign`, by their names' bytes.
#[must_use]
pub fn message(fields: &[(&str, String)], key: &str) -> String {
    let mut sorted: Vec<&(&str, String)> = fields
        .iter()
        .filter(|(name, value)| *name != "sign" && !value.is_empty())
        .collect();
    sorted.sort_by_key(|(name, _)| *name);
    let mut text = String::new();
    for (name, value) in sorted {
        // Writing to a string cannot fail.
        let _ = write!(text, "{name}={value}&");
    }
    text + "key=" + key
}

/// The signature in upper-case hex.
#[must_use]
pub fn signature(method: Method, fields: &[(&str, String)], key: &str) -> String {
    let text = message(fields, key);
    match method {
        Method::Md5 => hex(&Md5::digest(text.as_bytes())),
        Method::HmacSha256 => {
            let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
            hex(hmac::sign(&key, text.as_bytes()).as_ref())
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}
