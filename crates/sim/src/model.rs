//! The naive model: what a user must have, told by nothing but what the app was answered and
//! what WeChat paid. It knows no accounts, no holds and no entries.

use std::collections::BTreeMap;

use crate::oracle::Oracle;
use crate::wechat::{Stand, Wechat};

/// Every event that was acknowledged, with what it adds to whom.
#[derive(Debug, Default)]
pub(crate) struct Model {
    events: BTreeMap<String, Vec<(String, i64)>>,
}

impl Model {
    /// An event was acknowledged, perhaps again.
    pub(crate) fn credited(&mut self, event: &str, adds: &[(&str, i64)]) {
        let adds = adds
            .iter()
            .map(|(user, micros)| ((*user).to_owned(), *micros));
        self.events
            .entry(event.to_owned())
            .or_insert_with(|| adds.collect());
    }

    /// What each user must have once nothing is under way.
    pub(crate) fn balances(&self, oracle: &Oracle, wechat: &Wechat) -> BTreeMap<String, i64> {
        let mut balances: BTreeMap<String, i64> = BTreeMap::new();
        for (user, micros) in self.events.values().flatten() {
            *balances.entry(user.clone()).or_default() += micros;
        }
        let paid = |transfer: &&crate::wechat::Transfer| transfer.stand == Stand::Success;
        for transfer in wechat.transfers().values().filter(paid) {
            let user = oracle.user_of(transfer.order.number.payout());
            *balances.entry(user).or_default() -= transfer.order.amount.0 * 10_000;
        }
        balances
    }
}
