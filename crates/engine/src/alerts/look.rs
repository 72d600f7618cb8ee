//! What operators should know, as the books are now. It costs little: counts say first whether
//! there is anything to look at.

use std::collections::BTreeMap;

use lingqian_core::control::StopCause;
use lingqian_core::id::PayoutId;
use lingqian_core::time::{BusinessDate, DAY_MS, Timestamp};
use lingqian_io::alerts::AlertKey;
use lingqian_io::links::LinkFilter;
use lingqian_io::store::{LetterWish, PayoutFilter, PayoutRow, Standing};
use lingqian_io::{Browse, Clock, Fault, Links, Outbox, Ports};

use crate::alerts::Rules;
use crate::cases::payouts_of;
use crate::float::Float;

/// So many alerts of one kind are told one by one; of the others it is told that there are more.
const EACH_MAX: usize = 100;
/// So many letters are looked at.
const LETTERS: u32 = 1_000;
/// So many pages of payouts are read.
const PAGES_MAX: u32 = 20;
/// A payout that was passed so long ago and is not sent is told.
const WAITED_MS: i64 = 3_600_000;
/// A day's bill is missed when the day was over for so long.
const BILL_LATE_MS: i64 = DAY_MS;

/// What sort of thing, the gravest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The engine stopped something because the books or WeChat's word contradict themselves.
    Contradiction,
    /// A merchant's account at WeChat is empty.
    FloatEmpty,
    /// Nobody knows what became of a payout, and its number may not be sent again.
    InDoubt,
    /// Bill and books differ.
    Break,
    /// A payout that is under way does not come to an end.
    PayoutStuck,
    /// The money at WeChat does not last for long.
    FloatLow,
    /// Payouts were passed and are not sent.
    PayoutWaiting,
    /// No bill of a day was closed.
    BillLate,
    /// Something came in that could not be credited.
    DeadLetters,
    /// An endpoint of webhooks does not take its messages.
    WebhookFailing,
    /// Risk wants people to look.
    Review,
    /// Wallets are linked to several users.
    SharedWallet,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 12] = [
        Kind::Contradiction,
        Kind::FloatEmpty,
        Kind::InDoubt,
        Kind::Break,
        Kind::PayoutStuck,
        Kind::FloatLow,
        Kind::PayoutWaiting,
        Kind::BillLate,
        Kind::DeadLetters,
        Kind::WebhookFailing,
        Kind::Review,
        Kind::SharedWallet,
    ];

    /// The stable name, which is also the heading in the runbook.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::Contradiction => "contradiction",
            Kind::FloatEmpty => "float_empty",
            Kind::InDoubt => "in_doubt",
            Kind::Break => "break",
            Kind::PayoutStuck => "payout_stuck",
            Kind::FloatLow => "float_low",
            Kind::PayoutWaiting => "payout_waiting",
            Kind::BillLate => "bill_late",
            Kind::DeadLetters => "dead_letters",
            Kind::WebhookFailing => "webhook_failing",
            Kind::Review => "review",
            Kind::SharedWallet => "shared_wallet",
        }
    }

    /// The kind of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// What it is, in Chinese.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Kind::Contradiction => "账目或微信应答自相矛盾,已停止付款",
            Kind::FloatEmpty => "商户余额不足",
            Kind::InDoubt => "付款结果未知,须人工处理",
            Kind::Break => "账单与账本不符",
            Kind::PayoutStuck => "付款迟迟没有结果",
            Kind::FloatLow => "商户余额即将用尽",
            Kind::PayoutWaiting => "已通过的付款迟迟未发出",
            Kind::BillLate => "对账单迟迟未关闭",
            Kind::DeadLetters => "有收入事件未能入账",
            Kind::WebhookFailing => "推送地址不可用",
            Kind::Review => "有付款等待人工审核",
            Kind::SharedWallet => "同一微信被多个用户绑定",
        }
    }

    /// Whether money may be at stake, or nothing is paid.
    #[must_use]
    pub fn is_grave(self) -> bool {
        self <= Kind::Break
    }
}

/// Something that operators should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// What sort of thing.
    pub kind: Kind,
    /// Which one.
    pub subject: String,
    /// Since when.
    pub since: Timestamp,
    /// More, in words that do not change by themselves.
    pub words: String,
}

impl Condition {
    fn new(kind: Kind, subject: impl ToString, since: Timestamp, words: String) -> Condition {
        Condition {
            kind,
            subject: subject.to_string(),
            since,
            words,
        }
    }

    /// What it is known by.
    #[must_use]
    pub fn key(&self) -> AlertKey {
        AlertKey {
            kind: self.kind.name().to_owned(),
            subject: self.subject.clone(),
        }
    }
}

/// Everything that operators should know now.
///
/// # Errors
/// A fault when the books could not be read.
pub async fn look<P: Ports>(
    ports: &P,
    rules: &Rules,
    float: Option<&Float>,
) -> Result<Vec<Condition>, Fault> {
    let now = ports.clock().business();
    let mut found = Vec::new();
    stops(ports, &mut found).await?;
    let standing = ports.store().standing().await?;
    under_way(ports, rules, (&standing, now), &mut found).await?;
    waiting(ports, (&standing, now), &mut found).await?;
    bills(ports, now, &mut found).await?;
    letters(ports, &mut found).await?;
    endpoints(ports, &mut found).await?;
    shared(ports, &mut found).await?;
    for merchant in float.iter().flat_map(|float| &float.merchants) {
        if merchant.lasts_ms().is_some_and(|ms| ms < rules.float_ms) {
            let hours = rules.float_ms / 3_600_000;
            let words = format!("what lies at WeChat lasts for less than {hours} hours");
            let subject = format!("merchant:{}", merchant.mchid);
            found.push(Condition::new(Kind::FloatLow, subject, now, words));
        }
    }
    Ok(at_most(found, now))
}

/// Of more than can be told one by one the oldest are, and that there are more.
fn at_most(mut found: Vec<Condition>, now: Timestamp) -> Vec<Condition> {
    found.sort_by(|a, b| (a.kind, a.since, &a.subject).cmp(&(b.kind, b.since, &b.subject)));
    let mut each: BTreeMap<Kind, usize> = BTreeMap::new();
    found.retain(|condition| {
        let count = each.entry(condition.kind).or_default();
        *count += 1;
        *count <= EACH_MAX
    });
    let more = each.into_iter().filter(|(_, count)| *count > EACH_MAX);
    found.extend(more.map(|(kind, _)| {
        let words = format!("there are more than {EACH_MAX}; `lingqian cases` lists them");
        Condition::new(kind, "more", now, words)
    }));
    found
}

async fn stops<P: Ports>(ports: &P, found: &mut Vec<Condition>) -> Result<(), Fault> {
    for stop in ports.store().stops().await? {
        let kind = match stop.cause {
            StopCause::Person => continue,
            StopCause::Float => Kind::FloatEmpty,
            StopCause::Audit => Kind::Contradiction,
        };
        let words = stop.act.reason;
        found.push(Condition::new(kind, stop.scope, stop.since, words));
    }
    Ok(())
}

fn count(standing: &Standing, state: &str) -> u64 {
    let known = standing.payouts.iter().find(|(name, ..)| name == state);
    known.map_or(0, |(_, count, _)| *count)
}

/// Payouts that were sent and do not come to an end.
async fn under_way<P: Ports>(
    ports: &P,
    rules: &Rules,
    (standing, now): (&Standing, Timestamp),
    found: &mut Vec<Condition>,
) -> Result<(), Fault> {
    for state in ["sending", "deferred", "unknown", "processing", "cancelling"] {
        if count(standing, state) == 0 {
            continue;
        }
        // Younger ones cannot be stuck.
        let mut before = Some(PayoutId::new(now.after_ms(-rules.stuck_ms), 0));
        for _ in 0..PAGES_MAX {
            let (rows, next) = payouts_of(ports, state, before).await?;
            found.extend(rows.iter().filter_map(|row| stuck(row, rules, now)));
            if next.is_none() {
                break;
            }
            before = next;
        }
    }
    Ok(())
}

fn stuck(row: &PayoutRow, rules: &Rules, now: Timestamp) -> Option<Condition> {
    let attempt = row.payout.state.attempt()?;
    let (since, state) = (attempt.first_sent_at, row.payout.state.name());
    if now.since_ms(since) < rules.stuck_ms {
        return None;
    }
    let (kind, amount) = match (state, attempt.may_go_again(now)) {
        ("unknown", false) => (Kind::InDoubt, row.payout.amount),
        _ => (Kind::PayoutStuck, row.payout.amount),
    };
    let words = format!("{amount} as {} is {state}", attempt.number());
    Some(Condition::new(kind, row.payout.id, since, words))
}

/// Payouts that wait before anything is sent.
async fn waiting<P: Ports>(
    ports: &P,
    (standing, now): (&Standing, Timestamp),
    found: &mut Vec<Condition>,
) -> Result<(), Fault> {
    if count(standing, "review") > 0 {
        let words = "payouts wait for a person: `lingqian cases`".to_owned();
        found.push(Condition::new(Kind::Review, "all", now, words));
    }
    if count(standing, "approved") > 0 {
        let filter = PayoutFilter {
            state: Some("approved".to_owned()),
            before: Some(PayoutId::new(now.after_ms(-WAITED_MS), 0)),
            limit: 1,
            ..PayoutFilter::default()
        };
        let rows = ports.store().payouts(filter).await?;
        found.extend(rows.first().map(|row| {
            let words = "passed an hour ago and not sent: `lingqian stops`, `lingqian cases`";
            let since = row.payout.created_at;
            Condition::new(Kind::PayoutWaiting, "all", since, words.to_owned())
        }));
    }
    Ok(())
}

/// Breaks, and days whose bills nobody closed.
async fn bills<P: Ports>(
    ports: &P,
    now: Timestamp,
    found: &mut Vec<Condition>,
) -> Result<(), Fault> {
    let (bills, breaks) = ports.store().reconciled().await?;
    let open = breaks.into_iter().filter(|one| one.closed_at.is_none());
    found.extend(open.map(|one| {
        let (code, date, difference) = (one.kind.code(), one.date, one.difference);
        let words = format!("{code} on the bill of {date}: {difference}");
        Condition::new(Kind::Break, one.subject, one.opened_at, words)
    }));
    for merchant in ports.store().merchants().await? {
        let own = bills.iter().filter(|bill| bill.merchant == merchant.no);
        let Some(last) = own.map(|bill| bill.date).max() else {
            continue;
        };
        let missing = last.next();
        let over = BusinessDate(missing.0.saturating_add(1)).start();
        if merchant.weight > 0 && now.since_ms(over) >= BILL_LATE_MS {
            let words = format!("no bill after the one of {last} was closed");
            let subject = format!("merchant:{}", merchant.mchid);
            found.push(Condition::new(Kind::BillLate, subject, over, words));
        }
    }
    Ok(())
}

/// What could not be credited and nobody looked at, by code.
async fn letters<P: Ports>(ports: &P, found: &mut Vec<Condition>) -> Result<(), Fault> {
    let wish = LetterWish {
        all: false,
        limit: LETTERS,
    };
    let mut codes: BTreeMap<String, Timestamp> = BTreeMap::new();
    for row in ports.store().letters(wish).await? {
        let since = codes.entry(row.letter.code).or_insert(row.letter.at);
        *since = row.letter.at.min(*since);
    }
    found.extend(codes.into_iter().map(|(code, since)| {
        let words = "inputs were not credited: `lingqian letters list`".to_owned();
        Condition::new(Kind::DeadLetters, code, since, words)
    }));
    Ok(())
}

/// Endpoints that were turned off by an answer, gave messages up, or fail again and again.
async fn endpoints<P: Ports>(ports: &P, found: &mut Vec<Condition>) -> Result<(), Fault> {
    for (endpoint, health) in ports.store().endpoints().await? {
        let code = health.failed_with.as_deref().unwrap_or("none");
        let failing = health.failures >= 8 || health.given_up > 0;
        let gone = endpoint
            .off
            .as_ref()
            .is_some_and(|(_, why)| why == "http_410");
        if !(failing && endpoint.off.is_none() || gone) {
            continue;
        }
        let since = endpoint.off.as_ref().map(|(since, _)| *since);
        let since = since.or(health.delivered_at).or(health.failed_at);
        let words = format!("last failure {code}: `lingqian webhooks list`");
        let since = since.unwrap_or(endpoint.created_at);
        found.push(Condition::new(
            Kind::WebhookFailing,
            endpoint.id,
            since,
            words,
        ));
    }
    Ok(())
}

async fn shared<P: Ports>(ports: &P, found: &mut Vec<Condition>) -> Result<(), Fault> {
    let filter = LinkFilter {
        flagged: true,
        limit: 1,
        ..LinkFilter::default()
    };
    let rows = ports.store().links(filter).await?;
    found.extend(rows.first().map(|row| {
        let words = "wallets of several users: `lingqian cases`".to_owned();
        Condition::new(Kind::SharedWallet, "all", row.link.linked_at, words)
    }));
    Ok(())
}
