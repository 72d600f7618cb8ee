//! Notifications: sent when something is over, again when nobody took them, and now and then
//! lost, doubled, late, or somebody else's.

use lingqian_core::id::{OpenId, OutBillNo};
use lingqian_core::time::Timestamp;
use lingqian_core::transfer::{Evidence, Origin, TransferReport};
use lingqian_io::rail::{Notification, Opened, Refusal};
use lingqian_wechat::transfer::{Bill, told};

use super::{Event, Wechat};
use crate::dice::Dice;
use crate::fault::{Forgery, NoticeFault};
use crate::text::beijing;

/// Waits between one try to deliver and the next.
const WAITS_MS: [i64; 8] = [
    15_000, 15_000, 30_000, 180_000, 600_000, 1_200_000, 1_800_000, 3_600_000,
];
/// A notification that was signed longer ago is refused.
const STALE_MS: i64 = 5 * 60_000;

/// One notification.
#[derive(Clone)]
pub(crate) struct Notice {
    pub(crate) number: OutBillNo,
    bill: Bill,
    signed: bool,
    /// Whether it says what WeChat's books say.
    pub(crate) genuine: bool,
    signed_at: Timestamp,
    tries: usize,
}

impl std::fmt::Debug for Notice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Notice({})", self.number)
    }
}

impl Wechat {
    /// Tells about an end.
    pub(super) fn tell(&mut self, now: Timestamp, number: OutBillNo) {
        let Some(bill) = self.bill_of(number, now) else {
            return;
        };
        let notice = Notice {
            number,
            bill,
            signed: true,
            genuine: true,
            signed_at: now,
            tries: 0,
        };
        if self.notice_faults.take(NoticeFault::Dropped) {
            return;
        }
        let mut dice = Dice::of(self.seed ^ 3, &number.to_string());
        let usual = if self.lively {
            dice.within(0, 5_000)
        } else {
            1_000
        };
        let after = if self.notice_faults.take(NoticeFault::Delayed) {
            dice.within(3_600_000, 12 * 3_600_000)
        } else if self.notice_faults.has(NoticeFault::Early) {
            0
        } else {
            usual
        };
        if self.notice_faults.take(NoticeFault::Doubled) {
            self.send_notice(now.after_ms(after), notice.clone());
        }
        self.send_notice(now.after_ms(after), notice);
    }

    fn send_notice(&mut self, at: Timestamp, notice: Notice) {
        let id = self.notices.len() as u64 + 1;
        self.notices.insert(id, notice);
        self.schedule(at, Event::Deliver(id));
    }

    fn bill_of(&self, number: OutBillNo, now: Timestamp) -> Option<Bill> {
        let transfer = self.transfers.get(&number)?;
        let order = &transfer.order;
        let cancelled = transfer.stand == super::Stand::Cancelled;
        Some(Bill {
            out_bill_no: number.to_string(),
            transfer_bill_no: Some(transfer.bill_no.clone()),
            state: transfer.stand.word().into(),
            package_info: None,
            fail_reason: match cancelled {
                true => Some("MCH_CANCEL".into()),
                false => transfer.reason.clone(),
            },
            mch_id: Some(order.mchid.to_string()),
            appid: Some(order.app.to_string()),
            openid: Some(order.openid.expose().into()),
            transfer_amount: Some(order.amount.0),
            update_time: Some(beijing(transfer.since)),
            create_time: Some(beijing(now)),
        })
    }

    /// Somebody sends a notification that says that a transfer was paid. For a number that is
    /// not known here the order tells what a forger could know.
    pub(crate) fn forge(&mut self, now: Timestamp, forgery: Forgery, number: OutBillNo) -> bool {
        let Some(mut bill) = self.bill_of(number, now) else {
            return false;
        };
        bill.state = "SUCCESS".into();
        bill.fail_reason = None;
        match forgery {
            Forgery::Signature => {}
            Forgery::Amount => bill.transfer_amount = bill.transfer_amount.map(|fen| fen + 1),
            Forgery::Receiver => bill.openid = Some("o-somebody-else".into()),
            Forgery::Merchant => bill.mch_id = Some("1900000999".into()),
            Forgery::Number => {
                let other = OutBillNo::new(number.payout(), 98);
                bill.out_bill_no = other.to_string();
            }
        }
        let number = OutBillNo::parse(&bill.out_bill_no).unwrap_or(number);
        self.send_notice(
            now,
            Notice {
                number,
                bill,
                signed: forgery != Forgery::Signature,
                genuine: false,
                signed_at: now,
                tries: WAITS_MS.len(),
            },
        );
        true
    }

    /// What is sent over the wire: the id stands for the sealed body.
    pub(crate) fn on_the_wire(&mut self, id: u64, now: Timestamp) -> Notification {
        if let Some(notice) = self.notices.get_mut(&id) {
            notice.signed_at = now;
        }
        Notification {
            headers: Vec::new(),
            body: id.to_string().into_bytes(),
        }
    }

    pub(crate) fn notice(&self, id: u64) -> Option<&Notice> {
        self.notices.get(&id)
    }

    /// Nobody took it: it comes again, for a while.
    pub(crate) fn not_taken(&mut self, id: u64, now: Timestamp) {
        let Some(notice) = self.notices.get_mut(&id) else {
            return;
        };
        let Some(wait) = WAITS_MS.get(notice.tries) else {
            return;
        };
        notice.tries += 1;
        self.schedule(now.after_ms(*wait), Event::Deliver(id));
    }

    /// What the client makes of it, by its own clock.
    pub(crate) fn open(&self, body: &[u8], wire: Timestamp) -> Result<Opened, Refusal> {
        let id = std::str::from_utf8(body)
            .ok()
            .and_then(|text| text.parse().ok());
        let notice = id.and_then(|id: u64| self.notices.get(&id));
        let notice = notice.ok_or(Refusal::Malformed("nobody sent this"))?;
        if !notice.signed {
            return Err(Refusal::SignatureWrong);
        }
        if wire.since_ms(notice.signed_at).abs() > STALE_MS {
            return Err(Refusal::Stale);
        }
        let evidence = Evidence {
            status: None,
            request_id: id.map(|id| format!("notice-{id}")),
            body: String::new(),
        };
        let report: TransferReport = told(
            notice.number,
            Origin::Notification,
            notice.bill.clone(),
            evidence,
        );
        Ok(Opened::Transfer(Box::new(report)))
    }

    /// Whether an openid is well formed; forgers may write anything.
    #[must_use]
    pub fn is_wallet(name: &str) -> bool {
        OpenId::parse(name).is_ok()
    }
}
