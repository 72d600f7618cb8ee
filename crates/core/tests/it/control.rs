//! Stops, reviews, acts by hand, several attempts and several merchants.

use lingqian_core::command::{Command, Manual, Outcome};

use lingqian_core::control::{Act, Actor, STOP_WAIT_MS, Scope, StopCause};
use lingqian_core::id::{MchId, OutBillNo};
use lingqian_core::money::Fen;
use lingqian_core::payout::{Queue, RESEND_WINDOW_MS, State};
use lingqian_core::reconcile::Direction;
use lingqian_core::rejection::Rejection;
use lingqian_core::risk::Reason;
use lingqian_core::transfer::{Cure, Finding, Origin};

use crate::world::{DAY_MS, NOON, World, line, mchid, merchant, po, report, request, unknown};

fn act(name: &str) -> Act {
    let actor = Actor::parse(name).expect("a name");
    Act::new(actor, "because").expect("a reason")
}

fn manual(world: &mut World, what: Manual, name: &str) -> Result<Outcome, Rejection> {
    let act = act(name);
    let payout = po(1);
    world.run(Command::Manual { payout, what, act })
}

fn stop(world: &mut World, scope: &Scope, on: bool) {
    world.must(Command::SetStop {
        scope: scope.clone(),
        cause: StopCause::Person,
        on,
        act: act("cli:wang"),
    });
}

fn state(world: &World) -> &'static str {
    world.payout(1).state.name()
}

fn waits(world: &World) -> (Queue, i64) {
    let work = world.work.get(&po(1)).expect("it waits");
    (work.queue, work.due_at.since_ms(world.now))
}

fn refused(code: &str, cure: Cure) -> Finding {
    let code = code.into();
    Finding::Refused { code, cure }
}

fn failed(cure: Cure) -> Finding {
    let code = "TRANSFER_RISK".into();
    Finding::Failed { code, cure }
}

#[test]
fn what_is_stopped_waits_and_goes_on_when_it_is_lifted() {
    let scopes = [
        Scope::All,
        Scope::Merchant(mchid()),
        Scope::Scene("1000".into()),
    ];
    for scope in scopes {
        let mut world = World::with_balance(1_000_000);
        world.approve(1, 100);
        stop(&mut world, &scope, true);
        stop(&mut world, &scope, true);
        let begun = world.must(Command::BeginTransfer(po(1)));
        let moved = false;
        let stays = Outcome::Payout {
            state: "approved",
            moved,
        };
        assert_eq!(begun, stays, "{scope}");
        assert_eq!(waits(&world), (Queue::Send, STOP_WAIT_MS));
        world.is_sound();
        let roused = world.run(Command::Rouse(po(1)));
        assert!(roused.is_err(), "it is still stopped by {scope}");
        assert_eq!(waits(&world), (Queue::Send, STOP_WAIT_MS));
        stop(&mut world, &scope, false);
        world.must(Command::Rouse(po(1)));
        assert_eq!(waits(&world), (Queue::Send, 0), "it is due at once");
        let begun = world.must(Command::BeginTransfer(po(1)));
        assert!(matches!(begun, Outcome::Begun(_)), "{scope}");
        let sent = world.run(Command::Rouse(po(1)));
        assert!(sent.is_err(), "what may have arrived is not roused");
    }
}

#[test]
fn a_stop_of_others_stops_nobody_else() {
    let other = MchId::parse("1900009999").expect("an id");
    let mut world = World::with_balance(1_000_000);
    world.approve(1, 100);
    let stopped = world.run(Command::SetStop {
        scope: Scope::Merchant(other),
        cause: StopCause::Person,
        on: true,
        act: act("cli:wang"),
    });
    assert_eq!(stopped, Err(Rejection::UnknownMerchant));
    stop(&mut world, &Scope::Scene("1005".into()), true);
    let begun = world.must(Command::BeginTransfer(po(1)));
    assert!(matches!(begun, Outcome::Begun(_)));
}

#[test]
fn what_is_in_doubt_is_asked_about_while_it_is_stopped() {
    let mut world = World::with_balance(1_000_000);
    world.begin(1, 100);
    world.hear(1, Origin::Answer, unknown());
    stop(&mut world, &Scope::All, true);
    world.must(Command::BeginTransfer(po(1)));
    assert_eq!((state(&world), waits(&world).0), ("unknown", Queue::Ask));
    world.hear(1, Origin::Notification, Finding::Paid);
    assert_eq!(state(&world), "paid", "a stop does not make us deaf");
    world.is_sound();
}

#[test]
fn an_empty_account_stops_its_merchant_until_a_transfer_is_accepted() {
    let mut world = World::with_balance(2_000_000);
    world.begin(1, 100);
    world.approve(2, 100);
    world.hear(1, Origin::Answer, refused("NOT_ENOUGH", Cure::Float));
    assert_eq!(state(&world), "deferred");
    let (queue, first) = waits(&world);
    assert_eq!((queue, first), (Queue::Send, 30_000));
    world.must(Command::BeginTransfer(po(2)));
    assert_eq!(world.payout(2).state.name(), "approved", "it waits");
    world.now = world.now.after_ms(first);
    let begun = world.must(Command::BeginTransfer(po(1)));
    let Outcome::Begun(order) = begun else {
        panic!("{begun:?}");
    };
    assert_eq!(order.number, OutBillNo::new(po(1), 1), "the same number");
    world.must(Command::BeginTransfer(po(2)));
    let waits_on = world.payout(2).state.name();
    assert_eq!(waits_on, "approved", "one is tried at a time");
    world.hear(1, Origin::Answer, refused("NOT_ENOUGH", Cure::Float));
    assert_eq!(waits(&world).1, 60_000, "ever more rarely");
    world.now = world.now.after_ms(60_000);
    world.must(Command::BeginTransfer(po(1)));
    world.hear(1, Origin::Answer, Finding::Processing);
    assert_eq!(world.facts.stops.iter().count(), 0, "there is money again");
    let begun = world.must(Command::BeginTransfer(po(2)));
    assert!(matches!(begun, Outcome::Begun(_)));
    world.is_sound();
}

#[test]
fn what_is_heard_later_of_the_one_that_was_tried_lifts_the_stop_of_an_empty_account() {
    for (origin, finding) in [
        (Origin::Notification, Finding::Paid),
        (Origin::Query, Finding::AwaitingUser { package: None }),
    ] {
        let mut world = World::with_balance(3_000_000);
        world.begin(3, 100);
        world.hear(3, Origin::Answer, unknown());
        world.now = world.now.after_ms(1);
        world.begin(1, 100);
        world.hear(1, Origin::Answer, refused("NOT_ENOUGH", Cure::Float));
        world.hear(3, origin, finding.clone());
        assert_eq!(
            world.facts.stops.iter().count(),
            1,
            "it was sent while there was money"
        );
        world.now = world.now.after_ms(30_000);
        world.must(Command::BeginTransfer(po(1)));
        world.hear(1, Origin::Answer, unknown());
        assert_eq!(world.facts.stops.iter().count(), 1, "nobody knows");
        world.hear(1, origin, finding);
        assert_eq!(world.facts.stops.iter().count(), 0, "there is money again");
        world.is_sound();
    }
}

#[test]
fn lifting_a_persons_stop_leaves_that_of_an_empty_account() {
    let mut world = World::with_balance(1_000_000);
    world.begin(1, 100);
    stop(&mut world, &Scope::Merchant(mchid()), true);
    world.hear(1, Origin::Answer, refused("NOT_ENOUGH", Cure::Float));
    assert_eq!(world.facts.stops.iter().count(), 2);
    stop(&mut world, &Scope::Merchant(mchid()), false);
    let left: Vec<StopCause> = world.facts.stops.iter().map(|s| s.cause).collect();
    assert_eq!(left, [StopCause::Float]);
}

fn reviewed(second: bool) -> World {
    let mut world = World::with_balance(3_000_000);
    world.policy.review_from = Some(Fen(100));
    world.policy.second_from = second.then_some(Fen(100));
    world.must(Command::Withdraw(Box::new(request(1, 100))));
    let assessed = world.must(Command::Assess(po(1)));
    assert_eq!(assessed, Outcome::Assessed { passed: false });
    assert_eq!(state(&world), "review");
    assert_eq!(waits(&world).0, Queue::Review);
    world
}

#[test]
fn one_person_approves_what_needs_one() {
    let mut world = reviewed(false);
    let begun = world.run(Command::BeginTransfer(po(1)));
    assert_eq!(begun, Err(Rejection::WrongState { state: "review" }));
    let approved = manual(&mut world, Manual::Approve, "key:a");
    assert_eq!(approved, Ok(Outcome::Assessed { passed: true }));
    assert_eq!(
        (state(&world), waits(&world)),
        ("approved", (Queue::Send, 0))
    );
    let deed = world.deeds.last().expect("it is on record");
    let told = (
        deed.what.as_str(),
        deed.before.as_str(),
        deed.after.as_str(),
    );
    assert_eq!(told, ("approve", "review", "approved"));
    assert_eq!(
        (deed.actor.as_str(), deed.reason.as_str()),
        ("key:a", "because")
    );
    world.is_sound();
}

#[test]
fn four_eyes_are_those_of_two_people() {
    let mut world = reviewed(true);
    manual(&mut world, Manual::Approve, "key:a").expect("the first");
    assert_eq!(state(&world), "review");
    let again = manual(&mut world, Manual::Approve, "key:a");
    assert_eq!(again, Err(Rejection::SamePerson));
    // Whoever raises the limit meanwhile does not take the second person's eyes away.
    world.policy.second_from = None;
    world.policy.review_from = None;
    assert_eq!(state(&world), "review");
    manual(&mut world, Manual::Approve, "key:b").expect("the second");
    assert_eq!(state(&world), "approved");
}

#[test]
fn limits_have_the_last_word_after_an_approval() {
    let mut world = reviewed(false);
    world.policy.user_day_amount_max = Fen(99);
    let approved = manual(&mut world, Manual::Approve, "key:a");
    assert_eq!(approved, Ok(Outcome::Assessed { passed: false }));
    assert_eq!(
        world.payout(1).state,
        State::Refused(vec![Reason::DayAmount])
    );
    assert_eq!(world.alice().1, 0, "the money is back");
    world.is_sound();
}

#[test]
fn what_nobody_approves_returns_when_its_time_is_up() {
    let mut world = reviewed(false);
    let (_, left) = waits(&world);
    let early = world.run(Command::ExpireReview(po(1)));
    assert_eq!(early, Err(Rejection::WrongState { state: "review" }));
    world.now = world.now.after_ms(left);
    world.must(Command::ExpireReview(po(1)));
    assert_eq!(
        world.payout(1).state,
        State::Refused(vec![Reason::ReviewExpired])
    );
    assert_eq!(world.alice(), (3_000_000, 0));
    let late = manual(&mut world, Manual::Approve, "key:a");
    assert_eq!(late, Err(Rejection::WrongState { state: "refused" }));
    world.is_sound();
}

#[test]
fn a_person_ends_what_was_surely_not_sent_and_nothing_else() {
    let mut world = reviewed(false);
    manual(&mut world, Manual::Refuse, "cli:wang").expect("nothing was sent");
    assert_eq!(
        world.payout(1).state,
        State::Refused(vec![Reason::ByPerson])
    );
    assert_eq!(world.alice(), (3_000_000, 0));
    let mut world = World::with_balance(1_000_000);
    world.begin(1, 100);
    let sending = manual(&mut world, Manual::Refuse, "cli:wang");
    assert_eq!(sending, Err(Rejection::WrongState { state: "sending" }));
    world.hear(1, Origin::Answer, refused("NO_AUTH", Cure::Person));
    manual(&mut world, Manual::Refuse, "cli:wang").expect("every send was refused");
    assert_eq!(state(&world), "failed");
    assert_eq!(world.alice(), (1_000_000, 0));
    world.is_sound();
}

#[test]
fn the_same_order_is_sent_again_by_hand_for_three_days() {
    let mut world = World::with_balance(1_000_000);
    world.begin(1, 100);
    world.hear(1, Origin::Answer, unknown());
    manual(&mut world, Manual::Resend, "cli:wang").expect("within three days");
    assert_eq!(waits(&world), (Queue::Send, 0));
    world.now = NOON.after_ms(RESEND_WINDOW_MS);
    let late = manual(&mut world, Manual::Resend, "cli:wang");
    assert_eq!(late, Err(Rejection::ResendTooLate));
}

#[test]
fn what_was_to_be_sent_again_and_was_not_for_days_is_only_asked_about() {
    let mut world = World::with_balance(1_000_000);
    world.begin(1, 100);
    world.hear(1, Origin::Answer, unknown());
    manual(&mut world, Manual::Resend, "cli:wang").expect("within three days");
    world.now = NOON.after_ms(RESEND_WINDOW_MS);
    world.must(Command::BeginTransfer(po(1)));
    assert_eq!((state(&world), waits(&world).0), ("unknown", Queue::Ask));
}

/// A payout that nobody knows anything of, so many days after its first send.
fn stuck(days: i64) -> World {
    let mut world = World::with_balance(1_000_000);
    world.begin(1, 100);
    world.hear(1, Origin::Answer, unknown());
    world.now = NOON.after_ms(days * DAY_MS);
    world.hear(1, Origin::Query, Finding::NotFound);
    world
}

fn close(world: &mut World, days: std::ops::RangeInclusive<i64>) {
    for day in days {
        let date = NOON.after_ms(day * DAY_MS).business_date();
        world.facts.closed_bills.insert((merchant().no, date));
    }
}

#[test]
fn bills_alone_prove_that_a_stuck_payout_was_not_paid() {
    let lacking = |world: &mut World| match manual(world, Manual::MarkUnpaid, "cli:wang") {
        Err(Rejection::NoProof { lacking }) => lacking,
        other => panic!("{other:?}"),
    };
    let mut world = stuck(4);
    close(&mut world, 0..=4);
    assert!(lacking(&mut world).contains("may still pay"));
    let mut world = stuck(5);
    close(&mut world, 0..=3);
    assert!(lacking(&mut world).contains("not reconciled"));
    close(&mut world, 4..=4);
    manual(&mut world, Manual::MarkUnpaid, "cli:wang").expect("every day is closed");
    assert_eq!(state(&world), "failed");
    assert_eq!(world.alice(), (1_000_000, 0));
    world.is_sound();
}

#[test]
fn a_bill_that_shows_a_stuck_payout_lets_it_be_marked_paid() {
    let mut world = stuck(5);
    let no = manual(&mut world, Manual::MarkPaid, "cli:wang");
    assert!(matches!(no, Err(Rejection::NoProof { .. })), "{no:?}");
    let line = line("flow", 1, Direction::Out, 100);
    world.book(line);
    let unpaid = manual(&mut world, Manual::MarkUnpaid, "cli:wang");
    assert!(
        matches!(unpaid, Err(Rejection::NoProof { .. })),
        "{unpaid:?}"
    );
    manual(&mut world, Manual::MarkPaid, "cli:wang").expect("it is on the bill");
    assert_eq!(state(&world), "paid");
    assert_eq!(world.alice(), (0, 0));
    world.is_sound();
}

#[test]
fn a_new_number_is_made_after_a_proven_end_and_only_then() {
    let mut world = World::with_balance(1_000_000);
    world.begin(1, 100);
    world.hear(1, Origin::Notification, failed(Cure::Later));
    assert_eq!((state(&world), world.payout(1).tries), ("approved", 1));
    assert_eq!(world.alice(), (0, 1_000_000), "the money stays held");
    let begun = world.must(Command::BeginTransfer(po(1)));
    let Outcome::Begun(order) = begun else {
        panic!("{begun:?}");
    };
    assert_eq!(order.number, OutBillNo::new(po(1), 2));
    // What the first attempt's late messages say changes nothing.
    let moved = world.hear(1, Origin::Query, failed(Cure::Later));
    assert_eq!(moved, ("sending", false));
    let mut second = report(1, Origin::Query, Finding::Paid);
    second.number = OutBillNo::new(po(1), 2);
    world.must(Command::ReportTransfer(Box::new(second)));
    assert_eq!(state(&world), "paid");
    world.is_sound();
}

#[test]
fn attempts_come_to_an_end() {
    let mut world = World::with_balance(1_000_000);
    world.policy.attempts_max = 2;
    world.begin(1, 100);
    world.hear(1, Origin::Query, failed(Cure::Tomorrow));
    let tomorrow = world.now.business_date().next().start();
    let due = world.work.get(&po(1)).expect("it waits").due_at;
    assert!(due > tomorrow, "a quota of the day is waited for");
    world.must(Command::BeginTransfer(po(1)));
    let mut second = report(1, Origin::Query, failed(Cure::Tomorrow));
    second.number = OutBillNo::new(po(1), 2);
    world.must(Command::ReportTransfer(Box::new(second)));
    assert_eq!(state(&world), "failed");
    assert_eq!(world.alice(), (1_000_000, 0));
    world.is_sound();
}

#[test]
fn money_that_wechat_paid_for_an_ended_attempt_stops_the_merchant() {
    let mut world = World::with_balance(1_000_000);
    world.begin(1, 100);
    world.hear(1, Origin::Query, failed(Cure::Later));
    let moved = world.hear(1, Origin::Notification, Finding::Paid);
    assert_eq!(moved, ("approved", false));
    let line = world.history.last().expect("a line");
    assert_eq!(line.event, "contradiction");
    let stops: Vec<StopCause> = world.facts.stops.iter().map(|s| s.cause).collect();
    assert_eq!(stops, [StopCause::Audit]);
    world.must(Command::BeginTransfer(po(1)));
    assert_eq!(state(&world), "approved", "nothing more leaves");
}

#[test]
fn a_payout_that_cannot_be_sent_for_too_long_returns() {
    let mut world = World::with_balance(1_000_000);
    world.policy.hold_ms = DAY_MS;
    world.begin(1, 100);
    world.hear(1, Origin::Answer, refused("NO_AUTH", Cure::Person));
    world.now = NOON.after_ms(DAY_MS);
    world.must(Command::BeginTransfer(po(1)));
    assert_eq!(state(&world), "failed");
    assert_eq!(world.alice(), (1_000_000, 0));
    world.is_sound();
}

#[test]
fn reasons_and_names_of_actors_are_of_a_form() {
    let actor = || Actor::parse("cli:wang").expect("a name");
    assert!(Act::new(actor(), " ").is_err());
    assert!(Act::new(actor(), &"x".repeat(401)).is_err());
    assert!(Act::new(actor(), "two\nlines").is_err());
    assert!(Actor::parse("张三").is_err() && Actor::parse("").is_err());
    for text in ["all", "merchant:1900000109", "scene:1000"] {
        assert_eq!(
            Scope::parse(text).map(|s| s.to_string()).as_deref(),
            Ok(text)
        );
    }
    for text in ["", "ALL", "merchant:", "scene:", "scene:a b", "user:1", "x"] {
        assert!(Scope::parse(text).is_err(), "{text}");
    }
}
