//! Kafka: topics that are read by a consumer group.
//!
//! How far a partition was read is a mark in our own books, written in the commit of the events
//! (or of the dead letters) that it counts. A partition that is assigned to us is read from its
//! mark, whatever the group's offsets at the broker say; those are told the broker afterwards,
//! for people who look at lags there. So neither a rebalance nor a restored backup loses an
//! event, and none is credited twice because events have names.

mod hole;
mod progress;
mod tell;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use lingqian_core::letter::Mark;
use lingqian_io::{Browse as _, Ports};
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::statistics::Statistics;
use rdkafka::{ClientContext, Offset, TopicPartitionList};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

use crate::VERSION_HEADER;
use crate::backoff::Backoff;
use crate::intake::{Intake, overdue};

use progress::{Done, Gathered, Place, Round, Share};
pub use tell::{KafkaOut, KafkaPublisher};

/// How long a poll waits for a message.
const POLL: Duration = Duration::from_millis(50);
/// How long the store may be behind before the partitions are paused: that throws away what was
/// fetched, so a moment is waited for first.
const PATIENCE: Duration = Duration::from_millis(500);

/// Topics that are read.
#[derive(Clone, PartialEq, Eq)]
pub struct KafkaIn {
    /// The name of the source, which its marks bear.
    pub name: String,
    /// `HOST:PORT`, several with commas between them.
    pub brokers: String,
    /// The topics.
    pub topics: Vec<String>,
    /// The consumer group.
    pub group: String,
    /// Settings of librdkafka, such as `security.protocol` and `sasl.mechanism`.
    pub settings: BTreeMap<String, String>,
}

/// Without what may hold a password.
impl fmt::Debug for KafkaIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaIn")
            .field("name", &self.name)
            .field("brokers", &self.brokers)
            .field("topics", &self.topics)
            .finish_non_exhaustive()
    }
}

/// The name of the mark of a partition.
fn mark_name(source: &str, topic: &str, partition: i32) -> String {
    format!("kafka/{source}/{topic}/{partition}")
}

/// What librdkafka tells us on its polling thread.
struct Told<P> {
    intake: Intake<P>,
    name: String,
    runtime: Handle,
    done: Arc<Done>,
    ended: Arc<AtomicBool>,
}

impl<P: Ports> Told<P> {
    /// Every mark of the source. A store that fails is asked until it answers: a partition that
    /// was begun at a wrong place would lose what is before it.
    fn marks(&self) -> Option<BTreeMap<String, i64>> {
        let prefix = format!("kafka/{}/", self.name);
        let mut backoff = Backoff::default();
        while !self.ended.load(Ordering::Relaxed) {
            let asked = self.intake.ports.store().marks(prefix.clone());
            match self.runtime.block_on(asked) {
                Ok(marks) => {
                    let marks = marks.into_iter();
                    return Some(marks.map(|mark| (mark.name, mark.position)).collect());
                }
                Err(fault) => {
                    self.intake.figures.failed();
                    tracing::warn!(%fault, "it is not known how far the source was read");
                    std::thread::sleep(backoff.failed(self.intake.ports.dice()));
                }
            }
        }
        None
    }
}

impl<P: Ports> ClientContext for Told<P> {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        let door = &self.intake.door;
        match level {
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error
            | RDKafkaLogLevel::Warning => tracing::warn!(door, facility, message, "librdkafka"),
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => {
                tracing::debug!(door, facility, message, "librdkafka");
            }
        }
    }

    fn stats(&self, statistics: Statistics) {
        let done = self.done.all();
        let mut lag = 0_i64;
        for ((topic, partition), next) in &done {
            let topic = statistics.topics.get(topic);
            let found = topic.and_then(|topic| topic.partitions.get(partition));
            if let Some(found) = found.filter(|found| found.hi_offset > 0) {
                lag = lag.saturating_add(found.hi_offset.saturating_sub(*next).max(0));
            }
        }
        self.intake.figures.lags(lag);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let door = &self.intake.door;
        if matches!(
            error.rdkafka_error_code(),
            Some(RDKafkaErrorCode::AllBrokersDown)
        ) {
            self.intake.figures.connected(false);
        }
        let code = code(&error);
        if self.intake.figures.failed_with(code) {
            tracing::warn!(door, code, %error, reason, "Kafka");
        }
    }
}

impl<P: Ports> ConsumerContext for Told<P> {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(list) => {
                let Some(marks) = self.marks() else { return };
                for mut element in list.elements() {
                    let (topic, partition) = (element.topic().to_owned(), element.partition());
                    let mark = marks
                        .get(&mark_name(&self.name, &topic, partition))
                        .copied();
                    let offset = mark.map_or(Offset::Beginning, Offset::Offset);
                    if let Err(error) = element.set_offset(offset) {
                        tracing::error!(%error, topic, partition, "no offset can be set");
                    }
                    self.done.begin((topic, partition), mark);
                }
                self.intake.figures.connected(true);
            }
            Rebalance::Revoke(list) => {
                for element in list.elements() {
                    let place = (element.topic().to_owned(), element.partition());
                    self.done.forget(&place);
                }
            }
            Rebalance::Error(error) => tracing::warn!(%error, "a rebalance failed"),
        }
    }
}

/// What went wrong, as a stable code.
fn code(error: &KafkaError) -> &'static str {
    use RDKafkaErrorCode as Code;
    match error.rdkafka_error_code() {
        Some(Code::AllBrokersDown) => "brokers_down",
        Some(Code::Authentication | Code::SaslAuthenticationFailed) => "login_refused",
        Some(Code::SSL) => "tls_failed",
        Some(Code::Resolve) => "host_unknown",
        Some(Code::BrokerTransportFailure) => "connection_lost",
        Some(Code::OperationTimedOut | Code::RequestTimedOut) => "timeout",
        Some(
            Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::ClusterAuthorizationFailed,
        ) => "access_refused",
        Some(Code::UnknownTopicOrPartition | Code::UnknownTopic) => "not_found",
        _ => "broker_error",
    }
}

/// Reads until told to stop.
pub async fn read<P: Ports>(intake: Intake<P>, from: KafkaIn, stop: watch::Receiver<bool>) {
    let done = Arc::new(Done::default());
    let ended = Arc::new(AtomicBool::new(false));
    let (rounds, mut came) = mpsc::channel::<Round>(1);
    let poller = Poller {
        told: Told {
            intake: intake.clone(),
            name: from.name.clone(),
            runtime: Handle::current(),
            done: Arc::clone(&done),
            ended: Arc::clone(&ended),
        },
        from: from.clone(),
        rounds,
    };
    let polling = tokio::task::spawn_blocking(move || poller.run());
    let mut stop = stop;
    loop {
        let round = tokio::select! {
            round = came.recv() => round,
            _ = stop.changed() => None,
        };
        let Some(round) = round else { break };
        let shares = round.into_iter().map(|share| handle(&intake, &from, share));
        let handled = tokio::select! {
            handled = join_all(shares) => handled,
            () = overdue(&stop) => break,
        };
        for (place, next) in handled {
            done.set(place, next);
        }
    }
    ended.store(true, Ordering::Relaxed);
    drop(came);
    if let Err(error) = polling.await {
        tracing::error!(%error, "the thread that reads Kafka went down");
    }
}

async fn handle<P: Ports>(intake: &Intake<P>, from: &KafkaIn, share: Share) -> (Place, i64) {
    let Share {
        place,
        parcel,
        next,
        expected: _,
    } = share;
    let mark = Mark {
        name: mark_name(&from.name, &place.0, place.1),
        position: next,
    };
    let unit = format!("{}/{} offset", place.0, place.1);
    intake.take(&unit, parcel, Some(mark)).await;
    (place, next)
}

/// The thread that polls. It never waits for the store: while that is slower, the partitions are
/// paused and the group still hears of us.
struct Poller<P> {
    told: Told<P>,
    from: KafkaIn,
    rounds: mpsc::Sender<Round>,
}

impl<P: Ports> Poller<P> {
    fn run(self) {
        let Poller { told, from, rounds } = self;
        let (intake, done) = (told.intake.clone(), Arc::clone(&told.done));
        let ended = Arc::clone(&told.ended);
        let topics: Vec<&str> = from.topics.iter().map(String::as_str).collect();
        let made: Result<BaseConsumer<Told<P>>, KafkaError> =
            config(&from).create_with_context(told);
        let consumer = made.and_then(|consumer| consumer.subscribe(&topics).map(|()| consumer));
        let consumer = match consumer {
            Ok(consumer) => consumer,
            Err(error) => {
                // Only settings can be wrong here; brokers are looked for later.
                let door = &intake.door;
                tracing::error!(door, %error, "this source of Kafka cannot be read");
                return;
            }
        };
        let mut loops = Loop {
            intake,
            done,
            consumer,
            gathered: Gathered::default(),
            full_since: None,
            paused: None,
            committed: BTreeMap::new(),
        };
        while !ended.load(Ordering::Relaxed) && !rounds.is_closed() {
            loops.turn(&rounds);
        }
        loops.tell_broker(CommitMode::Sync);
    }
}

struct Loop<P: Ports> {
    intake: Intake<P>,
    done: Arc<Done>,
    consumer: BaseConsumer<Told<P>>,
    gathered: Gathered,
    full_since: Option<Instant>,
    paused: Option<TopicPartitionList>,
    committed: BTreeMap<Place, i64>,
}

impl<P: Ports> Loop<P> {
    fn turn(&mut self, rounds: &mpsc::Sender<Round>) {
        if self.gathered.is_due(Instant::now()) {
            if let Ok(permit) = rounds.try_reserve() {
                permit.send(self.gathered.take(&self.done));
                self.full_since = None;
                self.resume();
                self.tell_broker(CommitMode::Async);
            } else if self.gathered.is_full() {
                let now = Instant::now();
                let since = *self.full_since.get_or_insert(now);
                if now.saturating_duration_since(since) < PATIENCE {
                    std::thread::sleep(Duration::from_millis(1));
                    return;
                }
                self.pause();
            }
        }
        let wait = match (self.paused.is_some(), self.gathered.since.is_some()) {
            (true, _) => Duration::from_millis(5),
            (false, true) => Duration::from_millis(1),
            (false, false) => POLL,
        };
        match self.consumer.poll(wait) {
            None => {}
            Some(Ok(message)) => {
                let (to, done) = (&mut self.gathered, &*self.done);
                push(&self.intake, (&self.consumer, done), to, &message);
            }
            Some(Err(error)) => {
                let (door, code) = (&self.intake.door, code(&error));
                if self.intake.figures.failed_with(code) {
                    tracing::warn!(door, code, %error, "Kafka is looked for again");
                }
            }
        }
    }

    /// Nothing more is fetched, also of partitions that come to us meanwhile. The group goes on to
    /// hear of us.
    fn pause(&mut self) {
        let Ok(assigned) = self.consumer.assignment() else {
            return;
        };
        if self.paused.as_ref() == Some(&assigned) {
            return;
        }
        if self.consumer.pause(&assigned).is_ok() {
            self.intake.figures.paused();
            self.paused = Some(assigned);
        }
    }

    fn resume(&mut self) {
        if let Some(paused) = self.paused.take()
            && let Err(error) = self.consumer.resume(&paused)
        {
            // Partitions that are no longer ours cannot be resumed, and need not be.
            tracing::debug!(%error, "some partitions are not resumed");
            if let Ok(assigned) = self.consumer.assignment() {
                let _ = self.consumer.resume(&assigned);
            }
        }
    }

    /// Tells the broker how far we are, for people who look at it there.
    fn tell_broker(&mut self, mode: CommitMode) {
        let done = self.done.all();
        let mut list = TopicPartitionList::new();
        for (place, next) in &done {
            if *next > 0 && self.committed.get(place) != Some(next) {
                let _ = list.add_partition_offset(&place.0, place.1, Offset::Offset(*next));
            }
        }
        if list.count() > 0 && self.consumer.commit(&list, mode).is_ok() {
            self.committed = done;
        }
    }
}

fn push<P: Ports>(
    intake: &Intake<P>,
    (consumer, done): (&BaseConsumer<Told<P>>, &Done),
    gathered: &mut Gathered,
    message: &BorrowedMessage<'_>,
) {
    let headers = message.headers();
    let version = headers.and_then(|headers| {
        let mut all = headers.iter();
        let own = all.find(|header| header.key == VERSION_HEADER);
        own.and_then(|header| std::str::from_utf8(header.value?).ok())
    });
    let (topic, partition, offset) = (message.topic(), message.partition(), message.offset());
    let Some(share) = gathered.share((topic, partition), done) else {
        return;
    };
    let before = share.parcel.bytes();
    if let Some(expected) = share.expected.filter(|expected| *expected != offset) {
        let jump = hole::Jump {
            place: &share.place,
            from: expected,
            to: offset,
        };
        jump.look(intake, consumer, &mut share.parcel);
    }
    let payload = message.payload().unwrap_or_default();
    let place = offset.cast_unsigned();
    share.parcel.push(&intake.reader, place, version, payload);
    share.next = offset.saturating_add(1);
    share.expected = Some(share.next);
    let bytes = share.parcel.bytes() - before;
    gathered.count(bytes);
}

fn config(from: &KafkaIn) -> ClientConfig {
    let mut config = ClientConfig::new();
    let defaults = [
        ("partition.assignment.strategy", "cooperative-sticky"),
        ("statistics.interval.ms", "5000"),
        ("queued.max.messages.kbytes", "16384"),
        ("queued.min.messages", "20000"),
        ("fetch.wait.max.ms", "100"),
        // A second, unless it is said otherwise, during which nothing comes.
        ("fetch.queue.backoff.ms", "10"),
    ];
    for (name, value) in defaults {
        config.set(name, value);
    }
    for (name, value) in &from.settings {
        config.set(name, value);
    }
    config
        .set("bootstrap.servers", &from.brokers)
        .set("group.id", &from.group)
        // What is gone is looked for at the beginning of what is left.
        .set("auto.offset.reset", "earliest")
        // The books say how far we are.
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false");
    config
}
