//! Earning events in, one result per item out. What cannot be credited is kept as a dead
//! letter and the rest of the batch goes on.

use lingqian_core::command::{Command, DeadLetter};
use lingqian_core::earning::EarningEvent;
use lingqian_core::money::Micros;
use lingqian_core::{Outcome, Rejection};
use lingqian_io::{Clock, Fault, Ports};

use crate::Desk;

/// As much of an input as a dead letter keeps, in bytes.
pub const RAW_MAX: usize = 4_096;

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

/// One item of an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Where in the input, such as `line 12`.
    pub position: String,
    /// The item as it came.
    pub raw: Vec<u8>,
    /// The event in it.
    pub event: Result<EarningEvent, Unreadable>,
}

/// What came of one item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ItemResult {
    /// Credited just now.
    Credited {
        /// With how much.
        amount: Micros,
    },
    /// Credited before, with the same content.
    Duplicate,
    /// Not credited; nothing changed but a dead letter.
    Rejected {
        /// A stable code.
        code: &'static str,
        /// Which field, where one is to blame.
        field: Option<String>,
        /// What is wrong.
        detail: String,
    },
}

/// Credits what can be credited. Every result is durable when this answers.
///
/// # Errors
/// A fault; the same items may then be sent again without harm.
pub async fn ingest<P: Ports>(
    ports: &P,
    desk: &Desk,
    door: &str,
    items: Vec<Item>,
) -> Result<Vec<ItemResult>, Fault> {
    let events = items.iter().filter_map(|item| item.event.as_ref().ok());
    let commands = events.map(|event| Command::Earn(event.clone())).collect();
    let mut answers = desk.submit_all(commands).await?.into_iter();
    let now = ports.clock().business();
    let mut letters = Vec::new();
    let mut results = Vec::with_capacity(items.len());
    for item in items {
        let result = match item.event {
            Err(unreadable) => {
                let Unreadable {
                    code,
                    field,
                    detail,
                } = unreadable;
                ItemResult::Rejected {
                    code,
                    field,
                    detail,
                }
            }
            Ok(_) => match answers.next() {
                Some(answer) => result(answer)?,
                None => return Err(Fault::Broken("the desk lost an answer".into())),
            },
        };
        if let ItemResult::Rejected { code, .. } = &result {
            let mut raw = item.raw;
            raw.truncate(RAW_MAX);
            letters.push(Command::KeepDeadLetter(DeadLetter {
                door: door.to_owned(),
                position: item.position,
                code: (*code).to_owned(),
                raw,
                at: now,
            }));
        }
        results.push(result);
    }
    for kept in desk.submit_all(letters).await? {
        kept.map_err(|rejection| Fault::Broken(format!("a dead letter was refused: {rejection}")))?;
    }
    Ok(results)
}

fn result(answer: Result<Outcome, Rejection>) -> Result<ItemResult, Fault> {
    match answer {
        Ok(Outcome::Credited { amount }) => Ok(ItemResult::Credited { amount }),
        Ok(Outcome::AlreadyCredited) => Ok(ItemResult::Duplicate),
        Ok(_) => Err(Fault::Broken(
            "an event was answered with something else".into(),
        )),
        Err(rejection) => Ok(ItemResult::Rejected {
            code: rejection.code(),
            field: rejection.field().map(str::to_owned),
            detail: rejection.to_string(),
        }),
    }
}
