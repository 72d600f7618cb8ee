//! The books for somebody who only looks: the chain proved from its first batch, entries for
//! somebody else's file, questions in SQL.

mod export;
mod shell;
mod walk;

use lingqian_io::Fault;

pub use crate::reading::export::{Exported, Stopped, Taker, Value};
pub use crate::reading::shell::{Answer, Kind, Refused};
pub use crate::reading::walk::{Misfit, Verified};

use crate::address::Address;
use crate::pool::{Connections, Session, Use};
use crate::reading::walk::Walk;
use crate::{LOOK_LONGER, Options, SNAPSHOT, schema};

/// One connection that only reads. Each question is answered as of one moment.
pub struct Reading {
    connections: Connections,
}

impl Reading {
    /// Connects, and brings the tables up to date as every program does that comes first.
    ///
    /// # Errors
    /// As for [`crate::PostgresStore::open`].
    pub async fn open(url: &str) -> Result<Reading, Fault> {
        let address = Address::read(url)?;
        schema::migrate(&address).await?;
        let silence = Options::default().silence.saturating_mul(LOOK_LONGER);
        let connections = Connections::new(address, Use::Read, 1, silence)?;
        Ok(Reading { connections })
    }

    async fn moment(&self) -> Result<Session, Fault> {
        let mut session = self.connections.get().await?;
        session.begin(SNAPSHOT).await?;
        Ok(session)
    }

    /// Proves the chain of batches from the first to the last; `each` is told how many entries
    /// were read. A head that somebody noted earlier is looked for on the way.
    ///
    /// # Errors
    /// When the database cannot be read. A batch that does not fit is an answer.
    pub async fn verify(
        &self,
        noted: Option<[u8; 32]>,
        mut each: impl FnMut(u64),
    ) -> Result<Verified, Fault> {
        let mut session = self.moment().await?;
        let mut walk = Walk::new(noted);
        while walk.some(&session, &mut |_, _, _| Ok(())).await?.is_some() {
            each(walk.verified.entries);
        }
        walk.end(&session).await?;
        session.end().await?;
        Ok(walk.verified)
    }
}
