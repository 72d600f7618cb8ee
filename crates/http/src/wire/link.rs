//! Links as every door shows them. No openid and no token is ever shown.

use lingqian_core::link::Link;
use serde_json::{Value, json};

use super::rfc3339;

/// A link with an app.
#[must_use]
pub fn shown(link: &Link) -> Value {
    json!({
        "app": link.app.as_str(),
        "standing": link.standing.name(),
        "reason": link.reason,
        "since": rfc3339(link.changed_at),
        "linked_at": rfc3339(link.linked_at),
        "scope": link.scope,
        "known_across_apps": link.unionid.is_some(),
        "sharing": link.sharing.name(),
        "cools_until": link.cools_until.map(rfc3339),
        "refresh_at": link.refresh_at.map(rfc3339),
        "version": link.version,
    })
}
