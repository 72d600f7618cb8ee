//! Messages that were kept as dead letters, told to an exchange by us and not by the broker: with
//! what is wrong with them, and acknowledged only after the broker has confirmed them there.

use lapin::message::Delivery;
use lapin::types::AMQPValue;
use lapin::{BasicProperties, Channel, Connection};

use super::{RabbitIn, exchange};
use crate::{CODE_HEADER, QUEUE_HEADER};

/// An exchange that is told.
pub(super) struct DeadLetters {
    channel: Channel,
    exchange: String,
    queue: String,
}

impl DeadLetters {
    /// Where an exchange is named, a channel to it.
    pub(super) async fn open(
        connection: &Connection,
        from: &RabbitIn,
    ) -> Result<Option<DeadLetters>, lapin::Error> {
        let Some(name) = from.dead_letters.clone() else {
            return Ok(None);
        };
        let channel = exchange::open(connection, &name, from.topology).await?;
        Ok(Some(DeadLetters {
            channel,
            exchange: name,
            queue: from.queue.clone(),
        }))
    }

    /// Publishes messages as they came, under the keys that they had, each with its code; answers
    /// when all of them are confirmed.
    pub(super) async fn tell<'a>(
        &self,
        refused: impl Iterator<Item = (&'static str, &'a Delivery)>,
    ) -> Result<(), lapin::Error> {
        let mut confirms = Vec::new();
        for (code, delivery) in refused {
            let published = self.channel.basic_publish(
                self.exchange.as_str().into(),
                delivery.routing_key.clone(),
                exchange::options(),
                &delivery.data,
                self.properties(code, delivery),
            );
            confirms.push(published.await?);
        }
        exchange::confirmed(confirms, ("a dead letter", "dead letters")).await
    }

    /// What the message said of itself, and what is wrong with it. Its lifetime is left out, because
    /// here it waits for a person, and its user, because the broker refuses another's.
    fn properties(&self, code: &str, delivery: &Delivery) -> BasicProperties {
        let came = &delivery.properties;
        let mut headers = came.headers().clone().unwrap_or_default();
        let text = |text: &str| AMQPValue::LongString(text.into());
        headers.insert(CODE_HEADER.into(), text(code));
        headers.insert(QUEUE_HEADER.into(), text(&self.queue));
        let mut properties = BasicProperties::default()
            .with_headers(headers)
            .with_delivery_mode(2);
        if let Some(kind) = came.content_type() {
            properties = properties.with_content_type(kind.clone());
        }
        if let Some(id) = came.message_id() {
            properties = properties.with_message_id(id.clone());
        }
        properties
    }
}
