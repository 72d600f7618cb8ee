//! How much of the machine a store may use.

use crate::ids::RECENT_IDS;

/// How much of the machine a store may use. What is durable when does not depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// How many connections read, each on a thread of its own; at least one.
    pub readers: usize,
    /// The page cache of the connection that writes, in KiB.
    pub writer_cache_kib: u32,
    /// The page cache of each connection that reads, in KiB.
    pub reader_cache_kib: u32,
    /// So many 8 KiB pages gather in the log before it begins anew; they are carried into the file
    /// on the way, 16 MiB at a time. More is faster; a crash is followed by reading so many. A log that
    /// grew longer, because somebody read from it, is cut to twice as many.
    pub checkpoint_pages: u32,
    /// So many ids of events are kept in a table in memory, 24 bytes each, before they become
    /// a sorted run in the file. More is faster and takes longer to read when the file is opened.
    pub recent_ids: usize,
    /// So many bytes of pages are proved before the store opens, the newest first.
    pub proved_at_start: u64,
    /// How fast the other pages are proved afterwards, in bytes.
    pub scrub_bytes_per_second: u64,
}

impl Default for Options {
    /// Three readers, 8 and 4 MiB of cache, a log of 128 MiB, and 53,760 recent ids; 256 MiB are
    /// proved at the start, and then 16 MiB a second.
    fn default() -> Self {
        Options {
            readers: 3,
            writer_cache_kib: 8_192,
            reader_cache_kib: 4_096,
            checkpoint_pages: 16_000,
            recent_ids: RECENT_IDS,
            proved_at_start: 256 << 20,
            scrub_bytes_per_second: 16 << 20,
        }
    }
}
