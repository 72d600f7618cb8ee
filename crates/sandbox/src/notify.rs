//! Notifications: signed and sealed afresh for every try, repeated on WeChat's schedule by the
//! business clock until somebody answers with 2xx.

use std::sync::Arc;
use std::time::Duration;

use axum::http::Request;
use bytes::Bytes;
use http_body_util::Full;
use serde_json::{Value, json};

use crate::auth::proof;
use crate::authorization::{self, State};
use crate::books::{Books, rfc3339};
use crate::crypto::seal;
use crate::faults::Fault;
use crate::journal::Record;
use crate::kept::Id;
use crate::world::{Member, World};

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
    let never = strikes(Fault::NoticeNever);
    if strikes(Fault::NoticeLate) {
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    let probe = strikes(Fault::NoticeProbe);
    let delivered = !never && post(world, &message, id, probe).await;
    if delivered && strikes(Fault::NoticeTwice) {
        post(world, &message, id, false).await;
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

/// One try; whether it was acknowledged.
pub(crate) async fn post(world: &Arc<World>, message: &Message, id: u64, probe: bool) -> bool {
    let Some(member) = world.member(&message.mchid) else {
        return false;
    };
    let body = envelope(&member, message, id).to_string();
    let mut request = Request::post(&message.url)
        .header("content-type", "application/json")
        .header("user-agent", "Mozilla/4.0")
        .header("request-id", format!("08notify{id}"));
    for (name, value) in proof(&member, member.notices_by_public_key(), body.as_bytes()) {
        let wrong = probe && name == "Wechatpay-Signature";
        let value = if wrong {
            format!("WECHATPAY/SIGNTEST/{value}")
        } else {
            value
        };
        request = request.header(name, value);
    }
    let Ok(request) = request.body(Full::new(Bytes::from(body))) else {
        return false;
    };
    let answer = tokio::time::timeout(ANSWER_WAIT, world.client.request(request)).await;
    matches!(answer, Ok(Ok(answer)) if answer.status().is_success())
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
        resource: authorization::shown(found),
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
    let (nonce, ciphertext) = seal(key, "mch_payment", message.resource.to_string().as_bytes());
    json!({
        "id": format!("EV-{id:026}"),
        "create_time": rfc3339(message.at),
        "event_type": message.event,
        "resource_type": "encrypt-resource",
        "summary": message.summary,
        "resource": {
            "algorithm": "AEAD_AES_256_GCM",
            "original_type": "mch_payment",
            "associated_data": "mch_payment",
            "nonce": nonce,
            "ciphertext": ciphertext,
        },
    })
}
