//! Writers and those who need the books to stand still keep out of each other's way.
//!
//! Every connection that may write holds a lock of the database together with all others that
//! may; who copies the books holds it alone. The server lets go of it when a connection ends,
//! however that happens, and a connection that comes again must ask again.

use deadpool_postgres::ClientWrapper;
use lingqian_io::Fault;
use tokio_postgres::Error;

use crate::pool::{Connections, Session};
use crate::sql;

/// The number means nothing but "who may write to these books".
const LOCK: i64 = 0x6c69_6e67_7772_6974;

/// What a writer is told while somebody copies.
pub(crate) const COPIED: &str = "another process copies these books; what must write waits until \
                                 `lingqian copy` has ended";

/// Takes the lock together with others; tells whether that could be done.
pub(crate) async fn together(client: &ClientWrapper) -> Result<bool, Error> {
    let taken = client.query_one(sql!("lock_together"), &[&LOCK]).await?;
    taken.try_get(0)
}

/// Nobody writes to the books as long as this is there.
pub struct Alone {
    session: Option<Session>,
}

impl Alone {
    pub(crate) async fn take(readers: &Connections) -> Result<Alone, Fault> {
        let session = readers.get().await?;
        let taken = session.first(sql!("lock_alone"), &[&LOCK]).await?;
        if taken.is_some_and(|row| row.get(0)) {
            return Ok(Alone {
                session: Some(session),
            });
        }
        Err(Fault::Held(
            "another process has these books open for writing; stop `lingqian serve` and whatever \
             else writes to them first"
                .into(),
        ))
    }

    /// Whether nobody wrote since: false when the connection, and the lock with it, was lost.
    pub async fn is_held(&self) -> bool {
        let Some(session) = &self.session else {
            return false;
        };
        session.first("SELECT 1", &[]).await.is_ok()
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        // A connection that was given back would keep the lock.
        if let Some(session) = self.session.take() {
            session.close();
        }
    }
}
