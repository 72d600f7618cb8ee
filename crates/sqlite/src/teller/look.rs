//! What people ask of the books in memory. The answers rest on what is durable.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use lingqian_core::facts::Wallet;
use lingqian_core::id::UserNo;
use lingqian_core::money::Micros;
use lingqian_core::time::BusinessDate;
use lingqian_io::Fault;
use tokio::sync::oneshot;

use super::Teller;
use crate::ledger::Ledger;
use crate::scribe::data_version;

/// Who waits for an answer.
pub(crate) type Answer<R> = oneshot::Sender<Result<R, Fault>>;

impl Teller {
    /// Answers what a look at the books in memory finds, when it is durable; with nothing, when
    /// one must look again.
    pub(crate) fn look<R: Send + 'static>(
        &mut self,
        answer: Answer<Option<R>>,
        look: impl FnOnce(&mut Ledger, &rusqlite::Connection) -> Result<R, Fault>,
    ) {
        let found = self.open_books().map(|_| ());
        let Some(ledger) = &mut self.ledger else {
            let lost = || Fault::Broken("the books are not in memory".into());
            let _ = answer.send(Err(found.err().unwrap_or_else(lost)));
            return;
        };
        match look(ledger, &self.connection) {
            Ok(value) if self.is_known_current() => {
                let _ = answer.send(Ok(Some(value)));
            }
            Ok(value) => self.answer_confirmed(value, answer),
            Err(fault) => {
                let _ = answer.send(Err(fault));
            }
        }
    }

    /// Whether everything that was decided is written, and nobody wrote since the scribe said that
    /// the books are true. What cannot be told is not known.
    fn is_known_current(&self) -> bool {
        let confirmed = self.confirmed.load(Ordering::Acquire);
        self.ahead == 0 && data_version(&self.connection).is_ok_and(|now| confirmed == now.into())
    }

    /// Answers when the scribe says that the books are true, and remembers of which version he
    /// said it: whatever was committed later changes the version.
    fn answer_confirmed<R: Send + 'static>(&self, value: R, answer: Answer<Option<R>>) {
        let confirmed = Arc::clone(&self.confirmed);
        let version = match self.ahead {
            0 => data_version(&self.connection).ok(),
            _ => None,
        };
        self.after_all(move |current| {
            if let (Ok(true), Some(version)) = (&current, version) {
                confirmed.store(version.into(), Ordering::Release);
            }
            let _ = answer.send(current.map(|current| current.then_some(value)));
        });
    }
}

/// Fills a wallet's balances.
pub(crate) fn fill(
    ledger: &mut Ledger,
    connection: &rusqlite::Connection,
    wallet: &mut Wallet,
    today: BusinessDate,
) -> Result<(), Fault> {
    let user = wallet.user.no;
    ledger.accounts.load(connection, user)?;
    let own = ledger.accounts.get(user);
    wallet.available = Micros(own.available);
    wallet.held = Micros(own.held);
    wallet.owed = Micros(own.owed);
    wallet.cooling = ledger.accounts.cooling(user, today);
    wallet.kinds = ledger.accounts.kind_days(user, today);
    Ok(())
}

/// Users with at least so much, by rising number after `after` and below `end`.
pub(crate) fn rich(
    ledger: &mut Ledger,
    connection: &rusqlite::Connection,
    threshold: Micros,
    numbers: std::ops::Range<i64>,
    limit: u32,
) -> Result<Vec<UserNo>, Fault> {
    let mut found = Vec::new();
    for user in numbers.map(UserNo) {
        if u32::try_from(found.len()).is_ok_and(|count| count >= limit) {
            break;
        }
        ledger.accounts.load(connection, user)?;
        if ledger.accounts.get(user).available >= threshold.0 {
            found.push(user);
        }
    }
    Ok(found)
}
