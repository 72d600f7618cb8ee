//! What was told is delivered to whom it matters: at least once, and in order within a lane.
//!
//! A message that was sent and not reported, because the process died in between, is sent again
//! under the same name when its lease ends. One that is not taken is tried again for about three
//! days; its endpoint rests a little after each failure, so that one that is down costs little.

use std::collections::BTreeMap;

use futures_util::{StreamExt, stream};
use lingqian_core::endpoint::{Endpoint, EndpointId};
use lingqian_core::notice::Told;
use lingqian_core::time::Timestamp;
use lingqian_io::courier::{Courier, Parcel, Receipt, SigningKey};
use lingqian_io::outbox::{Delivery, Ended, Health, Report, Wish};
use lingqian_io::{Clock, Dice, Fault, Outbox, Ports, Sealer};

use crate::{Limits, Progress};

/// The purpose under which signing keys are sealed.
pub const SEALED_FOR: &str = "webhook";
/// What the address of an endpoint begins with whose messages are told by the program itself, and not
/// signed for anybody.
pub const IN_HOUSE: &str = "wechat:";
/// A message that is not taken within this is given up, in milliseconds.
pub const GIVE_UP_MS: i64 = 72 * 3_600_000;
/// Waits between tries, in milliseconds; the last one repeats.
const WAITS_MS: [i64; 9] = [
    5_000,
    5 * 60_000,
    30 * 60_000,
    2 * 3_600_000,
    5 * 3_600_000,
    10 * 3_600_000,
    14 * 3_600_000,
    20 * 3_600_000,
    24 * 3_600_000,
];
/// An endpoint that failed rests for a second, then twice as long each time, up to this.
const PAUSE_MAX_MS: i64 = 5 * 60_000;
/// Nobody is left in peace for longer, whatever they ask for.
const RETRY_AFTER_MAX_MS: i64 = 24 * 3_600_000;

/// The body of a message, and a line of the feed.
#[must_use]
pub fn message(told: &Told) -> String {
    let notice = &told.notice;
    format!(
        r#"{{"type":"{}","timestamp":"{}","number":{},"version":{},"data":{}}}"#,
        notice.event.name(),
        notice.at,
        told.number,
        told.version(),
        notice.data,
    )
}

/// The name of a message: the same for every try, another one for each endpoint.
#[must_use]
pub fn message_id(endpoint: &EndpointId, number: i64) -> String {
    format!("{endpoint}.{number}")
}

/// Plans what was told since, and delivers what is due.
///
/// # Errors
/// A fault; what was sent and not reported is sent again later.
pub async fn notify<P: Ports, C: Courier>(
    ports: &P,
    courier: &C,
    limits: &Limits,
) -> Result<Progress, Fault> {
    let (store, now) = (ports.store(), ports.clock().business());
    let planned = store.plan(now, limits.page_max).await?;
    let wish = Wish {
        now,
        lease_until: now.after_ms(limits.lease_ms),
        limit: limits.claim_max,
    };
    let due = store.claim_deliveries(wish).await?;
    if due.is_empty() {
        return Ok(Progress {
            taken: planned,
            moved: 0,
        });
    }
    let endpoints = opened(ports).await?;
    let taken = planned.saturating_add(due.len() as u64);
    let reports: Vec<Report> = stream::iter(due)
        .map(|delivery| tried(ports, courier, &endpoints, delivery))
        .buffer_unordered(limits.calls_max)
        .filter_map(async |report| report)
        .collect()
        .await;
    let delivered = reports.iter().filter(|r| r.ended == Ended::Delivered);
    let moved = delivered.count() as u64;
    store.report_deliveries(reports).await?;
    Ok(Progress { taken, moved })
}

/// An endpoint with its keys, or why they could not be had.
struct Known {
    endpoint: Endpoint,
    health: Health,
    keys: Result<Vec<SigningKey>, &'static str>,
}

async fn opened<P: Ports>(ports: &P) -> Result<BTreeMap<EndpointId, Known>, Fault> {
    let now = ports.clock().business();
    let mut all = BTreeMap::new();
    for (endpoint, health) in ports.store().endpoints().await? {
        let keys = if endpoint.url.starts_with(IN_HOUSE) {
            Ok(Vec::new())
        } else {
            signing_keys(ports, &endpoint, now).await
        };
        let known = Known {
            endpoint,
            health,
            keys,
        };
        all.insert(known.endpoint.id.clone(), known);
    }
    Ok(all)
}

/// What signs messages to an endpoint now.
///
/// # Errors
/// A word for it when a key cannot be opened, or none is valid.
pub async fn signing_keys<P: Ports>(
    ports: &P,
    endpoint: &Endpoint,
    now: Timestamp,
) -> Result<Vec<SigningKey>, &'static str> {
    let mut keys = Vec::new();
    let valid = endpoint.secrets.iter();
    for secret in valid.filter(|secret| secret.until.is_none_or(|until| until > now)) {
        let opened = ports.sealer().open(SEALED_FOR, &secret.sealed).await;
        keys.push(SigningKey {
            scheme: secret.scheme,
            bytes: opened.map_err(|_| "key_unavailable")?,
        });
    }
    if keys.is_empty() {
        Err("no_secret")
    } else {
        Ok(keys)
    }
}

/// Sends one message; nothing when its endpoint is gone.
async fn tried<P: Ports, C: Courier>(
    ports: &P,
    courier: &C,
    endpoints: &BTreeMap<EndpointId, Known>,
    delivery: Delivery,
) -> Option<Report> {
    let known = endpoints.get(&delivery.endpoint)?;
    let receipt = match &known.keys {
        Err(code) => Receipt::unanswered(code),
        Ok(keys) => {
            let parcel = Parcel {
                url: known.endpoint.url.clone(),
                id: message_id(&delivery.endpoint, delivery.told.number),
                at: ports.clock().wire(),
                body: message(&delivery.told),
                keys: keys.clone(),
            };
            courier.deliver(parcel).await
        }
    };
    let at = ports.clock().business();
    let report = reported(&delivery, &known.health, receipt, (at, ports.dice().roll()));
    if report.ended == Ended::GivenUp || report.turns_off {
        let endpoint = report.endpoint.as_str();
        let (number, code) = (report.number, report.code.as_str());
        tracing::warn!(
            endpoint,
            number,
            code,
            "an endpoint does not take its messages"
        );
    }
    Some(report)
}

/// What a try means: taken, to be tried again, or given up.
fn reported(
    delivery: &Delivery,
    health: &Health,
    receipt: Receipt,
    (at, chance): (Timestamp, u128),
) -> Report {
    let report = Report {
        endpoint: delivery.endpoint.clone(),
        number: delivery.told.number,
        at,
        ended: Ended::Delivered,
        code: "taken".to_owned(),
        pause_until: None,
        turns_off: false,
    };
    let Receipt::NotTaken {
        code,
        retry_after_ms,
        gone,
    } = receipt
    else {
        return report;
    };
    let peace = retry_after_ms.unwrap_or(0).clamp(0, RETRY_AFTER_MAX_MS);
    let doubled = 1_000_i64
        .checked_shl(health.failures.min(20))
        .unwrap_or(PAUSE_MAX_MS);
    let pause = jittered(doubled.min(PAUSE_MAX_MS), chance >> 64).max(peace);
    let place = usize::try_from(delivery.tries).unwrap_or(usize::MAX);
    let wait = WAITS_MS[place.min(WAITS_MS.len() - 1)];
    let wait = jittered(wait, chance).max(peace);
    let since = at.since_ms(delivery.first_at.unwrap_or(at));
    let ended = if since >= GIVE_UP_MS && !gone {
        Ended::GivenUp
    } else {
        Ended::Again(at.after_ms(wait))
    };
    Report {
        ended,
        code,
        pause_until: Some(at.after_ms(pause)),
        turns_off: gone,
        ..report
    }
}

/// A wait made longer or shorter by up to a fifth, so that not everybody comes at once.
fn jittered(ms: i64, chance: u128) -> i64 {
    let fifth = ms / 5;
    let width = u128::try_from(fifth.saturating_mul(2).saturating_add(1)).unwrap_or(1);
    let shift = i64::try_from(chance % width).unwrap_or(0);
    ms.saturating_sub(fifth).saturating_add(shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_moved_by_a_fifth_at_most() {
        for chance in [0, 1, 2_000, 1 << 70, u128::MAX] {
            let wait = jittered(5_000, chance);
            assert!((4_000..=6_000).contains(&wait), "{wait}");
        }
        assert_eq!(jittered(0, 7), 0);
    }

    #[test]
    fn all_waits_together_are_about_three_days() {
        let sum: i64 = WAITS_MS.iter().sum();
        assert!(
            (GIVE_UP_MS..GIVE_UP_MS + 6 * 3_600_000).contains(&sum),
            "{sum}"
        );
    }
}
