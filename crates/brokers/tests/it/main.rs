//! Brokers in and out, against real ones: RabbitMQ from `cargo xtask test`, librdkafka's own
//! cluster inside the test, and a Kafka of other people's making.

#[cfg(all(feature = "rabbitmq", feature = "kafka"))]
mod cluster;
#[cfg(feature = "rabbitmq")]
mod feed;
#[cfg(feature = "kafka")]
mod kafka;
#[cfg(feature = "kafka-tls")]
mod kafka_tls;
#[cfg(feature = "rabbitmq")]
mod letters;
#[cfg(feature = "rabbitmq")]
mod proxy;
#[cfg(feature = "rabbitmq")]
mod rabbitmq;
#[cfg(feature = "rabbitmq-tls")]
mod tls;
#[cfg(any(feature = "rabbitmq", feature = "kafka"))]
mod world;
