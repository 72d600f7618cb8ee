//! RabbitMQ: a queue that is read, and an exchange that is told.
//!
//! A delivery is acknowledged after the commit that credits it or keeps it as a dead letter; so
//! the broker holds whatever is not in the books, and a consumer that dies in between gets it
//! again. The prefetch bounds what is in memory: while the store is slow nothing more comes.

mod desk;
mod exchange;
mod secure;
mod stream;
mod tell;

use std::fmt;
use std::time::Duration;

use futures_util::{FutureExt as _, StreamExt as _};
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicQosOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ConnectionProperties, Consumer};
use lingqian_io::Ports;
use serde::Deserialize;
use tokio::sync::watch;

use crate::VERSION_HEADER;
use crate::backoff::Backoff;
use crate::intake::{Intake, Parcel, Refused, overdue};

use desk::DeadLetters;
use secure::Ours;
pub(crate) use secure::code;
pub use secure::{Identity, Tls, check};
pub use tell::{RabbitOut, RabbitPublisher};

/// Deliveries are handed on when so much time has passed since the first of them, or as soon as a
/// whole parcel is there: a commit for each few messages would take the processor from the broker.
const LINGER: Duration = Duration::from_millis(10);
/// How long a broker may take to let us in.
const CONNECT_WAIT: Duration = Duration::from_secs(20);

/// What is done about queue and exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Topology {
    /// They are made where they are absent; what is there must be alike.
    #[default]
    Declare,
    /// They must be there.
    Check,
}

/// How a queue keeps messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum QueueType {
    /// On most nodes of a cluster.
    #[default]
    Quorum,
    /// On one node.
    Classic,
    /// For whoever reads it again: nothing is taken out, and how far we are is a mark in our books.
    Stream,
}

/// A queue that is read.
///
/// Of a stream the first message that was kept is the first one that is read.
#[derive(Clone, PartialEq, Eq)]
pub struct RabbitIn {
    /// The name of the source, which the mark of a stream bears.
    pub name: String,
    /// `amqp://USER:PASSWORD@HOST/VHOST`, and others to try after it: the nodes of a cluster.
    pub urls: Vec<String>,
    /// For addresses that begin with `amqps`.
    pub tls: Tls,
    /// The queue.
    pub queue: String,
    /// The exchange that it is bound to, where it is.
    pub exchange: Option<String>,
    /// By which key.
    pub routing_key: String,
    /// Whether they are made.
    pub topology: Topology,
    /// How a queue that is made keeps messages.
    pub queue_type: QueueType,
    /// At most so many deliveries are with us.
    pub prefetch: u16,
    /// The exchange that is told, too, what was kept as a dead letter.
    pub dead_letters: Option<String>,
}

/// Without what may hold a password.
impl fmt::Debug for RabbitIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RabbitIn")
            .field("name", &self.name)
            .field("queue", &self.queue)
            .finish_non_exhaustive()
    }
}

/// Reads until told to stop. A broker that is gone is looked for again, with waits that grow.
pub async fn read<P: Ports>(intake: Intake<P>, from: RabbitIn, stop: watch::Receiver<bool>) {
    let mut stop = stop;
    let mut backoff = Backoff::default();
    let mut turn = 0;
    while !*stop.borrow() {
        let before = intake.figures.seen().messages;
        let session = session(&intake, (&from, turn), &mut stop).await;
        turn += 1;
        intake.figures.connected(false);
        let Err(error) = session else { return };
        if intake.figures.seen().messages > before {
            backoff.worked();
        }
        let code = code(&error);
        let news = intake.figures.failed_with(code);
        let wait = backoff.failed(intake.ports.dice());
        let (door, wait_ms, tries) = (&intake.door, wait.as_millis(), backoff.tries());
        if news || backoff.is_worth_a_line() {
            tracing::warn!(door, code, %error, tries, wait_ms, "RabbitMQ is looked for again");
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            _ = stop.changed() => {}
        }
    }
}

pub(crate) async fn connect(
    (urls, tls): (&[String], &Tls),
    turn: usize,
    name: &str,
) -> Result<Connection, lapin::Error> {
    let url = urls.get(turn % urls.len().max(1));
    let url = url.map_or("amqp://127.0.0.1", String::as_str);
    let named = ConnectionProperties::default().with_connection_name(name.into());
    let runtime = lapin::runtime::default_runtime()?;
    let connecting = Connection::connect_with_config(url, named, tls.config(), runtime);
    match tokio::time::timeout(CONNECT_WAIT, connecting).await {
        // As a door for TLS does with who speaks in clear.
        Ok(Err(error)) if code(&error) == "connection_lost" => {
            let words = format!("the peer hung up before it greeted: {error}");
            Err(Ours::error("no_greeting", words))
        }
        Ok(connected) => connected,
        Err(_) => Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()),
    }
}

/// One connection, until it breaks (an error) or we are to stop.
async fn session<P: Ports>(
    intake: &Intake<P>,
    (from, turn): (&RabbitIn, usize),
    stop: &mut watch::Receiver<bool>,
) -> Result<(), lapin::Error> {
    let connection = connect((&from.urls, &from.tls), turn, &intake.door).await?;
    let channel = connection.create_channel().await?;
    topology(&channel, from).await?;
    let dead_letters = DeadLetters::open(&connection, from).await?;
    channel
        .basic_qos(from.prefetch, BasicQosOptions::default())
        .await?;
    let mut stream = match from.queue_type {
        QueueType::Stream => Some(stream::Stream::open(intake, from).await?),
        QueueType::Quorum | QueueType::Classic => None,
    };
    let arguments = stream
        .as_ref()
        .map_or_else(FieldTable::default, stream::Stream::arguments);
    let (queue, options) = (from.queue.as_str().into(), BasicConsumeOptions::default());
    let mut consumer = channel
        .basic_consume(queue, "".into(), options, arguments)
        .await?;
    intake.figures.connected(true);
    loop {
        let first = tokio::select! {
            first = consumer.next() => first,
            _ = stop.changed() => None,
        };
        if *stop.borrow() {
            let _ = connection.close(200, "done".into()).await;
            return Ok(());
        }
        let Some(first) = first else {
            // The queue was deleted, or the broker took the consumer away.
            return Err(Ours::error(
                "consumer_ended",
                "the broker ended the consumer",
            ));
        };
        let mut came = Came {
            keeps: dead_letters.is_some(),
            stream: stream.take(),
            ..Came::default()
        };
        came.gather(intake, first?, &mut consumer).await?;
        stream = came.stream.take();
        let unit = stream.as_ref().map_or("delivery", |_| "offset");
        let unit = format!("{} {unit}", from.queue);
        let mark = stream.as_ref().map(stream::Stream::mark);
        if !came.parcel.is_empty() {
            tokio::select! {
                refused = intake.take(&unit, came.parcel, mark) => came.refused = refused,
                () = overdue(stop) => return Ok(()),
            }
        }
        let refused = came.refused;
        let last = came.last;
        if let (Some(dead_letters), false) = (&dead_letters, refused.is_empty()) {
            let refused = refused.iter().filter_map(|one| {
                let delivery = came.deliveries.get(one.index)?;
                Some((one.code, delivery))
            });
            dead_letters.tell(refused).await?;
        }
        let all = BasicAckOptions { multiple: true };
        channel.basic_ack(last, all).await?;
    }
}

/// What came and is handled together.
#[derive(Default)]
struct Came {
    parcel: Parcel,
    /// The deliveries themselves, where somebody is told of those that are refused.
    deliveries: Vec<Delivery>,
    keeps: bool,
    /// Which of them were kept as dead letters.
    refused: Vec<Refused>,
    /// The tag of the last.
    last: u64,
    /// How far a stream was read.
    stream: Option<stream::Stream>,
}

impl Came {
    /// Adds what is here already or comes at once, up to a whole parcel.
    async fn gather<P: Ports>(
        &mut self,
        intake: &Intake<P>,
        first: Delivery,
        consumer: &mut Consumer,
    ) -> Result<(), lapin::Error> {
        self.push(intake, first);
        let due = tokio::time::Instant::now() + LINGER;
        while !self.parcel.is_full() {
            let next = match consumer.next().now_or_never() {
                Some(next) => next,
                // Nothing is here.
                None => match tokio::time::timeout_at(due, consumer.next()).await {
                    Ok(next) => next,
                    Err(_) => break,
                },
            };
            // The consumer has ended, which the next look will tell.
            let Some(next) = next else { break };
            self.push(intake, next?);
        }
        Ok(())
    }

    fn push<P: Ports>(&mut self, intake: &Intake<P>, delivery: Delivery) {
        let headers = delivery.properties.headers().as_ref();
        let version = headers.and_then(|headers| headers.inner().get(VERSION_HEADER));
        let version = version.and_then(words);
        self.last = delivery.delivery_tag;
        let mut place = self.last;
        if let Some(stream) = &mut self.stream {
            match stream.place(&delivery) {
                Some(offset) => place = offset,
                // It was read before.
                None => return,
            }
        }
        let reader = &intake.reader;
        self.parcel
            .push(reader, place, version.as_deref(), &delivery.data);
        if self.keeps {
            self.deliveries.push(delivery);
        }
    }
}

fn words(value: &AMQPValue) -> Option<String> {
    match value {
        AMQPValue::LongString(text) => Some(String::from_utf8_lossy(text.as_bytes()).into_owned()),
        AMQPValue::LongInt(number) => Some(number.to_string()),
        AMQPValue::LongLongInt(number) => Some(number.to_string()),
        _ => None,
    }
}

async fn topology(channel: &Channel, from: &RabbitIn) -> Result<(), lapin::Error> {
    let queue = || from.queue.as_str().into();
    let mut arguments = FieldTable::default();
    let mut options = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    match from.topology {
        Topology::Check => options.passive = true,
        Topology::Declare => {
            let kind = match from.queue_type {
                QueueType::Quorum => "quorum",
                QueueType::Classic => "classic",
                QueueType::Stream => "stream",
            };
            arguments.insert("x-queue-type".into(), AMQPValue::LongString(kind.into()));
        }
    }
    channel.queue_declare(queue(), options, arguments).await?;
    if let (Some(exchange), Topology::Declare) = (&from.exchange, from.topology) {
        channel
            .queue_bind(
                queue(),
                exchange.as_str().into(),
                from.routing_key.as_str().into(),
                QueueBindOptions::default(),
                FieldTable::default(),
            )
            .await?;
    }
    Ok(())
}
