//! Notifications: signed and sealed afresh for every try, repeated on WeChat's schedule by the
//! business clock until somebody answers with 2xx.

use std::sync::Arc;
use std::time::Duration;

use axum::http::Request;
use bytes::Bytes;
use http_body_util::Full;
use serde_json::json;

use crate::auth::proof;
use crate::books::rfc3339;
use crate::crypto::seal;
use crate::faults::Fault;
use crate::journal::Record;
use crate::kept::Transfer;
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
    let Some((transfer, tries)) = ({
        let books = world.books();
        books
            .notices
            .get(&id)
            .and_then(|notice| Some((books.transfers.get(&notice.id)?.clone(), notice.tries)))
    }) else {
        return;
    };
    let number = &transfer.out_bill_no;
    let strikes = |fault| tries == 0 && world.faults().strikes(fault, number);
    let never = strikes(Fault::NoticeNever);
    if strikes(Fault::NoticeLate) {
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    let probe = strikes(Fault::NoticeProbe);
    let delivered = !never && post(world, &transfer, id, probe).await;
    if delivered && strikes(Fault::NoticeTwice) {
        post(world, &transfer, id, false).await;
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
pub(crate) async fn post(world: &Arc<World>, transfer: &Transfer, id: u64, probe: bool) -> bool {
    let Some(url) = &transfer.notify_url else {
        return true;
    };
    let Some(member) = world.member(&transfer.mchid) else {
        return false;
    };
    let body = envelope(&member, transfer, id).to_string();
    let mut request = Request::post(url)
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

fn envelope(member: &Member, transfer: &Transfer, id: u64) -> serde_json::Value {
    let mut resource = crate::transfer::shown(transfer);
    if let Some(fields) = resource.as_object_mut() {
        fields.remove("appid");
        fields.remove("transfer_remark");
    }
    resource["payment_method_type"] = json!("CFT");
    let key = &member.credentials().apiv3_key;
    let (nonce, ciphertext) = seal(key, "mch_payment", resource.to_string().as_bytes());
    json!({
        "id": format!("EV-{:026}", id),
        "create_time": rfc3339(transfer.updated_at),
        "event_type": "MCHTRANSFER.BILL.FINISHED",
        "resource_type": "encrypt-resource",
        "summary": "商家转账单据终态通知",
        "resource": {
            "algorithm": "AEAD_AES_256_GCM",
            "original_type": "mch_payment",
            "associated_data": "mch_payment",
            "nonce": nonce,
            "ciphertext": ciphertext,
        },
    })
}
