//! The outbox of the store between the engine and the real one: it fails as looks do, and a
//! process may die before and after everything.

use lingqian_core::endpoint::{Endpoint, EndpointId};
use lingqian_core::id::UserId;
use lingqian_core::notice::Told;
use lingqian_core::time::Timestamp;
use lingqian_io::inbox::{Inbox, InboxWish, Messages};
use lingqian_io::links::{LinkClaim, LinkFilter, LinkRow, Links};
use lingqian_io::outbox::{Delivery, DeliveryLine, Health, Outbox, Report, SinkLease, Wish};
use lingqian_io::{Browse, Fault, Store};

use crate::store::SimStore;

impl<S: Store + Browse + Clone> Links for SimStore<S> {
    async fn claim_links(&self, claim: LinkClaim) -> Result<Vec<LinkRow>, Fault> {
        self.look(|store| async move { store.claim_links(claim).await })
            .await
    }

    async fn links(&self, filter: LinkFilter) -> Result<Vec<LinkRow>, Fault> {
        self.look(|store| async move { store.links(filter).await })
            .await
    }
}

impl<S: Store + Browse + Clone> Inbox for SimStore<S> {
    async fn inbox(&self, wish: InboxWish) -> Result<Messages, Fault> {
        self.look(|store| async move { store.inbox(wish).await })
            .await
    }

    async fn notices_of(&self, user: UserId, after: i64, limit: u32) -> Result<Vec<Told>, Fault> {
        self.look(|store| async move { store.notices_of(user, after, limit).await })
            .await
    }

    async fn read_inbox(&self, user: UserId, to: i64) -> Result<(), Fault> {
        self.look(|store| async move { store.read_inbox(user, to).await })
            .await
    }
}

impl<S: Store + Browse + Clone> Outbox for SimStore<S> {
    async fn notices(&self, after: i64, limit: u32) -> Result<Vec<Told>, Fault> {
        self.look(|store| async move { store.notices(after, limit).await })
            .await
    }

    async fn newest_notice(&self) -> Result<i64, Fault> {
        self.look(|store| async move { store.newest_notice().await })
            .await
    }

    async fn endpoints(&self) -> Result<Vec<(Endpoint, Health)>, Fault> {
        self.look(|store| async move { store.endpoints().await })
            .await
    }

    async fn deliveries(
        &self,
        endpoint: &EndpointId,
        after: i64,
        limit: u32,
    ) -> Result<Vec<DeliveryLine>, Fault> {
        self.look(|store| async move { store.deliveries(endpoint, after, limit).await })
            .await
    }

    async fn plan(&self, now: Timestamp, limit: u32) -> Result<u64, Fault> {
        self.look(|store| async move { store.plan(now, limit).await })
            .await
    }

    async fn claim_deliveries(&self, wish: Wish) -> Result<Vec<Delivery>, Fault> {
        self.look(|store| async move { store.claim_deliveries(wish).await })
            .await
    }

    async fn report_deliveries(&self, reports: Vec<Report>) -> Result<(), Fault> {
        self.told(&reports);
        self.look(|store| async move { store.report_deliveries(reports).await })
            .await
    }

    async fn lease_sink(&self, lease: SinkLease) -> Result<bool, Fault> {
        self.look(|store| async move { store.lease_sink(lease).await })
            .await
    }

    async fn replay(
        &self,
        endpoint: &EndpointId,
        numbers: (i64, i64),
        now: Timestamp,
    ) -> Result<u64, Fault> {
        self.look(|store| async move { store.replay(endpoint, numbers, now).await })
            .await
    }
}
