//! Messages of users: notices, read by user.

use lingqian_core::id::UserId;
use lingqian_core::notice::Told;
use lingqian_io::Fault;
use lingqian_io::inbox::{Inbox, InboxWish, Messages, UNREAD_MAX};

use crate::PostgresStore;
use crate::browse::all;
use crate::codec::{get, number};
use crate::fault::fault;
use crate::outbox::told;
use crate::pool::{Session, Values};
use crate::sql;

impl Inbox for PostgresStore {
    async fn inbox(&self, wish: InboxWish) -> Result<Messages, Fault> {
        let session = self.look().await?;
        let found = inbox(&session, &wish).await?;
        Self::seen(session, found).await
    }

    async fn notices_of(&self, user: UserId, after: i64, limit: u32) -> Result<Vec<Told>, Fault> {
        let session = self.look().await?;
        let values: Values<'_> = &[&user.as_str(), &after, &i64::from(limit)];
        let found = all(&session, sql!("notices_of_user"), values, told).await?;
        Self::seen(session, found).await
    }

    async fn read_inbox(&self, user: UserId, to: i64) -> Result<(), Fault> {
        let session = self.books.writers.get().await?;
        let kept = session
            .run(sql!("read_inbox"), &[&user.as_str(), &to])
            .await;
        kept.map(|_| ()).map_err(fault)
    }
}

async fn inbox(session: &Session, wish: &InboxWish) -> Result<Messages, Fault> {
    let (user, names) = (wish.user.as_str(), wish.names());
    let read = session.first(sql!("inbox_read_to"), &[&user]).await?;
    let read_to: i64 = read.map_or(Ok(0), |row| get(&row, 0))?;
    let values: Values<'_> = &[&user, &read_to, &names, &i64::from(UNREAD_MAX)];
    let unread = session.first(sql!("inbox_unread"), values).await?;
    let before = wish.before.unwrap_or(i64::MAX);
    let values: Values<'_> = &[&user, &before, &names, &i64::from(wish.limit)];
    Ok(Messages {
        page: all(session, sql!("inbox"), values, told).await?,
        read_to,
        unread: unread.map_or(Ok(0), |row| number(&row, 0))?,
    })
}
