//! What can be said about a bench on the command line.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::bench::load::Habits;
use crate::store::StoreUrl;

/// What can be measured.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Bench {
    /// The books alone: decoded events in, durable outcomes out, over a real file.
    Ledger(LedgerOptions),
    /// The whole path: a server of its own, events over HTTP, durable results back.
    Ingest(IngestOptions),
    /// A fund-flow bill: read, checked and made ready to book, and in how much memory.
    Bills(BillsOptions),
    /// Events from a broker: what it can carry by itself, and what of it reaches the books. All of
    /// them wait at the broker when it begins, so it is an overload, too.
    #[cfg(any(feature = "rabbitmq", feature = "kafka"))]
    Brokers(BrokerOptions),
    /// The sandbox: signed transfers in, signed answers and notifications out.
    Sandbox(SandboxOptions),
}

/// Options of `bench brokers`.
#[cfg(any(feature = "rabbitmq", feature = "kafka"))]
#[derive(Clone, Debug, Args)]
#[command(group = clap::ArgGroup::new("broker").required(true))]
pub(crate) struct BrokerOptions {
    /// RabbitMQ: `amqp://USER:PASSWORD@HOST:PORT/VHOST`; may be given several times, for the nodes of
    /// a cluster.
    #[cfg(feature = "rabbitmq")]
    #[arg(long, value_name = "URL", group = "broker")]
    #[arg(value_delimiter = ' ')]
    pub(crate) rabbitmq: Vec<String>,
    /// RabbitMQ: keep messages in a queue of this kind: quorum or classic.
    #[cfg(feature = "rabbitmq")]
    #[arg(long, value_name = "KIND", default_value = "quorum")]
    pub(crate) queue_type: String,
    /// Kafka: `HOST:PORT`.
    #[cfg(feature = "kafka")]
    #[arg(long, value_name = "SERVERS", group = "broker")]
    pub(crate) kafka: Option<String>,
    /// So many events.
    #[arg(long, value_name = "N", default_value_t = 300_000)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    pub(crate) events: u64,
    /// Of so many users.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub(crate) users: u64,
    /// Overload the books: they take so many times as long as they would.
    #[arg(long, value_name = "TIMES", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) slow: u32,
    /// Kill this process when a third of the events is in the books: a node of the cluster.
    #[cfg(feature = "rabbitmq")]
    #[arg(long, value_name = "PID", requires = "rabbitmq")]
    pub(crate) kill: Option<u32>,
}

/// How events spread over users.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Spread {
    /// Few users earn much, many little: Zipf with exponent 0.99.
    Zipf,
    /// All users alike.
    Uniform,
}

/// Options of `bench bills`.
#[derive(Clone, Debug, Args)]
pub(crate) struct BillsOptions {
    /// The bill has so many lines.
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=30_000_000))]
    pub(crate) lines: u64,
    /// Where the bill lies; a folder that goes away if not given.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

/// What event ids look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Ids {
    /// Like UUID version 4 with hyphens: no order at all.
    Random,
    /// The same as 32 digits without hyphens.
    RandomHex,
    /// Like UUID version 7: the time first, then chance.
    Ordered,
}

/// What is measured in the same run for comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Beside {
    /// A ledger over SQLite as a team writes it: a transaction per event, and per 1,000 events.
    Baseline,
}

/// What the app does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Habit {
    /// Users earn and withdraw.
    Plain,
    /// Besides, earnings have daily caps and cool off, events are taken back, and users send each
    /// other money; eight days pass.
    Full,
}

/// How the books are closed before they are opened again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Reopen {
    /// As they should be.
    Close,
    /// By kill -9 of the process that fills them.
    Kill,
}

/// How events are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// Each connection streams JSON lines as fast as the server reads them.
    Ndjson,
    /// Each connection sends one event, waits for its answer, and sends the next.
    Single,
    /// Each connection sends an array of events, waits for its answer, and sends the next.
    Array,
}

/// Options of `bench ledger`.
#[derive(Clone, Debug, Args)]
#[command(after_help = LEDGER_HELP)]
pub(crate) struct LedgerOptions {
    /// So many entries are booked: earnings and, in their share, withdrawals. What is resent or
    /// refused comes on top.
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    pub(crate) entries: u64,
    /// So many users; if not given a million, or as many as entries where those are fewer.
    #[arg(long, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    pub(crate) users: Option<u32>,
    /// So many events travel together.
    #[arg(long, value_name = "N", default_value_t = 8_000)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) batch: u32,
    /// How events spread over users.
    #[arg(long, value_enum, default_value_t = Spread::Zipf)]
    pub(crate) spread: Spread,
    /// What event ids look like.
    #[arg(long, value_enum, default_value_t = Ids::Random)]
    pub(crate) ids: Ids,
    /// The share of events that were sent before; half of them among the last 10,000, half ever.
    #[arg(long, value_name = "PERCENT", default_value = "1", value_parser = share)]
    pub(crate) duplicates: Share,
    /// The share of entries that set money aside for a payout.
    #[arg(long, value_name = "PERCENT", default_value = "5", value_parser = share)]
    pub(crate) withdrawals: Share,
    /// What the app does.
    #[arg(long, value_enum, default_value_t = Habit::Plain)]
    pub(crate) mix: Habit,
    /// With `--mix full`, the share of events that take an earlier one back.
    #[arg(long, value_name = "PERCENT", default_value = "2", value_parser = share)]
    pub(crate) claw_backs: Share,
    /// With `--mix full`, the share of events that move money from one user to another.
    #[arg(long, value_name = "PERCENT", default_value = "4", value_parser = share)]
    pub(crate) transfers: Share,
    /// So many batches are under way at a time: one is looked at, one decided on, one written, and one
    /// on its way there and back.
    #[arg(long, value_name = "N", default_value_t = 4)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) in_flight: u32,
    /// So many events are made up ahead at a time; the clock stands while they are.
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    pub(crate) slice: u64,
    /// The same seed makes up the same events.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Keep the books in this directory, which must be new or empty.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Afterwards close the books, open them again, and say how long that took; or have them filled
    /// by a process that is killed with kill -9 in the middle, several times, and prove each time
    /// that nothing that was answered is missing.
    #[arg(long, value_enum, value_name = "HOW", default_missing_value = "close", num_args = 0..=1)]
    pub(crate) reopen: Option<Reopen>,
    /// With `--reopen kill`, so many times.
    #[arg(long, value_name = "N", default_value_t = 3)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) kills: u32,
    /// How many calls are in the books already; for the process that is killed.
    #[arg(long, hide = true)]
    pub(crate) resume_at: Option<u64>,
    /// Afterwards read so many statements of 20 lines and so many balances.
    #[arg(long, value_name = "N", default_missing_value = "1000", num_args = 0..=1)]
    pub(crate) read: Option<u32>,
    /// Write and sync a file in the same directory before and after, to tell how busy the disk was.
    #[arg(long)]
    pub(crate) sync_probe: bool,
    /// Measure this in the same run, too.
    #[arg(long, value_enum)]
    pub(crate) beside: Option<Beside>,
    /// Measure ledgers by hand over this PostgreSQL database in the same run, too; it is left as it
    /// was.
    #[arg(long, value_name = "URL")]
    pub(crate) beside_postgres: Option<StoreUrl>,
    /// Run the benchmark of this TigerBeetle program in the same run, too.
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) beside_tigerbeetle: Option<PathBuf>,
    /// Leave the audit out; the counts and balances are compared all the same.
    #[arg(long)]
    pub(crate) no_audit: bool,
    /// Measure the bench itself: a store that answers at once and keeps nothing.
    #[arg(long, conflicts_with_all = ["reopen", "read", "beside", "beside_postgres", "dir"])]
    pub(crate) harness: bool,
}

/// Options of `bench ingest`.
#[derive(Clone, Debug, Args)]
#[command(after_help = INGEST_HELP)]
pub(crate) struct IngestOptions {
    /// So many events are sent.
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    pub(crate) events: u64,
    /// So many users; if not given 100,000, or as many as events where those are fewer.
    #[arg(long, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    pub(crate) users: Option<u32>,
    /// So many connections; if not given 2 for streams, 64 for single events, 8 for arrays.
    #[arg(long, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) connections: Option<u32>,
    /// How events are sent.
    #[arg(long, value_enum, default_value_t = Mode::Ndjson)]
    pub(crate) mode: Mode,
    /// So many events in an array.
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) batch: u32,
    /// How events spread over users.
    #[arg(long, value_enum, default_value_t = Spread::Zipf)]
    pub(crate) spread: Spread,
    /// What event ids look like.
    #[arg(long, value_enum, default_value_t = Ids::Random)]
    pub(crate) ids: Ids,
    /// The share of events that were sent before by the same connection.
    #[arg(long, value_name = "PERCENT", default_value = "1", value_parser = share)]
    pub(crate) duplicates: Share,
    /// The same seed makes up the same events.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Keep the server's data in this directory, which must be new or empty.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Leave the audit out; the results and sums are compared all the same.
    #[arg(long)]
    pub(crate) no_audit: bool,
}

/// Options of `bench sandbox`.
#[derive(Clone, Debug, Args)]
#[command(after_help = SANDBOX_HELP)]
pub(crate) struct SandboxOptions {
    /// So many transfers.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=200_000))]
    pub(crate) transfers: u64,
    /// So many connections.
    #[arg(long, value_name = "N", default_value = "32")]
    #[arg(value_parser = connections)]
    pub(crate) connections: usize,
    /// Keep the sandbox's data in this directory, which must be new or empty.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

fn connections(text: &str) -> Result<usize, String> {
    let count = text
        .parse()
        .ok()
        .filter(|count| (1..=1_000).contains(count));
    count.ok_or_else(|| format!("{text} is not a number from 1 to 1000"))
}

const SANDBOX_HELP: &str = "The sandbox is a process of its own; the client signs everything ahead \
     and verifies nothing, so that it is not what is measured. A transfer is complete when it was \
     answered, confirmed, paid, announced and acknowledged. Per core means per second of the \
     sandbox's processor time. Exit code 3 says that something was lost.";

const LEDGER_HELP: &str = "Every figure is of the timed part alone: users register before it and \
     events are made up before it. An outcome counts when the store says that it is durable. With `--store` \
     the books are in that database, which must be empty. Exit code 3 says that something was lost or booked wrongly.";

const INGEST_HELP: &str = "The server is a process of its own with its own data directory and \
     ordinary settings; the client is this process. A result counts when the server has sent it, \
     which it does when the event is durable. With `--store` the books are in that database, which \
     must be empty. Exit code 3 says that something was lost or booked \
     wrongly.";

/// What a value is called on the command line.
fn named<T: ValueEnum>(value: &T) -> String {
    let name = value.to_possible_value();
    name.map(|name| name.get_name().to_owned())
        .unwrap_or_default()
}

/// A share in millionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Share(pub(crate) u32);

impl LedgerOptions {
    /// What another process must be told in order to make the same load.
    pub(crate) fn repeated(&self) -> Vec<String> {
        let mut arguments = vec![
            format!("--entries={}", self.entries),
            format!("--batch={}", self.batch),
            format!("--spread={}", named(&self.spread)),
            format!("--ids={}", named(&self.ids)),
            format!("--duplicates={}", self.duplicates.percent()),
            format!("--withdrawals={}", self.withdrawals.percent()),
            format!("--mix={}", named(&self.mix)),
            format!("--claw-backs={}", self.claw_backs.percent()),
            format!("--transfers={}", self.transfers.percent()),
            format!("--in-flight={}", self.in_flight),
            format!("--slice={}", self.slice),
            format!("--seed={}", self.seed),
        ];
        arguments.extend(self.users.map(|users| format!("--users={users}")));
        arguments
    }

    /// How many events do something else than earn.
    pub(crate) fn habits(&self) -> Habits {
        match self.mix {
            Habit::Plain => Habits::PLAIN,
            Habit::Full => Habits {
                claw_backs: self.claw_backs,
                transfers: self.transfers,
            },
        }
    }
}

impl Share {
    /// All of it.
    pub(crate) const WHOLE: u32 = 1_000_000;

    /// As a percentage, for people.
    pub(crate) fn percent(self) -> f64 {
        f64::from(self.0) / 10_000.0
    }
}

/// Reads a percentage with at most four decimals; half of everything is the most.
fn share(text: &str) -> Result<Share, String> {
    let wrong = || format!("{text} is not a percentage from 0 to 50 with at most four decimals");
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || decimals.len() > 4 || !digits(whole) || !digits(decimals) {
        return Err(wrong());
    }
    let number: u32 = format!("{whole}{decimals:0<4}")
        .parse()
        .map_err(|_| wrong())?;
    if number > Share::WHOLE / 2 {
        return Err(wrong());
    }
    Ok(Share(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_are_read_exactly_or_refused() {
        assert_eq!(share("5"), Ok(Share(50_000)));
        assert_eq!(share("0.05"), Ok(Share(500)));
        assert_eq!(share("50"), Ok(Share(500_000)));
        for text in ["", "-1", "50.1", "1.00001", "1e1", ".5", "99999999999"] {
            assert!(share(text).is_err(), "{text}");
        }
    }
}
