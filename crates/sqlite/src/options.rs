//! How much of the machine a store may use.

/// How much of the machine a store may use. What is durable when does not depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// How many connections read, each on a thread of its own; at least one.
    pub readers: usize,
    /// The page cache of the connection that writes, in KiB.
    pub writer_cache_kib: u32,
    /// The page cache of each connection that reads, in KiB.
    pub reader_cache_kib: u32,
    /// So many 8 KiB pages gather in the log before they are carried into the file. A page that
    /// changed often is carried once, so more is faster; a crash is followed by reading so many.
    pub checkpoint_pages: u32,
}

impl Default for Options {
    /// Three readers, 16 and 4 MiB of cache, and a log of 128 MiB.
    fn default() -> Self {
        Options {
            readers: 3,
            writer_cache_kib: 16_384,
            reader_cache_kib: 4_096,
            checkpoint_pages: 16_000,
        }
    }
}
