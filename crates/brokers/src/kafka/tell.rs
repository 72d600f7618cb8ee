//! The feed to a topic, by an idempotent producer: in order per user, each notice at least once.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use lingqian_core::notice::Told;
use lingqian_engine::notify::message;
use rdkafka::config::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};

use crate::NUMBER_HEADER;
use crate::sink::{Failed, Publisher};

/// How long the broker may take to confirm.
const CONFIRM_MS: &str = "30000";
/// How long there may be no room in the producer's queue.
const ROOM_WAIT: Duration = Duration::from_secs(30);

/// A topic that is told.
#[derive(Clone, PartialEq, Eq)]
pub struct KafkaOut {
    /// `HOST:PORT`, several with commas between them.
    pub brokers: String,
    /// The topic.
    pub topic: String,
    /// Settings of librdkafka.
    pub settings: BTreeMap<String, String>,
}

/// Without what may hold a password.
impl fmt::Debug for KafkaOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaOut")
            .field("brokers", &self.brokers)
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}

/// Publishes to a topic.
pub struct KafkaPublisher {
    to: KafkaOut,
    producer: FutureProducer,
}

impl KafkaPublisher {
    /// A publisher.
    ///
    /// # Errors
    /// When a setting is wrong.
    pub fn new(to: KafkaOut) -> Result<KafkaPublisher, KafkaError> {
        let mut config = ClientConfig::new();
        config.set("message.timeout.ms", CONFIRM_MS);
        for (name, value) in &to.settings {
            config.set(name, value);
        }
        let producer = config
            .set("bootstrap.servers", &to.brokers)
            .set("enable.idempotence", "true")
            .create()?;
        Ok(KafkaPublisher { to, producer })
    }
}

fn failed(error: KafkaError) -> Failed {
    Failed::new(super::code(&error), error)
}

impl Publisher for KafkaPublisher {
    async fn publish(&mut self, notices: &[Told]) -> Result<(), Failed> {
        let mut sent = Vec::with_capacity(notices.len());
        for told in notices {
            let (body, number) = (message(told), told.number.to_string());
            let user = told.notice.user.as_ref().map(|user| user.as_str());
            let key = user.unwrap_or(&told.notice.subject);
            let number = Header {
                key: NUMBER_HEADER,
                value: Some(&number),
            };
            let record = FutureRecord::to(&self.to.topic)
                .key(key)
                .payload(&body)
                .headers(OwnedHeaders::new().insert(number));
            let queued = match self.producer.send_result(record) {
                Ok(queued) => queued,
                // The queue is full: what is in it goes first.
                Err((_, record)) => {
                    let sent = self.producer.send(record, ROOM_WAIT).await;
                    sent.map_err(|(error, _)| failed(error))?;
                    continue;
                }
            };
            sent.push(queued);
        }
        for delivery in sent {
            let confirmed = delivery.await.map_err(Failed::of)?;
            confirmed.map_err(|(error, _)| failed(error))?;
        }
        Ok(())
    }
}
