//! Endpoints and their secrets as every door shows them.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lingqian_core::endpoint::{Endpoint, EndpointId, Scheme, Secret};
use lingqian_core::id::PayoutId;
use lingqian_core::time::Timestamp;
use lingqian_engine::notify::SEALED_FOR;
use lingqian_io::keys::KeyFault;
use lingqian_io::outbox::{DeliveryLine, Health};
use lingqian_io::{Clock as _, Dice as _, Ports, Sealer as _};
use serde_json::{Value, json};

use super::rfc3339;

/// How long a new key is, in bytes.
const KEY_BYTES: usize = 32;
/// For so long the earlier secret signs beside the new one when nobody says, in seconds.
pub const OVERLAP_SECONDS: i64 = 86_400;
/// And for so long at most.
pub const OVERLAP_SECONDS_MAX: i64 = 30 * 86_400;
/// So many notices are replayed at a time.
pub const REPLAY_MAX: i64 = 10_000;

/// A name for a new endpoint.
pub fn new_id<P: Ports>(ports: &P) -> EndpointId {
    let ulid = PayoutId::new(ports.clock().wire(), ports.dice().roll()).to_string();
    let id = format!("we_{}", ulid.trim_start_matches("po_"));
    EndpointId::parse(&id).expect("26 letters and digits are an id")
}

/// Makes a secret; the text is for the receiver, shown once and kept nowhere: the secret itself
/// for HMAC, the public key for ed25519.
///
/// # Errors
/// When the key store does not seal it.
pub async fn mint_secret<P: Ports>(
    ports: &P,
    scheme: Scheme,
) -> Result<(Secret, String), KeyFault> {
    let mut key = [0; KEY_BYTES];
    ports.dice().fill(&mut key);
    let text = match scheme {
        Scheme::Hmac => format!("whsec_{}", STANDARD.encode(key)),
        Scheme::Ed25519 => {
            let pair = Ed25519KeyPair::from_seed_unchecked(&key);
            let pair = pair.map_err(|_| KeyFault::Broken("no ed25519 key was made".into()))?;
            format!("whpk_{}", STANDARD.encode(pair.public_key()))
        }
    };
    let secret = Secret {
        scheme,
        sealed: ports.sealer().seal(SEALED_FOR, &key).await?,
        until: None,
    };
    Ok((secret, text))
}

/// The secrets of an endpoint that gets a new one: it, and the one before it for a while.
#[must_use]
pub fn rotated(old: &[Secret], new: Secret, until: Timestamp) -> Vec<Secret> {
    let before = old.first().map(|old| Secret {
        until: Some(old.until.map_or(until, |earlier| earlier.min(until))),
        ..old.clone()
    });
    std::iter::once(new).chain(before).collect()
}

/// An endpoint and how it has been doing.
#[must_use]
pub fn endpoint(endpoint: &Endpoint, health: &Health) -> Value {
    let secrets = endpoint.secrets.iter().map(|secret| {
        json!({ "scheme": secret.scheme.name(), "valid_until": secret.until.map(rfc3339) })
    });
    let off = endpoint.off.as_ref();
    json!({
        "id": endpoint.id.as_str(),
        "url": endpoint.url,
        "events": endpoint.events,
        "note": endpoint.note,
        "created_at": rfc3339(endpoint.created_at),
        "enabled": off.is_none(),
        "off_since": off.map(|(since, _)| rfc3339(*since)),
        "off_why": off.map(|(_, why)| why),
        "secrets": secrets.collect::<Vec<_>>(),
        "health": {
            "planned_to": health.planned_to,
            "pending": health.pending,
            "given_up": health.given_up,
            "failures": health.failures,
            "paused_until": health.paused_until.map(rfc3339),
            "delivered_at": health.delivered_at.map(rfc3339),
            "failed_at": health.failed_at.map(rfc3339),
            "failed_with": health.failed_with,
        },
    })
}

/// A delivery that waits or was given up.
#[must_use]
pub fn delivery(line: &DeliveryLine) -> Value {
    json!({
        "number": line.number,
        "state": if line.due_at.is_some() { "waiting" } else { "given_up" },
        "tries": line.tries,
        "first_at": line.first_at.map(rfc3339),
        "due_at": line.due_at.map(rfc3339),
        "code": line.code,
    })
}
