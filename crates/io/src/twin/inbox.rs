//! Messages of users, out of the outbox in memory.

use lingqian_core::id::UserId;
use lingqian_core::notice::Told;

use super::MemoryStore;
use super::books::Books;
use crate::Fault;
use crate::inbox::{Inbox, InboxWish, Messages, UNREAD_MAX};

impl Books {
    fn told_to<'b>(&'b self, user: &'b UserId) -> impl Iterator<Item = Told> + 'b {
        let all = self.outbox.notices(0, u32::MAX).into_iter();
        all.filter(move |told| told.notice.user.as_ref() == Some(user))
    }

    fn inbox(&self, wish: &InboxWish) -> Messages {
        let wanted = |told: &Told| wish.events.contains(&told.notice.event.name());
        let own: Vec<Told> = self.told_to(&wish.user).filter(wanted).collect();
        let read_to = self.read_to.get(&wish.user).copied().unwrap_or(0);
        let unread = own.iter().filter(|told| told.number > read_to).count();
        let before = wish.before.unwrap_or(i64::MAX);
        let page = own.into_iter().rev().filter(|told| told.number < before);
        Messages {
            page: page.take(wish.limit as usize).collect(),
            read_to,
            unread: u32::try_from(unread).unwrap_or(UNREAD_MAX).min(UNREAD_MAX),
        }
    }
}

impl Inbox for MemoryStore {
    async fn inbox(&self, wish: InboxWish) -> Result<Messages, Fault> {
        self.look(|books| books.inbox(&wish)).await
    }

    async fn notices_of(&self, user: UserId, after: i64, limit: u32) -> Result<Vec<Told>, Fault> {
        self.look(|books| {
            let own = books.told_to(&user).filter(|told| told.number > after);
            own.take(limit as usize).collect()
        })
        .await
    }

    async fn read_inbox(&self, user: UserId, to: i64) -> Result<(), Fault> {
        self.change(|books| {
            let known = books.read_to.entry(user).or_default();
            *known = to.max(*known);
        })
        .await
    }
}
