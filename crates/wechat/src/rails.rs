//! One merchant with all of its rails behind one port.
//!
//! New orders are made for one rail, and an order says in its scene which; it never goes over
//! another, and is asked about on no other.

use std::collections::BTreeMap;

use lingqian_core::id::{MchId, OutBillNo};
use lingqian_core::money::Fen;
use lingqian_core::reconcile::BillLine;
use lingqian_core::seat::Seat;
use lingqian_core::time::{BusinessDate, Timestamp};
use lingqian_core::transfer::{Cure, Evidence, Finding, Origin, TransferOrder, TransferReport};
use lingqian_io::rail::{FetchedBill, Notification, Opened, Receipt, Refusal, one_by_one};
use lingqian_io::{Clock, Dice, Fault, Rail, Sealer, Signer};

use crate::batch::ITEMS_MAX;
use crate::bill::Place;
use crate::pay::{WRONG_MERCHANT, WechatPay, foreign};
use crate::settings::RailKind;
use crate::transfer::silent;
use crate::v2::door::Door;
use crate::v2::{enterprise, fund_flow, red_packet};

/// The order is for a rail that this merchant has not got.
const RAIL_ABSENT: &str = "rail_absent";

/// Bills are to come by the old API, which is not configured.
const NO_DOOR: &str = "bills.source is wechat-v2, and this merchant's v2 key and certificate are not \
                       here: the v2 API wants both";

/// Orders that were to go together are for a rail on which each goes alone.
const NO_BATCH: &str = "batch_not_offered";

/// A batch is sent whole or not at all.
const PARTED: &str = "batch_not_whole";

/// A rail on which nothing can be taken back.
const NO_CANCEL: &str = "cancel_not_possible";

/// One merchant's rails.
#[derive(Debug)]
pub struct Rails<S, K, C, D> {
    pay: WechatPay<S, K, C, D>,
    kinds: Vec<RailKind>,
    old: Option<Door>,
    items_max: u16,
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
            items_max: 1,
        }
    }

    /// The same merchant with so many new orders in one batch at most, where its rail is that.
    #[must_use]
    pub fn packing(self, items_max: u16) -> Self {
        let items_max = items_max.clamp(1, ITEMS_MAX);
        Rails { items_max, ..self }
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

    /// The same merchant with its way into the old API.
    #[must_use]
    pub fn through(self, door: Door) -> Self {
        let old = Some(door);
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

    /// The rail of new orders.
    #[must_use]
    pub fn new_orders(&self) -> RailKind {
        self.kinds.first().copied().unwrap_or_default()
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
        let settings = old.settings();
        let (path, fields) = if kind == RailKind::RedPacket {
            (red_packet::SEND_PATH, red_packet::packet(order, settings))
        } else {
            let fields = enterprise::payment(order, name, settings);
            (enterprise::SEND_PATH, fields)
        };
        let heard = old.call(path, fields, self.pay.nonce()).await;
        let report = match heard {
            Ok(heard) if kind == RailKind::RedPacket => red_packet::sent(order.number, &heard),
            Ok(heard) => enterprise::paid(order, &heard),
            Err(word) => unheard(order.number, Origin::Answer, word),
        };
        self.confirmed(old, kind, order, report).await
    }

    /// A refusal is believed only if WeChat, asked, has no record of the number either: its answers
    /// are not signed, and codes have meant other things before. One that ends nothing itself is
    /// asked about, too, because the payout may run out of time meanwhile.
    async fn confirmed(
        &self,
        old: &Door,
        kind: RailKind,
        order: &TransferOrder,
        report: TransferReport,
    ) -> TransferReport {
        if !is_refused(&report) {
            return report;
        }
        let asked = self.ask_old(old, kind, order).await;
        believed(report, asked)
    }

    async fn ask_old(&self, old: &Door, kind: RailKind, order: &TransferOrder) -> TransferReport {
        let (settings, app, number) = (old.settings(), order.app.as_str(), order.number);
        let packet = kind == RailKind::RedPacket;
        let (path, fields) = if packet {
            let fields = red_packet::question(number, app, settings);
            (red_packet::ASK_PATH, fields)
        } else {
            let fields = enterprise::question(number, app, settings);
            (enterprise::ASK_PATH, fields)
        };
        match old.call(path, fields, self.pay.nonce()).await {
            Ok(heard) if packet => red_packet::told(number, &heard),
            Ok(heard) => enterprise::told(number, &heard),
            Err(word) => unheard(number, Origin::Query, word),
        }
    }
}

/// A line that names a packet of ours names our number.
fn numbered(line: BillLine) -> BillLine {
    match red_packet::of_billno(&line.voucher) {
        Some(number) => BillLine {
            voucher: number.to_string(),
            ..line
        },
        None => line,
    }
}

/// Whether an answer says that nothing was done.
#[must_use]
pub fn is_refused(report: &TransferReport) -> bool {
    matches!(report.finding, Finding::Refused { .. })
}

/// What is believed of a refusal, after what was heard when the number was asked about.
#[must_use]
pub fn believed(report: TransferReport, asked: TransferReport) -> TransferReport {
    let Finding::Refused { code, .. } = &report.finding else {
        return report;
    };
    match asked.finding {
        Finding::NotFound => report,
        // Nobody can say: it may have been done, and is asked about until somebody can.
        Finding::Unknown { .. } | Finding::Refused { .. } => TransferReport {
            finding: Finding::Unknown { code: code.clone() },
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

/// The report about an order that went alone.
fn only(reports: Vec<TransferReport>, number: OutBillNo, origin: Origin) -> TransferReport {
    let lost = || unheard(number, origin, "report_lost");
    reports.into_iter().next().unwrap_or_else(lost)
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
        if order.seat.is_some() {
            // The others of its batch would be lacking.
            return refused(order.number, PARTED, Cure::Person);
        }
        match kind {
            RailKind::Transfer => self.pay.send(order).await,
            RailKind::Authorized => self.pay.send_authorized(order).await,
            RailKind::Batch => {
                let reports = self.pay.send_batch(std::slice::from_ref(order)).await;
                only(reports, order.number, Origin::Answer)
            }
            kind @ (RailKind::Enterprise | RailKind::RedPacket) => self.send_old(kind, order).await,
        }
    }

    fn packs(&self) -> BTreeMap<MchId, u16> {
        let packs = self.new_orders() == RailKind::Batch;
        let most = packs.then(|| (self.pay.mchid().clone(), self.items_max));
        most.into_iter().collect()
    }

    async fn send_all(&self, orders: &[TransferOrder]) -> Vec<TransferReport> {
        if let [order] = orders {
            return vec![self.send(order).await];
        }
        let of = |order: &TransferOrder| {
            if order.mchid != *self.pay.mchid() {
                Some(WRONG_MERCHANT)
            } else if !self.kinds.contains(&RailKind::of_scene(&order.scene)) {
                Some(RAIL_ABSENT)
            } else if RailKind::of_scene(&order.scene) != RailKind::Batch {
                Some(NO_BATCH)
            } else {
                None
            }
        };
        let seats: Vec<_> = orders.iter().filter_map(|order| order.seat).collect();
        let whole = seats.len() == orders.len() && Seat::are_whole(&seats);
        let parted = (!whole).then_some(PARTED);
        match orders.iter().find_map(of).or(parted) {
            None => self.pay.send_batch(orders).await,
            Some(code) => {
                let one = |order: &TransferOrder| refused(order.number, code, Cure::Person);
                orders.iter().map(one).collect()
            }
        }
    }

    async fn ask_all(&self, orders: &[TransferOrder]) -> Vec<TransferReport> {
        let one_batch = orders.first().is_some_and(|first| {
            orders.iter().all(|order| {
                let kind = RailKind::of_scene(&order.scene);
                order.mchid == *self.pay.mchid()
                    && kind == RailKind::Batch
                    && self.kinds.contains(&kind)
                    && order.batch() == first.batch()
            })
        });
        if one_batch {
            return self.pay.ask_batch(orders).await;
        }
        one_by_one(orders, |order| self.ask(order)).await
    }

    async fn ask(&self, order: &TransferOrder) -> TransferReport {
        let number = order.number;
        if order.mchid != *self.pay.mchid() {
            return foreign(number, Origin::Query);
        }
        // A number was only ever on the rail of its order; what another one says proves nothing.
        let kind = RailKind::of_scene(&order.scene);
        match (kind, self.old.as_ref()) {
            _ if !self.kinds.contains(&kind) => unheard(number, Origin::Query, RAIL_ABSENT),
            (RailKind::Transfer | RailKind::Authorized, _) => self.pay.ask(order).await,
            (RailKind::Batch, _) => {
                let reports = self.pay.ask_batch(std::slice::from_ref(order)).await;
                only(reports, number, Origin::Query)
            }
            (RailKind::Enterprise | RailKind::RedPacket, Some(old)) => {
                self.ask_old(old, kind, order).await
            }
            (RailKind::Enterprise | RailKind::RedPacket, None) => {
                unheard(number, Origin::Query, RAIL_ABSENT)
            }
        }
    }

    async fn cancel(&self, order: &TransferOrder) -> TransferReport {
        if order.mchid != *self.pay.mchid() {
            return foreign(order.number, Origin::Answer);
        }
        match RailKind::of_scene(&order.scene) {
            RailKind::Transfer | RailKind::Authorized => self.pay.cancel(order).await,
            RailKind::Batch | RailKind::Enterprise | RailKind::RedPacket => {
                refused(order.number, NO_CANCEL, Cure::Person)
            }
        }
    }

    async fn open(&self, notification: &Notification) -> Result<Opened, Refusal> {
        self.pay.open(notification).await
    }

    async fn bill(&self, mchid: &MchId, date: BusinessDate) -> Result<FetchedBill, Fault> {
        let by_old = matches!(self.pay.bills().place, Place::OldApi);
        let mut fetched = match (by_old && mchid == self.pay.mchid(), &self.old) {
            (false, _) => self.pay.bill(mchid, date).await?,
            (true, Some(old)) => {
                fund_flow::bill(old, self.pay.bills(), date, || self.pay.nonce()).await?
            }
            (true, None) => return Err(Fault::Broken(NO_DOOR.into())),
        };
        // Whatever pays today: packets of the day may be on it, and what comes back of them later.
        if let FetchedBill::Ready(bill) = &mut fetched {
            let lines = std::mem::replace(&mut bill.lines, Box::new(std::iter::empty()));
            bill.lines = Box::new(lines.map(|line| line.map(numbered)));
        }
        Ok(fetched)
    }

    async fn receipt(&self, order: &TransferOrder) -> Result<Receipt, Fault> {
        self.pay.receipt_of(order).await
    }

    async fn balance(&self, mchid: &MchId) -> Result<Option<Fen>, Fault> {
        self.pay.balance(mchid).await
    }
}
