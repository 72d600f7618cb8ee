//! A courier who keeps what was given to it and answers what it was told to.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::give_way;
use crate::courier::{Courier, Parcel, Receipt};

/// Takes everything until it is told otherwise. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct TwinCourier {
    shared: Arc<Mutex<(Vec<Parcel>, VecDeque<Receipt>)>>,
}

impl TwinCourier {
    /// What it answers next, one after the other.
    pub fn answers(&self, receipts: impl IntoIterator<Item = Receipt>) {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.1.extend(receipts);
    }

    /// Everything that was sent since this was asked last.
    #[must_use]
    pub fn sent(&self) -> Vec<Parcel> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut shared.0)
    }
}

impl Courier for TwinCourier {
    async fn deliver(&self, parcel: Parcel) -> Receipt {
        give_way().await;
        let receipt = {
            let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
            shared.0.push(parcel);
            shared.1.pop_front().unwrap_or(Receipt::Taken)
        };
        give_way().await;
        receipt
    }
}
