//! Stops and deeds as every door shows them.

use lingqian_core::control::{Deed, Stop};
use serde_json::{Value, json};

use super::rfc3339;

/// A stop.
#[must_use]
pub fn stop(stop: &Stop) -> Value {
    json!({
        "scope": stop.scope.to_string(),
        "cause": stop.cause.name(),
        "actor": stop.act.actor.as_str(),
        "reason": stop.act.reason,
        "since": rfc3339(stop.since),
        "tried_again_at": stop.probe_at.map(rfc3339),
        "tries": stop.probes,
    })
}

/// Something that was done by hand.
#[must_use]
pub fn deed(deed: &Deed) -> Value {
    json!({
        "at": rfc3339(deed.at),
        "actor": deed.actor.as_str(),
        "what": deed.what,
        "subject": deed.subject,
        "reason": deed.reason,
        "before": deed.before,
        "after": deed.after,
    })
}
