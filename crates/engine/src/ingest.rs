//! Earning events in, one result per item out. What cannot be credited is kept as a dead
//! letter and the rest of the batch goes on.
//!
//! Items lie side by side: what came as one text, where each begins and ends in it, and the
//! events that were read as one [`EventBatch`]. A good item costs no allocation of its own.

use std::borrow::Cow;
use std::ops::Range;

use lingqian_core::command::DeadLetter;
use lingqian_core::earning::{Credited, EarningEvent};
use lingqian_core::id::IdFault;
use lingqian_core::letter::Mark;
use lingqian_core::money::Micros;
use lingqian_core::{EventBatch, EventView, Notes};
use lingqian_io::store::EventAnswer;
use lingqian_io::{Clock, Fault, Ports, Store as _};

use crate::Desk;

/// Codes of inputs that are longer than their door takes. A dead letter has the whole input, but of
/// these only the beginning, up to the door's limit.
pub const TOO_LONG: [&str; 2] = ["line_too_long", "too_large"];

/// An input that could not even be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// A stable code.
    pub code: &'static str,
    /// Which field, where one is to blame.
    pub field: Option<String>,
    /// What is wrong and what would be right.
    pub detail: String,
}

impl Unreadable {
    /// A field that is not well formed.
    #[must_use]
    pub fn malformed(field: &str, fault: IdFault) -> Unreadable {
        Unreadable {
            code: "malformed",
            field: Some(field.to_owned()),
            detail: format!("{field} {fault}"),
        }
    }
}

/// An event of its own, every field of it well formed.
///
/// # Errors
/// The first field that is not.
pub fn whole(view: &EventView<'_>) -> Result<EarningEvent, Unreadable> {
    let mut batch = EventBatch::with_capacity(1);
    let pushed = batch.push(view);
    pushed.map_err(|(field, fault)| Unreadable::malformed(field, fault))?;
    let event = view.to_event();
    event.map_err(|fault| Unreadable::malformed("event", fault))
}

/// Where items come from, as dead letters name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Door<'a> {
    /// The door.
    pub name: &'a str,
    /// What its items are counted in: `line`, `index`.
    pub unit: &'a str,
}

/// One item among others.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Item {
    place: u64,
    raw: Range<usize>,
}

/// Items of one text in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Items {
    items: Vec<Item>,
    /// What was read of those that could be read.
    events: EventBatch,
    /// Which could not be read, and why, by rising index.
    unreadable: Vec<(usize, Unreadable)>,
    mark: Option<Mark>,
}

impl Items {
    /// None, with room for so many.
    #[must_use]
    pub fn with_capacity(items: usize) -> Items {
        Items {
            items: Vec::with_capacity(items),
            events: EventBatch::with_capacity(items),
            unreadable: Vec::new(),
            mark: None,
        }
    }

    /// How far their source was read once all of them are credited or kept as letters. It becomes
    /// durable in the commit of the last of them.
    pub fn mark(&mut self, mark: Mark) {
        self.mark = Some(mark);
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// What could be read.
    #[must_use]
    pub fn events(&self) -> &EventBatch {
        &self.events
    }

    /// What could not be read.
    pub fn unreadable(&self) -> impl Iterator<Item = &Unreadable> {
        self.unreadable.iter().map(|(_, unreadable)| unreadable)
    }

    /// Adds an item: its place as its sender counts, where it lies in the text, and the event
    /// in it. A field that is not well formed makes the item unreadable.
    pub fn push(
        &mut self,
        place: u64,
        raw: Range<usize>,
        read: Result<&EventView<'_>, Unreadable>,
    ) {
        let index = self.items.len();
        self.items.push(Item { place, raw });
        let pushed = read.and_then(|event| {
            let pushed = self.events.push(event);
            pushed.map_err(|(field, fault)| Unreadable::malformed(field, fault))
        });
        if let Err(unreadable) = pushed {
            self.unreadable.push((index, unreadable));
        }
    }
}

/// What came of one item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ItemResult<'a> {
    /// Booked just now.
    Credited {
        /// With how much.
        amount: Micros,
    },
    /// Booked before, with the same content.
    Duplicate,
    /// Not booked; nothing changed but a dead letter.
    Rejected {
        /// A stable code.
        code: &'static str,
        /// Which field, where one is to blame.
        field: Option<&'a str>,
        /// What is wrong.
        detail: Cow<'a, str>,
    },
}

/// What came of all items, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ingested {
    items: Vec<Item>,
    unreadable: Vec<(usize, Unreadable)>,
    answers: Vec<EventAnswer>,
}

impl Ingested {
    /// How many items there were.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there was none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Each item's place and what came of it.
    pub fn iter(&self) -> impl Iterator<Item = (u64, ItemResult<'_>)> {
        let results = self.results();
        results.map(|(item, result)| (item.place, result))
    }

    fn results(&self) -> impl Iterator<Item = (&Item, ItemResult<'_>)> {
        let mut unreadable = self.unreadable.iter().peekable();
        let mut answers = self.answers.iter();
        self.items
            .iter()
            .enumerate()
            .map_while(move |(index, item)| {
                let unread = unreadable.next_if(|(place, _)| *place == index);
                let result = match unread {
                    Some((_, unreadable)) => ItemResult::from(unreadable),
                    None => ItemResult::from(answers.next()?),
                };
                Some((item, result))
            })
    }
}

impl<'a> From<&'a Unreadable> for ItemResult<'a> {
    fn from(unreadable: &'a Unreadable) -> ItemResult<'a> {
        ItemResult::Rejected {
            code: unreadable.code,
            field: unreadable.field.as_deref(),
            detail: Cow::Borrowed(&unreadable.detail),
        }
    }
}

impl From<&EventAnswer> for ItemResult<'_> {
    fn from(answer: &EventAnswer) -> Self {
        match answer {
            Ok(Credited::Now(amount)) => ItemResult::Credited { amount: *amount },
            Ok(Credited::Before) => ItemResult::Duplicate,
            Err(rejection) => ItemResult::Rejected {
                code: rejection.code(),
                field: rejection.field(),
                detail: Cow::Owned(rejection.to_string()),
            },
        }
    }
}

/// Credits what can be credited of the items in `text`. Every result is durable when this
/// answers.
///
/// # Errors
/// A fault; the same items may then be sent again without harm.
pub async fn ingest<P: Ports>(
    ports: &P,
    desk: &Desk,
    door: Door<'_>,
    text: &[u8],
    items: Items,
) -> Result<Ingested, Fault> {
    let Items {
        items,
        mut events,
        unreadable,
        mark,
    } = items;
    let expected = events.len();
    if let Some(mark) = mark
        .as_ref()
        .filter(|_| unreadable.is_empty() && expected > 0)
    {
        events.mark(mark.clone());
    }
    let answers = desk.submit_events(events).await?;
    if answers.len() != expected {
        return Err(Fault::Broken("the desk lost an answer".into()));
    }
    let all_booked = unreadable.is_empty() && answers.iter().all(Result::is_ok);
    let ingested = Ingested {
        items,
        unreadable,
        answers,
    };
    if !all_booked {
        keep(ports, door, text, (&ingested, mark)).await?;
    }
    Ok(ingested)
}

/// Keeps what was not credited.
async fn keep<P: Ports>(
    ports: &P,
    door: Door<'_>,
    text: &[u8],
    (ingested, mark): (&Ingested, Option<Mark>),
) -> Result<(), Fault> {
    let at = ports.clock().business();
    let letter = |(item, result): (&Item, ItemResult<'_>)| {
        let ItemResult::Rejected { code, .. } = result else {
            return None;
        };
        let raw = text.get(item.raw.clone()).unwrap_or_default();
        Some(DeadLetter {
            door: door.name.to_owned(),
            position: format!("{} {}", door.unit, item.place),
            code: code.to_owned(),
            raw: raw.to_vec(),
            at,
        })
    };
    let notes = Notes {
        dead_letters: ingested.results().filter_map(letter).collect(),
        marks: mark.into_iter().collect(),
    };
    ports.store().note(notes).await
}
