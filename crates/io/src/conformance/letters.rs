//! Dead letters that end and come again, and marks beside events.

use lingqian_core::command::DeadLetter;
use lingqian_core::letter::{Fate, LetterEnd, LetterId, Mark};
use lingqian_core::money::Micros;
use lingqian_core::{Changes, EventBatch, EventView, Notes};

use super::given::{NOON, audit, basis, commit, earned, opened};
use crate::store::{LETTER_ENDED, LetterWish};
use crate::{Browse, Fault, Store};

pub(super) async fn exercise<S: Store + Browse>(make: &impl AsyncFn() -> S) {
    a_letter_ends_once_and_is_open_again_when_it_comes_again(make().await).await;
    marks_are_kept_with_events_of_which_none_was_refused(opened(make().await).await).await;
    notes_are_kept_as_changes_would_be(opened(make().await).await).await;
}

fn letter(raw: &[u8], line: i64) -> Changes {
    let letter = DeadLetter {
        door: "kafka:app".into(),
        position: format!("earnings/0 offset {line}"),
        code: "unknown_user".into(),
        raw: raw.to_vec(),
        at: NOON.after_ms(line),
    };
    Changes {
        dead_letters: vec![letter],
        ..Changes::default()
    }
}

fn ended(letter: &LetterId, times: u64, fate: Fate, event: &str) -> Changes {
    let end = LetterEnd {
        letter: letter.clone(),
        fate,
        times,
        at: NOON,
        event: event.into(),
    };
    Changes {
        letter_ends: vec![end],
        ..Changes::default()
    }
}

async fn a_letter_ends_once_and_is_open_again_when_it_comes_again<S: Store + Browse>(store: S) {
    let store = opened(store).await;
    commit(&store, letter(b"\xff{", 1)).await;
    commit(&store, letter(b"x", 2)).await;
    let list = async |all| {
        let wish = LetterWish { all, limit: 9 };
        let found = store.letters(wish).await.expect("a list");
        let found = found.into_iter();
        found
            .map(|row| {
                assert!(
                    row.letter.raw.is_empty(),
                    "a list does not say what they say"
                );
                (row.bytes, row.times, row.fate())
            })
            .collect::<Vec<_>>()
    };
    let (first, second) = (2, 1);
    let open = [(second, 1, None), (first, 1, None)];
    assert_eq!(list(false).await, open);
    let rows = store
        .letters(LetterWish {
            all: true,
            limit: 1,
        })
        .await;
    let id = rows.expect("a list").remove(0).id;
    let found = store.letter(id.clone()).await.expect("reads");
    assert_eq!(found.map(|row| row.letter.raw), Some(b"x".to_vec()));
    let strange = LetterId::of("unknown_user", &[0; 32]);
    assert_eq!(store.letter(strange).await, Ok(None));
    let strange = LetterId::parse(&id.as_str().replace("unknown_user", "malformed"));
    assert_eq!(store.letter(strange.expect("a name")).await, Ok(None));
    // It ends once; what else is in a second commit is not written.
    commit(&store, ended(&id, 1, Fate::Replayed, "game e1")).await;
    commit(&store, ended(&id, 1, Fate::Replayed, "game e1")).await;
    let mut twice = ended(&id, 1, Fate::Replayed, "game e2");
    twice.earnings.push(earned("e2", 1, Micros(5)));
    let basis = basis(&store).await;
    let refused = store.commit(basis, twice).await;
    assert_eq!(refused, Err(Fault::Retry(LETTER_ENDED.into())));
    let summary = store.summary().await.expect("a summary");
    assert_eq!(summary.earned.0, 3, "nothing was booked");
    assert_eq!(list(false).await, open[1..]);
    let all = [(second, 1, Some(Fate::Replayed)), open[1]];
    assert_eq!(list(true).await, all);
    // It comes again, and is open again.
    commit(&store, letter(b"x", 3)).await;
    assert_eq!(list(false).await, [(second, 2, None), open[1]]);
    commit(&store, ended(&id, 2, Fate::Discarded, "")).await;
    assert_eq!(list(false).await, open[1..]);
    let row = store.letter(id).await.expect("reads").expect("it is there");
    assert_eq!(row.end.map(|end| end.fate), Some(Fate::Discarded));
}

async fn notes_are_kept_as_changes_would_be<S: Store + Browse>(store: S) {
    let mark = |position| Mark {
        name: "kafka/a/t/0".into(),
        position,
    };
    let notes = |letters: &[(&[u8], i64)], position| Notes {
        dead_letters: letters
            .iter()
            .flat_map(|(raw, line)| letter(raw, *line).dead_letters)
            .collect(),
        marks: vec![mark(position)],
    };
    store
        .note(notes(&[(b"x", 1), (b"y", 2), (b"x", 3)], 4))
        .await
        .expect("kept");
    store.note(notes(&[(b"y", 5)], 6)).await.expect("kept");
    store.note(Notes::default()).await.expect("nothing to keep");
    let found = store.dead_letters(9).await.expect("letters");
    let found = found.into_iter();
    let found: Vec<_> = found
        .map(|(letter, times)| (letter.raw, letter.position, times))
        .collect();
    let expected = [
        (b"y".to_vec(), "earnings/0 offset 5".to_owned(), 2),
        (b"x".to_vec(), "earnings/0 offset 3".to_owned(), 2),
    ];
    assert_eq!(found, expected);
    assert_eq!(store.marks(String::new()).await, Ok(vec![mark(6)]));
    audit(&store, &[], "notes").await;
}

async fn marks_are_kept_with_events_of_which_none_was_refused<S: Store + Browse>(store: S) {
    let mark = |name: &str, position| Mark {
        name: name.into(),
        position,
    };
    let batch = |ids: &[(&str, &str)], name: &str, position| {
        let mut batch = EventBatch::default();
        for (id, user) in ids {
            let event = EventView {
                source: "game",
                event_id: id,
                user,
                kind: "ad_view",
                amount: Some(Micros(5)),
                occurred_at: None,
                from: None,
                reverses: None,
            };
            batch.push(&event).expect("well formed");
        }
        batch.mark(mark(name, position));
        batch
    };
    let marks = async |prefix: &str| store.marks(prefix.into()).await.expect("marks");
    let good = batch(&[("m1", "user-1")], "kafka/a/t/0", 1);
    store.earn(NOON, good.clone()).await.expect("no fault");
    assert_eq!(marks("kafka/a/").await, [mark("kafka/a/t/0", 1)]);
    let bad = batch(&[("m2", "user-1"), ("m3", "nobody")], "kafka/a/t/0", 3);
    let mut both = bad.clone();
    both.append(&batch(&[("m4", "user-1")], "kafka/b/t/0", 4));
    let answers = store.earn(NOON, both).await.expect("no fault");
    assert_eq!(answers.iter().filter(|answer| answer.is_err()).count(), 1);
    assert_eq!(
        marks("kafka/a/").await,
        [mark("kafka/a/t/0", 1)],
        "a letter is due"
    );
    assert_eq!(marks("kafka/b").await, [mark("kafka/b/t/0", 4)]);
    // Nothing is booked, and yet the source was read.
    let again = batch(&[("m1", "user-1")], "kafka/a/t/0", 9);
    store.earn(NOON, again).await.expect("no fault");
    assert_eq!(marks("kafka/a/").await, [mark("kafka/a/t/0", 9)]);
    let by_hand = Changes {
        marks: vec![mark("sink/a", 7), mark("kafka/a/t/0", 2)],
        ..Changes::default()
    };
    commit(&store, by_hand).await;
    let all = [
        mark("kafka/a/t/0", 2),
        mark("kafka/b/t/0", 4),
        mark("sink/a", 7),
    ];
    assert_eq!(marks("").await, all);
}
