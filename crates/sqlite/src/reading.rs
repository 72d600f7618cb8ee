//! The books for somebody who only looks: beside a running server, and in a file that a store
//! refuses to open.

use std::path::Path;

use lingqian_io::Fault;
use lingqian_io::store::Audited;
use rusqlite::{Connection, Transaction};

use crate::codec::fault;
use crate::relations::export::{self, Exported, Stopped, Take, Wanted};
use crate::relations::shell::Shell;
use crate::verify::Verified;
use crate::{audit, schema, verify, wal};

/// One connection that only reads. Each question is answered as of one moment.
pub struct Reading {
    connection: Connection,
}

impl Reading {
    /// Opens the file. No page is read yet, so that damaged books open as well.
    ///
    /// # Errors
    /// [`Fault::Broken`] when there is no such file, or it is none of ours or of another schema;
    /// [`Fault::Damaged`] when opening it would throw away what is in its log.
    pub fn open(path: &Path) -> Result<Reading, Fault> {
        wal::check_if_alone(path)?;
        let connection = schema::open_books(path)?;
        Ok(Reading { connection })
    }

    pub(crate) fn moment(&mut self) -> Result<Transaction<'_>, Fault> {
        self.connection.transaction().map_err(fault)
    }

    /// Proves the chain of pages from the first to the last; `each` is told how many entries were
    /// read. A head that somebody noted earlier is looked for on the way.
    ///
    /// # Errors
    /// When the file cannot be read. A page that does not fit is an answer.
    pub fn verify(
        &mut self,
        noted: Option<[u8; 32]>,
        each: impl FnMut(u64),
    ) -> Result<Verified, Fault> {
        verify::verify(&*self.moment()?, noted, each)
    }

    /// Derives every balance anew and checks what must hold.
    ///
    /// # Errors
    /// When the file cannot be read. A page that does not fit is a finding.
    pub fn audit(&mut self) -> Result<Audited, Fault> {
        audit::audit(&*self.moment()?)
    }

    /// Hands over the wanted entries in their order, each page checked on the way.
    ///
    /// # Errors
    /// When the books cannot be read, a page does not fit, or an entry cannot be taken.
    pub fn export<T: Take>(
        &mut self,
        wanted: &Wanted,
        taker: &mut T,
    ) -> Result<Exported, Stopped<T::Error>> {
        let moment = self.moment().map_err(Stopped::Books)?;
        export::export(&moment, wanted, taker)
    }

    /// The books in SQL.
    ///
    /// # Errors
    /// When the relations cannot be made.
    pub fn shell(self) -> Result<Shell, Fault> {
        Shell::open(self)
    }

    pub(crate) fn into_connection(self) -> Connection {
        self.connection
    }
}
