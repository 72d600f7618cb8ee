//! A trial of an endpoint: one signed message, sent at once and kept nowhere.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use lingqian_engine::notify::{IN_HOUSE, signing_keys};
use lingqian_io::courier::{Courier, Parcel, Receipt};
use lingqian_io::{Clock as _, Dice as _, Ports};
use serde_json::{Value, json};

use crate::api::webhooks::known;
use crate::wire::rfc3339;
use crate::{Doors, Problem};

type Sent = Pin<Box<dyn Future<Output = Receipt> + Send>>;

/// Who sends trials. The doors have no socket of their own.
#[derive(Clone)]
pub struct Trials(Arc<dyn Fn(Parcel) -> Sent + Send + Sync>);

impl fmt::Debug for Trials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Trials")
    }
}

impl Default for Trials {
    fn default() -> Trials {
        Trials(Arc::new(|_| {
            Box::pin(async { Receipt::unanswered("not_sent_here") })
        }))
    }
}

impl Trials {
    /// Trials that this one carries.
    pub fn by(courier: impl Courier + Clone) -> Trials {
        Trials(Arc::new(move |parcel| {
            let courier = courier.clone();
            Box::pin(async move { courier.deliver(parcel).await })
        }))
    }
}

/// Sends an endpoint a sample, whether it is on or off, and tells what came of it.
pub(crate) async fn send<P: Ports>(
    State(doors): State<Doors<P>>,
    Path(name): Path<String>,
) -> Result<Json<Value>, Problem> {
    let (endpoint, _) = known(&doors, &name).await?;
    let clock = doors.ports.clock();
    let keys = signing_keys(&doors.ports, &endpoint, clock.business()).await;
    let receipt = match keys {
        _ if endpoint.url.starts_with(IN_HOUSE) => Receipt::unanswered("no_webhook"),
        Err(code) => Receipt::unanswered(code),
        Ok(keys) => {
            let data = json!({ "webhook": name });
            let body = json!({
                "type": "webhook.test",
                "timestamp": rfc3339(clock.business()),
                "number": 0,
                "version": 0,
                "sample": true,
                "data": data,
            });
            let parcel = Parcel {
                url: endpoint.url.clone(),
                id: format!("{name}.test-{:026x}", doors.ports.dice().roll() >> 24),
                at: clock.wire(),
                body: body.to_string(),
                keys,
            };
            (doors.settings.trials.0)(parcel).await
        }
    };
    let code = match receipt {
        Receipt::Taken => None,
        Receipt::NotTaken { code, .. } => Some(code),
    };
    Ok(Json(
        json!({ "id": name, "taken": code.is_none(), "code": code }),
    ))
}
