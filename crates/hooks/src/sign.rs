//! Signatures after Standard Webhooks 1.0: over the name, the time and the body, one for each key.

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lingqian_core::endpoint::Scheme;
use lingqian_io::courier::{Parcel, SigningKey};

/// How long a new key is, in bytes.
pub const KEY_BYTES: usize = 32;

/// A key as the receiver is given it: `whsec_` and the secret for HMAC, `whpk_` and the public
/// key for ed25519. Nothing when the key is not one of its scheme.
#[must_use]
pub fn shown(key: &SigningKey) -> Option<String> {
    match key.scheme {
        Scheme::Hmac => Some(format!("whsec_{}", STANDARD.encode(&key.bytes))),
        Scheme::Ed25519 => {
            let pair = Ed25519KeyPair::from_seed_unchecked(&key.bytes).ok()?;
            Some(format!("whpk_{}", STANDARD.encode(pair.public_key())))
        }
    }
}

/// The key of a text that begins with `whsec_`.
#[must_use]
pub fn read(text: &str) -> Option<SigningKey> {
    let bytes = STANDARD.decode(text.strip_prefix("whsec_")?).ok()?;
    (24..=64).contains(&bytes.len()).then_some(SigningKey {
        scheme: Scheme::Hmac,
        bytes,
    })
}

/// The three headers, or nothing when a key is not one of its scheme.
#[must_use]
pub fn headers(parcel: &Parcel) -> Option<[(&'static str, String); 3]> {
    let seconds = parcel.at.0.div_euclid(1_000);
    let signed = format!("{}.{seconds}.{}", parcel.id, parcel.body);
    let signatures: Option<Vec<String>> = parcel
        .keys
        .iter()
        .map(|key| signature(key, signed.as_bytes()))
        .collect();
    Some([
        ("webhook-id", parcel.id.clone()),
        ("webhook-timestamp", seconds.to_string()),
        ("webhook-signature", signatures?.join(" ")),
    ])
}

fn signature(key: &SigningKey, signed: &[u8]) -> Option<String> {
    let text = match key.scheme {
        Scheme::Hmac => {
            let key = hmac::Key::new(hmac::HMAC_SHA256, &key.bytes);
            STANDARD.encode(hmac::sign(&key, signed))
        }
        Scheme::Ed25519 => {
            let pair = Ed25519KeyPair::from_seed_unchecked(&key.bytes).ok()?;
            STANDARD.encode(pair.sign(signed))
        }
    };
    Some(format!("{},{text}", key.scheme.name()))
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
    use lingqian_core::time::Timestamp;

    use super::*;

    fn parcel(keys: Vec<SigningKey>) -> Parcel {
        Parcel {
            url: "https://example.com/".into(),
            id: "msg_p5jXN8AQM9LWM0D4loKWxJek".into(),
            at: Timestamp(1_614_265_330_999),
            body: r#"{"test": 2432232314}"#.into(),
            keys,
        }
    }

    /// The example of the specification.
    #[test]
    fn the_known_example_comes_out() {
        let key = read("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a secret");
        let [id, at, signature] = headers(&parcel(vec![key.clone()])).expect("headers");
        assert_eq!(id.1, "msg_p5jXN8AQM9LWM0D4loKWxJek");
        assert_eq!(at.1, "1614265330");
        assert_eq!(
            signature.1,
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
        assert_eq!(
            shown(&key).as_deref(),
            Some("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
        );
    }

    #[test]
    fn two_keys_sign_and_the_public_key_proves_its_part() {
        let ed = SigningKey {
            scheme: Scheme::Ed25519,
            bytes: vec![7; KEY_BYTES],
        };
        let hmac = read("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a secret");
        let parcel = parcel(vec![ed.clone(), hmac]);
        let [_, _, (_, both)] = headers(&parcel).expect("headers");
        let (first, second) = both.split_once(' ').expect("two");
        assert!(second.starts_with("v1,"), "{second}");
        let public = shown(&ed).expect("a key");
        let public = STANDARD.decode(public.strip_prefix("whpk_").expect("its name"));
        let proof = STANDARD
            .decode(first.strip_prefix("v1a,").expect("its name"))
            .expect("text");
        let signed = format!("{}.1614265330.{}", parcel.id, parcel.body);
        UnparsedPublicKey::new(&ED25519, public.expect("text"))
            .verify(signed.as_bytes(), &proof)
            .expect("it is signed");
    }

    #[test]
    fn what_is_no_key_signs_nothing() {
        for text in [
            "",
            "whsec_",
            "whsec_!!",
            "whsec_AAAA",
            "whpk_MfKQ9r8GKYqrTwjUPD8ILPZI",
        ] {
            assert!(read(text).is_none(), "{text}");
        }
        let short = SigningKey {
            scheme: Scheme::Ed25519,
            bytes: vec![1],
        };
        assert!(headers(&parcel(vec![short])).is_none());
    }
}
