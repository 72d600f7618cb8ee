//! The feed to an exchange: persistent messages, each confirmed by the broker, in their order.

use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection};
use lingqian_core::notice::Told;
use lingqian_engine::notify::message;
use std::fmt;

use super::{Ours, Tls, Topology, code, connect, exchange};
use crate::NUMBER_HEADER;
use crate::sink::{Failed, Publisher};

/// An exchange that is told.
#[derive(Clone, PartialEq, Eq)]
pub struct RabbitOut {
    /// `amqp://USER:PASSWORD@HOST/VHOST`, and others to try after it.
    pub urls: Vec<String>,
    /// For addresses that begin with `amqps`.
    pub tls: Tls,
    /// The exchange, of the kind `topic`; messages bear the event's name as their key.
    pub exchange: String,
    /// Whether it is made.
    pub topology: Topology,
}

/// Without what may hold a password.
impl fmt::Debug for RabbitOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RabbitOut")
            .field("exchange", &self.exchange)
            .finish_non_exhaustive()
    }
}

/// Publishes to an exchange.
#[derive(Debug)]
pub struct RabbitPublisher {
    to: RabbitOut,
    turn: usize,
    open: Option<(Connection, Channel)>,
}

impl RabbitPublisher {
    /// A publisher that is not connected yet.
    #[must_use]
    pub fn new(to: RabbitOut) -> RabbitPublisher {
        RabbitPublisher {
            to,
            turn: 0,
            open: None,
        }
    }

    async fn open(&mut self) -> Result<&Channel, lapin::Error> {
        if self.open.is_none() {
            self.turn += 1;
            let connection = connect(
                (&self.to.urls, &self.to.tls),
                self.turn - 1,
                "lingqian feed",
            )
            .await?;
            let channel = exchange::open(&connection, &self.to.exchange, self.to.topology).await?;
            self.open = Some((connection, channel));
        }
        let lost = || Ours::error("connection_lost", "there is no channel");
        let open = self.open.as_ref();
        open.map(|(_, channel)| channel).ok_or_else(lost)
    }

    async fn all(&mut self, notices: &[Told]) -> Result<(), lapin::Error> {
        let name = self.to.exchange.clone();
        let channel = self.open().await?;
        // What comes back is published again: the feed has no holes.
        let mut confirms = Vec::with_capacity(notices.len());
        for told in notices {
            let mut headers = FieldTable::default();
            headers.insert(NUMBER_HEADER.into(), AMQPValue::LongLongInt(told.number));
            let properties = BasicProperties::default()
                .with_delivery_mode(2)
                .with_content_type("application/json".into())
                .with_message_id(told.number.to_string().as_str().into())
                .with_headers(headers);
            let key = told.notice.event.name();
            let body = message(told);
            let published = channel.basic_publish(
                name.as_str().into(),
                key.into(),
                exchange::options(),
                body.as_bytes(),
                properties,
            );
            confirms.push(published.await?);
        }
        exchange::confirmed(confirms, ("a notice", "a notice")).await
    }
}

impl Publisher for RabbitPublisher {
    async fn publish(&mut self, notices: &[Told]) -> Result<(), Failed> {
        let done = self.all(notices).await;
        if done.is_err() {
            // What is in doubt is not waited for on this channel: it is published anew.
            self.open = None;
        }
        done.map_err(|error| Failed::new(code(&error), error))
    }
}
