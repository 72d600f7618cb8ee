//! The in-memory store passes the suite, and fails where it is told to.

use lingqian_core::command::DeadLetter;
use lingqian_core::payout::Queue;
use lingqian_core::time::Timestamp;
use lingqian_core::{Changes, Keys};
use lingqian_io::conformance;
use lingqian_io::store::{Claim, Committed};
use lingqian_io::twin::{FaultPoint, ManualClock, MemoryStore, SeededDice};
use lingqian_io::{Browse, Clock, Dice, Fault, Store};

#[tokio::test]
async fn the_memory_store_passes_the_conformance_suite() {
    conformance::exercise(async || MemoryStore::default()).await;
}

#[tokio::test]
async fn the_twin_can_be_moved() {
    conformance::reading_out(async || MemoryStore::default()).await;
}

fn letter(raw: &str) -> Changes {
    let letter = DeadLetter {
        door: "import".into(),
        position: String::new(),
        code: "malformed".into(),
        raw: raw.into(),
        at: Timestamp(1),
    };
    Changes {
        dead_letters: vec![letter],
        ..Changes::default()
    }
}

async fn kept(store: &MemoryStore) -> usize {
    store.dead_letters(10).await.expect("no fault").len()
}

/// Commits a letter after a fault was put in line: what is answered, and how much is kept.
async fn commit_after(fault: FaultPoint) -> (Result<Committed, Fault>, usize) {
    let store = MemoryStore::default();
    store.fail_next(fault);
    let basis = store.prefetch(Keys::default()).await.expect("no fault");
    let answer = store.commit(basis.basis, letter("a")).await;
    assert_eq!(store.failures_left(), 0, "{fault:?} happened");
    let kept = kept(&store).await;
    (answer, kept)
}

#[tokio::test]
async fn a_commit_fails_in_each_way_that_a_real_one_can() {
    let retry = Fault::Retry("the twin was told to fail".into());
    let unknown = Fault::Unknown("the twin was told to lose the answer".into());
    let cases = [
        (FaultPoint::Commit, Err(retry), 0),
        (FaultPoint::CommitLost, Err(unknown.clone()), 0),
        (FaultPoint::CommitUnanswered, Err(unknown), 1),
        (FaultPoint::CommitConflict, Ok(Committed::Conflict), 0),
    ];
    for (fault, answer, kept) in cases {
        assert_eq!(commit_after(fault).await, (answer, kept), "{fault:?}");
    }
}

#[tokio::test]
async fn faults_wait_in_line_for_their_operation() {
    let store = MemoryStore::default();
    store.fail_next(FaultPoint::Claim);
    store.fail_next(FaultPoint::Prefetch);
    store.fail_next(FaultPoint::Look);
    let claim = Claim {
        queue: Queue::Send,
        now: Timestamp(0),
        lease_until: Timestamp(1),
        limit: 1,
    };
    assert!(store.prefetch(Keys::default()).await.is_ok());
    assert!(matches!(store.claim(claim).await, Err(Fault::Retry(_))));
    assert_eq!(store.claim(claim).await, Ok(Vec::new()));
    assert!(store.summary().await.is_ok());
    let refused = store.prefetch(Keys::default()).await;
    assert!(matches!(refused, Err(Fault::Retry(_))));
    assert!(matches!(store.summary().await, Err(Fault::Retry(_))));
    assert!(store.summary().await.is_ok());
}

#[tokio::test]
async fn clones_share_the_books() {
    let store = MemoryStore::default();
    let committed = store.clone().commit(0, letter("a")).await;
    assert_eq!(committed, Ok(Committed::Done));
    assert_eq!(kept(&store).await, 1);
}

#[test]
fn a_clock_stands_still_until_it_is_moved() {
    let clock = ManualClock::new(Timestamp(1_000));
    clock.advance_ms(5);
    clock.set_business(Timestamp(90_000));
    assert_eq!(clock.business(), Timestamp(90_000));
    assert_eq!(clock.wire(), Timestamp(1_005));
    clock.set_wire(Timestamp(3));
    clock.advance_ms(1);
    assert_eq!(clock.business(), Timestamp(90_001));
    assert_eq!(clock.wire(), Timestamp(4));
}

#[test]
fn dice_roll_the_same_from_the_same_seed() {
    let (a, b, c) = (SeededDice::new(7), SeededDice::new(7), SeededDice::new(8));
    let rolls: Vec<u128> = (0..100).map(|_| a.roll()).collect();
    assert!(rolls.iter().all(|roll| *roll == b.roll()));
    assert_ne!(rolls[0], c.roll());
    assert_ne!(rolls[0], rolls[1]);
    let mut odd = [0; 13];
    c.fill(&mut odd);
    assert_ne!(odd[8..], [0; 5], "the last bytes are filled as well");
}
