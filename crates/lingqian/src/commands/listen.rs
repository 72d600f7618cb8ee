//! `lingqian listen` and `lingqian trigger`: for whoever writes a receiver, on one machine and
//! without a registered endpoint.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use lingqian_core::notice::Event;
use lingqian_hooks::{HttpCourier, Reach, sign};
use lingqian_io::courier::{Courier as _, Parcel, Receipt, SigningKey};
use lingqian_io::{Clock as _, Dice as _};
use serde_json::{Value, json};

use crate::cli::{Listen, Trigger};
use crate::door::Api;
use crate::home::Home;
use crate::output::{rfc3339, show};
use crate::world::{RealClock, RealDice};

/// How often it is asked for news.
const REST: Duration = Duration::from_millis(300);
/// How long an answer may take.
const ANSWER_WAIT: Duration = Duration::from_secs(15);
/// Notices of one question.
const PAGE: u32 = 100;

/// The secret that was given, or a new one, which is printed.
fn secret(given: Option<&str>) -> anyhow::Result<SigningKey> {
    if let Some(text) = given {
        let key = sign::read(text);
        return key.context("--secret must be `whsec_` and 24 to 64 bytes in base64");
    }
    let mut bytes = [0; sign::KEY_BYTES];
    RealDice.fill(&mut bytes);
    let text = format!("whsec_{}", STANDARD.encode(bytes));
    eprintln!("messages are signed with {text}");
    sign::read(&text).context("a new secret reads back")
}

fn parcel(url: &str, id: String, body: String, key: &SigningKey) -> Parcel {
    Parcel {
        url: url.to_owned(),
        id,
        at: RealClock::default().wire(),
        body,
        keys: vec![key.clone()],
    }
}

fn word(receipt: &Receipt) -> &str {
    match receipt {
        Receipt::Taken => "taken",
        Receipt::NotTaken { code, .. } => code,
    }
}

/// Runs `lingqian listen`: forwards what happens at the running server, until it is told to stop.
/// What is not taken is said and not tried again.
///
/// # Errors
/// When there is no server, or it refuses.
pub(crate) async fn listen(home: &Home, options: &Listen, json: bool) -> anyhow::Result<ExitCode> {
    let api = Api::of_server(home)?;
    let key = secret(options.secret.as_deref())?;
    let courier = HttpCourier::new(Reach::Anywhere, ANSWER_WAIT);
    let mut after = match options.after {
        Some(after) => after,
        None => newest(&api).await?,
    };
    let mut end = super::serve::Ending::new()?;
    let told = tokio::spawn(async move { end.told().await });
    while !told.is_finished() {
        let path = format!("/v1/feed?after={after}&limit={PAGE}");
        let page = api.call(Method::GET, &path, None).await?;
        let data = page["data"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        for notice in data {
            after = notice["number"].as_i64().unwrap_or(after);
            let (event, id) = (notice["type"].as_str(), format!("listen.{after}"));
            let message = parcel(&options.forward_to, id, notice.to_string(), &key);
            let receipt = courier.deliver(message).await;
            let event = event.unwrap_or_default();
            let line = json!({ "number": after, "type": event, "answer": word(&receipt) });
            show(json, &line, |out| {
                writeln!(out, "{after:>9}  {event:<22} {}", word(&receipt))
            })?;
        }
        if data.is_empty() {
            tokio::time::sleep(REST).await;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The number of the newest notice.
async fn newest(api: &Api) -> anyhow::Result<i64> {
    let mut after = 0;
    loop {
        let path = format!("/v1/feed?after={after}&limit=1000");
        let page = api.call(Method::GET, &path, None).await?;
        after = page["next_after"].as_i64().unwrap_or(after);
        if page["has_more"] != json!(true) {
            return Ok(after);
        }
    }
}

/// Runs `lingqian trigger`: sends a signed sample of an event. No books are touched.
///
/// # Errors
/// When there is no such event, or the sample is not taken.
pub(crate) async fn trigger(options: &Trigger, json: bool) -> anyhow::Result<ExitCode> {
    let event = Event::from_name(&options.event).with_context(|| {
        let known = Event::ALL.join(", ");
        format!("{} is no event; the events are {known}", options.event)
    })?;
    let key = secret(options.secret.as_deref())?;
    let body = sample(event).to_string();
    let id = format!("sample.{:032x}", RealDice.roll());
    let message = parcel(&options.forward_to, id, body.clone(), &key);
    let courier = HttpCourier::new(Reach::Anywhere, ANSWER_WAIT);
    let receipt = courier.deliver(message).await;
    let answer = word(&receipt);
    let value = json!({ "type": event.name(), "answer": answer, "body": body });
    show(json, &value, |out| {
        writeln!(out, "{}: {answer}\n{body}", event.name())
    })?;
    anyhow::ensure!(
        receipt == Receipt::Taken,
        "the sample was not taken: {answer}"
    );
    Ok(ExitCode::SUCCESS)
}

/// A message as it would be, marked as a sample.
fn sample(event: Event) -> Value {
    let now = rfc3339(RealClock::default().wire());
    let mut state = event.name().split('.').nth(1).unwrap_or_default();
    if state == "contradiction" {
        state = "failed";
    }
    let sent = !matches!(state, "review" | "approved" | "refused");
    let coded = matches!(
        state,
        "review" | "deferred" | "unknown" | "failed" | "refused"
    );
    let payout = "po_00000000000000000000000000";
    let data = match event.object() {
        "user" if state == "linked" => json!({ "id": "sample", "linked_at": now }),
        "user" => json!({ "id": "sample", "frozen": state == "frozen" }),
        "payout" => json!({
            "id": payout,
            "user": "sample",
            "state": state,
            "final": matches!(state, "paid" | "failed" | "expired" | "cancelled" | "refused"),
            "code": coded.then_some("SAMPLE"),
            "amount_fen": 100,
            "currency": "CNY",
            "billed_fen": 0,
            "reference": "sample",
            "asked_by": "request",
            "out_bill_no": sent.then_some("LQ0000000000000000000000000001"),
            "transfer_bill_no": (state == "paid").then_some("0"),
            "created_at": now,
            "updated_at": now,
            "paid_at": (state == "paid").then_some(&now),
            "version": 2,
            "tries": 0,
        }),
        "stop" => json!({
            "scope": "all",
            "cause": "person",
            "reason": null,
            "since": now,
            "lifted_at": (state == "lifted").then_some(&now),
        }),
        "break" => json!({
            "subject": payout,
            "kind": "missing_on_bill",
            "date": &now[..10],
            "difference_fen": -100,
            "opened_at": now,
            "closed_at": (state == "closed").then_some(&now),
        }),
        _ => json!({
            "mchid": "1900000109",
            "date": &now[..10],
            "lines": 1,
            "out_fen": 100,
            "in_fen": 0,
            "opening_fen": 100_000,
            "closing_fen": 99_900,
            "fetched_at": now,
        }),
    };
    json!({
        "type": event.name(),
        "timestamp": now,
        "number": 0,
        "version": 2,
        "sample": true,
        "data": data,
    })
}
