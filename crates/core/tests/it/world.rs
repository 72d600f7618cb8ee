//! A small world to decide in: facts that grow, a journal beside them, and short words for what
//! people do. It knows nothing of stores; the audit compares its journal with the facts.

use std::collections::BTreeMap;

use lingqian_core::audit::{Audit, Finding as Wrong};
use lingqian_core::changes::{HistoryLine, Work};
use lingqian_core::command::{Command, IdempotencyKey};
use lingqian_core::control::Deed;
use lingqian_core::earning::{EarningEvent, Kind, Terms};
use lingqian_core::id::{
    AppId, EventId, KindCode, KindNo, MchId, MerchantNo, OpenId, OutBillNo, PayoutId, Reference,
    Source, UserId,
};
use lingqian_core::ledger::{Account, Entry};
use lingqian_core::link::{Identity, Page, StateDigest};
use lingqian_core::money::{Fen, Micros};
use lingqian_core::payout::{Asked, Payout, State};
use lingqian_core::reconcile::{Bill, BillLine, Direction};
use lingqian_core::risk::Policy;
use lingqian_core::time::{BusinessDate, Timestamp};
use lingqian_core::transfer::{Claims, Evidence, Finding, Merchant, Origin, TransferReport};
use lingqian_core::user::Sealed;
use lingqian_core::withdrawal::{Wanted, Withdrawal};
use lingqian_core::{Changes, Facts, Keys, Moment, Outcome, Rejection, execute};

/// 2026-03-02, noon in Beijing.
pub(crate) const NOON: Timestamp = Timestamp(1_772_424_000_000);
/// A whole day.
pub(crate) const DAY_MS: i64 = 86_400_000;
/// What came of a command.
pub(crate) type Answer = Result<Outcome, Rejection>;

/// Everything that was decided so far.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) now: Timestamp,
    pub(crate) policy: Policy,
    pub(crate) facts: Facts,
    pub(crate) journal: Vec<Entry>,
    pub(crate) history: Vec<HistoryLine>,
    pub(crate) work: BTreeMap<PayoutId, Work>,
    pub(crate) bills: Vec<Bill>,
    /// What lines of a day's bill moved: out less in.
    pub(crate) bill_days: BTreeMap<(MerchantNo, BusinessDate), i128>,
    pub(crate) deeds: Vec<Deed>,
    /// What the last command changed.
    pub(crate) last: Changes,
}

pub(crate) fn user(name: &str) -> UserId {
    UserId::parse(name).expect("an id")
}

pub(crate) fn openid(name: &str) -> OpenId {
    OpenId::parse(name).expect("an id")
}

pub(crate) fn mchid() -> MchId {
    MchId::parse("1900000109").expect("an id")
}

pub(crate) fn po(no: i64) -> PayoutId {
    PayoutId::new(NOON.after_ms(no), 0)
}

pub(crate) fn number(no: i64) -> OutBillNo {
    OutBillNo::new(po(no), 1)
}

pub(crate) fn merchant() -> Merchant {
    Merchant {
        no: MerchantNo(1),
        mchid: mchid(),
        apps: vec![AppId::parse("wx8888888888888888").expect("an id")],
        scene: "1000".into(),
        scene_report: vec![("岗位类型".into(), "看广告".into())],
        remark: "零钱".into(),
        weight: 1,
        day_quota: None,
    }
}

pub(crate) fn kind(no: i64, code: &str, price: Option<i64>) -> Kind {
    Kind {
        no: KindNo(no),
        code: KindCode::parse(code).expect("an id"),
        price: price.map(Micros),
        amount_max: Micros(10_000_000_000),
        tax_class: "incidental".into(),
        terms: Terms::default(),
    }
}

pub(crate) fn identity(person: &str) -> Identity {
    Identity {
        openid: openid(person),
        unionid: None,
        scope: "snsapi_base".into(),
        snapshot: false,
        tokens: Some(Sealed(vec![1])),
    }
}

/// An event of user alice and kind `sale`, which has no price.
pub(crate) fn event(id: &str, micros: i64) -> EarningEvent {
    EarningEvent {
        source: Source::parse("game").expect("an id"),
        event_id: EventId::parse(id).expect("an id"),
        user: user("alice"),
        kind: KindCode::parse("sale").expect("an id"),
        amount: Some(Micros(micros)),
        occurred_at: None,
        from: None,
        reverses: None,
    }
}

/// Alice wants payout number `no` of so many fen.
pub(crate) fn request(no: i64, fen: i64) -> Withdrawal {
    Withdrawal {
        payout: po(no),
        user: user("alice"),
        wanted: Wanted::Exactly(Fen(fen)),
        reference: Reference::parse(&format!("w{no}")).expect("an id"),
        asked: Asked::ByRequest,
        key: None,
    }
}

pub(crate) fn key(name: &str) -> IdempotencyKey {
    IdempotencyKey {
        scope: "withdrawals".into(),
        key: name.into(),
    }
}

pub(crate) fn report(no: i64, origin: Origin, finding: Finding) -> TransferReport {
    TransferReport {
        number: number(no),
        origin,
        finding,
        bill_no: None,
        at: None,
        claims: Claims::default(),
        evidence: Evidence::default(),
    }
}

pub(crate) fn unknown() -> Finding {
    Finding::Unknown {
        code: "timeout".into(),
    }
}

/// A line about our payout of that number.
pub(crate) fn line(flow_no: &str, no: i64, direction: Direction, fen: i64) -> BillLine {
    BillLine {
        flow_no: flow_no.into(),
        booked_at: NOON,
        business_no: "b".into(),
        voucher: number(no).to_string(),
        direction,
        amount: Fen(fen),
        balance: Fen::ZERO,
        words: String::new(),
    }
}

impl World {
    /// Nothing at all, at noon.
    pub(crate) fn empty() -> World {
        World {
            now: NOON,
            policy: Policy::default(),
            facts: Facts {
                next_user: 1,
                ..Facts::default()
            },
            journal: Vec::new(),
            history: Vec::new(),
            work: BTreeMap::new(),
            bills: Vec::new(),
            bill_days: BTreeMap::new(),
            deeds: Vec::new(),
            last: Changes::default(),
        }
    }

    /// A merchant, the kinds `sale` (any amount) and `ad` (¥0.01), alice and bob, alice linked
    /// and with a balance of so many micro-yuan.
    pub(crate) fn with_balance(micros: i64) -> World {
        let mut world = World::empty();
        world.must(Command::DefineMerchant(merchant()));
        world.must(Command::DefineKind(kind(1, "sale", None)));
        world.must(Command::DefineKind(kind(2, "ad", Some(10_000))));
        for name in ["alice", "bob"] {
            let (user, name) = (user(name), None);
            world.must(Command::RegisterUser { user, name });
        }
        world.link("alice", 1, "openid-alice");
        if micros > 0 {
            world.must(Command::Earn(event("opening", micros)));
        }
        world
    }

    /// Decides, and lives with it. What a command asks for and nobody wrote is absent.
    pub(crate) fn run(&mut self, command: Command) -> Answer {
        let keys = Keys::of([&command].into_iter(), self.now);
        if self.facts.day != keys.day {
            self.facts.day = keys.day;
            self.facts.merchant_days.clear();
        }
        self.add_absences(keys);
        let moment = Moment {
            now: self.now,
            policy: &self.policy,
        };
        let before = self.facts.clone();
        self.last = Changes::default();
        let (changes, outcome) = execute(&moment, &command, &self.facts)?;
        self.facts.apply(&changes);
        self.journal.extend(changes.all_entries().cloned());
        self.history.extend(changes.history.iter().cloned());
        for (payout, work) in &changes.payouts {
            let known = before.payouts.get(&payout.id).and_then(Option::as_ref);
            check_step(known, payout);
            check_told(known, payout, &changes);
            if payout.state.is_final() {
                self.work.remove(&payout.id);
            }
            self.work.extend(work.map(|work| (payout.id, work)));
        }
        for (booked, _) in &changes.bill_lines {
            let amount = i128::from(booked.line.amount.0);
            let moved = self.bill_days.entry((booked.merchant, booked.date));
            *moved.or_default() += match booked.line.direction {
                Direction::Out => amount,
                Direction::In => -amount,
            };
        }
        for bill in &changes.bills {
            self.bills.retain(|known| known.date != bill.date);
            self.bills.push(bill.clone());
        }
        self.deeds.extend(changes.deeds.iter().cloned());
        self.last = changes;
        Ok(outcome)
    }

    fn add_absences(&mut self, keys: Keys) {
        let facts = &mut self.facts;
        for id in keys.users.into_iter().chain(keys.wallets) {
            facts.users.entry(id).or_insert(None);
        }
        for key in keys.earnings {
            facts.earnings.entry(key).or_insert(None);
        }
        for state in keys.link_states {
            facts.link_states.entry(state).or_insert(None);
        }
        for openid in keys.openids {
            facts.holders.entry(openid).or_default();
        }
        for reference in keys.references {
            facts.references.entry(reference).or_insert(false);
        }
        for key in keys.idempotency {
            facts.answers.entry(key).or_insert(None);
        }
        for payout in keys.payouts {
            facts.payouts.entry(payout).or_insert(None);
        }
        for line in keys.bill_lines {
            facts.bill_lines.entry(line).or_insert(false);
        }
    }

    /// A command that is not refused.
    pub(crate) fn must(&mut self, command: Command) -> Outcome {
        let text = format!("{command:?}");
        match self.run(command) {
            Ok(outcome) => outcome,
            Err(rejection) => panic!("{text} was refused: {rejection}"),
        }
    }

    /// Links a wallet, from the start.
    pub(crate) fn link(&mut self, name: &str, state: u8, person: &str) {
        let state = StateDigest([state; 32]);
        let user = user(name);
        self.must(Command::StartLink {
            user,
            app: None,
            page: Page::default(),
            state,
        });
        self.must(Command::RedeemState { state });
        let identity = identity(person);
        self.must(Command::CompleteLink { state, identity });
    }

    /// Holds so many fen of alice's for payout `no`, and lets risk pass it.
    pub(crate) fn approve(&mut self, no: i64, fen: i64) {
        self.must(Command::Withdraw(Box::new(request(no, fen))));
        let passed = self.must(Command::Assess(po(no)));
        assert_eq!(passed, Outcome::Assessed { passed: true });
    }

    /// Approves and begins payout `no`.
    pub(crate) fn begin(&mut self, no: i64, fen: i64) {
        self.approve(no, fen);
        self.must(Command::BeginTransfer(po(no)));
    }

    /// WeChat says something; tells the state's name and whether it moved.
    pub(crate) fn hear(
        &mut self,
        no: i64,
        origin: Origin,
        finding: Finding,
    ) -> (&'static str, bool) {
        let command = Command::ReportTransfer(Box::new(report(no, origin, finding)));
        match self.must(command) {
            Outcome::Payout { state, moved } => (state, moved),
            other => panic!("a report was answered {other:?}"),
        }
    }

    /// Books a line of today's bill.
    pub(crate) fn book(&mut self, line: BillLine) -> Outcome {
        self.must(Command::RecordBillLine {
            mchid: mchid(),
            date: NOON.business_date(),
            line,
        })
    }

    pub(crate) fn payout(&self, no: i64) -> &Payout {
        self.facts.payout(po(no)).expect("a payout")
    }

    /// Alice's available and held balances in micro-yuan.
    pub(crate) fn alice(&self) -> (i64, i64) {
        let user = self.facts.user(&user("alice")).expect("alice");
        let wallet = self.facts.wallet(user.no);
        (wallet.available.0, wallet.held.0)
    }

    /// Everything that the audit finds wrong.
    pub(crate) fn audit(&self) -> Vec<Wrong> {
        let mut audit = Audit::default();
        let mut sums: BTreeMap<Account, i64> = BTreeMap::new();
        for (seq, entry) in (1..).zip(&self.journal) {
            audit.entry(seq, entry);
            *sums.entry(entry.debit()).or_default() -= entry.amount().0;
            *sums.entry(entry.credit()).or_default() += entry.amount().0;
        }
        for wallet in self.facts.wallets.values() {
            let no = wallet.user.no;
            sums.insert(Account::Available(no), wallet.available.0);
            sums.insert(Account::Held(no), wallet.held.0);
            if wallet.owed > Micros::ZERO || sums.contains_key(&Account::Receivable(no)) {
                sums.insert(Account::Receivable(no), -wallet.owed.0);
            }
        }
        for (account, sum) in &sums {
            audit.account(*account, Micros(*sum));
        }
        audit.total(sums.values().map(|sum| i128::from(*sum)).sum());
        let earnings = || self.facts.earnings.values().flatten();
        let earned = earnings().map(|e| i128::from(e.amount.0)).sum();
        audit.earnings(earnings().count() as u64, earned);
        for payout in self.facts.payouts.values().flatten() {
            audit.payout(payout, u32::from(self.work.contains_key(&payout.id)));
        }
        for wallet in self.facts.wallets.values() {
            for (day, totals) in &wallet.days {
                audit.day(wallet.user.no, *day, *totals);
            }
        }
        let mut states: BTreeMap<&str, (u64, i64)> = BTreeMap::new();
        for payout in self.facts.payouts.values().flatten() {
            let total = states.entry(payout.state.name()).or_default();
            *total = (total.0 + 1, total.1 + payout.amount.0);
        }
        for (state, total) in states {
            audit.state_total(state, total);
        }
        for (day, out) in &self.bill_days {
            audit.bill_day(*day, *out);
        }
        self.bills.iter().for_each(|bill| audit.bill(bill));
        audit.finish()
    }

    /// Nothing is wrong.
    pub(crate) fn is_sound(&self) {
        let wrong = self.audit();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}

/// What holds for every single change of a payout, whatever was decided.
fn check_step(before: Option<&Payout>, after: &Payout) {
    let Some(before) = before else {
        assert_eq!(after.version, 1, "a life begins at 1");
        return;
    };
    if after == before {
        // It only waits longer, or for something else.
        return;
    }
    assert_eq!(after.version, before.version + 1, "every change counts");
    if before.state.is_final() {
        assert_eq!(after.state, before.state, "final is final");
    }
    if after.tries > before.tries {
        assert_eq!(after.tries, before.tries + 1, "one attempt ends at a time");
        assert_eq!(after.state, State::Approved, "a new attempt is to begin");
        return;
    }
    if let Some(attempt) = before.state.attempt() {
        let next = after.state.attempt().expect("an attempt is not forgotten");
        assert_eq!(next.order, attempt.order, "the order is sent unchanged");
        assert_eq!(next.first_sent_at, attempt.first_sent_at);
        assert!(next.doubt || !attempt.doubt, "doubt stays");
        assert!(next.bill_no.is_some() || attempt.bill_no.is_none());
    }
}

/// The outside hears of a change of the state once, with the row as it is now, and of nothing else.
fn check_told(before: Option<&Payout>, after: &Payout, changes: &Changes) {
    let id = after.id.to_string();
    let told = changes.notices.iter().filter(|notice| notice.subject == id);
    let told: Vec<_> = told
        .filter(|notice| notice.event.object() == "payout")
        .map(|notice| (notice.event.name().to_owned(), notice.version))
        .collect();
    let moved = before.is_some_and(|before| before.state.name() != after.state.name());
    let expected = moved.then(|| {
        (
            format!("payout.{}", after.state.name()),
            Some(after.version),
        )
    });
    assert_eq!(told, Vec::from_iter(expected), "{after:?}");
    for notice in &changes.notices {
        assert!(!notice.data.contains("openid"), "{notice:?}");
    }
}
