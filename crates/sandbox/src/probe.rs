//! What reads before anybody is known, for those who throw anything at it.

use std::collections::BTreeMap;

use crate::{auth, authorization, batch, old, transfer};

/// The fields of a message of the old API, or nothing when it is none.
#[must_use]
pub fn xml(text: &str) -> Option<BTreeMap<String, String>> {
    old::read(text)
}

/// Reads the proof of a request and its body as each product does; nothing is kept.
pub fn request(proof: &str, body: &[u8]) {
    auth::parts(proof);
    transfer::reads(body);
    batch::reads(body);
    authorization::reads(body);
}
