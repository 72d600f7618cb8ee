//! Commands about what the outside is told: webhooks and the feed.

use clap::{Args, Subcommand};

/// What can be done with endpoints of webhooks.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Webhooks {
    /// Make an endpoint and print its secret; it cannot be shown again.
    Create {
        /// Where messages go.
        #[arg(long)]
        url: String,
        /// Which events: full names, `payout.*` or `*`; may be given several times. All of them
        /// where none is given.
        #[arg(long = "event", value_name = "EVENT")]
        events: Vec<String>,
        /// Words for people.
        #[arg(long)]
        note: Option<String>,
        /// `v1` signs with a shared secret, `v1a` with an ed25519 key of ours.
        #[arg(long, default_value = "v1", value_parser = ["v1", "v1a"])]
        scheme: String,
        /// Begin after this notice; without it with the next one.
        #[arg(long, value_name = "NUMBER")]
        after: Option<i64>,
    },
    /// List endpoints with their health.
    List,
    /// Show one.
    Show {
        /// The endpoint, such as `we_01J…`.
        id: String,
    },
    /// Change one, or turn it on or off.
    Change {
        /// The endpoint.
        id: String,
        /// Where messages go from now on.
        #[arg(long)]
        url: Option<String>,
        /// Which events from now on.
        #[arg(long = "event", value_name = "EVENT")]
        events: Vec<String>,
        /// Words for people.
        #[arg(long)]
        note: Option<String>,
        /// Turn it on; it goes on where it was.
        #[arg(long, conflicts_with = "off")]
        on: bool,
        /// Turn it off.
        #[arg(long)]
        off: bool,
    },
    /// Delete one with whatever waits for it.
    Delete {
        /// The endpoint.
        id: String,
    },
    /// Give one a new secret and print it; the one before it signs beside it for a while.
    Rotate {
        /// The endpoint.
        id: String,
        /// How to sign from now on; as before where nothing is said.
        #[arg(long, value_parser = ["v1", "v1a"])]
        scheme: Option<String>,
        /// For so long the earlier secret signs as well.
        #[arg(long, value_name = "SECONDS", default_value_t = 86_400)]
        overlap_seconds: i64,
    },
    /// Send one a signed sample now and tell what came of it.
    Test {
        /// The endpoint.
        id: String,
    },
    /// List what one did not take yet.
    Deliveries {
        /// The endpoint.
        id: String,
        /// Only what comes after this notice.
        #[arg(long, value_name = "NUMBER", default_value_t = 0)]
        after: i64,
    },
    /// Have notices delivered again: one, or a range.
    Replay {
        /// The endpoint.
        id: String,
        /// The first notice.
        #[arg(long, value_name = "NUMBER")]
        first: i64,
        /// The last one; the first where nothing is said.
        #[arg(long, value_name = "NUMBER")]
        last: Option<i64>,
    },
}

/// Options of `feed`.
#[derive(Clone, Debug, Args)]
pub(crate) struct FeedOptions {
    /// What comes after this notice.
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub(crate) after: i64,
    /// At most so many.
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    pub(crate) limit: u32,
}

/// Options of `listen`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Listen {
    /// The receiver, such as `http://127.0.0.1:3000/hook`.
    #[arg(long, value_name = "URL")]
    pub(crate) forward_to: String,
    /// Begin after this notice; without it with the next one.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) after: Option<i64>,
    /// Sign with this `whsec_…`; without it a new one is made and printed.
    #[arg(long, env = "LINGQIAN_WEBHOOK_SECRET", hide_env_values = true)]
    pub(crate) secret: Option<String>,
}

/// Options of `trigger`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Trigger {
    /// The event, such as `payout.paid`.
    pub(crate) event: String,
    /// The receiver, such as `http://127.0.0.1:3000/hook`.
    #[arg(long, value_name = "URL")]
    pub(crate) forward_to: String,
    /// Sign with this `whsec_…`; without it a new one is made and printed.
    #[arg(long, env = "LINGQIAN_WEBHOOK_SECRET", hide_env_values = true)]
    pub(crate) secret: Option<String>,
}
