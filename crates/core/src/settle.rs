//! Turns what happened to a payout into changes: its new state, the entries that pay out or
//! release the hold, the day's totals, the history, and what it waits for next.
//!
//! Every way in ends in [`moved`], so money can leave the hold in one place only.

use crate::changes::{Changes, HistoryLine, Work};
use crate::command::{Outcome, Rejection};
use crate::execute::{Decision, Moment};
use crate::facts::Facts;
use crate::id::{OutBillNo, PayoutId};
use crate::ledger::{Account, Cause, Entry};
use crate::money::Fen;
use crate::payout::{self, Attempt, Effect, Money, Payout, State, Step};
use crate::reconcile;
use crate::risk::{self, Reason, Subject};
use crate::transfer::{Evidence, Merchant, NAME_FROM, Origin, TransferOrder, TransferReport};
use crate::user::DayTotals;

/// What the history says about a change.
struct Note {
    event: &'static str,
    code: Option<String>,
    evidence: Option<Evidence>,
}

impl Note {
    fn plain(event: &'static str) -> Note {
        Note {
            event,
            code: None,
            evidence: None,
        }
    }
}

/// Risk looks at a payout. One that passes counts towards the day's limits from this moment.
pub(crate) fn assess(moment: &Moment<'_>, payout: &Payout, facts: &Facts) -> Decision {
    if payout.state != State::Requested {
        return Err(Rejection::WrongState {
            state: payout.state.name(),
        });
    }
    let wallet = facts.wallet(payout.user);
    let day = moment.now.business_date();
    let today = wallet.day(day);
    let reasons = risk::assess(
        moment.policy,
        &Subject {
            amount: payout.amount,
            linked: wallet.link.is_some(),
            frozen: wallet.user.frozen,
            named: wallet.user.name.is_some(),
            today,
        },
    );
    let passed = reasons.is_empty();
    let note = Note {
        code: codes(&reasons),
        ..Note::plain("assessed")
    };
    let mut payout = payout.clone();
    let mut counted = Vec::new();
    if passed {
        let amount = today
            .amount
            .plus(payout.amount)
            .expect("risk checked the sum");
        let count = today.count.checked_add(1).expect("risk checked the count");
        counted.push((payout.user, day, DayTotals { count, amount }));
        payout.counted_on = Some(day);
    }
    let mut changes = moved(
        moment,
        payout,
        payout::assessed(reasons, moment.now),
        note,
        facts,
    );
    changes.day_totals.extend(counted);
    Ok((changes, Outcome::Assessed { passed }))
}

/// Makes the order durable just before it is sent. What was decided at approval is asked again
/// before a first send: a wallet may have been unlinked or a user frozen since.
pub(crate) fn begin(moment: &Moment<'_>, payout: &Payout, facts: &Facts) -> Decision {
    let wrong = Rejection::WrongState {
        state: payout.state.name(),
    };
    if let Some(step) = payout::too_late(&payout.state, moment.now) {
        let note = Note {
            code: Some("resend_window_passed".into()),
            ..Note::plain("stopped")
        };
        return Ok(told(moved(moment, payout.clone(), step, note, facts)));
    }
    let order = match payout.state.attempt() {
        Some(attempt) => attempt.order.clone(),
        None => match first_order(payout, facts)? {
            Ok(order) => order,
            Err(reasons) if payout.state == State::Approved => {
                let note = Note {
                    code: codes(&reasons),
                    ..Note::plain("stopped")
                };
                let step = payout::assessed(reasons, moment.now);
                return Ok(told(moved(moment, payout.clone(), step, note, facts)));
            }
            Err(_) => return Err(wrong),
        },
    };
    let step = payout::begun(payout.state.clone(), order.clone(), moment.now).ok_or(wrong)?;
    let changes = moved(moment, payout.clone(), step, Note::plain("begun"), facts);
    Ok((changes, Outcome::Begun(Box::new(order))))
}

/// Somebody wants it stopped.
pub(crate) fn cancel(moment: &Moment<'_>, payout: &Payout, facts: &Facts) -> Decision {
    let step =
        payout::cancelled(payout.state.clone(), moment.now).ok_or(Rejection::WrongState {
            state: payout.state.name(),
        })?;
    Ok(told(moved(
        moment,
        payout.clone(),
        step,
        Note::plain("cancel_asked"),
        facts,
    )))
}

/// WeChat said something, by an answer, a notification or a query.
pub(crate) fn report(
    moment: &Moment<'_>,
    payout: &Payout,
    report: &TransferReport,
    facts: &Facts,
) -> Decision {
    let attempt = payout
        .state
        .attempt()
        .filter(|attempt| attempt.number() == report.number);
    check_claims(report, attempt.ok_or(Rejection::ForeignNumber)?)?;
    let state = payout.state.name();
    let note = Note {
        event: report.origin.name(),
        code: report.finding.code().map(str::to_owned),
        evidence: Some(report.evidence.clone()),
    };
    match payout::reported(&payout.state, report, moment.now) {
        Effect::Nothing => Ok((
            Changes::default(),
            Outcome::Payout {
                state,
                moved: false,
            },
        )),
        Effect::Contradicts => {
            let note = Note {
                event: "contradiction",
                ..note
            };
            let history = vec![line(moment, payout.id, state, note)];
            let changes = Changes {
                history,
                ..Changes::default()
            };
            Ok((
                changes,
                Outcome::Payout {
                    state,
                    moved: false,
                },
            ))
        }
        Effect::Moves(step) => {
            let news = step.state.name() != state || report.origin != Origin::Query;
            let mut changes = moved(moment, payout.clone(), *step, note, facts);
            if !news {
                // A question without news every few minutes would drown the story.
                changes.history.clear();
            }
            Ok(told(changes))
        }
    }
}

fn told(changes: Changes) -> (Changes, Outcome) {
    let state = changes
        .payouts
        .first()
        .map_or("", |(payout, _)| payout.state.name());
    (changes, Outcome::Payout { state, moved: true })
}

fn codes(reasons: &[Reason]) -> Option<String> {
    let codes: Vec<&str> = reasons.iter().map(|reason| reason.code()).collect();
    (!codes.is_empty()).then(|| codes.join(","))
}

/// The order of a first send, or why it must not be sent after all.
fn first_order(
    payout: &Payout,
    facts: &Facts,
) -> Result<Result<TransferOrder, Vec<Reason>>, Rejection> {
    let wallet = facts.wallet(payout.user);
    let by_no = |merchant: &&Merchant| merchant.no == payout.merchant;
    let merchant = facts
        .merchants
        .values()
        .find(by_no)
        .ok_or(Rejection::UnknownMerchant)?;
    let Some(link) = &wallet.link else {
        return Ok(Err(vec![Reason::NotLinked]));
    };
    if wallet.user.frozen {
        return Ok(Err(vec![Reason::Frozen]));
    }
    Ok(Ok(TransferOrder {
        number: OutBillNo::new(payout.id, 1),
        mchid: merchant.mchid.clone(),
        app: link.app.clone(),
        openid: link.openid.clone(),
        amount: payout.amount,
        scene: merchant.scene.clone(),
        scene_report: merchant.scene_report.clone(),
        remark: merchant.remark.clone(),
        name: wallet
            .user
            .name
            .clone()
            .filter(|_| payout.amount >= NAME_FROM),
    }))
}

/// A report that disagrees with what we sent is not about our transfer.
fn check_claims(report: &TransferReport, attempt: &Attempt) -> Result<(), Rejection> {
    let (claims, order) = (&report.claims, &attempt.order);
    let checks = [
        (
            "mchid",
            claims
                .mchid
                .as_deref()
                .is_none_or(|mchid| mchid == order.mchid.as_str()),
        ),
        (
            "appid",
            claims
                .app
                .as_deref()
                .is_none_or(|app| app == order.app.as_str()),
        ),
        (
            "openid",
            claims
                .openid
                .as_ref()
                .is_none_or(|openid| *openid == order.openid),
        ),
        (
            "transfer_amount",
            claims.amount.is_none_or(|amount| amount == order.amount),
        ),
    ];
    match checks.into_iter().find(|(_, agrees)| !agrees) {
        Some((field, _)) => Err(Rejection::ClaimMismatch { field }),
        None => Ok(()),
    }
}

/// The one place where a payout changes and held money moves.
fn moved(moment: &Moment<'_>, payout: Payout, step: Step, note: Note, facts: &Facts) -> Changes {
    assert!(!payout.state.is_final(), "a final payout never changes");
    assert_eq!(
        step.state.is_final(),
        step.money != Money::Stays,
        "an end moves the hold, once"
    );
    let (user, amount) = (
        payout.user,
        payout.amount.micros().expect("it was held before"),
    );
    let held = Account::Held(user);
    let move_to = match step.money {
        Money::Stays => None,
        Money::Settles => Some((Account::Clearing(payout.merchant), Cause::Settle)),
        Money::Returns => Some((Account::Available(user), Cause::Release)),
    };
    let entries = move_to.map(|(to, cause)| {
        Entry::new((held, to), amount, cause, Some(payout.id), moment.now)
            .expect("an amount that could be held can be moved")
    });
    let returns = step.money == Money::Returns;
    let uncounted = payout.counted_on.filter(|_| returns).map(|day| {
        let counted = facts.wallet(user).day(day);
        let totals = DayTotals {
            count: counted.count.saturating_sub(1),
            amount: counted
                .amount
                .minus(payout.amount)
                .expect("the totals are in range"),
        };
        (user, day, totals)
    });
    let counted_on = payout.counted_on.filter(|_| !returns);
    let version = payout.version.saturating_add(1);
    let history = vec![line(moment, payout.id, step.state.name(), note)];
    let work = step.wait.map(|(queue, due_at)| Work { queue, due_at });
    let payout = Payout {
        counted_on,
        version,
        updated_at: moment.now,
        state: step.state,
        ..payout
    };
    // A bill that showed it before it ended was explained by its being under way.
    let seen = payout.state.is_final() && payout.billed != Fen::ZERO;
    let date = moment.now.business_date();
    let checked = seen.then(|| reconcile::check_payout(moment, date, &payout, facts));
    Changes {
        breaks: checked.flatten().into_iter().collect(),
        entries: entries.into_iter().collect(),
        day_totals: uncounted.into_iter().collect(),
        history,
        payouts: vec![(payout, work)],
        ..Changes::default()
    }
}

fn line(moment: &Moment<'_>, payout: PayoutId, state: &'static str, note: Note) -> HistoryLine {
    let Note {
        event,
        code,
        evidence,
    } = note;
    HistoryLine {
        payout,
        at: moment.now,
        event,
        state,
        code,
        evidence,
    }
}
