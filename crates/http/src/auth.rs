//! Who is asking: API keys with scopes, stored as digests.

use std::collections::BTreeMap;
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

/// Keys by the name that is written in each. The name finds a key, the digest proves it.
type Keys = BTreeMap<String, ApiKey>;

/// The keys as they were read a moment ago.
#[derive(Debug, Default)]
pub(crate) struct KeyCache {
    read: Mutex<Option<(Timestamp, Arc<Keys>)>>,
    /// Of many requests that find the keys old, one reads them.
    reading: tokio::sync::Mutex<()>,
}

impl KeyCache {
    async fn keys<P: Ports>(&self, ports: &P) -> Result<Arc<Keys>, Fault> {
        if let Some(keys) = self.fresh(ports.clock().wire()) {
            return Ok(keys);
        }
        let _reading = self.reading.lock().await;
        let now = ports.clock().wire();
        if let Some(keys) = self.fresh(now) {
            return Ok(keys);
        }
        let keys = ports.store().api_keys().await?;
        let keys = keys.into_iter().map(|key| (key.id.clone(), key));
        let keys: Arc<Keys> = Arc::new(keys.collect());
        *self.read.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, Arc::clone(&keys)));
        Ok(keys)
    }

    fn fresh(&self, now: Timestamp) -> Option<Arc<Keys>> {
        let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, keys) = read.as_ref()?;
        // A clock that was set back must not keep a withdrawn key alive.
        (0..CACHE_MS)
            .contains(&now.since_ms(*at))
            .then(|| Arc::clone(keys))
    }
}

/// Who calls: the public part of the API key.
#[derive(Clone, Debug)]
pub(crate) struct Caller(pub(crate) String);

/// Lets a request through to its route if its key may.
pub(crate) async fn guard<P: Ports>(
    State(doors): State<Doors<P>>,
    path: MatchedPath,
    mut request: Request,
    next: Next,
) -> Response {
    let Some(route) = find(request.method().as_str(), path.as_str()) else {
        return crate::problem::wrong_method().await.into_response();
    };
    if let Some(scope) = route.scope {
        let header = request.headers().get(header::AUTHORIZATION).cloned();
        let text = header.as_ref().and_then(|value| value.to_str().ok());
        let caller = match admit(&doors, text, scope).await {
            Ok(caller) => caller,
            Err(problem) => return problem.into_response(),
        };
        request.extensions_mut().insert(caller);
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
) -> Result<Caller, Problem> {
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
    let text = text.trim();
    let keys = doors.keys.keys(&doors.ports).await?;
    let named = text.split('_').nth(1).and_then(|name| keys.get(name));
    let given = sha256(text.as_bytes());
    let key = named
        .filter(|key| verify_slices_are_equal(&key.digest, &given).is_ok())
        .filter(|key| key.revoked_at.is_none())
        .ok_or_else(|| Problem::new(401, "key_unknown", "this API key is not known or revoked"))?;
    if key
        .scopes
        .iter()
        .any(|allowed| allowed == "*" || allowed == scope)
    {
        return Ok(Caller(key.id.clone()));
    }
    Err(Problem::new(
        403,
        "scope_missing",
        format!("this API key lacks the scope {scope}"),
    ))
}
