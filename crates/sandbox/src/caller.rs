//! How a caller reached the sandbox, for addresses that they are told.

use std::convert::Infallible;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use serde_json::{Value, json};

use crate::tls::Peer;
use crate::world::World;

/// The headers of a request, and whether it came by TLS.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) headers: HeaderMap,
    by_tls: bool,
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Caller, Infallible> {
        Ok(Caller {
            headers: parts.headers.clone(),
            by_tls: parts.extensions.get::<ConnectInfo<Peer>>().is_some(),
        })
    }
}

impl Caller {
    /// An address of ours becomes one that this caller can reach, as they reached us.
    pub(crate) fn base(&self, world: &World, told: &mut Value) {
        let host = self.headers.get(header::HOST);
        let (Some(host), Some(url)) = (
            host.and_then(|host| host.to_str().ok()),
            told["download_url"].as_str(),
        ) else {
            return;
        };
        let scheme = if self.by_tls { "https" } else { "http" };
        if let Some(rest) = url.strip_prefix(&world.url) {
            told["download_url"] = json!(format!("{scheme}://{host}{rest}"));
        }
    }
}
