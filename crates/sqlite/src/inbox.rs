//! Messages of users: notices, read by user.

use lingqian_core::id::UserId;
use lingqian_core::notice::Told;
use lingqian_io::Fault;
use lingqian_io::inbox::{Inbox, InboxWish, Messages, UNREAD_MAX};
use rusqlite::{Connection, params};

use crate::SqliteStore;
use crate::codec::{first, get, rows};
use crate::commit::run;
use crate::outbox::told;
use crate::prefetch::cached;
use crate::sql;

impl Inbox for SqliteStore {
    async fn inbox(&self, wish: InboxWish) -> Result<Messages, Fault> {
        self.read(move |connection| inbox(connection, &wish)).await
    }

    async fn notices_of(&self, user: UserId, after: i64, limit: u32) -> Result<Vec<Told>, Fault> {
        self.read(move |connection| {
            let mut query = cached(connection, sql!("notices_of_user"))?;
            rows(&mut query, params![user.as_str(), after, limit], told)
        })
        .await
    }

    async fn read_inbox(&self, user: UserId, to: i64) -> Result<(), Fault> {
        self.change(move |connection| {
            let mut keep = cached(connection, sql!("read_inbox"))?;
            run(&mut keep, params![user.as_str(), to])
        })
        .await
    }
}

fn inbox(connection: &Connection, wish: &InboxWish) -> Result<Messages, Fault> {
    let (user, names) = (wish.user.as_str(), wish.names());
    let number = |row: &rusqlite::Row<'_>| get(row, 0);
    let read_to = first(
        &mut *cached(connection, sql!("inbox_read_to"))?,
        [user],
        number,
    )?;
    let read_to: i64 = read_to.unwrap_or(0);
    let mut unread = cached(connection, sql!("inbox_unread"))?;
    let unread = first(
        &mut unread,
        params![user, read_to, names, UNREAD_MAX],
        |row| get(row, 0),
    )?;
    let before = wish.before.unwrap_or(i64::MAX);
    let mut page = cached(connection, sql!("inbox"))?;
    Ok(Messages {
        page: rows(&mut page, params![user, before, names, wish.limit], told)?,
        read_to,
        unread: unread.unwrap_or(0),
    })
}
