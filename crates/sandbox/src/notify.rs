//! Notifications: signed and sealed afresh for every try, repeated on WeChat's schedule by the
//! business clock until somebody answers with 2xx.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::Request;
use bytes::Bytes;
use http_body_util::Full;
use serde_json::{Value, json};

use crate::auth::{proof, request_id};
use crate::authorization::{self, State};
use crate::books::{Books, rfc3339, wire_now};
use crate::crypto::seal;
use crate::faults::Fault;
use crate::journal::Record;
use crate::kept::Id;
use crate::world::{Attempt, Member, World};

/// Waits between tries, in seconds: 15 tries in a little over a day.
const SCHEDULE_S: [i64; 15] = [
    15, 15, 30, 180, 600, 1_200, 1_800, 1_800, 1_800, 3_600, 10_800, 10_800, 10_800, 21_600, 21_600,
];
/// Tries under way at a time.
const OPEN_MAX: usize = 32;
/// An answer must come within this.
const ANSWER_WAIT: Duration = Duration::from_secs(5);

/// Sends what is due, for ever.
pub(crate) async fn run(world: Arc<World>) {
    let open = Arc::new(tokio::sync::Semaphore::new(OPEN_MAX));
    loop {
        let due = take_due(&world);
        if due.is_empty() {
            let _ = tokio::time::timeout(Duration::from_millis(250), world.notified()).await;
            continue;
        }
        for id in due {
            let Ok(permit) = Arc::clone(&open).acquire_owned().await else {
                return;
            };
            let world = Arc::clone(&world);
            tokio::spawn(async move {
                send(&world, id).await;
                drop(permit);
            });
        }
    }
}

/// What is due and not under way yet.
fn take_due(world: &World) -> Vec<u64> {
    let books = world.books();
    let now = books.now();
    let mut under_way = world.under_way();
    let due = books
        .due
        .iter()
        .take_while(|(at, _)| *at <= now)
        .map(|(_, id)| *id);
    due.filter(|id| under_way.insert(*id)).collect()
}

async fn send(world: &Arc<World>, id: u64) {
    let found = {
        let books = world.books();
        let notice = books.notices.get(&id);
        notice.and_then(|notice| Some((message(&books, &notice.id)?, notice.tries)))
    };
    let Some((message, tries)) = found else {
        return;
    };
    let number = &message.number;
    let strikes = |fault| tries == 0 && world.faults().strikes(fault, number);
    // It stays under way, and so nobody takes it up, until another one went out.
    if strikes(Fault::NoticeHeld) && world.held().hold(id) {
        return;
    }
    let never = strikes(Fault::NoticeNever);
    if strikes(Fault::NoticeLate) {
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    let how = if strikes(Fault::NoticeProbe) {
        How::Probe
    } else {
        How::Truly
    };
    if strikes(Fault::NoticeForged) {
        post(world, &message.forged(), id, How::Forged).await;
    }
    let delivered = !never && post(world, &message, id, how).await;
    if delivered && strikes(Fault::NoticeTwice) {
        post(world, &message, id, How::Truly).await;
    }
    let let_go = world.held().let_go();
    if !let_go.is_empty() {
        let mut under_way = world.under_way();
        under_way.retain(|id| !let_go.contains(id));
    }
    let promise = {
        let mut books = world.books();
        let wait = SCHEDULE_S.get(tries).filter(|_| !delivered && !never);
        let next_due_at = wait.map(|seconds| books.now() + seconds * 1_000);
        books.record(Record::Notified {
            id,
            delivered,
            next_due_at,
        });
        world.under_way().remove(&id);
        books.promise()
    };
    if let Some(promise) = promise {
        let _ = promise.kept().await;
    }
}

/// How a notification is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// As it should be.
    Truly,
    /// As WeChat probes whether anybody looks.
    Probe,
    /// By a key other than the one that is named.
    Forged,
}

/// One try; whether it was acknowledged.
pub(crate) async fn post(world: &Arc<World>, message: &Message, id: u64, how: How) -> bool {
    let Some(member) = world.member(&message.mchid) else {
        return false;
    };
    let body = envelope(&member, message, id).to_string();
    let mut request = Request::post(&message.url)
        .header("content-type", "application/json")
        .header("user-agent", "Mozilla/4.0")
        .header("request-id", request_id(0));
    for (name, value) in headers(&member, body.as_bytes(), how) {
        request = request.header(name, value);
    }
    let Ok(request) = request.body(Full::new(Bytes::from(body))) else {
        return false;
    };
    let began = Instant::now();
    let answer = tokio::time::timeout(ANSWER_WAIT, world.client.request(request)).await;
    let status = match answer {
        Ok(Ok(answer)) => Some(answer.status().as_u16()),
        _ => None,
    };
    world.note(Attempt {
        id,
        number: message.number.clone(),
        event: message.event,
        url: message.url.clone(),
        at: rfc3339(wire_now()),
        signed: match how {
            How::Truly => "truly",
            How::Probe => "probe",
            How::Forged => "forged",
        },
        status,
        took_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
    });
    status.is_some_and(|status| (200..300).contains(&status))
}

/// The headers that prove a notification, or fail to.
fn headers(member: &Member, body: &[u8], how: How) -> [(&'static str, String); 5] {
    let by_public_key = member.notices_by_public_key();
    let true_ones = proof(member, by_public_key, body);
    if how == How::Truly {
        return true_ones;
    }
    let by_other_key = proof(member, !by_public_key, body);
    let serial = true_ones[0].1.clone();
    let mut wrong = if how == How::Forged {
        by_other_key
    } else {
        true_ones
    };
    if how == How::Forged {
        wrong[0].1 = serial;
    } else {
        wrong[3].1 = format!("WECHATPAY/SIGNTEST/{}", wrong[3].1);
    }
    wrong
}

impl Message {
    /// The same with the opposite end.
    fn forged(&self) -> Message {
        let mut forged = self.clone();
        if let Some(state) = forged.resource["state"].as_str() {
            let other = if state == "SUCCESS" {
                "FAIL"
            } else {
                "SUCCESS"
            };
            forged.resource["state"] = json!(other);
        }
        forged
    }

    /// What a try of the keys announces.
    pub(crate) fn of_echo(mchid: &str, url: String, resource: Value) -> Message {
        Message {
            mchid: mchid.to_owned(),
            number: "echo".to_owned(),
            url,
            event: "SECURITY_ECHO.SUCCESS",
            summary: "商户签名验签/加解密测试成功",
            at: wire_now(),
            resource,
        }
    }

    /// What kind of thing it is about.
    fn original_type(&self) -> &'static str {
        match self.event {
            "SECURITY_ECHO.SUCCESS" => "security",
            _ => "mch_payment",
        }
    }

    /// What is told of it to whoever tests.
    pub(crate) fn told(&self) -> Value {
        json!({
            "mchid": self.mchid,
            "number": self.number,
            "url": self.url,
            "event_type": self.event,
            "summary": self.summary,
            "resource": self.resource,
        })
    }
}

/// What is announced.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    mchid: String,
    number: String,
    url: String,
    event: &'static str,
    summary: &'static str,
    at: i64,
    resource: Value,
}

/// What a notice announces as it stands now; nothing where nobody wants to hear it.
pub(crate) fn message(books: &Books, id: &Id) -> Option<Message> {
    let (kind, name) = id
        .number
        .split_once('/')
        .unwrap_or(("transfer", &id.number));
    let id = Id::new(&id.mchid, name);
    match kind {
        "batch" => of_batch(books, &id),
        "authorization" => of_authorization(books, &id),
        _ => of_transfer(books, &id),
    }
}

fn of_batch(books: &Books, id: &Id) -> Option<Message> {
    let batch = books.batches.get(id)?;
    let closed = batch.close_reason.is_some();
    Some(Message {
        mchid: id.mchid.clone(),
        number: id.number.clone(),
        url: batch.wanted.notify_url.clone()?,
        event: if closed {
            "MCHTRANSFER.BATCH.CLOSED"
        } else {
            "MCHTRANSFER.BATCH.FINISHED"
        },
        summary: "商家转账批次终态通知",
        at: batch.updated_at,
        resource: batch.announced(),
    })
}

fn of_authorization(books: &Books, id: &Id) -> Option<Message> {
    let found = books.authorizations.get(id)?;
    let closed = matches!(found.state, State::Closed { .. });
    Some(Message {
        mchid: id.mchid.clone(),
        number: id.number.clone(),
        url: found.notify_url.clone(),
        event: if closed {
            "MCHTRANSFER.AUTHORIZATION.CLOSED"
        } else {
            "MCHTRANSFER.AUTHORIZATION.CONFIRMED"
        },
        summary: "商家转账免确认收款授权通知",
        at: books.now(),
        resource: authorization::announced(found),
    })
}

fn of_transfer(books: &Books, id: &Id) -> Option<Message> {
    let transfer = books.transfers.get(id)?;
    let mut resource = crate::transfer::shown(transfer);
    if let Some(fields) = resource.as_object_mut() {
        fields.remove("appid");
        fields.remove("transfer_remark");
    }
    resource["payment_method_type"] = json!("CFT");
    Some(Message {
        mchid: id.mchid.clone(),
        number: id.number.clone(),
        url: transfer.notify_url.clone()?,
        event: "MCHTRANSFER.BILL.FINISHED",
        summary: "商家转账单据终态通知",
        at: transfer.updated_at,
        resource,
    })
}

fn envelope(member: &Member, message: &Message, id: u64) -> Value {
    let key = &member.credentials().apiv3_key;
    let about = message.original_type();
    let (nonce, ciphertext) = seal(key, about, message.resource.to_string().as_bytes());
    json!({
        "id": format!("EV-{id:026}"),
        "create_time": rfc3339(message.at),
        "event_type": message.event,
        "resource_type": "encrypt-resource",
        "summary": message.summary,
        "resource": {
            "algorithm": "AEAD_AES_256_GCM",
            "original_type": about,
            "associated_data": about,
            "nonce": nonce,
            "ciphertext": ciphertext,
        },
    })
}
