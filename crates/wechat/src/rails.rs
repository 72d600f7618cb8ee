//! One merchant with all of its rails behind one port.
//!
//! New orders are made for one rail, and an order says in its scene which; it never goes over
//! another. A question has only a number, so after the rail of new orders the merchant's other
//! ones are asked: a number was only ever on one of them.

use lingqian_core::id::{AppId, MchId, OutBillNo};
use lingqian_core::money::Fen;
use lingqian_core::time::{BusinessDate, Timestamp};
use lingqian_core::transfer::{Cure, Evidence, Finding, Origin, TransferOrder, TransferReport};
use lingqian_io::rail::{FetchedBill, Notification, Opened, Refusal};
use lingqian_io::{Clock, Dice, Fault, Rail, Sealer, Signer};

use crate::pay::{WRONG_MERCHANT, WechatPay, foreign};
use crate::settings::RailKind;
use crate::transfer::silent;
use crate::v2::door::Door;
use crate::v2::{enterprise, red_packet};

/// The order is for a rail that this merchant has not got.
const RAIL_ABSENT: &str = "rail_absent";

/// A rail on which nothing can be taken back.
const NO_CANCEL: &str = "cancel_not_possible";

/// One merchant's rails.
#[derive(Debug)]
pub struct Rails<S, K, C, D> {
    pay: WechatPay<S, K, C, D>,
    kinds: Vec<RailKind>,
    old: Option<Old>,
}

/// The old API and the app that it is used for.
#[derive(Debug)]
struct Old {
    door: Door,
    app: AppId,
}

impl<S: Signer, K: Sealer, C: Clock, D: Dice> Rails<S, K, C, D> {
    /// A merchant that has the transfer of 2025 alone. Bills and notifications are its affair,
    /// whatever else it has.
    #[must_use]
    pub fn new(pay: WechatPay<S, K, C, D>) -> Self {
        Rails {
            pay,
            kinds: vec![RailKind::Transfer],
            old: None,
        }
    }

    /// The same merchant with these rails: the first one is that of new orders.
    #[must_use]
    pub fn on(self, kinds: Vec<RailKind>) -> Self {
        let kinds = if kinds.is_empty() {
            vec![RailKind::Transfer]
        } else {
            kinds
        };
        Rails { kinds, ..self }
    }

    /// The same merchant with its way into the old API, for an app.
    #[must_use]
    pub fn through(self, door: Door, app: AppId) -> Self {
        let old = Some(Old { door, app });
        Rails { old, ..self }
    }

    /// The same merchant with a second key that takes over at a moment of the wire's clock.
    #[must_use]
    pub fn followed_by(self, signer: S, from: Timestamp) -> Self {
        Rails {
            pay: self.pay.followed_by(signer, from),
            ..self
        }
    }

    /// The merchant's API v3, for what is not behind the port.
    #[must_use]
    pub fn pay(&self) -> &WechatPay<S, K, C, D> {
        &self.pay
    }

    /// Sends an order by a product of the old API.
    async fn send_old(&self, kind: RailKind, order: &TransferOrder) -> TransferReport {
        let Some(old) = self.old.as_ref() else {
            return refused(order.number, RAIL_ABSENT, Cure::Person);
        };
        let name = self.pay.clear_name(order).await;
        let name = name.map(|name| name.map(String::from_utf8).transpose());
        let Ok(Ok(name)) = name else {
            return refused(order.number, "name_unreadable", Cure::Person);
        };
        let settings = old.door.settings();
        let (path, fields) = if kind == RailKind::RedPacket {
            (red_packet::SEND_PATH, red_packet::packet(order, settings))
        } else {
            let fields = enterprise::payment(order, name, settings);
            (enterprise::SEND_PATH, fields)
        };
        let heard = old.door.call(path, fields, self.pay.nonce()).await;
        let report = match heard {
            Ok(heard) if kind == RailKind::RedPacket => red_packet::sent(order.number, &heard),
            Ok(heard) => enterprise::paid(order, &heard),
            Err(word) => unheard(order.number, Origin::Answer, word),
        };
        self.confirmed(old, kind, order, report).await
    }

    /// A refusal that would end the payout is believed only if WeChat, asked, has no record of the
    /// number either: its answers are not signed, and codes have meant other things before.
    async fn confirmed(
        &self,
        old: &Old,
        kind: RailKind,
        order: &TransferOrder,
        report: TransferReport,
    ) -> TransferReport {
        if !is_over(&report) {
            return report;
        }
        let asked = self.ask_old(old, kind, &order.app, order.number).await;
        believed(report, asked)
    }

    async fn ask_old(
        &self,
        old: &Old,
        kind: RailKind,
        app: &AppId,
        number: OutBillNo,
    ) -> TransferReport {
        let (settings, app) = (old.door.settings(), app.as_str());
        let packet = kind == RailKind::RedPacket;
        let (path, fields) = if packet {
            let fields = red_packet::question(number, app, settings);
            (red_packet::ASK_PATH, fields)
        } else {
            let fields = enterprise::question(number, app, settings);
            (enterprise::ASK_PATH, fields)
        };
        match old.door.call(path, fields, self.pay.nonce()).await {
            Ok(heard) if packet => red_packet::told(number, &heard),
            Ok(heard) => enterprise::told(number, &heard),
            Err(word) => unheard(number, Origin::Query, word),
        }
    }

    async fn ask_on(&self, kind: RailKind, mchid: &MchId, number: OutBillNo) -> TransferReport {
        match (kind, self.old.as_ref()) {
            (RailKind::Transfer | RailKind::Authorized, _) => self.pay.ask(mchid, number).await,
            (RailKind::Batch, _) => self.pay.ask_batch(number).await,
            (RailKind::Enterprise | RailKind::RedPacket, Some(old)) => {
                self.ask_old(old, kind, &old.app, number).await
            }
            (RailKind::Enterprise | RailKind::RedPacket, None) => {
                unheard(number, Origin::Query, RAIL_ABSENT)
            }
        }
    }
}

/// Whether an answer would end its payout by a refusal.
#[must_use]
pub fn is_over(report: &TransferReport) -> bool {
    matches!(
        report.finding,
        Finding::Refused {
            cure: Cure::Never,
            ..
        }
    )
}

/// What is believed of a refusal, after what was heard when the number was asked about.
#[must_use]
pub fn believed(report: TransferReport, asked: TransferReport) -> TransferReport {
    let Finding::Refused { code, .. } = &report.finding else {
        return report;
    };
    match asked.finding {
        Finding::NotFound => report,
        // The same order goes out again later; until then nothing is concluded.
        Finding::Unknown { .. } | Finding::Refused { .. } => TransferReport {
            finding: Finding::Refused {
                code: code.clone(),
                cure: Cure::Person,
            },
            ..report
        },
        _ => asked,
    }
}

/// Nothing went out.
fn refused(number: OutBillNo, code: &str, cure: Cure) -> TransferReport {
    let code = code.to_owned();
    let finding = Finding::Refused { code, cure };
    silent(number, Origin::Answer, finding, Evidence::default())
}

/// No answer came.
fn unheard(number: OutBillNo, origin: Origin, word: &str) -> TransferReport {
    silent(
        number,
        origin,
        enterprise::unknown(word),
        Evidence::default(),
    )
}

impl<S: Signer, K: Sealer, C: Clock, D: Dice> Rail for Rails<S, K, C, D> {
    async fn send(&self, order: &TransferOrder) -> TransferReport {
        if order.mchid != *self.pay.mchid() {
            return refused(order.number, WRONG_MERCHANT, Cure::Person);
        }
        let kind = RailKind::of_scene(&order.scene);
        if !self.kinds.contains(&kind) {
            // What could not be asked about is not sent either.
            return refused(order.number, RAIL_ABSENT, Cure::Person);
        }
        match kind {
            RailKind::Transfer => self.pay.send(order).await,
            RailKind::Authorized => self.pay.send_authorized(order).await,
            RailKind::Batch => self.pay.send_batch(order).await,
            kind @ (RailKind::Enterprise | RailKind::RedPacket) => self.send_old(kind, order).await,
        }
    }

    async fn ask(&self, mchid: &MchId, number: OutBillNo) -> TransferReport {
        if mchid != self.pay.mchid() {
            return foreign(number, Origin::Query);
        }
        let mut doubt = None;
        let mut last = None;
        for kind in &self.kinds {
            let report = self.ask_on(*kind, mchid, number).await;
            match report.finding {
                Finding::NotFound => last = Some(report),
                Finding::Unknown { .. } | Finding::Refused { .. } => doubt = Some(report),
                _ => return report,
            }
        }
        // Where one of several could not be heard, the others' "no record" proves nothing.
        doubt
            .or(last)
            .unwrap_or_else(|| unheard(number, Origin::Query, RAIL_ABSENT))
    }

    async fn cancel(&self, mchid: &MchId, number: OutBillNo) -> TransferReport {
        if mchid != self.pay.mchid() {
            return foreign(number, Origin::Answer);
        }
        let cancels = |kind: &RailKind| matches!(kind, RailKind::Transfer | RailKind::Authorized);
        if self.kinds.iter().any(cancels) {
            return self.pay.cancel(mchid, number).await;
        }
        refused(number, NO_CANCEL, Cure::Person)
    }

    async fn open(&self, notification: &Notification) -> Result<Opened, Refusal> {
        self.pay.open(notification).await
    }

    async fn bill(&self, mchid: &MchId, date: BusinessDate) -> Result<FetchedBill, Fault> {
        let mut fetched = self.pay.bill(mchid, date).await?;
        if let (FetchedBill::Ready(bill), true) =
            (&mut fetched, self.kinds.contains(&RailKind::RedPacket))
        {
            for line in &mut bill.lines {
                if let Some(number) = red_packet::of_billno(&line.voucher) {
                    line.voucher = number.to_string();
                }
            }
        }
        Ok(fetched)
    }

    async fn balance(&self, mchid: &MchId) -> Result<Option<Fen>, Fault> {
        self.pay.balance(mchid).await
    }
}
