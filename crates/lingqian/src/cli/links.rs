//! What can be said about links and authorizations.

use clap::{Args, Subcommand};

use super::Why;

/// Options of `links`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Links {
    /// Only those that are active, needs_reauthorization or revoked.
    #[arg(long, value_name = "STANDING")]
    pub(crate) standing: Option<String>,
    /// Only those with this app.
    #[arg(long, value_name = "APPID")]
    pub(crate) app: Option<String>,
    /// Only those of wallets that are flagged because several users have them.
    #[arg(long)]
    pub(crate) flagged: bool,
    /// At most so many.
    #[arg(long, value_name = "N", default_value_t = 50)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) limit: u32,
}

/// A user's link, and who does something to it.
#[derive(Clone, Debug, Args)]
pub(crate) struct OnLink {
    /// The user, by the app's own name.
    pub(crate) user: String,
    /// Only the link with this app; all of them without it.
    #[arg(long, value_name = "APPID")]
    pub(crate) app: Option<String>,
    /// Who, and why.
    #[command(flatten)]
    pub(crate) why: Why,
}

/// What can be done to links.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Link {
    /// Show a user's links.
    Show {
        /// The user, by the app's own name.
        user: String,
    },
    /// Have the tokens refreshed now, instead of when they are due.
    Refresh(OnLink),
    /// End it because the user leaves. The same wallet may come back at once.
    Unlink(OnLink),
    /// End it for your own reason. Whatever wallet comes back cools off first.
    Revoke(OnLink),
    /// Say yes to a wallet that several users share.
    Allow(OnLink),
}

/// Whose authorization.
#[derive(Clone, Debug, Args)]
pub(crate) struct OfUser {
    /// The user, by the app's own name.
    pub(crate) user: String,
    /// Of which merchant; the first that pays the user without it.
    #[arg(long, value_name = "MCHID")]
    pub(crate) merchant: Option<String>,
}

/// Whose authorization, and who does something about it.
#[derive(Clone, Debug, Args)]
pub(crate) struct ByHand {
    /// Whose.
    #[command(flatten)]
    pub(crate) of: OfUser,
    /// Who, and why.
    #[command(flatten)]
    pub(crate) why: Why,
}

/// What can be done about authorizations to be paid without confirming.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Authorizations {
    /// Ask WeChat for one; the answer has what opens the page on which the user grants it.
    Apply(ByHand),
    /// Ask WeChat where a user's stands.
    Query(OfUser),
    /// Close a user's; from then on each payout is confirmed again.
    Close(ByHand),
    /// Ask WeChat about every linked user's, one after the other.
    List {
        /// Of which merchant; the first of the configuration without it.
        #[arg(long, value_name = "MCHID")]
        merchant: Option<String>,
        /// About so many users at most.
        #[arg(long, value_name = "N", default_value_t = 50)]
        #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000))]
        limit: u32,
    },
}
