//! The rail to the simulated WeChat: what gets lost on the way in and on the way back.

use std::collections::BTreeMap;
use std::sync::Arc;

use lingqian_core::id::{MchId, OutBillNo};
use lingqian_core::time::{BusinessDate, Timestamp};
use lingqian_core::transfer::{Evidence, Finding, Origin, TransferOrder, TransferReport};
use lingqian_io::rail::{FetchedBill, Notification, Opened, Refusal};
use lingqian_io::twin::ManualClock;
use lingqian_io::{Clock as _, Fault, Rail};
use lingqian_wechat::batch;
use lingqian_wechat::settings::RailKind;
use lingqian_wechat::transfer::{Answer, Call, report, silent};

use super::Event;
use super::answers::{Reply, error};
use super::batches::{no_cancel, product};
use crate::dice::Dice;
use crate::fault::{NoticeFault, WechatFault};
use crate::scene::{Scene, Shared, give_way};

/// A request whose signature is older or newer is refused.
const SKEW_MS: i64 = 5 * 60_000;
/// Polls for which an answer is held back behind a notification.
const HELD_BACK: usize = 60;

/// One process's way to WeChat.
#[derive(Clone, Debug)]
pub struct SimRail {
    pub(crate) scene: Scene,
    pub(crate) process: usize,
    pub(crate) clock: Arc<ManualClock>,
}

/// What comes back.
enum Heard {
    Nothing,
    Reply(Reply, Option<&'static str>),
}

impl Heard {
    /// What came, as the reader of answers takes it.
    fn answer(self) -> Option<Answer> {
        let Heard::Reply(Reply { status, body }, doubt) = self else {
            return None;
        };
        Some(Answer {
            status,
            request_id: None,
            body: body.into_bytes(),
            doubt,
        })
    }

    /// The report by the reader of answers of this product.
    fn report(
        self,
        number: OutBillNo,
        call: Call,
        reads: impl FnOnce(&Answer) -> TransferReport,
    ) -> TransferReport {
        match self.answer() {
            Some(answer) => reads(&answer),
            None => {
                let origin = if call == Call::Query {
                    Origin::Query
                } else {
                    Origin::Answer
                };
                let code = "timeout".to_owned();
                silent(
                    number,
                    origin,
                    Finding::Unknown { code },
                    Evidence::default(),
                )
            }
        }
    }
}

impl Shared {
    /// A request arrives, with all orders that it is about.
    fn sent(&mut self, orders: &[TransferOrder], skewed: bool) -> Heard {
        let now = self.now;
        self.oracle.arrives(orders);
        let refused = |status, code| Heard::Reply(error(status, code, "…"), None);
        let faults = &mut self.wechat.faults;
        if skewed {
            return refused(401, "SIGN_ERROR");
        }
        if faults.take(WechatFault::LosesRequest) {
            return Heard::Nothing;
        }
        if faults.take(WechatFault::GetsItLate) {
            let first = orders.first().map(|order| order.number.to_string());
            let mut dice = Dice::of(7, &first.unwrap_or_default());
            let at = now.after_ms(dice.within(10_000, 40 * 60_000));
            self.wechat.schedule(at, Event::Arrive(orders.to_vec()));
            return Heard::Nothing;
        }
        if faults.take(WechatFault::BreaksBefore) {
            return refused(500, "SYSTEM_ERROR");
        }
        if faults.take(WechatFault::Throttles) {
            return refused(429, "FREQUENCY_LIMITED");
        }
        if faults.take(WechatFault::WantsRight) {
            return refused(403, "NO_AUTH");
        }
        if faults.take(WechatFault::ProxyRefuses) {
            let reply = error(400, "PARAM_ERROR", "参数错误");
            return Heard::Reply(reply, Some("signature_missing"));
        }
        let reply = match orders {
            [order] => self.wechat.create(now, order),
            orders => self.wechat.create_pack(now, orders),
        };
        self.hear();
        if reply.status != 200 {
            return Heard::Reply(reply, None);
        }
        self.answered(reply)
    }

    /// The transfer was accepted; what the sender hears of it is another matter.
    fn answered(&mut self, reply: Reply) -> Heard {
        let faults = &mut self.wechat.faults;
        if faults.take(WechatFault::LosesAnswer) {
            return Heard::Nothing;
        }
        if faults.take(WechatFault::BreaksAfter) {
            return Heard::Reply(error(500, "SYSTEM_ERROR", "系统异常，请稍后重试"), None);
        }
        if faults.take(WechatFault::UnknownCode) {
            return Heard::Reply(error(400, "SOMETHING_NEW", "…"), None);
        }
        if faults.take(WechatFault::SeesConflict) {
            let words = "单号已存在但信息不一致，请查单后比较确认";
            return Heard::Reply(error(400, "INVALID_REQUEST", words), None);
        }
        let doubt = faults
            .take(WechatFault::Unverifiable)
            .then_some("signing_key_unknown");
        Heard::Reply(reply, doubt)
    }

    fn asked(&mut self, order: &TransferOrder, skewed: bool) -> Heard {
        let faults = &mut self.wechat.faults;
        if skewed {
            return Heard::Reply(error(401, "SIGN_ERROR", "…"), None);
        }
        if faults.take(WechatFault::SilentToQuestion) {
            return Heard::Nothing;
        }
        if faults.take(WechatFault::RefusesQuestion) {
            return Heard::Reply(error(429, "FREQUENCY_LIMITED", "…"), None);
        }
        let reply = if order.seat.is_some() {
            self.wechat.query_pack(self.now, order)
        } else {
            self.wechat.query(self.now, &order.mchid, order.number)
        };
        Heard::Reply(reply, None)
    }

    fn unwanted(&mut self, merchant: &MchId, number: OutBillNo, skewed: bool) -> Heard {
        if skewed {
            return Heard::Reply(error(401, "SIGN_ERROR", "…"), None);
        }
        if self.wechat.faults.take(WechatFault::LosesCancel) {
            return Heard::Nothing;
        }
        let now = self.now;
        let reply = self.wechat.cancel(now, merchant, number);
        self.hear();
        if self.wechat.faults.take(WechatFault::LosesCancelAnswer) {
            return Heard::Nothing;
        }
        Heard::Reply(reply, None)
    }
}

impl SimRail {
    /// A batch of many: one request, and where it was refused a question. What is made of the
    /// answers is what the real rail makes of them.
    async fn send_pack(&self, orders: &[TransferOrder]) -> Vec<TransferReport> {
        let reports = self
            .pack_call(orders, Call::Create, |shared, skewed| {
                match shared.sent(orders, skewed).answer() {
                    Some(answer) => batch::created(orders, &answer),
                    None => orders.iter().map(|o| timeout(o, Origin::Answer)).collect(),
                }
            })
            .await;
        let refused = |report: &TransferReport| matches!(report.finding, Finding::Refused { .. });
        let Some(first) = orders.first().filter(|_| reports.iter().any(refused)) else {
            return reports;
        };
        self.pack_call(orders, Call::Query, |shared, skewed| {
            let nobody_knows = Answer {
                status: 0,
                request_id: None,
                body: Vec::new(),
                doubt: Some("unanswered"),
            };
            let asked = shared.asked(first, skewed).answer();
            batch::believed(reports, &asked.unwrap_or(nobody_knows))
        })
        .await
    }

    /// One question about the batch, and about each item where that has to be.
    async fn ask_pack(&self, orders: &[TransferOrder]) -> Vec<TransferReport> {
        let Some(first) = orders.first() else {
            return Vec::new();
        };
        self.pack_call(orders, Call::Query, |shared, skewed| {
            let answer = shared.asked(first, skewed).answer();
            let one = |order: &TransferOrder| match &answer {
                Some(answer) => shared.batch_told(order, answer),
                None => timeout(order, Origin::Query),
            };
            orders.iter().map(one).collect()
        })
        .await
    }

    async fn pack_call(
        &self,
        orders: &[TransferOrder],
        call: Call,
        arrives: impl FnOnce(&mut Shared, bool) -> Vec<TransferReport> + Send,
    ) -> Vec<TransferReport> {
        self.scene.moment(self.process).await;
        let reports = {
            let mut shared = self.scene.lock();
            let skewed = self.skewed(shared.now);
            let reports = arrives(&mut shared, skewed);
            for report in &reports {
                shared.tell_call(report, call);
            }
            reports
        };
        assert_eq!(reports.len(), orders.len(), "each is told of");
        self.scene.moment(self.process).await;
        reports
    }

    fn skewed(&self, now: Timestamp) -> bool {
        self.clock.wire().since_ms(now).abs() > SKEW_MS
    }

    async fn call(
        &self,
        call: Call,
        arrives: impl FnOnce(&mut Shared, bool) -> TransferReport + Send,
    ) -> TransferReport {
        self.scene.moment(self.process).await;
        let (report, early) = {
            let mut shared = self.scene.lock();
            let skewed = self.skewed(shared.now);
            let report = arrives(&mut shared, skewed);
            shared.tell_call(&report, call);
            let early = shared.wechat.notice_faults.take(NoticeFault::Early);
            (report, early)
        };
        for _ in 0..if early { HELD_BACK } else { 0 } {
            give_way().await;
        }
        self.scene.moment(self.process).await;
        report
    }
}

/// No answer came.
fn timeout(order: &TransferOrder, origin: Origin) -> TransferReport {
    let code = "timeout".to_owned();
    let finding = Finding::Unknown { code };
    silent(order.number, origin, finding, Evidence::default())
}

impl Shared {
    /// What was called for, and what was heard.
    fn tell_call(&mut self, report: &TransferReport, call: Call) {
        if self.trace.is_none() {
            return;
        }
        let name = self.oracle.name_of(report.number.payout());
        let words = match call {
            Call::Create => "sent",
            Call::Query => "asked about",
            Call::Cancel => "asked to cancel",
        };
        let heard = heard(&report.finding);
        self.tell(|| format!("  {name} is {words}: {heard}"));
    }
}

/// A finding in a few words.
fn heard(finding: &Finding) -> String {
    match finding {
        Finding::Processing => "on its way".into(),
        Finding::AwaitingUser { package: Some(_) } => "waits for the user, with a page".into(),
        Finding::AwaitingUser { package: None } => "waits for the user".into(),
        Finding::Cancelling => "being cancelled".into(),
        Finding::Paid => "paid".into(),
        Finding::Expired => "nobody confirmed".into(),
        Finding::Cancelled => "cancelled".into(),
        Finding::Failed { code, cure } => format!("failed, {code}, cure {cure:?}").to_lowercase(),
        Finding::Refused { code, cure } => format!("refused, {code}, cure {cure:?}").to_lowercase(),
        Finding::NotFound => "no record".into(),
        Finding::Unknown { code } => format!("nobody knows, {code}"),
    }
}

impl Rail for SimRail {
    async fn send(&self, order: &TransferOrder) -> TransferReport {
        let number = order.number;
        self.call(Call::Create, |shared, skewed| match product(order) {
            RailKind::Enterprise | RailKind::RedPacket => shared.pays(order),
            RailKind::Batch => {
                let alone = std::slice::from_ref(order);
                let heard = shared.sent(alone, skewed);
                heard.report(number, Call::Create, |answer| {
                    batch::created(alone, answer).remove(0)
                })
            }
            _ => {
                let heard = shared.sent(std::slice::from_ref(order), skewed);
                let reads = |answer: &Answer| report(number, Call::Create, answer);
                heard.report(number, Call::Create, reads)
            }
        })
        .await
    }

    fn packs(&self) -> BTreeMap<MchId, u16> {
        self.scene.lock().wechat.packs.clone()
    }

    async fn send_all(&self, orders: &[TransferOrder]) -> Vec<TransferReport> {
        match orders {
            [order] => vec![self.send(order).await],
            orders => self.send_pack(orders).await,
        }
    }

    async fn ask_all(&self, orders: &[TransferOrder]) -> Vec<TransferReport> {
        self.ask_pack(orders).await
    }

    async fn ask(&self, order: &TransferOrder) -> TransferReport {
        let number = order.number;
        self.call(Call::Query, |shared, skewed| {
            let product = shared.product_of(&order.mchid);
            if matches!(product, RailKind::Enterprise | RailKind::RedPacket) {
                return shared.asked_old(order);
            }
            let heard = shared.asked(order, skewed);
            heard.report(number, Call::Query, |answer| match product {
                RailKind::Batch => shared.batch_told(order, answer),
                _ => report(number, Call::Query, answer),
            })
        })
        .await
    }

    async fn cancel(&self, order: &TransferOrder) -> TransferReport {
        let number = order.number;
        self.call(Call::Cancel, |shared, skewed| {
            if shared.product_of(&order.mchid) != RailKind::Transfer {
                return no_cancel(number);
            }
            let heard = shared.unwanted(&order.mchid, number, skewed);
            heard.report(number, Call::Cancel, |answer| {
                report(number, Call::Cancel, answer)
            })
        })
        .await
    }

    async fn open(&self, notification: &Notification) -> Result<Opened, Refusal> {
        let wire = self.clock.wire();
        self.scene.lock().wechat.open(&notification.body, wire)
    }

    async fn bill(&self, mchid: &MchId, date: BusinessDate) -> Result<FetchedBill, Fault> {
        self.scene.moment(self.process).await;
        let bill = {
            let mut shared = self.scene.lock();
            let now = shared.now;
            shared.wechat.bill(now, mchid, date)
        };
        self.scene.moment(self.process).await;
        bill
    }
}
