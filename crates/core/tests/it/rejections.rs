//! Every way to be refused, with the field that it names, and that a refusal changes nothing.

use std::collections::BTreeSet;

use expect_test::expect;
use lingqian_core::Rejection;
use lingqian_core::command::{ApiKey, Command};
use lingqian_core::earning::{EarningEvent, Kind, Terms};
use lingqian_core::id::{IdFault, KindCode, MchId, OutBillNo, Source, UserId};
use lingqian_core::link::{Identity, Page, StateDigest};
use lingqian_core::money::{Fen, Micros};
use lingqian_core::reconcile::{Bill, Direction};
use lingqian_core::transfer::{Claims, Finding, Origin, TransferReport};
use lingqian_core::withdrawal::{Wanted, Withdrawal};

use crate::world::{
    DAY_MS, NOON, World, event, identity, key, kind, line, mchid, merchant, number, po, report,
    request, user,
};

/// A kind with terms of its own.
fn terms(no: i64, code: &str, terms: Terms) -> Command {
    Command::DefineKind(Kind {
        terms,
        ..kind(no, code, None)
    })
}

/// Alice has ¥5, payout 1 of ¥1 is being sent, and state 9 was started and not used. The kind
/// `gift` is between users, `capped` is credited twice a day and for 1,000 micro-yuan at most.
fn world() -> World {
    let mut world = World::with_balance(6_000_000);
    let gift = Terms {
        between_users: true,
        ..Terms::default()
    };
    let capped = Terms {
        user_day_amount_max: Some(Micros(1_000)),
        user_day_count_max: Some(2),
        ..Terms::default()
    };
    world.must(terms(11, "gift", gift));
    world.must(terms(12, "capped", capped));
    let mut first = request(1, 100);
    first.key = Some((key("k"), [1; 32]));
    world.must(Command::Withdraw(Box::new(first)));
    world.must(Command::Assess(po(1)));
    world.must(Command::BeginTransfer(po(1)));
    let state = StateDigest([9; 32]);
    let user = user("bob");
    world.must(Command::StartLink {
        user,
        app: None,
        page: Page::default(),
        state,
    });
    world
}

fn earn(change: impl FnOnce(&mut EarningEvent)) -> Command {
    let mut event = event("new", 1_000);
    change(&mut event);
    Command::Earn(event)
}

fn withdraw(change: impl FnOnce(&mut Withdrawal)) -> Command {
    let mut request = request(2, 100);
    change(&mut request);
    Command::Withdraw(Box::new(request))
}

fn hear(change: impl FnOnce(&mut TransferReport)) -> Command {
    let mut report = report(1, Origin::Query, Finding::Paid);
    change(&mut report);
    Command::ReportTransfer(Box::new(report))
}

fn complete(state: u8, identity: Identity) -> Command {
    let state = StateDigest([state; 32]);
    Command::CompleteLink { state, identity }
}

fn redeem(state: u8) -> Command {
    let state = StateDigest([state; 32]);
    Command::RedeemState { state }
}

fn claims(claims: Claims) -> Command {
    hear(|report| report.claims = claims)
}

/// Runs the command in a world of its own: code, and field where there is one.
fn refusal(prepare: impl FnOnce(&mut World), command: Command) -> String {
    let mut world = world();
    prepare(&mut world);
    let (entries, alice) = (world.journal.len(), world.alice());
    let text = format!("{command:?}");
    match world.run(command) {
        Ok(outcome) => panic!("{text} was answered {outcome:?}"),
        Err(rejection) => {
            assert_eq!((entries, alice), (world.journal.len(), world.alice()));
            assert!(!rejection.to_string().is_empty());
            world.is_sound();
            format!("{} {}", rejection.code(), rejection.field().unwrap_or("-"))
        }
    }
}

fn check(cases: Vec<Command>, expected: &expect_test::Expect) {
    let lines: Vec<String> = cases.into_iter().map(|c| refusal(|_| {}, c)).collect();
    expected.assert_eq(&lines.join("\n"));
}

#[test]
fn nothing_can_be_done_for_or_with_what_is_not_there() {
    let stranger = || user("nobody");
    let other = MchId::parse("1").expect("an id");
    let bill = Bill {
        merchant: merchant().no,
        date: NOON.business_date(),
        sha1: String::new(),
        lines: 0,
        out: Fen::ZERO,
        came_in: Fen::ZERO,
        opening: Fen::ZERO,
        closing: Fen::ZERO,
        fetched_at: NOON,
    };
    let cases = vec![
        earn(|e| e.user = stranger()),
        withdraw(|w| w.user = stranger()),
        Command::SetFrozen {
            user: stranger(),
            frozen: true,
            act: None,
        },
        Command::StartLink {
            user: stranger(),
            app: None,
            page: Page::default(),
            state: StateDigest([3; 32]),
        },
        earn(|e| e.kind = KindCode::parse("unheard-of").expect("an id")),
        Command::RecordBillLine {
            mchid: other.clone(),
            date: NOON.business_date(),
            line: line("f", 1, Direction::Out, 1),
        },
        Command::CloseBill { mchid: other, bill },
        Command::Assess(po(7)),
        Command::BeginTransfer(po(7)),
        Command::CancelPayout(po(7)),
        hear(|r| r.number = number(7)),
        Command::CheckEnded {
            mchid: merchant().mchid,
            payout: po(7),
            date: NOON.business_date(),
        },
    ];
    let expected = expect![[r#"
        unknown_user user
        unknown_user user
        unknown_user user
        unknown_user user
        unknown_kind kind
        unknown_merchant -
        unknown_merchant -
        unknown_payout -
        unknown_payout -
        unknown_payout -
        unknown_payout -
        unknown_payout -"#]];
    check(cases, &expected);
}

#[test]
fn without_a_merchant_nobody_is_linked_or_paid() {
    let mut world = World::empty();
    let (alice, name) = (user("alice"), None);
    world.must(Command::RegisterUser { user: alice, name });
    let start = Command::StartLink {
        user: user("alice"),
        app: None,
        page: Page::default(),
        state: StateDigest([1; 32]),
    };
    for command in [start, withdraw(|_| {})] {
        assert_eq!(world.run(command), Err(Rejection::UnknownMerchant));
    }
}

#[test]
fn amounts_have_limits() {
    let huge = i64::MAX;
    let booked = |fen| Command::RecordBillLine {
        mchid: mchid(),
        date: NOON.business_date(),
        line: line("f", 1, Direction::Out, fen),
    };
    let ad = |e: &mut EarningEvent, amount: Option<i64>| {
        e.kind = KindCode::parse("ad").expect("an id");
        e.amount = amount.map(Micros);
    };
    let cases = vec![
        earn(|e| e.amount = None),
        earn(|e| e.amount = Some(Micros(0))),
        earn(|e| e.amount = Some(Micros(-1))),
        earn(|e| e.amount = Some(Micros(10_000_000_001))),
        earn(|e| ad(e, Some(9_999))),
        withdraw(|w| w.wanted = Wanted::Exactly(Fen(0))),
        withdraw(|w| w.wanted = Wanted::Exactly(Fen(-5))),
        withdraw(|w| w.wanted = Wanted::Exactly(Fen(501))),
        withdraw(|w| w.wanted = Wanted::Exactly(Fen(huge))),
        booked(0),
        booked(huge),
    ];
    let expected = expect![[r#"
        amount_missing amount
        amount_not_positive amount
        amount_not_positive amount
        amount_out_of_range amount
        amount_not_the_price amount
        amount_not_positive amount
        amount_not_positive amount
        insufficient_funds amount
        amount_out_of_range amount
        amount_out_of_range amount
        amount_out_of_range amount"#]];
    check(cases, &expected);
    let poor = refusal(
        |world| {
            world.must(Command::Withdraw(Box::new(request(3, 491))));
        },
        withdraw(|w| w.wanted = Wanted::All),
    );
    assert_eq!(poor, "below_minimum amount");
}

/// A gift of ¥0.01 from alice to bob, before it is changed.
fn gift(change: impl FnOnce(&mut EarningEvent)) -> Command {
    earn(|event| {
        event.kind = KindCode::parse("gift").expect("an id");
        event.user = user("bob");
        event.from = Some(user("alice"));
        event.amount = Some(Micros(10_000));
        change(event);
    })
}

#[test]
fn money_between_users_has_a_sender_who_can_pay() {
    let cases = vec![
        earn(|e| e.from = Some(user("bob"))),
        gift(|e| e.from = None),
        gift(|e| e.from = Some(user("nobody"))),
        gift(|e| e.from = Some(user("bob"))),
        gift(|e| e.amount = Some(Micros(5_000_001))),
        gift(|e| e.amount = None),
        gift(|e| e.user = user("nobody")),
    ];
    let expected = expect![[r#"
        sender_not_allowed from
        sender_missing from
        unknown_sender from
        sender_is_receiver from
        insufficient_funds amount
        amount_missing amount
        unknown_user user"#]];
    check(cases, &expected);
}

#[test]
fn a_cap_is_reached_by_amount_or_by_count_and_reopens_the_next_day() {
    let capped = |id: &str, micros| {
        earn(|e| {
            *e = EarningEvent {
                kind: KindCode::parse("capped").expect("an id"),
                ..event(id, micros)
            };
        })
    };
    let reached = "day_cap_reached kind";
    assert_eq!(refusal(|_| {}, capped("a", 1_001)), reached);
    let twice = |world: &mut World| {
        for id in ["a", "b"] {
            world.must(capped(id, 1));
        }
    };
    assert_eq!(refusal(twice, capped("c", 1)), reached);
    let mut world = world();
    world.must(capped("a", 1_000));
    assert_eq!(world.run(capped("b", 1)), Err(Rejection::DayCapReached));
    world.now = world.now.after_ms(DAY_MS);
    world.must(capped("b", 1_000));
    world.is_sound();
}

#[test]
fn only_what_was_earned_and_is_left_is_taken_back() {
    let opening = || event("opening", 1).event_id;
    let back = |change: &dyn Fn(&mut EarningEvent)| {
        earn(|e| {
            e.amount = None;
            e.reverses = Some(opening());
            change(e);
        })
    };
    let of_gift = |e: &mut EarningEvent| e.reverses = Some(event("g", 1).event_id);
    let cases = vec![
        back(&|e| e.reverses = Some(event("never", 1).event_id)),
        back(&|e| e.source = Source::parse("shop").expect("an id")),
        back(&|e| e.from = Some(user("bob"))),
        back(&|e| e.user = user("bob")),
        back(&|e| e.kind = KindCode::parse("capped").expect("an id")),
        back(&|e| e.amount = Some(Micros(0))),
        back(&|e| e.amount = Some(Micros(6_000_001))),
    ];
    let expected = expect![[r#"
        unknown_event reverses
        unknown_event reverses
        sender_not_allowed from
        original_differs reverses
        original_differs reverses
        amount_not_positive amount
        amount_out_of_range amount"#]];
    check(cases, &expected);
    let taken = |world: &mut World| {
        world.must(back(&|e| e.event_id = event("first", 1).event_id));
    };
    assert_eq!(refusal(taken, back(&|_| {})), "already_taken_back reverses");
    let of_claw_back = back(&|e| e.reverses = Some(event("first", 1).event_id));
    assert_eq!(refusal(taken, of_claw_back), "not_reversible reverses");
    let given = |world: &mut World| {
        world.must(gift(|e| e.event_id = event("g", 1).event_id));
    };
    let undo = gift(|e| {
        e.from = None;
        of_gift(e);
    });
    assert_eq!(refusal(given, undo), "not_reversible reverses");
}

#[test]
fn money_cools_off_for_a_year_at_most() {
    let days = |cooling_days| Terms {
        cooling_days,
        ..Terms::default()
    };
    let long = terms(13, "slow", days(367));
    assert_eq!(refusal(|_| {}, long), "cooling_too_long -");
    world().must(terms(13, "slow", days(366)));
}

#[test]
fn names_and_keys_are_used_once() {
    let number_of_another = Command::DefineKind(kind(1, "other", None));
    let other_number = Command::DefineKind(kind(5, "sale", None));
    let top_up = Command::DefineKind(kind(0, "free", None));
    let mut moved = merchant();
    moved.no.0 = 2;
    let mut copied = merchant();
    copied.mchid = MchId::parse("77").expect("an id");
    let cases = vec![
        earn(|e| e.event_id = event("opening", 1).event_id),
        earn(|e| e.occurred_at = Some(NOON.after_ms(86_400_001))),
        withdraw(|w| w.reference = request(1, 1).reference),
        withdraw(|w| w.key = Some((key("k"), [2; 32]))),
        number_of_another,
        other_number,
        top_up,
        Command::DefineMerchant(moved),
        Command::DefineMerchant(copied),
    ];
    let expected = expect![[r#"
        event_conflict event_id
        occurred_in_future occurred_at
        reference_used reference
        idempotency_key_reused -
        immutable -
        immutable -
        immutable -
        immutable -
        immutable -"#]];
    check(cases, &expected);
}

#[test]
fn a_link_that_is_not_whole_is_refused() {
    let snapshot = Identity {
        snapshot: true,
        ..identity("visitor")
    };
    let cases = vec![
        redeem(8),
        complete(9, identity("openid-bob")),
        complete(8, identity("openid-bob")),
        complete(1, snapshot),
    ];
    let expected = expect![[r#"
        link_state_unknown state
        link_state_unknown state
        link_state_unknown state
        snapshot_user -"#]];
    check(cases, &expected);
    let used = refusal(
        |world| {
            world.must(redeem(9));
        },
        redeem(9),
    );
    assert_eq!(used, "link_state_used state");
    let late = refusal(|w| w.now = w.now.after_ms(600_001), redeem(9));
    assert_eq!(late, "link_state_expired state");
    let taken = complete(9, identity("openid-alice"));
    let taken = refusal(
        |world| {
            world.must(redeem(9));
        },
        taken,
    );
    assert_eq!(taken, "wallet_linked_elsewhere -");
}

#[test]
fn a_report_must_be_about_what_was_sent() {
    let text = |text: &str| Some(text.to_owned());
    let cases = vec![
        hear(|r| r.number = OutBillNo::new(po(1), 2)),
        claims(Claims {
            mchid: text("other"),
            ..Claims::default()
        }),
        claims(Claims {
            app: text("other"),
            ..Claims::default()
        }),
        claims(Claims {
            openid: Some(crate::world::openid("other")),
            ..Claims::default()
        }),
        claims(Claims {
            amount: Some(Fen(99)),
            ..Claims::default()
        }),
        Command::Assess(po(1)),
        Command::BeginTransfer(po(1)),
        Command::CancelPayout(po(1)),
    ];
    let expected = expect![[r#"
        foreign_number -
        claim_mismatch mchid
        claim_mismatch appid
        claim_mismatch openid
        claim_mismatch transfer_amount
        wrong_state -
        wrong_state -
        wrong_state -"#]];
    check(cases, &expected);
    let unsent = refusal(
        |world| {
            world.must(withdraw(|_| {}));
        },
        hear(|r| r.number = number(2)),
    );
    assert_eq!(unsent, "foreign_number -");
}

#[test]
fn codes_are_words_of_their_own() {
    let malformed = Rejection::Malformed {
        field: "user",
        fault: UserId::parse("").expect_err("empty"),
    };
    assert_eq!(
        (malformed.code(), malformed.field()),
        ("malformed", Some("user"))
    );
    assert_eq!(malformed.to_string(), "user must not be empty");
    let all = [
        malformed,
        Rejection::Malformed {
            field: "user",
            fault: IdFault::Form,
        },
        Rejection::WrongState { state: "paid" },
        Rejection::Immutable { what: "this" },
        Rejection::BelowMinimum { min: Fen(10) },
    ];
    let codes: BTreeSet<&str> = all.iter().map(Rejection::code).collect();
    assert_eq!(codes.len(), 4);
    assert_eq!(
        Rejection::WrongState { state: "paid" }.to_string(),
        "a payout that is paid does not allow this"
    );
}

#[test]
fn what_is_never_refused_is_done() {
    let mut world = world();
    let api_key = ApiKey {
        id: "k1".into(),
        digest: [1; 32],
        scopes: Vec::new(),
        created_at: NOON,
        revoked_at: None,
    };
    world.must(Command::AddApiKey(api_key));
    world.is_sound();
}
