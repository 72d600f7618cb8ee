//! What people ask of the books in memory. The answers rest on what is durable.

use lingqian_core::facts::Wallet;
use lingqian_core::id::UserNo;
use lingqian_core::money::Micros;
use lingqian_core::time::BusinessDate;
use lingqian_io::Fault;
use tokio::sync::oneshot;

use super::Teller;
use crate::ledger::Ledger;

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
            Ok(value) => self.answer_durable(Some(value), || None, answer),
            Err(fault) => {
                let _ = answer.send(Err(fault));
            }
        }
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
