//! Risk looks once, at the moment of the decision, and once more before a first send.

use lingqian_core::command::{Command, Outcome};
use lingqian_core::money::Fen;
use lingqian_core::payout::State;
use lingqian_core::risk::Reason;
use lingqian_core::time::BusinessDate;
use lingqian_core::transfer::{Finding, NAME_FROM, Origin};
use lingqian_core::user::Sealed;

use crate::world::{DAY_MS, NOON, World, po, request, unknown, user};

fn freeze(world: &mut World, frozen: bool) {
    let user = user("alice");
    world.must(Command::SetFrozen {
        user,
        frozen,
        act: None,
    });
}

fn counted(world: &World, day: BusinessDate) -> (u32, i64) {
    let user = world.facts.user(&user("alice")).expect("alice").no;
    let totals = world.facts.wallet(user).day(day);
    (totals.count, totals.amount.0)
}

/// Holds ¥1 after the world was prepared and asks risk; the reasons of a refusal.
fn reasons(prepare: impl FnOnce(&mut World)) -> Vec<Reason> {
    let mut world = World::with_balance(900_000_000);
    world.must(Command::Withdraw(Box::new(request(1, 100))));
    prepare(&mut world);
    world.must(Command::Assess(po(1)));
    world.is_sound();
    match &world.payout(1).state {
        State::Refused(reasons) => {
            assert_eq!(world.alice().1, 0, "the money is back");
            reasons.clone()
        }
        State::Approved => Vec::new(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn risk_sees_the_world_as_it_is_when_it_looks() {
    let today = NOON.business_date();
    assert_eq!(reasons(|_| {}), []);
    assert_eq!(reasons(|w| freeze(w, true)), [Reason::Frozen]);
    assert_eq!(
        reasons(|w| w.policy.payout_max = Fen(99)),
        [Reason::AboveMaximum]
    );
    assert_eq!(
        reasons(|w| w.policy.payout_min = Fen(101)),
        [Reason::BelowMinimum]
    );
    let nameless = |w: &mut World| w.policy.name_required_from = Fen(100);
    assert_eq!(reasons(nameless), [Reason::NameMissing]);
    let named = |w: &mut World| {
        nameless(w);
        let (user, name) = (user("alice"), Some(Sealed(vec![1])));
        w.must(Command::RegisterUser { user, name });
    };
    assert_eq!(reasons(named), []);
    let busy = |w: &mut World| {
        for wallet in w.facts.wallets.values_mut() {
            wallet.days.remove(&today);
        }
        w.policy.user_day_amount_max = Fen(99);
        w.policy.user_day_count_max = 0;
        freeze(w, true);
    };
    let all = [Reason::DayAmount, Reason::DayCount, Reason::Frozen];
    assert_eq!(reasons(busy), all);
}

#[test]
fn a_user_without_a_wallet_is_refused() {
    let mut world = World::with_balance(0);
    let mut earning = crate::world::event("e", 1_000_000);
    earning.user = user("bob");
    world.must(Command::Earn(earning));
    let mut request = request(1, 100);
    request.user = user("bob");
    world.must(Command::Withdraw(Box::new(request)));
    let assessed = world.must(Command::Assess(po(1)));
    assert_eq!(assessed, Outcome::Assessed { passed: false });
    let refused = State::Refused(vec![Reason::NotLinked]);
    assert_eq!(world.payout(1).state, refused);
    assert_eq!(
        world.history.last().and_then(|l| l.code.as_deref()),
        Some("not_linked")
    );
    world.is_sound();
}

#[test]
fn the_day_counts_what_was_approved_until_it_ends_unpaid() {
    let mut world = World::with_balance(900_000_000);
    let today = NOON.business_date();
    world.begin(1, 12_000);
    world.begin(2, 8_000);
    assert_eq!(counted(&world, today), (2, 20_000));
    world.must(Command::Withdraw(Box::new(request(3, 10))));
    world.must(Command::Assess(po(3)));
    let full = State::Refused(vec![Reason::DayAmount]);
    assert_eq!(world.payout(3).state, full);
    world.hear(1, Origin::Query, Finding::Expired);
    assert_eq!(counted(&world, today), (1, 8_000));
    world.approve(4, 12_000);
    world.hear(2, Origin::Query, Finding::Paid);
    assert_eq!(counted(&world, today), (2, 20_000), "what was paid stays");
    world.now = world.now.after_ms(DAY_MS);
    world.approve(5, 20_000);
    assert_eq!(counted(&world, today.next()), (1, 20_000));
    // What ends tomorrow is given back to the day that it was counted on.
    world.must(Command::CancelPayout(po(4)));
    assert_eq!(counted(&world, today), (1, 8_000));
    world.is_sound();
}

#[test]
fn who_is_frozen_between_approval_and_first_send_is_not_paid() {
    let mut world = World::with_balance(1_000_000);
    world.approve(1, 100);
    freeze(&mut world, true);
    let stopped = world.must(Command::BeginTransfer(po(1)));
    let (state, moved) = ("refused", true);
    assert_eq!(stopped, Outcome::Payout { state, moved });
    assert_eq!(world.alice(), (1_000_000, 0));
    assert_eq!(counted(&world, NOON.business_date()), (0, 0));
    let line = world.history.last().expect("a line");
    assert_eq!(
        (line.event, line.code.as_deref()),
        ("stopped", Some("user_frozen"))
    );
    world.is_sound();
}

#[test]
fn what_may_have_arrived_of_a_frozen_user_is_asked_about_and_not_sent_again() {
    let mut world = World::with_balance(1_000_000);
    world.begin(1, 100);
    freeze(&mut world, true);
    world.hear(1, Origin::Answer, unknown());
    let again = world.must(Command::BeginTransfer(po(1)));
    let stays = Outcome::Payout {
        state: "unknown",
        moved: false,
    };
    assert_eq!(again, stays);
    world.hear(1, Origin::Query, Finding::Paid);
    assert_eq!(world.alice(), (0, 0));
    world.is_sound();
}

#[test]
fn a_name_goes_along_from_the_amount_where_wechat_compares_it() {
    let named = |fen: i64| {
        let mut world = World::with_balance(1_000_000);
        let (user, name) = (user("alice"), Some(Sealed(vec![7])));
        world.must(Command::RegisterUser { user, name });
        world.begin(1, fen);
        let attempt = world.payout(1).state.attempt().expect("sent");
        attempt.order.name.clone()
    };
    assert_eq!(named(NAME_FROM.0 - 1), None);
    assert_eq!(named(NAME_FROM.0), Some(Sealed(vec![7])));
}

#[test]
fn registering_and_freezing_twice_changes_nothing() {
    let mut world = World::with_balance(0);
    let register = |name: Option<u8>| Command::RegisterUser {
        user: user("alice"),
        name: name.map(|name| Sealed(vec![name])),
    };
    let steps = [
        (None, 0),
        (Some(1), 1),
        (Some(1), 0),
        (None, 0),
        (Some(2), 1),
    ];
    for (name, changed) in steps {
        world.must(register(name));
        assert_eq!(world.last.users.len(), changed, "{name:?}");
    }
    let known = world.facts.user(&user("alice")).expect("alice");
    assert_eq!(known.name, Some(Sealed(vec![2])));
    for (frozen, changed) in [(false, 0), (true, 1), (true, 0), (false, 1)] {
        freeze(&mut world, frozen);
        assert_eq!(world.last.users.len(), changed, "{frozen}");
    }
}

#[test]
fn a_question_without_news_leaves_no_line_and_everything_else_does() {
    let mut world = World::with_balance(1_000_000);
    world.begin(1, 100);
    let mut lines = |origin, finding| {
        let before = world.history.len();
        world.hear(1, origin, finding);
        world.history.len() - before
    };
    assert_eq!(lines(Origin::Answer, Finding::Processing), 1);
    assert_eq!(lines(Origin::Query, Finding::Processing), 0);
    assert_eq!(lines(Origin::Query, unknown()), 0);
    assert_eq!(lines(Origin::Notification, Finding::Processing), 1);
    assert_eq!(lines(Origin::Query, Finding::Paid), 1);
    assert_eq!(lines(Origin::Notification, Finding::Paid), 0);
    assert_eq!(lines(Origin::Notification, Finding::Expired), 1);
}
