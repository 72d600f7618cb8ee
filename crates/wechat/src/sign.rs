//! Our signature on a request.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lingqian_core::id::MchId;
use lingqian_io::Signer;
use lingqian_io::keys::KeyFault;

/// What is signed: five lines, each ended, the last one too.
#[must_use]
pub fn message(method: &str, path: &str, timestamp: i64, nonce: &str, body: &[u8]) -> Vec<u8> {
    let mut text = format!("{method}\n{path}\n{timestamp}\n{nonce}\n").into_bytes();
    text.extend_from_slice(body);
    text.push(b'\n');
    text
}

/// A request line and body, as they are sent.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// `GET` or `POST`.
    pub method: &'a str,
    /// Path and query, percent-encoded, exactly as sent.
    pub path: &'a str,
    /// The exact bytes; empty without a body.
    pub body: &'a [u8],
}

/// The value of the `Authorization` header. `timestamp` is in Unix seconds.
///
/// # Errors
/// When the key store failed.
pub async fn authorization<S: Signer>(
    signer: &S,
    mchid: &MchId,
    timestamp: i64,
    nonce: &str,
    request: Request<'_>,
) -> Result<String, KeyFault> {
    let Request { method, path, body } = request;
    let signature = signer
        .sign(&message(method, path, timestamp, nonce, body))
        .await?;
    Ok(format!(
        "WECHATPAY2-SHA256-RSA2048 mchid=\"{mchid}\",nonce_str=\"{nonce}\",timestamp=\"{timestamp}\
         \",serial_no=\"{}\",signature=\"{}\"",
        signer.serial(),
        STANDARD.encode(signature)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_without_a_body_still_has_its_fifth_line() {
        let text = message(
            "GET",
            "/v3/certificates?a=b",
            1_554_208_460,
            "593BEC0C",
            b"",
        );
        assert_eq!(text, b"GET\n/v3/certificates?a=b\n1554208460\n593BEC0C\n\n");
        assert!(message("POST", "/x", 1, "n", b"{}").ends_with(b"\nn\n{}\n"));
    }
}
