//! Random lives against a naive WeChat that accepts, refuses, forgets to answer, answers late
//! and says "no record" of what it has. It knows the truth; the books must never contradict it.

use std::collections::BTreeMap;

use lingqian_core::Outcome;
use lingqian_core::command::Command;
use lingqian_core::payout::State;
use lingqian_core::transfer::{Cure, Finding, Origin, TransferOrder, TransferReport};
use proptest::prelude::*;

use crate::world::{World, event, po, report, request, unknown, user};

/// What people, passes and WeChat do; `no` is a payout, the rest is chance.
#[derive(Clone, Debug)]
enum Act {
    Earn(u16),
    Withdraw { no: i64, fen: u8 },
    Assess(i64),
    Begin { no: i64, accept: bool, chance: u8 },
    Cancel { no: i64, accept: bool, chance: u8 },
    Ask { no: i64, chance: u8 },
    Notify(i64),
    Deliver(u8),
    Progress { no: i64, chance: u8 },
    Freeze(bool),
    Wait(u32),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let no = || 1..=3_i64;
    let act = prop_oneof![
        1 => any::<u16>().prop_map(Act::Earn),
        2 => (no(), any::<u8>()).prop_map(|(no, fen)| Act::Withdraw { no, fen }),
        3 => no().prop_map(Act::Assess),
        5 => (no(), any::<bool>(), any::<u8>())
            .prop_map(|(no, accept, chance)| Act::Begin { no, accept, chance }),
        2 => (no(), any::<bool>(), any::<u8>())
            .prop_map(|(no, accept, chance)| Act::Cancel { no, accept, chance }),
        4 => (no(), any::<u8>()).prop_map(|(no, chance)| Act::Ask { no, chance }),
        2 => no().prop_map(Act::Notify),
        3 => any::<u8>().prop_map(Act::Deliver),
        2 => (no(), any::<u8>()).prop_map(|(no, chance)| Act::Progress { no, chance }),
        1 => any::<bool>().prop_map(Act::Freeze),
        2 => (0..2_000_000_u32).prop_map(Act::Wait),
    ];
    prop::collection::vec(act, 1..80)
}

/// WeChat's side: what it knows of each number, and answers that are still on their way.
#[derive(Default)]
struct Rail {
    truth: BTreeMap<i64, Finding>,
    sent: BTreeMap<i64, TransferOrder>,
    late: Vec<TransferReport>,
}

fn ended(truth: &Finding) -> bool {
    use Finding::{Cancelled, Expired, Failed, Paid};
    matches!(truth, Paid | Expired | Cancelled | Failed { .. })
}

fn refused(chance: u8) -> Finding {
    let cures = [Cure::Later, Cure::Person, Cure::Never];
    Finding::Refused {
        code: "REFUSED".into(),
        cure: cures[usize::from(chance % 3)],
    }
}

impl Rail {
    /// A send arrives. What it has already it may confirm or refuse; what is new it may accept.
    fn send(&mut self, no: i64, accept: bool, chance: u8) -> Finding {
        match self.truth.get(&no) {
            Some(truth) if accept => truth.clone(),
            None if accept => {
                let package = (chance % 4 > 1).then(|| "package".to_owned());
                let awaiting = Finding::AwaitingUser { package };
                let found = if chance.is_multiple_of(2) {
                    Finding::Processing
                } else {
                    awaiting
                };
                self.truth.insert(no, found.clone());
                found
            }
            Some(_) | None => refused(chance),
        }
    }

    /// A question is answered truly, by "no record", or not at all.
    fn ask(&self, no: i64, chance: u8) -> Finding {
        match (self.truth.get(&no), chance % 4) {
            (_, 0) => unknown(),
            (Some(_), 1) | (None, 1 | 2) => Finding::NotFound,
            (None, _) => refused(chance),
            (Some(Finding::AwaitingUser { .. }), _) => Finding::AwaitingUser { package: None },
            (Some(truth), _) => truth.clone(),
        }
    }

    fn progress(&mut self, no: i64, chance: u8) {
        let Some(truth) = self.truth.get_mut(&no).filter(|truth| !ended(truth)) else {
            return;
        };
        *truth = match chance % 5 {
            0 => Finding::Paid,
            1 => Finding::Expired,
            2 => Finding::Failed {
                code: "RISK".into(),
                cure: Cure::Never,
            },
            3 if matches!(truth, Finding::Cancelling) => Finding::Cancelled,
            _ => Finding::Processing,
        };
    }
}

fn hear(world: &mut World, report: TransferReport) {
    let held_before = world.alice();
    let finding = report.finding.clone();
    let _ = world.run(Command::ReportTransfer(Box::new(report)));
    let proves_nothing = matches!(finding, Finding::Unknown { .. } | Finding::NotFound);
    assert!(
        !proves_nothing || world.alice() == held_before,
        "unknown released money"
    );
}

/// The answer arrives now, later, or never: then the caller reports that it does not know.
fn answer(world: &mut World, rail: &mut Rail, no: i64, finding: Finding, chance: u8) {
    let answer = report(no, Origin::Answer, finding);
    match chance % 5 {
        0 => hear(world, report(no, Origin::Answer, unknown())),
        1 => {}
        2 => rail.late.push(answer),
        _ => hear(world, answer),
    }
}

fn act(world: &mut World, rail: &mut Rail, act: Act, step: usize) {
    match act {
        Act::Earn(amount) => {
            let event = event(&format!("e{step}"), i64::from(amount) + 1);
            world.must(Command::Earn(event));
        }
        Act::Withdraw { no, fen } => {
            let request = request(no, i64::from(fen));
            let _ = world.run(Command::Withdraw(Box::new(request)));
        }
        Act::Assess(no) => {
            let _ = world.run(Command::Assess(po(no)));
        }
        Act::Begin { no, accept, chance } => {
            let begun = world.run(Command::BeginTransfer(po(no)));
            if let Ok(Outcome::Begun(order)) = begun {
                let first = rail.sent.entry(no).or_insert_with(|| (*order).clone());
                assert_eq!(*first, *order, "one number, one order, for ever");
                let finding = rail.send(no, accept, chance);
                answer(world, rail, no, finding, chance / 16);
            }
        }
        Act::Cancel { no, accept, chance } => {
            let Ok(Outcome::Payout { state, .. }) = world.run(Command::CancelPayout(po(no))) else {
                return;
            };
            if state == "cancelling" {
                let alive = rail.truth.get_mut(&no).filter(|truth| !ended(truth));
                let finding = match alive {
                    Some(truth) if accept => {
                        *truth = Finding::Cancelling;
                        Finding::Cancelling
                    }
                    _ => refused(chance),
                };
                answer(world, rail, no, finding, chance / 16);
            }
        }
        Act::Ask { no, chance } => {
            let finding = rail.ask(no, chance);
            hear(world, report(no, Origin::Query, finding));
        }
        Act::Notify(no) => {
            if let Some(truth) = rail.truth.get(&no).filter(|truth| ended(truth)) {
                hear(world, report(no, Origin::Notification, truth.clone()));
            }
        }
        Act::Deliver(which) => {
            if !rail.late.is_empty() {
                let place = usize::from(which) % rail.late.len();
                let report = rail.late.remove(place);
                hear(world, report);
            }
        }
        Act::Progress { no, chance } => rail.progress(no, chance),
        Act::Freeze(frozen) => {
            let user = user("alice");
            world.must(Command::SetFrozen {
                user,
                frozen,
                act: None,
            });
        }
        Act::Wait(ms) => world.now = world.now.after_ms(i64::from(ms)),
    }
}

/// What we say of money must be true at WeChat.
fn check(world: &World, rail: &Rail) {
    world.is_sound();
    for no in 1..=3 {
        let Some(payout) = world.facts.payouts.get(&po(no)).and_then(Option::as_ref) else {
            continue;
        };
        let state = &payout.state;
        let paid = matches!(state, State::Paid(..));
        match rail.truth.get(&no) {
            None => assert!(!paid, "paid, and WeChat knows nothing of it"),
            Some(Finding::Paid) => {
                assert!(
                    paid || !state.is_final(),
                    "WeChat paid what we gave back: {state:?}"
                );
            }
            Some(truth) if ended(truth) => assert!(!paid, "paid, and WeChat says {truth:?}"),
            Some(truth) => {
                assert!(
                    !state.is_final(),
                    "{state:?}, and WeChat may still pay: {truth:?}"
                );
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, ..ProptestConfig::default() })]

    #[test]
    fn the_books_never_contradict_the_truth(acts in acts()) {
        let mut world = World::with_balance(3_000_000);
        let mut rail = Rail::default();
        for (step, next) in acts.into_iter().enumerate() {
            act(&mut world, &mut rail, next, step);
            check(&world, &rail);
        }
        // In the end the truth comes out, and it ends what it ended.
        for (no, truth) in rail.truth.clone() {
            hear(&mut world, report(no, Origin::Query, truth.clone()));
            check(&world, &rail);
            prop_assert_eq!(world.payout(no).state.is_final(), ended(&truth));
        }
        // A day later, whatever waits still waits for one thing, and nothing was lost.
        let earned: i64 = world.facts.earnings.values().flatten().map(|e| e.amount.0).sum();
        let (available, held) = world.alice();
        let paid = world.facts.payouts.values().flatten();
        let paid = paid.filter(|payout| matches!(payout.state, State::Paid(..)));
        let paid: i64 = paid.map(|payout| payout.amount.0 * 10_000).sum();
        prop_assert_eq!(available + held + paid, earned);
    }

    #[test]
    fn any_sequence_of_any_reports_ends_a_hold_at_most_once(
        reports in prop::collection::vec((0..13_usize, 0..3_usize), 1..30)
    ) {
        let mut world = World::with_balance(1_000_000);
        world.begin(1, 100);
        let origins = [Origin::Answer, Origin::Query, Origin::Notification];
        let findings = findings();
        let mut first_end = None;
        for (finding, origin) in reports {
            world.hear(1, origins[origin], findings[finding].clone());
            world.is_sound();
            let state = world.payout(1).state.clone();
            if let Some(end) = &first_end {
                prop_assert_eq!(&state, end);
            } else if state.is_final() {
                first_end = Some(state);
            }
            let _ = world.run(Command::BeginTransfer(po(1)));
            let ends = world.journal.iter().filter(|entry| entry.payout().is_some()).count();
            prop_assert_eq!(ends, 1 + usize::from(first_end.is_some()));
        }
    }
}

fn findings() -> [Finding; 13] {
    let code = || "CODE".to_owned();
    let package = Some("package".to_owned());
    [
        Finding::Processing,
        Finding::AwaitingUser { package },
        Finding::AwaitingUser { package: None },
        Finding::Cancelling,
        Finding::Paid,
        Finding::Expired,
        Finding::Cancelled,
        Finding::Failed {
            code: code(),
            cure: Cure::Never,
        },
        refused(0),
        refused(1),
        refused(2),
        Finding::NotFound,
        unknown(),
    ]
}
