//! What may happen to a file and to those who work with it: nothing is lost, nothing is doubled.

use std::path::Path;
use std::process::Command;

use lingqian_core::earning::{Credited, Kind, Terms};
use lingqian_core::id::{KindCode, KindNo, UserId, UserNo};
use lingqian_core::money::{AMOUNT_MAX, Micros};
use lingqian_core::time::Timestamp;
use lingqian_core::user::User;
use lingqian_core::{Changes, EventBatch, EventView, Keys};
use lingqian_io::store::{Committed, EventAnswer};
use lingqian_io::{Browse, Fault, Store};
use lingqian_sqlite::{Options, SqliteStore};

/// 2026-03-02, noon in Beijing.
pub(crate) const NOON: Timestamp = Timestamp(1_772_424_000_000);

pub(crate) fn user_id(no: i64) -> UserId {
    UserId::parse(&format!("user-{no}")).expect("an id")
}

/// Books with one kind and so many users.
pub(crate) async fn opened(path: &Path, users: i64) -> SqliteStore {
    opened_with(path, users, &Options::default()).await
}

/// The same, with other options.
pub(crate) async fn opened_with(path: &Path, users: i64, options: &Options) -> SqliteStore {
    let store = SqliteStore::open_with(path, options).expect("opens");
    let kind = Kind {
        no: KindNo(1),
        code: KindCode::parse("ad_view").expect("an id"),
        price: None,
        amount_max: AMOUNT_MAX,
        tax_class: "incidental".into(),
        terms: Terms::default(),
    };
    let user = |no| User {
        no: UserNo(no),
        id: user_id(no),
        created_at: NOON,
        frozen: false,
        name: None,
    };
    let changes = Changes {
        kinds: vec![kind],
        users: (1..=users).map(user).collect(),
        ..Changes::default()
    };
    let basis = store.prefetch(Keys::default()).await.expect("reads").basis;
    assert_eq!(store.commit(basis, changes).await, Ok(Committed::Done));
    store
}

/// Events `e<from>` to `e<to - 1>` of one micro-yuan each, dealt to users in turn.
pub(crate) async fn earn(
    store: &SqliteStore,
    numbers: std::ops::Range<i64>,
    users: i64,
    micros: i64,
) -> Result<Vec<EventAnswer>, Fault> {
    let mut batch = EventBatch::default();
    for number in numbers {
        let (id, user) = (format!("e{number}"), user_id(number % users + 1));
        let event = EventView {
            source: "game",
            event_id: &id,
            user: user.as_str(),
            kind: "ad_view",
            amount: Some(Micros(micros)),
            occurred_at: None,
            from: None,
            reverses: None,
        };
        batch.push(&event).expect("well formed");
    }
    store.earn(NOON, batch).await
}

pub(crate) fn credited(answers: &[EventAnswer]) -> usize {
    let now = |answer: &&EventAnswer| matches!(answer, Ok(Credited::Now(_)));
    answers.iter().filter(now).count()
}

pub(crate) async fn is_sound(store: &SqliteStore, events: u64) {
    let audited = store.audit().await.expect("reads");
    assert_eq!((audited.findings, audited.earnings), (vec![], events));
}

#[tokio::test]
async fn many_batches_become_runs_and_every_event_is_still_known() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("books.db");
    // Enough for runs to be sealed, merged, and merged runs to be looked into.
    const EVENTS: i64 = 400_000;
    let options = Options {
        recent_ids: 7_168,
        ..Options::default()
    };
    let store = opened_with(&path, 600, &options).await;
    for begin in (0..EVENTS).step_by(20_000) {
        let answers = earn(&store, begin..begin + 20_000, 600, 1)
            .await
            .expect("earns");
        assert_eq!(credited(&answers), 20_000, "from {begin}");
    }
    for begin in [0, 65_000, 199_000, EVENTS - 1_000] {
        let again = earn(&store, begin..begin + 1_000, 600, 1)
            .await
            .expect("earns");
        assert!(again.iter().all(|answer| *answer == Ok(Credited::Before)));
        let other = earn(&store, begin..begin + 10, 600, 2)
            .await
            .expect("earns");
        assert!(
            other.iter().all(Result::is_err),
            "another amount is a conflict"
        );
    }
    is_sound(&store, EVENTS.unsigned_abs()).await;
    drop(store);
    let store = SqliteStore::open_with(&path, &options).expect("opens again");
    let again = earn(&store, 0..EVENTS / 4, 600, 1).await.expect("earns");
    assert_eq!(credited(&again), 0);
    let new = earn(&store, EVENTS..EVENTS + 10, 600, 1)
        .await
        .expect("earns");
    assert_eq!(credited(&new), 10);
    is_sound(&store, EVENTS.unsigned_abs() + 10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_write_to_one_file_credit_every_event_once() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("books.db");
    let ours = opened(&path, 20).await;
    let theirs = SqliteStore::open(&path).expect("opens");
    let work = async |store: SqliteStore, from: i64| {
        let mut sum = 0;
        for begin in (from..from + 3_000).step_by(100) {
            let answers = earn(&store, begin..begin + 100, 20, 1).await;
            sum += credited(&answers.expect("earns"));
        }
        sum
    };
    // Half of what each sends the other sends, too.
    let both = tokio::join!(
        tokio::spawn(work(ours.clone(), 0)),
        tokio::spawn(work(theirs.clone(), 1_500))
    );
    let sums = (both.0.expect("runs"), both.1.expect("runs"));
    assert_eq!(sums.0 + sums.1, 4_500);
    is_sound(&ours, 4_500).await;
    // What one has written the other sees at once.
    for number in 0..20 {
        let event = 10_000 + number * 20;
        earn(&ours, event..event + 1, 20, 1).await.expect("earns");
        let wallet = theirs.user(&user_id(1), NOON.business_date()).await;
        let wallet = wallet.expect("reads").expect("a user");
        assert_eq!(wallet.available, Micros(225 + number + 1));
    }
}

#[tokio::test]
async fn a_batch_that_would_leave_the_range_of_the_books_is_refused_whole() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = opened(&dir.path().join("books.db"), 2).await;
    let most = earn(&store, 0..92_000, 2, AMOUNT_MAX.0)
        .await
        .expect("earns");
    assert_eq!(credited(&most), 92_000);
    let refused = earn(&store, 92_000..92_400, 2, AMOUNT_MAX.0).await;
    assert!(
        matches!(&refused, Err(Fault::Broken(words)) if words.contains("range")),
        "{refused:?}"
    );
    is_sound(&store, 92_000).await;
    let small = earn(&store, 92_000..92_400, 2, 1).await.expect("earns");
    assert_eq!(credited(&small), 400);
    is_sound(&store, 92_400).await;
}

/// What the child of the next test does: earns until the disk is full.
#[tokio::test]
async fn earn_until_the_file_may_grow_no_further() {
    let Some(path) = std::env::var_os("LINGQIAN_TEST_SMALL_FILE") else {
        return;
    };
    let store = opened(Path::new(&path), 10).await;
    for begin in (0..10_000_000).step_by(2_000) {
        match earn(&store, begin..begin + 2_000, 10, 1).await {
            Ok(_) => println!("acknowledged {}", begin + 2_000),
            Err(fault) => {
                println!("refused: {fault}");
                // It goes on refusing, and says so; nothing is half done.
                let again = earn(&store, begin..begin + 2_000, 10, 1).await;
                println!("again: {}", again.is_err());
                return;
            }
        }
    }
}

#[tokio::test]
async fn a_full_disk_refuses_in_words_and_loses_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("books.db");
    let me = std::env::current_exe().expect("this test");
    // No file of the child may have more than 4 MiB, which is what a full disk looks like.
    let child = Command::new("bash")
        .arg("-c")
        .arg("trap '' XFSZ; ulimit -f 4096; exec \"$0\" \"$@\"")
        .arg(me)
        .args(["--exact", "faults::earn_until_the_file_may_grow_no_further"])
        .args(["--nocapture", "--test-threads", "1"])
        .env("LINGQIAN_TEST_SMALL_FILE", &path)
        .output()
        .expect("runs");
    let told = String::from_utf8_lossy(&child.stdout);
    let mut acknowledged = told
        .lines()
        .filter_map(|line| line.strip_prefix("acknowledged "));
    let last: u64 = acknowledged
        .next_back()
        .expect(&told)
        .parse()
        .expect("a number");
    assert!(told.contains("refused: "), "{told}");
    let store = SqliteStore::open(&path).expect("opens when there is room again");
    let audited = store.audit().await.expect("reads");
    assert_eq!(audited.findings, [], "{told}");
    assert!(audited.earnings >= last, "{} of {last}", audited.earnings);
    let end = i64::try_from(last).expect("small") + 2_000;
    let answers = earn(&store, 0..end, 10, 1).await.expect("earns");
    let known = answers
        .iter()
        .filter(|answer| **answer == Ok(Credited::Before));
    assert!(
        known.count() as u64 >= last,
        "what was acknowledged is known"
    );
    is_sound(&store, end.unsigned_abs()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_known_while_its_own_batch_is_still_being_written() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = opened(&dir.path().join("books.db"), 50).await;
    // A large batch, a small one and the large one again, all under way at once.
    for round in 0..4 {
        let begin = round * 60_000;
        let (first, small, again) = tokio::join!(
            earn(&store, begin..begin + 50_000, 50, 1),
            earn(&store, begin + 50_000..begin + 50_010, 50, 1),
            earn(&store, begin..begin + 50_000, 50, 1),
        );
        let counts = [first, small, again].map(|answers| credited(&answers.expect("earns")));
        assert_eq!(
            counts.iter().sum::<usize>(),
            50_010,
            "round {round}: {counts:?}"
        );
    }
    is_sound(&store, 200_040).await;
}
