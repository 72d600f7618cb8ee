//! `[[sources]]` and `[[sinks]]`: brokers that events come from and the feed goes to.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lingqian_brokers::mapping::{BYTES_MAX, Map};
use lingqian_brokers::sink::LEASE;
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

/// `[sources.tls]` and `[sinks.tls]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TlsEntry {
    /// Authorities in PEM that are believed instead of the system's.
    #[cfg_attr(
        not(feature = "rabbitmq"),
        expect(dead_code, reason = "a feature reads it")
    )]
    pub(crate) authority: Option<Place>,
    /// Our certificate, in PEM, with those above it.
    pub(crate) certificate: Option<Place>,
    /// Its key, in PEM.
    pub(crate) key: Option<Place>,
    /// Or both in one file after PKCS#12.
    pub(crate) pkcs12: Option<Place>,
    /// What that is closed with.
    pub(crate) password: Option<Place>,
}

impl TlsEntry {
    fn check(&self, name: &str) -> anyhow::Result<()> {
        anyhow::ensure!(
            self.certificate.is_some() == self.key.is_some(),
            "{name:?}: tls needs both certificate and key, or neither"
        );
        anyhow::ensure!(
            self.pkcs12.is_none() || self.certificate.is_none(),
            "{name:?}: tls has either certificate and key, or pkcs12"
        );
        anyhow::ensure!(
            self.pkcs12.is_some() == self.password.is_some(),
            "{name:?}: tls needs both pkcs12 and password, or neither"
        );
        anyhow::ensure!(
            !matches!(self.pkcs12, Some(Place::Env(_))),
            "{name:?}: tls.pkcs12 is a file"
        );
        anyhow::ensure!(
            cfg!(feature = "rabbitmq-tls"),
            "{name:?}: tls needs a program that was built with `--features rabbitmq-tls`"
        );
        Ok(())
    }
}

/// What is only for RabbitMQ: Kafka's is in `settings`.
fn tls(name: &str, broker: Broker, tls: &Option<TlsEntry>) -> anyhow::Result<()> {
    let Some(tls) = tls else { return Ok(()) };
    anyhow::ensure!(
        broker == Broker::Rabbitmq,
        "{name:?}: tls is for RabbitMQ; Kafka has settings such as \"security.protocol\""
    );
    tls.check(name)
}

/// Settings of librdkafka in whose value there is a secret: it may not stand in the file.
fn is_secret(name: &str) -> bool {
    let parts = [
        "password",
        "secret",
        "key.pem",
        "sasl.jaas",
        "certificate.pem.key",
    ];
    parts.iter().any(|part| name.contains(part))
}

/// Secrets are elsewhere, and TLS is in the build where it is asked for.
fn settings(name: &str, settings: &BTreeMap<String, String>) -> anyhow::Result<()> {
    for (setting, value) in settings {
        let elsewhere = value.starts_with("env:") || value.starts_with("file:");
        anyhow::ensure!(
            elsewhere || !is_secret(setting),
            "{name:?}: {setting} is a secret; name where it is: \"env:NAME\" or \"file:NAME\""
        );
        let secured = |word: &str| value.to_ascii_lowercase().contains(word);
        let needs = (setting == "security.protocol" && secured("ssl"))
            || (setting.starts_with("sasl.mechanism") && secured("scram"));
        anyhow::ensure!(
            !needs || cfg!(feature = "kafka-tls"),
            "{name:?}: {setting} needs a program that was built with `--features kafka-tls`"
        );
    }
    Ok(())
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
    /// RabbitMQ: what TLS needs besides addresses that begin with `amqps`.
    #[serde(default)]
    pub(crate) tls: Option<TlsEntry>,
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
    /// RabbitMQ: `quorum`, `classic` or `stream`.
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
        tls(name, self.broker, &self.tls)?;
        settings(name, &self.settings)?;
        one_of(name, "topology", &self.topology, &["declare", "check"])?;
        one_of(
            name,
            "queue_type",
            &self.queue_type,
            &["quorum", "classic", "stream"],
        )?;
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
    /// RabbitMQ: what TLS needs besides addresses that begin with `amqps`.
    #[serde(default)]
    pub(crate) tls: Option<TlsEntry>,
    /// RabbitMQ: the exchange, of the kind `topic`.
    #[serde(default)]
    pub(crate) exchange: String,
    /// RabbitMQ: `declare` or `check`.
    #[serde(default)]
    pub(crate) topology: Option<String>,
    /// Kafka: `HOST:PORT`, several with commas.
    #[serde(default)]
    pub(crate) servers: String,
    /// How long nobody publishes after the process died that did, in seconds.
    #[serde(default)]
    pub(crate) lease_seconds: Option<u64>,
    /// Kafka: the topic.
    #[serde(default)]
    pub(crate) topic: String,
    /// Kafka: settings of librdkafka. A value `file:NAME` or `env:NAME` is read from there.
    #[serde(default)]
    pub(crate) settings: BTreeMap<String, String>,
}

impl SinkEntry {
    /// How long a process may publish without being heard of.
    pub(crate) fn lease(&self) -> Duration {
        self.lease_seconds.map_or(LEASE, Duration::from_secs)
    }

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
        anyhow::ensure!(
            self.lease_seconds
                .is_none_or(|seconds| (2..=3_600).contains(&seconds)),
            "the sink {name:?}: lease_seconds must be from 2 to 3600"
        );
        tls(name, self.broker, &self.tls)?;
        settings(name, &self.settings)?;
        one_of(name, "topology", &self.topology, &["declare", "check"])
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

fn one_of(name: &str, what: &str, value: &Option<String>, all: &[&str]) -> anyhow::Result<()> {
    let known = |value: &String| all.contains(&value.as_str());
    anyhow::ensure!(
        value.as_ref().is_none_or(known),
        "{name:?}: {what} must be one of {}",
        all.join(", ")
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
        if cfg!(feature = "kafka") {
            let kafka = "broker = \"kafka\"\nservers = \"h:1\"\ntopics = [\"t\"]\ngroup = \"g\"\n";
            assert!(source(kafka).is_ok());
            let with = |more: &str| format!("{kafka}[sources.settings]\n{more}");
            let named = "\"sasl.password\" = \"env:P\"\n\"ssl.ca.pem\" = \"file:ca.pem\"";
            assert!(source(&with(named)).is_ok());
            for secret in ["sasl.password", "ssl.key.password", "ssl.key.pem"] {
                let words = words(&with(&format!("\"{secret}\" = \"geheim\"")));
                assert!(
                    words.contains(secret) && !words.contains("geheim"),
                    "{words}"
                );
            }
            let tls = "[sources.tls]\nauthority = \"file:ca.pem\"";
            assert!(words(&format!("{kafka}{tls}")).contains("tls is for RabbitMQ"));
        }
        if cfg!(feature = "rabbitmq") {
            let rabbit = "broker = \"rabbitmq\"\nqueue = \"q\"\nurls = [\"env:AMQP\"]\n";
            assert!(source(rabbit).is_ok());
            assert!(words("broker = \"rabbitmq\"\nurls = [\"env:A\"]").contains("no queue"));
            let kept = words("broker = \"rabbitmq\"\nurls = [\"amqp://u:geheim@h\"]");
            assert!(!kept.contains("geheim"), "{kept}");
            assert!(words(&format!("{rabbit}prefetch = 0")).contains("prefetch"));
            assert!(words(&format!("{rabbit}topology = \"x\"")).contains("topology"));
            let tls = |more: &str| format!("{rabbit}[sources.tls]\n{more}");
            let lone = "certificate = \"file:c.pem\"";
            assert!(words(&tls(lone)).contains("both certificate and key"));
            let lone = "pkcs12 = \"file:c.p12\"";
            assert!(words(&tls(lone)).contains("both pkcs12 and password"));
            let whole = source(&tls("authority = \"file:ca.pem\""));
            assert_eq!(whole.is_ok(), cfg!(feature = "rabbitmq-tls"));
        } else {
            let words = words("broker = \"rabbitmq\"");
            assert!(words.contains("--features rabbitmq"), "{words}");
        }
    }
}
