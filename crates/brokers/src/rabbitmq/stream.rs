//! A stream of RabbitMQ's: read from where our books say, which is kept in the commit of what was
//! read, as Kafka's offsets are. Offsets have holes of their own, where the broker keeps notes between
//! segments, and it does not tell over this protocol what it threw away: a hole says nothing.

use lapin::message::Delivery;
use lapin::types::{AMQPValue, FieldTable};
use lingqian_core::letter::Mark;
use lingqian_io::{Browse as _, Ports};

use super::{Ours, RabbitIn};
use crate::intake::Intake;

/// The argument, and the header, in which an offset is.
const OFFSET: &str = "x-stream-offset";

/// How far a stream was read.
pub(super) struct Stream {
    mark: String,
    /// Which offset comes next, where that is known.
    next: Option<i64>,
}

impl Stream {
    /// Looks into the books for how far it was read.
    pub(super) async fn open<P: Ports>(
        intake: &Intake<P>,
        from: &RabbitIn,
    ) -> Result<Stream, lapin::Error> {
        let mark = format!("rabbitmq/{}/{}", from.name, from.queue);
        let marks = intake.ports.store().marks(mark.clone()).await;
        let marks = marks.map_err(|fault| Ours::error("store", fault.to_string()))?;
        let known = marks.into_iter().find(|known| known.name == mark);
        Ok(Stream {
            mark,
            next: known.map(|known| known.position),
        })
    }

    /// Where the broker begins.
    pub(super) fn arguments(&self) -> FieldTable {
        let from = match self.next {
            Some(next) => AMQPValue::LongLongInt(next),
            None => AMQPValue::LongString("first".into()),
        };
        let mut arguments = FieldTable::default();
        arguments.insert(OFFSET.into(), from);
        arguments
    }

    /// How far it is with everything that was given a place.
    pub(super) fn mark(&self) -> Mark {
        Mark {
            name: self.mark.clone(),
            position: self.next.unwrap_or(0),
        }
    }

    /// The offset of a delivery, unless it was read before: the broker begins with a whole chunk.
    pub(super) fn place(&mut self, delivery: &Delivery) -> Option<u64> {
        let headers = delivery.properties.headers().as_ref();
        let offset = headers.and_then(|headers| headers.inner().get(OFFSET));
        let Some(AMQPValue::LongLongInt(offset)) = offset.cloned() else {
            return Some(delivery.delivery_tag);
        };
        if self.next.is_some_and(|next| offset < next) {
            return None;
        }
        self.next = Some(offset.saturating_add(1));
        Some(offset.cast_unsigned())
    }
}
