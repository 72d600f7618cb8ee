//! How a sandbox behaves.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// When a transfer shows on the fund-flow bill. WeChat does not say, so both can be tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Booking {
    /// One line when the transfer succeeds.
    #[default]
    AtSuccess,
    /// One line when the money is locked, and one back when the transfer ends unpaid.
    AtLock,
}

/// What users do when they should confirm a transfer. Which user does what depends on the
/// transfer's number and the seed alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Robot {
    /// So many of a thousand confirm.
    pub confirm_per_mille: u16,
    /// So many of a thousand confirm and fail, because their wallet may not receive. The rest
    /// never answer.
    pub refuse_per_mille: u16,
    /// How long they take, in milliseconds of real time.
    pub delay_ms: u64,
    /// Changes who does what.
    pub seed: u64,
}

/// How long a batch takes, in milliseconds of the business clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchTimes {
    /// Until its money is locked.
    pub lock_ms: i64,
    /// From then until its items have ended.
    pub finish_ms: i64,
}

impl Default for BatchTimes {
    fn default() -> Self {
        BatchTimes {
            lock_ms: 200,
            finish_ms: 800,
        }
    }
}

/// How long a transfer stays in the states that it leaves by itself, in milliseconds of the business
/// clock. WeChat asks for the user's confirmation at once, mostly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lag {
    /// In `ACCEPTED`, before anything is done.
    pub accepted_ms: i64,
    /// In `PROCESSING`, until the money is locked.
    pub processing_ms: i64,
    /// In `TRANSFERING`, until the money is in the wallet.
    pub transfering_ms: i64,
}

/// Limits of the old API's payments, which are the merchant's own settings at WeChat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OldLimits {
    /// The smallest single payment, in fen.
    pub single_min_fen: i64,
    /// How many payments one user may get a day.
    pub user_day_count: u32,
    /// How much one user may get a day, in fen.
    pub user_day_fen: i64,
}

impl Default for OldLimits {
    fn default() -> Self {
        OldLimits {
            single_min_fen: 100,
            user_day_count: 10,
            user_day_fen: 20_000,
        }
    }
}

/// Everything that can be set.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where to listen besides with TLS, which the old API wants; nowhere by default.
    pub tls: Option<SocketAddr>,
    /// The directory of keys and journal.
    pub data: PathBuf,
    /// When transfers show on bills.
    pub booking: Booking,
    /// What users do.
    pub robot: Robot,
    /// How many merchants there are at least, each with an app of its own.
    pub merchants: usize,
    /// The first top-up of each merchant's account, in fen.
    pub first_top_up_fen: i64,
    /// The largest single transfer, in fen.
    pub single_max_fen: i64,
    /// Limits of the old API's payments.
    pub old: OldLimits,
    /// How long transfers take; where nothing is said, what was said last, or no time.
    pub lag: Option<Lag>,
    /// How long batches take.
    pub batch: BatchTimes,
    /// A file with what goes wrong from the beginning, as `POST /_sandbox/faults` takes it.
    pub faults: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            tls: None,
            data: PathBuf::from("sandbox"),
            booking: Booking::default(),
            robot: Robot::default(),
            merchants: 1,
            first_top_up_fen: 1_000_000_000,
            single_max_fen: 20_000,
            old: OldLimits::default(),
            lag: None,
            batch: BatchTimes::default(),
            faults: None,
        }
    }
}
