//! Books that are read out of one store and committed to another are the same books there.

use std::collections::BTreeMap;

use lingqian_core::Changes;
use lingqian_core::changes::HistoryLine;
use lingqian_core::command::{ApiKey, DeadLetter, IdempotencyKey};
use lingqian_core::control::{Scope, Stop};
use lingqian_core::facts::RememberedAnswer;
use lingqian_core::id::{PayoutId, UserNo};
use lingqian_core::letter::{Fate, LetterEnd, LetterId, Mark};
use lingqian_core::link::{LinkState, StateDigest};
use lingqian_core::money::{Fen, Micros};
use lingqian_core::payout::{Queue, State};
use lingqian_core::reconcile::{Bill, Break, BreakKind};
use lingqian_core::time::{BusinessDate, Timestamp};
use lingqian_core::transfer::Evidence;
use lingqian_core::user::DayTotals;

use super::given::{
    DAY_MS, MERCHANT, NOON, app, attempt, basis, commit, earned, held, key, link, opened, payout,
    payout_id, user, user_id, waits,
};
use super::{control, events, outbox, reconciling, states, whole_flow};
use crate::read_out::{Cursor, Part, Piece, ReadOut};
use crate::store::{Audited, Committed, LetterWish, PayoutFilter, Summary};
use crate::twin::MemoryStore;
use crate::{Browse, Store};

/// What a store promises that can be moved; beside what [`super::exercise`] asks for.
///
/// # Panics
/// When a promise is broken.
pub async fn reading_out<S: Store + Browse + ReadOut>(make: impl AsyncFn() -> S) {
    let from = full_books(make().await).await;
    let twin = full_books(MemoryStore::default()).await;
    for limit in [1, 4, 1_000] {
        let to = make().await;
        pour(&from, &to, limit).await;
        same(&from, &to).await;
        let back = MemoryStore::default();
        pour(&to, &back, limit).await;
        same(&twin, &back).await;
        let to = make().await;
        pour(&twin, &to, limit).await;
        same(&twin, &to).await;
    }
    let (from, to) = (make().await, make().await);
    whole_flow(&from).await;
    pour(&from, &to, 2).await;
    same(&from, &to).await;
    pieces_are_told_by_their_cursors(&from, &make().await).await;
}

/// Every piece of a store.
async fn pieces<S: ReadOut>(store: &S, limit: u32) -> Vec<(Cursor, Piece)> {
    let (mut next, mut pieces) = (Some(Cursor::default()), Vec::new());
    while let Some(cursor) = next {
        let piece = store.read_out(cursor.clone(), limit).await;
        let piece = piece.expect("a piece");
        next = piece.next.clone();
        pieces.push((cursor, piece));
    }
    pieces
}

/// Commits everything that is read out, in its order.
async fn pour<F: ReadOut, T: Store + ReadOut>(from: &F, to: &T, limit: u32) {
    for (cursor, piece) in pieces(from, limit).await {
        if cursor.part == Part::Entries {
            let newest = to.newest_entry().await;
            assert_eq!(newest, Ok(cursor.numbers.0), "entries keep their numbers");
        }
        let basis = basis(to).await;
        let committed = to.commit(basis, piece.changes).await;
        assert_eq!(committed, Ok(Committed::Done), "{cursor:?}");
    }
}

/// Whether two stores say the same to everybody who asks.
async fn same<F, T>(from: &F, to: &T)
where
    F: Store + Browse + ReadOut,
    T: Store + Browse + ReadOut,
{
    let (ours, theirs) = (from.audit().await, to.audit().await);
    assert_eq!(theirs.as_ref().map(|a| a.findings.len()), Ok(0));
    let counts = |audited: &Audited| {
        (
            audited.entries,
            audited.earnings,
            audited.payouts,
            audited.bills,
        )
    };
    assert_eq!(ours.as_ref().map(counts), theirs.as_ref().map(counts));
    let sorted = |mut summary: Summary| {
        summary.payouts.sort();
        summary.accounts.sort();
        summary.waiting.sort_unstable();
        summary
    };
    let (ours, theirs) = (from.summary().await, to.summary().await);
    assert_eq!(ours.map(sorted), theirs.map(sorted));
    for no in 1..=5 {
        for day in [NOON, NOON.after_ms(DAY_MS), NOON.after_ms(4 * DAY_MS)] {
            let (id, day) = (user_id(no), day.business_date());
            assert_eq!(from.user(&id, day).await, to.user(&id, day).await);
        }
        let ours = from.statement(UserNo(no), None, 10_000).await;
        assert_eq!(ours, to.statement(UserNo(no), None, 10_000).await);
    }
    let filter = || PayoutFilter {
        limit: 100,
        ..PayoutFilter::default()
    };
    let payouts = from.payouts(filter()).await.expect("a list");
    assert_eq!(Ok(&payouts), to.payouts(filter()).await.as_ref());
    for row in payouts {
        let id = row.payout.id;
        assert_eq!(from.payout(id).await, to.payout(id).await);
    }
    assert_eq!(from.reconciled().await, to.reconciled().await);
    assert_eq!(from.api_keys().await, to.api_keys().await);
    assert_eq!(from.merchants().await, to.merchants().await);
    assert_eq!(from.stops().await, to.stops().await);
    assert_eq!(from.deeds(None, 99).await, to.deeds(None, 99).await);
    let ever = BusinessDate(i32::MIN);
    let days = from.merchant_days(ever).await;
    assert_eq!(days, to.merchant_days(ever).await);
    assert_eq!(from.dead_letters(99).await, to.dead_letters(99).await);
    let wish = LetterWish {
        all: true,
        limit: 99,
    };
    assert_eq!(from.letters(wish).await, to.letters(wish).await);
    assert_eq!(
        from.marks(String::new()).await,
        to.marks(String::new()).await
    );
    assert_eq!(from.newest_entry().await, to.newest_entry().await);
    assert_eq!(from.notices(0, 99).await, to.notices(0, 99).await);
    // Whatever nobody can ask for by name; stores hand answers out in places of their own.
    let (mut ours, mut theirs) = (pieces(from, 3).await, pieces(to, 3).await);
    assert_eq!(answers(&mut ours), answers(&mut theirs));
    for ((cursor, ours), (_, theirs)) in ours.into_iter().zip(theirs) {
        // What is over may be forgotten.
        if cursor.part != Part::Terms {
            assert_eq!(ours, theirs, "{cursor:?}");
        }
    }
}

/// Takes out every answer, by its key.
fn answers(pieces: &mut Vec<(Cursor, Piece)>) -> BTreeMap<IdempotencyKey, RememberedAnswer> {
    pieces.retain(|(cursor, _)| cursor.part != Part::Answers || cursor.names.0.is_empty());
    let mut all = BTreeMap::new();
    for (_, piece) in pieces {
        all.extend(piece.changes.answers.drain(..));
        piece.next = None;
    }
    all
}

/// Each piece follows from its cursor alone, and empty books have no more than empty pieces.
async fn pieces_are_told_by_their_cursors<S: Store + ReadOut>(store: &S, empty: &S) {
    for (cursor, piece) in pieces(store, 3).await {
        let again = store.read_out(cursor.clone(), 3).await;
        assert_eq!(again, Ok(piece), "{cursor:?}");
    }
    let all = pieces(empty, 3).await;
    assert_eq!(all.len(), Part::ALL.len());
    assert!(all.iter().all(|(_, piece)| piece.changes.is_empty()));
    assert_eq!(empty.newest_entry().await, Ok(0));
}

/// Fills empty books with everything that books can hold, in an order that no copy may lose.
///
/// # Panics
/// When the store refuses something of it.
pub async fn full_books<S: Store + Browse>(store: S) -> S {
    let store = opened(store).await;
    let people = Changes {
        users: vec![user(4), user(5)],
        links: vec![link(4, 4), super::links::ended(4, 4), link(5, 5)],
        link_states: (1..=5).map(link_state).collect(),
        api_keys: vec![api_key("a", None), api_key("b", Some(NOON))],
        ..Changes::default()
    };
    commit(&store, people).await;
    commit(&store, events::kinds()).await;
    events::cooling_beside_a_debt(&store).await;
    events::some_days(&store, 3).await;
    for mut payout in states::every_state() {
        payout.user = UserNo(4);
        let mut changes = Changes {
            earnings: vec![earned(&format!("for-{}", payout.id), 4, payout_amount())],
            history: vec![line(payout.id, "held"), line(payout.id, "assessed")],
            ..Changes::default()
        };
        changes.append(held(payout));
        commit(&store, changes).await;
    }
    counted(&store).await;
    controlled(&store).await;
    let date = NOON.business_date();
    let mut billed = reconciling::lines_of(payout_id(10), date);
    billed.bills = vec![bill(date), bill(date.next())];
    let open = Break {
        subject: "f4".into(),
        kind: BreakKind::UnknownLine,
        date,
        difference: Fen(-100),
        opened_at: NOON,
        closed_at: None,
    };
    let closed = Break {
        subject: payout_id(10).to_string(),
        closed_at: Some(NOON),
        ..open.clone()
    };
    billed.breaks = vec![open, closed];
    commit(&store, billed).await;
    told(&store).await;
    let last = Changes {
        earnings: vec![earned("last", 5, payout_amount())],
        ..Changes::default()
    };
    commit(&store, last).await;
    letters_read(&store).await;
    for (code, raw, times) in [
        ("malformed", "{", 1),
        ("unknown_user", "x", 9),
        ("y", "{", 2),
    ] {
        for line in 0..times {
            let letters = Changes {
                dead_letters: vec![letter(code, raw, line)],
                ..Changes::default()
            };
            commit(&store, letters).await;
        }
    }
    store
}

/// A letter that was ended, and how far a source was read.
async fn letters_read<S: Store>(store: &S) {
    let end = LetterEnd {
        letter: LetterId::of("malformed", blake3::hash(b"{").as_bytes()),
        fate: Fate::Discarded,
        times: 1,
        at: NOON,
        event: String::new(),
    };
    let mark = Mark {
        name: "kafka/app/earnings/0".into(),
        position: 7,
    };
    let beside = Changes {
        letter_ends: vec![end],
        marks: vec![mark],
        ..Changes::default()
    };
    commit(store, beside).await;
}

fn payout_amount() -> Micros {
    Fen(100).micros().expect("in range")
}

/// A payout that counts towards its day, with an answer that is remembered for its key.
async fn counted<S: Store>(store: &S) {
    let day = NOON.business_date();
    let mut counted = payout(50, State::Approved);
    counted.counted_on = Some(day);
    let (id, amount) = (counted.id, counted.amount);
    let mut changes = held(counted);
    for (_, work) in &mut changes.payouts {
        *work = waits(Queue::Send, NOON.after_ms(5));
    }
    let totals = DayTotals { count: 1, amount };
    changes.day_totals = vec![(UserNo(1), day, totals)];
    changes.answers = ["k1", "k2", "k3"]
        .map(|name| {
            let answer = RememberedAnswer {
                digest: [9; 32],
                payout: id,
                amount,
                created_at: NOON,
            };
            (key(name), answer)
        })
        .into();
    commit(store, changes).await;
}

/// What the outside was told, and who hears of it: from the start, from then on, and no more.
async fn told<S: Store>(store: &S) {
    let notices = |notices| Changes {
        notices,
        ..Changes::default()
    };
    commit(store, notices(outbox::some_notices())).await;
    let mut endpoints = ["we_1", "we_2", "we_3"].map(|id| outbox::endpoint(id, &["payout.*"]));
    endpoints[0].after = Some(1);
    endpoints[1].off = Some((NOON, "http_410".into()));
    endpoints[2].deleted = true;
    let changes = Changes {
        endpoints: endpoints.into(),
        ..Changes::default()
    };
    commit(store, changes).await;
    commit(store, notices(outbox::some_notices())).await;
}

/// What people and the engine stopped and did, and a payout that is at its second attempt.
async fn controlled<S: Store>(store: &S) {
    let mut tried = payout(51, State::Approved);
    tried.tries = 1;
    tried.version = 4;
    let mut changes = held(tried);
    changes.attempts = vec![attempt(51)];
    changes.stops = control::stops();
    changes.stops.push(Stop {
        scope: Scope::Scene("1005".into()),
        lifted_at: Some(NOON),
        ..control::stops()[3].clone()
    });
    changes.deeds = ["approve", "stop", "lift", "refuse", "cancel"]
        .map(|what| control::deed(what, "all"))
        .into();
    changes.merchant_days = vec![(MERCHANT, NOON.business_date(), Fen(200))];
    commit(store, changes).await;
}

fn link_state(no: i64) -> LinkState {
    LinkState {
        digest: StateDigest([u8::try_from(no * 40).expect("small"); 32]),
        user: UserNo(no),
        app: app(),
        expires_at: NOON.after_ms(600_000),
        used_at: (no > 2).then_some(NOON),
    }
}

fn api_key(id: &str, revoked_at: Option<Timestamp>) -> ApiKey {
    ApiKey {
        id: id.into(),
        digest: [id.as_bytes()[0]; 32],
        scopes: vec!["events:write".into(), "*".into()],
        created_at: NOON,
        revoked_at,
    }
}

fn line(payout: PayoutId, event: &'static str) -> HistoryLine {
    HistoryLine {
        payout,
        at: NOON,
        event,
        state: "requested",
        code: Some("SYSTEM_ERROR".into()),
        evidence: Some(Evidence {
            status: Some(500),
            request_id: Some("08F78BB5AF0510D302".into()),
            body: format!("{{\"{event}\": \"{payout}\"}}"),
        }),
    }
}

fn bill(date: BusinessDate) -> Bill {
    let first = date == NOON.business_date();
    let moved = if first { Fen(200) } else { Fen::ZERO };
    Bill {
        merchant: MERCHANT,
        date,
        sha1: "da39a3ee5e6b4b0d3255bfef95601890afd80709".into(),
        lines: if first { 4 } else { 0 },
        out: moved,
        came_in: moved,
        opening: Fen(100_000),
        closing: Fen(100_000),
        fetched_at: NOON,
    }
}

fn letter(code: &str, raw: &str, line: i64) -> DeadLetter {
    DeadLetter {
        door: "import".into(),
        position: format!("line {line}"),
        code: code.into(),
        raw: raw.as_bytes().to_vec(),
        // All of one moment: what came last is last all the same.
        at: NOON,
    }
}
