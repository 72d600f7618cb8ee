//! Notifications: after the signature over the raw bytes the seal, then the meaning.

use lingqian_core::id::OutBillNo;
use lingqian_core::transfer::{Evidence, Origin};
use lingqian_io::rail::{Opened, Refusal};
use serde::Deserialize;

use crate::batch::{self, Batch};
use crate::cipher::{self, Resource};
use crate::transfer::{Bill, redact, told};

/// The event that announces the end of a transfer.
const FINISHED: &str = "MCHTRANSFER.BILL.FINISHED";

/// The events that announce the end of a batch.
const BATCH_EVENTS: [&str; 2] = ["MCHTRANSFER.BATCH.FINISHED", "MCHTRANSFER.BATCH.CLOSED"];

#[derive(Deserialize)]
struct Envelope {
    id: String,
    event_type: String,
    resource: Resource,
}

/// Reads a notification whose signature was proved. Whether it comes twice does not matter here:
/// its end is a report that changes nothing the second time.
///
/// # Errors
/// Why it does not open or read; it must have no effect then.
pub fn read(apiv3_key: &[u8], body: &[u8]) -> Result<Opened, Refusal> {
    let envelope: Envelope =
        serde_json::from_slice(body).map_err(|_| Refusal::Malformed("the envelope"))?;
    let plain = cipher::open(apiv3_key, &envelope.resource)?;
    if BATCH_EVENTS.contains(&envelope.event_type.as_str()) {
        return of_batch(envelope, &plain);
    }
    if envelope.event_type != FINISHED {
        return Ok(Opened::Other {
            event: envelope.event_type,
        });
    }
    let bill: Bill =
        serde_json::from_slice(&plain).map_err(|_| Refusal::Malformed("the resource"))?;
    let Ok(number) = OutBillNo::parse(&bill.out_bill_no) else {
        return Ok(Opened::Other {
            event: envelope.event_type,
        });
    };
    let evidence = Evidence {
        status: None,
        request_id: Some(envelope.id),
        body: redact(&plain),
    };
    Ok(Opened::Transfer(Box::new(told(
        number,
        Origin::Notification,
        bill,
        evidence,
    ))))
}

/// A batch of one item tells what became of it, unless it failed: why is asked, as everything of a
/// batch of many.
fn of_batch(envelope: Envelope, plain: &[u8]) -> Result<Opened, Refusal> {
    let batch: Batch =
        serde_json::from_slice(plain).map_err(|_| Refusal::Malformed("the resource"))?;
    let evidence = Evidence {
        status: None,
        request_id: Some(envelope.id),
        body: redact(plain),
    };
    let number = OutBillNo::parse(&batch.out_batch_no).ok();
    let report = number.and_then(|number| batch::notified(number, &batch, evidence));
    Ok(match report {
        Some(report) => Opened::Transfer(Box::new(report)),
        None => Opened::Other {
            event: envelope.event_type,
        },
    })
}
