//! Who is asking: API keys with scopes, stored as digests.

use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use axum::extract::{MatchedPath, Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lingqian_core::command::ApiKey;
use lingqian_core::time::Timestamp;
use lingqian_io::{Browse as _, Clock as _, Dice, Fault, Ports};

use crate::routes::find;
use crate::{Doors, Problem, request};

/// A withdrawn key works at most this much longer.
const CACHE_MS: i64 = 2_000;

/// A new key: the text is shown once and kept nowhere.
#[derive(Clone)]
pub struct Minted {
    /// What the caller sends.
    pub text: String,
    /// What is stored.
    pub key: ApiKey,
}

/// Makes a key.
pub fn mint<D: Dice>(dice: &D, scopes: Vec<String>, now: Timestamp) -> Minted {
    let mut name = [0; 6];
    let mut secret = [0; 32];
    dice.fill(&mut name);
    dice.fill(&mut secret);
    let id: String = name.iter().map(|byte| format!("{byte:02x}")).collect();
    let text = format!("lq_{id}_{}", URL_SAFE_NO_PAD.encode(secret));
    let key = ApiKey {
        id,
        digest: sha256(text.as_bytes()),
        scopes,
        created_at: now,
        revoked_at: None,
    };
    Minted { text, key }
}

/// SHA-256.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut array = [0; 32];
    array.copy_from_slice(digest(&SHA256, bytes).as_ref());
    array
}

/// The keys as they were read a moment ago.
#[derive(Debug, Default)]
pub(crate) struct KeyCache {
    read: Mutex<Option<(Timestamp, Arc<Vec<ApiKey>>)>>,
}

impl KeyCache {
    async fn keys<P: Ports>(&self, ports: &P) -> Result<Arc<Vec<ApiKey>>, Fault> {
        let now = ports.clock().wire();
        let read = self
            .read
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let Some((at, keys)) = read
            // A clock that was set back must not keep a withdrawn key alive.
            && (0..CACHE_MS).contains(&now.since_ms(at))
        {
            return Ok(keys);
        }
        let keys = Arc::new(ports.store().api_keys().await?);
        *self.read.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, Arc::clone(&keys)));
        Ok(keys)
    }
}

/// Lets a request through to its route if its key may.
pub(crate) async fn guard<P: Ports>(
    State(doors): State<Doors<P>>,
    path: MatchedPath,
    request: Request,
    next: Next,
) -> Response {
    let Some(route) = find(request.method().as_str(), path.as_str()) else {
        return crate::problem::wrong_method().await.into_response();
    };
    if let Some(scope) = route.scope {
        let header = request.headers().get(header::AUTHORIZATION);
        let text = header
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        if let Err(problem) = admit(&doors, text.as_deref(), scope).await {
            return problem.into_response();
        }
        if let Err(problem) = request::strict(request.uri(), route.parameters) {
            return problem.into_response();
        }
    }
    next.run(request).await
}

async fn admit<P: Ports>(
    doors: &Doors<P>,
    header: Option<&str>,
    scope: &str,
) -> Result<(), Problem> {
    let text = header
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("Bearer"))
        .map(|(_, text)| text)
        .ok_or_else(|| {
            Problem::new(
                401,
                "key_missing",
                "send an API key as `Authorization: Bearer lq_…`",
            )
        })?;
    let given = sha256(text.trim().as_bytes());
    let keys = doors.keys.keys(&doors.ports).await?;
    let known = keys
        .iter()
        .find(|key| verify_slices_are_equal(&key.digest, &given).is_ok());
    let key = known
        .filter(|key| key.revoked_at.is_none())
        .ok_or_else(|| Problem::new(401, "key_unknown", "this API key is not known or revoked"))?;
    if key
        .scopes
        .iter()
        .any(|allowed| allowed == "*" || allowed == scope)
    {
        return Ok(());
    }
    Err(Problem::new(
        403,
        "scope_missing",
        format!("this API key lacks the scope {scope}"),
    ))
}
