//! Strikes by the plan, each of three strikers for itself, until their time is over.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep, timeout_at};

use crate::history::Recorder;
use crate::plan::{Plan, Road, Strike, Timed};
use crate::stage::{Places, Platforms, Stage, Wechat};
use crate::weather::Weather;
use crate::web::{Ask, Web};

/// Strikes until the plan or the time is over, and mends everything.
///
/// # Errors
/// When something cannot be mended: a process that does not start again is a finding.
pub async fn strike(
    stage: &mut Stage,
    plan: &Plan,
    recorder: &Recorder,
    time: Duration,
) -> anyhow::Result<()> {
    let until = Instant::now() + time;
    let places = Arc::clone(&stage.places);
    let Stage {
        platforms, wechat, ..
    } = stage;
    let clock = Web::new(Duration::from_secs(3));
    let (first, second, third) = tokio::join!(
        on_processes(
            (platforms, &places, &clock),
            &plan.processes,
            recorder,
            until
        ),
        on_roads(&places, &plan.roads, recorder, until),
        on_wechat((wechat, &places), &plan.wechat, recorder, until),
    );
    first.and(second).and(third)?;
    recorder.struck("all", "mended");
    Ok(())
}

/// Rests before a blow; whether there is still time for it.
async fn rests(ms: u64, until: Instant) -> bool {
    let after = Instant::now() + Duration::from_millis(ms);
    if after >= until {
        return false;
    }
    tokio::time::sleep_until(after).await;
    true
}

async fn on_processes(
    (platforms, places, web): (&mut Platforms, &Places, &Web),
    blows: &[Timed],
    recorder: &Recorder,
    until: Instant,
) -> anyhow::Result<()> {
    for (rest, blow) in blows {
        if !rests(*rest, until).await {
            break;
        }
        recorder.struck(blow.name(), format!("{blow:?}"));
        match *blow {
            Strike::Kill {
                process,
                down_ms,
                ahead_s,
            } => {
                platforms.kill(process);
                ahead(places, web, ahead_s).await;
                sleep(Duration::from_millis(down_ms)).await;
                platforms.start(process).await?;
            }
            Strike::Stop { process, still_ms } => {
                platforms.stand_still(process, true);
                sleep(Duration::from_millis(still_ms)).await;
                platforms.stand_still(process, false);
            }
            Strike::Oversleep {
                process,
                ahead_s,
                still_ms,
            } => {
                let other = (process + 1) % platforms.count();
                platforms.stand_still(process, true);
                ahead(places, web, ahead_s).await;
                platforms.kill(other);
                platforms.start(other).await?;
                sleep(Duration::from_millis(still_ms)).await;
                platforms.stand_still(process, false);
            }
            Strike::EndBackends => {
                if let Some(server) = &platforms.server {
                    server.end_backends().await?;
                }
            }
            Strike::RestartDatabase { down_ms } => {
                if let Some(server) = &mut platforms.server {
                    server.stop_at_once();
                    sleep(Duration::from_millis(down_ms)).await;
                    server.start_again()?;
                }
            }
            Strike::Cut { .. } | Strike::Wechat { .. } | Strike::KillWechat { .. } => {}
            Strike::Forge => {}
        }
        recorder.struck("mended", blow.name());
    }
    Ok(())
}

/// Moves the business clock; where the sandbox is cut off or dead, time stands.
async fn ahead(places: &Places, web: &Web, seconds: u64) {
    if seconds > 0 {
        let body = json!({ "advance_seconds": seconds });
        let _ = web.ask(places.hands("POST", "clock", &body)).await;
    }
}

async fn on_roads(
    places: &Places,
    blows: &[Timed],
    recorder: &Recorder,
    until: Instant,
) -> anyhow::Result<()> {
    for (rest, blow) in blows {
        if !rests(*rest, until).await {
            break;
        }
        let Strike::Cut { way, weather, ms } = *blow else {
            continue;
        };
        let (proxy, name) = match way {
            Road::Database(process) => (&places.databases[process], format!("database-{process}")),
            Road::Client(process) => (&places.fronts[process], format!("client-{process}")),
            Road::Wechat => (&places.wechat, "wechat".to_owned()),
            Road::Hook => (&places.hook, "hook".to_owned()),
        };
        recorder.weather(&name, weather);
        proxy.weather(weather);
        let over = Instant::now() + Duration::from_millis(ms);
        let _ = timeout_at(until, tokio::time::sleep_until(over)).await;
        recorder.weather(&name, Weather::Clear);
        proxy.weather(Weather::Clear);
    }
    Ok(())
}

async fn on_wechat(
    (wechat, places): (&mut Wechat, &Places),
    blows: &[Timed],
    recorder: &Recorder,
    until: Instant,
) -> anyhow::Result<()> {
    let web = Web::new(Duration::from_secs(3));
    for (rest, blow) in blows {
        if !rests(*rest, until).await {
            break;
        }
        match *blow {
            Strike::Wechat { fault, times } => {
                recorder.struck("wechat", format!("{fault} {times} times"));
                wechat.trip(fault, times).await?;
            }
            Strike::KillWechat { down_ms } => {
                recorder.struck("kill_wechat", format!("{down_ms} ms"));
                wechat.kill();
                sleep(Duration::from_millis(down_ms)).await;
                wechat.start().await?;
            }
            Strike::Forge => forge(places, &web, recorder).await,
            _ => {}
        }
    }
    Ok(())
}

/// A notification that WeChat did not sign. Whatever answers "received" to it is found later.
async fn forge(places: &Places, web: &Web, recorder: &Recorder) {
    let body = json!({
        "id": "EV-forged", "event_type": "MCHTRANSFER.BILL.FINISHED",
        "create_time": "2026-01-01T00:00:00+08:00", "resource_type": "encrypt-resource",
        "summary": "forged",
        "resource": {
            "algorithm": "AEAD_AES_256_GCM", "original_type": "mch_payment",
            "associated_data": "mch_payment", "nonce": "000000000000",
            "ciphertext": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        },
    });
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    let back = web
        .ask(Ask {
            method: "POST",
            url: format!("http://{}/hooks/wechat/transfer", places.hook.addr()),
            headers: vec![
                ("content-type", "application/json".into()),
                ("wechatpay-timestamp", now.as_secs().to_string()),
                ("wechatpay-nonce", "forged".into()),
                (
                    "wechatpay-serial",
                    "PUB_KEY_ID_0000000000000000000000000000".into(),
                ),
                ("wechatpay-signature", "Zm9yZ2Vk".into()),
            ],
            body: body.to_string(),
        })
        .await;
    let believed = matches!(back.status, Some(200..=299));
    let what = if believed {
        "forgery_believed"
    } else {
        "forged"
    };
    recorder.struck(what, format!("{:?} {:?}", back.status, back.broken));
}

impl Strike {
    /// Its name in the history.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Strike::Kill { .. } => "kill",
            Strike::Stop { .. } => "stop",
            Strike::Oversleep { .. } => "oversleep",
            Strike::EndBackends => "end_backends",
            Strike::RestartDatabase { .. } => "restart_database",
            Strike::Cut { .. } => "cut",
            Strike::Wechat { .. } => "wechat",
            Strike::KillWechat { .. } => "kill_wechat",
            Strike::Forge => "forge",
        }
    }
}
