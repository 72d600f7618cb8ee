//! Books that are moved arrive once, whatever became of the answers on their way.

use lingqian_core::Changes;
use lingqian_core::command::DeadLetter;
use lingqian_core::time::Timestamp;
use lingqian_engine::copy::{Compared, Comparison, begins_alike, give, is_empty};
use lingqian_io::conformance::{full_books, whole_flow};
use lingqian_io::read_out::{Cursor, Part};
use lingqian_io::twin::{FaultPoint, MemoryStore};
use lingqian_io::{Browse as _, Fault, ReadOut as _, Store as _};

/// Gives everything from a cursor on; every piece is given until somebody answers.
async fn copy(from: &MemoryStore, to: &MemoryStore, begin: Cursor, limit: u32) {
    let mut cursor = Some(begin);
    while let Some(place) = cursor {
        let piece = from.read_out(place.clone(), limit).await.expect("reads");
        while let Err(fault) = give(to, &place, &piece.changes).await {
            assert!(!matches!(fault, Fault::Broken(_)), "{place:?}: {fault}");
        }
        cursor = piece.next;
    }
}

async fn difference(from: &MemoryStore, to: &MemoryStore) -> Option<Part> {
    let mut comparison = Comparison::default();
    loop {
        match comparison.step(from, to, 7).await.expect("reads") {
            Compared::Alike(_) => {}
            Compared::Wholly => return None,
            Compared::Different(part) => return Some(part),
        }
    }
}

#[tokio::test]
async fn books_arrive_once_though_every_answer_is_lost() {
    let from = full_books(MemoryStore::default()).await;
    let points = [
        FaultPoint::CommitUnanswered,
        FaultPoint::CommitLost,
        FaultPoint::CommitConflict,
        FaultPoint::Prefetch,
    ];
    for limit in [1, 2, 5, 1_000] {
        let to = MemoryStore::default();
        for _ in 0..20 {
            points.into_iter().for_each(|point| to.fail_next(point));
        }
        copy(&from, &to, Cursor::default(), limit).await;
        assert!(to.failures_left() < 80, "answers were lost");
        assert_eq!(difference(&from, &to).await, None, "{limit}");
        let (ours, theirs) = (from.audit().await, to.audit().await);
        assert_eq!(ours, theirs);
        assert_eq!(theirs.expect("reads").findings, []);
    }
}

#[tokio::test]
async fn books_arrive_once_though_the_copy_begins_again_at_every_piece() {
    let from = full_books(MemoryStore::default()).await;
    let to = MemoryStore::default();
    let mut cursor = Some(Cursor::default());
    while let Some(place) = cursor {
        let piece = from.read_out(place.clone(), 3).await.expect("reads");
        for _ in 0..2 {
            give(&to, &place, &piece.changes)
                .await
                .expect("it is taken");
            assert!(begins_alike(&from, &to).await.expect("reads"));
        }
        cursor = piece.next;
    }
    assert_eq!(difference(&from, &to).await, None);
}

#[tokio::test]
async fn books_of_somebody_else_are_noticed() {
    let to = MemoryStore::default();
    assert!(is_empty(&to).await.expect("reads"));
    let from = full_books(MemoryStore::default()).await;
    whole_flow(&to).await;
    assert!(!is_empty(&to).await.expect("reads"));
    assert_eq!(difference(&from, &to).await, Some(Part::Catalogue));
    assert!(!begins_alike(&from, &to).await.expect("reads"));
    let newest = to.newest_entry().await.expect("reads");
    let begin = Cursor::at(Part::Entries, (newest - 1, 0));
    let piece = from.read_out(begin.clone(), 2).await.expect("reads");
    let given = give(&to, &begin, &piece.changes).await;
    assert!(matches!(given, Err(Fault::Broken(_))), "{given:?}");
    let letter = DeadLetter {
        door: "test".into(),
        position: "line 1".into(),
        code: "malformed".into(),
        raw: b"x".to_vec(),
        at: Timestamp(1),
    };
    let strange = MemoryStore::default();
    let changes = Changes {
        dead_letters: vec![letter],
        ..Changes::default()
    };
    let letters = Cursor::begin(Part::DeadLetters);
    give(&strange, &letters, &changes)
        .await
        .expect("it is taken");
    assert!(!is_empty(&strange).await.expect("reads"));
    assert_eq!(strange.dead_letters(9).await.expect("reads").len(), 1);
}
