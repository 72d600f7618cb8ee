//! One life, decided by the rules alone: link, earn, withdraw, assess, begin, report, reconcile,
//! audit. Every step is done twice where the world may do it twice.

use lingqian_core::command::Command;
use lingqian_core::earning::EarningEvent;
use lingqian_core::id::{OutBillNo, PayoutId, Reference};
use lingqian_core::ledger::Account;
use lingqian_core::link::{Identity, Page, StateDigest};
use lingqian_core::money::{Fen, Micros};
use lingqian_core::payout::{Asked, Queue};
use lingqian_core::reconcile::{Bill, BillLine, Direction, Match};
use lingqian_core::risk::Policy;
use lingqian_core::time::Timestamp;
use lingqian_core::transfer::{Claims, Evidence, Finding, Origin, TransferOrder, TransferReport};
use lingqian_core::user::Sealed;
use lingqian_core::withdrawal::{Wanted, Withdrawal};
use lingqian_core::{Changes, Keys, Moment, Outcome, Rejection, execute};

use super::given::{
    DAY_MS, MERCHANT, NOON, app, audit, event_id, key, kind, mchid, merchant, openid, payout_id,
    source, user_id,
};
use crate::store::{Claim, Committed};
use crate::{Browse, Store};

/// Takes a store with empty books through two users' payouts, of which one is paid and one
/// expires, to a reconciled day.
///
/// # Panics
/// When anything comes out differently from what the rules and the store promise.
pub async fn whole_flow<S: Store + Browse>(store: &S) {
    open_and_link(store).await;
    earn(store).await;
    let (paid, expired) = (payout_id(1), payout_id(2));
    withdraw(store, paid, 1).await;
    withdraw(store, expired, 2).await;
    assess_and_begin(store, &[paid, expired]).await;
    report(store, paid, Finding::Paid).await;
    report(store, expired, Finding::Expired).await;
    bill(store, paid, expired).await;
    end(store).await;
}

/// Decides on commands in one batch, as a desk does.
async fn submit<S: Store>(
    store: &S,
    now: Timestamp,
    commands: &[Command],
) -> Vec<Result<Outcome, Rejection>> {
    let policy = Policy::default();
    let moment = Moment {
        now,
        policy: &policy,
    };
    let keys = Keys::of(commands.iter(), now);
    let mut facts = store.prefetch(keys).await.expect("a prefetch is answered");
    let (mut all, mut answers) = (Changes::default(), Vec::new());
    for command in commands {
        let answer = execute(&moment, command, &facts).map(|(changes, outcome)| {
            facts.apply(&changes);
            all.append(changes);
            outcome
        });
        answers.push(answer);
    }
    let committed = store.commit(facts.basis, all).await;
    assert_eq!(committed, Ok(Committed::Done), "{commands:?}");
    answers
}

/// One command that is not refused.
async fn done<S: Store>(store: &S, now: Timestamp, command: Command) -> Outcome {
    let answers = submit(store, now, std::slice::from_ref(&command)).await;
    match answers.into_iter().next() {
        Some(Ok(outcome)) => outcome,
        other => panic!("{command:?} was answered {other:?}"),
    }
}

async fn open_and_link<S: Store + Browse>(store: &S) {
    let mut commands = vec![
        Command::DefineKind(kind()),
        Command::DefineMerchant(merchant()),
    ];
    for no in [1, 2] {
        let state = StateDigest([u8::try_from(no).expect("small"); 32]);
        let user = user_id(no);
        let identity = Identity {
            openid: openid(no),
            unionid: None,
            scope: "snsapi_base".into(),
            snapshot: false,
            tokens: Some(Sealed(vec![1, 2, 3])),
        };
        commands.extend([
            Command::RegisterUser {
                user: user.clone(),
                name: None,
            },
            Command::StartLink {
                user,
                app: None,
                page: Page::default(),
                state,
            },
        ]);
        // The next commands need the state to be stored: a redirect lies in between.
        let answers = submit(store, NOON, &commands).await;
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        commands.clear();
        let redeemed = done(store, NOON, Command::RedeemState { state }).await;
        assert_eq!(
            redeemed,
            Outcome::StateRedeemed {
                user: user_id(no),
                app: app()
            }
        );
        let again = submit(store, NOON, &[Command::RedeemState { state }]).await;
        assert_eq!(again, [Err(Rejection::StateUsed)]);
        done(store, NOON, Command::CompleteLink { state, identity }).await;
    }
    audit(store, &[], "linked").await;
}

async fn earn<S: Store + Browse>(store: &S) {
    let event = |no: i64, event: &str, amount| {
        Command::Earn(EarningEvent {
            source: source(),
            event_id: event_id(event),
            user: user_id(no),
            kind: kind().code,
            amount: Some(Micros(amount)),
            occurred_at: None,
            from: None,
            reverses: None,
        })
    };
    let events = [
        event(1, "e1", 9_000_000),
        event(2, "e2", 5_000_000),
        event(1, "e3", 1_000_001),
        event(1, "e1", 9_000_000),
        event(1, "e2", 5_000_000),
    ];
    let credited = |amount| {
        Ok(Outcome::Credited {
            amount: Micros(amount),
        })
    };
    let answers = submit(store, NOON, &events).await;
    let expected = [
        credited(9_000_000),
        credited(5_000_000),
        credited(1_000_001),
        Ok(Outcome::AlreadyCredited),
        Err(Rejection::EventConflict),
    ];
    assert_eq!(answers, expected);
    let again = submit(store, NOON, &events[..3]).await;
    assert_eq!(again, vec![Ok(Outcome::AlreadyCredited); 3]);
    assert_eq!(audit(store, &[], "earned").await.earnings, 3);
}

/// Asks for ¥5, then again with the same key.
async fn withdraw<S: Store + Browse>(store: &S, payout: PayoutId, no: i64) {
    let request = |payout| {
        Command::Withdraw(Box::new(Withdrawal {
            payout,
            user: user_id(no),
            wanted: Wanted::Exactly(Fen(500)),
            reference: Reference::parse(&format!("w-{no}")).expect("an id"),
            asked: Asked::ByRequest,
            key: Some((key(&format!("key-{no}")), [7; 32])),
        }))
    };
    let answer = |replayed| Outcome::Withdrawn {
        payout,
        amount: Fen(500),
        created_at: NOON,
        replayed,
    };
    assert_eq!(done(store, NOON, request(payout)).await, answer(false));
    let later = NOON.after_ms(5);
    let other = payout_id(100 + no);
    assert_eq!(done(store, later, request(other)).await, answer(true));
    audit(store, &[], "withdrawn").await;
}

async fn claim<S: Store>(store: &S, queue: Queue, now: Timestamp) -> Vec<PayoutId> {
    let claim = Claim {
        queue,
        now,
        lease_until: now.after_ms(60_000),
        limit: 10,
    };
    store.claim(claim).await.expect("a claim")
}

async fn assess_and_begin<S: Store + Browse>(store: &S, payouts: &[PayoutId]) {
    let due = claim(store, Queue::Assess, NOON).await;
    assert_eq!(due, payouts);
    let commands: Vec<Command> = due.into_iter().map(Command::Assess).collect();
    let answers = submit(store, NOON, &commands).await;
    assert_eq!(answers, vec![Ok(Outcome::Assessed { passed: true }); 2]);
    let due = claim(store, Queue::Send, NOON).await;
    assert_eq!(due, payouts);
    for payout in due {
        let begun = done(store, NOON, Command::BeginTransfer(payout)).await;
        let Outcome::Begun(order) = begun else {
            panic!("a first send was answered {begun:?}");
        };
        let TransferOrder { number, amount, .. } = *order;
        assert_eq!((number, amount), (OutBillNo::new(payout, 1), Fen(500)));
    }
    audit(store, &[], "begun").await;
}

/// No answer to the send, then an end that is told twice, then the opposite.
async fn report<S: Store + Browse>(store: &S, payout: PayoutId, end: Finding) {
    let report = |finding, origin| {
        Command::ReportTransfer(Box::new(TransferReport {
            number: OutBillNo::new(payout, 1),
            origin,
            finding,
            bill_no: Some(format!("13300000711{payout}")),
            at: Some(NOON.after_ms(2_000)),
            claims: Claims::default(),
            evidence: Evidence::default(),
        }))
    };
    let lost = Finding::Unknown {
        code: "timeout".into(),
    };
    let after = async |command| {
        let outcome = done(store, NOON.after_ms(3_000), command).await;
        audit(store, &[], "a report").await;
        match outcome {
            Outcome::Payout { state, moved } => (state, moved),
            other => panic!("a report was answered {other:?}"),
        }
    };
    let unknown = after(report(lost, Origin::Answer)).await;
    assert_eq!(unknown, ("unknown", true));
    let (name, opposite) = match end {
        Finding::Paid => ("paid", Finding::Expired),
        _ => ("expired", Finding::Paid),
    };
    let ended = after(report(end.clone(), Origin::Notification)).await;
    assert_eq!(ended, (name, true));
    for finding in [end, opposite] {
        let again = after(report(finding, Origin::Query)).await;
        assert_eq!(again, (name, false));
    }
    let story = store.payout(payout).await.expect("a look");
    let history = story.expect("a payout").history;
    let events: Vec<&str> = history.iter().map(|line| line.event).collect();
    let expected = [
        "held",
        "assessed",
        "begun",
        "answer",
        "notification",
        "contradiction",
    ];
    assert_eq!(events, expected);
}

/// The day's bill: a top-up, both transfers going out, one coming back.
async fn bill<S: Store + Browse>(store: &S, paid: PayoutId, expired: PayoutId) {
    let date = NOON.business_date();
    let morning = NOON.after_ms(DAY_MS);
    let line = |no: i64, direction, voucher: String, amount, balance| BillLine {
        flow_no: format!("flow-{no}"),
        booked_at: NOON,
        business_no: format!("business-{no}"),
        voucher,
        direction,
        amount: Fen(amount),
        balance: Fen(balance),
        words: "商家转账".into(),
    };
    let number = |payout| OutBillNo::new(payout, 1).to_string();
    let (o, i) = (Direction::Out, Direction::In);
    let lines = [
        line(1, i, "top-up".into(), 100_000, 100_000),
        line(2, o, number(paid), 500, 99_500),
        line(3, o, number(expired), 500, 99_000),
        line(4, i, number(expired), 500, 99_500),
    ];
    let commands = lines.map(|line| Command::RecordBillLine {
        mchid: mchid(),
        date,
        line,
    });
    let booked = [
        Match::TopUp,
        Match::Payout(paid),
        Match::Payout(expired),
        Match::Returned(expired),
    ];
    let booked = booked.map(|matched| Ok(Outcome::LineBooked { matched }));
    assert_eq!(submit(store, morning, &commands).await, booked);
    let known = submit(store, morning, &commands).await;
    assert_eq!(known, vec![Ok(Outcome::LineKnown); 4]);
    let ended = store.paid_on((MERCHANT, date), None, 10).await;
    assert_eq!(ended, Ok(vec![paid]));
    let check = Command::CheckEnded {
        mchid: mchid(),
        payout: paid,
        date,
    };
    let checked = done(store, morning, check).await;
    assert_eq!(checked, Outcome::Checked { open: false });
    let bill = Bill {
        merchant: MERCHANT,
        date,
        sha1: "0000000000000000000000000000000000000001".into(),
        lines: 4,
        out: Fen(1_000),
        came_in: Fen(100_500),
        opening: Fen::ZERO,
        closing: Fen(99_500),
        fetched_at: morning,
    };
    let close = Command::CloseBill {
        mchid: mchid(),
        bill: bill.clone(),
    };
    done(store, morning, close).await;
    let (bills, breaks) = store.reconciled().await.expect("a look");
    assert_eq!(bills, [bill]);
    let open: Vec<_> = breaks.iter().filter(|b| b.closed_at.is_none()).collect();
    assert!(open.is_empty(), "{open:?}");
}

async fn end<S: Store + Browse>(store: &S) {
    let day = NOON.business_date();
    for (no, available, counted) in [(1, 5_000_001, 1), (2, 5_000_000, 0)] {
        let wallet = store.user(&user_id(no), day).await;
        let wallet = wallet.expect("a look").expect("a user");
        assert_eq!(
            (wallet.available, wallet.held),
            (Micros(available), Micros(0))
        );
        assert_eq!(wallet.day(day).count, counted);
    }
    let summary = store.summary().await.expect("a summary");
    assert!(summary.waiting.is_empty(), "nothing waits");
    let clearing = (Account::Clearing(MERCHANT), Micros::ZERO);
    assert!(
        summary.accounts.contains(&clearing),
        "what was paid was seen on the bill: {:?}",
        summary.accounts
    );
    let audited = audit(store, &[], "the whole flow").await;
    assert_eq!((audited.payouts, audited.bills), (2, 1));
}
