//! What one user was told, and what of it was read.

use lingqian_core::Changes;

use super::given::{commit, opened, user_id};
use super::outbox::some_notices;
use crate::inbox::{Inbox, InboxWish, Messages};
use crate::{Browse, Store};

pub(super) async fn exercise<S: Store + Browse>(make: &impl AsyncFn() -> S) {
    messages_are_those_of_a_user_and_stay_read(make().await).await;
}

async fn page<S: Inbox>(store: &S, user: i64, before: Option<i64>, limit: u32) -> Messages {
    let wish = InboxWish {
        user: user_id(user),
        events: vec!["payout.paid", "payout.failed", "payout.unknown"],
        before,
        limit,
    };
    store.inbox(wish).await.expect("no fault")
}

fn numbers(messages: &Messages) -> Vec<i64> {
    messages.page.iter().map(|told| told.number).collect()
}

async fn messages_are_those_of_a_user_and_stay_read<S: Store + Browse>(store: S) {
    let store = opened(store).await;
    let notices = some_notices();
    let told = Changes {
        notices: [notices.clone(), notices.clone()].concat(),
        ..Changes::default()
    };
    commit(&store, told).await;
    let all = page(&store, 1, None, 9).await;
    assert_eq!(numbers(&all), [9, 6, 4, 1], "the newest first");
    assert_eq!((all.read_to, all.unread), (0, 4));
    assert_eq!(all.page[3].notice, notices[0]);
    assert_eq!(numbers(&page(&store, 1, Some(9), 2).await), [6, 4]);
    // A link is told, too, and was not asked for.
    assert_eq!(numbers(&page(&store, 2, None, 9).await), [7, 2]);
    let of = store.notices_of(user_id(2), 2, 2).await.expect("notices");
    let of: Vec<i64> = of.iter().map(|told| told.number).collect();
    assert_eq!(of, [5, 7], "the oldest first, whatever they are");
    for (to, read_to, unread) in [(4, 4, 2), (1, 4, 2), (99, 99, 0)] {
        store.read_inbox(user_id(1), to).await.expect("no fault");
        let after = page(&store, 1, None, 1).await;
        assert_eq!((after.read_to, after.unread), (read_to, unread), "{to}");
    }
    assert_eq!(page(&store, 2, None, 1).await.unread, 2, "another user's");
    assert_eq!(page(&store, 3, None, 1).await, Messages::default());
}
