//! Requests made up ahead, whole and ready to be written, with what must come of each event.

use std::io::Write as _;

use lingqian_core::EventView;
use lingqian_core::money::Micros;

use crate::bench::ingest::results::{CREDITED, DUPLICATE, REJECTED};
use crate::bench::load::Load;
use crate::bench::mix::{Mix, Next};
use crate::bench::options::Mode;

/// What one connection sends in one go.
#[derive(Debug, Default)]
pub(crate) struct Parcel {
    /// The requests, one after the other.
    pub(crate) bytes: Vec<u8>,
    /// Where each ends in the bytes and in what is expected.
    pub(crate) ends: Vec<(usize, usize)>,
    /// A letter for each event.
    pub(crate) expected: Vec<u8>,
}

/// What must have come of everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    /// Events that are credited.
    pub(crate) credited: u64,
    /// Their sum in micro-yuan.
    pub(crate) micros: i128,
    /// Events that were credited before.
    pub(crate) duplicates: u64,
    /// Events that are refused.
    pub(crate) refused: u64,
}

impl Sums {
    /// More of it.
    pub(crate) fn add(&mut self, more: &Sums) {
        self.credited += more.credited;
        self.micros += more.micros;
        self.duplicates += more.duplicates;
        self.refused += more.refused;
    }

    /// All events.
    pub(crate) fn events(&self) -> u64 {
        self.credited + self.duplicates + self.refused
    }
}

/// Makes what one connection sends.
pub(crate) struct Sender<'a> {
    load: &'a Load,
    mix: Mix,
    mode: Mode,
    /// Events of one request.
    together: u64,
    /// The head of every request, but for the length.
    head: String,
    /// What must have come of all that was made.
    pub(crate) sums: Sums,
}

impl<'a> Sender<'a> {
    /// A sender of requests with so many events each; a stream takes all that there are.
    pub(crate) fn new(
        load: &'a Load,
        mix: Mix,
        (mode, together): (Mode, u32),
        (address, key): (&str, &str),
    ) -> Sender<'a> {
        let media = match mode {
            Mode::Ndjson => "application/x-ndjson",
            Mode::Single | Mode::Array => "application/json",
        };
        Sender {
            load,
            mix,
            mode,
            together: match mode {
                Mode::Ndjson => u64::MAX,
                Mode::Single => 1,
                Mode::Array => u64::from(together),
            },
            head: format!(
                "POST /v1/events HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {key}\r\n\
                 Content-Type: {media}\r\nContent-Length: "
            ),
            sums: Sums::default(),
        }
    }

    /// Requests with so many events together.
    pub(crate) fn parcel(&mut self, events: u64) -> Parcel {
        let mut parcel = Parcel::default();
        let mut body = Vec::new();
        let mut left = events;
        while left > 0 {
            let count = left.min(self.together);
            body.clear();
            self.fill(&mut body, &mut parcel.expected, count);
            // Writing to memory cannot fail.
            let _ = write!(parcel.bytes, "{}{}\r\n\r\n", self.head, body.len());
            parcel.bytes.extend_from_slice(&body);
            parcel
                .ends
                .push((parcel.bytes.len(), parcel.expected.len()));
            left -= count;
        }
        parcel
    }

    fn fill(&mut self, body: &mut Vec<u8>, expected: &mut Vec<u8>, count: u64) {
        let (open, between, close): (&[u8], &[u8], &[u8]) = match self.mode {
            Mode::Ndjson => (b"", b"\n", b"\n"),
            Mode::Single => (b"", b"", b""),
            Mode::Array => (b"[", b",", b"]"),
        };
        body.extend_from_slice(open);
        for place in 0..count {
            if place > 0 {
                body.extend_from_slice(between);
            }
            let (number, letter) = match self.mix.draw() {
                Next::New(number) => (number, CREDITED),
                Next::Again(number) => (number, DUPLICATE),
                Next::Refused(number) => (number, REJECTED),
            };
            let event = self.load.event(number);
            self.load
                .view(&event, letter == REJECTED, |view| write_event(body, view));
            self.count(letter, event.brings);
            expected.push(letter);
        }
        body.extend_from_slice(close);
    }

    fn count(&mut self, letter: u8, brings: Micros) {
        match letter {
            CREDITED => {
                self.sums.credited += 1;
                self.sums.micros += i128::from(brings.0);
            }
            DUPLICATE => self.sums.duplicates += 1,
            _ => self.sums.refused += 1,
        }
    }
}

fn write_event(body: &mut Vec<u8>, event: &EventView<'_>) {
    let EventView {
        source,
        event_id,
        user,
        kind,
        ..
    } = event;
    // Writing to memory cannot fail.
    let _ = write!(
        body,
        r#"{{"source":"{source}","event_id":"{event_id}","user":"{user}","kind":"{kind}""#
    );
    if let Some(amount) = event.amount {
        let _ = write!(body, r#","amount_micros":{}"#, amount.0);
    }
    if let Some(at) = event.occurred_at {
        let at = jiff::Timestamp::from_millisecond(at.0).unwrap_or_default();
        let _ = write!(body, r#","occurred_at":"{at}""#);
    }
    body.push(b'}');
}

#[cfg(test)]
mod tests {
    use lingqian_http::wire::event::parse_event;

    use super::*;
    use crate::bench::options::{Ids, Share, Spread};

    #[test]
    fn what_is_sent_reads_as_the_event_that_is_expected() {
        let load = Load::new(3, 50, Spread::Zipf, Ids::Random);
        let mix = || Mix::new(3, 0, Share(100_000));
        let mut sender = Sender::new(&load, mix(), (Mode::Ndjson, 1), ("a", "k"));
        let parcel = sender.parcel(2_000);
        assert_eq!(parcel.ends, [(parcel.bytes.len(), 2_000)]);
        let text = String::from_utf8(parcel.bytes).expect("text");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        assert!(head.ends_with(&format!("Content-Length: {}", body.len())));
        let mut sums = Sums::default();
        for (line, letter) in body.lines().zip(&parcel.expected) {
            let event = parse_event(line.as_bytes()).expect("it reads");
            assert_eq!(event.view().user == "nobody", *letter == REJECTED);
            match *letter {
                CREDITED => sums.credited += 1,
                DUPLICATE => sums.duplicates += 1,
                _ => sums.refused += 1,
            }
        }
        sums.micros = sender.sums.micros;
        assert_eq!(sender.sums, sums);
        assert_eq!(sums.events(), 2_000);
        assert!(sums.duplicates > 100, "{sums:?}");

        let mut sender = Sender::new(&load, mix(), (Mode::Array, 300), ("a", "k"));
        assert_eq!(sender.parcel(1_000).ends.len(), 4);
    }
}
