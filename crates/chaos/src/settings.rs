//! What a run is.

use std::path::PathBuf;

use clap::ValueEnum;

/// Where the books are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Store {
    /// In one file, with one process.
    Sqlite,
    /// In a PostgreSQL server of the run's own, shared by processes.
    Postgres,
}

/// What may be broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Fault {
    /// Processes are killed and begin again, some with a clock that runs ahead.
    Kill,
    /// Processes stand still, some past their leases while another one takes over.
    Stop,
    /// The way to the database is cut, connections are ended there, it is restarted.
    CutDb,
    /// The way to WeChat is cut.
    CutWechat,
    /// The way of clients to the platform is cut.
    CutClient,
    /// WeChat loses answers, answers with errors and unknown codes, throttles, is killed.
    Wechat,
    /// Notifications are lost, late, doubled, forged.
    Notify,
}

impl Fault {
    /// All of them.
    pub const ALL: [Fault; 7] = [
        Fault::Kill,
        Fault::Stop,
        Fault::CutDb,
        Fault::CutWechat,
        Fault::CutClient,
        Fault::Wechat,
        Fault::Notify,
    ];
}

/// A run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The executable.
    pub binary: PathBuf,
    /// Where everything of the run is kept.
    pub dir: PathBuf,
    /// For how long things are broken, in seconds.
    pub seconds: u64,
    /// What is broken when, and what clients do, follow from it.
    pub seed: u64,
    /// Where the books are.
    pub store: Store,
    /// How many processes share a database.
    pub processes: usize,
    /// What may be broken.
    pub faults: Vec<Fault>,
    /// What the processes log.
    pub log: String,
}

impl Settings {
    /// A run with everything broken.
    #[must_use]
    pub fn new(binary: PathBuf, dir: PathBuf, store: Store) -> Settings {
        Settings {
            binary,
            dir,
            seconds: 25,
            seed: 1,
            store,
            processes: 2,
            faults: Fault::ALL.to_vec(),
            log: "debug".into(),
        }
    }
}
