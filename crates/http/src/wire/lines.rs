//! Lines of events, cut out of what comes in, read, and handed over in batches.
//!
//! A batch is one text with the lines in it and what was read of each. Whoever feeds takes a
//! batch when it is full, or earlier.

use lingqian_engine::ingest::{Items, Unreadable};

use crate::wire::event::parse_event;

/// Lines that share a batch.
pub const LINES_MAX: usize = 8_000;
/// Bytes that share a batch, but for the last line.
pub const BATCH_BYTES_MAX: usize = 4 << 20;

/// Lines that travel together.
#[derive(Debug, Default)]
pub struct Batch {
    /// The lines one after the other, without their ends.
    pub text: Vec<u8>,
    /// Where each lies in it, its number from 1, and what was read.
    pub items: Items,
}

/// What was fed and not handed over.
#[derive(Debug)]
pub struct Lines {
    line_max: usize,
    batch: Batch,
    /// Where in the batch's text the unfinished line begins.
    start: usize,
    /// Bytes of the unfinished line beyond its limit; they were dropped.
    skipped: usize,
    /// The number of the last finished line, from 1; empty lines count.
    line: u64,
}

impl Lines {
    /// Nothing yet. A line may have so many bytes.
    #[must_use]
    pub fn new(line_max: usize) -> Lines {
        Lines {
            line_max,
            batch: Batch::default(),
            start: 0,
            skipped: 0,
            line: 0,
        }
    }

    /// Takes in as much of a piece of the input as a batch holds; answers how many bytes.
    pub fn take(&mut self, piece: &[u8]) -> usize {
        let mut rest = piece;
        while !self.is_full() {
            let Some(end) = memchr::memchr(b'\n', rest) else {
                self.keep(rest);
                return piece.len();
            };
            let (line, tail) = rest.split_at(end);
            self.keep(line);
            self.finish();
            rest = tail.get(1..).unwrap_or_default();
        }
        piece.len().saturating_sub(rest.len())
    }

    /// The input ended; what it ended with is a line, if it is anything.
    pub fn end(&mut self) {
        if self.batch.text.len() > self.start {
            self.finish();
        }
    }

    /// The input broke off; a line without its end is none.
    pub fn break_off(&mut self) {
        self.batch.text.truncate(self.start);
        self.skipped = 0;
    }

    /// Whether a batch must be taken before more is fed.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.batch.items.len() >= LINES_MAX || self.start >= BATCH_BYTES_MAX
    }

    /// Whether there is nothing to hand over.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.batch.items.is_empty()
    }

    /// How many bytes of the unfinished line were dropped.
    #[must_use]
    pub fn skipped(&self) -> usize {
        self.skipped
    }

    /// The number of the line that comes next, from 1.
    #[must_use]
    pub fn next_line(&self) -> u64 {
        self.line + 1
    }

    /// Hands over what was finished and begins anew with the unfinished line.
    pub fn batch(&mut self) -> Batch {
        let unfinished = self.batch.text.get(self.start..).unwrap_or_default();
        let mut text = Vec::with_capacity(self.batch.text.len());
        text.extend_from_slice(unfinished);
        let items = Items::with_capacity(self.batch.items.len());
        let next = Batch { text, items };
        let mut batch = std::mem::replace(&mut self.batch, next);
        batch.text.truncate(self.start);
        self.start = 0;
        batch
    }

    /// One byte over the limit is enough to know that the line is too long.
    fn keep(&mut self, piece: &[u8]) {
        let length = self.batch.text.len().saturating_sub(self.start);
        let room = (self.line_max + 1).saturating_sub(length);
        let (kept, dropped) = piece.split_at(room.min(piece.len()));
        self.batch.text.extend_from_slice(kept);
        self.skipped += dropped.len();
    }

    fn finish(&mut self) {
        self.line += 1;
        let (start, skipped) = (self.start, std::mem::take(&mut self.skipped));
        let Batch { text, items } = &mut self.batch;
        let line = text.get(start..).unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let too_long = line.len() + skipped > self.line_max;
        if !too_long && line.iter().all(u8::is_ascii_whitespace) {
            // What is no item takes no room either, or blanks alone would fill a batch.
            text.truncate(start);
            return;
        }
        let raw = start..start + line.len();
        let read = if too_long {
            Err(Unreadable {
                code: "line_too_long",
                field: None,
                detail: "a line may have 64 KiB".into(),
            })
        } else {
            parse_event(line)
        };
        match read {
            Ok(event) => items.push(self.line, raw, Ok(&event.view())),
            Err(unreadable) => items.push(self.line, raw, Err(unreadable)),
        }
        self.start = text.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"source":"s","event_id":"e","user":"u","kind":"k"}"#;

    fn places(batch: &Batch) -> usize {
        batch.items.len()
    }

    #[test]
    fn a_batch_holds_so_many_lines_and_the_rest_waits() {
        let mut lines = Lines::new(100);
        let text = format!("{GOOD}\n").repeat(LINES_MAX + 3);
        let taken = lines.take(text.as_bytes());
        assert!(lines.is_full());
        assert_eq!(taken, (GOOD.len() + 1) * LINES_MAX);
        assert_eq!(places(&lines.batch()), LINES_MAX);
        let rest = &text.as_bytes()[taken..];
        assert_eq!(lines.take(rest), rest.len());
        assert_eq!(lines.next_line(), LINES_MAX as u64 + 4);
        assert_eq!(places(&lines.batch()), 3);
        assert!(lines.is_empty());
    }

    #[test]
    fn blank_lines_are_counted_and_fill_no_batch() {
        let mut lines = Lines::new(1_000);
        let blanks = format!("{}\n", " ".repeat(999));
        for _ in 0..2 * BATCH_BYTES_MAX / blanks.len() {
            assert_eq!(lines.take(blanks.as_bytes()), blanks.len());
        }
        assert!(!lines.is_full() && lines.is_empty());
        lines.take(format!("{GOOD}\n").as_bytes());
        let batch = lines.batch();
        assert_eq!((places(&batch), batch.text.len()), (1, GOOD.len()));
        assert_eq!(lines.next_line(), 2 + 2 * 4_194);
    }

    #[test]
    fn an_unfinished_line_goes_on_in_the_next_batch() {
        let mut lines = Lines::new(100);
        let (head, tail) = GOOD.split_at(20);
        let first = format!("{GOOD}\r\n\n{head}");
        assert_eq!(lines.take(first.as_bytes()), first.len());
        let batch = lines.batch();
        assert_eq!((places(&batch), batch.items.events().len()), (1, 1));
        lines.take(tail.as_bytes());
        assert!(lines.is_empty());
        lines.end();
        let batch = lines.batch();
        assert_eq!(batch.text, GOOD.as_bytes());
        assert_eq!(batch.items.events().len(), 1);
        lines.take(head.as_bytes());
        lines.break_off();
        lines.end();
        assert!(lines.is_empty(), "half a line is not a line");
    }

    #[test]
    fn a_line_over_the_limit_is_cut_and_named_also_where_it_looks_like_a_shorter_one() {
        let mut lines = Lines::new(GOOD.len());
        for (end, good) in [("", true), ("\r", true), (" ", false), ("\rx", false)] {
            let text = format!("{GOOD}{end}\n");
            for byte in text.as_bytes() {
                lines.take(&[*byte]);
            }
            let batch = lines.batch();
            let unreadable = batch.items.unreadable().map(|fault| fault.code);
            let expected: &[&str] = if good { &[] } else { &["line_too_long"] };
            assert_eq!(unreadable.collect::<Vec<_>>(), expected, "{end:?}");
        }
        lines.take(&[b'x'; 1_000]);
        assert_eq!(lines.skipped(), 1_000 - GOOD.len() - 1);
    }
}
