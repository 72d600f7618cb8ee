//! `[[sources]]` and `[[sinks]]`: brokers that events come from and the feed goes to.

use std::collections::{BTreeMap, BTreeSet};

use lingqian_brokers::mapping::{BYTES_MAX, Map};
use serde::Deserialize;

use crate::config::merchants::Source as Place;

/// The most deliveries of RabbitMQ that are with us.
const PREFETCH: u16 = 16_384;

/// Which broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Broker {
    /// RabbitMQ.
    Rabbitmq,
    /// Kafka.
    Kafka,
}

impl Broker {
    /// The name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Broker::Rabbitmq => "rabbitmq",
            Broker::Kafka => "kafka",
        }
    }

    fn is_built(self) -> bool {
        match self {
            Broker::Rabbitmq => cfg!(feature = "rabbitmq"),
            Broker::Kafka => cfg!(feature = "kafka"),
        }
    }
}

/// One of `[[sources]]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SourceEntry {
    /// Its name, on dead letters and in marks. It never changes.
    pub(crate) name: String,
    /// Which broker.
    pub(crate) broker: Broker,
    /// RabbitMQ: where the address is, and those to try after it.
    #[serde(default)]
    pub(crate) urls: Vec<Place>,
    /// RabbitMQ: the queue.
    #[serde(default)]
    pub(crate) queue: String,
    /// RabbitMQ: the exchange that the queue is bound to.
    #[serde(default)]
    #[cfg_attr(
        not(feature = "rabbitmq"),
        expect(dead_code, reason = "a feature reads it")
    )]
    pub(crate) exchange: Option<String>,
    /// RabbitMQ: by which key.
    #[serde(default)]
    #[cfg_attr(
        not(feature = "rabbitmq"),
        expect(dead_code, reason = "a feature reads it")
    )]
    pub(crate) routing_key: String,
    /// RabbitMQ: `declare` or `check`.
    #[serde(default)]
    pub(crate) topology: Option<String>,
    /// RabbitMQ: `quorum` or `classic`.
    #[serde(default)]
    pub(crate) queue_type: Option<String>,
    /// RabbitMQ: the most deliveries that are with us.
    #[serde(default)]
    pub(crate) prefetch: Option<u16>,
    /// RabbitMQ: the exchange that is told what was kept as a dead letter.
    #[serde(default)]
    #[cfg_attr(
        not(feature = "rabbitmq"),
        expect(dead_code, reason = "a feature reads it")
    )]
    pub(crate) dead_letters: Option<String>,
    /// Kafka: `HOST:PORT`, several with commas.
    #[serde(default)]
    pub(crate) servers: String,
    /// Kafka: the topics.
    #[serde(default)]
    pub(crate) topics: Vec<String>,
    /// Kafka: the group.
    #[serde(default)]
    pub(crate) group: String,
    /// Kafka: settings of librdkafka. A value `file:NAME` or `env:NAME` is read from there.
    #[serde(default)]
    #[cfg_attr(
        not(feature = "kafka"),
        expect(dead_code, reason = "a feature reads it")
    )]
    pub(crate) settings: BTreeMap<String, String>,
    /// Versions of the schema that are read; any where there is none.
    #[serde(default)]
    pub(crate) schemas: Vec<String>,
    /// The longest message, in bytes.
    #[serde(default)]
    pub(crate) bytes_max: Option<usize>,
    /// Foreign fields; without it messages are in our own form.
    #[serde(default)]
    pub(crate) map: Option<Map>,
}

impl SourceEntry {
    /// The name of its door on dead letters.
    pub(crate) fn door(&self) -> String {
        format!("{}:{}", self.broker.name(), self.name)
    }

    /// The longest message, in bytes.
    pub(crate) fn bytes_max(&self) -> usize {
        self.bytes_max.unwrap_or(BYTES_MAX)
    }

    /// The most deliveries that are with us.
    #[cfg_attr(
        not(feature = "rabbitmq"),
        expect(dead_code, reason = "a feature reads it")
    )]
    pub(crate) fn prefetch(&self) -> u16 {
        self.prefetch.unwrap_or(PREFETCH)
    }

    fn check(&self) -> anyhow::Result<()> {
        let name = &self.name;
        named(name)?;
        built(name, self.broker)?;
        match self.broker {
            Broker::Rabbitmq => {
                anyhow::ensure!(!self.queue.is_empty(), "the source {name:?} names no queue");
                anyhow::ensure!(!self.urls.is_empty(), "the source {name:?} has no urls");
                anyhow::ensure!(
                    self.prefetch != Some(0),
                    "the source {name:?}: prefetch must be at least 1"
                );
            }
            Broker::Kafka => {
                let whole = !self.servers.is_empty() && !self.topics.is_empty();
                anyhow::ensure!(
                    whole && !self.group.is_empty(),
                    "the source {name:?} needs servers, topics and group"
                );
            }
        }
        one_of(name, "topology", &self.topology, ["declare", "check"])?;
        one_of(name, "queue_type", &self.queue_type, ["quorum", "classic"])?;
        anyhow::ensure!(
            (1..=16 * 1_048_576).contains(&self.bytes_max()),
            "the source {name:?}: bytes_max must be from 1 to 16 MiB"
        );
        Ok(())
    }
}

/// One of `[[sinks]]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SinkEntry {
    /// Its name, which its mark bears. It never changes.
    pub(crate) name: String,
    /// Which broker.
    pub(crate) broker: Broker,
    /// RabbitMQ: where the address is, and those to try after it.
    #[serde(default)]
    pub(crate) urls: Vec<Place>,
    /// RabbitMQ: the exchange, of the kind `topic`.
    #[serde(default)]
    pub(crate) exchange: String,
    /// RabbitMQ: `declare` or `check`.
    #[serde(default)]
    pub(crate) topology: Option<String>,
    /// Kafka: `HOST:PORT`, several with commas.
    #[serde(default)]
    pub(crate) servers: String,
    /// Kafka: the topic.
    #[serde(default)]
    pub(crate) topic: String,
    /// Kafka: settings of librdkafka. A value `file:NAME` or `env:NAME` is read from there.
    #[serde(default)]
    #[cfg_attr(
        not(feature = "kafka"),
        expect(dead_code, reason = "a feature reads it")
    )]
    pub(crate) settings: BTreeMap<String, String>,
}

impl SinkEntry {
    fn check(&self) -> anyhow::Result<()> {
        let name = &self.name;
        named(name)?;
        built(name, self.broker)?;
        let whole = match self.broker {
            Broker::Rabbitmq => !self.urls.is_empty() && !self.exchange.is_empty(),
            Broker::Kafka => !self.servers.is_empty() && !self.topic.is_empty(),
        };
        anyhow::ensure!(
            whole,
            "the sink {name:?} needs urls and exchange (RabbitMQ), or servers and topic (Kafka)"
        );
        one_of(name, "topology", &self.topology, ["declare", "check"])
    }
}

/// Looks for what could never work, and names it.
///
/// # Errors
/// The first thing that is wrong.
pub(crate) fn check(sources: &[SourceEntry], sinks: &[SinkEntry]) -> anyhow::Result<()> {
    let names = sources.iter().map(SourceEntry::door);
    let mut names: Vec<String> = names.collect();
    names.extend(sinks.iter().map(|sink| format!("sink {}", sink.name)));
    let mut seen = BTreeSet::new();
    for name in &names {
        anyhow::ensure!(seen.insert(name), "{name} is there twice");
    }
    sources.iter().try_for_each(SourceEntry::check)?;
    sinks.iter().try_for_each(SinkEntry::check)
}

fn named(name: &str) -> anyhow::Result<()> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    anyhow::ensure!(
        (1..=32).contains(&name.len()) && name.bytes().all(fits),
        "the name of a source or sink has 1 to 32 letters, digits, `-` and `_`: {name:?}"
    );
    Ok(())
}

fn built(name: &str, broker: Broker) -> anyhow::Result<()> {
    let feature = broker.name();
    anyhow::ensure!(
        broker.is_built(),
        "{name:?} needs a program that was built with `--features {feature}`"
    );
    Ok(())
}

fn one_of(name: &str, what: &str, value: &Option<String>, all: [&str; 2]) -> anyhow::Result<()> {
    let known = |value: &String| all.contains(&value.as_str());
    let [first, second] = all;
    anyhow::ensure!(
        value.as_ref().is_none_or(known),
        "{name:?}: {what} must be {first:?} or {second:?}"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn source(more: &str) -> anyhow::Result<()> {
        // Through the door of the whole configuration: a secret in the wrong place is not repeated.
        let config = Config::parse(&format!("[[sources]]\nname = \"app\"\n{more}"))?;
        check(&config.sources, &[])
    }

    #[test]
    fn a_source_that_could_never_be_read_is_named() {
        let words = |more: &str| format!("{:#}", source(more).expect_err(more));
        assert!(words("broker = \"nats\"").contains("unknown variant"));
        if cfg!(feature = "rabbitmq") {
            let rabbit = "broker = \"rabbitmq\"\nqueue = \"q\"\nurls = [\"env:AMQP\"]\n";
            assert!(source(rabbit).is_ok());
            assert!(words("broker = \"rabbitmq\"\nurls = [\"env:A\"]").contains("no queue"));
            let kept = words("broker = \"rabbitmq\"\nurls = [\"amqp://u:geheim@h\"]");
            assert!(!kept.contains("geheim"), "{kept}");
            assert!(words(&format!("{rabbit}prefetch = 0")).contains("prefetch"));
            assert!(words(&format!("{rabbit}topology = \"x\"")).contains("topology"));
        } else {
            let words = words("broker = \"rabbitmq\"");
            assert!(words.contains("--features rabbitmq"), "{words}");
        }
    }
}
