//! Messages for a measurement: published as fast as a broker confirms them, and read away again
//! with nothing done to them, which is the broker's own limit.

use std::time::{Duration, Instant};

/// How long nothing may come before a reader gives up.
const SILENCE: Duration = Duration::from_secs(30);

/// A message of a number.
pub type Make<'a> = &'a (dyn Fn(u64) -> String + Send + Sync);

/// RabbitMQ.
#[cfg(feature = "rabbitmq")]
pub mod rabbit {
    use futures_util::StreamExt as _;
    use lapin::options::{
        BasicAckOptions, BasicConsumeOptions, BasicGetOptions, BasicPublishOptions,
        BasicQosOptions, ConfirmSelectOptions, ExchangeDeclareOptions, QueueBindOptions,
        QueueDeclareOptions, QueueDeleteOptions,
    };
    use lapin::types::{AMQPValue, FieldTable};
    use lapin::{BasicProperties, Confirmation, Connection, Error, ExchangeKind};

    use super::{Instant, Make, SILENCE};
    use crate::rabbitmq::{Tls, connect};

    /// A queue of one's own that hears of everything that is told an exchange.
    pub struct Receiver {
        _connection: Connection,
        channel: lapin::Channel,
        queue: String,
    }

    impl Receiver {
        /// Makes the exchange, and a queue that is bound to it.
        ///
        /// # Errors
        /// When the broker fails.
        pub async fn bind(urls: &[String], exchange: &str) -> Result<Receiver, Error> {
            let (connection, channel) = channel(urls).await?;
            let queue = format!("{exchange}-receiver");
            let durable = ExchangeDeclareOptions {
                durable: true,
                ..ExchangeDeclareOptions::default()
            };
            let none = FieldTable::default;
            channel
                .exchange_declare(exchange.into(), ExchangeKind::Topic, durable, none())
                .await?;
            let durable = QueueDeclareOptions {
                durable: true,
                ..QueueDeclareOptions::default()
            };
            let name = || queue.as_str().into();
            channel.queue_declare(name(), durable, none()).await?;
            let options = QueueBindOptions::default();
            channel
                .queue_bind(name(), exchange.into(), "#".into(), options, none())
                .await?;
            Ok(Receiver {
                _connection: connection,
                channel,
                queue,
            })
        }

        /// Takes the messages that are there; tells the numbers of their notices in their order.
        ///
        /// # Errors
        /// When the broker fails, or a message bears no number.
        pub async fn take(&self) -> Result<Vec<i64>, Error> {
            let mut numbers = Vec::new();
            let at_once = BasicGetOptions { no_ack: true };
            let next = || self.channel.basic_get(self.queue.as_str().into(), at_once);
            while let Some(got) = next().await? {
                let id = got.properties.message_id().as_ref();
                let number = id.and_then(|id| id.as_str().parse().ok());
                let lacks = || std::io::Error::other("a message bears no number");
                numbers.push(number.ok_or_else(lacks)?);
            }
            Ok(numbers)
        }
    }

    /// Messages that may be unconfirmed.
    const WINDOW: usize = 2_000;

    async fn channel(urls: &[String]) -> Result<(Connection, lapin::Channel), Error> {
        let connection = connect((urls, &Tls::default()), 0, "lingqian load").await?;
        let channel = connection.create_channel().await?;
        Ok((connection, channel))
    }

    /// Publishes messages of these numbers to a queue, which is made; tells which were confirmed.
    /// A broker that goes away is looked for at the next address, and what was in doubt goes again.
    ///
    /// # Errors
    /// When no address answers any more.
    pub async fn publish(
        urls: &[String],
        (queue, kind): (&str, &str),
        numbers: std::ops::Range<u64>,
        make: Make<'_>,
    ) -> Result<u64, Error> {
        let (mut next, mut turn, mut failures) = (numbers.start, 0, 0);
        while next < numbers.end {
            let urls: Vec<String> = urls
                .iter()
                .cycle()
                .skip(turn)
                .take(urls.len())
                .cloned()
                .collect();
            match stretch(&urls, (queue, kind), next..numbers.end, make).await {
                (confirmed, None) => next = confirmed,
                (confirmed, Some(error)) => {
                    failures = if confirmed > next { 0 } else { failures + 1 };
                    if failures > 60 {
                        return Err(error);
                    }
                    next = confirmed;
                    turn += 1;
                    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
                }
            }
        }
        Ok(next - numbers.start)
    }

    /// One connection's part: up to which number all are confirmed, and why it ended.
    async fn stretch(
        urls: &[String],
        (queue, kind): (&str, &str),
        numbers: std::ops::Range<u64>,
        make: Make<'_>,
    ) -> (u64, Option<Error>) {
        let mut confirmed = numbers.start;
        let done = async {
            let (_connection, channel) = channel(urls).await?;
            let mut arguments = FieldTable::default();
            arguments.insert("x-queue-type".into(), AMQPValue::LongString(kind.into()));
            let durable = QueueDeclareOptions {
                durable: true,
                ..QueueDeclareOptions::default()
            };
            channel
                .queue_declare(queue.into(), durable, arguments)
                .await?;
            channel
                .confirm_select(ConfirmSelectOptions::default())
                .await?;
            let mut open = std::collections::VecDeque::new();
            for number in numbers {
                let body = make(number);
                let properties = BasicProperties::default().with_delivery_mode(2);
                let options = BasicPublishOptions::default();
                let sent = channel.basic_publish(
                    "".into(),
                    queue.into(),
                    options,
                    body.as_bytes(),
                    properties,
                );
                open.push_back(sent.await?);
                while open.len() >= WINDOW {
                    let Some(oldest) = open.pop_front() else {
                        break;
                    };
                    take(oldest.await?)?;
                    confirmed += 1;
                }
            }
            for confirm in open {
                take(confirm.await?)?;
                confirmed += 1;
            }
            Ok::<(), Error>(())
        };
        let error = done.await.err();
        (confirmed, error)
    }

    fn take(confirmation: Confirmation) -> Result<(), Error> {
        match confirmation {
            Confirmation::Ack(_) => Ok(()),
            Confirmation::Nack(_) | Confirmation::NotRequested => {
                Err(std::io::Error::other("not confirmed").into())
            }
        }
    }

    /// Reads a queue away and deletes it; tells how many messages came, and in which time.
    ///
    /// # Errors
    /// When the broker fails.
    pub async fn drain(
        urls: &[String],
        (queue, prefetch): (&str, u16),
        messages: u64,
    ) -> Result<std::time::Duration, Error> {
        let (_connection, channel) = channel(urls).await?;
        channel
            .basic_qos(prefetch, BasicQosOptions::default())
            .await?;
        let none = (BasicConsumeOptions::default(), FieldTable::default());
        let began = Instant::now();
        let mut consumer = channel
            .basic_consume(queue.into(), "".into(), none.0, none.1)
            .await?;
        let mut came = 0;
        while came < messages {
            let silent = || std::io::Error::other("the queue fell silent");
            let next = tokio::time::timeout(SILENCE, consumer.next()).await;
            let next = next.map_err(|_| silent())?.ok_or_else(silent)??;
            came += 1;
            if came % 1_000 == 0 || came == messages {
                let all = BasicAckOptions { multiple: true };
                channel.basic_ack(next.delivery_tag, all).await?;
            }
        }
        let took = began.elapsed();
        let deleted = channel.queue_delete(queue.into(), QueueDeleteOptions::default());
        deleted.await?;
        Ok(took)
    }
}

/// Kafka.
#[cfg(feature = "kafka")]
pub mod stream {
    use rdkafka::config::ClientConfig;
    use rdkafka::consumer::{BaseConsumer, Consumer as _};
    use rdkafka::error::KafkaError;
    use rdkafka::message::Message as _;
    use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

    use super::{Duration, Instant, Make, SILENCE};

    /// Publishes messages of these numbers to a topic, by key over its partitions. It blocks.
    ///
    /// # Errors
    /// When the broker fails.
    pub fn publish(
        servers: &str,
        topic: &str,
        numbers: std::ops::Range<u64>,
        make: Make<'_>,
    ) -> Result<(), KafkaError> {
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", servers)
            .set("enable.idempotence", "true")
            .set("linger.ms", "20")
            .set("queue.buffering.max.messages", "200000")
            .create()?;
        for number in numbers {
            let (key, body) = (number.to_string(), make(number));
            let mut record = BaseRecord::to(topic).key(&key).payload(&body);
            while let Err((error, again)) = producer.send(record) {
                if error.rdkafka_error_code() != Some(rdkafka::error::RDKafkaErrorCode::QueueFull) {
                    return Err(error);
                }
                record = again;
                producer.poll(Duration::from_millis(20));
            }
            if number % 1_000 == 0 {
                producer.poll(Duration::ZERO);
            }
        }
        producer.flush(Duration::from_secs(60))
    }

    /// Reads a topic with nothing done to its messages. It blocks.
    ///
    /// # Errors
    /// When the broker fails.
    pub fn drain(servers: &str, topic: &str, messages: u64) -> Result<Duration, KafkaError> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", servers)
            .set("group.id", format!("drain-{topic}"))
            .set("auto.offset.reset", "earliest")
            .set("enable.auto.commit", "false")
            .create()?;
        consumer.subscribe(&[topic])?;
        let (mut came, mut began, mut last) = (0, None, Instant::now());
        while came < messages && last.elapsed() < SILENCE {
            if let Some(message) = consumer.poll(Duration::from_millis(100)) {
                let bytes = message?.payload().map_or(0, <[u8]>::len);
                std::hint::black_box(bytes);
                last = Instant::now();
                began.get_or_insert(last);
                came += 1;
            }
        }
        Ok(began.map_or(Duration::ZERO, |began| began.elapsed()))
    }
}
