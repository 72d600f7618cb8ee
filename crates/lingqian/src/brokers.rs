//! Brokers of the configuration: readers of sources, publishers of the feed, and how letters of
//! theirs are read again.

use std::collections::BTreeMap;
use std::sync::Arc;

use lingqian_brokers::mapping::Reader;
use lingqian_engine::Desk;
use lingqian_http::{LetterReader, each_event, whole_event};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::config::Config;
use crate::config::brokers::SourceEntry;
use crate::home::Home;
use crate::wire::Wire;

/// How messages of a source are read.
fn reader(source: &SourceEntry) -> Reader {
    let (map, schemas) = (source.map.clone(), source.schemas.clone());
    Reader::new(each_event, map, schemas, source.bytes_max())
}

/// Letters are read as their doors read: those of a source by its map.
pub(crate) fn letter_reader(config: &Config) -> LetterReader {
    let sources = config.sources.iter();
    let readers: BTreeMap<String, Reader> = sources
        .map(|source| (source.door(), reader(source)))
        .collect();
    LetterReader::new(move |door, text| match readers.get(door) {
        Some(reader) => reader.read(None, text),
        None => whole_event(text),
    })
}

/// Readers and publishers at work.
pub(crate) struct Brokers {
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Brokers {
    /// Begins all of them.
    ///
    /// # Errors
    /// When an address or a setting cannot be read.
    pub(crate) fn spawn(home: &Home, wire: &Wire, desk: &Desk) -> anyhow::Result<Brokers> {
        let (stop, stopped) = watch::channel(false);
        let mut brokers = Brokers {
            stop,
            tasks: Vec::new(),
        };
        let begin = parts::Begin {
            home,
            wire,
            desk,
            stopped: &stopped,
        };
        for source in &wire.config().sources {
            brokers.tasks.extend(begin.source(source, reader(source))?);
        }
        for sink in &wire.config().sinks {
            brokers.tasks.extend(begin.sink(sink)?);
        }
        Ok(brokers)
    }

    /// Ends all of them in peace: what was taken is answered for.
    pub(crate) async fn end(self) {
        self.stop.send_replace(true);
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a broker's task went down");
            }
        }
    }
}

/// What has to do with one broker each.
mod parts {
    use lingqian_brokers::figures::Figures;
    use lingqian_brokers::intake::Intake;

    #[cfg(feature = "kafka")]
    use lingqian_brokers::kafka;
    #[cfg(feature = "rabbitmq")]
    use lingqian_brokers::rabbitmq;
    use lingqian_brokers::sink::Sink;

    use super::{Arc, Desk, Home, JoinHandle, Reader, SourceEntry, Wire, watch};
    #[cfg(feature = "rabbitmq")]
    use crate::config::brokers::TlsEntry;
    use crate::config::brokers::{Broker, SinkEntry};

    /// What all of them need.
    pub(super) struct Begin<'a> {
        #[cfg_attr(
            not(any(feature = "rabbitmq", feature = "kafka")),
            expect(dead_code, reason = "a feature reads it")
        )]
        pub(super) home: &'a Home,
        pub(super) wire: &'a Wire,
        pub(super) desk: &'a Desk,
        #[cfg_attr(
            not(any(feature = "rabbitmq", feature = "kafka")),
            expect(dead_code, reason = "a feature reads it")
        )]
        pub(super) stopped: &'a watch::Receiver<bool>,
    }

    impl Begin<'_> {
        /// Begins to read a source.
        pub(super) fn source(
            &self,
            source: &SourceEntry,
            reader: Reader,
        ) -> anyhow::Result<Option<JoinHandle<()>>> {
            let figures = self.figures(source.door());
            let intake = Intake {
                ports: self.wire.clone(),
                desk: self.desk.clone(),
                reader,
                figures,
                door: source.door(),
            };
            match source.broker {
                Broker::Rabbitmq => self.read_rabbitmq(intake, source),
                Broker::Kafka => self.read_kafka(intake, source),
            }
        }

        /// Begins to publish to a sink.
        pub(super) fn sink(&self, sink: &SinkEntry) -> anyhow::Result<Option<JoinHandle<()>>> {
            let figures = self.figures(format!("sink:{}", sink.name));
            let to = Sink::new(self.wire.clone(), &sink.name, figures).with_lease(sink.lease());
            match sink.broker {
                Broker::Rabbitmq => self.tell_rabbitmq(to, sink),
                Broker::Kafka => self.tell_kafka(to, sink),
            }
        }

        fn figures(&self, name: String) -> Arc<Figures> {
            let figures = Arc::new(Figures::default());
            let seen = Arc::clone(&figures);
            let read = move || {
                let mut all = seen.seen().named();
                let faults = seen.faults().into_iter();
                all.extend(faults.map(|(code, count)| (code, count.cast_signed())));
                all
            };
            self.wire.board().watch(name, Box::new(read));
            figures
        }

        #[cfg(feature = "rabbitmq")]
        fn read_rabbitmq(
            &self,
            intake: Intake<Wire>,
            source: &SourceEntry,
        ) -> anyhow::Result<Option<JoinHandle<()>>> {
            use rabbitmq::{QueueType, RabbitIn};

            let from = RabbitIn {
                name: source.name.clone(),
                urls: self.urls(&source.urls)?,
                tls: self.tls(&source.tls)?,
                queue: source.queue.clone(),
                exchange: source.exchange.clone(),
                routing_key: source.routing_key.clone(),
                topology: topology(&source.topology),
                queue_type: match source.queue_type.as_deref() {
                    Some("classic") => QueueType::Classic,
                    Some("stream") => QueueType::Stream,
                    _ => QueueType::Quorum,
                },
                prefetch: source.prefetch(),
                dead_letters: source.dead_letters.clone(),
            };
            let reading = rabbitmq::read(intake, from, self.stopped.clone());
            Ok(Some(tokio::spawn(reading)))
        }

        #[cfg(feature = "rabbitmq")]
        fn tell_rabbitmq(
            &self,
            to: Sink<Wire>,
            sink: &SinkEntry,
        ) -> anyhow::Result<Option<JoinHandle<()>>> {
            let publisher = rabbitmq::RabbitPublisher::new(rabbitmq::RabbitOut {
                urls: self.urls(&sink.urls)?,
                tls: self.tls(&sink.tls)?,
                exchange: sink.exchange.clone(),
                topology: topology(&sink.topology),
            });
            Ok(Some(tokio::spawn(to.run(publisher, self.stopped.clone()))))
        }

        #[cfg(feature = "rabbitmq")]
        fn urls(&self, places: &[super::Place]) -> anyhow::Result<Vec<String>> {
            let read = |place| {
                let url = super::secret(self.home, place)?;
                let checked = rabbitmq::check(&url);
                checked.map_err(|wrong| anyhow::anyhow!("the address at {place}: {wrong}"))?;
                Ok(url)
            };
            places.iter().map(read).collect()
        }

        #[cfg(feature = "rabbitmq")]
        fn tls(&self, given: &Option<TlsEntry>) -> anyhow::Result<rabbitmq::Tls> {
            let Some(given) = given else {
                return Ok(rabbitmq::Tls::default());
            };
            let read = |place: &Option<super::Place>| {
                let read = |place| super::secret(self.home, place);
                place.as_ref().map(read).transpose()
            };
            let authority = read(&given.authority)?;
            let pem = read(&given.certificate)?.zip(read(&given.key)?);
            let pem = pem.map(|(certificate, key)| rabbitmq::Identity::Pem { certificate, key });
            let identity = match (&given.pkcs12, read(&given.password)?) {
                (Some(place), Some(password)) => Some(rabbitmq::Identity::Pkcs12 {
                    der: super::bytes(self.home, place)?,
                    password,
                }),
                _ => pem,
            };
            Ok(rabbitmq::Tls {
                authority,
                identity,
            })
        }

        #[cfg(feature = "kafka")]
        fn read_kafka(
            &self,
            intake: Intake<Wire>,
            source: &SourceEntry,
        ) -> anyhow::Result<Option<JoinHandle<()>>> {
            let from = kafka::KafkaIn {
                name: source.name.clone(),
                brokers: source.servers.clone(),
                topics: source.topics.clone(),
                group: source.group.clone(),
                settings: super::settings(self.home, &source.settings)?,
            };
            let reading = kafka::read(intake, from, self.stopped.clone());
            Ok(Some(tokio::spawn(reading)))
        }

        #[cfg(feature = "kafka")]
        fn tell_kafka(
            &self,
            to: Sink<Wire>,
            sink: &SinkEntry,
        ) -> anyhow::Result<Option<JoinHandle<()>>> {
            let publisher = kafka::KafkaPublisher::new(kafka::KafkaOut {
                brokers: sink.servers.clone(),
                topic: sink.topic.clone(),
                settings: super::settings(self.home, &sink.settings)?,
            })?;
            Ok(Some(tokio::spawn(to.run(publisher, self.stopped.clone()))))
        }

        /// The configuration was refused before.
        #[cfg(not(feature = "rabbitmq"))]
        fn read_rabbitmq<T>(&self, _: Intake<Wire>, _: &SourceEntry) -> anyhow::Result<Option<T>> {
            anyhow::bail!("this program was built without RabbitMQ")
        }

        #[cfg(not(feature = "rabbitmq"))]
        fn tell_rabbitmq<T>(&self, _: Sink<Wire>, _: &SinkEntry) -> anyhow::Result<Option<T>> {
            anyhow::bail!("this program was built without RabbitMQ")
        }

        #[cfg(not(feature = "kafka"))]
        fn read_kafka<T>(&self, _: Intake<Wire>, _: &SourceEntry) -> anyhow::Result<Option<T>> {
            anyhow::bail!("this program was built without Kafka")
        }

        #[cfg(not(feature = "kafka"))]
        fn tell_kafka<T>(&self, _: Sink<Wire>, _: &SinkEntry) -> anyhow::Result<Option<T>> {
            anyhow::bail!("this program was built without Kafka")
        }
    }

    #[cfg(feature = "rabbitmq")]
    fn topology(name: &Option<String>) -> rabbitmq::Topology {
        match name.as_deref() {
            Some("check") => rabbitmq::Topology::Check,
            _ => rabbitmq::Topology::Declare,
        }
    }
}

#[cfg(feature = "rabbitmq")]
use crate::config::merchants::Source as Place;

/// What stands at a place: a variable of the environment, or a file below the data directory.
#[cfg(any(feature = "rabbitmq", feature = "kafka"))]
fn secret(home: &Home, place: &crate::config::merchants::Source) -> anyhow::Result<String> {
    use anyhow::Context as _;

    use crate::config::merchants::Source;

    match place {
        Source::Env(name) => {
            std::env::var(name).with_context(|| format!("the variable {name} is not set"))
        }
        Source::File(name) => {
            let path = home.below(name);
            let text = std::fs::read_to_string(&path);
            let text = text.with_context(|| format!("cannot read {}", path.display()))?;
            Ok(text.trim().to_owned())
        }
        Source::Token(_) => anyhow::bail!("an address or password cannot be in a token"),
    }
}

/// What is in a file that is not a text.
#[cfg(feature = "rabbitmq")]
fn bytes(home: &Home, place: &Place) -> anyhow::Result<Vec<u8>> {
    use anyhow::Context as _;

    let Place::File(name) = place else {
        anyhow::bail!("{place} is not a file");
    };
    let path = home.below(name);
    std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
}

/// Settings of librdkafka, with those that are elsewhere.
#[cfg(feature = "kafka")]
fn settings(
    home: &Home,
    given: &BTreeMap<String, String>,
) -> anyhow::Result<BTreeMap<String, String>> {
    use crate::config::merchants::Source;

    let read = |(name, value): (&String, &String)| {
        let elsewhere = value.starts_with("env:") || value.starts_with("file:");
        let place = Source::try_from(value.clone()).ok().filter(|_| elsewhere);
        let value = match place {
            Some(place) => secret(home, &place)?,
            None => value.clone(),
        };
        Ok((name.clone(), value))
    };
    given.iter().map(read).collect()
}
