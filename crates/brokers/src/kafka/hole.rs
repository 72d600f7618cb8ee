//! Holes in a partition: messages that the broker threw away before we read them, because they were
//! older than what it keeps, and topics that were made anew. Neither is passed in silence.

use std::time::Duration;

use lingqian_engine::ingest::Unreadable;
use lingqian_io::Ports;
use rdkafka::consumer::{BaseConsumer, Consumer as _};

use super::{Place, Told};
use crate::intake::{Intake, Parcel};

/// How long the broker may take to say what it keeps.
const ASK_WAIT: Duration = Duration::from_secs(5);

/// A message that is not the one that was to come.
pub(super) struct Jump<'a> {
    /// Its partition.
    pub(super) place: &'a Place,
    /// The offset that was to come.
    pub(super) from: i64,
    /// Its own.
    pub(super) to: i64,
}

impl Jump<'_> {
    /// Finds out why, and keeps a dead letter, in the commit of what comes after the hole, where
    /// messages are gone. Offsets that were left out by compaction or by a transaction are no
    /// hole: the broker still keeps what is before them.
    pub(super) fn look<P: Ports>(
        &self,
        intake: &Intake<P>,
        consumer: &BaseConsumer<Told<P>>,
        parcel: &mut Parcel,
    ) {
        let (topic, partition) = (self.place.0.as_str(), self.place.1);
        let kept = consumer.fetch_watermarks(topic, partition, ASK_WAIT);
        let door = &intake.door;
        let begins = match kept {
            Ok((begins, _)) => begins,
            Err(error) => {
                let (from, to) = (self.from, self.to);
                // Rather a letter too many than a loss that nobody hears of.
                tracing::warn!(door, topic, partition, from, to, %error, "why is there a hole");
                self.to
            }
        };
        let Some((code, to, why)) = self.code(begins) else {
            return;
        };
        let from = self.from;
        tracing::error!(door, topic, partition, code, from, to, "messages are gone");
        let gone = u64::try_from(to.saturating_sub(from)).unwrap_or(0);
        intake.figures.lost(gone);
        let text = serde_json::json!({
            "topic": topic, "partition": partition, "from": from, "to": to,
        });
        let detail = format!("{topic}/{partition}: from {from} to before {to}: {why}");
        let unreadable = Unreadable {
            code,
            field: None,
            detail,
        };
        parcel.push_hole(from.cast_unsigned(), unreadable, &text.to_string());
    }

    /// What it is, up to which offset, and in words; nothing where nothing is gone.
    fn code(&self, begins: i64) -> Option<(&'static str, i64, &'static str)> {
        if self.to < self.from {
            let why = "the topic was made anew under its name";
            return Some(("offsets_went_back", self.to, why));
        }
        let to = begins.min(self.to);
        let why = "the broker kept them for too short a time";
        (to > self.from).then_some(("messages_gone", to, why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_broker_no_longer_keeps_is_gone() {
        let place = ("t".to_owned(), 0);
        let code = |from, to, begins| {
            let place = &place;
            let jump = Jump { place, from, to };
            jump.code(begins).map(|(code, to, _)| (code, to))
        };
        // Compacted, or the mark of a transaction.
        assert_eq!(code(10, 12, 0), None);
        assert_eq!(code(10, 12, 10), None);
        assert_eq!(code(10, 12, 11), Some(("messages_gone", 11)));
        assert_eq!(code(10, 500, 500), Some(("messages_gone", 500)));
        // It went on while we asked.
        assert_eq!(code(10, 500, 700), Some(("messages_gone", 500)));
        assert_eq!(code(10, 0, 0), Some(("offsets_went_back", 0)));
    }
}
