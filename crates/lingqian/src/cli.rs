//! What can be said on the command line.

mod alerts;
mod kept;
mod letters;
mod links;
mod sandbox;
mod told;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::bench::options::Bench;
use crate::export::Format;
use crate::store::StoreUrl;
pub(crate) use alerts::Alerts;
pub(crate) use kept::{BillSource, Kept, Receipt};
pub(crate) use letters::Letters;
pub(crate) use links::{Authorizations, ByHand, Link, Links, OfUser, OnLink};
pub(crate) use sandbox::{Sandbox, SandboxCommand};
pub(crate) use told::{FeedOptions, Listen, Trigger, Webhooks};

/// Turns what users earn in an app into money in their WeChat Wallets, exactly once.
#[derive(Debug, Parser)]
#[command(
    name = "lingqian",
    version,
    propagate_version = true,
    arg_required_else_help = true
)]
#[command(
    after_help = "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the books need a person \
                        (a broken invariant or an open break)."
)]
pub(crate) struct Cli {
    /// Where everything is kept.
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        default_value = "lingqian-data"
    )]
    #[arg(env = "LINGQIAN_DATA")]
    pub(crate) data: PathBuf,

    /// Keep the books in this PostgreSQL database instead of where the configuration says;
    /// several processes may share it.
    #[arg(long, global = true, value_name = "postgres://USER@HOST/DATABASE")]
    #[arg(env = "LINGQIAN_STORE", hide_env_values = true)]
    pub(crate) store: Option<StoreUrl>,

    /// Print the result as JSON on standard output.
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands, in the order in which a newcomer meets them.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// See the whole flow: sandbox, platform, users, events, payouts, bill, report.
    Quickstart(Quickstart),
    /// Run the platform.
    Serve(Serve),
    /// Run the WeChat sandbox, or write its credentials. `--data` names a directory of its own, or
    /// a platform's, whose folder `sandbox` it then is.
    Sandbox(Sandbox),
    /// Credit earning events from a file of JSON lines.
    Import(Import),
    /// Set a user's money aside for a payout, or sweep all balances.
    Withdraw(Withdraw),
    /// List payouts, newest first.
    Payouts(Payouts),
    /// Tell one payout's story with its evidence.
    Explain {
        /// The payout, such as `po_01J…`, or a business number, such as `LQ01J…01`.
        payout: String,
    },
    /// List users' links with apps.
    Links(Links),
    /// Show, refresh or end a user's links with apps; who and why is kept.
    #[command(subcommand)]
    Link(Link),
    /// Ask for, look at and close what users granted once so that they confirm no payout.
    #[command(subcommand)]
    Authorizations(Authorizations),
    /// Do something to a payout by hand; who and why is kept.
    #[command(subcommand)]
    Payout(PayoutAct),
    /// List what needs a person, with what can be done about it.
    Cases,
    /// List what operators are told of, or send them a trial.
    #[command(subcommand)]
    Alerts(Alerts),
    /// Stop payouts: all of them, a merchant's, or a scene's.
    Stop(Stop),
    /// Lift a stop.
    Resume(Resume),
    /// List what is stopped.
    Stops,
    /// List what was done by hand, newest first.
    Deeds(Deeds),
    /// Run one pass over what is due, once, as `serve` does all the time.
    Pass(Pass),
    /// Compare a day's fund-flow bill with the books, in both directions.
    Reconcile(Reconcile),
    /// Get WeChat's electronic receipt of a payout that was paid. The first time it is applied for.
    Receipt(Receipt),
    /// List and open the raw files that are kept: bills as they came, and receipts.
    #[command(subcommand)]
    Kept(Kept),
    /// Make, list and change endpoints of webhooks, and have notices delivered again.
    #[command(subcommand)]
    Webhooks(Webhooks),
    /// List, show, replay and discard what could not be credited.
    #[command(subcommand)]
    Letters(Letters),
    /// Show what the outside was told, oldest first.
    Feed(FeedOptions),
    /// Forward what happens at the running server to a receiver that is being written.
    Listen(Listen),
    /// Send a signed sample of an event to a receiver that is being written.
    Trigger(Trigger),
    /// Derive every balance anew from the entries and check the invariants.
    Audit,
    /// Move the books into another store that is empty, and compare both. Nobody may serve either
    /// of them meanwhile; a copy that was killed goes on where it was. `--data` is left alone.
    Copy(Copy),
    /// Prove that no entry was changed, lost or moved.
    #[command(subcommand)]
    Ledger(Ledger),
    /// Ask about the books in SQL; they are only read.
    Sql(Sql),
    /// Write a part of the books to a file for somebody else.
    #[command(subcommand)]
    Export(Export),
    /// Make, list and withdraw API keys.
    #[command(subcommand)]
    Keys(Keys),
    /// Let the engine live through seeds of a pretend world with crashes, lost answers and other
    /// faults, and look whether anything is ever paid twice or lost. `--data` is left alone.
    Sim(Sim),
    /// Measure how fast the books and the doors are on this machine. `--data` is left alone.
    #[command(subcommand)]
    Bench(Bench),
}

/// Options of `quickstart`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Quickstart {
    /// End when the report is printed, instead of serving on.
    #[arg(long)]
    pub(crate) exit: bool,
    /// Write the report to this file as JSON, too.
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// Credit these events (JSON lines; `-` reads standard input) instead of made-up ones.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["users", "events_count", "seed"])]
    pub(crate) events: Option<PathBuf>,
    /// Make up so many users.
    #[arg(long, value_name = "N", default_value_t = 2_000)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(crate) users: u64,
    /// Make up so many events.
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    pub(crate) events_count: u64,
    /// The same seed makes up the same events. Without it each run makes new ones.
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Where the platform listens; a free port of this machine if not given.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub(crate) listen: SocketAddr,
    /// Where the sandbox listens; a free port of this machine if not given.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub(crate) sandbox_listen: SocketAddr,
}

/// Options of `sim`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Sim {
    /// The first seed.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// How many seeds; 100, or as many as there is time for.
    #[arg(long, value_name = "N")]
    pub(crate) seeds: Option<u64>,
    /// Actions of each seed.
    #[arg(long, value_name = "N", default_value_t = 400)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(crate) steps: u64,
    /// Begin no further seed after this, such as `30s` or `10m`.
    #[arg(long, value_name = "SPAN", value_parser = lingqian_sim::command::read_until)]
    pub(crate) until: Option<std::time::Duration>,
    /// Print everything that happens.
    #[arg(long)]
    pub(crate) trace: bool,
    /// Play this story, or a script that a failing seed was made into.
    #[arg(long, value_name = "FILE")]
    pub(crate) story: Option<PathBuf>,
    /// Kill a process before and after every side effect of every flow instead.
    #[arg(long, conflicts_with = "story")]
    pub(crate) crash_points: bool,
    /// Do not make a failing script smaller.
    #[arg(long)]
    pub(crate) no_shrink: bool,
}

/// Options of `serve`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Serve {
    /// Where to listen, instead of what the configuration says.
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<SocketAddr>,
    /// Where bills come from.
    #[command(flatten)]
    pub(crate) bills: BillSource,
}

/// Options of `import`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Import {
    /// JSON lines, one event each; `-` reads standard input.
    pub(crate) file: PathBuf,
    /// Register users that are not known yet.
    #[arg(long)]
    pub(crate) register: bool,
    /// Print at most so many refused lines.
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) show: usize,
}

/// Options of `withdraw`.
#[derive(Clone, Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true))]
pub(crate) struct Withdraw {
    /// Whose money; with `--amount-fen` or `--all`.
    #[arg(long, value_name = "ID", required_unless_present = "sweep_fen")]
    pub(crate) user: Option<String>,
    /// How much, in fen.
    #[arg(long, value_name = "FEN", group = "what")]
    pub(crate) amount_fen: Option<i64>,
    /// All whole fen, up to what the limits leave for today.
    #[arg(long, group = "what")]
    pub(crate) all: bool,
    /// Your own name for it. The same name is never withdrawn twice.
    #[arg(long, value_name = "NAME", required_unless_present = "sweep_fen")]
    pub(crate) reference: Option<String>,
    /// Everybody with at least so many fen, each at most once a day.
    #[arg(long, value_name = "FEN", group = "what", conflicts_with_all = ["user", "reference"])]
    pub(crate) sweep_fen: Option<i64>,
}

/// Options of `payouts`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Payouts {
    /// Only in this state: requested, review, approved, sending, deferred, unknown, processing,
    /// awaiting_user, cancelling, paid, failed, expired, cancelled, refused.
    #[arg(long)]
    pub(crate) state: Option<String>,
    /// Only this user's.
    #[arg(long, value_name = "ID")]
    pub(crate) user: Option<String>,
    /// Only older than this one.
    #[arg(long, value_name = "PAYOUT")]
    pub(crate) before: Option<String>,
    /// At most so many.
    #[arg(long, value_name = "N", default_value_t = 50)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) limit: u32,
}

/// Who does something by hand, and why.
#[derive(Clone, Debug, Args)]
pub(crate) struct Why {
    /// Why, in words for those who read it later.
    #[arg(long, value_name = "WORDS")]
    pub(crate) reason: String,
    /// Who; your login name if not given. Where a server has the books its API key says who.
    #[arg(long, value_name = "NAME")]
    pub(crate) actor: Option<String>,
}

/// A payout, and who does something to it.
#[derive(Clone, Debug, Args)]
pub(crate) struct OnPayout {
    /// The payout, such as `po_01J…`, or a business number, such as `LQ01J…01`.
    pub(crate) payout: String,
    /// Who, and why.
    #[command(flatten)]
    pub(crate) why: Why,
}

/// What can be done to a payout by hand.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum PayoutAct {
    /// Say yes to what risk wants looked at. From a limit on two different people must.
    Approve(OnPayout),
    /// End it before anything is sent; the money returns to the balance.
    Refuse(OnPayout),
    /// Stop it, as the app could.
    Cancel(OnPayout),
    /// Send the same order again now, under the same number; for three days from the first send.
    Resend(OnPayout),
    /// A bill shows it: it was paid.
    MarkPaid(OnPayout),
    /// Every bill that could show it is closed and none does: it was not paid.
    MarkUnpaid(OnPayout),
}

/// Options of `stop`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Stop {
    /// What: `all`, `merchant:MCHID` or `scene:NUMBER`.
    #[arg(default_value = "all")]
    pub(crate) scope: String,
    /// Who, and why.
    #[command(flatten)]
    pub(crate) why: Why,
}

/// Options of `resume`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Resume {
    /// What: `all`, `merchant:MCHID` or `scene:NUMBER`.
    #[arg(default_value = "all")]
    pub(crate) scope: String,
    /// Whose stop: a person's, the one of an empty account (float), or the auditor's (audit).
    #[arg(long, value_name = "CAUSE", default_value = "person")]
    pub(crate) cause: String,
    /// Who, and why.
    #[command(flatten)]
    pub(crate) why: Why,
}

/// Options of `deeds`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Deeds {
    /// Only what was done to this payout, user or scope.
    #[arg(long, value_name = "NAME")]
    pub(crate) subject: Option<String>,
    /// At most so many.
    #[arg(long, value_name = "N", default_value_t = 50)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) limit: u32,
}

/// Options of `pass`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Pass {
    /// Which.
    #[arg(value_enum)]
    pub(crate) name: PassName,
    /// Run until nothing is due and end. A pass has no other way to run.
    #[arg(long, required = true)]
    pub(crate) once: bool,
}

/// The passes, in the order in which money moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PassName {
    /// Ask for withdrawals of balances above the threshold.
    Sweep,
    /// Let risk look at what was requested.
    Assess,
    /// End what nobody approved in time.
    Expire,
    /// Send what is due.
    Dispatch,
    /// Ask WeChat about what was silent for long enough.
    Poll,
    /// Ask WeChat to cancel what is unwanted.
    Cancel,
    /// Compare the bills of days that are over with the books.
    Reconcile,
    /// Deliver what was told to endpoints of webhooks.
    Notify,
    /// Refresh tokens of links before they run out.
    Links,
    /// Tell operators what needs them.
    Alert,
    /// Audit all payouts and their users one by one, over live books.
    Audit,
}

impl PassName {
    /// The name.
    pub(crate) fn word(self) -> &'static str {
        match self {
            PassName::Sweep => "sweep",
            PassName::Assess => "assess",
            PassName::Expire => "expire",
            PassName::Dispatch => "dispatch",
            PassName::Poll => "poll",
            PassName::Cancel => "cancel",
            PassName::Reconcile => "reconcile",
            PassName::Notify => "notify",
            PassName::Links => "links",
            PassName::Alert => "alert",
            PassName::Audit => "audit",
        }
    }
}

/// Options of `reconcile`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Reconcile {
    /// The day, by Beijing's calendar, as `yyyy-mm-dd`.
    #[arg(long, value_name = "DATE")]
    pub(crate) date: String,
    /// Only this merchant's bill; each configured one's without it.
    #[arg(long, value_name = "MCHID")]
    pub(crate) merchant: Option<String>,
    /// Where bills come from.
    #[command(flatten)]
    pub(crate) bills: BillSource,
}

/// Options of `copy`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Copy {
    /// The books: a data directory, a file, or a PostgreSQL database.
    #[arg(long, value_name = "STORE")]
    pub(crate) from: StoreUrl,
    /// Where they go, said in the same ways.
    #[arg(long, value_name = "STORE")]
    pub(crate) to: StoreUrl,
}

/// What can be done with the ledger as a whole.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Ledger {
    /// Prove the chain of hashes from the first page of entries to the last, also beside a running
    /// server and in a file that is damaged.
    Verify {
        /// A head that was noted earlier must be in the chain, too.
        #[arg(long, value_name = "HASH")]
        head: Option<String>,
    },
}

/// Options of `sql`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Sql {
    /// Answer this and end, instead of reading statements from standard input.
    #[arg(short, long, value_name = "STATEMENT")]
    pub(crate) command: Option<String>,
    /// Print comma-separated values.
    #[arg(long, conflicts_with = "json")]
    pub(crate) csv: bool,
}

/// What can be exported.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Export {
    /// Entries with the names of users, kinds and events, and what ties them to the chain.
    Entries(ExportEntries),
}

/// Options of `export entries`.
#[derive(Clone, Debug, Args)]
pub(crate) struct ExportEntries {
    /// Recorded on this day or later, by Beijing's calendar, as `yyyy-mm-dd`.
    #[arg(long, value_name = "DATE")]
    pub(crate) from: Option<String>,
    /// Recorded on this day or earlier.
    #[arg(long, value_name = "DATE")]
    pub(crate) to: Option<String>,
    /// This entry and later ones.
    #[arg(long, value_name = "N")]
    pub(crate) from_seq: Option<u64>,
    /// This entry and earlier ones.
    #[arg(long, value_name = "N")]
    pub(crate) to_seq: Option<u64>,
    /// The form of the file.
    #[arg(long, value_enum)]
    pub(crate) format: Format,
    /// Write to this file, and a summary beside it; otherwise to standard output.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

/// What can be done with API keys.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Keys {
    /// Make a key and print it; it cannot be shown again.
    New {
        /// What it may do, such as `events:write`; may be given several times. `*` is everything.
        #[arg(long = "scope", value_name = "SCOPE", required = true)]
        scopes: Vec<String>,
    },
    /// List the keys, never their secrets.
    List,
    /// Keys of the merchant and for sealing, in the PKCS#11 token of the configuration.
    #[command(subcommand)]
    Token(TokenCommand),
    /// Withdraw a key; it stops working within seconds.
    Revoke {
        /// The public part of the key.
        id: String,
    },
}

/// What can be done with the token. Its PIN is in the file or the variable that the configuration
/// names, never on the command line.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Prepare a blank token under the label of the configuration.
    Init {
        /// The file with the security officer's PIN.
        #[arg(long, value_name = "FILE")]
        officer_pin_file: PathBuf,
    },
    /// Say what the token is, whether it lets us in, and which keys are in it.
    Status,
    /// Make an RSA key of 2,048 bits that never leaves the token.
    Generate {
        /// Its label, if not the one of the configuration.
        #[arg(long)]
        label: Option<String>,
        /// Make the AES key that seals fields at rest instead.
        #[arg(long)]
        sealing: bool,
    },
    /// Print the public half of a key in PEM.
    Public {
        /// Its label, if not the one of the configuration.
        #[arg(long)]
        label: Option<String>,
    },
    /// Print a certificate request for the merchant platform, signed in the token.
    Csr {
        /// Its label, if not the one of the configuration.
        #[arg(long)]
        label: Option<String>,
        /// The merchant's number.
        #[arg(long)]
        mchid: String,
        /// The merchant's registered name.
        #[arg(long)]
        organization: Option<String>,
    },
}
