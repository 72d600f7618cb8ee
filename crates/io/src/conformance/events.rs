//! Events in batches: whatever a store does to be fast, it answers and books what the same
//! events would get as commands, one after the other.

use lingqian_core::earning::{Credited, Kind, Terms};
use lingqian_core::id::{KindCode, KindNo, UserNo};
use lingqian_core::money::{AMOUNT_MAX, Micros};
use lingqian_core::time::Timestamp;
use lingqian_core::{Changes, EventBatch, EventView, Rejection};

use super::given::{DAY_MS, NOON, audit, commit, opened, user_id};
use crate::store::EventAnswer;
use crate::twin::{MemoryStore, SeededDice};
use crate::{Browse, Dice as _, Store};

pub(super) async fn exercise<S: Store + Browse>(make: &impl AsyncFn() -> S) {
    an_event_is_booked_once_within_a_batch_and_across_batches(make().await).await;
    a_hundred_thousand_times_one_event_is_one_credit(make().await).await;
    caps_count_per_user_kind_and_day(make().await).await;
    money_that_cools_off_is_there_and_cannot_be_sent(make().await).await;
    a_claw_back_takes_what_is_there_and_the_rest_becomes_a_debt(make().await).await;
    a_claw_back_lets_cool_what_other_events_brought(make().await).await;
    a_balance_never_leaves_its_range(make().await).await;
    any_history_is_what_commands_would_have_made_of_it(make).await;
}

/// An event of user `no` and the plain kind.
fn event(id: &str, no: u8, micros: i64) -> EventView<'_> {
    EventView {
        source: "game",
        event_id: id,
        user: USERS[usize::from(no)],
        kind: "ad_view",
        amount: Some(Micros(micros)),
        occurred_at: None,
        from: None,
        reverses: None,
    }
}

const USERS: [&str; 5] = ["nobody", "user-1", "user-2", "user-3", "stranger"];

/// The kinds beside the plain one: capped, cooling off for two days, between users.
pub(super) fn kinds() -> Changes {
    let kind = |no, code, terms| Kind {
        no: KindNo(no),
        code: KindCode::parse(code).expect("an id"),
        price: None,
        amount_max: AMOUNT_MAX,
        tax_class: "incidental".into(),
        terms,
    };
    let plain = Terms::default();
    let capped = Terms {
        user_day_amount_max: Some(Micros(1_000)),
        user_day_count_max: Some(3),
        ..plain
    };
    let cooling = Terms {
        cooling_days: 2,
        ..plain
    };
    let between = Terms {
        between_users: true,
        user_day_count_max: Some(4),
        ..plain
    };
    Changes {
        kinds: vec![
            kind(8, "capped", capped),
            kind(9, "cooling", cooling),
            kind(10, "gift", between),
            kind(11, "jackpot", plain),
        ],
        ..Changes::default()
    }
}

/// Some days of events that meet each other, the same for the same seed.
pub(super) async fn some_days<S: Store>(store: &S, seed: u64) {
    let chance = Chance(SeededDice::new(seed));
    let ids: Vec<String> = (0..90).map(|number| format!("e{number}")).collect();
    let mut now = NOON;
    for _ in 0..12 {
        let events: Vec<EventView<'_>> = (0..30).map(|_| chance.event(&ids)).collect();
        earn(store, now, &events).await;
        now = now.after_ms(i64::try_from(chance.below(9)).unwrap_or(0) * 3_600_000);
    }
}

async fn prepared<S: Store>(store: S) -> S {
    let store = opened(store).await;
    commit(&store, kinds()).await;
    store
}

async fn earn<S: Store>(store: &S, now: Timestamp, events: &[EventView<'_>]) -> Vec<EventAnswer> {
    let mut batch = EventBatch::default();
    for event in events {
        batch.push(event).expect("well formed");
    }
    store.earn(now, batch).await.expect("events are answered")
}

fn now(micros: i64) -> EventAnswer {
    Ok(Credited::Now(Micros(micros)))
}

const BEFORE: EventAnswer = Ok(Credited::Before);

/// Available, held, owed and what cools off of a user, in micro-yuan.
async fn purse<S: Store + Browse>(store: &S, no: i64, now: Timestamp) -> (i64, i64, i64, i64) {
    let wallet = store.user(&user_id(no), now.business_date()).await;
    let wallet = wallet.expect("a look").expect("a user");
    let purse = wallet.purse(now.business_date());
    let [available, held] = [purse.available, wallet.held];
    (available.0, held.0, purse.owed.0, purse.cooling.0)
}

async fn an_event_is_booked_once_within_a_batch_and_across_batches<S: Store + Browse>(store: S) {
    let store = prepared(store).await;
    let other_amount = event("a", 1, 11);
    let of_another = event("a", 2, 10);
    let of_shop = EventView {
        source: "shop",
        ..event("a", 1, 10)
    };
    let answers = earn(
        &store,
        NOON,
        &[
            event("a", 1, 10),
            event("a", 1, 10),
            other_amount,
            of_shop,
            of_another,
            event("b", 4, 10),
            event("c", 1, 0),
        ],
    )
    .await;
    let conflict = || Err(Rejection::EventConflict);
    let expected = [
        now(10),
        BEFORE,
        conflict(),
        now(10),
        conflict(),
        Err(Rejection::UnknownUser),
        Err(Rejection::AmountNotPositive),
    ];
    assert_eq!(answers, expected);
    let later = NOON.after_ms(1);
    let undecided = EventView {
        amount: None,
        ..event("a", 1, 10)
    };
    let again = [undecided, of_shop, other_amount, event("c", 1, 4)];
    let expected = [BEFORE, BEFORE, conflict(), now(4)];
    assert_eq!(earn(&store, later, &again).await, expected);
    assert_eq!(purse(&store, 1, NOON).await, (100_000_024, 0, 0, 0));
    let audited = audit(&store, &[], "events").await;
    assert_eq!((audited.earnings, audited.entries), (6, 6));
    let none = store.earn(NOON, EventBatch::default()).await;
    assert_eq!(none, Ok(Vec::new()));
}

async fn a_hundred_thousand_times_one_event_is_one_credit<S: Store + Browse>(store: S) {
    let store = prepared(store).await;
    let batch = vec![event("same", 1, 7); 100_000];
    let answers = earn(&store, NOON, &batch).await;
    assert_eq!(answers[0], now(7));
    assert!(answers[1..].iter().all(|answer| *answer == BEFORE));
    assert_eq!(purse(&store, 1, NOON).await.0, 100_000_007);
    assert_eq!(audit(&store, &[], "one event").await.earnings, 4);
}

async fn caps_count_per_user_kind_and_day<S: Store + Browse>(store: S) {
    let store = prepared(store).await;
    let capped = |id: &'static str, no, micros| EventView {
        kind: "capped",
        ..event(id, no, micros)
    };
    let reached = || Err(Rejection::DayCapReached);
    let first = [
        capped("1", 1, 600),
        capped("2", 1, 401),
        capped("3", 2, 401),
        capped("4", 1, 400),
        capped("4", 1, 400),
    ];
    let expected = [now(600), reached(), now(401), now(400), BEFORE];
    assert_eq!(earn(&store, NOON, &first).await, expected);
    let second = [
        capped("5", 1, 1),
        capped("6", 2, 1),
        capped("7", 2, 1),
        capped("8", 2, 1),
    ];
    let expected = [reached(), now(1), now(1), reached()];
    assert_eq!(earn(&store, NOON, &second).await, expected);
    let tomorrow = NOON.after_ms(DAY_MS);
    assert_eq!(
        earn(&store, tomorrow, &[capped("2", 1, 401)]).await,
        [now(401)]
    );
    // A clock that was set back does not open yesterday again.
    let back = earn(&store, NOON, &[capped("9", 1, 600)]).await;
    assert_eq!(back, [reached()]);
    audit(&store, &[], "caps").await;
}

async fn money_that_cools_off_is_there_and_cannot_be_sent<S: Store + Browse>(store: S) {
    let store = prepared(store).await;
    let gift = |id: &'static str, micros| EventView {
        kind: "gift",
        from: Some("user-1"),
        ..event(id, 2, micros)
    };
    let cooling = EventView {
        kind: "cooling",
        ..event("cool", 1, 500)
    };
    let poor = || Err(Rejection::InsufficientFunds);
    let events = [cooling, gift("g1", 100_000_001), gift("g2", 99_999_999)];
    let expected = [now(500), poor(), now(99_999_999)];
    assert_eq!(earn(&store, NOON, &events).await, expected);
    assert_eq!(purse(&store, 1, NOON).await, (501, 0, 0, 500));
    let tomorrow = NOON.after_ms(DAY_MS);
    assert_eq!(earn(&store, tomorrow, &[gift("g1", 2)]).await, [poor()]);
    let then = NOON.after_ms(2 * DAY_MS);
    assert_eq!(earn(&store, then, &[gift("g1", 501)]).await, [now(501)]);
    assert_eq!(purse(&store, 1, then).await, (0, 0, 0, 0));
    assert_eq!(purse(&store, 2, then).await.0, 200_000_500);
    let wrong = [
        EventView {
            from: None,
            ..gift("w1", 1)
        },
        EventView {
            from: Some("nobody"),
            ..gift("w2", 1)
        },
        EventView {
            from: Some("user-2"),
            ..gift("w3", 1)
        },
        EventView {
            kind: "ad_view",
            ..gift("w4", 1)
        },
        EventView {
            from: Some("user-3"),
            ..gift("g1", 501)
        },
    ];
    let expected = [
        Err(Rejection::SenderMissing),
        Err(Rejection::UnknownSender),
        Err(Rejection::SenderIsReceiver),
        Err(Rejection::SenderNotAllowed),
        Err(Rejection::EventConflict),
    ];
    assert_eq!(earn(&store, then, &wrong).await, expected);
    let lines = store.statement(UserNo(2), None, 1).await;
    let line = lines.expect("a statement").remove(0);
    let name = ("game".to_owned(), "g1".to_owned());
    assert_eq!((line.event, line.entry.amount()), (Some(name), Micros(501)));
    audit(&store, &[], "gifts").await;
}

async fn a_claw_back_takes_what_is_there_and_the_rest_becomes_a_debt<S: Store + Browse>(store: S) {
    let store = prepared(store).await;
    let back = |id: &'static str, no, amount, reverses: &'static str| EventView {
        amount,
        reverses: Some(reverses),
        ..event(id, no, 0)
    };
    let gift = EventView {
        kind: "gift",
        from: Some("user-1"),
        ..event("gift", 2, 100_000_600)
    };
    let events = [
        event("e", 1, 1_000),
        back("b1", 1, Some(Micros(300)), "e"),
        back("b2", 1, Some(Micros(701)), "e"),
        gift,
        back("b3", 1, None, "e"),
        back("b3", 1, None, "e"),
        back("b4", 1, None, "e"),
        back("b5", 2, None, "e"),
        back("b6", 1, None, "b1"),
        back("b7", 1, None, "never"),
    ];
    let max = Micros(700);
    let expected = [
        now(1_000),
        now(300),
        Err(Rejection::AmountOutOfRange { max }),
        now(100_000_600),
        now(700),
        BEFORE,
        Err(Rejection::AlreadyTakenBack),
        Err(Rejection::OriginalDiffers),
        Err(Rejection::NotReversible),
        Err(Rejection::UnknownEvent),
    ];
    assert_eq!(earn(&store, NOON, &events).await, expected);
    assert_eq!(purse(&store, 1, NOON).await, (0, 0, 600, 0));
    let summary = store.summary().await.expect("a summary");
    assert_eq!(summary.users_owe, 600);
    // What is earned now pays the debt first, also out of money that would cool off.
    let cooling = EventView {
        kind: "cooling",
        ..event("c", 1, 500)
    };
    let events = [cooling, event("f", 1, 450)];
    let expected = [now(500), now(450)];
    assert_eq!(earn(&store, NOON, &events).await, expected);
    assert_eq!(purse(&store, 1, NOON).await, (350, 0, 0, 0));
    // While it cools off, a claw-back takes it out of what cools off, too.
    let cooling = EventView {
        event_id: "d",
        ..cooling
    };
    let undo = EventView {
        kind: "cooling",
        ..back("b8", 1, None, "d")
    };
    let expected = [now(500), now(500)];
    assert_eq!(earn(&store, NOON, &[cooling, undo]).await, expected);
    assert_eq!(purse(&store, 1, NOON).await, (350, 0, 0, 0));
    audit(&store, &[], "claw-backs").await;
}

/// The third user gives all away and comes into debt; what pays it cools off with its rest, and
/// so does another earning; parts of both are taken back.
pub(super) async fn cooling_beside_a_debt<S: Store + Browse>(store: &S) {
    let back = |id, original, amount| EventView {
        amount,
        reverses: Some(original),
        ..event(id, 3, 0)
    };
    let cooling = |event| EventView {
        kind: "cooling",
        ..event
    };
    let gift = EventView {
        kind: "gift",
        from: Some("user-3"),
        ..event("debt-gone", 2, 100_001_000)
    };
    let steps = [
        (
            vec![
                event("debt", 3, 1_000),
                gift,
                back("debt-back", "debt", None),
            ],
            (0, 1_000, 0),
        ),
        (
            vec![
                cooling(event("pays", 3, 1_200)),
                cooling(event("beside", 3, 500)),
            ],
            (700, 0, 700),
        ),
        (
            vec![
                cooling(back("c1", "pays", Some(Micros(50)))),
                cooling(back("c2", "beside", Some(Micros(20)))),
            ],
            (630, 0, 630),
        ),
        // Of the first one 150 cool, whatever is taken back; the rest was spent on the debt.
        (
            vec![cooling(back("c3", "pays", Some(Micros(300))))],
            (330, 0, 480),
        ),
        (vec![cooling(back("c4", "pays", None))], (0, 520, 480)),
        (
            vec![cooling(back("c5", "beside", Some(Micros(80))))],
            (0, 600, 400),
        ),
    ];
    for (events, (available, owed, cools)) in steps {
        let answers = earn(store, NOON, &events).await;
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        assert_eq!(purse(store, 3, NOON).await, (available, 0, owed, cools));
    }
}

async fn a_claw_back_lets_cool_what_other_events_brought<S: Store + Browse>(store: S) {
    let store = prepared(store).await;
    cooling_beside_a_debt(&store).await;
    audit(&store, &[], "claw-backs of money that cools off").await;
}

async fn a_balance_never_leaves_its_range<S: Store + Browse>(store: S) {
    let store = prepared(store).await;
    let jackpots = 90_001;
    let ids: Vec<String> = (0..jackpots).map(|number| format!("j{number}")).collect();
    let jackpot = |id| EventView {
        kind: "jackpot",
        ..event(id, 1, AMOUNT_MAX.0)
    };
    let events: Vec<EventView<'_>> = ids.iter().map(|id| jackpot(id.as_str())).collect();
    let answers = earn(&store, NOON, &events).await;
    let credited = answers.iter().filter(|answer| answer.is_ok()).count();
    assert_eq!(credited, 89_999);
    let refused = answers.iter().filter_map(|answer| answer.as_ref().err());
    assert!(
        refused
            .clone()
            .all(|rejection| *rejection == Rejection::BalanceOutOfRange)
    );
    assert_eq!(refused.count(), 2);
    audit(&store, &[], "a very rich user").await;
}

/// Chance for one history.
struct Chance(SeededDice);

impl Chance {
    fn below(&self, limit: u64) -> u64 {
        let roll = self.0.roll() % u128::from(limit);
        u64::try_from(roll).unwrap_or(0)
    }

    fn pick<'a>(&self, from: &[&'a str]) -> &'a str {
        let place = usize::try_from(self.below(from.len() as u64)).unwrap_or(0);
        from[place]
    }

    /// An event that is likely to meet others.
    fn event<'a>(&self, ids: &'a [String]) -> EventView<'a> {
        let id = || ids[usize::try_from(self.below(ids.len() as u64)).unwrap_or(0)].as_str();
        let some = |odds| self.below(odds) == 0;
        let amount = i64::try_from(self.below(900)).unwrap_or(0) - 20;
        EventView {
            source: self.pick(&["game", "game", "shop"]),
            event_id: id(),
            user: self.pick(&USERS[..4]),
            kind: self.pick(&["ad_view", "capped", "cooling", "gift", "no-kind"]),
            amount: Some(Micros(amount)).filter(|_| !some(9)),
            occurred_at: Some(NOON).filter(|_| some(4)),
            from: some(3).then(|| self.pick(&USERS)),
            reverses: some(6).then(id),
        }
    }
}

async fn any_history_is_what_commands_would_have_made_of_it<S: Store + Browse>(
    make: &impl AsyncFn() -> S,
) {
    for seed in 0..4 {
        let (store, twin) = (make().await, MemoryStore::default());
        let (store, twin) = (prepared(store).await, prepared(twin).await);
        let chance = Chance(SeededDice::new(seed));
        let ids: Vec<String> = (0..150).map(|number| format!("e{number}")).collect();
        let mut now = NOON;
        for round in 0..25 {
            let size = chance.below(60);
            let events: Vec<EventView<'_>> = (0..size).map(|_| chance.event(&ids)).collect();
            let found = earn(&store, now, &events).await;
            let expected = earn(&twin, now, &events).await;
            for ((event, found), expected) in events.iter().zip(&found).zip(&expected) {
                assert_eq!(found, expected, "seed {seed}, round {round}: {event:?}");
            }
            now = now.after_ms(i64::try_from(chance.below(20)).unwrap_or(0) * 3_600_000);
        }
        for no in 1..=3 {
            let day = now.business_date();
            let (found, expected) = (
                store.user(&user_id(no), day).await,
                twin.user(&user_id(no), day).await,
            );
            assert_eq!(found, expected, "seed {seed}: the wallet of user {no}");
            let found = store.statement(UserNo(no), None, 2_000).await;
            let expected = twin.statement(UserNo(no), None, 2_000).await;
            assert_eq!(found, expected, "seed {seed}: the statement of user {no}");
        }
        let (found, expected) = (store.audit().await, twin.audit().await);
        assert_eq!(found, expected, "seed {seed}");
        audit(&store, &[], "a history").await;
    }
}
