//! Calls as HTTP, and answers as what they told.

use serde_json::{Value, json};

use crate::history::{Call, Credit, Credited, Fate, Form, LineSeen, PayoutSeen, Saw};
use crate::stage::Places;
use crate::web::{Ask, Back};

/// Where all events of a run come from.
pub const SOURCE: &str = "chaos";
/// Lines of a statement, or payouts, that a reader asks for.
const PAGE: u32 = 40;

/// A call as a question to a process.
#[must_use]
pub fn ask(places: &Places, process: usize, call: &Call) -> Ask<'static> {
    let front = |method, path: &str| places.front(process, method, path);
    match call {
        Call::Earn { form, credits } => {
            let mut ask = front("POST", "/v1/events");
            if *form == Form::Lines {
                ask.headers[1].1 = "application/x-ndjson".into();
            }
            ask.body = body(*form, credits);
            ask
        }
        Call::Withdraw {
            key,
            user,
            fen,
            reference,
        } => {
            let mut ask = front("POST", "/v1/withdrawals");
            ask.headers.push(("idempotency-key", key.clone()));
            let amount = fen.map_or(json!("all"), |fen| json!(fen));
            let body = json!({ "user": user, "amount_fen": amount, "reference": reference });
            ask.body = body.to_string();
            ask
        }
        Call::Cancel { payout } => front("POST", &format!("/v1/payouts/{payout}/cancel")),
        Call::Act { payout, what } => {
            let mut ask = front("POST", &format!("/v1/payouts/{payout}/{}", what.name()));
            ask.body = json!({ "reason": "it was looked at" }).to_string();
            ask
        }
        Call::Stop | Call::Lift => {
            let lifts = matches!(call, Call::Lift);
            let path = if lifts { "/v1/stops/lift" } else { "/v1/stops" };
            let mut ask = front("POST", path);
            ask.body = json!({ "scope": "all", "reason": "let me think" }).to_string();
            ask
        }
        Call::Waiting { state } => front("GET", &format!("/v1/payouts?state={state}&limit={PAGE}")),
        Call::User { user } => front("GET", &format!("/v1/users/{user}")),
        Call::Statement { user } => {
            front("GET", &format!("/v1/users/{user}/statement?limit={PAGE}"))
        }
        Call::Payout { payout } => front("GET", &format!("/v1/payouts/{payout}")),
        Call::Payouts { user } => front("GET", &format!("/v1/payouts?user={user}&limit={PAGE}")),
        Call::Ready { process } => places.direct(*process, "GET", "/readyz"),
    }
}

fn body(form: Form, credits: &[Credit]) -> String {
    let events: Vec<Value> = credits.iter().map(event).collect();
    match form {
        Form::Single => events.first().map(Value::to_string).unwrap_or_default(),
        Form::Array => Value::Array(events).to_string(),
        Form::Lines => events.iter().map(|event| format!("{event}\n")).collect(),
    }
}

fn event(credit: &Credit) -> Value {
    let mut event = json!({
        "source": SOURCE, "event_id": credit.event, "user": credit.user,
        "kind": credit.kind, "amount_micros": credit.micros,
    });
    if let Some(from) = &credit.from {
        event["from"] = json!(from);
    }
    if let Some(reverses) = &credit.reverses {
        event["reverses"] = json!(reverses);
    }
    event
}

/// What an answer means and told.
#[must_use]
pub fn told(call: &Call, back: &Back) -> (Fate, Option<String>, Saw) {
    let (mut fate, mut code) = back.fate();
    let value = back.value();
    let saw = match call {
        Call::Earn { form, credits } => {
            let good = back.status == Some(200);
            let results = match (form, good) {
                (Form::Lines, true) => of_lines(credits.len(), &back.body),
                (_, true) => of_array(credits.len(), &value),
                // What is true of all is true of each.
                (_, false) if fate == Fate::Fail => vec![Credited::Refused; credits.len()],
                (_, false) => vec![Credited::Unknown; credits.len()],
            };
            if results.contains(&Credited::Unknown) {
                code = code.or_else(|| (fate == Fate::Ok).then(|| "not_all_answered".into()));
                fate = Fate::Info;
            }
            Some(Saw::Credited { results })
        }
        _ if fate != Fate::Ok => Some(Saw::Nothing),
        Call::Withdraw { .. } => withdrawn(&value, back.replayed),
        Call::User { .. } => balances(&value),
        Call::Statement { .. } => lines(&value).map(|lines| Saw::Lines { lines }),
        Call::Payout { .. } => payout(&value).map(|one| Saw::Payouts { payouts: vec![one] }),
        Call::Payouts { .. } | Call::Waiting { .. } => {
            payouts(&value).map(|payouts| Saw::Payouts { payouts })
        }
        Call::Cancel { .. } | Call::Act { .. } | Call::Stop | Call::Lift | Call::Ready { .. } => {
            Some(Saw::Nothing)
        }
    };
    match saw {
        Some(saw) => (fate, code, saw),
        // It says "done" and does not read: whatever that is, it is found by the checker.
        None => (Fate::Info, Some("unreadable".into()), Saw::Nothing),
    }
}

fn result(value: &Value) -> Credited {
    match value["status"].as_str() {
        Some("credited") => Credited::Now,
        Some("duplicate") => Credited::Before,
        Some("rejected") => Credited::Refused,
        _ => Credited::Unknown,
    }
}

fn of_array(count: usize, value: &Value) -> Vec<Credited> {
    let mut results = vec![Credited::Unknown; count];
    for one in value["data"].as_array().into_iter().flatten() {
        let place = one["index"]
            .as_u64()
            .and_then(|at| usize::try_from(at).ok());
        if let Some(slot) = place.and_then(|place| results.get_mut(place)) {
            *slot = result(one);
        }
    }
    results
}

/// Of a stream that broke off, the lines that came are true.
fn of_lines(count: usize, body: &[u8]) -> Vec<Credited> {
    let mut results = vec![Credited::Unknown; count];
    for line in body.split_inclusive(|byte| *byte == b'\n') {
        if !line.ends_with(b"\n") {
            break;
        }
        let Ok(one) = serde_json::from_slice::<Value>(line) else {
            break;
        };
        let place = one["line"].as_u64().and_then(|at| usize::try_from(at).ok());
        let slot = place.and_then(|place| results.get_mut(place.checked_sub(1)?));
        if let (Some(slot), true) = (slot, one["status"].is_string()) {
            *slot = result(&one);
        }
    }
    results
}

fn withdrawn(value: &Value, replayed: bool) -> Option<Saw> {
    Some(Saw::Withdrawn {
        payout: value["id"].as_str()?.to_owned(),
        amount_fen: value["amount_fen"].as_i64()?,
        replayed,
    })
}

fn balances(value: &Value) -> Option<Saw> {
    Some(Saw::Balances {
        available: value["available_micros"].as_i64()?,
        held: value["held_micros"].as_i64()?,
    })
}

fn lines(value: &Value) -> Option<Vec<LineSeen>> {
    serde_json::from_value(value["data"].clone()).ok()
}

fn payout(value: &Value) -> Option<PayoutSeen> {
    serde_json::from_value(value.clone()).ok()
}

/// The payouts of a page.
#[must_use]
pub fn payouts(value: &Value) -> Option<Vec<PayoutSeen>> {
    value["data"].as_array()?.iter().map(payout).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_stream_that_broke_off_the_whole_lines_count() {
        let body = b"{\"line\":1,\"status\":\"credited\",\"amount_micros\":5}\n\
                     {\"line\":2,\"status\":\"duplicate\"}\n{\"line\":3,\"status\":\"cred";
        let expected = [Credited::Now, Credited::Before, Credited::Unknown];
        assert_eq!(of_lines(3, body), expected);
    }

    #[test]
    fn an_answer_is_taken_at_its_word_and_silence_means_nothing() {
        let credit = Credit {
            event: "e".into(),
            user: "u".into(),
            kind: "ad_view".into(),
            micros: 1,
            from: None,
            reverses: None,
        };
        let call = Call::Earn {
            form: Form::Single,
            credits: vec![credit],
        };
        let back = |status, body: &'static str, broken| Back {
            status,
            body: body.as_bytes().into(),
            broken,
            ..Back::default()
        };
        let fate = |back: Back| told(&call, &back).0;
        let not_done = r#"{"code":"retry","outcome":"not_done"}"#;
        let unknown = r#"{"code":"unknown","outcome":"unknown"}"#;
        let done = r#"{"data":[{"index":0,"status":"credited"}]}"#;
        assert_eq!(fate(back(Some(503), not_done, None)), Fate::Fail);
        assert_eq!(fate(back(Some(500), unknown, None)), Fate::Info);
        assert_eq!(fate(back(Some(502), "<html>", None)), Fate::Info);
        assert_eq!(fate(back(None, "", Some("timeout"))), Fate::Info);
        assert_eq!(fate(back(Some(200), done, None)), Fate::Ok);
        assert_eq!(fate(back(Some(200), done, Some("body_lost"))), Fate::Info);
        assert_eq!(fate(back(Some(200), "{}", None)), Fate::Info);
    }
}
