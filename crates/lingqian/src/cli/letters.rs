//! What can be said about dead letters.

use std::path::PathBuf;

use clap::Subcommand;

/// What can be done with what could not be credited.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Letters {
    /// List them, newest first, without what they say.
    List {
        /// Those too that were replayed or discarded.
        #[arg(long)]
        all: bool,
        /// At most so many.
        #[arg(long, value_name = "N", default_value_t = 50)]
        #[arg(value_parser = clap::value_parser!(u32).range(1..=200))]
        limit: u32,
    },
    /// Show one with what it says.
    Show {
        /// Its name, such as `unknown_user-0f34…`.
        id: String,
    },
    /// Credit one: as it came, once what was wrong is right, or mended. It is credited once,
    /// however often this is done.
    Replay {
        /// Its name.
        id: String,
        /// Give what is in this file instead (`-` reads standard input), in the same form.
        #[arg(long, value_name = "FILE")]
        event: Option<PathBuf>,
        /// Why, in words for those who read it later.
        #[arg(long, value_name = "WORDS")]
        reason: String,
    },
    /// Let nothing come of one; it stays on record.
    Discard {
        /// Its name.
        id: String,
        /// Why, in words for those who read it later.
        #[arg(long, value_name = "WORDS")]
        reason: String,
    },
}
